// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/smc.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>

#include "smcnl.h"
#include "test_progs.h"

#ifndef AF_SMC
#define AF_SMC 43
#endif

typedef int (*message_fn)(const struct nlmsghdr *nlh, void *data);

/* Sends @nlh and hands each answer to @fn until the end of the dump; 0 or -errno. */
static int talk(int proto, struct nlmsghdr *nlh, message_fn fn, void *data)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, proto), rc = 0;
	struct timeval limit = { .tv_sec = 30 };
	static __thread char buf[65536] __attribute__((aligned(8)));
	bool done = false;
	ssize_t len;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (send(fd, nlh, nlh->nlmsg_len, 0) < 0) {
		rc = -errno;
		done = true;
	}
	while (!done) {
		len = recv(fd, buf, sizeof(buf), 0);
		if (len < 0) {
			rc = -errno;
			break;
		}
		for (nlh = (void *)buf; NLMSG_OK(nlh, len); nlh = NLMSG_NEXT(nlh, len)) {
			if (nlh->nlmsg_type == NLMSG_DONE) {
				done = true;
			} else if (nlh->nlmsg_type == NLMSG_ERROR) {
				rc = ((struct nlmsgerr *)NLMSG_DATA(nlh))->error;
				done = true;
			} else if (fn) {
				rc = fn(nlh, data);
				if (rc)
					done = true;
			}
			if (done)
				break;
		}
	}
	close(fd);
	return rc;
}

struct dump {
	struct smcdiag_row *rows;
	int max, n;
};

static int one_row(const struct nlmsghdr *nlh, void *data)
{
	const struct smc_diag_msg *msg = NLMSG_DATA(nlh);
	int left = nlh->nlmsg_len - NLMSG_LENGTH(sizeof(*msg));
	const struct nlattr *attr = (const void *)(msg + 1);
	struct dump *dump = data;
	struct smcdiag_row *row;

	if (dump->n++ >= dump->max)
		return 0;
	row = &dump->rows[dump->n - 1];
	memset(row, 0, sizeof(*row));
	row->state = msg->diag_state;
	row->mode = msg->diag_mode;
	row->sport = ntohs(msg->id.idiag_sport);
	row->dport = ntohs(msg->id.idiag_dport);
	memcpy(row->src, msg->id.idiag_src, sizeof(row->src));
	memcpy(row->dst, msg->id.idiag_dst, sizeof(row->dst));
	row->inode = msg->diag_inode;
	while (left >= (int)sizeof(*attr) && attr->nla_len >= sizeof(*attr)) {
		if (attr->nla_type == SMC_DIAG_FALLBACK) {
			const struct smc_diag_fallback *fallback = (const void *)(attr + 1);

			row->reason = fallback->reason;
			row->peer_diagnosis = fallback->peer_diagnosis;
		} else if (attr->nla_type == SMC_DIAG_CONNINFO) {
			const struct smc_diag_conninfo *conn = (const void *)(attr + 1);

			row->sndbuf = conn->sndbuf_size;
			row->rcvbuf = conn->rmbe_size;
			row->peer_rcvbuf = conn->peer_rmbe_size;
		} else if (attr->nla_type == SMC_DIAG_DMBINFO) {
			struct smcd_diag_dmbinfo dmb;

			memcpy(&dmb, attr + 1, sizeof(dmb));
			row->lgr_id = dmb.linkid;
			row->gid[0] = dmb.my_gid;
			row->gid[1] = dmb.my_gid_ext;
			row->peer_gid[0] = dmb.peer_gid;
			row->peer_gid[1] = dmb.peer_gid_ext;
		} else if (attr->nla_type == SMC_DIAG_LGRINFO) {
			memcpy(&row->link, attr + 1, sizeof(row->link));
		}
		left -= NLA_ALIGN(attr->nla_len);
		attr = (const void *)attr + NLA_ALIGN(attr->nla_len);
	}
	return 0;
}

int smcdiag__dump(struct smcdiag_row *rows, int max)
{
	struct {
		struct nlmsghdr nlh;
		struct smc_diag_req req;
	} msg = {
		.nlh = {
			.nlmsg_len = sizeof(msg),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		},
		.req = {
			.diag_family = AF_SMC,
			.diag_ext = 1 << (SMC_DIAG_LGRINFO - 1) | 1 << (SMC_DIAG_DMBINFO - 1) |
				    1 << (SMC_DIAG_CONNINFO - 1),
		},
	};
	struct dump dump = { .rows = rows, .max = max };
	int rc = talk(NETLINK_SOCK_DIAG, &msg.nlh, one_row, &dump);

	return rc < 0 ? rc : dump.n;
}

int smcdiag__count(void)
{
	int n = smcdiag__dump(NULL, 0);

	return n < 0 ? 0 : n;
}

const char *smcdiag__mode(int mode)
{
	switch (mode) {
	case SMC_DIAG_MODE_SMCD: return "SMC-D";
	case SMC_DIAG_MODE_SMCR: return "SMC-R";
	case SMC_DIAG_MODE_FALLBACK_TCP: return "TCP";
	}
	return "?";
}

void smcdiag__print(void)
{
	struct smcdiag_row rows[64];
	int i, n = smcdiag__dump(rows, ARRAY_SIZE(rows));

	for (i = 0; i < n && i < (int)ARRAY_SIZE(rows); i++)
		test__log("  smc_diag: %s, state %d, ports %u to %u, reason %08x, peer %08x",
			  smcdiag__mode(rows[i].mode), rows[i].state, rows[i].sport, rows[i].dport,
			  rows[i].reason, rows[i].peer_diagnosis);
}

bool smcdiag__find(__u16 sport, __u16 dport, struct smcdiag_row *row)
{
	struct smcdiag_row rows[512];
	int i, n = smcdiag__dump(rows, ARRAY_SIZE(rows));

	for (i = 0; i < n && i < (int)ARRAY_SIZE(rows); i++) {
		if (rows[i].sport == sport && rows[i].dport == dport) {
			*row = rows[i];
			return true;
		}
	}
	return false;
}

/* --- generic netlink ------------------------------------------------------------------------ */

struct genl_request {
	struct nlmsghdr nlh;
	struct genlmsghdr genl;
	char attrs[64];
};

static void genl_init(struct genl_request *req, int family, int cmd, int flags)
{
	memset(req, 0, sizeof(*req));
	req->nlh.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	req->nlh.nlmsg_type = family;
	req->nlh.nlmsg_flags = NLM_F_REQUEST | flags;
	req->genl.cmd = cmd;
	req->genl.version = 1;
}

static void genl_put_string(struct genl_request *req, int type, const char *s)
{
	struct nlattr *nla = (void *)((char *)req + NLMSG_ALIGN(req->nlh.nlmsg_len));

	nla->nla_type = type;
	nla->nla_len = NLA_HDRLEN + strlen(s) + 1;
	memcpy((char *)nla + NLA_HDRLEN, s, strlen(s) + 1);
	req->nlh.nlmsg_len = NLMSG_ALIGN(req->nlh.nlmsg_len) + NLA_ALIGN(nla->nla_len);
}

static int one_family(const struct nlmsghdr *nlh, void *data)
{
	const char *pos = (const char *)NLMSG_DATA(nlh) + GENL_HDRLEN;
	const char *end = (const char *)nlh + nlh->nlmsg_len;

	while (pos + NLA_HDRLEN <= end) {
		const struct nlattr *nla = (const void *)pos;

		if (nla->nla_len < NLA_HDRLEN)
			break;
		if (nla->nla_type == CTRL_ATTR_FAMILY_ID)
			*(int *)data = *(const __u16 *)(pos + NLA_HDRLEN);
		pos += NLA_ALIGN(nla->nla_len);
	}
	return 0;
}

/* The number of smc.ko's family, or -errno */
static int smc_family(void)
{
	struct genl_request req;
	int family = -ENOENT, rc;

	genl_init(&req, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, NLM_F_ACK);
	genl_put_string(&req, CTRL_ATTR_FAMILY_NAME, SMC_GENL_FAMILY_NAME);
	rc = talk(NETLINK_GENERIC, &req.nlh, one_family, &family);
	return rc ?: family;
}

int smc_ueid(bool add, const char *name)
{
	int family = smc_family();
	struct genl_request req;
	char eid[SMC_MAX_EID_LEN + 1];

	if (family < 0)
		return family;
	/* always 32 characters, filled up with blanks */
	snprintf(eid, sizeof(eid), "%-*s", SMC_MAX_EID_LEN, name);
	genl_init(&req, family, add ? SMC_NETLINK_ADD_UEID : SMC_NETLINK_REMOVE_UEID, NLM_F_ACK);
	genl_put_string(&req, SMC_NLA_EID_TABLE_ENTRY, eid);
	return talk(NETLINK_GENERIC, &req.nlh, NULL, NULL);
}

static int count_one(const struct nlmsghdr *nlh, void *data)
{
	(void)nlh;
	++*(int *)data;
	return 0;
}

int smc_link_groups(bool smcd)
{
	int family = smc_family(), n = 0, rc;
	struct genl_request req;

	if (family < 0)
		return family;
	genl_init(&req, family, smcd ? SMC_NETLINK_GET_LGR_SMCD : SMC_NETLINK_GET_LGR_SMCR,
		  NLM_F_DUMP);
	rc = talk(NETLINK_GENERIC, &req.nlh, count_one, &n);
	return rc ?: n;
}

typedef void (*attr_fn)(int type, const void *value, int len, void *data);

static void attributes(const void *from, int left, attr_fn fn, void *data)
{
	const struct nlattr *attr = from;

	while (left >= (int)sizeof(*attr) && attr->nla_len >= sizeof(*attr) &&
	       attr->nla_len <= left) {
		fn(attr->nla_type & NLA_TYPE_MASK, attr + 1, attr->nla_len - sizeof(*attr), data);
		left -= NLA_ALIGN(attr->nla_len);
		attr = (const void *)attr + NLA_ALIGN(attr->nla_len);
	}
}

static void copy(void *to, size_t size, const void *value, int len)
{
	memset(to, 0, size);
	memcpy(to, value, (size_t)len < size ? (size_t)len : size);
}

struct lgr_search {
	__u32 id;
	bool smcd, found;
	struct smcnl_lgr now;		/* what is being read; links follow their link group */
	struct smcnl_lgr *result;
};

static void v2_attr(int type, const void *value, int len, void *data)
{
	struct smcnl_lgr *lgr = data;

	switch (type) {
	case SMC_NLA_LGR_V2_VER: copy(&lgr->version, 1, value, len); break;
	case SMC_NLA_LGR_V2_REL: copy(&lgr->release, 1, value, len); break;
	case SMC_NLA_LGR_V2_OS: copy(&lgr->os, 1, value, len); break;
	case SMC_NLA_LGR_V2_NEG_EID: copy(lgr->eid, sizeof(lgr->eid), value, len); break;
	case SMC_NLA_LGR_V2_PEER_HOST: copy(lgr->host, sizeof(lgr->host), value, len); break;
	}
}

static void r_v2_attr(int type, const void *value, int len, void *data)
{
	struct smcnl_lgr *lgr = data;

	switch (type) {
	case SMC_NLA_LGR_R_V2_DIRECT: copy(&lgr->direct, 1, value, len); break;
	case SMC_NLA_LGR_R_V2_MAX_CONNS: copy(&lgr->max_conns, 1, value, len); break;
	case SMC_NLA_LGR_R_V2_MAX_LINKS: copy(&lgr->max_links, 1, value, len); break;
	}
}

static void d_attr(int type, const void *value, int len, void *data)
{
	struct smcnl_lgr *lgr = data;

	switch (type) {
	case SMC_NLA_LGR_D_ID: copy(&lgr->id, 4, value, len); break;
	case SMC_NLA_LGR_D_GID: copy(&lgr->gid[0], 8, value, len); break;
	case SMC_NLA_LGR_D_EXT_GID: copy(&lgr->gid[1], 8, value, len); break;
	case SMC_NLA_LGR_D_PEER_GID: copy(&lgr->peer_gid[0], 8, value, len); break;
	case SMC_NLA_LGR_D_PEER_EXT_GID: copy(&lgr->peer_gid[1], 8, value, len); break;
	case SMC_NLA_LGR_D_VLAN_ID: copy(&lgr->vlan, 1, value, len); break;
	case SMC_NLA_LGR_D_CHID: copy(&lgr->chid, 4, value, len); break;
	case SMC_NLA_LGR_D_PNETID: copy(lgr->pnetid, sizeof(lgr->pnetid), value, len); break;
	case SMC_NLA_LGR_D_V2_COMMON: attributes(value, len, v2_attr, lgr); break;
	}
}

static void r_attr(int type, const void *value, int len, void *data)
{
	struct smcnl_lgr *lgr = data;

	switch (type) {
	case SMC_NLA_LGR_R_ID: copy(&lgr->id, 4, value, len); break;
	case SMC_NLA_LGR_R_ROLE: copy(&lgr->role, 1, value, len); break;
	case SMC_NLA_LGR_R_VLAN_ID: copy(&lgr->vlan, 1, value, len); break;
	case SMC_NLA_LGR_R_PNETID: copy(lgr->pnetid, sizeof(lgr->pnetid), value, len); break;
	case SMC_NLA_LGR_R_V2_COMMON: attributes(value, len, v2_attr, lgr); break;
	case SMC_NLA_LGR_R_V2: attributes(value, len, r_v2_attr, lgr); break;
	}
}

static void link_attr(int type, const void *value, int len, void *data)
{
	struct smcnl_lgr *lgr = data;
	typeof(&lgr->link[0]) link = &lgr->link[lgr->links];

	switch (type) {
	case SMC_NLA_LINK_IB_DEV: copy(link->ibname, sizeof(link->ibname), value, len); break;
	case SMC_NLA_LINK_IB_PORT: copy(&link->port, 1, value, len); break;
	case SMC_NLA_LINK_GID: copy(link->gid, sizeof(link->gid), value, len); break;
	case SMC_NLA_LINK_PEER_GID:
		copy(link->peer_gid, sizeof(link->peer_gid), value, len);
		break;
	}
}

static void lgr_attr(int type, const void *value, int len, void *data)
{
	struct lgr_search *search = data;

	if (type == SMC_GEN_LINK_SMCR) {
		if (search->now.links < 3) {
			attributes(value, len, link_attr, &search->now);
			search->now.links++;
		}
	} else {
		memset(&search->now, 0, sizeof(search->now));
		attributes(value, len, search->smcd ? d_attr : r_attr, &search->now);
	}
	if (search->now.id == search->id) {
		search->found = true;
		*search->result = search->now;
	}
}

static int lgr_message(const struct nlmsghdr *nlh, void *data)
{
	attributes(NLMSG_DATA(nlh) + GENL_HDRLEN, nlh->nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN),
		   lgr_attr, data);
	return 0;
}

bool smcnl__lgr(__u32 id, bool smcd, struct smcnl_lgr *lgr)
{
	struct lgr_search search = { .id = id, .smcd = smcd, .result = lgr };
	int family = smc_family();
	struct genl_request req;

	if (family < 0)
		return false;
	genl_init(&req, family, smcd ? SMC_NETLINK_GET_LGR_SMCD : SMC_NETLINK_GET_LINK_SMCR,
		  NLM_F_DUMP);
	return talk(NETLINK_GENERIC, &req.nlh, lgr_message, &search) >= 0 && search.found;
}

/* --- killing ------------------------------------------------------------------------------ */

static void put_address(const struct sockaddr_storage *from, __be32 *addr, __be16 *port)
{
	const struct sockaddr_in6 *sin6 = (const void *)from;
	const struct sockaddr_in *sin = (const void *)from;

	if (from->ss_family == AF_INET) {
		addr[0] = sin->sin_addr.s_addr;
		*port = sin->sin_port;
	} else {
		memcpy(addr, &sin6->sin6_addr, 16);
		*port = sin6->sin6_port;
	}
}

int sock_destroy(int fd)
{
	struct sockaddr_storage local = {}, remote = {};
	socklen_t len = sizeof(local);
	struct {
		struct nlmsghdr nlh;
		struct inet_diag_req_v2 req;
	} msg = {
		.nlh = {
			.nlmsg_len = sizeof(msg),
			.nlmsg_type = SOCK_DESTROY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		},
		.req = {
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = -1,
			.id = { .idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } },
		},
	};

	if (getsockname(fd, (void *)&local, &len))
		return -errno;
	len = sizeof(remote);
	if (getpeername(fd, (void *)&remote, &len))
		return -errno;
	msg.req.sdiag_family = local.ss_family;
	put_address(&local, msg.req.id.idiag_src, &msg.req.id.idiag_sport);
	put_address(&remote, msg.req.id.idiag_dst, &msg.req.id.idiag_dport);
	return talk(NETLINK_SOCK_DIAG, &msg.nlh, NULL, NULL);
}
