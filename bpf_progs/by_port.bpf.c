// SPDX-License-Identifier: GPL-2.0-only
/*
 * by_port - SMC or TCP by port and by peer address
 *
 * Purpose: say which services use SMC. A client's connection is judged by the port and address it
 * connects to, a listener by the port it listens on. The first rule that matches decides, and its
 * name is in the event record:
 *
 *	deny_addr, allow_addr	peer address; the longest prefix of both lists (connect only)
 *	deny_ports, allow_ports	remote port at connect, local port at listen
 *	default			everything else
 *
 * Assumptions: ports tell services apart. Accepted connections have the verdict of their listener;
 * allow_addr and deny_addr do not see who connects to it.
 *
 * Production ready: yes.
 *
 * How to test:
 *	smcpolicy load by_port --cgroup /sys/fs/cgroup/test --set allow_ports=6379,8080-8089 \
 *		--set deny_ports=5201 --set deny_addr=127.0.0.3 --set default=deny
 *	smcpolicy trace --connections by_port
 */
#include <smc_policy/attach.bpf.h>

SMC_POLICY_DESCRIPTION("SMC or TCP by port and by peer address");
SMC_POLICY_NAME("by_port");

SMC_OPTION_ENUM(default_verdict, "default", SMC_VERDICTS, SMC_ULP_DENY,
		"verdict when no other rule matches");
SMC_OPTION_ENUM(on_fallback, "fallback", "tcp=0|abort=1", SMC_ULP_GO_ON,
		"what becomes of a connection when SMC was allowed and did not happen");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u16);
	__type(value, __u32);
} ports SEC(".maps")
	SMC_OPTION_LIST("allow_ports", "port", "1", "ports that may use SMC")
	SMC_OPTION_LIST("deny_ports", "port", "2", "ports that stay TCP");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct smc_policy_addr);
	__type(value, __u32);
} addrs SEC(".maps")
	SMC_OPTION_LIST("allow_addr", "addr", "1", "peer addresses that may use SMC, on any port")
	SMC_OPTION_LIST("deny_addr", "addr", "2", "peer addresses that stay TCP");

SMC_OPTION_COUNT(allow_addr_count, "allow_addr");
SMC_OPTION_COUNT(deny_addr_count, "deny_addr");

SEC("struct_ops/init")
int BPF_PROG(by_port_init, struct sock *sk, __u32 origin)
{
	/* Nothing is known yet but the family. */
	return smc_attach_verdict(sk, origin, SMC_ULP_ALLOW, "undecided");
}

SEC("struct_ops/connect")
int BPF_PROG(by_port_connect, struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	__u16 port = tuple->remote_port;
	__u32 *verdict;

	if (allow_addr_count || deny_addr_count) {
		struct smc_policy_addr peer;

		smc_policy_peer(&peer, tuple);
		verdict = bpf_map_lookup_elem(&addrs, &peer);
		if (verdict && *verdict == SMC_ULP_DENY)
			return smc_connect_verdict(sk, tuple, SMC_ULP_DENY, "deny_addr");
		if (verdict)
			return smc_connect_verdict(sk, tuple, SMC_ULP_ALLOW, "allow_addr");
	}
	verdict = bpf_map_lookup_elem(&ports, &port);
	if (verdict && *verdict == SMC_ULP_DENY)
		return smc_connect_verdict(sk, tuple, SMC_ULP_DENY, "deny_ports");
	if (verdict)
		return smc_connect_verdict(sk, tuple, SMC_ULP_ALLOW, "allow_ports");
	return smc_connect_verdict(sk, tuple, default_verdict, "default");
}

SEC("struct_ops/listen")
int BPF_PROG(by_port_listen, struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	__u16 port = tuple->local_port;
	__u32 *verdict;

	verdict = bpf_map_lookup_elem(&ports, &port);
	if (verdict && *verdict == SMC_ULP_DENY)
		return smc_listen_verdict(sk, tuple, SMC_ULP_DENY, "deny_ports");
	if (verdict)
		return smc_listen_verdict(sk, tuple, SMC_ULP_ALLOW, "allow_ports");
	return smc_listen_verdict(sk, tuple, default_verdict, "default");
}

SMC_POLICY_OUTCOMES(on_fallback)

SEC(".struct_ops.link")
struct smc_ulp_ops by_port = {
	.init		= (void *)by_port_init,
	.connect	= (void *)by_port_connect,
	.listen		= (void *)by_port_listen,
	.established	= (void *)smc_policy_established,
	.fallback	= (void *)smc_policy_fallback,
	.release	= (void *)smc_policy_release,
	.name		= "by_port",
};
