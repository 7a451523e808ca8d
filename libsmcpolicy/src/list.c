// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * What is loaded: the pins, and the registered policy
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include <smc_policy/event.h>

#include "internal.h"

#define MAX_PROGRAMS	32

struct smcpolicy_loaded {
	struct smcpolicy_loaded *next;
	char name[NAME_MAX + 1], policy[64], pin_path[PATH_MAX], cgroup[PATH_MAX];
	char scope_name[PATH_MAX];
	struct smcp_scope scope;
	struct smcp_description desc;
	bool registered;
	int pid;
	uint32_t link_id, map_id;
	unsigned int hooks;
	int program_count;
	struct {
		char name[128];
		uint32_t id, link_id, insns;
	} programs[MAX_PROGRAMS];
};

struct smcpolicy_list {
	struct smcpolicy_loaded *first;
};

/* The full name of a program is that of its function; and from its BTF we have the description. */
static void add_program(struct smcpolicy_loaded *loaded, uint32_t id, uint32_t link_id)
{
	struct bpf_prog_info info = {};
	struct bpf_func_info func = {};
	uint32_t len = sizeof(info);
	struct btf *btf = NULL;
	const struct btf_type *type;
	int fd = bpf_prog_get_fd_by_id(id), n = loaded->program_count;

	if (fd < 0 || n == MAX_PROGRAMS)
		goto out;
	info.nr_func_info = 1;
	info.func_info_rec_size = sizeof(func);
	info.func_info = (uintptr_t)&func;
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		goto out;
	snprintf(loaded->programs[n].name, sizeof(loaded->programs[n].name), "%s", info.name);
	loaded->programs[n].id = id;
	loaded->programs[n].link_id = link_id;
	loaded->programs[n].insns = info.verified_insns;
	loaded->program_count++;
	btf = info.btf_id ? btf__load_from_kernel_by_id(info.btf_id) : NULL;
	if (!btf)
		goto out;
	type = info.nr_func_info ? btf__type_by_id(btf, func.type_id) : NULL;
	if (type)
		snprintf(loaded->programs[n].name, sizeof(loaded->programs[n].name), "%s",
			 btf__name_by_offset(btf, type->name_off));
	if (!loaded->desc.text)
		smcp_describe(&loaded->desc, btf, loaded->name);
out:
	btf__free(btf);
	if (fd >= 0)
		close(fd);
}

/* A struct_ops link; takes the descriptor. */
static void add_ops(struct smcpolicy_loaded *loaded, int fd)
{
	struct smcp_policy_info policy;
	struct smcp_link_info info;
	int map_fd, i;

	if (!smcp_link_info(fd, &info) && info.type == BPF_LINK_TYPE_STRUCT_OPS) {
		loaded->link_id = info.id;
		loaded->map_id = info.struct_ops.map_id;
		map_fd = loaded->map_id ? bpf_map_get_fd_by_id(loaded->map_id) : -1;
		if (map_fd >= 0) {
			loaded->registered = !smcp_policy_info(map_fd, &policy);
			snprintf(loaded->policy, sizeof(loaded->policy), "%s", policy.name);
			loaded->scope = policy.scope;
			if (policy.scope.cgroup_id)
				smcp_cgroup_path(policy.scope.cgroup_id, loaded->scope_name,
						 sizeof(loaded->scope_name));
			else if (policy.scope.netns_cookie)
				smcp_netns_name(policy.scope.netns_cookie, loaded->scope_name,
						sizeof(loaded->scope_name));
			for (i = 0; i < policy.program_count; i++)
				add_program(loaded, policy.programs[i], 0);
			close(map_fd);
		}
	}
	close(fd);
}

/* A link of an attach program; takes the descriptor. */
static void add_link(struct smcpolicy_loaded *loaded, int fd)
{
	struct smcp_link_info info;

	if (!smcp_link_info(fd, &info) && info.type == BPF_LINK_TYPE_CGROUP) {
		if (info.cgroup.cgroup_id) {
			loaded->hooks |= smcp_hook(info.cgroup.attach_type);
			if (!loaded->cgroup[0])
				smcp_cgroup_path(info.cgroup.cgroup_id, loaded->cgroup,
						 sizeof(loaded->cgroup));
		}
		add_program(loaded, info.prog_id, info.id);
	}
	close(fd);
}

static void read_options(struct smcpolicy_loaded *loaded)
{
	struct smcpolicy_option *option;
	struct smcp_map_info info;
	char entry[NAME_MAX];
	uint32_t zero = 0;
	void *data;
	int fd;

	if (!loaded->desc.options)
		return;
	fd = smcp_pin_get(loaded->name, PIN_MAP "rodata");
	if (fd >= 0) {
		if (!smcp_map_info(fd, &info)) {
			data = calloc(1, info.value_size);
			if (data && !bpf_map_lookup_elem(fd, &zero, data))
				smcp_option_read_rodata(&loaded->desc, data, info.value_size);
			free(data);
		}
		close(fd);
	}
	for (option = loaded->desc.options; option; option = option->next) {
		if (!smcpolicy_option__is_list(option) || option->count)
			continue;
		snprintf(entry, sizeof(entry), PIN_MAP "%s", option->variable);
		fd = smcp_pin_get(loaded->name, entry);
		if (fd < 0)
			continue;
		smcp_option_read_map(&loaded->desc, option->variable, fd);
		close(fd);
	}
}

static struct smcpolicy_loaded *add_loaded(struct smcpolicy_list *list, const char *name)
{
	struct smcpolicy_loaded *loaded = calloc(1, sizeof(*loaded)), **end;

	if (!loaded)
		return smcp_no_memory();
	snprintf(loaded->name, sizeof(loaded->name), "%s", name);
	for (end = &list->first; *end; )
		end = &(*end)->next;
	*end = loaded;
	return loaded;
}

static int add_pinned(struct smcpolicy_list *list, int root, const char *name)
{
	struct smcpolicy_loaded *loaded = add_loaded(list, name);
	int dir, fd;
	struct dirent *entry;
	DIR *entries;

	if (!loaded)
		return -ENOMEM;
	snprintf(loaded->pin_path, sizeof(loaded->pin_path), "%.3800s/%s", smcp_bpffs_path(), name);
	fd = smcp_pin_get(name, PIN_OPS);
	if (fd >= 0)
		add_ops(loaded, fd);
	dir = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	entries = dir < 0 ? NULL : fdopendir(dir);
	while (entries && (entry = readdir(entries))) {
		if (strncmp(entry->d_name, PIN_LINK, strlen(PIN_LINK)))
			continue;
		fd = smcp_pin_get(name, entry->d_name);
		if (fd >= 0)
			add_link(loaded, fd);
	}
	if (entries)
		closedir(entries);
	else if (dir >= 0)
		close(dir);
	read_options(loaded);
	return 0;
}

static int add_all_pinned(struct smcpolicy_list *list)
{
	int root = smcp_bpffs_open(false), i, n, err = 0;
	struct dirent **names = NULL;

	if (root < 0)
		return root == -ENOENT ? 0 : root;
	n = scandir(smcp_bpffs_path(), &names, NULL, alphasort);
	for (i = 0; i < n; i++) {
		if (!err && names[i]->d_name[0] != '.')
			err = add_pinned(list, root, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	smcp_bpffs_close(root);
	return err;
}

/* Those that are not pinned */
static int add_registered(struct smcpolicy_list *list)
{
	struct smcpolicy_loaded *loaded;
	struct smcp_policy_info policy;
	uint32_t id = 0;
	int fd;

	while ((id = smcp_next_registered(id, &policy))) {
		for (loaded = list->first; loaded; loaded = loaded->next)
			if (loaded->link_id == id)
				break;
		fd = loaded ? -1 : bpf_link_get_fd_by_id(id);
		if (fd < 0)
			continue;
		loaded = add_loaded(list, policy.name);
		if (!loaded) {
			close(fd);
			return -ENOMEM;
		}
		add_ops(loaded, fd);
		loaded->pid = smcp_link_holder(id);
	}
	return 0;
}

struct smcpolicy_list *smcpolicy_list__new(void)
{
	struct smcp_saved_error saved;
	struct smcpolicy_list *list;
	int err;

	if (smcp_check_privilege())
		return NULL;
	list = calloc(1, sizeof(*list));
	if (!list)
		return smcp_no_memory();
	smcp_enter();
	err = add_all_pinned(list) ?: add_registered(list);
	smcp_leave();
	if (!err)
		return list;
	smcp_save_error(&saved);
	smcpolicy_list__free(list);
	smcp_restore_error(&saved);
	return NULL;
}

void smcpolicy_list__free(struct smcpolicy_list *list)
{
	struct smcpolicy_loaded *loaded;

	while (list && (loaded = list->first)) {
		list->first = loaded->next;
		smcp_description_free(&loaded->desc);
		free(loaded);
	}
	free(list);
}

const struct smcpolicy_loaded *
smcpolicy_list__next(const struct smcpolicy_list *list, const struct smcpolicy_loaded *previous)
{
	return previous ? previous->next : list->first;
}

const struct smcpolicy_loaded *
smcpolicy_list__find(const struct smcpolicy_list *list, const char *name)
{
	const struct smcpolicy_loaded *loaded;
	char pin[NAME_MAX];

	if (smcp_pin_name(name, pin, sizeof(pin)))
		return NULL;
	for (loaded = list->first; loaded; loaded = loaded->next)
		if (!strcmp(loaded->name, loaded->pin_path[0] ? pin : name))
			return loaded;
	smcp_error(ENOENT, "smcpolicy list shows what is loaded", "no policy %s is loaded", name);
	return NULL;
}

const struct smcp_scope *smcp_loaded_scope(const struct smcpolicy_loaded *loaded)
{
	return &loaded->scope;
}

const struct smcpolicy_loaded *smcp_list_find_scope(const struct smcpolicy_list *list,
						    const struct smcp_scope *scope)
{
	const struct smcpolicy_loaded *loaded;

	for (loaded = list->first; loaded; loaded = loaded->next)
		if (loaded->registered && !memcmp(&loaded->scope, scope, sizeof(*scope)))
			return loaded;
	smcp_error(ENOENT, "smcpolicy list shows what is loaded, and where",
		   "no policy is in force in that scope");
	return NULL;
}

const struct smcpolicy_loaded *
smcpolicy_list__find_scope(const struct smcpolicy_list *list, enum smcpolicy_scope scope,
			   const char *name)
{
	struct smcp_scope found;

	if (smcp_scope_find(scope, name, -1, &found))
		return NULL;
	return smcp_list_find_scope(list, &found);
}

enum smcpolicy_scope smcpolicy_loaded__scope(const struct smcpolicy_loaded *loaded)
{
	return loaded->scope.cgroup_id ? SMCPOLICY_SCOPE_CGROUP :
	       loaded->scope.netns_cookie ? SMCPOLICY_SCOPE_NETNS : SMCPOLICY_SCOPE_HOST;
}

const char *smcpolicy_loaded__scope_name(const struct smcpolicy_loaded *loaded)
{
	return loaded->scope_name;
}

const char *smcpolicy_loaded__name(const struct smcpolicy_loaded *loaded)
{
	return loaded->name;
}

const char *smcpolicy_loaded__policy(const struct smcpolicy_loaded *loaded)
{
	return loaded->policy;
}

const char *smcpolicy_loaded__description(const struct smcpolicy_loaded *loaded)
{
	return loaded->desc.text ?: "";
}

const char *smcpolicy_loaded__pin_path(const struct smcpolicy_loaded *loaded)
{
	return loaded->pin_path;
}

bool smcpolicy_loaded__registered(const struct smcpolicy_loaded *loaded)
{
	return loaded->registered;
}

int smcpolicy_loaded__pid(const struct smcpolicy_loaded *loaded)
{
	return loaded->pid;
}

uint32_t smcpolicy_loaded__link_id(const struct smcpolicy_loaded *loaded)
{
	return loaded->link_id;
}

uint32_t smcpolicy_loaded__map_id(const struct smcpolicy_loaded *loaded)
{
	return loaded->map_id;
}

const char *smcpolicy_loaded__cgroup(const struct smcpolicy_loaded *loaded)
{
	return loaded->cgroup;
}

unsigned int smcpolicy_loaded__hooks(const struct smcpolicy_loaded *loaded)
{
	return loaded->hooks;
}

int smcpolicy_loaded__program_count(const struct smcpolicy_loaded *loaded)
{
	return loaded->program_count;
}

const char *smcpolicy_loaded__program_name(const struct smcpolicy_loaded *loaded, int index)
{
	return loaded->programs[index].name;
}

uint32_t smcpolicy_loaded__program_id(const struct smcpolicy_loaded *loaded, int index)
{
	return loaded->programs[index].id;
}

uint32_t smcpolicy_loaded__program_link_id(const struct smcpolicy_loaded *loaded, int index)
{
	return loaded->programs[index].link_id;
}

uint32_t smcpolicy_loaded__program_insns(const struct smcpolicy_loaded *loaded, int index)
{
	return loaded->programs[index].insns;
}

const struct smcpolicy_option *
smcpolicy_loaded__next_option(const struct smcpolicy_loaded *loaded,
			      const struct smcpolicy_option *previous)
{
	if (!loaded->pin_path[0])
		return NULL;
	return previous ? previous->next : loaded->desc.options;
}

int smcpolicy_loaded__rule(const struct smcpolicy_loaded *loaded, uint32_t number,
			   struct smcpolicy_rule *rule)
{
	const struct smcpolicy_option *option;

	if (!OPTS_VALID(rule, smcpolicy_rule))
		return -EINVAL;
	for (option = loaded->desc.options; option; option = option->next)
		if (option->type == OPTION_RULES)
			break;
	if (!option || !loaded->pin_path[0])
		return smcp_error(ENOENT, loaded->pin_path[0] ?
				  "load one that has: smcpolicy load rules --set rules=FILE" :
				  "only pinned policies can be looked into",
				  "%s has no rules", loaded->name);
	return smcp_rules_get(loaded->name, number, option->number, rule);
}

int smcpolicy_loaded__event_counts(const struct smcpolicy_loaded *loaded, uint64_t *sent,
				   uint64_t *lost)
{
	int fd = loaded->pin_path[0] ? smcp_pin_get(loaded->name, PIN_MAP SMC_EVENT_COUNT_MAP) :
		 -ENOENT, err;

	if (fd < 0)
		return smcp_error(ENOENT, NULL, "%s writes no events", loaded->name);
	err = smcp_event_counts(fd, sent, lost);
	close(fd);
	return err;
}

int smcpolicy_loaded__event_readers(const struct smcpolicy_loaded *loaded)
{
	int fd = loaded->pin_path[0] ? smcp_pin_get(loaded->name, PIN_MAP SMC_EVENT_MAP) : -ENOENT;
	int count;

	if (fd < 0)
		return smcp_error(ENOENT, NULL, "%s writes no events", loaded->name);
	count = smcp_event_readers(fd);
	close(fd);
	return count;
}
