/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sockets of all kinds, streams whose every byte is checked, and what the outside world knows of
 * a connection.
 */
#ifndef _NETWORK_HELPERS_H
#define _NETWORK_HELPERS_H

#include <linux/tcp.h>
#include <linux/types.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "smcnl.h"
#include "test_progs.h"

#ifndef SOL_TCP
#define SOL_TCP 6
#endif
#ifndef AF_SMC
#define AF_SMC 43
#endif

#define REASON_PEER_NO_SMC	0x03010000u
#define REASON_NO_DEVICE	0x03030000u
#define REASON_PEER_DECLINED	0x05000000u

/* What a socket is: plain TCP, native AF_SMC, TCP with our ULP. */
enum kind { TCP, SMC, ULP };

/* How it is addressed: 127.0.0.1, ::1, ::ffff:127.0.0.1 by way of an IPv6 socket. */
enum addr { V4, V6, MAPPED };

const char *kind_str(enum kind kind);
const char *addr_str(enum addr addr);

/* True when the ULP is there, or @kind does not need it; else the subtest is skipped. */
bool kind_available(enum kind kind);
/* Whether a connection of these becomes SMC in the world of this run. */
bool becomes_smc(enum kind server, enum kind client, enum addr addr);

/* The world of this machine, by what becomes of a native connection: netlink hides loopback-ism. */
unsigned int world_detect(void);

/* --- sockets: a descriptor, or -1 with errno ------------------------------------------------ */

int sock_make(enum kind kind, enum addr addr);
/* Listens on a port that the kernel chooses. */
int sock_listen(enum kind kind, enum addr addr, int backlog);
/* The address of @port on loopback. */
socklen_t loopback(struct sockaddr_storage *sa, enum addr addr, int port);
int sock_port(int fd);
int sock_peer_port(int fd);
int sock_connect(int fd, enum addr addr, int port);
/* Makes a socket and connects it to the listener @lfd. */
int sock_connect_to(int lfd, enum kind kind, enum addr addr);

struct pair {
	int server;	/* accepted */
	int client;
};

/* A connected pair; its listener is closed. False, with an assertion, when that fails. */
bool pair_make(struct pair *pair, enum kind server, enum kind client, enum addr addr);
void pair_close(struct pair *pair);
void sock_close(int *fd);

int ulp_set(int fd, const char *name);
/* The name of the ULP, or "" for none. */
const char *ulp_name(int fd);
int sock_error(int fd);
int sock_int(int fd, int level, int option);
int sock_set(int fd, int level, int option, int value);
int sock_timeout(int fd, int option, unsigned int ms);
int set_nonblock(int fd, bool on);
/* poll(2) for @ms (times env.slow): revents, 0 for none */
short poll_fd(int fd, short events, int ms);
int tcp_info(int fd, struct tcp_info *info);

/* --- what the outside world knows ------------------------------------------------------------- */

/*
 * Asserts from outside that the connection of @fd is, or is not, SMC after @sent bytes were sent
 * on it: TCP has seen only a few hundred bytes of CLC, or all of them; smc_diag has an active
 * socket with its ports and the right mode, or none.
 */
bool assert_smc(int fd, __u64 sent);
bool assert_tcp(int fd, __u64 sent);
bool assert_outcome(bool smc, int fd, __u64 sent);

/* The numbers of a descriptor that must never change. */
struct identity {
	__u64 dev, ino;
	int protocol, domain, type, flags;
	__u64 cookie;
};

bool identity_read(int fd, struct identity *id);
bool identity_same(int fd, const struct identity *before, const char *when);

/* --- streams ------------------------------------------------------------------------------------ */

/* Byte @offset of stream @seed is always the same, and differs from those near it. */
const unsigned char *pattern_at(__u32 seed, __u64 offset);	/* at least PATTERN_RUN bytes */
#define PATTERN_RUN (256 * 1024)

/* Blocking; 0, or -1 with an assertion. */
int send_pattern(int fd, __u32 seed, __u64 offset, __u64 len);
int recv_pattern(int fd, __u32 seed, __u64 offset, __u64 len);
/* Receives to the end of the stream; the number of bytes, or -1 with errno or after a mismatch. */
long long recv_to_end(int fd, __u32 seed);
/* Asserts that a recv() finds the end of the stream. */
bool recv_eof(int fd);
/* A few bytes there and back. */
bool ping_pong(int a, int b);

enum style { BLOCKING, POLLING, EPOLL_LT, EPOLL_ET };

const char *style_str(enum style style);

/* One end of a connection that sends and receives at once. */
struct end {
	int fd;
	enum style style;
	__u32 tx_seed, rx_seed;
	__u64 tx_len, rx_len;
	bool shut;		/* SHUT_WR when all is sent, and expect the end of the stream */
	/* results */
	__u64 tx, rx;
	bool ok;
};

/* Runs both ends to completion; true when every byte was right. */
bool run_ends(struct end *a, struct end *b);
/* The same with @len bytes each way. */
bool exchange(struct pair *pair, __u64 len, enum style style);

/* --- surroundings --------------------------------------------------------------------------------- */

/* A new netns for this process, with lo up. False (with an assertion) if that fails. */
bool netns_enter_new(void);
/* Delay of @ms in each direction on lo of this netns, 0 for none again. */
bool netem_lo(unsigned int ms);

/* A thread that runs @fn(@arg). */
bool thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg);

#endif
