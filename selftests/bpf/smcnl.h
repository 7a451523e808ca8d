/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Netlink: what the kernel says of its SMC sockets, and killing TCP sockets.
 */
#ifndef _SMCNL_H
#define _SMCNL_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <linux/smc_diag.h>

/* sk_state of an SMC socket, see include/net/smc.h of the kernel */
enum {
	SMC_STATE_ACTIVE = 1,
	SMC_STATE_INIT = 2,
	SMC_STATE_CLOSED = 7,
	SMC_STATE_LISTEN = 10,
	/* from here on it is being closed */
	SMC_STATE_PEERCLOSEWAIT1 = 20,
};

struct smcdiag_row {
	__u8 state;
	__u8 mode;		/* SMC_DIAG_MODE_* */
	__u16 sport, dport;	/* host order */
	__be32 src[4], dst[4];
	__u64 inode;
	__u32 reason;		/* of the fallback */
	__u32 peer_diagnosis;
	__u32 sndbuf, rcvbuf, peer_rcvbuf;	/* 0 without a link group */
	__u32 lgr_id;				/* SMC-D */
	__u64 gid[2], peer_gid[2];		/* SMC-D: and the extension */
	struct smc_diag_linkinfo link;		/* SMC-R */
};

/* The SMC sockets of this netns; the number of them, or a negative errno. */
int smcdiag__dump(struct smcdiag_row *rows, int max);
int smcdiag__count(void);
void smcdiag__print(void);
/* The socket with these ports (host order). */
bool smcdiag__find(__u16 sport, __u16 dport, struct smcdiag_row *row);
const char *smcdiag__mode(int mode);

/* Adds or removes the user-defined EID @name of this machine (32 characters at most); 0 or -errno. */
int smc_ueid(bool add, const char *name);
/* How many link groups for SMC-D or SMC-R there are, or -errno. */
int smc_link_groups(bool smcd);

/* One link group, as the generic netlink family of smc.ko tells */
struct smcnl_lgr {
	__u32 id;
	__u8 vlan, version, release, os;	/* version 0 is 1 */
	char pnetid[17], host[33], eid[33];
	/* SMC-D */
	__u32 chid;
	__u64 gid[2], peer_gid[2];
	/* SMC-R */
	__u8 role, direct, max_conns, max_links;
	int links;
	struct {
		char ibname[64];
		__u8 port;
		char gid[41], peer_gid[41];
	} link[3];
};

bool smcnl__lgr(__u32 id, bool smcd, struct smcnl_lgr *lgr);

/* SOCK_DESTROY of a TCP socket by its addresses, as "ss -K"; 0 or -errno. */
int sock_destroy(int fd);

#endif
