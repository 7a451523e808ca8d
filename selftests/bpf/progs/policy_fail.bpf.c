// SPDX-License-Identifier: GPL-2.0-only
/* Programs that the verifier must refuse; the test loads them one by one and reads why. */
#include "smc_ulp.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* attach kfuncs outside of their hook */
SEC("cgroup/connect4")
int create_in_connect4(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	if (sk)
		bpf_smc_ulp_attach_create((struct sock *)sk);
	return 1;
}

SEC("cgroup/connect4")
int bind_in_connect4(struct bpf_sock_addr *ctx)
{
	bpf_smc_ulp_attach_bind(bpf_cast_to_kern_ctx(ctx));
	return 1;
}

SEC("cgroup/bind4")
int connect_in_bind4(struct bpf_sock_addr *ctx)
{
	bpf_smc_ulp_attach_connect(bpf_cast_to_kern_ctx(ctx));
	return 1;
}

SEC("cgroup/sendmsg4")
int connect_in_sendmsg4(struct bpf_sock_addr *ctx)
{
	bpf_smc_ulp_attach_connect(bpf_cast_to_kern_ctx(ctx));
	return 1;
}

SEC("cgroup/getpeername4")
int connect_in_getpeername4(struct bpf_sock_addr *ctx)
{
	bpf_smc_ulp_attach_connect(bpf_cast_to_kern_ctx(ctx));
	return 1;
}

SEC("cgroup/sock_release")
int create_in_sock_release(struct bpf_sock *ctx)
{
	bpf_smc_ulp_attach_create(bpf_cast_to_kern_ctx(ctx));
	return 1;
}

SEC("cgroup/post_bind4")
int create_in_post_bind4(struct bpf_sock *ctx)
{
	bpf_smc_ulp_attach_create(bpf_cast_to_kern_ctx(ctx));
	return 1;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(create_in_tracing, struct sock *sk)
{
	bpf_smc_ulp_attach_create(sk);
	return 0;
}

SEC("fentry/tcp_v4_connect")
int BPF_PROG(create_in_fentry, struct sock *sk)
{
	bpf_smc_ulp_attach_create(sk);
	return 0;
}

/* a program type that has no kfuncs of ours */
SEC("tc")
int result_in_tc(struct __sk_buff *ctx)
{
	struct smc_ulp_result result;
	struct bpf_sock *sk = ctx->sk;

	if (sk)
		bpf_smc_ulp_result((struct sock *)sk, &result, sizeof(result));
	return 0;
}

/* not trusted */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(result_of_untrusted, struct sock *sk)
{
	struct smc_ulp_result result;

	bpf_smc_ulp_result(sk->sk_socket->sk, &result, sizeof(result));
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(result_out_of_bounds, struct sock *sk)
{
	char small[8];

	bpf_smc_ulp_result(sk, small, 4096);
	return 0;
}

/* attach from a policy */
SEC("struct_ops")
int BPF_PROG(init_attaches, struct sock *sk, __u32 origin)
{
	return bpf_smc_ulp_attach_create(sk);
}

/* arguments are read-only */
SEC("struct_ops")
int BPF_PROG(init_writes, struct sock *sk, __u32 origin)
{
	sk->sk_mark = 1;
	return SMC_ULP_ALLOW;
}

SEC("struct_ops")
int BPF_PROG(connect_writes_tuple, struct sock *sk, struct smc_ulp_tuple *tuple)
{
	tuple->remote_port = 1;
	return SMC_ULP_ALLOW;
}

SEC("struct_ops.s")
int BPF_PROG(init_sleeps, struct sock *sk, __u32 origin)
{
	return SMC_ULP_ALLOW;
}

#define POLICY(program, op)								\
SEC(".struct_ops.link")									\
struct smc_ulp_ops ops_##program = {							\
	.op = (void *)program,								\
	.name = "fail",									\
}

POLICY(init_attaches, init);
POLICY(init_writes, init);
POLICY(connect_writes_tuple, connect);
POLICY(init_sleeps, init);
