// SPDX-License-Identifier: GPL-2.0-only
/*
 * A listener with O_ASYNC. Broken when its children, which nobody has accepted yet and which have
 * no wait queue therefore, are asked to flag theirs: TCP does so for each message of the handshake.
 */
#include <fcntl.h>
#include <signal.h>

#include "network_helpers.h"

static volatile sig_atomic_t signals;

static void on_sigio(int signal)
{
	(void)signal;
	signals++;
}

static void set_async(int fd)
{
	ASSERT_OK(fcntl(fd, F_SETOWN, getpid()), "F_SETOWN");
	ASSERT_OK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC), "O_ASYNC");
}

static void async_listener(enum kind kind)
{
	int lfd = sock_listen(kind, V4, 8), fd, child;

	set_async(lfd);
	signals = 0;
	fd = sock_connect_to(lfd, kind, V4);
	ASSERT_OK_FD(fd, "connect");
	ASSERT_TRUE(WAIT_FOR(signals, 5000), "SIGIO of the listener");
	child = accept(lfd, NULL, NULL);
	if (ASSERT_OK_FD(child, "accept")) {
		/* O_ASYNC is of the description, not inherited; the listener may be about to tell */
		fcntl(lfd, F_SETFL, fcntl(lfd, F_GETFL) & ~O_ASYNC);
		signals = 0;
		ping_pong(fd, child);
		ASSERT_EQ(signals, 0, "no SIGIO of the child");
		set_async(child);
		send_pattern(fd, 1, 0, 10);
		ASSERT_TRUE(WAIT_FOR(signals, 5000), "SIGIO of the child");
		recv_pattern(child, 1, 0, 10);
	}
	sock_close(&child);
	sock_close(&fd);
	sock_close(&lfd);
}

TEST(async, WORLD_ALL, 60, 0)
{
	static const enum kind kinds[] = { TCP, ULP };
	struct sigaction action = { .sa_handler = on_sigio, .sa_flags = SA_RESTART };
	unsigned int i;

	sigaction(SIGIO, &action, NULL);
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (test__start_subtestf("listener_%s", kind_str(kinds[i])) &&
		    kind_available(kinds[i]))
			async_listener(kinds[i]);
	}
}
