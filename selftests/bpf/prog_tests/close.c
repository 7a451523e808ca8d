// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ways a connection ends, in all pairings of native AF_SMC, our ULP and plain TCP. What is
 * wanted is what TCP does. A stock AF_SMC socket takes an abort by its peer for the end of the
 * stream and may lose data then: where the observing side is one, that is not our concern, and
 * where both sides are, nothing is asked.
 */
#include "network_helpers.h"

#define KIB 1024ull

static const struct {
	enum kind server, client;
} pairs[] = {
	{ TCP, TCP }, { SMC, SMC }, { SMC, ULP }, { ULP, SMC }, { ULP, ULP }, { TCP, ULP },
	{ ULP, TCP },
};

/* A reader that goes on to the end of the stream. */
struct reader {
	pthread_t thread;
	int fd;
	__u32 seed;
	long long got;
	int error;
};

static void *read_all(void *arg)
{
	struct reader *reader = arg;

	reader->got = recv_to_end(reader->fd, reader->seed);
	reader->error = reader->got < 0 ? errno : 0;
	return NULL;
}

/* The peer of a stock socket may be told less. */
static bool stock_client;

/* The client's stream has ended by a reset. */
static bool recv_reset(int fd)
{
	char byte;
	ssize_t n;

	if (!ASSERT_TRUE(poll_fd(fd, POLLIN, 3000), "the peer is told"))
		return false;
	n = recv(fd, &byte, 1, 0);
	if (stock_client && !n)
		return true;
	if (!ASSERT_EQ(n, -1, "a reset, not data nor the end of the stream"))
		return false;
	return ASSERT_EQ(errno, ECONNRESET, "errno of recv");
}

/* The client sends and half-closes; the server reads to the end, answers and closes. */
static void request_answer(struct pair *pair)
{
	struct reader reader = { .fd = pair->server, .seed = 1 };

	if (!thread_start(&reader.thread, read_all, &reader))
		return;
	send_pattern(pair->client, 1, 0, 300 * KIB);
	ASSERT_OK(shutdown(pair->client, SHUT_WR), "SHUT_WR");
	pthread_join(reader.thread, NULL);
	ASSERT_EQ(reader.got, 300 * KIB, "bytes before the end of the stream");
	ASSERT_ERRNO(send(pair->client, "x", 1, MSG_NOSIGNAL), EPIPE, "send after SHUT_WR");
	ASSERT_EQ(poll_fd(pair->server, POLLIN | POLLRDHUP, 1000), POLLIN | POLLRDHUP,
		  "poll after the peer's half-close");

	reader.fd = pair->client;
	reader.seed = 2;
	if (!thread_start(&reader.thread, read_all, &reader))
		return;
	send_pattern(pair->server, 2, 0, 200 * KIB);
	sock_close(&pair->server);
	pthread_join(reader.thread, NULL);
	ASSERT_EQ(reader.got, 200 * KIB, "bytes after the own half-close");
	recv_eof(pair->client);	/* and again */
}

/* The server sends and closes at once; what was sent must arrive. */
static void send_close(struct pair *pair)
{
	struct reader reader = { .fd = pair->client, .seed = 2 };
	int i, err = 0;

	if (!thread_start(&reader.thread, read_all, &reader))
		return;
	send_pattern(pair->server, 2, 0, 500 * KIB);
	sock_close(&pair->server);
	pthread_join(reader.thread, NULL);
	ASSERT_EQ(reader.got, 500 * KIB, "bytes before the end of the stream");

	/* a writer learns that nobody listens: TCP after the RST that answers the first byte */
	for (i = 0; i < 100 && !err; i++) {
		err = send(pair->client, "x", 1, MSG_NOSIGNAL) < 0 ? errno : 0;
		if (!err)
			msleep(20);
	}
	ASSERT_TRUE(err == EPIPE || err == ECONNRESET, "send to a closed peer fails");
	if (err != EPIPE && err != ECONNRESET)
		test__log("send: %s after %d bytes", err ? strerrorname_np(err) : "no error", i);
	ASSERT_TRUE(poll_fd(pair->client, POLLIN | POLLOUT, 1000) & (POLLHUP | POLLIN),
		    "poll after the peer's close");
}

/* Both send, both close with nothing unread, at the same time. */
static void *close_it(void *arg)
{
	sock_close(arg);
	return NULL;
}

static void both_close(struct pair *pair)
{
	pthread_t thread;

	if (!exchange(pair, 20 * KIB, BLOCKING))
		return;
	if (!thread_start(&thread, close_it, &pair->server))
		return;
	sock_close(&pair->client);
	pthread_join(thread, NULL);
}

/*
 * Closed with data unread. The peer must be told: ECONNRESET, never a clean end of the stream
 * as if everything had been received. SMC delivers what was sent first where TCP may drop it.
 */
static void unread(struct pair *pair)
{
	send_pattern(pair->client, 1, 0, 1000);
	if (!ASSERT_TRUE(poll_fd(pair->server, POLLIN, 2000) & POLLIN, "data arrived"))
		return;
	sock_close(&pair->server);
	if (recv_reset(pair->client) && !stock_client)
		ASSERT_ERRNO(send(pair->client, "x", 1, MSG_NOSIGNAL), EPIPE,
			     "send after the reset");
}

/* The same, and the closing side had sent something: all of that arrives, then ECONNRESET. */
static void unread_with_data(struct pair *pair)
{
	send_pattern(pair->client, 1, 0, 1000);
	if (!ASSERT_TRUE(poll_fd(pair->server, POLLIN, 2000) & POLLIN, "data arrived"))
		return;
	send_pattern(pair->server, 2, 0, 40000);
	/* TCP delivers what its peer has already been given */
	recv_pattern(pair->client, 2, 0, 1000);
	msleep(50);
	sock_close(&pair->server);
	msleep(50);
	if (ASSERT_OK(recv_pattern(pair->client, 2, 1000, 39000), "what was sent before the close"))
		recv_reset(pair->client);
}

/* Trap 24: unread data, after the peer's half-close. */
static void half_closed_then_unread(struct pair *pair)
{
	send_pattern(pair->client, 1, 0, 40000);
	ASSERT_OK(shutdown(pair->client, SHUT_WR), "SHUT_WR");
	if (!ASSERT_TRUE(poll_fd(pair->server, POLLRDHUP, 2000) & POLLRDHUP, "half-close arrived"))
		return;
	send_pattern(pair->server, 2, 0, 40000);
	msleep(50);
	sock_close(&pair->server);
	msleep(50);
	if (ASSERT_OK(recv_pattern(pair->client, 2, 0, 40000), "what was sent before the close"))
		recv_reset(pair->client);
}

/* One side has said all; data flows the other way for as long as it likes. */
static void half_closed(struct pair *pair)
{
	ASSERT_OK(shutdown(pair->server, SHUT_WR), "SHUT_WR");
	recv_eof(pair->client);
	msleep(100);
	if (send_pattern(pair->client, 1, 0, 10000) || recv_pattern(pair->server, 1, 0, 10000))
		return;
	msleep(100);
	if (send_pattern(pair->client, 1, 10000, 10000) ||
	    recv_pattern(pair->server, 1, 10000, 10000))
		return;
	sock_close(&pair->client);
	recv_eof(pair->server);
}

static void shut_rd(struct pair *pair)
{
	char byte;

	ASSERT_OK(shutdown(pair->client, SHUT_RD), "SHUT_RD");
	ASSERT_EQ(recv(pair->client, &byte, 1, 0), 0, "recv after SHUT_RD");
	if (send_pattern(pair->client, 1, 0, 10000))
		return;
	recv_pattern(pair->server, 1, 0, 10000);
}

static void shut_rdwr(struct pair *pair)
{
	if (!exchange(pair, 1000, BLOCKING))
		return;
	ASSERT_OK(shutdown(pair->client, SHUT_RDWR), "SHUT_RDWR");
	recv_eof(pair->server);
	recv_eof(pair->client);
	ASSERT_ERRNO(send(pair->client, "x", 1, MSG_NOSIGNAL), EPIPE, "send after SHUT_RDWR");
}

/* What has come stays readable, and the peer gets all, and a clean end: no reset. */
static void shut_rdwr_unread(struct pair *pair)
{
	send_pattern(pair->client, 1, 0, 1000);
	if (!ASSERT_TRUE(poll_fd(pair->server, POLLIN, 2000) & POLLIN, "data arrived"))
		return;
	send_pattern(pair->server, 2, 0, 40000);
	ASSERT_OK(shutdown(pair->server, SHUT_RDWR), "SHUT_RDWR");
	msleep(50);
	if (!recv_pattern(pair->server, 1, 0, 1000))
		recv_eof(pair->server);
	if (!recv_pattern(pair->client, 2, 0, 40000))
		recv_eof(pair->client);
}

/*
 * The same after the peer's half-close, and what has come is not read before the close. Stock would
 * wait for an answer to its abort that never comes.
 */
static void shut_rdwr_half_closed(struct pair *pair)
{
	send_pattern(pair->client, 1, 0, 1000);
	ASSERT_OK(shutdown(pair->client, SHUT_WR), "SHUT_WR");
	if (!ASSERT_TRUE(poll_fd(pair->server, POLLRDHUP, 2000) & POLLRDHUP, "half-close arrived"))
		return;
	send_pattern(pair->server, 2, 0, 40000);
	ASSERT_OK(shutdown(pair->server, SHUT_RDWR), "SHUT_RDWR");
	if (!recv_pattern(pair->client, 2, 0, 40000))
		recv_eof(pair->client);
	sock_close(&pair->server);
}

/* SO_LINGER with 0 s: the peer sees a reset. */
static void linger_0(struct pair *pair)
{
	struct linger linger = { .l_onoff = 1 };

	if (!exchange(pair, 1000, BLOCKING))
		return;
	ASSERT_OK(setsockopt(pair->server, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)),
		  "SO_LINGER");
	sock_close(&pair->server);
	recv_reset(pair->client);
}

static void linger_seconds(struct pair *pair)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 2 };
	struct reader reader = { .fd = pair->client, .seed = 2 };
	double start;

	ASSERT_OK(setsockopt(pair->server, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)),
		  "SO_LINGER");
	if (!thread_start(&reader.thread, read_all, &reader))
		return;
	send_pattern(pair->server, 2, 0, 200 * KIB);
	start = now();
	sock_close(&pair->server);
	ASSERT_LT(ms_since(start), 3500 * env.slow, "close lasts at most the linger time");
	pthread_join(reader.thread, NULL);
	ASSERT_EQ(reader.got, 200 * KIB, "bytes before the end of the stream");
}

/* A thread that waits in recv() is woken by shutdown() of its own side. */
static void own_shutdown_wakes(struct pair *pair)
{
	struct reader reader = { .fd = pair->client, .seed = 2 };

	if (!thread_start(&reader.thread, read_all, &reader))
		return;
	msleep(100);
	ASSERT_OK(shutdown(pair->client, SHUT_RDWR), "SHUT_RDWR");
	pthread_join(reader.thread, NULL);
	ASSERT_EQ(reader.got, 0, "end of the stream");
}

/* A thread that waits in recv() is woken by the end of the peer. */
static void peers_close_wakes_reader(struct pair *pair)
{
	struct reader reader = { .fd = pair->client, .seed = 2 };

	if (!thread_start(&reader.thread, read_all, &reader))
		return;
	msleep(100);
	sock_close(&pair->server);
	pthread_join(reader.thread, NULL);
	ASSERT_EQ(reader.got, 0, "end of the stream");
}

/* A sender that waits for room fails when the reader is gone. */
struct writer {
	pthread_t thread;
	int fd;
	int error;
};

static void *write_until_error(void *arg)
{
	struct writer *writer = arg;

	while (send(writer->fd, pattern_at(1, 0), 65536, MSG_NOSIGNAL) > 0)
		;
	writer->error = errno;
	return NULL;
}

static void peers_close_wakes_writer(struct pair *pair)
{
	struct writer writer = { .fd = pair->client };

	if (!thread_start(&writer.thread, write_until_error, &writer))
		return;
	msleep(200);
	sock_close(&pair->server);
	pthread_join(writer.thread, NULL);
	ASSERT_TRUE(writer.error == ECONNRESET || writer.error == EPIPE, "send fails");
}

/*
 * @not_stock: not with a stock socket on both ends
 * @not_stock_server: the closing side must not be a stock socket: it leaks, or does not abort
 */
static void run_order(void (*run)(struct pair *pair), bool not_stock, bool not_stock_server)
{
	struct pair pair;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		enum kind server = pairs[i].server, client = pairs[i].client;

		if (server == SMC && (not_stock_server || (not_stock && client == SMC)))
			continue;
		if (!test__start_subtestf("%s_%s", kind_str(server), kind_str(client)))
			continue;
		if (!kind_available(server) || !kind_available(client) ||
		    !pair_make(&pair, server, client, V4))
			continue;
		stock_client = client == SMC;
		run(&pair);
		pair_close(&pair);
	}
}

#define ORDER(name, not_stock, not_stock_server)					\
	TEST(close_##name, WORLD_SMC, 60, 0)						\
	{										\
		run_order(name, not_stock, not_stock_server);				\
	}

ORDER(request_answer, false, false)
ORDER(send_close, false, false)
ORDER(both_close, false, false)
ORDER(unread, true, false)
ORDER(unread_with_data, true, false)
ORDER(half_closed_then_unread, true, true)
ORDER(half_closed, false, false)
ORDER(shut_rd, false, false)
ORDER(shut_rdwr, false, false)
ORDER(shut_rdwr_unread, false, true)
ORDER(shut_rdwr_half_closed, false, true)
ORDER(linger_0, true, true)
ORDER(linger_seconds, false, false)
ORDER(own_shutdown_wakes, false, false)
ORDER(peers_close_wakes_reader, false, false)
ORDER(peers_close_wakes_writer, false, false)

/*
 * An end that was closed with unread data waits for its peer, whose program may keep its end open for
 * as long as it likes, and whose answer is written into our buffer. Connections made meanwhile must
 * not have that buffer.
 */
TEST(close_unanswered, WORLD_SMC, 90, TEST_NEEDS_ULP)
{
	struct pair old[8], new[8];
	int n_old = 0, n_new = 0, i;

	for (; n_old < 8; n_old++) {
		if (!pair_make(&old[n_old], ULP, ULP, V4))
			break;
		send_pattern(old[n_old].client, 1, 0, 1000);
		if (!ASSERT_TRUE(poll_fd(old[n_old].server, POLLIN, 2000) & POLLIN, "data arrived"))
			break;
		sock_close(&old[n_old].server);
	}
	msleep(13000);
	for (; n_new < 8 && n_old == 8; n_new++)
		if (!pair_make(&new[n_new], ULP, ULP, V4))
			break;
	for (i = 0; i < n_new; i++) {
		if (send_pattern(new[i].client, 1, 0, 20000))
			break;
		sock_close(&old[i].client);
		if (recv_pattern(new[i].server, 1, 0, 20000) || !exchange(&new[i], 50 * KIB, BLOCKING))
			break;
	}
	for (i = 0; i < n_new; i++)
		pair_close(&new[i]);
	for (i = 0; i < n_old; i++)
		pair_close(&old[i]);
}

/*
 * A client that resets its connection so early that the server, which is native AF_SMC, has not
 * read the last message of the handshake: that server then says nothing over SMC, for which the
 * client's sidecar would wait for ever. Shows in the leftovers.
 */
TEST(close_reset_early, WORLD_SMCD, 60, TEST_NEEDS_ULP)
{
	struct linger at_once = { .l_onoff = 1 };
	int lfd, fd, i;

	if (!netns_enter_new() || !netem_lo(20))
		return;
	lfd = sock_listen(SMC, V4, 16);
	for (i = 0; i < 10; i++) {
		fd = sock_connect_to(lfd, ULP, V4);
		if (!ASSERT_OK_FD(fd, "connect"))
			break;
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		sock_close(&fd);
	}
	sock_close(&lfd);
}
