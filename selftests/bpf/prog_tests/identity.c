// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whatever happens to the connection, file, inode, struct socket and sock stay the same
 * (docs/design.rst: I1). Broken by replacing any of them, at attach or at fallback.
 */
#include "network_helpers.h"

static void one(enum kind server, enum kind client, enum addr addr)
{
	bool smc = becomes_smc(server, client, addr);
	int lfd = sock_listen(server, addr, 4), fd = -1, child = -1;
	struct identity listener, id, accepted;

	if (!ASSERT_OK_FD(lfd, "listen") || !identity_read(lfd, &listener))
		goto out;
	fd = sock_make(TCP, addr);
	if (!ASSERT_OK_FD(fd, "socket") || !identity_read(fd, &id))
		goto out;
	ASSERT_EQ(id.protocol, IPPROTO_TCP, "SO_PROTOCOL");
	if (client == ULP && !ASSERT_OK(ulp_set(fd, "smc"), "TCP_ULP"))
		goto out;
	identity_same(fd, &id, "after the attach");
	if (!ASSERT_OK(sock_connect(fd, addr, sock_port(lfd)), "connect"))
		goto out;
	identity_same(fd, &id, "after connect");
	child = accept(lfd, NULL, NULL);
	if (!ASSERT_OK_FD(child, "accept") || !identity_read(child, &accepted))
		goto out;
	if (server != SMC)
		ASSERT_EQ(accepted.protocol, IPPROTO_TCP, "SO_PROTOCOL of the child");
	ping_pong(fd, child);
	assert_outcome(smc, fd, 500);
	assert_outcome(smc, child, 700);
	identity_same(fd, &id, "after a transfer");
	identity_same(child, &accepted, "child after a transfer");
	identity_same(lfd, &listener, "listener after accept");
	ASSERT_STREQ(ulp_name(fd), smc && client == ULP ? "smc" : "", "TCP_ULP of the client");
	shutdown(fd, SHUT_WR);
	recv_eof(child);
	identity_same(fd, &id, "after shutdown");
	identity_same(child, &accepted, "child after the end of the stream");
out:
	sock_close(&fd);
	sock_close(&child);
	sock_close(&lfd);
}

TEST(identity, WORLD_ALL, 60, TEST_NEEDS_ULP)
{
	static const struct {
		enum kind server, client;
	} pairs[] = {
		{ ULP, ULP }, { SMC, ULP }, { ULP, TCP }, { TCP, ULP },
	};
	unsigned int i;
	enum addr addr;

	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		for (addr = V4; addr <= V6; addr++) {
			if (test__start_subtestf("%s_%s_%s", kind_str(pairs[i].server),
						 kind_str(pairs[i].client), addr_str(addr)))
				one(pairs[i].server, pairs[i].client, addr);
		}
	}
}
