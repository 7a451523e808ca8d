// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the verifier must refuse, and the words it does it with: kfuncs outside of their hook,
 * writes to arguments, untrusted pointers, buffers that are too small, a licence that is not free.
 * Broken by a filter or a kfunc flag that is missing.
 */
#include "policy_fail.skel.h"
#include "policy_fail_licence.skel.h"
#include "policy_helpers.h"
#include "watch.skel.h"

static char log_buf[1 << 20];

/* Loads the one program @name, with its struct_ops map if it has one. */
static int load_only(const char *name)
{
	struct policy_fail *skel = policy_fail__open();
	struct bpf_program *program, *wanted = NULL;
	struct bpf_map *map;
	char map_name[80];
	int rc;

	if (!ASSERT_OK_PTR(skel, "open"))
		return 0;
	bpf_object__for_each_program(program, skel->obj) {
		bool it_is = !strcmp(bpf_program__name(program), name);

		bpf_program__set_autoload(program, it_is);
		if (it_is)
			wanted = program;
	}
	snprintf(map_name, sizeof(map_name), "ops_%s", name);
	bpf_object__for_each_map(map, skel->obj) {
		if (bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS)
			bpf_map__set_autocreate(map, !strcmp(bpf_map__name(map), map_name));
	}
	memset(log_buf, 0, sizeof(log_buf));
	if (ASSERT_OK_PTR(wanted, "program"))
		bpf_program__set_log_buf(wanted, log_buf, sizeof(log_buf));
	rc = policy_fail__load(skel);
	policy_fail__destroy(skel);
	return rc;
}

TEST(verifier_refuses, WORLD_NONE, 60, TEST_NEEDS_ULP)
{
	static const struct {
		const char *program;
		const char *message;
	} programs[] = {
		{ "create_in_connect4", "bpf_smc_ulp_attach_create is not allowed" },
		{ "bind_in_connect4", "bpf_smc_ulp_attach_bind is not allowed" },
		{ "connect_in_bind4", "bpf_smc_ulp_attach_connect is not allowed" },
		{ "connect_in_sendmsg4", "bpf_smc_ulp_attach_connect is not allowed" },
		{ "connect_in_getpeername4", "bpf_smc_ulp_attach_connect is not allowed" },
		{ "create_in_sock_release", "bpf_smc_ulp_attach_create is not allowed" },
		{ "create_in_post_bind4", "bpf_smc_ulp_attach_create is not allowed" },
		{ "create_in_tracing", "bpf_smc_ulp_attach_create is not allowed" },
		{ "create_in_fentry", "bpf_smc_ulp_attach_create is not allowed" },
		{ "init_attaches", "bpf_smc_ulp_attach_create is not allowed" },
		{ "result_in_tc", "bpf_smc_ulp_result is not allowed" },
		{ "result_of_untrusted", "must be referenced or trusted" },
		{ "result_out_of_bounds", "len pair leads to invalid memory access" },
		{ "init_writes", "arguments of callbacks are read-only" },
		{ "connect_writes_tuple", "arguments of callbacks are read-only" },
		{ "init_sleeps", "attach to unsupported member init of struct smc_ulp_ops" },
	};
	unsigned int i;

	libbpf_quiet();
	for (i = 0; i < ARRAY_SIZE(programs); i++) {
		if (!test__start_subtest(programs[i].program))
			continue;
		ASSERT_LT(load_only(programs[i].program), 0, "load");
		if (!strstr(log_buf, programs[i].message)) {
			ASSERT_TRUE(false, "the verifier's message");
			test__log("wanted '%s', the log ends: %s", programs[i].message,
				  strlen(log_buf) > 300 ? log_buf + strlen(log_buf) - 300 : log_buf);
		}
	}
	if (test__start_subtest("licence")) {
		struct policy_fail_licence *skel = policy_fail_licence__open();

		memset(log_buf, 0, sizeof(log_buf));
		bpf_program__set_log_buf(skel->progs.init, log_buf, sizeof(log_buf));
		ASSERT_LT(policy_fail_licence__load(skel), 0, "load");
		ASSERT_HAS_SUBSTR(log_buf, "GPL compatible license", "the verifier's message");
		policy_fail_licence__destroy(skel);
	}
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
