// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP upper-layer protocol "smc": attach, detach, life of the per-socket state
 */
#define pr_fmt(fmt) "smc_ulp: " fmt

#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sock_diag.h>
#include <net/inet_common.h>
#include <net/mptcp.h>
#include <net/transp_v6.h>

#include "smc_ulp.h"

/*
 * SLAB_TYPESAFE_BY_RCU: a ctx that was no listener's and has neither result nor scratch, which is
 * one of a connection that stays TCP, is freed at once. Who came to it under RCU without a
 * reference finds a ctx, maybe of another sock, and looks again: smc_ulp_ctx_get(),
 * smc_ulp_result_get(), smc_ulp_scratch_peek().
 */
static struct kmem_cache *smc_ulp_ctx_cache;

/**
 * smc_ulp_ctx_alloc() - state for @sk
 * @sk: the user's sock
 * @gfp: allocation flags
 *
 * Context: any that @gfp allows; the caller holds a module reference or an RCU read lock under
 * which a sock with the ULP was seen. Return: a ctx with one reference, or NULL.
 */
struct smc_ulp_ctx *smc_ulp_ctx_alloc(struct sock *sk, gfp_t gfp)
{
	struct smc_ulp_ctx *ctx;

	if (!try_module_get(THIS_MODULE))
		return NULL;
	ctx = kmem_cache_zalloc(smc_ulp_ctx_cache, gfp);
	if (!ctx) {
		module_put(THIS_MODULE);
		return NULL;
	}
	ctx->sk = sk;
	ctx->v6 = sk->sk_family == AF_INET6;
	spin_lock_init(&ctx->lock);
	init_waitqueue_head(&ctx->wq);
	INIT_LIST_HEAD(&ctx->node);
	smp_wmb();	/* the rest before the count, see smc_ulp_ctx_get() */
	refcount_set(&ctx->ref, 1);
	return ctx;
}

static void smc_ulp_ctx_free_rcu(struct rcu_head *rcu)
{
	struct smc_ulp_ctx *ctx = container_of(rcu, struct smc_ulp_ctx, rcu);

	kfree(ctx->result);
	kfree(ctx->scratch);
	kmem_cache_free(smc_ulp_ctx_cache, ctx);
}

/* Is @ctx a listener's, or was it? */
static bool smc_ulp_listened(const struct smc_ulp_ctx *ctx)
{
	return ctx->role == SMC_ULP_SERVER && ctx->origin != SMC_ULP_ORIGIN_ACCEPT;
}

/**
 * smc_ulp_ctx_put() - give back a reference
 * @ctx: the ctx
 *
 * Context: any. The last one drops the module reference of the ctx: what remains of the caller in
 * this module must not sleep (see smc_ulp_exit()).
 */
void smc_ulp_ctx_put(struct smc_ulp_ctx *ctx)
{
	if (!refcount_dec_and_test(&ctx->ref))
		return;
	WARN_ON_ONCE(ctx->h || ctx->l || ctx->req || ctx->closer || ctx->wire);
	/* read under RCU: that of a listener by smc_ulp_clone(), the rest by programs */
	if (ctx->result || ctx->scratch || smc_ulp_listened(ctx))
		call_rcu(&ctx->rcu, smc_ulp_ctx_free_rcu);
	else
		kmem_cache_free(smc_ulp_ctx_cache, ctx);
	module_put(THIS_MODULE);
}

/**
 * smc_ulp_ctx_get() - the one way from a sock to its ctx for code without the socket lock
 * @sk: any TCP sock, held by the caller
 *
 * Pairs with smc_ulp_publish() and smc_ulp_unpublish(): icsk_ulp_data is read before
 * icsk_ulp_ops, and written in the opposite order, so data of another ULP is never taken for ours.
 *
 * Context: any. Return: a referenced ctx, or NULL when the ULP is not (any more) on @sk.
 */
struct smc_ulp_ctx *smc_ulp_ctx_get(const struct sock *sk)
{
	const struct inet_connection_sock *icsk = inet_csk(sk);
	struct smc_ulp_ctx *ctx;
	bool moved;

	rcu_read_lock();
	ctx = rcu_dereference(icsk->icsk_ulp_data);
	smp_rmb();	/* data before ops */
	if (READ_ONCE(icsk->icsk_ulp_ops) != &smc_ulp_tcp_ops || !ctx ||
	    !refcount_inc_not_zero(&ctx->ref))
		ctx = NULL;
	/* it may have become another sock's, after this one's went */
	smp_rmb();	/* the count before whose it is, see smc_ulp_ctx_alloc() */
	moved = ctx && rcu_access_pointer(icsk->icsk_ulp_data) != ctx;
	rcu_read_unlock();
	if (unlikely(moved)) {
		smc_ulp_ctx_put(ctx);
		return NULL;
	}
	return ctx;
}

/* For code that holds the socket lock of @sk, or its slock in BH: no reference is taken. */
struct smc_ulp_ctx *smc_ulp_ctx_locked(const struct sock *sk)
{
	const struct inet_connection_sock *icsk = inet_csk(sk);

	if (icsk->icsk_ulp_ops != &smc_ulp_tcp_ops)
		return NULL;
	return rcu_dereference_protected(icsk->icsk_ulp_data, 1);
}

/* The user's sock, held, or NULL when it is gone from @ctx. Any context. */
struct sock *smc_ulp_sk_get(struct smc_ulp_ctx *ctx)
{
	struct sock *sk;

	spin_lock_bh(&ctx->lock);
	sk = ctx->sk;
	if (sk)
		sock_hold(sk);
	spin_unlock_bh(&ctx->lock);
	return sk;
}

/* The sidecar of a connection whose sock was destroyed in BH. Takes over a reference. */
static void smc_ulp_drop_work(struct work_struct *work)
{
	struct smc_ulp_ctx *ctx = container_of(work, struct smc_ulp_ctx, work);
	struct socket *h = ctx->h;

	ctx->h = NULL;
	smc_ulp_sidecar_set_wq(h, h);
	smc_ulp_sidecar_drop(h);
	smc_ulp_ctx_put(ctx);
}

/* @ctx no longer has a sock: socket lock or BH slock held. Takes over the slot's reference. */
static void smc_ulp_unbind(struct smc_ulp_ctx *ctx, enum smc_ulp_phase phase)
{
	struct smc_ulp_listener *l = NULL;
	bool drop;

	spin_lock_bh(&ctx->lock);
	ctx->sk = NULL;
	if (ctx->phase == SMC_ULP_LISTEN) {
		l = ctx->l;
		ctx->l = NULL;
	}
	drop = ctx->phase == SMC_ULP_ACTIVE;
	WRITE_ONCE(ctx->phase, phase);
	spin_unlock_bh(&ctx->lock);

	if (l)
		smc_ulp_listener_teardown(l);
	else if (ctx->role == SMC_ULP_SERVER)
		smc_ulp_child_unlist(ctx);
	if (drop) {
		INIT_WORK(&ctx->work, smc_ulp_drop_work);
		queue_work(smc_ulp_wq, &ctx->work);
	} else {
		if (wq_has_sleeper(&ctx->wq))
			wake_up_all(&ctx->wq);
		smc_ulp_ctx_put(ctx);
	}
}

/**
 * smc_ulp_detach() - @sk is plain TCP again, as if the ULP had never been there
 * @sk: the user's sock
 * @ctx: its ctx; the slot's reference is given back
 *
 * getsockopt(TCP_ULP) of TCP reads icsk_ulp_ops twice without a lock, and may sleep for ever in
 * between. Ours answers without TCP; but a call that entered before the attach must not see the
 * pointer go. When there could be one (ctx->keep) the name stays until the socket is destroyed,
 * with nothing behind it: plain TCP that can have no other ULP.
 *
 * Context: socket lock of @sk held, or its slock in BH with nobody owning the sock.
 */
void smc_ulp_detach(struct sock *sk, struct smc_ulp_ctx *ctx)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	bool keep = ctx->keep;

	write_lock_bh(&sk->sk_callback_lock);
	if (sk->sk_state_change == smc_ulp_state_change)
		sk->sk_state_change = smc_ulp_tcp_state_change;
	if (ctx->hooked)
		WRITE_ONCE(sk->sk_data_ready, ctx->sk_data_ready);
	ctx->hooked = 0;
	if (sk->sk_socket) {
		WRITE_ONCE(sk->sk_socket->ops, smc_ulp_base_ops[ctx->v6]);
		set_bit(SOCK_SUPPORT_ZC, &sk->sk_socket->flags);
	}
	write_unlock_bh(&sk->sk_callback_lock);

	tcp_sk(sk)->syn_smc = 0;	/* survives a disconnect */
	tcp_sk(sk)->smc_hs_congested = NULL;
	smc_ulp_syn_unhook(sk);
	if (!keep)
		WRITE_ONCE(icsk->icsk_ulp_ops, NULL);
	smp_wmb();	/* ops before data, see smc_ulp_ctx_get() */
	RCU_INIT_POINTER(icsk->icsk_ulp_data, NULL);
	smc_ulp_unbind(ctx, SMC_ULP_PLAIN);
	if (!keep)
		module_put(THIS_MODULE);	/* of the ULP slot */
}

/**
 * smc_ulp_renew() - the connection of a client broke, and the policy has to be asked about the next
 * @sk: the user's sock, in TCP_CLOSE
 * @ctx: its ctx, which has had its handshake; the slot's reference is given back
 *
 * As smc_ulp_detach(), but for what goes on to be there: operations and state change are ours, and
 * another ctx takes the place of @ctx at once. Without memory the socket is plain TCP.
 *
 * Context: process, socket lock of @sk held; sleeps.
 */
void smc_ulp_renew(struct sock *sk, struct smc_ulp_ctx *ctx)
{
	struct smc_ulp_ctx *next = smc_ulp_ctx_alloc(sk, GFP_KERNEL);

	if (!next) {
		smc_ulp_detach(sk, ctx);
		return;
	}
	next->v6 = ctx->v6;
	next->origin = ctx->origin;
	next->keep = ctx->keep;
	tcp_sk(sk)->syn_smc = 0;
	rcu_assign_pointer(inet_csk(sk)->icsk_ulp_data, next);
	smc_ulp_unbind(ctx, SMC_ULP_PLAIN);
}

/* tcp_ulp_ops::release: @sk is being destroyed. BH context or BH disabled, cannot sleep. */
void smc_ulp_release(struct sock *sk)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	struct smc_ulp_ctx *ctx = rcu_dereference_protected(icsk->icsk_ulp_data, 1);

	if (!ctx)
		return;		/* a child for which there was no memory */
	if (ctx->phase == SMC_ULP_ACTIVE && ctx->result)	/* never accepted */
		smc_ulp_tell_close(ctx, sk);
	RCU_INIT_POINTER(icsk->icsk_ulp_data, NULL);
	smc_ulp_unbind(ctx, SMC_ULP_DEAD);
}

/**
 * smc_ulp_eligible() - may this sock offer SMC at all?
 * @sk: sock about to connect or listen
 *
 * What SMC cannot do for the program is decided here, before a SYN promises it: TCP fast open,
 * repair mode, zero-copy completions, SO_PEEK_OFF, IPsec policies of the socket.
 *
 * Context: socket lock held, or a listener's request path in BH. Return: true when it may.
 */
bool smc_ulp_eligible(const struct sock *sk)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	if (tp->repair || tp->fastopen_connect || tp->fastopen_req ||
	    inet_test_bit(DEFER_CONNECT, sk) || sock_flag(sk, SOCK_ZEROCOPY) ||
	    READ_ONCE(sk->sk_peek_off) >= 0)
		return false;
	if (inet_csk(sk)->icsk_accept_queue.fastopenq.max_qlen)
		return false;
#ifdef CONFIG_XFRM
	if (rcu_access_pointer(sk->sk_policy[0]) || rcu_access_pointer(sk->sk_policy[1]))
		return false;
#endif
	return true;
}

/* Is this a socket that can have the ULP? Socket lock held, or nobody else knows the socket. */
static int smc_ulp_attachable(const struct sock *sk)
{
	const struct socket *sock = sk->sk_socket;
	bool v6 = sk->sk_family == AF_INET6;

	if (!sk_fullsock(sk) || sk->sk_type != SOCK_STREAM || sk->sk_protocol != IPPROTO_TCP ||
	    (sk->sk_family != AF_INET && !v6) || sk_is_mptcp(sk))
		return -ESOCKTNOSUPPORT;
	if (!sock || sock->sk != sk || sk->sk_kern_sock)
		return -EOPNOTSUPP;
	if (inet_csk(sk)->icsk_ulp_ops)
		return -EEXIST;
	if (sk->sk_state == TCP_LISTEN)
		return -EINVAL;
	if (sk->sk_state != TCP_CLOSE || sock->state != SS_UNCONNECTED)
		return -EISCONN;
	if (READ_ONCE(sock->ops) != smc_ulp_base_ops[v6] || sk->sk_user_data ||
	    sk->sk_state_change != smc_ulp_tcp_state_change ||
	    sk->sk_prot != (v6 ? &tcpv6_prot : &tcp_prot))
		return -EBUSY;
	return 0;
}

/* @ctx becomes what user operations find. Does not set icsk_ulp_ops: the ULP core may do that. */
static void smc_ulp_publish(struct sock *sk, struct smc_ulp_ctx *ctx)
{
	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_state_change = smc_ulp_state_change;
	write_unlock_bh(&sk->sk_callback_lock);
	rcu_assign_pointer(inet_csk(sk)->icsk_ulp_data, ctx);
	clear_bit(SOCK_SUPPORT_ZC, &sk->sk_socket->flags);
	WRITE_ONCE(sk->sk_socket->ops, &smc_ulp_user_ops[ctx->v6]);
}

static int smc_ulp_attach_check(struct sock *sk, enum smc_ulp_origin origin,
				struct smc_ulp_ctx **ctxp)
{
	struct smc_ulp_decision d;
	int rc;

	rc = smc_ulp_attachable(sk);
	if (rc)
		return rc;
	smc_ulp_cookie(sk);
	d = smc_ulp_policy_init(sk, origin);
	if (d.verdict == SMC_ULP_DENY)
		return -EACCES;
	*ctxp = smc_ulp_ctx_alloc(sk, GFP_ATOMIC | __GFP_NOWARN);
	if (!*ctxp)
		return -ENOMEM;
	(*ctxp)->origin = origin;
	(*ctxp)->rule = d.rule;
	return 0;
}

/* Could other threads use the descriptors of this process? */
static bool smc_ulp_threads(void)
{
	return current->files && atomic_read(&current->files->count) > 1;
}

/*
 * Could anybody but this system call be inside an operation on @file, entered through the base ops?
 * To be asked after sock->ops are replaced: an fd lookup takes its reference (a full barrier)
 * before it reads sock->ops, we write sock->ops before we read the count: one of the two sees the
 * other.
 * References of a dup or a fork look the same.
 */
static bool smc_ulp_file_shared(struct file *file)
{
	/* that of the fd table, and our own where the table is shared */
	int own = smc_ulp_threads() ? 2 : 1;

#ifdef CONFIG_IO_URING
	/* requests on registered files have no reference of their own */
	if (current->io_uring || (current->flags & PF_IO_WORKER))
		own = 1;
#endif
	smp_mb();	/* sock->ops before the count, see above */
	return file_count(file) > own;
}

/**
 * smc_ulp_attach() - attach the ULP, except for what the ULP core does itself
 * @sk: a TCP sock that is neither connected nor listening
 * @origin: who asks
 *
 * The one attach function behind setsockopt() and the kfuncs. For setsockopt() the ULP core
 * (__tcp_set_ulp()) sets icsk_ulp_ops and holds the module; for everybody else this does.
 *
 * Context: never sleeps. Socket lock held, or @sk is being created.
 * Return: 0; -ESOCKTNOSUPPORT no TCP socket; -EEXIST it has a ULP; -EISCONN, -EINVAL connected or
 * listening already; -EBUSY something else has a hand on it; -EACCES the policy says no; -ENOMEM.
 */
int smc_ulp_attach(struct sock *sk, enum smc_ulp_origin origin)
{
	struct smc_ulp_ctx *ctx;
	int rc;

	rc = smc_ulp_tell_attach(sk, origin, smc_ulp_attach_check(sk, origin, &ctx));
	if (rc)
		return rc;
	if (origin != SMC_ULP_ORIGIN_SETSOCKOPT)
		__module_get(THIS_MODULE);
	smc_ulp_publish(sk, ctx);
	ctx->keep = sk->sk_socket->file && smc_ulp_file_shared(sk->sk_socket->file);
	if (origin != SMC_ULP_ORIGIN_SETSOCKOPT)
		WRITE_ONCE(inet_csk(sk)->icsk_ulp_ops, &smc_ulp_tcp_ops);
	return 0;
}

static int smc_ulp_attach_now(struct sock *sk, const struct sockaddr *uaddr, int addr_len)
{
	struct smc_ulp_decision d;
	struct smc_ulp_ctx *ctx;
	int rc;

	rc = smc_ulp_attachable(sk);
	if (rc)
		return rc;
	if (!smc_ulp_eligible(sk))
		return -EOPNOTSUPP;
	if (!sk->sk_socket->file || smc_ulp_file_shared(sk->sk_socket->file) ||
	    smc_ulp_busy(sk, SMC_ULP_CLIENT))
		return -EBUSY;
	rc = smc_ulp_attach_check(sk, SMC_ULP_ORIGIN_CONNECT, &ctx);
	if (rc)
		return rc;
	d = smc_ulp_policy_connect(sk, uaddr, addr_len);
	if (d.verdict == SMC_ULP_DENY) {
		smc_ulp_ctx_put(ctx);
		return -EACCES;
	}
	ctx->require = d.verdict == SMC_ULP_REQUIRE;
	ctx->rule = d.rule;
	__module_get(THIS_MODULE);
	ctx->phase = SMC_ULP_CONN;
	tcp_sk(sk)->syn_smc = 1;
	smc_ulp_publish(sk, ctx);
	if (smc_ulp_file_shared(sk->sk_socket->file)) {
		smc_ulp_detach(sk, ctx);
		return -EBUSY;
	}
	/* the count does not tell an operation on a descriptor that was closed meanwhile */
	ctx->keep = smc_ulp_threads();
	WRITE_ONCE(inet_csk(sk)->icsk_ulp_ops, &smc_ulp_tcp_ops);
	return 0;
}

/**
 * smc_ulp_attach_connecting() - attach inside connect(2), from a cgroup/connect4 or 6 program
 * @sk: the sock, which is about to send its SYN
 * @uaddr: where to
 * @addr_len: its length
 *
 * The connect(2) that is running entered through the base ops and knows nothing of us. So nobody
 * else may be inside an operation on this socket, or may have fetched the base ops.
 *
 * Context: never sleeps; socket lock held, inside __inet_stream_connect().
 * Return: as smc_ulp_attach(), and -EBUSY when the descriptor is shared with a dup, a fork or an
 * operation in flight, or too many handshakes are in flight.
 */
int smc_ulp_attach_connecting(struct sock *sk, const struct sockaddr *uaddr, int addr_len)
{
	sock_owned_by_me(sk);
	return smc_ulp_tell_attach(sk, SMC_ULP_ORIGIN_CONNECT,
				   smc_ulp_attach_now(sk, uaddr, addr_len));
}

/* tcp_ulp_ops::init: setsockopt(TCP_ULP), socket lock held */
static int smc_ulp_init_sock(struct sock *sk)
{
	int rc;

	sock_owned_by_me(sk);
	rc = smc_ulp_attach(sk, SMC_ULP_ORIGIN_SETSOCKOPT);
	/* __tcp_set_ulp() has cleared it, whatever we say */
	if (rc && sk->sk_socket && sk->sk_prot == (sk->sk_family == AF_INET6 ? &tcpv6_prot :
								   &tcp_prot))
		set_bit(SOCK_SUPPORT_ZC, &sk->sk_socket->flags);
	return rc;
}

struct tcp_ulp_ops smc_ulp_tcp_ops __read_mostly = {
	.name		= SMC_ULP_NAME,
	.owner		= THIS_MODULE,
	.init		= smc_ulp_init_sock,
	.release	= smc_ulp_release,
	.clone		= smc_ulp_clone,
};

int __init smc_ulp_ctx_init(void)
{
	struct kmem_cache_args args = {
		.use_freeptr_offset	= true,
		.freeptr_offset		= offsetof(struct smc_ulp_ctx, rcu),
	};

	smc_ulp_ctx_cache = kmem_cache_create("smc_ulp_ctx", sizeof(struct smc_ulp_ctx), &args,
					      SLAB_HWCACHE_ALIGN | SLAB_NO_MERGE |
					      SLAB_TYPESAFE_BY_RCU);
	return smc_ulp_ctx_cache ? 0 : -ENOMEM;
}

void smc_ulp_ctx_exit(void)
{
	rcu_barrier();	/* smc_ulp_ctx_free_rcu() */
	kmem_cache_destroy(smc_ulp_ctx_cache);
}
