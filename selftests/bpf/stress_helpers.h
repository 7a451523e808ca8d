/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stress tests: threads that do things at random until the time is up, while something else keeps
 * trying to unload the module. What is done depends on env.seed (when depends on the machine), how
 * long on env.effort.
 */
#ifndef _STRESS_HELPERS_H
#define _STRESS_HELPERS_H

#include "network_helpers.h"

/*
 * Begins: @seconds (times env.effort) from now on stress_on() is true. Attempts to unload the module
 * are made from here on; a socket is there that must make all of them fail.
 */
bool stress_begin(double seconds);
/* Asserts that the module was never unloaded. To be called whatever stress_begin() returned. */
void stress_end(void);
bool stress_on(void);

/* Starts a thread with dice of its own; stress_end() waits for it. */
bool stress_thread(void (*fn)(int number), int number);
void stress_join(void);

/* 0 to @n - 1; each thread, and each process that calls dice_seed(), has its own. */
int dice(int n);
void dice_seed(int number);
void dice_sleep(int max_us);

/* Time-outs of 50 ms, so that threads see the end; children have those of their listener. */
void stress_timeouts(int fd);
/* A socket with them; -1 when it cannot have the ULP. */
int stress_socket(enum kind kind, enum addr addr);
/* Sends and receives at random, for a few ms at most. */
void stress_talk(int fd);
/* Ends in one of many ways and closes, but not always. */
void stress_close(int fd);

#endif
