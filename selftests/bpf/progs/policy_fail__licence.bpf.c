// SPDX-License-Identifier: GPL-2.0-only
/* A policy that claims not to be free. */
#include "smc_ulp.bpf.h"
#include "expect.bpf.h"

char LICENSE[] SEC("license") = "Proprietary";

SEC("struct_ops")
__failure __msg("struct ops programs must have a GPL compatible license")
int BPF_PROG(init, struct sock *sk, __u32 origin)
{
	return SMC_ULP_ALLOW;
}
POLICY(init, init);

/* nor do kfuncs go without */
SEC("cgroup/connect4")
__failure __msg("cannot call kernel function from non-GPL compatible program")
int connect4(struct bpf_sock_addr *ctx)
{
	bpf_smc_ulp_attach_connect(bpf_cast_to_kern_ctx(ctx));
	return 1;
}
