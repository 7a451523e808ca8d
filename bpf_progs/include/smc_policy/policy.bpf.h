/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every policy for the TCP upper-layer protocol "smc" needs: the struct_ops type and the
 * kfuncs of the kernel module, the event record, and the declaration of options. A policy
 * includes this file and, for the cgroup programs that attach sockets, attach.bpf.h.
 */
#ifndef _SMC_POLICY_POLICY_BPF_H
#define _SMC_POLICY_POLICY_BPF_H

#include "vmlinux.h"
#include <linux/smc_ulp.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <smc_policy/event.h>

#ifndef AF_INET
#define AF_INET		2
#define AF_INET6	10
#endif
#ifndef EACCES
#define EACCES		13
#define EEXIST		17
#endif

/* ---- the kernel module's types, which are in its BTF and not in vmlinux.h ---- */

struct smc_ulp_ops {
	int	(*init)(struct sock *sk, __u32 origin);
	int	(*connect)(struct sock *sk, const struct smc_ulp_tuple *tuple);
	int	(*listen)(struct sock *sk, const struct smc_ulp_tuple *tuple);
	int	(*syn)(struct sock *sk, const struct smc_ulp_tuple *tuple);
	void	(*established)(struct sock *sk, const struct smc_ulp_result *result);
	int	(*fallback)(struct sock *sk, const struct smc_ulp_result *result);
	void	(*release)(struct sock *sk, const struct smc_ulp_result *result);
	char	name[SMC_ULP_POLICY_NAME_LEN];
	__u32	flags;
	__u64	cgroup_id;	/* the loader sets the scope */
	__u64	netns_cookie;
} __attribute__((preserve_access_index));

/*
 * Attach the ULP: 0, -EACCES when the policy refused, -EEXIST when the socket has a ULP,
 * -ESOCKTNOSUPPORT when it is not TCP, -EBUSY when another operation is in flight on the
 * descriptor, -EISCONN. The argument is bpf_cast_to_kern_ctx(ctx), and each is for its own hook.
 */
extern int bpf_smc_ulp_attach_create(struct sock *sk) __ksym;
extern int bpf_smc_ulp_attach_bind(struct bpf_sock_addr_kern *ctx) __ksym;
extern int bpf_smc_ulp_attach_connect(struct bpf_sock_addr_kern *ctx) __ksym;
extern int bpf_smc_ulp_attach_sockopt(struct bpf_sockopt_kern *ctx) __ksym;

/* The outcome of a connection so far; struct_ops, cgroup, tracing and iterator programs. */
extern int bpf_smc_ulp_result(struct sock *sk, void *out, __u32 out__sz) __ksym;

/* Memory of the policies for a connection, up to SMC_ULP_SCRATCH_SIZE bytes; or NULL. */
extern __u8 *bpf_smc_ulp_scratch(struct sock *sk, const size_t rdwr_buf_size) __ksym;
extern const __u8 *bpf_smc_ulp_scratch_rdonly(struct sock *sk, const size_t rdonly_buf_size) __ksym;

extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym;

/* ---- description and options, which tools read from the BTF of the object ---- */

#define SMC_POLICY_TAG(text)	__attribute__((btf_decl_tag(text)))

/* SMC_POLICY_DESCRIPTION(text): one line about the policy; also declares the licence. */
#define SMC_POLICY_DESCRIPTION(text)							\
	char LICENSE[] SEC("license") SMC_POLICY_TAG("smc_policy:" text) = "GPL"

/*
 * SMC_OPTION_ENUM(variable, key, choices, value, help): an option "key" with one value of
 * choices, "word=number|word=number...". The program reads it as a constant.
 */
#define SMC_OPTION_ENUM(variable, key, choices, value, help)				\
	const volatile __u32 variable							\
		SMC_POLICY_TAG("smc_option:" key ":enum:" choices ":" help) = value

/* SMC_OPTION_U32(variable, key, range, value, help): a number in the range "min-max". */
#define SMC_OPTION_U32(variable, key, range, value, help)				\
	const volatile __u32 variable							\
		SMC_POLICY_TAG("smc_option:" key ":u32:" range ":" help) = value

/*
 * SMC_OPTION_LIST(key, type, value, help): written after SEC(".maps") of a map: an option "key"
 * with a comma-separated list. Each element becomes a key of the map, with the number "value".
 * Several lists may fill one map; an element can be in one of them only. The types are
 *
 *	port	BPF_MAP_TYPE_HASH, key __u16 in host order; an element is 80 or 8000-8010
 *	addr	BPF_MAP_TYPE_LPM_TRIE, key struct smc_policy_addr; 10.0.0.0/8, ::1
 *	u32	BPF_MAP_TYPE_HASH, key __u32 (process, user)
 *	comm	BPF_MAP_TYPE_HASH, key char[16], NUL padded
 *
 * and the value is a __u32. max_entries is raised when a list needs more.
 */
#define SMC_OPTION_LIST(key, type, value, help)						\
	SMC_POLICY_TAG("smc_option:" key ":" type ":" value ":" help)

/* SMC_OPTION_COUNT(variable, key): a constant, how many elements the list "key" was given. */
#define SMC_OPTION_COUNT(variable, key)							\
	const volatile __u32 variable SMC_POLICY_TAG("smc_count:" key) = 0

/*
 * SMC_MAP_KEEP: written after SEC(".maps"): a policy that replaces this one goes on with the map, if
 * it has one of that name and of the same types.
 */
#define SMC_MAP_KEEP	SMC_POLICY_TAG("smc_keep")

#define SMC_VERDICTS	"pass=0|allow=1|deny=2"
#define SMC_BOOLEANS	"no=0|yes=1"

/* Key of an address map: IPv4 is given as v4-mapped IPv6, with 96 more bits of prefix. */
struct smc_policy_addr {
	__u32	prefixlen;
	__u8	addr[16];
};

#define smc_policy_key(key, tuple, which)						\
({											\
	__u32 *__addr = (__u32 *)(key)->addr;						\
											\
	(key)->prefixlen = 128;								\
	if ((tuple)->family == AF_INET) {						\
		__addr[0] = 0;								\
		__addr[1] = 0;								\
		__addr[2] = bpf_htonl(0xffff);						\
		__addr[3] = (tuple)->which[0];						\
	} else {									\
		__addr[0] = (tuple)->which[0];						\
		__addr[1] = (tuple)->which[1];						\
		__addr[2] = (tuple)->which[2];						\
		__addr[3] = (tuple)->which[3];						\
	}										\
})

/* Fills a key to look up the peer (or, at listen, nothing useful) of @tuple. */
static __always_inline void smc_policy_peer(struct smc_policy_addr *key,
					    const struct smc_ulp_tuple *tuple)
{
	smc_policy_key(key, tuple, remote_addr);
}

/* The same for the local address, of a socket that is bound to one. */
static __always_inline void smc_policy_local(struct smc_policy_addr *key,
					     const struct smc_ulp_tuple *tuple)
{
	smc_policy_key(key, tuple, local_addr);
}

static __always_inline bool smc_policy_is_bound(const struct smc_ulp_tuple *tuple)
{
	return tuple->local_addr[0] || tuple->local_addr[1] || tuple->local_addr[2] ||
	       tuple->local_addr[3];
}

/* ---- events: see smc_policy/event.h ---- */

SMC_OPTION_ENUM(smc_events_on, "events", SMC_BOOLEANS, 1,
		"while somebody traces, write a record of each decision and outcome");

/* Only a model: readers bring their own. */
struct smc_event_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, SMC_EVENT_READERS);
	__type(key, __u32);
	__array(values, struct smc_event_ring);
} smc_events SEC(".maps") SMC_MAP_KEEP;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct smc_event_readers);
} smc_event_readers SEC(".maps") SMC_MAP_KEEP;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SMC_EVENT_COUNT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} smc_event_counts SEC(".maps") SMC_MAP_KEEP;

/* The policy's name; the section keeps one copy of it in read-only data. */
extern const char smc_policy_name[SMC_ULP_POLICY_NAME_LEN];

#define SMC_POLICY_NAME(text)								\
	const char smc_policy_name[SMC_ULP_POLICY_NAME_LEN] = text

static __always_inline void smc_event_count(__u32 what)
{
	__u64 *count = bpf_map_lookup_elem(&smc_event_counts, &what);

	/* A program in softirq may interrupt one in a task on this CPU. */
	if (count)
		__sync_fetch_and_add(count, 1);
}

/* Does a process have it mapped writable? The kernel keeps count, however a process may end. */
static __always_inline bool smc_map_is_mapped(void *map)
{
	struct bpf_map *kern = map;

	return !bpf_core_field_exists(kern->writecnt) || kern->writecnt.counter;
}

/* Is there anybody to write records for? A load and a comparison. */
#define smc_events_wanted()	(smc_events_on && smc_map_is_mapped(&smc_event_readers))

/* The ring buffer of a reader, if there is such a reader and it still lives. */
static __always_inline void *smc_event_ring(__u32 number)
{
	void *ring = bpf_map_lookup_elem(&smc_events, &number);

	return ring && smc_map_is_mapped(ring) ? ring : NULL;
}

static __always_inline void smc_event_lost(__u32 number)
{
	struct smc_event_readers *readers;
	__u32 zero = 0;

	smc_event_count(SMC_EVENT_COUNT_DROPPED);
	readers = bpf_map_lookup_elem(&smc_event_readers, &zero);
	if (readers && number < SMC_EVENT_READERS)
		__sync_fetch_and_add(&readers->lost[number], 1);
}

/* The addresses of a socket, as a v4-mapped peer is still an IPv4 peer. */
static __always_inline void smc_event_addresses(struct smc_event *event, struct sock *sk)
{
	__u32 *local = (__u32 *)event->local_addr, *remote = (__u32 *)event->remote_addr;
	__u16 family = sk->__sk_common.skc_family;

	event->local_port = sk->__sk_common.skc_num;
	event->remote_port = bpf_ntohs(sk->__sk_common.skc_dport);
	if (family == AF_INET6) {
		__u32 r0 = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[0];
		__u32 r1 = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[1];
		__u32 r2 = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[2];

		if (!r0 && !r1 && r2 == bpf_htonl(0xffff)) {
			family = AF_INET;
		} else {
			local[0] = sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[0];
			local[1] = sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[1];
			local[2] = sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[2];
			local[3] = sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[3];
			remote[0] = r0;
			remote[1] = r1;
			remote[2] = r2;
			remote[3] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[3];
		}
	}
	if (family == AF_INET) {
		local[0] = sk->__sk_common.skc_rcv_saddr;
		remote[0] = sk->__sk_common.skc_daddr;
	}
	event->family = family;
}

static __noinline __attribute__((unused))
struct smc_event *smc_event_reserve(struct sock *sk, __u8 type)
{
	struct smc_event *event = NULL;
	void *ring;
	__u32 i;

	for (i = 0; i < SMC_EVENT_READERS; i++) {
		ring = smc_event_ring(i);
		if (!ring)
			continue;
		event = bpf_ringbuf_reserve(ring, sizeof(*event), 0);
		if (event)
			break;
		smc_event_lost(i);
	}
	if (!event)
		return NULL;
	__builtin_memset(event, 0, sizeof(*event));
	event->reserved = i;	/* until it is submitted */
	event->version = SMC_EVENT_VERSION;
	event->size = sizeof(*event);
	event->type = type;
	event->time_ns = bpf_ktime_get_ns();
	event->cookie = sk->__sk_common.skc_cookie.counter;
	event->cgroup_id = sk->sk_cgrp_data.cgroup->kn->id;
	event->uid = sk->sk_uid.val;
	event->family = sk->__sk_common.skc_family;
	__builtin_memcpy(event->policy, smc_policy_name, sizeof(event->policy));
	return event;
}

static __always_inline void smc_event_task(struct smc_event *event)
{
	struct task_struct *task = bpf_get_current_task_btf();

	event->tgid = task->tgid;
	event->tid = task->pid;
	bpf_probe_read_kernel_str(event->comm, sizeof(event->comm), task->comm);
}

/* Copies for the readers that come after the one whose ring buffer it was made in. */
static __noinline __attribute__((unused))
void smc_event_submit(struct smc_event *event)
{
	__u32 first = event->reserved, i;
	void *ring;

	event->reserved = 0;
	for (i = 1; i < SMC_EVENT_READERS; i++) {
		ring = i > first ? smc_event_ring(i) : NULL;
		if (!ring)
			continue;
		if (bpf_ringbuf_output(ring, event, sizeof(*event), 0))
			smc_event_lost(i);
		else
			smc_event_count(SMC_EVENT_COUNT_SENT);
	}
	smc_event_count(SMC_EVENT_COUNT_SENT);
	bpf_ringbuf_submit(event, 0);
}

/* What kind of rule decided: a string literal of at most SMC_EVENT_RULE_LEN - 1 characters. */
#define smc_event_set_rule(event, text)							\
	__builtin_memcpy((event)->rule, text, sizeof(text) > SMC_EVENT_RULE_LEN ?	\
			 SMC_EVENT_RULE_LEN - 1 : sizeof(text))

/* smc_attach_verdict(sk, origin, verdict, rule): record what init decided, and return it. */
#define smc_attach_verdict(sk, _origin, _verdict, rule)					\
({											\
	int __verdict = (_verdict);							\
	struct smc_event *__event;							\
											\
	__event = smc_events_wanted() ? smc_event_reserve(sk, SMC_EVENT_ATTACH) : NULL;	\
	if (__event) {									\
		__event->origin = (_origin);						\
		__event->verdict = __verdict;						\
		smc_event_set_rule(__event, rule);					\
		smc_event_task(__event);						\
		smc_event_submit(__event);						\
	}										\
	__verdict;									\
})

static __noinline __attribute__((unused))
struct smc_event *smc_event_tuple(struct sock *sk, __u8 type, const struct smc_ulp_tuple *tuple,
				  int verdict)
{
	struct smc_event *event = smc_event_reserve(sk, type);
	__u32 *local, *remote;

	if (!event)
		return NULL;
	local = (__u32 *)event->local_addr;
	remote = (__u32 *)event->remote_addr;
	event->verdict = verdict;
	event->role = tuple->role;
	event->family = tuple->family;
	event->local_port = tuple->local_port;
	event->remote_port = tuple->remote_port;
	local[0] = tuple->local_addr[0];
	local[1] = tuple->local_addr[1];
	local[2] = tuple->local_addr[2];
	local[3] = tuple->local_addr[3];
	remote[0] = tuple->remote_addr[0];
	remote[1] = tuple->remote_addr[1];
	remote[2] = tuple->remote_addr[2];
	remote[3] = tuple->remote_addr[3];
	if (type != SMC_EVENT_SYN)
		smc_event_task(event);
	return event;
}

#define smc_tuple_verdict(sk, type, tuple, _verdict, rule)				\
({											\
	int __verdict = (_verdict);							\
	struct smc_event *__event;							\
											\
	__event = smc_events_wanted() ?							\
		  smc_event_tuple(sk, type, tuple, __verdict) : NULL;			\
	if (__event) {									\
		smc_event_set_rule(__event, rule);					\
		smc_event_submit(__event);						\
	}										\
	__verdict;									\
})

/* Record what connect, listen or syn decided by which rule, and return the verdict. */
#define smc_connect_verdict(sk, tuple, verdict, rule)					\
	smc_tuple_verdict(sk, SMC_EVENT_CONNECT, tuple, verdict, rule)
#define smc_listen_verdict(sk, tuple, verdict, rule)					\
	smc_tuple_verdict(sk, SMC_EVENT_LISTEN, tuple, verdict, rule)
#define smc_syn_verdict(sk, tuple, verdict, rule)					\
	smc_tuple_verdict(sk, SMC_EVENT_SYN, tuple, verdict, rule)

static __noinline __attribute__((unused))
void smc_event_outcome(struct sock *sk, const struct smc_ulp_result *result, __u8 type,
		       __u8 verdict)
{
	struct smc_event *event;
	__u32 size;

	event = smc_event_reserve(sk, type);
	if (!event)
		return;
	smc_event_addresses(event, sk);
	event->verdict = verdict;
	event->origin = result->origin;
	event->role = result->role;
	/* The kernel's struct may be shorter, or longer, than ours. */
	size = bpf_core_type_size(struct smc_ulp_result);
	if (size > sizeof(event->result))
		size = sizeof(event->result);
	bpf_probe_read_kernel(&event->result, size, result);
	smc_event_submit(event);
}

static __always_inline
void smc_outcome(struct sock *sk, const struct smc_ulp_result *result, __u8 type, __u8 verdict)
{
	if (smc_events_wanted())
		smc_event_outcome(sk, result, type, verdict);
}

/* Callbacks that record an outcome and decide nothing: most policies use them as they are. */
#define SMC_POLICY_OUTCOMES(on_fallback)						\
SEC("struct_ops/established")								\
void BPF_PROG(smc_policy_established, struct sock *sk,					\
	      const struct smc_ulp_result *result)					\
{											\
	smc_outcome(sk, result, SMC_EVENT_ESTABLISHED, 0);				\
}											\
											\
SEC("struct_ops/fallback")								\
int BPF_PROG(smc_policy_fallback, struct sock *sk,					\
	     const struct smc_ulp_result *result)					\
{											\
	int verdict = (on_fallback);							\
											\
	smc_outcome(sk, result, SMC_EVENT_FALLBACK, verdict);				\
	return verdict;									\
}											\
											\
SEC("struct_ops/release")								\
void BPF_PROG(smc_policy_release, struct sock *sk,					\
	      const struct smc_ulp_result *result)					\
{											\
	smc_outcome(sk, result, SMC_EVENT_RELEASE, 0);					\
}

#endif /* _SMC_POLICY_POLICY_BPF_H */
