// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "cli.h"

/* The last is there whenever a policy has it, and is not asked for. */
const char *const hook_names[4] = { "create", "bind", "connect", "sockops" };
#define CHOICES	3
unsigned int wanted_hooks;

static char **settings;
static int setting_count;

struct json_object *hooks_json(unsigned int hooks)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(hook_names); i++)
		if (hooks & 1 << i)
			json_object_array_add(array, json_object_new_string(hook_names[i]));
	return array;
}

int set_hook(const char *value)
{
	size_t i;

	for (i = 0; i < CHOICES; i++) {
		if (!strcmp(value, hook_names[i])) {
			wanted_hooks |= 1 << i;
			return 0;
		}
	}
	return usage("--attach '%s': it is create, bind or connect", value);
}

int set_setting(const char *value)
{
	if (*value == '=' || !strchr(value, '='))
		return usage("--set '%s': it is KEY=VALUE", value);
	settings = reallocarray(settings, setting_count + 1, sizeof(*settings));
	if (!settings)
		return fail("", "out of memory");
	settings[setting_count++] = (char *)value;
	return 0;
}

struct smcpolicy *load_policy(const char *name, bool attach, struct smcpolicy_load_opts *opts)
{
	struct smcpolicy *policy;
	int i;

	policy = smcpolicy__open(name, NULL);
	if (!policy) {
		fail_library();
		return NULL;
	}
	if (attach)
		opts->hooks = (wanted_hooks ? wanted_hooks : SMCPOLICY_HOOK_CREATE) |
			      (smcpolicy__hooks(policy) & SMCPOLICY_HOOK_SOCKOPS);
	for (i = 0; i < setting_count; i++) {
		char *equals = strchr(settings[i], '=');
		int err;

		*equals = '\0';
		err = smcpolicy__set_option(policy, settings[i], equals + 1);
		*equals = '=';
		if (err)
			goto failed;
	}
	if (smcpolicy_check(SMCPOLICY_CHECK_PRIVILEGE | SMCPOLICY_CHECK_MODULE))
		goto failed;
	/* Devices and ids can come later; until then connections stay TCP. */
	if (smcpolicy_check(SMCPOLICY_CHECK_DEVICE))
		warn_library();
	if (smcpolicy_check(SMCPOLICY_CHECK_EID))
		warn_library();
	if (!smcpolicy__load(policy, opts))
		return policy;
failed:
	fail_library();
	smcpolicy__close(policy);
	return NULL;
}

static const char *cgroup, *netns, *pin;
static bool host, replace;

static int load_set(int key, const char *value)
{
	switch (key) {
	case 'c':
		cgroup = value;
		return 0;
	case 'N':
		netns = value;
		return 0;
	case 'H':
		host = true;
		return 0;
	case 'r':
		replace = true;
		return 0;
	case 'a':
		return set_hook(value);
	case 's':
		return set_setting(value);
	}
	pin = value;
	return 0;
}

/* What is attached stays attached: it must be what is asked for. */
static int check_replaced(const struct smcpolicy_loaded *loaded)
{
	unsigned int hooks = smcpolicy_loaded__hooks(loaded) & ~SMCPOLICY_HOOK_SOCKOPS;
	const char *name = smcpolicy_loaded__name(loaded);
	char cure[300], *path;
	int status = 0;

	/* What is not pinned cannot be replaced, as the library will say. */
	if (!*smcpolicy_loaded__pin_path(loaded))
		return 0;
	snprintf(cure, sizeof(cure), "smcpolicy unload %s, and load without --replace", name);
	path = cgroup ? realpath(cgroup, NULL) : NULL;
	if (wanted_hooks && wanted_hooks != hooks)
		status = fail(cure, "%s is attached at other hooks, and those stay", name);
	else if (path && strcmp(path, smcpolicy_loaded__cgroup(loaded)))
		status = fail(cure, "%s is attached to another cgroup, and that stays", name);
	free(path);
	return status;
}

/* One that was pinned under a name of its own keeps it. */
static const char *new_name(const struct smcpolicy *policy, const struct smcpolicy_loaded *replaced)
{
	const char *name = smcpolicy_loaded__name(replaced);

	if (pin)
		return pin;
	return strcmp(name, smcpolicy_loaded__policy(replaced)) ? name : smcpolicy__name(policy);
}

static int put_in_force(const char *name, struct smcpolicy_load_opts *load_opts,
			const struct smcpolicy_loaded *replaced)
{
	struct smcpolicy_attach_opts opts = { .sz = sizeof(opts), .cgroup = cgroup };
	struct smcpolicy *policy = load_policy(name, cgroup && !replaced, load_opts);
	const char *pinned;
	int status = 0;

	if (!policy)
		return cli.failed;
	pinned = replaced ? new_name(policy, replaced) : pin ? pin : smcpolicy__name(policy);
	if (!smcpolicy__has_ops(policy) && !cgroup)
		status = fail("give one with --cgroup PATH",
			      "%s has nothing to attach to without a cgroup",
			      smcpolicy__name(policy));
	else if (replaced ? smcpolicy__replace(policy, pinned) :
		 smcpolicy__attach(policy, &opts) || smcpolicy__pin(policy, pinned))
		status = fail_library();
	if (!status && cli.json) {
		struct json_object *object = json_object_new_object();

		add_string(object, "name", pinned);
		add_string(object, "path", smcpolicy__path(policy));
		if (replaced)
			add_string(object, "replaced", smcpolicy_loaded__name(replaced));
		print_json(object);
	}
	smcpolicy__close(policy);
	return status;
}

static int load(int argc, char **argv)
{
	struct smcpolicy_load_opts opts = { .sz = sizeof(opts) };
	const struct smcpolicy_loaded *replaced = NULL;
	struct smcpolicy_list *list = NULL;
	int status = 0;

	(void)argc;
	if (wanted_hooks && !cgroup)
		return usage("--attach needs --cgroup");
	if (host && netns)
		return usage("--host and --netns exclude each other");
	if (netns) {
		opts.scope = SMCPOLICY_SCOPE_NETNS;
		opts.scope_name = netns;
	} else if (cgroup && !host) {
		opts.scope = SMCPOLICY_SCOPE_CGROUP;
		opts.scope_name = cgroup;
	}
	if (replace) {
		list = smcpolicy_list__new();
		if (!list)
			return fail_library();
		replaced = smcpolicy_list__find_scope(list, opts.scope, opts.scope_name);
		if (!replaced && errno != ENOENT)
			status = fail_library();
		else if (replaced)
			status = check_replaced(replaced);
	}
	if (replaced)
		opts.replaces = smcpolicy_loaded__name(replaced);
	if (!status)
		status = put_in_force(argv[0], &opts, replaced);
	smcpolicy_list__free(list);
	return status;
}

const struct command cmd_load = {
	.name = "load",
	.arguments = "POLICY [--cgroup PATH] [--netns NAME | --host] [--attach HOOK]...\n"
		"       [--set KEY=VALUE]... [--name PIN] [--replace]",
	.help = "put a policy in force until it is unloaded\n\n"
		"POLICY is a name, or the path of an object (with a '/'). show POLICY tells its\n"
		"options. With --cgroup the TCP sockets of that cgroup are attached, and the policy\n"
		"decides about those; without it only sockets of programs that ask for it\n"
		"themselves are attached, and the policy decides about all of the host, or of a\n"
		"network namespace.",
	.options = (const struct cli_option[]) {
		{ 'c', "cgroup", "PATH", "attach the sockets of this cgroup, decide about those" },
		{ 'N', "netns", "NAME", "decide about this network namespace: name, path, self" },
		{ 'H', "host", NULL, "decide about all sockets, with --cgroup too" },
		{ 'a', "attach", "HOOK", "when: create (default), bind, connect; repeatable" },
		{ 's', "set", "KEY=VALUE", "an option of the policy; repeatable" },
		{ 'n', "name", "PIN", "name to pin it under, instead of its own" },
		{ 'r', "replace", NULL, "in the place of what decides there, atomically" },
		{}
	},
	.min_args = 1,
	.max_args = 1,
	.set = load_set,
	.run = load,
};

static int unload(int argc, char **argv)
{
	(void)argc;
	if (smcpolicy_unload(argv[0]))
		return fail_library();
	if (cli.json) {
		struct json_object *object = json_object_new_object();

		add_string(object, "name", argv[0]);
		print_json(object);
	}
	return 0;
}

const struct command cmd_unload = {
	.name = "unload",
	.arguments = "NAME",
	.help = "take a loaded policy out of force\n\n"
		"NAME is what list gives. Connections that are SMC stay SMC.",
	.min_args = 1,
	.max_args = 1,
	.run = unload,
};
