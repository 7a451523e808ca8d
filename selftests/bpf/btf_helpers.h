/* SPDX-License-Identifier: GPL-2.0-only */
/* The types of the kernel and of smc_ulp.ko */
#ifndef _BTF_HELPERS_H
#define _BTF_HELPERS_H

#include <bpf/btf.h>
#include <stdbool.h>

struct module_btf {
	struct btf *vmlinux;
	struct btf *module;	/* has those of vmlinux as well */
	int fd;			/* of the module's, for bpf(2) */
};

/* False with an assertion. */
bool module_btf_open(struct module_btf *btf);
void module_btf_close(struct module_btf *btf);

#endif
