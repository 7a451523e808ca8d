// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Files of rules, and the rules of loaded policies
 */
#include "cli.h"

static int check(const char *file)
{
	struct smcpolicy_rules *rules = smcpolicy_rules__read(file);
	struct json_object *object;

	if (!rules)
		return fail_library();
	object = json_object_new_object();
	add_string(object, "file", file);
	add_number(object, "rules", smcpolicy_rules__count(rules));
	add_number(object, "prefixes", smcpolicy_rules__prefix_count(rules));
	add_number(object, "classes", smcpolicy_rules__class_count(rules));
	print(object);
	smcpolicy_rules__free(rules);
	return 0;
}

static const struct smcpolicy_option *rules_option(const struct smcpolicy_loaded *loaded)
{
	const struct smcpolicy_option *option = NULL;

	while ((option = smcpolicy_loaded__next_option(loaded, option)))
		if (!strcmp(smcpolicy_option__type(option), "rules"))
			break;
	return option;
}

/* That of this name, or the only one that has rules; NULL after an error message. */
static const struct smcpolicy_loaded *find_loaded(const struct smcpolicy_list *list,
						  const char *name)
{
	const struct smcpolicy_loaded *loaded = NULL, *found = NULL;

	if (name) {
		found = smcpolicy_list__find(list, name);
		if (!found)
			fail_library();
		else if (!rules_option(found))
			fail("rules and adaptive have", "%s has no rules", name);
		return found && rules_option(found) ? found : NULL;
	}
	while ((loaded = smcpolicy_list__next(list, loaded))) {
		if (!rules_option(loaded))
			continue;
		if (found) {
			fail("name one: smcpolicy list shows them", "several policies have rules");
			return NULL;
		}
		found = loaded;
	}
	if (!found)
		fail("smcpolicy load rules --set rules=FILE", "no policy with rules is loaded");
	return found;
}

/* The options that it has, with other rules */
static int copy_options(struct smcpolicy *policy, const struct smcpolicy_loaded *loaded,
			const char *file)
{
	const struct smcpolicy_option *option = NULL;
	int err = 0;

	while (!err && (option = smcpolicy_loaded__next_option(loaded, option))) {
		const char *value = smcpolicy_option__value(option);

		if (option == rules_option(loaded))
			value = file;
		if (*value)
			err = smcpolicy__set_option(policy, smcpolicy_option__key(option), value);
	}
	return err;
}

static int swap(const struct smcpolicy_loaded *loaded, const char *file)
{
	struct smcpolicy_load_opts opts = {
		.sz = sizeof(opts),
		.replaces = smcpolicy_loaded__name(loaded),
	};
	struct smcpolicy *policy = smcpolicy__open(smcpolicy_loaded__policy(loaded), NULL);
	int status = 0;

	if (!policy || copy_options(policy, loaded, file) || smcpolicy__load(policy, &opts) ||
	    smcpolicy__replace(policy, NULL))
		status = fail_library();
	if (!status && cli.json) {
		struct json_object *object = json_object_new_object();

		add_string(object, "name", opts.replaces);
		add_string(object, "file", file);
		print_json(object);
	}
	smcpolicy__close(policy);
	return status;
}

static int show_rules(const struct smcpolicy_loaded *loaded)
{
	struct smcpolicy_rule rule = { .sz = sizeof(rule) };
	struct json_object *array = json_object_new_array();
	uint32_t number, last = 0;

	while (!smcpolicy_loaded__rule(loaded, last + 1, &rule))
		last++;
	if (!cli.json)
		printf("%-6s %-8s %10s %-24s %s\n", "NUMBER", "VERDICT", "HITS", "NAME", "RULE");
	/* Number 0 is what happens when no rule matches. */
	for (number = 1; number <= last + 1; number++) {
		struct json_object *object;

		if (smcpolicy_loaded__rule(loaded, number <= last ? number : 0, &rule)) {
			json_object_put(array);
			return fail_library();
		}
		if (!cli.json) {
			printf("%-6u %-8s %10llu %-24s %s\n", rule.number, rule.verdict,
			       (unsigned long long)rule.hits, rule.name, rule.text);
			continue;
		}
		object = json_object_new_object();
		add_number(object, "number", rule.number);
		add_string(object, "name", rule.name);
		add_string(object, "verdict", rule.verdict);
		add_number(object, "hits", rule.hits);
		add_number(object, "line", rule.line);
		add_string(object, "text", rule.text);
		json_object_array_add(array, object);
	}
	if (cli.json)
		print_json(array);
	else
		json_object_put(array);
	return 0;
}

static int rules(int argc, char **argv)
{
	const struct smcpolicy_loaded *loaded;
	bool load = !strcmp(argv[0], "load");
	struct smcpolicy_list *list;
	int status;

	if (strcmp(argv[0], "show") && argc == 1)
		return usage(load || !strcmp(argv[0], "check") ? "rules %s: which file?" :
			     "rules '%s': it is check, load or show", argv[0]);
	if (!strcmp(argv[0], "check") && argc == 2)
		return check(argv[1]);
	if (!load && strcmp(argv[0], "show"))
		return usage(strcmp(argv[0], "check") ? "rules '%s': it is check, load or show" :
			     "rules %s: one file only", argv[0]);
	if (argc > 2 + load)
		return usage("extra argument '%s'", argv[2 + load]);
	list = smcpolicy_list__new();
	if (!list)
		return fail_library();
	loaded = find_loaded(list, argc == 2 + load ? argv[1 + load] : NULL);
	if (!loaded)
		status = cli.failed;
	else
		status = load ? swap(loaded, argv[1]) : show_rules(loaded);
	smcpolicy_list__free(list);
	return status;
}

const struct command cmd_rules = {
	.name = "rules",
	.arguments = "check FILE | load FILE [NAME] | show [NAME]",
	.help = "check a file of rules, put it in force, show rules and how often they decided\n\n"
		"load gives the rules of FILE to the policy NAME, which is loaded and has rules,\n"
		"or to the only one that does; each decision is made by the old rules or by the\n"
		"new ones. When there is an error in FILE nothing changes.",
	.min_args = 1,
	.max_args = 3,
	.run = rules,
};
