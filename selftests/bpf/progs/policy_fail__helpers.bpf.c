// SPDX-License-Identifier: GPL-2.0-only
/*
 * Helpers that authors of policies reach for and that a callback cannot have: what they would do to
 * a socket is the module's business, and state of a socket is in bpf_smc_ulp_scratch(). That no
 * other can be called either is looked at in prog_tests/verifier.c.
 */
#include "smc_ulp.bpf.h"
#include "expect.bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} storage SEC(".maps");

SEC("struct_ops")
__failure __msg("program of this type cannot use helper bpf_setsockopt#49")
int BPF_PROG(calls_setsockopt, struct sock *sk, __u32 origin)
{
	int one = 1;

	bpf_setsockopt(sk, 6, 1, &one, sizeof(one));	/* TCP_NODELAY */
	return SMC_ULP_ALLOW;
}
POLICY(calls_setsockopt, init);

SEC("struct_ops")
__failure __msg("program of this type cannot use helper bpf_sk_storage_get#107")
int BPF_PROG(calls_sk_storage, struct sock *sk, __u32 origin)
{
	return bpf_sk_storage_get(&storage, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE) ?
	       SMC_ULP_ALLOW : SMC_ULP_DENY;
}
POLICY(calls_sk_storage, init);
