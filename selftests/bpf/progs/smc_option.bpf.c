// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes a plain TCP socket speak the SMC option, so that a program can play the peer of a CLC
 * handshake: for the sockets of a cgroup the option is put into SYN and SYN-ACK. And counts which
 * SYNs that reach a listener of the cgroup carry it.
 */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_ACK 0x10

__u64 syns_with_option, syns_without;
int add_option = 1;	/* or only count */
int store_rc;

static __always_inline void count_syn(struct bpf_sock_ops *ctx)
{
	__u8 option[6] = { 254, 6, 0xe2, 0xd4, 0xc3, 0xd9 };

	if (bpf_load_hdr_opt(ctx, option, sizeof(option), BPF_LOAD_HDR_OPT_TCP_SYN) > 0)
		__sync_fetch_and_add(&syns_with_option, 1);
	else
		__sync_fetch_and_add(&syns_without, 1);
}

SEC("sockops")
int smc_option(struct bpf_sock_ops *ctx)
{
	const __u8 option[6] = { 254, 6, 0xe2, 0xd4, 0xc3, 0xd9 };
	__u32 flags = ctx->skb_tcp_flags;

	switch (ctx->op) {
	case BPF_SOCK_OPS_TCP_LISTEN_CB:
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		bpf_sock_ops_cb_flags_set(ctx, BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
		break;
	case BPF_SOCK_OPS_HDR_OPT_LEN_CB:
		if (flags & TCP_FLAG_SYN && flags & TCP_FLAG_ACK)
			count_syn(ctx);
		if (flags & TCP_FLAG_SYN && add_option)
			bpf_reserve_hdr_opt(ctx, sizeof(option), 0);
		break;
	case BPF_SOCK_OPS_WRITE_HDR_OPT_CB:
		if (flags & TCP_FLAG_SYN && add_option)
			store_rc = bpf_store_hdr_opt(ctx, option, sizeof(option), 0);
		break;
	}
	return 1;
}
