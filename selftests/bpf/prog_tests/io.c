// SPDX-License-Identifier: GPL-2.0-only
/*
 * What programs do with a connected socket (docs/design.rst: I6). Everything runs with plain TCP too:
 * that is what is wanted.
 */
#include <fcntl.h>
#include <linux/sockios.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "network_helpers.h"

/* Descriptors are copied, passed on and closed in any order; the connection does not care. */
static void dup_fork(struct pair *pair)
{
	int d = dup(pair->client);
	pid_t pid;

	ASSERT_OK_FD(d, "dup");
	sock_close(&pair->client);
	ping_pong(d, pair->server);
	pid = test__fork();
	if (!pid) {
		send_pattern(d, 3, 0, 5000);
		recv_pattern(d, 4, 0, 5000);
		close(d);
		fflush(stdout);
		_exit(0);
	}
	recv_pattern(pair->server, 3, 0, 5000);
	send_pattern(pair->server, 4, 0, 5000);
	ASSERT_OK(test__wait(pid), "child");
	ping_pong(d, pair->server);	/* the child's close() was not the last */
	pair->client = d;
}

static void scm_rights(struct pair *pair)
{
	char control[CMSG_SPACE(sizeof(int))] = {}, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int un[2], fd;

	ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, un), "socketpair");
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &pair->client, sizeof(int));
	ASSERT_EQ(sendmsg(un[0], &msg, 0), 1, "sendmsg");
	sock_close(&pair->client);	/* only the message holds it now */
	send_pattern(pair->server, 3, 0, 1000);
	if (ASSERT_EQ(recvmsg(un[1], &msg, 0), 1, "recvmsg")) {
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
		recv_pattern(fd, 3, 0, 1000);
		ping_pong(fd, pair->server);
		pair->client = fd;
	}
	close(un[0]);
	close(un[1]);
}

static volatile int n_sigio;

static void on_sigio(int sig)
{
	(void)sig;
	n_sigio++;
}

static void sigio(struct pair *pair)
{
	int flags = fcntl(pair->client, F_GETFL);

	signal(SIGIO, on_sigio);
	ASSERT_OK(fcntl(pair->client, F_SETOWN, getpid()), "F_SETOWN");
	ASSERT_OK(fcntl(pair->client, F_SETFL, flags | O_ASYNC), "O_ASYNC");
	n_sigio = 0;
	send_pattern(pair->server, 3, 0, 100);
	ASSERT_TRUE(WAIT_FOR(n_sigio, 2000), "SIGIO for data");
	recv_pattern(pair->client, 3, 0, 100);
	n_sigio = 0;
	shutdown(pair->server, SHUT_WR);
	ASSERT_TRUE(WAIT_FOR(n_sigio, 2000), "SIGIO for the end of the stream");
	recv_eof(pair->client);
	ASSERT_OK(fcntl(pair->client, F_SETFL, flags), "no O_ASYNC");
	signal(SIGIO, SIG_DFL);
}

static void rcvtimeo(struct pair *pair)
{
	double start;
	char byte;

	/* set on a live connection */
	ASSERT_OK(sock_timeout(pair->client, SO_RCVTIMEO, 300), "SO_RCVTIMEO");
	start = now();
	ASSERT_ERRNO(recv(pair->client, &byte, 1, 0), EAGAIN, "recv");
	ASSERT_GT(ms_since(start), 280, "time");
	ASSERT_LT(ms_since(start), 2500 * env.slow, "time");
	ASSERT_OK(sock_timeout(pair->client, SO_RCVTIMEO, 0), "SO_RCVTIMEO");
	ping_pong(pair->server, pair->client);
}

static void sndtimeo(struct pair *pair)
{
	__u64 sent = 0;
	double start;
	ssize_t n;

	ASSERT_OK(sock_timeout(pair->client, SO_SNDTIMEO, 300), "SO_SNDTIMEO");
	do {
		start = now();
		n = send(pair->client, pattern_at(3, sent), 100000, 0);
		if (n > 0)
			sent += n;
	} while (n > 0 && sent < 1ull << 30);
	ASSERT_EQ(n, -1, "send");
	ASSERT_EQ(errno, EAGAIN, "errno");
	ASSERT_GT(ms_since(start), 280, "time");
	/* nothing of it is lost or doubled */
	recv_pattern(pair->server, 3, 0, sent);
	ASSERT_OK(sock_timeout(pair->client, SO_SNDTIMEO, 0), "SO_SNDTIMEO");
	ping_pong(pair->client, pair->server);
}

/* A poll() that says readable where recv() would wait is worse than no poll(). */
static void rcvlowat(struct pair *pair)
{
	char buf[2000];

	ASSERT_OK(sock_set(pair->client, SOL_SOCKET, SO_RCVLOWAT, 1000), "SO_RCVLOWAT");
	send_pattern(pair->server, 3, 0, 400);
	ASSERT_EQ(poll_fd(pair->client, POLLIN, 150), 0, "poll with too little");
	send_pattern(pair->server, 3, 400, 600);
	ASSERT_EQ(poll_fd(pair->client, POLLIN, 2000), POLLIN, "poll with enough");
	ASSERT_EQ(recv(pair->client, buf, sizeof(buf), 0), 1000, "recv");
	ASSERT_OK(memcmp(buf, pattern_at(3, 0), 1000), "data");
	ASSERT_OK(sock_set(pair->client, SOL_SOCKET, SO_RCVLOWAT, 1), "SO_RCVLOWAT");
	ping_pong(pair->server, pair->client);
}

static void flags(struct pair *pair)
{
	char buf[3000];
	int n = 0;

	ASSERT_ERRNO(recv(pair->client, buf, 1, MSG_DONTWAIT), EAGAIN, "MSG_DONTWAIT");
	send_pattern(pair->server, 3, 0, 1000);
	ASSERT_EQ(poll_fd(pair->client, POLLIN, 2000), POLLIN, "POLLIN");
	ASSERT_TRUE(WAIT_FOR(!ioctl(pair->client, SIOCINQ, &n) && n == 1000, 1000), "SIOCINQ");
	ASSERT_EQ(recv(pair->client, buf, sizeof(buf), MSG_PEEK), 1000, "MSG_PEEK");
	ASSERT_OK(memcmp(buf, pattern_at(3, 0), 1000), "data");
	memset(buf, 0, sizeof(buf));
	ASSERT_EQ(recv(pair->client, buf, 300, 0), 300, "a part");
	ASSERT_OK(memcmp(buf, pattern_at(3, 0), 300), "data");
	ASSERT_OK(ioctl(pair->client, SIOCINQ, &n), "SIOCINQ");
	ASSERT_EQ(n, 700, "SIOCINQ");
	send_pattern(pair->server, 3, 1000, 500);
	ASSERT_EQ(recv(pair->client, buf, 1200, MSG_WAITALL), 1200, "MSG_WAITALL");
	ASSERT_OK(memcmp(buf, pattern_at(3, 300), 1200), "data");
	ASSERT_TRUE(WAIT_FOR(!ioctl(pair->client, SIOCOUTQ, &n) && n == 0, 1000), "SIOCOUTQ");
	ASSERT_ERRNO(recv(pair->client, (void *)1, 1, MSG_DONTWAIT), EAGAIN, "nothing to copy");
	ASSERT_ERRNO(send(pair->client, (void *)1, 100, 0), EFAULT, "send from nowhere");
	ping_pong(pair->client, pair->server);
}

static void vectors(struct pair *pair)
{
	char a[10], b[1000], c[4000];
	struct iovec in[] = { { a, sizeof(a) }, { b, sizeof(b) }, { c, sizeof(c) } };
	struct iovec out[] = {
		{ (void *)pattern_at(3, 0), 1 }, { (void *)pattern_at(3, 1), 2009 },
		{ (void *)pattern_at(3, 2010), 3000 },
	};
	int got = 0, n;

	ASSERT_EQ(writev(pair->client, out, 3), 5010, "writev");
	/* readv() may return less: look at what came */
	n = readv(pair->server, in, 3);
	if (ASSERT_GT(n, 0, "readv")) {
		ASSERT_OK(memcmp(a, pattern_at(3, 0), n < 10 ? n : 10), "data");
		if (n > 10)
			ASSERT_OK(memcmp(b, pattern_at(3, 10), n - 10 < 1000 ? n - 10 : 1000),
				  "data");
		if (n > 1010)
			ASSERT_OK(memcmp(c, pattern_at(3, 1010), n - 1010), "data");
		got = n;
	}
	if (got < 5010)
		recv_pattern(pair->server, 3, got, 5010 - got);
}

/* Corked bytes come when the cork is drawn, or after TCP's 200 ms, but they do come. */
static void cork(struct pair *pair)
{
	char buf[100];
	int i;

	ASSERT_OK(sock_set(pair->client, SOL_TCP, TCP_CORK, 1), "TCP_CORK");
	for (i = 0; i < 10; i++)
		send_pattern(pair->client, 3, i * 10, 10);
	ASSERT_OK(sock_set(pair->client, SOL_TCP, TCP_CORK, 0), "no TCP_CORK");
	recv_pattern(pair->server, 3, 0, 100);
	ASSERT_EQ(send(pair->client, pattern_at(4, 0), 50, MSG_MORE), 50, "MSG_MORE");
	ASSERT_EQ(send(pair->client, pattern_at(4, 50), 50, 0), 50, "the rest");
	ASSERT_EQ(recv(pair->server, buf, 100, MSG_WAITALL), 100, "recv");
	ASSERT_OK(memcmp(buf, pattern_at(4, 0), 100), "data");
	ASSERT_OK(sock_set(pair->client, SOL_TCP, TCP_NODELAY, 1), "TCP_NODELAY");
	ping_pong(pair->client, pair->server);
}

/* A thread that sleeps in one direction does not stop the other. */
static void *echo_thread(void *arg)
{
	struct pair *pair = arg;

	recv_pattern(pair->server, 5, 0, 100000);
	send_pattern(pair->server, 6, 0, 100000);
	return NULL;
}

static void *recv_thread(void *arg)
{
	struct pair *pair = arg;

	recv_pattern(pair->client, 6, 0, 100000);
	return NULL;
}

static void reader_sleeps(struct pair *pair)
{
	pthread_t echo, reader;

	if (!thread_start(&reader, recv_thread, pair))
		return;
	msleep(50);
	if (thread_start(&echo, echo_thread, pair)) {
		send_pattern(pair->client, 5, 0, 100000);
		pthread_join(echo, NULL);
	}
	pthread_join(reader, NULL);
}

/* Options are kept across the handshake and can be changed afterwards. */
static void options(struct pair *pair)
{
	static const struct {
		int level, option, value;
	} set[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 }, { SOL_SOCKET, SO_PRIORITY, 3 },
		{ SOL_SOCKET, SO_MARK, 77 }, { SOL_TCP, TCP_NODELAY, 1 },
		{ SOL_TCP, TCP_KEEPIDLE, 500 }, { SOL_TCP, TCP_USER_TIMEOUT, 12345 },
		{ SOL_IP, IP_TOS, 0x10 }, { SOL_SOCKET, SO_RCVLOWAT, 5 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(set); i++) {
		ASSERT_OK(sock_set(pair->client, set[i].level, set[i].option, set[i].value), "set");
		if (!ASSERT_EQ(sock_int(pair->client, set[i].level, set[i].option), set[i].value,
			       "get"))
			test__log("option %d/%d", set[i].level, set[i].option);
	}
	sock_set(pair->client, SOL_SOCKET, SO_RCVLOWAT, 1);
	ping_pong(pair->client, pair->server);
}

static void epoll_edges(struct pair *pair)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
	struct epoll_event got = {};
	int ep = epoll_create1(0), ms = 2000 * env.slow;

	set_nonblock(pair->client, true);
	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_ADD, pair->client, &event), "EPOLL_CTL_ADD");
	ASSERT_EQ(epoll_wait(ep, &got, 1, ms), 1, "writable");
	ASSERT_EQ(got.events, EPOLLOUT, "events");
	ASSERT_EQ(epoll_wait(ep, &got, 1, 50), 0, "an edge is told once");
	send_pattern(pair->server, 3, 0, 100);
	ASSERT_EQ(epoll_wait(ep, &got, 1, ms), 1, "data");
	ASSERT_TRUE(got.events & EPOLLIN, "events");
	/* more data is a new edge, even if the old was not read */
	send_pattern(pair->server, 3, 100, 100);
	ASSERT_EQ(epoll_wait(ep, &got, 1, ms), 1, "more data");
	recv_pattern(pair->client, 3, 0, 200);
	shutdown(pair->server, SHUT_WR);
	do {
		if (!ASSERT_EQ(epoll_wait(ep, &got, 1, ms), 1, "end of the stream"))
			break;
	} while (!(got.events & EPOLLRDHUP));
	set_nonblock(pair->client, false);
	recv_eof(pair->client);
	close(ep);
}

/* Two sleepers, one for each event: both are woken. */
struct sleeper {
	int fd;
	short events, got;
};

static void *sleep_in_poll(void *arg)
{
	struct sleeper *sleeper = arg;

	sleeper->got = poll_fd(sleeper->fd, sleeper->events, 5000);
	return NULL;
}

static void poll_full(struct pair *pair)
{
	struct sleeper out = { .fd = pair->client, .events = POLLOUT };
	struct sleeper in = { .fd = pair->client, .events = POLLIN };
	pthread_t a, b;
	__u64 sent = 0;
	ssize_t n;

	set_nonblock(pair->client, true);
	while ((n = send(pair->client, pattern_at(3, sent), 50000, MSG_NOSIGNAL)) > 0)
		sent += n;
	ASSERT_EQ(errno, EAGAIN, "full");
	ASSERT_EQ(poll_fd(pair->client, POLLIN | POLLOUT, 0), 0, "neither");
	if (!thread_start(&a, sleep_in_poll, &out) || !thread_start(&b, sleep_in_poll, &in))
		return;
	msleep(50);
	send_pattern(pair->server, 4, 0, 10);
	pthread_join(b, NULL);
	ASSERT_EQ(in.got, POLLIN, "the reader");
	recv_pattern(pair->server, 3, 0, sent);
	pthread_join(a, NULL);
	ASSERT_EQ(out.got, POLLOUT, "the writer");
	set_nonblock(pair->client, false);
}

static const struct {
	const char *name;
	void (*run)(struct pair *pair);
} uses[] = {
	{ "dup_fork", dup_fork },
	{ "scm_rights", scm_rights },
	{ "sigio", sigio },
	{ "rcvtimeo", rcvtimeo },
	{ "sndtimeo", sndtimeo },
	{ "rcvlowat", rcvlowat },
	{ "flags", flags },
	{ "vectors", vectors },
	{ "cork", cork },
	{ "reader_sleeps", reader_sleeps },
	{ "options", options },
	{ "epoll_edges", epoll_edges },
	{ "poll_full", poll_full },
};

TEST(io, WORLD_ALL, 120, 0)
{
	static const struct {
		enum kind server, client;
	} pairs[] = {
		{ TCP, TCP }, { ULP, ULP }, { SMC, ULP }, { TCP, ULP },
	};
	struct pair pair;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(uses); i++) {
		for (j = 0; j < ARRAY_SIZE(pairs); j++) {
			if (!test__start_subtestf("%s_%s_%s", uses[i].name,
						  kind_str(pairs[j].server),
						  kind_str(pairs[j].client)))
				continue;
			if (!kind_available(pairs[j].server) || !kind_available(pairs[j].client) ||
			    !pair_make(&pair, pairs[j].server, pairs[j].client, V4))
				continue;
			uses[i].run(&pair);
			pair_close(&pair);
		}
	}
}

/* Registered with epoll and poll before the ULP, before connect: the edges come all the same. */
static void registered_early(enum kind server, enum kind client, bool nonblock)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
	int lfd = sock_listen(server, V4, 4), fd = sock_make(TCP, V4), ep = epoll_create1(0);
	int child, ms = 3000 * env.slow;
	struct epoll_event got = {};

	set_nonblock(fd, nonblock);
	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event), "EPOLL_CTL_ADD");
	while (epoll_wait(ep, &got, 1, 0) > 0)
		;	/* EPOLLHUP of a new socket */
	if (client == ULP)
		ASSERT_OK(ulp_set(fd, "smc"), "TCP_ULP");
	if (nonblock)
		ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), EINPROGRESS, "connect");
	else
		ASSERT_OK(sock_connect(fd, V4, sock_port(lfd)), "connect");
	do {
		if (!ASSERT_EQ(epoll_wait(ep, &got, 1, ms), 1, "writable"))
			goto out;
		ASSERT_FALSE(got.events & (EPOLLERR | EPOLLHUP | EPOLLIN), "nothing else");
	} while (!(got.events & EPOLLOUT));
	ASSERT_EQ(sock_error(fd), 0, "SO_ERROR");
	child = accept(lfd, NULL, NULL);
	set_nonblock(fd, false);
	if (ASSERT_OK_FD(child, "accept")) {
		assert_outcome(becomes_smc(server, client, V4), fd, 0);
		send_pattern(child, 3, 0, 10);
		do {
			if (!ASSERT_EQ(epoll_wait(ep, &got, 1, ms), 1, "data"))
				goto out;
		} while (!(got.events & EPOLLIN));
		recv_pattern(fd, 3, 0, 10);
		sock_close(&child);
		do {
			if (!ASSERT_EQ(epoll_wait(ep, &got, 1, ms), 1, "end of the stream"))
				goto out;
		} while (!(got.events & EPOLLRDHUP));
	}
out:
	sock_close(&child);
	close(ep);
	sock_close(&fd);
	sock_close(&lfd);
}

TEST(io_registered_early, WORLD_ALL, 60, 0)
{
	static const struct {
		enum kind server, client;
	} pairs[] = {
		{ TCP, TCP }, { ULP, ULP }, { SMC, ULP }, { TCP, ULP },
	};
	unsigned int j;

	for (j = 0; j < ARRAY_SIZE(pairs); j++) {
		enum kind server = pairs[j].server, client = pairs[j].client;

		if (test__start_subtestf("blocking_%s_%s", kind_str(server), kind_str(client)) &&
		    kind_available(server) && kind_available(client))
			registered_early(server, client, false);
		if (test__start_subtestf("nonblocking_%s_%s", kind_str(server), kind_str(client)) &&
		    kind_available(server) && kind_available(client))
			registered_early(server, client, true);
	}
}
