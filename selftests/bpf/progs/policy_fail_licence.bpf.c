// SPDX-License-Identifier: GPL-2.0-only
/* A policy that claims not to be free: refused. */
#include "smc_ulp.bpf.h"

char LICENSE[] SEC("license") = "Proprietary";

SEC("struct_ops")
int BPF_PROG(init, struct sock *sk, __u32 origin)
{
	return SMC_ULP_ALLOW;
}

SEC(".struct_ops.link")
struct smc_ulp_ops policy = {
	.init = (void *)init,
	.name = "proprietary",
};
