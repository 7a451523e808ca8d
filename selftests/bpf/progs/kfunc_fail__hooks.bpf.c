// SPDX-License-Identifier: GPL-2.0-only
/*
 * kfuncs outside of their hook, as people may try. All hooks with all kfuncs are in
 * prog_tests/verifier.c.
 */
#include "smc_ulp.bpf.h"
#include "expect.bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("cgroup/connect4")
__failure __msg("calling kernel function bpf_smc_ulp_attach_create is not allowed")
int create_in_connect4(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	if (sk)
		bpf_smc_ulp_attach_create((struct sock *)sk);
	return 1;
}

/* attach from a policy */
SEC("struct_ops")
__failure __msg("calling kernel function bpf_smc_ulp_attach_create is not allowed")
int BPF_PROG(init_attaches, struct sock *sk, __u32 origin)
{
	return bpf_smc_ulp_attach_create(sk);
}
POLICY(init_attaches, init);
