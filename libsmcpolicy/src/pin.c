// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Pins: BPFFS/smcpolicy/NAME/ has "ops", the link of the policy, "link_PROGRAM", the links of its
 * attach programs, and "map_NAME", its maps.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "internal.h"

static const char *bpffs(void)
{
	return secure_getenv("SMCPOLICY_BPFFS") ?: "/sys/fs/bpf";
}

const char *smcp_bpffs_path(void)
{
	static __thread char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/smcpolicy", bpffs());
	return path;
}

/* Every change of more than one step is made under the lock of this directory. */
int smcp_bpffs_open(bool create)
{
	const char *path = smcp_bpffs_path();
	struct statfs fs;
	char cure[256];
	int fd;

	if (statfs(bpffs(), &fs) || fs.f_type != BPF_FS_MAGIC) {
		if (!create)
			return -ENOENT;
		snprintf(cure, sizeof(cure), "mount -t bpf bpf %s", bpffs());
		return smcp_error(ENODEV, cure, "there is no BPF file system on %s to pin in",
				  bpffs());
	}
	if (create && mkdir(path, 0700) && errno != EEXIST)
		return smcp_error(errno, errno == EACCES ? "run it as root" : NULL,
				  "cannot make %s: %s", path, strerror(errno));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return smcp_error(errno, errno == EACCES ? "run it as root" : NULL,
				  "cannot open %s: %s", path, strerror(errno));
	while (flock(fd, LOCK_EX))
		if (errno != EINTR)
			break;
	return fd;
}

void smcp_bpffs_close(int fd)
{
	close(fd);
}

/* The BPF file system has no dots in names. */
int smcp_pin_name(const char *name, char *pin, size_t size)
{
	char *c;

	if (!*name || strchr(name, '/') || strlen(name) >= size)
		return smcp_error(EINVAL, "use a name without '/'", "'%s' cannot be the name of a pin",
				  name);
	strcpy(pin, name);
	for (c = pin; *c; c++)
		if (*c == '.')
			*c = '_';
	return 0;
}

static int entry_path(char *path, size_t size, const char *name, const char *prefix,
		      const char *entry)
{
	char pin[2][NAME_MAX];

	if (smcp_pin_name(name, pin[0], sizeof(pin[0])) ||
	    smcp_pin_name(entry, pin[1], sizeof(pin[1])))
		return -errno;
	if ((size_t)snprintf(path, size, "%s/%s/%s%s", smcp_bpffs_path(), pin[0], prefix,
			     pin[1]) >= size)
		return smcp_error(ENAMETOOLONG, NULL, "the path of a pin of %s is too long", name);
	return 0;
}

int smcp_pin_get(const char *name, const char *entry)
{
	char path[PATH_MAX];

	return entry_path(path, sizeof(path), name, "", entry) ?: bpf_obj_get(path);
}

/* Removes BPFFS/smcpolicy/@name; with @detach, what is pinned there ends first. */
static int remove_pins(int root, const char *name, bool detach)
{
	int dir = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), pass, fd, err = 0;
	struct dirent *entry;
	DIR *entries;

	if (dir < 0)
		return -errno;
	entries = fdopendir(dir);
	if (!entries) {
		close(dir);
		return -ENOMEM;
	}
	/* The attach programs first: no socket is attached without the policy. */
	for (pass = 0; pass < 2 && !err; pass++) {
		rewinddir(entries);
		while (!err && (entry = readdir(entries))) {
			bool link = !strncmp(entry->d_name, PIN_LINK, strlen(PIN_LINK));

			if (entry->d_name[0] == '.' || link != !pass)
				continue;
			if (detach && (link || !strcmp(entry->d_name, PIN_OPS))) {
				fd = smcp_pin_get(name, entry->d_name);
				/* It may be detached already; the pin is what keeps it. */
				if (fd >= 0) {
					bpf_link_detach(fd);
					close(fd);
				}
			}
			if (unlinkat(dir, entry->d_name, 0))
				err = -errno;
		}
	}
	closedir(entries);
	if (!err && unlinkat(root, name, AT_REMOVEDIR))
		err = -errno;
	return err;
}

static int pin_all(struct smcpolicy *policy, const char *name)
{
	char path[PATH_MAX];
	struct bpf_map *map;
	int i, err;

	bpf_object__for_each_map(map, policy->object) {
		if (bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS || bpf_map__fd(map) < 0)
			continue;
		/* "by_port.rodata" and the like: the section is enough */
		err = entry_path(path, sizeof(path), name, PIN_MAP, map == policy->rodata ?
				 "rodata" : bpf_map__name(map));
		if (!err)
			err = bpf_obj_pin(bpf_map__fd(map), path);
		if (err)
			return err;
	}
	for (i = 0; i < policy->link_count; i++) {
		err = entry_path(path, sizeof(path), name, PIN_LINK,
				 bpf_program__name(policy->links[i].program));
		if (!err)
			err = bpf_obj_pin(bpf_link__fd(policy->links[i].link), path);
		if (err)
			return err;
	}
	if (!policy->ops_link)
		return 0;
	err = entry_path(path, sizeof(path), name, "", PIN_OPS);
	return err ?: bpf_obj_pin(bpf_link__fd(policy->ops_link), path);
}

int smcpolicy__pin(struct smcpolicy *policy, const char *name)
{
	char pin[NAME_MAX], cure[NAME_MAX + 32];
	int root, err;

	if (!policy->ops_link && !policy->link_count)
		return smcp_error(EINVAL, "attach it first", "%s is not attached", policy->name);
	name = name ?: policy->name;
	err = smcp_pin_name(name, pin, sizeof(pin));
	if (err)
		return err;
	root = smcp_bpffs_open(true);
	if (root < 0)
		return root;
	if (mkdirat(root, pin, 0700)) {
		snprintf(cure, sizeof(cure), "smcpolicy unload %s", name);
		err = errno == EEXIST ?
			smcp_error(EEXIST, cure, "%s/%s is there already", smcp_bpffs_path(), pin) :
			smcp_error(errno, NULL, "cannot make %s/%s: %s", smcp_bpffs_path(), pin,
				   strerror(errno));
		goto out;
	}
	err = pin_all(policy, pin);
	if (err) {
		remove_pins(root, pin, false);
		err = smcp_error(-err, NULL, "cannot pin in %s/%s: %s", smcp_bpffs_path(), pin,
				 strerror(-err));
	}
out:
	smcp_bpffs_close(root);
	return err;
}

/* ---- replacing ---- */

#define MAX_LINKS	(MAX_PROGRAM_LINKS + 1)

/* What is pinned of a policy that is to be replaced */
struct pinned {
	int ops_fd, map_fd;	/* link and map of the policy */
	int count, updated;
	struct {
		char entry[NAME_MAX + 1];
		int fd, old_fd;		/* link, and the program that it has */
		struct bpf_program *program;	/* that it will have */
	} links[MAX_LINKS];
};

static void pinned_close(struct pinned *pinned)
{
	int i;

	for (i = 0; i < pinned->count; i++) {
		close(pinned->links[i].fd);
		if (pinned->links[i].old_fd >= 0)
			close(pinned->links[i].old_fd);
	}
	if (pinned->map_fd >= 0)
		close(pinned->map_fd);
	if (pinned->ops_fd >= 0)
		close(pinned->ops_fd);
}

/* The program of the object that does what that link's does */
static struct bpf_program *find_program(const struct smcpolicy *policy,
					const struct smcp_link_info *info)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, policy->object)
		if (bpf_program__type(program) != BPF_PROG_TYPE_STRUCT_OPS &&
		    bpf_program__autoload(program) &&
		    bpf_program__expected_attach_type(program) == info->cgroup.attach_type)
			return program;
	return NULL;
}

static int add_pinned_link(const struct smcpolicy *policy, struct pinned *pinned, const char *entry)
{
	int n = pinned->count, fd = smcp_pin_get(policy->replaces, entry);
	struct bpf_program *program;
	struct smcp_link_info info;

	if (fd < 0 || smcp_link_info(fd, &info) || info.type != BPF_LINK_TYPE_CGROUP ||
	    !info.cgroup.cgroup_id || n == MAX_LINKS) {
		/* Its cgroup has gone: nothing to take over. */
		if (fd >= 0)
			close(fd);
		return 0;
	}
	program = find_program(policy, &info);
	if (!program && info.cgroup.attach_type == BPF_CGROUP_SOCK_OPS) {
		/* It ends with its pin. */
		close(fd);
		return 0;
	}
	snprintf(pinned->links[n].entry, sizeof(pinned->links[n].entry), "%s", entry);
	pinned->links[n].fd = fd;
	pinned->links[n].old_fd = bpf_prog_get_fd_by_id(info.prog_id);
	pinned->links[n].program = program;
	pinned->count++;
	if (pinned->links[n].program)
		return 0;
	return smcp_error(EINVAL, "unload that, and load this",
			  "%s has no program for a hook that %s has attached", policy->name,
			  policy->replaces);
}

static int pinned_open(const struct smcpolicy *policy, struct pinned *pinned, int root)
{
	struct smcp_link_info info;
	struct dirent *entry;
	DIR *entries;
	int dir, err = 0;

	pinned->ops_fd = smcp_pin_get(policy->replaces, PIN_OPS);
	if (pinned->ops_fd >= 0 && !smcp_link_info(pinned->ops_fd, &info) && info.struct_ops.map_id)
		pinned->map_fd = bpf_map_get_fd_by_id(info.struct_ops.map_id);
	if (pinned->map_fd < 0)
		return smcp_error(ENOENT, "load it without --replace", "%s is not in force any more",
				  policy->replaces);
	dir = openat(root, policy->replaces, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	entries = dir < 0 ? NULL : fdopendir(dir);
	while (entries && !err && (entry = readdir(entries)))
		if (!strncmp(entry->d_name, PIN_LINK, strlen(PIN_LINK)))
			err = add_pinned_link(policy, pinned, entry->d_name);
	if (entries)
		closedir(entries);
	else if (dir >= 0)
		close(dir);
	return err;
}

/* A sockops program, where the old policy had none */
static int attach_sockops(struct smcpolicy *policy, const struct pinned *pinned)
{
	struct smcp_link_info info = { .cgroup.attach_type = BPF_CGROUP_SOCK_OPS };
	struct bpf_program *program = find_program(policy, &info);
	struct bpf_link *link;
	int i, fd;

	for (i = 0; i < pinned->count && program; i++)
		if (pinned->links[i].program == program)
			program = NULL;
	if (!program)
		return 0;
	fd = smcp_cgroup_open(policy->cgroup, -1);
	if (fd < 0)
		return fd;
	link = bpf_program__attach_cgroup(program, fd);
	close(fd);
	if (!link)
		return smcp_libbpf_error(errno, NULL, "cannot attach %s to the cgroup",
					 bpf_program__name(program));
	policy->links[0].program = program;
	policy->links[policy->link_count++].link = link;
	return 0;
}

/* Puts the policy into the link. The map has its value once it was tried to register it. */
static int swap_ops(struct smcpolicy *policy, const struct pinned *pinned)
{
	LIBBPF_OPTS(bpf_link_update_opts, opts, .flags = BPF_F_REPLACE,
		    .old_map_fd = pinned->map_fd);
	struct bpf_link *link = bpf_map__attach_struct_ops(policy->ops);

	if (link) {
		bpf_link__destroy(link);
		return smcp_error(ENOENT, "load it without --replace", "%s is not in force any more",
				  policy->replaces);
	}
	if (errno != EBUSY || bpf_link_update(pinned->ops_fd, bpf_map__fd(policy->ops), &opts))
		return smcp_libbpf_error(errno, NULL, "cannot put %s in the place of %s",
					 policy->name, policy->replaces);
	return 0;
}

static void swap_back(struct smcpolicy *policy, const struct pinned *pinned)
{
	LIBBPF_OPTS(bpf_link_update_opts, opts, .flags = BPF_F_REPLACE,
		    .old_map_fd = bpf_map__fd(policy->ops));
	int i;

	for (i = 0; i < pinned->updated; i++)
		bpf_link_update(pinned->links[i].fd, pinned->links[i].old_fd, NULL);
	bpf_link_update(pinned->ops_fd, pinned->map_fd, &opts);
}

static int swap_programs(struct smcpolicy *policy, struct pinned *pinned)
{
	for (; pinned->updated < pinned->count; pinned->updated++)
		if (bpf_link_update(pinned->links[pinned->updated].fd,
				    bpf_program__fd(pinned->links[pinned->updated].program), NULL))
			return smcp_error(errno, NULL, "cannot replace %s of %s: %s",
					  pinned->links[pinned->updated].entry, policy->replaces,
					  strerror(errno));
	return 0;
}

static int pin_fd(const char *dir, const char *entry, int fd)
{
	char path[PATH_MAX];

	return entry_path(path, sizeof(path), dir, "", entry) ?: bpf_obj_pin(fd, path);
}

static int pin_again(struct smcpolicy *policy, const struct pinned *pinned, const char *dir)
{
	int i, err = pin_all(policy, dir) ?: pin_fd(dir, PIN_OPS, pinned->ops_fd);

	for (i = 0; i < pinned->count && !err; i++)
		err = pin_fd(dir, pinned->links[i].entry, pinned->links[i].fd);
	return err;
}

/* The new pins are made beside the old ones, and take their place last. */
static int replace(struct smcpolicy *policy, struct pinned *pinned, int root, const char *pin)
{
	char beside[NAME_MAX], cure[NAME_MAX + 32];
	struct smcp_saved_error saved;
	struct stat status;
	int err;

	if (strcmp(pin, policy->replaces) && !fstatat(root, pin, &status, 0)) {
		snprintf(cure, sizeof(cure), "smcpolicy unload %s", pin);
		return smcp_error(EEXIST, cure, "%s/%s is there already", smcp_bpffs_path(), pin);
	}
	err = attach_sockops(policy, pinned);
	if (err)
		return err;
	snprintf(beside, sizeof(beside), "%.200s~", policy->replaces);
	remove_pins(root, beside, false);	/* of one that was killed */
	if (mkdirat(root, beside, 0700))
		return smcp_error(errno, NULL, "cannot make %s/%s: %s", smcp_bpffs_path(), beside,
				  strerror(errno));
	err = pin_again(policy, pinned, beside);
	if (err)
		err = smcp_error(-err, NULL, "cannot pin in %s/%s: %s", smcp_bpffs_path(), beside,
				 strerror(-err));
	err = err ?: swap_ops(policy, pinned);
	if (!err) {
		err = swap_programs(policy, pinned);
		if (err) {
			smcp_save_error(&saved);
			swap_back(policy, pinned);
			smcp_restore_error(&saved);
		}
	}
	if (err) {
		smcp_save_error(&saved);
		remove_pins(root, beside, false);
		return smcp_restore_error(&saved);
	}
	err = remove_pins(root, policy->replaces, false);
	if (!err && renameat(root, beside, root, pin))
		err = -errno;
	return err ? smcp_error(-err, NULL, "cannot rename %s/%s: %s", smcp_bpffs_path(), beside,
				strerror(-err)) : 0;
}

int smcpolicy__replace(struct smcpolicy *policy, const char *name)
{
	struct pinned pinned = { .ops_fd = -1, .map_fd = -1 };
	char pin[NAME_MAX];
	int root, err;

	if (!policy->replaces || policy->ops_link || policy->link_count)
		return smcp_error(EINVAL, "load it with the name of what it replaces",
				  "%s is to replace nothing", policy->name);
	err = smcp_pin_name(name ?: policy->replaces, pin, sizeof(pin));
	if (err)
		return err;
	root = smcp_bpffs_open(true);
	if (root < 0)
		return root;
	smcp_enter();
	err = pinned_open(policy, &pinned, root) ?: replace(policy, &pinned, root, pin);
	smcp_leave();
	pinned_close(&pinned);
	smcp_bpffs_close(root);
	return err;
}

static int not_pinned(const char *name)
{
	char cure[64] = "end the process that loaded it";
	struct smcp_policy_info policy;
	uint32_t id = 0;
	int pid;

	while ((id = smcp_next_registered(id, &policy)))
		if (!strcmp(policy.name, name))
			break;
	if (!id)
		return smcp_error(ENOENT, "smcpolicy list shows what is loaded",
				  "no policy %s is loaded", name);
	pid = smcp_link_holder(id);
	if (pid)
		snprintf(cure, sizeof(cure), "end process %d, which loaded it", pid);
	return smcp_error(ENOENT, cure, "%s is in force, but not pinned", name);
}

int smcpolicy_unload(const char *name)
{
	char pin[NAME_MAX];
	int root, err;

	err = smcp_check_privilege() ?: smcp_pin_name(name, pin, sizeof(pin));
	if (err)
		return err;
	root = smcp_bpffs_open(false);
	if (root < 0)
		return root == -ENOENT ? not_pinned(name) : root;
	err = remove_pins(root, pin, true);
	smcp_bpffs_close(root);
	if (err == -ENOENT)
		return not_pinned(name);
	if (err)
		return smcp_error(-err, NULL, "cannot remove %s/%s: %s", smcp_bpffs_path(), pin,
				  strerror(-err));
	return 0;
}
