// SPDX-License-Identifier: GPL-2.0-only
/* A tracing program that asks for the outcome of connections of one port. */
#include "smc_ulp.bpf.h"

char LICENSE[] SEC("license") = "GPL";

__u16 port;		/* remote, host order */
int rc = 1;
int rc_short = 1;	/* with a buffer that is shorter than the record */
int n;
struct smc_ulp_result result;
struct {
	__u8 mode;
	__u8 role;
	__u8 origin;
	__u8 version;
} head;
/* longer than the record: a program built against a later header */
char later[sizeof(struct smc_ulp_result) + 64];
int rc_later = 1;


/* TCP states: the connection is being closed */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_state, struct sock *sk, int oldstate, int newstate)
{
	if (sk->__sk_common.skc_dport != bpf_htons(port) || oldstate != 1)
		return 0;
	n++;
	rc = bpf_smc_ulp_result(sk, &result, sizeof(result));
	rc_short = bpf_smc_ulp_result(sk, &head, sizeof(head));
	rc_later = bpf_smc_ulp_result(sk, later, sizeof(later));
	return 0;
}
