// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs: made by chance, written and read. What a program is depends on the seed and its number
 * alone, never on what a call returned.
 */
#include "fuzz.h"

static __u64 chance;

/* splitmix64 */
static __u32 any(void)
{
	__u64 z = chance += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (z ^ (z >> 31)) >> 16;
}

static __u32 below(__u32 n)
{
	return any() % n;
}

static __u8 op_by_name(const char *name)
{
	unsigned int i;

	for (i = 0; i < n_ops; i++) {
		if (!strcmp(ops[i].name, name))
			return i;
	}
	fprintf(stderr, "no call is named '%s'\n", name);
	exit(2);
}

static __u8 op_by_chance(void)
{
	static unsigned int sum;
	unsigned int i, n;

	if (!sum) {
		for (i = 0; i < n_ops; i++)
			sum += ops[i].weight;
	}
	n = below(sum);
	for (i = 0; n >= ops[i].weight; i++)
		n -= ops[i].weight;
	return i;
}

/*
 * Slots 0 to 3 are for what listens, 4 to 8 for what connects, 9 to 13 for what was accepted: a
 * call mostly gets one that it can do something with.
 */
static int slot_for(__u8 op)
{
	static const struct {
		const char *op;
		int first, n;
	} good[] = {
		{ "accept", 0, 2 }, { "listen", 0, 2 }, { "connect", 4, 5 },
		{ "send", 4, 10 }, { "recv", 4, 10 }, { "splice", 4, 10 }, { "sendfile", 4, 10 },
		{ "shutdown", 4, 10 }, { "destroy", 4, 10 }, { "uring", 0, 14 }, { "clc", 4, 10 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(good) && below(8); i++) {
		if (!strcmp(good[i].op, ops[op].name))
			return good[i].first + below(good[i].n);
	}
	return below(14);
}

static struct call *add(struct program *program, int thread, const char *op, int s, int t, __u32 a)
{
	struct call *call = &program->calls[program->n];

	if (program->n == MAX_CALLS)
		return call;
	program->n++;
	*call = (struct call) {
		.thread = thread,
		.op = op ? op_by_name(op) : op_by_chance(),
		.t = t < 0 ? (int)below(14) : t,
		.a = a,
		.b = any(),
		.c = any(),
	};
	call->s = s < 0 ? slot_for(call->op) : s;
	return call;
}

/* A listener, mostly with the ULP, on port @port. */
static void add_listener(struct program *program, int slot, int port)
{
	__u32 family = below(4);	/* one in four: IPv4 and IPv6 */

	add(program, 0, "socket", slot, 0, family ? 0 : 1);
	add(program, 0, "reuse", slot, 0, below(8));
	if (below(8))
		add(program, 0, "attach", slot, 0, 0);
	if (below(4) == 0)
		add(program, 0, NULL, slot, -1, any());
	add(program, 0, "bind", slot, 0, port)->b = 0;
	if (below(4) == 0)
		add(program, 0, "attach", slot, 0, 0);
	add(program, 0, "listen", slot, 0, below(4) ? 8 : below(4));
}

/* A client of it. */
static void add_client(struct program *program, int slot, int port)
{
	add(program, 0, "socket", slot, 0, below(4) ? 0 : below(4));
	if (below(8))
		add(program, 0, "attach", slot, 0, 0);
	if (below(3) == 0)
		add(program, 0, "nonblock", slot, 0, 1);
	if (below(4) == 0)
		add(program, 0, NULL, slot, -1, any());
	add(program, 0, "connect", slot, 0, port)->b = 0;
}

void program_make(struct program *program, __u32 seed, __u32 number)
{
	int i, n, thread;

	chance = (__u64)seed << 32 | number;
	any();
	memset(program, 0, sizeof(*program));
	program->procs = 1 + below(MAX_PROCS - 1);
	program->threads = 1 + below(MAX_THREADS);
	program->netns = below(4) == 0;
	program->cgroup = below(2);
	program->sigpipe = below(8) == 0;
	program->restart = below(2);
	program->tick = 50 + below(300);
	program->kill = below(4) ? 0 : 1 + below(1500);
	program->port = 20000 + number % 1000 * 8;

	if (below(3) == 0)
		add(program, 0, "policy", 0, 0, any());
	if (below(3) == 0)
		add(program, 0, "verdicts", 0, 0, any());
	if (program->cgroup && below(2))
		add(program, 0, "programs", 0, 0, any());
	/* most begin with something that can become connections */
	if (below(8)) {
		n = 1 + below(2);
		for (i = 0; i < n; i++)
			add_listener(program, i, i);
		n = 1 + below(5);
		for (i = 0; i < n; i++)
			add_client(program, 4 + i, below(4) == 0);
		n = below(5);
		for (i = 0; i < n; i++)
			add(program, 0, "accept", 0, 9 + i, any());
	}
	/* shuffled as the log of what happens would be: thread by thread is all the same */
	n = 20 + below(300);
	for (i = 0; i < n; i++) {
		thread = 1 + below(program->procs) * MAX_THREADS + below(program->threads);
		add(program, thread, NULL, -1, -1, any());
	}
}

#define HEAD "procs %u threads %u netns %u cgroup %u sigpipe %u restart %u tick %u kill %u port %u"

void program_write(const struct program *program, FILE *to)
{
	int i;

	fprintf(to, HEAD "\n", program->procs, program->threads, program->netns, program->cgroup,
		program->sigpipe, program->restart, program->tick, program->kill, program->port);
	for (i = 0; i < program->n; i++) {
		const struct call *call = &program->calls[i];

		fprintf(to, "%u %s %u %u %u %u %u\n", call->thread, ops[call->op].name, call->s,
			call->t, call->a, call->b, call->c);
	}
}

bool program_read(struct program *program, FILE *from)
{
	unsigned int thread, s, t;
	char line[256], name[32];
	struct call *call;

	memset(program, 0, sizeof(*program));
	while (fgets(line, sizeof(line), from)) {
		if (*line == '#' || *line == '\n')
			continue;
		if (!program->procs) {
			if (sscanf(line, HEAD, &program->procs, &program->threads, &program->netns,
				   &program->cgroup, &program->sigpipe, &program->restart,
				   &program->tick, &program->kill, &program->port) != 9)
				return false;
			continue;
		}
		call = &program->calls[program->n];
		if (program->n == MAX_CALLS ||
		    sscanf(line, "%u %31s %u %u %u %u %u", &thread, name, &s, &t, &call->a,
			   &call->b, &call->c) != 7 ||
		    thread > MAX_PROCS * MAX_THREADS || s >= N_SLOTS || t >= N_SLOTS)
			return false;
		call->thread = thread;
		call->op = op_by_name(name);
		call->s = s;
		call->t = t;
		program->n++;
	}
	return program->procs && program->procs <= MAX_PROCS && program->threads &&
	       program->threads <= MAX_THREADS && program->tick;
}
