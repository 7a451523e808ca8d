// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the tests of prog_tests/ on a live kernel, in the guest of scripts/vm.
 *
 * Each test is a process. When it is over, or its time is up, everything it started is killed;
 * then the kernel's messages are searched and the counts of sockets, references and slab objects
 * must be back where they were: a test that leaves something behind has failed.
 */
#include <fnmatch.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "cgroup_helpers.h"
#include "leftovers.h"
#include "network_helpers.h"
#include "test_progs.h"

#define SETTLE_SECONDS 15	/* in which everything must be gone after a test */

struct test_env env = { .slow = 1, .effort = 1, .seed = 1 };

static struct test *tests;

/* Shared by all processes of a test. */
static struct shared {
	int failed;		/* assertions, in the running subtest or outside of one */
	int failed_before;	/* in subtests that have ended */
	bool in_subtest;
	char subtest[128];
	bool skipped;
	char reason[256];
	int n_subtests;
	int n_passed, n_failed, n_skipped;	/* subtests */
} *shared;

static const char *current = "";
static char *patterns[64];
static int n_patterns;
static int total_passed, total_failed, total_skipped;

static const struct {
	const char *name;
	unsigned int world;
} worlds[] = {
	{ "smcd", WORLD_SMCD },
	{ "smcr", WORLD_SMCR },
	{ "none", WORLD_NONE },
};

void test__register(struct test *test)
{
	struct test **at = &tests;

	/* constructors run in link order; keep the list sorted, TEST_LAST at its end */
	while (*at && (((*at)->flags & TEST_LAST) < (test->flags & TEST_LAST) ||
		       (((*at)->flags & TEST_LAST) == (test->flags & TEST_LAST) &&
			strcmp((*at)->name, test->name) < 0)))
		at = &(*at)->next;
	test->next = *at;
	*at = test;
}

/* --- for tests ---------------------------------------------------------------------------- */

static void vlog(const char *fmt, va_list args)
{
	char line[4096];

	vsnprintf(line, sizeof(line), fmt, args);
	line[strcspn(line, "\n")] = 0;
	printf("# %s\n", line);
}

void test__log(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vlog(fmt, args);
	va_end(args);
}

void test__debug(const char *fmt, ...)
{
	va_list args;

	if (!env.verbose)
		return;
	va_start(args, fmt);
	vlog(fmt, args);
	va_end(args);
}

void test__fail(void)
{
	__atomic_add_fetch(&shared->failed, 1, __ATOMIC_RELAXED);
}

bool test__failed(void)
{
	return shared->failed;
}

const char *test__name(void)
{
	return current;
}

bool check_failed(const char *file, int line, const char *name, int err, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	file = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
	test__log("%s:%d: %s: %s (errno: %s)", file, line, name, text,
		  err ? strerrorname_np(err) ?: "?" : "0");
	test__fail();
	return false;
}

static void end_subtest(void)
{
	const char *what = "ok";

	if (!shared->in_subtest)
		return;
	if (shared->failed) {
		what = "not ok";
		shared->n_failed++;
	} else if (shared->skipped) {
		shared->n_skipped++;
	} else {
		shared->n_passed++;
	}
	printf("    %s %d %s", what, ++shared->n_subtests, shared->subtest);
	if (shared->skipped && !shared->failed)
		printf(" # SKIP %s", shared->reason);
	printf("\n");
	shared->failed_before += shared->failed;
	shared->failed = 0;
	shared->skipped = false;
	shared->in_subtest = false;
}

static bool wanted(const char *test, const char *subtest)
{
	char pattern[128], *sub;
	int i;

	for (i = 0; i < n_patterns; i++) {
		snprintf(pattern, sizeof(pattern), "%s", patterns[i]);
		sub = strchr(pattern, '/');
		if (sub)
			*sub++ = 0;
		if (!fnmatch(pattern, test, 0) &&
		    (!subtest || !sub || !fnmatch(sub, subtest, 0)))
			return true;
	}
	return !n_patterns;
}

bool test__start_subtest(const char *name)
{
	/* assertions between two subtests belong to the first of them */
	end_subtest();
	if (!wanted(current, name))
		return false;
	if (!shared->n_subtests)
		printf("    KTAP version 1\n");
	snprintf(shared->subtest, sizeof(shared->subtest), "%s", name);
	shared->in_subtest = true;
	test__debug("-> %s", name);
	return true;
}

bool test__start_subtestf(const char *fmt, ...)
{
	char name[128];
	va_list args;

	va_start(args, fmt);
	vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	return test__start_subtest(name);
}

void test__skip(const char *reason)
{
	snprintf(shared->reason, sizeof(shared->reason), "%s", reason);
	shared->skipped = true;
}

pid_t test__fork(void)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		ASSERT_GE(pid, 0, "fork");
	return pid;
}

int test__wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* --- the runner ------------------------------------------------------------------------------ */

static void run_child(const struct test *test)
{
	setsid();
	signal(SIGPIPE, SIG_IGN);
	current = test->name;
	if (test->flags & TEST_NEEDS_ULP && !env.has_ulp)
		test__skip("smc_ulp.ko is not loaded: leave out --no-module");
	else
		test->run();
	end_subtest();
	fflush(stdout);
	_exit(0);
}

/* Waits for @pid, at most @seconds; false: it is still running. */
static bool wait_child(pid_t pid, double seconds, int *status)
{
	struct pollfd pfd = { .events = POLLIN };
	int n;

	pfd.fd = syscall(SYS_pidfd_open, pid, 0);
	do {
		n = poll(&pfd, 1, seconds * 1000);
	} while (n < 0 && errno == EINTR);
	close(pfd.fd);
	if (n < 1)
		return false;
	waitpid(pid, status, 0);
	return true;
}

/* false: nothing else can be run after this. */
static bool run_test(const struct test *test, int number)
{
	unsigned int timeout = test->timeout * env.slow * env.effort;
	double start = now();
	bool sane = true, clean = true, leaf, failed;
	struct counts before;
	int status = 0;
	pid_t pid;

	memset(shared, 0, sizeof(*shared));
	current = test->name;
	counts__read(&before);
	printf("# %s\n", test->name);
	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		printf("Bail out! fork: %m\n");
		return false;
	}
	if (!pid)
		run_child(test);

	if (!wait_child(pid, timeout, &status)) {
		test__log("still running after %u s: killed", timeout);
		dump_session(pid);
		test__fail();
	} else if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		test__log("the test %s %d", WIFEXITED(status) ? "ended with status" :
			  "was killed by signal",
			  WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
		test__fail();
	}
	if (!kill_session(pid, 10)) {
		test__log("processes of the test cannot be killed:");
		dump_session(pid);
		test__fail();
		sane = false;
	}
	end_subtest();
	leaf = !shared->n_subtests;
	failed = shared->failed;	/* after the last subtest, or there was none */

	cgroup_cleanup();
	if (!counts__back_to(&before, SETTLE_SECONDS * env.slow))
		clean = false;
	if (!kmsg__clean())
		clean = false;

	if (leaf) {
		failed |= !clean;
		total_failed += failed;
		total_skipped += !failed && shared->skipped;
		total_passed += !failed && !shared->skipped;
	} else {
		/* so that every result line below the test counts, and nothing twice */
		if (failed || !clean) {
			printf("    not ok %d leftovers\n", ++shared->n_subtests);
			shared->n_failed++;
		}
		printf("    1..%d\n", shared->n_subtests);
		total_passed += shared->n_passed;
		total_failed += shared->n_failed;
		total_skipped += shared->n_skipped;
		failed = shared->n_failed;
	}
	test__debug("%s: %.1f s", test->name, now() - start);
	printf("%s %d %s", failed ? "not ok" : "ok", number, test->name);
	if (leaf && !failed && shared->skipped)
		printf(" # SKIP %s", shared->reason);
	printf("\n");
	fflush(stdout);
	return sane;
}

static bool selected(const struct test *test)
{
	int i;

	if (!(test->worlds & env.world) || !wanted(test->name, NULL))
		return false;
	if (!(test->flags & TEST_HIDDEN))
		return true;
	for (i = 0; i < n_patterns; i++) {
		if (!strcmp(patterns[i], test->name))
			return true;
	}
	return false;
}

static void usage(FILE *out)
{
	fprintf(out,
		"usage: test_progs [-d smcd|smcr|none] [-t NAME[,NAME]] [-x FACTOR] [-e FACTOR]\n"
		"                  [-s SEED] [-l] [-v]\n"
		"  -d DEVICE  the SMC device of this machine; default: look\n"
		"  -t NAMES   only these tests; NAME may have wildcards, NAME/SUB is a subtest\n"
		"  -x FACTOR  a machine FACTOR times slower: multiplies all timeouts\n"
		"  -e FACTOR  stress tests last FACTOR times longer: 100 for 100,000 connections\n"
		"  -s SEED    of what stress tests do at random; 0: another one each time\n"
		"  -l         list the tests and do nothing\n"
		"  -v         say more\n");
}

static void parse_args(int argc, char **argv, bool *list)
{
	unsigned int i;
	char *name;
	int opt;

	while ((opt = getopt(argc, argv, "d:t:x:e:s:lvh")) != -1) {
		switch (opt) {
		case 'd':
			for (i = 0; i < ARRAY_SIZE(worlds); i++) {
				if (!strcmp(optarg, worlds[i].name))
					env.world = worlds[i].world;
			}
			if (!env.world) {
				fprintf(stderr, "test_progs: -d %s: smcd, smcr or none\n", optarg);
				exit(2);
			}
			break;
		case 't':
			while ((name = strsep(&optarg, ","))) {
				if (*name && n_patterns < (int)ARRAY_SIZE(patterns))
					patterns[n_patterns++] = name;
			}
			break;
		case 'x':
			env.slow = atoi(optarg) > 0 ? atoi(optarg) : 1;
			break;
		case 'e':
			env.effort = atoi(optarg) > 0 ? atoi(optarg) : 1;
			break;
		case 's':
			env.seed = atoi(optarg) ?: time(NULL);
			break;
		case 'l':
			*list = true;
			break;
		case 'v':
			env.verbose = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		usage(stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct rlimit files = { 65536, 65536 };
	const struct test *test;
	bool list = false, sane = true;
	int n = 0, number = 0;

	parse_args(argc, argv, &list);
	if (list) {
		for (test = tests; test; test = test->next) {
			if (!(test->flags & TEST_HIDDEN) && wanted(test->name, NULL) &&
			    (!env.world || test->worlds & env.world))
				printf("%s\n", test->name);
		}
		return 0;
	}
	if (geteuid()) {
		fprintf(stderr, "test_progs: must be root (meant for the guest of scripts/vm)\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	setrlimit(RLIMIT_NOFILE, &files);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED || !kmsg__open()) {
		perror("test_progs: /dev/kmsg");
		return 2;
	}
	if (!env.world)
		env.world = world_detect();
	env.has_ulp = !access("/sys/module/smc_ulp", F_OK);

	counts__init();

	for (test = tests; test; test = test->next)
		n += selected(test);
	if (n_patterns && !n) {
		fprintf(stderr, "test_progs: no such test here; -l lists them\n");
		return 2;
	}
	printf("KTAP version 1\n1..%d\n", n);
	for (test = tests; test && sane; test = test->next) {
		if (selected(test))
			sane = run_test(test, ++number);
	}
	if (!sane)
		printf("Bail out! what is left of %s makes further results worthless\n", current);
	printf("%d passed, %d failed, %d skipped\n", total_passed, total_failed, total_skipped);
	return total_failed || !sane;
}
