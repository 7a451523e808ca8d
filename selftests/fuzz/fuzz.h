/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fuzzer: a program is a list of calls for a few threads of a few processes. It is made from
 * a seed and a number, can be written to a file, and run from there; see main.c.
 */
#ifndef _FUZZ_H
#define _FUZZ_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

#include "test_progs.h"

#define N_SLOTS		16	/* sockets of a process, shared by its threads */
#define MAX_PROCS	4
#define MAX_THREADS	4	/* of a process */
#define MAX_CALLS	1024
#define BUFFER		(1 << 20)

/*
 * One system call, or a few. @s and @t are slots; what @a, @b and @c mean is the call's affair:
 * any value is good.
 */
struct call {
	__u8 thread;		/* 0: alone, before all others; else process * MAX_THREADS + n + 1 */
	__u8 op;		/* index into ops[] */
	__u8 s, t;
	__u32 a, b, c;
};

struct program {
	__u32 procs, threads;
	__u32 netns;		/* in a netns of its own */
	__u32 cgroup;		/* in the cgroup that programs are attached to */
	__u32 sigpipe;		/* SIGPIPE kills */
	__u32 restart;		/* the timer's signal restarts system calls */
	__u32 tick;		/* its period, ms: nothing blocks for longer */
	__u32 kill;		/* SIGKILL for all after so many ms, 0: not at all */
	__u32 port;		/* the first of the ports */
	int n;
	struct call calls[MAX_CALLS];
};

/* What the calls of one process share. Other processes have a copy from the time of the fork. */
struct state {
	const struct program *program;
	volatile int slot[N_SLOTS];
	int epoll[2];
	int pipe[2];
	int unix_pair[2];	/* the same for all processes: descriptors go through it */
	int memfd;
	int ring;		/* io_uring */
	int links[4];		/* of policies and cgroup programs */
	unsigned char *buffer;	/* BUFFER bytes, and an unmapped page after them */
};

extern struct state state;

/* Shared by everybody. */
struct shared {
	pid_t pids[MAX_PROCS];	/* of the program that runs in this job */
	__u64 calls, succeeded;
	__u64 ops[256], ops_succeeded[256];
};

extern struct shared *shared;

struct op {
	const char *name;
	unsigned int weight;
	long (*run)(const struct call *call);	/* -1 with errno, or what the call returned */
};

extern const struct op ops[];
extern const unsigned int n_ops;

/* program.c */
void program_make(struct program *program, __u32 seed, __u32 number);
void program_write(const struct program *program, FILE *to);
bool program_read(struct program *program, FILE *from);

/* calls.c */
bool calls_init(void);			/* once for each program */
long call_run(const struct call *call);

/* world.c: what surrounds the sockets: policies, programs, settings */
bool world_init(void);			/* once */
bool world_enter(const struct program *program, int job);	/* for each program */
void world_report(void);
void world_exit(void);
long op_policy(const struct call *call);
long op_verdicts(const struct call *call);
long op_unlink(const struct call *call);
long op_programs(const struct call *call);
long op_sockmap(const struct call *call);
long op_sysctl(const struct call *call);
long op_module(const struct call *call);
long op_look(const struct call *call);
long op_destroy(const struct call *call);

/* uring.c */
long op_uring(const struct call *call);

#endif
