// SPDX-License-Identifier: GPL-2.0-only
/*
 * An iterator over TCP sockets that gives a struct smc_connection for each one with the ULP. It
 * looks at one network namespace, that of who reads it. smcpolicy connections is a reader.
 *
 * Production ready: yes; it takes no locks that matter, and costs as ss does.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <smc_policy/connection.h>

#define AF_INET6	10
#define ENODATA		61

extern int bpf_smc_ulp_result(struct sock_common *sk, void *out, __u32 out__sz) __ksym;

SEC("iter/tcp")
int connections(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct smc_connection c = {};
	struct socket *sock;
	struct sock *sk;
	int rc;

	if (!skc)
		return 0;
	rc = bpf_smc_ulp_result(skc, &c.result, sizeof(c.result));
	if (rc && rc != -ENODATA)
		return 0;
	c.active = !rc;
	c.state = skc->skc_state;
	c.family = skc->skc_family;
	c.local_port = skc->skc_num;
	c.remote_port = bpf_ntohs(skc->skc_dport);
	c.uid = ctx->uid;
	if (c.family == AF_INET6) {
		BPF_CORE_READ_INTO(&c.local_addr, skc, skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&c.remote_addr, skc, skc_v6_daddr);
	} else {
		__builtin_memcpy(c.local_addr, &skc->skc_rcv_saddr, 4);
		__builtin_memcpy(c.remote_addr, &skc->skc_daddr, 4);
	}
	sk = (struct sock *)bpf_skc_to_tcp_sock(skc);
	sock = sk ? BPF_CORE_READ(sk, sk_socket) : NULL;
	if (sock)
		c.inode = BPF_CORE_READ(container_of(sock, struct socket_alloc, socket),
					vfs_inode.i_ino);
	bpf_seq_write(ctx->meta->seq, &c, sizeof(c));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
