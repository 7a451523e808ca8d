// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP upper-layer protocol "smc": counters of a network namespace, /proc/net/smc_ulp_stat
 */
#define pr_fmt(fmt) "smc_ulp: " fmt

#include <linux/percpu.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

#include "smc_ulp.h"

#define SMC_ULP_STAT_FILE	"smc_ulp_stat"

static const struct snmp_mib smc_ulp_stat_list[] = {
#define SMC_ULP_STAT(item, name)	SNMP_MIB_ITEM(name, SMC_ULP_STAT_##item),
#include "smc_ulp_stat.def"
#undef SMC_ULP_STAT
	SNMP_MIB_SENTINEL
};

static int smc_ulp_stat_show(struct seq_file *seq, void *v)
{
	const struct net *net = seq->private;
	unsigned long buf[SMC_ULP_STAT_MAX] = {};
	int i;

	snmp_get_cpu_field_batch(buf, smc_ulp_stat_list, smc_ulp_pernet(net)->stat);
	for (i = 0; smc_ulp_stat_list[i].name; i++)
		seq_printf(seq, "%-32s\t%lu\n", smc_ulp_stat_list[i].name, buf[i]);
	return 0;
}

/* Context: process, a netns is being made. Return: 0 or -ENOMEM; then nothing is left behind. */
int __net_init smc_ulp_stat_net_init(struct net *net)
{
	struct smc_ulp_net *un = smc_ulp_pernet(net);

	un->stat = alloc_percpu(struct smc_ulp_mib);
	if (!un->stat)
		return -ENOMEM;
	if (IS_ENABLED(CONFIG_PROC_FS) &&
	    !proc_create_net_single(SMC_ULP_STAT_FILE, 0444, net->proc_net, smc_ulp_stat_show,
				    NULL)) {
		free_percpu(un->stat);
		return -ENOMEM;
	}
	return 0;
}

/* Context: process, nothing of ours is left in @net. Waits for who reads the file. */
void __net_exit smc_ulp_stat_net_exit(struct net *net)
{
	if (IS_ENABLED(CONFIG_PROC_FS))
		remove_proc_entry(SMC_ULP_STAT_FILE, net->proc_net);
	free_percpu(smc_ulp_pernet(net)->stat);
}
