// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/net/smc_ulp_stat: each counter moves by exactly what happened, and no other one moves; what
 * is called Curr comes back to zero. Broken by a path that forgets to count or counts twice, and by
 * counters of another netns.
 */
#include <stdarg.h>

#include "policy_helpers.h"

#define MAX_STATS 64

struct stats {
	int n;
	struct {
		char name[48];
		long value;
	} row[MAX_STATS];
};

static bool stats_read(struct stats *stats)
{
	FILE *f = fopen("/proc/net/smc_ulp_stat", "r");

	stats->n = 0;
	if (!f)
		return false;
	while (stats->n < MAX_STATS && fscanf(f, "%47s %ld", stats->row[stats->n].name,
					      &stats->row[stats->n].value) == 2)
		stats->n++;
	fclose(f);
	return stats->n;
}

static long *stats_find(struct stats *stats, const char *name)
{
	int i;

	for (i = 0; i < stats->n; i++)
		if (!strcmp(stats->row[i].name, name))
			return &stats->row[i].value;
	return NULL;
}

/* "Attach 2 Smcd 1": names without SmcUlp, and by how much they have to have moved */
static void expected(struct stats *stats, const char *moves)
{
	char text[512], name[64], *word, *rest = text;
	long *value;

	snprintf(text, sizeof(text), "%s", moves);
	while ((word = strsep(&rest, " "))) {
		if (!*word)
			continue;
		snprintf(name, sizeof(name), "SmcUlp%s", word);
		value = stats_find(stats, name);
		word = strsep(&rest, " ");
		if (ASSERT_OK_PTR(value, name) && ASSERT_OK_PTR(word, "a number"))
			*value += strtol(word, NULL, 10);
	}
}

static bool stats_are(const struct stats *want)
{
	struct stats stats;
	int i;

	if (!stats_read(&stats) || stats.n != want->n)
		return false;
	for (i = 0; i < stats.n; i++)
		if (stats.row[i].value != want->row[i].value)
			return false;
	return true;
}

/* Since @before exactly @moves; handshakes of a server end a little later than the program knows. */
static void stats_moved(const struct stats *before, const char *moves)
{
	struct stats want = *before, stats;
	int i;

	expected(&want, moves);
	WAIT_FOR(stats_are(&want), 3000);
	if (!ASSERT_TRUE(stats_read(&stats), "/proc/net/smc_ulp_stat"))
		return;
	for (i = 0; i < stats.n; i++)
		ASSERT_EQ(stats.row[i].value, want.row[i].value, stats.row[i].name);
}

/* Who has device and peer for it becomes SMC */
static const char *outcome(const char *other)
{
	return env.world == WORLD_SMCD ? "Smcd" : env.world == WORLD_SMCR ? "Smcr" : other;
}

static void connection(void)
{
	struct stats before;
	struct policy policy;
	struct pair pair;
	char moves[256];
	int n = env.world == WORLD_NONE ? 0 : 2;

	if (!policy_open(&policy, true))
		return;
	stats_read(&before);
	if (pair_make(&pair, ULP, ULP, V4)) {
		ping_pong(pair.client, pair.server);
		snprintf(moves, sizeof(moves), "Attach 2 ListenAllow 1 ConnectAllow 1 "
			 "SynAllow 1 HandshakeClient 1 HandshakeServer 1 %s 2 CurrSmc %d",
			 outcome("Declined"), n);
		stats_moved(&before, moves);
		stats_read(&before);
		pair_close(&pair);
		snprintf(moves, sizeof(moves), "CurrSmc -%d", n);
		stats_moved(&before, moves);
	}
	policy_close(&policy);
}

/* What a policy says, and what happens to it; the peer is plain TCP. */
static void verdicts(void)
{
	struct stats before;
	struct policy policy;
	struct pair pair;
	int fd, i;

	if (!policy_open(&policy, true))
		return;
	stats_read(&before);
	policy_set(&policy, CB_INIT, SMC_ULP_DENY);
	fd = sock_make(TCP, V4);
	ASSERT_ERRNO(ulp_set(fd, "smc"), EACCES, "TCP_ULP");
	stats_moved(&before, "AttachDeny 1");
	policy_set(&policy, CB_INIT, SMC_ULP_ALLOW);
	sock_close(&fd);

	stats_read(&before);
	policy_set(&policy, CB_CONNECT, SMC_ULP_DENY);
	if (pair_make(&pair, TCP, ULP, V4))
		pair_close(&pair);
	stats_moved(&before, "Attach 1 ConnectDeny 1");

	stats_read(&before);
	policy_set(&policy, CB_CONNECT, 77);
	if (pair_make(&pair, TCP, ULP, V4))
		pair_close(&pair);
	stats_moved(&before, "Attach 1 ConnectDeny 1 PolicyError 1");
	policy_set(&policy, CB_CONNECT, SMC_ULP_ALLOW);

	stats_read(&before);
	policy_set(&policy, CB_LISTEN, SMC_ULP_DENY);
	if (pair_make(&pair, ULP, TCP, V4))
		pair_close(&pair);
	stats_moved(&before, "Attach 1 ListenDeny 1");
	policy_set(&policy, CB_LISTEN, SMC_ULP_PASS);

	stats_read(&before);
	if (pair_make(&pair, TCP, ULP, V4))
		pair_close(&pair);
	stats_moved(&before, "Attach 1 ConnectAllow 1 PeerNoSmc 1");

	/* a plain client never asks our server */
	stats_read(&before);
	if (pair_make(&pair, ULP, TCP, V4))
		pair_close(&pair);
	stats_moved(&before, "Attach 1 ListenAllow 1");

	stats_read(&before);
	policy_set(&policy, CB_FALLBACK, SMC_ULP_ABORT);
	{
		int lfd = sock_listen(TCP, V4, 4);

		fd = sock_make(ULP, V4);
		ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), ECONNABORTED, "connect");
		sock_close(&fd);
		sock_close(&lfd);
	}
	stats_moved(&before, "Attach 1 ConnectAllow 1 PeerNoSmc 1 Aborted 1");
	policy_set(&policy, CB_FALLBACK, SMC_ULP_GO_ON);

	/* SMC or nothing: no peer for it, no socket for it */
	policy_set(&policy, CB_CONNECT, SMC_ULP_REQUIRE);
	for (i = 0; i < 2; i++) {
		int lfd = sock_listen(TCP, V4, 4);

		stats_read(&before);
		fd = sock_make(ULP, V4);
		if (i)
			sock_set(fd, SOL_SOCKET, SO_ZEROCOPY, 1);
		ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), i ? EOPNOTSUPP : ECONNABORTED,
			     "connect");
		stats_moved(&before, i ? "Attach 1 ConnectRequire 1 NotEligible 1 Aborted 1" :
				     "Attach 1 ConnectRequire 1 PeerNoSmc 1 Aborted 1");
		sock_close(&fd);
		sock_close(&lfd);
	}
	policy_set(&policy, CB_LISTEN, SMC_ULP_REQUIRE);
	stats_read(&before);
	fd = sock_listen(ULP, V4, 4);
	stats_moved(&before, "Attach 1 ListenRequire 1");
	sock_close(&fd);
	policy_close(&policy);
}

/* Sockets that cannot have it, or use something that SMC has not */
static void sockets(void)
{
	struct stats before;
	struct sockaddr_storage sa;
	socklen_t len = loopback(&sa, V4, 0);
	struct pair pair;
	int lfd, fd;

	if (!pair_make(&pair, TCP, TCP, V4))
		return;
	stats_read(&before);
	ASSERT_ERRNO(ulp_set(pair.client, "smc"), EISCONN, "TCP_ULP");
	stats_moved(&before, "AttachError 1");
	pair_close(&pair);

	lfd = sock_listen(ULP, V4, 4);
	stats_read(&before);
	fd = sock_make(ULP, V4);
	ASSERT_OK(sock_set(fd, SOL_SOCKET, SO_ZEROCOPY, 1), "SO_ZEROCOPY");
	ASSERT_OK(sock_connect(fd, V4, sock_port(lfd)), "connect");
	stats_moved(&before, "Attach 1 ConnectAllow 1 NotEligible 1");
	sock_close(&fd);

	/* asked for each SYN with the option */
	ASSERT_OK(sock_set(lfd, SOL_SOCKET, SO_ZEROCOPY, 1), "SO_ZEROCOPY");
	stats_read(&before);
	fd = sock_connect_to(lfd, ULP, V4);
	stats_moved(&before, "Attach 1 ConnectAllow 1 NotEligible 1 PeerNoSmc 1");
	sock_close(&fd);
	sock_close(&lfd);

	stats_read(&before);
	fd = sock_make(ULP, V4);
	ASSERT_OK(bind(fd, (void *)&sa, len), "bind");
	ASSERT_OK(sock_connect(fd, V4, sock_port(fd)), "connect to itself");
	stats_moved(&before, "Attach 1 ConnectAllow 1 Crossed 1");
	sock_close(&fd);
}

/* Peers that speak the option and then decline, say nothing, or come in numbers */
static void peers(void)
{
	struct clc_peer peer = {};
	struct stats before;
	int lfd, fd, child, i, silent[2];

	if (!clc_peer_open(&peer))
		return;
	lfd = clc_peer_listen(&peer, V4);
	for (i = 0; i < 2; i++) {
		stats_read(&before);
		fd = sock_make(ULP, V4);
		set_nonblock(fd, true);
		ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), EINPROGRESS, "connect");
		child = accept(lfd, NULL, NULL);
		ASSERT_EQ(clc_recv(child), env.world == WORLD_NONE ? CLC_DECLINE : CLC_PROPOSAL,
			  "first message");
		if (env.world == WORLD_NONE) {
			/* ours is the decline, nothing is waited for */
			stats_moved(&before, "Attach 1 ConnectAllow 1 HandshakeClient 1 Declined 1");
		} else {
			stats_moved(&before, "Attach 1 ConnectAllow 1 HandshakeClient 1 "
				    "CurrHandshakeClient 1");
			if (i)
				ASSERT_OK(clc_send_decline(child, 0x03070000), "decline");
			else
				sock_close(&child);
			stats_moved(&before, i ? "Attach 1 ConnectAllow 1 HandshakeClient 1 "
						 "Declined 1" :
						 "Attach 1 ConnectAllow 1 HandshakeClient 1 "
						 "HandshakeError 1");
		}
		sock_close(&child);
		sock_close(&fd);
	}
	sock_close(&lfd);

	/* as many silent handshakes as the accept queue has room, and one client more */
	lfd = sock_listen(ULP, V4, 1);
	stats_read(&before);
	for (i = 0; i < 2; i++) {
		silent[i] = clc_peer_socket(&peer, V4);
		ASSERT_OK(sock_connect(silent[i], V4, sock_port(lfd)), "connect");
	}
	stats_moved(&before, "SynAllow 2 HandshakeServer 2 CurrHandshakeServer 2");
	stats_read(&before);
	fd = sock_connect_to(lfd, ULP, V4);
	stats_moved(&before, "Attach 1 ConnectAllow 1 SynBusy 1 PeerNoSmc 1");
	for (i = 0; i < 2; i++)
		sock_close(&silent[i]);
	stats_moved(&before, "Attach 1 ConnectAllow 1 SynBusy 1 PeerNoSmc 1 HandshakeError 2 "
		    "CurrHandshakeServer -2");
	sock_close(&fd);
	sock_close(&lfd);
	clc_peer_close(&peer);
}

/* Names and numbers are what programs parse; another netns counts for itself. */
static void format(void)
{
	struct stats before, there;
	struct pair pair;
	int i;

	if (!ASSERT_TRUE(stats_read(&before), "/proc/net/smc_ulp_stat"))
		return;
	for (i = 0; i < before.n; i++)
		ASSERT_OK(strncmp(before.row[i].name, "SmcUlp", 6), before.row[i].name);
	if (!netns_enter_new() || !ASSERT_TRUE(stats_read(&there), "in a new netns"))
		return;
	ASSERT_EQ(there.n, before.n, "counters in a new netns");
	for (i = 0; i < there.n; i++)
		ASSERT_EQ(there.row[i].value, 0, there.row[i].name);
	stats_read(&before);
	if (pair_make(&pair, TCP, ULP, V4))
		pair_close(&pair);
	stats_moved(&before, "Attach 1 ConnectAllow 1 PeerNoSmc 1");
}

TEST(stat, WORLD_ALL, 90, TEST_NEEDS_ULP)
{
	/* SMC-R is there in the initial netns only, where nobody else is at work either */
	if (env.world != WORLD_SMCR && !netns_enter_new())
		return;
	if (test__start_subtest("connection"))
		connection();
	if (test__start_subtest("verdicts"))
		verdicts();
	if (test__start_subtest("sockets"))
		sockets();
	if (env.world != WORLD_SMCR && test__start_subtest("peers"))
		peers();
	if (test__start_subtest("format"))
		format();
}
