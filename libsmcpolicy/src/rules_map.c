// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Rules on their way to the kernel, and back
 */
#include <stdio.h>
#include <unistd.h>

#include "rules.h"

#define BATCH	4096

static const char * const map_names[SMC_RULE_DIMENSIONS] = {
	[SMC_RULE_PEER] = SMC_RULE_PEER_MAP,
	[SMC_RULE_LOCAL] = SMC_RULE_LOCAL_MAP,
	[SMC_RULE_PORT] = SMC_RULE_PORT_MAP,
	[SMC_RULE_UID] = SMC_RULE_UID_MAP,
	[SMC_RULE_COMM] = SMC_RULE_COMM_MAP,
	[SMC_RULE_CGROUP] = SMC_RULE_CGROUP_MAP,
	[SMC_RULE_NETNS] = SMC_RULE_NETNS_MAP,
};

/* Sets the size of a map; it must have values as we know them. */
static int size_map(struct bpf_object *object, const char *name, size_t value_size, size_t entries)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);

	if (!map || bpf_map__value_size(map) != value_size)
		return smcp_error(EINVAL, "build it again with smc_policy/rules.bpf.h",
				  "the map %s of the policy is not the one for rules", name);
	return bpf_map__set_max_entries(map, entries ?: 1);
}

int smcp_rules_prepare(const struct smcpolicy_option *option, struct bpf_object *object,
		       void *rodata, size_t size)
{
	const struct smcpolicy_rules *rules = option->rules;
	int i, err;

	if (option->offset + sizeof(rules->config) > size)
		return smcp_error(EINVAL, "build it again with smc_policy/rules.bpf.h",
				  "read-only data of the policy is too short for rules");
	memcpy(rodata + option->offset, &rules->config, sizeof(rules->config));
	err = size_map(object, SMC_RULE_MAP, sizeof(*rules->rules), rules->config.count + 1) ?:
	      size_map(object, SMC_RULE_HIT_MAP, sizeof(uint64_t), rules->config.count + 1) ?:
	      size_map(object, SMC_RULE_CLASS_MAP, sizeof(*rules->classes), rules->class_count);
	for (i = 0; i < SMC_RULE_DIMENSIONS && !err; i++)
		if (i != SMC_RULE_PORT)
			err = size_map(object, map_names[i], sizeof(uint32_t),
				       rules->entries[i].count);
	return err;
}

static int update_failed(const char *name)
{
	return smcp_error(errno, errno == ENOMEM ? "give the rules fewer prefixes" : NULL,
			  "cannot write the map %s: %s", name, strerror(errno));
}

static int fill_array(struct bpf_object *object, const char *name, const void *values, size_t size,
		      uint32_t count)
{
	int fd = bpf_object__find_map_fd_by_name(object, name);
	uint32_t i;

	for (i = 0; i < count; i++)
		if (bpf_map_update_elem(fd, &i, values + i * size, BPF_ANY))
			return update_failed(name);
	return 0;
}

static int fill_map(struct bpf_object *object, const char *name, const struct entries *entries)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);
	size_t size = bpf_map__key_size(map), done, i;
	uint32_t *classes = calloc(BATCH, sizeof(*classes)), n;
	char *keys = calloc(BATCH, size);
	int err = 0;

	if (!classes || !keys) {
		smcp_no_memory();
		err = -ENOMEM;
	}
	for (done = 0; !err && done < entries->count; done += n) {
		n = entries->count - done < BATCH ? entries->count - done : BATCH;
		for (i = 0; i < n; i++) {
			memcpy(keys + i * size, entries->list[done + i].key, size);
			classes[i] = entries->list[done + i].class;
		}
		if (bpf_map_update_batch(bpf_map__fd(map), keys, classes, &n, NULL))
			err = update_failed(name);
	}
	free(classes);
	free(keys);
	return err;
}

int smcp_rules_fill(const struct smcpolicy_option *option, struct bpf_object *object)
{
	const struct smcpolicy_rules *rules = option->rules;
	int i, err;

	err = fill_array(object, SMC_RULE_MAP, rules->rules, sizeof(*rules->rules),
			 rules->config.count + 1) ?:
	      fill_array(object, SMC_RULE_CLASS_MAP, rules->classes, sizeof(*rules->classes),
			 rules->class_count) ?:
	      fill_array(object, SMC_RULE_PORT_MAP, rules->ports, sizeof(*rules->ports), 1);
	for (i = 0; i < SMC_RULE_DIMENSIONS && !err; i++)
		if (i != SMC_RULE_PORT)
			err = fill_map(object, map_names[i], &rules->entries[i]);
	return err;
}

int smcp_rules_read_config(struct smcpolicy_option *option, const void *rodata, size_t size)
{
	const struct smc_rules *config = rodata + option->offset;

	if (option->offset + sizeof(*config) > size)
		return smcp_error(EINVAL, NULL, "read-only data is shorter than declared");
	snprintf(option->file, sizeof(option->file), "%.*s", (int)sizeof(config->file),
		 config->file);
	option->number = config->default_verdict;
	return 0;
}

static int read_hits(const char *pin, uint32_t number, uint64_t *hits)
{
	int fd = smcp_pin_get(pin, PIN_MAP SMC_RULE_HIT_MAP), cpus = libbpf_num_possible_cpus();
	uint64_t *values = cpus > 0 ? calloc(cpus, sizeof(*values)) : NULL;
	int err = -ENOENT, cpu;

	*hits = 0;
	if (fd >= 0 && values)
		err = bpf_map_lookup_elem(fd, &number, values);
	for (cpu = 0; !err && cpu < cpus; cpu++)
		*hits += values[cpu];
	free(values);
	if (fd >= 0)
		close(fd);
	return err;
}

int smcp_rules_get(const char *pin, uint32_t number, uint32_t default_verdict,
		   struct smcpolicy_rule *rule)
{
	static const char * const verdicts[] = { "pass", "allow", "deny", "require" };
	int fd = smcp_pin_get(pin, PIN_MAP SMC_RULE_MAP), err;
	struct smcpolicy_rule all = { .sz = rule->sz };
	struct smc_rule found = {};

	if (fd < 0)
		return smcp_error(ENOENT, "load one that has: smcpolicy load rules --set rules=FILE",
				  "%s has no rules", pin);
	err = bpf_map_lookup_elem(fd, &number, &found) ?: read_hits(pin, number, &all.hits);
	close(fd);
	if (err)
		return smcp_error(ENOENT, NULL, "%s has no rule %u", pin, number);
	all.number = number;
	all.line = found.line;
	if (!number)
		found.verdict = default_verdict;
	all.verdict = found.verdict < ARRAY_SIZE(verdicts) ? verdicts[found.verdict] : "unknown";
	snprintf(all.name, sizeof(all.name), "%.*s", (int)sizeof(found.name),
		 number ? found.name : "default");
	snprintf(all.text, sizeof(all.text), "%.*s", (int)sizeof(found.text), found.text);
	if (!number)
		snprintf(all.text, sizeof(all.text), "default %s", all.verdict);
	memcpy(rule, &all, all.sz < sizeof(all) ? all.sz : sizeof(all));
	return 0;
}
