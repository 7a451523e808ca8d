/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Test runner: what a test needs.
 *
 * A test is a function in prog_tests/ that begins with TEST(). It runs in a process of its own,
 * in a session of its own, and may start threads and processes; whatever is left of them is
 * killed afterwards. ASSERT_*() return whether they held and never leave the function: the test
 * decides what goes on. They may be used from any thread or process of the test.
 */
#ifndef _TEST_PROGS_H
#define _TEST_PROGS_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* The worlds a test can run in: which SMC device the guest has. */
enum {
	WORLD_SMCD = 1,		/* loopback-ism: SMC-D */
	WORLD_SMCR = 2,		/* rxe on lo: SMC-R, IPv4 on lo of the initial netns only */
	WORLD_NONE = 4,		/* no device: the CLC handshake always ends in a decline */
	WORLD_SMC = WORLD_SMCD | WORLD_SMCR,
	WORLD_ALL = WORLD_SMCD | WORLD_SMCR | WORLD_NONE,
};

enum {
	TEST_NEEDS_ULP = 1,	/* skipped when smc_ulp.ko is not loaded */
	TEST_LAST = 2,		/* after all others: it removes what they need */
	TEST_HIDDEN = 4,	/* runs only when named: long, or to be looked at by hand */
};

struct test {
	const char *name;
	void (*run)(void);
	unsigned int worlds;
	unsigned int timeout;	/* seconds, on a slow machine */
	unsigned int flags;
	struct test *next;
};

void test__register(struct test *test);

/* TEST(name, worlds, timeout in seconds, flags) { ... } */
#define TEST(name_, worlds_, timeout_, flags_)						\
	static void test_##name_(void);							\
	static struct test def_##name_ = {						\
		.name = #name_,								\
		.run = test_##name_,							\
		.worlds = worlds_,							\
		.timeout = timeout_,							\
		.flags = flags_,							\
	};										\
	__attribute__((constructor)) static void register_##name_(void)			\
	{										\
		test__register(&def_##name_);						\
	}										\
	static void test_##name_(void)

struct test_env {
	unsigned int world;	/* one WORLD_* */
	bool verbose;
	bool has_ulp;		/* smc_ulp.ko is loaded */
	unsigned int slow;	/* timeouts are multiplied by this */
	unsigned int effort;	/* stress tests last this many times longer */
	unsigned int seed;	/* of their dice */
};

extern struct test_env env;

/* Ends the previous subtest, if any; false: this one was not asked for, do not run it. */
bool test__start_subtest(const char *name);
bool test__start_subtestf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The subtest (or, outside of one, the test) was not run; @reason says what would make it run. */
void test__skip(const char *reason);
void test__fail(void);
/* True when an assertion of this test or subtest failed. */
bool test__failed(void);
const char *test__name(void);

/* A line of diagnostics: always, or with -v only. */
void test__log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void test__debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Seconds on the monotonic clock; milliseconds since then. */
double now(void);
long ms_since(double start);
void msleep(unsigned int ms);

/* Polls @cond every few ms, @ms milliseconds at most (times env.slow). */
#define WAIT_FOR(cond, ms)								\
({											\
	double until__ = now() + (ms) * env.slow / 1000.0;				\
	bool done__;									\
	while (!(done__ = !!(cond)) && now() < until__)					\
		msleep(5);								\
	done__;										\
})

/* fork() with the output flushed; the child has to end with _exit(). */
pid_t test__fork(void);
/* Waits for a child; its exit status, or 128 + signal. */
int test__wait(pid_t pid);

/* Runs a shell command line; its output is shown when it fails. */
int sys(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool file_contains(const char *path, const char *what);
int write_file(const char *path, const char *text);
long read_long(const char *path);

bool check_failed(const char *file, int line, const char *name, int err, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

#define _FAIL(name, fmt, ...)								\
	check_failed(__FILE__, __LINE__, name, errno, fmt, ##__VA_ARGS__)

#define _ASSERT_CMP(a, op, b, name)							\
({											\
	long long a__ = (a);								\
	long long b__ = (b);								\
	bool ok__ = a__ op b__;								\
	if (!ok__)									\
		_FAIL(name, "%lld " #op " %lld does not hold", a__, b__);		\
	ok__;										\
})

#define ASSERT_EQ(a, b, name)	_ASSERT_CMP(a, ==, b, name)
#define ASSERT_NEQ(a, b, name)	_ASSERT_CMP(a, !=, b, name)
#define ASSERT_LT(a, b, name)	_ASSERT_CMP(a, <, b, name)
#define ASSERT_LE(a, b, name)	_ASSERT_CMP(a, <=, b, name)
#define ASSERT_GT(a, b, name)	_ASSERT_CMP(a, >, b, name)
#define ASSERT_GE(a, b, name)	_ASSERT_CMP(a, >=, b, name)

#define ASSERT_TRUE(cond, name)								\
({											\
	bool ok__ = !!(cond);								\
	if (!ok__)									\
		_FAIL(name, "unexpectedly false");					\
	ok__;										\
})

#define ASSERT_FALSE(cond, name)							\
({											\
	bool ok__ = !(cond);								\
	if (!ok__)									\
		_FAIL(name, "unexpectedly true");					\
	ok__;										\
})

/* 0 is success */
#define ASSERT_OK(rc, name)								\
({											\
	long long rc__ = (rc);								\
	bool ok__ = rc__ == 0;								\
	if (!ok__)									\
		_FAIL(name, "result %lld", rc__);					\
	ok__;										\
})

#define ASSERT_OK_FD(fd, name)								\
({											\
	int fd__ = (fd);								\
	bool ok__ = fd__ >= 0;								\
	if (!ok__)									\
		_FAIL(name, "no descriptor: %d", fd__);					\
	ok__;										\
})

#define ASSERT_OK_PTR(ptr, name)							\
({											\
	bool ok__ = (ptr) != NULL;							\
	if (!ok__)									\
		_FAIL(name, "NULL");							\
	ok__;										\
})

/* A system call that must fail with @err. */
#define ASSERT_ERRNO(rc, err, name)							\
({											\
	errno = 0;									\
	long long rc__ = (rc);								\
	int errno__ = errno;								\
	bool ok__ = rc__ == -1 && errno__ == (err);					\
	if (!ok__)									\
		check_failed(__FILE__, __LINE__, name, errno__,				\
			     "result %lld, wanted error %s", rc__, strerrorname_np(err));	\
	ok__;										\
})

#define ASSERT_STREQ(a, b, name)							\
({											\
	const char *a__ = (a);								\
	const char *b__ = (b);								\
	bool ok__ = a__ && b__ && !strcmp(a__, b__);					\
	if (!ok__)									\
		_FAIL(name, "'%s' is not '%s'", a__ ?: "NULL", b__ ?: "NULL");		\
	ok__;										\
})

#define ASSERT_HAS_SUBSTR(text, sub, name)						\
({											\
	const char *t__ = (text);							\
	const char *s__ = (sub);							\
	bool ok__ = t__ && strstr(t__, s__);						\
	if (!ok__)									\
		_FAIL(name, "'%s' is not in '%s'", s__, t__ ?: "NULL");			\
	ok__;										\
})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
