// SPDX-License-Identifier: GPL-2.0-only
/*
 * Network namespaces are deleted and processes killed while their connections are being opened,
 * reset and closed.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "stress_helpers.h"

/*
 * Connections to the listeners of this process, without end. Not of native AF_SMC, which leaks by
 * itself when ends are closed at random.
 */
static void connections(void)
{
	int lfd = -1, fd, child;
	enum addr addr = V4;

	for (;;) {
		if (lfd < 0) {
			addr = dice(2) ? V4 : V6;
			lfd = sock_listen(ULP, addr, 4);
			set_nonblock(lfd, true);
		}
		fd = stress_socket(dice(4) ? ULP : TCP, addr);
		set_nonblock(fd, dice(3));
		sock_connect(fd, addr, sock_port(lfd));
		if (dice(2))
			stress_talk(fd);
		child = accept(lfd, NULL, NULL);
		if (child >= 0) {
			stress_timeouts(child);
			if (dice(2))
				stress_talk(child);
			stress_close(child);
		}
		stress_close(fd);
		if (!dice(4))
			sock_close(&lfd);
	}
}

static void *connections_thread(void *arg)
{
	dice_seed((long)arg);
	connections();
	return NULL;
}

/* A process with three threads in its own netns, or the one it has, until it is killed. */
static void victim(int number, bool new_netns)
{
	pthread_t thread;
	long i;

	if (new_netns && !netns_enter_new())
		_exit(1);
	for (i = 1; i < 3; i++)
		thread_start(&thread, connections_thread, (void *)(10L * number + i));
	dice_seed(10 * number);
	connections();
}

static void kill_at_random(int n_victims, bool new_netns)
{
	unsigned int killed = 0;
	pid_t pids[8];
	int i, number = 0;

	for (i = 0; i < n_victims; i++)
		pids[i] = 0;
	while (stress_on() || !killed) {
		i = dice(n_victims);
		if (pids[i]) {
			/* some are not far yet */
			dice_sleep(dice(4) ? 100000 : 5000);
			kill(pids[i], SIGKILL);
			ASSERT_EQ(test__wait(pids[i]), 128 + SIGKILL, "killed");
			killed++;
		}
		pids[i] = test__fork();
		if (!pids[i])
			victim(++number, new_netns);
		number++;
	}
	for (i = 0; i < n_victims; i++) {
		if (pids[i] <= 0)
			continue;
		kill(pids[i], SIGKILL);
		test__wait(pids[i]);
	}
	test__log("%u processes killed", killed);
}

/* Over rxe not, see close_storm. */
TEST(stress_kill, WORLD_SMCD | WORLD_NONE, 60, TEST_NEEDS_ULP)
{
	if (stress_begin(2))
		kill_at_random(3, false);
	stress_end();
}

/* Each with its netns: the last to look at it are sidecars, their link groups and workers. */
TEST(stress_netns, WORLD_SMCD | WORLD_NONE, 60, TEST_NEEDS_ULP)
{
	if (stress_begin(2))
		kill_at_random(3, true);
	stress_end();
}

/* --- ip netns del ---------------------------------------------------------------------------- */

#define NETNS "smc_ulp_stress"

/* As "ip netns add" and "ip netns del", whose processes would take most of the time; enters it. */
static bool netns_add(const char *path)
{
	int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);

	sock_close(&fd);
	return netns_enter_new() &&
	       ASSERT_OK(mount("/proc/thread-self/ns/net", path, "none", MS_BIND, NULL), "mount");
}

static void netns_del(const char *path)
{
	ASSERT_OK(umount2(path, MNT_DETACH), "umount");
	unlink(path);
}

static int here;

/* Makes connections in a netns that is deleted under it, and goes on with them. */
static void guest(int number)
{
	int ends[2][6], i, lfd;
	char path[64];

	/* threads of one process have netns of their own */
	while (stress_on()) {
		snprintf(path, sizeof(path), "/run/netns/" NETNS "%d", number);
		mkdir("/run/netns", 0755);
		if (!netns_add(path))
			return;
		lfd = sock_listen(ULP, V4, 8);
		set_nonblock(lfd, true);
		for (i = 0; i < 6; i++) {
			if (i == 3)
				netns_del(path);
			ends[0][i] = stress_socket(ULP, V4);
			set_nonblock(ends[0][i], dice(2));
			sock_connect(ends[0][i], V4, sock_port(lfd));
			ends[1][i] = accept(lfd, NULL, NULL);
			stress_timeouts(ends[1][i]);
			if (dice(2))
				stress_talk(ends[0][i]);
		}
		close(lfd);
		/* the netns has only their sockets now */
		setns(here, CLONE_NEWNET);
		for (i = 0; i < 6; i++) {
			if (ends[1][i] >= 0 && dice(2))
				stress_talk(ends[1][i]);
			stress_close(ends[0][i]);
			stress_close(ends[1][i]);
		}
	}
}

TEST(stress_netns_del, WORLD_SMCD | WORLD_NONE, 60, TEST_NEEDS_ULP)
{
	int i;

	here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (stress_begin(2)) {
		for (i = 0; i < 3; i++)
			stress_thread(guest, i);
	}
	stress_end();
	close(here);
}
