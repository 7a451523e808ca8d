// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP upper-layer protocol "smc": from ESTABLISHED to the outcome
 */
#define pr_fmt(fmt) "smc_ulp: " fmt

#include <net/inet_common.h>

#include "smc_ulp.h"

/* sk_data_ready during the handshake: CLC messages are for the adapter, not for the program */
static void smc_ulp_data_ready(struct sock *sk)
{
	struct smc_ulp_ctx *ctx = smc_ulp_ctx_locked(sk);

	if (ctx)
		wake_up_all(&ctx->wq);
}

/**
 * smc_ulp_handshake_hook() - route data that arrives on @sk to the adapter
 * @ctx: ctx of @sk
 * @sk: the user's sock
 *
 * Context: socket lock of @sk held or its slock in BH.
 */
void smc_ulp_handshake_hook(struct smc_ulp_ctx *ctx, struct sock *sk)
{
	write_lock_bh(&sk->sk_callback_lock);
	ctx->sk_data_ready = sk->sk_data_ready;
	WRITE_ONCE(sk->sk_data_ready, smc_ulp_data_ready);
	ctx->hooked = 1;
	write_unlock_bh(&sk->sk_callback_lock);
}

/**
 * smc_ulp_clc_deadline() - the peer's next CLC message has to be complete in time
 * @ctx: ctx of @sk
 * @sk: the user's sock
 *
 * Context: any.
 */
void smc_ulp_clc_deadline(struct smc_ulp_ctx *ctx, const struct sock *sk)
{
	int ms = READ_ONCE(smc_ulp_pernet(sock_net(sk))->clc_timeout_ms);

	WRITE_ONCE(ctx->clc_deadline, jiffies + msecs_to_jiffies(ms));
}

/**
 * smc_ulp_busy() - are there too many handshakes in flight for one more?
 * @sk: sock about to connect, or listener
 * @role: its side; clients do not take from servers, nor the other way round
 *
 * Whoever asks does so before SMC is promised to a peer, so more may be about to begin.
 *
 * Context: any. Return: true if so.
 */
bool smc_ulp_busy(const struct sock *sk, enum smc_ulp_role role)
{
	const struct smc_ulp_net *un = smc_ulp_pernet(sock_net(sk));

	return atomic_read(&un->handshakes[role]) >= READ_ONCE(un->max_handshakes);
}

/**
 * smc_ulp_handshake_begin() - the TCP connection is there and both sides speak SMC
 * @ctx: ctx of @sk; takes a reference for the handshake
 * @sk: the user's sock; likewise
 *
 * smc_ulp_finish() gives both back, and counts it out. Context: as smc_ulp_handshake_hook().
 */
void smc_ulp_handshake_begin(struct smc_ulp_ctx *ctx, struct sock *sk)
{
	refcount_inc(&ctx->ref);
	sock_hold(sk);
	ctx->started = ktime_get();
	ctx->wseq = tcp_sk(sk)->write_seq;
	ctx->rseq = tcp_sk(sk)->copied_seq;
	ctx->error = 0;
	ctx->reason = 0;
	ctx->cancel = false;
	atomic_inc(&smc_ulp_pernet(sock_net(sk))->handshakes[ctx->role]);
	smc_ulp_clc_deadline(ctx, sk);
	spin_lock_bh(&ctx->lock);
	ctx->hs_sk = sk;
	WRITE_ONCE(ctx->phase, SMC_ULP_HS);
	spin_unlock_bh(&ctx->lock);
}

/* Wake whoever waits on the user's socket: pollers and SIGIO, with every event that may be new. */
void smc_ulp_wake_user(struct sock *sk)
{
	struct socket_wq *wq;

	rcu_read_lock();
	wq = rcu_dereference(sk->sk_wq);
	if (skwq_has_sleeper(wq))
		wake_up_interruptible_all(&wq->wait);
	sk_wake_async_rcu(sk, SOCK_WAKE_IO, POLL_OUT);
	rcu_read_unlock();
}

/* Client side of the handshake, or (reason set) the end of one whose peer does not speak SMC. */
static void smc_ulp_handshake_work(struct work_struct *work)
{
	struct smc_ulp_ctx *ctx = container_of(work, struct smc_ulp_ctx, work);
	struct socket *h = NULL;
	int rc;

	if (ctx->reason)
		rc = -ECONNABORTED;
	else
		rc = smc_ulp_sidecar_connect(ctx, ctx->hs_sk, &h);	/* only we end it */
	smc_ulp_finish(ctx, h, rc);
}

/*
 * SYN_SENT -> SYN_RECV -> ESTABLISHED: simultaneous open or a connection to itself. The SMC option
 * of the peer was not looked at, and both ends would be clients of the handshake. The only trace is
 * that a SYN-ACK was sent, in addition to the SYN and its retransmissions.
 */
static bool smc_ulp_crossed_syns(const struct sock *sk)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	return tp->segs_out > tp->total_retrans + 1;
}

/* A client's TCP connection is established. Slock of @sk held in BH, or socket lock. */
static void smc_ulp_client_established(struct smc_ulp_ctx *ctx, struct sock *sk)
{
	struct smc_ulp_result res;
	u32 reason;

	if (tcp_sk(sk)->syn_smc && !smc_ulp_crossed_syns(sk)) {
		smc_ulp_handshake_hook(ctx, sk);
		smc_ulp_handshake_begin(ctx, sk);
		smc_ulp_tell_handshake(ctx, sk);
		INIT_WORK(&ctx->work, smc_ulp_handshake_work);
		queue_work(smc_ulp_hs_wq, &ctx->work);
		return;
	}
	reason = tcp_sk(sk)->syn_smc ? SMC_ULP_REASON_CROSSED : SMC_ULP_DECL_PEERNOSMC;
	ctx->reason = reason;
	smc_ulp_result_snapshot(ctx, sk, NULL, 1, &res);
	if (smc_ulp_policy_fallback(sk, &res) && !ctx->require) {
		smc_ulp_tell_outcome(ctx, sk, 1, &res);
		smc_ulp_detach(sk, ctx);
		return;
	}
	/* the policy wants it aborted, which cannot be done here */
	smc_ulp_handshake_hook(ctx, sk);
	smc_ulp_handshake_begin(ctx, sk);
	ctx->reason = reason;
	INIT_WORK(&ctx->work, smc_ulp_handshake_work);
	queue_work(smc_ulp_hs_wq, &ctx->work);
}

/*
 * SMC carries the data and the TCP connection died (RST, keepalive, ss -K): tell the sidecar, so
 * that blocked and later operations fail as on TCP, after the data that has arrived.
 */
static void smc_ulp_tcp_died(struct smc_ulp_ctx *ctx, struct sock *sk)
{
	/* TCP says EPIPE for a RST after a FIN: the program has seen no FIN */
	int err = sk->sk_err == EPIPE ? ECONNRESET : sk->sk_err;
	struct sock *msk = NULL;

	spin_lock_bh(&ctx->lock);
	if (ctx->phase == SMC_ULP_ACTIVE && err) {
		WRITE_ONCE(ctx->died, 1);
		msk = ctx->h->sk;
		sock_hold(msk);
	}
	spin_unlock_bh(&ctx->lock);
	if (!msk)
		return;
	smc_ulp_sidecar_died(msk, err);
	sock_put(msk);
}

/**
 * smc_ulp_state_change() - sk_state_change of a sock with the ULP
 * @sk: the user's sock
 *
 * Context: slock held in BH with nobody owning the sock, or socket lock held.
 */
void smc_ulp_state_change(struct sock *sk)
{
	struct smc_ulp_ctx *ctx = smc_ulp_ctx_locked(sk);

	if (!ctx) {
		if (inet_csk(sk)->icsk_ulp_ops == &smc_ulp_tcp_ops &&
		    sk->sk_state == TCP_ESTABLISHED)
			smc_ulp_child_kill(sk);
		smc_ulp_wake_user(sk);
		return;
	}
	switch (ctx->phase) {
	case SMC_ULP_CONN:
		if ((1 << sk->sk_state) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT))
			smc_ulp_client_established(ctx, sk);
		break;
	case SMC_ULP_CHILD:
		if ((1 << sk->sk_state) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT))
			smc_ulp_child_established(ctx, sk);
		else if (sk->sk_state == TCP_CLOSE)
			smc_ulp_detach(sk, ctx);
		break;
	case SMC_ULP_HS:
		wake_up_all(&ctx->wq);
		break;
	case SMC_ULP_ACTIVE:
		if (sk->sk_state == TCP_CLOSE)
			smc_ulp_tcp_died(ctx, sk);
		break;
	}
	smc_ulp_tcp_state_change(sk);
}

/* shutdown(2) that came during the handshake, on a connection that stays TCP. Socket lock held. */
static void smc_ulp_late_shutdown(struct sock *sk, int shut)
{
	if (!shut || sk->sk_state == TCP_CLOSE)
		return;
	WRITE_ONCE(sk->sk_shutdown, sk->sk_shutdown | shut);
	sk->sk_prot->shutdown(sk, shut);
}

/*
 * Did anything but the CLC messages pass, or has TCP died? It may have ended in order when both
 * sides shut it down, @ended. Socket lock of @sk held.
 */
static int smc_ulp_stream_check(const struct smc_ulp_ctx *ctx, const struct sock *sk, bool ended)
{
	if (sk->sk_err)
		return -sk->sk_err;
	if ((sk->sk_state == TCP_CLOSE && !ended) || tcp_sk(sk)->write_seq != ctx->wseq ||
	    tcp_sk(sk)->copied_seq != ctx->rseq)
		return -ECONNRESET;
	return 0;
}

/* What a program may see of a handshake that broke: errnos that TCP has. */
static int smc_ulp_connect_errno(int rc)
{
	switch (rc) {
	case -ETIMEDOUT:
	case -ECONNABORTED:
	case -ENOMEM:
	case -ENOBUFS:
		return rc;
	}
	return -ECONNRESET;
}

/*
 * Shut the sidecar down as the user did during the handshake. Before SMC_ULP_ACTIVE: then the
 * user's close(2) takes the sidecar away. Takes the socket lock of @sk and returns with it. Returns
 * 0, or that the connection is not good any more.
 */
static int smc_ulp_catch_up(struct smc_ulp_ctx *ctx, struct sock *sk, struct socket *h)
{
	int done = 0, todo, rc;

	lock_sock(sk);
	while (!(rc = smc_ulp_stream_check(ctx, sk, done)) && ctx->phase == SMC_ULP_HS &&
	       !ctx->closer && (todo = ctx->shut & ~done)) {
		release_sock(sk);
		smc_ulp_sidecar_shutdown(h, sk, todo - 1);
		done |= todo;
		lock_sock(sk);
	}
	return rc;
}

/* Switch @sk to its outcome @rc. Socket lock held. Returns who owns it if the user closed it. */
static struct socket *smc_ulp_switch(struct smc_ulp_ctx *ctx, struct sock *sk, struct socket *h,
				     int rc, struct smc_ulp_result *snap)
{
	struct socket *closer;
	int shut;

	write_lock_bh(&sk->sk_callback_lock);
	if (ctx->hooked)
		WRITE_ONCE(sk->sk_data_ready, ctx->sk_data_ready);
	ctx->hooked = 0;
	write_unlock_bh(&sk->sk_callback_lock);

	spin_lock_bh(&ctx->lock);
	closer = ctx->closer;
	ctx->closer = NULL;
	shut = ctx->shut;
	if (!rc) {
		/*
		 * Whoever slept in a send of TCP since before the ULP came gets EPIPE: no byte may
		 * enter the stream any more.
		 */
		WRITE_ONCE(sk->sk_shutdown, sk->sk_shutdown | SEND_SHUTDOWN);
		tcp_sk(sk)->syn_smc = 0;	/* should it ever listen */
		ctx->h = h;
		ctx->writable = snap->sndbuf / 3;
		/* fcntl() tells the user's sock only; without a fasync_list nobody is signalled */
		set_bit(SOCK_FASYNC, &h->sk->sk_flags);
		if (sk->sk_socket && !closer)
			smc_ulp_sidecar_set_wq(h, sk->sk_socket);
		smp_store_release(&ctx->result, snap);	/* for smc_ulp_result_get() */
		smc_ulp_set_phase(ctx, closer ? SMC_ULP_DEAD : SMC_ULP_ACTIVE);
		if (sk->sk_socket && !closer)
			smc_ulp_set_active_ops(sk->sk_socket, ctx);
	} else if (rc < 0) {
		ctx->error = rc;
		if (closer)
			smc_ulp_set_phase(ctx, SMC_ULP_DEAD);
	}
	spin_unlock_bh(&ctx->lock);

	/* one handshake for one ctx: smc.ko may still hold an adapter that leads here */
	if (rc > 0 || (rc < 0 && !closer)) {
		if (rc < 0 && ctx->require && ctx->role == SMC_ULP_CLIENT)
			smc_ulp_renew(sk, ctx);
		else
			smc_ulp_detach(sk, ctx);
		smc_ulp_late_shutdown(sk, shut);
	}
	return closer;
}

/* Close both halves of a connection that its user closed during the handshake. */
static void smc_ulp_close_late(struct smc_ulp_ctx *ctx, struct socket *closer, bool active)
{
	struct sock *sk = closer->sk;

	if (active) {
		smc_ulp_tell_close(ctx, sk);
		smc_ulp_sidecar_close(ctx, sk);
	}
	/* nobody waits for this close: do not linger in a worker */
	lock_sock(sk);
	if (sk->sk_lingertime)
		sock_reset_flag(sk, SOCK_LINGER);
	release_sock(sk);
	sock_release(closer);
}

/* Before the program can know of the outcome. Socket lock held. */
static void smc_ulp_finish_tell(struct smc_ulp_ctx *ctx, struct sock *sk, int rc, bool refused,
				struct smc_ulp_result *res)
{
	if (rc < 0) {
		res->mode = SMC_ULP_MODE_TCP;
		res->error = rc;
	}
	smc_ulp_tell_outcome(ctx, sk, refused ? 1 : rc, res);
	if (refused)
		smc_ulp_tell_refuse(sk, NULL, SMC_ULP_REASON_POLICY, true);
}

/* What smc_ulp_finish() does; may wait for the socket lock of @sk as long as the user likes. */
static void smc_ulp_finish_now(struct smc_ulp_ctx *ctx, struct sock *sk, struct socket *h, int rc)
{
	struct smc_ulp_result *snap = NULL, res;
	struct request_sock *req;
	struct socket *closer;
	/* the policy was asked in BH, which could not abort it */
	bool refused = ctx->reason;

	smc_ulp_result_snapshot(ctx, sk, h, rc, &res);
	smc_ulp_wire_end(ctx);
	if (!rc) {
		snap = kmemdup(&res, sizeof(res), GFP_KERNEL);
		if (!snap)
			rc = -ENOMEM;
	} else if (rc > 0 && (!smc_ulp_policy_fallback(sk, &res) || ctx->require)) {
		refused = true;
		rc = -ECONNABORTED;
	}

	if (rc)
		lock_sock(sk);
	else
		rc = smc_ulp_catch_up(ctx, sk, h);
	if (ctx->phase != SMC_ULP_HS) {
		/* destroyed: its listener was closed just when accept(2) could have had it */
		res.error = -ECONNRESET;
		smc_ulp_tell_outcome(ctx, sk, -ECONNRESET, &res);
		release_sock(sk);
		kfree(snap);
		if (h)
			smc_ulp_sidecar_drop(h);
		goto out;
	}
	if (rc > 0)
		rc = smc_ulp_stream_check(ctx, sk, false) ?: rc;
	if (rc < 0) {
		rc = smc_ulp_connect_errno(rc);
		release_sock(sk);
		tcp_abort(sk, -rc);
		lock_sock(sk);
		if (!sk->sk_err)	/* the adapter may have taken that of a RST */
			WRITE_ONCE(sk->sk_err, -rc);
	}
	smc_ulp_finish_tell(ctx, sk, rc, refused, &res);
	closer = smc_ulp_switch(ctx, sk, h, rc, snap);
	release_sock(sk);

	if (rc) {
		kfree(snap);
		if (h)
			smc_ulp_sidecar_drop(h);
	}
	wake_up_all(&ctx->wq);
	smc_ulp_wake_user(sk);
	if (!rc)
		smc_ulp_policy_established(sk, &res);
	if (closer)
		smc_ulp_close_late(ctx, closer, !rc);
	req = ctx->req;
	ctx->req = NULL;
	if (req)
		smc_ulp_child_done(sk, req, rc < 0);
out:
	sock_put(sk);
	smc_ulp_ctx_put(ctx);
}

static void smc_ulp_finish_work(struct work_struct *work)
{
	struct smc_ulp_ctx *ctx = container_of(work, struct smc_ulp_ctx, work);
	struct socket *h = ctx->h;

	ctx->h = NULL;
	smc_ulp_finish_now(ctx, ctx->late_sk, h, ctx->late_rc);
}

/**
 * smc_ulp_finish() - end the handshake, once
 * @ctx: the ctx; the handshake's reference on it and on its sock are given back
 * @h: the sidecar, taken over; may be NULL
 * @rc: 0 SMC carries the data; > 0 both sides agreed on TCP; < 0 the stream is broken
 *
 * A second call (a server's listener may go while smc.ko is at work) only releases @h.
 *
 * smc.ko calls this below locks of its own. A program that has the child already, because accept(2)
 * was faster than the handshake, can own its socket lock for long: such a one is finished in a
 * worker. All other children are nobody's, and clients are finished in a worker of ours anyway.
 *
 * Context: process. Holds no lock of ours on entry; may run below the socket locks of hidden SMC
 * sockets, so it must not take those of others.
 */
void smc_ulp_finish(struct smc_ulp_ctx *ctx, struct socket *h, int rc)
{
	struct sock *sk;

	spin_lock_bh(&ctx->lock);
	sk = ctx->hs_sk;
	ctx->hs_sk = NULL;
	spin_unlock_bh(&ctx->lock);
	if (!sk) {
		if (h)
			smc_ulp_sidecar_drop(h);
		return;
	}
	ctx->ended = ktime_get();
	atomic_dec(&smc_ulp_pernet(sock_net(sk))->handshakes[ctx->role]);
	smc_ulp_slot_put(ctx, sk);
	smc_ulp_child_unlist(ctx);
	if (ctx->role == SMC_ULP_SERVER && !ctx->req) {
		ctx->late_sk = sk;
		ctx->late_rc = rc;
		ctx->h = h;
		INIT_WORK(&ctx->work, smc_ulp_finish_work);
		queue_work(smc_ulp_late_wq, &ctx->work);
		return;
	}
	smc_ulp_finish_now(ctx, sk, h, rc);
}
