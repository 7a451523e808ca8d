// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Why a connection is TCP, or was refused
 */
#include "internal.h"

static const struct reason {
	uint32_t code;
	const char *name, *text, *cause, *cure;
} reasons[] = {
#define REASON(code, name, text, cause, cure)	{ code, name, text, cause, cure },
#include "reasons.def"
#undef REASON
};

static const struct reason *find(uint32_t code)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].code == code)
			return &reasons[i];
	return NULL;
}

/* The kernel also hands on negative errnos. */
static int reason_errno(uint32_t reason)
{
	return (int32_t)reason < 0 && (int32_t)reason > -4096 ? -(int32_t)reason : 0;
}

const char *smcpolicy_reason_name(uint32_t reason)
{
	const struct reason *found = find(reason);

	return found ? found->name : strerrorname_np(reason_errno(reason) ?: -1);
}

const char *smcpolicy_reason_text(uint32_t reason)
{
	const struct reason *found = find(reason);

	if (found)
		return found->text;
	return reason_errno(reason) ? strerrordesc_np(reason_errno(reason)) : NULL;
}

const char *smcpolicy_reason_cause(uint32_t reason)
{
	const struct reason *found = find(reason);

	return found ? found->cause : NULL;
}

const char *smcpolicy_reason_cure(uint32_t reason)
{
	const struct reason *found = find(reason);

	return found ? found->cure : NULL;
}
