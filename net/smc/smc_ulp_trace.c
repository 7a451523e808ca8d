// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP upper-layer protocol "smc": telling the world, by tracepoints and counters
 *
 * One function for each thing that happens, called where it happens. A counter is one per-CPU
 * increment, a tracepoint that is off a branch that is not taken.
 */
#define pr_fmt(fmt) "smc_ulp: " fmt

#include <net/ipv6.h>

#include "smc_ulp.h"

#define CREATE_TRACE_POINTS
#include "smc_ulp_trace.h"

/**
 * smc_ulp_tuple_of() - the addresses of a sock
 * @sk: the sock
 * @t: filled; v4-mapped addresses are given as AF_INET
 *
 * Context: any; a consistent answer needs the socket lock.
 */
void smc_ulp_tuple_of(const struct sock *sk, struct smc_ulp_tuple *t)
{
	const struct inet_sock *inet = inet_sk(sk);

	memset(t, 0, sizeof(*t));
	t->family = AF_INET;
	t->local_port = ntohs(inet->inet_sport);	/* inet_num goes with the connection */
	t->remote_port = ntohs(inet->inet_dport);
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6 && !ipv6_addr_v4mapped(&sk->sk_v6_daddr) &&
	    !ipv6_addr_v4mapped(&sk->sk_v6_rcv_saddr)) {
		t->family = AF_INET6;
		memcpy(t->local_addr, &sk->sk_v6_rcv_saddr, sizeof(t->local_addr));
		memcpy(t->remote_addr, &sk->sk_v6_daddr, sizeof(t->remote_addr));
		return;
	}
#endif
	t->local_addr[0] = inet->inet_rcv_saddr;
	t->remote_addr[0] = inet->inet_daddr;
}

/**
 * smc_ulp_tell_attach() - somebody wanted the ULP on @sk
 * @sk: the sock
 * @origin: who
 * @rc: what it came to, 0 or -errno
 *
 * Context: any; socket lock held or @sk is being created. Return: @rc.
 */
int smc_ulp_tell_attach(struct sock *sk, enum smc_ulp_origin origin, int rc)
{
	if (!rc)
		SMC_ULP_INC(sock_net(sk), ATTACH);
	else if (rc == -EACCES)
		SMC_ULP_INC(sock_net(sk), ATTACHDENY);
	else
		SMC_ULP_INC(sock_net(sk), ATTACHERROR);
	trace_smc_ulp_attach(sk, origin, rc);
	return rc;
}

/* Indexes of the counters of a verdict: [callback - SMC_ULP_CB_CONNECT][allow, deny, require] */
static const u8 smc_ulp_verdict_stat[][3] = {
	{ SMC_ULP_STAT_CONNECTALLOW, SMC_ULP_STAT_CONNECTDENY, SMC_ULP_STAT_CONNECTREQUIRE },
	{ SMC_ULP_STAT_LISTENALLOW, SMC_ULP_STAT_LISTENDENY, SMC_ULP_STAT_LISTENREQUIRE },
	{ SMC_ULP_STAT_SYNALLOW, SMC_ULP_STAT_SYNDENY, SMC_ULP_STAT_SYNDENY },
};

/**
 * smc_ulp_tell_verdict() - it was decided about @sk
 * @sk: the sock; of SMC_ULP_CB_SYN the listener
 * @callback: enum smc_ulp_callback
 * @policy: name of the policy that decided, "" when none did
 * @verdict: valid verdict of that callback; SMC_ULP_PASS when no policy had an opinion
 * @rule: what the policy called the rule that decided, 0 none
 * @tuple: what was decided about; NULL: the addresses of @sk
 *
 * Context: any.
 */
void smc_ulp_tell_verdict(struct sock *sk, enum smc_ulp_callback callback, const char *policy,
			  int verdict, u32 rule, const struct smc_ulp_tuple *tuple)
{
	struct smc_ulp_tuple t;

	if (callback >= SMC_ULP_CB_CONNECT && callback <= SMC_ULP_CB_SYN) {
		int i = verdict == SMC_ULP_PASS ? 0 : verdict - SMC_ULP_ALLOW;

		SNMP_INC_STATS(smc_ulp_pernet(sock_net(sk))->stat,
			       smc_ulp_verdict_stat[callback - SMC_ULP_CB_CONNECT][i]);
	}
	if (!trace_smc_ulp_verdict_enabled())
		return;
	if (!tuple) {
		smc_ulp_tuple_of(sk, &t);
		tuple = &t;
	}
	trace_smc_ulp_verdict(sk, callback, policy, verdict, rule, tuple);
}

/**
 * smc_ulp_tell_handshake() - the CLC handshake of @sk begins
 * @ctx: its ctx
 * @sk: the user's sock
 *
 * Context: socket lock held, or slock in BH. smc_ulp_tell_handshake_end() follows.
 */
void smc_ulp_tell_handshake(struct smc_ulp_ctx *ctx, struct sock *sk)
{
	struct net *net = sock_net(sk);

	if (ctx->role == SMC_ULP_SERVER) {
		SMC_ULP_INC(net, CURRHSSERVER);
		SMC_ULP_INC(net, HSSERVER);
	} else {
		SMC_ULP_INC(net, CURRHSCLIENT);
		SMC_ULP_INC(net, HSCLIENT);
	}
	trace_smc_ulp_handshake(sk, ctx->role, ctx->origin);
}

/**
 * smc_ulp_tell_outcome() - what the handshake of @sk came to
 * @ctx: its ctx
 * @sk: the user's sock, held
 * @rc: 0 SMC, > 0 TCP, < 0 it is broken
 * @res: the same in full
 *
 * Also for those that had no handshake because the peer does not speak SMC. Before the program
 * can know of the outcome. Context: any.
 */
void smc_ulp_tell_outcome(struct smc_ulp_ctx *ctx, struct sock *sk, int rc,
			  const struct smc_ulp_result *res)
{
	struct net *net = sock_net(sk);

	if (!ctx->reason) {
		if (ctx->role == SMC_ULP_SERVER)
			SMC_ULP_DEC(net, CURRHSSERVER);
		else
			SMC_ULP_DEC(net, CURRHSCLIENT);
		if (rc < 0)
			SMC_ULP_INC(net, HSERROR);
		else if (rc > 0)
			SMC_ULP_INC(net, DECLINED);
		else if (res->mode == SMC_ULP_MODE_SMCD)
			SMC_ULP_INC(net, SMCD);
		else
			SMC_ULP_INC(net, SMCR);
	} else if (res->reason == SMC_ULP_REASON_CROSSED) {
		SMC_ULP_INC(net, CROSSED);
	} else if (res->reason == SMC_ULP_DECL_PEERNOSMC) {
		SMC_ULP_INC(net, PEERNOSMC);
	}
	if (!rc)
		SMC_ULP_INC(net, CURRSMC);
	trace_smc_ulp_outcome(sk, res);
}

/**
 * smc_ulp_tell_plain() - @sk connects or listens over TCP, or not at all; no policy is told
 * @ctx: its ctx, with the rule that decided
 * @sk: the user's sock
 * @reason: enum smc_ulp_reason
 * @error: negative errno when connect(2) or listen(2) fails, since the policy wants SMC; or 0
 *
 * Context: socket lock held.
 */
void smc_ulp_tell_plain(struct smc_ulp_ctx *ctx, struct sock *sk, u32 reason, int error)
{
	struct smc_ulp_result res;

	if (reason == SMC_ULP_REASON_SOCKET)
		SMC_ULP_INC(sock_net(sk), NOTELIGIBLE);
	else if (reason == SMC_ULP_REASON_BUSY)
		SMC_ULP_INC(sock_net(sk), CONNECTBUSY);
	if (error)
		SMC_ULP_INC(sock_net(sk), ABORTED);
	if (!trace_smc_ulp_outcome_enabled())
		return;
	ctx->reason = reason;
	smc_ulp_result_snapshot(ctx, sk, NULL, error, &res);
	trace_smc_ulp_outcome(sk, &res);
}

/**
 * smc_ulp_tell_close() - an SMC connection ends, and the policy is told
 * @ctx: its ctx, with a result
 * @sk: the user's sock
 *
 * Context: any.
 */
void smc_ulp_tell_close(struct smc_ulp_ctx *ctx, struct sock *sk)
{
	struct smc_ulp_result res = *ctx->result;

	smc_ulp_result_live(ctx, &res);
	smc_ulp_policy_release(sk, &res);
	SMC_ULP_DEC(sock_net(sk), CURRSMC);
	trace_smc_ulp_close(sk, &res);
}

/**
 * smc_ulp_tell_refuse() - something was not let through
 * @sk: the sock; of a SYN the listener
 * @tuple: whose; NULL: the addresses of @sk
 * @reason: enum smc_ulp_reason, or an SMC_CLC_DECL_* code
 * @reset: the connection is reset; else a SYN is answered without the SMC option
 *
 * Context: any.
 */
void smc_ulp_tell_refuse(struct sock *sk, const struct smc_ulp_tuple *tuple, u32 reason, bool reset)
{
	struct smc_ulp_tuple t;

	if (reset && reason == SMC_ULP_REASON_POLICY)
		SMC_ULP_INC(sock_net(sk), ABORTED);
	else if (reset)
		SMC_ULP_INC(sock_net(sk), CHILDDROPPED);
	else if (reason == SMC_ULP_REASON_BUSY)
		SMC_ULP_INC(sock_net(sk), SYNBUSY);
	else if (reason != SMC_ULP_REASON_POLICY)
		SMC_ULP_INC(sock_net(sk), NOTELIGIBLE);
	if (!trace_smc_ulp_refuse_enabled())
		return;
	if (!tuple) {
		smc_ulp_tuple_of(sk, &t);
		tuple = &t;
	}
	trace_smc_ulp_refuse(sk, tuple, reason, reset);
}
