// SPDX-License-Identifier: GPL-2.0-only
/*
 * The calls on sockets. Each takes whatever numbers it is given; what makes no sense must come
 * back as an error.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/in6.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "fuzz.h"

#ifndef AF_SMC
#define AF_SMC 43
#endif
#ifndef SOL_TCP
#define SOL_TCP 6
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define PICK(array, n) ((array)[(n) % ARRAY_SIZE(array)])

struct state state;

static int fd_of(__u8 slot)
{
	return state.slot[slot % N_SLOTS];
}

/* What was in the slot is closed: or dropped, one time in four, and closed by the exit. */
static long put(__u8 slot, long fd, __u32 keep)
{
	int old;

	if (fd < 0)
		return -1;
	old = __atomic_exchange_n(&state.slot[slot % N_SLOTS], fd, __ATOMIC_SEQ_CST);
	if (old >= 0 && keep % 4)
		close(old);
	return fd;
}

/* Lengths around which something changes. */
static size_t length(__u32 n)
{
	static const __u32 lengths[] = {
		0, 1, 2, 7, 40, 100, 600, 1500, 4096, 5000, 16384, 65535, 65536, 66000, 200000,
		BUFFER,
	};

	return PICK(lengths, n);
}

/* Memory for so many bytes: a fault comes at its end, or at once, now and then. */
static void *memory(__u32 n, size_t len)
{
	switch (n % 32) {
	case 0:
		return state.buffer + BUFFER - len / 2;
	case 1:
		return (void *)1;
	default:
		return state.buffer + n % (BUFFER - len + 1);
	}
}

static int domain_of(int fd)
{
	socklen_t len = sizeof(int);
	int domain = AF_INET;

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	return domain;
}

/*
 * The address of @port of this program, 5: any port, 6: nobody listens there. @how: mostly what
 * the socket can use.
 */
static socklen_t address(struct sockaddr_storage *sa, int fd, __u32 port, __u32 how)
{
	struct sockaddr_in6 *in6 = (void *)sa;
	struct sockaddr_in *in = (void *)sa;
	int domain = domain_of(fd);

	port = port % 8 == 5 ? 0 : state.program->port + port % 8;
	memset(sa, 0, sizeof(*sa));
	if (how % 32 == 1)
		domain = AF_INET;
	if (domain == AF_INET6) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		if (how % 4 == 0)
			inet_pton(AF_INET6, "::ffff:127.0.0.1", &in6->sin6_addr);
		else
			in6->sin6_addr = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
		return how % 64 == 2 ? 20 : sizeof(*in6);
	}
	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (how % 64 == 3)
		in->sin_addr.s_addr = htonl(0x0a0b0c0d);	/* nobody */
	return how % 64 == 2 ? 7 : sizeof(*in);
}

/* --- sockets --------------------------------------------------------------------------------- */

static long op_socket(const struct call *call)
{
	static const struct {
		int domain, protocol;
	} kinds[] = {
		{ AF_INET, 0 }, { AF_INET6, 0 }, { AF_SMC, 0 }, { AF_SMC, 1 }, { AF_INET, 0 },
		{ AF_INET6, 0 }, { AF_INET, IPPROTO_MPTCP }, { AF_INET, 0 },
	};
	int flags = call->b % 4 ? 0 : SOCK_NONBLOCK;

	return put(call->s, socket(PICK(kinds, call->a).domain, SOCK_STREAM | flags,
				   PICK(kinds, call->a).protocol), call->c);
}

static long op_attach(const struct call *call)
{
	static const char * const names[] = {
		"smc", "smc", "smc", "smc", "smc", "smc", "tls", "", "smc_and_much_more_than_fits",
	};
	const char *name = call->a ? PICK(names, call->a) : "smc";

	return setsockopt(fd_of(call->s), SOL_TCP, TCP_ULP, name, strlen(name));
}

static long op_reuse(const struct call *call)
{
	int one = 1;

	setsockopt(fd_of(call->s), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (call->a % 8)
		return 0;
	return setsockopt(fd_of(call->s), SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
}

static long op_bind(const struct call *call)
{
	struct sockaddr_storage sa;
	socklen_t len = address(&sa, fd_of(call->s), call->a, call->b);

	if (sa.ss_family == AF_INET6 && call->b % 4 == 0)
		((struct sockaddr_in6 *)&sa)->sin6_addr = (struct in6_addr)IN6ADDR_ANY_INIT;
	return bind(fd_of(call->s), (void *)&sa, len);
}

static long op_connect(const struct call *call)
{
	struct sockaddr_storage sa;
	socklen_t len = address(&sa, fd_of(call->s), call->a, call->b);

	if (call->b % 24 == 5)
		sa.ss_family = AF_UNSPEC;
	return connect(fd_of(call->s), (void *)&sa, len);
}

/* To itself, or to whom it listens for: what is bound to. */
static long op_connect_self(const struct call *call)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd_of(call->t), (void *)&sa, &len))
		return -1;
	return connect(fd_of(call->s), (void *)&sa, len);
}

static long op_listen(const struct call *call)
{
	static const int backlogs[] = { 8, 1, 0, 128, 4, -1 };

	return listen(fd_of(call->s), PICK(backlogs, call->a));
}

static long op_accept(const struct call *call)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int flags = call->a % 3 ? 0 : SOCK_NONBLOCK;

	if (call->b % 4 == 0)
		return put(call->t, accept(fd_of(call->s), memory(call->b, 100), &len), call->c);
	return put(call->t, accept4(fd_of(call->s), (void *)&sa, &len, flags), call->c);
}

static long op_shutdown(const struct call *call)
{
	return shutdown(fd_of(call->s), call->a % 8 == 7 ? 3 : call->a % 3);
}

static long op_close(const struct call *call)
{
	int fd = __atomic_exchange_n(&state.slot[call->s], -1, __ATOMIC_SEQ_CST);

	return close(fd);
}

/* Closed while the number stays in the slot, where another thread still uses it. */
static long op_close_under(const struct call *call)
{
	return fd_of(call->s) < 0 ? -1 : close(fd_of(call->s));
}

static long op_reset(const struct call *call)
{
	struct linger linger = { .l_onoff = 1, .l_linger = call->a % 3 ? 0 : 1 };

	setsockopt(fd_of(call->s), SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	return op_close(call);
}

static long op_dup(const struct call *call)
{
	if (call->a % 4 == 0 && fd_of(call->t) >= 0)
		return dup3(fd_of(call->s), fd_of(call->t), 0);
	return put(call->t, dup(fd_of(call->s)), call->c);
}

static long op_nonblock(const struct call *call)
{
	int flags = fcntl(fd_of(call->s), F_GETFL);

	if (flags < 0)
		return -1;
	return fcntl(fd_of(call->s), F_SETFL,
		     call->a & 1 ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

static long op_async(const struct call *call)
{
	int on = call->a & 1;

	fcntl(fd_of(call->s), F_SETOWN, getpid());
	return ioctl(fd_of(call->s), FIOASYNC, &on);
}

static long op_name(const struct call *call)
{
	struct sockaddr_storage sa;
	socklen_t len = call->b % 130;

	if (call->a & 1)
		return getpeername(fd_of(call->s), (void *)&sa, &len);
	return getsockname(fd_of(call->s), (void *)&sa, &len);
}

/* --- data ------------------------------------------------------------------------------------ */

static int send_flags(__u32 n)
{
	static const int flags[] = {
		0, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_MORE, MSG_OOB, MSG_EOR, MSG_ZEROCOPY,
		MSG_FASTOPEN, MSG_DONTWAIT | MSG_NOSIGNAL, MSG_CONFIRM, MSG_DONTROUTE,
	};

	return n % 64 ? PICK(flags, n / 64) : (int)n;
}

static int recv_flags(__u32 n)
{
	static const int flags[] = {
		0, MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL, MSG_TRUNC, MSG_OOB, MSG_ERRQUEUE,
		MSG_PEEK | MSG_TRUNC, MSG_PEEK | MSG_WAITALL, MSG_DONTWAIT | MSG_PEEK,
		MSG_CMSG_CLOEXEC,
	};

	return n % 64 ? PICK(flags, n / 64) : (int)n;
}

/* A vector of up to four pieces, some of them empty. */
static int vector(struct iovec *iov, __u32 n, __u32 len)
{
	int i, count = n % 5;

	for (i = 0; i < count; i++) {
		iov[i].iov_len = length(len >> (i * 4)) / 4;
		iov[i].iov_base = memory(n >> i, iov[i].iov_len);
	}
	return count;
}

static long op_send(const struct call *call)
{
	char control[64] = {};
	struct sockaddr_storage sa;
	struct iovec iov[4];
	struct msghdr msg = { .msg_iov = iov };
	struct mmsghdr many[3] = {};
	size_t len = length(call->c);
	void *from = memory(call->b, len);
	int fd = fd_of(call->s), flags = send_flags(call->c / 16), i;
	socklen_t sa_len;

	switch (call->a % 12) {
	case 0:
	case 1:
	case 2:
		return send(fd, from, len, flags);
	case 3:
		return write(fd, from, len);
	case 4:
		msg.msg_iovlen = vector(iov, call->b, call->c);
		return writev(fd, iov, msg.msg_iovlen);
	case 5:
		msg.msg_iovlen = vector(iov, call->b, call->c);
		return pwritev2(fd, iov, msg.msg_iovlen, -1, call->b & 64 ? RWF_NOWAIT : 0);
	case 6:
		sa_len = address(&sa, fd, call->b, call->c);
		return sendto(fd, from, len, flags, (void *)&sa, sa_len);
	case 7:
		for (i = 0; i < 3; i++) {
			many[i].msg_hdr = msg;
			many[i].msg_hdr.msg_iovlen = vector(iov, call->b, call->c >> i);
		}
		return sendmmsg(fd, many, 3, flags);
	case 8:
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(sizeof(__u32));
		*CMSG_FIRSTHDR(&msg) = (struct cmsghdr) {
			.cmsg_len = CMSG_LEN(sizeof(__u32)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = call->b % 64,
		};
		/* fallthrough */
	default:
		msg.msg_iovlen = vector(iov, call->b, call->c);
		return sendmsg(fd, &msg, flags);
	}
}

static long op_recv(const struct call *call)
{
	char control[256];
	struct sockaddr_storage sa;
	struct iovec iov[4];
	struct msghdr msg = { .msg_iov = iov };
	struct mmsghdr many[3] = {};
	struct timespec wait = { .tv_nsec = 10000000 };
	size_t len = length(call->c);
	void *to = memory(call->b, len);
	int fd = fd_of(call->s), flags = recv_flags(call->c / 16), i;
	socklen_t sa_len = sizeof(sa);

	switch (call->a % 12) {
	case 0:
	case 1:
	case 2:
		return recv(fd, to, len, flags);
	case 3:
		return read(fd, to, len);
	case 4:
		msg.msg_iovlen = vector(iov, call->b, call->c);
		return readv(fd, iov, msg.msg_iovlen);
	case 5:
		msg.msg_iovlen = vector(iov, call->b, call->c);
		return preadv2(fd, iov, msg.msg_iovlen, -1, call->b & 64 ? RWF_NOWAIT : 0);
	case 6:
		return recvfrom(fd, to, len, flags, (void *)&sa, &sa_len);
	case 7:
		for (i = 0; i < 3; i++) {
			many[i].msg_hdr = msg;
			many[i].msg_hdr.msg_iovlen = vector(iov, call->b, call->c >> i);
		}
		return recvmmsg(fd, many, 3, flags, &wait);
	default:
		msg.msg_control = control;
		msg.msg_controllen = call->b % sizeof(control);
		msg.msg_iovlen = vector(iov, call->b, call->c);
		return recvmsg(fd, &msg, flags);
	}
}

/* As a peer in CLC would, right or wrong: for sockets that have only the option (op_programs). */
static long op_clc(const struct call *call)
{
	static const __u8 eyecatchers[][4] = {
		{ 0xe2, 0xd4, 0xc3, 0xd9 }, { 0xe2, 0xd4, 0xc3, 0xc4 }, { 0xe2, 0xd4, 0xc3, 0 },
	};
	static const __u16 lengths[] = { 28, 52, 68, 48, 78, 96, 8, 0, 300, 4096, 65535 };
	__u8 message[512];
	__u16 len = htons(PICK(lengths, call->b));
	size_t really = ntohs(len) % sizeof(message), i;

	for (i = 0; i < sizeof(message); i++)
		message[i] = call->c >> (i % 24);
	memcpy(message, PICK(eyecatchers, call->a), 4);
	message[4] = 1 + call->a / 4 % 5;
	memcpy(message + 5, &len, 2);
	message[7] = call->c % 2 ? 0x10 : call->c >> 8;
	if (call->c % 8 == 1)
		really = call->c / 8 % sizeof(message);
	if (really >= 12 && call->c % 4)
		memcpy(message + really - 4, eyecatchers[0], 4);
	return send(fd_of(call->s), message, really, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static long op_splice(const struct call *call)
{
	size_t len = length(call->c);
	int flags = call->b % 16;
	loff_t offset = 0;

	switch (call->a % 6) {
	case 0:
	case 1:
		return splice(fd_of(call->s), NULL, state.pipe[1], NULL, len, flags);
	case 2:
	case 3:
		return splice(state.pipe[0], NULL, fd_of(call->s), NULL, len, flags);
	case 4:
		return splice(state.memfd, &offset, state.pipe[1], NULL, len,
			      flags | SPLICE_F_NONBLOCK);
	default:
		return tee(state.pipe[0], fd_of(call->s), len, flags);
	}
}

static long op_sendfile(const struct call *call)
{
	off_t offset = call->b % 65536;

	return sendfile(fd_of(call->s), call->a % 8 ? state.memfd : fd_of(call->t), &offset,
			length(call->c));
}

static long op_ioctl(const struct call *call)
{
	static const unsigned long requests[] = {
		SIOCINQ, SIOCOUTQ, SIOCOUTQNSD, SIOCATMARK, FIONBIO, FIOASYNC, SIOCGSTAMP_OLD,
		SIOCSPGRP, FIOSETOWN, FIOGETOWN, SIOCGIFNAME, SIOCPROTOPRIVATE,
	};
	__u64 value[16] = { call->b & 1 };
	void *arg = call->b % 16 ? value : memory(call->b, 8);

	return ioctl(fd_of(call->s), call->a % 32 ? PICK(requests, call->a) : call->a, arg);
}

static long op_mmap(const struct call *call)
{
	void *at = mmap(NULL, 4096 << call->a % 4, PROT_READ, MAP_SHARED, fd_of(call->s), 0);

	if (at == MAP_FAILED)
		return -1;
	munmap(at, 4096 << call->a % 4);
	return 0;
}

/* --- waiting --------------------------------------------------------------------------------- */

static long op_poll(const struct call *call)
{
	struct timespec wait = { .tv_nsec = call->b % 20000000 };
	struct pollfd pfd[4];
	fd_set in, out, pri;
	int i, max = -1;

	if (call->a % 3) {
		for (i = 0; i < 4; i++) {
			pfd[i].fd = fd_of(call->s + i);
			pfd[i].events = call->c >> (i * 4);
		}
		return ppoll(pfd, call->a % 5, &wait, NULL);
	}
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&pri);
	for (i = 0; i < 4; i++) {
		int fd = fd_of(call->s + i);

		if (fd < 0 || fd >= FD_SETSIZE)
			continue;
		FD_SET(fd, &in);
		FD_SET(fd, &out);
		FD_SET(fd, &pri);
		if (fd > max)
			max = fd;
	}
	return pselect(max + 1, &in, &out, call->c & 1 ? &pri : NULL, &wait, NULL);
}

static long op_epoll(const struct call *call)
{
	static const __u32 events[] = {
		EPOLLIN, EPOLLOUT, EPOLLIN | EPOLLOUT | EPOLLRDHUP, EPOLLIN | EPOLLET,
		EPOLLIN | EPOLLOUT | EPOLLET, EPOLLIN | EPOLLONESHOT, EPOLLIN | EPOLLEXCLUSIVE,
		EPOLLPRI | EPOLLWAKEUP,
	};
	struct epoll_event event = { .events = PICK(events, call->c) }, got[4];
	int epoll = state.epoll[call->t & 1];

	switch (call->a % 8) {
	case 0:
	case 1:
	case 2:
		return epoll_ctl(epoll, EPOLL_CTL_ADD, fd_of(call->s), &event);
	case 3:
		return epoll_ctl(epoll, EPOLL_CTL_MOD, fd_of(call->s), &event);
	case 4:
		return epoll_ctl(epoll, EPOLL_CTL_DEL, fd_of(call->s), &event);
	default:
		return epoll_wait(epoll, got, 1 + call->b % 4, call->b % 20);
	}
}

/* --- options --------------------------------------------------------------------------------- */

/* Those that the stack or the ULP treats in a way of its own are there by name. */
static const struct {
	int level, option;
} options[] = {
	{ SOL_SOCKET, SO_ERROR }, { SOL_SOCKET, SO_SNDBUF }, { SOL_SOCKET, SO_RCVBUF },
	{ SOL_SOCKET, SO_KEEPALIVE }, { SOL_SOCKET, SO_OOBINLINE }, { SOL_SOCKET, SO_RCVLOWAT },
	{ SOL_SOCKET, SO_ZEROCOPY }, { SOL_SOCKET, SO_PEEK_OFF }, { SOL_SOCKET, SO_INCOMING_CPU },
	{ SOL_SOCKET, SO_REUSEPORT }, { SOL_SOCKET, SO_MARK }, { SOL_SOCKET, SO_BUSY_POLL },
	{ SOL_SOCKET, SO_TIMESTAMP }, { SOL_SOCKET, SO_TIMESTAMPING }, { SOL_SOCKET, SO_PRIORITY },
	{ SOL_SOCKET, SO_DEBUG }, { SOL_SOCKET, SO_DONTROUTE }, { SOL_SOCKET, SO_BROADCAST },
	{ SOL_SOCKET, SO_COOKIE }, { SOL_SOCKET, SO_MEMINFO }, { SOL_SOCKET, SO_PROTOCOL },
	{ SOL_SOCKET, SO_ACCEPTCONN }, { SOL_SOCKET, SO_MAX_PACING_RATE },
	{ SOL_SOCKET, SO_DETACH_FILTER }, { SOL_SOCKET, SO_RXQ_OVFL },
	{ SOL_TCP, TCP_NODELAY }, { SOL_TCP, TCP_CORK }, { SOL_TCP, TCP_MAXSEG },
	{ SOL_TCP, TCP_KEEPIDLE }, { SOL_TCP, TCP_KEEPINTVL }, { SOL_TCP, TCP_KEEPCNT },
	{ SOL_TCP, TCP_SYNCNT }, { SOL_TCP, TCP_LINGER2 }, { SOL_TCP, TCP_DEFER_ACCEPT },
	{ SOL_TCP, TCP_WINDOW_CLAMP }, { SOL_TCP, TCP_INFO }, { SOL_TCP, TCP_QUICKACK },
	{ SOL_TCP, TCP_USER_TIMEOUT }, { SOL_TCP, TCP_REPAIR }, { SOL_TCP, TCP_REPAIR_QUEUE },
	{ SOL_TCP, TCP_QUEUE_SEQ }, { SOL_TCP, TCP_REPAIR_OPTIONS }, { SOL_TCP, TCP_REPAIR_WINDOW },
	{ SOL_TCP, TCP_FASTOPEN }, { SOL_TCP, TCP_FASTOPEN_CONNECT },
	{ SOL_TCP, TCP_FASTOPEN_NO_COOKIE }, { SOL_TCP, TCP_TIMESTAMP },
	{ SOL_TCP, TCP_NOTSENT_LOWAT }, { SOL_TCP, TCP_CC_INFO }, { SOL_TCP, TCP_SAVE_SYN },
	{ SOL_TCP, TCP_SAVED_SYN }, { SOL_TCP, TCP_ULP }, { SOL_TCP, TCP_MD5SIG },
	{ SOL_TCP, TCP_ZEROCOPY_RECEIVE }, { SOL_TCP, TCP_INQ }, { SOL_TCP, TCP_TX_DELAY },
	{ SOL_TCP, 38 /* TCP_AO_ADD_KEY */ }, { SOL_TCP, 40 /* TCP_AO_INFO */ },
	{ SOL_TCP, 42 /* TCP_IS_MPTCP */ },
	{ IPPROTO_IP, IP_TOS }, { IPPROTO_IP, IP_TTL }, { IPPROTO_IP, IP_OPTIONS },
	{ IPPROTO_IP, IP_TRANSPARENT }, { IPPROTO_IP, IP_FREEBIND },
	{ IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT }, { IPPROTO_IP, IP_RECVERR },
	{ IPPROTO_IP, IP_MTU_DISCOVER }, { IPPROTO_IP, 51 /* IP_LOCAL_PORT_RANGE */ },
	{ IPPROTO_IP, IP_PKTINFO },
	{ IPPROTO_IPV6, IPV6_V6ONLY }, { IPPROTO_IPV6, IPV6_ADDRFORM }, { IPPROTO_IPV6, IPV6_TCLASS },
	{ IPPROTO_IPV6, IPV6_RECVERR }, { IPPROTO_IPV6, IPV6_UNICAST_HOPS },
	{ IPPROTO_IPV6, IPV6_RECVPKTINFO }, { IPPROTO_IPV6, IPV6_2292PKTOPTIONS },
	{ 286 /* SOL_SMC */, 1 /* SMC_LIMIT_HS */ },
};

/* TCP_REPAIR needs a sequence of calls; without it the queues could be moved under SMC. */
static __u32 option_value(__u32 n)
{
	static const __u32 values[] = { 0, 1, 2, 1, 100, 4096, 65536, 1 << 20, -1, 0x7fffffff, AF_INET };

	return n % 16 ? PICK(values, n / 16) : n;
}

static long op_setsockopt(const struct call *call)
{
	__u32 value[64] = { option_value(call->b), call->c, call->b };
	int level = PICK(options, call->a).level, option = PICK(options, call->a).option;
	socklen_t len = call->c % 8 ? 4 : call->c / 8 % sizeof(value);

	if (call->a % 61 == 0) {
		level = SOL_TCP;
		option = call->b % 50;
	} else if (call->a % 61 == 1) {
		level = SOL_SOCKET;
		option = call->b % 80;
	}
	return setsockopt(fd_of(call->s), level, option, value, len);
}

static long op_getsockopt(const struct call *call)
{
	__u32 value[256] = {};
	int level = PICK(options, call->a).level, option = PICK(options, call->a).option;
	socklen_t len = call->c % 4 ? 4u << (call->c / 4 % 7) : call->c / 4 % sizeof(value);

	return getsockopt(fd_of(call->s), level, option, value, &len);
}

static long op_timeout(const struct call *call)
{
	struct timeval tv = { .tv_usec = call->b % 100000 };

	return setsockopt(fd_of(call->s), SOL_SOCKET, call->a & 1 ? SO_RCVTIMEO : SO_SNDTIMEO, &tv,
			  sizeof(tv));
}

static long op_linger(const struct call *call)
{
	struct linger linger = { .l_onoff = call->a & 1, .l_linger = call->b % 3 };

	return setsockopt(fd_of(call->s), SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static long op_filter(const struct call *call)
{
	struct sock_filter pass[] = { BPF_STMT(BPF_RET | BPF_K, call->b & 1 ? 0xffff : 0) };
	struct sock_fprog program = { .len = 1, .filter = pass };
	int option = call->a & 1 ? SO_ATTACH_REUSEPORT_CBPF : SO_ATTACH_FILTER;

	if (option == SO_ATTACH_FILTER)
		pass[0].k = 0xffff;
	return setsockopt(fd_of(call->s), SOL_SOCKET, option, &program, sizeof(program));
}

static long op_congestion(const struct call *call)
{
	static const char * const names[] = { "cubic", "reno", "dctcp", "nonsense" };
	const char *name = PICK(names, call->a);

	return setsockopt(fd_of(call->s), SOL_TCP, TCP_CONGESTION, name, strlen(name));
}

/* The key after the ULP: must be refused while SMC is there, and work where it is not. */
static long op_ktls(const struct call *call)
{
	struct tls12_crypto_info_aes_gcm_128 key = {
		.info.version = TLS_1_2_VERSION,
		.info.cipher_type = TLS_CIPHER_AES_GCM_128,
	};

	setsockopt(fd_of(call->s), SOL_TCP, TCP_ULP, "tls", 3);
	return setsockopt(fd_of(call->s), SOL_TLS, call->a & 1 ? TLS_TX : TLS_RX, &key, sizeof(key));
}

/* --- descriptors and processes ---------------------------------------------------------------- */

static long op_give(const struct call *call)
{
	char control[CMSG_SPACE(sizeof(int))] = {}, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int fd = fd_of(call->s);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(state.unix_pair[call->a & 1], &msg, MSG_DONTWAIT);
}

static long op_take(const struct call *call)
{
	char control[CMSG_SPACE(sizeof(int))] = {}, byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(state.unix_pair[call->a & 1], &msg, MSG_DONTWAIT) < 0)
		return -1;
	if (!CMSG_FIRSTHDR(&msg) || CMSG_FIRSTHDR(&msg)->cmsg_type != SCM_RIGHTS)
		return 0;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return put(call->t, fd, call->c);
}

/* A process that has everything open for a while. */
static long op_fork(const struct call *call)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (call->a & 1) {
		op_send(call);
		op_recv(call);
	}
	if (call->a & 2)
		op_shutdown(call);
	usleep(call->b % 200000);
	_exit(0);
}

static long op_kill(const struct call *call)
{
	static const int signals[] = { SIGKILL, SIGALRM, SIGUSR1, SIGUSR1, SIGSTOP, SIGCONT };
	pid_t pid = shared->pids[call->a % state.program->procs];
	int signal = PICK(signals, call->b);

	if (pid <= 0)
		return -1;
	if (signal == SIGSTOP) {
		/* nobody else would wake it */
		if (kill(pid, SIGSTOP) || pid == getpid())
			return 0;
		usleep(20000);
		return kill(pid, SIGCONT);
	}
	return kill(pid, signal);
}

static long op_wait(const struct call *call)
{
	if (call->a & 1)
		return sched_yield();
	return usleep(call->b % 30000);
}

const struct op ops[] = {
	{ "socket", 50, op_socket },
	{ "attach", 60, op_attach },
	{ "reuse", 8, op_reuse },
	{ "bind", 25, op_bind },
	{ "connect", 70, op_connect },
	{ "connect_self", 10, op_connect_self },
	{ "listen", 25, op_listen },
	{ "accept", 60, op_accept },
	{ "send", 100, op_send },
	{ "recv", 100, op_recv },
	{ "clc", 12, op_clc },
	{ "poll", 25, op_poll },
	{ "epoll", 40, op_epoll },
	{ "shutdown", 25, op_shutdown },
	{ "close", 40, op_close },
	{ "close_under", 4, op_close_under },
	{ "reset", 12, op_reset },
	{ "dup", 20, op_dup },
	{ "nonblock", 25, op_nonblock },
	{ "async", 6, op_async },
	{ "name", 6, op_name },
	{ "splice", 35, op_splice },
	{ "sendfile", 15, op_sendfile },
	{ "ioctl", 15, op_ioctl },
	{ "mmap", 2, op_mmap },
	{ "setsockopt", 70, op_setsockopt },
	{ "getsockopt", 40, op_getsockopt },
	{ "timeout", 8, op_timeout },
	{ "linger", 8, op_linger },
	{ "filter", 4, op_filter },
	{ "congestion", 3, op_congestion },
	{ "ktls", 8, op_ktls },
	{ "give", 10, op_give },
	{ "take", 10, op_take },
	{ "fork", 8, op_fork },
	{ "kill", 3, op_kill },
	{ "wait", 15, op_wait },
	{ "uring", 50, op_uring },
	{ "policy", 8, op_policy },
	{ "verdicts", 12, op_verdicts },
	{ "unlink", 6, op_unlink },
	{ "programs", 8, op_programs },
	{ "sockmap", 5, op_sockmap },
	{ "sysctl", 6, op_sysctl },
	{ "module", 2, op_module },
	{ "look", 6, op_look },
	{ "destroy", 8, op_destroy },
};
const unsigned int n_ops = ARRAY_SIZE(ops);

bool calls_init(void)
{
	unsigned int i;

	for (i = 0; i < N_SLOTS; i++)
		state.slot[i] = -1;
	for (i = 0; i < ARRAY_SIZE(state.links); i++)
		state.links[i] = -1;
	state.ring = -1;
	state.buffer = mmap(NULL, BUFFER + 4096, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (state.buffer == MAP_FAILED || mprotect(state.buffer + BUFFER, 4096, PROT_NONE))
		return false;
	state.memfd = memfd_create("fuzz", MFD_CLOEXEC);
	return state.memfd >= 0 && !ftruncate(state.memfd, 300000) &&
	       !pipe2(state.pipe, O_NONBLOCK) &&
	       !socketpair(AF_UNIX, SOCK_DGRAM, 0, state.unix_pair) &&
	       (state.epoll[0] = epoll_create1(0)) >= 0 && (state.epoll[1] = epoll_create1(0)) >= 0;
}

long call_run(const struct call *call)
{
	long rc;

	errno = 0;
	rc = ops[call->op].run(call);
	__atomic_add_fetch(&shared->calls, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&shared->ops[call->op], 1, __ATOMIC_RELAXED);
	if (rc >= 0) {
		__atomic_add_fetch(&shared->succeeded, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&shared->ops_succeeded[call->op], 1, __ATOMIC_RELAXED);
	}
	return rc;
}
