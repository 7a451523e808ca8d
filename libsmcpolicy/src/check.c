// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Can a policy work on this host, and if not, what is missing
 */
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/smc.h>

#include "internal.h"

static bool file_has_word(const char *path, const char *word)
{
	FILE *file = fopen(path, "re");
	char item[128];
	bool found = false;

	while (file && !found && fscanf(file, "%127s", item) == 1)
		found = !strcmp(item, word);
	if (file)
		fclose(file);
	return found;
}

/* Is there a file of this module for the running kernel? */
static bool module_available(const char *release, const char *name)
{
	char path[128], *line = NULL, pattern[64];
	bool found = false;
	size_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/lib/modules/%s/modules.dep", release);
	snprintf(pattern, sizeof(pattern), "/%s.ko", name);
	file = fopen(path, "re");
	while (file && !found && getline(&line, &size, file) > 0) {
		const char *colon = strchr(line, ':'), *at = strstr(line, pattern);

		found = colon && at && at < colon;
	}
	if (file)
		fclose(file);
	free(line);
	return found;
}

static bool module_loaded(void)
{
	return !access("/sys/module/" MODULE_NAME, F_OK);
}

/* Its sysctls are there in every network namespace, built-in or not. */
static bool smc_loaded(void)
{
	return !access("/proc/sys/net/smc", F_OK);
}

/*
 * smc.ko of unfixed kernels registers a ULP "smc" of its own (CVE-2026-46330), and ours cannot
 * be loaded then.
 */
static bool vulnerable_ulp(void)
{
	return !module_loaded() && smc_loaded() &&
	       file_has_word("/proc/sys/net/ipv4/tcp_available_ulp", "smc");
}

const char *smcp_missing_privilege(void)
{
	unsigned long long effective = 0;
	char line[256];
	FILE *file = fopen("/proc/thread-self/status", "re");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "CapEff: %llx", &effective) == 1)
			break;
	if (file)
		fclose(file);
	if (!(effective >> CAP_SYS_ADMIN & 1))
		return "CAP_SYS_ADMIN";		/* covers CAP_BPF and CAP_PERFMON */
	if (!(effective >> CAP_NET_ADMIN & 1))
		return "CAP_NET_ADMIN";
	return NULL;
}

int smcp_check_privilege(void)
{
	const char *missing = smcp_missing_privilege();

	if (!missing)
		return 0;
	return smcp_error(EPERM, "run it as root",
			  "the process has no %s, which is needed to load and look at policies",
			  missing);
}

#define UPDATE	"update the kernel to a fixed one (Debian 12 backports and 13: " FIXED_KERNEL	\
		" or newer) and boot it"

static int check_kernel(void)
{
	unsigned int major = 0, minor = 0, debian[3] = {};
	struct utsname uts;
	const char *at;

	uname(&uts);
	sscanf(uts.release, "%u.%u", &major, &minor);
	if (major < 6 || (major == 6 && minor < 12))
		return smcp_error(ENOSYS, "boot Linux " MIN_KERNEL " or newer",
				  "the kernel is %s, older than " MIN_KERNEL, uts.release);
	/* #1 SMP PREEMPT_DYNAMIC Debian 6.12.117-1 (date) */
	at = strstr(uts.version, "Debian ");
	if (at && sscanf(at, "Debian %u.%u.%u", &debian[0], &debian[1], &debian[2]) == 3 &&
	    debian[0] == 6 && debian[1] == 12 && debian[2] < 115)
		return smcp_error(ENOSYS, UPDATE,
				  "the kernel is Debian 6.12.%u, whose smc.ko has the hole CVE-2026-46330",
				  debian[2]);
	if (vulnerable_ulp())
		return smcp_error(ENOSYS, UPDATE,
				  "smc.ko of this kernel (%s) registers a ULP \"smc\" of its own, which has the hole CVE-2026-46330",
				  uts.release);
	return 0;
}

int smcp_check_module(void)
{
	struct utsname uts;
	int err = check_kernel();

	if (err)
		return err;
	uname(&uts);
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return smcp_error(ENOSYS, "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y",
				  "the kernel (%s) has no type information, /sys/kernel/btf/vmlinux",
				  uts.release);
	if (!smc_loaded() && !module_available(uts.release, "smc"))
		return smcp_error(ENODEV,
				  "install one with CONFIG_SMC=m: Debian's linux-image-amd64, not -cloud-",
				  "there is no smc.ko for the kernel (%s)", uts.release);
	if (!module_loaded()) {
		if (module_available(uts.release, MODULE_NAME))
			return smcp_error(ENODEV, "modprobe " MODULE_NAME,
					  MODULE_NAME ".ko is not loaded");
		return smcp_error(ENODEV, smc_loaded() ?
				  "build " MODULE_NAME ".ko for this kernel, and insmod it" :
				  "build " MODULE_NAME ".ko for this kernel, modprobe smc and insmod it",
				  MODULE_NAME ".ko is not loaded, and not installed for the kernel (%s)",
				  uts.release);
	}
	if (access("/sys/kernel/btf/" MODULE_NAME, R_OK))
		return smcp_error(ENOSYS,
				  "build it again with pahole and the vmlinux of this very kernel, rmmod "
				  MODULE_NAME " and load the new one",
				  MODULE_NAME ".ko was built without type information, or for another kernel");
	return 0;
}

/* netlink.c has no messages of its own */
static int count(int n, const char *what)
{
	if (n == -ENOENT)
		return smcp_error(ENOENT, "modprobe " MODULE_NAME, "smc.ko is not loaded");
	if (n < 0)
		return smcp_error(-n, NULL, "smc.ko does not list %s: %s", what, strerror(-n));
	return n;
}

static int check_device(void)
{
	int d = count(smcp_netlink_smcd(), "its SMC-D devices");
	int r = d < 0 ? d : count(smcp_netlink_count(SMC_NETLINK_GET_DEV_SMCR), "its SMC-R devices");

	if (r < 0)
		return r;
	if (d + r)
		return 0;
	return smcp_error(ENODEV,
			  "SMC-R: an RDMA network card, or rdma link add NAME type rxe netdev DEVICE; "
			  "SMC-D on one host: a kernel with CONFIG_SMC_LO",
			  "there is no SMC device, so every connection stays TCP");
}

static int check_eid(void)
{
	int n = count(smcp_netlink_count(SMC_NETLINK_DUMP_UEID), "its enterprise ids");

	if (n)
		return n < 0 ? n : 0;
	if (smcp_netlink_seid() > 0)
		return 0;
	return smcp_error(ENODATA, "smcd ueid add NAME (of smc-tools, or scripts/ueid.c), the same NAME on both hosts",
			  "no user-defined enterprise id (UEID) is set: the commonest reason for silent fallback to TCP");
}

int smcpolicy_check(unsigned int checks)
{
	static int (* const functions[])(void) = {
		smcp_check_privilege, smcp_check_module, check_device, check_eid,
	};
	size_t i;
	int err;

	if (checks & ~SMCPOLICY_CHECK_ALL)
		return smcp_error(EINVAL, NULL, "unknown check");
	for (i = 0; i < ARRAY_SIZE(functions); i++) {
		err = checks & 1U << i ? functions[i]() : 0;
		if (err)
			return err;
	}
	return 0;
}

int smcpolicy_host(struct smcpolicy_host *host)
{
	struct smcpolicy_host all = {};
	size_t sz = host->sz;
	struct utsname uts;
	FILE *file;

	if (!OPTS_VALID(host, smcpolicy_host))
		return -EINVAL;
	uname(&uts);
	all.sz = sz;
	snprintf(all.kernel, sizeof(all.kernel), "%s", uts.release);
	file = fopen("/sys/module/" MODULE_NAME "/version", "re");
	if (file) {
		if (fscanf(file, "%31s", all.module_version) != 1)
			all.module_version[0] = 0;
		fclose(file);
	}
	all.module_loaded = module_loaded();
	all.module_btf = !access("/sys/kernel/btf/" MODULE_NAME, R_OK);
	all.smc_loaded = smc_loaded();
	all.vulnerable_ulp = vulnerable_ulp();
	all.smcd_devices = smcp_netlink_smcd();
	all.smcr_devices = smcp_netlink_count(SMC_NETLINK_GET_DEV_SMCR);
	all.eids = smcp_netlink_count(SMC_NETLINK_DUMP_UEID);
	all.seid = smcp_netlink_seid();
	memcpy(host, &all, sz < sizeof(all) ? sz : sizeof(all));
	return 0;
}
