// SPDX-License-Identifier: GPL-2.0-only
/*
 * A connection that does not become SMC is TCP as if the ULP had never been there (docs/design.rst: I2):
 * no ULP, no SMC socket, kTLS and zero copy work. Broken by ops, callbacks, SOCK_SUPPORT_ZC or the
 * ULP slot that are not put back.
 */
#include <fcntl.h>

#include "policy_helpers.h"
#include "tcp_features.h"

static long refs(const char *module)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", module);
	return read_long(path);
}

/* The peer is plain TCP. */
static void plain_peer(enum kind server, enum kind client, enum addr addr)
{
	long smc = refs("smc");
	struct policy policy;
	const struct record *r;
	struct pair pair;
	int fd;

	if (!policy_open(&policy, true))
		return;
	if (!pair_make(&pair, server, client, addr))
		goto out;
	/* the hidden listener goes a little after ours */
	ASSERT_TRUE(WAIT_FOR(refs("smc") == smc, 2000), "no SMC socket (references on smc.ko)");
	fd = client == ULP ? pair.client : pair.server;
	if (client == ULP) {
		/* smc_clc.h: SMC_CLC_DECL_PEERNOSMC */
		r = policy_record(&policy, CB_FALLBACK, sock_cookie(fd), 0);
		if (ASSERT_OK_PTR(r, "policy->fallback")) {
			ASSERT_EQ(r->result.reason, REASON_PEER_NO_SMC, "reason");
			ASSERT_EQ(r->result.mode, SMC_ULP_MODE_TCP, "mode");
			ASSERT_EQ(r->result.role, SMC_ULP_CLIENT, "role");
			ASSERT_EQ(r->result.cookie, sock_cookie(fd), "cookie");
		}
		ASSERT_EQ(policy_count(&policy, CB_FALLBACK, 0), 1, "calls of fallback");
	} else {
		/* a plain client never asked for SMC: nothing fell back */
		ASSERT_EQ(policy_count(&policy, CB_FALLBACK, 0), 0, "calls of fallback");
	}
	ASSERT_EQ(policy_count(&policy, CB_ESTABLISHED, 0), 0, "calls of established");
	is_plain_tcp(pair.client, pair.server);
	pair_close(&pair);
	ASSERT_EQ(policy_count(&policy, CB_RELEASE, 0), 0, "calls of release");
out:
	policy_close(&policy);
}

TEST(fallback_plain_peer, WORLD_ALL, 60, TEST_NEEDS_ULP)
{
	enum addr addr;

	for (addr = V4; addr <= MAPPED; addr++) {
		if (test__start_subtestf("ulp_client_%s", addr_str(addr)))
			plain_peer(TCP, ULP, addr);
		if (test__start_subtestf("ulp_server_%s", addr_str(addr)))
			plain_peer(ULP, TCP, addr);
	}
}

/* A peer that speaks the option and declines in CLC: our client. */
static void declined_client(enum addr addr, bool nonblock)
{
	int lfd = -1, fd = -1, child = -1;
	struct clc_peer peer = {};
	struct policy policy;
	const struct record *r;
	struct identity id;

	if (!policy_open(&policy, true))
		return;
	if (!clc_peer_open(&peer))
		goto out;
	lfd = clc_peer_listen(&peer, addr);
	fd = sock_make(ULP, addr);
	if (!ASSERT_OK_FD(lfd, "listen") || !ASSERT_OK_FD(fd, "socket"))
		goto out;
	/* the peer has to answer while connect() waits */
	set_nonblock(fd, true);
	identity_read(fd, &id);
	if (!ASSERT_ERRNO(sock_connect(fd, addr, sock_port(lfd)), EINPROGRESS, "connect"))
		goto out;
	child = accept(lfd, NULL, NULL);
	if (!ASSERT_OK_FD(child, "accept") ||
	    !ASSERT_EQ(clc_recv(child), CLC_PROPOSAL, "first message"))
		goto out;
	ASSERT_EQ(peer.skel->bss->syns_with_option, 1, "SYNs with the SMC option");
	if (!ASSERT_OK(clc_send_decline(child, 0x03070000), "decline"))
		goto out;
	if (!nonblock) {
		/* a blocking call that comes now waits for the end of the handshake */
		set_nonblock(fd, false);
		id.flags &= ~O_NONBLOCK;
		if (send_pattern(fd, 5, 0, 1000) || recv_pattern(child, 5, 0, 1000))
			goto out;
	} else {
		if (!ASSERT_EQ(poll_fd(fd, POLLOUT, 3000), POLLOUT, "connected"))
			goto out;
		ASSERT_EQ(sock_error(fd), 0, "SO_ERROR");
		set_nonblock(fd, false);
		id.flags &= ~O_NONBLOCK;
	}
	identity_same(fd, &id, "after a CLC decline");
	r = policy_record(&policy, CB_FALLBACK, sock_cookie(fd), 0);
	if (ASSERT_OK_PTR(r, "policy->fallback")) {
		/* without a device it is our side that declines */
		if (env.world == WORLD_NONE) {
			ASSERT_EQ(r->result.reason, REASON_NO_DEVICE, "reason");
		} else {
			ASSERT_EQ(r->result.reason, REASON_PEER_DECLINED, "reason");
			ASSERT_EQ(r->result.peer_diagnosis, 0x03070000, "peer's diagnosis");
		}
	}
	is_plain_tcp(fd, child);
out:
	sock_close(&fd);
	sock_close(&child);
	sock_close(&lfd);
	clc_peer_close(&peer);
	policy_close(&policy);
}

/* The same for a child of our listener. */
static void declined_server(enum addr addr)
{
	int lfd = -1, fd = -1, child = -1;
	struct clc_peer peer = {};
	struct policy policy;
	const struct record *r;

	if (!policy_open(&policy, true))
		return;
	if (!clc_peer_open(&peer))
		goto out;
	lfd = sock_listen(ULP, addr, 4);
	fd = clc_peer_socket(&peer, addr);
	if (!ASSERT_OK_FD(lfd, "listen") || !ASSERT_OK_FD(fd, "socket") ||
	    !ASSERT_OK(sock_connect(fd, addr, sock_port(lfd)), "connect"))
		goto out;
	ASSERT_EQ(poll_fd(lfd, POLLIN, 100), 0, "nothing to accept during the handshake");
	if (!ASSERT_OK(clc_send_decline(fd, 0x03020000), "decline"))
		goto out;
	child = accept(lfd, NULL, NULL);
	if (!ASSERT_OK_FD(child, "accept"))
		goto out;
	r = policy_record(&policy, CB_FALLBACK, sock_cookie(child), 0);
	if (ASSERT_OK_PTR(r, "policy->fallback")) {
		ASSERT_EQ(r->result.reason, REASON_PEER_DECLINED, "reason");
		ASSERT_EQ(r->result.peer_diagnosis, 0x03020000, "peer's diagnosis");
		ASSERT_EQ(r->result.role, SMC_ULP_SERVER, "role");
		ASSERT_EQ(r->result.origin, SMC_ULP_ORIGIN_ACCEPT, "origin");
	}
	is_plain_tcp(child, fd);
out:
	sock_close(&fd);
	sock_close(&child);
	sock_close(&lfd);
	clc_peer_close(&peer);
	policy_close(&policy);
}

TEST(fallback_declined, WORLD_SMCD | WORLD_NONE, 60, TEST_NEEDS_ULP)
{
	enum addr addr;

	for (addr = V4; addr <= V6; addr++) {
		if (env.world == WORLD_SMCD) {
			if (test__start_subtestf("client_nonblocking_%s", addr_str(addr)))
				declined_client(addr, true);
			if (test__start_subtestf("client_blocking_%s", addr_str(addr)))
				declined_client(addr, false);
		}
		if (test__start_subtestf("server_%s", addr_str(addr)))
			declined_server(addr);
	}
}

/* Both ends are ours, or one is native, and there is no device: both become plain TCP. */
TEST(fallback_no_device, WORLD_NONE, 60, TEST_NEEDS_ULP)
{
	struct policy policy;
	const struct record *r;
	struct pair pair;
	enum addr addr;

	for (addr = V4; addr <= MAPPED; addr++) {
		if (!test__start_subtestf("both_%s", addr_str(addr)) ||
		    !policy_open(&policy, true))
			continue;
		if (pair_make(&pair, ULP, ULP, addr)) {
			r = policy_record(&policy, CB_FALLBACK, sock_cookie(pair.client), 0);
			if (ASSERT_OK_PTR(r, "policy->fallback of the client"))
				ASSERT_EQ(r->result.reason, REASON_NO_DEVICE, "reason");
			r = policy_record(&policy, CB_FALLBACK, sock_cookie(pair.server), 0);
			if (ASSERT_OK_PTR(r, "policy->fallback of the server")) {
				ASSERT_EQ(r->result.reason, REASON_PEER_DECLINED, "reason");
				ASSERT_EQ(r->result.peer_diagnosis, REASON_NO_DEVICE,
					  "peer's diagnosis");
			}
			is_plain_tcp(pair.client, pair.server);
			pair_close(&pair);
		}
		policy_close(&policy);
	}
	if (test__start_subtest("native_client") && pair_make(&pair, ULP, SMC, V4)) {
		ASSERT_STREQ(ulp_name(pair.server), "", "TCP_ULP");
		ping_pong(pair.server, pair.client);
		assert_tcp(pair.server, 500);
		pair_close(&pair);
	}
	if (test__start_subtest("native_server") && pair_make(&pair, SMC, ULP, V4)) {
		ASSERT_STREQ(ulp_name(pair.client), "", "TCP_ULP");
		ping_pong(pair.client, pair.server);
		assert_tcp(pair.client, 500);
		pair_close(&pair);
	}
}
