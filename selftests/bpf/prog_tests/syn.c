// SPDX-License-Identifier: GPL-2.0-only
/*
 * Verdicts about SYNs: the policy sees who connects, and says whether SMC is offered. What makes
 * that possible, the listener's copy of icsk_af_ops, is no other socket's.
 */
#include <arpa/inet.h>
#include <sys/syscall.h>

#include "af_ops.skel.h"
#include "policy_helpers.h"
#include "tcp_features.h"

/* A connection from @client to a new listener of ours. */
static bool connect_pair(struct pair *pair, int lfd, enum kind client, enum addr addr)
{
	pair->server = -1;
	pair->client = sock_connect_to(lfd, client, addr);
	if (ASSERT_OK_FD(pair->client, "connect"))
		pair->server = accept(lfd, NULL, NULL);
	return ASSERT_OK_FD(pair->server, "accept");
}

static void check_tuple(struct policy *policy, const struct pair *pair, int lfd, enum addr addr)
{
	const struct record *r = policy_record(policy, CB_SYN, sock_cookie(lfd), 0);
	struct in6_addr one = IN6ADDR_LOOPBACK_INIT;

	if (!ASSERT_OK_PTR(r, "policy->syn"))
		return;
	ASSERT_EQ(r->tuple.role, SMC_ULP_SERVER, "role");
	ASSERT_EQ(r->tuple.local_port, sock_port(lfd), "local port");
	ASSERT_EQ(r->tuple.remote_port, sock_port(pair->client), "remote port");
	ASSERT_EQ(r->tuple.family, addr == V6 ? AF_INET6 : AF_INET, "family");
	if (addr == V6) {
		ASSERT_OK(memcmp(r->tuple.local_addr, &one, 16), "local address");
		ASSERT_OK(memcmp(r->tuple.remote_addr, &one, 16), "remote address");
	} else {
		ASSERT_EQ(ntohl(r->tuple.local_addr[0]), INADDR_LOOPBACK, "local address");
		ASSERT_EQ(ntohl(r->tuple.remote_addr[0]), INADDR_LOOPBACK, "remote address");
		ASSERT_FALSE(r->tuple.remote_addr[1] || r->tuple.remote_addr[3], "the rest");
	}
}

static const struct {
	const char *name;
	int verdict;
	bool denied;
} verdicts[] = {
	{ "pass", SMC_ULP_PASS, false },
	{ "allow", SMC_ULP_RULE(SMC_ULP_ALLOW, 70000), false },
	{ "deny", SMC_ULP_DENY, true },
	{ "require", SMC_ULP_REQUIRE, true },
	{ "minus_1", -1, true },
};

TEST(syn_verdicts, WORLD_SMCD, 60, TEST_NEEDS_ULP)
{
	const struct record *r;
	struct policy policy;
	struct pair pair;
	unsigned int i;
	enum addr addr;
	int lfd;

	if (!policy_open(&policy, true))
		return;
	policy_set(&policy, CB_LISTEN, SMC_ULP_RULE(SMC_ULP_ALLOW, 5));
	for (addr = V4; addr <= MAPPED; addr++) {
		for (i = 0; i < ARRAY_SIZE(verdicts); i++) {
			if (!test__start_subtestf("%s_%s", verdicts[i].name, addr_str(addr)))
				continue;
			policy_forget(&policy);
			policy_set(&policy, CB_SYN, verdicts[i].verdict);
			lfd = sock_listen(ULP, addr, 4);
			if (connect_pair(&pair, lfd, ULP, addr)) {
				ping_pong(pair.client, pair.server);
				assert_outcome(!verdicts[i].denied, pair.client, 500);
				check_tuple(&policy, &pair, lfd, addr);
			}
			ASSERT_EQ(policy_calls(&policy, 0, CB_SYN), 1, "calls of syn");
			r = verdicts[i].denied ? NULL :
			    policy_record(&policy, CB_ESTABLISHED, sock_cookie(pair.server), 0);
			if (r)
				ASSERT_EQ(r->result.rule, verdicts[i].verdict >> 8 ?: 5, "rule");
			pair_close(&pair);
			sock_close(&lfd);
		}
		if (test__start_subtestf("plain_client_%s", addr_str(addr))) {
			policy_forget(&policy);
			lfd = sock_listen(ULP, addr, 4);
			if (connect_pair(&pair, lfd, TCP, addr))
				is_plain_tcp(pair.client, pair.server);
			ASSERT_EQ(policy_calls(&policy, 0, CB_SYN), 0, "calls of syn");
			pair_close(&pair);
			sock_close(&lfd);
		}
	}
	policy_close(&policy);
}

/* One listener, several peers: each SYN is decided about by itself. */
TEST(syn_each, WORLD_SMCD, 30, TEST_NEEDS_ULP)
{
	struct policy policy;
	struct pair pair;
	int i, lfd;

	if (!policy_open(&policy, true))
		return;
	lfd = sock_listen(ULP, V4, 4);
	for (i = 0; i < 6; i++) {
		policy_set(&policy, CB_SYN, i & 1 ? SMC_ULP_DENY : SMC_ULP_ALLOW);
		if (connect_pair(&pair, lfd, ULP, V4)) {
			ping_pong(pair.client, pair.server);
			assert_outcome(!(i & 1), pair.client, 500);
		}
		pair_close(&pair);
	}
	ASSERT_EQ(policy_calls(&policy, 0, CB_SYN), 6, "calls of syn");
	sock_close(&lfd);
	policy_close(&policy);
}

/* --- icsk_af_ops ----------------------------------------------------------------------------- */

static __u64 af_ops_of(struct af_ops *skel, int fd)
{
	struct tcp_info info;

	skel->bss->tid = syscall(SYS_gettid);
	skel->bss->af_ops = 0;
	tcp_info(fd, &info);
	skel->bss->tid = 0;
	return skel->bss->af_ops;
}

/* What a child of a plain listener has is what ours must have, SMC or not. */
static void children(struct af_ops *skel, enum addr addr)
{
	struct pair plain, pair;
	__u64 tcp, listener;
	enum kind client;
	int lfd;

	if (!pair_make(&plain, TCP, TCP, addr))
		return;
	tcp = af_ops_of(skel, plain.server);
	pair_close(&plain);
	ASSERT_NEQ(tcp, 0, "the program looks");
	lfd = sock_listen(ULP, addr, 4);
	listener = af_ops_of(skel, lfd);
	ASSERT_NEQ(listener, tcp, "a listener of ours has its own");
	for (client = TCP; client <= ULP; client++) {
		if (connect_pair(&pair, lfd, client, addr)) {
			ping_pong(pair.client, pair.server);
			ASSERT_EQ(af_ops_of(skel, pair.server), tcp, "of a child");
		}
		pair_close(&pair);
	}
	ASSERT_EQ(af_ops_of(skel, lfd), listener, "the listener still has them");
	/* it ends, begins again, and ends as a client */
	shutdown(lfd, SHUT_RDWR);
	ASSERT_OK(listen(lfd, 4), "listen again");
	if (connect_pair(&pair, lfd, ULP, addr))
		ASSERT_EQ(af_ops_of(skel, pair.server), tcp, "of a child");
	pair_close(&pair);
	shutdown(lfd, SHUT_RDWR);
	if (ASSERT_OK_FD(plain.server = sock_listen(TCP, addr, 4), "another listener")) {
		ASSERT_OK(sock_connect(lfd, addr, sock_port(plain.server)), "connect");
		ASSERT_EQ(af_ops_of(skel, lfd), tcp, "connected");
		ASSERT_STREQ(ulp_name(lfd), "", "TCP_ULP");
	}
	sock_close(&plain.server);
	sock_close(&lfd);
}

/* IPv6 for all addresses: children by both families. */
static void dual_stack(struct af_ops *skel)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	int lfd = sock_make(ULP, V6);
	struct pair pair, plain;
	struct policy policy;
	__u64 tcp;

	if (!policy_open(&policy, true))
		return;
	ASSERT_OK(bind(lfd, (void *)&any, sizeof(any)), "bind");
	ASSERT_OK(listen(lfd, 4), "listen");
	if (connect_pair(&pair, lfd, ULP, V4)) {
		ping_pong(pair.client, pair.server);
		assert_smc(pair.client, 500);
		check_tuple(&policy, &pair, lfd, V4);
		if (pair_make(&plain, TCP, TCP, MAPPED)) {
			tcp = af_ops_of(skel, plain.server);
			ASSERT_EQ(af_ops_of(skel, pair.server), tcp, "of a v4 child");
			pair_close(&plain);
		}
	}
	pair_close(&pair);
	policy_forget(&policy);
	if (connect_pair(&pair, lfd, ULP, V6)) {
		ping_pong(pair.client, pair.server);
		assert_smc(pair.client, 500);
		check_tuple(&policy, &pair, lfd, V6);
	}
	pair_close(&pair);
	sock_close(&lfd);
	policy_close(&policy);
}

/* An IPv6 socket that was connected to an IPv4 address, and listens then. */
static void was_mapped(struct af_ops *skel)
{
	struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
	struct pair pair, plain = { -1, -1 };
	int lfd = sock_make(TCP, MAPPED);
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	__u64 tcp;

	if (!pair_make(&plain, TCP, TCP, V6))
		return;
	tcp = af_ops_of(skel, plain.server);
	pair_close(&plain);
	plain.server = sock_listen(TCP, MAPPED, 4);
	ASSERT_OK(sock_connect(lfd, MAPPED, sock_port(plain.server)), "connect");
	ASSERT_OK(connect(lfd, (void *)&sa, sizeof(sa)), "AF_UNSPEC");
	ASSERT_OK(ulp_set(lfd, "smc"), "TCP_ULP");
	ASSERT_OK(bind(lfd, (void *)&any, sizeof(any)), "bind");
	ASSERT_OK(listen(lfd, 4), "listen");
	if (connect_pair(&pair, lfd, ULP, V6)) {
		ping_pong(pair.client, pair.server);
		ASSERT_EQ(af_ops_of(skel, pair.server), tcp, "of a v6 child");
	}
	pair_close(&pair);
	sock_close(&plain.server);
	sock_close(&lfd);
}

TEST(syn_af_ops, WORLD_SMCD, 60, TEST_NEEDS_ULP)
{
	struct af_ops *skel;
	enum addr addr;

	libbpf_quiet();
	skel = af_ops__open_and_load();
	if (!ASSERT_OK_PTR(skel, "load"))
		return;
	if (ASSERT_OK(af_ops__attach(skel), "attach")) {
		for (addr = V4; addr <= MAPPED; addr++)
			if (test__start_subtestf("children_%s", addr_str(addr)))
				children(skel, addr);
		if (test__start_subtest("dual_stack"))
			dual_stack(skel);
		if (test__start_subtest("was_mapped"))
			was_mapped(skel);
	}
	af_ops__destroy(skel);
}
