/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract of smc_ulp.ko with BPF programs, as these tests understand it: declared here once
 * more, so that a change of the headers that policies use does not change what is tested.
 */
#ifndef _SMC_ULP_BPF_H
#define _SMC_ULP_BPF_H

#include "vmlinux.h"
#include <linux/smc_ulp.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define AF_INET		2
#define AF_INET6	10
#define SOCK_STREAM	1

struct smc_ulp_ops {
	int (*init)(struct sock *sk, __u32 origin);
	int (*connect)(struct sock *sk, const struct smc_ulp_tuple *tuple);
	int (*listen)(struct sock *sk, const struct smc_ulp_tuple *tuple);
	int (*syn)(struct sock *sk, const struct smc_ulp_tuple *tuple);
	void (*established)(struct sock *sk, const struct smc_ulp_result *result);
	int (*fallback)(struct sock *sk, const struct smc_ulp_result *result);
	void (*release)(struct sock *sk, const struct smc_ulp_result *result);
	char name[SMC_ULP_POLICY_NAME_LEN];
	__u32 flags;
	__u64 cgroup_id;
	__u64 netns_cookie;
} __attribute__((preserve_access_index));

extern int bpf_smc_ulp_attach_create(struct sock *sk) __ksym;
extern int bpf_smc_ulp_attach_bind(struct bpf_sock_addr_kern *ctx) __ksym;
extern int bpf_smc_ulp_attach_connect(struct bpf_sock_addr_kern *ctx) __ksym;
extern int bpf_smc_ulp_attach_sockopt(struct bpf_sockopt_kern *ctx) __ksym;
extern int bpf_smc_ulp_result(struct sock *sk, void *out, __u32 out__sz) __ksym;
extern __u8 *bpf_smc_ulp_scratch(struct sock *sk, const size_t rdwr_buf_size) __ksym;
extern const __u8 *bpf_smc_ulp_scratch_rdonly(struct sock *sk, const size_t rdonly_buf_size) __ksym;
extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym;

#endif
