// SPDX-License-Identifier: GPL-2.0-only
/*
 * A peek that waits for more while another thread reads what it has seen. Broken when stock's
 * receive loop does the waiting: it then has a negative number of bytes before it and copies what
 * lies behind the receive buffer; the kernel's own check of the copy panics.
 */
#include <signal.h>
#include <sys/time.h>

#include "network_helpers.h"

#define FIRST	1000
#define SECOND	100
#define WANTED	(256 * 1024)	/* more than there ever is */

struct peeker {
	int fd;
	volatile pid_t tid;
	ssize_t got;
	unsigned char buffer[WANTED];
};

static void *peek(void *arg)
{
	struct peeker *peeker = arg;

	peeker->tid = gettid();
	peeker->got = recv(peeker->fd, peeker->buffer, WANTED, MSG_PEEK | MSG_WAITALL);
	return NULL;
}

/* The thread is in recv(), asleep. */
static bool waits(pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/wchan", tid);
	return tid && (file_contains(path, "smc_") || file_contains(path, "wait_woken") ||
		       file_contains(path, "sk_wait_data"));
}

static void peek_and_read(enum kind kind)
{
	struct peeker *peeker = calloc(1, sizeof(*peeker));
	pthread_t thread;
	struct pair pair;

	if (!pair_make(&pair, kind, kind, V4))
		goto out;
	peeker->fd = pair.client;
	send_pattern(pair.server, 1, 0, FIRST);
	if (!thread_start(&thread, peek, peeker))
		goto close;
	ASSERT_TRUE(WAIT_FOR(waits(peeker->tid), 5000), "the peek waits");
	recv_pattern(pair.client, 1, 0, FIRST);
	send_pattern(pair.server, 1, FIRST, SECOND);
	shutdown(pair.server, SHUT_WR);
	pthread_join(thread, NULL);
	/* TCP calls that a bug of the program, and counts some of it twice */
	ASSERT_GE(peeker->got, SECOND, "peek");
	ASSERT_LT(peeker->got, WANTED, "peek: not what was not there");
	if (becomes_smc(kind, kind, V4) && ASSERT_EQ(peeker->got, SECOND, "peek: what is there"))
		ASSERT_OK(memcmp(peeker->buffer, pattern_at(1, FIRST), SECOND), "its content");
	recv_pattern(pair.client, 1, FIRST, SECOND);
	recv_eof(pair.client);
close:
	pair_close(&pair);
out:
	free(peeker);
}

static volatile bool signalled;

static void on_alarm(int signal)
{
	(void)signal;
	signalled = true;
}

/* Time-outs and signals end it, with what there is, or with nothing. */
static void peek_gives_up(enum kind kind)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval soon = { .it_value.tv_usec = 300000, .it_interval.tv_usec = 300000 };
	struct itimerval never = {};
	struct pair pair;
	char buffer[100];

	if (!pair_make(&pair, kind, kind, V4))
		return;
	ASSERT_ERRNO(recv(pair.client, buffer, 100, MSG_PEEK | MSG_DONTWAIT), EAGAIN, "nothing");
	sock_timeout(pair.client, SO_RCVTIMEO, 100);
	ASSERT_ERRNO(recv(pair.client, buffer, 100, MSG_PEEK), EAGAIN, "nothing in time");
	send_pattern(pair.server, 1, 0, 10);
	ASSERT_EQ(recv(pair.client, buffer, 100, MSG_PEEK), 10, "what there is");
	ASSERT_EQ(recv(pair.client, buffer, 100, MSG_PEEK | MSG_WAITALL), 10, "so much in time");
	ASSERT_EQ(recv(pair.client, buffer, 5, MSG_PEEK | MSG_WAITALL), 5, "all");

	sock_timeout(pair.client, SO_RCVTIMEO, 0);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	ASSERT_EQ(recv(pair.client, buffer, 100, MSG_PEEK | MSG_WAITALL), 10, "until the signal");
	ASSERT_TRUE(signalled, "a signal");
	recv_pattern(pair.client, 1, 0, 10);
	ASSERT_ERRNO(recv(pair.client, buffer, 100, MSG_PEEK), EINTR, "interrupted");
	setitimer(ITIMER_REAL, &never, NULL);
	pair_close(&pair);
}

TEST(peek, WORLD_ALL, 60, 0)
{
	static const enum kind kinds[] = { TCP, ULP };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!kind_available(kinds[i]))
			continue;
		if (test__start_subtestf("reader_%s", kind_str(kinds[i])))
			peek_and_read(kinds[i]);
		if (test__start_subtestf("gives_up_%s", kind_str(kinds[i])))
			peek_gives_up(kinds[i]);
	}
}
