/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a test must not leave behind: sockets, module references, slab objects, kernel reports.
 */
#ifndef _LEFTOVERS_H
#define _LEFTOVERS_H

#include <stdbool.h>

#define MAX_COUNTS 40

struct counts {
	int n;
	struct {
		char name[80];
		long value;
	} c[MAX_COUNTS];
};

/* Once, before the first counts__read(). */
void counts__init(void);
void counts__read(struct counts *now);
/* Waits up to @seconds for every count to be at most what it was; prints those that are not. */
bool counts__back_to(const struct counts *before, double seconds);

/* Ends every process of @session and every orphan; false: one of them cannot be killed. */
bool kill_session(int session, double seconds);
/* Prints the kernel stacks of all threads of @session and of our other descendants. */
void dump_session(int session);

/* Kernel messages from now on. */
bool kmsg__open(void);
/* True when there were no reports of trouble since the last call; prints them. */
bool kmsg__clean(void);
/* The part of it that judges a text: for the test of the runner. -1: could not be done. */
int splats_in(const char *text, bool print);

#endif
