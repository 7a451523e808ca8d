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

/*
 * Where in the value things are. To parse all types of the kernel takes long, so a thread keeps the
 * answer; a module that is loaded again has another id.
 */
struct layout {
	uint32_t btf_id, value_type, value_size;
	struct {
		uint32_t offset, size;
	} name, cgroup_id, netns_cookie, programs[16];
	int program_count;
};

static void add_member(struct layout *layout, const struct btf *btf,
		       const struct btf_member *member, uint32_t offset, uint32_t size)
{
	const char *name = btf__name_by_offset(btf, member->name_off);
	typeof(&layout->name) at;

	if (!strcmp(name, "name"))
		at = &layout->name;
	else if (!strcmp(name, "cgroup_id") && size == sizeof(uint64_t))
		at = &layout->cgroup_id;
	else if (!strcmp(name, "netns_cookie") && size == sizeof(uint64_t))
		at = &layout->netns_cookie;
	else if (btf_is_ptr(btf__type_by_id(btf, member->type)) &&
		 layout->program_count < (int)ARRAY_SIZE(layout->programs))
		at = &layout->programs[layout->program_count++];
	else
		return;
	at->offset = offset;
	at->size = size;
}

static const struct layout *get_layout(const struct smcp_map_info *info)
{
	static __thread struct layout layout;
	struct btf *vmlinux, *btf;
	const struct btf_type *type;
	size_t i, base = 0;

	if (layout.btf_id == info->btf_vmlinux_id &&
	    layout.value_type == info->btf_vmlinux_value_type_id)
		return &layout;
	memset(&layout, 0, sizeof(layout));
	smcp_enter();
	vmlinux = btf__load_vmlinux_btf();
	btf = vmlinux ? btf__load_module_btf(MODULE_NAME, vmlinux) : NULL;
	type = btf ? find_data(btf, info->btf_vmlinux_value_type_id, &base) : NULL;
	for (i = 0; type && btf_is_struct(type) && i < btf_vlen(type); i++) {
		const struct btf_member *member = &btf_members(type)[i];
		size_t offset = base + btf_member_bit_offset(type, i) / 8;
		int64_t size = btf__resolve_size(btf, member->type);

		if (size > 0 && offset + size <= info->value_size)
			add_member(&layout, btf, member, offset, size);
	}
	btf__free(btf);
	btf__free(vmlinux);
	smcp_leave();
	if (!layout.name.size)
		return NULL;
	layout.btf_id = info->btf_vmlinux_id;
	layout.value_type = info->btf_vmlinux_value_type_id;
	return &layout;
}

int smcp_policy_info(int map_fd, struct smcp_policy_info *policy)
{
	const struct layout *layout;
	struct smcp_map_info info;
	uint32_t zero = 0;
	char *value;
	int i, err;

	memset(policy, 0, sizeof(*policy));
	if (smcp_map_info(map_fd, &info) || info.type != BPF_MAP_TYPE_STRUCT_OPS ||
	    !is_module_btf(info.btf_vmlinux_id))
		return -ENOENT;
	layout = get_layout(&info);
	value = calloc(1, info.value_size);
	err = layout && value ? bpf_map_lookup_elem(map_fd, &zero, value) : -ENOENT;
	if (!err) {
		snprintf(policy->name, sizeof(policy->name), "%.*s", (int)layout->name.size,
			 value + layout->name.offset);
		memcpy(&policy->scope.cgroup_id, value + layout->cgroup_id.offset,
		       layout->cgroup_id.size);
		memcpy(&policy->scope.netns_cookie, value + layout->netns_cookie.offset,
		       layout->netns_cookie.size);
	}
	for (i = 0; !err && i < layout->program_count; i++) {
		memcpy(&policy->programs[policy->program_count], value + layout->programs[i].offset,
		       sizeof(*policy->programs));
		policy->program_count += !!policy->programs[policy->program_count];
	}
	free(value);
	return err;
}

uint32_t smcp_next_registered(uint32_t id, struct smcp_policy_info *policy)
{
	uint32_t found = 0;

	while (!found && !bpf_link_get_next_id(id, &id)) {
		struct smcp_link_info info;
		int fd = bpf_link_get_fd_by_id(id), map_fd = -1;

		if (fd < 0)
			continue;
		if (!smcp_link_info(fd, &info) && info.type == BPF_LINK_TYPE_STRUCT_OPS &&
		    info.struct_ops.map_id)
			map_fd = bpf_map_get_fd_by_id(info.struct_ops.map_id);
		if (map_fd >= 0 && !smcp_policy_info(map_fd, policy))
			found = id;
		if (map_fd >= 0)
			close(map_fd);
		close(fd);
	}
	return found;
}

int smcp_cgroup_root(char *path, size_t size)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent entry;
	char buf[PATH_MAX];

	path[0] = 0;
	while (mounts && !path[0] && getmntent_r(mounts, &entry, buf, sizeof(buf)))
		if (!strcmp(entry.mnt_type, "cgroup2"))
			snprintf(path, size, "%s", entry.mnt_dir);
	if (mounts)
		endmntent(mounts);
	return path[0] ? 0 : -ENOENT;
}

int smcp_cgroup_path(uint64_t id, char *path, size_t size)
{
	char room[sizeof(struct file_handle) + sizeof(id)] __attribute__((aligned(8)));
	struct file_handle *handle = (void *)room;
	char link[64], root[PATH_MAX];
	int mount, fd = -1;
	ssize_t len = -1;

	path[0] = 0;
	mount = smcp_cgroup_root(root, sizeof(root)) ? -1 :
		open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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
