// SPDX-License-Identifier: GPL-2.0-only
/*
 * rules - ordered rules by addresses, ports, cgroup, owner, thread and network namespace
 *
 * Purpose: the policy of a site, in a file: the first rule that matches a connection decides, by
 * allow, deny, require (SMC or no connection) or pass (ask the policy of the next wider scope).
 * smcpolicy(8) has the syntax. Up to 1023 rules and a million prefixes; a decision costs a look-up
 * for each kind of condition that is used and an "and" for each 64 rules, see smc_policy/rules.h.
 *
 * Rules for servers are asked twice: at listen, when peers are not known yet, and for each SYN that
 * offers SMC. A listener may become SMC when there is a peer for which a rule allows it.
 *
 * Assumptions: cgroups are named by path when the rules are loaded and known by id from then on: a
 * cgroup that is removed and made again is another one, until the rules are loaded again. comm can
 * be changed by the process itself, so it selects and does not protect. The local address of a
 * client is known only when it was bound before connect().
 *
 * Production ready: yes.
 *
 * How to test:
 *	echo 'allow client peer 127.0.0.0/8 port 6379,8000-8100 name local' > rules
 *	smcpolicy rules check rules
 *	smcpolicy load rules --cgroup /sys/fs/cgroup/test --set rules=rules
 *	smcpolicy rules show
 *	smcpolicy rules load rules		# after a change, atomically
 */
#include <smc_policy/attach.bpf.h>
#include <smc_policy/rules.bpf.h>

SMC_POLICY_DESCRIPTION("ordered rules by addresses, ports, cgroup, owner, thread and netns");
SMC_POLICY_NAME("rules");

SMC_POLICY_RULES(SMC_ULP_DENY);
SMC_OPTION_ENUM(on_fallback, "fallback", "tcp=0|abort=1", SMC_ULP_GO_ON,
		"what becomes of a connection when SMC was allowed and did not happen");

SEC("struct_ops/init")
int BPF_PROG(rules_init, struct sock *sk, __u32 origin)
{
	/* Nothing is known yet but the family. */
	return smc_attach_verdict(sk, origin, SMC_ULP_ALLOW, "undecided");
}

SEC("struct_ops/connect")
int BPF_PROG(rules_connect, struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	return smc_rules_connect_verdict(sk, tuple);
}

SEC("struct_ops/listen")
int BPF_PROG(rules_listen, struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	return smc_rules_listen_verdict(sk, tuple);
}

SEC("struct_ops/syn")
int BPF_PROG(rules_syn, struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	return smc_rules_syn_verdict(sk, tuple);
}

SMC_POLICY_OUTCOMES(on_fallback)

SEC(".struct_ops.link")
struct smc_ulp_ops rules = {
	.init		= (void *)rules_init,
	.connect	= (void *)rules_connect,
	.listen		= (void *)rules_listen,
	.syn		= (void *)rules_syn,
	.established	= (void *)smc_policy_established,
	.fallback	= (void *)smc_policy_fallback,
	.release	= (void *)smc_policy_release,
	.name		= "rules",
};
