/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The record a policy writes for everything it decides and learns while somebody reads them,
 * shared by BPF programs and user space. Integers are in host order, ports too; addresses are in
 * network order.
 *
 * BPF programs include this file after vmlinux.h and linux/smc_ulp.h.
 */
#ifndef _SMC_POLICY_EVENT_H
#define _SMC_POLICY_EVENT_H

#include <linux/smc_ulp.h>

/*
 * A reader makes a ring buffer, maps it, and puts it into SMC_EVENT_MAP, a hash of ring buffers,
 * under a number below SMC_EVENT_READERS that is free. Then it maps SMC_EVENT_READER_MAP, an array
 * of one struct smc_event_readers, writable: from then on it gets each record. Policies write
 * records while that array is mapped, and to ring buffers that are mapped. The kernel counts
 * mappings and ends them with the process, so that a reader that was killed costs nothing but a
 * ring buffer, until one that comes after it finds it unused and removes it.
 *
 * SMC_EVENT_COUNT_MAP is an array of two counters, per CPU, for all readers together.
 */
#define SMC_EVENT_MAP		"smc_events"
#define SMC_EVENT_READER_MAP	"smc_event_readers"
#define SMC_EVENT_COUNT_MAP	"smc_event_counts"

#define SMC_EVENT_READERS	8

/**
 * struct smc_event_readers - the value of SMC_EVENT_READER_MAP
 * @lost: records that did not fit into the ring buffer of each number, since the policy was loaded
 */
struct smc_event_readers {
	__u64	lost[SMC_EVENT_READERS];
};

#define SMC_EVENT_VERSION	1
#define SMC_EVENT_COMM_LEN	16
#define SMC_EVENT_RULE_LEN	24

/**
 * enum smc_event_type - what happened
 * @SMC_EVENT_ATTACH: smc_ulp_ops::init gave @verdict by @rule for a socket attached by @origin
 * @SMC_EVENT_ATTACH_ERROR: a cgroup program wanted to attach and could not: @error
 * @SMC_EVENT_CONNECT: smc_ulp_ops::connect gave @verdict by @rule
 * @SMC_EVENT_LISTEN: smc_ulp_ops::listen gave @verdict by @rule
 * @SMC_EVENT_ESTABLISHED: the connection is SMC; @result
 * @SMC_EVENT_FALLBACK: the connection is TCP after all, or is aborted (@verdict, an enum
 *	smc_ulp_fallback_verdict); @result has the reason
 * @SMC_EVENT_RELEASE: an SMC connection is being closed; @result has bytes and lifetime
 * @SMC_EVENT_SYN: smc_ulp_ops::syn gave @verdict by @rule, for the listener with @cookie
 */
enum smc_event_type {
	SMC_EVENT_ATTACH	= 1,
	SMC_EVENT_ATTACH_ERROR	= 2,
	SMC_EVENT_CONNECT	= 3,
	SMC_EVENT_LISTEN	= 4,
	SMC_EVENT_ESTABLISHED	= 5,
	SMC_EVENT_FALLBACK	= 6,
	SMC_EVENT_RELEASE	= 7,
	SMC_EVENT_SYN		= 8,
};

/* Indices of SMC_EVENT_COUNT_MAP, an array of __u64 per CPU. */
enum smc_event_count {
	SMC_EVENT_COUNT_SENT	= 0,	/* records written, to each reader */
	SMC_EVENT_COUNT_DROPPED	= 1,	/* records lost: the ring buffer of a reader was full */
	SMC_EVENT_COUNT_MAX	= 2,
};

/**
 * struct smc_event - one record
 * @version: SMC_EVENT_VERSION of the program that wrote it
 * @size: of this record, bytes; fields are only ever added at the end
 * @type: enum smc_event_type
 * @verdict: enum smc_ulp_verdict, or enum smc_ulp_fallback_verdict for SMC_EVENT_FALLBACK
 * @origin: enum smc_ulp_origin; zero for SMC_EVENT_CONNECT, SMC_EVENT_LISTEN and SMC_EVENT_SYN,
 *	which have the @cookie of an SMC_EVENT_ATTACH
 * @role: enum smc_ulp_role
 * @time_ns: CLOCK_MONOTONIC
 * @cookie: socket cookie, the same in all records of a socket; zero when it has none yet
 * @cgroup_id: the cgroup the socket was born in
 * @tgid: process; zero when the record was not written in the process's context (types from
 *	SMC_EVENT_ESTABLISHED on)
 * @tid: thread; as @tgid
 * @uid: owner of the socket
 * @error: negative errno, SMC_EVENT_ATTACH_ERROR only
 * @family: AF_INET, AF_INET6; v4-mapped addresses are given as AF_INET
 * @local_port: zero when not known yet
 * @remote_port: zero when not known yet
 * @reserved: zero
 * @local_addr: AF_INET uses the first four bytes; zero when not known yet
 * @remote_addr: as @local_addr
 * @comm: name of the thread; empty where @tgid is zero
 * @policy: name of the policy
 * @rule: the rule that gave @verdict, a name that the policy documents
 * @result: outcome of SMC_EVENT_ESTABLISHED, _FALLBACK and _RELEASE; zero else
 */
struct smc_event {
	__u16	version;
	__u16	size;
	__u8	type;
	__u8	verdict;
	__u8	origin;
	__u8	role;
	__u64	time_ns;
	__u64	cookie;
	__u64	cgroup_id;
	__u32	tgid;
	__u32	tid;
	__u32	uid;
	__s32	error;
	__u16	family;
	__u16	local_port;
	__u16	remote_port;
	__u16	reserved;
	__u8	local_addr[16];
	__u8	remote_addr[16];
	char	comm[SMC_EVENT_COMM_LEN];
	char	policy[SMC_ULP_POLICY_NAME_LEN];
	char	rule[SMC_EVENT_RULE_LEN];
	struct smc_ulp_result	result;
};

#endif /* _SMC_POLICY_EVENT_H */
