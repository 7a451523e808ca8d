// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy: registered by link, asked at the right moments with the right arguments, obeyed, and
 * gone when its link is (docs/design.rst: I8). What a verdict did is looked at in the SYN itself.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/mount.h>

#include "minimal.skel.h"
#include "policy_helpers.h"
#include "tcp_features.h"

#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#endif

/* --- registration ---------------------------------------------------------------------------- */

static bool ulp_allowed(void)
{
	int fd = sock_make(TCP, V4), rc = ulp_set(fd, "smc");

	if (rc)
		ASSERT_EQ(errno, EACCES, "errno of a refusal");
	close(fd);
	return !rc;
}

static void one_at_a_time(void)
{
	struct bpf_link *second;
	struct policy policy;

	if (!policy_open(&policy, true))
		return;
	second = bpf_map__attach_struct_ops(policy_map(&policy, 1));
	ASSERT_TRUE(!second, "a second policy");
	ASSERT_EQ(errno, EBUSY, "errno");
	/* the first is still in force */
	policy_set(&policy, CB_INIT, SMC_ULP_DENY);
	ASSERT_FALSE(ulp_allowed(), "the first decides");
	policy_close(&policy);
	ASSERT_TRUE(ulp_allowed(), "no policy");

	if (!policy_open(&policy, false))
		return;
	policy_set_both(&policy, CB_INIT, SMC_ULP_ALLOW, SMC_ULP_DENY);
	policy.link = bpf_map__attach_struct_ops(policy_map(&policy, 1));
	ASSERT_OK_PTR(policy.link, "the place is free again");
	ASSERT_FALSE(ulp_allowed(), "the other decides");
	policy_close(&policy);
}

static void update(void)
{
	DECLARE_LIBBPF_OPTS(bpf_link_update_opts, opts);
	struct policy policy;
	int fd, first, second;

	if (!policy_open(&policy, true))
		return;
	policy_set_both(&policy, CB_INIT, SMC_ULP_ALLOW, SMC_ULP_DENY);
	ASSERT_TRUE(ulp_allowed(), "the first decides");
	first = bpf_map__fd(policy_map(&policy, 0));
	second = bpf_map__fd(policy_map(&policy, 1));
	fd = bpf_link__fd(policy.link);

	/* the wrong old one: nothing happens */
	opts.flags = BPF_F_REPLACE;
	opts.old_map_fd = second;
	ASSERT_EQ(bpf_link_update(fd, second, &opts), -EPERM, "wrong old map");
	ASSERT_TRUE(ulp_allowed(), "the first still decides");

	opts.old_map_fd = first;
	ASSERT_OK(bpf_link_update(fd, second, &opts), "update");
	policy_forget(&policy);
	ASSERT_FALSE(ulp_allowed(), "the second decides");
	ASSERT_EQ(policy_calls(&policy, 0, CB_INIT), 0, "calls of the first");
	ASSERT_EQ(policy_calls(&policy, 1, CB_INIT), 1, "calls of the second");
	ASSERT_OK(bpf_link__update_map(policy.link, policy_map(&policy, 0)), "and back");
	ASSERT_TRUE(ulp_allowed(), "the first decides");
	policy_close(&policy);
}

static void detach(void)
{
	struct policy policy;
	struct bpf_link *link;

	if (!policy_open(&policy, true))
		return;
	policy_set(&policy, CB_INIT, SMC_ULP_DENY);
	ASSERT_FALSE(ulp_allowed(), "the policy decides");
	ASSERT_EQ(poll_fd(bpf_link__fd(policy.link), 0, 0), 0, "poll of the link");
	ASSERT_OK(bpf_link__detach(policy.link), "detach");
	policy_forget(&policy);
	ASSERT_TRUE(ulp_allowed(), "no policy");
	ASSERT_EQ(policy_calls(&policy, 0, CB_INIT), 0, "calls after detach");
	ASSERT_EQ(poll_fd(bpf_link__fd(policy.link), 0, 0), POLLHUP, "poll of the link");
	ASSERT_EQ(bpf_link__update_map(policy.link, policy_map(&policy, 1)), -ENOLINK,
		  "update of a detached link");
	/* the same map once more */
	link = bpf_map__attach_struct_ops(policy_map(&policy, 0));
	ASSERT_OK_PTR(link, "attach again");
	bpf_link__destroy(link);
	policy_close(&policy);
}

static void pinned(void)
{
	static const char path[] = "/sys/fs/bpf/smc_ulp_test";
	struct policy policy;

	mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL);
	if (!policy_open(&policy, true))
		return;
	policy_set(&policy, CB_INIT, SMC_ULP_DENY);
	unlink(path);
	ASSERT_OK(bpf_link__pin(policy.link, path), "pin");
	policy_close(&policy);
	ASSERT_FALSE(ulp_allowed(), "the pin keeps it");
	ASSERT_OK(unlink(path), "unpin");
	/* the link goes after an RCU grace period */
	ASSERT_TRUE(WAIT_FOR(ulp_allowed(), 3000), "no policy");
}

/* A map for each corner: created alone, since some cannot be. */
static struct minimal *load_minimal(const char *wanted)
{
	struct minimal *skel = minimal__open();
	struct bpf_program *program;
	struct bpf_map *map;
	int rc;

	if (!skel)
		return NULL;
	bpf_object__for_each_map(map, skel->obj) {
		if (bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS)
			bpf_map__set_autocreate(map, !strcmp(bpf_map__name(map), wanted));
	}
	if (!strcmp(wanted, "empty")) {
		bpf_object__for_each_program(program, skel->obj)
			bpf_program__set_autoload(program, false);
	}
	rc = minimal__load(skel);
	if (rc) {
		minimal__destroy(skel);
		errno = -rc;
		return NULL;
	}
	return skel;
}

static void corners(void)
{
	struct minimal *skel;
	struct bpf_link *link;
	struct pair pair;

	libbpf_quiet();
	skel = load_minimal("empty");
	if (ASSERT_OK_PTR(skel, "load")) {
		link = bpf_map__attach_struct_ops(skel->maps.empty);
		ASSERT_OK_PTR(link, "a policy without callbacks");
		if (pair_make(&pair, ULP, ULP, V4)) {
			ping_pong(pair.client, pair.server);
			assert_outcome(becomes_smc(ULP, ULP, V4), pair.client, 500);
			pair_close(&pair);
		}
		bpf_link__destroy(link);
		minimal__destroy(skel);
	}
	skel = load_minimal("deny");
	if (ASSERT_OK_PTR(skel, "load")) {
		link = bpf_map__attach_struct_ops(skel->maps.deny);
		ASSERT_OK_PTR(link, "a policy with one callback");
		ASSERT_FALSE(ulp_allowed(), "it denies");
		bpf_link__destroy(link);
		minimal__destroy(skel);
	}
	skel = load_minimal("no_link");
	if (ASSERT_OK_PTR(skel, "load")) {
		link = bpf_map__attach_struct_ops(skel->maps.no_link);
		ASSERT_TRUE(!link, "registered without a link");
		ASSERT_EQ(errno, EOPNOTSUPP, "errno");
		bpf_link__destroy(link);
		ASSERT_TRUE(ulp_allowed(), "no policy");
		minimal__destroy(skel);
	}
	/* names are checked when the value is written: at load for a link */
	skel = load_minimal("no_name");
	if (skel) {
		link = bpf_map__attach_struct_ops(skel->maps.no_name);
		ASSERT_TRUE(!link, "without a name");
		ASSERT_EQ(errno, EINVAL, "errno");
		minimal__destroy(skel);
	} else {
		ASSERT_EQ(errno, EINVAL, "errno without a name");
	}
	skel = load_minimal("bad_name");
	if (skel) {
		link = bpf_map__attach_struct_ops(skel->maps.bad_name);
		ASSERT_TRUE(!link, "with a bad name");
		ASSERT_EQ(errno, EINVAL, "errno");
		minimal__destroy(skel);
	} else {
		ASSERT_EQ(errno, EINVAL, "errno with a bad name");
	}
}

TEST(policy_registration, WORLD_SMCD | WORLD_NONE, 60, TEST_NEEDS_ULP)
{
	if (test__start_subtest("one_at_a_time"))
		one_at_a_time();
	if (test__start_subtest("update"))
		update();
	if (test__start_subtest("detach"))
		detach();
	if (test__start_subtest("pinned"))
		pinned();
	if (test__start_subtest("corners"))
		corners();
}

/* --- verdicts -------------------------------------------------------------------------------- */

/* A listener that does not speak SMC and counts the SYNs that do. */
static bool syn_has_option(struct clc_peer *peer, int fd, enum addr addr)
{
	__u64 with, without;
	int lfd, child;
	bool has = false;

	peer->skel->bss->syns_with_option = 0;
	peer->skel->bss->syns_without = 0;
	peer->skel->data->add_option = 0;
	lfd = clc_peer_listen(peer, addr);
	if (ASSERT_OK(sock_connect(fd, addr, sock_port(lfd)), "connect")) {
		child = accept(lfd, NULL, NULL);
		if (ASSERT_OK_FD(child, "accept"))
			is_plain_tcp(fd, child);
		sock_close(&child);
		with = peer->skel->bss->syns_with_option;
		without = peer->skel->bss->syns_without;
		ASSERT_EQ(with + without, 1, "SYNs");
		has = with;
	}
	sock_close(&lfd);
	return has;
}

static const struct {
	const char *name;
	int verdict;
	bool denied;
} verdicts[] = {
	{ "pass", SMC_ULP_PASS, false },
	{ "allow", SMC_ULP_ALLOW, false },
	{ "deny", SMC_ULP_DENY, true },
	{ "7", 7, true },
	{ "minus_1", -1, true },
	{ "big", 0x7fffffff, true },
	{ "255", SMC_ULP_VERDICT_MASK, true },
	{ "allow_rule", SMC_ULP_RULE(SMC_ULP_ALLOW, SMC_ULP_RULE_MAX), false },
	{ "deny_rule", SMC_ULP_RULE(SMC_ULP_DENY, 1), true },
	{ "7_rule", SMC_ULP_RULE(7, 1), true },
	{ "allow_negative", (int)(0x80000000u | SMC_ULP_ALLOW), true },
};

/* What the SYN says, and whether the ULP is still there afterwards. */
static void init_and_connect(struct policy *policy, struct clc_peer *peer)
{
	unsigned int i;
	enum addr addr;
	int fd;

	for (i = 0; i < ARRAY_SIZE(verdicts); i++) {
		for (addr = V4; addr <= V6; addr++) {
			if (test__start_subtestf("init_%s_%s", verdicts[i].name, addr_str(addr))) {
				policy_set(policy, CB_INIT, verdicts[i].verdict);
				policy_set(policy, CB_CONNECT, SMC_ULP_PASS);
				fd = sock_make(TCP, addr);
				if (verdicts[i].denied)
					ASSERT_ERRNO(ulp_set(fd, "smc"), EACCES, "TCP_ULP");
				else
					ASSERT_OK(ulp_set(fd, "smc"), "TCP_ULP");
				ASSERT_EQ(syn_has_option(peer, fd, addr), !verdicts[i].denied,
					  "SMC option in the SYN");
				sock_close(&fd);
			}
			if (test__start_subtestf("connect_%s_%s", verdicts[i].name,
						 addr_str(addr))) {
				policy_set(policy, CB_INIT, SMC_ULP_PASS);
				policy_set(policy, CB_CONNECT, verdicts[i].verdict);
				fd = sock_make(ULP, addr);
				ASSERT_EQ(syn_has_option(peer, fd, addr), !verdicts[i].denied,
					  "SMC option in the SYN");
				sock_close(&fd);
			}
		}
	}
	policy_set(policy, CB_INIT, SMC_ULP_PASS);
	policy_set(policy, CB_CONNECT, SMC_ULP_PASS);
}

static void listen_verdicts(struct policy *policy)
{
	unsigned int i;
	struct pair pair = { -1, -1 };
	int lfd;

	for (i = 0; i < ARRAY_SIZE(verdicts); i++) {
		if (!test__start_subtestf("listen_%s", verdicts[i].name))
			continue;
		policy_set(policy, CB_LISTEN, verdicts[i].verdict);
		lfd = sock_listen(ULP, V4, 4);
		if (!ASSERT_OK_FD(lfd, "listen"))
			continue;
		ASSERT_STREQ(ulp_name(lfd), verdicts[i].denied ? "" : "smc", "TCP_ULP");
		pair.client = sock_connect_to(lfd, ULP, V4);
		pair.server = accept(lfd, NULL, NULL);
		if (ASSERT_OK_FD(pair.client, "connect") && ASSERT_OK_FD(pair.server, "accept")) {
			if (verdicts[i].denied) {
				is_plain_tcp(pair.client, pair.server);
			} else {
				ping_pong(pair.client, pair.server);
				assert_outcome(becomes_smc(ULP, ULP, V4), pair.client, 500);
			}
		}
		pair_close(&pair);
		sock_close(&lfd);
	}
	policy_set(policy, CB_LISTEN, SMC_ULP_PASS);
}

TEST(policy_verdicts, WORLD_SMCD | WORLD_NONE, 120, TEST_NEEDS_ULP)
{
	struct clc_peer peer = {};
	struct policy policy;

	if (!policy_open(&policy, true))
		return;
	if (clc_peer_open(&peer)) {
		init_and_connect(&policy, &peer);
		listen_verdicts(&policy);
		clc_peer_close(&peer);
	}
	policy_close(&policy);
}

/* A fallback that the policy will not have: the program gets ECONNABORTED, the peer a reset. */
static void abort_client(bool declined, bool nonblock)
{
	struct clc_peer peer = {};
	int lfd = -1, fd = -1, child = -1;
	struct policy policy;

	if (!policy_open(&policy, true))
		return;
	policy_set(&policy, CB_FALLBACK, SMC_ULP_ABORT);
	if (!clc_peer_open(&peer))
		goto out;
	lfd = declined ? clc_peer_listen(&peer, V4) : sock_listen(TCP, V4, 4);
	fd = sock_make(ULP, V4);
	set_nonblock(fd, nonblock || declined);
	if (!nonblock && !declined) {
		ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), ECONNABORTED, "connect");
		child = accept(lfd, NULL, NULL);
	} else {
		ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), EINPROGRESS, "connect");
		child = accept(lfd, NULL, NULL);
		if (declined) {
			ASSERT_EQ(clc_recv(child), CLC_PROPOSAL, "proposal");
			clc_send_decline(child, 0x03070000);
		}
		if (nonblock) {
			ASSERT_TRUE(poll_fd(fd, POLLOUT, 3000) & POLLERR, "POLLERR");
			ASSERT_EQ(sock_error(fd), ECONNABORTED, "SO_ERROR");
		} else {
			set_nonblock(fd, false);
			ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), ECONNABORTED, "connect");
		}
	}
	if (child >= 0) {
		ASSERT_TRUE(poll_fd(child, POLLIN, 3000), "the peer is told");
		ASSERT_ERRNO(recv(child, &(char){ 0 }, 1, 0), ECONNRESET, "the peer is reset");
	}
	ASSERT_EQ(policy_count(&policy, CB_FALLBACK, 0), 1, "calls of fallback");
	ASSERT_EQ(policy_count(&policy, CB_ESTABLISHED, 0), 0, "calls of established");

	/* the socket can be used again, and a policy that changed its mind is obeyed */
	policy_set(&policy, CB_FALLBACK, SMC_ULP_GO_ON);
	sock_close(&child);
	sock_close(&lfd);
	lfd = sock_listen(TCP, V4, 4);
	set_nonblock(fd, false);
	if (nonblock)
		sock_connect(fd, V4, sock_port(lfd));	/* tells of the end of the first */
	if (ASSERT_TRUE(!sock_connect(fd, V4, sock_port(lfd)) || errno == EISCONN, "connect")) {
		child = accept(lfd, NULL, NULL);
		ping_pong(fd, child);
	}
out:
	sock_close(&child);
	sock_close(&fd);
	sock_close(&lfd);
	clc_peer_close(&peer);
	policy_close(&policy);
}

static void abort_server(void)
{
	struct clc_peer peer = {};
	int lfd = -1, fd = -1, child = -1;
	struct policy policy;

	if (!policy_open(&policy, true))
		return;
	policy_set(&policy, CB_FALLBACK, SMC_ULP_ABORT);
	if (!clc_peer_open(&peer))
		goto out;
	lfd = sock_listen(ULP, V4, 4);
	fd = clc_peer_socket(&peer, V4);
	ASSERT_OK(sock_connect(fd, V4, sock_port(lfd)), "connect");
	clc_send_decline(fd, 0x03070000);
	ASSERT_TRUE(poll_fd(fd, POLLIN, 3000), "the peer is told");
	ASSERT_ERRNO(recv(fd, &(char){ 0 }, 1, 0), ECONNRESET, "the peer is reset");
	set_nonblock(lfd, true);
	ASSERT_ERRNO(accept(lfd, NULL, NULL), EAGAIN, "nothing to accept");
	set_nonblock(lfd, false);
	/* a plain client did not fall back */
	sock_close(&fd);
	fd = sock_connect_to(lfd, TCP, V4);
	child = accept(lfd, NULL, NULL);
	if (ASSERT_OK_FD(child, "accept of a plain client"))
		is_plain_tcp(fd, child);
out:
	sock_close(&child);
	sock_close(&fd);
	sock_close(&lfd);
	clc_peer_close(&peer);
	policy_close(&policy);
}

/* What is no verdict of fallback means: go on. */
static void bad_fallback_verdict(void)
{
	static const int values[] = { -1, 2, 100 };
	struct policy policy;
	struct pair pair;
	unsigned int i;

	if (!policy_open(&policy, true))
		return;
	for (i = 0; i < ARRAY_SIZE(values); i++) {
		policy_set(&policy, CB_FALLBACK, values[i]);
		if (pair_make(&pair, TCP, ULP, V4)) {
			is_plain_tcp(pair.client, pair.server);
			pair_close(&pair);
		}
	}
	policy_close(&policy);
}

TEST(policy_fallback, WORLD_SMCD, 60, TEST_NEEDS_ULP)
{
	if (test__start_subtest("abort_no_smc"))
		abort_client(false, false);
	if (test__start_subtest("abort_no_smc_nonblock"))
		abort_client(false, true);
	if (test__start_subtest("abort_declined"))
		abort_client(true, false);
	if (test__start_subtest("abort_declined_nonblock"))
		abort_client(true, true);
	if (test__start_subtest("abort_server"))
		abort_server();
	if (test__start_subtest("no_verdict"))
		bad_fallback_verdict();
}

/* --- arguments ---------------------------------------------------------------------------------- */

static void check_address(const __be32 *addr, enum addr kind, const char *name)
{
	struct in6_addr any = {}, one = IN6ADDR_LOOPBACK_INIT;

	if (kind == V6) {
		ASSERT_OK(memcmp(addr, &one, 16), name);
		return;
	}
	ASSERT_EQ(ntohl(addr[0]), INADDR_LOOPBACK, name);
	ASSERT_OK(memcmp(&addr[1], &any, 12), name);
}

static void check_zero(const __be32 *addr, const char *name)
{
	struct in6_addr any = {};

	ASSERT_OK(memcmp(addr, &any, 16), name);
}

static void tuples(enum addr addr, bool bound)
{
	int lfd = -1, fd = -1, child = -1, port = 0;
	struct sockaddr_storage sa;
	socklen_t len = loopback(&sa, addr, 0);
	struct policy policy;
	const struct record *r;

	if (!policy_open(&policy, true))
		return;
	lfd = sock_listen(ULP, addr, 4);
	r = policy_record(&policy, CB_LISTEN, sock_cookie(lfd), 0);
	if (ASSERT_OK_PTR(r, "policy->listen")) {
		ASSERT_EQ(r->tuple.family, addr == V6 ? AF_INET6 : AF_INET, "family");
		ASSERT_EQ(r->tuple.role, SMC_ULP_SERVER, "role");
		ASSERT_EQ(r->tuple.local_port, sock_port(lfd), "local port");
		ASSERT_EQ(r->tuple.remote_port, 0, "remote port");
		check_address(r->tuple.local_addr, addr, "local address");
		check_zero(r->tuple.remote_addr, "remote address");
	}
	r = policy_record(&policy, CB_INIT, sock_cookie(lfd), 0);
	if (ASSERT_OK_PTR(r, "policy->init"))
		ASSERT_EQ(r->origin, SMC_ULP_ORIGIN_SETSOCKOPT, "origin");

	fd = sock_make(ULP, addr);
	if (bound) {
		ASSERT_OK(bind(fd, (void *)&sa, len), "bind");
		port = sock_port(fd);
	}
	ASSERT_OK(sock_connect(fd, addr, sock_port(lfd)), "connect");
	r = policy_record(&policy, CB_CONNECT, sock_cookie(fd), 0);
	if (ASSERT_OK_PTR(r, "policy->connect")) {
		ASSERT_EQ(r->tuple.family, addr == V6 ? AF_INET6 : AF_INET, "family");
		ASSERT_EQ(r->tuple.role, SMC_ULP_CLIENT, "role");
		ASSERT_EQ(r->tuple.local_port, port, "local port");
		ASSERT_EQ(r->tuple.remote_port, sock_port(lfd), "remote port");
		check_address(r->tuple.remote_addr, addr, "remote address");
		if (bound)
			check_address(r->tuple.local_addr, addr, "local address");
		else
			check_zero(r->tuple.local_addr, "local address");
	}
	child = accept(lfd, NULL, NULL);
	ping_pong(fd, child);
	ASSERT_EQ(policy_count(&policy, CB_INIT, 0), 2, "calls of init: not for children");
	ASSERT_EQ(policy_count(&policy, CB_CONNECT, 0), 1, "calls of connect");
	ASSERT_EQ(policy_count(&policy, CB_LISTEN, 0), 1, "calls of listen");
	sock_close(&fd);
	sock_close(&child);
	sock_close(&lfd);
	policy_close(&policy);
}

TEST(policy_tuples, WORLD_SMCD, 60, TEST_NEEDS_ULP)
{
	enum addr addr;

	for (addr = V4; addr <= MAPPED; addr++) {
		if (test__start_subtest(addr_str(addr)))
			tuples(addr, false);
		if (test__start_subtestf("%s_bound", addr_str(addr)))
			tuples(addr, true);
	}
}

static void check_result(const struct smc_ulp_result *result, int role, int origin, __u64 cookie)
{
	ASSERT_EQ(result->mode, env.world == WORLD_SMCR ? SMC_ULP_MODE_SMCR : SMC_ULP_MODE_SMCD,
		  "mode");
	ASSERT_EQ(result->role, role, "role");
	ASSERT_EQ(result->origin, origin, "origin");
	ASSERT_EQ(result->cookie, cookie, "cookie");
	ASSERT_EQ(result->reason, 0, "reason");
	ASSERT_EQ(result->error, 0, "error");
	ASSERT_TRUE(result->version == 1 || result->version == 2, "version");
	ASSERT_GT(result->handshake_ns, 0, "handshake time");
	ASSERT_LT(result->handshake_ns, 30000000000ll, "handshake time");
	ASSERT_GT(result->sndbuf, 0, "send buffer");
	ASSERT_GT(result->rcvbuf, 0, "receive buffer");
	ASSERT_GT(result->peer_rcvbuf, 0, "peer's receive buffer");
	ASSERT_NEQ(result->lgr_id, 0, "link group");
	if (env.world == WORLD_SMCD && result->version == 2)
		ASSERT_HAS_SUBSTR((const char *)result->eid, "SMC-ULP", "EID set by the guest");
}

/* Once each, with what really happened. */
static void results(enum kind server, enum kind client)
{
	__u64 cookies[2] = {}, sent[2] = { 100000, 70000 };
	struct smc_ulp_result established[2];
	const struct record *r;
	struct policy policy;
	struct pair pair;
	int i, ours = (client == ULP) + (server == ULP);

	if (!policy_open(&policy, true))
		return;
	if (!pair_make(&pair, server, client, V4))
		goto out;
	cookies[0] = client == ULP ? sock_cookie(pair.client) : 0;
	cookies[1] = server == ULP ? sock_cookie(pair.server) : 0;
	ASSERT_TRUE(WAIT_FOR(policy_count(&policy, CB_ESTABLISHED, 0) == ours, 2000),
		    "established for each of ours");
	for (i = 0; i < 2; i++) {
		if (!cookies[i])
			continue;
		r = policy_record(&policy, CB_ESTABLISHED, cookies[i], 0);
		if (!ASSERT_OK_PTR(r, "policy->established"))
			continue;
		established[i] = r->result;
		check_result(&r->result, i ? SMC_ULP_SERVER : SMC_ULP_CLIENT,
			     i ? SMC_ULP_ORIGIN_ACCEPT : SMC_ULP_ORIGIN_SETSOCKOPT, cookies[i]);
		ASSERT_EQ(r->result.tx_bytes, 0, "bytes sent");
		ASSERT_EQ(r->result.rx_bytes, 0, "bytes received");
		ASSERT_OK(r->result_rc, "bpf_smc_ulp_result");
		ASSERT_EQ(r->kfunc.cookie, cookies[i], "cookie by the kfunc");
		ASSERT_EQ(r->kfunc.lgr_id, r->result.lgr_id, "link group by the kfunc");
	}
	if (cookies[0] && cookies[1]) {
		/* they are each other's peer */
		ASSERT_OK(memcmp(established[0].local_gid, established[1].peer_gid, 16), "GIDs");
		ASSERT_OK(memcmp(established[1].local_gid, established[0].peer_gid, 16), "GIDs");
		ASSERT_EQ(established[0].rcvbuf, established[1].peer_rcvbuf, "buffers");
	}
	{
		struct end a = { .fd = pair.client, .tx_seed = 1, .rx_seed = 2, .tx_len = sent[0],
				 .rx_len = sent[1] };
		struct end b = { .fd = pair.server, .tx_seed = 2, .rx_seed = 1, .tx_len = sent[1],
				 .rx_len = sent[0] };

		run_ends(&a, &b);
	}
	ASSERT_EQ(policy_count(&policy, CB_RELEASE, 0), 0, "release before close");
	msleep(20);
	pair_close(&pair);
	ASSERT_TRUE(WAIT_FOR(policy_count(&policy, CB_RELEASE, 0) == ours, 2000),
		    "release for each of ours");
	for (i = 0; i < 2; i++) {
		if (!cookies[i])
			continue;
		r = policy_record(&policy, CB_RELEASE, cookies[i], 0);
		if (!ASSERT_OK_PTR(r, "policy->release"))
			continue;
		check_result(&r->result, i ? SMC_ULP_SERVER : SMC_ULP_CLIENT,
			     i ? SMC_ULP_ORIGIN_ACCEPT : SMC_ULP_ORIGIN_SETSOCKOPT, cookies[i]);
		ASSERT_EQ(r->result.tx_bytes, sent[i], "bytes sent");
		ASSERT_EQ(r->result.rx_bytes, sent[!i], "bytes received");
		ASSERT_GT(r->result.lifetime_ns, 20000000, "lifetime");
		ASSERT_LT(r->result.lifetime_ns, 60000000000ll, "lifetime");
		ASSERT_EQ(r->result.handshake_ns, established[i].handshake_ns, "a snapshot");
	}
	ASSERT_EQ(policy_count(&policy, CB_ESTABLISHED, 0), ours, "calls of established");
	ASSERT_EQ(policy_count(&policy, CB_FALLBACK, 0), 0, "calls of fallback");
out:
	policy_close(&policy);
}

TEST(policy_results, WORLD_SMC, 60, TEST_NEEDS_ULP)
{
	if (test__start_subtest("ulp_ulp"))
		results(ULP, ULP);
	if (test__start_subtest("smc_ulp"))
		results(SMC, ULP);
	if (test__start_subtest("ulp_smc"))
		results(ULP, SMC);
}

/* The rule that decided is part of what is known of a connection, whichever callback named it. */
static void rule_of(struct policy *policy, struct pair *pair, __u32 client, __u32 server)
{
	const struct record *r;

	r = policy_record(policy, CB_ESTABLISHED, sock_cookie(pair->client), 0);
	if (ASSERT_OK_PTR(r, "established of the client"))
		ASSERT_EQ(r->result.rule, client, "the client's rule");
	r = policy_record(policy, CB_ESTABLISHED, sock_cookie(pair->server), 0);
	if (ASSERT_OK_PTR(r, "established of the server"))
		ASSERT_EQ(r->result.rule, server, "the server's rule");
}

TEST(policy_rules, WORLD_SMCD, 30, TEST_NEEDS_ULP)
{
	const struct record *r;
	struct policy policy;
	struct pair pair;

	if (!policy_open(&policy, true))
		return;
	policy_set(&policy, CB_INIT, SMC_ULP_RULE(SMC_ULP_ALLOW, 1));
	policy_set(&policy, CB_CONNECT, SMC_ULP_RULE(SMC_ULP_ALLOW, SMC_ULP_RULE_MAX));
	policy_set(&policy, CB_LISTEN, SMC_ULP_RULE(SMC_ULP_PASS, 3));
	if (test__start_subtest("smc") && pair_make(&pair, ULP, ULP, V4)) {
		rule_of(&policy, &pair, SMC_ULP_RULE_MAX, 3);
		pair_close(&pair);
	}
	policy_set(&policy, CB_CONNECT, SMC_ULP_ALLOW);
	if (test__start_subtest("none") && pair_make(&pair, ULP, ULP, V4)) {
		rule_of(&policy, &pair, 0, 3);
		pair_close(&pair);
	}
	policy_set(&policy, CB_CONNECT, SMC_ULP_RULE(SMC_ULP_ALLOW, 4));
	if (test__start_subtest("tcp") && pair_make(&pair, TCP, ULP, V4)) {
		r = policy_record(&policy, CB_FALLBACK, sock_cookie(pair.client), 0);
		if (ASSERT_OK_PTR(r, "fallback"))
			ASSERT_EQ(r->result.rule, 4, "rule");
		pair_close(&pair);
	}
	policy_close(&policy);
}

/* --- under traffic -------------------------------------------------------------------------------- */

struct traffic {
	pthread_t thread;
	int n;
	bool stop;
	__u64 attached, connected;
};

static void *make_connections(void *arg)
{
	struct traffic *traffic = arg;
	struct pair pair;
	int lfd;

	while (!__atomic_load_n(&traffic->stop, __ATOMIC_ACQUIRE)) {
		/* a mark limits what the policy counts to these sockets */
		lfd = sock_listen(TCP, V4, 4);
		pair.client = sock_make(TCP, V4);
		pair.server = -1;
		sock_set(pair.client, SOL_SOCKET, SO_MARK, 42);
		if (!ASSERT_OK(ulp_set(pair.client, "smc"), "TCP_ULP"))
			break;
		traffic->attached++;
		if (!ASSERT_OK(sock_connect(pair.client, V4, sock_port(lfd)), "connect"))
			break;
		traffic->connected++;
		pair.server = accept(lfd, NULL, NULL);
		ping_pong(pair.client, pair.server);
		pair_close(&pair);
		sock_close(&lfd);
	}
	return NULL;
}

/* Each verdict is given by exactly one of the two, none is lost. */
static void update_under_traffic(void)
{
	struct traffic traffic[2] = {};
	__u64 attached = 0, connected = 0;
	struct policy policy;
	int i, updates = 0;
	double start;

	if (!policy_open(&policy, true))
		return;
	policy_only_mark(&policy, 42);
	policy_set(&policy, CB_INIT, SMC_ULP_ALLOW);
	for (i = 0; i < 2; i++)
		thread_start(&traffic[i].thread, make_connections, &traffic[i]);
	start = now();
	while (ms_since(start) < 2000) {
		updates++;
		if (!ASSERT_OK(bpf_link__update_map(policy.link, policy_map(&policy, updates & 1)),
			       "update"))
			break;
	}
	for (i = 0; i < 2; i++) {
		__atomic_store_n(&traffic[i].stop, true, __ATOMIC_RELEASE);
		pthread_join(traffic[i].thread, NULL);
		attached += traffic[i].attached;
		connected += traffic[i].connected;
	}
	test__debug("%d updates, %llu connections", updates, (unsigned long long)connected);
	ASSERT_GT(updates, 5, "updates");
	ASSERT_GT(connected, 5, "connections");
	ASSERT_EQ(policy_calls(&policy, 0, CB_INIT) + policy_calls(&policy, 1, CB_INIT), attached,
		  "calls of init");
	ASSERT_EQ(policy_calls(&policy, 0, CB_CONNECT) + policy_calls(&policy, 1, CB_CONNECT),
		  connected, "calls of connect");
	ASSERT_EQ(policy_calls(&policy, 0, CB_FALLBACK) + policy_calls(&policy, 1, CB_FALLBACK),
		  connected, "calls of fallback");
	policy_close(&policy);
}

#define DECISIONS 100000

/*
 * A socket that cannot have SMC and has to: connect(2) asks, and fails before it sends anything.
 * A decision, and nothing else, for each call.
 */
static void *make_decisions(void *arg)
{
	struct traffic *traffic = arg;
	int i, fd = sock_make(TCP, V4), lfd = sock_listen(TCP, V4, 4), port = sock_port(lfd);

	sock_set(fd, SOL_SOCKET, SO_MARK, 42);
	sock_set(fd, SOL_SOCKET, SO_ZEROCOPY, 1);
	ASSERT_OK(ulp_set(fd, "smc"), "TCP_ULP");
	for (i = 0; i < DECISIONS / 2; i++) {
		if (sock_connect(fd, V4, port) != -1 || errno != EOPNOTSUPP)
			break;
		traffic->connected++;
	}
	ASSERT_EQ(traffic->connected, DECISIONS / 2, "decisions");
	__atomic_store_n(&traffic->stop, true, __ATOMIC_RELEASE);
	sock_close(&fd);
	sock_close(&lfd);
	return NULL;
}

static void update_under_decisions(void)
{
	struct traffic traffic[2] = {};
	struct policy policy;
	int i, updates = 0;
	__u64 first, second;

	if (!policy_open(&policy, true))
		return;
	policy_only_mark(&policy, 42);
	policy_set(&policy, CB_CONNECT, SMC_ULP_REQUIRE);
	for (i = 0; i < 2; i++)
		thread_start(&traffic[i].thread, make_decisions, &traffic[i]);
	while (!__atomic_load_n(&traffic[0].stop, __ATOMIC_ACQUIRE) ||
	       !__atomic_load_n(&traffic[1].stop, __ATOMIC_ACQUIRE)) {
		updates++;
		if (!ASSERT_OK(bpf_link__update_map(policy.link, policy_map(&policy, updates & 1)),
			       "update"))
			break;
	}
	for (i = 0; i < 2; i++)
		pthread_join(traffic[i].thread, NULL);
	first = policy_calls(&policy, 0, CB_CONNECT);
	second = policy_calls(&policy, 1, CB_CONNECT);
	test__debug("%d updates, %llu and %llu decisions", updates, (unsigned long long)first,
		    (unsigned long long)second);
	ASSERT_EQ(first + second, DECISIONS, "decisions, by one of the two");
	ASSERT_GT(first, 0, "decisions of the first");
	ASSERT_GT(second, 0, "decisions of the second");
	policy_close(&policy);
}

/* The loader detaches its policy because of what a callback has written, while others run. */
static void detached_by_record(void)
{
	struct traffic traffic = {};
	struct policy policy;
	__u64 calls;
	int i;

	if (!policy_open(&policy, false))
		return;
	policy_only_mark(&policy, 42);
	thread_start(&traffic.thread, make_connections, &traffic);
	for (i = 0; i < 5; i++) {
		policy_forget(&policy);
		policy.link = bpf_map__attach_struct_ops(policy_map(&policy, 0));
		if (!ASSERT_OK_PTR(policy.link, "attach"))
			break;
		ASSERT_TRUE(WAIT_FOR(policy_calls(&policy, 0, CB_CONNECT), 10000), "a callback");
		ASSERT_OK(bpf_link__detach(policy.link), "detach");
		/* complete when the call returns: nothing is counted any more */
		calls = policy_calls(&policy, 0, CB_INIT) + policy_calls(&policy, 0, CB_CONNECT) +
			policy_calls(&policy, 0, CB_FALLBACK);
		msleep(50);
		ASSERT_EQ(policy_calls(&policy, 0, CB_INIT) + policy_calls(&policy, 0, CB_CONNECT) +
			  policy_calls(&policy, 0, CB_FALLBACK), calls, "calls after detach");
		bpf_link__destroy(policy.link);
		policy.link = NULL;
	}
	__atomic_store_n(&traffic.stop, true, __ATOMIC_RELEASE);
	pthread_join(traffic.thread, NULL);
	policy_close(&policy);
}

/* Registered and revoked all the time, while sockets ask. */
static void reattach_under_traffic(void)
{
	struct traffic traffic = {};
	struct policy policy;
	double start;
	int n = 0;

	if (!policy_open(&policy, false))
		return;
	thread_start(&traffic.thread, make_connections, &traffic);
	start = now();
	while (ms_since(start) < 2000) {
		policy.link = bpf_map__attach_struct_ops(policy_map(&policy, n++ & 1));
		if (!ASSERT_OK_PTR(policy.link, "attach"))
			break;
		usleep(rand() % 2000);
		bpf_link__detach(policy.link);
		bpf_link__destroy(policy.link);
		policy.link = NULL;
	}
	__atomic_store_n(&traffic.stop, true, __ATOMIC_RELEASE);
	pthread_join(traffic.thread, NULL);
	ASSERT_GT(n, 5, "policies");
	policy_close(&policy);
}

TEST(policy_traffic, WORLD_SMCD, 120, TEST_NEEDS_ULP)
{
	if (test__start_subtest("update"))
		update_under_traffic();
	if (test__start_subtest("update_100000"))
		update_under_decisions();
	if (test__start_subtest("detached_by_record"))
		detached_by_record();
	if (test__start_subtest("reattach"))
		reattach_under_traffic();
}

/* A policy that comes late is told of the end of connections that were there, and only of that. */
TEST(policy_live_sockets, WORLD_SMCD, 30, TEST_NEEDS_ULP)
{
	struct policy policy;
	const struct record *r;
	struct pair pair;
	__u64 cookie;

	if (!pair_make(&pair, ULP, ULP, V4))
		return;
	ping_pong(pair.client, pair.server);
	if (policy_open(&policy, true)) {
		policy_set(&policy, CB_INIT, SMC_ULP_DENY);
		policy_set(&policy, CB_CONNECT, SMC_ULP_DENY);
		ping_pong(pair.client, pair.server);
		assert_smc(pair.client, 1000);
		cookie = sock_cookie(pair.client);
		pair_close(&pair);
		r = policy_record(&policy, CB_RELEASE, cookie, 0);
		if (ASSERT_OK_PTR(r, "policy->release")) {
			ASSERT_EQ(r->result.tx_bytes, 1000, "bytes sent");
			ASSERT_EQ(r->result.rx_bytes, 1400, "bytes received");
		}
		policy_close(&policy);
	}
	pair_close(&pair);
}
