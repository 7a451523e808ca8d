// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "cgroup_helpers.h"
#include "test_progs.h"

#define ROOT "/sys/fs/cgroup"
#define OURS ROOT "/smc_ulp_test"

int cgroup_make(const char *name)
{
	char path[PATH_MAX];

	if (mkdir(OURS, 0755) && errno != EEXIST)
		return -1;
	snprintf(path, sizeof(path), OURS "/%s", name);
	if (mkdir(path, 0755) && errno != EEXIST)
		return -1;
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int cgroup_join(const char *name)
{
	char path[PATH_MAX];

	if (name)
		snprintf(path, sizeof(path), OURS "/%s/cgroup.procs", name);
	else
		snprintf(path, sizeof(path), ROOT "/cgroup.procs");
	return write_file(path, "0") ? -1 : 0;
}

void cgroup_cleanup(void)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir = opendir(OURS);

	while (dir && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), OURS "/%s", entry->d_name);
		rmdir(path);
	}
	if (dir)
		closedir(dir);
	rmdir(OURS);
}
