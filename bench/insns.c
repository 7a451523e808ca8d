// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin of QEMU for bench/guest profile: counts what the guest executes between two marks of
 * bench/work.c, by blocks of code.
 *
 *	-plugin insns.so,out=PREFIX
 *
 * The N-th pair of marks leaves PREFIX.N: address, number of instructions and executions of each
 * block. Made for one CPU.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mark.h"

/*
 * The part of QEMU's interface that is used. Debian has no package with qemu-plugin.h. Version 4 is
 * that of QEMU 9.2 and 10.
 */
#define PUBLIC __attribute__((visibility("default")))

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_scoreboard;

struct qemu_plugin_u64 {
	struct qemu_plugin_scoreboard *score;
	size_t offset;
};

enum { INLINE_ADD_U64 };
enum { CB_NO_REGS };

typedef void translated_fn(uint64_t id, struct qemu_plugin_tb *tb);
typedef void executed_fn(unsigned int cpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, translated_fn *fn);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t len);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, executed_fn *fn,
					    int flags, void *data);
void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(struct qemu_plugin_tb *tb, int op,
						       struct qemu_plugin_u64 entry, uint64_t add);
struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t size);
void *qemu_plugin_scoreboard_find(struct qemu_plugin_scoreboard *score, unsigned int cpu);

PUBLIC int qemu_plugin_version = 4;
PUBLIC int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);

/* Blocks, by address and length; a block that is translated again has the counter it had. */
#define BLOCKS	(1u << 20)

static struct block {
	uint64_t pc;
	uint64_t insns;
} blocks[BLOCKS];

static struct qemu_plugin_scoreboard *score;
static const char *prefix;
static unsigned int pairs;

static size_t find(uint64_t pc, uint64_t insns)
{
	size_t i = (pc * 0x9e3779b97f4a7c15ull >> 40) + insns, tries;

	for (tries = 0; tries < BLOCKS; tries++, i++) {
		struct block *block = &blocks[i % BLOCKS];

		if (!block->insns)
			*block = (struct block){ pc, insns };
		if (block->pc == pc && block->insns == insns)
			return i % BLOCKS;
	}
	fprintf(stderr, "insns: too many blocks\n");
	exit(1);
}

static void begin(unsigned int cpu, void *data)
{
	(void)data;
	memset(qemu_plugin_scoreboard_find(score, cpu), 0, BLOCKS * sizeof(uint64_t));
}

static void end(unsigned int cpu, void *data)
{
	const uint64_t *counts = qemu_plugin_scoreboard_find(score, cpu);
	char name[4096];
	size_t i;
	FILE *f;

	(void)data;
	snprintf(name, sizeof(name), "%s.%u", prefix, pairs++);
	f = fopen(name, "w");
	for (i = 0; f && i < BLOCKS; i++)
		if (counts[i])
			fprintf(f, "%" PRIx64 " %" PRIu64 " %" PRIu64 "\n", blocks[i].pc,
				blocks[i].insns, counts[i]);
	if (!f || fclose(f)) {
		perror(name);
		exit(1);
	}
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb), i;
	struct qemu_plugin_u64 entry = { .score = score };
	uint64_t pc = qemu_plugin_tb_vaddr(tb);
	struct qemu_plugin_insn *insn;
	unsigned char bytes[8];

	(void)id;
	entry.offset = find(pc, n) * sizeof(uint64_t);
	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, INLINE_ADD_U64, entry, 1);
	if (pc >> 63)
		return;
	for (i = 0; i < n; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		if (qemu_plugin_insn_data(insn, bytes, sizeof(bytes)) != sizeof(bytes))
			continue;
		if (!memcmp(bytes, (const char[]){ MARK(MARK_BEGIN) }, sizeof(bytes)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, begin, CB_NO_REGS, NULL);
		else if (!memcmp(bytes, (const char[]){ MARK(MARK_END) }, sizeof(bytes)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, end, CB_NO_REGS, NULL);
	}
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4)) {
		fprintf(stderr, "insns: out=PREFIX is needed\n");
		return 1;
	}
	prefix = strdup(argv[0] + 4);
	score = qemu_plugin_scoreboard_new(BLOCKS * sizeof(uint64_t));
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
