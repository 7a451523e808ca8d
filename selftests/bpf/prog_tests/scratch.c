// SPDX-License-Identifier: GPL-2.0-only
/*
 * What policies remember of a connection: from one callback to the next, as long as they are the
 * same policies; and seen from outside.
 */
#include "cgroup_helpers.h"
#include "minimal.skel.h"
#include "policy_helpers.h"
#include "scratch.skel.h"

#define CGROUP "scratch"

static bool scratch_start(struct scratch **skel, struct bpf_link **link)
{
	libbpf_quiet();
	*link = NULL;
	*skel = scratch__open_and_load();
	if (!ASSERT_OK_PTR(*skel, "load"))
		return false;
	*link = bpf_map__attach_struct_ops((*skel)->maps.one);
	return ASSERT_OK_PTR(*link, "attach");
}

static void scratch_stop(struct scratch *skel, struct bpf_link *link)
{
	bpf_link__destroy(link);
	scratch__destroy(skel);
}

/* Connection and listener have each their own, and it is there from the first to the last. */
static void remembers(enum addr addr)
{
	struct bpf_link *link;
	struct scratch *skel;
	struct pair pair;
	int lfd, i;

	if (!scratch_start(&skel, &link))
		goto out;
	lfd = sock_listen(ULP, addr, 4);
	ASSERT_EQ(skel->bss->seen[CB_LISTEN], 0, "listen");
	for (i = 0; i < 2; i++) {
		pair.client = sock_connect_to(lfd, ULP, addr);
		pair.server = accept(lfd, NULL, NULL);
		ping_pong(pair.client, pair.server);
		ASSERT_EQ(skel->bss->seen[CB_SYN], 1 + i, "syn");
		ASSERT_EQ(skel->bss->seen[CB_CONNECT], 0, "connect");
		ASSERT_TRUE(WAIT_FOR(skel->bss->calls == 1 + 4 + 6u * i, 5000), "established");
		ASSERT_EQ(skel->bss->seen[CB_ESTABLISHED], 1, "established");
		ASSERT_EQ(skel->bss->seen_server[CB_ESTABLISHED], 0, "established of a child");
		pair_close(&pair);
		ASSERT_TRUE(WAIT_FOR(skel->bss->calls == 1 + 6 + 6u * i, 5000), "release");
		ASSERT_EQ(skel->bss->seen[CB_RELEASE], 2, "release");
		ASSERT_EQ(skel->bss->seen_server[CB_RELEASE], 1, "release of a child");
	}
	sock_close(&lfd);
	/* a peer without SMC: told in softirq */
	if (pair_make(&pair, TCP, ULP, addr)) {
		ASSERT_EQ(skel->bss->seen[CB_FALLBACK], 1, "fallback");
		pair_close(&pair);
	}
out:
	scratch_stop(skel, link);
}

/* A client comes: what is left of earlier ones in the scratch of the listener? */
static void seen_by_listener(struct scratch *skel, int lfd, __s64 count)
{
	struct pair pair = { -1, sock_connect_to(lfd, ULP, V4) };

	if (ASSERT_OK_FD(pair.client, "connect"))
		pair.server = accept(lfd, NULL, NULL);
	ping_pong(pair.client, pair.server);
	ASSERT_EQ(skel->bss->seen[CB_SYN], count, "syn");
	pair_close(&pair);
}

/* A policy for this namespace, without an opinion. */
static struct minimal *load_other(void)
{
	struct minimal *skel = minimal__open();
	int fd = sock_make(TCP, V4);
	socklen_t len = sizeof(__u64);
	struct bpf_program *program;
	struct bpf_map *map;
	__u64 cookie = 0;

	getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len);
	close(fd);
	bpf_object__for_each_map(map, skel->obj)
		if (bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS)
			bpf_map__set_autocreate(map, map == skel->maps.empty);
	bpf_object__for_each_program(program, skel->obj)
		bpf_program__set_autoload(program, false);
	ops_of(skel->maps.empty)->netns_cookie = cookie;
	if (ASSERT_OK(minimal__load(skel), "load another"))
		return skel;
	minimal__destroy(skel);
	return NULL;
}

/* Other policies must not take it for their own: zeroed by update, attach and detach. */
static void forgets(void)
{
	struct minimal *other = NULL;
	struct bpf_link *link, *near;
	struct scratch *skel;
	int lfd, i;

	if (!scratch_start(&skel, &link))
		goto out;
	lfd = sock_listen(ULP, V4, 4);
	seen_by_listener(skel, lfd, 1);
	seen_by_listener(skel, lfd, 2);
	for (i = 0; i < 3; i++) {
		ASSERT_OK(bpf_link__update_map(link, i & 1 ? skel->maps.one : skel->maps.two),
			  "update");
		seen_by_listener(skel, lfd, 0);
		seen_by_listener(skel, lfd, 1);
	}
	/* another one in scope: the listener's is new to both, and again when one of them goes */
	other = load_other();
	near = other ? bpf_map__attach_struct_ops(other->maps.empty) : NULL;
	ASSERT_OK_PTR(near, "another policy");
	seen_by_listener(skel, lfd, 0);
	seen_by_listener(skel, lfd, 1);
	bpf_link__destroy(near);
	seen_by_listener(skel, lfd, 0);
	sock_close(&lfd);
	minimal__destroy(other);
out:
	scratch_stop(skel, link);
}

static void outside(void)
{
	struct bpf_link *link, *iter = NULL;
	struct pair pair = { -1, -1 };
	int cgroup = cgroup_make(CGROUP), fd, lfd;
	struct scratch *skel;
	char buf[64];

	if (!scratch_start(&skel, &link))
		goto out;
	skel->links.look = bpf_program__attach_cgroup(skel->progs.look, cgroup);
	iter = bpf_program__attach_iter(skel->progs.all_tcp, NULL);
	if (!ASSERT_OK_PTR(skel->links.look, "attach") || !ASSERT_OK_PTR(iter, "attach"))
		goto out;
	cgroup_join(CGROUP);
	lfd = sock_listen(ULP, V4, 4);
	pair.client = sock_connect_to(lfd, ULP, V4);
	cgroup_join(NULL);
	pair.server = accept(lfd, NULL, NULL);
	ping_pong(pair.client, pair.server);
	ASSERT_TRUE(WAIT_FOR(skel->bss->calls == 5, 5000), "established");

	sock_set(pair.client, SOL_SOCKET, SO_MARK, 1);
	ASSERT_EQ(skel->bss->by_setsockopt, 2, "cgroup program: client");
	sock_set(pair.server, SOL_SOCKET, SO_MARK, 1);
	ASSERT_EQ(skel->bss->by_setsockopt, 1, "cgroup program: child");
	sock_set(lfd, SOL_SOCKET, SO_MARK, 1);
	ASSERT_EQ(skel->bss->by_setsockopt, 2, "cgroup program: listener");

	skel->bss->port = sock_port(pair.client);
	fd = bpf_iter_create(bpf_link__fd(iter));
	ASSERT_OK(read(fd, buf, sizeof(buf)), "iterate");
	ASSERT_EQ(skel->bss->n_sockets, 1, "found");
	ASSERT_EQ(skel->bss->by_iterator, 2, "iterator");
	ASSERT_OK(skel->bss->result_rc, "bpf_smc_ulp_result in an iterator");
	ASSERT_EQ(skel->bss->result.cookie, sock_cookie(pair.client), "cookie");
	close(fd);

	/* those of another policy are not shown */
	ASSERT_OK(bpf_link__update_map(link, skel->maps.two), "update");
	sock_set(pair.client, SOL_SOCKET, SO_MARK, 2);
	ASSERT_EQ(skel->bss->by_setsockopt, -1, "after an update");
	sock_close(&lfd);
	/* nor is there any without the ULP */
	cgroup_join(CGROUP);
	fd = sock_make(TCP, V4);
	cgroup_join(NULL);
	skel->bss->by_setsockopt = 7;
	sock_set(fd, SOL_SOCKET, SO_MARK, 1);
	ASSERT_EQ(skel->bss->by_setsockopt, -1, "plain TCP");
	close(fd);
	pair_close(&pair);
out:
	bpf_link__destroy(iter);
	scratch_stop(skel, link);
	close(cgroup);
}

TEST(scratch, WORLD_SMCD, 60, TEST_NEEDS_ULP)
{
	enum addr addr;

	for (addr = V4; addr <= MAPPED; addr++)
		if (test__start_subtestf("remembers_%s", addr_str(addr)))
			remembers(addr);
	if (test__start_subtest("forgets"))
		forgets();
	if (test__start_subtest("outside"))
		outside();
}
