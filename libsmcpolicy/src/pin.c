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

static int not_pinned(const char *name)
{
	char registered[64] = "", cure[64] = "end the process that loaded it";
	uint32_t id = smcp_registered(registered, sizeof(registered));
	int pid;

	if (!id || strcmp(registered, name))
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
