/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Cgroups below /sys/fs/cgroup/smc_ulp_test, removed by the runner after each test.
 */
#ifndef _CGROUP_HELPERS_H
#define _CGROUP_HELPERS_H

#include <linux/types.h>

/* Makes the cgroup (that above it has to be there); a descriptor of its directory, or -1. */
int cgroup_make(const char *name);
/* Moves the calling process into it, or back to the root for NULL. 0 or -1. */
int cgroup_join(const char *name);
void cgroup_cleanup(void);

#endif
