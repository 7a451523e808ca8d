// SPDX-License-Identifier: GPL-2.0-only
/*
 * adaptive - rules, tempered by what became of connections before
 *
 * Purpose: SMC where it pays, without knowing in advance where that is. The rules (see rules.bpf.c;
 * without a file everything is allowed) say what may become SMC; what they allow, not what they
 * require, stays TCP when experience is against it, by one of two rules of this policy's own:
 *
 *	backoff		1024: SMC was tried with this peer and port and did not happen
 *	short		1025: connections like this one carry too few bytes to gain from SMC
 *
 * Backoff. When a handshake is declined, times out or breaks, the peer (address, port, side) is left
 * alone for backoff_ms; then one connection tries again, while others still wait. Each failure in a
 * row doubles the time, up to backoff_max_ms; one success ends it. A peer that does not offer SMC is
 * no failure: it costs nothing.
 *
 * Short connections. For each service, that is, cgroup of the socket, port, side and peer, a moving
 * average of the bytes per connection, both directions together, in which a new connection weighs
 * 1/weight. After "samples" connections a service whose average is below low_bytes goes to TCP, and
 * one above high_bytes to SMC; between the two it stays where it is. What is not known yet starts as
 * "unknown" says. SMC connections report in the callback release; TCP ones in a sockops program on
 * the cgroup, so that a service on TCP is learned of as well, and comes back when it grows. Both
 * forget what was used least recently (16384 peers, 65536 services).
 *
 * Assumptions: bytes per connection tell what SMC gains: a handshake costs about as much as it saves
 * on some ten kilobytes, see docs/performance.rst. The bytes of a connection that fell back include
 * those of the handshake, some hundred. Loaded without --cgroup it does not learn of TCP.
 *
 * Production ready: no, the thresholds are not proven on real hardware.
 *
 * How to test:
 *	smcpolicy load adaptive --cgroup /sys/fs/cgroup/test --set low_bytes=1000
 *	smcpolicy trace adaptive
 *	bpftool map dump pinned /sys/fs/bpf/smcpolicy/adaptive/map_services
 */
#include <smc_policy/attach.bpf.h>
#include <smc_policy/rules.bpf.h>

SMC_POLICY_DESCRIPTION("rules, tempered by what became of connections before");
SMC_POLICY_NAME("adaptive");

SMC_POLICY_RULES(SMC_ULP_ALLOW);
SMC_OPTION_ENUM(on_fallback, "fallback", "tcp=0|abort=1", SMC_ULP_GO_ON,
		"what becomes of a connection when SMC was allowed and did not happen");
SMC_OPTION_U32(backoff_ms, "backoff_ms", "1-86400000", 5000,
	       "time without SMC after a failure with a peer, milliseconds");
SMC_OPTION_U32(backoff_max_ms, "backoff_max_ms", "1-86400000", 600000,
	       "the same after many failures");
SMC_OPTION_U32(low_bytes, "low_bytes", "0-4294967295", 16384,
	       "below this average a service goes to TCP");
SMC_OPTION_U32(high_bytes, "high_bytes", "0-4294967295", 65536,
	       "above this average a service goes to SMC");
SMC_OPTION_U32(samples, "samples", "1-65535", 8, "connections before an average counts");
SMC_OPTION_U32(weight, "weight", "1-1000", 8, "a connection weighs 1/weight in the average");
SMC_OPTION_ENUM(unknown, "unknown", "smc=0|tcp=1", 0, "services of which too little is known");

#define TCP_CLOSE_STATE		7	/* BPF_TCP_CLOSE */
#define DECLINED_NO_SMC		0x03010000
#define DECLINED_BY_US		0x0b000000	/* enum smc_ulp_reason */
#define NSEC_PER_MSEC		1000000ULL

enum { RULE_BACKOFF = SMC_RULE_MAX, RULE_SHORT };

struct peer_key {
	__u64	netns;
	__be32	addr[4];	/* v4-mapped for IPv4 */
	__u16	port;		/* of the service: remote for a client, local for a server */
	__u16	role;
	__u32	reserved;
};

struct peer {
	__u64	until;		/* no SMC before; CLOCK_MONOTONIC */
	__u32	failures;	/* in a row */
	__u32	reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct peer_key);
	__type(value, struct peer);
} peers SEC(".maps") SMC_MAP_KEEP;

struct service_key {
	__u64	cgroup_id;
	__be32	addr[4];
	__u16	port;
	__u16	role;
	__u32	reserved;
};

/* In one word, for LRU maps have no locks: the average, connections so far, and whether it is on TCP. */
struct service {
	__u64	state;
};

#define ON_TCP		1
#define SEEN_SHIFT	1
#define SEEN_MAX	0xffff
#define AVERAGE_SHIFT	17
#define AVERAGE_MAX	(~0ULL >> AVERAGE_SHIFT)
#define LEARN_TRIES	8	/* against others on the same service; then it is one that is not counted */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct service_key);
	__type(value, struct service);
} services SEC(".maps") SMC_MAP_KEEP;

/* Cookies of connections that SMC carries: what TCP counted of them is the handshake. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, __u32);
} smc_cookies SEC(".maps") SMC_MAP_KEEP;

/* Which side of a connection a socket is: TCP does not remember. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} tcp_roles SEC(".maps") SMC_MAP_KEEP;

/* ---- keys ---- */

static __always_inline void set_address(__be32 *addr, __u16 family, __be32 v4, const __be32 *v6)
{
	if (family == AF_INET) {
		addr[0] = 0;
		addr[1] = 0;
		addr[2] = bpf_htonl(0xffff);
		addr[3] = v4;
	} else {
		addr[0] = v6[0];
		addr[1] = v6[1];
		addr[2] = v6[2];
		addr[3] = v6[3];
	}
}

static __always_inline void peer_of_tuple(struct peer_key *key, struct sock *sk,
					  const struct smc_ulp_tuple *tuple)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->netns = sk->__sk_common.skc_net.net->net_cookie;
	set_address(key->addr, tuple->family, tuple->remote_addr[0], tuple->remote_addr);
	key->role = tuple->role;
	key->port = tuple->role == SMC_ULP_CLIENT ? tuple->remote_port : tuple->local_port;
}

/* Of a connected socket */
static __always_inline void service_of_sock(struct service_key *key, struct sock *sk, __u16 role)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->cgroup_id = sk->sk_cgrp_data.cgroup->kn->id;
	set_address(key->addr, sk->__sk_common.skc_family, sk->__sk_common.skc_daddr,
		    sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32);
	key->role = role;
	key->port = role == SMC_ULP_CLIENT ? bpf_ntohs(sk->__sk_common.skc_dport) :
		    sk->__sk_common.skc_num;
}

static __always_inline void service_of_peer(struct service_key *key, struct sock *sk,
					    const struct peer_key *peer)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->cgroup_id = sk->sk_cgrp_data.cgroup->kn->id;
	__builtin_memcpy(key->addr, peer->addr, sizeof(key->addr));
	key->role = peer->role;
	key->port = peer->port;
}

/* ---- backoff ---- */

static __always_inline __u64 backoff_ns(__u32 failures)
{
	__u64 ms = failures > 32 ? backoff_max_ms : (__u64)backoff_ms << (failures - 1);

	return (ms < backoff_max_ms ? ms : backoff_max_ms) * NSEC_PER_MSEC;
}

static __always_inline bool backs_off(const struct peer_key *key)
{
	struct peer *peer = bpf_map_lookup_elem(&peers, key);
	__u64 now, until;

	if (!peer)
		return false;
	now = bpf_ktime_get_ns();
	until = peer->until;
	if (now < until)
		return true;
	/* One tries. The others wait once more, unless it says before that all is well. */
	return __sync_val_compare_and_swap(&peer->until, until,
					   now + backoff_ns(peer->failures)) != until;
}

static __always_inline void peer_of_sock(struct peer_key *key, struct sock *sk, __u16 role)
{
	struct service_key service;

	service_of_sock(&service, sk, role);
	__builtin_memset(key, 0, sizeof(*key));
	key->netns = sk->__sk_common.skc_net.net->net_cookie;
	__builtin_memcpy(key->addr, service.addr, sizeof(key->addr));
	key->role = role;
	key->port = service.port;
}

static __always_inline void peer_failed(struct sock *sk, const struct smc_ulp_result *result)
{
	struct peer fresh = {}, *peer;
	struct peer_key key;

	if (result->reason == DECLINED_NO_SMC || (result->reason & 0xff000000) == DECLINED_BY_US)
		return;
	peer_of_sock(&key, sk, result->role);
	peer = bpf_map_lookup_elem(&peers, &key);
	if (!peer) {
		fresh.failures = 1;
		fresh.until = bpf_ktime_get_ns() + backoff_ns(1);
		bpf_map_update_elem(&peers, &key, &fresh, BPF_NOEXIST);
		return;
	}
	/* Of several at once each counts: they were allowed before the first had failed. */
	if (peer->failures < 64)
		__sync_fetch_and_add(&peer->failures, 1);
	peer->until = bpf_ktime_get_ns() + backoff_ns(peer->failures);
}

/* ---- bytes per connection ---- */

static __always_inline __u64 learned(__u64 state, __u64 bytes)
{
	__u64 average = state >> AVERAGE_SHIFT, on_tcp = state & ON_TCP;
	__u32 seen = state >> SEEN_SHIFT & SEEN_MAX, n;

	if (seen < SEEN_MAX)
		seen++;
	if (bytes > AVERAGE_MAX)
		bytes = AVERAGE_MAX;
	/* The mean of the first ones */
	n = seen < weight ? seen : weight;
	if (bytes > average)
		average += (bytes - average) / n;
	else
		average -= (average - bytes) / n;
	if (seen >= samples && average < low_bytes)
		on_tcp = ON_TCP;
	else if (seen >= samples && average > high_bytes)
		on_tcp = 0;
	return average << AVERAGE_SHIFT | (__u64)seen << SEEN_SHIFT | on_tcp;
}

static __noinline int learn(const struct service_key *key, __u64 bytes)
{
	struct service fresh = { .state = unknown }, *service;
	__u64 state;
	int i;

	service = bpf_map_lookup_elem(&services, key);
	if (!service) {
		bpf_map_update_elem(&services, key, &fresh, BPF_NOEXIST);
		service = bpf_map_lookup_elem(&services, key);
	}
	for (i = 0; service && i < LEARN_TRIES; i++) {
		state = *(volatile __u64 *)&service->state;
		if (__sync_val_compare_and_swap(&service->state, state, learned(state, bytes)) ==
		    state)
			break;
	}
	return 0;
}

static __always_inline bool is_short(struct sock *sk, const struct peer_key *peer)
{
	struct service *service;
	struct service_key key;

	service_of_peer(&key, sk, peer);
	service = bpf_map_lookup_elem(&services, &key);
	return service ? service->state & ON_TCP : unknown;
}

SEC("sockops")
int adaptive_sockops(struct bpf_sock_ops *ctx)
{
	struct service_key key;
	struct bpf_sock *sk = ctx->sk;
	struct tcp_sock *tcp;
	__u32 *role, client = SMC_ULP_CLIENT, server = SMC_ULP_SERVER;
	__u64 cookie;

	if (!sk)
		return 1;
	switch (ctx->op) {
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		bpf_sk_storage_get(&tcp_roles, sk,
				   ctx->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB ? &client : &server,
				   BPF_SK_STORAGE_GET_F_CREATE);
		bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags |
					       BPF_SOCK_OPS_STATE_CB_FLAG);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		if (ctx->args[1] != TCP_CLOSE_STATE)
			break;
		role = bpf_sk_storage_get(&tcp_roles, sk, NULL, 0);
		cookie = bpf_get_socket_cookie(ctx);
		/* Not one that SMC carries: that reports by itself. */
		if (!role || !bpf_map_delete_elem(&smc_cookies, &cookie))
			break;
		tcp = bpf_skc_to_tcp_sock(sk);
		if (!tcp)
			break;
		service_of_sock(&key, (struct sock *)tcp, *role);
		learn(&key, ctx->bytes_acked + ctx->bytes_received);
		break;
	}
	return 1;
}

/* ---- the policy ---- */

static __always_inline int temper(struct sock *sk, __u8 type, const struct smc_ulp_tuple *tuple,
				  __u32 rule, int verdict)
{
	struct peer_key peer;

	if (verdict != SMC_ULP_ALLOW)
		return smc_rules_decided(sk, type, tuple, verdict, rule);
	peer_of_tuple(&peer, sk, tuple);
	/* In this order: what would be TCP anyway must not use up the attempt of a peer. */
	if (is_short(sk, &peer))
		return SMC_ULP_RULE(smc_tuple_verdict(sk, type, tuple, SMC_ULP_DENY, "short"),
				    RULE_SHORT);
	if (backs_off(&peer))
		return SMC_ULP_RULE(smc_tuple_verdict(sk, type, tuple, SMC_ULP_DENY, "backoff"),
				    RULE_BACKOFF);
	return smc_rules_decided(sk, type, tuple, verdict, rule);
}

SEC("struct_ops/init")
int BPF_PROG(adaptive_init, struct sock *sk, __u32 origin)
{
	return smc_attach_verdict(sk, origin, SMC_ULP_ALLOW, "undecided");
}

SEC("struct_ops/connect")
int BPF_PROG(adaptive_connect, struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	__u32 rule = smc_rules_connect(sk, tuple);

	return temper(sk, SMC_EVENT_CONNECT, tuple, rule, smc_rules_verdict(rule));
}

SEC("struct_ops/listen")
int BPF_PROG(adaptive_listen, struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	return smc_rules_listen_verdict(sk, tuple);
}

SEC("struct_ops/syn")
int BPF_PROG(adaptive_syn, struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	__u32 rule = smc_rules_syn(sk, tuple);
	int verdict = smc_rules_verdict(rule);

	if (verdict == SMC_ULP_REQUIRE)
		return smc_rules_decided(sk, SMC_EVENT_SYN, tuple, SMC_ULP_ALLOW, rule);
	return temper(sk, SMC_EVENT_SYN, tuple, rule, verdict);
}

SEC("struct_ops/established")
void BPF_PROG(adaptive_established, struct sock *sk, const struct smc_ulp_result *result)
{
	__u64 cookie = result->cookie;
	struct peer_key key;
	__u32 one = 1;

	bpf_map_update_elem(&smc_cookies, &cookie, &one, BPF_ANY);
	peer_of_sock(&key, sk, result->role);
	bpf_map_delete_elem(&peers, &key);
	smc_outcome(sk, result, SMC_EVENT_ESTABLISHED, 0);
}

SEC("struct_ops/fallback")
int BPF_PROG(adaptive_fallback, struct sock *sk, const struct smc_ulp_result *result)
{
	int verdict = on_fallback;

	peer_failed(sk, result);
	smc_outcome(sk, result, SMC_EVENT_FALLBACK, verdict);
	return verdict;
}

SEC("struct_ops/release")
void BPF_PROG(adaptive_release, struct sock *sk, const struct smc_ulp_result *result)
{
	struct service_key key;

	service_of_sock(&key, sk, result->role);
	learn(&key, result->tx_bytes + result->rx_bytes);
	smc_outcome(sk, result, SMC_EVENT_RELEASE, 0);
}

SEC(".struct_ops.link")
struct smc_ulp_ops adaptive = {
	.init		= (void *)adaptive_init,
	.connect	= (void *)adaptive_connect,
	.listen		= (void *)adaptive_listen,
	.syn		= (void *)adaptive_syn,
	.established	= (void *)adaptive_established,
	.fallback	= (void *)adaptive_fallback,
	.release	= (void *)adaptive_release,
	.name		= "adaptive",
};
