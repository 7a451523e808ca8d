// SPDX-License-Identifier: GPL-2.0-only
/*
 * What SMC needs goes away and comes back while connections are made: user-defined EIDs, here; see
 * stress_device for devices. Each connection works, over SMC or TCP.
 */
#include "stress_helpers.h"

#define TRAFFIC 4
#define UEID "SMC-ULP"	/* what scripts/vm has added */

static unsigned int n_smc, n_tcp;

/* However slow the machine is, both have to happen. */
static bool go_on(void)
{
	return !test__failed() && (stress_on() || !__atomic_load_n(&n_smc, __ATOMIC_RELAXED) ||
				   !__atomic_load_n(&n_tcp, __ATOMIC_RELAXED));
}

static void traffic(int number)
{
	enum kind server = number & 1 ? SMC : ULP, client = number & 2 ? SMC : ULP;
	int lfd = sock_listen(server, V4, 8);
	struct pair pair = { .server = -1 };

	while (go_on()) {
		pair.client = sock_connect_to(lfd, client, V4);
		if (!ASSERT_OK_FD(pair.client, "connect"))
			break;
		pair.server = accept(lfd, NULL, NULL);
		if (!ASSERT_OK_FD(pair.server, "accept") ||
		    !ping_pong(pair.client, pair.server))
			break;
		if (client == ULP)
			__atomic_add_fetch(*ulp_name(pair.client) ? &n_smc : &n_tcp, 1,
					   __ATOMIC_RELAXED);
		pair_close(&pair);
	}
	pair_close(&pair);
	close(lfd);
}

TEST(stress_ueid, WORLD_SMC, 60, TEST_NEEDS_ULP)
{
	unsigned int changes = 0;
	int i;

	if (stress_begin(2)) {
		for (i = 0; i < TRAFFIC; i++)
			stress_thread(traffic, i);
		while (go_on()) {
			if (!ASSERT_OK(smc_ueid(changes & 1, UEID), "UEID removed or added"))
				break;
			changes++;
			dice_sleep(60000);
		}
	}
	if (changes & 1)
		ASSERT_OK(smc_ueid(true, UEID), "UEID added again");
	stress_end();
	test__log("%u changes, %u connections over SMC, %u over TCP", changes, n_smc, n_tcp);
}
