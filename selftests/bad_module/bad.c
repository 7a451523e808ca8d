// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does one thing that must not be done, at the time it is loaded: the kernels of
 * scripts/kernel-debug have to report it, else their silence about others means nothing.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *fault = "";
module_param(fault, charp, 0);
MODULE_PARM_DESC(fault, "kasan, lockdep, sleep or race");

static DEFINE_MUTEX(one);
static DEFINE_MUTEX(two);
static DEFINE_SPINLOCK(spin);
static unsigned long shared;

static void use_after_free(void)
{
	u8 *p = kmalloc(64, GFP_KERNEL);

	if (!p)
		return;
	kfree(p);
	OPTIMIZER_HIDE_VAR(p);
	pr_info("bad: %u\n", *(volatile u8 *)p);
}

static void lock_in_both_orders(void)
{
	mutex_lock(&one);
	mutex_lock(&two);
	mutex_unlock(&two);
	mutex_unlock(&one);
	mutex_lock(&two);
	mutex_lock(&one);
	mutex_unlock(&one);
	mutex_unlock(&two);
}

static void sleep_with_spinlock(void)
{
	spin_lock(&spin);
	msleep(1);
	spin_unlock(&spin);
}

static int count(void *arg)
{
	while (!kthread_should_stop()) {
		shared++;
		if (!(shared & 0xfff))
			cond_resched();
	}
	return 0;
}

static void race(void)
{
	struct task_struct *a, *b;

	a = kthread_run(count, NULL, "bad_a");
	b = kthread_run(count, NULL, "bad_b");
	msleep(10000);
	if (!IS_ERR(a))
		kthread_stop(a);
	if (!IS_ERR(b))
		kthread_stop(b);
}

static int __init bad_init(void)
{
	if (!strcmp(fault, "kasan"))
		use_after_free();
	else if (!strcmp(fault, "lockdep"))
		lock_in_both_orders();
	else if (!strcmp(fault, "sleep"))
		sleep_with_spinlock();
	else if (!strcmp(fault, "race"))
		race();
	else
		return -EINVAL;
	return 0;
}

static void __exit bad_exit(void)
{
}

module_init(bad_init);
module_exit(bad_exit);
MODULE_DESCRIPTION("What the checkers of a debug kernel must see");
MODULE_LICENSE("GPL");
