/* SPDX-License-Identifier: GPL-2.0-only */
/* Policies for a scope each, for BPF and user space. */
#ifndef _SCOPED_H
#define _SCOPED_H

#include "recorder.h"

/* Which policy: from near to far. */
enum scope {
	SCOPE_NEAR,		/* a cgroup */
	SCOPE_OUTER,		/* the cgroup above it */
	SCOPE_NETNS,
	SCOPE_HOST,
	SCOPE_MAX,
};

#endif
