// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "cli.h"

static void add_option(struct json_object *array, const struct smcpolicy_option *option)
{
	struct json_object *object = json_object_new_object();

	add_string(object, "key", smcpolicy_option__key(option));
	add_string(object, "value", smcpolicy_option__value(option));
	add_string(object, "type", smcpolicy_option__type(option));
	add_bool(object, "list", smcpolicy_option__is_list(option));
	add_string(object, "choices", smcpolicy_option__choices(option));
	add_string(object, "help", smcpolicy_option__help(option));
	json_object_array_add(array, object);
}

static const char *const scope_words[] = { "host", "cgroup", "netns" };

static struct json_object *loaded_json(const struct smcpolicy_loaded *loaded)
{
	struct json_object *object = json_object_new_object(), *array = json_object_new_array();
	const struct smcpolicy_option *option = NULL;
	int i, readers = smcpolicy_loaded__event_readers(loaded);
	uint64_t sent, lost;

	add_string(object, "name", smcpolicy_loaded__name(loaded));
	add_string(object, "policy", smcpolicy_loaded__policy(loaded));
	add_string(object, "description", smcpolicy_loaded__description(loaded));
	add_bool(object, "registered", smcpolicy_loaded__registered(loaded));
	add_string(object, "scope", scope_words[smcpolicy_loaded__scope(loaded)]);
	add_string(object, "scope_name", smcpolicy_loaded__scope_name(loaded));
	add_string(object, "pin_path", smcpolicy_loaded__pin_path(loaded));
	if (smcpolicy_loaded__pid(loaded))
		add_number(object, "pid", smcpolicy_loaded__pid(loaded));
	if (smcpolicy_loaded__link_id(loaded))
		add_number(object, "link_id", smcpolicy_loaded__link_id(loaded));
	if (smcpolicy_loaded__map_id(loaded))
		add_number(object, "map_id", smcpolicy_loaded__map_id(loaded));
	add_string(object, "cgroup", smcpolicy_loaded__cgroup(loaded));
	json_object_object_add(object, "attach", hooks_json(smcpolicy_loaded__hooks(loaded)));
	for (i = 0; i < smcpolicy_loaded__program_count(loaded); i++) {
		struct json_object *program = json_object_new_object();

		add_string(program, "name", smcpolicy_loaded__program_name(loaded, i));
		add_number(program, "id", smcpolicy_loaded__program_id(loaded, i));
		if (smcpolicy_loaded__program_link_id(loaded, i))
			add_number(program, "link_id",
				   smcpolicy_loaded__program_link_id(loaded, i));
		add_number(program, "verified_insns", smcpolicy_loaded__program_insns(loaded, i));
		json_object_array_add(array, program);
	}
	json_object_object_add(object, "programs", array);
	array = json_object_new_array();
	while ((option = smcpolicy_loaded__next_option(loaded, option)))
		add_option(array, option);
	json_object_object_add(object, "options", array);
	if (!smcpolicy_loaded__event_counts(loaded, &sent, &lost)) {
		add_number(object, "events_sent", sent);
		add_number(object, "events_lost", lost);
	}
	if (readers >= 0)
		add_number(object, "event_readers", readers);
	return object;
}

static struct json_object *policy_json(const struct smcpolicy *policy)
{
	struct json_object *object = json_object_new_object(), *array = json_object_new_array();
	const struct smcpolicy_option *option = NULL;

	add_string(object, "name", smcpolicy__name(policy));
	add_string(object, "description", smcpolicy__description(policy));
	add_string(object, "path", smcpolicy__path(policy));
	add_bool(object, "verdicts", smcpolicy__has_ops(policy));
	json_object_object_add(object, "can_attach", hooks_json(smcpolicy__hooks(policy)));
	while ((option = smcpolicy__next_option(policy, option)))
		add_option(array, option);
	json_object_object_add(object, "options", array);
	return object;
}

static void print_row(const char *name, const char *policy, const char *state, const char *scope,
		      const char *attach, const char *cgroup)
{
	printf("%-16s %-16s %-9s %-16s %-20s %s\n", name, policy, state, scope, attach, cgroup);
}

/* The cgroup is in a column of its own, unless programs are attached to another. */
static void scope_text(const struct smcpolicy_loaded *loaded, char *text, size_t size)
{
	const char *name = smcpolicy_loaded__scope_name(loaded);
	enum smcpolicy_scope scope = smcpolicy_loaded__scope(loaded);

	if (!smcpolicy_loaded__registered(loaded))
		snprintf(text, size, "-");
	else if (!*name || !strcmp(name, smcpolicy_loaded__cgroup(loaded)))
		snprintf(text, size, "%s", scope_words[scope]);
	else
		snprintf(text, size, "%s:%s", scope_words[scope], name);
}

static const char *state(const struct smcpolicy_loaded *loaded)
{
	if (!smcpolicy_loaded__registered(loaded))
		return *smcpolicy_loaded__cgroup(loaded) ? "attached" : "dead";
	if (smcpolicy_loaded__scope(loaded) == SMCPOLICY_SCOPE_CGROUP &&
	    !*smcpolicy_loaded__scope_name(loaded))
		return "gone";
	return "in-force";
}

static int list(int argc, char **argv)
{
	struct json_object *array = json_object_new_array();
	const struct smcpolicy_loaded *loaded = NULL;
	struct smcpolicy_list *all = smcpolicy_list__new();
	bool any = false;

	(void)argc;
	(void)argv;
	if (!all)
		return fail_library();
	while ((loaded = smcpolicy_list__next(all, loaded))) {
		unsigned int i, hooks = smcpolicy_loaded__hooks(loaded);
		char attach[64] = "", scope[5000];

		if (cli.json) {
			json_object_array_add(array, loaded_json(loaded));
			continue;
		}
		if (!any)
			print_row("NAME", "POLICY", "STATE", "SCOPE", "ATTACH", "CGROUP");
		any = true;
		for (i = 0; i < ARRAY_SIZE(hook_names); i++)
			if (hooks & 1u << i)
				sprintf(attach + strlen(attach), "%s%s", *attach ? "," : "",
					hook_names[i]);
		scope_text(loaded, scope, sizeof(scope));
		print_row(smcpolicy_loaded__name(loaded),
			  *smcpolicy_loaded__policy(loaded) ?
			  smcpolicy_loaded__policy(loaded) : "-",
			  state(loaded), scope, *attach ? attach : "-",
			  *smcpolicy_loaded__cgroup(loaded) ?
			  smcpolicy_loaded__cgroup(loaded) : "-");
	}
	smcpolicy_list__free(all);
	if (cli.json)
		print_json(array);
	else
		json_object_put(array);
	return 0;
}

const struct command cmd_list = {
	.name = "list",
	.arguments = "",
	.help = "list the policies that are loaded, a line for each",
	.run = list,
};

/* One that is loaded, else one that could be. */
static int show(int argc, char **argv)
{
	const struct smcpolicy_loaded *loaded = NULL;
	struct json_object *array;
	struct smcpolicy_list *all;
	struct smcpolicy *policy;

	all = smcpolicy_list__new();
	if (argc) {
		loaded = all ? smcpolicy_list__find(all, argv[0]) : NULL;
		policy = loaded ? NULL : smcpolicy__open(argv[0], NULL);
		if (!loaded && !policy)
			fail_library();
		else
			print(loaded ? loaded_json(loaded) : policy_json(policy));
		smcpolicy__close(policy);
		smcpolicy_list__free(all);
		return loaded || policy ? 0 : cli.failed;
	}
	if (!all)
		return fail_library();
	array = json_object_new_array();
	while ((loaded = smcpolicy_list__next(all, loaded)))
		json_object_array_add(array, loaded_json(loaded));
	smcpolicy_list__free(all);
	if (cli.json) {
		print_json(array);
	} else {
		size_t i;

		for (i = 0; i < json_object_array_length(array); i++) {
			printf("%s", i ? "\n" : "");
			print(json_object_get(json_object_array_get_idx(array, i)));
		}
		json_object_put(array);
	}
	return 0;
}

const struct command cmd_show = {
	.name = "show",
	.arguments = "[NAME]",
	.help = "show all that is known of the loaded policies, or of one\n\n"
		"When no policy NAME is loaded, show what the object NAME could do: its options\n"
		"with their defaults.",
	.max_args = 1,
	.run = show,
};

static void add_count(struct json_object *object, const char *key, int count)
{
	if (count >= 0)
		add_number(object, key, count);
	else if (cli.json)
		json_object_object_add(object, key, NULL);
	else
		add_string(object, key, "unknown");
}

static int version(int argc, char **argv)
{
	struct smcpolicy_host host = { .sz = sizeof(host) };
	struct json_object *object;

	(void)argc;
	(void)argv;
	if (smcpolicy_host(&host))
		return fail_library();
	object = json_object_new_object();
	add_string(object, "version", smcpolicy_version_string());
	add_string(object, "object_path", smcpolicy_object_path());
	add_string(object, "kernel", host.kernel);
	add_bool(object, "smc_ulp", host.module_loaded);
	add_string(object, "smc_ulp_version", host.module_version);
	add_bool(object, "smc_ulp_btf", host.module_btf);
	add_bool(object, "smc", host.smc_loaded);
	add_bool(object, "vulnerable_ulp", host.vulnerable_ulp);
	add_count(object, "smcd_devices", host.smcd_devices);
	add_count(object, "smcr_devices", host.smcr_devices);
	add_count(object, "ueids", host.eids);
	if (host.seid >= 0)
		add_bool(object, "seid", host.seid);
	else
		add_count(object, "seid", host.seid);
	print(object);
	return 0;
}

const struct command cmd_version = {
	.name = "version",
	.arguments = "",
	.help = "print versions, and what is known of the host\n\n"
		"Kernel, modules, number of SMC devices and of user-defined enterprise ids.",
	.run = version,
};
