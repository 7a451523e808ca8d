// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: work [-s KIND] [-c KIND] [-g CGROUP] [-d SECONDS] [-t KEY=VALUE]... TEST...
 *
 * A server and a client on 127.0.0.1 and the work between them, measured: a line of JSON for each
 * figure. KIND is how a socket is made, of the server (-s) and of the client (-c):
 *
 *	tcp	TCP, whatever somebody else makes of it (LD_PRELOAD, a cgroup, fmod_ret)
 *	smc	AF_SMC
 *	ulp	TCP, and setsockopt(TCP_ULP, "smc"), which may be refused
 *	cgroup	TCP, made while the process is in CGROUP; all others are made outside
 *	decline	server only: AF_SMC that answers a CLC proposal with a decline (IPsec)
 *
 * -d is the time of each test that runs for a time (default 0.4). -t is copied to each line.
 *
 * Two processes, by the clock:
 *	stream		the client sends 64 KiB at a time: MB/s
 *	rr:SIZE		request and response of SIZE bytes: microseconds
 *	crr:THREADS	connect, 1 B request and response, close: connections/s
 *	ncrr:THREADS	the same with O_NONBLOCK until it is connected
 *	accept:CLIENTS	the same, with one thread in the server
 *	idle:N		N connections and nothing: bytes for each, of slabs and of all memory
 *	attached:N	N sockets that are not connected: bytes for each
 *
 * One thread, by the clock of scripts/vm --icount, in which a nanosecond is an instruction:
 *	conn:N		each call of N connections, median
 *	msg:N		each call of N messages of 1 B on one connection, median
 *	cycle:N		all that N connections cost, until the last is closed
 *	ncycle:N	the same with O_NONBLOCK until it is connected
 *
 * "carried" says what carried the bytes, as far as the test knows: smc or tcp.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/tcp.h>
#include <linux/xfrm.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "mark.h"

#ifndef SOL_TCP
#define SOL_TCP		6
#endif
#ifndef AF_SMC
#define AF_SMC		43
#endif
#define CHUNK		65536
#define MAX_THREADS	256
#define SETTLE		30	/* connections before what is counted */

static const char *server_kind = "tcp", *client_kind = "tcp", *cgroup;
static double seconds = 0.4;
static char tags[512];
static char buffer[CHUNK];

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *format, ...)
{
	int err = errno;
	va_list args;

	fprintf(stderr, "work: %s to %s: ", client_kind, server_kind);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, ": %s\n", strerror(err));
	exit(1);
}

static long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

__attribute__((format(printf, 5, 6)))
static void report(const char *test, const char *what, const char *unit, double value,
		   const char *format, ...)
{
	va_list args;

	printf("{%s\"test\": \"%s\", \"what\": \"%s\", \"unit\": \"%s\", \"value\": %.10g",
	       tags, test, what, unit, value);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("}\n");
	fflush(stdout);
}

/* --- sockets ---------------------------------------------------------------- */

static bool is(const char *kind, const char *name)
{
	return !strcmp(kind, name);
}

/* Moves the process, all its threads, when it is not there yet. */
static void move(bool into)
{
	static bool inside;
	char path[256];
	FILE *f;

	if (into == inside || !cgroup)
		return;
	snprintf(path, sizeof(path), "%s/cgroup.procs", into ? cgroup : "/sys/fs/cgroup");
	f = fopen(path, "w");
	if (!f || fputs("0", f) < 0 || fclose(f))
		die("%s", path);
	inside = into;
}

static int make(const char *kind)
{
	int fd;

	move(is(kind, "cgroup"));
	if (is(kind, "smc") || is(kind, "decline"))
		fd = socket(AF_SMC, SOCK_STREAM, 0);
	else
		fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0)
		die("socket");
	return fd;
}

static void attach(int fd, const char *kind)
{
	if (is(kind, "ulp") && setsockopt(fd, SOL_TCP, TCP_ULP, "smc", 3) && errno != EACCES)
		die("TCP_ULP");
}

/* What smc.ko declines for (SMC_CLC_DECL_IPSEC); the policy itself lets everything through. */
static void ipsec(int fd)
{
	struct xfrm_userpolicy_info policy = {
		.sel.family = AF_INET,
		.lft = {
			.soft_byte_limit = XFRM_INF, .hard_byte_limit = XFRM_INF,
			.soft_packet_limit = XFRM_INF, .hard_packet_limit = XFRM_INF,
		},
		.dir = XFRM_POLICY_OUT,
		.action = XFRM_POLICY_ALLOW,
	};

	if (setsockopt(fd, SOL_IP, IP_XFRM_POLICY, &policy, sizeof(policy)))
		die("IP_XFRM_POLICY");
}

static int listener(struct sockaddr_in *address)
{
	socklen_t len = sizeof(*address);
	int fd = make(server_kind), one = 1;

	attach(fd, server_kind);
	if (is(server_kind, "decline"))
		ipsec(fd);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	memset(address, 0, sizeof(*address));
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (void *)address, len) || listen(fd, 1024) ||
	    getsockname(fd, (void *)address, &len))
		die("listen");
	return fd;
}

static void dial(int fd, const struct sockaddr_in *address)
{
	if (connect(fd, (const void *)address, sizeof(*address)))
		die("connect");
}

static void dial_nonblock(int fd, const struct sockaddr_in *address)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int err = 0;

	fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
	if (connect(fd, (const void *)address, sizeof(*address))) {
		if (errno != EINPROGRESS)
			die("connect");
		if (poll(&pfd, 1, 10000) != 1 ||
		    getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) || err) {
			errno = err;
			die("poll for the connection");
		}
	}
	fcntl(fd, F_SETFL, O_RDWR);
}

static bool receive(int fd, size_t len)
{
	ssize_t n;

	for (; len; len -= n) {
		n = recv(fd, buffer, len, 0);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return false;
		if (n < 0)
			die("recv");
	}
	return true;
}

static void transmit(int fd, size_t len)
{
	ssize_t n;

	for (; len; len -= n) {
		n = send(fd, buffer, len, MSG_NOSIGNAL);
		if (n < 0)
			die("send");
	}
}

static void no_delay(int fd)
{
	int one = 1;

	setsockopt(fd, SOL_TCP, TCP_NODELAY, &one, sizeof(one));
}

static unsigned long long tcp_sent(int fd)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, SOL_TCP, TCP_INFO, &info, &len))
		die("TCP_INFO");
	return info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
}

static const char *carrier(int fd, unsigned long long before)
{
	return tcp_sent(fd) == before ? "smc" : "tcp";
}

/* --- two processes ------------------------------------------------------------ */

static int lfd;
static struct sockaddr_in server_address;
static size_t request_size;

/* Each connection: answer each request with as many bytes, or read to the end and answer with one. */
static void *serve(void *unused)
{
	int fd;

	for (;;) {
		fd = accept(lfd, NULL, NULL);
		if (fd < 0) {
			if (errno == ECONNABORTED)
				continue;
			die("accept");
		}
		no_delay(fd);
		if (request_size == CHUNK) {
			while (recv(fd, buffer, CHUNK, 0) > 0)
				;
			transmit(fd, 1);
		} else {
			while (receive(fd, request_size))
				transmit(fd, request_size);
		}
		close(fd);
	}
	return unused;
}

static pid_t start_server(size_t size, int threads)
{
	pthread_t thread;
	pid_t pid;

	request_size = size;
	lfd = listener(&server_address);
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		signal(SIGPIPE, SIG_IGN);
		while (--threads > 0)
			if (pthread_create(&thread, NULL, serve, NULL))
				die("pthread_create");
		serve(NULL);
	}
	close(lfd);
	return pid;
}

static void stop_server(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int client(void)
{
	int fd = make(client_kind);

	attach(fd, client_kind);
	dial(fd, &server_address);
	no_delay(fd);
	return fd;
}

static void do_stream(void)
{
	pid_t server = start_server(CHUNK, 1);
	unsigned long long before;
	long long start, end;
	double sent = 0;
	const char *by;
	int fd = client();

	before = tcp_sent(fd);
	start = now();
	end = start + (long long)(seconds * 1e9);
	do {
		transmit(fd, CHUNK);
		sent += CHUNK;
	} while (now() < end);
	shutdown(fd, SHUT_WR);
	receive(fd, 1);
	end = now();
	by = tcp_sent(fd) - before < sent ? "smc" : "tcp";
	report("stream", "64 KiB", "MB/s", sent * 1e3 / (end - start), ", \"carried\": \"%s\"", by);
	close(fd);
	stop_server(server);
}

static void do_rr(size_t size)
{
	pid_t server = start_server(size, 1);
	long long start, end, count = 0;
	unsigned long long before;
	char what[32];
	int fd = client(), i;

	for (i = 0; i < SETTLE; i++) {
		transmit(fd, size);
		receive(fd, size);
	}
	before = tcp_sent(fd);
	start = now();
	end = start + (long long)(seconds * 1e9);
	do {
		transmit(fd, size);
		if (!receive(fd, size))
			die("the server has gone");
		count++;
	} while (now() < end);
	end = now();
	snprintf(what, sizeof(what), "%zu B", size);
	report("rr", what, "us", (end - start) / 1e3 / count, ", \"carried\": \"%s\"",
	       carrier(fd, before));
	close(fd);
	stop_server(server);
}

static long long deadline;
static bool nonblock;

static void *short_connections(void *count)
{
	int fd;

	do {
		fd = make(client_kind);
		attach(fd, client_kind);
		if (nonblock)
			dial_nonblock(fd, &server_address);
		else
			dial(fd, &server_address);
		transmit(fd, 1);
		if (!receive(fd, 1))
			die("the server has gone");
		close(fd);
		++*(long *)count;
	} while (now() < deadline);
	return NULL;
}

static void do_crr(const char *test, int threads, int server_threads, bool nb)
{
	pid_t server = start_server(1, server_threads);
	pthread_t thread[MAX_THREADS];
	long count[MAX_THREADS] = {};
	long long start;
	char what[32];
	double sum = 0;
	int i;

	nonblock = nb;
	deadline = 0;
	short_connections(count);
	count[0] = 0;
	start = now();
	deadline = start + (long long)(seconds * 1e9);
	for (i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, short_connections, &count[i]))
			die("pthread_create");
	for (i = 0; i < threads; i++) {
		pthread_join(thread[i], NULL);
		sum += count[i];
	}
	snprintf(what, sizeof(what), "%d client%s", threads, threads > 1 ? "s" : "");
	report(test, what, "1/s", sum * 1e9 / (now() - start), "%s", "");
	stop_server(server);
}

/* --- memory -------------------------------------------------------------------- */

struct memory {
	double slabs;		/* bytes of objects in use */
	double used;		/* bytes that are not free */
	double ctx;		/* objects of our cache */
};

/* SLUB counts the free objects of each CPU's slabs as in use until the cache is shrunk. */
static void shrink_slabs(void)
{
	DIR *dir = opendir("/sys/kernel/slab");
	struct dirent *entry;
	char path[320];
	FILE *f;

	if (!dir)
		die("/sys/kernel/slab");
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", entry->d_name);
		f = entry->d_name[0] == '.' ? NULL : fopen(path, "w");
		if (f) {
			fputs("1", f);
			fclose(f);
		}
	}
	closedir(dir);
}

static struct memory memory(void)
{
	unsigned long objects, total, size;
	struct memory m = {};
	char line[512], name[64];
	unsigned long kb;
	FILE *f;

	sleep(1);	/* RCU, workers */
	shrink_slabs();
	f = fopen("/proc/slabinfo", "r");
	if (!f)
		die("/proc/slabinfo");
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %lu %lu %lu", name, &objects, &total, &size) != 4)
			continue;
		m.slabs += (double)objects * size;
		if (!strcmp(name, "smc_ulp_ctx"))
			m.ctx = objects;
	}
	fclose(f);
	f = fopen("/proc/meminfo", "r");
	if (!f)
		die("/proc/meminfo");
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "MemTotal: %lu", &kb) == 1)
			m.used += kb * 1024.0;
		else if (sscanf(line, "MemFree: %lu", &kb) == 1)
			m.used -= kb * 1024.0;
	}
	fclose(f);
	return m;
}

static void report_memory(const char *test, int n, const struct memory *before)
{
	struct memory after = memory();
	double slabs = (after.slabs - before->slabs) / n;

	report(test, "slabs", "B", slabs, "%s", "");
	report(test, "other memory", "B", (after.used - before->used) / n - slabs, "%s", "");
	report(test, "smc_ulp_ctx", "objects", (after.ctx - before->ctx) / n, "%s", "");
}

static void do_idle(int n)
{
	struct memory before;
	int *fds = calloc(2 * n, sizeof(*fds)), i;

	if (!fds)
		die("calloc");
	lfd = listener(&server_address);
	for (i = 0; i < 2 * n + 2; i++) {	/* pages of the page tables and of the fd table */
		if (i == 2)
			before = memory();
		if (i & 1) {
			fds[i < 2 ? 1 : i - 2] = accept(lfd, NULL, NULL);
			continue;
		}
		fds[i < 2 ? 0 : i - 2] = client();
	}
	report_memory("idle", n, &before);
	for (i = 0; i < 2 * n; i++)
		close(fds[i]);
	close(lfd);
	free(fds);
}

static void do_attached(int n)
{
	struct memory before;
	int *fds = calloc(n, sizeof(*fds)), i;

	if (!fds)
		die("calloc");
	before = memory();
	for (i = 0; i < n; i++) {
		fds[i] = make(client_kind);
		attach(fds[i], client_kind);
	}
	report_memory("attached", n, &before);
	for (i = 0; i < n; i++)
		close(fds[i]);
	free(fds);
}

/* --- one thread, instructions ------------------------------------------------------ */

enum { SOCKET, ATTACH, CONNECT, ACCEPT, SEND, RECV, ANSWER, ANSWERED, POLL, CLOSE, CLOSED, OPS };
static const char *const op_names[OPS] = {
	"socket", "attach", "connect", "accept", "send", "recv", "server send", "server recv",
	"poll", "close", "server close",
};
static long long *samples[OPS];
static long long clock_cost;

static int compare(const void *a, const void *b)
{
	long long x = *(const long long *)a, y = *(const long long *)b;

	return (x > y) - (x < y);
}

static void prepare_samples(int n)
{
	long long t;
	int i;

	for (i = 0; i < OPS; i++) {
		free(samples[i]);
		samples[i] = calloc(n, sizeof(long long));
		if (!samples[i])
			die("calloc");
	}
	clock_cost = 1 << 30;
	for (i = 0; i < 100; i++) {
		t = now();
		t = now() - t;
		if (t < clock_cost)
			clock_cost = t;
	}
}

static void report_samples(const char *test, int n, const char *by)
{
	int i;

	for (i = 0; i < OPS; i++) {
		qsort(samples[i], n, sizeof(long long), compare);
		if (!samples[i][n - 1])
			continue;
		report(test, op_names[i], "instructions", samples[i][n / 2] - clock_cost,
		       ", \"min\": %lld, \"p90\": %lld, \"carried\": \"%s\"",
		       samples[i][0] - clock_cost, samples[i][n * 9 / 10] - clock_cost, by);
	}
}

#define TIMED(op, call) do {						\
	long long t_ = now();						\
	call;								\
	samples[op][i] = now() - t_;					\
} while (0)

static void do_conn(int n)
{
	struct pollfd pfd = { .events = POLLIN | POLLOUT };
	const char *by = "tcp";
	int round, i, c, s;
	char byte = 0;

	prepare_samples(n);
	lfd = listener(&server_address);
	for (round = 0; round < SETTLE + n; round++) {
		i = round % n;
		TIMED(SOCKET, c = make(client_kind));
		if (is(client_kind, "ulp"))
			TIMED(ATTACH, attach(c, client_kind));
		TIMED(CONNECT, dial(c, &server_address));
		TIMED(ACCEPT, s = accept(lfd, NULL, NULL));
		if (s < 0)
			die("accept");
		TIMED(SEND, send(c, &byte, 1, 0));
		TIMED(RECV, recv(s, &byte, 1, 0));
		TIMED(ANSWER, send(s, &byte, 1, 0));
		TIMED(ANSWERED, recv(c, &byte, 1, 0));
		pfd.fd = c;
		TIMED(POLL, poll(&pfd, 1, 0));
		if (!round) {
			unsigned long long before = tcp_sent(c);

			transmit(c, 1);
			by = carrier(c, before);
			receive(s, 1);
		}
		TIMED(CLOSE, close(c));
		TIMED(CLOSED, close(s));
	}
	close(lfd);
	report_samples("conn", n, by);
}

static void do_msg(int n)
{
	struct pollfd pfd = { .events = POLLIN | POLLOUT };
	unsigned long long before;
	const char *by;
	int round, i, c, s;
	char byte = 0;

	prepare_samples(n);
	lfd = listener(&server_address);
	c = client();
	s = accept(lfd, NULL, NULL);
	if (s < 0)
		die("accept");
	no_delay(s);
	before = tcp_sent(c);
	pfd.fd = c;
	for (round = 0; round < SETTLE + n; round++) {
		i = round % n;
		TIMED(SEND, send(c, &byte, 1, 0));
		TIMED(RECV, recv(s, &byte, 1, 0));
		TIMED(ANSWER, send(s, &byte, 1, 0));
		TIMED(ANSWERED, recv(c, &byte, 1, 0));
		TIMED(POLL, poll(&pfd, 1, 0));
	}
	by = carrier(c, before);
	close(c);
	close(s);
	close(lfd);
	report_samples("msg", n, by);
}

/* Nanoseconds that the CPUs were idle; a tick's worth is as exact as it gets. */
static double idle_time(void)
{
	double up, idle = 0;
	FILE *f = fopen("/proc/uptime", "r");

	if (!f || fscanf(f, "%lf %lf", &up, &idle) != 2)
		die("/proc/uptime");
	fclose(f);
	return idle * 1e9;
}

/* For bench/insns.c; costs an instruction that does nothing. */
static void mark(int which)
{
#define MARK_BYTES(...)	MARK_STRING(__VA_ARGS__)
#define MARK_STRING(...)	#__VA_ARGS__
	if (which == MARK_BEGIN)
		asm volatile(".byte " MARK_BYTES(MARK(MARK_BEGIN)) ::: "memory");
	else
		asm volatile(".byte " MARK_BYTES(MARK(MARK_END)) ::: "memory");
}

static void do_cycle(const char *test, int n, bool nb)
{
	long long start = 0, end;
	double idle = 0;
	int i, c, s;
	char byte = 0;

	lfd = listener(&server_address);
	for (i = 0; i < SETTLE + n; i++) {
		if (i == SETTLE) {
			idle = idle_time();
			start = now();
			mark(MARK_BEGIN);
		}
		c = make(client_kind);
		attach(c, client_kind);
		if (nb)
			dial_nonblock(c, &server_address);
		else
			dial(c, &server_address);
		s = accept(lfd, NULL, NULL);
		if (s < 0)
			die("accept");
		if (send(c, &byte, 1, 0) != 1 || recv(s, &byte, 1, 0) != 1 ||
		    send(s, &byte, 1, 0) != 1 || recv(c, &byte, 1, 0) != 1)
			die("one byte");
		close(c);
		close(s);
	}
	mark(MARK_END);
	end = now();
	idle = idle_time() - idle;
	close(lfd);
	report(test, "connection", "instructions", (double)(end - start - idle) / n,
	       ", \"idle\": %.0f", idle / n);
}

/* --- what is asked for ------------------------------------------------------------- */

static void tag(const char *text)
{
	const char *equal = strchr(text, '=');
	size_t len = strlen(tags);

	if (!equal)
		die("-t %s: KEY=VALUE", text);
	snprintf(tags + len, sizeof(tags) - len, "\"%.*s\": \"%s\", ", (int)(equal - text), text,
		 equal + 1);
}

static void run(const char *test)
{
	const char *colon = strchr(test, ':');
	int n = colon ? atoi(colon + 1) : 1;
	size_t len = colon ? (size_t)(colon - test) : strlen(test);

#define TEST(name) (len == strlen(name) && !strncmp(test, name, len))
	if (n < 1)
		n = 1;
	if (TEST("stream"))
		do_stream();
	else if (TEST("rr"))
		do_rr(n);
	else if (TEST("crr"))
		do_crr("crr", n, n, false);
	else if (TEST("ncrr"))
		do_crr("ncrr", n, n, true);
	else if (TEST("accept"))
		do_crr("accept", n, 1, false);
	else if (TEST("idle"))
		do_idle(n);
	else if (TEST("attached"))
		do_attached(n);
	else if (TEST("conn"))
		do_conn(n);
	else if (TEST("msg"))
		do_msg(n);
	else if (TEST("cycle"))
		do_cycle("cycle", n, false);
	else if (TEST("ncycle"))
		do_cycle("ncycle", n, true);
	else
		die("no test '%s'", test);
}

int main(int argc, char **argv)
{
	struct rlimit files = { 65536, 65536 };
	int opt;

	while ((opt = getopt(argc, argv, "s:c:g:d:t:")) != -1) {
		switch (opt) {
		case 's': server_kind = optarg; break;
		case 'c': client_kind = optarg; break;
		case 'g': cgroup = optarg; break;
		case 'd': seconds = atof(optarg); break;
		case 't': tag(optarg); break;
		default: return 2;
		}
	}
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGPIPE, SIG_IGN);
	for (; optind < argc; optind++)
		run(argv[optind]);
	return 0;
}
