// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Network namespaces: what people call them, and what the kernel does
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/socket.h>

#include "internal.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#define NETNS_DIR	"/run/netns"	/* of ip-netns(8) */

struct question {
	int fd;			/* of the namespace; -1: that of this process */
	uint64_t cookie;
	int err;
};

/* In a thread of its own, as it enters the namespace and does not come back. */
static void *ask(void *context)
{
	struct question *question = context;
	socklen_t len = sizeof(question->cookie);
	int sock;

	if (question->fd >= 0 && setns(question->fd, CLONE_NEWNET)) {
		question->err = -errno;
		return NULL;
	}
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || getsockopt(sock, SOL_SOCKET, SO_NETNS_COOKIE, &question->cookie, &len))
		question->err = -errno;
	if (sock >= 0)
		close(sock);
	return NULL;
}

static int cookie_of(int fd, uint64_t *cookie)
{
	struct question question = { .fd = fd };
	pthread_t thread;
	int err = pthread_create(&thread, NULL, ask, &question);

	if (err)
		return -err;
	pthread_join(thread, NULL);
	*cookie = question.cookie;
	return question.err;
}

int smcp_netns_cookie(const char *name, uint64_t *cookie)
{
	char path[PATH_MAX];
	int fd, err;

	if (!strcmp(name, "self"))
		return cookie_of(-1, cookie);
	if ((size_t)snprintf(path, sizeof(path), strchr(name, '/') ? "%s" : NETNS_DIR "/%s",
			     name) >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = cookie_of(fd, cookie);
	close(fd);
	return err;
}

void smcp_netns_name(uint64_t cookie, char *name, size_t size)
{
	DIR *dir = opendir(NETNS_DIR);
	struct dirent *entry;
	bool found = false;
	uint64_t other;

	while (dir && !found && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && !smcp_netns_cookie(entry->d_name, &other) &&
		    other == cookie) {
			snprintf(name, size, "%s", entry->d_name);
			found = true;
		}
	if (dir)
		closedir(dir);
	if (found)
		return;
	if (!smcp_netns_cookie("self", &other) && other == cookie)
		snprintf(name, size, "self");
	else
		snprintf(name, size, "cookie %llu", (unsigned long long)cookie);
}
