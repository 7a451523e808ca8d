/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The cgroup programs that attach the ULP to the sockets of unmodified programs. The loader
 * chooses which of them are used: at socket creation (the normal place: nobody else knows the
 * descriptor yet), at bind, or inside connect. A policy includes this file once.
 */
#ifndef _SMC_POLICY_ATTACH_BPF_H
#define _SMC_POLICY_ATTACH_BPF_H

#include <smc_policy/policy.bpf.h>

#ifndef SOCK_STREAM
#define SOCK_STREAM	1
#endif

/* Refused by policy: recorded by init. Attached before: nothing to do. The rest is worth a line. */
static __always_inline void smc_attach_failed(struct sock *sk, __u8 origin, int error)
{
	struct smc_event *event;

	if (!error || error == -EACCES || error == -EEXIST || !smc_events_wanted())
		return;
	event = smc_event_reserve(sk, SMC_EVENT_ATTACH_ERROR);
	if (!event)
		return;
	event->origin = origin;
	event->error = error;
	smc_event_task(event);
	smc_event_submit(event);
}

SEC("cgroup/sock_create")
int smc_create(struct bpf_sock *ctx)
{
	struct sock *sk;

	if (ctx->type != SOCK_STREAM || (ctx->family != AF_INET && ctx->family != AF_INET6) ||
	    (ctx->protocol && ctx->protocol != IPPROTO_TCP))
		return 1;
	sk = bpf_cast_to_kern_ctx(ctx);
	smc_attach_failed(sk, SMC_ULP_ORIGIN_SOCK_CREATE, bpf_smc_ulp_attach_create(sk));
	return 1;
}

static __always_inline int smc_bind(struct bpf_sock_addr *ctx)
{
	struct bpf_sock_addr_kern *kern;

	if (ctx->type != SOCK_STREAM || ctx->protocol != IPPROTO_TCP)
		return 1;
	kern = bpf_cast_to_kern_ctx(ctx);
	smc_attach_failed(kern->sk, SMC_ULP_ORIGIN_BIND, bpf_smc_ulp_attach_bind(kern));
	return 1;
}

static __always_inline int smc_connect(struct bpf_sock_addr *ctx)
{
	struct bpf_sock_addr_kern *kern;

	if (ctx->type != SOCK_STREAM || ctx->protocol != IPPROTO_TCP)
		return 1;
	kern = bpf_cast_to_kern_ctx(ctx);
	smc_attach_failed(kern->sk, SMC_ULP_ORIGIN_CONNECT, bpf_smc_ulp_attach_connect(kern));
	return 1;
}

SEC("cgroup/bind4")
int smc_bind4(struct bpf_sock_addr *ctx)
{
	return smc_bind(ctx);
}

SEC("cgroup/bind6")
int smc_bind6(struct bpf_sock_addr *ctx)
{
	return smc_bind(ctx);
}

SEC("cgroup/connect4")
int smc_connect4(struct bpf_sock_addr *ctx)
{
	return smc_connect(ctx);
}

SEC("cgroup/connect6")
int smc_connect6(struct bpf_sock_addr *ctx)
{
	return smc_connect(ctx);
}

#endif /* _SMC_POLICY_ATTACH_BPF_H */
