// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "cli.h"

const char *const hook_names[3] = { "create", "bind", "connect" };
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

	for (i = 0; i < ARRAY_SIZE(hook_names); i++) {
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

struct smcpolicy *load_policy(const char *name, bool attach)
{
	struct smcpolicy_load_opts opts = {
		.sz = sizeof(opts),
		.hooks = attach ? wanted_hooks ? wanted_hooks : SMCPOLICY_HOOK_CREATE : 0,
	};
	struct smcpolicy *policy;
	int i;

	policy = smcpolicy__open(name, NULL);
	if (!policy) {
		fail_library();
		return NULL;
	}
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
	if (!smcpolicy__load(policy, &opts))
		return policy;
failed:
	fail_library();
	smcpolicy__close(policy);
	return NULL;
}

static const char *cgroup, *pin;

static int load_set(int key, const char *value)
{
	switch (key) {
	case 'c':
		cgroup = value;
		return 0;
	case 'a':
		return set_hook(value);
	case 's':
		return set_setting(value);
	}
	pin = value;
	return 0;
}

static int load(int argc, char **argv)
{
	struct smcpolicy_attach_opts opts = { .sz = sizeof(opts), .cgroup = cgroup };
	struct smcpolicy *policy;
	int status = 0;

	(void)argc;
	if (wanted_hooks && !cgroup)
		return usage("--attach needs --cgroup");
	policy = load_policy(argv[0], cgroup);
	if (!policy)
		return cli.failed;
	if (!smcpolicy__has_ops(policy) && !cgroup) {
		status = fail("give one with --cgroup PATH",
			      "%s has nothing to attach to without a cgroup",
			      smcpolicy__name(policy));
	} else if (smcpolicy__attach(policy, &opts) || smcpolicy__pin(policy, pin)) {
		status = fail_library();
	}
	if (!status && cli.json) {
		struct json_object *object = json_object_new_object();

		add_string(object, "name", pin ? pin : smcpolicy__name(policy));
		add_string(object, "path", smcpolicy__path(policy));
		print_json(object);
	}
	smcpolicy__close(policy);
	return status;
}

const struct command cmd_load = {
	.name = "load",
	.arguments = "POLICY [--cgroup PATH] [--attach HOOK]... [--set KEY=VALUE]... [--name PIN]",
	.help = "put a policy in force until it is unloaded\n\n"
		"POLICY is a name, or the path of an object (with a '/'). show POLICY tells its\n"
		"options. With --cgroup the TCP sockets of that cgroup are attached; without it\n"
		"only those of programs that ask for it themselves.",
	.options = (const struct cli_option[]) {
		{ 'c', "cgroup", "PATH", "attach the sockets of this cgroup" },
		{ 'a', "attach", "HOOK", "when: create (default), bind, connect; repeatable" },
		{ 's', "set", "KEY=VALUE", "an option of the policy; repeatable" },
		{ 'n', "name", "PIN", "name to pin it under, instead of its own" },
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
