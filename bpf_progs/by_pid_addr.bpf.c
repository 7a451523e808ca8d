// SPDX-License-Identifier: GPL-2.0-only
/*
 * by_pid_addr - SMC for certain processes talking to certain peers
 *
 * Purpose: the example everyone asks for first. A connection may become SMC when the process that
 * calls connect(2) or listen(2) is one of those named, and its peer is one of those named. A list
 * that was not given restricts nothing. The name of the rule in the event record is the option
 * that decided:
 *
 *	pid	the process (thread group), as seen from the initial PID namespace
 *	comm	the name of the thread that makes the call, at most 15 characters
 *	uid	the owner of the socket, as seen from the initial user namespace
 *	peer	address or prefix of the peer; not asked of listeners
 *	match	none of them objected
 *
 * Assumptions: PIDs are reused, so a list of them must not outlive the processes; comm can be
 * changed by the process itself, so it selects and does not protect. A socket handed to another
 * process is judged by who connects it. Children of a process are other processes.
 *
 * Production ready: no, an example to start from; by cgroup (a cgroup per service, with the
 * attach programs on it) is what lasts.
 *
 * How to test:
 *	smcpolicy load by_pid_addr --cgroup /sys/fs/cgroup/test --set pid=$$ --set peer=127.0.0.0/8
 *	smcpolicy trace by_pid_addr &
 *	echo $$ > /sys/fs/cgroup/test/cgroup.procs; exec 3<>/dev/tcp/127.0.0.1/80
 */
#include <smc_policy/attach.bpf.h>

SMC_POLICY_DESCRIPTION("SMC for certain processes talking to certain peers");
SMC_POLICY_NAME("by_pid_addr");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} pids SEC(".maps")
	SMC_OPTION_LIST("pid", "u32", "1", "processes that may use SMC");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, char[SMC_EVENT_COMM_LEN]);
	__type(value, __u32);
} comms SEC(".maps")
	SMC_OPTION_LIST("comm", "comm", "1", "names of threads that may use SMC");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} uids SEC(".maps")
	SMC_OPTION_LIST("uid", "u32", "1", "owners of sockets that may use SMC");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct smc_policy_addr);
	__type(value, __u32);
} peers SEC(".maps")
	SMC_OPTION_LIST("peer", "addr", "1", "addresses of peers that SMC may be used with");

SMC_OPTION_COUNT(pid_count, "pid");
SMC_OPTION_COUNT(comm_count, "comm");
SMC_OPTION_COUNT(uid_count, "uid");
SMC_OPTION_COUNT(peer_count, "peer");

enum objection { BY_NONE, BY_PID, BY_COMM, BY_UID };

static __always_inline enum objection objection_to_task(struct sock *sk)
{
	if (pid_count) {
		__u32 pid = bpf_get_current_pid_tgid() >> 32;

		if (!bpf_map_lookup_elem(&pids, &pid))
			return BY_PID;
	}
	if (comm_count) {
		struct task_struct *task = bpf_get_current_task_btf();
		char comm[SMC_EVENT_COMM_LEN] = {};

		bpf_probe_read_kernel_str(comm, sizeof(comm), task->comm);
		if (!bpf_map_lookup_elem(&comms, comm))
			return BY_COMM;
	}
	if (uid_count) {
		__u32 uid = sk->sk_uid.val;

		if (!bpf_map_lookup_elem(&uids, &uid))
			return BY_UID;
	}
	return BY_NONE;
}

SEC("struct_ops/init")
int BPF_PROG(by_pid_addr_init, struct sock *sk, __u32 origin)
{
	/* Who creates a socket is often not who uses it: leave the verdict to connect and listen. */
	return smc_attach_verdict(sk, origin, SMC_ULP_ALLOW, "undecided");
}

SEC("struct_ops/connect")
int BPF_PROG(by_pid_addr_connect, struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	switch (objection_to_task(sk)) {
	case BY_PID:
		return smc_connect_verdict(sk, tuple, SMC_ULP_DENY, "pid");
	case BY_COMM:
		return smc_connect_verdict(sk, tuple, SMC_ULP_DENY, "comm");
	case BY_UID:
		return smc_connect_verdict(sk, tuple, SMC_ULP_DENY, "uid");
	case BY_NONE:
		break;
	}
	if (peer_count) {
		struct smc_policy_addr peer;

		smc_policy_peer(&peer, tuple);
		if (!bpf_map_lookup_elem(&peers, &peer))
			return smc_connect_verdict(sk, tuple, SMC_ULP_DENY, "peer");
	}
	return smc_connect_verdict(sk, tuple, SMC_ULP_ALLOW, "match");
}

SEC("struct_ops/listen")
int BPF_PROG(by_pid_addr_listen, struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	switch (objection_to_task(sk)) {
	case BY_PID:
		return smc_listen_verdict(sk, tuple, SMC_ULP_DENY, "pid");
	case BY_COMM:
		return smc_listen_verdict(sk, tuple, SMC_ULP_DENY, "comm");
	case BY_UID:
		return smc_listen_verdict(sk, tuple, SMC_ULP_DENY, "uid");
	case BY_NONE:
		break;
	}
	return smc_listen_verdict(sk, tuple, SMC_ULP_ALLOW, "match");
}

SMC_POLICY_OUTCOMES(SMC_ULP_GO_ON)

SEC(".struct_ops.link")
struct smc_ulp_ops by_pid_addr = {
	.init		= (void *)by_pid_addr_init,
	.connect	= (void *)by_pid_addr_connect,
	.listen		= (void *)by_pid_addr_listen,
	.established	= (void *)smc_policy_established,
	.fallback	= (void *)smc_policy_fallback,
	.release	= (void *)smc_policy_release,
	.name		= "by_pid_addr",
};
