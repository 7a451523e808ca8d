// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>

#include "btf_helpers.h"
#include "network_helpers.h"

bool module_btf_open(struct module_btf *btf)
{
	struct bpf_btf_info info;
	__u32 id = 0, len;
	char name[64];

	*btf = (struct module_btf){ .fd = -1 };
	btf->vmlinux = btf__load_vmlinux_btf();
	while (btf->vmlinux && !bpf_btf_get_next_id(id, &id)) {
		btf->fd = bpf_btf_get_fd_by_id(id);
		memset(&info, 0, sizeof(info));
		info.name = (uintptr_t)name;
		info.name_len = sizeof(name);
		len = sizeof(info);
		if (!bpf_btf_get_info_by_fd(btf->fd, &info, &len) && !strcmp(name, "smc_ulp")) {
			btf->module = btf__load_from_kernel_by_id_split(id, btf->vmlinux);
			break;
		}
		sock_close(&btf->fd);
	}
	return ASSERT_OK_PTR(btf->module, "BTF of the module");
}

void module_btf_close(struct module_btf *btf)
{
	btf__free(btf->module);
	btf__free(btf->vmlinux);
	sock_close(&btf->fd);
}
