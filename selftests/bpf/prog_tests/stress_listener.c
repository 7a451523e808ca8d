// SPDX-License-Identifier: GPL-2.0-only
/*
 * Listeners that come and go, in all ways in which they can, under a storm of connects.
 */
#include <fcntl.h>

#include "stress_helpers.h"

#define LISTENERS 3
#define CLIENTS 5

static struct {
	int fd, port;
} listeners[LISTENERS];

/* Ends the listener, which others are in accept(2) on. */
static void end(int fd)
{
	struct sockaddr sa = { .sa_family = AF_UNSPEC };

	switch (dice(5)) {
	case 0:
		shutdown(fd, SHUT_RDWR);
		dice_sleep(2000);
		if (dice(2))
			listen(fd, 8);
		break;
	case 1:
		shutdown(fd, SHUT_RD);
		break;
	case 2:
		connect(fd, &sa, sizeof(sa));
		if (dice(2))
			listen(fd, 8);
		break;
	case 3:
		sock_destroy(fd);
		break;
	}
}

static void listener(int number)
{
	int fd;

	while (stress_on()) {
		fd = sock_listen(ULP, dice(3) ? V4 : V6, 1 + dice(30));
		if (fd < 0)
			continue;
		stress_timeouts(fd);
		__atomic_store_n(&listeners[number].port, sock_port(fd), __ATOMIC_RELAXED);
		__atomic_store_n(&listeners[number].fd, fd, __ATOMIC_RELAXED);
		dice_sleep(dice(4) ? 60000 : 2000);
		end(fd);
		__atomic_store_n(&listeners[number].fd, -1, __ATOMIC_RELAXED);
		close(fd);
	}
}

static void server(int number)
{
	int fd;

	while (stress_on()) {
		fd = accept(__atomic_load_n(&listeners[number].fd, __ATOMIC_RELAXED), NULL, NULL);
		if (fd < 0) {
			dice_sleep(3000);
			continue;
		}
		if (dice(3))
			stress_talk(fd);
		stress_close(fd);
	}
}

static void client(int number)
{
	int fd;

	(void)number;
	while (stress_on()) {
		enum addr addr = dice(3) ? V4 : V6;

		fd = stress_socket(dice(5) ? ULP : TCP, addr);
		set_nonblock(fd, dice(2));
		sock_connect(fd, addr, __atomic_load_n(&listeners[dice(LISTENERS)].port,
						       __ATOMIC_RELAXED));
		if (!dice(3))
			stress_talk(fd);
		stress_close(fd);
	}
}

/* Not over rxe, see close_storm. */
TEST(stress_listener, WORLD_SMCD | WORLD_NONE, 60, TEST_NEEDS_ULP)
{
	int i;

	for (i = 0; i < LISTENERS; i++)
		listeners[i].fd = -1;
	if (stress_begin(3)) {
		for (i = 0; i < LISTENERS; i++) {
			stress_thread(listener, i);
			stress_thread(server, i);
		}
		for (i = 0; i < CLIENTS; i++)
			stress_thread(client, 100 + i);
	}
	stress_end();
}
