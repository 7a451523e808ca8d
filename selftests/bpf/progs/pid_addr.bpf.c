// SPDX-License-Identifier: GPL-2.0-only
/* SMC for one process and one peer, by a program that is not a policy. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <smc_policy/connect.bpf.h>

char LICENSE[] SEC("license") = "GPL";

__u32 pid, addr;

SEC("cgroup/connect4")
int smc_by_pid_addr(struct bpf_sock_addr *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 == pid && ctx->user_ip4 == addr)
		smc_ulp_connect(ctx);
	return 1;
}
