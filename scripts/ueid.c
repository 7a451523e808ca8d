// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: ueid [-d] NAME
 *
 * Adds the user-defined EID (UEID) NAME to this machine, or removes it (-d), as
 * "smcd ueid add" and "del" of smc-tools do (Debian has no smc-tools). Two SMC peers without a UEID in
 * common, and without a common system EID, always fall back to TCP.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/smc.h>

struct request {
	struct nlmsghdr nlh;
	struct genlmsghdr genl;
	char attrs[64];
};

static void put_string(struct request *req, int type, const char *s)
{
	struct nlattr *nla = (void *)((char *)req + NLMSG_ALIGN(req->nlh.nlmsg_len));

	nla->nla_type = type;
	nla->nla_len = NLA_HDRLEN + strlen(s) + 1;
	memcpy((char *)nla + NLA_HDRLEN, s, strlen(s) + 1);
	req->nlh.nlmsg_len = NLMSG_ALIGN(req->nlh.nlmsg_len) + NLA_ALIGN(nla->nla_len);
}

static void init_request(struct request *req, int family, int cmd)
{
	memset(req, 0, sizeof(*req));
	req->nlh.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	req->nlh.nlmsg_type = family;
	req->nlh.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	req->genl.cmd = cmd;
	req->genl.version = 1;
}

/*
 * Sends the request and reads answers up to the acknowledgment. Returns 0 or a
 * negative errno; *family, if any, is what a controller's answer says.
 */
static int talk(int fd, const struct request *req, int *family)
{
	char buf[8192];
	ssize_t len;

	if (send(fd, req, req->nlh.nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		struct nlmsghdr *nlh = (void *)buf;

		len = recv(fd, buf, sizeof(buf), 0);
		if (len < 0)
			return -errno;
		for (; NLMSG_OK(nlh, len); nlh = NLMSG_NEXT(nlh, len)) {
			char *pos, *end;

			if (nlh->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)NLMSG_DATA(nlh))->error;
			pos = (char *)NLMSG_DATA(nlh) + GENL_HDRLEN;
			end = (char *)nlh + nlh->nlmsg_len;
			while (family && pos + NLA_HDRLEN <= end) {
				struct nlattr *nla = (void *)pos;

				if (nla->nla_len < NLA_HDRLEN)
					break;
				if (nla->nla_type == CTRL_ATTR_FAMILY_ID)
					*family = *(unsigned short *)(pos + NLA_HDRLEN);
				pos += NLA_ALIGN(nla->nla_len);
			}
		}
	}
}

int main(int argc, char **argv)
{
	struct request req;
	char eid[SMC_MAX_EID_LEN + 1];
	bool del = argc == 3 && !strcmp(argv[1], "-d");
	const char *name = argv[argc - 1];
	int fd, err, family = 0;

	if (argc != 2 + del || strlen(name) > SMC_MAX_EID_LEN) {
		fprintf(stderr, "usage: ueid [-d] NAME (at most %d characters of A-Z, 0-9, '.', '-')\n",
			SMC_MAX_EID_LEN);
		return 2;
	}
	/* an EID is always 32 characters, filled up with blanks */
	snprintf(eid, sizeof(eid), "%-*s", SMC_MAX_EID_LEN, name);

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (fd < 0) {
		fprintf(stderr, "ueid: no generic netlink: %s\n", strerror(errno));
		return 1;
	}
	init_request(&req, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	put_string(&req, CTRL_ATTR_FAMILY_NAME, SMC_GENL_FAMILY_NAME);
	err = talk(fd, &req, &family);
	if (err || !family) {
		fprintf(stderr, "ueid: no %s family: is smc.ko loaded? (%s)\n",
			SMC_GENL_FAMILY_NAME, strerror(-err));
		return 1;
	}
	init_request(&req, family, del ? SMC_NETLINK_REMOVE_UEID : SMC_NETLINK_ADD_UEID);
	put_string(&req, SMC_NLA_EID_TABLE_ENTRY, eid);
	err = talk(fd, &req, NULL);
	if (err && err != (del ? -ENOENT : -EEXIST)) {
		fprintf(stderr, "ueid: cannot %s '%s': %s%s\n",
			del ? "remove" : "add", name, strerror(-err),
			err == -EINVAL ? " (only A-Z, 0-9, '.' and '-')" :
			err == -ERANGE ? " (no more than 4 are possible)" :
			err == -EPERM ? " (root is needed)" : "");
		return 1;
	}
	close(fd);
	return 0;
}
