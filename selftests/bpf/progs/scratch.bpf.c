// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two policies that count the callbacks of each connection in its scratch memory, and programs that
 * look at it from outside.
 */
#include "smc_ulp.bpf.h"
#include "recorder.h"

char LICENSE[] SEC("license") = "GPL";

struct scratch {
	__u64 count;
	__u64 rest[7];
};

/* what the last call of each callback found; -1: no memory */
__s64 seen[CB_MAX];
__s64 seen_server[CB_MAX];	/* by children */
__u64 calls;

static __always_inline int count(struct sock *sk, __u32 callback, bool child)
{
	struct scratch *s = (void *)bpf_smc_ulp_scratch(sk, sizeof(*s));
	__s64 found = -1;

	if (s) {
		found = s->count++;
		s->rest[6] = s->count;
	}
	if (child)
		seen_server[callback] = found;
	else
		seen[callback] = found;
	__sync_fetch_and_add(&calls, 1);
	return 0;
}

#define POLICY(policy)									\
SEC("struct_ops")									\
int BPF_PROG(policy##_connect, struct sock *sk, const struct smc_ulp_tuple *tuple)	\
{											\
	return count(sk, CB_CONNECT, false);						\
}											\
											\
SEC("struct_ops")									\
int BPF_PROG(policy##_listen, struct sock *sk, const struct smc_ulp_tuple *tuple)	\
{											\
	return count(sk, CB_LISTEN, false);						\
}											\
											\
SEC("struct_ops")									\
int BPF_PROG(policy##_syn, struct sock *sk, const struct smc_ulp_tuple *tuple)		\
{											\
	return count(sk, CB_SYN, false);						\
}											\
											\
SEC("struct_ops")									\
void BPF_PROG(policy##_established, struct sock *sk, const struct smc_ulp_result *res)	\
{											\
	count(sk, CB_ESTABLISHED, res->role == SMC_ULP_SERVER);				\
}											\
											\
SEC("struct_ops")									\
int BPF_PROG(policy##_fallback, struct sock *sk, const struct smc_ulp_result *res)	\
{											\
	return count(sk, CB_FALLBACK, res->role == SMC_ULP_SERVER);			\
}											\
											\
SEC("struct_ops")									\
void BPF_PROG(policy##_release, struct sock *sk, const struct smc_ulp_result *res)	\
{											\
	count(sk, CB_RELEASE, res->role == SMC_ULP_SERVER);				\
}											\
											\
SEC(".struct_ops.link")									\
struct smc_ulp_ops policy = {								\
	.connect = (void *)policy##_connect,						\
	.listen = (void *)policy##_listen,						\
	.syn = (void *)policy##_syn,							\
	.established = (void *)policy##_established,					\
	.fallback = (void *)policy##_fallback,						\
	.release = (void *)policy##_release,						\
	.name = #policy,								\
}

POLICY(one);
POLICY(two);

/* --- from outside: -1 means that there is nothing --- */

__s64 by_setsockopt;

SEC("cgroup/setsockopt")
int look(struct bpf_sockopt *ctx)
{
	const struct scratch *s;
	struct bpf_sock *sk = ctx->sk;

	if (!sk || ctx->level != 1 || ctx->optname != 36)	/* SO_MARK */
		return 1;
	s = (void *)bpf_smc_ulp_scratch_rdonly((struct sock *)sk, sizeof(*s));
	by_setsockopt = s ? (__s64)s->count : -1;
	return 1;
}

__u16 port;			/* local port of the socket that is looked for */
__s64 by_iterator;
int result_rc;
struct smc_ulp_result result;
int n_sockets;

SEC("iter/tcp")
int all_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *sk = ctx->sk_common;
	const struct scratch *s;

	if (!sk || sk->skc_num != port || sk->skc_state != 1)	/* ESTABLISHED */
		return 0;
	n_sockets++;
	result_rc = bpf_smc_ulp_result((struct sock *)sk, &result, sizeof(result));
	s = (void *)bpf_smc_ulp_scratch_rdonly((struct sock *)sk, sizeof(*s));
	by_iterator = s ? (__s64)s->rest[6] : -1;
	return 0;
}
