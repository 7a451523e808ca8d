// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: decline PORT
 *
 * A web server on 127.0.0.1 that uses AF_SMC itself, and has an IPsec policy on its socket. The
 * kernel's smc.ko offers SMC for it, receives the client's CLC proposal, and declines: SMC cannot
 * be had together with IPsec. The policy lets everything through, so the connection is usable.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/xfrm.h>

static int failed(const char *what)
{
	fprintf(stderr, "decline: ");
	perror(what);
	return 1;
}

static void answer(int fd)
{
	static const char page[] =
		"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nthis came over TCP\n";
	char request[4096];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(request) - 1) {
		n = read(fd, request + len, sizeof(request) - 1 - len);
		if (n <= 0)
			return;
		len += n;
		request[len] = '\0';
		if (strstr(request, "\r\n\r\n"))
			break;
	}
	if (write(fd, page, sizeof(page) - 1) < 0)
		failed("write");
}

int main(int argc, char **argv)
{
	struct xfrm_userpolicy_info policy = {
		.sel.family = AF_INET,
		.lft = {
			.soft_byte_limit = XFRM_INF, .hard_byte_limit = XFRM_INF,
			.soft_packet_limit = XFRM_INF, .hard_packet_limit = XFRM_INF,
		},
		.dir = XFRM_POLICY_OUT,
		.action = XFRM_POLICY_ALLOW,
	};
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int listener, fd, one = 1;

	if (argc != 2) {
		fprintf(stderr, "usage: decline PORT\n");
		return 2;
	}
	address.sin_port = htons(atoi(argv[1]));
	listener = socket(AF_SMC, SOCK_STREAM, 0);
	if (listener < 0)
		return failed("socket(AF_SMC)");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (setsockopt(listener, SOL_IP, IP_XFRM_POLICY, &policy, sizeof(policy)))
		return failed("IP_XFRM_POLICY");
	if (bind(listener, (void *)&address, sizeof(address)) || listen(listener, 8))
		return failed(argv[1]);
	for (;;) {
		fd = accept(listener, NULL, NULL);
		if (fd < 0)
			return failed("accept");
		answer(fd);
		close(fd);
	}
}
