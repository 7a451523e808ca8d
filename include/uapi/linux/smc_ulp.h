/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * TCP upper-layer protocol "smc": what the kernel, BPF programs and user space share.
 *
 * BPF programs include this file after vmlinux.h; everybody else gets the integer types from
 * <linux/types.h>.
 */
#ifndef _UAPI_LINUX_SMC_ULP_H
#define _UAPI_LINUX_SMC_ULP_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define SMC_ULP_NAME		"smc"	/* setsockopt(SOL_TCP, TCP_ULP) */
#define SMC_ULP_POLICY_NAME_LEN	16	/* including the terminating NUL */

/**
 * enum smc_ulp_verdict - what smc_ulp_ops::init, ::connect and ::listen may return
 * @SMC_ULP_PASS: no opinion; what happens without a policy happens
 * @SMC_ULP_ALLOW: the connection may become SMC
 * @SMC_ULP_DENY: the connection stays TCP, at no further cost
 *
 * Any other value is a policy error: it is counted, logged (rate limited) and taken as
 * %SMC_ULP_DENY.
 */
enum smc_ulp_verdict {
	SMC_ULP_PASS	= 0,
	SMC_ULP_ALLOW	= 1,
	SMC_ULP_DENY	= 2,
};

/**
 * enum smc_ulp_fallback_verdict - what smc_ulp_ops::fallback may return
 * @SMC_ULP_GO_ON: the connection goes on over TCP
 * @SMC_ULP_ABORT: the connection is reset, the program sees ECONNABORTED
 *
 * Any other value is a policy error and is taken as %SMC_ULP_GO_ON.
 */
enum smc_ulp_fallback_verdict {
	SMC_ULP_GO_ON	= 0,
	SMC_ULP_ABORT	= 1,
};

/**
 * enum smc_ulp_origin - who attached the ULP to a socket
 * @SMC_ULP_ORIGIN_SETSOCKOPT: the program itself, by setsockopt(TCP_ULP)
 * @SMC_ULP_ORIGIN_SOCK_CREATE: a cgroup/sock_create BPF program
 * @SMC_ULP_ORIGIN_BIND: a cgroup/bind4 or bind6 BPF program
 * @SMC_ULP_ORIGIN_CONNECT: a cgroup/connect4 or connect6 BPF program, inside connect(2)
 * @SMC_ULP_ORIGIN_ACCEPT: the child of a listener that has the ULP
 */
enum smc_ulp_origin {
	SMC_ULP_ORIGIN_SETSOCKOPT	= 0,
	SMC_ULP_ORIGIN_SOCK_CREATE	= 1,
	SMC_ULP_ORIGIN_BIND		= 2,
	SMC_ULP_ORIGIN_CONNECT		= 3,
	SMC_ULP_ORIGIN_ACCEPT		= 4,
};

/**
 * enum smc_ulp_mode - what carries the data of a connection
 * @SMC_ULP_MODE_TCP: TCP
 * @SMC_ULP_MODE_SMCD: SMC-D, shared memory
 * @SMC_ULP_MODE_SMCR: SMC-R, RDMA
 */
enum smc_ulp_mode {
	SMC_ULP_MODE_TCP	= 0,
	SMC_ULP_MODE_SMCD	= 1,
	SMC_ULP_MODE_SMCR	= 2,
};

/**
 * enum smc_ulp_role - side of the connection
 * @SMC_ULP_CLIENT: the side that called connect()
 * @SMC_ULP_SERVER: the side that called accept()
 */
enum smc_ulp_role {
	SMC_ULP_CLIENT	= 0,
	SMC_ULP_SERVER	= 1,
};

#ifdef __VMLINUX_H__
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
#endif

/**
 * struct smc_ulp_tuple - the addresses a verdict is asked for
 * @family: AF_INET or AF_INET6; a v4-mapped IPv6 address is given as AF_INET
 * @role: enum smc_ulp_role
 * @local_port: host byte order; 0 when not chosen yet
 * @remote_port: host byte order; 0 at listen
 * @reserved: zero
 * @local_addr: network byte order; AF_INET uses [0] only; zero when not chosen yet
 * @remote_addr: network byte order; zero at listen
 */
struct smc_ulp_tuple {
	__u16	family;
	__u16	role;
	__u16	local_port;
	__u16	remote_port;
	__u32	reserved;
	__be32	local_addr[4];
	__be32	remote_addr[4];
};

/**
 * struct smc_ulp_result - outcome of one connection
 * @mode: enum smc_ulp_mode
 * @role: enum smc_ulp_role
 * @origin: enum smc_ulp_origin
 * @version: SMC version, 1 or 2; 0 when TCP
 * @release: release of SMC version 2 (0 is 2.0, 1 is 2.1)
 * @peer_os: 1 z/OS, 2 Linux, 3 AIX; 0 unknown (known after a v2 first contact only)
 * @vlan_id: VLAN of the link group, 0 when none
 * @reason: why it is TCP: an SMC_CLC_DECL_* code of the kernel's net/smc/smc_clc.h
 *	(0x03010000 for a peer without SMC), 0 when it is SMC or failed with @error
 * @peer_diagnosis: reason code the peer sent when it declined
 * @error: negative errno when the handshake broke the connection, else 0
 * @lgr_id: id of the SMC link group
 * @sndbuf: send buffer, bytes
 * @rcvbuf: receive buffer (RMB or DMB), bytes
 * @peer_rcvbuf: the peer's receive buffer, bytes
 * @reserved: zero
 * @handshake_ns: CLC handshake, nanoseconds
 * @tx_bytes: bytes the program sent over SMC so far
 * @rx_bytes: bytes the program received over SMC so far
 * @lifetime_ns: since the handshake ended, nanoseconds
 * @cookie: socket cookie of the user's TCP socket, as in ss -e
 * @local_gid: SMC-D: 8 bytes GID, 8 bytes extension, host order; SMC-R: the 16 bytes of the GID
 * @peer_gid: as @local_gid
 * @peer_systemid: SMC-R only
 * @eid: negotiated enterprise id, blank padded, no NUL (v2 only)
 * @peer_hostname: blank or NUL padded (known after a v2 first contact only)
 *
 * Fields are only ever added at the end; see bpf_smc_ulp_result().
 */
struct smc_ulp_result {
	__u8	mode;
	__u8	role;
	__u8	origin;
	__u8	version;
	__u8	release;
	__u8	peer_os;
	__u16	vlan_id;
	__u32	reason;
	__u32	peer_diagnosis;
	__s32	error;
	__u32	lgr_id;
	__u32	sndbuf;
	__u32	rcvbuf;
	__u32	peer_rcvbuf;
	__u32	reserved;
	__u64	handshake_ns;
	__u64	tx_bytes;
	__u64	rx_bytes;
	__u64	lifetime_ns;
	__u64	cookie;
	__u8	local_gid[16];
	__u8	peer_gid[16];
	__u8	peer_systemid[8];
	__u8	eid[32];
	__u8	peer_hostname[32];
};

#ifdef __VMLINUX_H__
#pragma clang attribute pop
#endif

#endif /* _UAPI_LINUX_SMC_ULP_H */
