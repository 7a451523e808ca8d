// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scopes: which policies are asked about a socket, in which order, and what becomes of a policy
 * whose cgroup or network namespace goes. What counts is where the socket was made.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

#include "cgroup_helpers.h"
#include "minimal.skel.h"
#include "policy_helpers.h"
#include "progs/scoped.h"
#include "scoped.skel.h"

#define MARK 77		/* of the sockets that the policies look at */

static __u64 cgroup_id(int fd)
{
	struct stat st;

	return ASSERT_OK(fstat(fd, &st), "stat of a cgroup") ? st.st_ino : 0;
}

static __u64 netns_cookie(void)
{
	int fd = sock_make(TCP, V4);
	socklen_t len = sizeof(__u64);
	__u64 cookie = 0;

	ASSERT_OK(getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len), "SO_NETNS_COOKIE");
	sock_close(&fd);
	return cookie;
}

/* All four, loaded for the cgroups "outer" and "outer/near" and this namespace. */
struct scoped_policies {
	struct scoped *skel;
	struct bpf_map *maps[SCOPE_MAX];
	struct bpf_link *links[SCOPE_MAX];
	int outer, near;
};

static bool scoped_open(struct scoped_policies *p)
{
	struct scoped *skel;

	libbpf_quiet();
	memset(p, 0, sizeof(*p));
	p->outer = cgroup_make("outer");
	p->near = cgroup_make("outer/near");
	skel = scoped__open();
	p->skel = skel;
	if (!ASSERT_OK_FD(p->near, "cgroups") || !ASSERT_OK_PTR(skel, "open"))
		return false;
	p->maps[SCOPE_NEAR] = skel->maps.near;
	p->maps[SCOPE_OUTER] = skel->maps.outer;
	p->maps[SCOPE_NETNS] = skel->maps.netns;
	p->maps[SCOPE_HOST] = skel->maps.host;
	ops_of(skel->maps.near)->cgroup_id = cgroup_id(p->near);
	ops_of(skel->maps.outer)->cgroup_id = cgroup_id(p->outer);
	ops_of(skel->maps.netns)->netns_cookie = netns_cookie();
	return ASSERT_OK(scoped__load(skel), "load");
}

static bool scoped_attach(struct scoped_policies *p, enum scope scope)
{
	p->links[scope] = bpf_map__attach_struct_ops(p->maps[scope]);
	return ASSERT_OK_PTR(p->links[scope], bpf_map__name(p->maps[scope]));
}

static void scoped_detach(struct scoped_policies *p, enum scope scope)
{
	if (p->links[scope])
		ASSERT_OK(bpf_link__detach(p->links[scope]), "detach");
	bpf_link__destroy(p->links[scope]);
	p->links[scope] = NULL;
}

static void scoped_close(struct scoped_policies *p)
{
	enum scope scope;

	for (scope = 0; scope < SCOPE_MAX; scope++)
		scoped_detach(p, scope);
	scoped__destroy(p->skel);
	sock_close(&p->near);
	sock_close(&p->outer);
}

static void scoped_forget(struct scoped_policies *p)
{
	memset(p->skel->bss, 0, sizeof(*p->skel->bss));
}

/* A socket of @kind made in @cgroup, whose ULP is set by this process, which is in the root. */
static int make_in(const char *cgroup, enum kind kind, enum addr addr)
{
	int fd = -1;

	if (!ASSERT_OK(cgroup_join(cgroup), "join the cgroup"))
		return -1;
	fd = sock_make(TCP, addr);
	cgroup_join(NULL);
	sock_set(fd, SOL_SOCKET, SO_MARK, MARK);
	if (kind == ULP && ulp_set(fd, "smc"))
		sock_close(&fd);
	return fd;
}

static int listen_in(const char *cgroup, enum kind kind, enum addr addr)
{
	int fd = make_in(cgroup, kind, addr);
	struct sockaddr_storage sa;
	socklen_t len = loopback(&sa, addr, 0);

	if (fd >= 0 && (bind(fd, (void *)&sa, len) || listen(fd, 4)))
		sock_close(&fd);
	return fd;
}

/* Exactly the policies of @asked had @callback, once each, from near to far. */
static void assert_asked(struct scoped_policies *p, enum recorder_callback callback,
			 unsigned int asked, const char *what)
{
	__u32 last = 0, order;
	enum scope scope;

	for (scope = 0; scope < SCOPE_MAX; scope++) {
		ASSERT_EQ(p->skel->bss->n_calls[scope][callback], !!(asked & 1 << scope), what);
		order = p->skel->bss->order[scope][callback];
		if (!(asked & 1 << scope))
			continue;
		ASSERT_GT(order, last, "from near to far");
		last = order;
	}
}

#define NEAR	(1 << SCOPE_NEAR)
#define OUTER	(1 << SCOPE_OUTER)
#define NETNS	(1 << SCOPE_NETNS)
#define HOST	(1 << SCOPE_HOST)
#define ALL	(NEAR | OUTER | NETNS | HOST)

/* Who is asked when @decides does not PASS. */
static void asked_until(struct scoped_policies *p, const char *cgroup, unsigned int in_scope)
{
	unsigned int asked = 0;
	enum scope decides;
	int fd, rc;

	for (decides = 0; decides < SCOPE_MAX; decides++) {
		if (!(in_scope & 1 << decides))
			continue;
		asked |= 1 << decides;
		scoped_forget(p);
		p->skel->bss->verdicts[decides][CB_INIT] = SMC_ULP_DENY;
		fd = make_in(cgroup, TCP, V4);
		rc = ulp_set(fd, "smc");
		ASSERT_TRUE(rc && errno == EACCES, "it decides");
		assert_asked(p, CB_INIT, asked, "init");
		sock_close(&fd);
	}
	scoped_forget(p);
	fd = make_in(cgroup, ULP, V4);
	ASSERT_OK_FD(fd, "nobody decides");
	assert_asked(p, CB_INIT, in_scope, "init");
	sock_close(&fd);
}

/* Everything that is told is told to all, of sockets of client and server. */
static void told(struct scoped_policies *p, enum addr addr)
{
	int lfd, fd, child;

	scoped_forget(p);
	lfd = listen_in("outer/near", ULP, addr);
	assert_asked(p, CB_LISTEN, ALL, "listen");
	fd = sock_make(ULP, addr);
	ASSERT_OK(sock_connect(fd, addr, sock_port(lfd)), "connect without a mark");
	/* where it is accepted does not matter */
	child = accept(lfd, NULL, NULL);
	ping_pong(fd, child);
	assert_asked(p, CB_SYN, ALL, "syn");
	assert_asked(p, CB_ESTABLISHED, ALL, "established of a child");
	sock_close(&child);
	sock_close(&fd);
	ASSERT_TRUE(WAIT_FOR(p->skel->bss->n_calls[SCOPE_HOST][CB_RELEASE] == 1, 5000), "release");
	assert_asked(p, CB_RELEASE, ALL, "release of a child");
	sock_close(&lfd);

	scoped_forget(p);
	lfd = sock_listen(TCP, addr, 4);
	fd = make_in("outer/near", ULP, addr);
	ASSERT_OK(sock_connect(fd, addr, sock_port(lfd)), "connect");
	assert_asked(p, CB_CONNECT, ALL, "connect");
	assert_asked(p, CB_FALLBACK, ALL, "fallback");
	sock_close(&fd);
	sock_close(&lfd);
}

/* ABORT by one of them aborts, and the others are told all the same. */
static void one_aborts(struct scoped_policies *p)
{
	enum scope scope;
	int lfd, fd;

	for (scope = 0; scope < SCOPE_MAX; scope++) {
		scoped_forget(p);
		p->skel->bss->verdicts[scope][CB_FALLBACK] = SMC_ULP_ABORT;
		lfd = sock_listen(TCP, V4, 4);
		fd = make_in("outer/near", ULP, V4);
		ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), ECONNABORTED, "connect");
		assert_asked(p, CB_FALLBACK, ALL, "fallback");
		sock_close(&fd);
		sock_close(&lfd);
	}
}

TEST(scope_order, WORLD_SMCD, 60, TEST_NEEDS_ULP)
{
	struct scoped_policies p;
	enum scope scope;
	enum addr addr;

	if (!scoped_open(&p))
		return;
	if (test__start_subtest("one_each")) {
		for (scope = SCOPE_NETNS; scope < SCOPE_MAX; scope++) {
			scoped_attach(&p, scope);
			asked_until(&p, "outer/near", 1 << scope);
			scoped_detach(&p, scope);
		}
		for (scope = 0; scope < SCOPE_NETNS; scope++) {
			scoped_attach(&p, scope);
			asked_until(&p, "outer/near", 1 << scope);
			asked_until(&p, "outer", scope == SCOPE_OUTER ? OUTER : 0);
			asked_until(&p, NULL, 0);
			scoped_detach(&p, scope);
		}
	}
	for (scope = 0; scope < SCOPE_MAX; scope++)
		scoped_attach(&p, scope);
	if (test__start_subtest("all_near"))
		asked_until(&p, "outer/near", ALL);
	if (test__start_subtest("all_outer"))
		asked_until(&p, "outer", OUTER | NETNS | HOST);
	if (test__start_subtest("all_root"))
		asked_until(&p, NULL, NETNS | HOST);
	for (addr = V4; addr <= MAPPED; addr++)
		if (test__start_subtestf("told_%s", addr_str(addr)))
			told(&p, addr);
	if (test__start_subtest("one_aborts"))
		one_aborts(&p);
	if (test__start_subtest("other_netns") && netns_enter_new())
		asked_until(&p, "outer/near", NEAR | OUTER | HOST);
	scoped_close(&p);
}

/* --- registration ---------------------------------------------------------------------------- */

static struct minimal *scope_set(__u32 flags, __u64 cgroup, __u64 netns)
{
	struct minimal *skel = minimal__open();
	struct ops_value *ops;
	struct bpf_map *map;
	int rc;

	if (!ASSERT_OK_PTR(skel, "open"))
		return NULL;
	bpf_object__for_each_map(map, skel->obj)
		if (bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS)
			bpf_map__set_autocreate(map, map == skel->maps.deny);
	ops = ops_of(skel->maps.deny);
	ops->flags = flags;
	ops->cgroup_id = cgroup;
	ops->netns_cookie = netns;
	rc = minimal__load(skel);
	if (!rc)
		return skel;
	minimal__destroy(skel);
	errno = -rc;
	return NULL;
}

/* What cannot be registered: errno of loading or attaching. */
static int scope_error(__u32 flags, __u64 cgroup, __u64 netns)
{
	struct minimal *skel = scope_set(flags, cgroup, netns);
	struct bpf_link *link;
	int err = errno;

	if (!skel)
		return err;
	link = bpf_map__attach_struct_ops(skel->maps.deny);
	err = link ? 0 : errno;
	bpf_link__destroy(link);
	minimal__destroy(skel);
	return err;
}

static void refused(void)
{
	int fd = cgroup_make("gone");
	__u64 id = cgroup_id(fd);

	sock_close(&fd);
	ASSERT_EQ(scope_error(0, id, 0), 0, "a cgroup");
	ASSERT_EQ(scope_error(0, 0, netns_cookie()), 0, "a namespace");
	ASSERT_EQ(scope_error(0, id, netns_cookie()), EINVAL, "both");
	ASSERT_EQ(scope_error(1, 0, 0), EINVAL, "flags");
	ASSERT_EQ(scope_error(0x80000000, id, 0), EINVAL, "flags");
	ASSERT_EQ(scope_error(0, id + 1000000, 0), ENOENT, "no such cgroup");
	ASSERT_EQ(scope_error(0, ~0ull, 0), ENOENT, "no such cgroup");
	ASSERT_EQ(scope_error(0, 0, ~0ull), ENOENT, "no such namespace");
	cgroup_cleanup();
	ASSERT_EQ(scope_error(0, id, 0), ENOENT, "a cgroup that is gone");
}

/* One for each scope; an update stays in its own. */
static void busy_and_update(struct scoped_policies *p)
{
	enum scope scope, other;
	struct bpf_link *second;

	for (scope = 0; scope < SCOPE_MAX; scope++)
		scoped_attach(p, scope);
	for (scope = 0; scope < SCOPE_MAX; scope++) {
		ASSERT_EQ(scope_error(0, ops_of(p->maps[scope])->cgroup_id,
				      ops_of(p->maps[scope])->netns_cookie), EBUSY, "a second");
		second = bpf_map__attach_struct_ops(p->maps[scope]);
		ASSERT_TRUE(!second && errno == EBUSY, "the same map once more");
		bpf_link__destroy(second);
		for (other = 0; other < SCOPE_MAX; other++)
			ASSERT_EQ(bpf_link__update_map(p->links[scope], p->maps[other]),
				  scope == other ? 0 : -EINVAL, "update");
	}
	/* and all of them are still there */
	asked_until(p, "outer/near", ALL);
	for (scope = 0; scope < SCOPE_MAX; scope++)
		scoped_detach(p, scope);
	asked_until(p, "outer/near", 0);
}

/* Another policy for the same cgroup, by link update. */
static void update_cgroup(struct scoped_policies *p)
{
	struct minimal *deny = scope_set(0, ops_of(p->maps[SCOPE_NEAR])->cgroup_id, 0);
	int fd;

	if (!ASSERT_OK_PTR(deny, "load another"))
		return;
	scoped_forget(p);
	scoped_attach(p, SCOPE_NEAR);
	ASSERT_OK(bpf_link__update_map(p->links[SCOPE_NEAR], deny->maps.deny), "update");
	fd = make_in("outer/near", TCP, V4);
	ASSERT_ERRNO(ulp_set(fd, "smc"), EACCES, "the new one decides");
	assert_asked(p, CB_INIT, 0, "init of the old one");
	sock_close(&fd);
	fd = make_in("outer", ULP, V4);
	ASSERT_OK_FD(fd, "outside of it");
	sock_close(&fd);
	ASSERT_OK(bpf_link__update_map(p->links[SCOPE_NEAR], p->maps[SCOPE_NEAR]), "and back");
	asked_until(p, "outer/near", NEAR);
	scoped_detach(p, SCOPE_NEAR);
	minimal__destroy(deny);
}

TEST(scope_registration, WORLD_SMCD, 60, TEST_NEEDS_ULP)
{
	struct scoped_policies p;

	libbpf_quiet();
	if (test__start_subtest("refused"))
		refused();
	if (!scoped_open(&p))
		return;
	if (test__start_subtest("busy_and_update"))
		busy_and_update(&p);
	if (test__start_subtest("update_cgroup"))
		update_cgroup(&p);
	scoped_close(&p);
}

/* --- scopes that go -------------------------------------------------------------------------- */

/* What was made there is still the policy's, and it can still be replaced and revoked. */
static void cgroup_dies(void)
{
	struct scoped_policies p;
	int old, lfd, fd;

	if (!scoped_open(&p))
		return;
	scoped_attach(&p, SCOPE_NEAR);
	old = make_in("outer/near", ULP, V4);
	sock_close(&p.near);
	sock_close(&p.outer);
	cgroup_cleanup();
	/* of the same name, and not the same */
	sock_close(&(int){ cgroup_make("outer") });
	sock_close(&(int){ cgroup_make("outer/near") });
	asked_until(&p, "outer/near", 0);

	scoped_forget(&p);
	lfd = sock_listen(TCP, V4, 4);
	ASSERT_OK(sock_connect(old, V4, sock_port(lfd)), "connect");
	assert_asked(&p, CB_CONNECT, NEAR, "connect of a socket that was there");
	ASSERT_OK(bpf_link__update_map(p.links[SCOPE_NEAR], p.maps[SCOPE_NEAR]), "update");
	sock_close(&old);
	sock_close(&lfd);
	scoped_detach(&p, SCOPE_NEAR);
	errno = 0;
	p.links[SCOPE_NEAR] = bpf_map__attach_struct_ops(p.maps[SCOPE_NEAR]);
	ASSERT_TRUE(!p.links[SCOPE_NEAR] && errno == ENOENT, "attach again");
	fd = make_in("outer/near", ULP, V4);
	ASSERT_OK_FD(fd, "life goes on");
	sock_close(&fd);
	scoped_close(&p);
}

static void netns_dies(void)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct scoped_policies p;
	__u64 cookie;

	if (!ASSERT_OK_FD(home, "/proc/self/ns/net") || !netns_enter_new())
		return;
	cookie = netns_cookie();
	if (!scoped_open(&p))
		return;
	scoped_attach(&p, SCOPE_NETNS);
	asked_until(&p, NULL, NETNS);
	ASSERT_OK(setns(home, CLONE_NEWNET), "back");
	ASSERT_TRUE(WAIT_FOR(scope_error(0, 0, cookie) == ENOENT, 10000), "the namespace goes");
	asked_until(&p, NULL, 0);
	ASSERT_OK(bpf_link__update_map(p.links[SCOPE_NETNS], p.maps[SCOPE_NETNS]), "update");
	scoped_detach(&p, SCOPE_NETNS);
	scoped_close(&p);
	close(home);
}

TEST(scope_dies, WORLD_SMCD, 60, TEST_NEEDS_ULP)
{
	if (test__start_subtest("cgroup"))
		cgroup_dies();
	if (test__start_subtest("netns"))
		netns_dies();
}
