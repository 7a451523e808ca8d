// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * What can be tested of the library without a kernel module: objects, options, names; and with it,
 * the readers of events. Needs the policies of bpf_progs/ in SMCPOLICY_OBJECT_PATH. TAP output.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>

#include <smc_policy/event.h>
#include <smcpolicy/smcpolicy.h>

static int number, failures;

#define OK(condition, ...) do {								\
	bool _ok = (condition);								\
											\
	printf("%sok %d - ", _ok ? "" : "not ", ++number);				\
	printf(__VA_ARGS__);								\
	putchar('\n');									\
	if (!_ok) {									\
		printf("# line %d: errno %d, \"%s\"; \"%s\"\n", __LINE__, errno,	\
		       smcpolicy_error_cause(), smcpolicy_error_cure());		\
		failures++;								\
	}										\
} while (0)

static const struct smcpolicy_option *option(struct smcpolicy *policy, const char *key)
{
	const struct smcpolicy_option *o = NULL;

	while ((o = smcpolicy__next_option(policy, o)))
		if (!strcmp(smcpolicy_option__key(o), key))
			return o;
	return NULL;
}

/* Sets an option of a policy of its own; the value afterwards, or the errno, is to be @expected. */
static void test_set(const char *name, const char *key, const char *value, const char *expected,
		     int error)
{
	struct smcpolicy *policy = smcpolicy__open(name, NULL);
	int err = policy ? smcpolicy__set_option(policy, key, value) : -errno;

	if (error)
		OK(err == -error && errno == error && *smcpolicy_error_cause() &&
		   *smcpolicy_error_cure(), "%s: %s=%s is refused: %s", name, key, value,
		   smcpolicy_error_cause());
	else
		OK(!err && !strcmp(smcpolicy_option__value(option(policy, key)), expected),
		   "%s: %s=%s is %s", name, key, value, expected);
	smcpolicy__close(policy);
}

static void test_options(void)
{
	test_set("by_port", "allow_ports", "443", "443", 0);
	test_set("by_port", "allow_ports", "8002,80,8001,8000-8003,80", "80,8000-8003", 0);
	test_set("by_port", "allow_ports", "1-65535", "1-65535", 0);
	test_set("by_port", "allow_ports", "0", NULL, ERANGE);
	test_set("by_port", "allow_ports", "65536", NULL, ERANGE);
	test_set("by_port", "allow_ports", "80-70", NULL, EINVAL);
	test_set("by_port", "allow_ports", "80-", NULL, EINVAL);
	test_set("by_port", "allow_ports", "-80", NULL, EINVAL);
	test_set("by_port", "allow_ports", "", NULL, EINVAL);
	test_set("by_port", "allow_ports", "80,", NULL, EINVAL);
	test_set("by_port", "allow_ports", "99999999999999999999", NULL, EINVAL);
	test_set("by_port", "allow_addr", "127.0.0.1", "127.0.0.1", 0);
	test_set("by_port", "allow_addr", "10.1.2.3/8", "10.0.0.0/8", 0);
	test_set("by_port", "allow_addr", "0.0.0.0/0", "0.0.0.0/0", 0);
	test_set("by_port", "allow_addr", "::1", "::1", 0);
	test_set("by_port", "allow_addr", "fe80::1/10", "fe80::/10", 0);
	test_set("by_port", "allow_addr", "::/0", "::/0", 0);
	test_set("by_port", "allow_addr", "::ffff:10.0.0.1", "10.0.0.1", 0);
	test_set("by_port", "allow_addr", "10.0.0.0/33", NULL, EINVAL);
	test_set("by_port", "allow_addr", "::/129", NULL, EINVAL);
	test_set("by_port", "allow_addr", "localhost", NULL, EINVAL);
	test_set("by_port", "default", "allow", "allow", 0);
	test_set("by_port", "default", "allo", NULL, EINVAL);
	test_set("by_port", "default", "1", NULL, EINVAL);
	test_set("by_port", "default", "", NULL, EINVAL);
	test_set("by_port", "events", "no", "no", 0);
	test_set("by_port", "nonsense", "1", NULL, ENOENT);
	test_set("by_pid_addr", "pid", "1,4294967295", "1,4294967295", 0);
	test_set("by_pid_addr", "pid", "4294967296", NULL, EINVAL);
	test_set("by_pid_addr", "comm", "nginx,redis-server", "nginx,redis-server", 0);
	test_set("by_pid_addr", "comm", "sixteen-letters!", NULL, EINVAL);
	test_set("by_pid_addr", "comm", "", NULL, EINVAL);
}

static void test_policy(void)
{
	struct smcpolicy *policy = smcpolicy__open("by_port", NULL);

	OK(policy, "open by_port");
	if (!policy)
		return;
	OK(!strcmp(smcpolicy__name(policy), "by_port"), "its name");
	OK(!strcmp(smcpolicy__description(policy), "SMC or TCP by port and by peer address"),
	   "its description");
	OK(smcpolicy__has_ops(policy), "it gives verdicts");
	OK(smcpolicy__hooks(policy) == (SMCPOLICY_HOOK_CREATE | SMCPOLICY_HOOK_BIND |
					SMCPOLICY_HOOK_CONNECT), "it can attach at all hooks");
	OK(option(policy, "default") &&
	   !strcmp(smcpolicy_option__value(option(policy, "default")), "deny") &&
	   !strcmp(smcpolicy_option__choices(option(policy, "default")), "pass|allow|deny"),
	   "default value and choices of an enum");
	OK(!smcpolicy__set_option(policy, "allow_ports", "80") &&
	   !smcpolicy__set_option(policy, "allow_ports", "81") &&
	   !strcmp(smcpolicy_option__value(option(policy, "allow_ports")), "80-81"),
	   "values of a list are added");
	OK(smcpolicy__set_option(policy, "deny_ports", "70-90") == -EEXIST,
	   "a port in both lists is refused");
	OK(smcpolicy__attach(policy, NULL) == -EINVAL, "attach before load is refused");
	OK(smcpolicy__pin(policy, NULL) == -EINVAL, "pin before attach is refused");
	smcpolicy__close(policy);

	policy = smcpolicy__open("attach", NULL);
	OK(policy && !smcpolicy__has_ops(policy) && !strcmp(smcpolicy__name(policy), "attach"),
	   "a policy without verdicts");
	smcpolicy__close(policy);
	smcpolicy__close(NULL);
}

static void test_open_fails(const char *name, int error)
{
	struct smcpolicy *policy = smcpolicy__open(name, NULL);

	OK(!policy && errno == error && *smcpolicy_error_cause(), "%s is refused: %s", name,
	   smcpolicy_error_cause());
	smcpolicy__close(policy);
}

static void test_objects(void)
{
	char path[] = "/tmp/smcpolicy_test.XXXXXX";
	/* the beginning of a BPF object */
	static const char header[64] = { 0x7f, 'E', 'L', 'F', 2, 1, 1, [16] = 1, [18] = (char)247 };
	int fd = mkstemp(path);

	test_open_fails("nonsense", ENOENT);
	test_open_fails("/nonsense/nonsense.bpf.o", ENOENT);
	test_open_fails("/tmp/", EISDIR);
	test_open_fails("/bin/sh", EINVAL);
	test_open_fails("", EINVAL);
	test_open_fails(path, EINVAL);
	if (write(fd, header, sizeof(header)) == sizeof(header))
		test_open_fails(path, EINVAL);
	close(fd);
	unlink(path);
}

static int ignore_event(const struct smc_event *event, void *context)
{
	(void)event;
	(void)context;
	return 0;
}

/* A process that reads, and is killed without a chance to say so. */
static bool read_and_die(struct smcpolicy *policy)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (smcpolicy_events__new(policy, ignore_event, NULL))
			raise(SIGKILL);
		_exit(1);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status);
}

static void test_readers(struct smcpolicy *policy)
{
	struct smcpolicy_events *readers[SMC_EVENT_READERS + 1] = {};
	int i, good = 0;

	for (i = 0; i < SMC_EVENT_READERS; i++)
		good += read_and_die(policy);
	OK(good == SMC_EVENT_READERS, "%d readers are killed", good);
	for (i = 0, good = 0; i < SMC_EVENT_READERS; i++) {
		readers[i] = smcpolicy_events__new(policy, ignore_event, NULL);
		good += !!readers[i];
	}
	OK(good == SMC_EVENT_READERS, "... and leave room for %d others", good);
	readers[i] = smcpolicy_events__new(policy, ignore_event, NULL);
	OK(!readers[i] && errno == EBUSY, "one more is refused: %s", smcpolicy_error_cause());
	smcpolicy_events__free(readers[3]);
	readers[3] = smcpolicy_events__new(policy, ignore_event, NULL);
	OK(readers[3], "when one ends, there is room for another");
	OK(readers[3] && !smcpolicy_events__poll(readers[3], 0) &&
	   !smcpolicy_events__lost(readers[3]) &&
	   !strcmp(smcpolicy_events__name(readers[3]), "allow_all"), "nothing to read, nothing lost");
	for (i = 0; i < SMC_EVENT_READERS; i++)
		smcpolicy_events__free(readers[i]);
	smcpolicy_events__free(NULL);
}

static void test_events(void)
{
	struct smcpolicy *policy = smcpolicy__open("allow_all", NULL);

	OK(policy && !smcpolicy_events__new(policy, ignore_event, NULL) && errno == EINVAL,
	   "events before load are refused");
	if (!policy || smcpolicy__load(policy, NULL))
		printf("ok %d - readers of events # SKIP %s\n", ++number, smcpolicy_error_cause());
	else
		test_readers(policy);
	smcpolicy__close(policy);

	policy = smcpolicy__open("allow_all", NULL);
	if (!policy || smcpolicy__set_option(policy, "events", "no") ||
	    smcpolicy__load(policy, NULL))
		printf("ok %d - events=no # SKIP %s\n", ++number, smcpolicy_error_cause());
	else
		OK(!smcpolicy_events__new(policy, ignore_event, NULL) && errno == ENODATA,
		   "events=no cannot be read: %s", smcpolicy_error_cause());
	smcpolicy__close(policy);
}

int main(void)
{
	struct smcpolicy_host host = { .sz = sizeof(host) };
	struct smcpolicy_load_opts bad = { .sz = 1 };
	struct smcpolicy *policy;

	test_policy();
	test_options();
	test_objects();
	test_events();

	OK(!smcpolicy_host(&host) && host.kernel[0], "the host's kernel is %s", host.kernel);
	policy = smcpolicy__open("allow_all", NULL);
	OK(policy && smcpolicy__load(policy, &bad) == -EINVAL, "an options struct without size is refused");
	smcpolicy__close(policy);
	OK(smcpolicy_check(1U << 31) == -EINVAL, "an unknown check is refused");
	OK(!strcmp(smcpolicy_reason_name(0x03010000), "PEERNOSMC") &&
	   !strcmp(smcpolicy_reason_name(-ECONNRESET), "ECONNRESET") &&
	   !smcpolicy_reason_name(0) && !smcpolicy_reason_name(0x12345678) &&
	   !smcpolicy_reason_text(0x12345678), "names of reasons");
	OK(!strcmp(smcpolicy_reason_name(0x0b010000), "POLICY") &&
	   smcpolicy_reason_cause(0x0b010000) && smcpolicy_reason_cure(0x0b010000) &&
	   !smcpolicy_reason_cause(0x12345678) && !smcpolicy_reason_cure(-ECONNRESET),
	   "what helps");
	OK(smcpolicy_unload("a/b") < 0 && smcpolicy_unload("") < 0, "bad names of pins are refused");
	printf("1..%d\n", number);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
