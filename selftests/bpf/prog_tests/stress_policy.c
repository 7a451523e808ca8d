// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policies are loaded, updated, told to decide otherwise and detached, cgroups with attaching
 * programs come and go, and all the time there are connections. Whatever is decided, and by whom:
 * every connection works, or fails as a policy may make it fail.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "cgroup_helpers.h"
#include "policy_helpers.h"
#include "stress_helpers.h"

#define TRAFFIC 4

static struct {
	unsigned int good, aborted, loads, updates;
} n;

/* A policy may say that there is to be no fallback: then this is what a program gets. */
static bool may_fail(int err)
{
	return err == ECONNABORTED || err == ECONNRESET;
}

/* However slow the machine is, something has to happen. */
static bool go_on(void)
{
	return stress_on() || __atomic_load_n(&n.loads, __ATOMIC_RELAXED) < 2 ||
	       !__atomic_load_n(&n.good, __ATOMIC_RELAXED);
}

static bool talk(int client, int server)
{
	static __thread char out[20000], in[20000];
	int from = dice(2) ? client : server, to = from == client ? server : client;
	ssize_t len = 1 + dice(sizeof(out));

	memset(out, len, len);
	if (send(from, out, len, MSG_NOSIGNAL) != len || recv(to, in, len, MSG_WAITALL) != len)
		return false;
	return !memcmp(out, in, len);
}

/* The child of @fd, or -1 when the server's policy has aborted it. */
static int accept_or_reset(int lfd, int fd)
{
	struct pollfd pfds[] = { { .fd = lfd, .events = POLLIN }, { .fd = fd } };
	int child;

	do {
		if (!ASSERT_GT(poll(pfds, 2, 60000 * env.slow), 0, "child or reset"))
			return -1;
		/* one that was seen may have left for its handshake */
		child = accept(lfd, NULL, NULL);
	} while (child < 0 && !pfds[1].revents);
	return child;
}

static void traffic(int number)
{
	struct timeval long_time = { .tv_sec = 60 * env.slow };
	enum addr addr = number & 1 ? V6 : V4;
	int lfd = -1, fd, child;

	while (go_on() && !test__failed()) {
		if (lfd < 0) {
			lfd = sock_listen(number & 2 ? ULP : TCP, addr, 8);
			if (lfd < 0) {	/* the policy does not want it attached */
				lfd = sock_listen(TCP, addr, 8);
				ulp_set(lfd, "smc");
			}
			setsockopt(lfd, SOL_SOCKET, SO_RCVTIMEO, &long_time, sizeof(long_time));
			set_nonblock(lfd, true);
		}
		fd = sock_make(TCP, addr);
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &long_time, sizeof(long_time));
		ulp_set(fd, "smc");
		child = -1;
		if (sock_connect(fd, addr, sock_port(lfd))) {
			if (!may_fail(errno))
				ASSERT_EQ(errno, ECONNABORTED, "connect");
			__atomic_add_fetch(&n.aborted, 1, __ATOMIC_RELAXED);
		} else {
			child = accept_or_reset(lfd, fd);
			/* one of its ends may have been told to abort it */
			if (child >= 0 && talk(fd, child))
				__atomic_add_fetch(&n.good, 1, __ATOMIC_RELAXED);
			else
				__atomic_add_fetch(&n.aborted, 1, __ATOMIC_RELAXED);
		}
		sock_close(&fd);
		/* what an aborted connection left in the queue is not the next one's */
		if (child < 0 || !dice(20))
			sock_close(&lfd);
		sock_close(&child);
	}
	sock_close(&lfd);
}

static struct policy policy;
static bool may_abort;

static void new_verdicts(void)
{
	enum recorder_callback callback;

	for (callback = 0; callback < CB_MAX; callback++) {
		int verdict = dice(10) ? dice(3) : dice(2) ? 1000 : -5;	/* some are none */

		if (callback == CB_FALLBACK)
			verdict = may_abort ? dice(2) : SMC_ULP_GO_ON;
		policy_set_both(&policy, callback, verdict, dice(2) ? verdict : SMC_ULP_PASS);
	}
}

static void decide(void)
{
	while (go_on() && !test__failed()) {
		new_verdicts();
		policy.link = bpf_map__attach_struct_ops(policy_map(&policy, dice(2)));
		if (!ASSERT_OK_PTR(policy.link, "register"))
			return;
		__atomic_add_fetch(&n.loads, 1, __ATOMIC_RELAXED);
		while (stress_on() && dice(8)) {
			new_verdicts();
			if (dice(2))
				ASSERT_OK(bpf_link__update_map(policy.link,
							       policy_map(&policy, dice(2))), "update");
			n.updates++;
			dice_sleep(5000);
		}
		if (dice(2))
			ASSERT_OK(bpf_link__detach(policy.link), "detach");
		bpf_link__destroy(policy.link);
		policy.link = NULL;
		if (dice(2))
			dice_sleep(10000);
	}
}

static void under_traffic(bool abort)
{
	int i;

	may_abort = abort;
	memset(&n, 0, sizeof(n));
	if (!policy_open(&policy, false))
		return;
	if (stress_begin(1.5)) {
		for (i = 0; i < TRAFFIC; i++)
			stress_thread(traffic, i);
		decide();
	}
	stress_end();
	policy_close(&policy);
	test__log("%u loads, %u updates; connections: %u good, %u aborted", n.loads, n.updates,
		  n.good, n.aborted);
	if (!abort)
		ASSERT_EQ(n.aborted, 0, "aborted connections");
}

TEST(stress_policy, WORLD_ALL, 120, TEST_NEEDS_ULP)
{
	if (test__start_subtest("verdicts"))
		under_traffic(false);
	if (test__start_subtest("aborts"))
		under_traffic(true);
}

/* --- cgroups ------------------------------------------------------------------------------- */

/* Sockets of a cgroup go on after they, or rather their processes, have left it. */
static void of_cgroup(const char *cgroup)
{
	int lfd, fd, child, i;

	if (cgroup_join(cgroup))
		_exit(1);
	lfd = sock_listen(TCP, V4, 8);
	fd = sock_make(TCP, V4);
	cgroup_join(NULL);
	for (i = 0; i < 4; i++) {
		if (sock_connect(fd, V4, sock_port(lfd)) < 0)
			_exit(2);
		child = accept(lfd, NULL, NULL);
		if (!talk(fd, child))
			_exit(3);
		sock_close(&fd);
		sock_close(&child);
		if (cgroup_join(cgroup))
			break;
		fd = sock_make(TCP, V4);
		cgroup_join(NULL);
	}
	_exit(0);
}

/*
 * A cgroup with programs that attach; processes come, make sockets in it and leave; the programs
 * go first, or the cgroup.
 */
TEST(stress_cgroup, WORLD_SMC, 120, TEST_NEEDS_ULP)
{
	static const unsigned int hooks[] = {
		HOOK_CREATE, HOOK_BIND, HOOK_CONNECT, HOOK_CREATE | HOOK_BIND | HOOK_CONNECT,
	};
	struct attacher attacher;
	pid_t pids[3];
	unsigned int i, round;
	char name[32];
	int status;

	if (!stress_begin(1e9))
		goto out;
	for (round = 0; round < 4 * env.effort; round++) {
		snprintf(name, sizeof(name), "stress%u", round & 1);
		if (!attacher_open(&attacher, name, hooks[round % ARRAY_SIZE(hooks)]))
			break;
		for (i = 0; i < ARRAY_SIZE(pids); i++) {
			pids[i] = test__fork();
			if (!pids[i]) {
				dice_seed(1000 * i + round);
				of_cgroup(name);
			}
		}
		dice_sleep(60000);
		/* it is gone when nobody is in it, but its sockets live on */
		cgroup_cleanup();
		if (dice(2))
			attacher_close(&attacher);
		dice_sleep(30000);
		cgroup_cleanup();
		for (i = 0; i < ARRAY_SIZE(pids); i++) {
			/* 1: the cgroup was gone already */
			status = test__wait(pids[i]);
			if (status != 1)
				ASSERT_EQ(status, 0, "process of the cgroup");
		}
		attacher_close(&attacher);
	}
	ASSERT_EQ(round, 4 * env.effort, "rounds");
out:
	stress_end();
}
