/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Marks in the program that bench/insns.c sees being executed: long NOPs of x86.
 */
#ifndef BENCH_MARK_H
#define BENCH_MARK_H

#define MARK_BEGIN	1
#define MARK_END	2

/* nopl of a far address that nothing uses: 8 bytes */
#define MARK(which)	0x0f, 0x1f, 0x84, 0x00, which, 0x43, 0x4d, 0x53

#endif
