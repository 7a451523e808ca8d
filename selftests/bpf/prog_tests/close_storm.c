// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many connections, each end of which sends, receives and then ends at random: close, half-close,
 * full shutdown, linger, unread data, also before the handshake is over. Nothing is asserted of
 * what the ends see; the runner asserts that nothing is left, and that the kernel does not complain.
 */
#include "stress_helpers.h"

#define THREADS 6

static enum kind kind;
static bool over;

struct storm {
	pthread_t client, server;
	int number, lfd, rounds;
};

static void *storm_server(void *arg)
{
	struct storm *storm = arg;
	int fd;

	dice_seed(storm->number);
	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		fd = accept(storm->lfd, NULL, NULL);
		if (fd < 0)
			continue;	/* it has a time-out */
		stress_talk(fd);
		stress_close(fd);
	}
	return NULL;
}

static void *storm_client(void *arg)
{
	struct storm *storm = arg;
	int i, fd;

	dice_seed(100 + storm->number);
	for (i = 0; i < storm->rounds; i++) {
		bool hurry = !dice(8);

		fd = sock_make(kind, V4);
		set_nonblock(fd, hurry);
		sock_connect(fd, V4, sock_port(storm->lfd));
		if (hurry) {
			poll_fd(fd, POLLOUT, dice(2) ? 2000 : 3);
			set_nonblock(fd, false);
		}
		stress_timeouts(fd);
		if (dice(10))
			stress_talk(fd);
		stress_close(fd);
	}
	return NULL;
}

static void run_storm(void)
{
	int lfd = sock_listen(kind, V4, 64), started, i;
	struct storm storms[THREADS];

	stress_timeouts(lfd);
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
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	for (i = 0; i < started; i++)
		pthread_join(storms[i].server, NULL);
	sock_close(&lfd);
}

/*
 * Over rxe the same storm of native AF_SMC sockets, without smc_ulp.ko, makes smc_cdc_tx_handler() of
 * 6.12 warn of a negative count and ends link groups with remote access errors: SMC-D only.
 */
TEST(close_storm, WORLD_SMCD, 120, TEST_NEEDS_ULP)
{
	kind = ULP;
	run_storm();
}

/* For comparison: what stock makes of it. It leaks over SMC-D, and see above. */
TEST(close_storm_native, WORLD_SMC, 120, TEST_HIDDEN)
{
	kind = SMC;
	run_storm();
}
