// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP upper-layer protocol "smc": memory of the policies, per connection
 *
 * SMC_ULP_SCRATCH_SIZE bytes that belong to the ctx, made when a policy asks for them. What is in
 * there means something to the policies that wrote it: it is zeroed when others are in scope.
 */
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "smc_ulp.h"

/**
 * struct smc_ulp_scratch - memory of the policies
 * @generation: smc_ulp_scope_generation() of those whose it is; written under ctx->lock
 * @data: theirs
 */
struct smc_ulp_scratch {
	u64	generation;
	u8	data[SMC_ULP_SCRATCH_SIZE] __aligned(8);
};

/**
 * smc_ulp_scratch_get() - for bpf_smc_ulp_scratch(), which see
 * @sk: sock of the callback that asks
 *
 * A ctx with a scratch is freed by RCU, and the scratch with it: so the caller, who is under RCU,
 * may use it although the reference is given back here.
 *
 * Context: process or softirq, RCU read lock. Return: the data, or NULL.
 */
u8 *smc_ulp_scratch_get(struct sock *sk)
{
	struct smc_ulp_scratch *scratch, *old;
	struct smc_ulp_ctx *ctx;
	u64 generation;

	if (!sk_fullsock(sk) || !sk_is_tcp(sk))
		return NULL;
	ctx = smc_ulp_ctx_get(sk);
	if (!ctx)
		return NULL;
	generation = smc_ulp_scope_generation(sk);
	scratch = READ_ONCE(ctx->scratch);
	if (!scratch) {
		scratch = kzalloc(sizeof(*scratch), GFP_ATOMIC | __GFP_NOWARN);
		if (!scratch)
			goto out;
		scratch->generation = generation;
		old = cmpxchg(&ctx->scratch, NULL, scratch);
		if (old) {
			kfree(scratch);
			scratch = old;
		}
	}
	if (READ_ONCE(scratch->generation) != generation) {
		spin_lock_bh(&ctx->lock);
		if (scratch->generation != generation) {
			memset(scratch->data, 0, sizeof(scratch->data));
			WRITE_ONCE(scratch->generation, generation);
		}
		spin_unlock_bh(&ctx->lock);
	}
out:
	smc_ulp_ctx_put(ctx);
	return scratch ? scratch->data : NULL;
}

/**
 * smc_ulp_scratch_peek() - for bpf_smc_ulp_scratch_rdonly(), which see
 * @sk: any sock
 *
 * Takes no reference, as smc_ulp_result_get(): the ctx may have become that of another sock, and is
 * looked at again.
 *
 * Context: any, RCU read lock. Return: the data, or NULL.
 */
const u8 *smc_ulp_scratch_peek(struct sock *sk)
{
	const struct inet_connection_sock *icsk = inet_csk(sk);
	const struct smc_ulp_scratch *scratch;
	const struct smc_ulp_ctx *ctx;

	if (!sk_fullsock(sk) || !sk_is_tcp(sk))
		return NULL;
	ctx = rcu_dereference(icsk->icsk_ulp_data);
	smp_rmb();	/* as in smc_ulp_ctx_get() */
	if (READ_ONCE(icsk->icsk_ulp_ops) != &smc_ulp_tcp_ops || !ctx)
		return NULL;
	scratch = READ_ONCE(ctx->scratch);
	smp_rmb();	/* what was read before whose it is */
	if (!scratch || rcu_access_pointer(icsk->icsk_ulp_data) != ctx)
		return NULL;
	if (READ_ONCE(scratch->generation) != smc_ulp_scope_generation(sk))
		return NULL;
	return scratch->data;
}
