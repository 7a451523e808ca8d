/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * struct_ops type of the TCP upper-layer protocol "smc"
 */
#ifndef _NET_SMC_ULP_H
#define _NET_SMC_ULP_H

#include <uapi/linux/smc_ulp.h>

struct sock;

/**
 * struct smc_ulp_ops - a policy: which TCP sockets become SMC (BPF struct_ops)
 * @init: the ULP is being attached to @sk by @origin (enum smc_ulp_origin). Not called for
 *	accepted children. Returns enum smc_ulp_verdict without %SMC_ULP_REQUIRE. On %SMC_ULP_DENY
 *	setsockopt() fails with EACCES and the kfuncs with -EACCES; the socket stays TCP.
 * @connect: the destination is known and no SYN was sent. Returns enum smc_ulp_verdict. On
 *	%SMC_ULP_DENY the ULP is detached and connect(2) goes on as plain TCP. On %SMC_ULP_REQUIRE
 *	connect(2) fails with EOPNOTSUPP when the socket uses something that SMC does not have
 *	(SO_ZEROCOPY, fast open, ...), and with ECONNABORTED when TCP was connected and SMC did not
 *	happen, whatever the reason; a non-blocking one, or one that was attached inside connect(2),
 *	has the latter in SO_ERROR. A connection that TCP could not make, or that broke during the
 *	handshake, fails with the errno that it has without the verdict.
 * @listen: the local address is known, listen(2) is about to happen. Returns enum
 *	smc_ulp_verdict; on %SMC_ULP_DENY the listener stays plain TCP. On %SMC_ULP_REQUIRE
 *	listen(2) fails with EOPNOTSUPP when the socket uses something that SMC does not have; SYNs
 *	without the SMC option, and those that cannot be served by SMC or that @syn refuses, are
 *	answered by a RST, and connections whose handshake ends with TCP are reset before accept(2).
 *	SYN cookies cannot carry the option: where one would be sent, a RST is.
 * @syn: a SYN with the SMC option has come to the listener @sk, whose peer is in @tuple. Returns
 *	enum smc_ulp_verdict without %SMC_ULP_REQUIRE; on %SMC_ULP_DENY it is answered as a TCP
 *	server does. Asked last, when nothing else speaks against SMC; a SYN that comes again is a
 *	new question. Runs in softirq, and may interrupt any other callback on the same CPU.
 * @established: SMC carries the data of @sk from now on.
 * @fallback: SMC was offered to or by the peer and did not happen. Returns enum
 *	smc_ulp_fallback_verdict.
 * @release: an SMC connection of which @established was told is about to be closed; @result has
 *	its byte counts and lifetime.
 * @name: for tools; letters, digits, '_', '-', '.'; must not be empty
 * @flags: must be 0
 * @cgroup_id: scope: sockets made in this cgroup of the v2 hierarchy, or below
 * @netns_cookie: scope: sockets of this network namespace
 *
 * Every callback is optional: a missing verdict means PASS or GO_ON. All are called under
 * rcu_read_lock(), must not sleep, and have no reference to give back; @sk stays valid during the
 * call. @init, @connect and @listen run in the task that made the call, with @sk locked (except
 * at socket creation, when nobody else knows @sk). @syn runs in softirq, @established, @fallback
 * and @release may run in a kernel worker or in softirq, so "current" means nothing there.
 *
 * A policy without @cgroup_id and @netns_cookie is for the host. Setting both is -EINVAL, a cgroup
 * or namespace that is not there -ENOENT; each scope has one policy at most, a second registration
 * gets -EBUSY. Verdicts are asked for from near to far: the nearest cgroup with a policy, from that
 * of the socket upwards, then the namespace, then the host; the first that is not PASS decides.
 * @established, @fallback and @release are told to every policy in scope in the same order;
 * %SMC_ULP_ABORT by one of them aborts. A socket belongs to the cgroup in which it was made, and so
 * do the children of a listener: where they are accepted does not matter. When a cgroup or
 * namespace goes its policy stays registered, and has nothing new to decide.
 *
 * A policy is registered by link only; link update replaces it atomically, each decision is made
 * by exactly one of the two, and the scope must be the same (-EINVAL); link detach has revoked it
 * when it returns. Sockets hold no reference on it.
 */
struct smc_ulp_ops {
	int	(*init)(struct sock *sk, __u32 origin);
	int	(*connect)(struct sock *sk, const struct smc_ulp_tuple *tuple);
	int	(*listen)(struct sock *sk, const struct smc_ulp_tuple *tuple);
	int	(*syn)(struct sock *sk, const struct smc_ulp_tuple *tuple);
	void	(*established)(struct sock *sk, const struct smc_ulp_result *result);
	int	(*fallback)(struct sock *sk, const struct smc_ulp_result *result);
	void	(*release)(struct sock *sk, const struct smc_ulp_result *result);

	char	name[SMC_ULP_POLICY_NAME_LEN];
	__u32	flags;
	__u64	cgroup_id;
	__u64	netns_cookie;
};

#endif /* _NET_SMC_ULP_H */
