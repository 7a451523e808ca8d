// SPDX-License-Identifier: GPL-2.0-only
/*
 * When setsockopt(TCP_ULP, "smc") is allowed and what it says otherwise; other users of the socket.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/un.h>

#include "cgroup_helpers.h"
#include "pid_addr.skel.h"
#include "policy_helpers.h"
#include "tcp_features.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif
#ifndef MSG_FASTOPEN
#define MSG_FASTOPEN 0x20000000
#endif
#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#endif
#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY 0x4000000
#endif
#ifndef IPV6_ADDRFORM
#define IPV6_ADDRFORM 1
#endif

/* Connects @fd to a listener of @kind and expects it to work. */
static bool works(int fd, enum kind kind, enum addr addr, bool smc)
{
	int lfd = sock_listen(kind, addr, 4), child = -1;
	bool ok = false;

	if (ASSERT_OK_FD(lfd, "listen") &&
	    ASSERT_OK(sock_connect(fd, addr, sock_port(lfd)), "connect")) {
		child = accept(lfd, NULL, NULL);
		ok = ASSERT_OK_FD(child, "accept") && ping_pong(fd, child) &&
		     assert_outcome(smc, fd, 500);
	}
	sock_close(&lfd);
	sock_close(&child);
	return ok;
}

static void twice(void)
{
	int fd = sock_make(ULP, V4);

	if (!ASSERT_OK_FD(fd, "socket"))
		return;
	ASSERT_STREQ(ulp_name(fd), "smc", "TCP_ULP");
	ASSERT_ERRNO(ulp_set(fd, "smc"), EEXIST, "a second time");
	ASSERT_ERRNO(ulp_set(fd, "tls"), EEXIST, "another ULP");
	ASSERT_STREQ(ulp_name(fd), "smc", "TCP_ULP");
	works(fd, ULP, V4, becomes_smc(ULP, ULP, V4));
	if (becomes_smc(ULP, ULP, V4)) {
		ASSERT_ERRNO(ulp_set(fd, "smc"), EEXIST, "while it is SMC");
		ASSERT_ERRNO(ulp_set(fd, "tls"), EEXIST, "kTLS while it is SMC");
	}
	sock_close(&fd);
}

static void connected(void)
{
	struct pair pair;

	if (!pair_make(&pair, TCP, TCP, V4))
		return;
	ASSERT_ERRNO(ulp_set(pair.client, "smc"), EISCONN, "connected");
	ASSERT_ERRNO(ulp_set(pair.server, "smc"), EISCONN, "accepted");
	/* a refusal changes nothing: SOCK_SUPPORT_ZC was cleared by the ULP core */
	is_plain_tcp(pair.client, pair.server);
	pair_close(&pair);
}

static void connecting(void)
{
	int lfd, fd;

	/* a private netns whose lo is slow */
	if (!netns_enter_new() || !netem_lo(200))
		return;
	lfd = sock_listen(TCP, V4, 4);
	fd = sock_make(TCP, V4);
	set_nonblock(fd, true);
	ASSERT_ERRNO(sock_connect(fd, V4, sock_port(lfd)), EINPROGRESS, "connect");
	ASSERT_ERRNO(ulp_set(fd, "smc"), EISCONN, "while connecting");
	ASSERT_EQ(poll_fd(fd, POLLOUT, 3000), POLLOUT, "connected");
	sock_close(&fd);
	sock_close(&lfd);
}

static void listening(void)
{
	int lfd = sock_listen(TCP, V4, 4);
	struct pair pair = { .client = -1, .server = -1 };

	ASSERT_EQ(ulp_set(lfd, "smc"), -1, "a listener");
	ASSERT_STREQ(ulp_name(lfd), "", "TCP_ULP");
	pair.client = sock_connect_to(lfd, ULP, V4);
	pair.server = accept(lfd, NULL, NULL);
	if (ASSERT_OK_FD(pair.client, "connect") && ASSERT_OK_FD(pair.server, "accept"))
		is_plain_tcp(pair.client, pair.server);
	pair_close(&pair);
	sock_close(&lfd);
}

static void bound(void)
{
	struct sockaddr_storage sa;
	socklen_t len = loopback(&sa, V4, 0);
	int fd = sock_make(TCP, V4), lfd = sock_make(TCP, V4), port;

	ASSERT_OK(bind(fd, (void *)&sa, len), "bind");
	port = sock_port(fd);
	ASSERT_OK(ulp_set(fd, "smc"), "after bind");
	ASSERT_EQ(sock_port(fd), port, "port");
	works(fd, ULP, V4, becomes_smc(ULP, ULP, V4));
	ASSERT_EQ(sock_port(fd), port, "port");
	sock_close(&fd);

	/* a listener, after bind */
	ASSERT_OK(bind(lfd, (void *)&sa, len), "bind");
	ASSERT_OK(ulp_set(lfd, "smc"), "after bind");
	ASSERT_OK(listen(lfd, 4), "listen");
	ASSERT_STREQ(ulp_name(lfd), "smc", "TCP_ULP of a listener");
	fd = sock_connect_to(lfd, ULP, V4);
	if (ASSERT_OK_FD(fd, "connect")) {
		int child = accept(lfd, NULL, NULL);

		ping_pong(fd, child);
		assert_outcome(becomes_smc(ULP, ULP, V4), fd, 500);
		sock_close(&child);
	}
	sock_close(&fd);
	sock_close(&lfd);
}

/* listen() again on a listener: the backlog changes, nothing else. And listen() without bind(). */
static void listen_again(void)
{
	int lfd = sock_make(ULP, V4), fd, child;

	ASSERT_OK(listen(lfd, 1), "listen without bind");
	ASSERT_OK(listen(lfd, 16), "listen again");
	fd = sock_connect_to(lfd, ULP, V4);
	child = accept(lfd, NULL, NULL);
	if (ASSERT_OK_FD(fd, "connect") && ASSERT_OK_FD(child, "accept")) {
		ping_pong(fd, child);
		assert_outcome(becomes_smc(ULP, ULP, V4), fd, 500);
	}
	sock_close(&fd);
	sock_close(&child);
	sock_close(&lfd);
}

static void not_tcp(void)
{
	int udp = socket(AF_INET, SOCK_DGRAM, 0), un = socket(AF_UNIX, SOCK_STREAM, 0);
	int smc = sock_make(SMC, V4), mptcp = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);

	ASSERT_EQ(ulp_set(udp, "smc"), -1, "UDP");
	ASSERT_EQ(ulp_set(un, "smc"), -1, "AF_UNIX");
	ASSERT_ERRNO(ulp_set(smc, "smc"), EOPNOTSUPP, "AF_SMC");
	if (mptcp >= 0)
		ASSERT_EQ(ulp_set(mptcp, "smc"), -1, "MPTCP");
	sock_close(&udp);
	sock_close(&un);
	sock_close(&smc);
	sock_close(&mptcp);
}

static void unknown_name(void)
{
	int fd = sock_make(TCP, V4);

	ASSERT_ERRNO(ulp_set(fd, "smcx"), ENOENT, "unknown");
	ASSERT_ERRNO(ulp_set(fd, "sm"), ENOENT, "unknown");
	ASSERT_ERRNO(ulp_set(fd, ""), EINVAL, "empty");
	ASSERT_STREQ(ulp_name(fd), "", "TCP_ULP");
	ASSERT_OK(ulp_set(fd, "smc"), "the right one");
	sock_close(&fd);
}

static void sysctl_default(void)
{
	int fd, lfd, child;

	/* per netns: this one goes with the test */
	if (!netns_enter_new() ||
	    !ASSERT_EQ(read_long("/proc/sys/net/smc_ulp/default"), 1, "default"))
		return;
	ASSERT_OK(write_file("/proc/sys/net/smc_ulp/default", "0"), "sysctl");
	fd = sock_make(TCP, V4);
	ASSERT_ERRNO(ulp_set(fd, "smc"), EACCES, "default is 0");
	lfd = sock_listen(TCP, V4, 4);
	ASSERT_OK(sock_connect(fd, V4, sock_port(lfd)), "connect");
	child = accept(lfd, NULL, NULL);
	is_plain_tcp(fd, child);
	sock_close(&fd);
	sock_close(&child);
	sock_close(&lfd);

	ASSERT_OK(write_file("/proc/sys/net/smc_ulp/default", "1"), "sysctl");
	fd = sock_make(TCP, V4);
	ASSERT_OK(ulp_set(fd, "smc"), "default is 1");
	sock_close(&fd);
	ASSERT_EQ(write_file("/proc/sys/net/smc_ulp/default", "2"), -EINVAL, "out of range");
	ASSERT_EQ(read_long("/proc/sys/net/smc_ulp/default"), 1, "unchanged");
}

/* An unprivileged program may ask for it: what is allowed is the policy's business. */
static void unprivileged(void)
{
	pid_t pid = test__fork();
	int fd;

	if (!pid) {
		if (!ASSERT_OK(setuid(65534), "setuid"))
			_exit(0);
		fd = sock_make(TCP, V4);
		ASSERT_OK(ulp_set(fd, "smc"), "unprivileged");
		works(fd, ULP, V4, becomes_smc(ULP, ULP, V4));
		fflush(stdout);
		_exit(0);
	}
	test__wait(pid);
}

static void never_used(void)
{
	int i, fd;

	for (i = 0; i < 200; i++) {
		fd = sock_make(ULP, i & 1 ? V6 : V4);
		if (!ASSERT_OK_FD(fd, "socket"))
			return;
		if (i % 3 == 0)
			ASSERT_OK(listen(fd, 1), "listen");
		if (i % 3 == 1)
			shutdown(fd, SHUT_RDWR);
		sock_close(&fd);
	}
}

/* connect(AF_UNSPEC) of a socket that was never connected, and of one that was. */
static void disconnect(void)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	int fd = sock_make(ULP, V4);

	ASSERT_OK(connect(fd, &unspec, sizeof(unspec)), "AF_UNSPEC");
	works(fd, ULP, V4, becomes_smc(ULP, ULP, V4));
	if (becomes_smc(ULP, ULP, V4)) {
		/* stock AF_SMC does not offer it either */
		ASSERT_ERRNO(connect(fd, &unspec, sizeof(unspec)), EOPNOTSUPP, "while it is SMC");
	}
	sock_close(&fd);
}

static void listener_connects(void)
{
	int fd = sock_make(ULP, V4);

	ASSERT_OK(listen(fd, 1), "listen");
	shutdown(fd, SHUT_RDWR);
	works(fd, TCP, V4, false);
	sock_close(&fd);
}

/* The smallest program: one process, one peer; no policy. */
TEST(attach_pid_addr, WORLD_SMCD, 30, TEST_NEEDS_ULP)
{
	int cgroup = cgroup_make("pid_addr"), lfd, fd, child, i;
	struct pid_addr *skel;

	libbpf_quiet();
	skel = pid_addr__open_and_load();
	if (!ASSERT_OK_PTR(skel, "load"))
		goto out;
	skel->links.smc_by_pid_addr = bpf_program__attach_cgroup(skel->progs.smc_by_pid_addr, cgroup);
	if (!ASSERT_OK_PTR(skel->links.smc_by_pid_addr, "attach"))
		goto out;
	lfd = sock_listen(ULP, V4, 4);
	for (i = 0; i < 3; i++) {
		skel->bss->pid = getpid() + (i == 1);
		skel->bss->addr = htonl(INADDR_LOOPBACK + (i == 2));
		cgroup_join("pid_addr");
		fd = sock_connect_to(lfd, TCP, V4);
		cgroup_join(NULL);
		child = accept(lfd, NULL, NULL);
		ping_pong(fd, child);
		assert_outcome(!i, fd, 500);
		sock_close(&child);
		sock_close(&fd);
	}
	sock_close(&lfd);
out:
	pid_addr__destroy(skel);
	close(cgroup);
}

/* A program attaches while some other option is set: SO_PRIORITY here. */
TEST(attach_sockopt, WORLD_SMCD, 30, TEST_NEEDS_ULP)
{
	struct pair pair = { -1, -1 };
	struct attacher attacher;
	const struct record *r;
	struct policy policy;
	int fd, udp, lfd;

	if (!attacher_open(&attacher, "sockopt", HOOK_SOCKOPT))
		return;
	if (!policy_open(&policy, true)) {
		attacher_close(&attacher);
		return;
	}
	cgroup_join("sockopt");
	fd = sock_make(TCP, V4);
	udp = socket(AF_INET, SOCK_DGRAM, 0);
	lfd = sock_listen(TCP, V4, 4);
	pair_make(&pair, TCP, TCP, V4);
	cgroup_join(NULL);

	ASSERT_OK(sock_set(fd, SOL_SOCKET, SO_PRIORITY, 3), "SO_PRIORITY");
	ASSERT_OK(attacher.skel->data->last_rc, "attach");
	ASSERT_EQ(sock_int(fd, SOL_SOCKET, SO_PRIORITY), 3, "the option is set");
	ASSERT_STREQ(ulp_name(fd), "smc", "TCP_ULP");
	r = policy_record(&policy, CB_INIT, sock_cookie(fd), 0);
	if (ASSERT_OK_PTR(r, "policy->init"))
		ASSERT_EQ(r->origin, SMC_ULP_ORIGIN_SOCKOPT, "origin");
	ASSERT_OK(sock_set(fd, SOL_SOCKET, SO_PRIORITY, 4), "SO_PRIORITY");
	ASSERT_EQ(attacher.skel->data->last_rc, -EEXIST, "attach again");
	ASSERT_OK(sock_set(udp, SOL_SOCKET, SO_PRIORITY, 3), "SO_PRIORITY");
	ASSERT_EQ(attacher.skel->data->last_rc, -ESOCKTNOSUPPORT, "UDP");
	ASSERT_OK(sock_set(lfd, SOL_SOCKET, SO_PRIORITY, 3), "SO_PRIORITY");
	ASSERT_EQ(attacher.skel->data->last_rc, -EINVAL, "a listener");
	ASSERT_OK(sock_set(pair.client, SOL_SOCKET, SO_PRIORITY, 3), "SO_PRIORITY");
	ASSERT_EQ(attacher.skel->data->last_rc, -EISCONN, "connected");
	is_plain_tcp(pair.client, pair.server);
	pair_close(&pair);
	sock_close(&lfd);
	works(fd, ULP, V4, true);
	sock_close(&fd);
	sock_close(&udp);
	policy_close(&policy);
	attacher_close(&attacher);
}

TEST(attach_rules, WORLD_ALL, 60, TEST_NEEDS_ULP)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} rules[] = {
		{ "twice", twice },
		{ "connected", connected },
		{ "listening", listening },
		{ "bound", bound },
		{ "listen_again", listen_again },
		{ "not_tcp", not_tcp },
		{ "unknown_name", unknown_name },
		{ "unprivileged", unprivileged },
		{ "never_used", never_used },
		{ "disconnect", disconnect },
		{ "listener_connects", listener_connects },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rules); i++)
		if (test__start_subtest(rules[i].name))
			rules[i].run();
}

TEST(attach_connecting, WORLD_SMCD, 30, TEST_NEEDS_ULP)
{
	connecting();
}

TEST(attach_sysctl, WORLD_SMCD | WORLD_NONE, 30, TEST_NEEDS_ULP)
{
	sysctl_default();
}

/* --- features that bypass or replace what the ULP needs (trap 9): TCP, or a clean error ------- */

/* Fast open by option: the SYN is sent by the first write. */
static void fastopen_connect(bool before)
{
	int lfd = sock_listen(ULP, V4, 4), fd = sock_make(TCP, V4), child;

	if (before)
		ASSERT_OK(sock_set(fd, SOL_TCP, TCP_FASTOPEN_CONNECT, 1), "TCP_FASTOPEN_CONNECT");
	ASSERT_OK(ulp_set(fd, "smc"), "TCP_ULP");
	if (!before)
		ASSERT_OK(sock_set(fd, SOL_TCP, TCP_FASTOPEN_CONNECT, 1), "TCP_FASTOPEN_CONNECT");
	if (ASSERT_OK(sock_connect(fd, V4, sock_port(lfd)), "connect") &&
	    !send_pattern(fd, 3, 0, 1000)) {
		child = accept(lfd, NULL, NULL);
		if (ASSERT_OK_FD(child, "accept") && !recv_pattern(child, 3, 0, 1000)) {
			ping_pong(fd, child);
			assert_tcp(fd, 1500);
		}
		sock_close(&child);
	}
	sock_close(&fd);
	sock_close(&lfd);
}

static void fastopen_sendto(void)
{
	int lfd = sock_listen(ULP, V4, 4), fd = sock_make(ULP, V4), child;
	struct sockaddr_storage sa;
	socklen_t len = loopback(&sa, V4, sock_port(lfd));
	ssize_t n;

	n = sendto(fd, pattern_at(3, 0), 1000, MSG_FASTOPEN, (void *)&sa, len);
	if (n < 0) {
		ASSERT_EQ(errno, EOPNOTSUPP, "a clean error");
	} else if (ASSERT_EQ(n, 1000, "MSG_FASTOPEN")) {
		child = accept(lfd, NULL, NULL);
		if (ASSERT_OK_FD(child, "accept") && !recv_pattern(child, 3, 0, 1000)) {
			ping_pong(fd, child);
			assert_tcp(fd, 1500);
		}
		sock_close(&child);
	}
	sock_close(&fd);
	sock_close(&lfd);
}

/* A listener with fast open gives its children away before they are ESTABLISHED. */
static void fastopen_listener(void)
{
	int lfd = sock_make(ULP, V4), fd, child, i;
	struct sockaddr_storage sa;
	socklen_t len = loopback(&sa, V4, 0);

	/* both ends, and no cookie needed */
	write_file("/proc/sys/net/ipv4/tcp_fastopen", "1543");
	ASSERT_OK(bind(lfd, (void *)&sa, len), "bind");
	ASSERT_OK(sock_set(lfd, SOL_TCP, TCP_FASTOPEN, 8), "TCP_FASTOPEN");
	ASSERT_OK(listen(lfd, 8), "listen");
	for (i = 0; i < 4; i++) {
		len = loopback(&sa, V4, sock_port(lfd));
		fd = sock_make(i & 1 ? ULP : TCP, V4);
		if (i & 2) {
			ASSERT_EQ(sendto(fd, pattern_at(3, 0), 1000, MSG_FASTOPEN, (void *)&sa, len),
				  1000, "MSG_FASTOPEN");
		} else {
			ASSERT_OK(connect(fd, (void *)&sa, len), "connect");
			send_pattern(fd, 3, 0, 1000);
		}
		child = accept(lfd, NULL, NULL);
		if (ASSERT_OK_FD(child, "accept") && !recv_pattern(child, 3, 0, 1000)) {
			ping_pong(fd, child);
			assert_tcp(fd, 1500);
		}
		sock_close(&child);
		sock_close(&fd);
	}
	sock_close(&lfd);
	write_file("/proc/sys/net/ipv4/tcp_fastopen", "1");
}

static void repair(void)
{
	int lfd = sock_listen(TCP, V4, 4), fd = sock_make(ULP, V4);
	struct pair pair;

	/* in repair mode connect() makes an ESTABLISHED socket out of nothing */
	ASSERT_OK(sock_set(fd, SOL_TCP, TCP_REPAIR, 1), "TCP_REPAIR");
	ASSERT_OK(sock_connect(fd, V4, sock_port(lfd)), "connect in repair mode");
	ASSERT_STREQ(ulp_name(fd), "", "TCP_ULP");
	sock_close(&fd);
	sock_close(&lfd);

	if (!becomes_smc(ULP, ULP, V4) || !pair_make(&pair, ULP, ULP, V4))
		return;
	ASSERT_ERRNO(sock_set(pair.client, SOL_TCP, TCP_REPAIR, 1), EOPNOTSUPP,
		     "TCP_REPAIR while it is SMC");
	ping_pong(pair.client, pair.server);
	pair_close(&pair);
}

/* Turns an IPv6 socket into an IPv4 one, ops and all. */
static void addrform(void)
{
	struct pair pair;
	int fd = sock_make(ULP, V6);

	ASSERT_ERRNO(sock_set(fd, SOL_IPV6, IPV6_ADDRFORM, AF_INET), ENOTCONN, "not connected");
	sock_close(&fd);

	/* while SMC carries the data */
	if (becomes_smc(ULP, ULP, MAPPED) && pair_make(&pair, ULP, ULP, MAPPED)) {
		ASSERT_ERRNO(sock_set(pair.client, SOL_IPV6, IPV6_ADDRFORM, AF_INET), EBUSY,
			     "while it is SMC");
		ping_pong(pair.client, pair.server);
		assert_smc(pair.client, 500);
		pair_close(&pair);
	}
	/* and after it turned out to be TCP */
	if (pair_make(&pair, TCP, ULP, MAPPED)) {
		ASSERT_OK(sock_set(pair.client, SOL_IPV6, IPV6_ADDRFORM, AF_INET), "plain TCP");
		is_plain_tcp(pair.client, pair.server);
		pair_close(&pair);
	}
}

static void zerocopy(void)
{
	int fd = sock_make(ULP, V4);
	struct pair pair;
	ssize_t n;

	/* asked for before connect: completions never come over SMC, so it has to be TCP */
	ASSERT_OK(sock_set(fd, SOL_SOCKET, SO_ZEROCOPY, 1), "SO_ZEROCOPY");
	works(fd, ULP, V4, false);
	sock_close(&fd);

	if (!becomes_smc(ULP, ULP, V4) || !pair_make(&pair, ULP, ULP, V4))
		return;
	/* later: the option or the send is refused, no completion is promised */
	if (!sock_set(pair.client, SOL_SOCKET, SO_ZEROCOPY, 1)) {
		n = send(pair.client, pattern_at(3, 0), 1000, MSG_ZEROCOPY);
		ASSERT_EQ(n, -1, "MSG_ZEROCOPY over SMC");
		ASSERT_EQ(errno, EOPNOTSUPP, "errno");
	}
	ping_pong(pair.client, pair.server);
	pair_close(&pair);
}

static void fastopen_connect_before(void)
{
	fastopen_connect(true);
}

static void fastopen_connect_after(void)
{
	fastopen_connect(false);
}

TEST(attach_features, WORLD_ALL, 60, TEST_NEEDS_ULP)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} features[] = {
		{ "fastopen_connect_before", fastopen_connect_before },
		{ "fastopen_connect_after", fastopen_connect_after },
		{ "fastopen_sendto", fastopen_sendto },
		{ "fastopen_listener", fastopen_listener },
		{ "repair", repair },
		{ "addrform", addrform },
		{ "zerocopy", zerocopy },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(features); i++)
		if (test__start_subtest(features[i].name))
			features[i].run();
}

/* --- races ------------------------------------------------------------------------------------ */

static struct {
	int fd;
	int port;
	bool stop;
} race;

static void *race_connect(void *arg)
{
	(void)arg;
	sock_connect(race.fd, V4, race.port);
	return NULL;
}

static void *race_use(void *arg)
{
	char byte;

	(void)arg;
	while (!__atomic_load_n(&race.stop, __ATOMIC_ACQUIRE)) {
		recv(race.fd, &byte, 1, MSG_DONTWAIT);
		send(race.fd, "", 0, MSG_DONTWAIT | MSG_NOSIGNAL);
		sock_error(race.fd);
		sock_port(race.fd);
		poll_fd(race.fd, POLLIN | POLLOUT, 0);
	}
	return NULL;
}

static void *race_listen(void *arg)
{
	(void)arg;
	listen(race.fd, 1);
	return NULL;
}

/*
 * The attach races with whatever else threads do to the socket; it is attached, or it is not. A
 * recv(2) that was under way before the attach may get hold of a CLC message: then the connection
 * is reset rather than carry on (docs/design.rst: I5).
 */
TEST(attach_races, WORLD_SMCD | WORLD_NONE, 120, TEST_NEEDS_ULP)
{
	static void *(* const other[])(void *) = { race_connect, race_use, race_listen };
	int lfd = sock_listen(ULP, V4, 128), i, rc, child, attached = 0;
	pthread_t thread;

	if (!ASSERT_OK_FD(lfd, "listen"))
		return;
	set_nonblock(lfd, true);
	race.port = sock_port(lfd);
	for (i = 0; i < 300; i++) {
		race.fd = sock_make(TCP, V4);
		race.stop = false;
		if (!thread_start(&thread, other[i % 3], NULL))
			break;
		if (i % 5)
			usleep(rand() % 300);
		rc = ulp_set(race.fd, "smc");
		if (!rc)
			attached++;
		else if (!ASSERT_TRUE(errno == EISCONN || errno == EINVAL, "errno of the attach"))
			test__log("errno %s", strerrorname_np(errno));
		if (i % 3 == 1 && !rc && sock_connect(race.fd, V4, race.port))
			ASSERT_EQ(errno, ECONNRESET, "errno of connect");
		usleep(rand() % 300);
		race.stop = true;
		pthread_join(thread, NULL);
		sock_close(&race.fd);
		while ((child = accept(lfd, NULL, NULL)) >= 0)
			close(child);
	}
	test__debug("%d of 300 attached", attached);
	sock_close(&lfd);
}
