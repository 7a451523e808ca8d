/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ordered rules, for policies that decide by them: see smc_policy/rules.h for how it is done, and
 * smcpolicy(8) for the file they are read from. A policy includes this file once, after
 * policy.bpf.h, and asks smc_rules_connect(), smc_rules_listen() and smc_rules_syn().
 */
#ifndef _SMC_POLICY_RULES_BPF_H
#define _SMC_POLICY_RULES_BPF_H

#include <smc_policy/policy.bpf.h>
#include <smc_policy/rules.h>

/* SMC_POLICY_RULES(verdict): what happens when no rule matches and the file says nothing else. */
#define SMC_POLICY_RULES(verdict)							\
	const volatile struct smc_rules smc_rules_config				\
	SMC_POLICY_TAG("smc_option:rules:rules::file with ordered rules") = {		\
		.default_verdict = (verdict),						\
	}

extern const volatile struct smc_rules smc_rules_config;

/* The loader makes them as large as the rules need. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct smc_rule);
} smc_rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} smc_rule_hits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SMC_RULE_FIRST);
	__type(key, __u32);
	__type(value, struct smc_rule_class);
} smc_rule_classes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct smc_rule_ports);
} smc_rule_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct smc_policy_addr);
	__type(value, __u32);
} smc_rule_peers SEC(".maps"), smc_rule_locals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} smc_rule_uids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, char[SMC_EVENT_COMM_LEN]);
	__type(value, __u32);
} smc_rule_comms SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u32);
} smc_rule_cgroups SEC(".maps"), smc_rule_netns SEC(".maps");

/*
 * Name of the thread that called listen(), by cookie of the listener: a SYN comes to no thread.
 * Rules that replace these know it as well.
 */
struct smc_rules_comm {
	char	comm[SMC_EVENT_COMM_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct smc_rules_comm);
} smc_rule_listeners SEC(".maps") SMC_MAP_KEEP;

#define SMC_CGROUP_DEPTH	32

/* ---- sets of rules ---- */

static __always_inline bool smc_rules_use(enum smc_rule_dimension dimension)
{
	return smc_rules_config.uses >> dimension & 1;
}

/* What is in @set and in @class */
static __noinline void smc_rules_and(struct smc_rule_class *set, __u32 class)
{
	struct smc_rule_class *other = bpf_map_lookup_elem(&smc_rule_classes, &class);
	__u32 i;

	for (i = 0; i < SMC_RULE_WORDS && i < smc_rules_config.words; i++)
		set->rules[i] &= other ? other->rules[i] : 0;
}

static __always_inline void smc_rules_all(struct smc_rule_class *set)
{
	__builtin_memset(set, 0xff, sizeof(*set));
}

/* Position of the only bit that is set, without branches: a de Bruijn sequence */
const volatile __u8 smc_bit_numbers[64] = {
	0, 1, 2, 53, 3, 7, 54, 27, 4, 38, 41, 8, 34, 55, 48, 28,
	62, 5, 39, 46, 44, 42, 22, 9, 24, 35, 59, 56, 49, 18, 29, 11,
	63, 52, 6, 26, 37, 40, 33, 47, 61, 45, 43, 21, 23, 58, 17, 10,
	51, 25, 36, 32, 60, 20, 57, 16, 50, 31, 19, 15, 30, 14, 13, 12,
};

/* The lowest number in @set; 0: it is empty. */
static __noinline __u32 smc_rules_first(struct smc_rule_class *set)
{
	__u32 i;

	for (i = 0; i < SMC_RULE_WORDS && i < smc_rules_config.words; i++) {
		__u64 word = set->rules[i];

		if (word)
			return i * 64 +
			       smc_bit_numbers[((word & -word) * 0x022fdd63cc95386dULL) >> 58];
	}
	return 0;
}

/* ---- the class of each value ---- */

static __noinline void smc_rules_peer(struct smc_rule_class *set, const struct smc_ulp_tuple *tuple)
{
	struct smc_policy_addr key;
	__u32 *class;

	smc_policy_peer(&key, tuple);
	class = bpf_map_lookup_elem(&smc_rule_peers, &key);
	smc_rules_and(set, class ? *class : SMC_RULE_ANY + SMC_RULE_PEER);
}

static __noinline void smc_rules_local(struct smc_rule_class *set,
				       const struct smc_ulp_tuple *tuple)
{
	struct smc_policy_addr key;
	__u32 *class;

	smc_policy_local(&key, tuple);
	class = bpf_map_lookup_elem(&smc_rule_locals, &key);
	smc_rules_and(set, class ? *class : SMC_RULE_ANY + SMC_RULE_LOCAL);
}

static __always_inline void smc_rules_port(struct smc_rule_class *set, __u16 port)
{
	struct smc_rule_ports *ports;
	__u32 zero = 0;

	ports = bpf_map_lookup_elem(&smc_rule_ports, &zero);
	if (ports)
		smc_rules_and(set, ports->class[port]);
}

/* The cgroup that the socket was made in, or the nearest above it that rules name */
static __noinline void smc_rules_cgroup(struct smc_rule_class *set, struct sock *sk)
{
	struct cgroup *cgroup = sk->sk_cgrp_data.cgroup;
	struct cgroup_subsys_state *parent;
	__u32 *class = NULL;
	int i;

	for (i = 0; i < SMC_CGROUP_DEPTH && cgroup && !class; i++) {
		__u64 id = cgroup->kn->id;

		class = bpf_map_lookup_elem(&smc_rule_cgroups, &id);
		parent = cgroup->self.parent;
		cgroup = parent ? parent->cgroup : NULL;
	}
	smc_rules_and(set, class ? *class : SMC_RULE_ANY + SMC_RULE_CGROUP);
}

static __noinline void smc_rules_owner(struct smc_rule_class *set, struct sock *sk)
{
	__u32 uid = sk->sk_uid.val, *class;
	__u64 netns = sk->__sk_common.skc_net.net->net_cookie;

	if (smc_rules_use(SMC_RULE_UID)) {
		class = bpf_map_lookup_elem(&smc_rule_uids, &uid);
		smc_rules_and(set, class ? *class : SMC_RULE_ANY + SMC_RULE_UID);
	}
	if (smc_rules_use(SMC_RULE_NETNS)) {
		class = bpf_map_lookup_elem(&smc_rule_netns, &netns);
		smc_rules_and(set, class ? *class : SMC_RULE_ANY + SMC_RULE_NETNS);
	}
}

static __always_inline void smc_rules_current(struct smc_rules_comm *comm)
{
	struct task_struct *task = bpf_get_current_task_btf();

	__builtin_memset(comm, 0, sizeof(*comm));
	bpf_probe_read_kernel_str(comm->comm, sizeof(comm->comm), task->comm);
}

static __always_inline void smc_rules_comm(struct smc_rule_class *set,
					   const struct smc_rules_comm *comm)
{
	__u32 *class = bpf_map_lookup_elem(&smc_rule_comms, comm);

	smc_rules_and(set, class ? *class : SMC_RULE_ANY + SMC_RULE_COMM);
}

/* ---- decisions: the number of a rule, and whether it is one that may still change ---- */

/* All but addresses */
static __always_inline void smc_rules_match(struct smc_rule_class *set, __u32 side,
					    struct sock *sk, __u16 port,
					    const struct smc_rules_comm *comm)
{
	smc_rules_all(set);
	smc_rules_and(set, side);
	if (smc_rules_use(SMC_RULE_PORT))
		smc_rules_port(set, port);
	if (smc_rules_use(SMC_RULE_UID) || smc_rules_use(SMC_RULE_NETNS))
		smc_rules_owner(set, sk);
	if (smc_rules_use(SMC_RULE_CGROUP))
		smc_rules_cgroup(set, sk);
	if (smc_rules_use(SMC_RULE_COMM))
		smc_rules_comm(set, comm);
}

/* The rule for a client: with "local", only one that is bound already. */
static __always_inline __u32 smc_rules_connect(struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	struct smc_rules_comm comm = {};
	struct smc_rule_class set;

	if (!smc_rules_config.words)
		return 0;
	if (smc_rules_use(SMC_RULE_COMM))
		smc_rules_current(&comm);
	smc_rules_match(&set, SMC_RULE_CLIENT, sk, tuple->remote_port, &comm);
	if (smc_rules_use(SMC_RULE_LOCAL))
		smc_rules_local(&set, tuple);
	if (smc_rules_use(SMC_RULE_PEER))
		smc_rules_peer(&set, tuple);
	return smc_rules_first(&set);
}

/*
 * The rule for a listener. Its peers are not known, nor is the local address if it is bound to
 * none: a rule that asks for them does not match yet. When such a rule comes before the one that
 * matches, and would allow what that one does not, the listener must be one that may become SMC:
 * then *@open is set, and smc_rules_syn() decides.
 */
static __always_inline __u32 smc_rules_listen(struct sock *sk, const struct smc_ulp_tuple *tuple,
					      bool *open)
{
	struct smc_rule_class set, certain;
	struct smc_rules_comm comm = {};
	__u32 rule, maybe;

	*open = false;
	if (!smc_rules_config.words)
		return 0;
	if (smc_rules_use(SMC_RULE_COMM)) {
		__u64 cookie = sk->__sk_common.skc_cookie.counter;

		smc_rules_current(&comm);
		bpf_map_update_elem(&smc_rule_listeners, &cookie, &comm, BPF_ANY);
	}
	smc_rules_match(&set, SMC_RULE_SERVER, sk, tuple->local_port, &comm);
	if (smc_rules_use(SMC_RULE_LOCAL) && smc_policy_is_bound(tuple))
		smc_rules_local(&set, tuple);
	certain = set;
	if (smc_rules_use(SMC_RULE_PEER))
		smc_rules_and(&certain, SMC_RULE_ANY + SMC_RULE_PEER);
	if (smc_rules_use(SMC_RULE_LOCAL) && !smc_policy_is_bound(tuple))
		smc_rules_and(&certain, SMC_RULE_ANY + SMC_RULE_LOCAL);
	rule = smc_rules_first(&certain);
	smc_rules_and(&set, SMC_RULE_ALLOW);
	maybe = smc_rules_first(&set);
	*open = maybe && (!rule || maybe < rule);
	return *open ? maybe : rule;
}

/* The rule for a connection that comes to a listener; with "comm", that of who called listen(). */
static __always_inline __u32 smc_rules_syn(struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	struct smc_rules_comm comm = {};
	struct smc_rule_class set;

	if (!smc_rules_config.words)
		return 0;
	if (smc_rules_use(SMC_RULE_COMM)) {
		__u64 cookie = sk->__sk_common.skc_cookie.counter;
		struct smc_rules_comm *kept;

		kept = bpf_map_lookup_elem(&smc_rule_listeners, &cookie);
		if (kept)
			comm = *kept;
	}
	smc_rules_match(&set, SMC_RULE_SERVER, sk, tuple->local_port, &comm);
	if (smc_rules_use(SMC_RULE_LOCAL))
		smc_rules_local(&set, tuple);
	if (smc_rules_use(SMC_RULE_PEER))
		smc_rules_peer(&set, tuple);
	return smc_rules_first(&set);
}

/* What @rule says */
static __always_inline int smc_rules_verdict(__u32 rule)
{
	struct smc_rule *found = rule ? bpf_map_lookup_elem(&smc_rules, &rule) : NULL;

	return found ? found->verdict : smc_rules_config.default_verdict;
}

/* Count it, record it, and give what a callback returns. */
static __noinline int smc_rules_decided(struct sock *sk, __u8 type,
					const struct smc_ulp_tuple *tuple, int verdict, __u32 rule)
{
	__u64 *hits = bpf_map_lookup_elem(&smc_rule_hits, &rule);
	struct smc_event *event;
	struct smc_rule *found;

	/* A program in softirq may interrupt one in a task on this CPU. */
	if (hits)
		__sync_fetch_and_add(hits, 1);
	event = smc_events_wanted() ? smc_event_tuple(sk, type, tuple, verdict) : NULL;
	if (event) {
		found = rule ? bpf_map_lookup_elem(&smc_rules, &rule) : NULL;
		if (found)
			__builtin_memcpy(event->rule, found->name, sizeof(event->rule));
		else
			smc_event_set_rule(event, "default");
		smc_event_submit(event);
	}
	return SMC_ULP_RULE(verdict, rule);
}

/* The callbacks of a policy that does what the rules say. */
static __always_inline int smc_rules_connect_verdict(struct sock *sk,
						     const struct smc_ulp_tuple *tuple)
{
	__u32 rule = smc_rules_connect(sk, tuple);

	return smc_rules_decided(sk, SMC_EVENT_CONNECT, tuple, smc_rules_verdict(rule), rule);
}

static __always_inline int smc_rules_listen_verdict(struct sock *sk,
						    const struct smc_ulp_tuple *tuple)
{
	bool open;
	__u32 rule = smc_rules_listen(sk, tuple, &open);

	return smc_rules_decided(sk, SMC_EVENT_LISTEN, tuple,
				 open ? SMC_ULP_ALLOW : smc_rules_verdict(rule), rule);
}

/* A listener that requires SMC does so for all. */
static __always_inline int smc_rules_syn_verdict(struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	__u32 rule = smc_rules_syn(sk, tuple);
	int verdict = smc_rules_verdict(rule);

	if (verdict == SMC_ULP_REQUIRE)
		verdict = SMC_ULP_ALLOW;
	return smc_rules_decided(sk, SMC_EVENT_SYN, tuple, verdict, rule);
}

#endif /* _SMC_POLICY_RULES_BPF_H */
