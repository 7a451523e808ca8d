// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: static server|client PORT [BYTES [CONNECTIONS]]
 *
 * A static program that knows nothing of SMC: nothing can be preloaded into it. The client sends
 * BYTES over each of CONNECTIONS, one after the other, and gets them back; the server serves until
 * it is killed. With CONNECTIONS 1 the client keeps the connection open until its stdin ends.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char out[16384], in[16384];

static void serve(int listener)
{
	ssize_t n, sent, done;
	int fd;

	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		fd = accept(listener, NULL, NULL);
		if (fd < 0)
			err(1, "accept");
		if (!fork()) {
			while ((n = read(fd, in, sizeof(in))) > 0)
				for (done = 0; done < n; done += sent)
					if ((sent = write(fd, in + done, n - done)) < 0)
						err(1, "write");
			_exit(n < 0);
		}
		close(fd);
	}
}

/* Not more in flight than both ends have room for. */
static void transfer(int fd, size_t bytes)
{
	size_t len, got;
	ssize_t n;

	for (; bytes; bytes -= len) {
		len = bytes < sizeof(out) ? bytes : sizeof(out);
		if (write(fd, out, len) != (ssize_t)len)
			err(1, "write");
		for (got = 0; got < len; got += n) {
			n = read(fd, in + got, len - got);
			if (n <= 0)
				err(1, "read");
		}
		if (memcmp(in, out, len))
			errx(1, "what came back is not what was sent");
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	size_t bytes = argc > 3 ? strtoul(argv[3], NULL, 0) : 1;
	int i, fd, one = 1, connections = argc > 4 ? atoi(argv[4]) : 1;

	if (argc < 3)
		errx(2, "usage: static server|client PORT [BYTES [CONNECTIONS]]");
	address.sin_port = htons(atoi(argv[2]));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (i = 0; i < (int)sizeof(out); i++)
		out[i] = random();
	for (i = 0; i < connections; i++) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (fd < 0)
			err(1, "socket");
		if (!strcmp(argv[1], "server")) {
			setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
			if (bind(fd, (void *)&address, sizeof(address)) || listen(fd, 64))
				err(1, "listen");
			serve(fd);
		}
		if (connect(fd, (void *)&address, sizeof(address)))
			err(1, "connection %d: connect", i);
		transfer(fd, bytes);
		if (connections == 1) {
			printf("done\n");
			fflush(stdout);
			while (read(0, in, sizeof(in)) > 0)
				;
		}
		close(fd);
	}
	return 0;
}
