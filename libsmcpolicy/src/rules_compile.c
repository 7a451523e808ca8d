// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * From rules to classes, see smc_policy/rules.h: for each value that rules name, the set of rules
 * whose condition it meets; each set is kept once and has a number.
 */
#include <stdio.h>

#include "rules.h"

#define HASH_SIZE	(4 * SMC_RULE_CLASS_MAX)	/* power of two */
#define KEY_MAX		sizeof(((struct entry *)0)->key)
/* What a class cannot be: the rules do not fit. */
#define NO_CLASS	UINT32_MAX

static uint32_t hash_class(const struct smc_rule_class *class)
{
	uint64_t hash = 0;
	int i;

	for (i = 0; i < SMC_RULE_WORDS; i++)
		hash = (hash ^ class->rules[i]) * 0x9e3779b97f4a7c15ULL;
	return hash >> 32 & (HASH_SIZE - 1);
}

/* Number of a new class. */
static uint32_t add_class(struct smcpolicy_rules *rules, const struct smc_rule_class *class)
{
	struct smc_rule_class *classes = rules->classes;
	uint32_t n = rules->class_count;

	if (n == SMC_RULE_CLASS_MAX) {
		smcp_error(E2BIG, "use fewer prefix lists that overlap in different ways",
			   "%s: its prefixes are in more than %d different sets of rules",
			   rules->config.file, SMC_RULE_CLASS_MAX);
		return NO_CLASS;
	}
	if (!(n & (n - 1))) {	/* a power of two, or none */
		classes = reallocarray(classes, n ? 2 * n : 1, sizeof(*classes));
		if (!classes) {
			smcp_no_memory();
			return NO_CLASS;
		}
		rules->classes = classes;
	}
	classes[n] = *class;
	return rules->class_count++;
}

/* Number of the class with these rules. */
static uint32_t find_class(struct smcpolicy_rules *rules, const struct smc_rule_class *class)
{
	uint32_t at = hash_class(class), n;

	for (; rules->class_hash[at]; at = (at + 1) & (HASH_SIZE - 1)) {
		n = rules->class_hash[at];
		if (!memcmp(&rules->classes[n], class, sizeof(*class)))
			return n;
	}
	n = add_class(rules, class);
	if (n != NO_CLASS)
		rules->class_hash[at] = n;
	return n;
}

static void class_or(struct smc_rule_class *class, const struct smc_rule_class *other)
{
	int i;

	for (i = 0; i < SMC_RULE_WORDS; i++)
		class->rules[i] |= other->rules[i];
}

static const struct smc_rule_class *any(const struct smcpolicy_rules *rules, int dimension)
{
	return &rules->classes[SMC_RULE_ANY + dimension];
}

static int add_entry(struct entries *entries, const void *key, size_t size, uint32_t class)
{
	struct entry *entry = &entries->list[entries->count];

	if (class == NO_CLASS)
		return -errno;
	memcpy(entry->key, key, size);
	entry->class = class;
	entries->count++;
	return 0;
}

static int make_room(struct entries *entries, size_t count)
{
	entries->list = calloc(count ?: 1, sizeof(*entries->list));
	if (entries->list)
		return 0;
	smcp_no_memory();
	return -ENOMEM;
}

/* ---- prefixes ---- */

/* Shorter ones before those that they contain */
static int by_prefix(const void *a, const void *b)
{
	const struct fact *x = a, *y = b;
	int order = memcmp(x->key.addr.addr, y->key.addr.addr, 16);

	return order ?: (int)x->key.addr.prefixlen - (int)y->key.addr.prefixlen;
}

static bool contains(const struct fact *prefix, const struct fact *other)
{
	uint32_t len = prefix->key.addr.prefixlen, rest = len % 8;
	const unsigned char *x = prefix->key.addr.addr, *y = other->key.addr.addr;

	return other->key.addr.prefixlen >= len && !memcmp(x, y, len / 8) &&
	       (!rest || !((x[len / 8] ^ y[len / 8]) >> (8 - rest)));
}

static int compile_prefixes(struct smcpolicy_rules *rules, int dimension)
{
	struct { const struct fact *prefix; uint32_t class; } around[130];
	struct facts *facts = &rules->facts[dimension];
	struct entries *entries = &rules->entries[dimension];
	struct smc_rule_class class;
	uint32_t number, outer;
	size_t i, j;
	int depth = 0, err;

	err = make_room(entries, facts->count);
	if (facts->count)
		qsort(facts->list, facts->count, sizeof(*facts->list), by_prefix);
	for (i = 0; i < facts->count && !err; i = j) {
		const struct fact *prefix = &facts->list[i];

		while (depth && !contains(around[depth - 1].prefix, prefix))
			depth--;
		outer = depth ? around[depth - 1].class : (uint32_t)SMC_RULE_ANY + dimension;
		class = rules->classes[outer];
		for (j = i; j < facts->count && !by_prefix(prefix, &facts->list[j]); j++)
			class_or(&class, &rules->groups[facts->list[j].group]);
		/* What is around says the same: the trie needs no node. */
		if (!memcmp(&class, &rules->classes[outer], sizeof(class)))
			continue;
		number = find_class(rules, &class);
		around[depth].prefix = prefix;
		around[depth++].class = number;
		err = add_entry(entries, &prefix->key.addr, sizeof(prefix->key.addr), number);
	}
	return err;
}

/* ---- ports ---- */

static int compile_ports(struct smcpolicy_rules *rules)
{
	const struct facts *facts = &rules->facts[SMC_RULE_PORT];
	struct smc_rule_class class;
	uint32_t port, number = SMC_RULE_ANY + SMC_RULE_PORT;
	bool *edge = calloc(65537, sizeof(*edge));
	size_t i;

	rules->ports = calloc(1, sizeof(*rules->ports));
	if (!rules->ports || !edge) {
		free(edge);
		smcp_no_memory();
		return -ENOMEM;
	}
	for (i = 0; i < facts->count; i++) {
		edge[facts->list[i].key.number] = true;
		edge[facts->list[i].last + 1] = true;
	}
	for (port = 0; port < 65536 && number != NO_CLASS; port++) {
		if (edge[port]) {
			class = *any(rules, SMC_RULE_PORT);
			for (i = 0; i < facts->count; i++)
				if (facts->list[i].key.number <= port &&
				    port <= facts->list[i].last)
					class_or(&class, &rules->groups[facts->list[i].group]);
			number = find_class(rules, &class);
		}
		rules->ports->class[port] = number;
	}
	free(edge);
	return number == NO_CLASS ? -errno : 0;
}

/* ---- the rest: values that are equal or not ---- */

static int by_key(const void *a, const void *b)
{
	return memcmp(((const struct fact *)a)->key.bytes, ((const struct fact *)b)->key.bytes,
		      KEY_MAX);
}

/* Is cgroup @path below @other, or that one? */
static bool below(const char *path, const char *other)
{
	size_t len = strlen(other);

	return !strncmp(path, other, len) && (path[len] == '/' || !path[len]);
}

static int compile_values(struct smcpolicy_rules *rules, int dimension)
{
	static const size_t sizes[SMC_RULE_DIMENSIONS] = {
		[SMC_RULE_UID] = sizeof(uint32_t),
		[SMC_RULE_COMM] = 16,
		[SMC_RULE_CGROUP] = sizeof(uint64_t),
		[SMC_RULE_NETNS] = sizeof(uint64_t),
	};
	struct facts *facts = &rules->facts[dimension];
	struct entries *entries = &rules->entries[dimension];
	struct smc_rule_class class;
	size_t i, j, k;
	int err;

	err = make_room(entries, facts->count);
	if (facts->count)
		qsort(facts->list, facts->count, sizeof(*facts->list), by_key);
	for (i = 0; i < facts->count && !err; i = j) {
		const struct fact *fact = &facts->list[i];

		class = *any(rules, dimension);
		for (j = i; j < facts->count && !by_key(fact, &facts->list[j]); j++)
			class_or(&class, &rules->groups[facts->list[j].group]);
		/* A rule for a cgroup is one for those below, and the nearest is looked up only. */
		for (k = 0; fact->path && k < facts->count; k++)
			if (below(fact->path, facts->list[k].path))
				class_or(&class, &rules->groups[facts->list[k].group]);
		err = add_entry(entries, fact->key.bytes, sizes[dimension],
				find_class(rules, &class));
	}
	return err;
}

int smcp_rules_compile(struct smcpolicy_rules *rules)
{
	const struct smc_rule_class *fixed[SMC_RULE_FIRST] = {
		[SMC_RULE_CLIENT] = &rules->client,
		[SMC_RULE_SERVER] = &rules->server,
		[SMC_RULE_ALLOW] = &rules->allow,
	};
	struct smc_rule_class without[SMC_RULE_DIMENSIONS] = {};
	uint32_t rule;
	int i, err;

	rules->class_hash = calloc(HASH_SIZE, sizeof(*rules->class_hash));
	if (!rules->class_hash) {
		smcp_no_memory();
		return -ENOMEM;
	}
	for (i = 0; i < SMC_RULE_DIMENSIONS; i++) {
		for (rule = 1; rule <= rules->config.count; rule++) {
			if (class_has(&rules->has[i], rule))
				rules->config.uses |= 1u << i;
			else
				class_set(&without[i], rule);
		}
		fixed[SMC_RULE_ANY + i] = &without[i];
	}
	for (i = 0; i < SMC_RULE_FIRST; i++)
		if (add_class(rules, fixed[i]) == NO_CLASS)
			return -errno;
	rules->config.words = rules->config.count ? rules->config.count / 64 + 1 : 0;

	err = compile_prefixes(rules, SMC_RULE_PEER) ?: compile_prefixes(rules, SMC_RULE_LOCAL) ?:
	      compile_ports(rules);
	for (i = SMC_RULE_UID; i < SMC_RULE_DIMENSIONS && !err; i++)
		err = compile_values(rules, i);
	return err;
}
