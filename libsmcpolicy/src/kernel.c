// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * What the kernel says of maps, links and cgroups
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <unistd.h>

#include "internal.h"

int smcp_map_info(int fd, struct smcp_map_info *info)
{
	uint32_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &len);
}

int smcp_link_info(int fd, struct smcp_link_info *info)
{
	uint32_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &len);
}

/* Is this the BTF of our module? */
static bool is_module_btf(uint32_t id)
{
	struct bpf_btf_info info = {};
	uint32_t len = sizeof(info);
	char name[64] = "";
	int fd = bpf_btf_get_fd_by_id(id), err;

	if (fd < 0)
		return false;
	info.name = (uintptr_t)name;
	info.name_len = sizeof(name);
	err = bpf_obj_get_info_by_fd(fd, &info, &len);
	close(fd);
	return !err && !strcmp(name, MODULE_NAME);
}

/*
 * The value of a policy's map is struct bpf_struct_ops_smc_ulp_ops, of the module's BTF: what
 * the BPF core keeps, then "data", struct smc_ulp_ops with the id of the program in the place of
 * each callback.
 */
static const struct btf_type *find_data(const struct btf *btf, uint32_t value_type,
					size_t *offset)
{
	const struct btf_type *type = btf__type_by_id(btf, value_type);
	size_t i;

	for (i = 0; type && btf_is_struct(type) && i < btf_vlen(type); i++) {
		if (strcmp(btf__name_by_offset(btf, btf_members(type)[i].name_off), "data"))
			continue;
		*offset = btf_member_bit_offset(type, i) / 8;
		return btf__type_by_id(btf, btf__resolve_type(btf, btf_members(type)[i].type));
	}
	return NULL;
}

static int read_policy(int map_fd, char *name, size_t name_size, uint32_t *ids, int max)
{
	struct btf *vmlinux = NULL, *btf = NULL;
	const struct btf_type *type;
	struct smcp_map_info info;
	size_t i, base = 0, offset;
	uint32_t zero = 0;
	char *value = NULL;
	int count = -ENOENT;

	if (smcp_map_info(map_fd, &info) || info.type != BPF_MAP_TYPE_STRUCT_OPS ||
	    !is_module_btf(info.btf_vmlinux_id))
		return -ENOENT;
	smcp_enter();
	vmlinux = btf__load_vmlinux_btf();
	btf = vmlinux ? btf__load_module_btf(MODULE_NAME, vmlinux) : NULL;
	value = calloc(1, info.value_size);
	if (!btf || !value || bpf_map_lookup_elem(map_fd, &zero, value))
		goto out;
	type = find_data(btf, info.btf_vmlinux_value_type_id, &base);
	if (!type || !btf_is_struct(type))
		goto out;
	count = 0;
	for (i = 0; i < btf_vlen(type); i++) {
		const struct btf_member *member = &btf_members(type)[i];

		offset = base + btf_member_bit_offset(type, i) / 8;
		if (offset + sizeof(unsigned long) > info.value_size)
			break;
		if (!strcmp(btf__name_by_offset(btf, member->name_off), "name")) {
			snprintf(name, name_size, "%.*s", (int)(info.value_size - offset),
				 value + offset);
		} else if (btf_is_ptr(btf__type_by_id(btf, member->type)) && count < max) {
			ids[count] = *(unsigned long *)(value + offset);
			count += !!ids[count];
		}
	}
out:
	free(value);
	btf__free(btf);
	btf__free(vmlinux);
	smcp_leave();
	return count;
}

bool smcp_is_policy_map(int map_fd, char *name, size_t size)
{
	return read_policy(map_fd, name, size, NULL, 0) >= 0;
}

int smcp_policy_programs(int map_fd, uint32_t *ids, int max)
{
	char name[64];

	return read_policy(map_fd, name, sizeof(name), ids, max);
}

uint32_t smcp_registered(char *name, size_t size)
{
	uint32_t id = 0, found = 0;

	while (!found && !bpf_link_get_next_id(id, &id)) {
		struct smcp_link_info info;
		int fd = bpf_link_get_fd_by_id(id), map_fd = -1;

		if (fd < 0)
			continue;
		if (!smcp_link_info(fd, &info) && info.type == BPF_LINK_TYPE_STRUCT_OPS &&
		    info.struct_ops.map_id)
			map_fd = bpf_map_get_fd_by_id(info.struct_ops.map_id);
		if (map_fd >= 0 && smcp_is_policy_map(map_fd, name, size))
			found = id;
		if (map_fd >= 0)
			close(map_fd);
		close(fd);
	}
	return found;
}

int smcp_cgroup_path(uint64_t id, char *path, size_t size)
{
	char room[sizeof(struct file_handle) + sizeof(id)] __attribute__((aligned(8)));
	struct file_handle *handle = (void *)room;
	char link[64], root[PATH_MAX] = "";
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent entry;
	char buf[PATH_MAX];
	int mount, fd = -1;
	ssize_t len = -1;

	path[0] = 0;
	while (mounts && !root[0] && getmntent_r(mounts, &entry, buf, sizeof(buf)))
		if (!strcmp(entry.mnt_type, "cgroup2"))
			snprintf(root, sizeof(root), "%s", entry.mnt_dir);
	if (mounts)
		endmntent(mounts);
	mount = root[0] ? open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	handle->handle_bytes = sizeof(id);
	handle->handle_type = 0xfe;	/* FILEID_KERNFS */
	memcpy(handle->f_handle, &id, sizeof(id));
	if (mount >= 0) {
		fd = open_by_handle_at(mount, handle, O_PATH | O_CLOEXEC);
		close(mount);
	}
	if (fd >= 0) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		len = readlink(link, path, size - 1);
		path[len < 0 ? 0 : len] = 0;
		close(fd);
	}
	return len < 0 ? -ENOENT : 0;
}

static bool fdinfo_has_link(const char *path, uint32_t link_id)
{
	FILE *file = fopen(path, "re");
	bool found = false;
	char line[256];
	uint32_t id;

	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, "link_id: %u", &id) == 1 && id == link_id;
	if (file)
		fclose(file);
	return found;
}

int smcp_link_holder(uint32_t link_id)
{
	DIR *proc = opendir("/proc");
	struct dirent *process, *fd;
	int holder = 0;
	char path[600];

	while (proc && !holder && (process = readdir(proc))) {
		DIR *fds;

		if (process->d_name[0] < '1' || process->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/fdinfo", process->d_name);
		fds = opendir(path);
		while (fds && !holder && (fd = readdir(fds))) {
			snprintf(path, sizeof(path), "/proc/%s/fdinfo/%.20s", process->d_name,
				 fd->d_name);
			if (fd->d_name[0] != '.' && fdinfo_has_link(path, link_id))
				holder = atoi(process->d_name);
		}
		if (fds)
			closedir(fds);
	}
	if (proc)
		closedir(proc);
	return holder;
}
