// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Why a connection is TCP: the SMC_CLC_DECL_* codes of the kernel's net/smc/smc_clc.h
 */
#include "internal.h"

static const struct {
	uint32_t code;
	const char *name, *text;
} reasons[] = {
	{ 0x01010000, "MEM", "out of memory, or of SMC buffers" },
	{ 0x02010000, "TIMEOUT_CL", "timeout waiting for confirm link" },
	{ 0x02020000, "TIMEOUT_AL", "timeout waiting for add link" },
	{ 0x03000000, "CNFERR", "configuration error" },
	{ 0x03010000, "PEERNOSMC", "the peer did not offer SMC" },
	{ 0x03020000, "IPSEC", "IPsec is in use" },
	{ 0x03030000, "NOSMCDEV", "no SMC-D or SMC-R device for this connection" },
	{ 0x03030001, "NOSMCDDEV", "no SMC-D device" },
	{ 0x03030002, "NOSMCRDEV", "no SMC-R device" },
	{ 0x03030003, "NOISM2SUPP", "the SMC-D device does not support ISMv2" },
	{ 0x03030004, "NOV2EXT", "the peer sent no SMCv2 extension" },
	{ 0x03030005, "NOV2DEXT", "the peer sent no SMC-Dv2 extension" },
	{ 0x03030006, "NOSEID", "the peer sent no system enterprise id" },
	{ 0x03030007, "NOSMCD2DEV", "no SMC-Dv2 device" },
	{ 0x03030008, "NOUEID", "no user-defined enterprise id in common with the peer" },
	{ 0x03030009, "RELEASEERR", "no SMCv2 release in common with the peer" },
	{ 0x0303000a, "MAXCONNERR", "no agreement on connections per link group" },
	{ 0x0303000b, "MAXLINKERR", "no agreement on links per link group" },
	{ 0x03040000, "MODEUNSUPP", "one side wants SMC-D, the other SMC-R" },
	{ 0x03050000, "RMBE_EC", "the peer wants eye-catchers in its receive buffer" },
	{ 0x03060000, "OPTUNSUPP", "the socket has an option that SMC does not support" },
	{ 0x03070000, "DIFFPREFIX", "the addresses are in different subnets" },
	{ 0x03080000, "GETVLANERR", "the VLAN id of the IP device is unknown" },
	{ 0x03090000, "ISMVLANERR", "the SMC-D device does not accept the VLAN id" },
	{ 0x030a0000, "NOACTLINK", "no active SMC-R link in the link group" },
	{ 0x030b0000, "NOSRVLINK", "the server's SMC-R link was not found" },
	{ 0x030c0000, "VERSMISMAT", "the SMC versions do not match" },
	{ 0x030d0000, "MAX_DMB", "the SMC-D device has no buffer left" },
	{ 0x030e0000, "NOROUTE", "no SMC-Rv2 route to the peer" },
	{ 0x030f0000, "NOINDIRECT", "one side uses a gateway for SMC-Rv2, the other does not" },
	{ 0x04000000, "SYNCERR", "synchronisation error" },
	{ 0x05000000, "PEERDECL", "the peer declined: see its diagnosis" },
	{ 0x09990000, "INTERR", "internal error" },
	{ 0x09990001, "ERR_RTOK", "error in handling rtokens" },
	{ 0x09990002, "ERR_RDYLNK", "the SMC-R link could not be made ready" },
	{ 0x09990003, "ERR_REGBUF", "the SMC-R buffers could not be registered" },
};

/* The kernel also hands on negative errnos. */
static int reason_errno(uint32_t reason)
{
	return (int32_t)reason < 0 && (int32_t)reason > -4096 ? -(int32_t)reason : 0;
}

const char *smcpolicy_reason_name(uint32_t reason)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].code == reason)
			return reasons[i].name;
	return strerrorname_np(reason_errno(reason) ?: -1);
}

const char *smcpolicy_reason_text(uint32_t reason)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].code == reason)
			return reasons[i].text;
	return reason_errno(reason) ? strerrordesc_np(reason_errno(reason)) : NULL;
}
