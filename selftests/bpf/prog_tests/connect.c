// SPDX-License-Identifier: GPL-2.0-only
/*
 * connect(2) with the ULP is connect(2): same results, same errors, same poll masks, however long
 * the handshake takes (docs/design.rst: I6). Each check runs with plain TCP as well: that is what is
 * wanted. Broken by a connect() that returns before SMC is up, returns another errno, is not
 * restarted after a signal, or leaves something behind when the socket is closed half way.
 */
#include <signal.h>
#include <sys/time.h>

#include "network_helpers.h"

#define SLOW_MS 100		/* one way: TCP is up after 200 ms, SMC after 400 ms */
#define STATE_ESTABLISHED 1	/* TCP_ESTABLISHED of include/net/tcp_states.h */

static bool slow_netns(unsigned int ms)
{
	return netns_enter_new() && netem_lo(ms);
}

/* What became of an established connection. */
static void check(int lfd, int fd, enum kind kind)
{
	int child = accept(lfd, NULL, NULL);

	if (ASSERT_OK_FD(child, "accept") && ping_pong(fd, child))
		assert_outcome(becomes_smc(kind, kind, V4), fd, 500);
	sock_close(&child);
}

static void blocking(enum kind kind)
{
	int lfd = sock_listen(kind, V4, 4), fd = sock_make(kind, V4);

	if (ASSERT_OK(sock_connect(fd, V4, sock_port(lfd)), "connect")) {
		ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), EISCONN, "connect again");
		ASSERT_ERRNO(listen(fd, 1), EINVAL, "listen on a connection");
		check(lfd, fd, kind);
	}
	sock_close(&fd);
	sock_close(&lfd);
}

/* EINPROGRESS, EALREADY, 0, EISCONN; nothing to poll, to send or to receive until it is up. */
static void nonblocking(enum kind kind)
{
	int lfd = sock_listen(kind, V4, 4), fd = sock_make(kind, V4), rc, n = 0;
	double start = now();
	char byte;

	set_nonblock(fd, true);
	ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), EINPROGRESS, "connect");
	for (;;) {
		rc = sock_connect(fd, V4, sock_port(lfd));
		if (!rc || !ASSERT_EQ(errno, EALREADY, "errno of connect again"))
			break;
		n++;
		/* it may get up between the connect() and what follows */
		if (now() - start < 0.15) {
			ASSERT_EQ(poll_fd(fd, POLLIN | POLLOUT | POLLRDHUP, 0), 0, "poll");
			ASSERT_ERRNO(send(fd, "x", 1, MSG_NOSIGNAL), EAGAIN, "send");
			ASSERT_ERRNO(recv(fd, &byte, 1, 0), EAGAIN, "recv");
			ASSERT_EQ(sock_error(fd), 0, "SO_ERROR");
		}
		msleep(20);
	}
	ASSERT_OK(rc, "connect when it is up");
	ASSERT_GE(n, 5, "EALREADY was seen");
	ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), EISCONN, "and again");
	ASSERT_EQ(poll_fd(fd, POLLIN | POLLOUT, 0), POLLOUT, "poll");
	set_nonblock(fd, false);
	check(lfd, fd, kind);
	sock_close(&fd);
	sock_close(&lfd);
}

/* Only poll() tells; no second connect(). */
static void nonblocking_poll(enum kind kind)
{
	int lfd = sock_listen(kind, V4, 4), fd = sock_make(kind, V4);

	set_nonblock(fd, true);
	ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), EINPROGRESS, "connect");
	ASSERT_EQ(poll_fd(fd, POLLIN | POLLOUT, 5000), POLLOUT, "poll");
	ASSERT_EQ(sock_error(fd), 0, "SO_ERROR");
	ASSERT_EQ(send(fd, pattern_at(11, 0), 1, 0), 1, "send at once");
	set_nonblock(fd, false);
	{
		int child = accept(lfd, NULL, NULL);

		recv_pattern(child, 11, 0, 1);
		ping_pong(child, fd);
		assert_outcome(becomes_smc(kind, kind, V4), fd, 701);
		sock_close(&child);
	}
	sock_close(&fd);
	sock_close(&lfd);
}

/* connect() without waiting, then I/O that waits. */
static void blocking_io_waits(enum kind kind)
{
	int lfd = sock_listen(kind, V4, 4), fd = sock_make(kind, V4), child;

	set_nonblock(fd, true);
	ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), EINPROGRESS, "connect");
	set_nonblock(fd, false);
	if (!send_pattern(fd, 7, 0, 3000)) {
		child = accept(lfd, NULL, NULL);
		if (ASSERT_OK_FD(child, "accept") && !recv_pattern(child, 7, 0, 3000))
			assert_outcome(becomes_smc(kind, kind, V4), fd, 3000);
		sock_close(&child);
	}
	sock_close(&fd);
	sock_close(&lfd);
}

/* A second blocking connect() waits as well. */
static void blocking_connect_again(enum kind kind)
{
	int lfd = sock_listen(kind, V4, 4), fd = sock_make(kind, V4);

	set_nonblock(fd, true);
	ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), EINPROGRESS, "connect");
	set_nonblock(fd, false);
	ASSERT_OK(sock_connect(fd, V4, sock_port(lfd)), "connect again");
	check(lfd, fd, kind);
	sock_close(&fd);
	sock_close(&lfd);
}

/* SO_SNDTIMEO ends the wait, not the connection: in the TCP handshake, and in the one of CLC. */
static void send_timeout(enum kind kind)
{
	static const int limits[] = { SLOW_MS, SLOW_MS * 3 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		int lfd = sock_listen(kind, V4, 4), fd = sock_make(kind, V4), rc;

		ASSERT_OK(sock_timeout(fd, SO_SNDTIMEO, limits[i]), "SO_SNDTIMEO");
		rc = sock_connect(fd, V4, sock_port(lfd));
		if (i == 0 || becomes_smc(kind, kind, V4)) {
			ASSERT_EQ(rc, -1, "connect");
			ASSERT_EQ(errno, EINPROGRESS, "errno");
			ASSERT_EQ(poll_fd(fd, POLLOUT, 5000), POLLOUT, "poll");
		}
		sock_timeout(fd, SO_SNDTIMEO, 0);
		check(lfd, fd, kind);
		sock_close(&fd);
		sock_close(&lfd);
	}
}

static volatile int n_signals;

static void count_signal(int sig)
{
	(void)sig;
	n_signals++;
}

/* Returns the number of signals that came while connect(2) ran. */
static int with_signals_once(enum kind kind, int sa_flags)
{
	struct sigaction sa = { .sa_handler = count_signal, .sa_flags = sa_flags };
	struct itimerval timer = { { 0, 60000 }, { 0, 60000 } }, off = {};
	int lfd = sock_listen(kind, V4, 4), fd = sock_make(kind, V4), rc, n_eintr = 0;

	n_signals = 0;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	while ((rc = sock_connect(fd, V4, sock_port(lfd))) && errno == EINTR)
		n_eintr++;
	setitimer(ITIMER_REAL, &off, NULL);
	ASSERT_OK(rc, "connect");
	if (sa_flags & SA_RESTART)
		ASSERT_EQ(n_eintr, 0, "EINTR with SA_RESTART");
	else if (n_signals >= 3)
		ASSERT_GE(n_eintr, 2, "EINTR without SA_RESTART");
	signal(SIGALRM, SIG_DFL);
	check(lfd, fd, kind);
	sock_close(&fd);
	sock_close(&lfd);
	return n_signals;
}

/* Timers of a machine that stood still have become one signal. */
static void with_signals(enum kind kind, int sa_flags)
{
	int i, n = 0;

	for (i = 0; i < 10 && n < 3; i++)
		n = with_signals_once(kind, sa_flags);
	ASSERT_GE(n, 3, "signals");
}

static void signals_restart(enum kind kind)
{
	with_signals(kind, SA_RESTART);
}

static void signals_eintr(enum kind kind)
{
	with_signals(kind, 0);
}

/* Closed while it runs: what was not established yet, is never accepted with wrong data. */
static void closed_early(enum kind kind)
{
	int lfd = sock_listen(kind, V4, 64), fd, child, i;

	set_nonblock(lfd, true);
	for (i = 0; i < 12; i++) {
		fd = sock_make(kind, V4);
		set_nonblock(fd, true);
		ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), EINPROGRESS, "connect");
		msleep(i * 45);	/* up to 495 ms: each phase, and after */
		if (i & 1)
			shutdown(fd, SHUT_RDWR);
		sock_close(&fd);
		while ((child = accept(lfd, NULL, NULL)) >= 0)
			sock_close(&child);
	}
	msleep(6 * SLOW_MS);
	while ((child = accept(lfd, NULL, NULL)) >= 0) {
		/* such a connection has an end */
		set_nonblock(child, false);
		ASSERT_LE(recv_to_end(child, 1), 0, "no data");
		sock_close(&child);
	}
	sock_close(&lfd);
}

/* TCP is up, the program need not know it yet */
static void await_established(int fd)
{
	struct tcp_info info = {};
	double start = now();

	while (!tcp_info(fd, &info) && info.tcpi_state != STATE_ESTABLISHED &&
	       ms_since(start) < 30000 * env.slow)
		msleep(5);
	ASSERT_EQ(info.tcpi_state, STATE_ESTABLISHED, "TCP_INFO");
}

/* Half closed while it runs: the data that is allowed still flows. */
static void shut_early(enum kind kind)
{
	int lfd = sock_listen(kind, V4, 4), fd, child;
	unsigned int ms;

	for (ms = SLOW_MS * 5 / 2; ms <= SLOW_MS * 5; ms += SLOW_MS * 5 / 2) {
		fd = sock_make(kind, V4);
		set_nonblock(fd, true);
		ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), EINPROGRESS, "connect");
		await_established(fd);
		msleep(ms - SLOW_MS * 5 / 2);
		ASSERT_OK(shutdown(fd, SHUT_WR), "SHUT_WR");
		set_nonblock(fd, false);
		child = accept(lfd, NULL, NULL);
		if (ASSERT_OK_FD(child, "accept")) {
			recv_eof(child);
			if (!send_pattern(child, 9, 0, 2000))
				recv_pattern(fd, 9, 0, 2000);
		}
		sock_close(&child);
		sock_close(&fd);
	}
	sock_close(&lfd);
}

static const struct {
	const char *name;
	void (*run)(enum kind kind);
} slow[] = {
	{ "blocking", blocking },
	{ "nonblocking", nonblocking },
	{ "nonblocking_poll", nonblocking_poll },
	{ "blocking_io_waits", blocking_io_waits },
	{ "blocking_connect_again", blocking_connect_again },
	{ "send_timeout", send_timeout },
	{ "signals_restart", signals_restart },
	{ "signals_eintr", signals_eintr },
	{ "closed_early", closed_early },
	{ "shut_early", shut_early },
};

TEST(connect_slow, WORLD_SMCD | WORLD_NONE, 120, 0)
{
	static const enum kind kinds[] = { TCP, ULP };
	unsigned int i, j;

	if (!slow_netns(SLOW_MS))
		return;
	for (i = 0; i < ARRAY_SIZE(slow); i++) {
		for (j = 0; j < ARRAY_SIZE(kinds); j++) {
			if (test__start_subtestf("%s_%s", slow[i].name, kind_str(kinds[j])) &&
			    kind_available(kinds[j]))
				slow[i].run(kinds[j]);
		}
	}
}

/* --- failures --------------------------------------------------------------------------------- */

/* A port that nobody listens on. */
static int dead_port(enum addr addr)
{
	int fd = sock_make(TCP, addr), port;
	struct sockaddr_storage sa;
	socklen_t len = loopback(&sa, addr, 0);

	ASSERT_OK(bind(fd, (void *)&sa, len), "bind");
	port = sock_port(fd);
	close(fd);
	return port;
}

static void refused(enum kind kind, enum addr addr, bool nonblock)
{
	int fd = sock_make(kind, addr), lfd = sock_listen(kind, addr, 4), child, i;
	int port = dead_port(addr);

	if (nonblock) {
		set_nonblock(fd, true);
		ASSERT_ERRNO(sock_connect(fd, addr, port), EINPROGRESS, "connect");
		ASSERT_TRUE(poll_fd(fd, POLLOUT, 3000) & POLLERR, "POLLERR");
		ASSERT_EQ(sock_error(fd), ECONNREFUSED, "SO_ERROR");
		set_nonblock(fd, false);
		/* TCP reports the end of that attempt once more */
		ASSERT_ERRNO(sock_connect(fd, addr, port), ECONNABORTED, "connect again");
	}
	for (i = 0; i < 2; i++)
		ASSERT_ERRNO(sock_connect(fd, addr, port), ECONNREFUSED, "connect");
	/* and the same socket goes somewhere else */
	ASSERT_OK(sock_connect(fd, addr, sock_port(lfd)), "connect elsewhere");
	child = accept(lfd, NULL, NULL);
	if (ASSERT_OK_FD(child, "accept") && ping_pong(fd, child))
		assert_outcome(becomes_smc(kind, kind, addr), fd, 500);
	sock_close(&child);
	sock_close(&lfd);
	sock_close(&fd);
}

static void unreachable(enum kind kind)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(9) };
	int fd = sock_make(kind, V4), lfd = sock_listen(kind, V4, 4);

	/* no route at all in this netns */
	sin.sin_addr.s_addr = htonl(0x0a636363);
	ASSERT_ERRNO(connect(fd, (void *)&sin, sizeof(sin)), ENETUNREACH, "connect");
	ASSERT_OK(sock_connect(fd, V4, sock_port(lfd)), "connect elsewhere");
	check(lfd, fd, kind);
	sock_close(&lfd);
	sock_close(&fd);
}

static void bad_address(enum kind kind)
{
	struct sockaddr_storage sa;
	int fd = sock_make(kind, V4), lfd = sock_listen(kind, V4, 4);

	loopback(&sa, V4, 1);
	ASSERT_ERRNO(connect(fd, (void *)&sa, 4), EINVAL, "too short");
	sa.ss_family = 99;
	ASSERT_ERRNO(connect(fd, (void *)&sa, sizeof(struct sockaddr_in)), EAFNOSUPPORT, "family");
	ASSERT_ERRNO(connect(fd, (void *)1, sizeof(struct sockaddr_in)), EFAULT, "pointer");
	ASSERT_OK(sock_connect(fd, V4, sock_port(lfd)), "connect elsewhere");
	check(lfd, fd, kind);
	sock_close(&lfd);
	sock_close(&fd);
}

TEST(connect_fails, WORLD_SMCD | WORLD_NONE, 60, 0)
{
	static const enum kind kinds[] = { TCP, ULP };
	unsigned int j;
	enum addr addr;

	if (!netns_enter_new())
		return;
	for (j = 0; j < ARRAY_SIZE(kinds); j++) {
		enum kind kind = kinds[j];

		for (addr = V4; addr <= V6; addr++) {
			if (test__start_subtestf("refused_%s_%s", kind_str(kind), addr_str(addr)) &&
			    kind_available(kind))
				refused(kind, addr, false);
			if (test__start_subtestf("refused_nonblock_%s_%s", kind_str(kind),
						 addr_str(addr)) && kind_available(kind))
				refused(kind, addr, true);
		}
		if (test__start_subtestf("unreachable_%s", kind_str(kind)) && kind_available(kind))
			unreachable(kind);
		if (test__start_subtestf("bad_address_%s", kind_str(kind)) && kind_available(kind))
			bad_address(kind);
	}
}

/* --- connections that must never be SMC ----------------------------------------------------------- */

/* Connected to itself: both ends would be the client of the handshake. */
static void self_connect(enum kind kind, enum addr addr)
{
	int fd = sock_make(kind, addr);
	struct sockaddr_storage sa;
	socklen_t len = loopback(&sa, addr, 0);

	if (!ASSERT_OK(bind(fd, (void *)&sa, len), "bind"))
		goto out;
	if (!ASSERT_OK(sock_connect(fd, addr, sock_port(fd)), "connect to itself"))
		goto out;
	ASSERT_STREQ(ulp_name(fd), "", "TCP_ULP");
	if (!send_pattern(fd, 1, 0, 5000) && !recv_pattern(fd, 1, 0, 5000))
		assert_tcp(fd, 5000);
out:
	sock_close(&fd);
}

/* SYNs that cross each other. */
static void simultaneous(enum kind one, enum kind other)
{
	int a = sock_make(one, V4), b = sock_make(other, V4);
	struct sockaddr_storage sa;
	socklen_t len = loopback(&sa, V4, 0);

	sock_set(a, SOL_SOCKET, SO_REUSEADDR, 1);
	sock_set(b, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!ASSERT_OK(bind(a, (void *)&sa, len), "bind") ||
	    !ASSERT_OK(bind(b, (void *)&sa, len), "bind"))
		goto out;
	set_nonblock(a, true);
	set_nonblock(b, true);
	ASSERT_ERRNO(sock_connect(a, V4, sock_port(b)), EINPROGRESS, "connect");
	ASSERT_ERRNO(sock_connect(b, V4, sock_port(a)), EINPROGRESS, "connect");
	if (!ASSERT_EQ(poll_fd(a, POLLOUT, 5000), POLLOUT, "connected") ||
	    !ASSERT_EQ(poll_fd(b, POLLOUT, 5000), POLLOUT, "connected"))
		goto out;
	set_nonblock(a, false);
	set_nonblock(b, false);
	ASSERT_STREQ(ulp_name(a), "", "TCP_ULP");
	ASSERT_STREQ(ulp_name(b), "", "TCP_ULP");
	ping_pong(a, b);
	assert_tcp(a, 500);
	assert_tcp(b, 700);
out:
	sock_close(&a);
	sock_close(&b);
}

TEST(connect_crossed, WORLD_SMCD | WORLD_NONE, 60, 0)
{
	if (!slow_netns(50))
		return;
	if (test__start_subtest("self_tcp"))
		self_connect(TCP, V4);
	if (test__start_subtest("self_ulp_v4") && kind_available(ULP))
		self_connect(ULP, V4);
	if (test__start_subtest("self_ulp_v6") && kind_available(ULP))
		self_connect(ULP, V6);
	if (test__start_subtest("simultaneous_tcp_tcp"))
		simultaneous(TCP, TCP);
	if (test__start_subtest("simultaneous_ulp_ulp") && kind_available(ULP))
		simultaneous(ULP, ULP);
	if (test__start_subtest("simultaneous_ulp_tcp") && kind_available(ULP))
		simultaneous(ULP, TCP);
}

/* --- many that are closed at random points ----------------------------------------------------------- */

static void random_close(enum kind server, enum kind client, int n)
{
	int lfd = sock_listen(server, V4, 64), fd, child, i;

	set_nonblock(lfd, true);
	for (i = 0; i < n; i++) {
		fd = sock_make(client, V4);
		set_nonblock(fd, true);
		sock_connect(fd, V4, sock_port(lfd));
		usleep(rand() % 4000);
		sock_close(&fd);
		while ((child = accept(lfd, NULL, NULL)) >= 0)
			close(child);
	}
	msleep(300);
	while ((child = accept(lfd, NULL, NULL)) >= 0)
		close(child);
	sock_close(&lfd);
}

TEST(connect_closed_early, WORLD_SMC, 120, 0)
{
	static const struct {
		enum kind server, client;
	} pairs[] = {
		{ ULP, ULP }, { SMC, ULP }, { TCP, ULP }, { ULP, TCP },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		if (test__start_subtestf("%s_%s", kind_str(pairs[i].server),
					 kind_str(pairs[i].client)) &&
		    kind_available(pairs[i].server) && kind_available(pairs[i].client))
			random_close(pairs[i].server, pairs[i].client,
				     env.world == WORLD_SMCR ? 50 : 150);
	}
}
