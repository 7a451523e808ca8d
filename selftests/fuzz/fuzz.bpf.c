// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two policies whose verdicts are what user space wants, or anything, and programs that attach the
 * ULP to the sockets of a cgroup at each of the hooks that can.
 */
#include "smc_ulp.bpf.h"

char LICENSE[] SEC("license") = "GPL";

enum { CHOOSE = 4, ANYTHING = 5 };

/* a verdict; CHOOSE: one of them, by chance; ANYTHING: also what is none */
__u32 verdicts = SMC_ULP_ALLOW, fallbacks = SMC_ULP_GO_ON;
__u64 n_asked, n_established, n_fallback, n_released;

static __always_inline int answer(__u32 wanted, __u32 n)
{
	if (wanted == CHOOSE)
		return bpf_get_prandom_u32() % n;
	if (wanted == ANYTHING)
		return bpf_get_prandom_u32();
	return wanted;
}

static __always_inline int verdict(void)
{
	__sync_fetch_and_add(&n_asked, 1);
	return answer(verdicts, 3);
}

static __always_inline void look(struct sock *sk)
{
	struct smc_ulp_result result;

	bpf_smc_ulp_result(sk, &result, sizeof(result));
}

SEC("struct_ops")
int BPF_PROG(fuzz_init, struct sock *sk, __u32 origin)
{
	look(sk);
	return verdict();
}

SEC("struct_ops")
int BPF_PROG(fuzz_connect, struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	look(sk);
	return verdict();
}

SEC("struct_ops")
int BPF_PROG(fuzz_listen, struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	look(sk);
	return verdict();
}

SEC("struct_ops")
void BPF_PROG(fuzz_established, struct sock *sk, const struct smc_ulp_result *result)
{
	look(sk);
	__sync_fetch_and_add(&n_established, 1);
}

SEC("struct_ops")
int BPF_PROG(fuzz_fallback, struct sock *sk, const struct smc_ulp_result *result)
{
	look(sk);
	__sync_fetch_and_add(&n_fallback, 1);
	return answer(fallbacks, 2);
}

SEC("struct_ops")
void BPF_PROG(fuzz_release, struct sock *sk, const struct smc_ulp_result *result)
{
	look(sk);
	__sync_fetch_and_add(&n_released, 1);
}

#define POLICY(policy)					\
SEC(".struct_ops.link")					\
struct smc_ulp_ops policy = {				\
	.init = (void *)fuzz_init,			\
	.connect = (void *)fuzz_connect,		\
	.listen = (void *)fuzz_listen,			\
	.established = (void *)fuzz_established,	\
	.fallback = (void *)fuzz_fallback,		\
	.release = (void *)fuzz_release,		\
	.name = #policy,				\
}

POLICY(first);
POLICY(second);

SEC("cgroup/sock_create")
int on_create(struct bpf_sock *ctx)
{
	bpf_smc_ulp_attach_create(bpf_cast_to_kern_ctx(ctx));
	return 1;
}

SEC("cgroup/bind4")
int on_bind4(struct bpf_sock_addr *ctx)
{
	bpf_smc_ulp_attach_bind(bpf_cast_to_kern_ctx(ctx));
	return 1;
}

SEC("cgroup/bind6")
int on_bind6(struct bpf_sock_addr *ctx)
{
	bpf_smc_ulp_attach_bind(bpf_cast_to_kern_ctx(ctx));
	return 1;
}

/* now and then the connect(2) is refused after the attach */
SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *ctx)
{
	bpf_smc_ulp_attach_connect(bpf_cast_to_kern_ctx(ctx));
	return bpf_get_prandom_u32() % 16 != 0;
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *ctx)
{
	bpf_smc_ulp_attach_connect(bpf_cast_to_kern_ctx(ctx));
	return 1;
}

/* A look at whatever socket it is called for. */
SEC("cgroup/setsockopt")
int on_setsockopt(struct bpf_sockopt *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	if (sk)
		look((struct sock *)sk);
	return 1;
}
