// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every byte arrives, once, in order, both ways at once: 64 MiB in all combinations of native
 * AF_SMC, our ULP and plain TCP, and after a CLC decline; less with all address families and ways
 * to wait. Broken by any lost, doubled or foreign byte, by a wake-up that is lost (the transfer
 * stops), and by a connection that is not carried by what should carry it.
 */
#include "network_helpers.h"

#define MIB (1024 * 1024ull)

static const struct {
	enum kind server, client;
} pairs[] = {
	{ SMC, SMC }, { SMC, ULP }, { ULP, SMC }, { ULP, ULP }, { TCP, ULP }, { ULP, TCP },
};

static void transfer(enum kind server, enum kind client, enum addr addr, __u64 len,
		     enum style style)
{
	bool smc = becomes_smc(server, client, addr);
	struct pair pair;

	if (!pair_make(&pair, server, client, addr))
		return;
	if (exchange(&pair, len, style)) {
		assert_outcome(smc, pair.client, len);
		assert_outcome(smc, pair.server, len);
	}
	pair_close(&pair);
}

/* In a world without a device this is the transfer after a CLC decline. */
TEST(integrity_64m, WORLD_ALL, 300, 0)
{
	/* rxe is many times slower than TCP, under emulation */
	__u64 len = env.world == WORLD_SMCR ? 8 * MIB : 64 * MIB;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		/* plain TCP peers know nothing of the device: once is enough */
		if (env.world != WORLD_SMCD && (pairs[i].server == TCP || pairs[i].client == TCP))
			continue;
		if (env.world == WORLD_NONE && pairs[i].server != ULP && pairs[i].client != ULP)
			continue;
		if (!test__start_subtestf("%s_%s", kind_str(pairs[i].server),
					  kind_str(pairs[i].client)))
			continue;
		if (kind_available(pairs[i].server) && kind_available(pairs[i].client))
			transfer(pairs[i].server, pairs[i].client, V4, len, BLOCKING);
	}
}

TEST(integrity_styles, WORLD_ALL, 120, 0)
{
	__u64 len = env.world == WORLD_SMCR ? MIB / 2 : 2 * MIB;
	enum style style;
	enum addr addr;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		for (addr = V4; addr <= MAPPED; addr++) {
			if (env.world == WORLD_NONE && addr == V6)
				continue;	/* the same as V4 once it is TCP */
			for (style = BLOCKING; style <= EPOLL_ET; style++) {
				if (!test__start_subtestf("%s_%s_%s_%s", kind_str(pairs[i].server),
							  kind_str(pairs[i].client),
							  addr_str(addr), style_str(style)))
					continue;
				if (kind_available(pairs[i].server) &&
				    kind_available(pairs[i].client))
					transfer(pairs[i].server, pairs[i].client, addr, len,
						 style);
			}
		}
	}
}
