// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fuzzer of sockets that have the ULP, in the guest: see usage().
 */
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cgroup_helpers.h"
#include "fuzz.h"
#include "leftovers.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define MAX_JOBS	16
#define PROGRAM_MS	4000	/* what has not ended by then is killed */

struct test_env env = { .slow = 1 };
struct shared *shared;

static struct job {
	pid_t pid;		/* 0: none runs; also its group */
	__u32 number;
	double start, end;
	bool killed;
	struct shared *shared;
} jobs[MAX_JOBS];

static __u32 seed = 1, next, first_unchecked;
static unsigned int check_seconds = 60;
static int n_jobs = 2;
static const char *directory;
static struct program program;
static __u64 n_programs;

static void usage(FILE *to)
{
	fputs("usage: fuzzer [OPTIONS]\n"
	      "\n"
	      "Runs programs of random system calls on sockets with the ULP, and checks that\n"
	      "the kernel does not complain and that nothing is left.\n"
	      "\n"
	      "  -s SEED     programs number 0, 1, ... of this seed (default 1)\n"
	      "  -t SECONDS  for so long (default 30)\n"
	      "  -n NUMBER   the first program (default 0)\n"
	      "  -c COUNT    so many programs, instead of a time\n"
	      "  -r TIMES    with -c: each so many times\n"
	      "  -j JOBS     so many at once (default 2)\n"
	      "  -e SECONDS  so often check that nothing is left (default 60)\n"
	      "  -d          print program NUMBER instead of running it\n"
	      "  -f FILE     run the program in FILE, -r TIMES\n"
	      "  -l DIR      keep the programs that have not been checked yet in DIR\n"
	      "  -x N        a machine N times slower\n"
	      "  -v          print each call and what it returned\n", to);
}

/* --- for the helpers of the other tests ------------------------------------------------------- */

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

/* --- one program -------------------------------------------------------------------------------- */

static void on_signal(int signal)
{
	(void)signal;
}

/* Signals that come now and then, so that no call blocks for ever. */
static void start_timer(void)
{
	struct itimerspec often = {
		.it_value.tv_nsec = program.tick * 1000000L,
		.it_interval.tv_nsec = program.tick * 1000000L,
	};
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = SIGALRM,
	};
	timer_t timer;

	event.sigev_notify_thread_id = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) ||
	    timer_settime(timer, 0, &often, NULL))
		_exit(3);
}

static void run_calls(unsigned int thread)
{
	int i, err;
	long rc;

	for (i = 0; i < program.n; i++) {
		const struct call *call = &program.calls[i];

		if (call->thread != thread)
			continue;
		if (env.verbose)
			fprintf(stderr, "%u: %s %u %u %u %u %u ...\n", thread, ops[call->op].name,
				call->s, call->t, call->a, call->b, call->c);
		rc = call_run(call);
		err = errno;
		if (env.verbose)
			fprintf(stderr, "%u: %s %u = %ld %s\n", thread, ops[call->op].name, call->s,
				rc, rc < 0 ? strerrorname_np(err) ?: "?" : "");
	}
}

static void *run_thread(void *arg)
{
	start_timer();
	run_calls((unsigned long)arg);
	return NULL;
}

static void run_process(unsigned int process)
{
	pthread_t threads[MAX_THREADS];
	unsigned int i;

	shared->pids[process] = getpid();
	for (i = 0; i < program.threads; i++) {
		if (pthread_create(&threads[i], NULL, run_thread,
				   (void *)(unsigned long)(process * MAX_THREADS + i + 1)))
			_exit(3);
	}
	for (i = 0; i < program.threads; i++)
		pthread_join(threads[i], NULL);
}

static void run_program(int job)
{
	const int ignored[] = { SIGIO, SIGURG, SIGUSR1, SIGALRM };
	struct sigaction action = {
		.sa_handler = on_signal,
		.sa_flags = program.restart ? SA_RESTART : 0,
	};
	unsigned int i;
	char name[16];

	shared = jobs[job].shared;
	memset(shared->pids, 0, sizeof(shared->pids));
	snprintf(name, sizeof(name), "fuzz-%u", jobs[job].number);
	prctl(PR_SET_NAME, name);
	for (i = 0; i < ARRAY_SIZE(ignored); i++)
		sigaction(ignored[i], &action, NULL);
	signal(SIGPIPE, program.sigpipe ? SIG_DFL : SIG_IGN);
	state.program = &program;
	if (!calls_init() || !world_enter(&program, job)) {
		fprintf(stderr, "cannot begin: %m\n");
		_exit(2);
	}
	start_timer();
	run_calls(0);
	for (i = 1; i < program.procs; i++) {
		if (!fork()) {
			run_process(i);
			_exit(0);
		}
	}
	run_process(0);
	while (wait(NULL) > 0 || errno == EINTR)
		;
	_exit(0);
}

/* --- many ---------------------------------------------------------------------------------------- */

static void program_path(char *path, size_t size, __u32 number)
{
	snprintf(path, size, "%s/%u-%u", directory, seed, number);
}

/* Before it runs: it may be the last thing that this machine does. */
static void keep_program(__u32 number)
{
	char path[256];
	FILE *f;

	if (!directory)
		return;
	program_path(path, sizeof(path), number);
	f = fopen(path, "w");
	if (f) {
		program_write(&program, f);
		fclose(f);
	}
}

static void note(const char *fmt, ...)
{
	static int kmsg = -1;
	char line[128];
	va_list args;
	int len;

	if (kmsg < 0)
		kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	va_start(args, fmt);
	len = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (write(kmsg, line, len) < 0)
		return;
}

static void start_job(int job, __u32 number)
{
	struct job *j = &jobs[job];

	keep_program(number);
	note("<6>fuzz: seed %u program %u begins\n", seed, number);
	fflush(stdout);
	j->number = number;
	j->pid = fork();
	if (!j->pid) {
		setpgid(0, 0);
		run_program(job);
	}
	setpgid(j->pid, j->pid);	/* by whoever comes first: both need it */
	j->start = now();
	j->end = j->start + (program.kill ?: PROGRAM_MS * env.slow) / 1000.0;
	j->killed = false;
	n_programs++;
}

/* All of the group: those that have lost their parent are ours. True: they are gone. */
static bool reap_job(struct job *j)
{
	int status;
	pid_t pid;

	if (now() > j->end || j->killed) {
		kill(-j->pid, SIGKILL);
		j->killed = true;
	}
	while ((pid = waitpid(-j->pid, &status, WNOHANG)) > 0) {
		/* with the first process ends the program */
		if (pid == j->pid) {
			j->end = 0;
			if (WIFEXITED(status) && WEXITSTATUS(status) > 1)
				test__log("program %u: exit status %d", j->number,
					  WEXITSTATUS(status));
		}
	}
	return pid < 0 && errno == ECHILD;
}

static bool stuck(struct job *j)
{
	if (now() < j->start + 60 * env.slow)
		return false;
	test__log("program %u cannot be killed:", j->number);
	dump_session(getsid(0));
	return true;
}

static void forget_programs(void)
{
	char path[256];

	for (; directory && first_unchecked != next; first_unchecked++) {
		program_path(path, sizeof(path), first_unchecked);
		unlink(path);
	}
	first_unchecked = next;
}

static bool check(const struct counts *before)
{
	bool ok = counts__back_to(before, 30 * env.slow);

	ok &= kmsg__clean();
	if (ok)
		forget_programs();
	else
		test__log("since the last check: programs %u to %u of seed %u", first_unchecked,
			  next - 1, seed);
	return ok;
}

/* Programs until @end (0: until @count of them have run @times); false: something is wrong. */
static bool run_programs(double end, __u32 count, __u32 times, const struct counts *before)
{
	double check_at = now() + check_seconds * env.slow;
	__u32 first = next, again = 0;
	bool more = true;
	int i, running;

	do {
		if (end ? now() >= end : next - first >= count)
			more = false;
		running = 0;
		for (i = 0; i < n_jobs; i++) {
			struct job *j = &jobs[i];

			if (j->pid && reap_job(j))
				j->pid = 0;
			if (j->pid && stuck(j))
				return false;
			if (!j->pid && more && (now() < check_at || !running)) {
				program_make(&program, seed, next);
				start_job(i, next);
				if (++again >= times) {
					again = 0;
					next++;
				}
				more = end || next - first < count;
			}
			running += !!j->pid;
		}
		if (!running && now() >= check_at) {
			if (!check(before))
				return false;
			check_at = now() + check_seconds * env.slow;
		}
		msleep(5);
	} while (running || more);
	return check(before);
}

static bool run_file(const char *path, __u32 times, const struct counts *before)
{
	FILE *f = fopen(path, "r");

	if (!f || !program_read(&program, f)) {
		fprintf(stderr, "cannot read a program from %s\n", path);
		exit(2);
	}
	fclose(f);
	directory = NULL;
	while (times--) {
		start_job(0, 0);
		while (!reap_job(&jobs[0])) {
			if (stuck(&jobs[0]))
				return false;
			msleep(5);
		}
	}
	return check(before);
}

/* Where the kernel can look for memory that nobody knows any more, let it. */
#define KMEMLEAK "/sys/kernel/debug/kmemleak"

static bool memory_lost(void)
{
	char line[256];
	bool lost = false;
	int i;
	FILE *f;

	if (access(KMEMLEAK, W_OK))
		return false;
	for (i = 0; i < 3; i++) {
		msleep(i ? 6000 : 0);	/* only what is older than 5 s is reported */
		write_file(KMEMLEAK, "scan");
	}
	f = fopen(KMEMLEAK, "r");
	while (f && fgets(line, sizeof(line), f)) {
		test__log("%s", line);
		lost = true;
	}
	if (f)
		fclose(f);
	return lost;
}

static void report(double started)
{
	__u64 calls = 0, succeeded = 0, n, ok;
	unsigned int i, j;

	for (i = 0; i < n_ops; i++) {
		n = 0;
		ok = 0;
		for (j = 0; j < MAX_JOBS; j++) {
			n += jobs[j].shared->ops[i];
			ok += jobs[j].shared->ops_succeeded[i];
		}
		printf("# %-13s %8llu calls, %8llu succeeded\n", ops[i].name, n, ok);
		calls += n;
		succeeded += ok;
	}
	world_report();
	printf("# seed %u: %llu programs, %llu calls, %llu succeeded, %.0f s\n", seed, n_programs,
	       calls, succeeded, now() - started);
}

int main(int argc, char **argv)
{
	struct rlimit files = { 512, 512 }, no_core = {};
	unsigned int seconds = 30, count = 0, times = 1;
	bool dump = false, ok = true;
	const char *file = NULL;
	struct counts before;
	double started;
	int opt, i;

	while ((opt = getopt(argc, argv, "s:t:n:c:r:j:e:df:l:x:vh")) != -1) {
		switch (opt) {
		case 's': seed = strtoul(optarg, NULL, 0); break;
		case 't': seconds = strtoul(optarg, NULL, 0); break;
		case 'n': next = strtoul(optarg, NULL, 0); break;
		case 'c': count = strtoul(optarg, NULL, 0); break;
		case 'r': times = strtoul(optarg, NULL, 0); break;
		case 'j': n_jobs = strtoul(optarg, NULL, 0); break;
		case 'e': check_seconds = strtoul(optarg, NULL, 0); break;
		case 'd': dump = true; break;
		case 'f': file = optarg; break;
		case 'l': directory = optarg; break;
		case 'x': env.slow = strtoul(optarg, NULL, 0); break;
		case 'v': env.verbose = true; break;
		case 'h': usage(stdout); return 0;
		default: usage(stderr); return 2;
		}
	}
	if (optind != argc || n_jobs < 1 || n_jobs > MAX_JOBS || !env.slow) {
		usage(stderr);
		return 2;
	}
	if (dump) {
		program_make(&program, seed, next);
		program_write(&program, stdout);
		return 0;
	}

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_CORE, &no_core);
	write_file("/proc/sys/kernel/printk_devkmsg", "on");
	if (access(KMEMLEAK, F_OK))
		mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	if (directory)
		mkdir(directory, 0755);
	/* by name only, and not one program for each name that nobody knows */
	if (system("modprobe -qa tls tcp_diag inet_diag tcp_dctcp"))
		test__log("not all modules are there");
	write_file("/proc/sys/kernel/modprobe", "");
	first_unchecked = next;
	for (i = 0; i < MAX_JOBS; i++) {
		jobs[i].shared = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (jobs[i].shared == MAP_FAILED)
			return 2;
	}
	if (!kmsg__open() || !world_init()) {
		fprintf(stderr, "cannot begin: %m\n");
		return 2;
	}
	counts__init();
	counts__read(&before);
	started = now();
	if (file)
		ok = run_file(file, times, &before);
	else
		ok = run_programs(count ? 0 : started + seconds, count, times, &before);
	report(started);
	world_exit();
	if (ok && memory_lost())
		ok = false;
	if (!kmsg__clean())
		ok = false;
	printf("%s\n", ok ? "ok" : "not ok");
	return !ok;
}
