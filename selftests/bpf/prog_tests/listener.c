// SPDX-License-Identifier: GPL-2.0-only
/*
 * Servers: a listener with the ULP is a TCP listener. Clients of all kinds are accepted, once, in
 * whatever way the program accepts; plain clients are plain and are delayed by nobody.
 */
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "policy_helpers.h"
#include "tcp_features.h"

static void accept_flags(enum kind client)
{
	int lfd = sock_listen(ULP, V4, 4), fd, child, i;
	struct sockaddr_in sin = {};
	socklen_t len;

	for (i = 0; i < 2; i++) {
		fd = sock_connect_to(lfd, client, V4);
		len = sizeof(sin);
		child = accept4(lfd, (void *)&sin, &len, i ? SOCK_NONBLOCK | SOCK_CLOEXEC : 0);
		if (!ASSERT_OK_FD(child, "accept4"))
			break;
		ASSERT_EQ(len, sizeof(sin), "length of the address");
		ASSERT_EQ(ntohs(sin.sin_port), sock_port(fd), "address of the peer");
		ASSERT_EQ(sock_port(child), sock_port(lfd), "own port");
		ASSERT_EQ(sock_peer_port(child), sock_port(fd), "peer's port");
		ASSERT_EQ(!!(fcntl(child, F_GETFL) & O_NONBLOCK), i, "O_NONBLOCK");
		ASSERT_EQ(!!(fcntl(child, F_GETFD) & FD_CLOEXEC), i, "FD_CLOEXEC");
		set_nonblock(child, false);
		ping_pong(fd, child);
		assert_outcome(becomes_smc(ULP, client, V4), child, 700);
		sock_close(&child);
		sock_close(&fd);
	}
	sock_close(&lfd);
}

/* Options that a child inherits. */
static void inherited(enum kind client)
{
	int lfd = sock_make(ULP, V4), fd, child;

	sock_set(lfd, SOL_SOCKET, SO_KEEPALIVE, 1);
	sock_set(lfd, SOL_TCP, TCP_NODELAY, 1);
	sock_timeout(lfd, SO_RCVTIMEO, 400);
	ASSERT_OK(listen(lfd, 4), "listen");
	fd = sock_connect_to(lfd, client, V4);
	child = accept(lfd, NULL, NULL);
	if (ASSERT_OK_FD(child, "accept")) {
		double start = now();

		ASSERT_EQ(sock_int(child, SOL_SOCKET, SO_KEEPALIVE), 1, "SO_KEEPALIVE");
		ASSERT_EQ(sock_int(child, SOL_TCP, TCP_NODELAY), 1, "TCP_NODELAY");
		ASSERT_ERRNO(recv(child, &(char){ 0 }, 1, 0), EAGAIN, "SO_RCVTIMEO");
		ASSERT_LT(ms_since(start), 3000 * env.slow, "SO_RCVTIMEO");
		ping_pong(fd, child);
	}
	sock_close(&child);
	sock_close(&fd);
	sock_close(&lfd);
}

static void epoll(enum kind client)
{
	struct epoll_event event = { .events = EPOLLIN }, got;
	int lfd = sock_listen(ULP, V4, 8), ep = epoll_create1(0), fds[3], child, i, j;

	set_nonblock(lfd, true);
	ASSERT_OK(epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &event), "EPOLL_CTL_ADD");
	ASSERT_EQ(epoll_wait(ep, &got, 1, 0), 0, "nobody");
	ASSERT_ERRNO(accept(lfd, NULL, NULL), EAGAIN, "nobody");
	for (i = 0; i < 3; i++)
		fds[i] = sock_connect_to(lfd, client, V4);
	for (i = 0; i < 3; i++) {
		if (!ASSERT_EQ(epoll_wait(ep, &got, 1, 3000 * env.slow), 1, "somebody"))
			break;
		child = accept(lfd, NULL, NULL);
		if (!ASSERT_OK_FD(child, "accept"))
			break;
		/* of those that speak SMC, in the order in which the handshakes end */
		for (j = 0; j < 3 && sock_peer_port(child) != sock_port(fds[j]);)
			j++;
		if (!ASSERT_LT(j, 3, "one of the clients"))
			break;
		if (client == TCP)
			ASSERT_EQ(j, i, "in order");
		ping_pong(fds[j], child);
		sock_close(&child);
	}
	ASSERT_EQ(epoll_wait(ep, &got, 1, 0), 0, "nobody left");
	ASSERT_ERRNO(accept(lfd, NULL, NULL), EAGAIN, "nobody left");
	for (i = 0; i < 3; i++)
		sock_close(&fds[i]);
	close(ep);
	sock_close(&lfd);
}

static void timeout(enum kind client)
{
	int lfd = sock_listen(ULP, V4, 8), fd, child;

	sock_timeout(lfd, SO_RCVTIMEO, 200);
	ASSERT_ERRNO(accept(lfd, NULL, NULL), EAGAIN, "SO_RCVTIMEO of accept");
	fd = sock_connect_to(lfd, client, V4);
	child = accept(lfd, NULL, NULL);
	ASSERT_OK_FD(child, "accept");
	sock_close(&child);
	sock_close(&fd);
	sock_close(&lfd);
}

/* More clients than the backlog holds: none is lost, all are served in the end. */
struct client {
	enum kind kind;
	int port;
	int served;
	int fd;
};

/* Who waits for whom, when it takes long */
static void report(const char *who, int fd)
{
	struct tcp_info info = {};
	int unread = -1, unsent = -1;

	if (tcp_info(fd, &info)) {
		test__log("%s: no connection", who);
		return;
	}
	ioctl(fd, SIOCINQ, &unread);
	ioctl(fd, SIOCOUTQ, &unsent);
	test__log("%s: port %d to %d, state %u, unread %d, unacknowledged %d, rto %u us, backoff %u, retransmitted %u, received %llu bytes",
		  who, sock_port(fd), sock_peer_port(fd), info.tcpi_state, unread, unsent,
		  info.tcpi_rto, info.tcpi_backoff, info.tcpi_total_retrans,
		  (unsigned long long)info.tcpi_bytes_received);
}

static void *client_thread(void *arg)
{
	struct client *client = arg;
	int fd = sock_make(client->kind, V4);

	client->fd = fd;
	if (ASSERT_OK(sock_connect(fd, V4, client->port), "connect") &&
	    !send_pattern(fd, 1, 0, 5000) && !recv_pattern(fd, 2, 0, 5000))
		client->served = 1;
	client->fd = -1;
	sock_close(&fd);
	return NULL;
}

static void serve_one(int child)
{
	if (!recv_pattern(child, 1, 0, 5000))
		send_pattern(child, 2, 0, 5000);
}

/*
 * A client whose ACK and data were dropped, because the backlog was full, sends them again after
 * TCP's growing intervals. So data may take long to come; but what has come is not slept over.
 */
static void await_data(int child, struct client *clients, int n)
{
	int i, unread = 0;
	char byte;

	sock_timeout(child, SO_RCVTIMEO, 20000);
	while (recv(child, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN) {
		ioctl(child, SIOCINQ, &unread);
		ASSERT_EQ(unread, 0, "unread data, and recv() slept");
		report("server", child);
		for (i = 0; i < n; i++)
			report("client", clients[i].fd);
	}
	sock_timeout(child, SO_RCVTIMEO, 0);
}

static void small_backlog(enum kind kind)
{
	struct client clients[8];
	pthread_t threads[8];
	int lfd, child, i;

	lfd = sock_listen(ULP, V4, 1);
	for (i = 0; i < 8; i++) {
		clients[i] = (struct client){ .kind = kind, .port = sock_port(lfd), .fd = -1 };
		thread_start(&threads[i], client_thread, &clients[i]);
	}
	for (i = 0; i < 8; i++) {
		child = accept(lfd, NULL, NULL);
		if (ASSERT_OK_FD(child, "accept")) {
			await_data(child, clients, 8);
			serve_one(child);
		}
		sock_close(&child);
	}
	for (i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		ASSERT_EQ(clients[i].served, 1, "served");
	}
	sock_close(&lfd);
}

/* Several threads in accept(): each client is accepted once. */
#define N_ACCEPTERS 4
#define N_CLIENTS 40

struct accepter {
	int lfd;
	int n;
};

static void *accept_thread(void *arg)
{
	struct accepter *accepter = arg;
	int child;

	while ((child = accept(accepter->lfd, NULL, NULL)) >= 0) {
		serve_one(child);
		close(child);
		accepter->n++;
	}
	return NULL;
}

static void many_accepters(void)
{
	static const enum kind kinds[] = { ULP, TCP, SMC };
	struct accepter accepters[N_ACCEPTERS];
	struct client clients[N_CLIENTS];
	pthread_t threads[N_ACCEPTERS], peers[N_CLIENTS];
	int lfd = sock_listen(ULP, V4, 64), i, n = 0;

	for (i = 0; i < N_ACCEPTERS; i++) {
		accepters[i] = (struct accepter){ .lfd = lfd };
		thread_start(&threads[i], accept_thread, &accepters[i]);
	}
	for (i = 0; i < N_CLIENTS; i++) {
		clients[i] = (struct client){ .kind = kinds[i % 3], .port = sock_port(lfd) };
		thread_start(&peers[i], client_thread, &clients[i]);
	}
	for (i = 0; i < N_CLIENTS; i++) {
		pthread_join(peers[i], NULL);
		ASSERT_EQ(clients[i].served, 1, "served");
	}
	/* shutdown() wakes those who wait in accept() */
	ASSERT_OK(shutdown(lfd, SHUT_RDWR), "shutdown");
	for (i = 0; i < N_ACCEPTERS; i++) {
		pthread_join(threads[i], NULL);
		n += accepters[i].n;
	}
	ASSERT_EQ(n, N_CLIENTS, "accepted");
	ASSERT_ERRNO(accept(lfd, NULL, NULL), EINVAL, "accept after shutdown");
	sock_close(&lfd);
}

/*
 * Children come and leave the accept queue for their handshake while threads are in the middle of
 * accept(2), which takes for granted that nobody but itself removes from the queue. Broken by
 * removing without the listener's socket lock: accept(2) dereferences NULL.
 */
struct storm {
	enum kind kind;
	int fd;			/* of a listener, or its port */
	bool *stop;
	int n;
};

static void *storm_client(void *arg)
{
	struct storm *storm = arg;
	int fd;

	while (!__atomic_load_n(storm->stop, __ATOMIC_ACQUIRE)) {
		fd = sock_make(storm->kind, V4);
		if (fd >= 0 && !sock_connect(fd, V4, storm->fd))
			storm->n++;
		sock_close(&fd);
	}
	return NULL;
}

static void *storm_server(void *arg)
{
	struct storm *storm = arg;
	int child;

	while (!__atomic_load_n(storm->stop, __ATOMIC_ACQUIRE)) {
		child = accept4(storm->fd, NULL, NULL, SOCK_NONBLOCK);
		if (child >= 0)
			storm->n++;
		sock_close(&child);
	}
	return NULL;
}

TEST(listener_storm, WORLD_SMCD | WORLD_NONE, 120, TEST_NEEDS_ULP)
{
	static const enum kind kinds[] = { ULP, SMC, ULP, TCP };
	int lfd = sock_listen(ULP, V4, 64), i, clients = 0, accepted = 0;
	struct storm storm[6];
	pthread_t threads[6];
	bool stop = false;

	if (!ASSERT_OK_FD(lfd, "listen"))
		return;
	set_nonblock(lfd, true);
	for (i = 0; i < 6; i++) {
		storm[i] = (struct storm){ .stop = &stop };
		storm[i].kind = kinds[i % 4];
		storm[i].fd = i < 4 ? sock_port(lfd) : lfd;
		if (!thread_start(&threads[i], i < 4 ? storm_client : storm_server, &storm[i]))
			return;
	}
	msleep(3000);
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < 6; i++) {
		pthread_join(threads[i], NULL);
		*(i < 4 ? &clients : &accepted) += storm[i].n;
	}
	test__debug("%d connected, %d accepted", clients, accepted);
	ASSERT_GT(accepted, clients / 2, "children reach accept(2)");
	sock_close(&lfd);
}

TEST(listener, WORLD_ALL, 120, TEST_NEEDS_ULP)
{
	static const struct {
		const char *name;
		void (*run)(enum kind client);
	} checks[] = {
		{ "accept_flags", accept_flags },
		{ "inherited", inherited },
		{ "epoll", epoll },
		{ "timeout", timeout },
		{ "small_backlog", small_backlog },
	};
	static const enum kind kinds[] = { TCP, ULP, SMC };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(checks); i++) {
		for (j = 0; j < ARRAY_SIZE(kinds); j++) {
			if (test__start_subtestf("%s_%s", checks[i].name, kind_str(kinds[j])))
				checks[i].run(kinds[j]);
		}
	}
	if (test__start_subtest("many_accepters"))
		many_accepters();
}

/* --- the listener goes -------------------------------------------------------------------------- */

/* A client that lives with whatever happens. */
static void *tolerant_client(void *arg)
{
	struct client *client = arg;
	int fd = sock_make(client->kind, V4);
	char byte;

	sock_timeout(fd, SO_RCVTIMEO, 3000 * env.slow);
	if (!sock_connect(fd, V4, client->port)) {
		send(fd, "x", 1, MSG_NOSIGNAL);
		recv(fd, &byte, 1, 0);
	}
	close(fd);
	return NULL;
}

static void closed_with_children(enum kind server, enum kind kind, int n)
{
	struct client clients[4];
	pthread_t threads[4];
	int lfd, child, i, j;

	for (i = 0; i < n; i++) {
		lfd = sock_listen(server, V4, 64);
		if (!ASSERT_OK_FD(lfd, "listen"))
			return;
		for (j = 0; j < 4; j++) {
			clients[j] = (struct client){ .kind = kind, .port = sock_port(lfd) };
			thread_start(&threads[j], tolerant_client, &clients[j]);
		}
		usleep(rand() % 15000);
		child = -1;
		if (i & 1) {
			set_nonblock(lfd, true);
			child = accept(lfd, NULL, NULL);
		}
		if (i % 5 == 4)
			shutdown(lfd, SHUT_RDWR);
		sock_close(&lfd);
		sock_close(&child);
		for (j = 0; j < 4; j++)
			pthread_join(threads[j], NULL);
	}
}

TEST(listener_closed, WORLD_ALL, 120, TEST_NEEDS_ULP)
{
	static const enum kind kinds[] = { TCP, ULP, SMC };
	unsigned int j;

	for (j = 0; j < ARRAY_SIZE(kinds); j++)
		if (test__start_subtest(kind_str(kinds[j])))
			closed_with_children(ULP, kinds[j], env.world == WORLD_SMCR ? 10 : 25);
}

/* --- peers that speak the option and misbehave ----------------------------------------------------- */

/* A plain client beside one that never sends its CLC proposal: accepted at once. */
static void not_delayed(void)
{
	int lfd = sock_listen(ULP, V4, 16), silent[3], fd, child, i;
	struct clc_peer peer = {};
	double start;

	if (!clc_peer_open(&peer))
		return;
	for (i = 0; i < 3; i++) {
		silent[i] = clc_peer_socket(&peer, V4);
		ASSERT_OK(sock_connect(silent[i], V4, sock_port(lfd)), "connect");
	}
	ASSERT_EQ(poll_fd(lfd, POLLIN, 50), 0, "no child to accept yet");
	start = now();
	fd = sock_connect_to(lfd, TCP, V4);
	child = accept(lfd, NULL, NULL);
	ASSERT_LT(ms_since(start), 500 * env.slow, "time until it is accepted");
	if (ASSERT_OK_FD(child, "accept")) {
		ASSERT_EQ(sock_peer_port(child), sock_port(fd), "the plain client");
		is_plain_tcp(child, fd);
	}
	sock_close(&child);
	sock_close(&fd);
	/* and one that speaks SMC */
	if (env.world == WORLD_SMCD) {
		start = now();
		fd = sock_connect_to(lfd, ULP, V4);
		child = accept(lfd, NULL, NULL);
		ASSERT_LT(ms_since(start), 800 * env.slow, "time until it is accepted");
		if (ASSERT_OK_FD(child, "accept") && ping_pong(fd, child))
			assert_smc(fd, 500);
		sock_close(&child);
		sock_close(&fd);
	}
	/* the silent ones are reset, within a bound */
	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(poll_fd(silent[i], POLLIN, 8000), "the silent peer is given up");
		sock_close(&silent[i]);
	}
	sock_close(&lfd);
	clc_peer_close(&peer);
}

TEST(listener_not_delayed, WORLD_SMCD | WORLD_NONE, 60, TEST_NEEDS_ULP)
{
	not_delayed();
}

TEST(stock_listener_closed, WORLD_ALL, 60, TEST_HIDDEN)
{
	closed_with_children(SMC, SMC, 200);
}
