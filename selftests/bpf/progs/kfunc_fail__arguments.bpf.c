// SPDX-License-Identifier: GPL-2.0-only
/* kfuncs where they may be called, with arguments that they may not be called with. */
#include "smc_ulp.bpf.h"
#include "expect.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* the context as it is, without bpf_cast_to_kern_ctx() */
SEC("cgroup/sock_create")
__failure __msg("arg#0 pointer type STRUCT sock must point to scalar, or struct with scalar")
int create_without_cast(struct bpf_sock *ctx)
{
	bpf_smc_ulp_attach_create((struct sock *)ctx);
	return 1;
}

SEC("cgroup/connect4")
__failure __msg("arg#0 pointer type STRUCT bpf_sock_addr_kern must point to scalar")
int connect_without_cast(struct bpf_sock_addr *ctx)
{
	bpf_smc_ulp_attach_connect((struct bpf_sock_addr_kern *)ctx);
	return 1;
}

/* the sock, where the context is wanted */
SEC("cgroup/connect4")
__failure __msg("expected pointer to STRUCT bpf_sock_addr_kern")
int connect_of_sock(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	if (sk)
		bpf_smc_ulp_attach_connect((struct bpf_sock_addr_kern *)sk);
	return 1;
}

/* not trusted */
SEC("tp_btf/inet_sock_set_state")
__failure __msg("must be referenced or trusted")
int BPF_PROG(result_of_untrusted, struct sock *sk)
{
	struct smc_ulp_result result;

	bpf_smc_ulp_result(sk->sk_socket->sk, &result, sizeof(result));
	return 0;
}

/* may be NULL */
SEC("cgroup_skb/egress")
__failure __msg("Possibly NULL pointer passed to trusted arg0")
int result_of_null(struct __sk_buff *ctx)
{
	struct smc_ulp_result result;

	bpf_smc_ulp_result((struct sock *)ctx->sk, &result, sizeof(result));
	return 1;
}

SEC("cgroup_skb/egress")
__success
int result_of_full_sock(struct __sk_buff *ctx)
{
	struct smc_ulp_result result;
	struct bpf_sock *sk = ctx->sk;

	if (!sk)
		return 1;
	sk = bpf_sk_fullsock(sk);
	if (sk)
		bpf_smc_ulp_result((struct sock *)sk, &result, sizeof(result));
	return 1;
}

SEC("tp_btf/inet_sock_set_state")
__failure __msg("arg#1 arg#2 memory, len pair leads to invalid memory access")
int BPF_PROG(result_out_of_bounds, struct sock *sk)
{
	char small[8];

	bpf_smc_ulp_result(sk, small, 4096);
	return 0;
}

const char constant[8];

SEC("tp_btf/inet_sock_set_state")
__failure __msg("write into map forbidden")
int BPF_PROG(result_into_constant, struct sock *sk)
{
	bpf_smc_ulp_result(sk, (void *)constant, sizeof(constant));
	return 0;
}

/* a tuple is no sock */
SEC("struct_ops")
__failure __msg("expected pointer to STRUCT sock_common but R1 has a pointer to STRUCT smc_ulp_tuple")
int BPF_PROG(result_of_tuple, struct sock *sk, struct smc_ulp_tuple *tuple)
{
	char mode;

	bpf_smc_ulp_result((struct sock *)tuple, &mode, 1);
	return SMC_ULP_ALLOW;
}
POLICY(result_of_tuple, connect);

/* memory that may not be there */
SEC("struct_ops")
__failure __msg("invalid mem access 'mem_or_null'")
int BPF_PROG(scratch_null, struct sock *sk, struct smc_ulp_tuple *tuple)
{
	__u64 *scratch = (void *)bpf_smc_ulp_scratch(sk, 8);

	return *scratch;
}

SEC("struct_ops")
__failure __msg("invalid access to memory")
int BPF_PROG(scratch_beyond, struct sock *sk, struct smc_ulp_tuple *tuple)
{
	__u64 *scratch = (void *)bpf_smc_ulp_scratch(sk, 8);

	return scratch ? scratch[1] : 0;
}

SEC("cgroup/setsockopt")
__failure __msg("cannot write into rdonly_mem")
int scratch_rdonly_write(struct bpf_sockopt *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	__u64 *scratch;

	if (!sk)
		return 1;
	scratch = (__u64 *)bpf_smc_ulp_scratch_rdonly((struct sock *)sk, 8);
	if (scratch)
		*scratch = 1;
	return 1;
}

POLICY(scratch_null, connect);
POLICY(scratch_beyond, connect);
