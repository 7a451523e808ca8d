// SPDX-License-Identifier: GPL-2.0-only
/*
 * allow_all - every attached socket may become SMC
 *
 * Purpose: the simplest policy there is, and a template. What it allows is decided by who is
 * attached: the cgroup that the loader puts the attach programs on, or setsockopt(TCP_ULP).
 *
 * Assumptions: none. Connections to peers without SMC stay TCP by themselves.
 *
 * Production ready: yes, on a cgroup of its own; not on the root cgroup, where it also takes
 * connections that are too short to gain from SMC.
 *
 * How to test:
 *	smcpolicy load allow_all --cgroup /sys/fs/cgroup/test
 *	smcpolicy trace allow_all
 */
#include <smc_policy/attach.bpf.h>

SMC_POLICY_DESCRIPTION("every attached socket may become SMC");
SMC_POLICY_NAME("allow_all");

SEC("struct_ops/init")
int BPF_PROG(allow_all_init, struct sock *sk, __u32 origin)
{
	return smc_attach_verdict(sk, origin, SMC_ULP_ALLOW, "all");
}

SEC("struct_ops/connect")
int BPF_PROG(allow_all_connect, struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	return smc_connect_verdict(sk, tuple, SMC_ULP_ALLOW, "all");
}

SEC("struct_ops/listen")
int BPF_PROG(allow_all_listen, struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	return smc_listen_verdict(sk, tuple, SMC_ULP_ALLOW, "all");
}

SMC_POLICY_OUTCOMES(SMC_ULP_GO_ON)

SEC(".struct_ops.link")
struct smc_ulp_ops allow_all = {
	.init		= (void *)allow_all_init,
	.connect	= (void *)allow_all_connect,
	.listen		= (void *)allow_all_listen,
	.established	= (void *)smc_policy_established,
	.fallback	= (void *)smc_policy_fallback,
	.release	= (void *)smc_policy_release,
	.name		= "allow_all",
};
