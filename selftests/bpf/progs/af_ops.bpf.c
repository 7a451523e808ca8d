// SPDX-License-Identifier: GPL-2.0-only
/* Which icsk_af_ops the sockets of a thread have: written down when it asks for TCP_INFO. */
#include "smc_ulp.bpf.h"

char LICENSE[] SEC("license") = "GPL";

__u32 tid;
__u64 af_ops;

SEC("fentry/tcp_getsockopt")
int BPF_PROG(look, struct sock *sk, int level, int optname)
{
	struct inet_connection_sock *icsk = (struct inet_connection_sock *)sk;

	if ((__u32)bpf_get_current_pid_tgid() == tid)
		af_ops = (__u64)BPF_CORE_READ(icsk, icsk_af_ops);
	return 0;
}
