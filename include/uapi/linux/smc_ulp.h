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
 * enum smc_ulp_verdict - what smc_ulp_ops::init, ::connect, ::listen and ::syn may return
 * @SMC_ULP_PASS: no opinion: the policy of the next wider scope is asked; what happens without a
 *	policy happens when that was the widest
 * @SMC_ULP_ALLOW: the connection may become SMC
 * @SMC_ULP_DENY: the connection stays TCP, at no further cost
 * @SMC_ULP_REQUIRE: SMC or nothing; connect and listen only, see struct smc_ulp_ops
 *
 * Any other value is a policy error: it is counted, logged (rate limited) and taken as
 * %SMC_ULP_DENY. The number of the rule that decided may travel in the upper bits, see
 * SMC_ULP_RULE().
 */
enum smc_ulp_verdict {
	SMC_ULP_PASS	= 0,
	SMC_ULP_ALLOW	= 1,
	SMC_ULP_DENY	= 2,
	SMC_ULP_REQUIRE	= 3,
};

/**
 * enum smc_ulp_fallback_verdict - what smc_ulp_ops::fallback may return
 * @SMC_ULP_GO_ON: the connection goes on over TCP
 * @SMC_ULP_ABORT: the connection is reset, the program sees ECONNABORTED
 *
 * Any other value is a policy error and is taken as %SMC_ULP_GO_ON. May carry a rule as well.
 */
enum smc_ulp_fallback_verdict {
	SMC_ULP_GO_ON	= 0,
	SMC_ULP_ABORT	= 1,
};

#define SMC_ULP_VERDICT_MASK	0xff
#define SMC_ULP_RULE_SHIFT	8
#define SMC_ULP_RULE_MAX	0x7fffff

/*
 * SMC_ULP_RULE(verdict, rule) - a verdict that says which rule of the policy gave it
 *
 * Rules are numbers that the policy chooses, up to SMC_ULP_RULE_MAX; 0 is none. Tools show them:
 * smc_ulp_result::rule, tracepoints.
 */
#define SMC_ULP_RULE(verdict, rule)	((verdict) | (rule) << SMC_ULP_RULE_SHIFT)

/**
 * enum smc_ulp_origin - who attached the ULP to a socket
 * @SMC_ULP_ORIGIN_SETSOCKOPT: the program itself, by setsockopt(TCP_ULP)
 * @SMC_ULP_ORIGIN_SOCK_CREATE: a cgroup/sock_create BPF program
 * @SMC_ULP_ORIGIN_BIND: a cgroup/bind4 or bind6 BPF program
 * @SMC_ULP_ORIGIN_CONNECT: a cgroup/connect4 or connect6 BPF program, inside connect(2)
 * @SMC_ULP_ORIGIN_ACCEPT: the child of a listener that has the ULP
 * @SMC_ULP_ORIGIN_SOCKOPT: a cgroup/setsockopt BPF program
 */
enum smc_ulp_origin {
	SMC_ULP_ORIGIN_SETSOCKOPT	= 0,
	SMC_ULP_ORIGIN_SOCK_CREATE	= 1,
	SMC_ULP_ORIGIN_BIND		= 2,
	SMC_ULP_ORIGIN_CONNECT		= 3,
	SMC_ULP_ORIGIN_ACCEPT		= 4,
	SMC_ULP_ORIGIN_SOCKOPT		= 5,
};

/**
 * enum smc_ulp_reason - why a connection is TCP, where it is this ULP that knows
 * @SMC_ULP_REASON_POLICY: a policy said no
 * @SMC_ULP_REASON_SOCKET: the socket uses something that SMC does not have: TCP fast open,
 *	SO_ZEROCOPY, SO_PEEK_OFF, TCP_REPAIR, an IPsec policy
 * @SMC_ULP_REASON_BUSY: too many handshakes in flight, or the listener's accept queue is long
 * @SMC_ULP_REASON_CROSSED: simultaneous open, or a connection of a socket to itself
 * @SMC_ULP_REASON_MIGRATE: reuseport migration could give the connection to another listener
 *
 * All other reasons are SMC_CLC_DECL_* codes of the kernel's net/smc/smc_clc.h; 0x03010000 is "the
 * peer has no SMC".
 */
enum smc_ulp_reason {
	SMC_ULP_REASON_POLICY	= 0x0b010000,
	SMC_ULP_REASON_SOCKET	= 0x0b020000,
	SMC_ULP_REASON_BUSY	= 0x0b030000,
	SMC_ULP_REASON_CROSSED	= 0x0b040000,
	SMC_ULP_REASON_MIGRATE	= 0x0b050000,
};

#define SMC_ULP_SCRATCH_SIZE	64	/* bytes per connection, see bpf_smc_ulp_scratch() */

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
 * @family: AF_INET or AF_INET6; a v4-mapped IPv6 address is given as AF_INET, as is a SYN that
 *	came over IPv4
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
 * @reason: why it is TCP: enum smc_ulp_reason or an SMC_CLC_DECL_* code of the kernel's
 *	net/smc/smc_clc.h (0x03010000 for a peer without SMC), 0 when it is SMC or failed with
 *	@error
 * @peer_diagnosis: reason code the peer sent when it declined
 * @error: negative errno when the handshake broke the connection, else 0
 * @lgr_id: id of the SMC link group
 * @sndbuf: send buffer, bytes
 * @rcvbuf: receive buffer (RMB or DMB), bytes
 * @peer_rcvbuf: the peer's receive buffer, bytes
 * @rule: the rule that decided, as the policy numbers them, see SMC_ULP_RULE(); 0 none. Of the
 *	last verdict about this connection: at attach, connect, or listen and SYN
 * @handshake_ns: CLC handshake, nanoseconds
 * @tx_bytes: bytes the program sent over SMC so far
 * @rx_bytes: bytes the program received over SMC so far
 * @lifetime_ns: since the handshake ended, nanoseconds
 * @cookie: socket cookie of the user's TCP socket, as in ss -e
 * @local_gid: SMC-D: 8 bytes GID, 8 bytes extension, host order; SMC-R: the 16 bytes of the GID
 * @peer_gid: as @local_gid
 * @peer_systemid: from the peer's CLC messages; zero when it has sent none: that of a server over
 *	SMC-D is not on the wire
 * @eid: negotiated enterprise id, blank padded, no NUL (v2 only)
 * @peer_hostname: blank or NUL padded (known after a v2 first contact only)
 * @first_contact: 1 when the connection made its link group, 0 when it joined one
 * @max_conns: SMC-R: connections that the link group may have
 * @max_links: SMC-R: links that it may have
 * @uses_gateway: SMC-R version 2: 1 when the peer is reached by a gateway, 0 when directly
 * @ib_port: SMC-R: port of the RDMA device, from 1
 * @reserved1: zero
 * @feature_mask: features both sides agreed on (known to first contacts of release 1 only)
 * @chid: SMC-D: channel id of the ISM device
 * @reserved2: zero
 * @peer_qpn: SMC-R: number of the peer's queue pair
 * @peer_diagnosis_v2: further reason codes of a peer that declined by version 2
 * @pnet_id: physical network id of the link group, NUL padded, no NUL when it has 16 characters
 * @ib_name: SMC-R: the RDMA device, NUL terminated
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
	__u32	rule;
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
	__u8	first_contact;
	__u8	max_conns;
	__u8	max_links;
	__u8	uses_gateway;
	__u8	ib_port;
	__u8	reserved1;
	__u16	feature_mask;
	__u16	chid;
	__u16	reserved2;
	__u32	peer_qpn;
	__u32	peer_diagnosis_v2[4];
	__u8	pnet_id[16];
	__u8	ib_name[64];
};

#ifdef __VMLINUX_H__
#pragma clang attribute pop
#endif

#endif /* _UAPI_LINUX_SMC_ULP_H */
