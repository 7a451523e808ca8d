// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP upper-layer protocol "smc": the adapter between stock smc.ko and the user's sock
 *
 * smc.ko does its CLC handshake over smc_sock.clcsock, a struct socket with a TCP sock. Ours has a
 * TCP sock of its own, the shadow: in state CLOSE, unhashed, known to nobody, with the addresses,
 * the route and the settings of the user's sock. Stock code may read and write it as it likes
 * (settings, timeouts, sk_err, tcp_abort()) without touching the user's. Only the proto_ops below
 * reach the user's sock: send and receive during the handshake, shutdown later.
 *
 * icsk_ulp_data of the shadow (which has no icsk_ulp_ops) leads to the ctx, or to the
 * smc_ulp_listener behind a hidden listener; sk_user_data is smc.ko's.
 */
#define pr_fmt(fmt) "smc_ulp: " fmt

#include <linux/module.h>
#include <net/inet_common.h>
#include <net/ipv6.h>
#include <net/smc.h>

#include "smc_ulp.h"
#include "smc_ulp_field.h"

#define SMCPROTO_SMC	0	/* AF_SMC over IPv4, net/smc/smc.h */
#define SMCPROTO_SMC6	1	/* AF_SMC over IPv6 */

struct proto_ops smc_ulp_clc_ops[2] __read_mostly;

/* the clcsock of sidecar @h */
struct socket *smc_ulp_clcsock(const struct socket *h)
{
	return smc_ulp_field(h->sk, smc_sock, clcsock, struct socket *);
}

/* the ctx behind a connection's shadow; valid as long as the adapter is not released */
struct smc_ulp_ctx *smc_ulp_shadow_ctx(const struct sock *shadow)
{
	return rcu_dereference_protected(inet_csk(shadow)->icsk_ulp_data, 1);
}

/* Listeners have this flag as TCP's do; it tells the two kinds of shadows apart. */
static bool smc_ulp_shadow_listens(const struct sock *shadow)
{
	return sock_flag(shadow, SOCK_RCU_FREE);
}

/* @sock's wait queue is the one that events of @h wake. Nobody may be waiting on the old one. */
void smc_ulp_sidecar_set_wq(struct socket *h, struct socket *sock)
{
	struct sock *msk = h->sk;

	write_lock_bh(&msk->sk_callback_lock);
	rcu_assign_pointer(msk->sk_wq, &sock->wq);
	write_unlock_bh(&msk->sk_callback_lock);
}

static void smc_ulp_copy_settings(struct sock *to, const struct sock *from)
{
	to->sk_sndtimeo = READ_ONCE(from->sk_sndtimeo);
	to->sk_rcvtimeo = READ_ONCE(from->sk_rcvtimeo);
	to->sk_mark = READ_ONCE(from->sk_mark);
	to->sk_priority = READ_ONCE(from->sk_priority);
	to->sk_rcvlowat = READ_ONCE(from->sk_rcvlowat);
	to->sk_bound_dev_if = from->sk_bound_dev_if;
	to->sk_lingertime = READ_ONCE(from->sk_lingertime);
	/* the ones that smc.ko copies; atomic, since it sets others from a tasklet */
	assign_bit(SOCK_URGINLINE, &to->sk_flags, sock_flag(from, SOCK_URGINLINE));
	assign_bit(SOCK_KEEPOPEN, &to->sk_flags, sock_flag(from, SOCK_KEEPOPEN));
	assign_bit(SOCK_LINGER, &to->sk_flags, sock_flag(from, SOCK_LINGER));
	assign_bit(SOCK_DBG, &to->sk_flags, sock_flag(from, SOCK_DBG));
	to->sk_userlocks = from->sk_userlocks;
	if (from->sk_userlocks & SOCK_SNDBUF_LOCK)
		WRITE_ONCE(to->sk_sndbuf, READ_ONCE(from->sk_sndbuf));
	if (from->sk_userlocks & SOCK_RCVBUF_LOCK)
		WRITE_ONCE(to->sk_rcvbuf, READ_ONCE(from->sk_rcvbuf));
}

/**
 * smc_ulp_sidecar_sync() - let the sidecar follow socket options set on the user's sock
 * @h: the sidecar
 * @sk: the user's sock
 *
 * SOL_SOCKET options never pass proto_ops. Called before shutdown and close.
 *
 * Context: process; takes the socket lock of @h.
 */
void smc_ulp_sidecar_sync(struct socket *h, const struct sock *sk)
{
	lock_sock(h->sk);
	smc_ulp_copy_settings(h->sk, sk);
	release_sock(h->sk);
}

/**
 * smc_ulp_sidecar_died() - the TCP connection below an SMC connection is no more
 * @msk: sock of the sidecar
 * @err: errno of TCP
 *
 * Ends the operations that wait on @msk, after the data that has arrived: @err once, then EPIPE and
 * the end of the stream, as on TCP. The state of the SMC
 * connection is not touched: as long as the peer has not said over SMC that it is done, it may
 * write into our receive buffer, which must not be given to another connection. So what follows
 * is the close of a living connection.
 *
 * Context: any; BH slocks of others may be held, none of an SMC sock.
 */
void smc_ulp_sidecar_died(struct sock *msk, int err)
{
	local_bh_disable();
	bh_lock_sock_nested(msk);
	WRITE_ONCE(msk->sk_err, err);
	WRITE_ONCE(msk->sk_shutdown, SHUTDOWN_MASK);
	msk->sk_data_ready(msk);
	msk->sk_write_space(msk);
	msk->sk_state_change(msk);
	bh_unlock_sock(msk);
	local_bh_enable();
}

/* What the program could read of sidecar @msk. Any context. */
int smc_ulp_unread(const struct sock *msk)
{
	void *conn = smc_ulp_ptr(msk, smc_sock, conn);

	return atomic_read((atomic_t *)smc_ulp_ptr(conn, smc_connection, bytes_to_rcv));
}

/**
 * smc_ulp_sidecar_shutdown() - shutdown(2) of a connection over SMC
 * @h: the sidecar
 * @sk: the user's sock
 * @how: SHUT_RD, SHUT_WR or SHUT_RDWR
 *
 * Stock's SHUT_RDWR is its close: with unread data it aborts the connection, and what the peer has
 * not read is lost. TCP sends a FIN, and what has come can still be read.
 *
 * Context: process; takes the socket lock of @h. Return: 0 or -errno.
 */
int smc_ulp_sidecar_shutdown(struct socket *h, const struct sock *sk, int how)
{
	smc_ulp_sidecar_sync(h, sk);
	if (how == SHUT_RDWR && smc_ulp_unread(h->sk) > 0) {
		int rc = h->ops->shutdown(h, SHUT_WR);

		return h->ops->shutdown(h, SHUT_RD) ?: rc;
	}
	return h->ops->shutdown(h, how);
}

/* What smc_close_final() sends will say that the connection is aborted. Socket lock of @msk held */
static void smc_ulp_sidecar_abort(struct sock *msk)
{
	void *conn = smc_ulp_ptr(msk, smc_sock, conn);
	void *tx = smc_ulp_ptr(conn, smc_connection, local_tx_ctrl);
	u8 *flags = smc_ulp_ptr(tx, smc_host_cdc_msg, conn_state_flags);

	if (msk->sk_state == SMC_ULP_SMC_ACTIVE)
		WRITE_ONCE(*flags, *flags | SMC_ULP_PEER_CONN_ABORT);
}

/* Has the peer said anything over SMC? */
static bool smc_ulp_peer_heard(const struct smc_ulp_ctx *ctx)
{
	struct sock *msk = ctx->h->sk;
	void *conn = smc_ulp_ptr(msk, smc_sock, conn);
	void *rx = smc_ulp_ptr(conn, smc_connection, local_rx_ctrl);

	return atomic64_read(&ctx->rx_bytes) || smc_ulp_unread(msk) > 0 ||
	       smc_ulp_field(rx, smc_host_cdc_msg, conn_state_flags, u8);
}

/*
 * A server that has not read the last CLC message yet, and finds its TCP reset (stock looks at
 * sk_err first), forgets the connection without a word over SMC: our sidecar would wait for it for
 * ever. As long as nothing was heard of it, a close that is to be a RST is an abort over SMC, and
 * TCP ends in order.
 */
static void smc_ulp_spare_handshake(struct smc_ulp_ctx *ctx, struct sock *sk)
{
	struct sock *msk = ctx->h->sk;
	bool reset;

	if (ctx->role != SMC_ULP_CLIENT || smc_ulp_peer_heard(ctx))
		return;
	lock_sock(sk);
	reset = sock_flag(sk, SOCK_LINGER) && !sk->sk_lingertime;
	if (reset)
		sock_reset_flag(sk, SOCK_LINGER);
	release_sock(sk);
	if (!reset)
		return;
	lock_sock(msk);
	smc_ulp_sidecar_abort(msk);
	release_sock(msk);
}

/**
 * smc_ulp_sidecar_close() - close the sidecar of a connection, whose TCP is closed next
 * @ctx: the ctx, in SMC_ULP_DEAD
 * @sk: the user's sock, alive
 *
 * Context: process, no locks.
 */
void smc_ulp_sidecar_close(struct smc_ulp_ctx *ctx, struct sock *sk)
{
	struct socket *h = ctx->h;

	smc_ulp_sidecar_sync(h, sk);
	smc_ulp_spare_handshake(ctx, sk);
	ctx->h = NULL;
	smc_ulp_sidecar_set_wq(h, h);	/* the user's wait queue goes with the socket */
	smc_ulp_sidecar_release(h);
}

/**
 * smc_ulp_sidecar_drop() - abort and close a sidecar that no program ever had
 * @h: the sidecar, in any state
 *
 * A peer that believes in SMC is told over SMC: stock does not listen to a RST.
 *
 * Context: process, no locks.
 */
void smc_ulp_sidecar_drop(struct socket *h)
{
	lock_sock(h->sk);
	smc_ulp_sidecar_abort(h->sk);
	release_sock(h->sk);
	smc_ulp_sidecar_release(h);
}

/*
 * lock_sock() of the user's sock, until ctx->clc_deadline. A program can own it for as long as a
 * page of its own takes to come (IP_OPTIONS in a FUSE file), and smc.ko calls us below mutexes that
 * are the whole host's. release_sock() as ever. Returns false when the time is up.
 */
static bool smc_ulp_lock_in_time(struct sock *sk, const struct smc_ulp_ctx *ctx)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	bool mine = false;
	long left;

	might_sleep();
	add_wait_queue(&sk->sk_lock.wq, &wait);
	for (;;) {
		spin_lock_bh(&sk->sk_lock.slock);
		if (!sock_owned_by_user_nocheck(sk)) {
			sk->sk_lock.owned = 1;
			mine = true;
		}
		spin_unlock_bh(&sk->sk_lock.slock);
		left = READ_ONCE(ctx->clc_deadline) - jiffies;
		if (mine || left <= 0)
			break;
		wait_woken(&wait, TASK_UNINTERRUPTIBLE, left);
	}
	remove_wait_queue(&sk->sk_lock.wq, &wait);
	if (mine)
		mutex_acquire(&sk->sk_lock.dep_map, 0, 1, _RET_IP_);
	return mine;
}

/* Make @shadow look like @sk to those who only read addresses, route and settings. */
static int smc_ulp_shadow_init(struct sock *shadow, struct sock *sk, struct smc_ulp_ctx *ctx)
{
	struct inet_sock *to = inet_sk(shadow);
	const struct inet_sock *from = inet_sk(sk);

	if (!smc_ulp_lock_in_time(sk, ctx))
		return -ETIMEDOUT;
	to->inet_num = from->inet_num;	/* smc_diag; see smc_ulp_shadow_release() */
	to->inet_sport = from->inet_sport;
	to->inet_dport = from->inet_dport;
	to->inet_saddr = from->inet_saddr;
	to->inet_rcv_saddr = from->inet_rcv_saddr;
	to->inet_daddr = from->inet_daddr;
#if IS_ENABLED(CONFIG_IPV6)
	if (ctx->v6) {
		shadow->sk_v6_rcv_saddr = sk->sk_v6_rcv_saddr;
		shadow->sk_v6_daddr = sk->sk_v6_daddr;
		inet6_sk(shadow)->saddr = inet6_sk(sk)->saddr;
	}
#endif
	smc_ulp_copy_settings(shadow, sk);
	sk_dst_set(shadow, sk_dst_get(sk));
	tcp_sk(shadow)->nonagle = tcp_sk(sk)->nonagle;
	tcp_sk(shadow)->syn_smc = 1;
	release_sock(sk);

	smc_ulp_wire_begin(ctx);
	refcount_inc(&ctx->ref);	/* given back by smc_ulp_shadow_release() */
	rcu_assign_pointer(inet_csk(shadow)->icsk_ulp_data, ctx);
	return 0;
}

/* The adapter goes: close the shadow. Returns what icsk_ulp_data led to. */
static void *smc_ulp_shadow_release(struct socket *sock)
{
	struct sock *shadow = sock->sk;
	void *data = rcu_dereference_protected(inet_csk(shadow)->icsk_ulp_data, 1);

	RCU_INIT_POINTER(inet_csk(shadow)->icsk_ulp_data, NULL);
	inet_sk(shadow)->inet_num = 0;	/* it was never bound */
	smc_ulp_base_ops[shadow->sk_family == AF_INET6]->release(sock);
	return data;
}

/* Put the user's sock behind the clcsock @c that smc.ko has just made. */
static void smc_ulp_adapt(struct socket *c, bool v6)
{
	WRITE_ONCE(c->ops, &smc_ulp_clc_ops[v6]);
	__module_get(THIS_MODULE);	/* c->ops->owner; sock_release() puts it */
}

/* proto_ops of the adapter: called by smc.ko in process context with the sidecar's lock held */

static int smc_ulp_clc_release(struct socket *sock)
{
	struct smc_ulp_ctx *ctx;
	bool listener;

	if (!sock->sk)
		return 0;
	listener = smc_ulp_shadow_listens(sock->sk);
	ctx = smc_ulp_shadow_release(sock);
	if (listener) {
		if (ctx)
			smc_ulp_listener_put((struct smc_ulp_listener *)ctx);
		return 0;
	}
	if (!ctx)
		return 0;
	/* a server's handshake that failed ends here, without another word from smc.ko */
	if (ctx->role == SMC_ULP_SERVER)
		smc_ulp_finish(ctx, NULL, -ECONNRESET);
	smc_ulp_ctx_put(ctx);
	return 0;
}

static int smc_ulp_clc_connect(struct socket *sock, struct sockaddr *uaddr, int len, int flags)
{
	sock->state = SS_CONNECTED;	/* TCP is established, or we would not be here */
	return 0;
}

static int smc_ulp_clc_listen(struct socket *sock, int backlog)
{
	return 0;	/* the user's TCP listener is the one that listens */
}

static int smc_ulp_clc_accept(struct socket *sock, struct socket *newsock,
			      struct proto_accept_arg *arg)
{
	struct smc_ulp_listener *l;

	l = rcu_dereference_protected(inet_csk(sock->sk)->icsk_ulp_data, 1);
	return l ? smc_ulp_listener_accept(l, newsock) : -EINVAL;
}

/* The shadow's TCP state is CLOSE for ever: do to the user's TCP what inet_shutdown() does. */
static int smc_ulp_clc_shutdown(struct socket *sock, int how)
{
	struct smc_ulp_ctx *ctx;
	struct sock *sk;

	if (smc_ulp_shadow_listens(sock->sk))
		return 0;
	ctx = smc_ulp_shadow_ctx(sock->sk);
	/* when the user closes, TCP's own close follows, which may have to be a RST instead */
	if (!ctx || READ_ONCE(ctx->phase) == SMC_ULP_DEAD)
		return 0;
	sk = smc_ulp_sk_get(ctx);
	if (!sk)
		return 0;
	how++;	/* SHUT_* to *_SHUTDOWN */
	lock_sock(sk);
	if (sk->sk_state != TCP_CLOSE) {
		WRITE_ONCE(sk->sk_shutdown, sk->sk_shutdown | how);
		sk->sk_prot->shutdown(sk, how);
		ctx->wseq = tcp_sk(sk)->write_seq;	/* a FIN is one byte */
	}
	release_sock(sk);
	sock_put(sk);
	return 0;
}

/* During the handshake nobody but the adapter moves the stream. Socket lock of @sk held. */
static bool smc_ulp_clc_alone(const struct smc_ulp_ctx *ctx, const struct sock *sk)
{
	return tcp_sk(sk)->write_seq == ctx->wseq && tcp_sk(sk)->copied_seq == ctx->rseq;
}

static int smc_ulp_clc_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)
{
	struct smc_ulp_ctx *ctx = smc_ulp_shadow_ctx(sock->sk);
	struct sock *sk = smc_ulp_sk_get(ctx);
	int rc = -EPIPE;

	if (!sk)
		goto out;
	msg->msg_flags |= MSG_NOSIGNAL | MSG_DONTWAIT;
	if (!smc_ulp_lock_in_time(sk, ctx)) {
		sock_put(sk);
		rc = -ETIMEDOUT;
		goto out;
	}
	if (READ_ONCE(ctx->cancel)) {
		rc = -ECONNABORTED;
	} else if (!smc_ulp_clc_alone(ctx, sk)) {
		rc = -EPROTO;
	} else {
		u8 cork = tcp_sk(sk)->nonagle & TCP_NAGLE_CORK;
		struct iov_iter sent = msg->msg_iter;

		/* a CLC message must not wait for the program to uncork */
		tcp_sk(sk)->nonagle &= ~TCP_NAGLE_CORK;
		rc = tcp_sendmsg_locked(sk, msg, len);
		tcp_sk(sk)->nonagle |= cork;
		ctx->wseq = tcp_sk(sk)->write_seq;
		smc_ulp_clc_deadline(ctx, sk);	/* for the answer */
		if (rc >= 0 && rc != len)
			rc = -ENOBUFS;	/* CLC messages fit into the smallest send buffer */
		else if (rc > 0)
			smc_ulp_wire_sent(ctx, &sent);
	}
	release_sock(sk);
	sock_put(sk);
out:
	if (rc < 0)
		WRITE_ONCE(sock->sk->sk_err, -rc);	/* where smc.ko looks for it */
	return rc;
}

static bool smc_ulp_clc_readable(struct smc_ulp_ctx *ctx, const struct sock *sk, size_t len)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	return READ_ONCE(tp->rcv_nxt) - READ_ONCE(tp->copied_seq) >= len ||
	       READ_ONCE(sk->sk_err) || (READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN) ||
	       READ_ONCE(sk->sk_state) == TCP_CLOSE || READ_ONCE(ctx->cancel);
}

/* Consume what smc_ulp_clc_read() has copied */
static int smc_ulp_clc_consume(read_descriptor_t *desc, struct sk_buff *skb, unsigned int offset,
			       size_t len)
{
	len = min(len, desc->count);
	desc->count -= len;
	smc_ulp_wire_received(desc->arg.data, skb, offset, len);
	return len;
}

/*
 * recvmsg() of TCP without waiting, for one who has the socket lock: tcp_recvmsg() takes it,
 * however long that lasts. Socket lock of @sk held.
 */
static int smc_ulp_clc_read(struct smc_ulp_ctx *ctx, struct sock *sk, struct msghdr *msg,
			    size_t len, int flags)
{
	read_descriptor_t desc = { .arg.data = ctx };
	struct sk_buff *skb;
	u32 seq, offset;
	int rc;

	seq = tcp_sk(sk)->copied_seq;
	if (tcp_sk(sk)->urg_data && tcp_sk(sk)->urg_seq - seq < len)
		return -EPROTO;		/* urgent data in the way */
	skb_queue_walk(&sk->sk_receive_queue, skb) {
		u32 n;

		offset = seq - TCP_SKB_CB(skb)->seq;
		if (TCP_SKB_CB(skb)->tcp_flags & TCPHDR_SYN)
			offset--;
		if (offset >= skb->len)
			continue;
		n = min_t(size_t, skb->len - offset, len - desc.count);
		rc = skb_copy_datagram_msg(skb, offset, msg, n);
		if (rc)
			return rc;
		desc.count += n;
		seq += n;
		if (desc.count == len)
			break;
	}
	rc = desc.count;
	if (rc) {
		if (!(flags & MSG_PEEK))
			tcp_read_sock(sk, &desc, smc_ulp_clc_consume);
		return rc;
	}
	if (sk->sk_err)
		return sock_error(sk);
	if (sk->sk_shutdown & RCV_SHUTDOWN)
		return 0;
	return sk->sk_state == TCP_CLOSE ? -ENOTCONN : -EPROTO;
}

/*
 * All receives of smc.ko are MSG_WAITALL, some MSG_PEEK, with the time-out in sk_rcvtimeo. One CLC
 * message takes several, of lengths that the peer chooses; ctx->clc_deadline is for all of them. We
 * wait on ctx->wq, not on the user's wait queue: that may go away, and nobody outside is to notice.
 */
static int smc_ulp_clc_recvmsg(struct socket *sock, struct msghdr *msg, size_t len, int flags)
{
	struct smc_ulp_ctx *ctx = smc_ulp_shadow_ctx(sock->sk);
	struct sock *sk = smc_ulp_sk_get(ctx);
	long timeo;
	int rc;

	if (!sk)
		return -ECONNABORTED;
	timeo = max_t(long, ctx->clc_deadline - jiffies, 0);
	timeo = min(timeo, sock->sk->sk_rcvtimeo);
	if (!wait_event_timeout(ctx->wq, smc_ulp_clc_readable(ctx, sk, len), timeo)) {
		rc = -EAGAIN;
		goto out;
	}
	if (!smc_ulp_lock_in_time(sk, ctx)) {
		rc = -EAGAIN;
		goto out;
	}
	if (READ_ONCE(ctx->cancel)) {
		rc = -ECONNABORTED;
	} else if (!smc_ulp_clc_alone(ctx, sk)) {
		rc = -EPROTO;
	} else {
		rc = smc_ulp_clc_read(ctx, sk, msg, len, flags);
		ctx->rseq = tcp_sk(sk)->copied_seq;	/* a FIN may go with the last byte */
	}
	release_sock(sk);
out:
	sock_put(sk);
	return rc;
}

static const struct proto_ops smc_ulp_clc_template __initconst = {
	.owner		= THIS_MODULE,
	.release	= smc_ulp_clc_release,
	.connect	= smc_ulp_clc_connect,
	.accept		= smc_ulp_clc_accept,
	.listen		= smc_ulp_clc_listen,
	.shutdown	= smc_ulp_clc_shutdown,
	.sendmsg	= smc_ulp_clc_sendmsg,
	.recvmsg	= smc_ulp_clc_recvmsg,
};

void __init smc_ulp_clc_init(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (!smc_ulp_base_ops[i])
			continue;
		smc_ulp_clc_ops[i] = *smc_ulp_base_ops[i];
		smc_ulp_clc_ops[i].owner = smc_ulp_clc_template.owner;
		smc_ulp_clc_ops[i].release = smc_ulp_clc_template.release;
		smc_ulp_clc_ops[i].connect = smc_ulp_clc_template.connect;
		smc_ulp_clc_ops[i].accept = smc_ulp_clc_template.accept;
		smc_ulp_clc_ops[i].listen = smc_ulp_clc_template.listen;
		smc_ulp_clc_ops[i].shutdown = smc_ulp_clc_template.shutdown;
		smc_ulp_clc_ops[i].sendmsg = smc_ulp_clc_template.sendmsg;
		smc_ulp_clc_ops[i].recvmsg = smc_ulp_clc_template.recvmsg;
	}
}

/* An AF_SMC socket without file or user, its clcsock adapted. */
static int smc_ulp_sidecar_create(struct net *net, bool v6, struct socket **hp)
{
	int rc;

	rc = sock_create_kern(net, AF_SMC, SOCK_STREAM, v6 ? SMCPROTO_SMC6 : SMCPROTO_SMC, hp);
	if (rc)
		return rc;
	/* smc.ko looks at its netns up to the very end, longer than the clcsock lives */
	if (!(*hp)->sk->sk_net_refcnt)
		sk_net_refcnt_upgrade((*hp)->sk);
	smc_ulp_adapt(smc_ulp_clcsock(*hp), v6);
	return 0;
}

/**
 * smc_ulp_sidecar_connect() - client side of the handshake
 * @ctx: its ctx, in SMC_ULP_HS
 * @sk: the user's sock, held
 * @hp: the sidecar, when there is one
 *
 * Context: process, no locks; takes as long as the peer does, within smc.ko's and our time-outs.
 * Return: 0 SMC carries the data; 1 the peer and we agree on TCP; < 0 the TCP stream is not usable
 * any more. In all cases *@hp, when set, is the caller's to release.
 */
int smc_ulp_sidecar_connect(struct smc_ulp_ctx *ctx, struct sock *sk, struct socket **hp)
{
	struct sockaddr_storage addr = {};
	struct socket *h, *c;
	int rc;

	*hp = NULL;
	rc = smc_ulp_sidecar_create(sock_net(sk), ctx->v6, &h);
	if (rc)
		return rc;
	*hp = h;
	c = smc_ulp_clcsock(h);
	lock_sock(h->sk);
	smc_ulp_copy_settings(h->sk, sk);
	release_sock(h->sk);
	rc = smc_ulp_shadow_init(c->sk, sk, ctx);
	if (rc)
		return rc;

	/* smc_connect() wants an address and gives it to smc_ulp_clc_connect() */
	addr.ss_family = ctx->v6 ? AF_INET6 : AF_INET;
	rc = h->ops->connect(h, (struct sockaddr *)&addr, sizeof(addr), 0);
	if (rc)
		return rc < 0 ? rc : -EPROTO;
	return smc_ulp_field(h->sk, smc_sock, use_fallback, bool);
}

/**
 * smc_ulp_sidecar_listen() - a hidden SMC listener for @l
 * @net: network namespace
 * @v6: family of the user's listener
 * @l: the listener; @l->h and @l->shadow are set. The adapter takes a reference on @l, which
 *	smc_ulp_clc_release() gives back
 *
 * Context: process, no locks. Return: 0 or -errno; then nothing is left behind.
 */
int smc_ulp_sidecar_listen(struct net *net, bool v6, struct smc_ulp_listener *l)
{
	struct socket *c;
	int rc;

	rc = smc_ulp_sidecar_create(net, v6, &l->h);
	if (rc)
		return rc;
	c = smc_ulp_clcsock(l->h);
	l->shadow = c->sk;
	sock_set_flag(l->shadow, SOCK_RCU_FREE);
	refcount_inc(&l->ref);
	rcu_assign_pointer(inet_csk(l->shadow)->icsk_ulp_data, l);
	rc = l->h->ops->listen(l->h, SOMAXCONN);
	if (rc) {
		sock_release(l->h);
		l->h = NULL;
	}
	return rc;
}

/**
 * smc_ulp_sidecar_accept() - give smc.ko a TCP connection whose peer speaks SMC
 * @newsock: what smc.ko has allocated for its clcsock
 * @ctx: the child's ctx, in SMC_ULP_HS
 * @sk: the child, held
 *
 * Context: process. Return: 0 or -errno.
 */
int smc_ulp_sidecar_accept(struct socket *newsock, struct smc_ulp_ctx *ctx, struct sock *sk)
{
	struct socket *tmp;
	struct sock *shadow;
	int rc;

	rc = sock_create_kern(sock_net(sk), ctx->v6 ? AF_INET6 : AF_INET, SOCK_STREAM, IPPROTO_TCP,
			      &tmp);
	if (rc)
		return rc;
	shadow = tmp->sk;
	rc = smc_ulp_shadow_init(shadow, sk, ctx);
	if (rc) {
		sock_release(tmp);
		return rc;
	}
	sk_net_refcnt_upgrade(shadow);	/* as smc_create_clcsk() does */
	write_lock_bh(&shadow->sk_callback_lock);
	rcu_assign_pointer(shadow->sk_wq, &newsock->wq);
	sk_set_socket(shadow, newsock);
	write_unlock_bh(&shadow->sk_callback_lock);
	newsock->sk = shadow;
	newsock->state = SS_CONNECTED;
	tmp->sk = NULL;
	sock_release(tmp);
	return 0;
}
