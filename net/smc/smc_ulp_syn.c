// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP upper-layer protocol "smc": what a listener does with a SYN
 *
 * TCP asks tcp_sock::smc_hs_congested whether a SYN with the SMC option may be answered with it,
 * and does not say which SYN. So our listeners have a copy of TCP's icsk_af_ops, whose conn_request
 * leaves the SYN where smc_ulp_hs_congested() finds it. The same place decides what a listener that
 * requires SMC does with any SYN, before TCP sees it.
 */
#include <linux/hash.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <net/ip6_route.h>
#include <net/route.h>
#include <net/rstreason.h>
#include <net/transp_v6.h>

#include "smc_ulp.h"

/**
 * struct smc_ulp_syn - one SYN, on the stack of smc_ulp_conn_request()
 * @lsk: the listener it came to
 * @skb: the SYN
 * @tuple: its addresses, once @asked
 * @asked: was it decided about?
 * @reason: why it cannot have SMC, 0 when it can
 */
struct smc_ulp_syn {
	struct sock		*lsk;
	const struct sk_buff	*skb;
	struct smc_ulp_tuple	tuple;
	bool			asked;
	u32			reason;
};

/* The SYN that this CPU is at; BH are disabled from conn_request to its return */
static DEFINE_PER_CPU(struct smc_ulp_syn *, smc_ulp_syn_now);

static const struct inet_connection_sock_af_ops *smc_ulp_base_af_ops[2] __read_mostly;
static struct inet_connection_sock_af_ops smc_ulp_af_ops[2] __read_mostly;

/*
 * The rules of the verdicts about SYNs, until their children come: there is no room in a request
 * sock. An entry is a part of the hash of the connection, and the rule. What is overwritten by
 * another connection, or comes too late, is forgotten: nothing depends on it.
 */
#define SMC_ULP_RULE_BITS	8
#define SMC_ULP_RULE_TAG	(~0ULL << 24)
static u64 smc_ulp_rules[1 << SMC_ULP_RULE_BITS];

static u64 smc_ulp_rule_hash(u32 isn, u16 remote_port, u16 local_port)
{
	return ((u64)isn << 32 | remote_port << 16 | local_port) * GOLDEN_RATIO_64;
}

static u64 *smc_ulp_rule_slot(u64 hash)
{
	return &smc_ulp_rules[hash >> (64 - SMC_ULP_RULE_BITS)];
}

static void smc_ulp_rule_store(const struct sk_buff *skb, u32 rule)
{
	const struct tcphdr *th = tcp_hdr(skb);
	u64 hash = smc_ulp_rule_hash(TCP_SKB_CB(skb)->seq, ntohs(th->source), ntohs(th->dest));

	WRITE_ONCE(*smc_ulp_rule_slot(hash), (hash << SMC_ULP_RULE_BITS & SMC_ULP_RULE_TAG) | rule);
}

/**
 * smc_ulp_syn_rule() - the rule by which the SYN of @req was let in
 * @req: request of a child
 *
 * Context: any. Return: the rule, or 0 when none was named, or it was forgotten.
 */
u32 smc_ulp_syn_rule(const struct request_sock *req)
{
	const struct inet_request_sock *ireq = inet_rsk(req);
	u64 hash = smc_ulp_rule_hash(tcp_rsk(req)->rcv_isn, ntohs(ireq->ir_rmt_port), ireq->ir_num);
	u64 entry = READ_ONCE(*smc_ulp_rule_slot(hash));

	if ((entry ^ hash << SMC_ULP_RULE_BITS) & SMC_ULP_RULE_TAG)
		return 0;
	return entry & ~SMC_ULP_RULE_TAG;
}

static void smc_ulp_syn_tuple(struct smc_ulp_tuple *t, const struct sk_buff *skb)
{
	const struct tcphdr *th = tcp_hdr(skb);

	memset(t, 0, sizeof(*t));
	t->role = SMC_ULP_SERVER;
	t->local_port = ntohs(th->dest);
	t->remote_port = ntohs(th->source);
	if (skb->protocol == htons(ETH_P_IP)) {
		t->family = AF_INET;
		t->local_addr[0] = ip_hdr(skb)->daddr;
		t->remote_addr[0] = ip_hdr(skb)->saddr;
	} else {
		t->family = AF_INET6;
		memcpy(t->local_addr, &ipv6_hdr(skb)->daddr, sizeof(t->local_addr));
		memcpy(t->remote_addr, &ipv6_hdr(skb)->saddr, sizeof(t->remote_addr));
	}
}

/*
 * Does @skb have the SMC option, and can the answer have it? As tcp_conn_request() decides it: a
 * SYN cookie has no room for it.
 */
static bool smc_ulp_syn_possible(const struct sock *lsk, const struct sk_buff *skb)
{
	u8 cookies = READ_ONCE(sock_net(lsk)->ipv4.sysctl_tcp_syncookies);
	struct tcp_options_received opt = {};

	if (cookies && !TCP_SKB_CB(skb)->tcp_tw_isn &&
	    (cookies == 2 || inet_csk_reqsk_queue_is_full(lsk)))
		return false;
	tcp_parse_options(sock_net(lsk), skb, &opt, 0, NULL);
	return opt.smc_ok;
}

/* May @syn, which has the SMC option, be answered with it? The policy is asked last. */
static u32 smc_ulp_syn_decide(struct smc_ulp_syn *syn)
{
	u32 reason = smc_ulp_listener_refuses(syn->lsk);
	struct smc_ulp_decision d;

	if (reason)
		return reason;
	d = smc_ulp_policy_syn(syn->lsk, &syn->tuple);
	if (d.verdict == SMC_ULP_DENY)
		return SMC_ULP_REASON_POLICY;
	if (d.rule)
		smc_ulp_rule_store(syn->skb, d.rule);
	return 0;
}

/* Once for each SYN. */
static void smc_ulp_syn_ask(struct smc_ulp_syn *syn, bool require)
{
	if (syn->asked)
		return;
	syn->asked = true;
	smc_ulp_syn_tuple(&syn->tuple, syn->skb);
	if (!require || smc_ulp_syn_possible(syn->lsk, syn->skb))
		syn->reason = smc_ulp_syn_decide(syn);
	else
		syn->reason = SMC_ULP_DECL_PEERNOSMC;
	if (syn->reason)
		smc_ulp_tell_refuse(syn->lsk, &syn->tuple, syn->reason, require);
}

/**
 * smc_ulp_hs_congested() - tcp_sock::smc_hs_congested of our listeners
 * @lsk: the user's listener
 *
 * Asked for each SYN with the SMC option. Once the SYN-ACK has carried the option there is no way
 * to TCP but through the CLC handshake; so everything that speaks against SMC is asked here.
 *
 * Context: BH, RCU read lock. Return: true to answer as a TCP server without SMC.
 */
bool smc_ulp_hs_congested(const struct sock *lsk)
{
	struct smc_ulp_syn *syn = this_cpu_read(smc_ulp_syn_now);

	if (!syn || syn->lsk != lsk)
		return true;	/* not by way of our conn_request */
	smc_ulp_syn_ask(syn, false);
	return syn->reason;
}

/* Was it for us alone? TCP drops what was not, without an answer. */
static bool smc_ulp_syn_unicast(const struct sk_buff *skb)
{
	if (skb->protocol == htons(ETH_P_IP))
		return !(skb_rtable(skb)->rt_flags & (RTCF_BROADCAST | RTCF_MULTICAST));
	return ipv6_unicast_destination(skb) && !ipv6_addr_v4mapped(&ipv6_hdr(skb)->saddr);
}

/* Refuse the connection as a port without a listener does. */
static void smc_ulp_syn_reset(const struct sock *lsk, struct sk_buff *skb)
{
	const struct proto *prot = skb->protocol == htons(ETH_P_IP) ? &tcp_prot : &tcpv6_prot;

	prot->rsk_prot->send_reset(lsk, skb, SK_RST_REASON_NO_SOCKET);
}

/*
 * inet_connection_sock_af_ops::conn_request of our listeners. BH disabled, RCU read lock; the
 * listener is not locked, and may be detached at any time. What TCP drops for want of room in the
 * accept queue, it drops: the peer tries again.
 */
static int smc_ulp_conn_request(struct sock *lsk, struct sk_buff *skb)
{
	struct smc_ulp_syn *outer = this_cpu_read(smc_ulp_syn_now);
	struct smc_ulp_syn syn;
	int rc = 0;

	syn.lsk = lsk;
	syn.skb = skb;
	syn.asked = false;
	syn.reason = 0;
	this_cpu_write(smc_ulp_syn_now, &syn);
	if (smc_ulp_listener_requires(lsk) && !sk_acceptq_is_full(lsk) && smc_ulp_syn_unicast(skb))
		smc_ulp_syn_ask(&syn, true);
	if (syn.reason)
		smc_ulp_syn_reset(lsk, skb);
	else
		rc = smc_ulp_base_af_ops[lsk->sk_family == AF_INET6]->conn_request(lsk, skb);
	this_cpu_write(smc_ulp_syn_now, outer);
	return rc;
}

/**
 * smc_ulp_syn_hook() - see the SYNs of a listener
 * @lsk: a sock that is going to listen
 * @v6: its family
 *
 * An IPv6 socket that has been connected to an IPv4 address has other operations, with the same
 * conn_request: what makes the difference to a listener are its children, see smc_ulp_syn_unhook().
 *
 * Context: socket lock of @lsk held. Return: false when it has operations that are not TCP's.
 */
bool smc_ulp_syn_hook(struct sock *lsk, bool v6)
{
	struct inet_connection_sock *icsk = inet_csk(lsk);

	if (icsk->icsk_af_ops->conn_request != smc_ulp_base_af_ops[v6]->conn_request)
		return false;
	WRITE_ONCE(icsk->icsk_af_ops, &smc_ulp_af_ops[v6]);
	return true;
}

/**
 * smc_ulp_syn_unhook() - undo smc_ulp_syn_hook(), if it was done
 * @sk: a listener that is detached, or a child that has inherited its operations; that of an IPv6
 *	listener that came over IPv4 is given its own later
 *
 * Context: socket lock held, or nobody else knows @sk.
 */
void smc_ulp_syn_unhook(struct sock *sk)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	int i;

	for (i = 0; i < ARRAY_SIZE(smc_ulp_af_ops); i++)
		if (icsk->icsk_af_ops == &smc_ulp_af_ops[i])
			WRITE_ONCE(icsk->icsk_af_ops, smc_ulp_base_af_ops[i]);
}

/* Copy the operations of @sk, a new TCP socket. Called once for each family. */
void __init smc_ulp_syn_init(const struct sock *sk, bool v6)
{
	smc_ulp_base_af_ops[v6] = inet_csk(sk)->icsk_af_ops;
	smc_ulp_af_ops[v6] = *smc_ulp_base_af_ops[v6];
	smc_ulp_af_ops[v6].conn_request = smc_ulp_conn_request;
}
