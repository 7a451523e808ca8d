// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registration at its edges, without libbpf's help: the same policy twice, another struct_ops type
 * in the place of ours, maps without a link, a link that somebody else detaches, and policies that
 * are loaded, registered and thrown away all the time while sockets ask. Broken by a registration
 * that outlives its link, or a callback that runs after it is freed.
 */
#include <sys/epoll.h>

#include "btf_helpers.h"
#include "congestion.skel.h"
#include "policy_helpers.h"

/* The value of a struct_ops map, as the module's BTF describes it. */
static struct {
	struct module_btf btf;
	struct btf *own;	/* a map has to have one; what it says does not matter */
	__u32 ops;		/* struct smc_ulp_ops */
	__u32 value;		/* struct bpf_struct_ops_smc_ulp_ops */
	__u32 value_size;
	__u32 data;		/* where in the value the ops are */
} types;

/* The offset, in bytes, of a member of the structure @id. */
static __u32 member_offset(__u32 id, const char *name, int *index)
{
	const struct btf_type *type = btf__type_by_id(types.btf.module, id);
	const struct btf_member *member = btf_members(type);
	int i;

	for (i = 0; i < btf_vlen(type); i++)
		if (!strcmp(btf__name_by_offset(types.btf.module, member[i].name_off), name))
			break;
	if (!ASSERT_LT(i, btf_vlen(type), name))
		return 0;
	if (index)
		*index = i;
	return btf_member_bit_offset(type, i) / 8;
}

static bool types_open(void)
{
	__s32 ops, value;

	if (!module_btf_open(&types.btf))
		return false;
	ops = btf__find_by_name_kind(types.btf.module, "smc_ulp_ops", BTF_KIND_STRUCT);
	value = btf__find_by_name_kind(types.btf.module, "bpf_struct_ops_smc_ulp_ops",
				       BTF_KIND_STRUCT);
	if (!ASSERT_GT(ops, 0, "smc_ulp_ops") || !ASSERT_GT(value, 0, "its value"))
		return false;
	types.ops = ops;
	types.value = value;
	types.value_size = btf__type_by_id(types.btf.module, value)->size;
	types.data = member_offset(value, "data", NULL);
	types.own = btf__new_empty();
	return ASSERT_GT(btf__add_int(types.own, "int", 4, 0), 0, "BTF of a map") &&
	       ASSERT_OK(btf__load_into_kernel(types.own), "load it");
}

static void types_close(void)
{
	btf__free(types.own);
	types.own = NULL;
	module_btf_close(&types.btf);
}

/* A callback that returns @verdict. */
static int callback_load(const char *name, int verdict)
{
	const struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = verdict },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	DECLARE_LIBBPF_OPTS(bpf_prog_load_opts, opts,
		.attach_btf_id = types.ops,
		.attach_btf_obj_fd = types.btf.fd,
	);
	int index = 0;

	member_offset(types.ops, name, &index);
	opts.expected_attach_type = index;
	return bpf_prog_load(BPF_PROG_TYPE_STRUCT_OPS, NULL, "GPL", program, ARRAY_SIZE(program),
			     &opts);
}

/* A map with a policy whose only callback is @callback; @flags with or without BPF_F_LINK. */
static int policy_load(__u32 flags, const char *callback, int verdict)
{
	DECLARE_LIBBPF_OPTS(bpf_map_create_opts, opts,
		.btf_fd = btf__fd(types.own),
		.map_flags = flags | BPF_F_VTYPE_BTF_OBJ_FD,
		.btf_vmlinux_value_type_id = types.value,
		.value_type_btf_obj_fd = types.btf.fd,
	);
	char value[1024] = {}, *ops = value + types.data;
	int map, program, zero = 0, rc;

	if (!ASSERT_LE(types.value_size, sizeof(value), "size of the value"))
		return -1;
	map = bpf_map_create(BPF_MAP_TYPE_STRUCT_OPS, "raw", 4, types.value_size, 1, &opts);
	program = callback_load(callback, verdict);
	if (!ASSERT_OK_FD(map, "create a map") || !ASSERT_OK_FD(program, "load a program"))
		return -1;
	*(unsigned long *)(ops + member_offset(types.ops, callback, NULL)) = program;
	strcpy(ops + member_offset(types.ops, "name", NULL), "raw");
	rc = bpf_map_update_elem(map, &zero, value, 0);
	close(program);
	if (!rc)
		return map;
	close(map);
	return rc;
}

static bool ulp_allowed(void)
{
	int fd = sock_make(TCP, V4), rc = ulp_set(fd, "smc");

	if (rc)
		ASSERT_EQ(errno, EACCES, "errno of a refusal");
	close(fd);
	return !rc;
}

/* --- edges ------------------------------------------------------------------------------------ */

static void same_twice(void)
{
	int map = policy_load(BPF_F_LINK, "init", SMC_ULP_DENY), link, again;

	ASSERT_TRUE(ulp_allowed(), "a map with a value is no policy");
	link = bpf_link_create(map, 0, BPF_STRUCT_OPS, NULL);
	if (ASSERT_OK_FD(link, "register")) {
		ASSERT_FALSE(ulp_allowed(), "the policy decides");
		again = bpf_link_create(map, 0, BPF_STRUCT_OPS, NULL);
		ASSERT_EQ(again, -EBUSY, "register the same once more");
		sock_close(&again);
		ASSERT_FALSE(ulp_allowed(), "it still decides");
		ASSERT_OK(bpf_link_detach(link), "detach");
		ASSERT_TRUE(ulp_allowed(), "no policy");
		again = bpf_link_create(map, 0, BPF_STRUCT_OPS, NULL);
		ASSERT_OK_FD(again, "register again");
		ASSERT_FALSE(ulp_allowed(), "it decides");
		sock_close(&again);
	}
	sock_close(&link);
	sock_close(&map);
}

static void without_link(void)
{
	int map, link, zero = 0;

	/* a map without BPF_F_LINK registers when its value is written */
	ASSERT_EQ(policy_load(0, "init", SMC_ULP_DENY), -EOPNOTSUPP, "register by the map alone");
	ASSERT_TRUE(ulp_allowed(), "no policy");
	map = policy_load(BPF_F_LINK, "init", SMC_ULP_DENY);
	ASSERT_EQ(bpf_map_delete_elem(map, &zero), -EOPNOTSUPP, "revoke by the map alone");
	link = bpf_link_create(map, 0, BPF_STRUCT_OPS, NULL);
	ASSERT_OK_FD(link, "register");
	sock_close(&map);
	ASSERT_FALSE(ulp_allowed(), "the link holds the map");
	sock_close(&link);
	/* after a grace period */
	ASSERT_TRUE(WAIT_FOR(ulp_allowed(), 3000), "no policy");
}

/* Neither type may take the place of the other. */
static void other_type(void)
{
	struct congestion *other = congestion__open_and_load();
	int map = policy_load(BPF_F_LINK, "init", SMC_ULP_DENY), link, other_map;
	struct bpf_link *other_link;

	if (!ASSERT_OK_PTR(other, "load a struct_ops of another type"))
		goto out;
	other_map = bpf_map__fd(other->maps.smc_ulp_test);
	link = bpf_link_create(map, 0, BPF_STRUCT_OPS, NULL);
	if (ASSERT_OK_FD(link, "register")) {
		ASSERT_EQ(bpf_link_update(link, other_map, NULL), -EINVAL, "update with another type");
		ASSERT_FALSE(ulp_allowed(), "the policy still decides");
	}
	other_link = bpf_map__attach_struct_ops(other->maps.smc_ulp_test);
	if (ASSERT_OK_PTR(other_link, "register the other")) {
		ASSERT_EQ(bpf_link_update(bpf_link__fd(other_link), map, NULL), -EINVAL,
			  "update of another type with ours");
		ASSERT_FALSE(ulp_allowed(), "nothing has changed");
	}
	bpf_link__destroy(other_link);
	sock_close(&link);
	congestion__destroy(other);
out:
	sock_close(&map);
}

/* Another process detaches, as bpftool would; who waits on the link learns of it. */
static void hangup(void)
{
	struct epoll_event event = { .events = 0 }, seen = {};
	int map = policy_load(BPF_F_LINK, "init", SMC_ULP_DENY), link, epoll;
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	pid_t pid;

	link = bpf_link_create(map, 0, BPF_STRUCT_OPS, NULL);
	epoll = epoll_create1(0);
	if (!ASSERT_OK_FD(link, "register") ||
	    !ASSERT_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, link, &event), "epoll_ctl"))
		goto out;
	ASSERT_EQ(epoll_wait(epoll, &seen, 1, 0), 0, "events of a registered policy");
	ASSERT_OK(bpf_link_get_info_by_fd(link, &info, &len), "link info");
	pid = test__fork();
	if (!pid) {
		int other = bpf_link_get_fd_by_id(info.id);

		_exit(other < 0 ? 1 : bpf_link_detach(other) ? 2 : 0);
	}
	ASSERT_EQ(epoll_wait(epoll, &seen, 1, 10000 * (int)env.slow), 1, "an event");
	ASSERT_EQ(seen.events, EPOLLHUP, "which");
	ASSERT_OK(test__wait(pid), "detach by another process");
	ASSERT_TRUE(ulp_allowed(), "no policy");
	memset(&info, 0, sizeof(info));
	ASSERT_OK(bpf_link_get_info_by_fd(link, &info, &len), "link info");
	ASSERT_EQ(info.struct_ops.map_id, 0, "the link has no map");
	ASSERT_EQ(bpf_link_update(link, map, NULL), -ENOLINK, "update");
	ASSERT_OK(bpf_link_detach(link), "detach again");
out:
	sock_close(&epoll);
	sock_close(&link);
	sock_close(&map);
}

TEST(registration, WORLD_NONE, 60, TEST_NEEDS_ULP)
{
	libbpf_quiet();
	if (types_open()) {
		if (test__start_subtest("same_twice"))
			same_twice();
		if (test__start_subtest("without_link"))
			without_link();
		if (test__start_subtest("other_type"))
			other_type();
		if (test__start_subtest("hangup"))
			hangup();
	}
	types_close();
}

/* --- under traffic ---------------------------------------------------------------------------- */

struct traffic {
	pthread_t thread;
	bool stop;
	unsigned long n;
};

/* Attach, connect, carry data, close; whatever the policy of the moment says, the data comes. */
static void *connections(void *arg)
{
	struct traffic *traffic = arg;
	struct pair pair;
	int lfd;

	while (!__atomic_load_n(&traffic->stop, __ATOMIC_ACQUIRE)) {
		lfd = sock_make(TCP, V4);
		ulp_set(lfd, "smc");
		pair.client = sock_make(TCP, V4);
		ulp_set(pair.client, "smc");
		pair.server = -1;
		if (ASSERT_OK(listen(lfd, 4), "listen") &&
		    ASSERT_OK(sock_connect(pair.client, V4, sock_port(lfd)), "connect")) {
			pair.server = accept(lfd, NULL, NULL);
			ping_pong(pair.client, pair.server);
			traffic->n++;
		}
		pair_close(&pair);
		sock_close(&lfd);
		if (test__failed())
			break;
	}
	return NULL;
}

/* Loads, registers, revokes and frees @n policies, each with another callback. */
static void reload(int n)
{
	static const struct {
		const char *callback;
		int verdict;
	} policies[] = {
		{ "connect", SMC_ULP_ALLOW },
		{ "init", SMC_ULP_DENY },
		{ "established", 0 },
		{ "listen", SMC_ULP_DENY },
		{ "release", 0 },
		{ "connect", SMC_ULP_DENY },
		{ "fallback", SMC_ULP_GO_ON },
		{ "init", SMC_ULP_ALLOW },
		{ "syn", SMC_ULP_DENY },
	};
	struct traffic traffic[2] = {};
	int i, map, link;
	double start;

	if (!types_open())
		goto out;
	for (i = 0; i < 2; i++)
		thread_start(&traffic[i].thread, connections, &traffic[i]);
	start = now();
	for (i = 0; i < n && !test__failed(); i++) {
		map = policy_load(BPF_F_LINK, policies[i % ARRAY_SIZE(policies)].callback,
				  policies[i % ARRAY_SIZE(policies)].verdict);
		link = bpf_link_create(map, 0, BPF_STRUCT_OPS, NULL);
		/* the link before it is gone after a grace period */
		while (link == -EBUSY && ms_since(start) < 1000L * env.slow * 60) {
			msleep(1);
			link = bpf_link_create(map, 0, BPF_STRUCT_OPS, NULL);
		}
		ASSERT_OK_FD(link, "register");
		/* both ways to go: at once, and with the last descriptor */
		if (i & 1)
			ASSERT_OK(bpf_link_detach(link), "detach");
		sock_close(&link);
		sock_close(&map);
	}
	test__debug("%d policies in %ld ms", i, ms_since(start));
	for (i = 0; i < 2; i++) {
		__atomic_store_n(&traffic[i].stop, true, __ATOMIC_RELEASE);
		pthread_join(traffic[i].thread, NULL);
		test__debug("%lu connections", traffic[i].n);
		ASSERT_GT(traffic[i].n, 0, "connections");
	}
	ASSERT_TRUE(WAIT_FOR(ulp_allowed(), 3000), "no policy is left");
out:
	types_close();
}

TEST(registration_reload, WORLD_SMCD | WORLD_NONE, 60, TEST_NEEDS_ULP)
{
	reload(40);
}

/* The same for longer. */
TEST(registration_reload_1000, WORLD_ALL, 600, TEST_NEEDS_ULP | TEST_HIDDEN)
{
	reload(1000);
}
