// SPDX-License-Identifier: GPL-2.0-only
/*
 * ulp_server PORT [COUNT]: the smallest TCP server that asks for SMC by itself
 *
 * Takes one connection after the other (COUNT of them), reads each to its end, answers with the
 * number of bytes and says what carried it. The one setsockopt() before listen() is all: clients
 * that do not speak SMC are served over TCP by the same listener.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Of an accepted connection, after the first data at the latest. */
static const char *carrier(int fd)
{
	char name[16] = "";
	socklen_t len = sizeof(name);

	/* "" once the connection has fallen back: it is TCP, and nothing else */
	if (getsockopt(fd, SOL_TCP, TCP_ULP, name, &len) || !len)
		return "TCP";
	return strncmp(name, "smc", sizeof(name)) ? "TCP" : "SMC";
}

static int listener(int port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_ANY),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	ask_for_smc(fd);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 128)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void serve(int fd)
{
	static char buf[1 << 16];
	long long total = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		total += n;
	if (n < 0) {
		perror("read");
		return;
	}
	if (dprintf(fd, "%lld bytes\n", total) < 0)
		perror("write");
	printf("server: %lld bytes over %s\n", total, carrier(fd));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int lfd, fd, count = -1;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: ulp_server PORT [COUNT]\n");
		return 2;
	}
	if (argc == 3)
		count = atoi(argv[2]);
	lfd = listener(atoi(argv[1]));
	if (lfd < 0) {
		perror("listen");
		return 1;
	}
	while (count < 0 || count--) {
		fd = accept(lfd, NULL, NULL);
		if (fd < 0) {
			perror("accept");
			return 1;
		}
		serve(fd);
		close(fd);
	}
	close(lfd);
	return 0;
}
