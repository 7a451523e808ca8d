/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Ordered rules in a form that a decision costs little, shared by BPF programs and user space.
 *
 * libsmcpolicy compiles a file of rules to the maps below. A rule is a conjunction of conditions,
 * one for each dimension at most. For each dimension the value at hand (an address, a port, ...)
 * is looked up once and gives a class: the number of a set of rules, those that have no condition
 * there or one that the value meets. The intersection of the classes is the set of rules that
 * match, and the lowest number in it decides. Sets are bit masks, bit n for rule n, so a decision
 * costs one look-up for each dimension that some rule uses and SMC_RULE_WORDS "and"s for each, at
 * most; how many prefixes there are matters to the trie only, whose depth is 128 at most.
 *
 * Prefixes are classified when the rules are compiled: the class of a prefix has the rules of all
 * prefixes that it is in, so the longest match knows of the shorter ones, and order holds.
 *
 * BPF programs include this file after vmlinux.h.
 */
#ifndef _SMC_POLICY_RULES_H
#define _SMC_POLICY_RULES_H

#include <linux/smc_ulp.h>

#define SMC_RULE_MAX		1024	/* numbers; 0 is what happens when no rule matches */
#define SMC_RULE_WORDS		(SMC_RULE_MAX / 64)
#define SMC_RULE_CLASS_MAX	65536
#define SMC_RULE_NAME_LEN	24	/* that of a record, SMC_EVENT_RULE_LEN */
#define SMC_RULE_TEXT_LEN	224
#define SMC_RULE_FILE_LEN	248

/* Maps: arrays but for the last six, which map a value to its class, an __u32 */
#define SMC_RULE_MAP		"smc_rules"		/* struct smc_rule */
#define SMC_RULE_HIT_MAP	"smc_rule_hits"		/* __u64 per CPU, by rule */
#define SMC_RULE_CLASS_MAP	"smc_rule_classes"	/* struct smc_rule_class */
#define SMC_RULE_PORT_MAP	"smc_rule_ports"	/* one struct smc_rule_ports */
#define SMC_RULE_PEER_MAP	"smc_rule_peers"	/* struct smc_policy_addr */
#define SMC_RULE_LOCAL_MAP	"smc_rule_locals"	/* struct smc_policy_addr */
#define SMC_RULE_UID_MAP	"smc_rule_uids"		/* __u32 */
#define SMC_RULE_COMM_MAP	"smc_rule_comms"	/* char[16] */
#define SMC_RULE_CGROUP_MAP	"smc_rule_cgroups"	/* __u64, id */
#define SMC_RULE_NETNS_MAP	"smc_rule_netns"	/* __u64, cookie */

/**
 * enum smc_rule_set - classes with a meaning of their own
 * @SMC_RULE_CLIENT: rules for connect()
 * @SMC_RULE_SERVER: rules for listen() and what arrives there
 * @SMC_RULE_ALLOW: rules that allow or require
 * @SMC_RULE_ANY: plus the number of a dimension: rules without a condition there
 * @SMC_RULE_FIRST: the first of the others
 */
enum smc_rule_set {
	SMC_RULE_CLIENT	= 0,
	SMC_RULE_SERVER	= 1,
	SMC_RULE_ALLOW	= 2,
	SMC_RULE_ANY	= 3,
	SMC_RULE_FIRST	= 10,
};

enum smc_rule_dimension {
	SMC_RULE_PEER,
	SMC_RULE_LOCAL,
	SMC_RULE_PORT,
	SMC_RULE_UID,
	SMC_RULE_COMM,
	SMC_RULE_CGROUP,
	SMC_RULE_NETNS,
	SMC_RULE_DIMENSIONS,
};

/* A set of rules */
struct smc_rule_class {
	__u64	rules[SMC_RULE_WORDS];
};

/* Class of each port: the remote one for rules of clients, the local one for those of servers */
struct smc_rule_ports {
	__u16	class[65536];
};

/**
 * struct smc_rule - what tools want to know of a rule
 * @verdict: enum smc_ulp_verdict
 * @line: in the file
 * @name: NUL terminated; "rule N" unless the file gives another
 * @text: the line, or as much as there is room for; NUL terminated
 */
struct smc_rule {
	__u32	verdict;
	__u32	line;
	char	name[SMC_RULE_NAME_LEN];
	char	text[SMC_RULE_TEXT_LEN];
};

/**
 * struct smc_rules - read-only data of a program with rules
 * @default_verdict: enum smc_ulp_verdict when no rule matches
 * @uses: bit n: there are rules with a condition in dimension n
 * @words: of the members of struct smc_rule_class, so many are used; 0: there are no rules
 * @count: of rules, without number 0
 * @file: where they were read from
 */
struct smc_rules {
	__u32	default_verdict;
	__u32	uses;
	__u32	words;
	__u32	count;
	char	file[SMC_RULE_FILE_LEN];
};

#endif /* _SMC_POLICY_RULES_H */
