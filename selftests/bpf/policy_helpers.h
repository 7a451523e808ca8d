/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The recording policy (progs/recorder.bpf.c), the cgroup programs that attach the ULP
 * (progs/attach.bpf.c), and a peer that speaks the SMC option in user space.
 */
#ifndef _POLICY_HELPERS_H
#define _POLICY_HELPERS_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "network_helpers.h"
#include "progs/recorder.h"

#include "attach.skel.h"
#include "smc_option.skel.h"

struct recorder;

struct policy {
	struct recorder *skel;
	struct bpf_link *link;
};

/* libbpf talks with -v only. */
void libbpf_quiet(void);

/*
 * Loads the policy (once per test, that takes long), resets it, and attaches "first" unless told
 * not to. False with an assertion.
 */
bool policy_open(struct policy *policy, bool attach);
/* Detaches it. */
void policy_close(struct policy *policy);
void policy_set(struct policy *policy, enum recorder_callback callback, int verdict);
void policy_set_both(struct policy *policy, enum recorder_callback callback, int first, int second);
/* Only sockets with this SO_MARK are decided about and recorded. */
void policy_only_mark(struct policy *policy, __u32 mark);
void policy_forget(struct policy *policy);
struct bpf_map *policy_map(struct policy *policy, int which);
__u64 policy_calls(struct policy *policy, int which, enum recorder_callback callback);
/* Record @n (from 0) of @callback for the socket with @cookie (0: any); waits a little for it. */
const struct record *policy_record(struct policy *policy, enum recorder_callback callback,
				   __u64 cookie, int n);
/* How many records of @callback there are for @cookie (0: any). */
int policy_count(struct policy *policy, enum recorder_callback callback, __u64 cookie);
__u64 sock_cookie(int fd);

/* struct smc_ulp_ops as BPF objects have it, for what is set before they are loaded */
struct ops_value {
	void *callbacks[7];
	char name[SMC_ULP_POLICY_NAME_LEN];
	__u32 flags;
	__u64 cgroup_id;
	__u64 netns_cookie;
};

struct ops_value *ops_of(struct bpf_map *map);

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* Attach programs for the sockets of a cgroup that this process can join. */
struct attacher {
	struct attach *skel;
	int cgroup;
};

enum hook { HOOK_CREATE = 1, HOOK_BIND = 2, HOOK_CONNECT = 4, HOOK_CONNECT_REFUSE = 8,
	    HOOK_SOCKOPT = 16 };

bool attacher_open(struct attacher *attacher, const char *cgroup, unsigned int hooks);
void attacher_close(struct attacher *attacher);

/* A plain TCP socket that says in its SYN or SYN-ACK that it speaks SMC. */
struct clc_peer {
	struct smc_option *skel;
	int cgroup;
};

bool clc_peer_open(struct clc_peer *peer);
void clc_peer_close(struct clc_peer *peer);
/* A socket whose SYN or SYN-ACK has the option. */
int clc_peer_socket(struct clc_peer *peer, enum addr addr);
int clc_peer_listen(struct clc_peer *peer, enum addr addr);

enum { CLC_PROPOSAL = 1, CLC_ACCEPT = 2, CLC_CONFIRM = 3, CLC_DECLINE = 4 };

/* Reads one CLC message; its type, or -1 with errno. */
int clc_recv(int fd);
int clc_send_decline(int fd, __u32 diagnosis);

#endif
