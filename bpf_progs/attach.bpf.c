// SPDX-License-Identifier: GPL-2.0-only
/*
 * attach - attach the sockets of a cgroup, without a policy of its own
 *
 * Purpose: let more cgroups use the policy that is registered on the host, of which there is one
 * at most. Without any policy an attached socket may become SMC: that is what smcpolicy run does
 * when it is given no policy.
 *
 * Assumptions: none.
 *
 * Production ready: yes.
 *
 * How to test:
 *	smcpolicy load attach --cgroup /sys/fs/cgroup/test
 *	smcpolicy run -- ss -tn
 */
#include <smc_policy/attach.bpf.h>

SMC_POLICY_DESCRIPTION("attach the sockets of a cgroup, and leave verdicts to the policy in force");
SMC_POLICY_NAME("attach");
