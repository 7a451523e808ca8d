/* SPDX-License-Identifier: GPL-2.0-only */
/* Between expect.bpf.h and test_loader.c */
#ifndef _TEST_TAGS_H
#define _TEST_TAGS_H

#define TAG_SUCCESS	"comment:test_expect_success"
#define TAG_FAILURE	"comment:test_expect_failure"
#define TAG_MSG		"comment:test_expect_msg="

#endif
