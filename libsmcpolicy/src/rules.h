/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Rules: rules.c reads the file, rules_compile.c makes of them what smc_policy/rules.h describes
 */
#ifndef _SMCPOLICY_RULES_H
#define _SMCPOLICY_RULES_H

#include <linux/smc_ulp.h>
#include <smc_policy/rules.h>

#include "internal.h"

/* A value that the rules of @group name in some dimension; of ports, those from key to @last. */
struct fact {
	union {
		unsigned char bytes[20];
		uint32_t number;	/* port, uid */
		uint64_t id;		/* cgroup, netns */
		char comm[16];
		struct {
			uint32_t prefixlen;
			unsigned char addr[16];
		} addr;
	} key;
	uint32_t last;
	uint32_t group;
	const char *path;		/* of a cgroup, below the root; for its descendants */
};

struct facts {
	struct fact *list;
	size_t count, room;
};

/* A line "prefixes NAME ..." */
struct prefix_set {
	struct prefix_set *next;
	char *name;
	unsigned int line;
	struct facts facts;
	int64_t group[2];		/* in SMC_RULE_PEER, SMC_RULE_LOCAL; -1: not used there */
};

/* One entry of a map from values to classes */
struct entry {
	unsigned char key[20];
	uint32_t class;
};

struct entries {
	struct entry *list;
	size_t count;
};

struct smcpolicy_rules {
	struct smc_rules config;
	struct smc_rule *rules;		/* config.count + 1 */
	struct prefix_set *sets;
	struct facts facts[SMC_RULE_DIMENSIONS];
	struct smc_rule_class has[SMC_RULE_DIMENSIONS];	/* rules with a condition there */
	struct smc_rule_class client, server, allow;
	struct smc_rule_class *groups;	/* sets of rules that facts belong to */
	uint32_t group_count;
	size_t prefixes;		/* that the file and those it names have */

	struct smc_rule_class *classes;
	uint32_t class_count, *class_hash;
	struct entries entries[SMC_RULE_DIMENSIONS];
	struct smc_rule_ports *ports;
};

static inline void class_set(struct smc_rule_class *class, uint32_t rule)
{
	class->rules[rule / 64] |= 1ULL << rule % 64;
}

static inline bool class_has(const struct smc_rule_class *class, uint32_t rule)
{
	return class->rules[rule / 64] >> rule % 64 & 1;
}

/* ---- rules.c ---- */

/* Copies @fact to the end. */
int smcp_facts_add(struct facts *facts, const struct fact *fact);

/* ---- rules_compile.c ---- */

int smcp_rules_compile(struct smcpolicy_rules *rules);

#endif /* _SMCPOLICY_RULES_H */
