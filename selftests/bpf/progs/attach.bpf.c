// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attach the ULP to the sockets of a cgroup, at each of the hooks that can; the test attaches the
 * programs it wants. Return codes are counted by errno.
 */
#include "smc_ulp.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define MAX_ERRNO 256

__u64 results[MAX_ERRNO];	/* how often -errno came; [0]: attached */
int last_rc = 1;
/* bpf_smc_ulp_result() of an established socket, in a cgroup program */
int setsockopt_rc;
struct smc_ulp_result setsockopt_result;
/* connect4/6 go on to somewhere else: what the policy is asked about must be the new destination */
__u16 redirect_port;	/* network order */

static __always_inline void count(int rc)
{
	__u64 err = -(long)rc;

	last_rc = rc;
	if (err < MAX_ERRNO)
		__sync_fetch_and_add(&results[err], 1);
}

SEC("cgroup/sock_create")
int on_create(struct bpf_sock *ctx)
{
	/* everything is offered: what is not TCP must be refused by the kfunc itself */
	count(bpf_smc_ulp_attach_create(bpf_cast_to_kern_ctx(ctx)));
	return 1;
}

SEC("cgroup/bind4")
int on_bind4(struct bpf_sock_addr *ctx)
{
	count(bpf_smc_ulp_attach_bind(bpf_cast_to_kern_ctx(ctx)));
	return 1;
}

SEC("cgroup/bind6")
int on_bind6(struct bpf_sock_addr *ctx)
{
	count(bpf_smc_ulp_attach_bind(bpf_cast_to_kern_ctx(ctx)));
	return 1;
}

SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *ctx)
{
	if (redirect_port)
		ctx->user_port = redirect_port;
	count(bpf_smc_ulp_attach_connect(bpf_cast_to_kern_ctx(ctx)));
	return 1;
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *ctx)
{
	if (redirect_port)
		ctx->user_port = redirect_port;
	count(bpf_smc_ulp_attach_connect(bpf_cast_to_kern_ctx(ctx)));
	return 1;
}

/* attaches, then refuses the connect(2): the ULP must go with it */
SEC("cgroup/connect4")
int on_connect4_refuse(struct bpf_sock_addr *ctx)
{
	count(bpf_smc_ulp_attach_connect(bpf_cast_to_kern_ctx(ctx)));
	return 0;
}

/* sockets are looked at in their own context by a program of another type */
SEC("cgroup/setsockopt")
int on_setsockopt(struct bpf_sockopt *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	if (sk && ctx->level == 1 && ctx->optname == 36)	/* SO_MARK */
		setsockopt_rc = bpf_smc_ulp_result((struct sock *)sk, &setsockopt_result,
						   sizeof(setsockopt_result));
	return 1;
}

SEC("cgroup/setsockopt")
int on_setsockopt_attach(struct bpf_sockopt *ctx)
{
	if (ctx->level == 1 && ctx->optname == 12)	/* SO_PRIORITY */
		count(bpf_smc_ulp_attach_sockopt(bpf_cast_to_kern_ctx(ctx)));
	return 1;
}
