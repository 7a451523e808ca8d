// SPDX-License-Identifier: GPL-2.0-only
/* Callbacks that take their arguments for something else, write to them, or sleep. */
#include "smc_ulp.bpf.h"
#include "expect.bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("struct_ops")
__success
int BPF_PROG(init_as_it_should, struct sock *sk, __u32 origin)
{
	return sk->__sk_common.skc_family == AF_INET ? SMC_ULP_ALLOW : SMC_ULP_PASS;
}
POLICY(init_as_it_should, init);

SEC("struct_ops")
__failure __msg("smc_ulp_ops: arguments of callbacks are read-only")
int BPF_PROG(init_writes, struct sock *sk, __u32 origin)
{
	sk->sk_mark = 1;
	return SMC_ULP_ALLOW;
}
POLICY(init_writes, init);

SEC("struct_ops")
__failure __msg("smc_ulp_ops: arguments of callbacks are read-only")
void BPF_PROG(release_writes, struct sock *sk, struct smc_ulp_result *result)
{
	result->reason = 0;
}
POLICY(release_writes, release);

/* what is behind an argument */
SEC("struct_ops")
__failure __msg("smc_ulp_ops: arguments of callbacks are read-only")
int BPF_PROG(init_writes_behind, struct sock *sk, __u32 origin)
{
	struct socket *sock = sk->sk_socket;

	if (sock)
		sock->flags = 0;
	return SMC_ULP_ALLOW;
}
POLICY(init_writes_behind, init);

/* the second argument of init is a number */
SEC("struct_ops")
__failure __msg("invalid mem access 'scalar'")
int BPF_PROG(init_takes_tuple, struct sock *sk, struct smc_ulp_tuple *tuple)
{
	return tuple->remote_port == 80 ? SMC_ULP_DENY : SMC_ULP_ALLOW;
}
POLICY(init_takes_tuple, init);

SEC("struct_ops")
__failure __msg("func 'init' doesn't have 3-th argument")
int BPF_PROG(init_third_argument, struct sock *sk, __u32 origin, struct smc_ulp_tuple *tuple)
{
	return tuple ? SMC_ULP_ALLOW : SMC_ULP_DENY;
}
POLICY(init_third_argument, init);

/* connect has no result */
SEC("struct_ops")
__failure __msg("access beyond struct smc_ulp_tuple at off")
int BPF_PROG(connect_takes_result, struct sock *sk, struct smc_ulp_tuple *tuple)
{
	return ((struct smc_ulp_result *)tuple)->peer_hostname[0];
}
POLICY(connect_takes_result, connect);

/* callbacks run under RCU, some in softirq */
SEC("struct_ops.s")
__failure __msg("attach to unsupported member init of struct smc_ulp_ops")
int BPF_PROG(init_sleeps, struct sock *sk, __u32 origin)
{
	return SMC_ULP_ALLOW;
}
POLICY(init_sleeps, init);
