// SPDX-License-Identifier: GPL-2.0-only
/*
 * splice(2), tee(2) and sendfile(2) with a connection that is SMC. Stock smc.ko hands out pages of
 * its receive ring and overwrites them while they are still referred to, by a TCP send queue for
 * example: broken by doing the same, which shows as a wrong byte as soon as
 * the last reader is slow.
 */
#include <fcntl.h>
#include <sys/sendfile.h>

#include "network_helpers.h"

#define MIB (1024 * 1024ull)

struct job {
	int from, to;
	__u64 len;
	__u32 seed;
	int delay_us;
};

static void *send_job(void *arg)
{
	struct job *job = arg;

	send_pattern(job->to, job->seed, 0, job->len);
	shutdown(job->to, SHUT_WR);
	return NULL;
}

static void *slow_reader(void *arg)
{
	struct job *job = arg;
	__u64 done = 0;

	while (done < job->len) {
		__u64 piece = job->len - done < 65536 ? job->len - done : 65536;

		usleep(job->delay_us);
		if (recv_pattern(job->from, job->seed, done, piece))
			return NULL;
		done += piece;
	}
	recv_eof(job->from);
	return NULL;
}

/* Everything from one socket to the other, through a pipe, and into @copy by tee() if it is >= 0. */
static bool relay(int from, int to, int copy)
{
	int p[2], q[2] = { -1, -1 };
	bool ok = false;
	ssize_t n, m;

	if (!ASSERT_OK(pipe(p), "pipe") || (copy >= 0 && !ASSERT_OK(pipe(q), "pipe")))
		return false;
	for (;;) {
		n = splice(from, NULL, p[1], NULL, 65536, SPLICE_F_MOVE);
		if (!n)
			ok = true;
		if (n <= 0)
			break;
		if (copy >= 0) {
			ssize_t left = n, t;

			t = tee(p[0], q[1], n, 0);
			if (!ASSERT_EQ(t, n, "tee"))
				break;
			while (left > 0) {
				m = splice(q[0], NULL, copy, NULL, left, SPLICE_F_MOVE);
				if (!ASSERT_GT(m, 0, "splice of the copy"))
					goto out;
				left -= m;
			}
		}
		while (n > 0) {
			m = splice(p[0], NULL, to, NULL, n, SPLICE_F_MOVE | SPLICE_F_MORE);
			if (!ASSERT_GT(m, 0, "splice to the socket"))
				goto out;
			n -= m;
		}
	}
	ASSERT_TRUE(ok, "splice from the socket");
out:
	close(p[0]);
	close(p[1]);
	if (copy >= 0) {
		close(q[0]);
		close(q[1]);
	}
	shutdown(to, SHUT_WR);
	if (copy >= 0)
		shutdown(copy, SHUT_WR);
	return ok;
}

/* One side SMC, the other TCP: with SMC on both sides the fault of stock does not show. */
static void through_relay(enum kind in_server, enum kind in_client, enum kind out, bool with_tee)
{
	struct pair a = { -1, -1 }, b = { -1, -1 }, c = { -1, -1 };
	struct job sender = { .len = 16 * MIB, .seed = 1 }, reader, reader2;
	pthread_t threads[3];

	if (!pair_make(&a, in_server, in_client, V4) || !pair_make(&b, out, out, V4) ||
	    (with_tee && !pair_make(&c, TCP, TCP, V4)))
		goto out;
	sender.to = a.server;
	reader = sender;
	reader.from = b.server;
	reader.delay_us = 1000;
	reader2 = reader;
	reader2.from = c.server;
	if (!thread_start(&threads[0], send_job, &sender) ||
	    !thread_start(&threads[1], slow_reader, &reader) ||
	    (with_tee && !thread_start(&threads[2], slow_reader, &reader2)))
		goto out;
	if (!relay(a.client, b.client, c.client)) {
		shutdown(a.server, SHUT_RDWR);
		shutdown(b.server, SHUT_RDWR);
		shutdown(c.server, SHUT_RDWR);
	}
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	if (with_tee)
		pthread_join(threads[2], NULL);
out:
	pair_close(&a);
	pair_close(&b);
	pair_close(&c);
}

static void nonblocking(void)
{
	struct pair pair;
	int p[2], i;
	char buf[1000];

	if (!pair_make(&pair, ULP, ULP, V4) || !ASSERT_OK(pipe(p), "pipe"))
		return;
	set_nonblock(pair.client, true);
	ASSERT_ERRNO(splice(pair.client, NULL, p[1], NULL, 1000, 0), EAGAIN, "nothing there");
	send_pattern(pair.server, 1, 0, 1000);
	ASSERT_EQ(poll_fd(pair.client, POLLIN, 2000), POLLIN, "data");
	ASSERT_EQ(splice(pair.client, NULL, p[1], NULL, 1000, 0), 1000, "splice");
	ASSERT_EQ(read(p[0], buf, 1000), 1000, "read");
	ASSERT_OK(memcmp(buf, pattern_at(1, 0), 1000), "data");
	ASSERT_ERRNO(splice(pair.client, NULL, p[1], NULL, 1000, 0), EAGAIN, "nothing left");

	/* into a socket whose buffer is full */
	set_nonblock(pair.client, false);
	set_nonblock(pair.server, true);
	/* full at both ends: SMC-R goes on moving bytes to the peer for a while */
	for (i = 0; i < 20; i++) {
		while (send(pair.server, pattern_at(2, 0), 60000, MSG_NOSIGNAL) > 0)
			i = 0;
		msleep(10);
	}
	ASSERT_EQ(write(p[1], buf, 1000), 1000, "write");
	ASSERT_ERRNO(splice(p[0], NULL, pair.server, NULL, 1000, SPLICE_F_NONBLOCK), EAGAIN,
		     "no room");
	shutdown(pair.server, SHUT_WR);
	close(p[0]);
	close(p[1]);
	pair_close(&pair);
}

static void end_of_stream(void)
{
	struct pair pair;
	int p[2];

	if (!pair_make(&pair, ULP, ULP, V4) || !ASSERT_OK(pipe(p), "pipe"))
		return;
	sock_close(&pair.server);
	ASSERT_EQ(splice(pair.client, NULL, p[1], NULL, 1000, 0), 0, "end of the stream");
	close(p[0]);
	close(p[1]);
	pair_close(&pair);
}

static void *recv_file(void *arg)
{
	struct job *job = arg;

	recv_pattern(job->from, job->seed, 0, job->len);
	return NULL;
}

static void from_file(enum kind server, enum kind client)
{
	char name[] = "/tmp/sendfile.XXXXXX";
	struct job reader = { .len = 2 * MIB, .seed = 4 };
	int file = mkstemp(name);
	struct pair pair;
	pthread_t thread;
	__u64 done = 0;
	off_t at = 0;
	ssize_t n;

	unlink(name);
	while (done < reader.len) {
		n = write(file, pattern_at(4, done), PATTERN_RUN);
		if (!ASSERT_EQ(n, PATTERN_RUN, "write"))
			return;
		done += n;
	}
	if (!pair_make(&pair, server, client, V4))
		return;
	reader.from = pair.server;
	if (thread_start(&thread, recv_file, &reader)) {
		while ((__u64)at < reader.len) {
			n = sendfile(pair.client, file, &at, reader.len - at);
			if (!ASSERT_GT(n, 0, "sendfile"))
				break;
		}
		pthread_join(thread, NULL);
	}
	assert_outcome(becomes_smc(server, client, V4), pair.client, reader.len);
	close(file);
	pair_close(&pair);
}

TEST(splice, WORLD_ALL, 120, TEST_NEEDS_ULP)
{
	if (test__start_subtest("ulp_ulp_to_tcp"))
		through_relay(ULP, ULP, TCP, false);
	if (test__start_subtest("smc_ulp_to_tcp"))
		through_relay(SMC, ULP, TCP, false);
	if (test__start_subtest("tcp_to_ulp"))
		through_relay(TCP, TCP, ULP, false);
	if (test__start_subtest("tcp_ulp_to_tcp"))
		through_relay(TCP, ULP, TCP, false);
	if (test__start_subtest("tee"))
		through_relay(ULP, ULP, TCP, true);
	if (test__start_subtest("nonblocking"))
		nonblocking();
	if (test__start_subtest("end_of_stream"))
		end_of_stream();
	if (test__start_subtest("sendfile_ulp_ulp"))
		from_file(ULP, ULP);
	if (test__start_subtest("sendfile_smc_ulp"))
		from_file(SMC, ULP);
	if (test__start_subtest("sendfile_tcp_ulp"))
		from_file(TCP, ULP);
}
