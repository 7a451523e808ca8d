// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * What smc.ko says over generic netlink
 */
#include <sys/socket.h>
#include <unistd.h>

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/smc.h>

#include "internal.h"

struct request {
	struct nlmsghdr nlh;
	struct genlmsghdr genl;
	struct nlattr attr;
	char name[sizeof(SMC_GENL_FAMILY_NAME)];
};

/* Gets each attribute of each answer. */
typedef void (*attr_fn)(int type, const void *data, int len, void *context);

/* Number of answers, or -errno. */
static int talk(const struct request *request, attr_fn function, void *context)
{
	static __thread char buf[32768] __attribute__((aligned(8)));
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC), count = 0, err = 0;
	struct timeval limit = { .tv_sec = 5 };
	struct nlmsghdr *nlh;
	bool done = false;
	ssize_t len;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (send(fd, request, request->nlh.nlmsg_len, 0) < 0)
		err = -errno;
	while (!err && !done) {
		len = recv(fd, buf, sizeof(buf), 0);
		if (len < 0) {
			err = -errno;
			break;
		}
		for (nlh = (void *)buf; NLMSG_OK(nlh, len) && !done; nlh = NLMSG_NEXT(nlh, len)) {
			struct nlattr *attr = NLMSG_DATA(nlh) + GENL_HDRLEN;
			int left = nlh->nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN);

			if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR) {
				/* both begin with an error */
				err = *(int *)NLMSG_DATA(nlh);
				done = true;
				continue;
			}
			count++;
			while (function && left >= NLA_HDRLEN && attr->nla_len >= NLA_HDRLEN &&
			       attr->nla_len <= left) {
				function(attr->nla_type & NLA_TYPE_MASK, (void *)attr + NLA_HDRLEN,
					 attr->nla_len - NLA_HDRLEN, context);
				left -= NLA_ALIGN(attr->nla_len);
				attr = (void *)attr + NLA_ALIGN(attr->nla_len);
			}
		}
	}
	close(fd);
	return err ?: count;
}

static void get_family(int type, const void *data, int len, void *context)
{
	if (type == CTRL_ATTR_FAMILY_ID && len >= 2)
		*(int *)context = *(const uint16_t *)data;
}

static int dump(int command, attr_fn function, void *context)
{
	struct request request = {
		.nlh = {
			.nlmsg_len = sizeof(request),
			.nlmsg_type = GENL_ID_CTRL,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		},
		.genl = { .cmd = CTRL_CMD_GETFAMILY, .version = 1 },
		.attr = { .nla_len = NLA_HDRLEN + sizeof(SMC_GENL_FAMILY_NAME),
			  .nla_type = CTRL_ATTR_FAMILY_NAME },
		.name = SMC_GENL_FAMILY_NAME,
	};
	int family = 0, err;

	/* Asking for the family would load the module. */
	if (access("/proc/sys/net/smc", F_OK))
		return -ENOENT;
	err = talk(&request, get_family, &family);
	if (err < 0)
		return err;
	request.nlh.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	request.nlh.nlmsg_type = family;
	request.nlh.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request.genl.cmd = command;
	return talk(&request, function, context);
}

int smcp_netlink_count(int command)
{
	return dump(command, NULL, NULL);
}

/* The system EID is given when there is a device that knows version 2. */
struct seid {
	bool there, enabled;
};

static void get_seid(int type, const void *data, int len, void *context)
{
	struct seid *seid = context;

	if (type == SMC_NLA_SEID_ENTRY)
		seid->there = true;
	else if (type == SMC_NLA_SEID_ENABLED && len >= 1)
		seid->enabled = *(const uint8_t *)data;
}

int smcp_netlink_seid(void)
{
	struct seid seid = {};
	int err = dump(SMC_NETLINK_DUMP_SEID, get_seid, &seid);

	return err < 0 ? err : seid.enabled;
}

int smcp_netlink_smcd(void)
{
	int count = smcp_netlink_count(SMC_NETLINK_GET_DEV_SMCD), err;
	struct seid seid = {};

	if (count)
		return count;
	/* Loopback-ism is not listed. */
	err = dump(SMC_NETLINK_DUMP_SEID, get_seid, &seid);
	return err < 0 ? err : seid.there;
}
