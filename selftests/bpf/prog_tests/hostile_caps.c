// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many hostile peers at once (docs/design.rst: Caps). On the wire it can be seen to whom SMC was
 * promised: to so many and no more. The others are TCP, and good peers are served, as fast as
 * without the attack.
 *
 * HOSTILE_LONG in the environment: 10,000 of them instead of some hundred.
 */
#include <sched.h>

#include "policy_helpers.h"
#include "raw_peer.h"

#define SYSCTL		"/proc/sys/net/smc_ulp/"

static bool limits(int handshakes, int timeout_ms)
{
	char text[16];
	int rc;

	snprintf(text, sizeof(text), "%d", handshakes);
	rc = write_file(SYSCTL "max_handshakes", text);
	snprintf(text, sizeof(text), "%d", timeout_ms);
	return ASSERT_OK(rc, "max_handshakes") &&
	       ASSERT_OK(write_file(SYSCTL "clc_timeout_ms", text), "clc_timeout_ms");
}

static int listen_any(enum kind kind)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = sock_make(kind, V4);

	if (bind(fd, (void *)&sin, sizeof(sin)) || listen(fd, 4096))
		sock_close(&fd);
	else
		set_nonblock(fd, true);
	return fd;
}

/*
 * On one CPU packets are handled in the order in which they are sent: an ACK before the SYN after
 * it.
 */
static void one_cpu(bool on)
{
	cpu_set_t set;
	int i;

	CPU_ZERO(&set);
	for (i = 0; i < (on ? 1 : CPU_SETSIZE); i++)
		CPU_SET(i, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static unsigned int promised(const struct raw_peer *peer, unsigned int from, unsigned int n)
{
	unsigned int i, sum = 0;

	for (i = from; i < from + n; i++)
		sum += peer->conns[i].option;
	return sum;
}

/* Connects @n peers from @from on, one after the other; to how many was SMC promised? */
static unsigned int connect_peers(struct raw_peer *peer, int lfd, unsigned int from,
				  unsigned int n)
{
	unsigned int i, open = 0;

	for (i = from; i < from + n; i++) {
		raw_new(peer, i);
		raw_syn(peer, i, sock_port(lfd), NULL, 0);
		open += RAW_WAIT(peer, peer->conns[i].state == RAW_OPEN, 5000);
	}
	ASSERT_EQ(open, n, "connections");
	return promised(peer, from, n);
}

static void reset_peers(struct raw_peer *peer)
{
	unsigned int i;

	for (i = 0; i < peer->n; i++) {
		if (peer->conns[i].state > RAW_LISTEN)
			raw_rst(peer, i);
	}
}

static void drain(int lfd)
{
	int child;

	while ((child = accept(lfd, NULL, NULL)) >= 0)
		close(child);
}

/* A good client of the listener @lfd, where children of others may be, too. */
static bool good_pair(struct pair *pair, int lfd, enum kind kind)
{
	int port;

	pair->server = -1;
	pair->client = sock_make(kind, V4);
	if (!ASSERT_OK(sock_connect(pair->client, V4, sock_port(lfd)), "good client"))
		return false;
	port = sock_port(pair->client);
	for (;;) {
		if (!ASSERT_TRUE(poll_fd(lfd, POLLIN, 5000) & POLLIN, "a child to accept"))
			return false;
		pair->server = accept(lfd, NULL, NULL);
		if (pair->server < 0 || sock_peer_port(pair->server) == port)
			return ASSERT_OK_FD(pair->server, "accept");
		close(pair->server);
	}
}

static void good(int lfd, enum kind kind, bool smc, const char *what)
{
	struct pair pair;

	if (good_pair(&pair, lfd, kind)) {
		ping_pong(pair.client, pair.server);
		if (!assert_outcome(smc, pair.client, 10))
			test__log("%s", what);
	}
	pair_close(&pair);
}

static void good_either_way(int lfd)
{
	struct pair pair;

	if (good_pair(&pair, lfd, ULP))
		ping_pong(pair.client, pair.server);
	pair_close(&pair);
}

static void native(void)
{
	struct pair pair;

	if (pair_make(&pair, SMC, SMC, V4)) {
		ping_pong(pair.client, pair.server);
		assert_smc(pair.client, 10);
		pair_close(&pair);
	}
}

/* Sidecars in the handshake, and their accept in the making */
static int in_flight(void)
{
	static struct smcdiag_row rows[1024];
	int n = smcdiag__dump(rows, ARRAY_SIZE(rows)), i, sum = 0;

	for (i = 0; i < n; i++)
		sum += rows[i].state == SMC_STATE_INIT;
	return sum;
}

/* Those that wait for a slot have no sidecar, but are counted. */
static bool all_over(void)
{
	FILE *f = fopen("/proc/net/smc_ulp_stat", "r");
	char line[128];
	long n, left = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "SmcUlpCurrHandshakeClient %ld", &n) == 1 ||
		    sscanf(line, "SmcUlpCurrHandshakeServer %ld", &n) == 1)
			left += n;
	}
	if (!f)
		return false;
	fclose(f);
	return !left && !in_flight();
}

static long slab(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", name);
	write_file(path, "1");
	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/objects", name);
	return read_long(path);
}

static long meminfo(const char *what)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128], name[64];
	long kb, found = -1;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63[^:]: %ld", name, &kb) == 2 && !strcmp(name, what))
			found = kb;
	}
	if (f)
		fclose(f);
	return found;
}

/* --- who is promised SMC ------------------------------------------------------------------------ */

/* What is in flight stays there for 6 s, the most that can be set. A very slow machine tells less. */
#define HOLD 6000
#define IN_TIME(start) (ms_since(start) < HOLD - 500)

static void cap_server(struct raw_peer *peer)
{
	int lfd = listen_any(ULP), other = listen_any(ULP), round;
	unsigned int one, netns, more;
	double start;

	limits(40, HOLD);
	/* the same each time: whatever is counted in is counted out */
	for (round = 0; round < 2; round++) {
		one_cpu(true);
		start = now();
		one = connect_peers(peer, lfd, 0, 60);
		if (IN_TIME(start))
			good(other, ULP, true, "SMC client of another listener");
		netns = connect_peers(peer, other, 60, 30);
		more = connect_peers(peer, other, 90, 5);
		if (IN_TIME(start)) {
			ASSERT_EQ(one, 30, "promised by one listener");
			ASSERT_EQ(netns, 10, "promised by the netns");
			ASSERT_EQ(more, 0, "still busy");
		} else {
			test__log("too slow to count: %ld ms", ms_since(start));
		}
		one_cpu(false);
		native();
		good(lfd, TCP, false, "plain client of a busy listener");
		if (IN_TIME(start))
			good(lfd, ULP, false, "SMC client of a busy listener");
		if (IN_TIME(start))
			good(other, ULP, false, "SMC client when the netns is busy");
		reset_peers(peer);
		drain(lfd);
		drain(other);
		ASSERT_TRUE(WAIT_FOR(all_over(), 5000), "the end of all handshakes");
		good(lfd, ULP, true, "SMC client after that");
	}
	sock_close(&other);
	sock_close(&lfd);
}

static void cap_client(struct raw_peer *peer)
{
	unsigned int i, offered, first;
	struct sockaddr_in sin;
	int round, lfd, fds[60];
	double start;

	limits(40, HOLD);
	for (round = 0; round < 2; round++) {
		one_cpu(true);
		start = now();
		for (i = 0; i < 60; i++) {
			raw_listen(peer, i);
			sin = raw_addr(i);
			fds[i] = sock_make(ULP, V4);
			set_nonblock(fds[i], true);
			ASSERT_ERRNO(connect(fds[i], (void *)&sin, sizeof(sin)), EINPROGRESS,
				     "connect");
			ASSERT_TRUE(RAW_WAIT(peer, peer->conns[i].state == RAW_OPEN, 5000),
				    "connected");
			if (!peer->conns[i].option) {
				ASSERT_EQ(poll_fd(fds[i], POLLOUT, 5000), POLLOUT, "plain TCP");
				ASSERT_STREQ(ulp_name(fds[i]), "", "TCP_ULP");
			}
		}
		first = promised(peer, 0, 40);
		offered = promised(peer, 0, 60);
		if (IN_TIME(start)) {
			ASSERT_EQ(first, 40, "SYNs with the option");
			ASSERT_EQ(offered, 40, "no more of them");
		} else {
			test__log("too slow to count: %ld ms", ms_since(start));
		}
		one_cpu(false);
		/* servers are not for clients to exhaust */
		lfd = listen_any(ULP);
		ASSERT_EQ(connect_peers(peer, lfd, 60, 5), 5, "promised by a listener");
		reset_peers(peer);
		sock_close(&lfd);
		for (i = 0; i < 60; i++) {
			ASSERT_NEQ(poll_fd(fds[i], POLLIN, 5000), 0, "reset");
			sock_close(&fds[i]);
		}
		ASSERT_TRUE(WAIT_FOR(all_over(), 5000), "the end of all handshakes");
	}
}

/* Who must have SMC does not get TCP instead. */
static void cap_require(struct raw_peer *peer)
{
	int busy = sock_make(ULP, V4), fd = sock_make(ULP, V4), lfd = listen_any(ULP);
	struct sockaddr_in sin = raw_addr(0);
	struct policy policy;

	limits(1, HOLD);
	raw_listen(peer, 0);
	set_nonblock(busy, true);
	ASSERT_ERRNO(connect(busy, (void *)&sin, sizeof(sin)), EINPROGRESS, "connect");
	/* the proposal: the handshake has begun */
	ASSERT_TRUE(RAW_WAIT(peer, peer->conns[0].rx_len, 5000), "connected");
	if (policy_open(&policy, true)) {
		policy_set(&policy, CB_CONNECT, SMC_ULP_REQUIRE);
		ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), ECONNABORTED, "connect");
		policy_set(&policy, CB_CONNECT, SMC_ULP_PASS);
		ASSERT_OK(sock_connect(fd, V4, sock_port(lfd)), "connect over TCP");
		ASSERT_STREQ(ulp_name(fd), "", "TCP_ULP");
		policy_close(&policy);
	}
	reset_peers(peer);
	sock_close(&lfd);
	sock_close(&fd);
	sock_close(&busy);
}

/* All SYNs first: nobody is counted yet. Each is a ctx, and waits without a worker. */
static void overshoot(struct raw_peer *peer)
{
	int lfd = listen_any(ULP), most = 0, n;
	unsigned int i, ended;
	double start;

	limits(8, 1000);
	for (i = 0; i < 200; i++) {
		raw_new(peer, i)->mute = true;
		raw_syn(peer, i, sock_port(lfd), NULL, 0);
	}
	ASSERT_TRUE(RAW_WAIT(peer, promised(peer, 0, 200) == 200, 5000), "promised to all");
	start = now();
	for (i = 0; i < 200; i++) {
		peer->conns[i].mute = false;
		raw_ack(peer, i);
	}
	do {
		raw_pump(peer, 5);
		n = in_flight();
		most = n > most ? n : most;
		for (i = 0, ended = 0; i < 200; i++)
			ended += peer->conns[i].rst || peer->conns[i].fin;
		good(lfd, TCP, false, "plain client");
		good_either_way(lfd);
		native();
	} while (ended < 200 && ms_since(start) < 10000 * env.slow);
	ASSERT_EQ(ended, 200, "ended");
	/* one more: the sock that smc.ko makes before it asks for a child */
	ASSERT_LE(most, 8 + 1, "handshakes at once");
	test__log("200 silent peers, 8 handshakes: at most %d at once, over after %ld ms", most,
		  ms_since(start));
	reset_peers(peer);
	sock_close(&lfd);
}

/* It counts what happens within seconds: for a machine that does nothing else. */
TEST(hostile_caps, WORLD_SMCD, 300, TEST_NEEDS_ULP | TEST_HIDDEN)
{
	struct raw_peer peer;

	if (!netns_enter_new() || !raw_open(&peer, 200))
		return;
	if (test__start_subtest("server"))
		cap_server(&peer);
	if (test__start_subtest("client"))
		cap_client(&peer);
	if (test__start_subtest("require"))
		cap_require(&peer);
	if (test__start_subtest("overshoot"))
		overshoot(&peer);
	raw_close(&peer);
}

/* --- how long others wait ----------------------------------------------------------------------- */

struct attacker {
	struct raw_peer peer;
	int port;
	bool stop;
	unsigned int promised, connections;
};

/* Silent peers; whoever is reset comes again. */
static void *attack_thread(void *arg)
{
	struct attacker *att = arg;
	struct raw_conn *conn;
	unsigned int i;

	while (!__atomic_load_n(&att->stop, __ATOMIC_ACQUIRE)) {
		for (i = 0; i < att->peer.n; i++) {
			conn = &att->peer.conns[i];
			if (conn->state != RAW_CLOSED && !conn->fin)
				continue;
			att->connections += conn->opened != 0;
			att->promised += conn->option;
			if (conn->state != RAW_CLOSED)
				raw_rst(&att->peer, i);
			raw_new(&att->peer, i);
			raw_syn(&att->peer, i, att->port, NULL, 0);
		}
		raw_pump(&att->peer, 0);
		msleep(20);
		raw_pump(&att->peer, 0);
	}
	return NULL;
}

#define ROUNDS 61

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *ms)
{
	qsort(ms, ROUNDS, sizeof(*ms), by_value);
	return ms[ROUNDS / 2];
}

static double latency(int lfd, enum kind kind)
{
	double start = now(), ms = -1;
	struct pair pair;

	if (good_pair(&pair, lfd, kind))
		ms = (now() - start) * 1000;
	pair_close(&pair);
	return ms;
}

/*
 * The time of connect() and accept(), at a listener that is under attack and at one that is not, in
 * turn: what the machine is busy with beside concerns both.
 */
static void not_slower(int lfd, int control, unsigned int peers)
{
	static const enum kind kinds[] = { TCP, ULP };
	double ms[2][2][ROUNDS], med[2][2], quiet[2];
	struct attacker att = { .port = sock_port(lfd) };
	unsigned int i, k, try;
	pthread_t thread;
	bool ok = false;

	for (k = 0; k < 2; k++) {
		for (i = 0; i < ROUNDS; i++) {
			ms[0][k][i] = latency(lfd, kinds[k]);
			msleep(1);
		}
		quiet[k] = median(ms[0][k]);
	}
	if (!raw_open(&att.peer, peers))
		return;
	if (!thread_start(&thread, attack_thread, &att))
		goto out;
	/* on a busy machine the third counts */
	for (try = 0; try < 3 && !ok; try++) {
		WAIT_FOR(in_flight() >= 40, 3000);
		for (i = 0; i < ROUNDS; i++) {
			for (k = 0; k < 2; k++) {
				ms[0][k][i] = latency(lfd, kinds[k]);
				ms[1][k][i] = latency(control, kinds[k]);
			}
			msleep(10);	/* the time of some generations of peers */
		}
		for (k = 0, ok = true; k < 2; k++) {
			med[0][k] = median(ms[0][k]);
			med[1][k] = median(ms[1][k]);
			ok &= med[0][k] - med[1][k] <= 10 * env.slow;
			test__log("%u peers: %s client: median of connect and accept %.2f ms, control %.2f ms, without attack %.2f ms",
				  peers, kind_str(kinds[k]), med[0][k], med[1][k], quiet[k]);
		}
	}
	ASSERT_TRUE(ok, "at most 10 ms slower than at the other listener");
	__atomic_store_n(&att.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	att.promised += promised(&att.peer, 0, peers);
	ASSERT_GT(att.promised, peers / 2, "the attack");
	test__log("%u connections have ended, %u were promised SMC", att.connections, att.promised);
out:
	reset_peers(&att.peer);
	raw_close(&att.peer);
}

/* It measures milliseconds: likewise. */
TEST(hostile_latency, WORLD_SMCD, 300, TEST_NEEDS_ULP | TEST_HIDDEN)
{
	int lfd, control;

	if (!netns_enter_new())
		return;
	lfd = listen_any(ULP);
	control = listen_any(ULP);
	/* below the limit of a listener: good clients are SMC. Above it: they are TCP. */
	if (test__start_subtest("few"))
		not_slower(lfd, control, 60);
	if (test__start_subtest("many"))
		not_slower(lfd, control, 250);
	sock_close(&control);
	sock_close(&lfd);
}

/* --- very many ------------------------------------------------------------------------------------ */

struct holder {
	int lfd, *fds;
	unsigned int n, max;
	bool stop;
};

/* A server that accepts everything, and waits for it to speak. */
static void *hold_thread(void *arg)
{
	struct holder *h = arg;
	int fd;

	while (!__atomic_load_n(&h->stop, __ATOMIC_ACQUIRE)) {
		if (!poll_fd(h->lfd, POLLIN, 20))
			continue;
		fd = accept(h->lfd, NULL, NULL);
		if (fd < 0)
			continue;
		if (h->n < h->max)
			h->fds[h->n++] = fd;
		else
			close(fd);
	}
	return NULL;
}

static void crowd(struct raw_peer *peer, unsigned int n)
{
	long before = meminfo("MemAvailable"), during, after, unreclaim = meminfo("SUnreclaim");
	unsigned int i, established = 0, smc = 0;
	int lfd = listen_any(ULP), good_lfd = listen_any(ULP), most = 0, now_in, ctxs, most_ctx = 0;
	struct holder h = { .lfd = lfd, .max = n };
	int max = read_long(SYSCTL "max_handshakes");
	double start = now(), worst = 0, ms;
	pthread_t thread;

	h.fds = calloc(n, sizeof(*h.fds));
	if (!thread_start(&thread, hold_thread, &h))
		return;
	/* in waves: the SYNs of each before its ACKs */
	for (i = 0; i < n; i++) {
		raw_new(peer, i);
		raw_syn(peer, i, sock_port(lfd), NULL, 0);
		raw_pump(peer, 0);
		if (i % 256 != 255 && i != n - 1)
			continue;
		now_in = in_flight();
		most = now_in > most ? now_in : most;
		ctxs = slab("smc_ulp_ctx");
		most_ctx = ctxs > most_ctx ? ctxs : most_ctx;
		ms = latency(good_lfd, TCP);
		worst = ms > worst ? ms : worst;
		good(good_lfd, TCP, false, "plain client in the crowd");
		native();
	}
	ASSERT_TRUE(RAW_WAIT(peer, ({
		for (i = 0, established = 0; i < n; i++)
			established += peer->conns[i].opened != 0;
		established;
	}) == n, 20000), "all are connected");
	test__log("%u of %u connected after %ld ms", established, n, ms_since(start));
	smc = promised(peer, 0, n);
	during = meminfo("MemAvailable");
	ASSERT_GT(smc, 0, "the attack");
	ASSERT_LE(most, max + 2, "handshakes at once");
	ASSERT_LE(most_ctx, max + 4096 + 10, "ctxs");
	test__log("promised %u; at most %d handshakes and %d ctxs at once; slowest good client %.1f ms",
		  smc, most, most_ctx, worst);
	test__log("MemAvailable %ld kB, %ld kB with all of them; SUnreclaim %ld kB, %ld kB", before,
		  during, unreclaim, meminfo("SUnreclaim"));
	/* as much as so many plain connections, with room */
	ASSERT_LT(before - during, 65536 + 16 * (long)n, "kB for all of them");
	/* the silent ones have gone, the rest is plain TCP and stays */
	ASSERT_TRUE(RAW_WAIT(peer, all_over(), 10000), "the end of all handshakes");
	__atomic_store_n(&h.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	ASSERT_GE(h.n, n - smc, "plain connections that the program has");
	good(lfd, ULP, true, "SMC client after the attack");
	for (i = 0; i < h.n; i++)
		close(h.fds[i]);
	free(h.fds);
	reset_peers(peer);
	ASSERT_TRUE(WAIT_FOR((after = meminfo("MemAvailable")) > before - 65536, 20000),
		    "memory afterwards");
	test__log("MemAvailable %ld kB afterwards", after);
	sock_close(&good_lfd);
	sock_close(&lfd);
}

TEST(hostile_crowd, WORLD_SMCD, 1200, TEST_NEEDS_ULP)
{
	unsigned int n = getenv("HOSTILE_LONG") ? 10000 : 500;
	struct raw_peer peer;

	if (!netns_enter_new() || !raw_open(&peer, n))
		return;
	crowd(&peer, n);
	raw_close(&peer);
}
