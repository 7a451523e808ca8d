// SPDX-License-Identifier: GPL-2.0-only
/*
 * The RDMA device is removed under traffic. Stock 6.12 does not survive that: it leaks sockets, or
 * the removal hangs, with native AF_SMC as with the ULP. So these are not run unless named, each in
 * a guest of its own: to compare the two.
 */
#include <fcntl.h>

#include "stress_helpers.h"

#define PAIRS 8

static enum kind kind;
static int n_running;

static void traffic(int number)
{
	static char buf[PAIRS][20000];
	struct pair pair;

	if (!pair_make(&pair, kind, kind, V4))
		return;
	stress_timeouts(pair.client);
	stress_timeouts(pair.server);
	__atomic_add_fetch(&n_running, 1, __ATOMIC_RELAXED);
	/* until both ends have noticed that it is over, or nothing moves any more */
	while (send(pair.client, buf[number], sizeof(buf[0]), MSG_NOSIGNAL) > 0 &&
	       recv(pair.server, buf[number], sizeof(buf[0]), 0) > 0)
		;
	test__debug("connection %d: %m", number);
	pair_close(&pair);
}

static void remove_device(void)
{
	double start;
	int i;

	for (i = 0; i < PAIRS; i++)
		stress_thread(traffic, i);
	WAIT_FOR(__atomic_load_n(&n_running, __ATOMIC_RELAXED) == PAIRS, 20000);
	ASSERT_EQ(n_running, PAIRS, "connections");
	start = now();
	ASSERT_OK(sys("timeout 60 rdma link delete rxe_lo"), "device removed");
	test__log("removed in %ld ms", ms_since(start));
	stress_join();
	ASSERT_OK(sys("rdma link add rxe_lo type rxe netdev lo"), "device back");
}

TEST(stress_device, WORLD_SMCR, 180, TEST_NEEDS_ULP | TEST_HIDDEN)
{
	kind = ULP;
	remove_device();
}

TEST(stress_device_native, WORLD_SMCR, 180, TEST_HIDDEN)
{
	kind = SMC;
	remove_device();
}
