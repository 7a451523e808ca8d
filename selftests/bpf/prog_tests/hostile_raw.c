// SPDX-License-Identifier: GPL-2.0-only
/*
 * Peers of raw packets (raw_peer.h) that do what no socket does: every CLC message cut off, too
 * long, with each of its fields wrong, in the wrong order, twice, and with the end of the connection at
 * each step. The messages themselves are those of a good handshake of this kernel. Whatever comes:
 * the connection ends within the limits, the program reads nothing of it, and nothing is left.
 *
 * With HOSTILE_LONG in the environment every length and every byte has its turn, else some.
 */
#include <arpa/inet.h>

#include "policy_helpers.h"
#include "raw_peer.h"

#define BATCH	100		/* below the limit of a listener */
#define BOUND	8000		/* ms, on a slow machine; smc.ko alone waits 6 s for each message */

struct msg {
	__u8 data[RAW_RX];
	size_t len;
};

enum { PROPOSAL, ACCEPT, CONFIRM, DECLINE, DECLINE_V2, N_MSG };
static struct msg good[N_MSG];
static const char * const msg_name[] = { "proposal", "accept", "confirm", "decline", "decline_v2" };

enum ending { STAY, FIN, RST };

/* What a peer does: @first is sent at once by a client, as the answer by a server; @second after
 * the answer to it; then the connection is ended, or not.
 */
struct attack {
	__u8 *first, *second;
	size_t first_len, second_len;
	enum ending ending;
	bool early;		/* a server that does not wait for the proposal */
	size_t extra;		/* what comes behind a message that may be declined: the program's */
	unsigned int step;	/* what of it is done */
};

struct attacks {
	struct attack *a;
	unsigned int n, max;
};

static bool is_long(void)
{
	return getenv("HOSTILE_LONG");
}

static __u8 *copy(const void *data, size_t len)
{
	__u8 *p = malloc(len ?: 1);

	return data && p ? memcpy(p, data, len) : p;
}

static void attack_add(struct attacks *all, const void *first, size_t first_len,
				 const void *second, size_t second_len, enum ending ending)
{
	struct attack *a;

	if (all->n == all->max) {
		all->max = all->max * 2 ?: 256;
		all->a = realloc(all->a, all->max * sizeof(*all->a));
	}
	a = &all->a[all->n++];
	*a = (struct attack) { .first_len = first_len, .second_len = second_len, .ending = ending };
	if (first)
		a->first = copy(first, first_len);
	if (second)
		a->second = copy(second, second_len);
}

static void attacks_free(struct attacks *all)
{
	unsigned int i;

	for (i = 0; i < all->n; i++) {
		free(all->a[i].first);
		free(all->a[i].second);
	}
	free(all->a);
	memset(all, 0, sizeof(*all));
}

/* --- the good messages ------------------------------------------------------------------------ */

/* One whole CLC message from a socket of user space */
static bool capture(int fd, struct msg *msg)
{
	size_t len;

	msg->len = 0;
	if (!ASSERT_EQ(recv(fd, msg->data, 8, MSG_WAITALL), 8, "CLC header"))
		return false;
	len = msg->data[5] << 8 | msg->data[6];
	if (!ASSERT_TRUE(len > 8 && len <= sizeof(msg->data), "length of the CLC message") ||
	    !ASSERT_EQ(recv(fd, msg->data + 8, len - 8, MSG_WAITALL), len - 8, "CLC message"))
		return false;
	msg->len = len;
	return true;
}

/* A proposal without a device that the server has: what it declines in version 2 */
static bool capture_decline(struct clc_peer *clc, int lfd, struct msg *msg)
{
	struct msg bad = good[PROPOSAL];
	int fd = clc_peer_socket(clc, V4), child;
	bool ok;

	/* GID and CHID of its last device stand before the trailer */
	memset(bad.data + bad.len - 4 - 10, 0x5a, 10);
	ok = ASSERT_OK(sock_connect(fd, V4, sock_port(lfd)), "connect") &&
	     ASSERT_EQ(send(fd, bad.data, bad.len, MSG_NOSIGNAL), bad.len, "proposal") &&
	     capture(fd, msg) && ASSERT_EQ(msg->data[4], CLC_DECLINE, "declined");
	child = ok ? accept(lfd, NULL, NULL) : -1;
	sock_close(&child);
	sock_close(&fd);
	return ok;
}

/* Stands in the middle of a good handshake over lo, whose ends are this kernel's. */
static bool capture_all(void)
{
	int lfd = sock_listen(ULP, V4, 8), middle_lfd = -1, client = sock_make(ULP, V4), child = -1;
	int to_client = -1, to_server = -1, pipe_fd[2];
	struct clc_peer clc = {};
	bool ok;

	if (!clc_peer_open(&clc))
		return false;
	middle_lfd = clc_peer_listen(&clc, V4);
	to_server = clc_peer_socket(&clc, V4);
	set_nonblock(client, true);
	ASSERT_ERRNO(sock_connect(client, V4, sock_port(middle_lfd)), EINPROGRESS, "connect");
	to_client = accept(middle_lfd, NULL, NULL);
	ok = ASSERT_OK_FD(to_client, "accept") && capture(to_client, &good[PROPOSAL]) &&
	     ASSERT_OK(sock_connect(to_server, V4, sock_port(lfd)), "connect") &&
	     ASSERT_EQ(send(to_server, good[PROPOSAL].data, good[PROPOSAL].len, MSG_NOSIGNAL),
		       good[PROPOSAL].len, "proposal") &&
	     capture(to_server, &good[ACCEPT]) &&
	     ASSERT_EQ(good[ACCEPT].data[4], CLC_ACCEPT, "accepted") &&
	     ASSERT_EQ(send(to_client, good[ACCEPT].data, good[ACCEPT].len, MSG_NOSIGNAL),
		       good[ACCEPT].len, "accept") &&
	     capture(to_client, &good[CONFIRM]) &&
	     ASSERT_EQ(good[CONFIRM].data[4], CLC_CONFIRM, "confirmed") &&
	     ASSERT_EQ(send(to_server, good[CONFIRM].data, good[CONFIRM].len, MSG_NOSIGNAL),
		       good[CONFIRM].len, "confirm");
	if (ok) {
		child = accept(lfd, NULL, NULL);
		ok = ASSERT_TRUE(poll_fd(client, POLLOUT, 5000) & POLLOUT, "connected");
		set_nonblock(client, false);
		ok = ok && ASSERT_TRUE(ping_pong(client, child), "data over SMC");
	}
	/* in order: else the peers would wait for each other */
	if (client >= 0)
		shutdown(client, SHUT_RDWR);
	sock_close(&child);
	sock_close(&client);
	if (env.world == WORLD_SMCR)
		goto out;
	ok = ok && capture_decline(&clc, lfd, &good[DECLINE_V2]) &&
	     ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pipe_fd), "socketpair");
	if (ok) {
		ok = ASSERT_OK(clc_send_decline(pipe_fd[0], 0x03070000), "decline") &&
		     capture(pipe_fd[1], &good[DECLINE]);
		close(pipe_fd[0]);
		close(pipe_fd[1]);
	}
	/*
	 * A handshake that succeeds with a peer that is nowhere leaves a connection that waits for
	 * it, as with AF_SMC: no memory is to be found under this token, so it fails at its last
	 * step. struct smcd_clc_msg_accept_confirm_common
	 */
	memset(good[ACCEPT].data + 16, 0x5a, 8);
	memset(good[CONFIRM].data + 16, 0x5a, 8);
out:
	sock_close(&to_client);
	sock_close(&to_server);
	sock_close(&middle_lfd);
	sock_close(&lfd);
	clc_peer_close(&clc);
	test__debug("lengths: %zu, %zu, %zu, %zu, %zu", good[0].len, good[1].len, good[2].len,
		    good[3].len, good[4].len);
	return ok;
}

/* Everything that can be wrong with one message, each once; it ends as @ending. */
typedef void (*add_fn)(struct attacks *all, const __u8 *data, size_t len, enum ending ending);

static void add_first(struct attacks *all, const __u8 *data, size_t len, enum ending ending)
{
	attack_add(all, data, len, NULL, 0, ending);
}

/* after a good proposal */
static void add_second(struct attacks *all, const __u8 *data, size_t len, enum ending ending)
{
	attack_add(all, good[PROPOSAL].data, good[PROPOSAL].len, data, len, ending);
}

static void add_truncated(struct attacks *all, add_fn add, const struct msg *msg)
{
	size_t len;

	for (len = 0; len < msg->len; len++) {
		/* around the header all of them */
		if (!is_long() && len > 9 && len % 16 && len != msg->len - 1)
			continue;
		add(all, msg->data, len, FIN);
		if (is_long() || len % 5 == 0)
			add(all, msg->data, len, STAY);
		if (is_long() || len % 5 == 1)
			add(all, msg->data, len, RST);
	}
}

static void add_fields(struct attacks *all, add_fn add, const struct msg *msg)
{
	static const __u8 flip[] = { 0xff, 0x01, 0x80 };
	unsigned int i, step = is_long() ? 1 : 7;
	struct msg bad;
	size_t at;

	for (at = 0; at < msg->len; at += at < 44 ? 1 : step) {
		for (i = 0; i < (is_long() ? ARRAY_SIZE(flip) : 1); i++) {
			bad = *msg;
			bad.data[at] ^= flip[i];
			add(all, bad.data, bad.len, FIN);
		}
	}
	/* two bytes that are a length, a count or an offset somewhere */
	for (at = 0; at + 1 < msg->len; at += at < 44 ? 1 : step) {
		bad = *msg;
		bad.data[at] = bad.data[at + 1] = 0xff;
		add(all, bad.data, bad.len, FIN);
		bad.data[at] = bad.data[at + 1] = 0;
		add(all, bad.data, bad.len, FIN);
	}
}

static void add_sizes(struct attacks *all, add_fn add, const struct msg *msg)
{
	static const unsigned int lengths[] = {
		0, 1, 7, 8, 9, 12, 28, 44, 52, 68, 100, 255, 256, 300, 1000, 4096, 30000, 65535,
	};
	__u8 *big = calloc(1, 65536);
	unsigned int i, n;

	for (i = 0; big && i < ARRAY_SIZE(lengths); i++) {
		memset(big, 0x5a, 65536);
		memcpy(big, msg->data, msg->len);
		big[5] = lengths[i] >> 8;
		big[6] = lengths[i];
		/* as long as it says, and as long as it was */
		n = lengths[i] < 60000 ? lengths[i] : 60000;
		add(all, big, n > 8 ? n : 8, FIN);
		add(all, big, msg->len, FIN);
		add(all, big, msg->len, STAY);
	}
	free(big);
}

/* The message, and the same or another right behind it */
static void add_pairs(struct attacks *all, add_fn add, const struct msg *msg)
{
	__u8 buf[2 * RAW_RX];
	enum ending ending;
	unsigned int i;

	for (i = 0; i < N_MSG; i++) {
		/* behind a decline it is the program's, and right */
		if (msg->data[4] == CLC_DECLINE)
			continue;
		memcpy(buf, msg->data, msg->len);
		memcpy(buf + msg->len, good[i].data, good[i].len);
		for (ending = STAY; ending <= RST; ending++) {
			add(all, buf, msg->len + good[i].len, ending);
			all->a[all->n - 1].extra = good[i].len;
		}
	}
}

/* --- against our server ------------------------------------------------------------------------ */

static bool answered(const struct raw_conn *conn)
{
	return conn->rx && conn->rx_len >= 8 &&
	       conn->rx_len >= (unsigned int)(conn->rx[5] << 8 | conn->rx[6]);
}

static void act(struct raw_peer *peer, unsigned int i, struct attack *a)
{
	struct raw_conn *conn = &peer->conns[i];

	if (conn->state != RAW_OPEN)
		return;
	if (a->step == 0) {
		raw_send(peer, i, a->first, a->first_len);
		a->step++;
	}
	if (a->step == 1 && (!a->second || answered(conn))) {
		raw_send(peer, i, a->second, a->second_len);
		if (a->ending == FIN)
			raw_fin(peer, i);
		else if (a->ending == RST)
			raw_rst(peer, i);
		a->step++;
	}
}

/* What the program gets: nothing, or a connection in which there is nothing. */
static unsigned int drain(int lfd)
{
	unsigned int n = 0;
	char buf[100];
	int child;

	while ((child = accept4(lfd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		ASSERT_LE(recv(child, buf, sizeof(buf), 0), 0, "bytes of the handshake");
		sock_close(&child);
		n++;
	}
	return n;
}

static int tcp_listen_any(enum kind kind, int backlog)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = sock_make(kind, V4);

	if (bind(fd, (void *)&sin, sizeof(sin)) || listen(fd, backlog))
		sock_close(&fd);
	else
		set_nonblock(fd, true);
	return fd;
}

/* The ms from ESTABLISHED to the end of the one that lasted longest */
static long longest(const struct raw_peer *peer, unsigned int n)
{
	long ms, most = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (!peer->conns[i].ended)
			continue;
		ms = (peer->conns[i].ended - peer->conns[i].opened) * 1000;
		most = ms > most ? ms : most;
	}
	return most;
}

/* At most BATCH of them at once; returns false when one does not end. */
static bool server_batch(struct raw_peer *peer, int lfd, struct attack *a, unsigned int n)
{
	unsigned int i, open, promised = 0;
	double start = now();

	for (i = 0; i < n; i++) {
		raw_new(peer, i);
		raw_syn(peer, i, sock_port(lfd), NULL, 0);
		raw_pump(peer, 0);
		act(peer, i, &a[i]);
	}
	do {
		open = 0;
		for (i = 0; i < n; i++) {
			act(peer, i, &a[i]);
			open += peer->conns[i].state != RAW_CLOSED && !peer->conns[i].ended;
		}
		drain(lfd);
		if (open)
			raw_pump(peer, 5);
	} while (open && ms_since(start) < BOUND * env.slow);
	for (i = 0; i < n; i++) {
		promised += peer->conns[i].option;
		/* its FIN was not answered: nothing more is to come */
		if (peer->conns[i].state != RAW_CLOSED)
			raw_rst(peer, i);
	}
	ASSERT_EQ(promised, n, "connections that the server promised SMC");
	return ASSERT_EQ(open, 0, "connections that did not end in time");
}

static void server_attack(struct raw_peer *peer, int lfd, struct attacks *all)
{
	unsigned int i, n;
	long ms, most = 0;

	for (i = 0; i < all->n; i += n) {
		n = all->n - i < BATCH ? all->n - i : BATCH;
		if (!server_batch(peer, lfd, all->a + i, n))
			break;
		ms = longest(peer, n);
		most = ms > most ? ms : most;
		/* those that have ended on this side only: the next batch is to find room */
		WAIT_FOR((drain(lfd), smcdiag__count() <= 1), 5000);
	}
	test__log("%s: %u connections, the longest %ld ms", test__name(), all->n, most);
	attacks_free(all);
}

/* --- against our clients ------------------------------------------------------------------------ */

static bool client_batch(struct raw_peer *peer, struct attack *a, unsigned int n)
{
	unsigned int i, open, over;
	struct sockaddr_in sin;
	double start = now();
	char buf[RAW_RX];
	int fds[BATCH], err;

	for (i = 0; i < n; i++) {
		raw_listen(peer, i);
		fds[i] = sock_make(ULP, V4);
		set_nonblock(fds[i], true);
		sin = raw_addr(i);
		if (connect(fds[i], (void *)&sin, sizeof(sin)))
			ASSERT_EQ(errno, EINPROGRESS, "connect");
		raw_pump(peer, 0);
	}
	do {
		for (i = 0, open = 0, over = 0; i < n; i++) {
			/* the proposal comes first */
			if (a[i].early || answered(&peer->conns[i]))
				act(peer, i, &a[i]);
			if (fds[i] < 0)
				continue;
			if (!poll_fd(fds[i], POLLOUT, 0)) {
				open++;
				continue;
			}
			ASSERT_TRUE(peer->conns[i].option, "SYN with the option");
			err = sock_error(fds[i]);
			ASSERT_TRUE(!err || err == ECONNRESET || err == ETIMEDOUT ||
				    err == ECONNABORTED, "errno of connect()");
			if (!err)
				ASSERT_LE(recv(fds[i], buf, sizeof(buf), 0), a[i].extra,
					  "bytes of the handshake");
			sock_close(&fds[i]);
			over++;
		}
		if (open)
			raw_pump(peer, over ? 0 : 5);
	} while (open && ms_since(start) < BOUND * env.slow);
	for (i = 0; i < n; i++) {
		if (peer->conns[i].state != RAW_CLOSED)
			raw_rst(peer, i);
		sock_close(&fds[i]);
	}
	return ASSERT_EQ(open, 0, "connects that did not end in time");
}

static void client_attack(struct raw_peer *peer, struct attacks *all)
{
	long ms, most = 0;
	unsigned int i, n;
	double start;

	for (i = 0; i < all->n; i += n) {
		n = all->n - i < BATCH ? all->n - i : BATCH;
		start = now();
		if (!client_batch(peer, all->a + i, n))
			break;
		ms = ms_since(start);
		most = ms > most ? ms : most;
		WAIT_FOR(smcdiag__count() <= 1, 5000);	/* that of the listener */
	}
	test__log("%s: %u connections, the longest batch %ld ms", test__name(), all->n, most);
	attacks_free(all);
}

/* Good peers get what they always got. */
static void others_are_served(int lfd)
{
	struct pair pair = {};

	pair.client = sock_make(TCP, V4);
	if (ASSERT_OK(sock_connect(pair.client, V4, sock_port(lfd)), "plain client") &&
	    WAIT_FOR((pair.server = accept(lfd, NULL, NULL)) >= 0, 5000))
		ping_pong(pair.client, pair.server);
	pair_close(&pair);
	if (pair_make(&pair, ULP, ULP, V4)) {
		ping_pong(pair.client, pair.server);
		assert_smc(pair.client, 10);
		pair_close(&pair);
	}
}

/* --- tests ---------------------------------------------------------------------------------------- */

static void server_messages(struct raw_peer *peer, int lfd)
{
	static const struct {
		int msg;
		add_fn add;
	} sent[] = {
		{ PROPOSAL, add_first }, { CONFIRM, add_second },
		{ DECLINE, add_first }, { DECLINE_V2, add_first },
		{ DECLINE, add_second }, { DECLINE_V2, add_second },
		{ ACCEPT, add_first }, { CONFIRM, add_first },
		{ ACCEPT, add_second }, { PROPOSAL, add_second },
	};
	struct attacks all = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sent); i++) {
		const char *when = sent[i].add == add_first ? "" : "_second";
		const struct msg *msg = &good[sent[i].msg];

		if (test__start_subtestf("server_%s%s", msg_name[sent[i].msg], when)) {
			sent[i].add(&all, msg->data, msg->len, STAY);
			sent[i].add(&all, msg->data, msg->len, FIN);
			sent[i].add(&all, msg->data, msg->len, RST);
			add_pairs(&all, sent[i].add, msg);
			if (i < 4)
				add_truncated(&all, sent[i].add, msg);
			if (i < 4 || is_long()) {
				add_fields(&all, sent[i].add, msg);
				add_sizes(&all, sent[i].add, msg);
			}
			server_attack(peer, lfd, &all);
			others_are_served(lfd);
		}
	}
}

static void client_messages(struct raw_peer *peer, int lfd)
{
	static const int sent[] = { ACCEPT, DECLINE, DECLINE_V2, PROPOSAL, CONFIRM };
	struct attacks all = {};
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(sent); i++) {
		const struct msg *msg = &good[sent[i]];

		if (!test__start_subtestf("client_%s", msg_name[sent[i]]))
			continue;
		add_first(&all, msg->data, msg->len, STAY);
		add_first(&all, msg->data, msg->len, FIN);
		add_first(&all, msg->data, msg->len, RST);
		add_pairs(&all, add_first, msg);
		for (k = 0; k < 6; k++) {
			add_first(&all, msg->data, k < 3 ? 0 : msg->len, k % 3);
			all.a[all.n - 1].early = true;
		}
		if (i < 3)
			add_truncated(&all, add_first, msg);
		if (i < 3 || is_long()) {
			add_fields(&all, add_first, msg);
			add_sizes(&all, add_first, msg);
		}
		client_attack(peer, &all);
		others_are_served(lfd);
	}
}

/* Each message byte by byte, one a second: the time is for all of it. */
static void trickle(struct raw_peer *peer, int lfd)
{
	unsigned int i, at, n = 20, open;
	double start = now(), last = 0;

	for (i = 0; i < n; i++) {
		raw_new(peer, i);
		raw_syn(peer, i, sock_port(lfd), NULL, 0);
		ASSERT_TRUE(RAW_WAIT(peer, peer->conns[i].state == RAW_OPEN, 5000), "connected");
		/* half of them begin with a whole proposal */
		if (i % 2)
			raw_send(peer, i, good[PROPOSAL].data, good[PROPOSAL].len);
	}
	for (at = 0, open = n; open && ms_since(start) < BOUND * env.slow; at++) {
		for (i = 0; i < n; i++) {
			if (peer->conns[i].state == RAW_OPEN && !peer->conns[i].fin)
				raw_send(peer, i, good[i % 2 ? CONFIRM : PROPOSAL].data + at, 1);
		}
		last = now();
		RAW_WAIT(peer, ms_since(last) >= 1000, 2000);
		for (i = 0, open = 0; i < n; i++)
			open += !peer->conns[i].ended;
		drain(lfd);
	}
	ASSERT_EQ(open, 0, "connections that did not end in time");
	test__log("one byte a second: the longest %ld ms", longest(peer, n));
	for (i = 0; i < n; i++)
		raw_rst(peer, i);
}

/* Never more than the option: half-open connections, which are TCP's to forget. */
static void syn_only(struct raw_peer *peer, int lfd)
{
	unsigned int i, n = 0;

	for (i = 0; i < BATCH; i++) {
		raw_new(peer, i)->mute = true;
		raw_syn(peer, i, sock_port(lfd), NULL, 0);
	}
	ASSERT_TRUE(RAW_WAIT(peer, ({
		for (i = 0, n = 0; i < BATCH; i++)
			n += peer->conns[i].option;
		n;
	}) == BATCH, 5000), "SYN-ACKs with the option");
	others_are_served(lfd);
	for (i = 0; i < BATCH; i++) {
		if (i % 2)
			raw_fin(peer, i);	/* for the ACK, too */
		raw_rst(peer, i);
	}
	others_are_served(lfd);
}

/* Data in the SYN is none without fast open; behind the ACK there is something else. */
static void syn_data(struct raw_peer *peer, int lfd)
{
	unsigned int i;

	for (i = 0; i < 20; i++) {
		raw_new(peer, i);
		raw_syn(peer, i, sock_port(lfd), good[i % N_MSG].data, good[i % N_MSG].len);
		ASSERT_TRUE(RAW_WAIT(peer, peer->conns[i].state == RAW_OPEN, 5000), "connected");
		raw_send(peer, i, good[(i + 1) % N_MSG].data, i < 10 ? 3 : 0);
		raw_fin(peer, i);
	}
	for (i = 0; i < 20; i++)
		ASSERT_TRUE(RAW_WAIT(peer, (drain(lfd), peer->conns[i].ended), 8000), "ended");
	for (i = 0; i < 20; i++)
		raw_rst(peer, i);
	others_are_served(lfd);
}

/* With SYN cookies nobody is promised SMC, and what the peer says is the program's. */
static void cookies(struct raw_peer *peer, int lfd)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	char buf[100];
	int child = -1;

	write_file("/proc/sys/net/ipv4/tcp_syncookies", "2");
	raw_new(peer, 0);
	raw_syn(peer, 0, sock_port(lfd), NULL, 0);
	ASSERT_TRUE(RAW_WAIT(peer, peer->conns[0].state == RAW_OPEN, 5000), "connected");
	ASSERT_FALSE(peer->conns[0].option, "SYN cookie with the option");
	raw_send(peer, 0, good[PROPOSAL].data, 50);
	ASSERT_TRUE(RAW_WAIT(peer, (child = accept(lfd, (void *)&sin, &len)) >= 0, 5000), "accept");
	ASSERT_EQ(recv(child, buf, sizeof(buf), 0), 50, "data");
	ASSERT_STREQ(ulp_name(child), "", "TCP_ULP");
	raw_rst(peer, 0);
	sock_close(&child);
	write_file("/proc/sys/net/ipv4/tcp_syncookies", "1");
	others_are_served(lfd);
}

TEST(hostile_messages, WORLD_SMCD, 3600, TEST_NEEDS_ULP)
{
	struct raw_peer peer;
	int lfd;

	if (!netns_enter_new() || !capture_all() || !raw_open(&peer, BATCH))
		return;
	lfd = tcp_listen_any(ULP, 4096);
	server_messages(&peer, lfd);
	client_messages(&peer, lfd);
	if (test__start_subtest("trickle"))
		trickle(&peer, lfd);
	if (test__start_subtest("syn_only"))
		syn_only(&peer, lfd);
	if (test__start_subtest("syn_data"))
		syn_data(&peer, lfd);
	if (test__start_subtest("cookies"))
		cookies(&peer, lfd);
	sock_close(&lfd);
	raw_close(&peer);
}

/* --- SMC-R --------------------------------------------------------------------------------------- */

static void good_time(const char *during, enum kind kind)
{
	int lfd = sock_listen(kind == TCP ? ULP : kind, V4, 8), fd = sock_make(kind, V4), rc;
	double start = now();

	rc = sock_connect(fd, V4, sock_port(lfd)) ? errno : 0;
	test__log("%s: a good pair of kind %s: %s after %ld ms", during, kind_str(kind),
		  rc ? strerrorname_np(rc) : "connected", ms_since(start));
	if (kind == TCP)
		ASSERT_LT(ms_since(start), 1000 * env.slow, "a plain client");
	sock_close(&fd);
	sock_close(&lfd);
}

/*
 * smc.ko has one mutex for all servers of the host whose handshake is over SMC-R, and holds it while it
 * waits for a peer. How long a peer can make others wait, and that it is over then.
 */
static void smcr_lock(struct clc_peer *clc, bool confirm, enum kind kind)
{
	static __u8 instance;
	int lfd = sock_listen(ULP, V4, 8), fd = clc_peer_socket(clc, V4);
	struct msg accept_msg, proposal = good[PROPOSAL];
	struct pair pair;
	double start;

	/* a host that is not known yet: first contact. struct smc_clc_msg_local */
	proposal.data[8] ^= 0x80;
	proposal.data[9] ^= ++instance;
	if (!ASSERT_OK(sock_connect(fd, V4, sock_port(lfd)), "connect") ||
	    !ASSERT_EQ(send(fd, proposal.data, proposal.len, MSG_NOSIGNAL), proposal.len,
		       "proposal") || !capture(fd, &accept_msg) ||
	    !ASSERT_EQ(accept_msg.data[4], CLC_ACCEPT, "accepted"))
		goto out;
	start = now();
	if (confirm)
		send(fd, good[CONFIRM].data, good[CONFIRM].len, MSG_NOSIGNAL);
	good_time(confirm ? "unanswered LLC" : "silent after accept", kind);
	/* over when the server gives up */
	ASSERT_TRUE(poll_fd(fd, POLLIN | POLLRDHUP, BOUND), "the end");
	test__log("the hostile one was given up after %ld ms", ms_since(start));
	/* SMC for others afterwards */
	if (pair_make(&pair, kind == TCP ? ULP : kind, kind == TCP ? ULP : kind, V4)) {
		assert_smc(pair.client, 0);
		pair_close(&pair);
	}
out:
	sock_close(&fd);
	sock_close(&lfd);
}

TEST(hostile_smcr, WORLD_SMCR, 300, TEST_NEEDS_ULP)
{
	static const enum kind kinds[] = { TCP, ULP, SMC };
	struct clc_peer clc = {};
	unsigned int i;

	if (!capture_all() || !clc_peer_open(&clc))
		return;
	for (i = 0; i < 2 * ARRAY_SIZE(kinds); i++) {
		enum kind kind = kinds[i / 2];

		if (test__start_subtestf("%s_%s", kind_str(kind), i % 2 ? "confirm" : "silent"))
			smcr_lock(&clc, i % 2, kind);
	}
	clc_peer_close(&clc);
}
