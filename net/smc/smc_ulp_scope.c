// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP upper-layer protocol "smc": registered policies and their scopes
 *
 * A policy is for a cgroup, a network namespace, or the host, and each of these has one policy at
 * most, owned by its BPF link. Sockets hold no reference on policies: every decision finds those
 * in scope under RCU, and who takes one away waits for a grace period before the BPF core frees
 * the programs.
 *
 * Cgroups and namespaces are known by numbers that are never used again: a policy keeps neither of
 * them alive, and when they go there is nothing to do.
 */
#include <linux/cgroup.h>
#include <linux/hash.h>
#include <linux/hashtable.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <net/net_namespace.h>

#include "smc_ulp.h"

enum smc_ulp_scope_kind {
	SMC_ULP_SCOPE_HOST,
	SMC_ULP_SCOPE_NETNS,
	SMC_ULP_SCOPE_CGROUP,
	SMC_ULP_SCOPE_KINDS,
};

/* Never changes while others can see it: an update replaces it. */
struct smc_ulp_entry {
	struct hlist_node	node;		/* in smc_ulp_scopes, unless it is the host's */
	u64			key;		/* number of the cgroup, cookie of the namespace */
	enum smc_ulp_scope_kind	kind;
	u64			id;		/* of this registration or update */
	struct smc_ulp_ops	*ops;
};

static DEFINE_MUTEX(smc_ulp_scope_mutex);	/* writers of everything below */
static struct smc_ulp_entry __rcu *smc_ulp_host;
static DEFINE_HASHTABLE(smc_ulp_scopes, 6);
static unsigned int smc_ulp_scope_count[SMC_ULP_SCOPE_KINDS];	/* in smc_ulp_scopes */
static u64 smc_ulp_last_id;

static enum smc_ulp_scope_kind smc_ulp_scope_of(const struct smc_ulp_ops *ops, u64 *key)
{
	*key = ops->cgroup_id ?: ops->netns_cookie;
	if (ops->cgroup_id)
		return SMC_ULP_SCOPE_CGROUP;
	return ops->netns_cookie ? SMC_ULP_SCOPE_NETNS : SMC_ULP_SCOPE_HOST;
}

/* Under RCU, or smc_ulp_scope_mutex */
static struct smc_ulp_entry *smc_ulp_scope_find(enum smc_ulp_scope_kind kind, u64 key)
{
	struct smc_ulp_entry *entry;

	if (kind == SMC_ULP_SCOPE_HOST)
		return rcu_dereference_check(smc_ulp_host, lockdep_is_held(&smc_ulp_scope_mutex));
	hash_for_each_possible_rcu(smc_ulp_scopes, entry, node, key,
				   lockdep_is_held(&smc_ulp_scope_mutex))
		if (entry->key == key && entry->kind == kind)
			return entry;
	return NULL;
}

static int smc_ulp_cgroup_exists(u64 id)
{
	struct cgroup *cgrp = cgroup_get_from_id(id);

	if (IS_ERR(cgrp))
		return -ENOENT;
	cgroup_put(cgrp);
	return 0;
}

static int smc_ulp_netns_exists(u64 cookie)
{
	struct net *net;
	int rc = -ENOENT;

	down_read(&net_rwsem);
	for_each_net(net)
		if (net->net_cookie == cookie)
			rc = 0;
	up_read(&net_rwsem);
	return rc;
}

/* An entry for @ops that nobody sees yet. */
static struct smc_ulp_entry *smc_ulp_entry_alloc(struct smc_ulp_ops *ops)
{
	struct smc_ulp_entry *entry = kzalloc(sizeof(*entry), GFP_KERNEL);

	if (entry) {
		entry->kind = smc_ulp_scope_of(ops, &entry->key);
		entry->ops = ops;
	}
	return entry;
}

/**
 * smc_ulp_policy_register() - @ops is the policy of its scope from now on
 * @ops: validated struct_ops value, valid until smc_ulp_policy_unregister() has returned
 *
 * Context: sleeps. Return: 0, -ENOENT when there is no such cgroup (that the caller may see) or
 * namespace, -EBUSY when the scope has a policy, -ENOMEM.
 */
int smc_ulp_policy_register(struct smc_ulp_ops *ops)
{
	struct smc_ulp_entry *entry;
	int rc = 0;

	if (ops->cgroup_id)
		rc = smc_ulp_cgroup_exists(ops->cgroup_id);
	else if (ops->netns_cookie)
		rc = smc_ulp_netns_exists(ops->netns_cookie);
	if (rc)
		return rc;
	entry = smc_ulp_entry_alloc(ops);
	if (!entry)
		return -ENOMEM;

	mutex_lock(&smc_ulp_scope_mutex);
	if (smc_ulp_scope_find(entry->kind, entry->key)) {
		mutex_unlock(&smc_ulp_scope_mutex);
		kfree(entry);
		return -EBUSY;
	}
	entry->id = ++smc_ulp_last_id;
	if (entry->kind == SMC_ULP_SCOPE_HOST) {
		rcu_assign_pointer(smc_ulp_host, entry);
	} else {
		hash_add_rcu(smc_ulp_scopes, &entry->node, entry->key);
		WRITE_ONCE(smc_ulp_scope_count[entry->kind], smc_ulp_scope_count[entry->kind] + 1);
	}
	mutex_unlock(&smc_ulp_scope_mutex);
	return 0;
}

/**
 * smc_ulp_policy_unregister() - revoke @ops
 * @ops: a registered policy
 *
 * Context: sleeps. When it returns no callback of @ops is running, and none will.
 */
void smc_ulp_policy_unregister(struct smc_ulp_ops *ops)
{
	enum smc_ulp_scope_kind kind;
	struct smc_ulp_entry *entry;
	u64 key;

	kind = smc_ulp_scope_of(ops, &key);
	mutex_lock(&smc_ulp_scope_mutex);
	entry = smc_ulp_scope_find(kind, key);
	if (entry && entry->ops == ops) {
		if (kind == SMC_ULP_SCOPE_HOST) {
			RCU_INIT_POINTER(smc_ulp_host, NULL);
		} else {
			WRITE_ONCE(smc_ulp_scope_count[kind], smc_ulp_scope_count[kind] - 1);
			hash_del_rcu(&entry->node);
		}
	} else {
		entry = NULL;
	}
	mutex_unlock(&smc_ulp_scope_mutex);
	synchronize_rcu();
	kfree(entry);
}

/**
 * smc_ulp_policy_update() - replace @old by @ops
 * @ops: new policy
 * @old: a registered one
 *
 * Context: sleeps. Each decision is made by one of the two; when it returns @old is no longer
 * running. Return: 0, -EINVAL when @ops is for another scope, -ENOENT when @old is not registered,
 * -ENOMEM.
 */
int smc_ulp_policy_update(struct smc_ulp_ops *ops, struct smc_ulp_ops *old)
{
	struct smc_ulp_entry *entry, *was;

	if (ops->cgroup_id != old->cgroup_id || ops->netns_cookie != old->netns_cookie)
		return -EINVAL;
	entry = smc_ulp_entry_alloc(ops);
	if (!entry)
		return -ENOMEM;

	mutex_lock(&smc_ulp_scope_mutex);
	was = smc_ulp_scope_find(entry->kind, entry->key);
	if (!was || was->ops != old) {
		mutex_unlock(&smc_ulp_scope_mutex);
		kfree(entry);
		return -ENOENT;
	}
	entry->id = ++smc_ulp_last_id;
	if (entry->kind == SMC_ULP_SCOPE_HOST)
		rcu_assign_pointer(smc_ulp_host, entry);
	else
		hlist_replace_rcu(&was->node, &entry->node);
	mutex_unlock(&smc_ulp_scope_mutex);
	synchronize_rcu();
	kfree(was);
	return 0;
}

/* The next entry for the sock of @scope; under RCU */
static const struct smc_ulp_entry *smc_ulp_scope_step(struct smc_ulp_scope *scope)
{
	const struct smc_ulp_entry *entry;
	u64 id;

	while (scope->next >= 0) {
		/* the sock holds its cgroup, which holds those above it */
		id = cgroup_id(scope->cgrp->ancestors[scope->next--]);
		entry = smc_ulp_scope_find(SMC_ULP_SCOPE_CGROUP, id);
		if (entry)
			return entry;
	}
	if (scope->next == SMC_ULP_NEXT_NETNS) {
		scope->next = SMC_ULP_NEXT_HOST;
		if (READ_ONCE(smc_ulp_scope_count[SMC_ULP_SCOPE_NETNS])) {
			entry = smc_ulp_scope_find(SMC_ULP_SCOPE_NETNS,
						   sock_net(scope->sk)->net_cookie);
			if (entry)
				return entry;
		}
	}
	if (scope->next == SMC_ULP_NEXT_HOST) {
		scope->next = SMC_ULP_NEXT_NONE;
		return rcu_dereference(smc_ulp_host);
	}
	return NULL;
}

/**
 * smc_ulp_scope_begin() - look for the policies of a sock, from near to far
 * @scope: state of the search
 * @sk: a full sock
 *
 * Without policies for cgroups or namespaces this is a load or two for each decision.
 *
 * Context: any; RCU read lock from here to the last smc_ulp_scope_next().
 */
void smc_ulp_scope_begin(struct smc_ulp_scope *scope, struct sock *sk)
{
	scope->sk = sk;
	scope->next = SMC_ULP_NEXT_NETNS;
	if (READ_ONCE(smc_ulp_scope_count[SMC_ULP_SCOPE_CGROUP])) {
		scope->cgrp = sock_cgroup_ptr(&sk->sk_cgrp_data);
		scope->next = scope->cgrp->level;
	}
}

/* The next wider policy, or NULL */
const struct smc_ulp_ops *smc_ulp_scope_next(struct smc_ulp_scope *scope)
{
	const struct smc_ulp_entry *entry = smc_ulp_scope_step(scope);

	return entry ? entry->ops : NULL;
}

/**
 * smc_ulp_scope_generation() - a number for the policies that are in scope of a sock
 * @sk: a full sock
 *
 * Context: any, RCU read lock. Return: another one when one of them came, went, or was replaced.
 */
u64 smc_ulp_scope_generation(struct sock *sk)
{
	const struct smc_ulp_entry *entry;
	struct smc_ulp_scope scope;
	u64 generation = 0;

	smc_ulp_scope_begin(&scope, sk);
	while ((entry = smc_ulp_scope_step(&scope)))
		generation = (generation + entry->id) * GOLDEN_RATIO_64;
	return generation;
}
