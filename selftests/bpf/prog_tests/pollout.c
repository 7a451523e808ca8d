// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writable means: a write of 8 KiB does not wait. Stock smc.ko says writable when one byte is
 * free; two programs that look with poll() and then write without O_NONBLOCK wait for each other
 * for ever. Broken by a poll() without TCP's threshold, or one that forgets to
 * wake those it has turned away.
 */
#include "network_helpers.h"

#define PIECE 8192
#define TOTAL (4 * 1024 * 1024)

/* Reads when poll() says so, writes PIECE when poll() says so. Blocking socket. */
static void *relay(void *arg)
{
	struct end *end = arg;
	unsigned char buf[PIECE];
	ssize_t n;
	short got;

	while (end->tx < end->tx_len || end->rx < end->rx_len) {
		got = poll_fd(end->fd, (end->rx < end->rx_len ? POLLIN : 0) |
				       (end->tx < end->tx_len ? POLLOUT : 0), 20000);
		if (!ASSERT_TRUE(got, "an event before the time is up"))
			return NULL;
		/* writes first: that is what waits */
		if (got & POLLOUT) {
			n = send(end->fd, pattern_at(end->tx_seed, end->tx), PIECE, MSG_NOSIGNAL);
			if (!ASSERT_EQ(n, PIECE, "write after POLLOUT"))
				return NULL;
			end->tx += n;
		}
		if (got & POLLIN) {
			n = recv(end->fd, buf, sizeof(buf), 0);
			if (!ASSERT_GT(n, 0, "read") ||
			    !ASSERT_OK(memcmp(buf, pattern_at(end->rx_seed, end->rx), n), "data"))
				return NULL;
			end->rx += n;
		}
	}
	end->ok = true;
	return NULL;
}

static void two_relays(enum kind kind)
{
	struct end a = { .tx_seed = 1, .rx_seed = 2, .tx_len = TOTAL, .rx_len = TOTAL };
	struct end b = { .tx_seed = 2, .rx_seed = 1, .tx_len = TOTAL, .rx_len = TOTAL };
	pthread_t thread;
	struct pair pair;

	if (!pair_make(&pair, kind, kind, V4))
		return;
	a.fd = pair.client;
	b.fd = pair.server;
	/* a write that waits for ever shows as a short one */
	sock_timeout(a.fd, SO_SNDTIMEO, 10000 * env.slow);
	sock_timeout(b.fd, SO_SNDTIMEO, 10000 * env.slow);
	if (thread_start(&thread, relay, &a)) {
		relay(&b);
		pthread_join(thread, NULL);
	}
	ASSERT_TRUE(a.ok && b.ok, "both got everything");
	assert_outcome(becomes_smc(kind, kind, V4), pair.client, TOTAL);
	pair_close(&pair);
}

/* Whatever is free: if poll() says writable, 8 KiB go. */
static void never_short(enum kind kind)
{
	unsigned int writable = 0, full = 0;
	struct pair pair;
	__u64 tx = 0, rx = 0;
	char buf[1000];
	ssize_t n;
	int i;

	if (!pair_make(&pair, kind, kind, V4))
		return;
	for (i = 0; i < 2000; i++) {
		if (poll_fd(pair.client, POLLOUT, 0) & POLLOUT) {
			n = send(pair.client, pattern_at(1, tx), PIECE, MSG_DONTWAIT);
			if (!ASSERT_EQ(n, PIECE, "write after POLLOUT"))
				break;
			tx += n;
			writable++;
			continue;
		}
		full++;
		n = recv(pair.server, buf, i % 7 ? sizeof(buf) : 1, MSG_DONTWAIT);
		if (n > 0) {
			if (!ASSERT_OK(memcmp(buf, pattern_at(1, rx), n), "data"))
				break;
			rx += n;
		}
	}
	ASSERT_GT(writable, 0, "times it was writable");
	ASSERT_GT(full, 0, "times it was not");
	/* and the one who was turned away is woken */
	recv_pattern(pair.server, 1, rx, tx - rx);
	ASSERT_EQ(poll_fd(pair.client, POLLOUT, 2000), POLLOUT, "writable again");
	pair_close(&pair);
}

/* Someone who sleeps in poll() is woken when there is room, not before. */
struct sleeper {
	int fd;
	short got;
};

static void *sleep_in_poll(void *arg)
{
	struct sleeper *sleeper = arg;

	sleeper->got = poll_fd(sleeper->fd, POLLOUT, 20000);
	return NULL;
}

static void woken(enum kind kind)
{
	struct sleeper sleeper;
	struct pair pair;
	pthread_t thread;
	__u64 tx = 0;
	ssize_t n;

	if (!pair_make(&pair, kind, kind, V4))
		return;
	while ((n = send(pair.client, pattern_at(1, tx), PIECE, MSG_DONTWAIT)) > 0)
		tx += n;
	ASSERT_EQ(errno, EAGAIN, "full");
	ASSERT_EQ(poll_fd(pair.client, POLLOUT, 0), 0, "full");
	sleeper.fd = pair.client;
	if (thread_start(&thread, sleep_in_poll, &sleeper)) {
		msleep(50);
		recv_pattern(pair.server, 1, 0, tx);
		pthread_join(thread, NULL);
		ASSERT_EQ(sleeper.got, POLLOUT, "woken");
	}
	pair_close(&pair);
}

TEST(pollout, WORLD_SMCD | WORLD_NONE, 120, 0)
{
	static const enum kind kinds[] = { TCP, ULP };
	unsigned int i;

	/* a new netns has small buffers, 64 KiB: whatever init_net was set to */
	if (!netns_enter_new())
		return;
	if (!access("/proc/sys/net/smc/wmem", W_OK)) {
		write_file("/proc/sys/net/smc/wmem", "65536");
		write_file("/proc/sys/net/smc/rmem", "65536");
	}
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (test__start_subtestf("two_relays_%s", kind_str(kinds[i])) &&
		    kind_available(kinds[i]))
			two_relays(kinds[i]);
		if (test__start_subtestf("never_short_%s", kind_str(kinds[i])) &&
		    kind_available(kinds[i]))
			never_short(kinds[i]);
		if (test__start_subtestf("woken_%s", kind_str(kinds[i])) &&
		    kind_available(kinds[i]))
			woken(kinds[i]);
	}
}
