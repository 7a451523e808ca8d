// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "cli.h"

#include <arpa/inet.h>
#include <signal.h>
#include <smc_policy/event.h>

static const char *const types[] = {
	"unknown", "attach", "attach-error", "connect", "listen", "established", "fallback",
	"release", "syn",
};
static const char *const verdicts[] = { "pass", "allow", "deny", "require" };
static const char *const fallback_verdicts[] = { "go-on", "abort" };
static const char *const origins[] = { "setsockopt", "create", "bind", "connect", "accept", "sockopt" };
static const char *const modes[] = { "tcp", "smcd", "smcr" };
static const char *const roles[] = { "client", "server" };
#define NAME(names, i)	((i) < ARRAY_SIZE(names) ? (names)[i] : "unknown")

/* A verdict before there is anything to tell of the connection */
static bool is_decision(const struct smc_event *event)
{
	return event->type < SMC_EVENT_ESTABLISHED || event->type == SMC_EVENT_SYN;
}

static volatile sig_atomic_t stop;	/* the signal */
static bool connections;
static long limit, seen;

static void on_signal(int number)
{
	stop = number;
}

static void add_address(struct json_object *object, const char *key, const char *port_key,
			const struct smc_event *event, const uint8_t *address, uint16_t port)
{
	char text[INET6_ADDRSTRLEN] = "";

	inet_ntop(event->family, address, text, sizeof(text));
	add_string(object, key, text);
	add_number(object, port_key, port);
}

static void add_known(struct json_object *object, const char *key, const char *text)
{
	if (text)
		add_string(object, key, text);
}

static struct json_object *event_json(const struct smc_event *event)
{
	struct json_object *object = json_object_new_object();
	const struct smc_ulp_result *result = &event->result;
	const char *reason = smcpolicy_reason_name(result->reason);

	add_number(object, "time_ns", event->time_ns);
	add_string(object, "type", NAME(types, event->type));
	add_chars(object, "policy", event->policy, sizeof(event->policy));
	add_number(object, "cookie", event->cookie);
	add_number(object, "cgroup_id", event->cgroup_id);
	add_number(object, "uid", event->uid);
	if (event->tgid) {
		add_number(object, "pid", event->tgid);
		add_number(object, "tid", event->tid);
		add_chars(object, "comm", event->comm, sizeof(event->comm));
	}
	if (event->type == SMC_EVENT_ATTACH || event->type == SMC_EVENT_ATTACH_ERROR) {
		add_string(object, "origin", NAME(origins, event->origin));
	} else {
		add_string(object, "role", NAME(roles, event->role));
		add_address(object, "local_addr", "local_port", event, event->local_addr,
			    event->local_port);
		if (event->type != SMC_EVENT_LISTEN)
			add_address(object, "remote_addr", "remote_port", event,
				    event->remote_addr, event->remote_port);
	}
	if (event->type == SMC_EVENT_ATTACH_ERROR)
		add_number(object, "error", event->error);
	else if (event->type == SMC_EVENT_FALLBACK)
		add_string(object, "verdict", NAME(fallback_verdicts, event->verdict));
	else if (is_decision(event))
		add_string(object, "verdict", NAME(verdicts, event->verdict));
	if (is_decision(event)) {
		add_chars(object, "rule", event->rule, sizeof(event->rule));
		return object;
	}

	add_number(object, "rule_number", result->rule);
	add_string(object, "mode", NAME(modes, result->mode));
	if (event->type == SMC_EVENT_FALLBACK) {
		add_number(object, "reason", result->reason);
		add_string(object, "reason_name", reason ? reason : "");
		add_known(object, "reason_text", smcpolicy_reason_text(result->reason));
		add_known(object, "reason_cause", smcpolicy_reason_cause(result->reason));
		add_known(object, "reason_cure", smcpolicy_reason_cure(result->reason));
		add_number(object, "peer_diagnosis", result->peer_diagnosis);
		add_number(object, "error", result->error);
		return object;
	}
	add_number(object, "smc_version", result->version);
	add_number(object, "link_group", result->lgr_id);
	add_chars(object, "eid", result->eid, sizeof(result->eid));
	add_chars(object, "peer_hostname", result->peer_hostname, sizeof(result->peer_hostname));
	add_number(object, "sndbuf", result->sndbuf);
	add_number(object, "rcvbuf", result->rcvbuf);
	add_number(object, "handshake_ns", result->handshake_ns);
	if (event->type == SMC_EVENT_RELEASE) {
		add_number(object, "tx_bytes", result->tx_bytes);
		add_number(object, "rx_bytes", result->rx_bytes);
		add_number(object, "lifetime_ns", result->lifetime_ns);
	}
	return object;
}

static void print_address(const struct smc_event *event, const uint8_t *address, uint16_t port)
{
	char text[INET6_ADDRSTRLEN] = "?";

	inet_ntop(event->family, address, text, sizeof(text));
	printf(strchr(text, ':') ? "[%s]:%u" : "%s:%u", text, port);
}

static void print_text(const struct smc_event *event)
{
	const struct smc_ulp_result *result = &event->result;
	const char *reason = smcpolicy_reason_name(result->reason);

	printf("%llu.%06llu %-12s ", event->time_ns / 1000000000ULL,
	       event->time_ns / 1000 % 1000000, NAME(types, event->type));
	if (event->type == SMC_EVENT_ATTACH || event->type == SMC_EVENT_ATTACH_ERROR) {
		printf("%s", NAME(origins, event->origin));
	} else {
		printf("%s ", NAME(roles, event->role));
		print_address(event, event->local_addr, event->local_port);
		if (event->type != SMC_EVENT_LISTEN) {
			printf(" > ");
			print_address(event, event->remote_addr, event->remote_port);
		}
	}
	switch (event->type) {
	case SMC_EVENT_ATTACH_ERROR:
		printf(" error: %s", strerror(-event->error));
		break;
	case SMC_EVENT_ESTABLISHED:
		printf(" %s v%u handshake %lluus", NAME(modes, result->mode), result->version,
		       result->handshake_ns / 1000);
		break;
	case SMC_EVENT_FALLBACK:
		printf(" %s %s (0x%08x)", NAME(fallback_verdicts, event->verdict),
		       reason ? reason : "", result->reason);
		if (result->error)
			printf(" error: %s", strerror(-result->error));
		break;
	case SMC_EVENT_RELEASE:
		printf(" %s tx %llu rx %llu lifetime %lluus", NAME(modes, result->mode),
		       result->tx_bytes, result->rx_bytes, result->lifetime_ns / 1000);
		break;
	default:
		printf(" %s by %.*s", NAME(verdicts, event->verdict), SMC_EVENT_RULE_LEN,
		       event->rule);
	}
	if (result->rule)
		printf(" rule %u", result->rule);
	if (event->tgid)
		printf(" pid %u (%.*s)", event->tgid, SMC_EVENT_COMM_LEN, event->comm);
	printf("\n");
}

static int on_event(const struct smc_event *event, void *context)
{
	(void)context;
	if (connections && is_decision(event))
		return 0;
	if (cli.json)
		print_json(event_json(event));
	else
		print_text(event);
	if (fflush(stdout))
		return -EIO;
	return ++seen == limit ? -ECANCELED : 0;
}

static int trace_set(int key, const char *value)
{
	char *end;

	if (key == 'C') {
		connections = true;
		return 0;
	}
	limit = strtol(value, &end, 10);
	if (end == value || *end || limit <= 0)
		return usage("--count '%s': it is a number from 1 on", value);
	return 0;
}

static int trace(int argc, char **argv)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };
	struct sigaction action = { .sa_handler = on_signal }, before;
	struct smcpolicy_events *events;
	int status = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		sigaction(numbers[i], &action, &before);
		/* as nohup wants it */
		if (before.sa_handler == SIG_IGN && i >= 2)
			sigaction(numbers[i], &before, NULL);
	}
	events = smcpolicy_events__open(argc ? argv[0] : NULL, on_event, NULL);
	if (!events)
		return fail_library();
	note("tracing %s: what happens from now on", smcpolicy_events__name(events));
	while (!stop) {
		int n = smcpolicy_events__poll(events, 500);

		if (n == -ECANCELED && seen == limit)
			break;
		if (n < 0 && n != -EINTR) {
			status = n == -EIO ? cli.failed : fail_library();
			break;
		}
	}
	/* What happened before the signal, unless there is another. */
	if (stop && stop != SIGPIPE) {
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		if (!status && (!limit || seen < limit))
			smcpolicy_events__poll(events, 0);
	}
	if (smcpolicy_events__lost(events) > 0)
		warn("read them faster, for instance into a file",
		     "%lld records were lost", (long long)smcpolicy_events__lost(events));
	smcpolicy_events__free(events);
	/* The program we write to has ended: as without a handler. */
	if (stop == SIGPIPE) {
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
	}
	return status;
}

const struct command cmd_trace = {
	.name = "trace",
	.arguments = "[NAME] [--connections] [--count N]",
	.help = "print what a policy decides, and what becomes of connections\n\n"
		"A line, with -j a JSON object, for each record of the policy NAME or of the one\n"
		"in force, from now on until interrupted or until the policy is unloaded. A\n"
		"policy writes records only while somebody traces it, so there is nothing to see\n"
		"of the time before. On stderr is said when it begins.",
	.options = (const struct cli_option[]) {
		{ 'c', "count", "N", "end after N records" },
		{ 'C', "connections", NULL, "outcomes only: established, fallback, release" },
		{}
	},
	.max_args = 1,
	.set = trace_set,
	.run = trace,
};
