/* SPDX-License-Identifier: GPL-2.0-only */
/* Objects whose programs say what becomes of them when they are loaded (progs/expect.bpf.h). */
#ifndef _TEST_LOADER_H
#define _TEST_LOADER_H

#include <stddef.h>

/*
 * Loads the programs of an object one by one, each as a subtest, and compares what the verifier
 * and libbpf say. A struct_ops program is loaded with the map ops_NAME, that of another program
 * is not created. A program without an expectation fails.
 */
#define RUN_PROGRAMS(object) run_programs(#object, object##__elf_bytes)
void run_programs(const char *name, const void *(*elf_bytes)(size_t *size));

#endif
