// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP upper-layer protocol "smc": servers
 *
 * The user's listener stays a TCP listener. A child whose peer speaks SMC is taken out of the
 * accept queue when it becomes ESTABLISHED, handed to a hidden SMC listener, where smc.ko does the
 * server's side of the handshake, and put back when that is over, as SMC or as plain TCP. All
 * other children never leave the accept queue. A handshake that hangs delays nobody else.
 */
#define pr_fmt(fmt) "smc_ulp: " fmt

#include <linux/bpf.h>
#include <linux/delay.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <net/sock_reuseport.h>
#include <net/tcp.h>

#include "smc_ulp.h"
#include "smc_ulp_field.h"

/**
 * smc_ulp_listener_put() - give back a reference
 * @l: the listener
 *
 * Context: any; @l->h is gone before the last reference.
 */
void smc_ulp_listener_put(struct smc_ulp_listener *l)
{
	if (!refcount_dec_and_test(&l->ref))
		return;
	WARN_ON_ONCE(l->nr_pending || l->h);
	sock_put(l->lsk);
	kfree_rcu(l, rcu);
}

/*
 * Take one finished child from smc.ko. On Debian's 6.12 smc_accept_dequeue() writes to the file of
 * the accepting socket when the child has fallen back: it gets one that nobody else ever sees.
 */
static int smc_ulp_listener_collect(struct smc_ulp_listener *l)
{
	struct proto_accept_arg arg = { .flags = O_NONBLOCK, .kern = true };
	struct smc_ulp_ctx *ctx = NULL;
	struct file *dummy;
	struct socket *n;
	int rc;

	dummy = kzalloc(sizeof(*dummy), GFP_KERNEL);
	rc = dummy ? sock_create_lite(AF_SMC, SOCK_STREAM, 0, &n) : -ENOMEM;
	if (rc) {
		kfree(dummy);
		return rc;
	}
	n->ops = l->h->ops;
	__module_get(n->ops->owner);
	n->file = dummy;
	rc = l->h->ops->accept(l->h, n, &arg);
	n->file = NULL;
	if (n->sk) {
		struct mutex *lock = smc_ulp_ptr(n->sk, smc_sock, clcsock_release_lock);

		/* the end of its link group may take the clcsock away */
		mutex_lock(lock);
		if (smc_ulp_clcsock(n)) {
			smc_ulp_clcsock(n)->file = NULL;
			ctx = smc_ulp_shadow_ctx(smc_ulp_clcsock(n)->sk);
			refcount_inc(&ctx->ref);	/* the adapter's may go with n */
		}
		mutex_unlock(lock);
	}
	kfree(dummy);
	if (!ctx) {
		/* nothing there, or an error of the child, which ends in smc_ulp_clc_release() */
		sock_release(n);
		return rc == -EAGAIN ? rc : 0;
	}
	if (!rc)
		rc = smc_ulp_field(n->sk, smc_sock, use_fallback, bool);
	smc_ulp_finish(ctx, n, rc);
	smc_ulp_ctx_put(ctx);
	return 0;
}

static void smc_ulp_listener_collect_work(struct work_struct *work)
{
	struct smc_ulp_listener *l = container_of(work, struct smc_ulp_listener, collect);
	int rc;

	while (atomic_dec_if_positive(&l->nr_done) >= 0) {
		while ((rc = smc_ulp_listener_collect(l)) && rc != -EAGAIN)
			msleep(20);	/* no memory */
		cond_resched();
	}
}

/*
 * sk_data_ready of the hidden listener: one more handshake is over. Process or BH context. We are
 * in the worker of that handshake, which must not wait for that of another: releasing a sidecar
 * does.
 */
static void smc_ulp_listener_data_ready(struct sock *msk)
{
	struct smc_ulp_listener *l;

	read_lock_bh(&msk->sk_callback_lock);
	l = msk->sk_user_data;
	if (l) {
		atomic_inc(&l->nr_done);
		queue_work(smc_ulp_wq, &l->collect);
	}
	read_unlock_bh(&msk->sk_callback_lock);
}

/* Queue @l->teardown, with a reference and the module. Any context. */
static void smc_ulp_listener_kick(struct smc_ulp_listener *l)
{
	refcount_inc(&l->ref);
	__module_get(THIS_MODULE);
	if (!queue_work(smc_ulp_wq, &l->teardown)) {
		module_put(THIS_MODULE);
		smc_ulp_listener_put(l);
	}
}

/* Close the hidden listener. */
static void smc_ulp_listener_close(struct smc_ulp_listener *l)
{
	struct sock *msk = l->h->sk;

	write_lock_bh(&msk->sk_callback_lock);
	msk->sk_user_data = NULL;
	msk->sk_data_ready = l->h_data_ready;
	write_unlock_bh(&msk->sk_callback_lock);
	cancel_work_sync(&l->collect);
	sock_release(l->h);
	l->h = NULL;
}

/*
 * Reset the children that smc.ko has not seen. Those that it works on are let finish, which takes
 * as long as a CLC message may: their peers may believe in SMC already, and must then be told over
 * SMC, since stock does not listen to a RST. They go with the accept queue that is no more. The
 * last one comes here again.
 */
static void smc_ulp_listener_teardown_work(struct work_struct *work)
{
	struct smc_ulp_listener *l = container_of(work, struct smc_ulp_listener, teardown);
	struct smc_ulp_ctx *ctx;
	bool done;

	for (;;) {
		spin_lock_bh(&l->lock);
		ctx = list_first_entry_or_null(&l->queue, struct smc_ulp_ctx, node);
		if (ctx) {
			list_del_init(&ctx->node);
			refcount_inc(&ctx->ref);
		}
		done = !l->nr_pending && !l->closed;
		if (done)
			l->closed = true;
		spin_unlock_bh(&l->lock);
		if (!ctx)
			break;
		smc_ulp_finish(ctx, NULL, -ECONNRESET);
		smc_ulp_ctx_put(ctx);
	}
	if (done) {
		smc_ulp_listener_close(l);
		smc_ulp_listener_put(l);	/* the user's */
	}
	smc_ulp_listener_put(l);
	module_put(THIS_MODULE);
}

/**
 * smc_ulp_listener_teardown() - the user's listener is no more
 * @l: its hidden listener; the caller's reference goes with it
 *
 * Context: any.
 */
void smc_ulp_listener_teardown(struct smc_ulp_listener *l)
{
	spin_lock_bh(&l->lock);
	WRITE_ONCE(l->closing, true);
	smc_ulp_listener_kick(l);	/* with its reference, before others see closing */
	spin_unlock_bh(&l->lock);
}

/*
 * Take @sk out of its listener's accept queue. inet_csk_accept() relies on the listener's socket
 * lock between "not empty" and the removal: so the listener's slock is held, and nobody owns the
 * lock.
 */
static struct request_sock *smc_ulp_unqueue(struct sock *lsk, struct sock *sk)
{
	struct request_sock_queue *q = &inet_csk(lsk)->icsk_accept_queue;
	struct request_sock *req, *prev = NULL;

	spin_lock(&q->rskq_lock);
	for (req = q->rskq_accept_head; req; prev = req, req = req->dl_next) {
		if (req->sk != sk)
			continue;
		if (prev)
			prev->dl_next = req->dl_next;
		else
			WRITE_ONCE(q->rskq_accept_head, req->dl_next);
		if (q->rskq_accept_tail == req)
			q->rskq_accept_tail = prev;
		req->dl_next = NULL;
		sk_acceptq_removed(lsk);
		break;
	}
	spin_unlock(&q->rskq_lock);
	return req;
}

/*
 * Under the slock of the child, which nests nowhere in that of its listener: never wait for it.
 * Returns false when somebody owns the listener. BH disabled.
 */
static bool smc_ulp_try_unqueue(struct smc_ulp_ctx *ctx, struct sock *lsk, struct sock *sk)
{
	bool done = false;

	if (!spin_trylock(&lsk->sk_lock.slock))
		return false;
	if (!sock_owned_by_user(lsk)) {
		ctx->req = smc_ulp_unqueue(lsk, sk);
		done = true;
	}
	spin_unlock(&lsk->sk_lock.slock);
	return done;
}

/*
 * Give a child, out of the accept queue or accepted already, to smc.ko. Returns false for one that
 * is not counted, for which @l->h need not be there.
 */
static bool smc_ulp_child_start(struct smc_ulp_ctx *ctx, struct smc_ulp_listener *l)
{
	bool pending;

	spin_lock_bh(&l->lock);
	WRITE_ONCE(ctx->busy, 0);
	pending = ctx->pending;
	if (pending) {
		list_add_tail(&ctx->node, &l->queue);
		l->shadow->sk_data_ready(l->shadow);	/* smc_clcsock_data_ready() */
	}
	spin_unlock_bh(&l->lock);
	return pending;
}

/* Queue @l->retry, with a reference and the module. Any context. */
static void smc_ulp_listener_retry(struct smc_ulp_listener *l, unsigned long delay)
{
	refcount_inc(&l->ref);
	__module_get(THIS_MODULE);
	if (!queue_delayed_work(smc_ulp_wq, &l->retry, delay)) {
		module_put(THIS_MODULE);
		smc_ulp_listener_put(l);
	}
}

/*
 * Take some children on @l->busy out of the accept queue, to @ready. Somebody may still own the
 * listener and be in no hurry: a worker must not sleep for his lock. Returns whether more are left.
 */
static bool smc_ulp_listener_unqueue_busy(struct smc_ulp_listener *l, struct list_head *ready)
{
	struct sock *lsk = l->lsk, *sk;
	struct smc_ulp_ctx *ctx;
	LIST_HEAD(again);
	int n = 0;
	bool more;

	local_bh_disable();
	bh_lock_sock(lsk);
	while (!sock_owned_by_user(lsk) && n++ < SMC_ULP_UNQUEUE_BATCH) {
		spin_lock(&l->lock);
		ctx = list_first_entry_or_null(&l->busy, struct smc_ulp_ctx, node);
		if (ctx)
			list_del_init(&ctx->node);
		spin_unlock(&l->lock);
		if (!ctx)
			break;
		/*
		 * Not found: accepted, or destroyed by the end of the listener; or moved to another
		 * of its reuseport group, where we wait until it is one of the two.
		 */
		sk = ctx->hs_sk;	/* only we end the handshake */
		ctx->req = smc_ulp_unqueue(lsk, sk);
		if (!ctx->req && !READ_ONCE(sk->sk_socket) && READ_ONCE(ctx->phase) == SMC_ULP_HS)
			list_add_tail(&ctx->node, &again);
		else
			list_add_tail(&ctx->node, ready);
	}
	bh_unlock_sock(lsk);
	spin_lock(&l->lock);
	list_splice_tail(&again, &l->busy);
	more = !list_empty(&l->busy);
	spin_unlock(&l->lock);
	local_bh_enable();
	return more;
}

/* What smc_ulp_child_established() could not do */
static void smc_ulp_listener_retry_work(struct work_struct *work)
{
	struct smc_ulp_listener *l = container_of(to_delayed_work(work), struct smc_ulp_listener,
						  retry);
	struct smc_ulp_ctx *ctx, *next;
	LIST_HEAD(ready);

	if (smc_ulp_listener_unqueue_busy(l, &ready))
		smc_ulp_listener_retry(l, 1);
	list_for_each_entry_safe(ctx, next, &ready, node) {
		list_del_init(&ctx->node);
		/* one that was destroyed is counted no more, at the end of @l it never was */
		if (!smc_ulp_child_start(ctx, l))
			smc_ulp_finish(ctx, NULL, -ECONNRESET);
	}
	spin_lock_bh(&l->lock);
	if (!list_empty(&l->queue))	/* they wait for slots */
		l->shadow->sk_data_ready(l->shadow);
	spin_unlock_bh(&l->lock);
	smc_ulp_listener_put(l);
	module_put(THIS_MODULE);
}

/**
 * smc_ulp_listener_create() - prepare a TCP socket that is going to listen
 * @lsk: the user's sock
 * @v6: its family
 *
 * Context: process, no locks. Return: the listener with one reference, or an ERR_PTR.
 */
struct smc_ulp_listener *smc_ulp_listener_create(struct sock *lsk, bool v6)
{
	struct smc_ulp_listener *l;
	struct sock *msk;
	int rc;

	l = kzalloc(sizeof(*l), GFP_KERNEL);
	if (!l)
		return ERR_PTR(-ENOMEM);
	refcount_set(&l->ref, 1);
	sock_hold(lsk);
	l->lsk = lsk;
	spin_lock_init(&l->lock);
	INIT_LIST_HEAD(&l->queue);
	INIT_LIST_HEAD(&l->busy);
	INIT_WORK(&l->collect, smc_ulp_listener_collect_work);
	INIT_WORK(&l->teardown, smc_ulp_listener_teardown_work);
	INIT_DELAYED_WORK(&l->retry, smc_ulp_listener_retry_work);
	rc = smc_ulp_sidecar_listen(sock_net(lsk), v6, l);
	if (rc) {
		smc_ulp_listener_put(l);
		return ERR_PTR(rc);
	}
	msk = l->h->sk;
	write_lock_bh(&msk->sk_callback_lock);
	l->h_data_ready = msk->sk_data_ready;
	msk->sk_user_data = l;
	msk->sk_data_ready = smc_ulp_listener_data_ready;
	write_unlock_bh(&msk->sk_callback_lock);
	return l;
}

static atomic_t smc_ulp_slots;	/* of the host; workers of smc.ko are the host's */

/* Count one more in @n, which has at most @max. Any context. */
static bool smc_ulp_count_below(atomic_t *n, int max)
{
	int old = atomic_read(n);

	do {
		if (old >= max)
			return false;
	} while (!atomic_try_cmpxchg(n, &old, old + 1));
	return true;
}

/*
 * A slot is the right to one of smc.ko's workers, which waits for the peer until the handshake of
 * the child ends. Native sockets need some, too. Any context.
 */
static bool smc_ulp_slot_get(const struct net *net)
{
	struct smc_ulp_net *un = smc_ulp_pernet(net);

	if (!smc_ulp_count_below(&smc_ulp_slots, SMC_ULP_MAX_WORKERS))
		return false;
	if (smc_ulp_count_below(&un->slots, READ_ONCE(un->max_handshakes)))
		return true;
	atomic_dec(&smc_ulp_slots);
	return false;
}

static void smc_ulp_slot_return(const struct net *net)
{
	atomic_dec(&smc_ulp_pernet(net)->slots);
	atomic_dec(&smc_ulp_slots);
}

/**
 * smc_ulp_slot_put() - the handshake of @ctx is over, smc.ko's worker is done with it
 * @ctx: any ctx; by the one who ends the handshake
 * @sk: its sock
 *
 * Context: any.
 */
void smc_ulp_slot_put(struct smc_ulp_ctx *ctx, const struct sock *sk)
{
	if (!ctx->slot)
		return;
	ctx->slot = 0;
	smc_ulp_slot_return(sock_net(sk));
}

/* Has the peer of @ctx said nothing at all until its time was over? Only we end the handshake. */
static bool smc_ulp_child_silent(const struct smc_ulp_ctx *ctx)
{
	const struct tcp_sock *tp = tcp_sk(ctx->hs_sk);

	return time_after_eq(jiffies, READ_ONCE(ctx->clc_deadline)) &&
	       READ_ONCE(tp->rcv_nxt) == READ_ONCE(tp->copied_seq);
}

/*
 * The next child on @l->queue, with a reference and a slot. One whose time is over needs no slot;
 * others wait for one, in the queue.
 */
static struct smc_ulp_ctx *smc_ulp_listener_next(struct smc_ulp_listener *l)
{
	bool slot = smc_ulp_slot_get(sock_net(l->lsk)), wait = false;
	struct smc_ulp_ctx *ctx;

	spin_lock_bh(&l->lock);
	ctx = list_first_entry_or_null(&l->queue, struct smc_ulp_ctx, node);
	if (ctx && !slot && !smc_ulp_child_silent(ctx)) {
		wait = true;
		ctx = NULL;
	}
	if (ctx) {
		list_del_init(&ctx->node);
		refcount_inc(&ctx->ref);
		ctx->slot = slot;
	}
	spin_unlock_bh(&l->lock);
	if (!ctx && slot)
		smc_ulp_slot_return(sock_net(l->lsk));
	if (wait)
		smc_ulp_listener_retry(l, 1);
	return ctx;
}

/* The next child for smc.ko, which has @newsock for it. Process context, below smc.ko's locks. */
int smc_ulp_listener_accept(struct smc_ulp_listener *l, struct socket *newsock)
{
	struct smc_ulp_ctx *ctx;
	struct sock *sk;
	int rc;

	for (;;) {
		ctx = smc_ulp_listener_next(l);
		if (!ctx)
			return -EAGAIN;
		if (!ctx->slot || smc_ulp_child_silent(ctx)) {
			rc = -ETIMEDOUT;
		} else {
			rc = -ECONNRESET;
			sk = smc_ulp_sk_get(ctx);
			if (sk) {
				rc = smc_ulp_sidecar_accept(newsock, ctx, sk);
				sock_put(sk);
			}
		}
		if (rc)
			smc_ulp_finish(ctx, NULL, rc);
		smc_ulp_ctx_put(ctx);
		if (!rc)
			return 0;
	}
}

/* Children may move to another listener, which need not be ours: CLC bytes would reach a program */
static bool smc_ulp_may_migrate(const struct sock *lsk)
{
	struct sock_reuseport *reuse = rcu_dereference(lsk->sk_reuseport_cb);
	struct bpf_prog *prog;

	if (!reuse)
		return false;
	if (READ_ONCE(sock_net(lsk)->ipv4.sysctl_tcp_migrate_req))
		return true;
	prog = rcu_dereference(reuse->prog);
	return prog && prog->expected_attach_type == BPF_SK_REUSEPORT_SELECT_OR_MIGRATE;
}

/* What speaks against SMC for all children of @lsk now: enum smc_ulp_reason, or 0 */
static u32 smc_ulp_syn_refused(const struct sock *lsk, const struct smc_ulp_listener *l)
{
	u32 backlog = READ_ONCE(lsk->sk_ack_backlog);
	u32 pending = READ_ONCE(l->nr_pending);
	u32 max = READ_ONCE(smc_ulp_pernet(sock_net(lsk))->max_handshakes);

	if (!smc_ulp_eligible(lsk))
		return SMC_ULP_REASON_SOCKET;
	if (smc_ulp_may_migrate(lsk))
		return SMC_ULP_REASON_MIGRATE;
	/* one listener leaves some to others, and to those that pass here at the same time */
	if (pending >= max - max / 4 || smc_ulp_busy(lsk, SMC_ULP_SERVER) ||
	    backlog > SMC_ULP_MAX_ACCEPTQ || backlog + pending > READ_ONCE(lsk->sk_max_ack_backlog))
		return SMC_ULP_REASON_BUSY;
	return 0;
}

/* The ctx of a listener, for code without its lock. Under RCU, which keeps it. */
static const struct smc_ulp_ctx *smc_ulp_listener_ctx(const struct sock *lsk)
{
	const struct inet_connection_sock *icsk = inet_csk(lsk);
	const struct smc_ulp_ctx *ctx;

	ctx = rcu_dereference(icsk->icsk_ulp_data);
	smp_rmb();	/* as in smc_ulp_ctx_get() */
	return READ_ONCE(icsk->icsk_ulp_ops) == &smc_ulp_tcp_ops ? ctx : NULL;
}

/**
 * smc_ulp_listener_requires() - does the policy of @lsk want SMC or nothing?
 * @lsk: a listener
 *
 * Context: RCU read lock. Return: true when it does.
 */
bool smc_ulp_listener_requires(const struct sock *lsk)
{
	const struct smc_ulp_ctx *ctx = smc_ulp_listener_ctx(lsk);

	return ctx && READ_ONCE(ctx->require);
}

/**
 * smc_ulp_listener_refuses() - what speaks against SMC for a connection to @lsk now
 * @lsk: a listener
 *
 * Context: BH, RCU read lock. Return: enum smc_ulp_reason, or 0 for nothing.
 */
u32 smc_ulp_listener_refuses(const struct sock *lsk)
{
	const struct smc_ulp_ctx *ctx = smc_ulp_listener_ctx(lsk);
	const struct smc_ulp_listener *l = ctx ? READ_ONCE(ctx->l) : NULL;

	if (!l || READ_ONCE(l->closing))
		return SMC_ULP_REASON_BUSY;	/* it is going */
	return smc_ulp_syn_refused(lsk, l);
}

/**
 * smc_ulp_clone() - tcp_ulp_ops::clone: a child of a socket with the ULP
 * @req: its request
 * @newsk: the child, a copy of the listener with all pointers of ours in it; slock held
 * @priority: allocation flags
 *
 * Only a child whose SYN-ACK carried the SMC option keeps the ULP. Without memory for its ctx it
 * must not live: its peer is going to send a CLC message, see smc_ulp_child_established(). Neither
 * must one without the option, whose SYN-ACK was a cookie after all, when SMC is required.
 *
 * Context: BH, RCU read lock (which keeps the listener's ctx, should it just go).
 */
void smc_ulp_clone(const struct request_sock *req, struct sock *newsk, const gfp_t priority)
{
	struct inet_connection_sock *icsk = inet_csk(newsk);
	struct smc_ulp_ctx *lctx = rcu_dereference_protected(icsk->icsk_ulp_data, 1);
	struct smc_ulp_listener *l = NULL;
	struct smc_ulp_ctx *ctx;

	RCU_INIT_POINTER(icsk->icsk_ulp_data, NULL);
	tcp_sk(newsk)->smc_hs_congested = NULL;
	newsk->sk_state_change = smc_ulp_tcp_state_change;
	smc_ulp_syn_unhook(newsk);
	/* of socks that are cloned, only our listeners have syn_smc set, and RCU keeps their ctx */
	if (lctx && tcp_sk(newsk)->syn_smc &&
	    (inet_rsk(req)->smc_ok || READ_ONCE(lctx->require)))
		l = READ_ONCE(lctx->l);
	if (!l || !refcount_inc_not_zero(&l->ref)) {
		icsk->icsk_ulp_ops = NULL;
		return;
	}
	if (!try_module_get(THIS_MODULE)) {	/* for the slot; fails only if the listener went */
		smc_ulp_listener_put(l);
		icsk->icsk_ulp_ops = NULL;
		return;
	}
	newsk->sk_state_change = smc_ulp_state_change;
	ctx = smc_ulp_ctx_alloc(newsk, priority | __GFP_NOWARN);
	if (!ctx) {
		smc_ulp_listener_put(l);
		return;
	}
	ctx->role = SMC_ULP_SERVER;
	ctx->origin = SMC_ULP_ORIGIN_ACCEPT;
	ctx->phase = SMC_ULP_CHILD;
	ctx->require = READ_ONCE(lctx->require);
	ctx->rule = smc_ulp_syn_rule(req) ?: READ_ONCE(lctx->rule);
	ctx->reason = inet_rsk(req)->smc_ok ? 0 : SMC_ULP_DECL_PEERNOSMC;
	ctx->l = l;
	/* The listener's: it makes TCP look for sk_wq, which there is not before accept(2). */
	sock_reset_flag(newsk, SOCK_FASYNC);
	rcu_assign_pointer(icsk->icsk_ulp_data, ctx);
	smc_ulp_handshake_hook(ctx, newsk);	/* the proposal may come with the ACK */
}

/**
 * smc_ulp_child_established() - a child whose peer speaks SMC is ESTABLISHED
 * @ctx: its ctx
 * @sk: the child
 *
 * Its handshake begins when it is out of the accept queue: until then the end of the listener may
 * destroy it. With somebody in accept(2), say, @l->retry sees to that.
 *
 * Context: BH, slock of @sk held, nobody owns it; or, when accept(2) on another CPU has taken it
 * already, socket lock held.
 */
void smc_ulp_child_established(struct smc_ulp_ctx *ctx, struct sock *sk)
{
	struct smc_ulp_listener *l = ctx->l;
	bool plain = ctx->reason;

	local_bh_disable();
	smc_ulp_handshake_begin(ctx, sk);
	smc_ulp_tell_handshake(ctx, sk);
	spin_lock(&l->lock);
	if (!l->closing && !plain) {
		ctx->pending = 1;
		WRITE_ONCE(l->nr_pending, l->nr_pending + 1);
	}
	spin_unlock(&l->lock);
	if (plain)
		smc_ulp_tell_refuse(sk, NULL, SMC_ULP_DECL_PEERNOSMC, true);
	/* not in the queue: accept(2) was faster, the user's operations wait as a client's do */
	if (ctx->pending && smc_ulp_try_unqueue(ctx, l->lsk, sk)) {
		smc_ulp_child_start(ctx, l);
	} else {
		spin_lock(&l->lock);
		ctx->busy = 1;
		list_add_tail(&ctx->node, &l->busy);
		smc_ulp_listener_retry(l, 0);
		spin_unlock(&l->lock);
	}
	local_bh_enable();
}

/**
 * smc_ulp_child_kill() - there was no memory for the ctx of a child
 * @sk: the child, ESTABLISHED
 *
 * Its peer was promised SMC: the first CLC message finds no connection and is answered by a RST.
 *
 * Context: as smc_ulp_child_established().
 */
void smc_ulp_child_kill(struct sock *sk)
{
	smc_ulp_tell_refuse(sk, NULL, SMC_ULP_DECL_MEM, true);
	WRITE_ONCE(sk->sk_err, ECONNRESET);
	tcp_done(sk);
}

/**
 * smc_ulp_child_unlist() - @ctx no longer belongs to a listener
 * @ctx: ctx of a child
 *
 * Context: any.
 */
void smc_ulp_child_unlist(struct smc_ulp_ctx *ctx)
{
	struct smc_ulp_listener *l;

	spin_lock_bh(&ctx->lock);
	l = ctx->l;
	ctx->l = NULL;
	spin_unlock_bh(&ctx->lock);
	if (!l)
		return;
	spin_lock_bh(&l->lock);
	if (ctx->pending) {
		WRITE_ONCE(ctx->pending, 0);
		WRITE_ONCE(l->nr_pending, l->nr_pending - 1);
	}
	if (!READ_ONCE(ctx->busy))
		list_del_init(&ctx->node);
	if (l->closing && !l->nr_pending)
		smc_ulp_listener_kick(l);
	spin_unlock_bh(&l->lock);
	smc_ulp_listener_put(l);
}

/**
 * smc_ulp_child_done() - a child that nobody accepted yet goes where it belongs
 * @sk: the child, held by the caller, and by @req until here
 * @req: its request, which holds the listener
 * @reset: it was aborted: destroy it; else back into the accept queue
 *
 * Context: process, no lock of @sk.
 */
void smc_ulp_child_done(struct sock *sk, struct request_sock *req, bool reset)
{
	struct sock *lsk = req->rsk_listener;
	void (*data_ready)(struct sock *sk);
	struct smc_ulp_ctx *ctx, *lctx;

	/* a listener that went, or is plain TCP now, cannot hand out a child that is not */
	ctx = smc_ulp_ctx_get(sk);
	lctx = smc_ulp_ctx_get(lsk);
	if (ctx && !lctx) {
		lock_sock(sk);
		sock_set_flag(sk, SOCK_LINGER);	/* RST, as TCP does when a listener goes */
		sk->sk_lingertime = 0;
		release_sock(sk);
		reset = true;
	}
	if (ctx)
		smc_ulp_ctx_put(ctx);
	if (lctx)
		smc_ulp_ctx_put(lctx);
	if (reset) {
		sk->sk_prot->close(sk, 0);
		reqsk_put(req);
		return;
	}
	sock_hold(lsk);
	local_bh_disable();
	bh_lock_sock(sk);
	/* destroys the child when @lsk does not listen any more */
	if (!inet_csk_reqsk_queue_add(lsk, req, sk))
		reqsk_put(req);
	bh_unlock_sock(sk);
	data_ready = READ_ONCE(lsk->sk_data_ready);
	data_ready(lsk);
	local_bh_enable();
	sock_put(lsk);
}
