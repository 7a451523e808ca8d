// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Files of rules: what is refused, with line and column; and that classes decide as one does who
 * reads the rules from top to bottom. TAP output.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <unistd.h>

#include "../src/rules.h"

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

static char dir[] = "/tmp/smcpolicy_rules_test.XXXXXX";
static char file[64], list[64];

static void write_file(const char *path, const char *text)
{
	FILE *out = fopen(path, "w");

	if (!out || fputs(text, out) < 0 || fclose(out)) {
		perror(path);
		exit(EXIT_FAILURE);
	}
}

/* ---- what is refused ---- */

/* @where is LINE:COLUMN, of the file or of the list. */
static void test_refused(const char *text, const char *where, const char *cause)
{
	struct smcpolicy_rules *rules;
	char expected[128];

	write_file(file, text);
	rules = smcpolicy_rules__read(file);
	snprintf(expected, sizeof(expected), ":%s: ", where);
	OK(!rules && strstr(smcpolicy_error_cause(), expected) &&
	   strstr(smcpolicy_error_cause(), cause) && *smcpolicy_error_cure(), "refused: %s",
	   smcpolicy_error_cause());
	smcpolicy_rules__free(rules);
}

static void test_syntax(void)
{
	struct smcpolicy_rules *rules;
	char *many = calloc(1, 64 * SMC_RULE_MAX);
	int i;

	test_refused("permit peer 10.0.0.0/8\n", "1:1", "'permit' begins no rule");
	test_refused("\n# comment\n  allow port 80 port 81\n", "3:17", "two conditions 'port'");
	test_refused("allow peer 10.0.0.0/33\n", "1:12", "'10.0.0.0/33' is not a prefix");
	test_refused("allow peer 10.0.0.0/8,localhost\n", "1:23", "'localhost' is not a prefix");
	test_refused("allow peer 10.0.0.0/8, 11.0.0.0/8\n", "1:23", "'' is not a prefix");
	test_refused("allow peer 10.0.0.0/8 11.0.0.0/8\n", "1:23", "is not a condition");
	test_refused("allow peer\n", "1:11", "'peer' has no value");
	test_refused("allow port 0\n", "1:12", "out of range");
	test_refused("allow port 1-65536\n", "1:12", "out of range");
	test_refused("allow port 90-80\n", "1:12", "'90-80' is not a port");
	test_refused("allow uid root\n", "1:11", "'root' is not a uid");
	test_refused("allow comm sixteen-letters!\n", "1:12", "is not the name of a thread");
	test_refused("allow cgroup system.slice\n", "1:14", "is not the path of a cgroup");
	test_refused("allow cgroup /no/such/cgroup\n", "1:14", "there is no cgroup");
	test_refused("allow netns no-such-netns\n", "1:13", "no network namespace no-such-netns");
	test_refused("allow peer @set\n", "1:12", "there are no prefixes set");
	test_refused("prefixes set\n", "1:13", "prefixes set is empty");
	test_refused("prefixes set from\n", "1:18", "name of a file is missing");
	test_refused("prefixes set from no-such-file\n", "1:19", "No such file");
	test_refused("prefixes a/b 10.0.0.0/8\n", "1:10", "a name is missing");
	test_refused("prefixes a 10.0.0.0/8\nprefixes a ::1\n", "2:10", "prefixes a already");
	test_refused("prefixes a 10.0.0.0/8 name\n", "1:23", "'name' is too much");
	test_refused("allow port 80 client\n", "1:15", "'client' is in the wrong place");
	test_refused("allow both port 80\n", "1:7", "'both' is not a condition");
	test_refused("allow name a-name-of-twenty-four-let\n", "1:12", "name of a rule");
	test_refused("default require\n", "1:9", "'require' cannot be the default");
	test_refused("default deny\ndefault allow\n", "2:9", "two defaults");
	test_refused("default deny port 80\n", "1:14", "'port' is too much");
	test_refused("require peer 10.0.0.0/8\n", "1:1", "no meaning for servers");
	test_refused("pass server peer 10.0.0.0/8\n", "1:1", "no meaning for servers");
	test_refused("deny peer 10.0.0.0/8 port 80-90\nrequire server port 85\n", "2:1",
		     "that line 1 keeps on TCP");
	write_file(list, "10.0.0.0/8 # ten\n\n11.0.0.0/8,comment\n  12.0.0.0/8x\n");
	test_refused("prefixes a from list\n", "4:3", "list:4:3: '12.0.0.0/8x' is not a prefix");
	for (i = 0; i < SMC_RULE_MAX; i++)
		sprintf(many + strlen(many), "allow port %d\n", i + 1);
	test_refused(many, "1024:1", "more than 1023 rules");
	free(many);

	write_file(file, "require server port 80\ndeny peer 10.0.0.0/8\nrequire server port 85\n");
	rules = smcpolicy_rules__read(file);
	OK(!rules, "a rule without ports concerns all ports");
	smcpolicy_rules__free(rules);
	write_file(file, "deny peer 10.0.0.0/8 port 80-84\nrequire server port 85\n"
		   "require client peer 10.0.0.0/8\n");
	rules = smcpolicy_rules__read(file);
	OK(rules && smcpolicy_rules__count(rules) == 3, "other ports, or clients, may be required");
	smcpolicy_rules__free(rules);
	write_file(file, "");
	rules = smcpolicy_rules__read(file);
	OK(rules && !smcpolicy_rules__count(rules) &&
	   rules->config.default_verdict == SMC_ULP_DENY, "no rules: all is denied");
	smcpolicy_rules__free(rules);
	write_file(file, "allow\t\tclient\tport 80\r\ndefault  pass # all else");
	rules = smcpolicy_rules__read(file);
	OK(rules && smcpolicy_rules__count(rules) == 1 &&
	   rules->config.default_verdict == SMC_ULP_PASS &&
	   !strcmp(rules->rules[1].name, "rule 1") && rules->rules[1].line == 1,
	   "tabs, carriage returns, no newline at the end");
	smcpolicy_rules__free(rules);
	OK(!smcpolicy_rules__read("/nonsense/rules") && errno == ENOENT &&
	   strstr(smcpolicy_error_cause(), "/nonsense/rules"), "a file that is not there");
	OK(!smcpolicy_rules__read("/tmp") && errno == EISDIR, "a directory");
}

/* ---- what they decide ---- */

static uint64_t seed = 20261126;

static uint32_t pick(uint32_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (seed >> 33) % n;
}

/* Few bits differ, so that prefixes contain each other. */
static void pick_address(char *text, size_t size, bool v6)
{
	if (v6)
		snprintf(text, size, "2001:db8:%x::%x", pick(4), pick(4));
	else
		snprintf(text, size, "10.%u.%u.%u", pick(4), pick(4) * 64, pick(4));
}

struct reference {
	uint32_t verdict;
	bool client, server;
	int peers, ports, uids;
	struct { unsigned char addr[16]; uint32_t len; } peer[8];
	struct { uint32_t first, last; } port[4];
	uint32_t uid[4];
};

static struct reference reference[400];
static int reference_count;

static void make_rules(int count)
{
	static const char * const verdicts[] = { "pass", "allow", "deny" };
	FILE *out = fopen(file, "w");
	char text[INET6_ADDRSTRLEN + 4];
	int i, j;

	reference_count = count;
	memset(reference, 0, sizeof(reference));
	for (i = 0; i < count; i++) {
		struct reference *r = &reference[i];
		int side = pick(3);

		r->verdict = pick(3);
		r->client = side != 1;
		r->server = side != 0;
		/* a condition that is not allowed */
		if (r->server && r->verdict == SMC_ULP_PASS)
			r->verdict = SMC_ULP_ALLOW;
		fprintf(out, "%s%s", verdicts[r->verdict],
			side == 0 ? " client" : side == 1 ? " server" : "");
		r->peers = pick(4) ? 1 + pick(8) : 0;
		for (j = 0; j < r->peers; j++) {
			bool v6 = pick(3) == 0;

			pick_address(text, sizeof(text), v6);
			sprintf(text + strlen(text), "/%u", v6 ? 32 + pick(97) : 8 + pick(25));
			fprintf(out, "%s%s", j ? "," : " peer ", text);
			smcp_parse_addr(text, r->peer[j].addr, &r->peer[j].len);
		}
		r->ports = pick(2) ? 1 + pick(4) : 0;
		for (j = 0; j < r->ports; j++) {
			r->port[j].first = 1 + pick(100);
			r->port[j].last = r->port[j].first + pick(20);
			fprintf(out, "%s%u-%u", j ? "," : " port ", r->port[j].first,
				r->port[j].last);
		}
		r->uids = pick(4) ? 0 : 1 + pick(4);
		for (j = 0; j < r->uids; j++) {
			r->uid[j] = pick(6);
			fprintf(out, "%s%u", j ? "," : " uid ", r->uid[j]);
		}
		fprintf(out, "\n");
	}
	fclose(out);
}

static bool in_prefix(const unsigned char *addr, const unsigned char *prefix, uint32_t len)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		if ((addr[i / 8] ^ prefix[i / 8]) & 0x80 >> i % 8)
			return false;
	return true;
}

static int decide_by_reading(const unsigned char *peer, uint32_t port, uint32_t uid, bool client)
{
	int i, j;

	for (i = 0; i < reference_count; i++) {
		const struct reference *r = &reference[i];

		if (client ? !r->client : !r->server)
			continue;
		for (j = 0; j < r->peers; j++)
			if (in_prefix(peer, r->peer[j].addr, r->peer[j].len))
				break;
		if (r->peers && j == r->peers)
			continue;
		for (j = 0; j < r->ports; j++)
			if (r->port[j].first <= port && port <= r->port[j].last)
				break;
		if (r->ports && j == r->ports)
			continue;
		for (j = 0; j < r->uids; j++)
			if (r->uid[j] == uid)
				break;
		if (r->uids && j == r->uids)
			continue;
		return i + 1;
	}
	return 0;
}

/* What the BPF program does, with the longest match by looking at all */
static int decide_by_classes(const struct smcpolicy_rules *rules, const unsigned char *peer,
			     uint32_t port, uint32_t uid, bool client)
{
	const struct entries *peers = &rules->entries[SMC_RULE_PEER];
	const struct entries *uids = &rules->entries[SMC_RULE_UID];
	uint32_t classes[4] = {
		client ? SMC_RULE_CLIENT : SMC_RULE_SERVER,
		SMC_RULE_ANY + SMC_RULE_PEER, rules->ports->class[port],
		SMC_RULE_ANY + SMC_RULE_UID,
	};
	int longest = -1, rule;
	uint32_t len, key;
	size_t i;

	for (i = 0; i < peers->count; i++) {
		memcpy(&len, peers->list[i].key, sizeof(len));
		if ((int)len > longest && in_prefix(peer, peers->list[i].key + 4, len)) {
			longest = len;
			classes[1] = peers->list[i].class;
		}
	}
	for (i = 0; i < uids->count; i++) {
		memcpy(&key, uids->list[i].key, sizeof(key));
		if (key == uid)
			classes[3] = uids->list[i].class;
	}
	for (rule = 1; rule <= (int)rules->config.count; rule++) {
		for (i = 0; i < ARRAY_SIZE(classes); i++)
			if (!class_has(&rules->classes[classes[i]], rule))
				break;
		if (i == ARRAY_SIZE(classes))
			return rule;
	}
	return 0;
}

static void test_decisions(int count)
{
	int i, wrong = 0, matched = 0, expected, found;
	struct smcpolicy_rules *rules;
	char text[INET6_ADDRSTRLEN];
	unsigned char peer[16];
	uint32_t len;

	make_rules(count);
	rules = smcpolicy_rules__read(file);
	for (i = 0; rules && i < 5000; i++) {
		uint32_t port = 1 + pick(130), uid = pick(8);
		bool client = pick(2);

		memset(peer, 0, sizeof(peer));
		pick_address(text, sizeof(text), pick(3) == 0);
		smcp_parse_addr(text, peer, &len);
		expected = decide_by_reading(peer, port, uid, client);
		found = decide_by_classes(rules, peer, port, uid, client);
		matched += !!expected;
		if (expected != found && !wrong++)
			printf("# %s peer %s port %u uid %u: rule %d, not %d\n",
			       client ? "client" : "server", text, port, uid, found, expected);
	}
	OK(rules && !wrong && matched, "%d rules: %d connections of 5000 match, %d wrong", count,
	   matched, wrong);
	smcpolicy_rules__free(rules);
}

/* A list as long as those of providers are; a prefix of it within one of another list */
static void test_many(void)
{
	FILE *out = fopen(list, "w");
	struct smcpolicy_rules *rules;
	unsigned char peer[16] = {};
	char text[32];
	uint32_t i, len;
	int wrong = 0;

	for (i = 0; i < 200000; i++)
		fprintf(out, "%u.%u.%u.0/24\n", 1 + i / 65536, i / 256 % 256, i % 256);
	fclose(out);
	write_file(file, "prefixes many from list\n"
		   "deny peer 1.2.3.128/25,2.0.0.0/9\nallow peer @many\nallow client peer 0.0.0.0/0 port 7\n");
	rules = smcpolicy_rules__read(file);
	OK(rules && smcpolicy_rules__prefix_count(rules) == 200003 &&
	   smcpolicy_rules__class_count(rules) < 32, "200000 prefixes make few classes");
	for (i = 0; rules && i < 4; i++) {
		static const struct { const char *peer; int rule; } cases[] = {
			{ "1.2.3.127", 2 }, { "1.2.3.129", 1 }, { "2.127.9.9", 1 }, { "200.1.1.1", 3 },
		};

		strcpy(text, cases[i].peer);
		smcp_parse_addr(text, peer, &len);
		wrong += decide_by_classes(rules, peer, 7, 0, true) != cases[i].rule;
	}
	OK(rules && !wrong, "... and decide in order");
	smcpolicy_rules__free(rules);
}

int main(void)
{
	if (!mkdtemp(dir))
		return EXIT_FAILURE;
	snprintf(file, sizeof(file), "%s/rules", dir);
	snprintf(list, sizeof(list), "%s/list", dir);
	test_syntax();
	test_decisions(1);
	test_decisions(5);
	test_decisions(63);
	test_decisions(64);
	test_decisions(65);
	test_decisions(400);
	test_many();
	unlink(file);
	unlink(list);
	rmdir(dir);
	printf("1..%d\n", number);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
