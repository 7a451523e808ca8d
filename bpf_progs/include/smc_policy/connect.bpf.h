/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For a cgroup/connect4 or connect6 program that decides by itself which connections become SMC,
 * without a policy: what bpf_setsockopt(ctx, SOL_TCP, TCP_ULP, "smc", 4) would do, which the kernel
 * does not allow there.
 */
#ifndef _SMC_POLICY_CONNECT_BPF_H
#define _SMC_POLICY_CONNECT_BPF_H

extern int bpf_smc_ulp_attach_connect(struct bpf_sock_addr_kern *ctx) __ksym;
extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym;

/* The connection that @ctx is about may become SMC. 0, or -errno: it stays TCP. */
#define smc_ulp_connect(ctx)	bpf_smc_ulp_attach_connect(bpf_cast_to_kern_ctx(ctx))

#endif /* _SMC_POLICY_CONNECT_BPF_H */
