// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each TCP socket that any process makes gets IPPROTO_SMC: the other way to have SMC by a BPF
 * program. Here only to be measured.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define AF_INET		2
#define AF_INET6	10
#define SOCK_TYPE_MASK	0xf
#define IPPROTO_SMC	256

char LICENSE[] SEC("license") = "GPL";

SEC("fmod_ret/update_socket_protocol")
int BPF_PROG(ipproto_smc, int family, int type, int protocol)
{
	if ((family == AF_INET || family == AF_INET6) && (type & SOCK_TYPE_MASK) == SOCK_STREAM &&
	    (!protocol || protocol == IPPROTO_TCP))
		return IPPROTO_SMC;
	return protocol;
}
