/* SPDX-License-Identifier: GPL-2.0-only */
/* What the recording policy writes down, for BPF and user space. */
#ifndef _RECORDER_H
#define _RECORDER_H

#include <linux/smc_ulp.h>

enum recorder_callback {
	CB_INIT,
	CB_CONNECT,
	CB_LISTEN,
	CB_SYN,
	CB_ESTABLISHED,
	CB_FALLBACK,
	CB_RELEASE,
	CB_MAX,
};

struct record {
	__u32 callback;
	__u32 origin;
	__u32 complete;
	__u32 policy;			/* which of the two wrote it */
	__s32 result_rc;		/* of bpf_smc_ulp_result(), called in the callback */
	__u64 cookie;			/* read from the sock */
	struct smc_ulp_tuple tuple;
	struct smc_ulp_result result;	/* the callback's argument */
	struct smc_ulp_result kfunc;	/* what bpf_smc_ulp_result() gave */
};

#define MAX_RECORDS 256

#endif
