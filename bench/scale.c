// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: scale [-i] [-t KEY=VALUE]... connections N BATCH STEP
 *        scale [-i] [-t KEY=VALUE]... burst N
 *        scale [-i] [-t KEY=VALUE]... attached N STEP
 *        scale [-i] [-t KEY=VALUE]... rate CONNECTIONS WHAT COUNT...
 *
 * Many sockets with the ULP, both ends of each connection in this process, on 127.0.0.1. Prints a
 * line of JSON for each figure, and what it does on stderr.
 *
 *	connections	N connections that stay, BATCH at a time, each checked by a byte there and
 *			back; time and memory of each STEP of them; then closes them
 *	burst		N connect(2) at once, and what became of them
 *	attached	N sockets that are not connected: time and memory of socket(2) and of
 *			setsockopt(TCP_ULP), for each STEP
 *	rate		so many times connect, a byte there and back, close, for each COUNT of WHAT
 *			in another process: "listeners" with the ULP, "idle" sockets with the ULP,
 *			open "connections"; of any other WHAT the caller takes care
 *
 * -i: the clock is that of scripts/vm --icount, in which a nanosecond is an instruction.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/netlink.h>
#include <linux/smc_diag.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#ifndef SOL_TCP
#define SOL_TCP		6
#endif
#ifndef AF_SMC
#define AF_SMC		43
#endif
#define SETTLE		30	/* connections before what is counted */
#define CROWD_PORT	10000	/* the first of the other listeners: not an ephemeral one */
#define STUCK		60	/* seconds */

static bool icount;
static char tags[512];
static const char *doing = "start";

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *format, ...)
{
	int err = errno;
	va_list args;

	fprintf(stderr, "scale: %s: ", doing);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, ": %s\n", strerror(err));
	exit(1);
}

__attribute__((format(printf, 1, 2)))
static void progress(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "scale: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

static void stuck(int signal)
{
	static const char text[] = "scale: nothing moves for a minute\n";

	(void)signal;
	(void)!write(2, text, sizeof(text) - 1);
	_exit(1);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
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

/* --- what there is ------------------------------------------------------------- */

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
	unsigned long objects, total, size, kb;
	struct memory m = {};
	char line[512], name[64];
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

static int smc_sockets(void)
{
	FILE *f = fopen("/proc/net/protocols", "r");
	char line[256], name[64];
	int size, n, count = 0;

	if (!f)
		die("/proc/net/protocols");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %d %d", name, &size, &n) == 3 && !strcmp(name, "SMC"))
			count = n;
	fclose(f);
	return count;
}

/* Rows of smc_diag, and how many of them are SMC-D with a connection. */
static int diag(int *smcd)
{
	struct {
		struct nlmsghdr nlh;
		struct smc_diag_req req;
	} msg = {
		.nlh = {
			.nlmsg_len = sizeof(msg),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		},
		.req.diag_family = AF_SMC,
	};
	static char answer[1 << 16] __attribute__((aligned(8)));
	const struct smc_diag_msg *row;
	const struct nlmsghdr *nlh;
	int fd, rows = 0, len;

	*smcd = 0;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (fd < 0 || send(fd, &msg, sizeof(msg), 0) != sizeof(msg))
		die("smc_diag");
	for (;;) {
		len = recv(fd, answer, sizeof(answer), 0);
		if (len <= 0)
			die("smc_diag");
		for (nlh = (void *)answer; NLMSG_OK(nlh, (unsigned int)len);
		     nlh = NLMSG_NEXT(nlh, len)) {
			if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR) {
				close(fd);
				return rows;
			}
			row = NLMSG_DATA(nlh);
			rows++;
			*smcd += row->diag_mode == SMC_DIAG_MODE_SMCD && row->diag_state == 1;
		}
	}
}

/* --- sockets ------------------------------------------------------------------------ */

static struct sockaddr_in server_address;
static int lfd;

static int plain(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	return fd;
}

static void attach(int fd)
{
	if (setsockopt(fd, SOL_TCP, TCP_ULP, "smc", 3))
		die("TCP_ULP");
}

static int attached(void)
{
	int fd = plain();

	attach(fd);
	return fd;
}

static int listener(int port, struct sockaddr_in *address)
{
	socklen_t len = sizeof(*address);
	int fd = attached(), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	memset(address, 0, sizeof(*address));
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address->sin_port = htons(port);
	if (bind(fd, (void *)address, len) || listen(fd, 4096) ||
	    getsockname(fd, (void *)address, &len))
		die("listen");
	return fd;
}

/* Without what was sent again: on a busy host the last message of the handshake may be, later. */
static unsigned long long tcp_sent(int fd)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, SOL_TCP, TCP_INFO, &info, &len))
		die("TCP_INFO");
	return info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
}

/* A byte there and back between two ends that need not be each other's. */
static void byte(int from, int to, char value)
{
	char got = ~value;

	if (send(from, &value, 1, MSG_NOSIGNAL) != 1)
		die("send");
	if (to >= 0 && (recv(to, &got, 1, 0) != 1 || got != value))
		die("recv");
}

static void start_connect(int fd)
{
	fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
	if (connect(fd, (void *)&server_address, sizeof(server_address)) && errno != EINPROGRESS)
		die("connect");
}

/* 0 or an error */
static int end_connect(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int err = 0;

	if (poll(&pfd, 1, STUCK * 1000) != 1)
		return ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
		die("SO_ERROR");
	fcntl(fd, F_SETFL, O_RDWR);
	return err;
}

/* --- many connections ------------------------------------------------------------------ */

/* Opens n connections at once; returns how many are SMC. */
static int open_batch(int *fds, int n)
{
	unsigned long long before[n];
	int i, smc = 0;
	char value;

	for (i = 0; i < n; i++) {
		fds[i] = attached();
		start_connect(fds[i]);
	}
	for (i = 0; i < n; i++) {
		errno = end_connect(fds[i]);
		if (errno)
			die("connection %d of the batch", i);
		before[i] = tcp_sent(fds[i]);
		byte(fds[i], -1, 'a' + i % 26);
	}
	for (i = 0; i < n; i++) {
		fds[n + i] = accept(lfd, NULL, NULL);
		if (fds[n + i] < 0)
			die("accept");
		if (recv(fds[n + i], &value, 1, 0) != 1)
			die("recv");
		byte(fds[n + i], -1, value);
	}
	for (i = 0; i < n; i++) {
		if (recv(fds[i], &value, 1, 0) != 1 || value != 'a' + i % 26)
			die("the byte of connection %d is not its own", i);
		smc += tcp_sent(fds[i]) == before[i];
	}
	return smc;
}

/* Waits until no SMC sock is left; returns how many are. */
static int wait_gone(double limit)
{
	double end = now() + limit;
	int n, smcd;

	while ((n = smc_sockets() + diag(&smcd)) && now() < end)
		usleep(10000);
	return n;
}

static void do_connections(int n, int batch, int step)
{
	struct memory start, before, after;
	double spent = 0, t, each, slabs;
	int i, j, got = 0, smc = 0, smcd, rows, socks;
	int *fds = calloc(2 * n + 2 * batch, sizeof(*fds));

	if (!fds)
		die("calloc");
	doing = "connections";
	memset(fds, 1, (2 * n + 2 * batch) * sizeof(*fds));	/* no page faults later */
	start = memory();
	lfd = listener(0, &server_address);
	open_batch(fds, 1);
	close(fds[0]);
	close(fds[1]);
	before = memory();
	for (i = 0; i < n; i += batch) {
		alarm(STUCK);
		t = now();
		got = open_batch(fds + 2 * i, batch);
		spent += now() - t;
		smc += got;
		if ((i + batch) % step)
			continue;
		alarm(0);
		after = memory();
		socks = smc_sockets() - 1;	/* the listener */
		rows = diag(&smcd);
		j = i + batch;
		each = spent * 1e3 / step;
		slabs = (after.slabs - before.slabs) / step;
		progress("%d connections, SMC %d (%d socks, smc_diag: %d rows, %d active SMC-D): %.2f ms, slabs %.0f B, other %.0f B each",
			 j, smc, socks, rows, smcd, each, slabs,
			 (after.used - before.used) / step - slabs);
		report("connections", "step", "ms", each,
		       ", \"connections\": %d, \"smc\": %d, \"smc_socks\": %d, \"smcd_rows\": %d, \"slabs\": %.0f, \"other\": %.0f, \"ctx\": %.2f",
		       j, smc, socks, smcd, slabs, (after.used - before.used) / step - slabs,
		       (after.ctx - before.ctx) / step);
		before = after;
		spent = 0;
	}
	report("connections", "SMC at once", "connections", smc, "%s", "");
	doing = "all of them once more";
	alarm(2 * STUCK);
	for (i = 0; i < n; i += batch)	/* the ends of a batch are in two halves, not in order */
		for (j = 0; j < batch; j++)
			byte(fds[2 * i + j], -1, 'x');
	for (i = 0; i < n; i += batch) {
		for (j = 0; j < batch; j++) {
			char value;

			if (recv(fds[2 * i + batch + j], &value, 1, 0) != 1 || value != 'x')
				die("recv");
		}
	}
	doing = "close";
	t = now();
	for (i = 0; i < 2 * n; i++)
		close(fds[i]);
	close(lfd);
	spent = now() - t;
	i = wait_gone(STUCK);
	t = now() - t;
	alarm(0);
	after = memory();
	progress("closed in %.1f s, gone after %.1f s: %d SMC socks left, %.0f ctx, slabs %+.0f B, other %+.0f B",
		 spent, t, i, after.ctx - start.ctx, after.slabs - start.slabs,
		 after.used - start.used - (after.slabs - start.slabs));
	report("connections", "closed", "s", t,
	       ", \"left_socks\": %d, \"left_ctx\": %.0f, \"left_slabs\": %.0f, \"left_other\": %.0f",
	       i, after.ctx - start.ctx, after.slabs - start.slabs,
	       after.used - start.used - (after.slabs - start.slabs));
	free(fds);
	if (i || after.ctx > start.ctx) {
		errno = EBUSY;
		die("something is left");
	}
}

/* connect(2) by n clients at once, before any is served: who is not SMC? */
static void do_burst(int n)
{
	unsigned long long *before = calloc(n, sizeof(*before));
	int *fds = calloc(2 * n, sizeof(*fds)), i, smc = 0, tcp = 0, reset = 0;
	char value;
	double t;

	if (!fds || !before)
		die("calloc");
	doing = "burst";
	alarm(2 * STUCK);
	lfd = listener(0, &server_address);
	open_batch(fds, 1);
	close(fds[0]);
	close(fds[1]);
	for (i = 0; i < n; i++)
		fds[i] = attached();
	t = now();
	for (i = 0; i < n; i++)
		start_connect(fds[i]);
	for (i = 0; i < n; i++) {
		if (end_connect(fds[i])) {
			close(fds[i]);
			fds[i] = -1;
			reset++;
			continue;
		}
		before[i] = tcp_sent(fds[i]);
		byte(fds[i], -1, 'b');
	}
	t = now() - t;
	for (i = 0; i < n - reset; i++) {
		struct pollfd pfd = { .fd = lfd, .events = POLLIN };

		if (poll(&pfd, 1, 5000) != 1)
			die("%d of %d for accept", i, n - reset);
		fds[n + i] = accept(lfd, NULL, NULL);
		if (fds[n + i] < 0)
			die("accept");
		if (recv(fds[n + i], &value, 1, 0) != 1)
			die("recv");
		byte(fds[n + i], -1, value);
	}
	for (i = 0; i < n; i++) {
		if (fds[i] < 0)
			continue;
		if (recv(fds[i], &value, 1, 0) != 1)
			die("recv");
		if (tcp_sent(fds[i]) == before[i])
			smc++;
		else
			tcp++;
		close(fds[i]);
	}
	for (i = 0; i < n - reset; i++)
		close(fds[n + i]);
	close(lfd);
	i = wait_gone(STUCK);
	alarm(0);
	progress("%d at once: %d SMC, %d TCP, %d reset, %.1f s, %d SMC socks left", n, smc, tcp,
		 reset, t, i);
	report("burst", "SMC", "connections", smc,
	       ", \"connections\": %d, \"tcp\": %d, \"reset\": %d, \"left_socks\": %d", n, tcp,
	       reset, i);
	free(fds);
	free(before);
}

/* --- many idle sockets ------------------------------------------------------------------ */

static void do_attached(int n, int step)
{
	struct memory start, made, after;
	double t, first = 0, last = 0, all = 0, making;
	int *fds = calloc(n, sizeof(*fds)), i;

	if (!fds)
		die("calloc");
	doing = "attached";
	memset(fds, 1, n * sizeof(*fds));
	i = plain();
	fcntl(dup2(i, n + 10), F_GETFD);	/* the table of descriptors has its size */
	close(n + 10);
	close(i);
	start = memory();
	t = now();
	for (i = 0; i < n; i++)
		fds[i] = plain();
	making = now() - t;
	made = memory();
	progress("%d sockets, %.1f us each", n, making * 1e6 / n);
	t = now();
	for (i = 0; i < n; i++) {
		attach(fds[i]);
		if ((i + 1) % step)
			continue;
		t = now() - t;
		if (i + 1 == step)
			first = t;
		last = t;
		all += t;
		progress("%d attached, %.2f us each", i + 1, t * 1e6 / step);
		report("attached", "step", "us", t * 1e6 / step, ", \"sockets\": %d", i + 1);
		t = now();
	}
	after = memory();
	progress("each: TCP %.0f B slabs, %.0f B other; attached %+.0f B slabs, %+.0f B other, %.2f ctx; the last %d at %.2f of the time of the first",
		 (made.slabs - start.slabs) / n,
		 (made.used - start.used - made.slabs + start.slabs) / n,
		 (after.slabs - made.slabs) / n,
		 (after.used - made.used - after.slabs + made.slabs) / n,
		 (after.ctx - made.ctx) / n, step, last / first);
	report("attached", "rate", "1/s", n / all, ", \"sockets\": %d, \"socket_rate\": %.0f, \"last_to_first\": %.3f",
	       n, n / making, last / first);
	report("attached", "memory", "B", (after.used - start.used) / n,
	       ", \"sockets\": %d, \"tcp_slabs\": %.1f, \"tcp_other\": %.1f, \"slabs\": %.1f, \"other\": %.1f, \"ctx\": %.3f",
	       n, (made.slabs - start.slabs) / n,
	       (made.used - start.used - made.slabs + start.slabs) / n,
	       (after.slabs - made.slabs) / n,
	       (after.used - made.used - after.slabs + made.slabs) / n, (after.ctx - made.ctx) / n);
	t = now();
	for (i = 0; i < n; i++)
		close(fds[i]);
	t = now() - t;
	after = memory();
	progress("closed, %.1f us each: %.0f ctx left, slabs %+.0f B", t * 1e6 / n,
		 after.ctx - start.ctx, after.slabs - start.slabs);
	report("attached", "closed", "us", t * 1e6 / n, ", \"left_ctx\": %.0f, \"left_slabs\": %.0f",
	       after.ctx - start.ctx, after.slabs - start.slabs);
	free(fds);
	if (after.ctx > start.ctx) {
		errno = EBUSY;
		die("something is left");
	}
}

/* --- rate --------------------------------------------------------------------------------- */

static int crowd_request, crowd_answer;

/* Another process that has as many of them as it is told to. */
static void crowd(int request, int answer, const char *what)
{
	int (*fds)[2] = calloc(1 << 18, sizeof(*fds)), n = 0, want;
	struct sockaddr_in address;

	doing = "crowd";
	if (!fds)
		die("calloc");
	lfd = !strcmp(what, "connections") ? listener(0, &server_address) : -1;
	while (read(request, &want, sizeof(want)) == sizeof(want)) {
		for (; n < want; n++) {
			if (lfd >= 0) {
				if (open_batch(fds[n], 1) != 1)
					die("connection %d is TCP, %d SMC sockets", n,
					    smc_sockets());
			} else if (!strcmp(what, "listeners")) {
				fds[n][0] = listener(CROWD_PORT + n, &address);
			} else {
				fds[n][0] = attached();
			}
		}
		while (n > want) {
			close(fds[--n][0]);
			if (lfd >= 0)
				close(fds[n][1]);
		}
		if (write(answer, &n, sizeof(n)) != sizeof(n))
			break;
	}
	exit(0);
}

static pid_t start_crowd(const char *what)
{
	int to[2], from[2];
	pid_t pid;

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		close(to[1]);
		close(from[0]);
		crowd(to[0], from[1], what);
	}
	close(to[0]);
	close(from[1]);
	crowd_request = to[1];
	crowd_answer = from[0];
	return pid;
}

static void set_crowd(int n)
{
	int got;

	if (write(crowd_request, &n, sizeof(n)) != sizeof(n) ||
	    read(crowd_answer, &got, sizeof(got)) != sizeof(got) || got != n)
		die("crowd of %d", n);
}

/* Seconds that the CPUs were idle; a tick's worth is as exact as it gets. */
static double idle_time(void)
{
	double up, idle = 0;
	FILE *f = fopen("/proc/uptime", "r");

	if (!f || fscanf(f, "%lf %lf", &up, &idle) != 2)
		die("/proc/uptime");
	fclose(f);
	return idle;
}

static bool one_connection(bool check)
{
	unsigned long long before = 0;
	bool smc = true;
	int c, s;

	c = attached();
	if (connect(c, (void *)&server_address, sizeof(server_address)))
		die("connect");
	s = accept(lfd, NULL, NULL);
	if (s < 0)
		die("accept");
	if (check)
		before = tcp_sent(c);
	byte(c, s, 'c');
	byte(s, c, 's');
	if (check)
		smc = tcp_sent(c) == before;
	close(c);
	close(s);
	return smc;
}

static void measure_rate(int connections, const char *what, int count)
{
	double start = 0, idle = 0;
	int i;

	for (i = 0; i < SETTLE + connections; i++) {
		if (i == SETTLE) {
			idle = idle_time();
			start = now();
		}
		if (!one_connection(i < SETTLE))
			die("a connection is TCP");
	}
	start = now() - start;
	idle = idle_time() - idle;
	if (!one_connection(true))
		die("a connection is TCP");
	if (icount) {
		progress("%s %d: %.0f instructions each (idle: %.0f)", what, count,
			 (start - idle) * 1e9 / connections, idle * 1e9 / connections);
		report("rate", what, "instructions", (start - idle) * 1e9 / connections,
		       ", \"count\": %d", count);
	} else {
		progress("%s %d: %.0f connections/s", what, count, connections / start);
		report("rate", what, "1/s", connections / start, ", \"count\": %d", count);
	}
}

static void do_rate(int connections, const char *what, int argc, char **argv)
{
	pid_t pid = 0;
	int i;

	doing = what;
	if (!strcmp(what, "listeners") || !strcmp(what, "idle") || !strcmp(what, "connections"))
		pid = start_crowd(what);
	lfd = listener(0, &server_address);
	for (i = 0; i < argc; i++) {
		alarm(2 * STUCK);
		if (pid) {
			set_crowd(atoi(argv[i]));
			sleep(1);	/* what was closed */
		}
		measure_rate(connections, what, atoi(argv[i]));
	}
	close(lfd);
	if (pid) {
		close(crowd_request);
		waitpid(pid, NULL, 0);
	}
}

/* --- what is asked for ---------------------------------------------------------------------- */

static void tag(const char *text)
{
	const char *equal = strchr(text, '=');
	size_t len = strlen(tags);

	if (!equal)
		die("-t %s: KEY=VALUE", text);
	snprintf(tags + len, sizeof(tags) - len, "\"%.*s\": \"%s\", ", (int)(equal - text), text,
		 equal + 1);
}

int main(int argc, char **argv)
{
	struct rlimit files = { 200000, 200000 };
	int opt;

	while ((opt = getopt(argc, argv, "it:")) != -1) {
		switch (opt) {
		case 'i': icount = true; break;
		case 't': tag(optarg); break;
		default: return 2;
		}
	}
	argc -= optind;
	argv += optind;
	if (setrlimit(RLIMIT_NOFILE, &files))
		die("RLIMIT_NOFILE");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, stuck);
	if (argc == 4 && !strcmp(argv[0], "connections"))
		do_connections(atoi(argv[1]), atoi(argv[2]), atoi(argv[3]));
	else if (argc == 2 && !strcmp(argv[0], "burst"))
		do_burst(atoi(argv[1]));
	else if (argc == 3 && !strcmp(argv[0], "attached"))
		do_attached(atoi(argv[1]), atoi(argv[2]));
	else if (argc >= 4 && !strcmp(argv[0], "rate"))
		do_rate(atoi(argv[1]), argv[2], argc - 3, argv + 3);
	else
		return 2;
	return 0;
}
