// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP upper-layer protocol "smc": the registered policy
 *
 * One policy at most, owned by its BPF link. Sockets hold no reference on it: every call finds it
 * under RCU, and who takes it away waits for a grace period before the BPF core frees the
 * programs.
 */
#define pr_fmt(fmt) "smc_ulp: " fmt

#include <linux/in.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <net/ipv6.h>

#include "smc_ulp.h"

static struct smc_ulp_ops __rcu *smc_ulp_policy;
static DEFINE_MUTEX(smc_ulp_policy_mutex);	/* writers of smc_ulp_policy */

/**
 * smc_ulp_policy_register() - make @ops the policy
 * @ops: validated struct_ops value, valid until smc_ulp_policy_unregister() has returned
 *
 * Context: sleeps. Return: 0, or -EBUSY when there is one.
 */
int smc_ulp_policy_register(struct smc_ulp_ops *ops)
{
	int rc = -EBUSY;

	mutex_lock(&smc_ulp_policy_mutex);
	if (!rcu_access_pointer(smc_ulp_policy)) {
		rcu_assign_pointer(smc_ulp_policy, ops);
		rc = 0;
	}
	mutex_unlock(&smc_ulp_policy_mutex);
	return rc;
}

/**
 * smc_ulp_policy_unregister() - revoke @ops
 * @ops: the registered policy
 *
 * Context: sleeps. When it returns no callback of @ops is running, and none will.
 */
void smc_ulp_policy_unregister(struct smc_ulp_ops *ops)
{
	mutex_lock(&smc_ulp_policy_mutex);
	if (rcu_access_pointer(smc_ulp_policy) == ops)
		RCU_INIT_POINTER(smc_ulp_policy, NULL);
	mutex_unlock(&smc_ulp_policy_mutex);
	synchronize_rcu();
}

/**
 * smc_ulp_policy_update() - replace @old by @ops
 * @ops: new policy
 * @old: the registered one
 *
 * Context: sleeps. Each verdict is given by one of the two; when it returns @old is no longer
 * running. Return: 0, or -ENOENT when @old is not the registered policy.
 */
int smc_ulp_policy_update(struct smc_ulp_ops *ops, struct smc_ulp_ops *old)
{
	int rc = -ENOENT;

	mutex_lock(&smc_ulp_policy_mutex);
	if (rcu_access_pointer(smc_ulp_policy) == old) {
		rcu_assign_pointer(smc_ulp_policy, ops);
		rc = 0;
	}
	mutex_unlock(&smc_ulp_policy_mutex);
	if (!rc)
		synchronize_rcu();
	return rc;
}

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

/* A verdict of a program is input like any other; @max is the last one that @op may give */
static struct smc_ulp_decision smc_ulp_verdict(const struct sock *sk, const struct smc_ulp_ops *ops,
					       const char *op, int verdict,
					       enum smc_ulp_verdict max)
{
	struct smc_ulp_decision d = { .verdict = SMC_ULP_DENY };

	if (verdict >= 0 && (verdict & SMC_ULP_VERDICT_MASK) <= max) {
		d.verdict = verdict & SMC_ULP_VERDICT_MASK;
		d.rule = verdict >> SMC_ULP_RULE_SHIFT;
	} else {
		smc_ulp_policy_error(sk, ops->name, op, verdict, "DENY");
	}
	return d;
}

/* Tell of the decision of @ops, which is NULL when there is nobody to ask. RCU read lock. */
static void smc_ulp_decided(struct sock *sk, enum smc_ulp_callback callback,
			    const struct smc_ulp_ops *ops, struct smc_ulp_decision d,
			    const struct smc_ulp_tuple *tuple)
{
	smc_ulp_tell_verdict(sk, callback, ops ? ops->name : "", d.verdict, d.rule, tuple);
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
	struct smc_ulp_decision d = { .verdict = SMC_ULP_PASS };
	struct smc_ulp_ops *ops;

	rcu_read_lock();
	ops = rcu_dereference(smc_ulp_policy);
	if (ops && ops->init)
		d = smc_ulp_verdict(sk, ops, "init", ops->init(sk, origin), SMC_ULP_DENY);
	smc_ulp_decided(sk, SMC_ULP_CB_INIT, ops && ops->init ? ops : NULL, d, NULL);
	rcu_read_unlock();

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
	struct smc_ulp_decision d = { .verdict = SMC_ULP_PASS };
	struct smc_ulp_tuple t = { .role = SMC_ULP_CLIENT };
	struct smc_ulp_ops *ops;

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
		d.verdict = SMC_ULP_DENY;	/* connect(2) is going to refuse it */
		return d;
	}
	smc_ulp_tuple_local(&t, sk);

	rcu_read_lock();
	ops = rcu_dereference(smc_ulp_policy);
	if (ops && ops->connect)
		d = smc_ulp_verdict(sk, ops, "connect", ops->connect(sk, &t), SMC_ULP_REQUIRE);
	smc_ulp_decided(sk, SMC_ULP_CB_CONNECT, ops && ops->connect ? ops : NULL, d, &t);
	rcu_read_unlock();
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
	struct smc_ulp_decision d = { .verdict = SMC_ULP_PASS };
	struct smc_ulp_ops *ops;

#if IS_ENABLED(CONFIG_IPV6)
	if (t.family == AF_INET6 && ipv6_addr_v4mapped(&sk->sk_v6_rcv_saddr))
		t.family = AF_INET;
#endif
	smc_ulp_tuple_local(&t, sk);

	rcu_read_lock();
	ops = rcu_dereference(smc_ulp_policy);
	if (ops && ops->listen)
		d = smc_ulp_verdict(sk, ops, "listen", ops->listen(sk, &t), SMC_ULP_REQUIRE);
	smc_ulp_decided(sk, SMC_ULP_CB_LISTEN, ops && ops->listen ? ops : NULL, d, &t);
	rcu_read_unlock();
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
	struct smc_ulp_ops *ops;

	rcu_read_lock();
	ops = rcu_dereference(smc_ulp_policy);
	if (ops && ops->established)
		ops->established(sk, res);
	rcu_read_unlock();
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
	int verdict = SMC_ULP_GO_ON;
	struct smc_ulp_decision d;
	struct smc_ulp_ops *ops;

	rcu_read_lock();
	ops = rcu_dereference(smc_ulp_policy);
	if (ops && ops->fallback) {
		verdict = ops->fallback(sk, res);
		if (verdict < 0 || (verdict & SMC_ULP_VERDICT_MASK) > SMC_ULP_ABORT) {
			smc_ulp_policy_error(sk, ops->name, "fallback", verdict, "GO_ON");
			verdict = SMC_ULP_GO_ON;
		}
	}
	d.verdict = verdict & SMC_ULP_VERDICT_MASK;
	d.rule = verdict >> SMC_ULP_RULE_SHIFT;
	smc_ulp_decided(sk, SMC_ULP_CB_FALLBACK, ops && ops->fallback ? ops : NULL, d, NULL);
	rcu_read_unlock();
	if ((int)d.verdict == SMC_ULP_GO_ON)
		return true;
	res->rule = d.rule;
	return false;
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
	struct smc_ulp_ops *ops;

	rcu_read_lock();
	ops = rcu_dereference(smc_ulp_policy);
	if (ops && ops->release)
		ops->release(sk, res);
	rcu_read_unlock();
}
