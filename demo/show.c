// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: show --device smcd|smcr --expect FILE --create CGROUP --connect CGROUP KEY=VALUE...
 *
 * Puts the policy by_port in force with the options given: the TCP sockets of one cgroup are
 * attached when they are created, those of the other inside connect(2). Prints "ready", collects
 * until SIGTERM, and prints a table of the connections that were made.
 * Exit status 0 when all of them, and only they, are what FILE expects.
 *
 * There are two sources: the records of the policy, and the kernel's own sock_diag, which tells of
 * each TCP socket that is destroyed what it has sent and received as TCP. They have the socket
 * cookie in common.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/socket.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>

#include <smc_policy/event.h>
#include <smcpolicy/smcpolicy.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define WORD		48

/* As TCP, an SMC connection carries no more than the CLC handshake, on each side. */
#define MAX_CLC_BYTES	4096
#define SETTLE_SECONDS	15

struct endpoint {
	int family;
	unsigned int port;
	unsigned char addr[16];
};

/* What is known of one socket. */
struct conn {
	struct conn *next;
	uint64_t cookie;
	uint64_t time_ns;
	struct endpoint local, remote;
	char comm[SMC_EVENT_COMM_LEN], rule[SMC_EVENT_RULE_LEN];
	int origin, role, verdict, attach_error;
	bool attached, decided, listens, outcome, released, dead;
	struct smc_ulp_result result;
	uint64_t tcp_sent, tcp_received;	/* as dead TCP socket */
};

/* A line of the file. */
struct expectation {
	struct expectation *next;
	char program[WORD], attached[WORD], peer[WORD], verdict[WORD], rule[WORD];
	char outcome[WORD], reason[WORD];
	int wanted, seen;
};

static struct conn *conns;
static struct expectation *expectations;
static const char *device = "smcd";

static const char *const origins[] = { "setsockopt", "create", "bind", "connect", "accept" };
static const char *const verdicts[] = { "pass", "allow", "deny" };
static const char *const modes[] = { "TCP", "SMC-D", "SMC-R" };
#define NAME(names, i)	((size_t)(i) < ARRAY_SIZE(names) ? (names)[i] : "?")

__attribute__((format(printf, 1, 2), noreturn))
static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "show: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(1);
}

__attribute__((noreturn))
static void die_library(void)
{
	die("%s (%s)", smcpolicy_error_cause(), smcpolicy_error_cure());
}

static struct conn *conn_get(uint64_t cookie)
{
	struct conn **place = &conns;

	for (; *place; place = &(*place)->next)
		if ((*place)->cookie == cookie)
			return *place;
	*place = calloc(1, sizeof(**place));
	if (!*place)
		die("out of memory");
	(*place)->cookie = cookie;
	return *place;
}

/* A v4-mapped address is given as IPv4, as in the records. */
static void endpoint_set(struct endpoint *to, int family, const void *addr, unsigned int port)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	const unsigned char *from = addr;

	memset(to, 0, sizeof(*to));
	if (family == AF_INET6 && !memcmp(from, mapped, sizeof(mapped))) {
		family = AF_INET;
		from += sizeof(mapped);
	}
	to->family = family;
	to->port = port;
	memcpy(to->addr, from, family == AF_INET ? 4 : 16);
}

static bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->family == b->family && a->port == b->port &&
	       !memcmp(a->addr, b->addr, sizeof(a->addr));
}

static void endpoint_text(char *text, size_t size, const struct endpoint *endpoint)
{
	char addr[INET6_ADDRSTRLEN] = "?";

	inet_ntop(endpoint->family, endpoint->addr, addr, sizeof(addr));
	snprintf(text, size, endpoint->family == AF_INET6 ? "[%s]:%u" : "%s:%u", addr,
		 endpoint->port);
}

/* ---- what the policy records ---- */

static int on_event(const struct smc_event *event, void *context)
{
	struct conn *conn = conn_get(event->cookie);

	(void)context;
	if (!conn->time_ns)
		conn->time_ns = event->time_ns;
	if (event->tgid)
		memcpy(conn->comm, event->comm, sizeof(conn->comm) - 1);
	if (event->local_port)
		endpoint_set(&conn->local, event->family, event->local_addr, event->local_port);
	if (event->remote_port)
		endpoint_set(&conn->remote, event->family, event->remote_addr,
			     event->remote_port);
	switch (event->type) {
	case SMC_EVENT_ATTACH:
		conn->attached = true;
		conn->origin = event->origin;
		if (event->verdict != SMC_ULP_DENY)
			return 0;
		break;
	case SMC_EVENT_ATTACH_ERROR:
		conn->origin = event->origin;
		conn->attach_error = event->error;
		return 0;
	case SMC_EVENT_LISTEN:
		conn->listens = true;
		break;
	case SMC_EVENT_CONNECT:
		conn->role = SMC_ULP_CLIENT;
		break;
	case SMC_EVENT_RELEASE:
		conn->released = true;
		/* fallthrough */
	case SMC_EVENT_ESTABLISHED:
	case SMC_EVENT_FALLBACK:
		conn->outcome = true;
		conn->role = event->role;
		conn->result = event->result;
		return 0;
	default:
		return 0;
	}
	conn->decided = true;
	conn->verdict = event->verdict;
	memcpy(conn->rule, event->rule, sizeof(conn->rule) - 1);
	return 0;
}

/* ---- what the kernel says of TCP sockets that are destroyed ---- */

static int diag_open(void)
{
	struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = 1 << (SKNLGRP_INET_TCP_DESTROY - 1) |
			     1 << (SKNLGRP_INET6_TCP_DESTROY - 1),
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
	int size = 4 << 20;

	if (fd < 0 || bind(fd, (void *)&address, sizeof(address)))
		die("sock_diag: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

static void diag_message(const struct nlmsghdr *header)
{
	const struct inet_diag_msg *msg = NLMSG_DATA(header);
	int len = header->nlmsg_len - NLMSG_LENGTH(sizeof(*msg));
	const struct rtattr *attr = (const void *)(msg + 1);
	struct tcp_info info = {};
	struct conn *conn;

	if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY || len < 0)
		return;
	for (; RTA_OK(attr, len); attr = RTA_NEXT(attr, len))
		if (attr->rta_type == INET_DIAG_INFO)
			memcpy(&info, RTA_DATA(attr),
			       RTA_PAYLOAD(attr) < sizeof(info) ? RTA_PAYLOAD(attr) :
			       sizeof(info));
	conn = conn_get((uint64_t)msg->id.idiag_cookie[1] << 32 | msg->id.idiag_cookie[0]);
	conn->dead = true;
	conn->tcp_sent = info.tcpi_bytes_acked;
	conn->tcp_received = info.tcpi_bytes_received;
	if (!msg->id.idiag_dport)
		return;
	endpoint_set(&conn->local, msg->idiag_family, msg->id.idiag_src,
		     ntohs(msg->id.idiag_sport));
	endpoint_set(&conn->remote, msg->idiag_family, msg->id.idiag_dst,
		     ntohs(msg->id.idiag_dport));
}

static void diag_read(int fd)
{
	char buffer[32768];
	struct nlmsghdr *header;
	ssize_t len;

	while ((len = recv(fd, buffer, sizeof(buffer), 0)) > 0)
		for (header = (void *)buffer; NLMSG_OK(header, len);
		     header = NLMSG_NEXT(header, len))
			diag_message(header);
	if (len < 0 && errno != EAGAIN)
		die("sock_diag: %s", strerror(errno));
}

/* ---- rows ---- */

static struct conn *listener_of(const struct conn *conn)
{
	struct conn *other;

	for (other = conns; other; other = other->next)
		if (other->listens && other->local.port == conn->local.port)
			return other;
	return NULL;
}

static struct conn *peer_of(const struct conn *conn)
{
	struct conn *other;

	for (other = conns; other; other = other->next)
		if (other != conn && endpoint_equal(&other->local, &conn->remote) &&
		    endpoint_equal(&other->remote, &conn->local))
			return other;
	return NULL;
}

/* The client is not one of ours, so that its server has to show the connection. */
static bool is_lone_server(const struct conn *conn)
{
	struct conn *peer;

	if (conn->listens || !conn->remote.port || !listener_of(conn))
		return false;
	peer = peer_of(conn);
	return !peer || !(peer->attached || peer->decided);
}

static bool is_row(const struct conn *conn)
{
	if (conn->listens)
		return false;
	if (conn->attach_error)
		return true;
	return (conn->decided && conn->role == SMC_ULP_CLIENT) || is_lone_server(conn);
}

static bool is_smc(const struct conn *conn)
{
	return conn->outcome && conn->result.mode != SMC_ULP_MODE_TCP;
}

static bool settled(void)
{
	struct conn *conn;

	for (conn = conns; conn; conn = conn->next)
		if (is_row(conn) && (!conn->dead || (is_smc(conn) && !conn->released)))
			return false;
	return true;
}

/* ---- what is expected ---- */

static void read_expectations(const char *path)
{
	char line[512], world[WORD];
	struct expectation **last = &expectations, *e;
	FILE *file = fopen(path, "r");
	int n;

	if (!file)
		die("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		if (*line == '#' || *line == '\n')
			continue;
		e = calloc(1, sizeof(*e));
		if (!e)
			die("out of memory");
		n = sscanf(line, "%47s %47s %47s %47s %47s %47s %47s %47s %d", world, e->program,
			   e->attached, e->peer, e->verdict, e->rule, e->outcome, e->reason,
			   &e->wanted);
		if (n != 9)
			die("%s: not understood: %s", path, line);
		if (strcmp(world, "*") && strcmp(world, device)) {
			free(e);
			continue;
		}
		if (!strcmp(e->outcome, "SMC"))
			strcpy(e->outcome, modes[!strcmp(device, "smcd") ? 1 : 2]);
		*last = e;
		last = &e->next;
	}
	fclose(file);
}

static void size_text(char *text, size_t size, uint64_t bytes)
{
	if (bytes < 100000)
		snprintf(text, size, "%llu", (unsigned long long)bytes);
	else if (bytes < 10000000)
		snprintf(text, size, "%.1fk", bytes / 1e3);
	else
		snprintf(text, size, "%.1fM", bytes / 1e6);
}

static void row_reason(char *text, size_t size, const struct conn *conn)
{
	const char *name = smcpolicy_reason_name(conn->result.reason), *peer;

	if (!conn->outcome || is_smc(conn)) {
		snprintf(text, size, "-");
	} else if (conn->result.error) {
		snprintf(text, size, "%s", strerrorname_np(-conn->result.error) ?: "error");
	} else if (conn->result.peer_diagnosis) {
		peer = smcpolicy_reason_name(conn->result.peer_diagnosis);
		snprintf(text, size, "%s/%s", name ?: "?", peer ?: "?");
	} else {
		snprintf(text, size, "%s", name ?: "?");
	}
}

/* Returns what is wrong, NULL when nothing is. */
static const char *judge(const struct conn *conn, const struct expectation *row)
{
	struct expectation *e;
	bool smc = is_smc(conn);

	if (conn->attach_error)
		return "could not be attached";
	for (e = expectations; e; e = e->next)
		if (!strcmp(e->program, row->program) && !strcmp(e->attached, row->attached) &&
		    !strcmp(e->peer, row->peer))
			break;
	if (!e)
		return "not expected at all";
	e->seen++;
	if (strcmp(e->verdict, row->verdict))
		return "another verdict";
	if (strcmp(e->rule, row->rule))
		return "another rule";
	if (strcmp(e->outcome, row->outcome))
		return "another outcome";
	if (strcmp(e->reason, row->reason))
		return "another reason";
	if (!conn->dead)
		return "the socket is still there";
	if (smc && !conn->released)
		return "no release record";
	if (smc && (conn->tcp_sent > MAX_CLC_BYTES || conn->tcp_received > MAX_CLC_BYTES))
		return "data went over TCP";
	if (smc && !(conn->result.tx_bytes + conn->result.rx_bytes))
		return "no data over SMC";
	/* There was a CLC handshake at least, or we look at the wrong thing. */
	if (smc && !(conn->tcp_sent && conn->tcp_received))
		return "TCP has counted nothing";
	if (!smc && !(conn->tcp_sent + conn->tcp_received))
		return "no data over TCP";
	return NULL;
}

static bool print_row(struct conn *conn)
{
	struct conn *shown = is_lone_server(conn) ? listener_of(conn) : conn;
	struct expectation row = {};
	char from[64], to[64], addresses[160], verdict[64], outcome[112];
	char sent[24], received[24], tcp_sent[24], tcp_received[24], time[24] = "-";
	const char *wrong;

	endpoint_text(from, sizeof(from), &conn->local);
	endpoint_text(to, sizeof(to), &conn->remote);
	snprintf(row.program, sizeof(row.program), "%s", shown->comm);
	if (shown == conn) {
		snprintf(row.attached, sizeof(row.attached), "%s", NAME(origins, conn->origin));
		snprintf(row.peer, sizeof(row.peer), "%.47s", to);
		snprintf(addresses, sizeof(addresses), "%s > %s", from, to);
	} else {
		snprintf(row.attached, sizeof(row.attached), "accept");
		snprintf(row.peer, sizeof(row.peer), "<%.46s", from);
		snprintf(addresses, sizeof(addresses), "%s < %s", from, to);
	}
	snprintf(row.verdict, sizeof(row.verdict), "%s",
		 shown->decided ? NAME(verdicts, shown->verdict) : "-");
	snprintf(row.rule, sizeof(row.rule), "%s", shown->decided ? shown->rule : "-");
	snprintf(row.outcome, sizeof(row.outcome), "%s",
		 conn->outcome ? NAME(modes, conn->result.mode) : "TCP");
	row_reason(row.reason, sizeof(row.reason), conn);

	wrong = judge(conn, &row);
	snprintf(verdict, sizeof(verdict), "%.20s by %.30s", row.verdict, row.rule);
	snprintf(outcome, sizeof(outcome), "%s%s%s", row.outcome,
		 strcmp(row.reason, "-") ? " " : "", strcmp(row.reason, "-") ? row.reason : "");
	size_text(sent, sizeof(sent), is_smc(conn) ? conn->result.tx_bytes : conn->tcp_sent);
	size_text(received, sizeof(received),
		  is_smc(conn) ? conn->result.rx_bytes : conn->tcp_received);
	size_text(tcp_sent, sizeof(tcp_sent), conn->tcp_sent);
	size_text(tcp_received, sizeof(tcp_received), conn->tcp_received);
	if (conn->result.handshake_ns)
		snprintf(time, sizeof(time), "%.1fms", conn->result.handshake_ns / 1e6);
	printf("%-15s %-8s %-33s %-20s %-18s %8s %8s %8s %8s %9s  %s\n", row.program,
	       row.attached, addresses, verdict, outcome, sent, received, tcp_sent, tcp_received,
	       time, wrong ?: "ok");
	return !wrong;
}

static int compare_conns(const void *a, const void *b)
{
	const struct conn *x = *(struct conn *const *)a, *y = *(struct conn *const *)b;

	/* without records of its own: at the end */
	if (!x->time_ns != !y->time_ns)
		return x->time_ns ? -1 : 1;
	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	return x->cookie < y->cookie ? -1 : x->cookie > y->cookie;
}

static int print_table(void)
{
	struct conn *conn, **rows;
	struct expectation *e;
	int count = 0, bad = 0, i;

	for (conn = conns; conn; conn = conn->next)
		count++;
	rows = calloc(count + 1, sizeof(*rows));
	if (!rows)
		die("out of memory");
	count = 0;
	for (conn = conns; conn; conn = conn->next)
		if (is_row(conn))
			rows[count++] = conn;
	qsort(rows, count, sizeof(*rows), compare_conns);
	printf("%-15s %-8s %-33s %-20s %-18s %17s %17s %9s\n", "", "", "", "", "",
	       "program's bytes", "seen by TCP", "hand-");
	printf("%-15s %-8s %-33s %-20s %-18s %8s %8s %8s %8s %9s\n", "program", "attached",
	       "addresses", "verdict", "outcome", "sent", "received", "sent", "received", "shake");
	for (i = 0; i < count; i++)
		bad += !print_row(rows[i]);
	free(rows);
	for (e = expectations; e; e = e->next) {
		if (e->seen == e->wanted)
			continue;
		printf("%s, attached at %s, %s: %d connections and not %d\n", e->program,
		       e->attached, e->peer, e->seen, e->wanted);
		bad++;
	}
	printf("%d connections, %d not as promised\n", count, bad);
	return bad || !count;
}

/* ---- the policy ---- */

static struct smcpolicy *put_in_force(const char *name, unsigned int hook, const char *cgroup,
				      char **settings)
{
	struct smcpolicy_load_opts load = { .sz = sizeof(load), .hooks = hook };
	struct smcpolicy_attach_opts attach = { .sz = sizeof(attach), .cgroup = cgroup };
	struct smcpolicy *policy = smcpolicy__open(name, NULL);

	if (!policy)
		die_library();
	for (; settings && *settings; settings++) {
		char *equals = strchr(*settings, '=');

		if (!equals)
			die("%s: it is KEY=VALUE", *settings);
		*equals = '\0';
		if (smcpolicy__set_option(policy, *settings, equals + 1))
			die_library();
		*equals = '=';
	}
	if (smcpolicy_check(SMCPOLICY_CHECK_ALL) || smcpolicy__load(policy, &load) ||
	    smcpolicy__attach(policy, &attach))
		die_library();
	return policy;
}

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = true;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "expect", required_argument, NULL, 'e' },
		{ "create", required_argument, NULL, 'c' },
		{ "connect", required_argument, NULL, 'n' },
		{}
	};
	const char *expect = NULL, *create = NULL, *connecting = NULL;
	struct smcpolicy *by_port, *attach;
	struct smcpolicy_events *events;
	struct sigaction action = { .sa_handler = on_signal };
	struct pollfd fds[2];
	time_t end = 0;
	int status, c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'd':
			device = optarg;
			break;
		case 'e':
			expect = optarg;
			break;
		case 'c':
			create = optarg;
			break;
		case 'n':
			connecting = optarg;
			break;
		default:
			return 2;
		}
	}
	if (!expect || !create || !connecting) {
		fprintf(stderr, "usage: show --device smcd|smcr --expect FILE --create CGROUP --connect CGROUP KEY=VALUE...\n");
		return 2;
	}
	read_expectations(expect);

	fds[0] = (struct pollfd) { .fd = diag_open(), .events = POLLIN };
	by_port = put_in_force("by_port", SMCPOLICY_HOOK_CREATE, create, argv + optind);
	attach = put_in_force("attach", SMCPOLICY_HOOK_CONNECT, connecting, NULL);
	events = smcpolicy_events__new(by_port, on_event, NULL);
	if (!events)
		die_library();
	fds[1] = (struct pollfd) { .fd = smcpolicy_events__fd(events), .events = POLLIN };
	sigaction(SIGTERM, &action, NULL);
	printf("ready\n");
	fflush(stdout);

	/* After the signal, until all sockets are gone. */
	while (!end || (time(NULL) < end && !settled())) {
		poll(fds, ARRAY_SIZE(fds), 200);
		diag_read(fds[0].fd);
		c = smcpolicy_events__poll(events, 0);
		if (c < 0 && c != -EINTR)
			die_library();
		if (!end && stop)
			end = time(NULL) + SETTLE_SECONDS;
	}
	status = print_table();
	if (smcpolicy_events__lost(events)) {
		printf("%lld records were lost\n", (long long)smcpolicy_events__lost(events));
		status = 1;
	}
	smcpolicy_events__free(events);
	smcpolicy__close(attach);
	smcpolicy__close(by_port);
	return status;
}
