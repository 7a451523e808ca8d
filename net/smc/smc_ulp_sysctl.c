// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP upper-layer protocol "smc": net.smc_ulp.*, per network namespace; docs/smc-ulp-sysctl.rst
 */
#define pr_fmt(fmt) "smc_ulp: " fmt

#include <linux/sysctl.h>
#include <net/net_namespace.h>

#include "smc_ulp.h"

static int smc_ulp_timeout_min = 100;
static int smc_ulp_timeout_max = 6000;	/* CLC_WAIT_TIME of smc.ko */
static int smc_ulp_handshakes_max = SMC_ULP_MAX_WORKERS;

unsigned int smc_ulp_net_id __read_mostly;

static const struct ctl_table smc_ulp_sysctl_table[] = {
	{
		.procname	= "default",
		.data		= (void *)offsetof(struct smc_ulp_net, default_verdict),
		.maxlen		= sizeof(int),
		.mode		= 0644,
		.proc_handler	= proc_dointvec_minmax,
		.extra1		= SYSCTL_ZERO,
		.extra2		= SYSCTL_ONE,
	},
	{
		.procname	= "clc_timeout_ms",
		.data		= (void *)offsetof(struct smc_ulp_net, clc_timeout_ms),
		.maxlen		= sizeof(int),
		.mode		= 0644,
		.proc_handler	= proc_dointvec_minmax,
		.extra1		= &smc_ulp_timeout_min,
		.extra2		= &smc_ulp_timeout_max,
	},
	{
		.procname	= "max_handshakes",
		.data		= (void *)offsetof(struct smc_ulp_net, max_handshakes),
		.maxlen		= sizeof(int),
		.mode		= 0644,
		.proc_handler	= proc_dointvec_minmax,
		.extra1		= SYSCTL_ONE,
		.extra2		= &smc_ulp_handshakes_max,
	},
};

static int __net_init smc_ulp_net_init(struct net *net)
{
	struct smc_ulp_net *un = smc_ulp_pernet(net);
	struct ctl_table *table;
	int i, rc;

	rc = smc_ulp_stat_net_init(net);
	if (rc)
		return rc;
	un->default_verdict = 1;
	un->clc_timeout_ms = 1000;
	un->max_handshakes = SMC_ULP_HANDSHAKES;
	table = kmemdup(smc_ulp_sysctl_table, sizeof(smc_ulp_sysctl_table), GFP_KERNEL);
	if (!table)
		goto err;
	for (i = 0; i < ARRAY_SIZE(smc_ulp_sysctl_table); i++)
		table[i].data = (char *)un + (unsigned long)table[i].data;
	un->sysctl = register_net_sysctl_sz(net, "net/smc_ulp", table,
					    ARRAY_SIZE(smc_ulp_sysctl_table));
	if (!un->sysctl)
		goto err;
	return 0;
err:
	kfree(table);
	smc_ulp_stat_net_exit(net);
	return -ENOMEM;
}

static void __net_exit smc_ulp_net_exit(struct net *net)
{
	struct smc_ulp_net *un = smc_ulp_pernet(net);
	const struct ctl_table *table = un->sysctl->ctl_table_arg;

	unregister_net_sysctl_table(un->sysctl);
	kfree(table);
	smc_ulp_stat_net_exit(net);
}

static struct pernet_operations smc_ulp_net_ops = {
	.init	= smc_ulp_net_init,
	.exit	= smc_ulp_net_exit,
	.id	= &smc_ulp_net_id,
	.size	= sizeof(struct smc_ulp_net),
};

int __init smc_ulp_sysctl_init(void)
{
	return register_pernet_subsys(&smc_ulp_net_ops);
}

void smc_ulp_sysctl_exit(void)
{
	unregister_pernet_subsys(&smc_ulp_net_ops);
}
