// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tracepoints smc_ulp:*, from outside, through tracefs: their fields are those that are
 * documented, and they tell what happened to a connection, once. Broken by events that are
 * missing, come twice or with the values of another connection.
 */
#include <sys/stat.h>

#include "policy_helpers.h"

#define TRACEFS "/sys/kernel/tracing"
#define INSTANCE TRACEFS "/instances/smc_ulp_test"

/* One line of the trace: "NAME: field=value ..." */
struct event {
	char name[32];
	char text[512];
};

static bool trace_open(void)
{
	if (access(TRACEFS "/instances", F_OK) && sys("mount -t tracefs none " TRACEFS))
		return false;
	rmdir(INSTANCE);
	return ASSERT_OK(mkdir(INSTANCE, 0700), "instance of tracefs") &&
	       ASSERT_OK(write_file(INSTANCE "/events/smc_ulp/enable", "1"), "enable events");
}

static void trace_close(void)
{
	write_file(INSTANCE "/events/smc_ulp/enable", "0");
	ASSERT_OK(rmdir(INSTANCE), "remove the instance");
}

static void trace_clear(void)
{
	FILE *f = fopen(INSTANCE "/trace", "w");

	if (f)
		fclose(f);
}

/* Events of socket @cookie (0: any) called @name: how many, and the last one */
static int trace_find(const char *name, __u64 cookie, struct event *event)
{
	FILE *f = fopen(INSTANCE "/trace", "r");
	char line[1024], key[64], id[40], *at;
	int n = 0;

	if (!f)
		return -1;
	snprintf(key, sizeof(key), " %s: ", name);
	snprintf(id, sizeof(id), " cookie=%llu ", (unsigned long long)cookie);
	while (fgets(line, sizeof(line), f)) {
		at = strstr(line, key);
		if (*line == '#' || !at || (cookie && !strstr(at, id)))
			continue;
		n++;
		snprintf(event->name, sizeof(event->name), "%s", name);
		snprintf(event->text, sizeof(event->text), "%s", at + strlen(key));
		event->text[strcspn(event->text, "\n")] = 0;
	}
	fclose(f);
	return n;
}

/* Exactly one, soon */
static bool trace_one(const char *name, __u64 cookie, struct event *event)
{
	memset(event, 0, sizeof(*event));
	WAIT_FOR(trace_find(name, cookie, event) == 1, 3000);
	return ASSERT_EQ(trace_find(name, cookie, event), 1, name);
}

static const char *trace_str(const struct event *event, const char *field)
{
	static char value[128];
	char key[40];
	const char *at;

	snprintf(key, sizeof(key), "%s=", field);
	*value = 0;
	for (at = event->text; (at = strstr(at, key)); at++) {
		if (at != event->text && at[-1] != ' ')
			continue;
		snprintf(value, sizeof(value), "%.*s", (int)strcspn(at + strlen(key), " "),
			 at + strlen(key));
		break;
	}
	return value;
}

static unsigned long long trace_u64(const struct event *event, const char *field)
{
	return strtoull(trace_str(event, field), NULL, 0);
}

/* What is in docs/tracing.rst */
static void formats(void)
{
	static const struct {
		const char *event, *fields;
	} known[] = {
		{ "smc_ulp_attach", "cookie family origin rc" },
		{ "smc_ulp_verdict", "cookie callback verdict rule policy local remote" },
		{ "smc_ulp_handshake", "cookie role origin local remote" },
		{ "smc_ulp_outcome", "cookie handshake_ns role origin mode version reason "
				     "peer_diagnosis error lgr_id rule local remote" },
		{ "smc_ulp_close", "cookie tx_bytes rx_bytes lifetime_ns role mode rule local "
				   "remote" },
		{ "smc_ulp_refuse", "cookie reason reset local remote" },
	};
	char path[128], line[2048], fields[512], *end;
	unsigned int i;
	FILE *f;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		snprintf(path, sizeof(path), INSTANCE "/events/smc_ulp/%s/format", known[i].event);
		f = fopen(path, "r");
		if (!ASSERT_OK_PTR(f, path))
			continue;
		*fields = 0;
		while (fgets(line, sizeof(line), f)) {
			if (strncmp(line, "\tfield:", 7) || strstr(line, "common_"))
				continue;
			*strchr(line, ';') = 0;
			end = strchr(line, '[');
			if (end)
				*end = 0;
			snprintf(fields + strlen(fields), sizeof(fields) - strlen(fields), "%s%s",
				 *fields ? " " : "", strrchr(line, ' ') + 1);
		}
		fclose(f);
		ASSERT_STREQ(fields, known[i].fields, known[i].event);
	}
}

static void check_addresses(const struct event *event, int fd)
{
	char text[64];

	snprintf(text, sizeof(text), "127.0.0.1:%d", sock_port(fd));
	ASSERT_STREQ(trace_str(event, "local"), text, "local");
	snprintf(text, sizeof(text), "127.0.0.1:%d", sock_peer_port(fd));
	ASSERT_STREQ(trace_str(event, "remote"), text, "remote");
}

/* Both ends of a connection, from attach to close */
static void connection(void)
{
	const char *mode = env.world == WORLD_SMCD ? "smcd" :
			   env.world == WORLD_SMCR ? "smcr" : "tcp";
	__u64 cookie[2];
	struct policy policy;
	struct event event;
	struct pair pair;
	int i, lfd, fd[2];

	if (!policy_open(&policy, true))
		return;
	trace_clear();
	policy_set(&policy, CB_CONNECT, SMC_ULP_ALLOW);
	lfd = sock_listen(ULP, V4, 4);
	pair.client = sock_connect_to(lfd, ULP, V4);
	pair.server = accept(lfd, NULL, NULL);
	if (!ASSERT_OK_FD(pair.server, "accept") || !ping_pong(pair.client, pair.server))
		goto out;
	fd[0] = pair.client;
	fd[1] = pair.server;

	if (trace_one("smc_ulp_attach", sock_cookie(lfd), &event)) {
		ASSERT_STREQ(trace_str(&event, "origin"), "setsockopt", "origin");
		ASSERT_STREQ(trace_str(&event, "family"), "inet", "family");
		ASSERT_STREQ(trace_str(&event, "rc"), "0", "rc");
	}
	for (i = 0; i < 2; i++) {
		const char *role = i ? "server" : "client";

		cookie[i] = sock_cookie(fd[i]);
		if (trace_one("smc_ulp_handshake", cookie[i], &event)) {
			ASSERT_STREQ(trace_str(&event, "role"), role, "role");
			ASSERT_STREQ(trace_str(&event, "origin"), i ? "accept" : "setsockopt",
				     "origin");
			check_addresses(&event, fd[i]);
		}
		if (trace_one("smc_ulp_outcome", cookie[i], &event)) {
			ASSERT_STREQ(trace_str(&event, "role"), role, "role");
			ASSERT_STREQ(trace_str(&event, "mode"), mode, "mode");
			ASSERT_STREQ(trace_str(&event, "error"), "0", "error");
			ASSERT_GT(trace_u64(&event, "handshake_ns"), 0, "handshake_ns");
			check_addresses(&event, fd[i]);
			if (env.world != WORLD_NONE) {
				ASSERT_EQ(trace_u64(&event, "reason"), 0, "reason");
				ASSERT_GT(trace_u64(&event, "lgr_id"), 0, "lgr_id");
			} else if (i) {
				ASSERT_EQ(trace_u64(&event, "reason"), REASON_PEER_DECLINED,
					  "reason");
				ASSERT_EQ(trace_u64(&event, "peer_diagnosis"), REASON_NO_DEVICE,
					  "peer_diagnosis");
			} else {
				ASSERT_EQ(trace_u64(&event, "reason"), REASON_NO_DEVICE, "reason");
			}
		}
		ASSERT_EQ(trace_find("smc_ulp_close", cookie[i], &event), 0, "closed");
	}
	send_pattern(pair.client, 1, 0, 10000);
	recv_pattern(pair.server, 1, 0, 10000);
	pair_close(&pair);
	for (i = 0; i < 2; i++) {
		if (env.world == WORLD_NONE) {
			ASSERT_EQ(trace_find("smc_ulp_close", cookie[i], &event), 0,
				  "a connection over TCP is not watched");
			continue;
		}
		if (!trace_one("smc_ulp_close", cookie[i], &event))
			continue;
		/* ping_pong() has sent 500 bytes, and 700 back */
		ASSERT_EQ(trace_u64(&event, i ? "rx_bytes" : "tx_bytes"), 10500, "bytes");
		ASSERT_EQ(trace_u64(&event, i ? "tx_bytes" : "rx_bytes"), 700, "bytes back");
		ASSERT_GT(trace_u64(&event, "lifetime_ns"), 0, "lifetime_ns");
		ASSERT_STREQ(trace_str(&event, "mode"), mode, "mode");
	}
out:
	pair_close(&pair);
	sock_close(&lfd);
	policy_close(&policy);
}

/* Verdicts and refusals: who decided, about what, and why */
static void verdicts(void)
{
	struct policy policy;
	struct event event;
	char text[64];
	int lfd, fd;

	if (!policy_open(&policy, true))
		return;
	lfd = sock_listen(TCP, V4, 4);
	trace_clear();
	policy_set(&policy, CB_CONNECT, SMC_ULP_DENY);
	fd = sock_connect_to(lfd, ULP, V4);
	/* one of init, one of connect */
	ASSERT_EQ(trace_find("smc_ulp_verdict", sock_cookie(fd), &event), 2, "verdicts");
	ASSERT_STREQ(trace_str(&event, "callback"), "connect", "callback");
	ASSERT_STREQ(trace_str(&event, "verdict"), "deny", "verdict");
	ASSERT_STREQ(trace_str(&event, "policy"), "first", "policy");
	snprintf(text, sizeof(text), "127.0.0.1:%d", sock_port(lfd));
	ASSERT_STREQ(trace_str(&event, "remote"), text, "remote");
	if (trace_one("smc_ulp_outcome", sock_cookie(fd), &event)) {
		ASSERT_EQ(trace_u64(&event, "reason"), SMC_ULP_REASON_POLICY, "reason");
		ASSERT_STREQ(trace_str(&event, "mode"), "tcp", "mode");
	}
	sock_close(&fd);

	policy_set(&policy, CB_CONNECT, SMC_ULP_ALLOW);
	policy_set(&policy, CB_FALLBACK, SMC_ULP_ABORT);
	fd = sock_make(ULP, V4);
	ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), ECONNABORTED, "connect");
	ASSERT_EQ(trace_find("smc_ulp_verdict", sock_cookie(fd), &event), 3, "verdicts");
	ASSERT_STREQ(trace_str(&event, "callback"), "fallback", "callback");
	ASSERT_STREQ(trace_str(&event, "verdict"), "abort", "verdict");
	if (trace_one("smc_ulp_outcome", sock_cookie(fd), &event)) {
		ASSERT_EQ(trace_u64(&event, "reason"), REASON_PEER_NO_SMC, "reason");
		ASSERT_EQ((int)strtol(trace_str(&event, "error"), NULL, 10), -ECONNABORTED,
			  "error");
	}
	if (trace_one("smc_ulp_refuse", sock_cookie(fd), &event)) {
		ASSERT_EQ(trace_u64(&event, "reason"), SMC_ULP_REASON_POLICY, "reason");
		ASSERT_STREQ(trace_str(&event, "reset"), "1", "reset");
	}
	sock_close(&fd);
	sock_close(&lfd);

	policy_set(&policy, CB_FALLBACK, SMC_ULP_GO_ON);
	fd = sock_make(ULP, V4);
	ASSERT_OK(sock_set(fd, SOL_SOCKET, SO_ZEROCOPY, 1), "SO_ZEROCOPY");
	lfd = sock_listen(ULP, V4, 4);
	ASSERT_OK(sock_connect(fd, V4, sock_port(lfd)), "connect");
	if (trace_one("smc_ulp_outcome", sock_cookie(fd), &event))
		ASSERT_EQ(trace_u64(&event, "reason"), SMC_ULP_REASON_SOCKET, "reason");
	sock_close(&fd);
	/* the listener's fault: each SYN with the option is answered as by TCP */
	ASSERT_OK(sock_set(lfd, SOL_SOCKET, SO_ZEROCOPY, 1), "SO_ZEROCOPY");
	fd = sock_connect_to(lfd, ULP, V4);
	if (trace_one("smc_ulp_refuse", sock_cookie(lfd), &event)) {
		ASSERT_EQ(trace_u64(&event, "reason"), SMC_ULP_REASON_SOCKET, "reason");
		ASSERT_STREQ(trace_str(&event, "reset"), "0", "reset");
	}
	if (trace_one("smc_ulp_outcome", sock_cookie(fd), &event))
		ASSERT_EQ(trace_u64(&event, "reason"), REASON_PEER_NO_SMC, "reason");
	sock_close(&fd);
	sock_close(&lfd);
	policy_close(&policy);
}

/* Of what fails before there is anything to decide */
static void refused_attach(void)
{
	struct event event;
	struct pair pair;

	if (!pair_make(&pair, TCP, TCP, V4))
		return;
	trace_clear();
	ASSERT_ERRNO(ulp_set(pair.client, "smc"), EISCONN, "TCP_ULP");
	if (trace_one("smc_ulp_attach", sock_cookie(pair.client), &event))
		ASSERT_EQ((int)strtol(trace_str(&event, "rc"), NULL, 10), -EISCONN, "rc");
	pair_close(&pair);
}

TEST(trace, WORLD_ALL, 60, TEST_NEEDS_ULP)
{
	if (!trace_open())
		return;
	if (test__start_subtest("formats"))
		formats();
	if (test__start_subtest("connection"))
		connection();
	if (test__start_subtest("verdicts"))
		verdicts();
	if (test__start_subtest("refused_attach"))
		refused_attach();
	trace_close();
}
