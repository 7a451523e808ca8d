// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP upper-layer protocol "smc": asking the policies
 *
 * What the callbacks of struct smc_ulp_ops are asked, and what is made of their answers. Which
 * policies are asked, and in what order: smc_ulp_scope.c.
 */
#define pr_fmt(fmt) "smc_ulp: " fmt

#include <linux/in.h>
#include <linux/rcupdate.h>
#include <net/ipv6.h>

#include "smc_ulp.h"

/**
 * smc_ulp_policy_error() - a program returned what is no verdict
 * @sk: the sock it was asked about
 * @policy: name of the policy
 * @op: the callback
 * @verdict: what it returned
 * @taken_as: what is done instead
 *
 * Context: any.
 */
void smc_ulp_policy_error(const struct sock *sk, const char *policy, const char *op, int verdict,
			  const char *taken_as)
{
	SMC_ULP_INC(sock_net(sk), POLICYERROR);
	pr_warn_ratelimited("policy %s: %s returned %d, which is no verdict; taken as %s\n", policy,
			    op, verdict, taken_as);
}

/*
 * A verdict of a program is input like any other; @max is the last one that @op may give. Returns
 * true when it decides. The rule of a verdict that does not is kept until another policy names one.
 */
static bool smc_ulp_decided(struct smc_ulp_decision *d, const struct sock *sk,
			    const struct smc_ulp_ops *ops, const char *op, int verdict,
			    enum smc_ulp_verdict max)
{
	if (verdict < 0 || (verdict & SMC_ULP_VERDICT_MASK) > max) {
		smc_ulp_policy_error(sk, ops->name, op, verdict, "DENY");
		verdict = SMC_ULP_DENY;
	}
	d->verdict = verdict & SMC_ULP_VERDICT_MASK;
	if (d->verdict != SMC_ULP_PASS || verdict)
		d->rule = verdict >> SMC_ULP_RULE_SHIFT;
	return d->verdict != SMC_ULP_PASS;
}

static const char * const smc_ulp_callback_names[] = {
	[SMC_ULP_CB_INIT]	= "init",
	[SMC_ULP_CB_CONNECT]	= "connect",
	[SMC_ULP_CB_LISTEN]	= "listen",
	[SMC_ULP_CB_SYN]	= "syn",
};

/* @arg: u32 for init, else struct smc_ulp_tuple. Under RCU. False when @ops has no such callback */
static bool smc_ulp_call(const struct smc_ulp_ops *ops, enum smc_ulp_callback callback,
			 struct sock *sk, const void *arg, int *verdict)
{
	int (*call)(struct sock *sk, const struct smc_ulp_tuple *tuple) = NULL;

	switch (callback) {
	case SMC_ULP_CB_INIT:
		if (!ops->init)
			return false;
		*verdict = ops->init(sk, *(const u32 *)arg);
		return true;
	case SMC_ULP_CB_CONNECT:
		call = ops->connect;
		break;
	case SMC_ULP_CB_LISTEN:
		call = ops->listen;
		break;
	case SMC_ULP_CB_SYN:
		call = ops->syn;
		break;
	default:
		break;
	}
	if (!call)
		return false;
	*verdict = call(sk, arg);
	return true;
}

/* Ask the policies of @sk until one decides. Any context in which @sk is valid. */
static struct smc_ulp_decision smc_ulp_ask(struct sock *sk, enum smc_ulp_callback callback,
					   const void *arg, enum smc_ulp_verdict max)
{
	struct smc_ulp_decision d = { .verdict = SMC_ULP_PASS };
	const char *op = smc_ulp_callback_names[callback];
	const struct smc_ulp_ops *ops, *asked = NULL;
	struct smc_ulp_scope scope;
	int verdict;

	rcu_read_lock();
	smc_ulp_scope_begin(&scope, sk);
	while ((ops = smc_ulp_scope_next(&scope))) {
		if (!smc_ulp_call(ops, callback, sk, arg, &verdict))
			continue;
		asked = ops;
		if (smc_ulp_decided(&d, sk, ops, op, verdict, max))
			break;
	}
	smc_ulp_tell_verdict(sk, callback, asked ? asked->name : "", d.verdict, d.rule,
			     callback == SMC_ULP_CB_INIT ? NULL : arg);
	rcu_read_unlock();
	return d;
}

/* Inform the policies of @sk that SMC has begun, or is going to end. Any context. */
static void smc_ulp_inform(struct sock *sk, const struct smc_ulp_result *res, bool begun)
{
	void (*inform)(struct sock *sk, const struct smc_ulp_result *res);
	const struct smc_ulp_ops *ops;
	struct smc_ulp_scope scope;

	rcu_read_lock();
	smc_ulp_scope_begin(&scope, sk);
	while ((ops = smc_ulp_scope_next(&scope))) {
		inform = begun ? ops->established : ops->release;
		if (inform)
			inform(sk, res);
	}
	rcu_read_unlock();
}

/**
 * smc_ulp_policy_init() - may the ULP be attached?
 * @sk: the sock
 * @origin: who asks
 *
 * Without a policy, or when it has no opinion, a kfunc is obeyed (the BPF program that called it
 * is the decision) and a setsockopt() as the sysctl net.smc_ulp.default says.
 *
 * Context: any; socket lock held or @sk is being created. Return: ALLOW or DENY.
 */
struct smc_ulp_decision smc_ulp_policy_init(struct sock *sk, enum smc_ulp_origin origin)
{
	u32 arg = origin;
	struct smc_ulp_decision d = smc_ulp_ask(sk, SMC_ULP_CB_INIT, &arg, SMC_ULP_DENY);

	if (d.verdict == SMC_ULP_PASS)
		d.verdict = origin == SMC_ULP_ORIGIN_SETSOCKOPT &&
			    !READ_ONCE(smc_ulp_pernet(sock_net(sk))->default_verdict) ?
			    SMC_ULP_DENY : SMC_ULP_ALLOW;
	return d;
}

/* v4-mapped addresses are shown as IPv4 */
static void smc_ulp_tuple_local(struct smc_ulp_tuple *t, const struct sock *sk)
{
	const struct inet_sock *inet = inet_sk(sk);

	t->local_port = inet->inet_num;
#if IS_ENABLED(CONFIG_IPV6)
	if (t->family == AF_INET6) {
		memcpy(t->local_addr, &sk->sk_v6_rcv_saddr, sizeof(t->local_addr));
		return;
	}
#endif
	t->local_addr[0] = inet->inet_rcv_saddr;
}

/**
 * smc_ulp_policy_connect() - may the connection to @uaddr offer SMC?
 * @sk: the sock
 * @uaddr: destination as the caller of connect(2) gave it; checked here
 * @addr_len: its length
 *
 * Context: socket lock held. Return: ALLOW, DENY or REQUIRE.
 */
struct smc_ulp_decision smc_ulp_policy_connect(struct sock *sk, const struct sockaddr *uaddr,
					       int addr_len)
{
	struct smc_ulp_decision d = { .verdict = SMC_ULP_DENY };
	struct smc_ulp_tuple t = { .role = SMC_ULP_CLIENT };

	if (addr_len >= (int)sizeof(struct sockaddr_in) && uaddr->sa_family == AF_INET) {
		const struct sockaddr_in *sin = (const struct sockaddr_in *)uaddr;

		t.family = AF_INET;
		t.remote_addr[0] = sin->sin_addr.s_addr;
		t.remote_port = ntohs(sin->sin_port);
	} else if (addr_len >= SIN6_LEN_RFC2133 && uaddr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)uaddr;

		if (ipv6_addr_v4mapped(&sin6->sin6_addr)) {
			t.family = AF_INET;
			t.remote_addr[0] = sin6->sin6_addr.s6_addr32[3];
		} else {
			t.family = AF_INET6;
			memcpy(t.remote_addr, &sin6->sin6_addr, sizeof(t.remote_addr));
		}
		t.remote_port = ntohs(sin6->sin6_port);
	} else {
		return d;	/* connect(2) is going to refuse it */
	}
	smc_ulp_tuple_local(&t, sk);

	d = smc_ulp_ask(sk, SMC_ULP_CB_CONNECT, &t, SMC_ULP_REQUIRE);
	if (d.verdict == SMC_ULP_PASS)
		d.verdict = SMC_ULP_ALLOW;
	return d;
}

/**
 * smc_ulp_policy_listen() - may the listener offer SMC?
 * @sk: the sock, bound or not
 *
 * Context: socket lock held. Return: ALLOW, DENY or REQUIRE.
 */
struct smc_ulp_decision smc_ulp_policy_listen(struct sock *sk)
{
	struct smc_ulp_tuple t = { .role = SMC_ULP_SERVER, .family = sk->sk_family };
	struct smc_ulp_decision d;

#if IS_ENABLED(CONFIG_IPV6)
	if (t.family == AF_INET6 && ipv6_addr_v4mapped(&sk->sk_v6_rcv_saddr))
		t.family = AF_INET;
#endif
	smc_ulp_tuple_local(&t, sk);

	d = smc_ulp_ask(sk, SMC_ULP_CB_LISTEN, &t, SMC_ULP_REQUIRE);
	if (d.verdict == SMC_ULP_PASS)
		d.verdict = SMC_ULP_ALLOW;
	return d;
}

/**
 * smc_ulp_policy_syn() - may a SYN be answered with the SMC option?
 * @lsk: the listener, not locked
 * @tuple: addresses of the SYN
 *
 * Context: BH, RCU read lock. May interrupt any other question on this CPU. Return: ALLOW or DENY.
 */
struct smc_ulp_decision smc_ulp_policy_syn(struct sock *lsk, const struct smc_ulp_tuple *tuple)
{
	struct smc_ulp_decision d = smc_ulp_ask(lsk, SMC_ULP_CB_SYN, tuple, SMC_ULP_DENY);

	if (d.verdict == SMC_ULP_PASS)
		d.verdict = SMC_ULP_ALLOW;
	return d;
}

/**
 * smc_ulp_policy_established() - SMC carries the data of @sk
 * @sk: the sock, held
 * @res: outcome
 *
 * Context: process, no locks.
 */
void smc_ulp_policy_established(struct sock *sk, const struct smc_ulp_result *res)
{
	smc_ulp_inform(sk, res, true);
}

/**
 * smc_ulp_policy_fallback() - SMC did not happen
 * @sk: the sock, held
 * @res: outcome with the reason; gets the rule of an abort
 *
 * Context: any. Return: true when the connection goes on over TCP.
 */
bool smc_ulp_policy_fallback(struct sock *sk, struct smc_ulp_result *res)
{
	const struct smc_ulp_ops *ops, *asked = NULL;
	struct smc_ulp_scope scope;
	bool go_on = true;
	u32 rule = 0;
	int verdict;

	rcu_read_lock();
	smc_ulp_scope_begin(&scope, sk);
	while ((ops = smc_ulp_scope_next(&scope))) {
		if (!ops->fallback)
			continue;
		verdict = ops->fallback(sk, res);
		if (verdict < 0 || (verdict & SMC_ULP_VERDICT_MASK) > SMC_ULP_ABORT) {
			smc_ulp_policy_error(sk, ops->name, "fallback", verdict, "GO_ON");
			verdict = SMC_ULP_GO_ON;
		}
		/* the nearest that aborts; when none does, the nearest */
		if (!asked || (go_on && (verdict & SMC_ULP_VERDICT_MASK) == SMC_ULP_ABORT)) {
			asked = ops;
			rule = verdict >> SMC_ULP_RULE_SHIFT;
			go_on = (verdict & SMC_ULP_VERDICT_MASK) == SMC_ULP_GO_ON;
		}
	}
	smc_ulp_tell_verdict(sk, SMC_ULP_CB_FALLBACK, asked ? asked->name : "",
			     go_on ? SMC_ULP_GO_ON : SMC_ULP_ABORT, rule, NULL);
	rcu_read_unlock();
	if (!go_on)
		res->rule = rule;
	return go_on;
}

/**
 * smc_ulp_policy_release() - the SMC connection of @sk is about to be closed
 * @sk: the sock
 * @res: outcome, byte counts and lifetime
 *
 * Context: any.
 */
void smc_ulp_policy_release(struct sock *sk, const struct smc_ulp_result *res)
{
	smc_ulp_inform(sk, res, false);
}
