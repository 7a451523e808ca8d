// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module is unloaded whenever that is possible, and loaded again, while others use it, or try
 * to, and while there are connections of TCP and of native AF_SMC.
 */
#include <fcntl.h>
#include <sys/syscall.h>

#include "stress_helpers.h"

static unsigned int n_attached, n_missing, n_smc, n_elsewhere;
static bool stop, quiet;

/* With gaps in which nobody has a socket with the ULP */
static void user(int number)
{
	int fd, lfd, child;
	char byte = 0;

	(void)number;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		dice_sleep(10000);
		if (__atomic_load_n(&quiet, __ATOMIC_RELAXED))
			continue;
		lfd = stress_socket(TCP, V4);
		fd = stress_socket(TCP, V4);
		if (!ulp_set(lfd, "smc"))
			__atomic_add_fetch(&n_attached, 1, __ATOMIC_RELAXED);
		else
			__atomic_add_fetch(&n_missing, 1, __ATOMIC_RELAXED);
		ulp_set(fd, "smc");
		listen(lfd, 4);
		sock_connect(fd, V4, sock_port(lfd));
		child = accept(lfd, NULL, NULL);
		if (child >= 0) {
			if (*ulp_name(fd))
				__atomic_add_fetch(&n_smc, 1, __ATOMIC_RELAXED);
			send(fd, &byte, 1, MSG_NOSIGNAL);
			recv(child, &byte, 1, 0);
			dice_sleep(10000);
			close(child);
		}
		close(fd);
		close(lfd);
	}
}

/* Sockets that have nothing to do with the module */
static void elsewhere(int number)
{
	enum kind kind = number & 1 ? SMC : TCP;
	struct pair pair;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		if (!pair_make(&pair, kind, kind, V4))
			return;
		ping_pong(pair.client, pair.server);
		pair_close(&pair);
		__atomic_add_fetch(&n_elsewhere, 1, __ATOMIC_RELAXED);
		dice_sleep(3000);
	}
}

/* The module of this machine: where "modprobe smc_ulp" has it from, see scripts/guest/init. */
static int module_file(void)
{
	FILE *f = fopen("/etc/modprobe.d/smc-ulp.conf", "re");
	char line[512], path[500];
	int fd = -1;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "install smc_ulp insmod %499s", path) == 1)
			fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (f)
		fclose(f);
	return fd;
}

TEST(stress_reload, WORLD_SMCD, 120, TEST_NEEDS_ULP | TEST_LAST)
{
	unsigned int unloaded = 0, busy = 0, wanted = 4 * env.effort;
	int ko = module_file(), i;

	if (!ASSERT_OK_FD(ko, "smc_ulp.ko"))
		return;
	dice_seed(0);
	for (i = 0; i < 4; i++)
		if (!stress_thread(i < 2 ? user : elsewhere, i))
			break;
	while (unloaded < wanted || !busy || !__atomic_load_n(&n_attached, __ATOMIC_RELAXED)) {
		if (syscall(SYS_delete_module, "smc_ulp", O_NONBLOCK)) {
			if (errno != EWOULDBLOCK && !ASSERT_EQ(errno, EBUSY, "unload"))
				break;
			/* a gap, else there may never be one */
			if (++busy % 50 == 0)
				__atomic_store_n(&quiet, true, __ATOMIC_RELAXED);
			dice_sleep(2000);
			continue;
		}
		unloaded++;
		__atomic_store_n(&quiet, false, __ATOMIC_RELAXED);
		dice_sleep(3000);
		/* the kernel's autoloader may have been faster */
		if (syscall(SYS_finit_module, ko, "", 0) && errno != EEXIST &&
		    !ASSERT_EQ(errno, EBUSY, "load"))
			break;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	stress_join();
	close(ko);
	test__log("unloaded %u times, refused %u times; %u attached (%u SMC), %u without the module, %u connections elsewhere",
		  unloaded, busy, n_attached, n_smc, n_missing, n_elsewhere);
	ASSERT_GE(unloaded, wanted, "unloaded");
}
