// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP upper-layer protocol "smc": what CLC messages say that smc.ko forgets
 *
 * First contact, CHID, features and the peer's system id are in the messages that the adapter
 * forwards, and nowhere else when the handshake is over. We look at the bytes on their way, and
 * never change or hold them. They are a stranger's: a message is assembled from the bytes that
 * smc.ko consumes, however few at a time, up to a fixed size, and each field is read only when it
 * lies within both the message and what was kept of it. Whether a message is valid is for smc.ko to
 * say; one that it refuses ends the handshake, and what it said is not looked at.
 *
 * Layouts: net/smc/smc_clc.h of the kernel, RFC 7609 and IBM's "SMC Version 2" (7009315).
 */
#define pr_fmt(fmt) "smc_ulp: " fmt

#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <linux/unaligned.h>

#include "smc_ulp.h"

/* header: 4 bytes eye-catcher, type, length, then version (4 bits), typev2 and typev1 (2 each) */
#define CLC_HEADER	8
#define CLC_TYPE	4
#define CLC_LENGTH	5
#define CLC_FLAGS	7
#define CLC_TRAILER	4
#define CLC_PROPOSAL	1
#define CLC_ACCEPT	2
#define CLC_CONFIRM	3
#define CLC_DECLINE	4
#define CLC_TYPEV1_D	1
#define CLC_FIRST	(2 << 2)	/* typev2: first contact */

/* all but accept and confirm of SMC-D; system id of the sender */
#define CLC_SYSTEMID	8
/* decline */
#define CLC_DIAGNOSIS	16
#define CLC_DECL_OS	20		/* upper 4 bits */
#define CLC_DIAG_V2	24		/* version 2: 4 more codes */
#define CLC_DECL_V2_LEN	44
/* accept, confirm */
#define CLC_D_CHID	32		/* version 2 */
#define CLC_D_FIRST	74		/* first contact extension, version 2 */
#define CLC_R_FIRST	104
/* first contact extension */
#define FCE_RELEASE	1		/* lower 4 bits */
#define FCE_FEATURES	38		/* from release 1 on */
#define FCE_V2X_LEN	52

#define CLC_KEEP	(CLC_R_FIRST + FCE_V2X_LEN)	/* nothing behind it is of interest */

/**
 * struct smc_ulp_wire - what the CLC messages of one handshake said
 * @buf: first bytes of the message that is being received
 * @have: bytes of it that were consumed, kept or not
 * @len: its length; 0 before its header is complete
 * @bad: the stream is not CLC: nothing more is read
 * @first_contact: of the accept
 * @peer_os: of the peer's decline
 * @features: of the confirm, which has what both agreed on
 * @chid: of accept or confirm
 * @diagnosis_v2: of a decline
 * @peer_systemid: as the last message of the peer that has one says
 *
 * Lives from the first CLC message to the snapshot of the result. Protected by ctx->lock.
 */
struct smc_ulp_wire {
	u8	buf[CLC_KEEP];
	u32	have;
	u16	len;
	bool	bad;
	u8	first_contact;
	u8	peer_os;
	u16	features;
	u16	chid;
	__be32	diagnosis_v2[4];
	u8	peer_systemid[8];
};

/* A message, as far as it was kept */
struct smc_ulp_clc {
	const u8	*data;
	u32		end;	/* no field may reach beyond */
};

static bool clc_has(const struct smc_ulp_clc *m, u32 offset, u32 len)
{
	return offset + len <= m->end;
}

static void smc_ulp_wire_systemid(struct smc_ulp_wire *w, const struct smc_ulp_clc *m)
{
	if (clc_has(m, CLC_SYSTEMID, sizeof(w->peer_systemid)))
		memcpy(w->peer_systemid, m->data + CLC_SYSTEMID, sizeof(w->peer_systemid));
}

static void smc_ulp_wire_decline(struct smc_ulp_wire *w, const struct smc_ulp_clc *m)
{
	smc_ulp_wire_systemid(w, m);
	if (clc_has(m, CLC_DECL_OS, 1))
		w->peer_os = m->data[CLC_DECL_OS] >> 4;
	if (m->data[CLC_FLAGS] >> 4 > 1 && m->end == CLC_DECL_V2_LEN - CLC_TRAILER)
		memcpy(w->diagnosis_v2, m->data + CLC_DIAG_V2, sizeof(w->diagnosis_v2));
}

static void smc_ulp_wire_agree(struct smc_ulp_wire *w, const struct smc_ulp_clc *m, bool sent)
{
	u8 flags = m->data[CLC_FLAGS];
	bool smcd = (flags & 3) == CLC_TYPEV1_D, first = flags & CLC_FIRST;
	u32 fce;

	if (m->data[CLC_TYPE] == CLC_ACCEPT)
		w->first_contact = first;
	if (!smcd && !sent)
		smc_ulp_wire_systemid(w, m);
	if (flags >> 4 < 2)
		return;
	if (smcd && clc_has(m, CLC_D_CHID, 2))
		w->chid = get_unaligned_be16(m->data + CLC_D_CHID);
	fce = smcd ? CLC_D_FIRST : CLC_R_FIRST;
	if (first && m->data[CLC_TYPE] == CLC_CONFIRM && clc_has(m, fce, FCE_V2X_LEN) &&
	    m->data[fce + FCE_RELEASE] & 0xf)
		w->features = get_unaligned_be16(m->data + fce + FCE_FEATURES);
}

/* @data: @kept bytes of a message of @len >= CLC_HEADER bytes */
static void smc_ulp_wire_message(struct smc_ulp_wire *w, const u8 *data, u32 kept, u32 len,
				 bool sent)
{
	struct smc_ulp_clc m = {
		.data = data,
		.end = min(kept, max_t(u32, len, CLC_HEADER + CLC_TRAILER) - CLC_TRAILER),
	};

	switch (data[CLC_TYPE]) {
	case CLC_PROPOSAL:
		if (!sent)
			smc_ulp_wire_systemid(w, &m);
		break;
	case CLC_ACCEPT:
	case CLC_CONFIRM:
		smc_ulp_wire_agree(w, &m, sent);
		break;
	case CLC_DECLINE:
		if (!sent)
			smc_ulp_wire_decline(w, &m);
		break;
	}
}

/* @n bytes of @skb at @offset are part of one message; none of them reaches beyond it */
static void smc_ulp_wire_take(struct smc_ulp_wire *w, const struct sk_buff *skb, u32 offset, u32 n)
{
	u32 keep = w->have < CLC_KEEP ? min(n, CLC_KEEP - w->have) : 0;

	if (keep && skb_copy_bits(skb, offset, w->buf + w->have, keep)) {
		w->bad = true;
		return;
	}
	w->have += n;
	if (!w->len && w->have == CLC_HEADER) {
		w->len = get_unaligned_be16(w->buf + CLC_LENGTH);
		if (w->len < CLC_HEADER)
			w->bad = true;
	}
	if (w->len && w->have == w->len) {
		smc_ulp_wire_message(w, w->buf, min_t(u32, w->len, CLC_KEEP), w->len, false);
		w->have = 0;
		w->len = 0;
	}
}

/**
 * smc_ulp_wire_received() - smc.ko has consumed bytes of the peer
 * @ctx: ctx of the connection
 * @skb: where they are
 * @offset: from
 * @len: how many
 *
 * Context: socket lock held; takes ctx->lock.
 */
void smc_ulp_wire_received(struct smc_ulp_ctx *ctx, const struct sk_buff *skb, u32 offset, u32 len)
{
	struct smc_ulp_wire *w;
	u32 n;

	spin_lock_bh(&ctx->lock);
	w = ctx->wire;
	while (w && !w->bad && len) {
		n = min(len, (w->len ?: CLC_HEADER) - w->have);
		smc_ulp_wire_take(w, skb, offset, n);
		offset += n;
		len -= n;
	}
	spin_unlock_bh(&ctx->lock);
}

/**
 * smc_ulp_wire_sent() - smc.ko has sent a message
 * @ctx: ctx of the connection
 * @from: it, in kernel memory; advanced
 *
 * smc.ko sends each message by one call. Context: socket lock held; takes ctx->lock.
 */
void smc_ulp_wire_sent(struct smc_ulp_ctx *ctx, struct iov_iter *from)
{
	u32 len = iov_iter_count(from), keep = min_t(u32, len, CLC_KEEP);
	u8 buf[CLC_KEEP];

	if (len < CLC_HEADER || !copy_from_iter_full(buf, keep, from))
		return;
	spin_lock_bh(&ctx->lock);
	if (ctx->wire)
		smc_ulp_wire_message(ctx->wire, buf, keep, len, true);
	spin_unlock_bh(&ctx->lock);
}

/**
 * smc_ulp_wire_begin() - the CLC handshake is going to begin
 * @ctx: ctx of the connection; smc_ulp_wire_end() follows
 *
 * Without memory what only the messages say is not known, and that is all.
 *
 * Context: process, before smc.ko has the adapter.
 */
void smc_ulp_wire_begin(struct smc_ulp_ctx *ctx)
{
	struct smc_ulp_wire *w = kzalloc(sizeof(*w), GFP_KERNEL | __GFP_NOWARN);

	spin_lock_bh(&ctx->lock);
	ctx->wire = w;
	spin_unlock_bh(&ctx->lock);
}

/**
 * smc_ulp_wire_end() - the CLC handshake is over
 * @ctx: ctx of the connection
 *
 * Context: any; the caller ends the handshake and holds a reference on @ctx.
 */
void smc_ulp_wire_end(struct smc_ulp_ctx *ctx)
{
	struct smc_ulp_wire *w;

	spin_lock_bh(&ctx->lock);
	w = ctx->wire;
	ctx->wire = NULL;
	spin_unlock_bh(&ctx->lock);
	kfree(w);
}

/**
 * smc_ulp_wire_result() - add what the messages said
 * @ctx: ctx of the connection
 * @res: what is known from smc.ko is in there already, and stays
 *
 * Context: any.
 */
void smc_ulp_wire_result(struct smc_ulp_ctx *ctx, struct smc_ulp_result *res)
{
	const struct smc_ulp_wire *w;
	int i;

	spin_lock_bh(&ctx->lock);
	w = ctx->wire;
	if (w) {
		memcpy(res->peer_systemid, w->peer_systemid, sizeof(res->peer_systemid));
		for (i = 0; i < ARRAY_SIZE(w->diagnosis_v2); i++)
			res->peer_diagnosis_v2[i] = be32_to_cpu(w->diagnosis_v2[i]);
		if (!res->peer_os)
			res->peer_os = w->peer_os;
	}
	if (w && res->mode != SMC_ULP_MODE_TCP) {
		res->first_contact = w->first_contact;
		res->feature_mask = w->features;
		if (res->mode == SMC_ULP_MODE_SMCD && res->version > 1)
			res->chid = w->chid;
	}
	spin_unlock_bh(&ctx->lock);
}
