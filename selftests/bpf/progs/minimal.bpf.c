// SPDX-License-Identifier: GPL-2.0-only
/* Policies at the edge of what can be registered; the test chooses which map is created. */
#include "smc_ulp.bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("struct_ops")
int BPF_PROG(deny_init, struct sock *sk, __u32 origin)
{
	return SMC_ULP_DENY;
}

/* no callback at all: every question is passed on */
SEC(".struct_ops.link")
struct smc_ulp_ops empty = {
	.name = "empty",
};

/* one callback */
SEC(".struct_ops.link")
struct smc_ulp_ops deny = {
	.init = (void *)deny_init,
	.name = "deny",
};

/* not a link: -EOPNOTSUPP */
SEC(".struct_ops")
struct smc_ulp_ops no_link = {
	.init = (void *)deny_init,
	.name = "no_link",
};

/* -EINVAL */
SEC(".struct_ops.link")
struct smc_ulp_ops no_name = {
	.init = (void *)deny_init,
};

SEC(".struct_ops.link")
struct smc_ulp_ops bad_name = {
	.init = (void *)deny_init,
	.name = "a/b",
};
