// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP upper-layer protocol "smc": what the user's socket does
 *
 * These proto_ops stand in sock->ops from attach until the socket is plain TCP again or closed.
 * Every operation first finds its ctx; without one (it was detached after the ops were fetched)
 * the operation is TCP's. While the handshake runs user I/O waits, as it does in SYN_SENT.
 */
#define pr_fmt(fmt) "smc_ulp: " fmt

#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/splice.h>
#include <linux/wait_bit.h>
#include <asm/ioctls.h>
#include <net/inet_common.h>
#include <net/ipv6.h>
#include <net/transp_v6.h>

#include "smc_ulp.h"
#include "smc_ulp_field.h"

const struct proto_ops *smc_ulp_base_ops[2] __read_mostly;
struct proto_ops smc_ulp_user_ops[2] __read_mostly;
static struct proto_ops smc_ulp_active_ops[2] __read_mostly;
/* sk_state_change of every TCP sock that user space has made: sock_def_wakeup(), not exported */
void (*smc_ulp_tcp_state_change)(struct sock *sk) __read_mostly;

/* Operations of sockets without a ctx, which may sleep below us; see smc_ulp_sock_exit() */
static atomic_t smc_ulp_strays = ATOMIC_INIT(0);

/* The ops of @sock that are not ours */
static const struct proto_ops *smc_ulp_base(const struct socket *sock)
{
	const struct proto_ops *ops = READ_ONCE(sock->ops);

	if (ops == &smc_ulp_user_ops[0] || ops == &smc_ulp_active_ops[0])
		return smc_ulp_base_ops[0];
	if (ops == &smc_ulp_user_ops[1] || ops == &smc_ulp_active_ops[1])
		return smc_ulp_base_ops[1];
	return ops;
}

/*
 * One user operation: @ctx, when set, holds the module; else smc_ulp_strays does. What the
 * operation is called on cannot be closed, since the caller holds the file.
 */
struct smc_ulp_op {
	struct smc_ulp_ctx *ctx;
};

static struct smc_ulp_op smc_ulp_op_begin(const struct socket *sock)
{
	struct smc_ulp_op op = { .ctx = smc_ulp_ctx_get(sock->sk) };

	if (unlikely(!op.ctx))
		atomic_inc(&smc_ulp_strays);
	return op;
}

static void smc_ulp_op_end(struct smc_ulp_op op)
{
	if (likely(op.ctx))
		smc_ulp_ctx_put(op.ctx);
	else if (atomic_dec_and_test(&smc_ulp_strays))
		wake_up_var(&smc_ulp_strays);
}

/* Is the connection not there yet, as far as the program may know? */
static bool smc_ulp_connecting(const struct smc_ulp_ctx *ctx, const struct sock *sk, int phase)
{
	return phase == SMC_ULP_HS ||
	       (phase == SMC_ULP_CONN && READ_ONCE(sk->sk_state) != TCP_CLOSE);
}

static bool smc_ulp_settled(const struct smc_ulp_ctx *ctx, const struct sock *sk)
{
	return !smc_ulp_connecting(ctx, sk, smc_ulp_phase(ctx));
}

/*
 * Wait until the handshake is over. Returns SMC_ULP_ACTIVE: use the sidecar; another phase: use
 * TCP; -errno as TCP gives it in SYN_SENT.
 */
static int smc_ulp_gate(struct smc_ulp_ctx *ctx, const struct sock *sk, long timeo)
{
	int phase = smc_ulp_phase(ctx);
	long left;

	if (likely(phase == SMC_ULP_ACTIVE) || !smc_ulp_connecting(ctx, sk, phase))
		return phase;
	if (!timeo)
		return -EAGAIN;
	left = wait_event_interruptible_timeout(ctx->wq, smc_ulp_settled(ctx, sk), timeo);
	if (left < 0)
		return sock_intr_errno(timeo);
	return left ? smc_ulp_phase(ctx) : -EAGAIN;
}

/* SOL_SOCKET options that SMC looks at never pass proto_ops */
static void smc_ulp_follow_send(struct sock *msk, const struct sock *sk)
{
	if (unlikely(msk->sk_sndtimeo != READ_ONCE(sk->sk_sndtimeo)))
		WRITE_ONCE(msk->sk_sndtimeo, sk->sk_sndtimeo);
}

static void smc_ulp_follow_recv(struct sock *msk, const struct sock *sk)
{
	if (unlikely(msk->sk_rcvtimeo != READ_ONCE(sk->sk_rcvtimeo)))
		WRITE_ONCE(msk->sk_rcvtimeo, sk->sk_rcvtimeo);
	if (unlikely(msk->sk_rcvlowat != READ_ONCE(sk->sk_rcvlowat)))
		WRITE_ONCE(msk->sk_rcvlowat, sk->sk_rcvlowat);
}

/* The peer gave the connection up, over SMC or TCP */
static bool smc_ulp_aborted(const struct smc_ulp_ctx *ctx)
{
	void *conn = smc_ulp_ptr(ctx->h->sk, smc_sock, conn);
	void *rx = smc_ulp_ptr(conn, smc_connection, local_rx_ctrl);

	return READ_ONCE(ctx->died) ||
	       smc_ulp_field(rx, smc_host_cdc_msg, conn_state_flags, u8) & SMC_ULP_PEER_CONN_ABORT;
}

/* Does the connection have its link group, and with it its buffers? Socket lock of @msk held. */
static bool smc_ulp_linked(const struct sock *msk)
{
	void *conn = smc_ulp_ptr(msk, smc_sock, conn);

	return smc_ulp_field(conn, smc_connection, alert_token_local, u32);
}

/* connect(2) */

/*
 * Detach a socket that is not connected. When it has listened, children may still be made of it, on
 * another CPU, as long as it takes them to see its state: nothing of ours may be left in them by
 * the time it could listen again. Socket lock held, sleeps.
 */
static void smc_ulp_become_plain(struct smc_ulp_ctx *ctx, struct sock *sk)
{
	if (ctx->phase == SMC_ULP_LISTEN)
		synchronize_rcu();
	smc_ulp_detach(sk, ctx);
}

/* Decide before the first SYN. Socket lock held. Returns what connect(2) is to fail with, or 0. */
static int smc_ulp_connect_prepare(struct smc_ulp_ctx *ctx, struct sock *sk,
				   const struct sockaddr *uaddr, int len)
{
	struct smc_ulp_decision d;
	u32 reason;
	bool can;
	int rc;

	/* what TCP is going to refuse is no connect: the socket stays as it is */
	if (len < (sk->sk_family == AF_INET6 ? SIN6_LEN_RFC2133 : sizeof(struct sockaddr_in)) ||
	    uaddr->sa_family != sk->sk_family)
		return 0;
	d = smc_ulp_policy_connect(sk, uaddr, len);
	/* one that has listened is TCP from here on: its hidden listener has to go */
	can = ctx->phase != SMC_ULP_LISTEN && smc_ulp_eligible(sk);
	reason = !can ? SMC_ULP_REASON_SOCKET :
		 d.verdict == SMC_ULP_DENY ? SMC_ULP_REASON_POLICY :
		 smc_ulp_busy(sk, SMC_ULP_CLIENT) ? SMC_ULP_REASON_BUSY : 0;
	if (reason) {
		ctx->rule = d.rule;
		rc = d.verdict != SMC_ULP_REQUIRE ? 0 : can ? -ECONNABORTED : -EOPNOTSUPP;
		smc_ulp_tell_plain(ctx, sk, reason, rc);
		if (rc)
			return rc;
		smc_ulp_become_plain(ctx, sk);
		return 0;
	}
	ctx->require = d.verdict == SMC_ULP_REQUIRE;
	ctx->rule = d.rule;
	ctx->error = 0;
	tcp_sk(sk)->syn_smc = 1;
	spin_lock_bh(&ctx->lock);
	WRITE_ONCE(ctx->phase, SMC_ULP_CONN);
	spin_unlock_bh(&ctx->lock);
	return 0;
}

/* Still attached to @sk? Socket lock held. */
static bool smc_ulp_attached(const struct smc_ulp_ctx *ctx, const struct sock *sk)
{
	return smc_ulp_ctx_locked(sk) == ctx;
}

/*
 * A connect that ended in TCP_CLOSE never was. The base ops of a connect(2) that was attached while
 * it ran do not come by here: the next operation does. Socket lock held.
 */
static void smc_ulp_connect_failed(struct smc_ulp_ctx *ctx, struct sock *sk)
{
	if (ctx->phase != SMC_ULP_CONN || sk->sk_state != TCP_CLOSE)
		return;
	tcp_sk(sk)->syn_smc = 0;
	spin_lock_bh(&ctx->lock);
	WRITE_ONCE(ctx->phase, SMC_ULP_IDLE);
	spin_unlock_bh(&ctx->lock);
	wake_up_all(&ctx->wq);
}

/* Under the socket lock: what TCP says to this connect(2), or 0 to wait for the handshake */
static int smc_ulp_connect_locked(struct smc_ulp_ctx *ctx, struct socket *sock,
				  struct sockaddr *uaddr, int len, int flags)
{
	struct sock *sk = sock->sk;
	int rc;

	if (!smc_ulp_attached(ctx, sk))
		return __inet_stream_connect(sock, uaddr, len, flags, 0);
	if (len >= sizeof(uaddr->sa_family) && uaddr->sa_family == AF_UNSPEC) {
		if (ctx->phase == SMC_ULP_HS || ctx->phase == SMC_ULP_ACTIVE)
			return -EOPNOTSUPP;
	} else if (ctx->phase == SMC_ULP_HS) {
		return flags & O_NONBLOCK ? -EALREADY : 0;
	} else if (ctx->phase == SMC_ULP_ACTIVE) {
		/* TCP's connect could take apart what has died meanwhile */
		if (sock->state != SS_CONNECTING)
			return -EISCONN;
		sock->state = SS_CONNECTED;
		return 0;
	} else if (sock->state == SS_UNCONNECTED && sk->sk_state == TCP_CLOSE) {
		rc = smc_ulp_connect_prepare(ctx, sk, uaddr, len);
		if (rc)
			return rc;
	}
	rc = __inet_stream_connect(sock, uaddr, len, flags, 0);
	if (!smc_ulp_attached(ctx, sk))
		return rc;
	smc_ulp_connect_failed(ctx, sk);
	/* it slept while SMC became active and TCP died: connected all the same, I/O will tell */
	if (ctx->phase == SMC_ULP_ACTIVE && sock->state == SS_UNCONNECTED) {
		sock->state = SS_CONNECTED;
		rc = 0;
	}
	return rc;
}

/*
 * TCP is connected and the handshake may still run: the connect(2) of a blocking socket waits for
 * it. sock->state is CONNECTED or, for a second connect(2), CONNECTING.
 */
static int smc_ulp_connect_wait(struct smc_ulp_ctx *ctx, struct socket *sock,
				struct sockaddr *uaddr, int len, int flags, unsigned long start)
{
	struct sock *sk = sock->sk;
	long timeo = sock_sndtimeo(sk, flags & O_NONBLOCK);
	int rc;

	if (timeo != MAX_SCHEDULE_TIMEOUT)	/* TCP has used some of it */
		timeo = max_t(long, timeo - (long)(jiffies - start), 0);

	rc = smc_ulp_gate(ctx, sk, timeo);
	lock_sock(sk);
	if (rc < 0) {
		/* not over: as in SYN_SENT, the next connect(2) has to tell */
		if (smc_ulp_attached(ctx, sk) && ctx->phase == SMC_ULP_HS &&
		    sock->state == SS_CONNECTED)
			sock->state = SS_CONNECTING;
		rc = rc == -EAGAIN ? -EINPROGRESS : rc;
	} else if (ctx->error && sk->sk_state == TCP_CLOSE) {
		rc = ctx->error;
		ctx->error = 0;
		sock_error(sk);
		sk->sk_disconnects++;
		sk->sk_prot->disconnect(sk, flags);
		sock->state = SS_UNCONNECTED;
	} else if (sk->sk_state == TCP_CLOSE && sock->state == SS_UNCONNECTED) {
		rc = sock_error(sk) ?: -ECONNABORTED;	/* another connect(2) has told */
	} else {
		rc = 0;
		if (smc_ulp_attached(ctx, sk) && ctx->phase == SMC_ULP_ACTIVE)
			sock->state = SS_CONNECTED;
		else if (sock->state == SS_CONNECTING)
			rc = __inet_stream_connect(sock, uaddr, len, flags, 0);
	}
	release_sock(sk);
	return rc;
}

static int smc_ulp_connect(struct socket *sock, struct sockaddr *uaddr, int len, int flags)
{
	struct smc_ulp_op op = smc_ulp_op_begin(sock);
	unsigned long start = jiffies;
	bool plain;
	int rc;

	if (!op.ctx) {
		rc = smc_ulp_base(sock)->connect(sock, uaddr, len, flags);
	} else {
		lock_sock(sock->sk);
		rc = smc_ulp_connect_locked(op.ctx, sock, uaddr, len, flags);
		/* detached without a handshake: the peer does not speak SMC */
		plain = op.ctx->phase == SMC_ULP_PLAIN && !op.ctx->error;
		release_sock(sock->sk);
		if (!rc && !plain && uaddr->sa_family != AF_UNSPEC)
			rc = smc_ulp_connect_wait(op.ctx, sock, uaddr, len, flags, start);
	}
	smc_ulp_op_end(op);
	return rc;
}

/* listen(2), accept(2) */

/*
 * It will not listen: plain TCP, unless the policy has to be asked the next time, too. The socket
 * has not been in TCP_LISTEN, so nobody has come by it to the ctx. Socket lock held.
 */
static void smc_ulp_listen_undo(struct smc_ulp_ctx *ctx, struct sock *sk)
{
	struct smc_ulp_listener *l;

	if (!ctx->require) {
		smc_ulp_detach(sk, ctx);
		return;
	}
	tcp_sk(sk)->syn_smc = 0;
	tcp_sk(sk)->smc_hs_congested = NULL;
	smc_ulp_syn_unhook(sk);
	spin_lock_bh(&ctx->lock);
	l = ctx->l;
	ctx->l = NULL;
	ctx->role = SMC_ULP_CLIENT;
	WRITE_ONCE(ctx->phase, SMC_ULP_IDLE);
	spin_unlock_bh(&ctx->lock);
	if (l)
		smc_ulp_listener_teardown(l);
}

/* Make a listener of @sk, or detach. Returns 1 when it is one, or what listen(2) fails with */
static int smc_ulp_listen_prepare(struct smc_ulp_ctx *ctx, struct socket *sock)
{
	struct smc_ulp_decision d = {};
	struct smc_ulp_listener *l;
	struct sock *sk = sock->sk;
	bool can;
	int go = 0;

	lock_sock(sk);
	if (smc_ulp_attached(ctx, sk) && sock->state == SS_UNCONNECTED)
		smc_ulp_connect_failed(ctx, sk);
	if (smc_ulp_attached(ctx, sk) && ctx->phase == SMC_ULP_IDLE &&
	    sk->sk_state == TCP_CLOSE && sock->state == SS_UNCONNECTED) {
		d = smc_ulp_policy_listen(sk);
		can = smc_ulp_eligible(sk);
		go = d.verdict != SMC_ULP_DENY && can;
		if (!go && d.verdict == SMC_ULP_REQUIRE)
			go = -EOPNOTSUPP;
		ctx->rule = d.rule;
		if (go <= 0)
			smc_ulp_tell_plain(ctx, sk, can ? SMC_ULP_REASON_POLICY :
							  SMC_ULP_REASON_SOCKET, go);
		if (go > 0) {
			ctx->require = d.verdict == SMC_ULP_REQUIRE;
			spin_lock_bh(&ctx->lock);
			ctx->role = SMC_ULP_SERVER;
			WRITE_ONCE(ctx->phase, SMC_ULP_LISTEN);
			spin_unlock_bh(&ctx->lock);
		} else if (!go) {
			smc_ulp_detach(sk, ctx);
		}
	}
	release_sock(sk);
	if (go <= 0)
		return go;

	l = smc_ulp_listener_create(sk, ctx->v6);
	lock_sock(sk);
	if (!smc_ulp_attached(ctx, sk)) {	/* another thread's connect(2) */
		go = 0;
	} else if (IS_ERR(l) || !smc_ulp_syn_hook(sk, ctx->v6)) {
		pr_warn_ratelimited("no SMC listener (%ld)\n", IS_ERR(l) ? PTR_ERR(l) : -EBUSY);
		smc_ulp_listen_undo(ctx, sk);
		go = ctx->require ? -EOPNOTSUPP : 0;
	} else {
		spin_lock_bh(&ctx->lock);
		WRITE_ONCE(ctx->l, l);
		spin_unlock_bh(&ctx->lock);
		tcp_sk(sk)->smc_hs_congested = smc_ulp_hs_congested;
		tcp_sk(sk)->syn_smc = 1;
	}
	release_sock(sk);
	if (go <= 0 && !IS_ERR(l))
		smc_ulp_listener_teardown(l);
	return go;
}

static int smc_ulp_listen(struct socket *sock, int backlog)
{
	struct smc_ulp_op op = smc_ulp_op_begin(sock);
	struct sock *sk = sock->sk;
	int fresh = 0, rc;

	if (op.ctx)
		fresh = smc_ulp_listen_prepare(op.ctx, sock);
	rc = fresh < 0 ? fresh : smc_ulp_base(sock)->listen(sock, backlog);
	if (rc && fresh > 0) {
		lock_sock(sk);
		if (smc_ulp_attached(op.ctx, sk) && sk->sk_state == TCP_CLOSE)
			smc_ulp_listen_undo(op.ctx, sk);
		release_sock(sk);
	}
	smc_ulp_op_end(op);
	return rc;
}

static int smc_ulp_accept(struct socket *sock, struct socket *newsock,
			  struct proto_accept_arg *arg)
{
	struct smc_ulp_op op = smc_ulp_op_begin(sock);
	const struct proto_ops *base = smc_ulp_base(sock);
	struct smc_ulp_ctx *ctx;
	int rc;

	rc = base->accept(sock, newsock, arg);
	if (rc)
		goto out;
	/*
	 * do_accept() has given our ops to the new socket, which nobody else knows yet. They stay
	 * only with a ctx; elsewhere kTLS would copy them into its own global tables.
	 */
	ctx = smc_ulp_ctx_get(newsock->sk);
	if (!ctx) {
		set_bit(SOCK_SUPPORT_ZC, &newsock->flags);
		WRITE_ONCE(newsock->ops, base);
	} else {
		spin_lock_bh(&ctx->lock);
		if (ctx->phase == SMC_ULP_ACTIVE) {
			smc_ulp_sidecar_set_wq(ctx->h, newsock);
			smc_ulp_set_active_ops(newsock, ctx);
		}
		spin_unlock_bh(&ctx->lock);
		smc_ulp_ctx_put(ctx);
	}
out:
	smc_ulp_op_end(op);
	return rc;
}

/* data */

/* Attempt to use fast open: that is a connect of TCP's own. Returns what the send fails with. */
static int smc_ulp_no_fastopen(struct smc_ulp_ctx *ctx, struct sock *sk, const struct msghdr *msg)
{
	struct smc_ulp_decision d = { .verdict = SMC_ULP_DENY };
	int rc = 0;

	lock_sock(sk);
	if (smc_ulp_attached(ctx, sk) && sk->sk_state == TCP_CLOSE) {
		smc_ulp_connect_failed(ctx, sk);
		if (msg->msg_name)
			d = smc_ulp_policy_connect(sk, msg->msg_name, msg->msg_namelen);
		if (d.verdict == SMC_ULP_REQUIRE)
			rc = -EOPNOTSUPP;
		else if (ctx->phase == SMC_ULP_IDLE || ctx->phase == SMC_ULP_LISTEN)
			smc_ulp_become_plain(ctx, sk);
	}
	release_sock(sk);
	return rc;
}

/*
 * The ctx of a socket with smc_ulp_active_ops. Those come with SMC_ULP_ACTIVE, which only close(2)
 * ends, so there is nothing to find out, and no reference to take: the caller's file has them all.
 */
static struct smc_ulp_ctx *smc_ulp_ctx_active(const struct sock *sk)
{
	smp_rmb();	/* sock->ops before ctx->h; pairs with smc_ulp_set_active_ops() */
	return rcu_dereference_protected(inet_csk(sk)->icsk_ulp_data, 1);
}

/**
 * smc_ulp_set_active_ops() - from now on operations go straight to the sidecar
 * @sock: the user's socket
 * @ctx: its ctx, in SMC_ULP_ACTIVE
 *
 * Context: socket lock or ctx->lock held, or nobody else knows @sock.
 */
void smc_ulp_set_active_ops(struct socket *sock, const struct smc_ulp_ctx *ctx)
{
	/* after ctx->h; pairs with smc_ulp_ctx_active() */
	smp_store_release(&sock->ops, &smc_ulp_active_ops[ctx->v6]);
}

/* A send that sent nothing: what TCP says, once, and then EPIPE */
static noinline int smc_ulp_send_error(struct smc_ulp_ctx *ctx, struct sock *sk,
				       const struct msghdr *msg, int rc)
{
	struct sock *msk = ctx->h->sk;

	/* TCP died under stock's loop, which does not look at sk_err */
	if (rc == -EPIPE && READ_ONCE(msk->sk_err))
		rc = sk_stream_error(msk, msg->msg_flags, rc);
	if (rc == -ECONNRESET || (rc && READ_ONCE(ctx->died) && !READ_ONCE(msk->sk_err))) {
		ctx->reset_seen = 1;
		sock_error(sk);
	}
	return rc;
}

static int smc_ulp_sendmsg_active(struct socket *sock, struct msghdr *msg, size_t len)
{
	struct sock *sk = sock->sk;
	struct smc_ulp_ctx *ctx = smc_ulp_ctx_active(sk);
	struct socket *h = ctx->h;
	int rc;

	smc_ulp_follow_send(h->sk, sk);
	if (unlikely((msg->msg_flags & MSG_ZEROCOPY) && sock_flag(sk, SOCK_ZEROCOPY)))
		return -EOPNOTSUPP;	/* SMC never tells when the pages are free */
	if (unlikely(ctx->reset_seen))
		return sk_stream_error(sk, msg->msg_flags, -EPIPE);
	rc = h->ops->sendmsg(h, msg, len);
	if (unlikely(rc <= 0))
		return smc_ulp_send_error(ctx, sk, msg, rc);
	atomic64_add(rc, &ctx->tx_bytes);
	return rc;
}

static int smc_ulp_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)
{
	struct smc_ulp_op op = smc_ulp_op_begin(sock);
	struct smc_ulp_ctx *ctx = op.ctx;
	struct sock *sk = sock->sk;
	int rc = SMC_ULP_PLAIN;

	if (likely(ctx)) {
		rc = 0;
		if (unlikely(msg->msg_flags & MSG_FASTOPEN))
			rc = smc_ulp_no_fastopen(ctx, sk, msg);
		rc = rc ?: smc_ulp_gate(ctx, sk, sock_sndtimeo(sk, msg->msg_flags & MSG_DONTWAIT));
	}
	if (rc == SMC_ULP_ACTIVE)
		rc = smc_ulp_sendmsg_active(sock, msg, len);
	else if (rc >= 0)
		rc = smc_ulp_base(sock)->sendmsg(sock, msg, len);
	smc_ulp_op_end(op);
	return rc;
}

/*
 * smc.ko has returned 0. A peer that aborted the connection leaves stock in SMC_CLOSED, where it
 * gives out nothing of what had arrived, and calls it a clean end. TCP delivers everything and
 * then says ECONNRESET. Returns true to receive once more, else *@rc is what the program gets.
 *
 * Whoever ends the link group takes the buffers away under the socket lock, unless it finds
 * SMC_PEERABORTWAIT (smc_close_active_abort()).
 */
static bool smc_ulp_recv_end(struct smc_ulp_ctx *ctx, struct sock *sk, int *rc)
{
	struct sock *msk = ctx->h->sk;
	bool again = false;

	lock_sock(msk);
	if (msk->sk_state == SMC_ULP_SMC_CLOSED && smc_ulp_unread(msk) > 0 &&
	    smc_ulp_linked(msk)) {
		/* still readable there, and closing from there is the same to stock */
		msk->sk_state = SMC_ULP_SMC_PEERABORTWAIT;
		again = true;
	} else if (smc_ulp_unread(msk) <= 0 || !smc_ulp_linked(msk)) {
		int err = sock_error(msk);

		if (!ctx->reset_seen)
			*rc = err ?: smc_ulp_aborted(ctx) ? -ECONNRESET : 0;
		if (*rc) {
			ctx->reset_seen = 1;
			sock_error(sk);	/* the same error, told once */
		}
	}
	release_sock(msk);
	return again;
}

static bool smc_ulp_peek_ready(struct sock *msk, int target)
{
	return smc_ulp_unread(msk) >= target || READ_ONCE(msk->sk_err) ||
	       (READ_ONCE(msk->sk_shutdown) & RCV_SHUTDOWN) ||
	       READ_ONCE(msk->sk_state) == SMC_ULP_SMC_CLOSED;
}

/* Wait until there is what a peek wants. Returns 0, also when the time is up, or -errno. */
static int smc_ulp_peek_wait(struct smc_ulp_ctx *ctx, struct sock *sk, int target, long *timeo)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	struct sock *msk = ctx->h->sk;
	bool interrupted = false;

	if (!*timeo || smc_ulp_peek_ready(msk, target))
		return 0;
	lock_sock(msk);
	add_wait_queue(sk_sleep(msk), &wait);
	while (*timeo && !interrupted && !smc_ulp_peek_ready(msk, target)) {
		sk_wait_event(msk, timeo, smc_ulp_peek_ready(msk, target), &wait);
		interrupted = signal_pending(current);
	}
	remove_wait_queue(sk_sleep(msk), &wait);
	release_sock(msk);
	if (!interrupted)
		return 0;
	if (!smc_ulp_peek_ready(msk, 1))
		return sock_intr_errno(*timeo);
	*timeo = 0;	/* what there is */
	return 0;
}

/*
 * A peek of smc.ko that sleeps takes what it has seen so far to be there still. When another
 * reader has had it meanwhile, stock finds a negative number of bytes, and copies as many as the
 * program has room for, from beyond the end of the ring. So sleep here until there is what the
 * program wants, and have stock look once; if another reader was faster, wait again.
 */
static noinline int smc_ulp_recvmsg_peek(struct smc_ulp_ctx *ctx, struct sock *sk,
					 struct msghdr *msg, size_t len, int flags)
{
	long timeo = sock_rcvtimeo(sk, flags & MSG_DONTWAIT);
	/* more than the ring holds never comes */
	int target = min_t(int, sock_rcvlowat(sk, flags & MSG_WAITALL, len), ctx->result->rcvbuf);
	struct socket *h = ctx->h;
	int rc;

	flags = (flags | MSG_DONTWAIT) & ~MSG_WAITALL;
	do {
		rc = smc_ulp_peek_wait(ctx, sk, target, &timeo);
		if (rc)
			return rc;
		rc = h->ops->recvmsg(h, msg, len, flags);
	} while ((rc == -EAGAIN && timeo) || (!rc && len && smc_ulp_recv_end(ctx, sk, &rc)));
	return rc;
}

static int smc_ulp_recvmsg_active(struct socket *sock, struct msghdr *msg, size_t len, int flags)
{
	struct sock *sk = sock->sk;
	struct smc_ulp_ctx *ctx = smc_ulp_ctx_active(sk);
	struct socket *h = ctx->h;
	int rc;

	if (unlikely(flags & MSG_ERRQUEUE))
		return smc_ulp_base(sock)->recvmsg(sock, msg, len, flags);
	smc_ulp_follow_recv(h->sk, sk);
	if (unlikely((flags & (MSG_PEEK | MSG_OOB)) == MSG_PEEK))
		return smc_ulp_recvmsg_peek(ctx, sk, msg, len, flags);
	do {
		rc = h->ops->recvmsg(h, msg, len, flags);
	} while (unlikely(!rc) && len && smc_ulp_recv_end(ctx, sk, &rc));
	if (rc > 0 && !(flags & MSG_PEEK))
		atomic64_add(rc, &ctx->rx_bytes);
	return rc;
}

static int smc_ulp_recvmsg(struct socket *sock, struct msghdr *msg, size_t len, int flags)
{
	struct smc_ulp_op op = smc_ulp_op_begin(sock);
	struct smc_ulp_ctx *ctx = op.ctx;
	struct sock *sk = sock->sk;
	int rc = SMC_ULP_PLAIN;

	if (likely(ctx))
		rc = smc_ulp_gate(ctx, sk, sock_rcvtimeo(sk, flags & MSG_DONTWAIT));
	if (rc == SMC_ULP_ACTIVE)
		rc = smc_ulp_recvmsg_active(sock, msg, len, flags);
	else if (rc >= 0)
		rc = smc_ulp_base(sock)->recvmsg(sock, msg, len, flags);
	smc_ulp_op_end(op);
	return rc;
}

/*
 * smc.ko's own splice_read gives pages of its receive ring to the pipe; what splices them on (to
 * TCP, say) may still refer to them when the ring is written again. We copy.
 */
static ssize_t smc_ulp_splice_read(struct socket *sock, loff_t *ppos, struct pipe_inode_info *pipe,
				   size_t len, unsigned int flags)
{
	struct smc_ulp_op op = smc_ulp_op_begin(sock);
	struct sock *sk = sock->sk;
	ssize_t rc = SMC_ULP_PLAIN;

	if (op.ctx)
		rc = smc_ulp_gate(op.ctx, sk, sock_rcvtimeo(sk, sock->file->f_flags & O_NONBLOCK));
	if (rc == SMC_ULP_ACTIVE) {
		if (*ppos)
			rc = -ESPIPE;
		else
			rc = copy_splice_read(sock->file, ppos, pipe, len, flags);
	} else if (rc >= 0) {
		rc = smc_ulp_base(sock)->splice_read(sock, ppos, pipe, len, flags);
	}
	smc_ulp_op_end(op);
	return rc;
}

/* Send what is held back: stock does so when the program asks for TCP_NODELAY. */
static void smc_ulp_push(struct socket *h)
{
	int one = 1;

	h->ops->setsockopt(h, SOL_TCP, TCP_NODELAY, KERNEL_SOCKPTR(&one), sizeof(one));
}

static void smc_ulp_splice_eof(struct socket *sock)
{
	struct smc_ulp_op op = smc_ulp_op_begin(sock);

	if (op.ctx && smc_ulp_phase(op.ctx) == SMC_ULP_ACTIVE)
		smc_ulp_push(op.ctx->h);
	else
		smc_ulp_base(sock)->splice_eof(sock);
	smc_ulp_op_end(op);
}

/*
 * smc.ko calls a socket writable when one byte is free, and a program that then writes 8 KiB
 * without O_NONBLOCK sleeps; TCP wants a third of the buffer free. SOCK_NOSPACE asks smc.ko to
 * wake us when there is more.
 */
static __always_inline __poll_t smc_ulp_poll_writable(const struct smc_ulp_ctx *ctx, __poll_t mask)
{
	struct socket *h = ctx->h;
	void *conn = smc_ulp_ptr(h->sk, smc_sock, conn);
	atomic_t *space = smc_ulp_ptr(conn, smc_connection, sndbuf_space);
	int want = ctx->writable;

	if (likely(atomic_read(space) >= want) || !(mask & EPOLLOUT) ||
	    (READ_ONCE(h->sk->sk_shutdown) & SEND_SHUTDOWN) ||
	    READ_ONCE(h->sk->sk_state) == SMC_ULP_SMC_CLOSED)
		return mask;
	sk_set_bit(SOCKWQ_ASYNC_NOSPACE, h->sk);
	set_bit(SOCK_NOSPACE, &h->flags);
	smp_mb__after_atomic();	/* the bit before the space, pairs with smc_tx_sndbuf_nonfull() */
	if (atomic_read(space) >= want)
		return mask;
	return mask & ~(EPOLLOUT | EPOLLWRNORM);
}

static __always_inline __poll_t smc_ulp_poll_active(struct file *file, struct smc_ulp_ctx *ctx,
						    struct sock *sk)
{
	int lowat = READ_ONCE(sk->sk_rcvlowat);
	struct socket *h = ctx->h;
	__poll_t mask;

	mask = smc_ulp_poll_writable(ctx, h->ops->poll(file, h, NULL));
	/* as TCP: less than SO_RCVLOWAT is nothing to read, unless no more can come */
	if (unlikely(lowat > 1) && smc_ulp_unread(h->sk) < lowat &&
	    !(READ_ONCE(h->sk->sk_shutdown) & RCV_SHUTDOWN))
		mask &= ~(EPOLLIN | EPOLLRDNORM);
	if (unlikely(smc_ulp_aborted(ctx) && !ctx->reset_seen))
		mask |= EPOLLERR | EPOLLHUP | EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
	if (unlikely(mask & EPOLLERR) && !READ_ONCE(sk->sk_err))	/* for SO_ERROR */
		WRITE_ONCE(sk->sk_err, READ_ONCE(h->sk->sk_err) ?: ECONNRESET);
	return mask;
}

static __poll_t smc_ulp_poll_only_active(struct file *file, struct socket *sock, poll_table *wait)
{
	sock_poll_wait(file, sock, wait);
	return smc_ulp_poll_active(file, smc_ulp_ctx_active(sock->sk), sock->sk);
}

static __poll_t smc_ulp_poll(struct file *file, struct socket *sock, poll_table *wait)
{
	struct smc_ulp_op op = smc_ulp_op_begin(sock);
	struct smc_ulp_ctx *ctx = op.ctx;
	struct sock *sk = sock->sk;
	__poll_t mask;
	int phase;

	sock_poll_wait(file, sock, wait);
	phase = ctx ? smc_ulp_phase(ctx) : SMC_ULP_PLAIN;
	if (likely(phase == SMC_ULP_ACTIVE)) {
		mask = smc_ulp_poll_active(file, ctx, sk);
	} else {
		mask = smc_ulp_base(sock)->poll(file, sock, NULL);
		if (ctx && smc_ulp_connecting(ctx, sk, phase))
			mask &= EPOLLERR | EPOLLHUP;
	}
	smc_ulp_op_end(op);
	return mask;
}

static int smc_ulp_ioctl(struct socket *sock, unsigned int cmd, unsigned long arg)
{
	struct smc_ulp_op op = smc_ulp_op_begin(sock);
	bool data = cmd == SIOCINQ || cmd == SIOCOUTQ || cmd == SIOCOUTQNSD || cmd == SIOCATMARK;
	struct smc_ulp_ctx *ctx = op.ctx;
	int phase, rc;

	phase = ctx ? smc_ulp_phase(ctx) : SMC_ULP_PLAIN;
	if (data && phase == SMC_ULP_ACTIVE)
		rc = ctx->h->ops->ioctl(ctx->h, cmd, arg);
	else if (data && ctx && smc_ulp_connecting(ctx, sock->sk, phase))
		rc = put_user(0, (int __user *)arg);	/* CLC messages are not data */
	else
		rc = smc_ulp_base(sock)->ioctl(sock, cmd, arg);
	smc_ulp_op_end(op);
	return rc;
}

static int smc_ulp_shutdown(struct socket *sock, int how)
{
	struct smc_ulp_op op = smc_ulp_op_begin(sock);
	struct smc_ulp_ctx *ctx = op.ctx;
	struct sock *sk = sock->sk;
	int phase = SMC_ULP_PLAIN;
	int rc = 0;

	if (ctx && how >= SHUT_RD && how <= SHUT_RDWR) {
		lock_sock(sk);
		phase = ctx->phase;
		if (phase == SMC_ULP_HS)
			ctx->shut |= how + 1;	/* smc_ulp_finish() does it */
		release_sock(sk);
	}
	if (phase == SMC_ULP_ACTIVE)
		rc = smc_ulp_sidecar_shutdown(ctx->h, sk, how);
	else if (phase != SMC_ULP_HS)
		rc = smc_ulp_base(sock)->shutdown(sock, how);
	smc_ulp_op_end(op);
	return rc;
}

/* options */

static int smc_ulp_setsockopt(struct socket *sock, int level, int optname, sockptr_t optval,
			      unsigned int optlen)
{
	struct smc_ulp_op op = smc_ulp_op_begin(sock);
	int phase = op.ctx ? smc_ulp_phase(op.ctx) : SMC_ULP_PLAIN;
	bool connecting = phase == SMC_ULP_CONN || phase == SMC_ULP_CHILD;
	bool busy = phase == SMC_ULP_HS || phase == SMC_ULP_ACTIVE;
	int rc;

	/* would change what carries the data below us */
	if ((busy || connecting) && level == SOL_IPV6 && optname == IPV6_ADDRFORM)
		rc = busy ? -EBUSY : -ENOTCONN;
	else if ((busy || connecting) && level == SOL_TCP && optname == TCP_REPAIR)
		rc = -EOPNOTSUPP;
	else
		rc = smc_ulp_base(sock)->setsockopt(sock, level, optname, optval, optlen);

	if (!rc && phase == SMC_ULP_ACTIVE && level == SOL_TCP &&
	    (optname == TCP_CORK || optname == TCP_NODELAY)) {
		int cork;

		lock_sock(sock->sk);
		cork = !!(tcp_sk(sock->sk)->nonagle & TCP_NAGLE_CORK);
		release_sock(sock->sk);
		op.ctx->h->ops->setsockopt(op.ctx->h, SOL_TCP, TCP_CORK, KERNEL_SOCKPTR(&cork),
					   sizeof(cork));
		if (optname == TCP_NODELAY)
			smc_ulp_push(op.ctx->h);
	}
	smc_ulp_op_end(op);
	return rc;
}

/* SO_PEEK_OFF would steer the adapter's own MSG_PEEK, and SMC knows nothing of it. Sock locked. */
static int smc_ulp_set_peek_off(struct sock *sk, int val)
{
	const struct smc_ulp_ctx *ctx = smc_ulp_ctx_locked(sk);

	if (ctx && ctx->phase != SMC_ULP_IDLE && ctx->phase != SMC_ULP_LISTEN && val >= 0)
		return -EOPNOTSUPP;
	return smc_ulp_base(sk->sk_socket)->set_peek_off(sk, val);
}

/* Is the ULP of @sk this one, or none? Another one would stay. */
static bool smc_ulp_is_ours(const struct sock *sk, const struct smc_ulp_ctx *ctx)
{
	const struct tcp_ulp_ops *ops = READ_ONCE(inet_csk(sk)->icsk_ulp_ops);

	return ctx || !ops || ops == &smc_ulp_tcp_ops;
}

/* As TCP does it, which looks at icsk_ulp_ops without a lock: see smc_ulp_detach() */
static int smc_ulp_get_name(const struct smc_ulp_ctx *ctx, char __user *optval, int __user *optlen)
{
	int len;

	if (get_user(len, optlen))
		return -EFAULT;
	if (len < 0)
		return -EINVAL;
	len = ctx ? min_t(unsigned int, len, TCP_ULP_NAME_MAX) : 0;
	if (put_user(len, optlen) || copy_to_user(optval, smc_ulp_tcp_ops.name, len))
		return -EFAULT;
	return 0;
}

static int smc_ulp_getsockopt(struct socket *sock, int level, int optname, char __user *optval,
			      int __user *optlen)
{
	struct smc_ulp_op op = smc_ulp_op_begin(sock);
	int phase = op.ctx ? smc_ulp_phase(op.ctx) : SMC_ULP_PLAIN;
	int rc;

	if (level == SOL_TCP && optname == TCP_ULP && smc_ulp_is_ours(sock->sk, op.ctx))
		rc = smc_ulp_get_name(op.ctx, optval, optlen);
	/* maps pages of TCP's receive queue, where the data is not */
	else if (level == SOL_TCP && optname == TCP_ZEROCOPY_RECEIVE &&
		 (phase == SMC_ULP_HS || phase == SMC_ULP_ACTIVE))
		rc = -EOPNOTSUPP;
	else
		rc = smc_ulp_base(sock)->getsockopt(sock, level, optname, optval, optlen);
	smc_ulp_op_end(op);
	return rc;
}

static int smc_ulp_mmap(struct file *file, struct socket *sock, struct vm_area_struct *vma)
{
	struct smc_ulp_op op = smc_ulp_op_begin(sock);
	int phase = op.ctx ? smc_ulp_phase(op.ctx) : SMC_ULP_PLAIN;
	int rc;

	if (phase == SMC_ULP_HS || phase == SMC_ULP_ACTIVE)
		rc = -ENODEV;
	else
		rc = smc_ulp_base(sock)->mmap(file, sock, vma);
	smc_ulp_op_end(op);
	return rc;
}

/* close(2): the file is gone, no other operation runs */

/*
 * Receive and forget what the program did not read. Stock aborts a connection that is closed with
 * unread data; when the peer has already shut down its side that loses data of ours that is on its
 * way, and leaks a socket.
 */
static void smc_ulp_drain(struct socket *h, int left)
{
	struct msghdr msg = {};
	int n;

	/* a peer that goes on writing is not waited for */
	iov_iter_kvec(&msg.msg_iter, ITER_DEST, NULL, 0, 0);
	while (left > 0) {
		n = h->ops->recvmsg(h, &msg, left, MSG_DONTWAIT | MSG_TRUNC);
		if (n <= 0)
			break;
		left -= n;
	}
}

/* Close the sidecar of @sk; afterwards TCP is closed as ever. */
static void smc_ulp_release_active(struct smc_ulp_ctx *ctx, struct sock *sk)
{
	struct socket *h = ctx->h;
	bool unread;

	smc_ulp_tell_close(ctx, sk);
	unread = smc_ulp_unread(h->sk) > 0;
	if (unread && (READ_ONCE(h->sk->sk_shutdown) & RCV_SHUTDOWN))
		smc_ulp_drain(h, ctx->result->rcvbuf);
	smc_ulp_sidecar_close(ctx, sk);
	if (unread) {
		/* TCP resets a connection that is closed with unread data */
		lock_sock(sk);
		sock_set_flag(sk, SOCK_LINGER);
		sk->sk_lingertime = 0;
		release_sock(sk);
	}
}

/*
 * The handshake is running: hand the TCP connection to a socket of our own, which smc_ulp_finish()
 * closes in order. Returns false when it has ended meanwhile, or there is no memory.
 */
static bool smc_ulp_release_later(struct smc_ulp_ctx *ctx, struct socket *sock)
{
	struct sock *sk = sock->sk;
	struct socket *closer;
	bool later = false;

	if (sock_create_lite(sk->sk_family, SOCK_STREAM, IPPROTO_TCP, &closer))
		return false;
	closer->ops = smc_ulp_base(sock);
	__module_get(closer->ops->owner);
	lock_sock(sk);
	spin_lock_bh(&ctx->lock);
	if (ctx->phase == SMC_ULP_HS) {
		later = true;
		closer->sk = sk;
		closer->state = SS_CONNECTED;
		ctx->closer = closer;
	}
	spin_unlock_bh(&ctx->lock);
	if (later) {
		write_lock_bh(&sk->sk_callback_lock);
		rcu_assign_pointer(sk->sk_wq, &closer->wq);
		sk_set_socket(sk, closer);
		write_unlock_bh(&sk->sk_callback_lock);
		sock->sk = NULL;
	}
	release_sock(sk);
	if (!later)
		sock_release(closer);
	return later;
}

/*
 * The last phase before the close. From here on no handshake begins. A listener's ctx goes with its
 * sock; a running handshake has to be dealt with first.
 */
static int smc_ulp_release_phase(struct smc_ulp_ctx *ctx, struct sock *sk)
{
	int phase;

	lock_sock(sk);
	spin_lock_bh(&ctx->lock);
	phase = ctx->phase;
	if (phase != SMC_ULP_LISTEN && phase != SMC_ULP_PLAIN && phase != SMC_ULP_HS)
		WRITE_ONCE(ctx->phase, SMC_ULP_DEAD);
	spin_unlock_bh(&ctx->lock);
	release_sock(sk);
	return phase;
}

static int smc_ulp_sock_release(struct socket *sock)
{
	struct sock *sk = sock->sk;
	struct smc_ulp_op op;
	int phase, rc = 0;

	if (!sk)
		return 0;
	op = smc_ulp_op_begin(sock);
	if (op.ctx) {
		while ((phase = smc_ulp_release_phase(op.ctx, sk)) == SMC_ULP_HS) {
			if (smc_ulp_release_later(op.ctx, sock))
				goto out;
			if (smc_ulp_phase(op.ctx) != SMC_ULP_HS)
				continue;
			WRITE_ONCE(op.ctx->cancel, true);	/* no memory */
			wake_up_all(&op.ctx->wq);
			wait_event(op.ctx->wq, smc_ulp_phase(op.ctx) != SMC_ULP_HS);
		}
		if (phase == SMC_ULP_ACTIVE)
			smc_ulp_release_active(op.ctx, sk);
	}
	rc = smc_ulp_base(sock)->release(sock);
out:
	smc_ulp_op_end(op);
	return rc;
}

static void __init smc_ulp_sock_fill(struct proto_ops *ops, const struct proto_ops *base)
{
	*ops = *base;	/* the owner as well: the ULP slot and the ctx hold us */
	ops->release = smc_ulp_sock_release;
	ops->connect = smc_ulp_connect;
	ops->accept = smc_ulp_accept;
	ops->listen = smc_ulp_listen;
	ops->shutdown = smc_ulp_shutdown;
	ops->poll = smc_ulp_poll;
	ops->ioctl = smc_ulp_ioctl;
	ops->setsockopt = smc_ulp_setsockopt;
	ops->set_peek_off = smc_ulp_set_peek_off;
	ops->getsockopt = smc_ulp_getsockopt;
	ops->sendmsg = smc_ulp_sendmsg;
	ops->recvmsg = smc_ulp_recvmsg;
	ops->splice_read = smc_ulp_splice_read;
	ops->splice_eof = smc_ulp_splice_eof;
	ops->mmap = smc_ulp_mmap;
	/* in-kernel readers of TCP's receive queue (KCM, strparser) ask for these */
	ops->read_sock = NULL;
	ops->read_skb = NULL;
	ops->peek_len = NULL;
	ops->sendmsg_locked = NULL;
}

/**
 * smc_ulp_sock_init() - build our ops from those of TCP
 *
 * inet6_stream_ops is not exported, so both tables are taken from a socket of their family.
 *
 * Return: 0 or -errno.
 */
int __init smc_ulp_sock_init(void)
{
	struct socket *sock;
	int i, rc;

	for (i = 0; i < 2; i++) {
		rc = sock_create_kern(&init_net, i ? AF_INET6 : AF_INET, SOCK_STREAM, IPPROTO_TCP,
				      &sock);
		if (rc == -EAFNOSUPPORT && i)
			continue;	/* ipv6.disable=1 */
		if (rc)
			return rc;
		smc_ulp_base_ops[i] = sock->ops;
		smc_ulp_tcp_state_change = sock->sk->sk_state_change;
		smc_ulp_syn_init(sock->sk, i);
		sock_release(sock);
		smc_ulp_sock_fill(&smc_ulp_user_ops[i], smc_ulp_base_ops[i]);
		smc_ulp_active_ops[i] = smc_ulp_user_ops[i];
		smc_ulp_active_ops[i].sendmsg = smc_ulp_sendmsg_active;
		smc_ulp_active_ops[i].recvmsg = smc_ulp_recvmsg_active;
		smc_ulp_active_ops[i].poll = smc_ulp_poll_only_active;
	}
	return 0;
}

/* No socket has our ops any more, nobody can enter: wait for those who are inside. */
void smc_ulp_sock_exit(void)
{
	wait_var_event(&smc_ulp_strays, !atomic_read(&smc_ulp_strays));
}
