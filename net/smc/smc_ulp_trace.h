/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP upper-layer protocol "smc": tracepoints. Names and fields are documented in
 * docs/tracing.rst; fields are only ever added.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM smc_ulp

#if !defined(_SMC_ULP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _SMC_ULP_TRACE_H

#include <linux/in6.h>
#include <linux/tracepoint.h>
#include <net/sock.h>

#include "smc_ulp.h"

#ifndef _SMC_ULP_TRACE_HELPERS
#define _SMC_ULP_TRACE_HELPERS

#define SMC_ULP_TRACE_ADDR	sizeof(struct sockaddr_in6)

static inline void smc_ulp_trace_addr(u8 *to, int family, const __be32 *addr, u16 port)
{
	memset(to, 0, SMC_ULP_TRACE_ADDR);
	if (family == AF_INET6) {
		struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

		memcpy(&sin6.sin6_addr, addr, sizeof(sin6.sin6_addr));
		memcpy(to, &sin6, sizeof(sin6));
	} else {
		struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };

		sin.sin_addr.s_addr = addr[0];
		memcpy(to, &sin, sizeof(sin));
	}
}

static inline void smc_ulp_trace_tuple(u8 *local, u8 *remote, const struct smc_ulp_tuple *t)
{
	smc_ulp_trace_addr(local, t->family, t->local_addr, t->local_port);
	smc_ulp_trace_addr(remote, t->family, t->remote_addr, t->remote_port);
}

#endif /* _SMC_ULP_TRACE_HELPERS */

#define smc_ulp_show_origin(origin)					\
	__print_symbolic(origin,					\
			 { 0, "setsockopt" },				\
			 { 1, "sock_create" },				\
			 { 2, "bind" },					\
			 { 3, "connect" },				\
			 { 4, "accept" },				\
			 { 5, "sockopt" })

#define smc_ulp_show_role(role)						\
	__print_symbolic(role, { 0, "client" }, { 1, "server" })

#define smc_ulp_show_mode(mode)						\
	__print_symbolic(mode, { 0, "tcp" }, { 1, "smcd" }, { 2, "smcr" })

#define smc_ulp_show_callback(callback)					\
	__print_symbolic(callback,					\
			 { 0, "init" },					\
			 { 1, "connect" },				\
			 { 2, "listen" },				\
			 { 3, "syn" },					\
			 { 4, "fallback" })

/* fallback has verdicts of its own: 16 is added to them */
#define smc_ulp_show_verdict(verdict)					\
	__print_symbolic(verdict,					\
			 { 0, "pass" },					\
			 { 1, "allow" },				\
			 { 2, "deny" },					\
			 { 3, "require" },				\
			 { 16, "go_on" },				\
			 { 17, "abort" })

TRACE_EVENT(smc_ulp_attach,

	TP_PROTO(struct sock *sk, int origin, int rc),

	TP_ARGS(sk, origin, rc),

	TP_STRUCT__entry(
		__field(u64, cookie)
		__field(u16, family)
		__field(u8, origin)
		__field(int, rc)
	),

	TP_fast_assign(
		__entry->cookie = smc_ulp_cookie(sk);
		__entry->family = sk->sk_family;
		__entry->origin = origin;
		__entry->rc = rc;
	),

	TP_printk("cookie=%llu family=%s origin=%s rc=%d", __entry->cookie,
		  __print_symbolic(__entry->family, { AF_INET, "inet" }, { AF_INET6, "inet6" }),
		  smc_ulp_show_origin(__entry->origin), __entry->rc)
);

TRACE_EVENT(smc_ulp_verdict,

	TP_PROTO(struct sock *sk, int callback, const char *policy, int verdict, u32 rule,
		 const struct smc_ulp_tuple *tuple),

	TP_ARGS(sk, callback, policy, verdict, rule, tuple),

	TP_STRUCT__entry(
		__field(u64, cookie)
		__field(u8, callback)
		__field(u8, verdict)
		__field(u32, rule)
		__array(char, policy, SMC_ULP_POLICY_NAME_LEN)
		__array(u8, local, SMC_ULP_TRACE_ADDR)
		__array(u8, remote, SMC_ULP_TRACE_ADDR)
	),

	TP_fast_assign(
		__entry->cookie = smc_ulp_cookie(sk);
		__entry->callback = callback;
		__entry->verdict = verdict + (callback == SMC_ULP_CB_FALLBACK ? 16 : 0);
		__entry->rule = rule;
		strscpy_pad(__entry->policy, policy, SMC_ULP_POLICY_NAME_LEN);
		smc_ulp_trace_tuple(__entry->local, __entry->remote, tuple);
	),

	TP_printk("cookie=%llu callback=%s policy=%s verdict=%s rule=%u local=%pISpc remote=%pISpc",
		  __entry->cookie, smc_ulp_show_callback(__entry->callback), __entry->policy,
		  smc_ulp_show_verdict(__entry->verdict), __entry->rule, __entry->local,
		  __entry->remote)
);

TRACE_EVENT(smc_ulp_handshake,

	TP_PROTO(struct sock *sk, int role, int origin),

	TP_ARGS(sk, role, origin),

	TP_STRUCT__entry(
		__field(u64, cookie)
		__field(u8, role)
		__field(u8, origin)
		__array(u8, local, SMC_ULP_TRACE_ADDR)
		__array(u8, remote, SMC_ULP_TRACE_ADDR)
	),

	TP_fast_assign(
		struct smc_ulp_tuple t;

		smc_ulp_tuple_of(sk, &t);
		__entry->cookie = smc_ulp_cookie(sk);
		__entry->role = role;
		__entry->origin = origin;
		smc_ulp_trace_tuple(__entry->local, __entry->remote, &t);
	),

	TP_printk("cookie=%llu role=%s origin=%s local=%pISpc remote=%pISpc", __entry->cookie,
		  smc_ulp_show_role(__entry->role), smc_ulp_show_origin(__entry->origin),
		  __entry->local, __entry->remote)
);

TRACE_EVENT(smc_ulp_outcome,

	TP_PROTO(struct sock *sk, const struct smc_ulp_result *res),

	TP_ARGS(sk, res),

	TP_STRUCT__entry(
		__field(u64, cookie)
		__field(u64, handshake_ns)
		__field(u8, role)
		__field(u8, origin)
		__field(u8, mode)
		__field(u8, version)
		__field(u32, reason)
		__field(u32, peer_diagnosis)
		__field(int, error)
		__field(u32, lgr_id)
		__field(u32, rule)
		__array(u8, local, SMC_ULP_TRACE_ADDR)
		__array(u8, remote, SMC_ULP_TRACE_ADDR)
	),

	TP_fast_assign(
		struct smc_ulp_tuple t;

		smc_ulp_tuple_of(sk, &t);
		__entry->cookie = res->cookie;
		__entry->handshake_ns = res->handshake_ns;
		__entry->role = res->role;
		__entry->origin = res->origin;
		__entry->mode = res->mode;
		__entry->version = res->version;
		__entry->reason = res->reason;
		__entry->peer_diagnosis = res->peer_diagnosis;
		__entry->error = res->error;
		__entry->lgr_id = res->lgr_id;
		__entry->rule = res->rule;
		smc_ulp_trace_tuple(__entry->local, __entry->remote, &t);
	),

	TP_printk("cookie=%llu role=%s origin=%s mode=%s version=%u reason=0x%08x peer_diagnosis=0x%08x error=%d handshake_ns=%llu lgr_id=0x%08x rule=%u local=%pISpc remote=%pISpc",
		  __entry->cookie, smc_ulp_show_role(__entry->role),
		  smc_ulp_show_origin(__entry->origin), smc_ulp_show_mode(__entry->mode),
		  __entry->version, __entry->reason, __entry->peer_diagnosis, __entry->error,
		  __entry->handshake_ns, __entry->lgr_id, __entry->rule, __entry->local,
		  __entry->remote)
);

TRACE_EVENT(smc_ulp_close,

	TP_PROTO(struct sock *sk, const struct smc_ulp_result *res),

	TP_ARGS(sk, res),

	TP_STRUCT__entry(
		__field(u64, cookie)
		__field(u64, tx_bytes)
		__field(u64, rx_bytes)
		__field(u64, lifetime_ns)
		__field(u8, role)
		__field(u8, mode)
		__field(u32, rule)
		__array(u8, local, SMC_ULP_TRACE_ADDR)
		__array(u8, remote, SMC_ULP_TRACE_ADDR)
	),

	TP_fast_assign(
		struct smc_ulp_tuple t;

		smc_ulp_tuple_of(sk, &t);
		__entry->cookie = res->cookie;
		__entry->tx_bytes = res->tx_bytes;
		__entry->rx_bytes = res->rx_bytes;
		__entry->lifetime_ns = res->lifetime_ns;
		__entry->role = res->role;
		__entry->mode = res->mode;
		__entry->rule = res->rule;
		smc_ulp_trace_tuple(__entry->local, __entry->remote, &t);
	),

	TP_printk("cookie=%llu role=%s mode=%s tx_bytes=%llu rx_bytes=%llu lifetime_ns=%llu rule=%u local=%pISpc remote=%pISpc",
		  __entry->cookie, smc_ulp_show_role(__entry->role),
		  smc_ulp_show_mode(__entry->mode), __entry->tx_bytes, __entry->rx_bytes,
		  __entry->lifetime_ns, __entry->rule, __entry->local, __entry->remote)
);

TRACE_EVENT(smc_ulp_refuse,

	TP_PROTO(struct sock *sk, const struct smc_ulp_tuple *tuple, u32 reason, bool reset),

	TP_ARGS(sk, tuple, reason, reset),

	TP_STRUCT__entry(
		__field(u64, cookie)
		__field(u32, reason)
		__field(u8, reset)
		__array(u8, local, SMC_ULP_TRACE_ADDR)
		__array(u8, remote, SMC_ULP_TRACE_ADDR)
	),

	TP_fast_assign(
		__entry->cookie = smc_ulp_cookie(sk);
		__entry->reason = reason;
		__entry->reset = reset;
		smc_ulp_trace_tuple(__entry->local, __entry->remote, tuple);
	),

	TP_printk("cookie=%llu reason=0x%08x reset=%u local=%pISpc remote=%pISpc",
		  __entry->cookie, __entry->reason, __entry->reset, __entry->local,
		  __entry->remote)
);

#endif /* _SMC_ULP_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE smc_ulp_trace

#include <trace/define_trace.h>
