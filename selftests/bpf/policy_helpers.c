// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <stdarg.h>

#include "cgroup_helpers.h"
#include "policy_helpers.h"
#include "recorder.skel.h"

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

static int print_libbpf(enum libbpf_print_level level, const char *fmt, va_list args)
{
	char text[2048], *line, *rest = text;

	if (!env.verbose || level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(text, sizeof(text), fmt, args);
	while ((line = strsep(&rest, "\n")))
		if (*line)
			test__debug("%s", line);
	return 0;
}

void libbpf_quiet(void)
{
	libbpf_set_print(print_libbpf);
}

/* --- the policy ------------------------------------------------------------------------------ */

bool policy_open(struct policy *policy, bool attach)
{
	static struct recorder *skel;

	libbpf_quiet();
	memset(policy, 0, sizeof(*policy));
	if (!skel)
		skel = recorder__open_and_load();
	policy->skel = skel;
	if (!ASSERT_OK_PTR(policy->skel, "load the policy"))
		return false;
	memset(skel->bss->verdicts, 0, sizeof(skel->bss->verdicts));
	skel->bss->only_mark = 0;
	policy_forget(policy);
	if (!attach)
		return true;
	policy->link = bpf_map__attach_struct_ops(policy->skel->maps.first);
	if (ASSERT_OK_PTR(policy->link, "register the policy"))
		return true;
	policy_close(policy);
	return false;
}

void policy_close(struct policy *policy)
{
	bpf_link__destroy(policy->link);
	policy->link = NULL;
	policy->skel = NULL;
}

void policy_set(struct policy *policy, enum recorder_callback callback, int verdict)
{
	policy_set_both(policy, callback, verdict, verdict);
}

void policy_set_both(struct policy *policy, enum recorder_callback callback, int first, int second)
{
	policy->skel->bss->verdicts[0][callback] = first;
	policy->skel->bss->verdicts[1][callback] = second;
}

void policy_only_mark(struct policy *policy, __u32 mark)
{
	policy->skel->bss->only_mark = mark;
}

void policy_forget(struct policy *policy)
{
	policy->skel->bss->n_records = 0;
	memset(policy->skel->bss->records, 0, sizeof(policy->skel->bss->records));
	memset(policy->skel->bss->n_calls, 0, sizeof(policy->skel->bss->n_calls));
}

struct bpf_map *policy_map(struct policy *policy, int which)
{
	return which ? policy->skel->maps.second : policy->skel->maps.first;
}

__u64 policy_calls(struct policy *policy, int which, enum recorder_callback callback)
{
	return policy->skel->bss->n_calls[which][callback];
}

static const struct record *find(struct policy *policy, enum recorder_callback callback,
				 __u64 cookie, int n)
{
	__u32 i, max = policy->skel->bss->n_records;

	for (i = 0; i < max && i < MAX_RECORDS; i++) {
		const struct record *r = (const void *)&policy->skel->bss->records[i];

		if (__atomic_load_n(&r->complete, __ATOMIC_ACQUIRE) && r->callback == callback && (!cookie || r->cookie == cookie) && !n--)
			return r;
	}
	return NULL;
}

const struct record *policy_record(struct policy *policy, enum recorder_callback callback,
				   __u64 cookie, int n)
{
	const struct record *r = NULL;

	WAIT_FOR((r = find(policy, callback, cookie, n)), 2000);
	return r;
}

int policy_count(struct policy *policy, enum recorder_callback callback, __u64 cookie)
{
	int n = 0;

	while (find(policy, callback, cookie, n))
		n++;
	return n;
}

__u64 sock_cookie(int fd)
{
	socklen_t len = sizeof(__u64);
	__u64 cookie = 0;

	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len);
	return cookie;
}

struct ops_value *ops_of(struct bpf_map *map)
{
	size_t size;
	struct ops_value *ops = bpf_map__initial_value(map, &size);

	ASSERT_GE(size, sizeof(*ops), "size of struct smc_ulp_ops");
	return ops;
}

/* --- attaching ------------------------------------------------------------------------------- */

bool attacher_open(struct attacher *attacher, const char *cgroup, unsigned int hooks)
{
	static struct attach *skel;
	const struct {
		struct bpf_program *program;
		struct bpf_link **link;
		unsigned int hook;
	} *at;
	unsigned int i;

	libbpf_quiet();
	attacher->cgroup = cgroup_make(cgroup);
	attacher->skel = NULL;
	if (!ASSERT_OK_FD(attacher->cgroup, "cgroup"))
		return false;
	if (!skel)
		skel = attach__open_and_load();
	attacher->skel = skel;
	if (!ASSERT_OK_PTR(attacher->skel, "load attach programs"))
		goto fail;
	memset(skel->bss, 0, sizeof(*skel->bss));

	typeof(*at) table[] = {
#define AT(name, hook) { attacher->skel->progs.name, &attacher->skel->links.name, hook }
		AT(on_create, HOOK_CREATE),
		AT(on_bind4, HOOK_BIND),
		AT(on_bind6, HOOK_BIND),
		AT(on_connect4, HOOK_CONNECT),
		AT(on_connect6, HOOK_CONNECT),
		AT(on_connect4_refuse, HOOK_CONNECT_REFUSE),
		AT(on_setsockopt_attach, HOOK_SOCKOPT),
		AT(on_setsockopt, HOOK_CREATE | HOOK_BIND | HOOK_CONNECT),
#undef AT
	};
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		if (!(table[i].hook & hooks))
			continue;
		*table[i].link = bpf_program__attach_cgroup(table[i].program, attacher->cgroup);
		if (!ASSERT_OK_PTR(*table[i].link, bpf_program__name(table[i].program)))
			goto fail;
	}
	return true;
fail:
	attacher_close(attacher);
	return false;
}

void attacher_close(struct attacher *attacher)
{
	if (attacher->skel)
		attach__detach(attacher->skel);
	attacher->skel = NULL;
	sock_close(&attacher->cgroup);
}

/* --- a peer in user space ---------------------------------------------------------------------- */

#define CLC_CGROUP "clc_peer"

bool clc_peer_open(struct clc_peer *peer)
{
	static struct smc_option *skel;

	libbpf_quiet();
	peer->cgroup = cgroup_make(CLC_CGROUP);
	peer->skel = NULL;
	if (!ASSERT_OK_FD(peer->cgroup, "cgroup"))
		return false;
	if (!skel)
		skel = smc_option__open_and_load();
	peer->skel = skel;
	if (ASSERT_OK_PTR(peer->skel, "load smc_option")) {
		memset(skel->bss, 0, sizeof(*skel->bss));
		peer->skel->links.smc_option =
			bpf_program__attach_cgroup(peer->skel->progs.smc_option, peer->cgroup);
		if (ASSERT_OK_PTR(peer->skel->links.smc_option, "attach smc_option"))
			return true;
	}
	clc_peer_close(peer);
	return false;
}

void clc_peer_close(struct clc_peer *peer)
{
	if (peer->skel)
		smc_option__detach(peer->skel);
	peer->skel = NULL;
	sock_close(&peer->cgroup);
}

int clc_peer_socket(struct clc_peer *peer, enum addr addr)
{
	int fd;

	(void)peer;
	/* a socket keeps the cgroup it was made in */
	if (cgroup_join(CLC_CGROUP))
		return -1;
	fd = sock_make(TCP, addr);
	cgroup_join(NULL);
	return fd;
}

int clc_peer_listen(struct clc_peer *peer, enum addr addr)
{
	int fd = clc_peer_socket(peer, addr);
	struct sockaddr_storage sa;
	socklen_t len = loopback(&sa, addr, 0);

	if (fd >= 0 && (bind(fd, (void *)&sa, len) || listen(fd, 8)))
		sock_close(&fd);
	return fd;
}

/* struct smc_clc_msg_hdr and smc_clc_msg_decline of net/smc/smc_clc.h */
struct clc_header {
	__u8 eyecatcher[4];
	__u8 type;
	__be16 length;
	__u8 flags;		/* version in the upper half */
} __attribute__((packed));

struct clc_decline {
	struct clc_header header;
	__u8 id_for_peer[8];
	__be32 diagnosis;
	__u8 os_type;
	__u8 reserved[3];
	__u8 trailer[4];
} __attribute__((packed));

#define CLC_EYECATCHER { 0xe2, 0xd4, 0xc3, 0xd9 }

int clc_recv(int fd)
{
	static const __u8 smcr[] = CLC_EYECATCHER, smcd[] = { 0xe2, 0xd4, 0xc3, 0xc4 };
	struct clc_header header;
	char rest[4096];
	ssize_t len;

	if (recv(fd, &header, sizeof(header), MSG_WAITALL) != sizeof(header))
		return -1;
	len = ntohs(header.length) - sizeof(header);
	if ((memcmp(header.eyecatcher, smcr, 4) && memcmp(header.eyecatcher, smcd, 4)) ||
	    len < 4 || len > (ssize_t)sizeof(rest)) {
		errno = EPROTO;
		return -1;
	}
	if (recv(fd, rest, len, MSG_WAITALL) != len)
		return -1;
	return header.type;
}

int clc_send_decline(int fd, __u32 diagnosis)
{
	struct clc_decline msg = {
		.header = {
			.eyecatcher = CLC_EYECATCHER,
			.type = CLC_DECLINE,
			.length = htons(sizeof(msg)),
			.flags = 1 << 4,
		},
		.diagnosis = htonl(diagnosis),
		.trailer = CLC_EYECATCHER,
	};

	return send(fd, &msg, sizeof(msg), MSG_NOSIGNAL) == sizeof(msg) ? 0 : -1;
}
