// SPDX-License-Identifier: GPL-2.0-only
/*
 * Peers that speak the SMC option in their SYN and then do anything but a CLC handshake (docs/design.rst:
 * I9): each harms its own connection only, and that within a bound. Broken by a handshake without
 * a time limit, by CLC bytes that reach the program, and by whatever a wrong message can break.
 */
#include "policy_helpers.h"

static const __u8 eyecatcher[] = { 0xe2, 0xd4, 0xc3, 0xd9 };

static void send_garbage(int fd)
{
	send(fd, pattern_at(1, 0), 5000, MSG_NOSIGNAL);
}

static void send_reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static void send_half_header(int fd)
{
	send(fd, eyecatcher, 4, MSG_NOSIGNAL);
}

static void send_header(int fd, __u8 type, __u16 length, __u8 flags)
{
	__u8 header[8];

	memcpy(header, eyecatcher, 4);
	header[4] = type;
	header[5] = length >> 8;
	header[6] = length;
	header[7] = flags;
	send(fd, header, sizeof(header), MSG_NOSIGNAL);
}

static void send_short_length(int fd)
{
	send_header(fd, CLC_DECLINE, 3, 0x10);
	send(fd, pattern_at(1, 0), 100, MSG_NOSIGNAL);
}

static void send_long_length(int fd)
{
	send_header(fd, CLC_PROPOSAL, 65535, 0x10);
	send(fd, pattern_at(1, 0), 65527, MSG_NOSIGNAL);
}

static void send_wrong_type(int fd)
{
	send_header(fd, CLC_CONFIRM, 68, 0x10);
	send(fd, pattern_at(1, 0), 60, MSG_NOSIGNAL);
}

static void send_version_0(int fd)
{
	send_header(fd, CLC_DECLINE, 28, 0);
	send(fd, pattern_at(1, 0), 20, MSG_NOSIGNAL);
}

static void send_accept_garbage(int fd)
{
	send_header(fd, CLC_ACCEPT, 68, 0x10);
	send(fd, pattern_at(1, 0), 56, MSG_NOSIGNAL);
	send(fd, eyecatcher, 4, MSG_NOSIGNAL);
}

static void send_proposal_garbage(int fd)
{
	send_header(fd, CLC_PROPOSAL, 52, 0x10);
	send(fd, pattern_at(1, 0), 40, MSG_NOSIGNAL);
	send(fd, eyecatcher, 4, MSG_NOSIGNAL);
}

static void send_nothing(int fd)
{
	(void)fd;
}

static const struct {
	const char *name;
	void (*act)(int fd);
	bool closes;
} acts[] = {
	{ "silent", send_nothing, false },
	{ "fin", send_nothing, true },
	{ "reset", send_reset, true },
	{ "garbage", send_garbage, false },
	{ "garbage_fin", send_garbage, true },
	{ "half_header", send_half_header, false },
	{ "half_header_fin", send_half_header, true },
	{ "short_length", send_short_length, false },
	{ "long_length", send_long_length, false },
	{ "wrong_type", send_wrong_type, false },
	{ "version_0", send_version_0, false },
	{ "accept_garbage", send_accept_garbage, false },
	{ "proposal_garbage", send_proposal_garbage, false },
};

#define BOUND 8000	/* ms; the default limit is 1 s, smc.ko's own 6 s */

/*
 * Our client. Either connect() fails, with an errno that TCP has, or it works and the program
 * reads nothing that belongs to the handshake.
 */
static void against_client(struct clc_peer *peer, unsigned int i, bool nonblock)
{
	int lfd = clc_peer_listen(peer, V4), fd = sock_make(ULP, V4), child, err = 0;
	double start = now();
	char buf[100];
	ssize_t n;

	set_nonblock(fd, true);
	ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), EINPROGRESS, "connect");
	child = accept(lfd, NULL, NULL);
	if (!ASSERT_OK_FD(child, "accept"))
		goto out;
	if (env.world != WORLD_NONE)	/* without a device a decline is all we send */
		ASSERT_EQ(clc_recv(child), CLC_PROPOSAL, "proposal");
	acts[i].act(child);
	if (acts[i].closes)
		sock_close(&child);

	if (nonblock) {
		ASSERT_TRUE(poll_fd(fd, POLLOUT, BOUND), "the end of the handshake");
		err = sock_error(fd);
	} else {
		set_nonblock(fd, false);
		if (sock_connect(fd, V4, sock_port(lfd)))
			err = errno;
	}
	ASSERT_LT(ms_since(start), BOUND * env.slow, "time of the handshake");
	test__debug("%s: %s after %.2f s", acts[i].name, err ? strerrorname_np(err) : "connected",
		    now() - start);
	if (err) {
		ASSERT_TRUE(err == ECONNRESET || err == ETIMEDOUT || err == ECONNABORTED, "errno");
	} else {
		/* we have declined what the peer said: TCP, and nothing of the handshake in it */
		ASSERT_STREQ(ulp_name(fd), "", "TCP_ULP");
		set_nonblock(fd, true);
		n = recv(fd, buf, sizeof(buf), 0);
		ASSERT_LE(n, 0, "bytes of the handshake reach the program");
		set_nonblock(fd, false);
		ASSERT_EQ(clc_recv(child), CLC_DECLINE, "we have declined");
		ping_pong(fd, child);
	}
out:
	sock_close(&child);
	sock_close(&fd);
	sock_close(&lfd);
}

/* Our server: nothing is accepted, or a connection without a byte of the handshake in it. */
static void against_server(struct clc_peer *peer, unsigned int i)
{
	int lfd = sock_listen(ULP, V4, 4), fd = clc_peer_socket(peer, V4), child, port;
	double start = now();
	char buf[100];
	ssize_t n;

	if (!ASSERT_OK(sock_connect(fd, V4, sock_port(lfd)), "connect"))
		goto out;
	port = sock_port(fd);
	acts[i].act(fd);
	if (acts[i].closes)
		sock_close(&fd);
	/* how it ended can be seen at the peer, or at the listener */
	set_nonblock(lfd, true);
	for (;;) {
		child = accept(lfd, NULL, NULL);
		if (child >= 0 || (fd >= 0 && poll_fd(fd, POLLRDHUP, 0)) ||
		    (fd < 0 && ms_since(start) > 500) || ms_since(start) > BOUND * env.slow)
			break;
		msleep(10);
	}
	ASSERT_LT(ms_since(start), BOUND * env.slow, "time of the handshake");
	test__debug("%s: %s after %.2f s", acts[i].name, child >= 0 ? "accepted" : "not accepted",
		    now() - start);
	if (child >= 0) {
		ASSERT_EQ(sock_peer_port(child), port, "the child");
		set_nonblock(child, true);
		n = recv(child, buf, sizeof(buf), 0);
		ASSERT_LE(n, 0, "bytes of the handshake reach the program");
	}
	sock_close(&child);
	/* others are served */
	sock_close(&fd);
	fd = sock_connect_to(lfd, TCP, V4);
	set_nonblock(lfd, false);
	child = accept(lfd, NULL, NULL);
	if (ASSERT_OK_FD(child, "accept of another"))
		ping_pong(child, fd);
	sock_close(&child);
out:
	sock_close(&fd);
	sock_close(&lfd);
}

TEST(hostile_peers, WORLD_SMCD | WORLD_NONE, 240, TEST_NEEDS_ULP)
{
	struct clc_peer peer = {};
	unsigned int i;

	if (!clc_peer_open(&peer))
		return;
	for (i = 0; i < ARRAY_SIZE(acts); i++) {
		if (env.world == WORLD_SMCD) {
			if (test__start_subtestf("server_%s", acts[i].name))
				against_client(&peer, i, false);
			if (test__start_subtestf("server_%s_nonblock", acts[i].name))
				against_client(&peer, i, true);
		}
		if (test__start_subtestf("client_%s", acts[i].name))
			against_server(&peer, i);
	}
	clc_peer_close(&peer);
}

/* A decline that comes byte by byte is a decline. */
TEST(hostile_slow_decline, WORLD_SMCD, 30, TEST_NEEDS_ULP)
{
	int lfd, fd, child = -1, pipe_fd[2], i;
	struct clc_peer peer = {};
	char decline[64];
	ssize_t len;

	if (!clc_peer_open(&peer))
		return;
	lfd = clc_peer_listen(&peer, V4);
	fd = sock_make(ULP, V4);
	set_nonblock(fd, true);
	ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), EINPROGRESS, "connect");
	child = accept(lfd, NULL, NULL);
	ASSERT_EQ(clc_recv(child), CLC_PROPOSAL, "proposal");
	/* the message, by way of a socketpair */
	if (ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pipe_fd), "socketpair")) {
		clc_send_decline(pipe_fd[0], 0x03070000);
		len = recv(pipe_fd[1], decline, sizeof(decline), 0);
		close(pipe_fd[0]);
		close(pipe_fd[1]);
		sock_set(child, SOL_TCP, TCP_NODELAY, 1);
		for (i = 0; i < len; i++) {
			send(child, decline + i, 1, MSG_NOSIGNAL);
			msleep(10);
		}
		/* what follows belongs to the program */
		send_pattern(child, 8, 0, 300);
		ASSERT_EQ(poll_fd(fd, POLLOUT, 5000) & POLLOUT, POLLOUT, "connected");
		set_nonblock(fd, false);
		recv_pattern(fd, 8, 0, 300);
		ping_pong(fd, child);
		assert_tcp(fd, 500);
	}
	sock_close(&child);
	sock_close(&fd);
	sock_close(&lfd);
	clc_peer_close(&peer);
}
