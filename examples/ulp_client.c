// SPDX-License-Identifier: GPL-2.0-only
/*
 * ulp_client HOST PORT: the smallest TCP client that asks for SMC by itself
 *
 * Sends its standard input to ulp_server, prints the answer and says what carried it. All that SMC
 * asks of a program is the one setsockopt() before connect(); whatever goes wrong with it, or later
 * with SMC, leaves a TCP connection.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Before connect(2) or listen(2). There is nothing to return: if it fails, it is still TCP. */
static void ask_for_smc(int fd)
{
	if (!setsockopt(fd, SOL_TCP, TCP_ULP, "smc", sizeof("smc")))
		return;
	switch (errno) {
	case ENOENT:	/* no module smc_ulp here; only with CAP_NET_ADMIN does this load it */
		fprintf(stderr, "smc: not on this machine\n");
		break;
	case EACCES:	/* the policy says no, or net.smc_ulp.default without one */
		fprintf(stderr, "smc: not allowed\n");
		break;
	case EEXIST:	/* attached already, by a program on our cgroup: what we wanted */
		break;
	default:	/* a socket that cannot have it */
		perror("smc");
	}
}

/* Blocking connect(2) and accept(2) return when that is settled; poll(2) waits for it as well. */
static const char *carrier(int fd)
{
	char name[16] = "";
	socklen_t len = sizeof(name);

	/* "" once the connection has fallen back: it is TCP, and nothing else */
	if (getsockopt(fd, SOL_TCP, TCP_ULP, name, &len) || !len)
		return "TCP";
	return strncmp(name, "smc", sizeof(name)) ? "TCP" : "SMC";
}

static int dial(const char *host, const char *port)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list, *ai;
	int fd = -1, rc;

	rc = getaddrinfo(host, port, &hints, &list);
	if (rc) {
		fprintf(stderr, "%s: %s\n", host, gai_strerror(rc));
		return -1;
	}
	for (ai = list; ai; ai = ai->ai_next) {
		fd = socket(ai->ai_family, ai->ai_socktype, ai->ai_protocol);
		if (fd < 0)
			continue;
		ask_for_smc(fd);
		if (!connect(fd, ai->ai_addr, ai->ai_addrlen))
			break;
		perror("connect");
		close(fd);
		fd = -1;
	}
	freeaddrinfo(list);
	return fd;
}

/* All of @from to @to. Returns the number of bytes, -1 after an error. */
static long long copy(int from, int to)
{
	static char buf[1 << 16];
	long long total = 0;
	ssize_t n, done, w;

	while ((n = read(from, buf, sizeof(buf))) > 0) {
		for (done = 0; done < n; done += w) {
			w = write(to, buf + done, n - done);
			if (w < 0)
				return -1;
		}
		total += n;
	}
	return n < 0 ? -1 : total;
}

int main(int argc, char **argv)
{
	long long sent;
	int fd;

	if (argc != 3) {
		fprintf(stderr, "usage: ulp_client HOST PORT < DATA\n");
		return 2;
	}
	fd = dial(argv[1], argv[2]);
	if (fd < 0)
		return 1;
	sent = copy(STDIN_FILENO, fd);
	if (sent < 0 || shutdown(fd, SHUT_WR) || copy(fd, STDOUT_FILENO) < 0) {
		perror("transfer");
		return 1;
	}
	fprintf(stderr, "client: %lld bytes over %s\n", sent, carrier(fd));
	close(fd);
	return 0;
}
