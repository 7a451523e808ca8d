// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many connections, each end of which sends, receives and then ends at random: close, half-close,
 * full shutdown, linger, unread data, also before the handshake is over. Nothing is asserted of
 * what the ends see; the runner asserts that nothing is left, and that the kernel does not complain.
 */
#include <fcntl.h>
#include <sys/ioctl.h>

#include "policy_helpers.h"

#define THREADS 6

static __thread unsigned int seed;

static int dice(int n)
{
	return rand_r(&seed) % n;
}

static void talk(int fd)
{
	static __thread char buf[65536];
	double start = now(), ms = dice(6000) / 1000.0;
	int what = dice(3);
	ssize_t n;

	sock_timeout(fd, SO_RCVTIMEO, 20);
	sock_timeout(fd, SO_SNDTIMEO, 20);
	do {
		switch (what) {
		case 0:
			n = send(fd, buf, 1 + dice(sizeof(buf)), MSG_NOSIGNAL);
			break;
		case 1:
			n = recv(fd, buf, 1 + dice(sizeof(buf)), 0);
			break;
		default:
			usleep(500);
			n = 1;
		}
	} while (n > 0 && ms_since(start) < ms);
}

static void end(int fd)
{
	struct linger linger = { .l_onoff = 1 };
	char byte;

	switch (dice(6)) {
	case 0:
		shutdown(fd, SHUT_WR);
		if (dice(2) && recv(fd, &byte, 1, 0) < 0)
			usleep(dice(1000));
		break;
	case 1:
		shutdown(fd, SHUT_RDWR);
		break;
	case 2:
		shutdown(fd, SHUT_RD);
		break;
	case 3:
		linger.l_linger = dice(2);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		break;
	}
	if (dice(2))
		usleep(dice(2000));
	close(fd);
}

struct storm {
	pthread_t client, server;
	int number, lfd, rounds;
};

static void *storm_server(void *arg)
{
	struct storm *storm = arg;
	int fd;

	seed = storm->number;
	while ((fd = accept(storm->lfd, NULL, NULL)) >= 0) {
		talk(fd);
		end(fd);
	}
	return NULL;
}

static void *storm_client(void *arg)
{
	struct storm *storm = arg;
	int i, fd;

	seed = 1000 + storm->number;
	for (i = 0; i < storm->rounds; i++) {
		bool hurry = !dice(8);

		fd = sock_make(ULP, V4);
		set_nonblock(fd, hurry);
		sock_connect(fd, V4, sock_port(storm->lfd));
		if (hurry) {
			poll_fd(fd, POLLOUT, dice(2) ? 2000 : 3);
			set_nonblock(fd, false);
		}
		if (dice(10))
			talk(fd);
		end(fd);
	}
	return NULL;
}

/*
 * Over rxe the same storm of native AF_SMC sockets, without smc_ulp.ko, makes smc_cdc_tx_handler() of
 * 6.12 warn of a negative count and ends link groups with remote access errors: SMC-D only.
 */
TEST(close_storm, WORLD_SMCD, 120, TEST_NEEDS_ULP)
{
	int lfd = sock_listen(ULP, V4, 64), started, i;
	struct storm storms[THREADS];

	for (started = 0; started < THREADS; started++) {
		struct storm *storm = &storms[started];

		*storm = (struct storm){ .number = started, .lfd = lfd, .rounds = 100 };
		if (!thread_start(&storm->server, storm_server, storm))
			break;
		if (!thread_start(&storm->client, storm_client, storm))
			break;
	}
	ASSERT_EQ(started, THREADS, "threads");
	for (i = 0; i < started; i++)
		pthread_join(storms[i].client, NULL);
	shutdown(lfd, SHUT_RDWR);	/* wakes accept(2) */
	for (i = 0; i < started; i++)
		pthread_join(storms[i].server, NULL);
	sock_close(&lfd);
}
