// SPDX-License-Identifier: GPL-2.0-only
/*
 * deny_all - no socket becomes SMC
 *
 * Purpose: switch SMC off for new connections at once, without touching the programs, their
 * cgroups or the module (smcpolicy load --replace deny_all, with the --cgroup or --netns of the
 * policy that it replaces), and measure what a refusal costs.
 *
 * Assumptions: none. Connections that are SMC already stay SMC. A program that asks for the ULP
 * itself gets EACCES from setsockopt().
 *
 * Production ready: yes.
 *
 * How to test:
 *	smcpolicy load deny_all --cgroup /sys/fs/cgroup/test
 *	smcpolicy trace deny_all
 */
#include <smc_policy/attach.bpf.h>

SMC_POLICY_DESCRIPTION("no socket becomes SMC");
SMC_POLICY_NAME("deny_all");

SEC("struct_ops/init")
int BPF_PROG(deny_all_init, struct sock *sk, __u32 origin)
{
	return smc_attach_verdict(sk, origin, SMC_ULP_DENY, "all");
}

/* Sockets that were attached before this policy came are asked here. */
SEC("struct_ops/connect")
int BPF_PROG(deny_all_connect, struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	return smc_connect_verdict(sk, tuple, SMC_ULP_DENY, "all");
}

SEC("struct_ops/listen")
int BPF_PROG(deny_all_listen, struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	return smc_listen_verdict(sk, tuple, SMC_ULP_DENY, "all");
}

SMC_POLICY_OUTCOMES(SMC_ULP_GO_ON)

SEC(".struct_ops.link")
struct smc_ulp_ops deny_all = {
	.init		= (void *)deny_all_init,
	.connect	= (void *)deny_all_connect,
	.listen		= (void *)deny_all_listen,
	.established	= (void *)smc_policy_established,
	.fallback	= (void *)smc_policy_fallback,
	.release	= (void *)smc_policy_release,
	.name		= "deny_all",
};
