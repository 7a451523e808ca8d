/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What bpf_progs/iter/connections.bpf.c says of each socket that has the TCP upper-layer protocol
 * "smc"
 */
#ifndef _SMC_POLICY_CONNECTION_H
#define _SMC_POLICY_CONNECTION_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif
#include <linux/smc_ulp.h>

/**
 * struct smc_connection - a socket with the ULP
 * @state: TCP state, 1 ESTABLISHED, 10 LISTEN, ... as in include/net/tcp_states.h
 * @active: SMC carries the data: @result is filled in; else it listens, connects or shakes hands
 * @family: AF_INET, AF_INET6
 * @local_port: host byte order
 * @remote_port: host byte order, 0 of a listener
 * @uid: owner
 * @reserved: zero
 * @inode: of the socket, as in /proc/PID/fd; 0 when no process has it (any more, or yet)
 * @local_addr: network byte order; AF_INET uses the first four bytes
 * @remote_addr: as @local_addr
 * @result: as bpf_smc_ulp_result() gives it
 */
struct smc_connection {
	__u8	state;
	__u8	active;
	__u16	family;
	__u16	local_port;
	__u16	remote_port;
	__u32	uid;
	__u32	reserved;
	__u64	inode;
	__u8	local_addr[16];
	__u8	remote_addr[16];
	struct smc_ulp_result	result;
};

#endif /* _SMC_POLICY_CONNECTION_H */
