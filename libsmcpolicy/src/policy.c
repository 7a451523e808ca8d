// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * A policy: open, set options, load, attach
 */
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "internal.h"

#ifndef EM_BPF
#define EM_BPF 247
#endif
#define SUFFIX		".bpf.o"

/* ---- finding it ---- */

const char *smcpolicy_object_path(void)
{
	static __thread char path[4096];
	const char *first = secure_getenv("SMCPOLICY_OBJECT_PATH");

	snprintf(path, sizeof(path), "%s%s" POLICY_DIR, first ?: "", first && *first ? ":" : "");
	return path;
}

/* NAME.bpf.o in the directories where they are; NULL after an error */
char *smcp_find_object(const char *name)
{
	char *dirs, *rest, *dir, *path = NULL;

	dirs = strdup(smcpolicy_object_path());
	if (!dirs)
		return smcp_no_memory();
	for (rest = dirs; (dir = strsep(&rest, ":")); ) {
		if (asprintf(&path, "%s/%s" SUFFIX, dir, name) < 0) {
			path = smcp_no_memory();
			goto out;
		}
		if (!access(path, F_OK))
			goto out;
		free(path);
		path = NULL;
	}
	smcp_error(ENOENT, "name one that is there, give a path with a '/', or set SMCPOLICY_OBJECT_PATH",
		   "there is no %s" SUFFIX " in %s", name, smcpolicy_object_path());
out:
	free(dirs);
	return path;
}

static int check_object(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf64_Ehdr header = {};
	ssize_t len;

	if (fd < 0)
		return smcp_error(errno, errno == EACCES ? "run it as root" : NULL,
				  "cannot read %s: %s", path, strerror(errno));
	len = read(fd, &header, sizeof(header));
	if (len < 0)
		smcp_error(errno, NULL, "cannot read %s: %s", path, strerror(errno));
	close(fd);
	if (len < 0)
		return -errno;
	if (len != sizeof(header) || memcmp(header.e_ident, ELFMAG, SELFMAG) ||
	    header.e_machine != EM_BPF)
		return smcp_error(EINVAL, "give a policy compiled with clang -target bpf",
				  "%s is not a BPF object", path);
	return 0;
}

/* ---- what is in it ---- */

unsigned int smcp_hook(enum bpf_attach_type type)
{
	switch (type) {
	case BPF_CGROUP_INET_SOCK_CREATE:
		return SMCPOLICY_HOOK_CREATE;
	case BPF_CGROUP_INET4_BIND:
	case BPF_CGROUP_INET6_BIND:
		return SMCPOLICY_HOOK_BIND;
	case BPF_CGROUP_INET4_CONNECT:
	case BPF_CGROUP_INET6_CONNECT:
		return SMCPOLICY_HOOK_CONNECT;
	case BPF_CGROUP_SOCK_OPS:
		return SMCPOLICY_HOOK_SOCKOPS;
	default:
		return 0;
	}
}

static unsigned int program_hook(const struct bpf_program *program)
{
	switch (bpf_program__type(program)) {
	case BPF_PROG_TYPE_CGROUP_SOCK:
	case BPF_PROG_TYPE_CGROUP_SOCK_ADDR:
	case BPF_PROG_TYPE_SOCK_OPS:
		return smcp_hook(bpf_program__expected_attach_type(program));
	default:
		return 0;
	}
}

/* The struct smc_ulp_ops that this struct_ops map is, in the object's BTF; NULL: another type. */
static const struct btf_type *ops_type(const struct btf *btf, const struct bpf_map *map)
{
	const struct btf_type *type;
	int id;

	id = btf__find_by_name_kind(btf, bpf_map__name(map), BTF_KIND_VAR);
	if (id < 0)
		return NULL;
	type = btf__type_by_id(btf, btf__resolve_type(btf, btf__type_by_id(btf, id)->type));
	if (!btf_is_struct(type) ||
	    strcmp(btf__name_by_offset(btf, type->name_off), STRUCT_OPS_TYPE))
		return NULL;
	return type;
}

static char *ops_name(const struct btf *btf, const struct bpf_map *map)
{
	const struct btf_type *type = ops_type(btf, map);
	const struct btf_member *member = btf_members(type);
	size_t size = 0, offset, length, i;
	const char *value = bpf_map__initial_value(map, &size);

	for (i = 0; value && i < btf_vlen(type); i++, member++) {
		offset = btf_member_bit_offset(type, i) / 8;
		length = btf__resolve_size(btf, member->type);
		if (!strcmp(btf__name_by_offset(btf, member->name_off), "name") &&
		    offset + length <= size && value[offset])
			return strndup(value + offset, length);
	}
	return NULL;
}

/* "by_port" of "/usr/lib/smcpolicy/by_port.bpf.o" */
static char *file_name(const char *path)
{
	const char *base = strrchr(path, '/'), *end;

	base = base ? base + 1 : path;
	end = strstr(base, SUFFIX);
	return end && end != base ? strndup(base, end - base) : strdup(base);
}

/* "by_port.rodata", and not ".rodata.str1.1" */
static bool is_rodata(const char *map)
{
	const char *dot = strrchr(map, '.');

	return dot && !strcmp(dot, ".rodata");
}

static int look_into(struct smcpolicy *policy)
{
	const struct btf *btf = bpf_object__btf(policy->object);
	struct bpf_program *program;
	struct bpf_map *map;
	size_t size;
	void *data;
	int err;

	bpf_object__for_each_program(program, policy->object)
		policy->hooks |= program_hook(program);
	bpf_object__for_each_map(map, policy->object) {
		if (bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS) {
			if (!btf || policy->ops || !ops_type(btf, map))
				return smcp_error(EINVAL, "give an object with one struct " STRUCT_OPS_TYPE,
						  "%s has %s", policy->path, policy->ops ?
						  "more than one policy" :
						  "a struct_ops map of another type");
			policy->ops = map;
		} else if (bpf_map__is_internal(map) && is_rodata(bpf_map__name(map))) {
			policy->rodata = map;
		}
	}
	if (!policy->ops && !(policy->hooks & ~SMCPOLICY_HOOK_SOCKOPS))
		return smcp_error(EINVAL, "give one built with smc_policy/policy.bpf.h",
				  "%s is a BPF object, but no policy: it has no struct " STRUCT_OPS_TYPE
				  " and no programs that attach sockets", policy->path);
	policy->name = policy->ops ? ops_name(btf, policy->ops) : NULL;
	if (!policy->name)
		policy->name = file_name(policy->path);
	if (!policy->name) {
		smcp_no_memory();
		return -ENOMEM;
	}
	if (!btf)
		return 0;
	err = smcp_describe(&policy->desc, btf, policy->path);
	data = policy->rodata ? bpf_map__initial_value(policy->rodata, &size) : NULL;
	if (!err && data)
		err = smcp_option_read_rodata(&policy->desc, data, size);
	return err;
}

struct smcpolicy *smcpolicy__open(const char *name, const void *opts)
{
	struct smcp_saved_error saved;
	struct smcpolicy *policy;

	if (!name || !*name || opts) {
		smcp_error(EINVAL, NULL, "no name of a policy");
		return NULL;
	}
	policy = calloc(1, sizeof(*policy));
	if (!policy)
		return smcp_no_memory();
	smcp_enter();
	policy->path = strchr(name, '/') ? strdup(name) ?: smcp_no_memory() :
		       smcp_find_object(name);
	if (!policy->path || check_object(policy->path))
		goto fail;
	policy->object = bpf_object__open_file(policy->path, NULL);
	if (!policy->object) {
		smcp_libbpf_error(errno, "build it again with smc_policy/policy.bpf.h",
				  "%s is not a BPF object that can be loaded", policy->path);
		goto fail;
	}
	if (look_into(policy))
		goto fail;
	smcp_leave();
	return policy;
fail:
	smcp_leave();
	smcp_save_error(&saved);
	smcpolicy__close(policy);
	smcp_restore_error(&saved);
	return NULL;
}

static void drop_links(struct smcpolicy *policy)
{
	/* Without the programs first: no socket is attached without the policy. */
	while (policy->link_count)
		bpf_link__destroy(policy->links[--policy->link_count].link);
	bpf_link__destroy(policy->ops_link);
	policy->ops_link = NULL;
}

void smcpolicy__close(struct smcpolicy *policy)
{
	if (!policy)
		return;
	smcp_enter();
	drop_links(policy);
	bpf_object__close(policy->object);
	smcp_leave();
	smcp_description_free(&policy->desc);
	free(policy->replaces);
	free(policy->cgroup);
	free(policy->path);
	free(policy->name);
	free(policy);
}

const char *smcpolicy__name(const struct smcpolicy *policy)
{
	return policy->name;
}

const char *smcpolicy__path(const struct smcpolicy *policy)
{
	return policy->path;
}

const char *smcpolicy__description(const struct smcpolicy *policy)
{
	return policy->desc.text ?: "";
}

bool smcpolicy__has_ops(const struct smcpolicy *policy)
{
	return policy->ops;
}

unsigned int smcpolicy__hooks(const struct smcpolicy *policy)
{
	return policy->hooks;
}

const struct smcpolicy_option *
smcpolicy__next_option(const struct smcpolicy *policy, const struct smcpolicy_option *previous)
{
	return previous ? previous->next : policy->desc.options;
}

int smcpolicy__set_option(struct smcpolicy *policy, const char *key, const char *value)
{
	struct smcpolicy_option *option = smcp_option_find(&policy->desc, key);
	char keys[512] = "";
	size_t n;

	if (policy->loaded)
		return smcp_error(EBUSY, "set options before loading", "%s is loaded already",
				  policy->name);
	if (option)
		return smcp_option_set(&policy->desc, option, value, policy->name);
	for (option = policy->desc.options; option; option = option->next) {
		n = strlen(keys);
		snprintf(keys + n, sizeof(keys) - n, "%s%s", n ? ", " : "it has ", option->key);
	}
	return smcp_error(ENOENT, keys[0] ? keys : "it has none", "%s has no option %s",
			  policy->name, key);
}

/* ---- scope ---- */

static int check_cgroup(int fd, const char *path)
{
	struct statfs fs;

	if (!fstatfs(fd, &fs) && fs.f_type == CGROUP2_SUPER_MAGIC)
		return 0;
	return smcp_error(EINVAL, "give a directory in a cgroup v2 file system, often below /sys/fs/cgroup",
			  "%s is not a directory of cgroup v2", path);
}

int smcp_cgroup_open(const char *path, int fd)
{
	char cure[512];

	if (!path) {
		if (check_cgroup(fd, "the cgroup"))
			return -errno;
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		return fd < 0 ? smcp_error(errno, NULL, "%s", strerror(errno)) : fd;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		snprintf(cure, sizeof(cure), "mkdir -p %s", path);
		return smcp_error(errno, errno == ENOENT ? cure : errno == ENOTDIR ?
				  "give a directory in a cgroup v2 file system" : NULL,
				  "cannot open the cgroup %s: %s", path, strerror(errno));
	}
	if (check_cgroup(fd, path)) {
		close(fd);
		return -errno;
	}
	return fd;
}

int smcp_scope_find(enum smcpolicy_scope scope, const char *name, int fd, struct smcp_scope *found)
{
	struct stat status;
	int err;

	memset(found, 0, sizeof(*found));
	switch (scope) {
	case SMCPOLICY_SCOPE_HOST:
		return 0;
	case SMCPOLICY_SCOPE_CGROUP:
		fd = smcp_cgroup_open(name, fd);
		if (fd < 0)
			return fd;
		/* On 64-bit hosts the inode number is the id. */
		err = fstat(fd, &status);
		close(fd);
		found->cgroup_id = status.st_ino;
		return err ? smcp_error(errno, NULL, "%s", strerror(errno)) : 0;
	case SMCPOLICY_SCOPE_NETNS:
		err = smcp_netns_cookie(name ?: "self", &found->netns_cookie);
		if (!err)
			return 0;
		return smcp_error(-err, err == -EPERM ? "run it as root" :
				  "give a name that ip netns shows, a path as /proc/PID/ns/net, or self",
				  "cannot enter the network namespace %s: %s", name, strerror(-err));
	}
	return smcp_error(EINVAL, NULL, "unknown scope");
}

/* Writes the scope into the struct smc_ulp_ops of the object. */
static int write_scope(struct smcpolicy *policy)
{
	const struct btf *btf = bpf_object__btf(policy->object);
	const struct btf_type *type = ops_type(btf, policy->ops);
	const struct btf_member *member = btf_members(type);
	void *value = bpf_map__initial_value(policy->ops, NULL);
	int i, found = 0;

	for (i = 0; value && i < btf_vlen(type); i++, member++) {
		const char *name = btf__name_by_offset(btf, member->name_off);
		void *at = value + btf_member_bit_offset(type, i) / 8;

		if (!strcmp(name, "cgroup_id"))
			memcpy(at, &policy->scope.cgroup_id, sizeof(uint64_t));
		else if (!strcmp(name, "netns_cookie"))
			memcpy(at, &policy->scope.netns_cookie, sizeof(uint64_t));
		else
			continue;
		found++;
	}
	if (found == 2 || (!policy->scope.cgroup_id && !policy->scope.netns_cookie))
		return 0;
	return smcp_error(EINVAL, "build it again with smc_policy/policy.bpf.h, or load it for the host",
			  "%s cannot have a scope", policy->name);
}

/* Of maps with this tag the new policy has those of the one that it replaces. */
#define TAG_KEEP	"smc_keep"

static int keep_map(struct smcpolicy *policy, const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(policy->object, name);
	struct smcp_map_info info;
	char entry[NAME_MAX];
	int fd, err = 0;

	snprintf(entry, sizeof(entry), PIN_MAP "%s", name);
	fd = map ? smcp_pin_get(policy->replaces, entry) : -1;
	if (fd < 0)
		return 0;
	/* One of another version starts anew. */
	if (!smcp_map_info(fd, &info) && info.type == bpf_map__type(map) &&
	    info.key_size == bpf_map__key_size(map) && info.value_size == bpf_map__value_size(map))
		err = bpf_map__reuse_fd(map, fd);
	close(fd);
	return err ? smcp_libbpf_error(err, NULL, "cannot keep the map %s", name) : 0;
}

static int keep_maps(struct smcpolicy *policy)
{
	const struct btf *btf = bpf_object__btf(policy->object);
	uint32_t id, n = btf__type_cnt(btf);
	int err = 0;

	for (id = 1; id < n && !err; id++) {
		const struct btf_type *type = btf__type_by_id(btf, id), *variable;

		if (!btf_is_decl_tag(type) ||
		    strcmp(btf__name_by_offset(btf, type->name_off), TAG_KEEP))
			continue;
		variable = btf__type_by_id(btf, type->type);
		err = keep_map(policy, btf__name_by_offset(btf, variable->name_off));
	}
	return err;
}

/* What the policy that is to be replaced has, this one will have. */
static int take_over(struct smcpolicy *policy, const char *name, unsigned int *hooks)
{
	struct smcpolicy_list *list = smcpolicy_list__new();
	const struct smcpolicy_loaded *other = list ? smcpolicy_list__find(list, name) : NULL;
	int err = other ? 0 : -errno;

	if (!err && (!policy->ops || policy->no_ops))
		err = smcp_error(EINVAL, "unload that, and load this",
				 "%s gives no verdicts, and cannot replace %s", policy->name, name);
	else if (!err && !smcpolicy_loaded__registered(other))
		err = smcp_error(ENOENT, "unload that, and load this",
				 "%s is not in force, and cannot be replaced", name);
	else if (!err && !*smcpolicy_loaded__pin_path(other))
		err = smcp_error(EBUSY, "end the process that loaded it",
				 "%s is not pinned, and cannot be replaced", name);
	if (!err) {
		policy->scope = *smcp_loaded_scope(other);
		*hooks = smcpolicy_loaded__hooks(other);
		policy->replaces = strdup(smcpolicy_loaded__name(other));
		policy->cgroup = strdup(smcpolicy_loaded__cgroup(other));
		/* What learns of TCP comes and goes with the policy. */
		*hooks &= ~SMCPOLICY_HOOK_SOCKOPS;
		if (policy->cgroup && *policy->cgroup)
			*hooks |= policy->hooks & SMCPOLICY_HOOK_SOCKOPS;
		if (!policy->replaces || !policy->cgroup) {
			smcp_no_memory();
			err = -ENOMEM;
		}
	}
	smcpolicy_list__free(list);
	return err ?: write_scope(policy) ?: keep_maps(policy);
}

static int set_scope(struct smcpolicy *policy, const struct smcpolicy_load_opts *opts)
{
	int err;

	if (policy->no_ops)
		return 0;
	err = smcp_scope_find(OPTS_GET(opts, scope, SMCPOLICY_SCOPE_HOST),
			      OPTS_GET(opts, scope_name, NULL), OPTS_GET(opts, scope_fd, -1),
			      &policy->scope);
	return err ?: write_scope(policy);
}

/* ---- loading ---- */

static int write_rodata(struct smcpolicy *policy)
{
	const struct smcpolicy_option *option;
	size_t size = 0;
	uint32_t count;
	void *data = policy->rodata ? bpf_map__initial_value(policy->rodata, &size) : NULL;
	int err = 0;

	for (option = policy->desc.options; data && option && !err; option = option->next) {
		count = option->count;
		if (option->rules)
			err = smcp_rules_prepare(option, policy->object, data, size);
		else if (option->type <= OPTION_U32 && option->offset + sizeof(count) <= size)
			memcpy(data + option->offset, &option->number, sizeof(option->number));
		if (option->has_count_variable && option->count_offset + sizeof(count) <= size)
			memcpy(data + option->count_offset, &count, sizeof(count));
	}
	return err;
}

/* Room for what the lists have; and they must be what their declaration says. */
static int size_maps(struct smcpolicy *policy)
{
	const struct smcpolicy_option *option, *other;
	struct bpf_map *map;
	size_t sum;

	for (option = policy->desc.options; option; option = option->next) {
		if (!smcpolicy_option__is_list(option))
			continue;
		map = bpf_object__find_map_by_name(policy->object, option->variable);
		if (!map || bpf_map__key_size(map) != smcp_key_size(option) ||
		    bpf_map__value_size(map) != sizeof(uint32_t))
			return smcp_error(EINVAL, "correct the policy, see smc_policy/policy.bpf.h",
					  "%s: option %s does not fit its map %s", policy->name,
					  option->key, option->variable);
		sum = 0;
		for (other = policy->desc.options; other; other = other->next)
			if (smcpolicy_option__is_list(other) &&
			    !strcmp(other->variable, option->variable))
				sum += other->count;
		if (sum > bpf_map__max_entries(map))
			bpf_map__set_max_entries(map, sum);
	}
	return 0;
}

static int fill_maps(struct smcpolicy *policy)
{
	const struct smcpolicy_option *option;
	const struct element *element;
	int fd, err;

	for (option = policy->desc.options; option; option = option->next) {
		if (option->rules) {
			err = smcp_rules_fill(option, policy->object);
			if (err)
				return err;
		}
		if (!option->count)
			continue;
		fd = bpf_object__find_map_fd_by_name(policy->object, option->variable);
		for (element = option->elements; element < option->elements + option->count;
		     element++)
			if (bpf_map_update_elem(fd, element->key.bytes, &option->number, BPF_ANY))
				return smcp_error(errno, NULL, "%s: cannot write option %s: %s",
						  policy->name, option->key, strerror(errno));
	}
	return 0;
}

int smcpolicy__load(struct smcpolicy *policy, const struct smcpolicy_load_opts *opts)
{
	unsigned int hooks = OPTS_GET(opts, hooks, 0);
	struct smcp_saved_error saved;
	struct bpf_program *program;
	int err;

	if (!OPTS_VALID(opts, smcpolicy_load_opts))
		return -EINVAL;
	if (policy->loaded)
		return smcp_error(EBUSY, NULL, "%s is loaded already", policy->name);
	policy->no_ops = !policy->ops || OPTS_GET(opts, no_ops, false);
	smcp_enter();
	if (OPTS_GET(opts, replaces, NULL))
		err = take_over(policy, opts->replaces, &hooks);
	else
		err = set_scope(policy, opts);
	if (!err && hooks & ~policy->hooks)
		err = smcp_error(EINVAL, "choose among those it has: smcpolicy show POLICY tells them",
				 "%s has no programs for a hook that is wanted", policy->name);
	if (err)
		goto out;
	bpf_object__for_each_program(program, policy->object)
		if (bpf_program__type(program) == BPF_PROG_TYPE_STRUCT_OPS ? policy->no_ops :
		    !(program_hook(program) & hooks))
			bpf_program__set_autoload(program, false);
	if (policy->ops && policy->no_ops)
		bpf_map__set_autocreate(policy->ops, false);
	err = write_rodata(policy) ?: size_maps(policy);
	if (!err && bpf_object__load(policy->object)) {
		smcp_libbpf_error(errno, NULL, "the kernel refuses %s", policy->name);
		err = -errno;
		/* What the host lacks says more than libbpf does. */
		smcp_save_error(&saved);
		if (!smcp_check_privilege() && !smcp_check_module()) {
			err = smcp_restore_error(&saved);
			smcp_error(-err, "smcpolicy -v shows its log; build policy and module for the same kernel",
				   "%s", smcpolicy_error_cause());
		} else {
			err = -errno;
		}
	}
	policy->loaded = !err;
	if (!err)
		err = fill_maps(policy);
out:
	smcp_leave();
	return err;
}

/* ---- putting it in force ---- */

/* Says which other policy is registered there, and how to end it. */
static int other_policy(struct smcpolicy *policy)
{
	struct smcpolicy_list *list = smcpolicy_list__new();
	const struct smcpolicy_loaded *other = NULL;
	char cure[512] = "smcpolicy list shows it";
	int err;

	if (list)
		other = smcp_list_find_scope(list, &policy->scope);
	if (other && *smcpolicy_loaded__pin_path(other))
		snprintf(cure, sizeof(cure), "smcpolicy unload %s, or load --replace",
			 smcpolicy_loaded__name(other));
	else if (other && smcpolicy_loaded__pid(other))
		snprintf(cure, sizeof(cure), "end process %d, which loaded it",
			 smcpolicy_loaded__pid(other));
	err = smcp_error(EBUSY, cure, "another policy is in force (%s)%s%s",
			 other ? smcpolicy_loaded__policy(other) : "unknown",
			 other && *smcpolicy_loaded__scope_name(other) ? " for " : "",
			 other ? smcpolicy_loaded__scope_name(other) : "");
	smcpolicy_list__free(list);
	return err;
}

static int register_ops(struct smcpolicy *policy)
{
	int err;

	policy->ops_link = bpf_map__attach_struct_ops(policy->ops);
	if (policy->ops_link)
		return 0;
	err = errno;
	if (err == EBUSY)
		return other_policy(policy);
	if (err == EOPNOTSUPP)
		return smcp_error(err, "put its struct " STRUCT_OPS_TYPE " in SEC(\".struct_ops.link\")",
				  "%s cannot be registered with a link", policy->name);
	if (err == ENOENT)
		return smcp_error(err, "it has gone meanwhile",
				  "there is no such cgroup or network namespace for %s",
				  policy->name);
	if (err == EINVAL)
		return smcp_error(err, "its name must have 1 to 15 letters, digits, '_', '-' or '.'",
				  "the kernel refuses the policy %s", policy->name);
	return smcp_libbpf_error(err, NULL, "cannot register the policy %s", policy->name);
}

static int attach_programs(struct smcpolicy *policy, const struct smcpolicy_attach_opts *opts)
{
	struct bpf_program *program;
	struct bpf_link *link;
	int fd = -1, err = 0;

	bpf_object__for_each_program(program, policy->object) {
		if (!program_hook(program) || !bpf_program__autoload(program))
			continue;
		if (fd < 0) {
			fd = OPTS_GET(opts, cgroup_fd, 0);
			if (!OPTS_GET(opts, cgroup, NULL) && fd <= 0)
				return smcp_error(EINVAL, "name a cgroup",
						  "attach programs are wanted, but no cgroup for them");
			fd = smcp_cgroup_open(OPTS_GET(opts, cgroup, NULL), fd);
			if (fd < 0)
				return fd;
		}
		if (policy->link_count == MAX_PROGRAM_LINKS) {
			err = smcp_error(E2BIG, NULL, "%s has more than %d attach programs",
					 policy->name, MAX_PROGRAM_LINKS);
			break;
		}
		link = bpf_program__attach_cgroup(program, fd);
		if (!link) {
			err = smcp_libbpf_error(errno, errno == EPERM ?
						"detach what others have put there without BPF_F_ALLOW_MULTI, or use another cgroup" :
						NULL, "cannot attach %s to the cgroup",
						bpf_program__name(program));
			break;
		}
		policy->links[policy->link_count].program = program;
		policy->links[policy->link_count++].link = link;
	}
	if (fd >= 0)
		close(fd);
	if (!err && !policy->link_count && (OPTS_GET(opts, cgroup, NULL) ||
					    OPTS_GET(opts, cgroup_fd, 0) > 0))
		err = smcp_error(EINVAL, "load it with hooks",
				 "a cgroup is given, but %s has no attach programs loaded",
				 policy->name);
	return err;
}

int smcpolicy__attach(struct smcpolicy *policy, const struct smcpolicy_attach_opts *opts)
{
	struct smcp_saved_error saved;
	int err = 0;

	if (!OPTS_VALID(opts, smcpolicy_attach_opts))
		return -EINVAL;
	if (!policy->loaded || policy->ops_link || policy->link_count)
		return smcp_error(EINVAL, NULL, "%s is %s", policy->name,
				  policy->loaded ? "attached already" : "not loaded");
	smcp_enter();
	if (!policy->no_ops)
		err = register_ops(policy);
	if (!err)
		err = attach_programs(policy, opts);
	if (err) {
		smcp_save_error(&saved);
		drop_links(policy);
		smcp_restore_error(&saved);
	}
	smcp_leave();
	return err;
}

int smcpolicy__detach(struct smcpolicy *policy)
{
	int i, err = 0;

	smcp_enter();
	for (i = policy->link_count - 1; i >= 0; i--)
		err = bpf_link__detach(policy->links[i].link) ?: err;
	if (policy->ops_link)
		err = bpf_link__detach(policy->ops_link) ?: err;
	drop_links(policy);
	if (err)
		smcp_libbpf_error(err, NULL, "cannot detach %s", policy->name);
	smcp_leave();
	return err;
}
