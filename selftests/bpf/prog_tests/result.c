// SPDX-License-Identifier: GPL-2.0-only
/*
 * What bpf_smc_ulp_result() says of a connection, against three others who know: smc_diag, the
 * generic netlink family of smc.ko, and the CLC messages as they passed on the wire, which a packet
 * socket has seen. Broken by a field that is read from the wrong place, of the other side, or of
 * another message.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>

#include "policy_helpers.h"

/* --- the wire ------------------------------------------------------------------------------- */

/* CLC messages, as struct smc_clc_msg_* of the kernel's net/smc/smc_clc.h has them */
struct clc_hdr {
	__u8 eyecatcher[4];
	__u8 type;
	__be16 length;
	__u8 typev1:2, typev2:2, version:4;
} __attribute__((packed));

struct clc_local {
	__u8 systemid[8];
	__u8 gid[16];
	__u8 mac[6];
} __attribute__((packed));

struct clc_proposal {
	struct clc_hdr hdr;
	struct clc_local local;
} __attribute__((packed));

struct clc_smcd {	/* accept and confirm of SMC-D */
	struct clc_hdr hdr;
	__be64 gid, token;
	__u8 dmbe_idx;
	__u8 reserved3:4, dmbe_size:4;
	__u16 reserved4;
	__be32 linkid;
	__be16 chid;
	__u8 eid[32];
	__be64 gid_ext;
} __attribute__((packed));

struct clc_smcr {	/* accept and confirm of SMC-R */
	struct clc_hdr hdr;
	struct clc_local local;
	__u8 qpn[3];
	__be32 rkey;
	__u8 rmbe_idx;
	__be32 token;
	__u8 qp_mtu:4, rmbe_size:4;
	__u8 reserved;
	__be64 dma;
	__u8 reserved2;
	__u8 psn[3];
	__u8 eid[32];
	__u8 reserved6[8];
} __attribute__((packed));

struct clc_fce {	/* first contact extension of release 1 */
	__u8 flags;
	__u8 release:4, os:4;
	__u8 reserved[2];
	__u8 hostname[32];
	__u8 max_conns, max_links;
	__be16 features;
} __attribute__((packed));

struct clc_decline_v2 {
	struct clc_hdr hdr;
	__u8 systemid[8];
	__be32 diagnosis;
	__u8 reserved:4, os:4;
	__u8 reserved2[3];
	__be32 more[4];
	__u8 trailer[4];
} __attribute__((packed));

struct stream {
	__u32 next;
	bool known;
	size_t len;
	__u8 data[4096];
};

static int capture_open(void)
{
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, htons(ETH_P_IP));
	struct sockaddr_ll sll = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IP),
		.sll_ifindex = if_nametoindex("lo"),
	};

	if (fd >= 0 && bind(fd, (void *)&sll, sizeof(sll)))
		sock_close(&fd);
	return fd;
}

/* What was sent from port @from to port @to, in order */
static void capture_take(struct stream *stream, const __u8 *packet, size_t len, int from, int to)
{
	const struct iphdr *ip = (const void *)packet;
	const struct tcphdr *tcp = (const void *)(packet + ip->ihl * 4);
	size_t head = ip->ihl * 4, n;
	__u32 seq;

	if (len < sizeof(*ip) || ip->protocol != IPPROTO_TCP || len < head + sizeof(*tcp) ||
	    ntohs(tcp->source) != from || ntohs(tcp->dest) != to)
		return;
	head += tcp->doff * 4;
	n = ntohs(ip->tot_len) - head;
	seq = ntohl(tcp->seq);
	if (tcp->syn) {
		stream->next = seq + 1;
		stream->known = true;
	} else if (stream->known && seq == stream->next && len >= head + n &&
		   stream->len + n <= sizeof(stream->data)) {
		memcpy(stream->data + stream->len, packet + head, n);
		stream->len += n;
		stream->next += n;
	}
}

/* @streams[0]: of the client, [1]: of the server */
static void capture_read(int fd, struct stream *streams, int client, int server)
{
	static __u8 packet[70000];
	struct sockaddr_ll from;
	socklen_t size = sizeof(from);
	ssize_t len;

	memset(streams, 0, 2 * sizeof(*streams));
	while ((len = recvfrom(fd, packet, sizeof(packet), 0, (void *)&from, &size)) > 0) {
		size = sizeof(from);
		if (from.sll_pkttype == PACKET_OUTGOING)
			continue;	/* seen once more when it comes in */
		capture_take(&streams[0], packet, len, client, server);
		capture_take(&streams[1], packet, len, server, client);
	}
}

/* Message of @type, which has at least @need bytes */
static const void *clc_find(const struct stream *stream, int type, size_t need)
{
	const struct clc_hdr *hdr;
	size_t at = 0;

	while (at + sizeof(*hdr) <= stream->len) {
		size_t len;

		hdr = (const void *)(stream->data + at);
		len = ntohs(hdr->length);
		if (len < sizeof(*hdr) || at + len > stream->len)
			break;
		if (hdr->type == type)
			return len >= need ? hdr : NULL;
		at += len;
	}
	return NULL;
}

/* --- a connection ----------------------------------------------------------------------------- */

struct seen {
	struct smc_ulp_result client, server;
	struct stream streams[2];
	struct smcdiag_row diag[2];
	struct smcnl_lgr lgr[2];
	struct pair pair;
};

/* A connection, and all that is known of it */
static bool see(struct policy *policy, struct seen *seen)
{
	bool smcd = env.world == WORLD_SMCD;
	int fd = capture_open(), i, ends[2];
	const struct record *r;
	bool ok;

	if (!ASSERT_OK_FD(fd, "packet socket"))
		return false;
	ok = pair_make(&seen->pair, ULP, ULP, V4);
	if (!ok)
		goto out;
	ends[0] = seen->pair.client;
	ends[1] = seen->pair.server;
	for (i = 0; i < 2; i++) {
		struct smc_ulp_result *res = i ? &seen->server : &seen->client;

		r = policy_record(policy, CB_ESTABLISHED, sock_cookie(ends[i]), 0);
		ok &= ASSERT_OK_PTR(r, "policy->established");
		if (!r)
			continue;
		*res = r->kfunc;
		ok &= ASSERT_TRUE(smcdiag__find(sock_port(ends[i]), sock_peer_port(ends[i]),
						&seen->diag[i]), "smc_diag has it");
		ok &= ASSERT_TRUE(smcnl__lgr(res->lgr_id, smcd, &seen->lgr[i]),
				  "netlink has its link group");
	}
	capture_read(fd, seen->streams, sock_port(ends[0]), sock_port(ends[1]));
	if (!ok)
		pair_close(&seen->pair);
out:
	sock_close(&fd);
	return ok;
}

/* @name is blank or NUL padded; netlink ends it with a NUL */
static void same_text(const __u8 *name, size_t size, const char *other, const char *what)
{
	char text[65] = {};

	memcpy(text, name, size);
	ASSERT_STREQ(text, other, what);
}

static void gid_text(char *text, const __u8 *gid)
{
	int i;

	for (i = 0; i < 8; i++)
		sprintf(text + 5 * i, "%02x%02x%s", gid[2 * i], gid[2 * i + 1], i < 7 ? ":" : "");
}

static void against_kernel(const struct smc_ulp_result *res, const struct smcdiag_row *diag,
			   const struct smcnl_lgr *lgr)
{
	char gid[41], peer[41];
	__u64 gids[4];

	ASSERT_EQ(diag->mode, env.world == WORLD_SMCD ? SMC_DIAG_MODE_SMCD : SMC_DIAG_MODE_SMCR,
		  "smc_diag: mode");
	ASSERT_EQ(res->sndbuf, diag->sndbuf, "smc_diag: sndbuf");
	ASSERT_EQ(res->rcvbuf, diag->rcvbuf, "smc_diag: rcvbuf");
	ASSERT_EQ(res->peer_rcvbuf, diag->peer_rcvbuf, "smc_diag: peer_rcvbuf");

	ASSERT_EQ(res->version, lgr->version ?: 1, "netlink: version");
	ASSERT_EQ(res->vlan_id, lgr->vlan, "netlink: vlan_id");
	ASSERT_EQ(res->release, lgr->release, "netlink: release");
	ASSERT_EQ(res->peer_os, lgr->os, "netlink: peer_os");
	same_text(res->eid, sizeof(res->eid), lgr->eid, "netlink: eid");
	same_text(res->peer_hostname, sizeof(res->peer_hostname), lgr->host,
		  "netlink: peer_hostname");
	same_text(res->pnet_id, sizeof(res->pnet_id), lgr->pnetid, "netlink: pnet_id");
	if (env.world == WORLD_SMCD) {
		memcpy(&gids[0], res->local_gid, 16);
		memcpy(&gids[2], res->peer_gid, 16);
		ASSERT_EQ(res->lgr_id, diag->lgr_id, "smc_diag: lgr_id");
		ASSERT_OK(memcmp(&gids[0], diag->gid, 16), "smc_diag: local_gid");
		ASSERT_OK(memcmp(&gids[2], diag->peer_gid, 16), "smc_diag: peer_gid");
		ASSERT_OK(memcmp(&gids[0], lgr->gid, 16), "netlink: local_gid");
		ASSERT_OK(memcmp(&gids[2], lgr->peer_gid, 16), "netlink: peer_gid");
		ASSERT_EQ(res->chid, lgr->chid, "netlink: chid");
		ASSERT_EQ(res->ib_port, 0, "no RDMA");
		return;
	}
	gid_text(gid, res->local_gid);
	gid_text(peer, res->peer_gid);
	ASSERT_STREQ((const char *)res->ib_name, (const char *)diag->link.ibname,
		     "smc_diag: ib_name");
	ASSERT_EQ(res->ib_port, diag->link.ibport, "smc_diag: ib_port");
	ASSERT_OK(memcmp(gid, diag->link.gid, 39), "smc_diag: local_gid");
	ASSERT_OK(memcmp(peer, diag->link.peer_gid, 39), "smc_diag: peer_gid");
	if (ASSERT_GE(lgr->links, 1, "netlink: links")) {
		ASSERT_STREQ((const char *)res->ib_name, lgr->link[0].ibname, "netlink: ib_name");
		ASSERT_EQ(res->ib_port, lgr->link[0].port, "netlink: ib_port");
		ASSERT_STREQ(gid, lgr->link[0].gid, "netlink: local_gid");
		ASSERT_STREQ(peer, lgr->link[0].peer_gid, "netlink: peer_gid");
	}
	if (res->version > 1) {
		ASSERT_EQ(res->max_conns, lgr->max_conns, "netlink: max_conns");
		ASSERT_EQ(res->max_links, lgr->max_links, "netlink: max_links");
		ASSERT_EQ(!res->uses_gateway, lgr->direct, "netlink: uses_gateway");
	}
}

static __u32 uncompressed(int size)
{
	return 16384u << size;
}

/* What @res says of its own @mine and its peer's @theirs: accept and confirm, or the reverse */
static void against_smcd(const struct smc_ulp_result *res, const struct clc_smcd *mine,
			 const struct clc_smcd *theirs)
{
	__u64 gids[4];

	memcpy(&gids[0], res->local_gid, 16);
	memcpy(&gids[2], res->peer_gid, 16);
	ASSERT_EQ(gids[0], be64toh(mine->gid), "local_gid");
	ASSERT_EQ(gids[2], be64toh(theirs->gid), "peer_gid");
	/* the head of the buffer is for the CDC message */
	ASSERT_EQ(res->rcvbuf, uncompressed(mine->dmbe_size) - 32, "rcvbuf");
	ASSERT_EQ(res->peer_rcvbuf, uncompressed(theirs->dmbe_size) - 32, "peer_rcvbuf");
	if (res->version < 2)
		return;
	ASSERT_EQ(gids[1], be64toh(mine->gid_ext), "local_gid, extension");
	ASSERT_EQ(gids[3], be64toh(theirs->gid_ext), "peer_gid, extension");
	ASSERT_EQ(res->chid, ntohs(theirs->chid), "chid");
	ASSERT_OK(memcmp(res->eid, theirs->eid, sizeof(res->eid)), "eid");
}

static void against_smcr(const struct smc_ulp_result *res, const struct clc_smcr *mine,
			 const struct clc_smcr *theirs)
{
	ASSERT_OK(memcmp(res->local_gid, mine->local.gid, 16), "local_gid");
	ASSERT_OK(memcmp(res->peer_gid, theirs->local.gid, 16), "peer_gid");
	ASSERT_OK(memcmp(res->peer_systemid, theirs->local.systemid, 8), "peer_systemid");
	ASSERT_EQ(res->rcvbuf, uncompressed(mine->rmbe_size), "rcvbuf");
	ASSERT_EQ(res->peer_rcvbuf, uncompressed(theirs->rmbe_size), "peer_rcvbuf");
	/* accept and confirm of later connections have the queue pair as well */
	ASSERT_EQ(res->peer_qpn, theirs->qpn[0] << 16 | theirs->qpn[1] << 8 | theirs->qpn[2],
		  "peer_qpn");
	if (res->version > 1)
		ASSERT_OK(memcmp(res->eid, theirs->eid, sizeof(res->eid)), "eid");
}

static void against_wire(const struct seen *seen)
{
	static const __u8 none[8];
	bool smcd = env.world == WORLD_SMCD;
	size_t need = smcd ? offsetof(struct clc_smcd, chid) : offsetof(struct clc_smcr, eid);
	const struct clc_proposal *proposal;
	const struct clc_hdr *accept, *confirm;
	const struct clc_fce *fce;
	__u16 features = 0;
	bool first;

	proposal = clc_find(&seen->streams[0], CLC_PROPOSAL, sizeof(*proposal));
	accept = clc_find(&seen->streams[1], CLC_ACCEPT, need);
	confirm = clc_find(&seen->streams[0], CLC_CONFIRM, need);
	if (!ASSERT_OK_PTR(proposal, "proposal on the wire") ||
	    !ASSERT_OK_PTR(accept, "accept on the wire") ||
	    !ASSERT_OK_PTR(confirm, "confirm on the wire"))
		return;
	first = accept->typev2 & 2;
	test__debug("version %u, %s contact, server's host %.32s", accept->version,
		    first ? "first" : "later", seen->client.peer_hostname);
	ASSERT_EQ(seen->client.first_contact, first, "client: first_contact");
	ASSERT_EQ(seen->server.first_contact, first, "server: first_contact");
	ASSERT_EQ(seen->client.version, accept->version, "client: version");
	ASSERT_EQ(seen->server.version, accept->version, "server: version");

	if (first && accept->version > 1) {
		size_t at = smcd ? sizeof(struct clc_smcd) : sizeof(struct clc_smcr);

		fce = (const void *)confirm + at;
		if (ntohs(confirm->length) >= at + sizeof(*fce) + 4 && fce->release)
			features = ntohs(fce->features);
		ASSERT_EQ(seen->server.peer_os, fce->os, "server: peer_os");
		ASSERT_EQ(seen->server.release, fce->release, "server: release");
		ASSERT_OK(memcmp(seen->server.peer_hostname, fce->hostname, 32),
			  "server: peer_hostname");
		fce = (const void *)accept + at;
		ASSERT_EQ(seen->client.peer_os, fce->os, "client: peer_os");
		ASSERT_EQ(seen->client.release, fce->release, "client: release");
		ASSERT_OK(memcmp(seen->client.peer_hostname, fce->hostname, 32),
			  "client: peer_hostname");
	}
	ASSERT_EQ(seen->client.feature_mask, features, "client: feature_mask");
	ASSERT_EQ(seen->server.feature_mask, features, "server: feature_mask");
	if (smcd) {
		against_smcd(&seen->client, (const void *)confirm, (const void *)accept);
		against_smcd(&seen->server, (const void *)accept, (const void *)confirm);
		/* Linux has a system id, and sends it, only with an RDMA device */
		ASSERT_OK(memcmp(seen->server.peer_systemid, proposal->local.systemid, 8),
			  "server: peer_systemid");
		ASSERT_OK(memcmp(seen->client.peer_systemid, none, 8),
			  "a server over SMC-D sends no system id");
	} else {
		against_smcr(&seen->client, (const void *)confirm, (const void *)accept);
		against_smcr(&seen->server, (const void *)accept, (const void *)confirm);
	}
}

static void others_agree(void)
{
	static struct seen seen[2];
	struct policy policy;

	if (!policy_open(&policy, true))
		return;
	if (!see(&policy, &seen[0]))
		goto out;
	against_kernel(&seen[0].client, &seen[0].diag[0], &seen[0].lgr[0]);
	against_kernel(&seen[0].server, &seen[0].diag[1], &seen[0].lgr[1]);
	against_wire(&seen[0]);
	/* while that one lives, the next one joins its link group */
	if (see(&policy, &seen[1])) {
		against_kernel(&seen[1].client, &seen[1].diag[0], &seen[1].lgr[0]);
		against_kernel(&seen[1].server, &seen[1].diag[1], &seen[1].lgr[1]);
		against_wire(&seen[1]);
		ASSERT_EQ(seen[1].client.first_contact, 0, "a second contact");
		/* on one machine over SMC-D, that of the other side serves as well */
		ASSERT_TRUE(seen[1].client.lgr_id == seen[0].client.lgr_id ||
			    (env.world == WORLD_SMCD &&
			     seen[1].client.lgr_id == seen[0].server.lgr_id),
			    "the same link group");
		pair_close(&seen[1].pair);
	}
	pair_close(&seen[0].pair);
out:
	policy_close(&policy);
}

/* --- a peer that declines --------------------------------------------------------------------- */

/* In pieces of @piece bytes; @v2 with more reason codes than one */
static void declined(int piece, bool v2)
{
	struct clc_decline_v2 msg = {
		.hdr = {
			.eyecatcher = { 0xe2, 0xd4, 0xc3, 0xd9 },
			.type = CLC_DECLINE,
			.length = htons(v2 ? sizeof(msg) : sizeof(msg) - sizeof(msg.more)),
			.version = v2 ? 2 : 1,
		},
		.systemid = "\x01\x02systid",
		.diagnosis = htonl(0x03070000),
		.os = 3,
		.more = { htonl(1), htonl(0x02030405), 0, htonl(0xffffffff) },
		.trailer = { 0xe2, 0xd4, 0xc3, 0xd9 },
	};
	size_t len = ntohs(msg.hdr.length), at;
	struct clc_peer peer = {};
	struct policy policy;
	const struct record *r;
	int lfd, fd, child, i;

	if (!v2)
		memcpy(msg.more, msg.trailer, sizeof(msg.trailer));
	if (!policy_open(&policy, true))
		return;
	if (!clc_peer_open(&peer))
		goto out;
	lfd = clc_peer_listen(&peer, V4);
	fd = sock_make(ULP, V4);
	set_nonblock(fd, true);
	ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), EINPROGRESS, "connect");
	child = accept(lfd, NULL, NULL);
	ASSERT_EQ(clc_recv(child), CLC_PROPOSAL, "proposal");
	sock_set(child, SOL_TCP, TCP_NODELAY, 1);
	for (at = 0; at < len; at += piece) {
		size_t n = len - at < (size_t)piece ? len - at : (size_t)piece;

		if (!ASSERT_EQ(send(child, (char *)&msg + at, n, MSG_NOSIGNAL), n, "send"))
			break;
	}
	r = policy_record(&policy, CB_FALLBACK, sock_cookie(fd), 0);
	if (ASSERT_OK_PTR(r, "policy->fallback")) {
		ASSERT_EQ(r->result.reason, REASON_PEER_DECLINED, "reason");
		ASSERT_EQ(r->result.peer_diagnosis, 0x03070000, "peer_diagnosis");
		ASSERT_OK(memcmp(r->result.peer_systemid, msg.systemid, 8), "peer_systemid");
		ASSERT_EQ(r->result.peer_os, 3, "peer_os");
		for (i = 0; i < 4; i++)
			ASSERT_EQ(r->result.peer_diagnosis_v2[i], v2 ? ntohl(msg.more[i]) : 0,
				  "peer_diagnosis_v2");
		ASSERT_EQ(r->result.first_contact, 0, "first_contact");
		ASSERT_EQ(r->result.mode, SMC_ULP_MODE_TCP, "mode");
	}
	sock_close(&child);
	sock_close(&fd);
	sock_close(&lfd);
	clc_peer_close(&peer);
out:
	policy_close(&policy);
}

/* Our server; the peer proposes what we cannot, and is declined */
static void proposed(int piece)
{
	struct {
		struct clc_proposal base;
		__u8 rest[10];		/* no more than addresses, and none of them */
		__u8 trailer[4];
	} __attribute__((packed)) msg = {
		.base.hdr = {
			.eyecatcher = { 0xe2, 0xd4, 0xc3, 0xd9 },
			.type = CLC_PROPOSAL,
			.length = htons(sizeof(msg)),
			.version = 1,
		},
		.base.local.systemid = "propose",
		.trailer = { 0xe2, 0xd4, 0xc3, 0xd9 },
	};
	struct clc_peer peer = {};
	struct policy policy;
	const struct record *r;
	int lfd, fd, child;
	size_t at;

	if (!policy_open(&policy, true))
		return;
	if (!clc_peer_open(&peer))
		goto out;
	lfd = sock_listen(ULP, V4, 4);
	fd = clc_peer_socket(&peer, V4);
	sock_set(fd, SOL_TCP, TCP_NODELAY, 1);
	ASSERT_OK(sock_connect(fd, V4, sock_port(lfd)), "connect");
	for (at = 0; at < sizeof(msg); at += piece) {
		size_t n = sizeof(msg) - at < (size_t)piece ? sizeof(msg) - at : (size_t)piece;

		if (!ASSERT_EQ(send(fd, (char *)&msg + at, n, MSG_NOSIGNAL), n, "send"))
			break;
	}
	ASSERT_EQ(clc_recv(fd), CLC_DECLINE, "declined");
	child = accept(lfd, NULL, NULL);
	r = policy_record(&policy, CB_FALLBACK, sock_cookie(child), 0);
	if (ASSERT_OK_PTR(r, "policy->fallback")) {
		ASSERT_NEQ(r->result.reason, 0, "reason");
		ASSERT_OK(memcmp(r->result.peer_systemid, "propose", 8), "peer_systemid");
		ASSERT_EQ(r->result.peer_os, 0, "peer_os");
	}
	sock_close(&child);
	sock_close(&fd);
	sock_close(&lfd);
	clc_peer_close(&peer);
out:
	policy_close(&policy);
}

TEST(result, WORLD_SMC, 60, TEST_NEEDS_ULP)
{
	if (test__start_subtest("others_agree"))
		others_agree();
	if (env.world != WORLD_SMCD)
		return;
	if (test__start_subtest("declined"))
		declined(100, false);
	if (test__start_subtest("declined_bytewise"))
		declined(1, false);
	if (test__start_subtest("declined_v2"))
		declined(100, true);
	if (test__start_subtest("declined_v2_bytewise"))
		declined(1, true);
	if (test__start_subtest("proposed"))
		proposed(100);
	if (test__start_subtest("proposed_bytewise"))
		proposed(1);
}
