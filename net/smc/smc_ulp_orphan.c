// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP upper-layer protocol "smc": sidecars that are closed and wait for their peer
 *
 * A sock of smc.ko that was closed stays until the peer has closed, too. One that was closed with
 * unread data has sent PeerConnAbort. When the peer had shut down its sending side by then, it
 * takes that for the end, and sends nothing any more: smc_cdc_msg_recv_action() sets the abort flag
 * in its own next message, and smc_close_passive_abort_received() takes the flag for a message
 * sent. So the closed end would wait for ever, with its buffers.
 *
 * We give the peer some time, and then let smc.ko do what it does when the abort is confirmed. That
 * is safe only for such a peer: it has promised not to write, and it sends nothing once it has seen
 * our abort. Any other peer answers when its program closes, and may write into our buffer until
 * then. With SMC-D the answer itself is written there, so the peer's code has to be known.
 */
#include <linux/module.h>
#include <net/smc.h>
#include <net/sock.h>

#include "smc_ulp.h"
#include "smc_ulp_field.h"

/* A lost message has ended the link group long before: the retries of RDMA take some 4 s */
#define SMC_ULP_ABORT_WAIT	(10 * HZ)

#define SMC_ULP_LO_CHID		0xffff	/* SMC_LO_RESERVED_CHID of net/smc/smc_loopback.h */

struct smc_ulp_orphan {
	struct delayed_work	work;
	struct sock		*msk;	/* held */
};

static u8 *smc_ulp_conn_state(void *conn, bool rx)
{
	void *msg = rx ? smc_ulp_ptr(conn, smc_connection, local_rx_ctrl) :
			 smc_ulp_ptr(conn, smc_connection, local_tx_ctrl);

	return smc_ulp_ptr(msg, smc_host_cdc_msg, conn_state_flags);
}

/* Has @msk sent an abort, and is waiting for the peer? Socket lock of @msk held. */
static bool smc_ulp_abort_pending(const struct sock *msk)
{
	void *conn = smc_ulp_ptr(msk, smc_sock, conn);

	if (msk->sk_state != SMC_ULP_SMC_PEERCLOSEWAIT1 &&
	    msk->sk_state != SMC_ULP_SMC_PEERCLOSEWAIT2 &&
	    msk->sk_state != SMC_ULP_SMC_PEERFINCLOSEWAIT)
		return false;
	return (READ_ONCE(*smc_ulp_conn_state(conn, false)) & SMC_ULP_PEER_CONN_ABORT) &&
	       !(READ_ONCE(*smc_ulp_conn_state(conn, true)) &
		 (SMC_ULP_PEER_CONN_ABORT | SMC_ULP_PEER_CONN_CLOSED));
}

/* Is the peer one that never answers? Socket lock of @msk held. */
static bool smc_ulp_peer_silent(const struct sock *msk)
{
	void *conn = smc_ulp_ptr(msk, smc_sock, conn);
	void *lgr = smc_ulp_field(conn, smc_connection, lgr, void *);
	struct smcd_dev *smcd;

	if (!lgr || !(READ_ONCE(*smc_ulp_conn_state(conn, true)) & SMC_ULP_PEER_DONE_WRITING))
		return false;
	if (!smc_ulp_field(lgr, smc_link_group, is_smcd, bool))
		return true;
	smcd = smc_ulp_field(lgr, smc_link_group, smcd, void *);
	return smcd && smcd->ops->get_chid(smcd) == SMC_ULP_LO_CHID;
}

static void smc_ulp_orphan_work(struct work_struct *work)
{
	struct smc_ulp_orphan *orphan = container_of(to_delayed_work(work), struct smc_ulp_orphan,
						     work);
	struct sock *msk = orphan->msk;
	void *conn = smc_ulp_ptr(msk, smc_sock, conn);
	struct work_struct *close_work = smc_ulp_ptr(conn, smc_connection, close_work);
	u8 *flags = smc_ulp_conn_state(conn, true);

	lock_sock(msk);
	if (smc_ulp_abort_pending(msk) && smc_ulp_peer_silent(msk)) {
		spin_lock_bh(&msk->sk_lock.slock);	/* against smc_cdc_msg_recv() */
		WRITE_ONCE(*flags, *flags | SMC_ULP_PEER_CONN_ABORT);
		spin_unlock_bh(&msk->sk_lock.slock);
		sock_hold(msk);		/* for smc_close_passive_work() */
		if (!queue_work(system_unbound_wq, close_work))
			sock_put(msk);
	}
	release_sock(msk);
	flush_work(close_work);		/* while @msk pins smc.ko */
	sock_put(msk);
	kfree(orphan);
	module_put(THIS_MODULE);
}

/**
 * smc_ulp_sidecar_release() - sock_release() of a sidecar
 * @h: the sidecar
 *
 * Context: process, no locks. Without memory a sidecar that the peer has forgotten stays until its
 * link group ends, as with AF_SMC.
 */
void smc_ulp_sidecar_release(struct socket *h)
{
	struct sock *msk = h->sk;
	struct smc_ulp_orphan *orphan = NULL;

	sock_hold(msk);
	sock_release(h);
	lock_sock(msk);
	if (smc_ulp_abort_pending(msk))
		orphan = kmalloc(sizeof(*orphan), GFP_KERNEL);
	release_sock(msk);
	if (!orphan) {
		sock_put(msk);
		return;
	}
	orphan->msk = msk;
	INIT_DELAYED_WORK(&orphan->work, smc_ulp_orphan_work);
	__module_get(THIS_MODULE);
	queue_delayed_work(smc_ulp_late_wq, &orphan->work, SMC_ULP_ABORT_WAIT);
}
