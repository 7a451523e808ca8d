// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <ftw.h>
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

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type == FTW_DP)
		rmdir(path);
	return 0;
}

void cgroup_cleanup(void)
{
	nftw(OURS, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
