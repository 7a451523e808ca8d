// SPDX-License-Identifier: GPL-2.0-only
/*
 * REQUIRE: SMC or nothing. The program gets an error where it would have got TCP, at connect and at
 * listen, again and again; and SMC where there is SMC.
 */
#include <arpa/inet.h>

#include "cgroup_helpers.h"
#include "policy_helpers.h"
#include "tcp_features.h"

#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#endif
#ifndef MSG_FASTOPEN
#define MSG_FASTOPEN 0x20000000
#endif

#define SYNCOOKIES "/proc/sys/net/ipv4/tcp_syncookies"

/* --- connect --------------------------------------------------------------------------------- */

/* The peer does not speak SMC. The same socket may try again, and is refused again. */
static void no_smc(struct policy *policy, enum addr addr)
{
	int lfd = sock_listen(TCP, addr, 4), fd = sock_make(ULP, addr), child, i;

	for (i = 0; i < 3; i++) {
		policy_forget(policy);
		ASSERT_ERRNO(sock_connect(fd, addr, sock_port(lfd)), ECONNABORTED, "connect");
		ASSERT_EQ(policy_calls(policy, 0, CB_CONNECT), 1, "calls of connect");
		ASSERT_EQ(policy_calls(policy, 0, CB_FALLBACK), 1, "calls of fallback");
		ASSERT_STREQ(ulp_name(fd), "smc", "TCP_ULP");
		child = accept(lfd, NULL, NULL);
		ASSERT_TRUE(poll_fd(child, POLLIN, 3000), "the peer is told");
		ASSERT_ERRNO(recv(child, &(char){ 0 }, 1, 0), ECONNRESET, "the peer is reset");
		sock_close(&child);
	}
	/* and to one that does */
	sock_close(&lfd);
	lfd = sock_listen(ULP, addr, 4);
	ASSERT_OK(sock_connect(fd, addr, sock_port(lfd)), "connect to a peer with SMC");
	child = accept(lfd, NULL, NULL);
	ping_pong(fd, child);
	assert_smc(fd, 500);
	sock_close(&child);
	sock_close(&lfd);
	sock_close(&fd);
}

static bool is_over(int fd, int lfd)
{
	return sock_connect(fd, V4, sock_port(lfd)) && errno != EALREADY;
}

static void no_smc_nonblock(void)
{
	int lfd = sock_listen(TCP, V4, 4), fd = sock_make(ULP, V4), i;

	set_nonblock(fd, true);
	for (i = 0; i < 2; i++) {
		ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), EINPROGRESS, "connect");
		ASSERT_TRUE(poll_fd(fd, POLLOUT, 3000) & POLLERR, "POLLERR");
		ASSERT_EQ(sock_error(fd), ECONNABORTED, "SO_ERROR");
		/*
		 * Tells of the end of the last one, and lets the next begin. The error may be there
		 * an instant before the handshake is over: EALREADY.
		 */
		ASSERT_TRUE(WAIT_FOR(is_over(fd, lfd), 3000), "the end of the last one");
		ASSERT_EQ(errno, ECONNABORTED, "connect");
	}
	sock_close(&lfd);
	sock_close(&fd);
}

/* Attached by a program inside connect(2), which returns before the outcome is known. */
static void inside_connect(void)
{
	int lfd = sock_listen(TCP, V4, 4), fd;
	struct attacher attacher;

	if (!attacher_open(&attacher, "require", HOOK_CONNECT))
		return;
	cgroup_join("require");
	fd = sock_make(TCP, V4);
	cgroup_join(NULL);
	sock_connect(fd, V4, sock_port(lfd));
	ASSERT_TRUE(poll_fd(fd, POLLIN, 3000) & POLLERR, "POLLERR");
	ASSERT_EQ(sock_error(fd), ECONNABORTED, "SO_ERROR");
	sock_close(&fd);
	sock_close(&lfd);
	attacher_close(&attacher);
}

static void declined(void)
{
	struct clc_peer peer = {};
	int lfd, fd, child;

	if (!clc_peer_open(&peer))
		return;
	lfd = clc_peer_listen(&peer, V4);
	fd = sock_make(ULP, V4);
	set_nonblock(fd, true);
	ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), EINPROGRESS, "connect");
	child = accept(lfd, NULL, NULL);
	ASSERT_EQ(clc_recv(child), CLC_PROPOSAL, "proposal");
	clc_send_decline(child, 0x03070000);
	ASSERT_TRUE(poll_fd(fd, POLLOUT, 3000) & POLLERR, "POLLERR");
	ASSERT_EQ(sock_error(fd), ECONNABORTED, "SO_ERROR");
	sock_close(&child);
	sock_close(&fd);
	sock_close(&lfd);
	clc_peer_close(&peer);
}

/* The socket cannot have SMC: no SYN is sent. */
static void ineligible(struct policy *policy)
{
	int lfd = sock_listen(ULP, V4, 4), fd = sock_make(ULP, V4), child;
	struct sockaddr_storage sa;
	socklen_t len = loopback(&sa, V4, sock_port(lfd));

	ASSERT_OK(sock_set(fd, SOL_SOCKET, SO_ZEROCOPY, 1), "SO_ZEROCOPY");
	ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), EOPNOTSUPP, "connect");
	ASSERT_ERRNO(sendto(fd, "x", 1, MSG_FASTOPEN, (void *)&sa, len), EOPNOTSUPP, "fast open");
	set_nonblock(lfd, true);
	ASSERT_ERRNO(accept(lfd, NULL, NULL), EAGAIN, "nothing was sent");
	set_nonblock(lfd, false);
	ASSERT_OK(sock_set(fd, SOL_SOCKET, SO_ZEROCOPY, 0), "SO_ZEROCOPY");
	ASSERT_OK(sock_connect(fd, V4, sock_port(lfd)), "connect");
	child = accept(lfd, NULL, NULL);
	ping_pong(fd, child);
	assert_smc(fd, 500);
	sock_close(&child);
	sock_close(&fd);

	/* what is no REQUIRE is TCP */
	policy_set(policy, CB_CONNECT, SMC_ULP_ALLOW);
	fd = sock_make(ULP, V4);
	ASSERT_OK(sock_set(fd, SOL_SOCKET, SO_ZEROCOPY, 1), "SO_ZEROCOPY");
	ASSERT_OK(sock_connect(fd, V4, sock_port(lfd)), "connect");
	ASSERT_STREQ(ulp_name(fd), "", "TCP_ULP");
	policy_set(policy, CB_CONNECT, SMC_ULP_REQUIRE);
	sock_close(&fd);
	sock_close(&lfd);
}

/* Nobody is there: what TCP says, and the policy is asked the next time. */
static void refused(struct policy *policy)
{
	int lfd = sock_listen(TCP, V4, 4), fd = sock_make(ULP, V4), port = sock_port(lfd);

	sock_close(&lfd);
	policy_forget(policy);
	ASSERT_ERRNO(sock_connect(fd, V4, port), ECONNREFUSED, "connect");
	ASSERT_ERRNO(sock_connect(fd, V4, port), ECONNREFUSED, "connect");
	ASSERT_EQ(policy_calls(policy, 0, CB_CONNECT), 2, "calls of connect");
	sock_close(&fd);
}

TEST(require_connect, WORLD_SMCD, 90, TEST_NEEDS_ULP)
{
	struct policy policy;
	enum addr addr;

	if (!policy_open(&policy, true))
		return;
	policy_set(&policy, CB_CONNECT, SMC_ULP_REQUIRE);
	for (addr = V4; addr <= MAPPED; addr++)
		if (test__start_subtestf("no_smc_%s", addr_str(addr)))
			no_smc(&policy, addr);
	if (test__start_subtest("no_smc_nonblock"))
		no_smc_nonblock();
	if (test__start_subtest("inside_connect"))
		inside_connect();
	if (test__start_subtest("declined"))
		declined();
	if (test__start_subtest("ineligible"))
		ineligible(&policy);
	if (test__start_subtest("refused"))
		refused(&policy);
	policy_close(&policy);
}

/* Both ends speak SMC and have no device in common. */
TEST(require_no_device, WORLD_NONE, 30, TEST_NEEDS_ULP)
{
	struct policy policy;
	int lfd, fd;

	if (!policy_open(&policy, true))
		return;
	lfd = sock_listen(ULP, V4, 4);
	fd = sock_make(ULP, V4);
	if (test__start_subtest("client")) {
		policy_set(&policy, CB_CONNECT, SMC_ULP_REQUIRE);
		ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), ECONNABORTED, "connect");
		policy_set(&policy, CB_CONNECT, SMC_ULP_PASS);
	}
	sock_close(&lfd);
	sock_close(&fd);
	if (test__start_subtest("server")) {
		policy_set(&policy, CB_LISTEN, SMC_ULP_REQUIRE);
		lfd = sock_listen(ULP, V4, 4);
		fd = sock_make(ULP, V4);
		sock_connect(fd, V4, sock_port(lfd));
		ASSERT_TRUE(poll_fd(fd, POLLIN, 5000), "the client is told");
		ASSERT_NEQ(recv(fd, &(char){ 0 }, 1, 0), 1, "the client is reset");
		set_nonblock(lfd, true);
		ASSERT_ERRNO(accept(lfd, NULL, NULL), EAGAIN, "nothing to accept");
		sock_close(&lfd);
		sock_close(&fd);
	}
	policy_close(&policy);
}

/* --- listen ---------------------------------------------------------------------------------- */

static void assert_refused(int lfd, enum kind kind, enum addr addr, const char *who)
{
	ASSERT_ERRNO(sock_connect_to(lfd, kind, addr), ECONNREFUSED, who);
}

static void assert_served(int lfd, enum addr addr)
{
	struct pair pair = { -1, sock_connect_to(lfd, ULP, addr) };

	if (ASSERT_OK_FD(pair.client, "a client with SMC")) {
		pair.server = accept(lfd, NULL, NULL);
		ping_pong(pair.client, pair.server);
		assert_smc(pair.client, 500);
	}
	pair_close(&pair);
}

static void assert_nothing_to_accept(int lfd)
{
	set_nonblock(lfd, true);
	ASSERT_ERRNO(accept(lfd, NULL, NULL), EAGAIN, "nothing to accept");
	set_nonblock(lfd, false);
}

static void server(struct policy *policy, enum addr addr)
{
	int lfd = sock_listen(ULP, addr, 4);

	assert_refused(lfd, TCP, addr, "a plain client");
	assert_served(lfd, addr);
	policy_set(policy, CB_SYN, SMC_ULP_DENY);
	assert_refused(lfd, ULP, addr, "one that the policy denies");
	policy_set(policy, CB_SYN, SMC_ULP_PASS);
	assert_served(lfd, addr);
	/* the program uses what SMC does not have */
	ASSERT_OK(sock_set(lfd, SOL_SOCKET, SO_ZEROCOPY, 1), "SO_ZEROCOPY");
	assert_refused(lfd, ULP, addr, "the listener cannot");
	ASSERT_OK(sock_set(lfd, SOL_SOCKET, SO_ZEROCOPY, 0), "SO_ZEROCOPY");
	assert_served(lfd, addr);
	assert_nothing_to_accept(lfd);
	/* another listen(2) is the same listener */
	shutdown(lfd, SHUT_RDWR);
	ASSERT_OK(listen(lfd, 4), "listen again");
	assert_refused(lfd, TCP, addr, "a plain client");
	assert_served(lfd, addr);
	sock_close(&lfd);
}

static void cookies(enum addr addr)
{
	long before = read_long(SYNCOOKIES);
	int lfd = sock_listen(ULP, addr, 4);

	write_file(SYNCOOKIES, "2");
	assert_refused(lfd, ULP, addr, "a cookie would be sent");
	write_file(SYNCOOKIES, before == 2 ? "2" : before == 1 ? "1" : "0");
	assert_served(lfd, addr);
	sock_close(&lfd);
}

static void declined_by_client(void)
{
	struct clc_peer peer = {};
	int lfd, fd;

	if (!clc_peer_open(&peer))
		return;
	lfd = sock_listen(ULP, V4, 4);
	fd = clc_peer_socket(&peer, V4);
	ASSERT_OK(sock_connect(fd, V4, sock_port(lfd)), "connect");
	clc_send_decline(fd, 0x03070000);
	ASSERT_TRUE(poll_fd(fd, POLLIN, 3000), "the peer is told");
	ASSERT_ERRNO(recv(fd, &(char){ 0 }, 1, 0), ECONNRESET, "the peer is reset");
	assert_nothing_to_accept(lfd);
	assert_served(lfd, V4);
	sock_close(&fd);
	sock_close(&lfd);
	clc_peer_close(&peer);
}

/* listen(2) fails, and may be tried again */
static void cannot_listen(void)
{
	int taken = sock_listen(TCP, V4, 4), fd = sock_make(ULP, V4);
	struct sockaddr_storage sa;
	socklen_t len = loopback(&sa, V4, 0);

	ASSERT_OK(bind(fd, (void *)&sa, len), "bind");
	ASSERT_OK(sock_set(fd, SOL_SOCKET, SO_ZEROCOPY, 1), "SO_ZEROCOPY");
	ASSERT_ERRNO(listen(fd, 4), EOPNOTSUPP, "listen");
	ASSERT_ERRNO(listen(fd, 4), EOPNOTSUPP, "listen");
	ASSERT_STREQ(ulp_name(fd), "smc", "TCP_ULP");
	ASSERT_OK(sock_set(fd, SOL_SOCKET, SO_ZEROCOPY, 0), "SO_ZEROCOPY");
	ASSERT_OK(listen(fd, 4), "listen");
	assert_refused(fd, TCP, V4, "a plain client");
	assert_served(fd, V4);
	sock_close(&fd);

	/* TCP cannot: both are bound with SO_REUSEADDR, and one of them listens */
	fd = sock_make(ULP, V4);
	sock_close(&taken);
	taken = sock_make(TCP, V4);
	sock_set(taken, SOL_SOCKET, SO_REUSEADDR, 1);
	sock_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	ASSERT_OK(bind(taken, (void *)&sa, len), "bind");
	len = loopback(&sa, V4, sock_port(taken));
	ASSERT_OK(bind(fd, (void *)&sa, len), "bind");
	ASSERT_OK(listen(taken, 4), "listen");
	ASSERT_ERRNO(listen(fd, 4), EADDRINUSE, "listen");
	sock_close(&taken);
	ASSERT_OK(listen(fd, 4), "listen");
	assert_refused(fd, TCP, V4, "a plain client");
	assert_served(fd, V4);
	sock_close(&fd);
}

TEST(require_listen, WORLD_SMCD, 90, TEST_NEEDS_ULP)
{
	struct policy policy;
	enum addr addr;

	if (!policy_open(&policy, true))
		return;
	policy_set(&policy, CB_LISTEN, SMC_ULP_REQUIRE);
	for (addr = V4; addr <= MAPPED; addr++) {
		if (test__start_subtestf("server_%s", addr_str(addr)))
			server(&policy, addr);
		if (test__start_subtestf("cookies_%s", addr_str(addr)))
			cookies(addr);
	}
	if (test__start_subtest("declined"))
		declined_by_client();
	if (test__start_subtest("cannot_listen"))
		cannot_listen();
	policy_close(&policy);
}
