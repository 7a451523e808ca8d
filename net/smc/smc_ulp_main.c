// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP upper-layer protocol "smc": module
 *
 * Turns a TCP socket's data path into SMC when a BPF policy (struct smc_ulp_ops) says so, over the
 * stock, unmodified smc.ko. docs/design.rst has the picture.
 */
#define pr_fmt(fmt) "smc_ulp: " fmt

#include <linux/module.h>
#include <linux/rcupdate.h>

#include "smc_ulp.h"

struct workqueue_struct *smc_ulp_hs_wq;	/* handshakes of clients: they wait for peers */
struct workqueue_struct *smc_ulp_late_wq;	/* may wait for a program's lock, or a device */
struct workqueue_struct *smc_ulp_wq;	/* everything else: nothing in it waits for any of these */

static int __init smc_ulp_register(void)
{
	int rc;

	rc = smc_ulp_sysctl_init();
	if (rc)
		return rc;
	rc = smc_ulp_bpf_init();
	if (rc) {
		pr_err("struct_ops and kfuncs cannot be registered (%d); does the BTF of this module fit the running kernel?\n",
		       rc);
		goto out;
	}
	rc = tcp_register_ulp(&smc_ulp_tcp_ops);
	if (!rc)
		return 0;
	if (rc == -EEXIST)
		pr_err("this kernel's own smc.ko registers the ULP \"smc\" of CVE-2026-46330; update the kernel (Debian: 6.12.115 or later)\n");
out:
	smc_ulp_sysctl_exit();
	return rc;
}

static int __init smc_ulp_init(void)
{
	int rc;

	rc = smc_ulp_layout_check();
	if (rc)
		return rc;
	rc = smc_ulp_ctx_init();
	if (rc)
		return rc;
	rc = -ENOMEM;
	smc_ulp_hs_wq = alloc_workqueue("smc_ulp_hs", WQ_UNBOUND, SMC_ULP_MAX_WORKERS);
	smc_ulp_late_wq = alloc_workqueue("smc_ulp_late", WQ_UNBOUND, WQ_MAX_ACTIVE);
	smc_ulp_wq = alloc_workqueue("smc_ulp", WQ_UNBOUND, 0);
	if (!smc_ulp_hs_wq || !smc_ulp_late_wq || !smc_ulp_wq)
		goto err;
	rc = smc_ulp_sock_init();
	if (rc)
		goto err;
	smc_ulp_clc_init();
	rc = smc_ulp_register();
	if (!rc)
		return 0;
err:
	if (smc_ulp_wq)
		destroy_workqueue(smc_ulp_wq);
	if (smc_ulp_late_wq)
		destroy_workqueue(smc_ulp_late_wq);
	if (smc_ulp_hs_wq)
		destroy_workqueue(smc_ulp_hs_wq);
	smc_ulp_ctx_exit();
	return rc;
}

/*
 * Nothing has the ULP: sockets, contexts, adapters and policies hold module references. What can
 * still be in our text:
 * - operations that found no ctx and run in TCP's code below us: smc_ulp_sock_exit(). Those
 *   that are not counted yet do not sleep: synchronize_rcu_tasks().
 * - whoever gave back the last reference and has not returned yet; does not sleep either. Tasks:
 *   synchronize_rcu_tasks(); BH and idle: synchronize_rcu(); workers: destroy_workqueue().
 */
static void __exit smc_ulp_exit(void)
{
	tcp_unregister_ulp(&smc_ulp_tcp_ops);
	smc_ulp_sysctl_exit();
	synchronize_rcu_tasks();
	smc_ulp_sock_exit();
	destroy_workqueue(smc_ulp_wq);
	destroy_workqueue(smc_ulp_late_wq);
	destroy_workqueue(smc_ulp_hs_wq);
	synchronize_rcu();
	synchronize_rcu_tasks();
	smc_ulp_ctx_exit();
}

module_init(smc_ulp_init);
module_exit(smc_ulp_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("SMC as an upper-layer protocol of TCP, decided by BPF");
MODULE_ALIAS_TCP_ULP(SMC_ULP_NAME);
