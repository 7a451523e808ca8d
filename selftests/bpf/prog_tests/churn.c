// SPDX-License-Identifier: GPL-2.0-only
/*
 * Very many connections, one after the other in each of some threads, which have both ends: in each
 * world what it is there for. Nothing is left, and memory does not grow. 1,000 connections, times
 * env.effort.
 */
#include "policy_helpers.h"
#include "stress_helpers.h"

#define EACH	1000
#define THREADS	8
#define BATCH	50
/* one for each end holds 255 connections */
#define MAX_LINK_GROUPS	8

static struct {
	enum kind server, client;	/* what is asked for */
	bool client_ulp, server_ulp;	/* what there has to be at the end: SMC */
	int left, done, failed;
} churn;

static bool one(int lfd, bool client_smc, bool server_smc)
{
	struct pair pair = { .server = -1, .client = sock_make(TCP, V4) };
	char buf[64] = "churn", got[64];
	bool ok = false;

	if (!ASSERT_OK_FD(pair.client, "socket"))
		return false;
	/* a policy may refuse it: that is what the test is about then */
	if (churn.client == ULP)
		ulp_set(pair.client, "smc");
	if (!ASSERT_OK(sock_connect(pair.client, V4, sock_port(lfd)), "connect"))
		goto out;
	pair.server = accept4(lfd, NULL, NULL, SOCK_CLOEXEC);
	if (!ASSERT_OK_FD(pair.server, "accept"))
		goto out;
	if (!ASSERT_EQ(send(pair.client, buf, sizeof(buf), MSG_NOSIGNAL), sizeof(buf), "send") ||
	    !ASSERT_EQ(recv(pair.server, got, sizeof(got), MSG_WAITALL), sizeof(got), "recv") ||
	    !ASSERT_EQ(memcmp(buf, got, sizeof(buf)), 0, "bytes") ||
	    !ASSERT_EQ(!!*ulp_name(pair.client), client_smc, "SMC at the client") ||
	    !ASSERT_EQ(!!*ulp_name(pair.server), server_smc, "SMC at the server"))
		goto out;
	ok = true;
out:
	pair_close(&pair);
	return ok;
}

static void churner(int number)
{
	int lfd, i;

	(void)number;
	lfd = sock_listen(TCP, V4, 8);
	if (churn.server == ULP) {
		sock_close(&lfd);
		lfd = sock_make(TCP, V4);
		ulp_set(lfd, "smc");
		ASSERT_OK(listen(lfd, 8), "listen");
	}
	while (__atomic_fetch_sub(&churn.left, BATCH, __ATOMIC_RELAXED) > 0) {
		for (i = 0; i < BATCH; i++) {
			if (!one(lfd, churn.client_ulp, churn.server_ulp)) {
				__atomic_add_fetch(&churn.failed, 1, __ATOMIC_RELAXED);
				goto out;
			}
		}
		__atomic_add_fetch(&churn.done, BATCH, __ATOMIC_RELAXED);
	}
out:
	close(lfd);
}

/* kB of slabs that cannot be reclaimed, when all that was deferred is done */
static long slab_kb(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];
	long kb = -1;

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "SUnreclaim: %ld", &kb);
	if (f)
		fclose(f);
	return kb;
}

/*
 * More slab memory after the last three quarters than after the first is a leak, were it in objects
 * that nobody counts. What is not: halves of slabs, TIME-WAIT, and what the machine does besides.
 */
#define SLACK_KB		4096
#define MIN_FOR_GROWTH		20000
#define MAX_BYTES_EACH		32

static void run(enum kind server, enum kind client, bool server_smc, bool client_smc,
		void (*prepare)(void))
{
	int total = EACH * env.effort, i, done;
	double start = now(), said = start;
	long before = 0, kb;

	churn = (typeof(churn)){ .server = server, .client = client, .server_ulp = server_smc,
				 .client_ulp = client_smc, .left = total };
	if (!stress_begin(1e9))
		goto out;
	if (prepare)
		prepare();
	for (i = 0; i < THREADS; i++)
		stress_thread(churner, i);
	while ((done = __atomic_load_n(&churn.done, __ATOMIC_RELAXED)) < total &&
	       !__atomic_load_n(&churn.failed, __ATOMIC_RELAXED)) {
		msleep(50);
		if (!before && done >= total / 4)
			before = slab_kb();
		if (now() > said + 20) {
			test__log("%d of %d, %.0f per second, %ld kB of slabs", done, total,
				  done / (now() - start), slab_kb());
			said = now();
		}
	}
	test__log("%d connections, %.0f per second", done, done / (now() - start));
out:
	stress_end();
	ASSERT_EQ(churn.done, total, "connections");
	kb = slab_kb();
	test__log("%ld kB of slabs after a quarter, %ld at the end", before, kb);
	if (total >= MIN_FOR_GROWTH)
		ASSERT_LT(kb, before + SLACK_KB + total * 3LL / 4 * MAX_BYTES_EACH / 1024, "slabs");
}

static struct policy policy;
static enum recorder_callback refuser;

static void refuse(void)
{
	policy_forget(&policy);
	policy_set(&policy, refuser, SMC_ULP_DENY);
}

/* A policy that refuses at init, connect or listen */
static void refused(enum recorder_callback callback)
{
	int wanted = callback == CB_LISTEN ? THREADS : EACH * env.effort;

	if (!policy_open(&policy, true))
		return;
	refuser = callback;
	run(ULP, ULP, false, false, refuse);
	ASSERT_GE(policy_calls(&policy, 0, callback), wanted, "refusals");
	policy_close(&policy);
}

TEST(churn, WORLD_ALL, 600, TEST_NEEDS_ULP)
{
	bool smc = becomes_smc(ULP, ULP, V4);

	if (test__start_subtest(smc ? "smc" : "fallen_back")) {
		run(ULP, ULP, smc, smc, NULL);
		/* those that are not used go by themselves, after ten minutes */
		ASSERT_LE(smc_link_groups(env.world == WORLD_SMCD), MAX_LINK_GROUPS, "link groups");
	}
	if (env.world != WORLD_SMCD)
		return;		/* the rest is the same in all worlds */
	if (test__start_subtest("server_without_smc"))
		run(TCP, ULP, false, false, NULL);
	if (test__start_subtest("client_without_smc"))
		run(ULP, TCP, false, false, NULL);
	if (test__start_subtest("refused_init"))
		refused(CB_INIT);
	if (test__start_subtest("refused_connect"))
		refused(CB_CONNECT);
	if (test__start_subtest("refused_listen"))
		refused(CB_LISTEN);
}
