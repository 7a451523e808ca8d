/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Access to the private structures of smc.ko, by the offsets that genlayout read from its BTF
 */
#ifndef _SMC_ULP_FIELD_H
#define _SMC_ULP_FIELD_H

#include "smc_ulp_layout.gen.h"

#define smc_ulp_ptr(base, type, member) \
	((void *)((char *)(base) + SMC_ULP_OFF_##type##__##member))
#define smc_ulp_field(base, type, member, ctype) \
	READ_ONCE(*(ctype *)smc_ulp_ptr(base, type, member))

/* struct smc_cdc_conn_state_flags */
#define SMC_ULP_PEER_CONN_ABORT		0x20
#define SMC_ULP_PEER_CONN_CLOSED	0x40
#define SMC_ULP_PEER_DONE_WRITING	0x80

/* enum smc_state, net/smc/smc.h */
#define SMC_ULP_SMC_ACTIVE		1
#define SMC_ULP_SMC_CLOSED		7
#define SMC_ULP_SMC_PEERCLOSEWAIT1	20
#define SMC_ULP_SMC_PEERCLOSEWAIT2	21
#define SMC_ULP_SMC_PEERFINCLOSEWAIT	25
#define SMC_ULP_SMC_PEERABORTWAIT	26

#endif /* _SMC_ULP_FIELD_H */
