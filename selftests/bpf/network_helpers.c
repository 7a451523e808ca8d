// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "network_helpers.h"

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

const char *kind_str(enum kind kind)
{
	static const char * const names[] = { "tcp", "smc", "ulp" };

	return names[kind];
}

const char *addr_str(enum addr addr)
{
	static const char * const names[] = { "v4", "v6", "mapped" };

	return names[addr];
}

const char *style_str(enum style style)
{
	static const char * const names[] = { "blocking", "poll", "epoll_lt", "epoll_et" };

	return names[style];
}

bool kind_available(enum kind kind)
{
	if (kind != ULP || env.has_ulp)
		return true;
	test__skip("smc_ulp.ko is not loaded: leave out --no-module");
	return false;
}

bool becomes_smc(enum kind server, enum kind client, enum addr addr)
{
	if (server == TCP || client == TCP)
		return false;
	switch (env.world) {
	case WORLD_SMCD:
		return true;
	case WORLD_SMCR:	/* rxe on lo has no GID for ::1, and stock no SMC-R for v4-mapped */
		return addr == V4;
	}
	return false;
}

unsigned int world_detect(void)
{
	int lfd = sock_listen(SMC, V4, 1), fd, child;
	unsigned int world = WORLD_NONE;
	struct smcdiag_row row;

	if (lfd < 0)
		return world;
	fd = sock_connect_to(lfd, SMC, V4);
	child = fd < 0 ? -1 : accept(lfd, NULL, NULL);
	if (child >= 0 && smcdiag__find(sock_port(child), sock_peer_port(child), &row)) {
		if (row.mode == SMC_DIAG_MODE_SMCD)
			world = WORLD_SMCD;
		else if (row.mode == SMC_DIAG_MODE_SMCR)
			world = WORLD_SMCR;
	}
	sock_close(&fd);
	sock_close(&child);
	close(lfd);
	return world;
}

/* --- sockets -------------------------------------------------------------------------------- */

int sock_make(enum kind kind, enum addr addr)
{
	int fd, err;

	if (kind == SMC)
		fd = socket(AF_SMC, SOCK_STREAM | SOCK_CLOEXEC, addr != V4);
	else
		fd = socket(addr == V4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && kind == ULP && ulp_set(fd, "smc")) {
		err = errno;
		close(fd);
		errno = err;
		fd = -1;
	}
	return fd;
}

socklen_t loopback(struct sockaddr_storage *sa, enum addr addr, int port)
{
	struct sockaddr_in6 *sin6 = (void *)sa;
	struct sockaddr_in *sin = (void *)sa;

	memset(sa, 0, sizeof(*sa));
	if (addr == V4) {
		sin->sin_family = AF_INET;
		sin->sin_port = htons(port);
		sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(*sin);
	}
	sin6->sin6_family = AF_INET6;
	sin6->sin6_port = htons(port);
	inet_pton(AF_INET6, addr == V6 ? "::1" : "::ffff:127.0.0.1", &sin6->sin6_addr);
	return sizeof(*sin6);
}

int sock_listen(enum kind kind, enum addr addr, int backlog)
{
	struct sockaddr_storage sa;
	int fd = sock_make(kind, addr), err;
	socklen_t len;

	if (fd < 0)
		return -1;
	len = loopback(&sa, addr, 0);
	if (bind(fd, (void *)&sa, len) || listen(fd, backlog)) {
		err = errno;
		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

static int port_of(const struct sockaddr_storage *sa)
{
	if (sa->ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)sa)->sin_port);
	return ntohs(((const struct sockaddr_in6 *)sa)->sin6_port);
}

int sock_port(int fd)
{
	struct sockaddr_storage sa = {};
	socklen_t len = sizeof(sa);

	return getsockname(fd, (void *)&sa, &len) ? -1 : port_of(&sa);
}

int sock_peer_port(int fd)
{
	struct sockaddr_storage sa = {};
	socklen_t len = sizeof(sa);

	return getpeername(fd, (void *)&sa, &len) ? -1 : port_of(&sa);
}

int sock_connect(int fd, enum addr addr, int port)
{
	struct sockaddr_storage sa;
	socklen_t len = loopback(&sa, addr, port);

	return connect(fd, (void *)&sa, len);
}

int sock_connect_to(int lfd, enum kind kind, enum addr addr)
{
	int fd = sock_make(kind, addr), err;

	if (fd >= 0 && sock_connect(fd, addr, sock_port(lfd))) {
		err = errno;
		close(fd);
		errno = err;
		fd = -1;
	}
	return fd;
}

void sock_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void pair_close(struct pair *pair)
{
	sock_close(&pair->client);
	sock_close(&pair->server);
}

bool pair_make(struct pair *pair, enum kind server, enum kind client, enum addr addr)
{
	int lfd = sock_listen(server, addr, 8);

	pair->client = -1;
	pair->server = -1;
	if (!ASSERT_OK_FD(lfd, "listen"))
		return false;
	pair->client = sock_connect_to(lfd, client, addr);
	if (ASSERT_OK_FD(pair->client, "connect")) {
		pair->server = accept4(lfd, NULL, NULL, SOCK_CLOEXEC);
		ASSERT_OK_FD(pair->server, "accept");
	}
	close(lfd);
	if (pair->server >= 0)
		return true;
	pair_close(pair);
	return false;
}

int ulp_set(int fd, const char *name)
{
	return setsockopt(fd, SOL_TCP, TCP_ULP, name, strlen(name));
}

const char *ulp_name(int fd)
{
	static __thread char name[32];
	socklen_t len = sizeof(name) - 1;

	memset(name, 0, sizeof(name));
	if (getsockopt(fd, SOL_TCP, TCP_ULP, name, &len))
		snprintf(name, sizeof(name), "error %d", errno);
	return name;
}

int sock_int(int fd, int level, int option)
{
	socklen_t len = sizeof(int);
	int value = 0;

	return getsockopt(fd, level, option, &value, &len) ? -1 : value;
}

int sock_error(int fd)
{
	return sock_int(fd, SOL_SOCKET, SO_ERROR);
}

int sock_set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

int sock_timeout(int fd, int option, unsigned int ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	return setsockopt(fd, SOL_SOCKET, option, &tv, sizeof(tv));
}

int set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	return fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

short poll_fd(int fd, short events, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	double until = now() + ms * env.slow / 1000.0;
	int n;

	do {
		n = poll(&pfd, 1, until > now() ? (until - now()) * 1000 + 1 : 0);
	} while (n < 0 && errno == EINTR);
	return n > 0 ? pfd.revents : 0;
}

int tcp_info(int fd, struct tcp_info *info)
{
	socklen_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return getsockopt(fd, SOL_TCP, TCP_INFO, info, &len);
}

/* --- what the outside world knows ------------------------------------------------------------ */

/* A proposal with all extensions and a confirm are well below this. */
#define MAX_CLC_BYTES 1200

bool assert_smc(int fd, __u64 sent)
{
	int want = env.world == WORLD_SMCR ? SMC_DIAG_MODE_SMCR : SMC_DIAG_MODE_SMCD;
	struct smcdiag_row row;
	struct tcp_info info;
	bool ok = true;

	if (!ASSERT_OK(tcp_info(fd, &info), "TCP_INFO"))
		return false;
	ok &= ASSERT_GT(info.tcpi_bytes_sent, 0, "TCP carried CLC messages");
	ok &= ASSERT_LT(info.tcpi_bytes_sent, MAX_CLC_BYTES, "TCP carried CLC messages only");
	if (!ASSERT_TRUE(smcdiag__find(sock_port(fd), sock_peer_port(fd), &row), "smc_diag row")) {
		test__log("%llu bytes were sent, TCP sent %llu", (unsigned long long)sent,
			  (unsigned long long)info.tcpi_bytes_sent);
		smcdiag__print();
		return false;
	}
	ok &= ASSERT_EQ(row.state, SMC_STATE_ACTIVE, "smc_diag state");
	ok &= ASSERT_STREQ(smcdiag__mode(row.mode), smcdiag__mode(want), "smc_diag mode");
	ok &= ASSERT_EQ(row.reason, 0, "smc_diag fallback reason");
	return ok;
}

bool assert_tcp(int fd, __u64 sent)
{
	struct smcdiag_row row = {};
	struct tcp_info info;
	struct stat st = {};
	bool ok = true;

	if (!ASSERT_OK(tcp_info(fd, &info), "TCP_INFO"))
		return false;
	ok &= ASSERT_GE(info.tcpi_bytes_sent, sent, "TCP carried the data");
	/*
	 * Native sockets that fell back are still SMC sockets, with the inode of the descriptor.
	 * The sidecar of one of ours is closed when it falls back, and gone a little later.
	 */
	ok &= ASSERT_OK(fstat(fd, &st), "fstat");
	ok &= ASSERT_TRUE(WAIT_FOR(!smcdiag__find(sock_port(fd), sock_peer_port(fd), &row) ||
				   row.inode == st.st_ino, 1000),
			  "only native sockets are SMC sockets after a fallback");
	if (row.inode == st.st_ino)
		ok &= ASSERT_EQ(row.mode, SMC_DIAG_MODE_FALLBACK_TCP, "smc_diag mode");
	return ok;
}

bool assert_outcome(bool smc, int fd, __u64 sent)
{
	return smc ? assert_smc(fd, sent) : assert_tcp(fd, sent);
}

bool identity_read(int fd, struct identity *id)
{
	socklen_t len = sizeof(id->cookie);
	struct stat st;

	memset(id, 0, sizeof(*id));
	if (!ASSERT_OK(fstat(fd, &st), "fstat"))
		return false;
	id->dev = st.st_dev;
	id->ino = st.st_ino;
	id->protocol = sock_int(fd, SOL_SOCKET, SO_PROTOCOL);
	id->domain = sock_int(fd, SOL_SOCKET, SO_DOMAIN);
	id->type = sock_int(fd, SOL_SOCKET, SO_TYPE);
	id->flags = fcntl(fd, F_GETFL);
	return ASSERT_OK(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &id->cookie, &len), "SO_COOKIE");
}

bool identity_same(int fd, const struct identity *before, const char *when)
{
	struct identity id;
	bool ok;

	if (!identity_read(fd, &id))
		return false;
	ok = ASSERT_EQ(id.dev, before->dev, "st_dev");
	ok &= ASSERT_EQ(id.ino, before->ino, "st_ino");
	ok &= ASSERT_EQ(id.protocol, before->protocol, "SO_PROTOCOL");
	ok &= ASSERT_EQ(id.domain, before->domain, "SO_DOMAIN");
	ok &= ASSERT_EQ(id.type, before->type, "SO_TYPE");
	ok &= ASSERT_EQ(id.flags, before->flags, "file flags");
	/* made from the address of the sock: another sock has another cookie */
	ok &= ASSERT_EQ(id.cookie, before->cookie, "SO_COOKIE");
	if (!ok)
		test__log("%s", when);
	return ok;
}

/* --- streams --------------------------------------------------------------------------------- */

/* Prime: a stream shifted by any buffer size or page does not look like itself. */
#define PATTERN_SIZE 1048573

static unsigned char pattern[PATTERN_SIZE + PATTERN_RUN];

__attribute__((constructor)) static void pattern_init(void)
{
	__u64 x = 0x9e3779b97f4a7c15ull;
	size_t i;

	for (i = 0; i < PATTERN_SIZE; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		pattern[i] = x >> 24;
	}
	memcpy(pattern + PATTERN_SIZE, pattern, PATTERN_RUN);
}

const unsigned char *pattern_at(__u32 seed, __u64 offset)
{
	return pattern + (seed * 77773ull + offset) % PATTERN_SIZE;
}

static bool pattern_matches(const unsigned char *buf, size_t len, __u32 seed, __u64 offset)
{
	const unsigned char *want = pattern_at(seed, offset);
	size_t i;

	if (!memcmp(buf, want, len))
		return true;
	for (i = 0; buf[i] == want[i]; i++)
		;
	test__log("stream %u: byte %llu (%zu in a piece of %zu) is %02x and should be %02x", seed,
		  (unsigned long long)offset + i, i, len, buf[i], want[i]);
	test__fail();
	return false;
}

int send_pattern(int fd, __u32 seed, __u64 offset, __u64 len)
{
	__u64 end = offset + len;
	ssize_t n;

	while (offset < end) {
		size_t piece = end - offset < PATTERN_RUN ? end - offset : PATTERN_RUN;

		n = send(fd, pattern_at(seed, offset), piece, MSG_NOSIGNAL);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			ASSERT_GE(n, 0, "send");
			test__log("after %llu bytes", (unsigned long long)offset);
			return -1;
		}
		offset += n;
	}
	return 0;
}

int recv_pattern(int fd, __u32 seed, __u64 offset, __u64 len)
{
	static __thread unsigned char buf[70001];
	__u64 end = offset + len;
	ssize_t n;

	while (offset < end) {
		size_t piece = end - offset < sizeof(buf) ? end - offset : sizeof(buf);

		n = recv(fd, buf, piece, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			ASSERT_GT(n, 0, "recv");
			test__log("after %llu bytes", (unsigned long long)offset);
			return -1;
		}
		if (!pattern_matches(buf, n, seed, offset))
			return -1;
		offset += n;
	}
	return 0;
}

long long recv_to_end(int fd, __u32 seed)
{
	static __thread unsigned char buf[70001];
	long long offset = 0;
	ssize_t n;

	for (;;) {
		n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (!n)
			return offset;
		if (!pattern_matches(buf, n, seed, offset)) {
			errno = EILSEQ;
			return -1;
		}
		offset += n;
	}
}

bool recv_eof(int fd)
{
	char byte;
	ssize_t n;

	do {
		n = recv(fd, &byte, 1, 0);
	} while (n < 0 && errno == EINTR);
	return ASSERT_EQ(n, 0, "end of the stream");
}

bool ping_pong(int a, int b)
{
	return !send_pattern(a, 11, 0, 500) && !recv_pattern(b, 11, 0, 500) &&
	       !send_pattern(b, 12, 0, 700) && !recv_pattern(a, 12, 0, 700);
}

/* Sends what can be sent; false: error. @full: would block. */
static bool pump_tx(struct end *end, bool *full)
{
	ssize_t n;

	*full = false;
	while (end->tx < end->tx_len) {
		size_t piece = end->tx_len - end->tx;

		if (piece > 100000)
			piece = 100000;
		n = send(end->fd, pattern_at(end->tx_seed, end->tx), piece, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			*full = true;
			return true;
		}
		if (n < 0)
			return ASSERT_GE(n, 0, "send");
		end->tx += n;
		if (end->style != BLOCKING && end->style != EPOLL_ET)
			break;	/* level triggered: come again */
	}
	return true;
}

/* Receives what is there; false: error. @empty: would block. @eof: end of the stream. */
static bool pump_rx(struct end *end, bool *empty, bool *eof)
{
	static __thread unsigned char buf[70001];
	ssize_t n;

	*empty = false;
	while (end->rx < end->rx_len || (end->shut && !*eof)) {
		n = recv(end->fd, buf, sizeof(buf), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			*empty = true;
			return true;
		}
		if (n < 0)
			return ASSERT_GE(n, 0, "recv");
		if (!n) {
			*eof = true;
			return ASSERT_EQ(end->rx, end->rx_len, "bytes before the end of the stream");
		}
		if (!pattern_matches(buf, n, end->rx_seed, end->rx))
			return false;
		end->rx += n;
		if (end->style != BLOCKING && end->style != EPOLL_ET)
			break;
	}
	return ASSERT_LE(end->rx, end->rx_len, "bytes received");
}

static void *tx_thread(void *arg)
{
	struct end *end = arg;
	bool full;

	if (!pump_tx(end, &full)) {
		end->ok = false;
		return NULL;
	}
	if (end->shut && !ASSERT_OK(shutdown(end->fd, SHUT_WR), "SHUT_WR"))
		end->ok = false;
	return NULL;
}

static void run_blocking(struct end *end)
{
	bool empty, eof = false;
	pthread_t sender;

	end->ok = true;
	if (!thread_start(&sender, tx_thread, end)) {
		end->ok = false;
		return;
	}
	if (!pump_rx(end, &empty, &eof)) {
		end->ok = false;
		shutdown(end->fd, SHUT_RDWR);	/* so that the sender does not wait for ever */
	}
	pthread_join(sender, NULL);
}

static void run_events(struct end *end)
{
	bool et = end->style == EPOLL_ET, full = false, empty = false, eof = false, shut = false;
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | (et ? EPOLLET : 0) };
	bool epoll = end->style != POLLING, tx_ready = false, rx_ready = false;
	int ep = epoll ? epoll_create1(EPOLL_CLOEXEC) : -1, n;
	struct pollfd pfd;

	end->ok = false;
	if (epoll && !ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_ADD, end->fd, &event), "EPOLL_CTL_ADD"))
		goto out;
	for (;;) {
		bool tx_done = end->tx == end->tx_len;
		bool rx_done = end->rx == end->rx_len && (!end->shut || eof);

		if (tx_done && end->shut && !shut) {
			shut = true;
			if (!ASSERT_OK(shutdown(end->fd, SHUT_WR), "SHUT_WR"))
				goto out;
		}
		if (tx_done && rx_done)
			break;
		if (epoll && !et) {
			event.events = (tx_done ? 0 : EPOLLOUT) | (rx_done ? 0 : EPOLLIN);
			epoll_ctl(ep, EPOLL_CTL_MOD, end->fd, &event);
		}
		if (epoll) {
			struct epoll_event got = {};

			n = epoll_wait(ep, &got, 1, 60000 * env.slow);
			tx_ready |= !!(got.events & (EPOLLOUT | EPOLLERR | EPOLLHUP));
			rx_ready |= !!(got.events & (EPOLLIN | EPOLLERR | EPOLLHUP | EPOLLRDHUP));
		} else {
			pfd.fd = end->fd;
			pfd.events = (tx_done ? 0 : POLLOUT) | (rx_done ? 0 : POLLIN);
			n = poll(&pfd, 1, 60000 * env.slow);
			tx_ready = pfd.revents & (POLLOUT | POLLERR | POLLHUP);
			rx_ready = pfd.revents & (POLLIN | POLLERR | POLLHUP);
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (!ASSERT_EQ(n, 1, "event before the time is up")) {
			test__log("%s: sent %llu of %llu, received %llu of %llu",
				  style_str(end->style), (unsigned long long)end->tx,
				  (unsigned long long)end->tx_len, (unsigned long long)end->rx,
				  (unsigned long long)end->rx_len);
			goto out;
		}
		if (tx_ready && !tx_done) {
			if (!pump_tx(end, &full))
				goto out;
			tx_ready = false;
		}
		if (rx_ready && !rx_done) {
			if (!pump_rx(end, &empty, &eof))
				goto out;
			rx_ready = false;
		}
	}
	end->ok = true;
out:
	if (!end->ok)
		shutdown(end->fd, SHUT_RDWR);
	if (ep >= 0)
		close(ep);
}

static void *run_end(void *arg)
{
	struct end *end = arg;

	if (end->style == BLOCKING) {
		run_blocking(end);
		return NULL;
	}
	set_nonblock(end->fd, true);
	run_events(end);
	set_nonblock(end->fd, false);
	return NULL;
}

bool run_ends(struct end *a, struct end *b)
{
	pthread_t other;

	if (!thread_start(&other, run_end, a))
		return false;
	run_end(b);
	pthread_join(other, NULL);
	return a->ok && b->ok;
}

bool exchange(struct pair *pair, __u64 len, enum style style)
{
	struct end a = { .fd = pair->client, .style = style, .tx_seed = 1, .rx_seed = 2,
			 .tx_len = len, .rx_len = len };
	struct end b = { .fd = pair->server, .style = style, .tx_seed = 2, .rx_seed = 1,
			 .tx_len = len, .rx_len = len };

	return run_ends(&a, &b);
}

/* --- surroundings ---------------------------------------------------------------------------- */

bool netns_enter_new(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd, rc;

	if (!ASSERT_OK(unshare(CLONE_NEWNET), "unshare"))
		return false;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	rc = ioctl(fd, SIOCSIFFLAGS, &ifr);
	close(fd);
	return ASSERT_OK(rc, "lo up");
}

bool netem_lo(unsigned int ms)
{
	if (!ms)
		return !sys("tc qdisc del dev lo root");
	return ASSERT_OK(sys("tc qdisc replace dev lo root netem delay %ums", ms), "netem");
}

bool thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg)
{
	int rc = pthread_create(thread, NULL, fn, arg);

	errno = rc;
	return ASSERT_OK(rc, "pthread_create");
}
