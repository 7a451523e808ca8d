/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What becomes of a program when it is loaded, said beside it; run_programs() of test_loader.h
 * reads it.
 */
#ifndef _EXPECT_BPF_H
#define _EXPECT_BPF_H

#include "test_tags.h"

#define __tag(text)	__attribute__((btf_decl_tag(text)))

/* It loads, or it does not. */
#define __success	__tag(TAG_SUCCESS)
#define __failure	__tag(TAG_FAILURE)
/* What the verifier or libbpf says then; once for each part. */
#define __msg(text)	__tag(TAG_MSG text)

/* The policy of a struct_ops program, under the name by which the loader finds it. */
#define POLICY(program, op)								\
SEC(".struct_ops.link")									\
struct smc_ulp_ops ops_##program = {							\
	.op = (void *)program,								\
	.name = "fail",									\
}

#endif
