// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that do at random what can be done, all on the same few descriptors: attach, connect,
 * listen, accept, send, receive, poll, shutdown, dup, close, options. Nothing is asserted of what
 * they get; the runner asserts that nothing is left, and that the kernel does not complain.
 *
 * Over rxe storms of ends make stock 6.12 warn and lose link groups (see close_storm): what is done
 * there is the same, over connections that stay TCP.
 */
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "stress_helpers.h"

#define SLOTS 10
#define THREADS 8
#define FIRST_FD 900	/* the descriptors are FIRST_FD to FIRST_FD + SLOTS - 1 */

static int ports[SLOTS];	/* of the listeners among them, as far as known */

static int slot(void)
{
	return FIRST_FD + dice(SLOTS);
}

/* @fd goes where another one was, which is closed, whoever is using it */
static void put(int fd, int at)
{
	if (fd < 0)
		return;
	dup2(fd, at);
	close(fd);
}

static void renew(int fd)
{
	int new = stress_socket(dice(3) ? ULP : TCP, dice(4) ? V4 : dice(2) ? V6 : MAPPED);

	if (new >= 0 && dice(2))
		set_nonblock(new, true);
	put(new, fd);
}

static void listen_at(int fd)
{
	struct sockaddr_storage sa = {};
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (void *)&sa, &len))
		return;
	len = loopback(&sa, sa.ss_family == AF_INET ? V4 : dice(2) ? V6 : MAPPED, 0);
	if (!dice(2))
		bind(fd, (void *)&sa, len);
	if (!listen(fd, dice(20)))
		__atomic_store_n(&ports[fd - FIRST_FD], sock_port(fd), __ATOMIC_RELAXED);
}

static void connect_from(int fd)
{
	int port = __atomic_load_n(&ports[dice(SLOTS)], __ATOMIC_RELAXED);
	struct sockaddr_storage sa = {};
	socklen_t len = sizeof(sa);

	if (port > 0 && !getsockname(fd, (void *)&sa, &len))
		sock_connect(fd, sa.ss_family == AF_INET ? V4 : dice(2) ? V6 : MAPPED, port);
}

static void disconnect(int fd)
{
	struct sockaddr sa = { .sa_family = AF_UNSPEC };

	connect(fd, &sa, sizeof(sa));
}

static void some_option(int fd)
{
	struct linger linger = { .l_onoff = dice(2) };
	int value = dice(3);

	switch (dice(10)) {
	case 0:
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		break;
	case 1:
		sock_set(fd, SOL_TCP, TCP_NODELAY, value);
		break;
	case 2:
		sock_set(fd, SOL_TCP, TCP_CORK, value);
		break;
	case 3:
		sock_set(fd, SOL_SOCKET, SO_RCVLOWAT, 1 + value);
		break;
	case 4:
		sock_set(fd, SOL_IPV6, IPV6_ADDRFORM, AF_INET);
		break;
	case 5:
		ulp_set(fd, "tls");
		break;
	case 6:
		sock_set(fd, SOL_SOCKET, SO_ZEROCOPY, value);
		break;
	case 7:
		sock_set(fd, SOL_SOCKET, SO_SNDBUF, 20000 * value);
		break;
	case 8:
		ulp_name(fd);
		break;
	default:
		sock_error(fd);
	}
}

static void some_io(int fd)
{
	static __thread char buf[30000];
	int pipes[2], queued;

	switch (dice(7)) {
	case 0:
	case 1:
		send(fd, buf, 1 + dice(sizeof(buf)), MSG_NOSIGNAL);
		break;
	case 2:
	case 3:
		recv(fd, buf, 1 + dice(sizeof(buf)), dice(3) ? 0 : MSG_PEEK);
		break;
	case 4:
		poll_fd(fd, POLLIN | POLLOUT, dice(3));
		break;
	case 5:
		ioctl(fd, dice(2) ? SIOCINQ : SIOCOUTQ, &queued);
		break;
	default:
		if (pipe2(pipes, O_CLOEXEC))
			break;
		splice(fd, NULL, pipes[1], NULL, 4096, SPLICE_F_NONBLOCK);
		close(pipes[0]);
		close(pipes[1]);
	}
}

static void do_something(void)
{
	int fd = slot();

	switch (dice(24)) {
	case 0:
	case 1:
	case 2:
		renew(fd);
		break;
	case 3:
		ulp_set(fd, "smc");
		break;
	case 4:
	case 5:
		listen_at(fd);
		break;
	case 6:
	case 7:
	case 8:
		connect_from(fd);
		break;
	case 9:
	case 10:
	case 11:
		put(accept4(fd, NULL, NULL, dice(2) ? SOCK_NONBLOCK : 0), slot());
		break;
	case 12:
		shutdown(fd, dice(3));
		break;
	case 13:
		close(fd);
		break;
	case 14:
		dup2(fd, slot());
		break;
	case 15:
		if (!dice(4))
			disconnect(fd);
		break;
	case 16:
		if (!dice(4))
			sock_destroy(fd);
		break;
	case 17:
	case 18:
		some_option(fd);
		break;
	default:
		some_io(fd);
	}
}

static void at_random(int number)
{
	(void)number;
	while (stress_on())
		do_something();
}

TEST(stress_fds, WORLD_SMCD | WORLD_NONE, 60, TEST_NEEDS_ULP)
{
	int i;

	/*
	 * TCP_ULP loads it under the socket lock, and the load needs the RTNL: a deadlock of 6.12
	 * with IPV6_ADDRFORM, which takes the RTNL first.
	 */
	sys("modprobe tls");
	if (stress_begin(3)) {
		for (i = 0; i < THREADS; i++)
			stress_thread(at_random, i);
	}
	stress_end();
	for (i = 0; i < SLOTS; i++)
		close(FIRST_FD + i);
}
