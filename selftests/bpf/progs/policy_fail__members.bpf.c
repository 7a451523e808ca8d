// SPDX-License-Identifier: GPL-2.0-only
/* Policies that were written for a module with more, or other, callbacks than there are. */
#include "smc_ulp.bpf.h"
#include "expect.bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct smc_ulp_ops___newer {
	int (*init)(struct sock *sk, __u32 origin);
	int (*later)(struct sock *sk);
	char name[SMC_ULP_POLICY_NAME_LEN];
} __attribute__((preserve_access_index));

/* a callback that the kernel does not know */
SEC("struct_ops")
__failure __msg("Cannot find member later in kernel BTF")
int BPF_PROG(unknown_member, struct sock *sk)
{
	return SMC_ULP_ALLOW;
}

SEC(".struct_ops.link")
struct smc_ulp_ops___newer ops_unknown_member = {
	.later = (void *)unknown_member,
	.name = "fail",
};

/* left out, it is no obstacle */
SEC("struct_ops")
__success
int BPF_PROG(without_unknown_member, struct sock *sk, __u32 origin)
{
	return SMC_ULP_ALLOW;
}

SEC(".struct_ops.link")
struct smc_ulp_ops___newer ops_without_unknown_member = {
	.init = (void *)without_unknown_member,
	.name = "fail",
};

/* a name is not a callback, whatever the size */
struct smc_ulp_ops___wider {
	int (*init)(struct sock *sk, __u32 origin);
	char name[2 * SMC_ULP_POLICY_NAME_LEN];
} __attribute__((preserve_access_index));

SEC("struct_ops")
__failure __msg("Error in size of member name: 32 != 16(kernel)")
int BPF_PROG(wider_name, struct sock *sk, __u32 origin)
{
	return SMC_ULP_ALLOW;
}

SEC(".struct_ops.link")
struct smc_ulp_ops___wider ops_wider_name = {
	.init = (void *)wider_name,
	.name = "fail",
};
