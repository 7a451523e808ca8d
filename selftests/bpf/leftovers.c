// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "leftovers.h"
#include "smcnl.h"
#include "test_progs.h"

/* --- counts ------------------------------------------------------------------------------- */

static void add(struct counts *counts, const char *name, long value)
{
	if (counts->n == MAX_COUNTS) {
		test__log("too many things to count: %s", name);
		return;
	}
	snprintf(counts->c[counts->n].name, sizeof(counts->c[0].name), "%s", name);
	counts->c[counts->n++].value = value;
}

/* Sockets in TIME_WAIT are neither "inuse" nor "alloc". "alloc" counts all netns. */
static void read_sockstat(struct counts *counts, const char *path, const char *prefix)
{
	FILE *f = fopen(path, "r");
	char line[256];
	long inuse, orphan, tw, alloc;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "TCP: inuse %ld orphan %ld tw %ld alloc %ld", &inuse, &orphan, &tw,
			   &alloc) == 4) {
			add(counts, "TCP sockets in use", inuse);
			add(counts, "TCP orphans", orphan);
			add(counts, "TCP sockets allocated", alloc);
		} else if (sscanf(line, "TCP6: inuse %ld", &inuse) == 1) {
			add(counts, prefix, inuse);
		}
	}
	if (f)
		fclose(f);
}

static void read_protocols(struct counts *counts)
{
	static const char * const wanted[] = {
		"SMC", "SMC6", "INET_SMC", "INET6_SMC", "TCP", "TCPv6", "MPTCP", "MPTCPv6",
	};
	FILE *f = fopen("/proc/net/protocols", "r");
	char line[256], proto[64], name[80];
	long size, sockets;
	unsigned int i;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %ld %ld", proto, &size, &sockets) != 3)
			continue;
		for (i = 0; i < ARRAY_SIZE(wanted); i++) {
			if (strcmp(proto, wanted[i]))
				continue;
			snprintf(name, sizeof(name), "protocol %s", proto);
			add(counts, name, sockets);
		}
	}
	if (f)
		fclose(f);
}

/*
 * SLUB counts the free objects of per-CPU slabs as in use; shrinking the cache first makes the
 * number exact. These caches are never merged with others.
 */
static void read_slabs(struct counts *counts)
{
	static const char * const wanted[] = {
		"TCP", "TCPv6", "SMC", "SMC6", "INET_SMC", "INET6_SMC",
		"request_sock_TCP", "request_sock_TCPv6", "sock_inode_cache", "net_namespace",
	};
	FILE *f = fopen("/proc/slabinfo", "r");
	char line[256], cache[64], name[80], path[128];
	bool want;
	long active;
	unsigned int i;
	DIR *dir;
	struct dirent *entry;

	for (i = 0; i < ARRAY_SIZE(wanted); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", wanted[i]);
		write_file(path, "1");
	}
	dir = opendir("/sys/kernel/slab");
	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "smc_ulp", 7))
			continue;
		snprintf(path, sizeof(path), "/sys/kernel/slab/%.64s/shrink", entry->d_name);
		write_file(path, "1");
	}
	if (dir)
		closedir(dir);

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %ld", cache, &active) != 2)
			continue;
		want = !strncmp(cache, "smc_ulp", 7);
		for (i = 0; i < ARRAY_SIZE(wanted); i++)
			want |= !strcmp(cache, wanted[i]);
		if (!want)
			continue;
		snprintf(name, sizeof(name), "slab %s", cache);
		add(counts, name, active);
	}
	if (f)
		fclose(f);
}

static void read_modules(struct counts *counts)
{
	/* every SMC socket of every netns, kernel-internal ones too, holds a reference on smc */
	static const char * const wanted[] = { "smc", "smc_ulp", "tls" };
	char name[80], path[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wanted); i++) {
		snprintf(path, sizeof(path), "/sys/module/%s/refcnt", wanted[i]);
		snprintf(name, sizeof(name), "references on %s.ko", wanted[i]);
		add(counts, name, access(path, R_OK) ? 0 : read_long(path));
	}
}

static void read_cheap(struct counts *counts)
{
	read_sockstat(counts, "/proc/net/sockstat", "");
	read_sockstat(counts, "/proc/net/sockstat6", "TCPv6 sockets in use");
	read_protocols(counts);
	read_modules(counts);
	add(counts, "rows of smc_diag", smcdiag__count());
}

#define NETNS_SLAB "slab net_namespace"

void counts__read(struct counts *counts)
{
	/* the netlink sockets of an earlier look are freed by RCU */
	msleep(20);
	counts->n = 0;
	read_slabs(counts);
	read_cheap(counts);
}

static long was(const struct counts *counts, const char *name)
{
	int i;

	for (i = 0; i < counts->n; i++) {
		if (!strcmp(counts->c[i].name, name))
			return counts->c[i].value;
	}
	return 0;
}

static int more_than(const struct counts *before, const struct counts *counts, bool print)
{
	int i, n = 0;

	for (i = 0; i < counts->n; i++) {
		long old = was(before, counts->c[i].name);

		if (counts->c[i].value <= old)
			continue;
		n++;
		if (print)
			test__log("left behind: %s: %ld, was %ld", counts->c[i].name,
				  counts->c[i].value, old);
	}
	return n;
}

/* A netns is freed when the next one goes: let one go. So one is always counted. */
static void netns_kick(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(unshare(CLONE_NEWNET));
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

void counts__init(void)
{
	struct counts counts = {};

	netns_kick();
	WAIT_FOR((counts.n = 0, read_slabs(&counts), was(&counts, NETNS_SLAB)), 3000);
}

#define INODE_SLAB "slab sock_inode_cache"

/*
 * The kernel makes sockets of its own late, after a slow boot, or with a module that is loaded:
 * two, for IPv4 and IPv6, once. More, or for the second time, is a leak.
 */
static bool kernels_own(const struct counts *before, const struct counts *counts)
{
	static long allowed = 2;
	long more = was(counts, INODE_SLAB) - was(before, INODE_SLAB);

	if (more <= 0 || more > allowed || more_than(before, counts, false) != 1)
		return false;
	allowed -= more;
	test__log("%ld sockets of the kernel's own, taken for late ones", more);
	return true;
}

bool counts__back_to(const struct counts *before, double seconds)
{
	double until = now() + seconds, kicked = 0;
	unsigned int pause = 2;
	struct counts counts;
	bool slabs;

	for (;;) {
		counts.n = 0;
		slabs = false;
		read_cheap(&counts);
		if (!more_than(before, &counts, false)) {
			msleep(20);	/* the netlink socket we just used is freed by RCU */
			read_slabs(&counts);
			slabs = true;
			if (!more_than(before, &counts, false))
				return true;
			if (was(&counts, NETNS_SLAB) > was(before, NETNS_SLAB) &&
			    now() > kicked + 0.5) {
				netns_kick();
				kicked = now();
			}
		}
		if (now() > until)
			break;
		msleep(pause);
		if (pause < 200)
			pause *= 2;
	}
	if (!slabs)
		read_slabs(&counts);
	if (kernels_own(before, &counts))
		return true;
	more_than(before, &counts, true);
	if (was(&counts, "rows of smc_diag") > was(before, "rows of smc_diag"))
		smcdiag__print();
	return false;
}

/* --- processes ------------------------------------------------------------------------------ */

struct proc {
	int pid, ppid, session;
	char state;
	char comm[32];
};

static bool read_proc(int pid, struct proc *proc)
{
	char path[64], line[512], *close;
	FILE *f;
	bool ok = false;
	int pgrp;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (fgets(line, sizeof(line), f) && (close = strrchr(line, ')'))) {
		*close = 0;
		proc->pid = pid;
		snprintf(proc->comm, sizeof(proc->comm), "%s", strchr(line, '(') + 1);
		ok = sscanf(close + 2, "%c %d %d %d", &proc->state, &proc->ppid, &pgrp,
			    &proc->session) == 4;
	}
	fclose(f);
	return ok;
}

/* Calls @fn for each process of @session and each child of ours (orphans become our children). */
static int for_each_process(int session, void (*fn)(const struct proc *proc))
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	struct proc proc;
	int n = 0;

	while (dir && (entry = readdir(dir))) {
		if (!isdigit(entry->d_name[0]) || !read_proc(atoi(entry->d_name), &proc))
			continue;
		if (proc.pid == getpid() || (proc.session != session && proc.ppid != getpid()))
			continue;
		if (proc.state == 'Z' && proc.ppid != getpid())
			continue;
		n++;
		fn(&proc);
	}
	if (dir)
		closedir(dir);
	return n;
}

static void kill_one(const struct proc *proc)
{
	kill(proc->pid, SIGKILL);
	if (proc->ppid == getpid())
		waitpid(proc->pid, NULL, WNOHANG);
}

bool kill_session(int session, double seconds)
{
	double until = now() + seconds;

	while (for_each_process(session, kill_one)) {
		if (now() > until)
			return false;
		msleep(5);
	}
	return true;
}

static void print_file(const char *path, const char *what)
{
	FILE *f = fopen(path, "r");
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		test__log("    %s%s", what, line);
	}
	if (f)
		fclose(f);
}

static void dump_one(const struct proc *proc)
{
	char path[300];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", proc->pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (!isdigit(entry->d_name[0]))
			continue;
		test__log("  process %d, thread %s (%s, %c):", proc->pid, entry->d_name, proc->comm,
			  proc->state);
		snprintf(path, sizeof(path), "/proc/%d/task/%.16s/syscall", proc->pid,
			 entry->d_name);
		print_file(path, "system call ");
		snprintf(path, sizeof(path), "/proc/%d/task/%.16s/stack", proc->pid,
			 entry->d_name);
		print_file(path, "");
	}
	if (dir)
		closedir(dir);
}

void dump_session(int session)
{
	for_each_process(session, dump_one);
}

/* --- kernel messages ------------------------------------------------------------------------ */

static int kmsg = -1;

bool kmsg__open(void)
{
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return kmsg >= 0 && lseek(kmsg, 0, SEEK_END) >= 0;
}

/* scripts/check-splats knows what a report looks like: one list, one allow list. */
static const char *splat_checker(void)
{
	static char path[PATH_MAX];
	ssize_t len;
	char *up;
	int i;

	if (*path)
		return path;
	if (getenv("CHECK_SPLATS")) {
		snprintf(path, sizeof(path), "%s", getenv("CHECK_SPLATS"));
		return path;
	}
	/* TOP/build/selftests/test_progs */
	len = readlink("/proc/self/exe", path, sizeof(path) - 32);
	if (len < 0)
		len = 0;
	path[len] = 0;
	for (i = 0; i < 3; i++) {
		up = strrchr(path, '/');
		if (up)
			*up = 0;
	}
	strcat(path, "/scripts/check-splats");
	return path;
}

int splats_in(const char *text, bool print)
{
	char name[] = "/tmp/kmsg.XXXXXX", line[512];
	int fd = mkstemp(name), status;
	FILE *out;

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		test__log("cannot write %s: %m", name);
		return -1;
	}
	close(fd);
	snprintf(line, sizeof(line), "%s %s 2>&1", splat_checker(), name);
	out = popen(line, "r");
	while (out && fgets(line, sizeof(line), out)) {
		line[strcspn(line, "\n")] = 0;
		if (print)
			test__log("%s", line);
	}
	status = out ? pclose(out) : -1;
	unlink(name);
	if (status == -1 || !WIFEXITED(status) || WEXITSTATUS(status) > 1) {
		test__log("%s failed, so nobody looked at the kernel's messages", splat_checker());
		return -1;
	}
	return WEXITSTATUS(status);
}

/* A record is "level,sequence,usecs,flags;text\n continuation\n" */
bool kmsg__clean(void)
{
	char record[8192], *text, *line, *all = NULL;
	size_t len = 0, more;
	bool suspicious = false, lost = false;
	long long usecs;
	int level, rc = 0;
	ssize_t n;
	FILE *f;

	f = open_memstream(&all, &len);
	for (;;) {
		n = read(kmsg, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE) {	/* overwritten before we read it */
			lost = true;
			continue;
		}
		if (n <= 0)
			break;
		record[n] = 0;
		text = strchr(record, ';');
		if (!text || sscanf(record, "%d,%*d,%lld", &level, &usecs) != 2)
			continue;
		line = strsep(&(char *){ text }, "\n");
		line++;
		/* Every report begins with a warning or worse; facility: 0 is the kernel */
		if ((level & 7) <= 4)
			suspicious = true;
		fprintf(f, "[%5lld.%06lld] %s\n", usecs / 1000000, usecs % 1000000, line);
	}
	fclose(f);
	if (lost)
		test__log("the kernel wrote more than its log buffer holds");
	if (suspicious)
		rc = splats_in(all, true);
	if (env.verbose && len) {
		for (line = all; *line; line += more) {
			more = strcspn(line, "\n");
			test__debug("kernel: %.*s", (int)more, line);
			more += line[more] == '\n';
		}
	}
	free(all);
	return !rc && !lost;
}
