// SPDX-License-Identifier: GPL-2.0-only
/*
 * Four policies; the test gives each its scope before it loads them. They return what they are
 * told to, and write down how often and in which order they were asked about sockets with a mark.
 */
#include "smc_ulp.bpf.h"
#include "scoped.h"

char LICENSE[] SEC("license") = "GPL";

#define MARK 77

int verdicts[SCOPE_MAX][CB_MAX];
__u32 n_calls[SCOPE_MAX][CB_MAX];
__u32 order[SCOPE_MAX][CB_MAX];		/* number of the last call among all calls */
__u32 n_all;

static __always_inline int call(struct sock *sk, __u32 scope, __u32 callback)
{
	if (sk->sk_mark != MARK)
		return 0;
	__sync_fetch_and_add(&n_calls[scope][callback], 1);
	order[scope][callback] = __sync_fetch_and_add(&n_all, 1) + 1;
	return verdicts[scope][callback];
}

#define POLICY(scope, policy)								\
SEC("struct_ops")									\
int BPF_PROG(policy##_init, struct sock *sk, __u32 origin)				\
{											\
	return call(sk, scope, CB_INIT);						\
}											\
											\
SEC("struct_ops")									\
int BPF_PROG(policy##_connect, struct sock *sk, const struct smc_ulp_tuple *tuple)	\
{											\
	return call(sk, scope, CB_CONNECT);						\
}											\
											\
SEC("struct_ops")									\
int BPF_PROG(policy##_listen, struct sock *sk, const struct smc_ulp_tuple *tuple)	\
{											\
	return call(sk, scope, CB_LISTEN);						\
}											\
											\
SEC("struct_ops")									\
int BPF_PROG(policy##_syn, struct sock *sk, const struct smc_ulp_tuple *tuple)		\
{											\
	return call(sk, scope, CB_SYN);							\
}											\
											\
SEC("struct_ops")									\
void BPF_PROG(policy##_established, struct sock *sk, const struct smc_ulp_result *res)	\
{											\
	call(sk, scope, CB_ESTABLISHED);						\
}											\
											\
SEC("struct_ops")									\
int BPF_PROG(policy##_fallback, struct sock *sk, const struct smc_ulp_result *res)	\
{											\
	return call(sk, scope, CB_FALLBACK);						\
}											\
											\
SEC("struct_ops")									\
void BPF_PROG(policy##_release, struct sock *sk, const struct smc_ulp_result *res)	\
{											\
	call(sk, scope, CB_RELEASE);							\
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

POLICY(SCOPE_NEAR, near);
POLICY(SCOPE_OUTER, outer);
POLICY(SCOPE_NETNS, netns);
POLICY(SCOPE_HOST, host);
