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
 *	accepted children. Returns enum smc_ulp_verdict. On SMC_ULP_DENY setsockopt() fails with
 *	EACCES and the kfuncs with -EACCES; the socket stays TCP.
 * @connect: the destination is known and no SYN was sent. Returns enum smc_ulp_verdict. On
 *	SMC_ULP_DENY the ULP is detached and connect(2) goes on as plain TCP.
 * @listen: the local address is known, listen(2) is about to happen. Returns enum
 *	smc_ulp_verdict; on SMC_ULP_DENY the listener stays plain TCP.
 * @established: SMC carries the data of @sk from now on.
 * @fallback: SMC was offered to or by the peer and did not happen. Returns enum
 *	smc_ulp_fallback_verdict.
 * @release: an SMC connection of which @established was told is about to be closed; @result has
 *	its byte counts and lifetime.
 * @name: for tools; letters, digits, '_', '-', '.'; must not be empty
 *
 * Every callback is optional: a missing verdict means PASS or GO_ON. All are called under
 * rcu_read_lock(), must not sleep, and have no reference to give back; @sk stays valid during the
 * call. @init, @connect and @listen run in the task that made the call, with @sk locked (except
 * at socket creation, when nobody else knows @sk). @established, @fallback and @release may run
 * in a kernel worker or in softirq, so "current" means nothing there.
 *
 * Of several policies one at most is registered: a second registration gets -EBUSY. A policy is
 * registered by link only; link update replaces it atomically, each decision is made by exactly
 * one of the two; link detach has revoked it when it returns. Sockets hold no reference on it.
 */
struct smc_ulp_ops {
	int	(*init)(struct sock *sk, __u32 origin);
	int	(*connect)(struct sock *sk, const struct smc_ulp_tuple *tuple);
	int	(*listen)(struct sock *sk, const struct smc_ulp_tuple *tuple);
	void	(*established)(struct sock *sk, const struct smc_ulp_result *result);
	int	(*fallback)(struct sock *sk, const struct smc_ulp_result *result);
	void	(*release)(struct sock *sk, const struct smc_ulp_result *result);

	char	name[SMC_ULP_POLICY_NAME_LEN];
};

#endif /* _NET_SMC_ULP_H */
