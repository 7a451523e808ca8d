// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policies for the tests: return what they are told to and write everything down. "first" and
 * "second" differ in their names and in what verdict they give.
 */
#include "smc_ulp.bpf.h"
#include "recorder.h"

char LICENSE[] SEC("license") = "GPL";

int verdicts[2][CB_MAX];
/* when set, everything below is limited to sockets with this mark */
__u32 only_mark;
__u64 n_calls[2][CB_MAX];
__u32 n_records;
struct record records[MAX_RECORDS];

static __always_inline struct record *record(struct sock *sk, __u32 policy, __u32 callback)
{
	struct record *r;
	__u32 i;

	if (only_mark && sk->sk_mark != only_mark)
		return NULL;
	__sync_fetch_and_add(&n_calls[policy & 1][callback], 1);
	i = __sync_fetch_and_add(&n_records, 1);
	if (i >= MAX_RECORDS)
		return NULL;
	r = &records[i];
	r->callback = callback;
	r->policy = policy;
	r->cookie = sk->__sk_common.skc_cookie.counter;
	return r;
}

/* @r is complete: user space reads records while others are being written. */
static __always_inline void done(struct record *r)
{
	__sync_fetch_and_add(&r->complete, 1);
}

static __always_inline int verdict(struct sock *sk, __u32 policy, __u32 callback)
{
	return only_mark && sk->sk_mark != only_mark ? SMC_ULP_PASS : verdicts[policy & 1][callback];
}

static __always_inline int on_init(struct sock *sk, __u32 origin, __u32 policy)
{
	struct record *r = record(sk, policy, CB_INIT);

	if (r) {
		r->origin = origin;
		done(r);
	}
	return verdict(sk, policy, CB_INIT);
}

static __always_inline int on_tuple(struct sock *sk, const struct smc_ulp_tuple *tuple,
				    __u32 policy, __u32 callback)
{
	struct record *r = record(sk, policy, callback);

	if (r) {
		r->tuple.family = tuple->family;
		r->tuple.role = tuple->role;
		r->tuple.local_port = tuple->local_port;
		r->tuple.remote_port = tuple->remote_port;
		bpf_probe_read_kernel(r->tuple.local_addr, 16, tuple->local_addr);
		bpf_probe_read_kernel(r->tuple.remote_addr, 16, tuple->remote_addr);
		done(r);
	}
	return verdict(sk, policy, callback);
}

static __always_inline void on_result(struct sock *sk, const struct smc_ulp_result *result,
				      __u32 policy, __u32 callback)
{
	struct record *r = record(sk, policy, callback);

	if (!r)
		return;
	bpf_probe_read_kernel(&r->result, sizeof(r->result), result);
	r->result_rc = bpf_smc_ulp_result(sk, &r->kfunc, sizeof(r->kfunc));
	done(r);
}

#define POLICY(number, policy)								\
SEC("struct_ops")									\
int BPF_PROG(policy##_init, struct sock *sk, __u32 origin)				\
{											\
	return on_init(sk, origin, number);						\
}											\
											\
SEC("struct_ops")									\
int BPF_PROG(policy##_connect, struct sock *sk, const struct smc_ulp_tuple *tuple)	\
{											\
	return on_tuple(sk, tuple, number, CB_CONNECT);					\
}											\
											\
SEC("struct_ops")									\
int BPF_PROG(policy##_listen, struct sock *sk, const struct smc_ulp_tuple *tuple)	\
{											\
	return on_tuple(sk, tuple, number, CB_LISTEN);					\
}											\
											\
SEC("struct_ops")									\
int BPF_PROG(policy##_syn, struct sock *sk, const struct smc_ulp_tuple *tuple)		\
{											\
	return on_tuple(sk, tuple, number, CB_SYN);					\
}											\
											\
SEC("struct_ops")									\
void BPF_PROG(policy##_established, struct sock *sk, const struct smc_ulp_result *res)	\
{											\
	on_result(sk, res, number, CB_ESTABLISHED);					\
}											\
											\
SEC("struct_ops")									\
int BPF_PROG(policy##_fallback, struct sock *sk, const struct smc_ulp_result *res)	\
{											\
	on_result(sk, res, number, CB_FALLBACK);					\
	return verdict(sk, number, CB_FALLBACK);					\
}											\
											\
SEC("struct_ops")									\
void BPF_PROG(policy##_release, struct sock *sk, const struct smc_ulp_result *res)	\
{											\
	on_result(sk, res, number, CB_RELEASE);						\
}											\
											\
SEC(".struct_ops.link")									\
struct smc_ulp_ops policy = {								\
	.init = (void *)policy##_init,							\
	.connect = (void *)policy##_connect,						\
	.listen = (void *)policy##_listen,						\
	.syn = (void *)policy##_syn,							\
	.established = (void *)policy##_established,					\
	.fallback = (void *)policy##_fallback,						\
	.release = (void *)policy##_release,						\
	.name = #policy,								\
}

POLICY(0, first);
POLICY(1, second);
