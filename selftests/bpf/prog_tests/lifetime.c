// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nothing lives longer than it should, or dies too early (docs/design.rst: I7, I10, I11).
 * Broken by any reference that is lost or kept; the check for leftovers after each test sees it.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>

#include "network_helpers.h"
#include "policy_helpers.h"
#include "tcp_features.h"

static const struct {
	enum kind server, client;
} pairs[] = {
	{ ULP, ULP }, { SMC, ULP }, { ULP, SMC }, { TCP, ULP }, { ULP, TCP },
};

static void reset(int *fd)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	sock_close(fd);
}

/* 1000 connections, closed by either end, in order or by a reset, with and without data. */
TEST(lifetime_churn, WORLD_ALL, 300, TEST_NEEDS_ULP)
{
	int n = env.world == WORLD_SMCR ? 100 : 1000, i;
	struct pair pair;

	for (i = 0; i < n; i++) {
		unsigned int kinds = i % ARRAY_SIZE(pairs);

		if (!pair_make(&pair, pairs[kinds].server, pairs[kinds].client, V4))
			return;
		if (i % 3 && !ping_pong(pair.client, pair.server))
			return;
		if (i % 7 == 6)
			reset(i & 8 ? &pair.client : &pair.server);
		else if (i & 1)
			sock_close(&pair.client);
		pair_close(&pair);
	}
}

/* A process with its own netns that is killed in the middle of everything. */
static void netns_user(void)
{
	struct pair pair[40];
	unsigned int i;

	if (!netns_enter_new())
		_exit(1);
	for (i = 0; i < ARRAY_SIZE(pair); i++) {
		unsigned int kinds = i % ARRAY_SIZE(pairs);

		if (!pair_make(&pair[i], pairs[kinds].server, pairs[kinds].client,
			       i & 1 ? V4 : V6))
			_exit(1);
		if (i % 3 == 1 && !ping_pong(pair[i].client, pair[i].server))
			_exit(1);
		if (i % 3 == 2) {
			send(pair[i].client, pattern_at(1, 0), 5000, MSG_DONTWAIT);
			reset(i & 1 ? &pair[i].client : &pair[i].server);
		}
	}
	/* and handshakes that have only begun */
	for (i = 0; i < 10; i++) {
		int lfd = sock_listen(ULP, V4, 4), fd = sock_make(ULP, V4);

		set_nonblock(fd, true);
		sock_connect(fd, V4, sock_port(lfd));
	}
	kill(getpid(), SIGKILL);
}

/* The netns goes when its last sock does, and SMC still looks at it while it frees connections. */
TEST(lifetime_netns, WORLD_SMCD | WORLD_NONE, 120, TEST_NEEDS_ULP)
{
	int i;

	for (i = 0; i < 5; i++) {
		pid_t pid = test__fork();

		if (!pid)
			netns_user();
		ASSERT_EQ(test__wait(pid), 128 + SIGKILL, "killed in the netns");
	}
}

static int module_delete(void)
{
	return syscall(SYS_delete_module, "smc_ulp", O_NONBLOCK);
}

static void refused(const char *when)
{
	ASSERT_ERRNO(module_delete(), EWOULDBLOCK, when);
}

/*
 * The module cannot go while anything lives, and can afterwards. A plain child of one of our
 * listeners is the first user of kTLS on this machine, which copies the ops it finds there to a
 * table for all: kTLS has to work without us.
 */
TEST(lifetime_unload, WORLD_ALL, 120, TEST_NEEDS_ULP | TEST_LAST)
{
	struct policy policy;
	struct pair pair;
	int fd, lfd;

	syscall(SYS_delete_module, "tls", O_NONBLOCK);	/* its next user is the first */

	fd = sock_make(ULP, V4);
	refused("with an attached socket");
	sock_close(&fd);
	lfd = sock_listen(ULP, V4, 1);
	refused("with a listener");
	sock_close(&lfd);
	if (pair_make(&pair, ULP, TCP, V4)) {
		ASSERT_TRUE(ktls_works(pair.server, pair.client), "kTLS on a plain child");
		pair_close(&pair);
	}
	if (pair_make(&pair, ULP, ULP, V4)) {
		if (becomes_smc(ULP, ULP, V4))
			refused("with a connection");
		pair_close(&pair);
	}
	fd = test__fork();
	if (!fd) {
		if (!policy_open(&policy, true))
			_exit(1);
		refused("with a policy");
		policy_close(&policy);
		_exit(test__failed());
	}
	ASSERT_OK(test__wait(fd), "policy");

	ASSERT_TRUE(WAIT_FOR(!module_delete(), 10000), "unload");
	if (pair_make(&pair, TCP, TCP, V4)) {
		ASSERT_TRUE(ktls_works(pair.server, pair.client), "kTLS without the module");
		pair_close(&pair);
	}
	/* tcp_ulp_find_autoload() */
	fd = sock_make(ULP, V4);
	ASSERT_OK_FD(fd, "TCP_ULP loads the module");
	sock_close(&fd);
}
