/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP upper-layer protocol "smc": counters of a network namespace, /proc/net/smc_ulp_stat
 */
#ifndef _SMC_ULP_STAT_H
#define _SMC_ULP_STAT_H

#include <net/snmp.h>

enum smc_ulp_stat {
#define SMC_ULP_STAT(item, name)	SMC_ULP_STAT_##item,
#include "smc_ulp_stat.def"
#undef SMC_ULP_STAT
	SMC_ULP_STAT_MAX
};

struct smc_ulp_mib {
	unsigned long mibs[SMC_ULP_STAT_MAX];
};

int smc_ulp_stat_net_init(struct net *net);
void smc_ulp_stat_net_exit(struct net *net);

/* For every context but NMI; a sock, a ctx or a listener of ours keeps @net. */
#define SMC_ULP_INC(net, item) \
	SNMP_INC_STATS(smc_ulp_pernet(net)->stat, SMC_ULP_STAT_##item)
#define SMC_ULP_DEC(net, item) \
	SNMP_DEC_STATS(smc_ulp_pernet(net)->stat, SMC_ULP_STAT_##item)

#endif /* _SMC_ULP_STAT_H */
