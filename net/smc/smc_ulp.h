/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP upper-layer protocol "smc": private definitions of smc_ulp.ko
 *
 * docs/design.rst has the whole picture. In short: the user's TCP socket keeps its identity and
 * only gets other proto_ops while SMC may happen. SMC is a hidden AF_SMC socket, the sidecar. The
 * sidecar's TCP socket ("clcsock" in smc.ko) is a placeholder in state CLOSE, the shadow, whose
 * proto_ops (the adapter, smc_ulp_clc.c) let stock smc.ko run its CLC handshake over the user's
 * TCP connection. Stock code never holds a pointer to the user's sock.
 */
#ifndef _SMC_ULP_PRIVATE_H
#define _SMC_ULP_PRIVATE_H

#include <linux/net.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/tcp.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <net/inet_connection_sock.h>
#include <net/netns/generic.h>
#include <net/sock.h>
#include <net/tcp.h>
#include <net/smc_ulp.h>

#include "smc_ulp_stat.h"

#define SMC_ULP_DECL_MEM	0x01010000	/* SMC_CLC_DECL_MEM of net/smc/smc_clc.h */
#define SMC_ULP_DECL_PEERNOSMC	0x03010000	/* SMC_CLC_DECL_PEERNOSMC of net/smc/smc_clc.h */
#define SMC_ULP_HANDSHAKES	160		/* net.smc_ulp.max_handshakes */
#define SMC_ULP_MAX_WORKERS	192		/* of the 256 of smc.ko's smc_hs_wq, on one CPU */
#define SMC_ULP_UNQUEUE_BATCH	16		/* children for one hold of the listener's slock */
#define SMC_ULP_MAX_ACCEPTQ	1024		/* longest accept queue we walk */

/**
 * enum smc_ulp_phase - where a socket with the ULP stands
 * @SMC_ULP_IDLE: attached, neither connecting nor listening
 * @SMC_ULP_LISTEN: listener
 * @SMC_ULP_CONN: SYN with the SMC option sent, or about to be
 * @SMC_ULP_CHILD: child of a listener, SYN_RECV
 * @SMC_ULP_HS: TCP is established, the CLC handshake is running: user I/O waits
 * @SMC_ULP_ACTIVE: the sidecar carries the data
 * @SMC_ULP_PLAIN: plain TCP, the ULP is detached or about to be
 * @SMC_ULP_DEAD: being closed
 *
 * Written under the socket lock and ctx->lock, read without by user operations.
 */
enum smc_ulp_phase {
	SMC_ULP_IDLE,
	SMC_ULP_LISTEN,
	SMC_ULP_CONN,
	SMC_ULP_CHILD,
	SMC_ULP_HS,
	SMC_ULP_ACTIVE,
	SMC_ULP_PLAIN,
	SMC_ULP_DEAD,
};

/* The callbacks of struct smc_ulp_ops that give verdicts, as tracepoints number them */
enum smc_ulp_callback {
	SMC_ULP_CB_INIT,
	SMC_ULP_CB_CONNECT,
	SMC_ULP_CB_LISTEN,
	SMC_ULP_CB_SYN,
	SMC_ULP_CB_FALLBACK,
};

struct smc_ulp_listener;
struct smc_ulp_scratch;
struct smc_ulp_wire;

/**
 * struct smc_ulp_ctx - state of one socket with the ULP
 * @sk: the user's TCP sock; NULL once it is detached or destroyed. Written under the socket lock
 *	and @lock; code that does not hold the socket lock uses smc_ulp_sk_get()
 * @ref: one for the ULP slot of @sk, one per running operation, one for the handshake, one per
 *	adapter. The last put frees by RCU and drops the module reference that the ctx holds
 * @lock: BH-safe; protects @phase, @sk, @closer, @l against each other
 * @phase: enum smc_ulp_phase
 * @role: enum smc_ulp_role
 * @origin: enum smc_ulp_origin
 * @v6: index of the ops tables; fixed, the socket's family may change (IPV6_ADDRFORM)
 * @shut: shutdown() during the handshake: RCV_SHUTDOWN, SEND_SHUTDOWN; under the socket
 *	lock
 * @reset_seen: ECONNRESET of an aborted SMC connection was reported
 * @pending: child: counted in @l->nr_pending; under its lock
 * @slot: child: has one of smc.ko's workers, until the handshake ends; see smc_ulp_slot_get()
 * @died: the TCP connection below SMC ended with an error
 * @busy: child: in @l->busy, or about to leave it; @node is not to be touched by others
 * @keep: icsk_ulp_ops has to stay after the detach, see smc_ulp_detach()
 * @hs_sk: @sk as long as the handshake runs, which holds it; who takes it away under @lock ends the
 *	handshake
 * @late_sk: argument of smc_ulp_finish_work()
 * @late_rc: likewise
 * @require: the policy wants SMC or nothing: at connect, or for the children of a listener
 * @cancel: the CLC handshake has to end now
 * @error: negative errno of the last failed handshake
 * @reason: why it became TCP without a CLC handshake
 * @rule: the rule that gave the last verdict
 * @wseq: write_seq of @sk as the handshake knows it
 * @rseq: copied_seq of @sk as the handshake knows it
 * @clc_deadline: jiffies until which the CLC message that is waited for has to be complete
 * @wq: for those who wait for the handshake, and for CLC messages
 * @sk_data_ready: callback of @sk before us, when @hooked
 * @hooked: sk_data_ready of @sk is ours
 * @h: the sidecar; set once before SMC_ULP_ACTIVE, stays until the socket is closed
 * @closer: socket that owns @sk after the user closed it during the handshake
 * @l: listener: its hidden SMC listener; child: its listener's, until the handshake ends
 * @req: child: its request sock while it is out of the accept queue; holds the listener
 * @node: child: in @l->queue
 * @work: handshake of a client, end of that of a server, or release of a sidecar from BH
 * @started: ktime of the start of the handshake
 * @ended: ktime of its end
 * @writable: free bytes of the send buffer from which on poll(2) says so
 * @tx_bytes: sent over SMC
 * @rx_bytes: received over SMC
 * @result: snapshot, written once before SMC_ULP_ACTIVE
 * @scratch: memory of the policies, set once; freed by RCU with the ctx
 * @rcu: for freeing
 * @wire: what the CLC messages said, while the handshake runs; under @lock
 */
struct smc_ulp_ctx {
	struct sock		*sk;
	refcount_t		ref;
	spinlock_t		lock;	/* see above */
	u8			phase;
	u8			role;
	u8			origin;
	u8			v6;
	u8			shut;
	u8			hooked;
	u8			reset_seen;
	u8			pending;
	u8			slot;
	u8			busy;
	u8			keep;
	u8			died;
	u8			require;
	bool			cancel;
	int			error;
	u32			reason;
	u32			rule;
	u32			wseq;
	u32			rseq;
	union {
		int		late_rc;
		int		writable;
	};
	unsigned long		clc_deadline;
	wait_queue_head_t	wq;
	void			(*sk_data_ready)(struct sock *sk);
	struct sock		*hs_sk;
	struct sock		*late_sk;
	struct socket		*h;
	struct socket		*closer;
	struct smc_ulp_listener	*l;
	struct request_sock	*req;
	struct list_head	node;
	struct work_struct	work;
	ktime_t			started;
	ktime_t			ended;
	atomic64_t		tx_bytes;
	atomic64_t		rx_bytes;
	struct smc_ulp_result	*result;
	struct smc_ulp_scratch	*scratch;
	union {
		struct rcu_head		rcu;
		struct smc_ulp_wire	*wire;
	};
};

/**
 * struct smc_ulp_listener - the hidden SMC listener behind a user's TCP listener
 * @ref: one for the user listener's ctx, one per pending child, one per queued work
 * @lock: BH-safe; protects the members below up to @nr_pending. Order: child's slock, then @lock,
 *	then sk_callback_lock of @shadow
 * @closing: no more children
 * @closed: @h is being closed, or was
 * @queue: children on the way to smc.ko, ctx->node
 * @busy: children that could not be taken out of the accept queue yet, ctx->node
 * @nr_pending: children whose handshake is running, on @queue, @busy or with smc.ko
 * @h: hidden listening AF_SMC socket
 * @shadow: its TCP sock, never used as one
 * @h_data_ready: sk_data_ready of @h before us
 * @nr_done: children that smc.ko has finished, in @h
 * @collect: takes them from there
 * @teardown: closes @h when all children are done
 * @retry: takes the children on @busy out of the accept queue, and looks for slots for @queue
 * @lsk: the user's listener, held
 * @rcu: for freeing
 */
struct smc_ulp_listener {
	refcount_t		ref;
	spinlock_t		lock;	/* see above */
	bool			closing;
	bool			closed;
	struct list_head	queue;
	struct list_head	busy;
	unsigned int		nr_pending;
	struct socket		*h;
	struct sock		*shadow;
	void			(*h_data_ready)(struct sock *sk);
	atomic_t		nr_done;
	struct work_struct	collect;
	struct work_struct	teardown;
	struct delayed_work	retry;
	struct sock		*lsk;
	struct rcu_head		rcu;
};

/**
 * struct smc_ulp_net - what a network namespace has of its own
 * @default_verdict: net.smc_ulp.default
 * @clc_timeout_ms: net.smc_ulp.clc_timeout_ms
 * @max_handshakes: net.smc_ulp.max_handshakes
 * @handshakes: between smc_ulp_handshake_begin() and smc_ulp_finish(), by enum smc_ulp_role
 * @slots: children that have a slot
 * @sysctl: the table
 * @stat: its counters
 */
struct smc_ulp_net {
	int			default_verdict;
	int			clc_timeout_ms;
	int			max_handshakes;
	atomic_t		handshakes[2];
	atomic_t		slots;
	struct ctl_table_header	*sysctl;
	struct smc_ulp_mib __percpu *stat;
};

/* ctx.c: attach, detach, life of the ctx */
int smc_ulp_attach(struct sock *sk, enum smc_ulp_origin origin);
int smc_ulp_attach_connecting(struct sock *sk, const struct sockaddr *uaddr, int addr_len);
bool smc_ulp_eligible(const struct sock *sk);
void smc_ulp_detach(struct sock *sk, struct smc_ulp_ctx *ctx);
void smc_ulp_renew(struct sock *sk, struct smc_ulp_ctx *ctx);
void smc_ulp_release(struct sock *sk);
struct smc_ulp_ctx *smc_ulp_ctx_alloc(struct sock *sk, gfp_t gfp);
struct smc_ulp_ctx *smc_ulp_ctx_get(const struct sock *sk);
struct smc_ulp_ctx *smc_ulp_ctx_locked(const struct sock *sk);
void smc_ulp_ctx_put(struct smc_ulp_ctx *ctx);
struct sock *smc_ulp_sk_get(struct smc_ulp_ctx *ctx);
int smc_ulp_ctx_init(void);
void smc_ulp_ctx_exit(void);

extern struct tcp_ulp_ops smc_ulp_tcp_ops;
extern struct workqueue_struct *smc_ulp_hs_wq;
extern struct workqueue_struct *smc_ulp_late_wq;
extern struct workqueue_struct *smc_ulp_wq;

/* sock.c: what the user's socket does */
extern const struct proto_ops *smc_ulp_base_ops[2];
extern struct proto_ops smc_ulp_user_ops[2];
extern void (*smc_ulp_tcp_state_change)(struct sock *sk);
void smc_ulp_set_active_ops(struct socket *sock, const struct smc_ulp_ctx *ctx);
int smc_ulp_sock_init(void);
void smc_ulp_sock_exit(void);

/* clc.c: the adapter between stock smc.ko and the user's sock */
extern struct proto_ops smc_ulp_clc_ops[2];
int smc_ulp_sidecar_connect(struct smc_ulp_ctx *ctx, struct sock *sk, struct socket **hp);
int smc_ulp_sidecar_listen(struct net *net, bool v6, struct smc_ulp_listener *l);
int smc_ulp_sidecar_accept(struct socket *newsock, struct smc_ulp_ctx *ctx, struct sock *sk);
struct socket *smc_ulp_clcsock(const struct socket *h);
struct smc_ulp_ctx *smc_ulp_shadow_ctx(const struct sock *shadow);
void smc_ulp_sidecar_set_wq(struct socket *h, struct socket *sock);
void smc_ulp_sidecar_sync(struct socket *h, const struct sock *sk);
void smc_ulp_sidecar_died(struct sock *msk, int err);
void smc_ulp_sidecar_drop(struct socket *h);
void smc_ulp_sidecar_close(struct smc_ulp_ctx *ctx, struct sock *sk);
int smc_ulp_sidecar_shutdown(struct socket *h, const struct sock *sk, int how);
int smc_ulp_unread(const struct sock *msk);
void smc_ulp_clc_init(void);

/* orphan.c: sidecars whose peer does not answer their abort */
void smc_ulp_sidecar_release(struct socket *h);

/* handshake.c: from ESTABLISHED to the outcome */
void smc_ulp_state_change(struct sock *sk);
void smc_ulp_handshake_hook(struct smc_ulp_ctx *ctx, struct sock *sk);
bool smc_ulp_busy(const struct sock *sk, enum smc_ulp_role role);
void smc_ulp_clc_deadline(struct smc_ulp_ctx *ctx, const struct sock *sk);
void smc_ulp_handshake_begin(struct smc_ulp_ctx *ctx, struct sock *sk);
void smc_ulp_finish(struct smc_ulp_ctx *ctx, struct socket *h, int rc);
void smc_ulp_wake_user(struct sock *sk);

/* listen.c: servers */
struct smc_ulp_listener *smc_ulp_listener_create(struct sock *lsk, bool v6);
void smc_ulp_listener_put(struct smc_ulp_listener *l);
void smc_ulp_listener_teardown(struct smc_ulp_listener *l);
bool smc_ulp_listener_requires(const struct sock *lsk);
u32 smc_ulp_listener_refuses(const struct sock *lsk);
void smc_ulp_clone(const struct request_sock *req, struct sock *newsk, const gfp_t priority);
void smc_ulp_child_established(struct smc_ulp_ctx *ctx, struct sock *sk);
void smc_ulp_child_unlist(struct smc_ulp_ctx *ctx);
void smc_ulp_slot_put(struct smc_ulp_ctx *ctx, const struct sock *sk);
void smc_ulp_child_kill(struct sock *sk);
void smc_ulp_child_done(struct sock *sk, struct request_sock *req, bool reset);
int smc_ulp_listener_accept(struct smc_ulp_listener *l, struct socket *newsock);

/* syn.c: what a listener does with a SYN */
bool smc_ulp_hs_congested(const struct sock *lsk);
bool smc_ulp_syn_hook(struct sock *lsk, bool v6);
void smc_ulp_syn_unhook(struct sock *sk);
u32 smc_ulp_syn_rule(const struct request_sock *req);
void smc_ulp_syn_init(const struct sock *sk, bool v6);

/* result.c */
u64 smc_ulp_cookie(struct sock *sk);
void smc_ulp_result_snapshot(struct smc_ulp_ctx *ctx, struct sock *sk,
			     struct socket *h, int rc, struct smc_ulp_result *res);
int smc_ulp_result_get(struct sock *sk, struct smc_ulp_result *res);
void smc_ulp_result_live(const struct smc_ulp_ctx *ctx, struct smc_ulp_result *res);

/**
 * struct smc_ulp_decision - a verdict, taken apart
 * @verdict: SMC_ULP_ALLOW, _DENY or _REQUIRE
 * @rule: who gave it, see SMC_ULP_RULE()
 */
struct smc_ulp_decision {
	enum smc_ulp_verdict	verdict;
	u32			rule;
};

/* policy.c: asking the policies */
struct smc_ulp_decision smc_ulp_policy_init(struct sock *sk, enum smc_ulp_origin origin);
struct smc_ulp_decision smc_ulp_policy_connect(struct sock *sk, const struct sockaddr *uaddr,
					       int addr_len);
struct smc_ulp_decision smc_ulp_policy_listen(struct sock *sk);
struct smc_ulp_decision smc_ulp_policy_syn(struct sock *lsk, const struct smc_ulp_tuple *tuple);
void smc_ulp_policy_error(const struct sock *sk, const char *policy, const char *op, int verdict,
			  const char *taken_as);
void smc_ulp_policy_established(struct sock *sk, const struct smc_ulp_result *res);
bool smc_ulp_policy_fallback(struct sock *sk, struct smc_ulp_result *res);
void smc_ulp_policy_release(struct sock *sk, const struct smc_ulp_result *res);

enum smc_ulp_next {
	SMC_ULP_NEXT_NETNS	= -1,
	SMC_ULP_NEXT_HOST	= -2,
	SMC_ULP_NEXT_NONE	= -3,
};

/**
 * struct smc_ulp_scope - a search for the policies of a sock
 * @sk: the sock
 * @cgrp: its cgroup
 * @next: level of the cgroup to look at next, or enum smc_ulp_next
 */
struct smc_ulp_scope {
	struct sock	*sk;
	struct cgroup	*cgrp;
	int		next;
};

/* scope.c: registered policies */
int smc_ulp_policy_register(struct smc_ulp_ops *ops);
void smc_ulp_policy_unregister(struct smc_ulp_ops *ops);
int smc_ulp_policy_update(struct smc_ulp_ops *ops, struct smc_ulp_ops *old);
void smc_ulp_scope_begin(struct smc_ulp_scope *scope, struct sock *sk);
const struct smc_ulp_ops *smc_ulp_scope_next(struct smc_ulp_scope *scope);
u64 smc_ulp_scope_generation(struct sock *sk);

/* scratch.c: memory of the policies, per connection */
u8 *smc_ulp_scratch_get(struct sock *sk);
const u8 *smc_ulp_scratch_peek(struct sock *sk);

/* wire.c: what CLC messages say */
void smc_ulp_wire_begin(struct smc_ulp_ctx *ctx);
void smc_ulp_wire_received(struct smc_ulp_ctx *ctx, const struct sk_buff *skb, u32 offset, u32 len);
void smc_ulp_wire_sent(struct smc_ulp_ctx *ctx, struct iov_iter *from);
void smc_ulp_wire_result(struct smc_ulp_ctx *ctx, struct smc_ulp_result *res);
void smc_ulp_wire_end(struct smc_ulp_ctx *ctx);

/* trace.c: tracepoints and counters */
void smc_ulp_tuple_of(const struct sock *sk, struct smc_ulp_tuple *t);
int smc_ulp_tell_attach(struct sock *sk, enum smc_ulp_origin origin, int rc);
void smc_ulp_tell_verdict(struct sock *sk, enum smc_ulp_callback callback, const char *policy,
			  int verdict, u32 rule, const struct smc_ulp_tuple *tuple);
void smc_ulp_tell_handshake(struct smc_ulp_ctx *ctx, struct sock *sk);
void smc_ulp_tell_outcome(struct smc_ulp_ctx *ctx, struct sock *sk, int rc,
			  const struct smc_ulp_result *res);
void smc_ulp_tell_plain(struct smc_ulp_ctx *ctx, struct sock *sk, u32 reason, int error);
void smc_ulp_tell_close(struct smc_ulp_ctx *ctx, struct sock *sk);
void smc_ulp_tell_refuse(struct sock *sk, const struct smc_ulp_tuple *tuple, u32 reason,
			 bool reset);

/* bpf.c: struct_ops type and kfuncs; the latter are called by BPF programs only */
struct bpf_sock_addr_kern;
struct bpf_sockopt_kern;
int bpf_smc_ulp_attach_create(struct sock *sk);
int bpf_smc_ulp_attach_bind(struct bpf_sock_addr_kern *ctx);
int bpf_smc_ulp_attach_connect(struct bpf_sock_addr_kern *ctx);
int bpf_smc_ulp_attach_sockopt(struct bpf_sockopt_kern *ctx);
int bpf_smc_ulp_result(struct sock_common *sk, void *out, u32 out__sz);
u8 *bpf_smc_ulp_scratch(struct sock *sk, const size_t rdwr_buf_size);
const u8 *bpf_smc_ulp_scratch_rdonly(struct sock_common *sk, const size_t rdonly_buf_size);
int smc_ulp_bpf_init(void);

/* layout.c: does the smc.ko that is loaded look as the one we were built for? */
int smc_ulp_layout_check(void);

/* sysctl.c */
extern unsigned int smc_ulp_net_id;
int smc_ulp_sysctl_init(void);
void smc_ulp_sysctl_exit(void);

/* Phase of @ctx for code without the socket lock; pairs with smc_ulp_set_phase(). */
static inline int smc_ulp_phase(const struct smc_ulp_ctx *ctx)
{
	return smp_load_acquire(&ctx->phase);	/* before ctx->h, which ACTIVE promises */
}

/* The end of a handshake; pairs with smc_ulp_phase(). Socket lock and ctx->lock held. */
static inline void smc_ulp_set_phase(struct smc_ulp_ctx *ctx, enum smc_ulp_phase phase)
{
	smp_store_release(&ctx->phase, phase);	/* after ctx->h and ctx->error */
}

static inline struct smc_ulp_net *smc_ulp_pernet(const struct net *net)
{
	return net_generic(net, smc_ulp_net_id);
}

#endif /* _SMC_ULP_PRIVATE_H */
