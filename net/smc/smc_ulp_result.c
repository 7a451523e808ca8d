// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP upper-layer protocol "smc": what the handshake negotiated
 */
#define pr_fmt(fmt) "smc_ulp: " fmt

#include <linux/sock_diag.h>
#include <net/smc.h>

#include "smc_ulp.h"
#include "smc_ulp_field.h"

/* The sidecar's link group and buffers. @msk locked: conn.lgr and its buffers stay. */
static void smc_ulp_result_conn(void *smc, struct smc_ulp_result *res)
{
	void *conn = smc_ulp_ptr(smc, smc_sock, conn);
	void *lgr = smc_ulp_field(conn, smc_connection, lgr, void *);
	void *sndbuf = smc_ulp_field(conn, smc_connection, sndbuf_desc, void *);
	void *rmb = smc_ulp_field(conn, smc_connection, rmb_desc, void *);

	if (sndbuf)
		res->sndbuf = smc_ulp_field(sndbuf, smc_buf_desc, len, int);
	if (rmb)
		res->rcvbuf = smc_ulp_field(rmb, smc_buf_desc, len, int);
	res->peer_rcvbuf = smc_ulp_field(conn, smc_connection, peer_rmbe_size, int);
	if (!lgr)
		return;
	res->version = smc_ulp_field(lgr, smc_link_group, smc_version, u8);
	res->vlan_id = smc_ulp_field(lgr, smc_link_group, vlan_id, u16);
	res->lgr_id = smc_ulp_field(lgr, smc_link_group, id, u32);
	if (res->version > 1) {
		res->release = smc_ulp_field(lgr, smc_link_group, peer_smc_release, u8);
		res->peer_os = smc_ulp_field(lgr, smc_link_group, peer_os, u8);
		memcpy(res->eid, smc_ulp_ptr(lgr, smc_link_group, negotiated_eid),
		       sizeof(res->eid));
		memcpy(res->peer_hostname, smc_ulp_ptr(lgr, smc_link_group, peer_hostname),
		       sizeof(res->peer_hostname));
	}
	if (smc_ulp_field(lgr, smc_link_group, is_smcd, bool)) {
		struct smcd_dev *smcd = smc_ulp_field(lgr, smc_link_group, smcd, void *);

		res->mode = SMC_ULP_MODE_SMCD;
		memcpy(res->peer_gid, smc_ulp_ptr(lgr, smc_link_group, peer_gid),
		       sizeof(res->peer_gid));
		if (smcd) {
			struct smcd_gid gid = {};

			smcd->ops->get_local_gid(smcd, &gid);
			memcpy(res->local_gid, &gid, sizeof(res->local_gid));
			memcpy(res->pnet_id, smcd->pnetid, sizeof(res->pnet_id));
			res->chid = smcd->ops->get_chid(smcd);
		}
	} else {
		void *lnk = smc_ulp_field(conn, smc_connection, lnk, void *);

		res->mode = SMC_ULP_MODE_SMCR;
		memcpy(res->pnet_id, smc_ulp_ptr(lgr, smc_link_group, pnet_id),
		       sizeof(res->pnet_id));
		res->max_conns = smc_ulp_field(lgr, smc_link_group, max_conns, u8);
		res->max_links = smc_ulp_field(lgr, smc_link_group, max_links, u8);
		if (res->version > 1)
			res->uses_gateway = smc_ulp_field(lgr, smc_link_group, uses_gateway, u8);
		if (lnk) {
			memcpy(res->local_gid, smc_ulp_ptr(lnk, smc_link, gid),
			       sizeof(res->local_gid));
			memcpy(res->peer_gid, smc_ulp_ptr(lnk, smc_link, peer_gid),
			       sizeof(res->peer_gid));
			memcpy(res->ib_name, smc_ulp_ptr(lnk, smc_link, ibname),
			       sizeof(res->ib_name));
			res->ib_port = smc_ulp_field(lnk, smc_link, ibport, u8);
			res->peer_qpn = smc_ulp_field(lnk, smc_link, peer_qpn, u32);
		}
	}
}

/**
 * smc_ulp_cookie() - the socket cookie of @sk, made if it has none yet
 * @sk: the user's sock
 *
 * Policies and tools tell connections apart by it, so it is there before the first callback.
 *
 * Context: any. Return: the cookie.
 */
u64 smc_ulp_cookie(struct sock *sk)
{
	u32 cookie[2];

	sock_diag_save_cookie(sk, cookie);
	return (u64)cookie[1] << 32 | cookie[0];
}

/**
 * smc_ulp_result_snapshot() - describe the outcome of a handshake
 * @ctx: the ctx
 * @sk: the user's sock
 * @h: the sidecar; NULL when there was none
 * @rc: 0 SMC, > 0 TCP, < 0 error
 * @res: filled
 *
 * Context: process when @h is given (takes its socket lock), else any.
 */
void smc_ulp_result_snapshot(struct smc_ulp_ctx *ctx, struct sock *sk,
			     struct socket *h, int rc, struct smc_ulp_result *res)
{
	memset(res, 0, sizeof(*res));
	res->role = ctx->role;
	res->origin = ctx->origin;
	res->cookie = smc_ulp_cookie(sk);
	res->reason = ctx->reason;
	res->rule = ctx->rule;
	res->error = rc < 0 ? rc : 0;
	if (ctx->started)
		res->handshake_ns = ktime_to_ns(ktime_sub(ctx->ended, ctx->started));
	if (!h)
		return;
	lock_sock(h->sk);
	if (rc > 0)
		res->reason = smc_ulp_field(h->sk, smc_sock, fallback_rsn, int);
	res->peer_diagnosis = smc_ulp_field(h->sk, smc_sock, peer_diagnosis, u32);
	if (!rc)
		smc_ulp_result_conn(h->sk, res);
	release_sock(h->sk);
	smc_ulp_wire_result(ctx, res);
}

/* Add to @res what changes while the connection lives. Any context. */
void smc_ulp_result_live(const struct smc_ulp_ctx *ctx, struct smc_ulp_result *res)
{
	res->tx_bytes = atomic64_read(&ctx->tx_bytes);
	res->rx_bytes = atomic64_read(&ctx->rx_bytes);
	res->lifetime_ns = ktime_to_ns(ktime_sub(ktime_get(), ctx->ended));
}

/*
 * For bpf_smc_ulp_result(), which see. Takes no reference, since the last put is not for every
 * context: a ctx with a snapshot is freed by RCU, as the snapshot is, which never changes. The ctx
 * may have become that of another sock: then @sk has lost it, and there is nothing to know.
 */
int smc_ulp_result_get(struct sock *sk, struct smc_ulp_result *res)
{
	const struct inet_connection_sock *icsk = inet_csk(sk);
	const struct smc_ulp_result *snap;
	const struct smc_ulp_ctx *ctx;
	int rc = -ENOENT;

	if (!sk_fullsock(sk) || !sk_is_tcp(sk))
		return rc;
	rcu_read_lock();
	ctx = rcu_dereference(icsk->icsk_ulp_data);
	smp_rmb();	/* as in smc_ulp_ctx_get() */
	if (READ_ONCE(icsk->icsk_ulp_ops) == &smc_ulp_tcp_ops && ctx) {
		rc = -ENODATA;
		snap = smp_load_acquire(&ctx->result);	/* pairs with smc_ulp_switch() */
		if (snap) {
			*res = *snap;
			smc_ulp_result_live(ctx, res);
			rc = 0;
		}
		smp_rmb();	/* what was read before whose it is */
		if (rcu_access_pointer(icsk->icsk_ulp_data) != ctx)
			rc = -ENOENT;
	}
	rcu_read_unlock();
	return rc;
}
