// SPDX-License-Identifier: GPL-2.0-only
/*
 * LD_PRELOAD library that does what that of smc_run does: each TCP socket a program makes through
 * the C library is an AF_SMC one. Here only to be measured.
 */
#include <dlfcn.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#ifndef AF_SMC
#define AF_SMC	43
#endif

int socket(int family, int type, int protocol)
{
	static int (*next)(int family, int type, int protocol);

	if (!next)
		next = (int (*)(int, int, int))dlsym(RTLD_NEXT, "socket");
	if ((family == AF_INET || family == AF_INET6) && (type & 0xf) == SOCK_STREAM &&
	    (protocol == IPPROTO_IP || protocol == IPPROTO_TCP)) {
		protocol = family == AF_INET6;
		family = AF_SMC;
	}
	return next(family, type, protocol);
}
