// SPDX-License-Identifier: GPL-2.0-only
/*
 * The contract with the verifier: what it must refuse, and the words it does it with. Broken by a
 * filter or a kfunc flag that is missing.
 *
 * Single programs have their expectation beside them, in progs/policy_fail__*.bpf.c and
 * kfunc_fail__*.bpf.c. Which kfunc may be called in which hook, and which helpers in a callback, is
 * what docs/kfuncs.rst and docs/smc_ulp_ops.rst say: read from there, and tried for each hook, with
 * each kfunc of the module, and with each helper.
 */
#include <limits.h>

#include "btf_helpers.h"
#include "kfunc_fail__arguments.skel.h"
#include "kfunc_fail__hooks.skel.h"
#include "policy_fail__arguments.skel.h"
#include "policy_fail__helpers.skel.h"
#include "policy_fail__licence.skel.h"
#include "policy_fail__members.skel.h"
#include "policy_helpers.h"
#include "test_loader.h"
#include "watch.skel.h"

TEST(verifier_programs, WORLD_NONE, 120, TEST_NEEDS_ULP)
{
	RUN_PROGRAMS(policy_fail__arguments);
	RUN_PROGRAMS(policy_fail__helpers);
	RUN_PROGRAMS(policy_fail__licence);
	RUN_PROGRAMS(policy_fail__members);
	RUN_PROGRAMS(kfunc_fail__arguments);
	RUN_PROGRAMS(kfunc_fail__hooks);
}

/* --- hooks and kfuncs ------------------------------------------------------------------------- */

#define KFUNC_PREFIX "bpf_smc_ulp_"

static struct module_btf btfs;

/*
 * A place where a program can be: as its section in an object is called. For those that need a
 * target, what it is in BTF; that of struct_ops is @target_id, a type in @btf_fd or vmlinux.
 */
static const struct place {
	const char *name;
	enum bpf_prog_type type;
	enum bpf_attach_type attach;
	const char *target;
	__u32 kind;
	__u32 flags;
	__u32 target_id;
	int btf_fd;
} hooks[] = {
#define CGROUP(name_, type_, attach_)							\
	{ "cgroup/" name_, BPF_PROG_TYPE_CGROUP_##type_, BPF_CGROUP_##attach_,		\
	  NULL, 0, 0, 0, 0 }
	CGROUP("sock_create", SOCK, INET_SOCK_CREATE),
	CGROUP("sock_release", SOCK, INET_SOCK_RELEASE),
	CGROUP("post_bind4", SOCK, INET4_POST_BIND),
	CGROUP("post_bind6", SOCK, INET6_POST_BIND),
	CGROUP("bind4", SOCK_ADDR, INET4_BIND),
	CGROUP("bind6", SOCK_ADDR, INET6_BIND),
	CGROUP("connect4", SOCK_ADDR, INET4_CONNECT),
	CGROUP("connect6", SOCK_ADDR, INET6_CONNECT),
	CGROUP("connect_unix", SOCK_ADDR, UNIX_CONNECT),
	CGROUP("sendmsg4", SOCK_ADDR, UDP4_SENDMSG),
	CGROUP("sendmsg6", SOCK_ADDR, UDP6_SENDMSG),
	CGROUP("sendmsg_unix", SOCK_ADDR, UNIX_SENDMSG),
	CGROUP("recvmsg4", SOCK_ADDR, UDP4_RECVMSG),
	CGROUP("recvmsg6", SOCK_ADDR, UDP6_RECVMSG),
	CGROUP("recvmsg_unix", SOCK_ADDR, UNIX_RECVMSG),
	CGROUP("getpeername4", SOCK_ADDR, INET4_GETPEERNAME),
	CGROUP("getpeername6", SOCK_ADDR, INET6_GETPEERNAME),
	CGROUP("getpeername_unix", SOCK_ADDR, UNIX_GETPEERNAME),
	CGROUP("getsockname4", SOCK_ADDR, INET4_GETSOCKNAME),
	CGROUP("getsockname6", SOCK_ADDR, INET6_GETSOCKNAME),
	CGROUP("getsockname_unix", SOCK_ADDR, UNIX_GETSOCKNAME),
	CGROUP("getsockopt", SOCKOPT, GETSOCKOPT),
	CGROUP("setsockopt", SOCKOPT, SETSOCKOPT),
	CGROUP("dev", DEVICE, DEVICE),
	CGROUP("sysctl", SYSCTL, SYSCTL),
#undef CGROUP
#define TARGET(name_, type_, attach_, target_, kind_, flags_)				\
	{ name_, BPF_PROG_TYPE_##type_, attach_, target_, BTF_KIND_##kind_, flags_, 0, 0 }
	TARGET("tp_btf", TRACING, BPF_TRACE_RAW_TP, "btf_trace_inet_sock_set_state", TYPEDEF, 0),
	TARGET("fentry", TRACING, BPF_TRACE_FENTRY, "tcp_v4_connect", FUNC, 0),
	TARGET("fexit", TRACING, BPF_TRACE_FEXIT, "tcp_v4_connect", FUNC, 0),
	TARGET("fmod_ret", TRACING, BPF_MODIFY_RETURN, "security_socket_connect", FUNC, 0),
	TARGET("iter", TRACING, BPF_TRACE_ITER, "bpf_iter_tcp", FUNC, 0),
	TARGET("iter.s", TRACING, BPF_TRACE_ITER, "bpf_iter_tcp", FUNC, BPF_F_SLEEPABLE),
	TARGET("lsm", LSM, BPF_LSM_MAC, "bpf_lsm_socket_connect", FUNC, 0),
	TARGET("lsm.s", LSM, BPF_LSM_MAC, "bpf_lsm_socket_connect", FUNC, BPF_F_SLEEPABLE),
	TARGET("lsm_cgroup", LSM, BPF_LSM_CGROUP, "bpf_lsm_socket_connect", FUNC, 0),
#undef TARGET
#define PLAIN(name_, type_, attach_)							\
	{ name_, BPF_PROG_TYPE_##type_, attach_, NULL, 0, 0, 0, 0 }
	PLAIN("cgroup_skb/ingress", CGROUP_SKB, BPF_CGROUP_INET_INGRESS),
	PLAIN("cgroup_skb/egress", CGROUP_SKB, BPF_CGROUP_INET_EGRESS),
	PLAIN("sockops", SOCK_OPS, BPF_CGROUP_SOCK_OPS),
	PLAIN("raw_tp", RAW_TRACEPOINT, 0),
	PLAIN("tp", TRACEPOINT, 0),
	PLAIN("kprobe", KPROBE, 0),
	PLAIN("perf_event", PERF_EVENT, 0),
	{ "syscall", BPF_PROG_TYPE_SYSCALL, 0, NULL, 0, BPF_F_SLEEPABLE, 0, 0 },
	PLAIN("socket", SOCKET_FILTER, 0),
	PLAIN("tc", SCHED_CLS, 0),
	PLAIN("action", SCHED_ACT, 0),
	PLAIN("xdp", XDP, 0),
	PLAIN("sk_lookup", SK_LOOKUP, BPF_SK_LOOKUP),
	PLAIN("sk_msg", SK_MSG, 0),
	PLAIN("sk_skb", SK_SKB, 0),
	PLAIN("sk_reuseport", SK_REUSEPORT, 0),
	PLAIN("flow_dissector", FLOW_DISSECTOR, BPF_FLOW_DISSECTOR),
	PLAIN("lwt_xmit", LWT_XMIT, 0),
	PLAIN("netfilter", NETFILTER, BPF_NETFILTER),
#undef PLAIN
};

static char verifier_log[1 << 16];

/*
 * A program that calls something before it does anything else; the verifier looks at whether it may
 * before it looks at arguments. The result is that of the load.
 */
static int load_call(const struct place *hook, struct bpf_insn call, int module_fd)
{
	const int fd_array[] = { -1, module_fd };
	const struct bpf_insn program[] = {
		call,
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	DECLARE_LIBBPF_OPTS(bpf_prog_load_opts, opts,
		.expected_attach_type = hook->attach,
		.prog_flags = hook->flags,
		.fd_array = fd_array,
		.log_buf = verifier_log,
		.log_size = sizeof(verifier_log),
		.log_level = 1,
	);
	int fd;

	if (hook->type == BPF_PROG_TYPE_STRUCT_OPS) {
		opts.attach_btf_id = hook->target_id;
		opts.attach_btf_obj_fd = hook->btf_fd;
	} else if (hook->target) {
		opts.attach_btf_id = btf__find_by_name_kind(btfs.vmlinux, hook->target, hook->kind);
		ASSERT_GT((__s32)opts.attach_btf_id, 0, hook->target);
	}
	verifier_log[0] = 0;
	fd = bpf_prog_load(hook->type, NULL, "GPL", program, ARRAY_SIZE(program), &opts);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static const struct bpf_insn nothing = { .code = BPF_ALU64 | BPF_MOV | BPF_K };

/* Whether @kfunc may be called in @hook; what is not that is an assertion. */
static bool kfunc_allowed(const struct place *hook, const char *kfunc, __u32 id)
{
	struct bpf_insn call = {
		.code = BPF_JMP | BPF_CALL,
		.src_reg = BPF_PSEUDO_KFUNC_CALL,
		.off = 1,
		.imm = id,
	};
	char message[128];
	int rc;

	rc = load_call(hook, call, btfs.fd);
	snprintf(message, sizeof(message), "calling kernel function %s is not allowed", kfunc);
	if (strstr(verifier_log, message)) {
		ASSERT_EQ(rc, -EACCES, "refused with");
		return false;
	}
	/* no argument was given: that it says so shows that it came to look at them */
	if (strstr(verifier_log, "R1 !read_ok") || strstr(verifier_log, "arg#0"))
		return true;
	ASSERT_TRUE(false, "what the verifier says");
	test__log("%s in %s: result %d, %s", kfunc, hook->name, rc, verifier_log);
	return false;
}

/* --- what the documents say ------------------------------------------------------------------- */

static FILE *document_open(const char *name)
{
	char path[PATH_MAX + 64], *slash;
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX);
	int i;

	if (!ASSERT_GT(len, 0, "/proc/self/exe"))
		return NULL;
	path[len] = 0;
	/* build/selftests/test_progs */
	for (i = 0; i < 3; i++) {
		slash = strrchr(path, '/');
		if (slash)
			*slash = 0;
	}
	snprintf(path + strlen(path), 64, "/docs/%s", name);
	return fopen(path, "r");
}

#define MAX_KFUNCS	16
#define MAX_HOOKS	128

/* Tables of a document whose first column is "hook": the words of the others are kfuncs. */
struct table {
	char kfuncs[MAX_KFUNCS][48];
	__s32 ids[MAX_KFUNCS];		/* in the module's BTF */
	int n_kfuncs;
	struct {
		char hook[48];
		bool yes[MAX_KFUNCS];
	} rows[MAX_HOOKS];
	int n_rows;
};

static int row_of(struct table *table, const char *hook)
{
	int i;

	for (i = 0; i < table->n_rows; i++)
		if (!strcmp(table->rows[i].hook, hook))
			return i;
	if (!ASSERT_LT(i, MAX_HOOKS, "rows"))
		return 0;
	snprintf(table->rows[i].hook, sizeof(table->rows[i].hook), "%s", hook);
	table->n_rows++;
	return i;
}

/* Words between blanks: a cell of these tables has no other. */
static bool table_read(struct table *table, const char *name)
{
	FILE *file = document_open(name);
	int first = 0, columns = 0, rules = 0, i;
	char line[512], *word, *rest;

	memset(table, 0, sizeof(*table));
	if (!ASSERT_OK_PTR(file, name))
		return false;
	while (fgets(line, sizeof(line), file)) {
		rest = line;
		word = strtok_r(line, " \n", &rest);
		if (word && !columns && !strcmp(word, "hook")) {
			first = table->n_kfuncs;
			while ((word = strtok_r(NULL, " \n", &rest)) && first + columns < MAX_KFUNCS)
				snprintf(table->kfuncs[first + columns++], sizeof(table->kfuncs[0]),
					 KFUNC_PREFIX "%s", word);
			table->n_kfuncs += columns;
			rules = 0;
		} else if (columns && word && *word == '=') {
			/* below the head, and at the end */
			if (++rules == 2)
				columns = 0;
		} else if (columns && word) {
			int row = row_of(table, word);

			for (i = 0; i < columns; i++) {
				word = strtok_r(NULL, " \n", &rest);
				if (!ASSERT_OK_PTR(word, table->rows[row].hook))
					break;
				ASSERT_TRUE(!strcmp(word, "yes") || !strcmp(word, "--"), word);
				table->rows[row].yes[first + i] = !strcmp(word, "yes");
			}
		}
	}
	fclose(file);
	for (i = 0; i < table->n_kfuncs; i++)
		table->ids[i] = btf__find_by_name_kind(btfs.module, table->kfuncs[i],
						       BTF_KIND_FUNC);
	return ASSERT_GT(table->n_kfuncs, 0, "kfuncs") && ASSERT_GT(table->n_rows, 0, "rows");
}

/* --- the tests -------------------------------------------------------------------------------- */

static void check_hook(struct table *table, const struct place *hook)
{
	int row = row_of(table, hook->name), i;	/* a hook that is not in the table has none */

	for (i = 0; i < table->n_kfuncs; i++)
		if (!ASSERT_EQ(kfunc_allowed(hook, table->kfuncs[i], table->ids[i]),
			       table->rows[row].yes[i], "as docs/kfuncs.rst says"))
			test__log("%s in %s", table->kfuncs[i], hook->name);
}

/* The type of struct_ops that is called @ops, of the module or of vmlinux; 0 with an assertion. */
static __u32 ops_type(const char *ops)
{
	__s32 id = btf__find_by_name_kind(btfs.module, ops, BTF_KIND_STRUCT);

	return ASSERT_GT(id, 0, ops) ? id : 0;
}

/* The callback of struct_ops @ops with index @n or more. */
static bool next_callback(__u32 ops, int n, struct place *hook)
{
	const struct btf_type *type = btf__type_by_id(btfs.module, ops), *proto;
	const struct btf_member *member = btf_members(type);

	for (; ops && n < btf_vlen(type); n++) {
		proto = btf__type_by_id(btfs.module, member[n].type);
		if (!btf_is_ptr(proto) ||
		    !btf_is_func_proto(btf__type_by_id(btfs.module, proto->type)))
			continue;
		*hook = (struct place){
			.name = btf__name_by_offset(btfs.module, member[n].name_off),
			.type = BPF_PROG_TYPE_STRUCT_OPS,
			.attach = n,
			.target_id = ops,
			.btf_fd = ops < btf__type_cnt(btfs.vmlinux) ? 0 : btfs.fd,
		};
		return true;
	}
	return false;
}

#define for_each_callback(ops, hook)							\
	for (hook.attach = 0; next_callback(ops, hook.attach, &hook); hook.attach++)

/* Callbacks of types that are not ours: one row for all. */
#define OTHER_OPS "other_struct_ops"

static bool hook_known(const char *name, __u32 ops)
{
	struct place hook;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++)
		if (!strcmp(name, hooks[i].name))
			return true;
	for_each_callback(ops, hook)
		if (!strncmp(name, "struct_ops/", 11) && !strcmp(name + 11, hook.name))
			return true;
	return !strcmp(name, OTHER_OPS);
}

TEST(verifier_hooks, WORLD_NONE, 60, TEST_NEEDS_ULP)
{
	static struct table table;
	struct place hook;
	unsigned int i;
	__u32 id, ops;
	char name[64];
	int row;

	if (!module_btf_open(&btfs) || !table_read(&table, "kfuncs.rst"))
		goto out;
	ops = ops_type("smc_ulp_ops");
	if (test__start_subtest("kfuncs_documented")) {
		for (id = btf__type_cnt(btfs.vmlinux); id < btf__type_cnt(btfs.module); id++) {
			const struct btf_type *type = btf__type_by_id(btfs.module, id);
			const char *kfunc = btf__name_by_offset(btfs.module, type->name_off);
			int k;

			if (!btf_is_func(type) ||
			    strncmp(kfunc, KFUNC_PREFIX, strlen(KFUNC_PREFIX)))
				continue;
			for (k = 0; k < table.n_kfuncs && strcmp(table.kfuncs[k], kfunc); k++)
				;
			if (!ASSERT_LT(k, table.n_kfuncs, "in docs/kfuncs.rst"))
				test__log("%s", kfunc);
		}
		for (i = 0; i < (unsigned int)table.n_kfuncs; i++)
			ASSERT_GT(table.ids[i], 0, table.kfuncs[i]);
	}
	if (test__start_subtest("hooks_known")) {
		for (row = 0; row < table.n_rows; row++)
			ASSERT_TRUE(hook_known(table.rows[row].hook, ops), table.rows[row].hook);
	}
	for (i = 0; i < ARRAY_SIZE(hooks); i++)
		if (test__start_subtest(hooks[i].name))
			check_hook(&table, &hooks[i]);
	for_each_callback(ops, hook) {
		snprintf(name, sizeof(name), "struct_ops/%s", hook.name);
		hook.name = name;
		if (test__start_subtest(name))
			check_hook(&table, &hook);
	}
	if (test__start_subtest("struct_ops.s")) {
		for_each_callback(ops, hook) {
			char message[128];

			ASSERT_OK(load_call(&hook, nothing, -1), hook.name);
			hook.flags = BPF_F_SLEEPABLE;
			ASSERT_EQ(load_call(&hook, nothing, -1), -EINVAL, hook.name);
			snprintf(message, sizeof(message),
				 "attach to unsupported member %s of struct smc_ulp_ops", hook.name);
			ASSERT_HAS_SUBSTR(verifier_log, message, "what the verifier says");
		}
	}
	if (test__start_subtest(OTHER_OPS)) {
		for_each_callback(ops_type("tcp_congestion_ops"), hook) {
			/* get_info cannot be a program */
			if (load_call(&hook, nothing, -1))
				continue;
			hook.name = OTHER_OPS;
			check_hook(&table, &hook);
		}
	}
out:
	module_btf_close(&btfs);
}

/* --- callbacks and helpers -------------------------------------------------------------------- */

#define MAX_HELPERS	512

/* Those of the kernel, by number: enumerators of enum bpf_func_id. */
static struct {
	char name[64];		/* empty: there is none */
	bool documented;
} helpers[MAX_HELPERS];

static bool helpers_find(void)
{
	__s32 id = btf__find_by_name_kind(btfs.vmlinux, "bpf_func_id", BTF_KIND_ENUM);
	const struct btf_type *type = btf__type_by_id(btfs.vmlinux, id);
	const struct btf_enum *value;
	const char *name;
	int i;

	if (!ASSERT_OK_PTR(type, "enum bpf_func_id"))
		return false;
	value = btf_enum(type);
	for (i = 0; i < btf_vlen(type); i++, value++) {
		name = btf__name_by_offset(btfs.vmlinux, value->name_off);
		if (value->val <= 0 || value->val >= MAX_HELPERS || *name == '_')
			continue;
		snprintf(helpers[value->val].name, sizeof(helpers[0].name), "bpf_%s",
			 name + strlen("BPF_FUNC_"));
	}
	return ASSERT_GT(btf_vlen(type), 200, "helpers");
}

/* The names between ".. helpers" and the next line of that kind. */
static bool helpers_read(const char *name)
{
	FILE *file = document_open(name);
	char line[512], *word, *rest;
	bool inside = false;
	int n = 0, i;

	if (!ASSERT_OK_PTR(file, name))
		return false;
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, ".. ", 3)) {
			inside = !strcmp(line, ".. helpers\n");
			continue;
		}
		rest = line;
		while (inside && (word = strtok_r(NULL, " ,`\n", &rest))) {
			for (i = 1; i < MAX_HELPERS && strcmp(helpers[i].name, word); i++)
				;
			if (ASSERT_LT(i, MAX_HELPERS, word))
				helpers[i].documented = true;
			n++;
		}
	}
	fclose(file);
	return ASSERT_GT(n, 0, "helpers in the document");
}

TEST(verifier_helpers, WORLD_NONE, 60, TEST_NEEDS_ULP)
{
	struct place hook;

	if (!module_btf_open(&btfs) || !helpers_find() || !helpers_read("smc_ulp_ops.rst"))
		goto out;
	for_each_callback(ops_type("smc_ulp_ops"), hook) {
		int i;

		if (!test__start_subtest(hook.name))
			continue;
		for (i = 1; i < MAX_HELPERS; i++) {
			struct bpf_insn call = { .code = BPF_JMP | BPF_CALL, .imm = i };
			char message[128];

			if (!helpers[i].name[0])
				continue;
			load_call(&hook, call, -1);
			snprintf(message, sizeof(message),
				 "program of this type cannot use helper %s#%d",
				 helpers[i].name, i);
			if (!ASSERT_EQ(!strstr(verifier_log, message), helpers[i].documented,
				       "as docs/smc_ulp_ops.rst says"))
				test__log("%s: %s", helpers[i].name, verifier_log);
		}
	}
out:
	module_btf_close(&btfs);
}

/* A tracing program may ask for the outcome, with a buffer of any length. */
TEST(verifier_result_tracing, WORLD_SMC, 30, TEST_NEEDS_ULP)
{
	struct watch *skel;
	struct pair pair;
	__u64 cookie;

	libbpf_quiet();
	skel = watch__open_and_load();
	if (!ASSERT_OK_PTR(skel, "load"))
		return;
	if (!ASSERT_OK(watch__attach(skel), "attach"))
		goto out;
	if (pair_make(&pair, ULP, ULP, V4)) {
		skel->bss->port = sock_peer_port(pair.client);
		cookie = sock_cookie(pair.client);
		ping_pong(pair.client, pair.server);
		/* a reset while SMC carries the data: ESTABLISHED to CLOSE with the ULP in place */
		ASSERT_OK(sock_destroy(pair.client), "SOCK_DESTROY");
		ASSERT_EQ(skel->bss->n, 1, "calls");
		ASSERT_OK(skel->data->rc, "bpf_smc_ulp_result");
		ASSERT_EQ(skel->bss->result.cookie, cookie, "cookie");
		ASSERT_EQ(skel->bss->result.tx_bytes, 500, "bytes sent");
		ASSERT_EQ(skel->bss->result.rx_bytes, 700, "bytes received");
		ASSERT_OK(skel->data->rc_short, "a short buffer");
		ASSERT_EQ(skel->bss->head.mode, skel->bss->result.mode, "mode");
		ASSERT_EQ(skel->bss->head.version, skel->bss->result.version, "version");
		ASSERT_OK(skel->data->rc_later, "a long buffer");
		/* what follows counts on */
		ASSERT_OK(memcmp(skel->bss->later, &skel->bss->result,
				 offsetof(struct smc_ulp_result, lifetime_ns)), "the record");
		ASSERT_EQ(skel->bss->later[sizeof(skel->bss->later) - 1], 0, "zeroed");
		pair_close(&pair);
	}
out:
	watch__destroy(skel);
}
