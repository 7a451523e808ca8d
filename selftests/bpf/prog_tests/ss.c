// SPDX-License-Identifier: GPL-2.0-only
/*
 * ss -ti of an unmodified iproute2 shows which sockets have the ULP: listeners, connections whose
 * handshake runs, those over SMC; and nothing of those that are plain TCP.
 */
#include "policy_helpers.h"

/* What ss says of the TCP sockets with local port @port */
static const char *ss(int port)
{
	static char text[8192];
	char command[128];
	size_t len;
	FILE *f;

	snprintf(command, sizeof(command), "ss -Htiane 'sport = :%d' 2>&1", port);
	f = popen(command, "r");
	len = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	text[len] = 0;
	if (f)
		pclose(f);
	return text;
}

static bool shown(int port)
{
	return strstr(ss(port), " tcp-ulp-smc");
}

static void connected(void)
{
	int lfd = sock_listen(ULP, V4, 4), fd = sock_make(ULP, V4), child = -1;

	ASSERT_TRUE(shown(sock_port(lfd)), "a listener has it");
	ASSERT_OK(sock_connect(fd, V4, sock_port(lfd)), "connect");
	child = accept(lfd, NULL, NULL);
	ping_pong(fd, child);
	if (env.world == WORLD_NONE) {
		ASSERT_HAS_SUBSTR(ss(sock_port(fd)), "ESTAB", "it is there");
		ASSERT_FALSE(shown(sock_port(fd)), "nothing is left after a fallback");
	} else {
		ASSERT_TRUE(shown(sock_port(fd)), "a client over SMC has it");
		/* the server's end has the listener's port: look at it alone */
		sock_close(&lfd);
		ASSERT_TRUE(shown(sock_port(child)), "a server over SMC has it");
	}
	sock_close(&child);
	sock_close(&fd);
	sock_close(&lfd);
}

static void plain_peer(void)
{
	struct pair pair;

	if (!pair_make(&pair, TCP, ULP, V4))
		return;
	ASSERT_HAS_SUBSTR(ss(sock_port(pair.client)), "ESTAB", "it is there");
	ASSERT_FALSE(shown(sock_port(pair.client)), "nothing is left, the peer has no SMC");
	pair_close(&pair);
}

static void handshake(void)
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
	ASSERT_TRUE(shown(sock_port(fd)), "a handshake that runs has it");
	ASSERT_OK(clc_send_decline(child, 0x03070000), "decline");
	ASSERT_TRUE(WAIT_FOR(!shown(sock_port(fd)), 5000), "and it goes with the decline");
	ASSERT_HAS_SUBSTR(ss(sock_port(fd)), "ESTAB", "which leaves TCP");
	sock_close(&child);
	sock_close(&fd);
	sock_close(&lfd);
	clc_peer_close(&peer);
}

TEST(ss, WORLD_SMCD | WORLD_NONE, 60, TEST_NEEDS_ULP)
{
	if (system("command -v ss > /dev/null")) {
		test__skip("no ss: install iproute2");
		return;
	}
	if (!netns_enter_new())
		return;
	/* for the time that ss needs */
	if (!ASSERT_OK(write_file("/proc/sys/net/smc_ulp/clc_timeout_ms", "6000"), "time-out"))
		return;
	if (test__start_subtest("connected"))
		connected();
	if (test__start_subtest("plain_peer"))
		plain_peer();
	if (env.world == WORLD_SMCD && test__start_subtest("handshake"))
		handshake();
}
