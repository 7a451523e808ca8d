// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP upper-layer protocol "smc": the struct_ops type smc_ulp_ops and the kfuncs
 */
#define pr_fmt(fmt) "smc_ulp: " fmt

#include <linux/bpf.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/filter.h>

#include "smc_ulp.h"

/* struct_ops: the stub table is the list of what a policy can implement */

static int smc_ulp_ops__init(struct sock *sk, __u32 origin)
{
	return SMC_ULP_PASS;
}

static int smc_ulp_ops__connect(struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	return SMC_ULP_PASS;
}

static int smc_ulp_ops__listen(struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	return SMC_ULP_PASS;
}

static int smc_ulp_ops__syn(struct sock *sk, const struct smc_ulp_tuple *tuple)
{
	return SMC_ULP_PASS;
}

static void smc_ulp_ops__established(struct sock *sk, const struct smc_ulp_result *result)
{
}

static int smc_ulp_ops__fallback(struct sock *sk, const struct smc_ulp_result *result)
{
	return SMC_ULP_GO_ON;
}

static void smc_ulp_ops__release(struct sock *sk, const struct smc_ulp_result *result)
{
}

static struct smc_ulp_ops smc_ulp_stubs = {
	.init		= smc_ulp_ops__init,
	.connect	= smc_ulp_ops__connect,
	.listen		= smc_ulp_ops__listen,
	.syn		= smc_ulp_ops__syn,
	.established	= smc_ulp_ops__established,
	.fallback	= smc_ulp_ops__fallback,
	.release	= smc_ulp_ops__release,
};

/* BTF of this module: struct_ops programs that are ours have it. It lives as long as we do. */
static const struct btf *smc_ulp_btf __read_mostly;

static int smc_ulp_bpf_btf_init(struct btf *btf)
{
	smc_ulp_btf = btf;
	return 0;
}

static int smc_ulp_bpf_check_member(const struct btf_type *t, const struct btf_member *member,
				    const struct bpf_prog *prog)
{
	return prog->sleepable ? -EINVAL : 0;	/* called under RCU, some in softirq */
}

static bool smc_ulp_name_valid(const char *name)
{
	size_t i, len = strnlen(name, SMC_ULP_POLICY_NAME_LEN);

	if (!len || len == SMC_ULP_POLICY_NAME_LEN)
		return false;
	for (i = 0; i < len; i++)
		if (!isalnum(name[i]) && !strchr("_-.", name[i]))
			return false;
	return true;
}

static int smc_ulp_bpf_init_member(const struct btf_type *t, const struct btf_member *member,
				   void *kdata, const void *udata)
{
	const struct smc_ulp_ops *from = udata;
	struct smc_ulp_ops *to = kdata;

	switch (__btf_member_bit_offset(t, member) / 8) {
	case offsetof(struct smc_ulp_ops, name):
		if (!smc_ulp_name_valid(from->name))
			return -EINVAL;
		strscpy(to->name, from->name, sizeof(to->name));
		return 1;
	case offsetof(struct smc_ulp_ops, cgroup_id):
		to->cgroup_id = from->cgroup_id;
		return 1;
	case offsetof(struct smc_ulp_ops, netns_cookie):
		to->netns_cookie = from->netns_cookie;
		return 1;
	}
	return 0;	/* a callback, or has to be zero */
}

static int smc_ulp_bpf_validate(void *kdata)
{
	const struct smc_ulp_ops *ops = kdata;

	/* every callback is optional */
	return ops->cgroup_id && ops->netns_cookie ? -EINVAL : 0;
}

static int smc_ulp_bpf_reg(void *kdata, struct bpf_link *link)
{
	if (!link)
		return -EOPNOTSUPP;	/* lifetime is the link's */
	return smc_ulp_policy_register(kdata);
}

static void smc_ulp_bpf_unreg(void *kdata, struct bpf_link *link)
{
	smc_ulp_policy_unregister(kdata);
}

static int smc_ulp_bpf_update(void *kdata, void *old_kdata, struct bpf_link *link)
{
	return smc_ulp_policy_update(kdata, old_kdata);
}

static bool smc_ulp_bpf_is_valid_access(int off, int size, enum bpf_access_type type,
					const struct bpf_prog *prog,
					struct bpf_insn_access_aux *info)
{
	return bpf_tracing_btf_ctx_access(off, size, type, prog, info);
}

static int smc_ulp_bpf_btf_struct_access(struct bpf_verifier_log *log,
					 const struct bpf_reg_state *reg, int off, int size)
{
	bpf_log(log, "smc_ulp_ops: arguments of callbacks are read-only\n");
	return -EACCES;
}

static const struct bpf_verifier_ops smc_ulp_verifier_ops = {
	.get_func_proto		= bpf_base_func_proto,
	.is_valid_access	= smc_ulp_bpf_is_valid_access,
	.btf_struct_access	= smc_ulp_bpf_btf_struct_access,
};

static struct bpf_struct_ops bpf_smc_ulp_ops = {
	.verifier_ops	= &smc_ulp_verifier_ops,
	.init		= smc_ulp_bpf_btf_init,
	.check_member	= smc_ulp_bpf_check_member,
	.init_member	= smc_ulp_bpf_init_member,
	.validate	= smc_ulp_bpf_validate,
	.reg		= smc_ulp_bpf_reg,
	.unreg		= smc_ulp_bpf_unreg,
	.update		= smc_ulp_bpf_update,
	.cfi_stubs	= &smc_ulp_stubs,
	.name		= "smc_ulp_ops",
	.owner		= THIS_MODULE,
};

/* kfuncs */

__bpf_kfunc_start_defs();

/**
 * bpf_smc_ulp_attach_create() - attach the ULP to a socket that is being created
 * @sk: the new socket: bpf_cast_to_kern_ctx(ctx) of a cgroup/sock_create program
 *
 * The normal way to make unmodified clients and servers use SMC: nobody else knows the descriptor
 * yet, and what the socket becomes is decided when it connects or listens. The program should look
 * at ctx->family, type and protocol first: anything but TCP over IPv4 or IPv6 is refused.
 *
 * Context: cgroup/sock_create only; does not sleep. No reference is taken or given.
 *
 * Return: 0, -ESOCKTNOSUPPORT not TCP, -EACCES refused by smc_ulp_ops::init, -EEXIST another ULP,
 * -EOPNOTSUPP a socket of the kernel, -ENOMEM.
 */
__bpf_kfunc int bpf_smc_ulp_attach_create(struct sock *sk)
{
	return smc_ulp_attach(sk, SMC_ULP_ORIGIN_SOCK_CREATE);
}

/**
 * bpf_smc_ulp_attach_bind() - attach the ULP to a socket that is being bound
 * @ctx: bpf_cast_to_kern_ctx(ctx) of a cgroup/bind4 or bind6 program
 *
 * Context: cgroup/bind4 and bind6 only, socket lock held by the caller of the program; does not
 * sleep. No reference is taken or given.
 *
 * Return: as bpf_smc_ulp_attach_create(), and -EISCONN when it is connected.
 */
__bpf_kfunc int bpf_smc_ulp_attach_bind(struct bpf_sock_addr_kern *ctx)
{
	return smc_ulp_attach(ctx->sk, SMC_ULP_ORIGIN_BIND);
}

/**
 * bpf_smc_ulp_attach_connect() - attach the ULP inside the connect(2) that is running
 * @ctx: bpf_cast_to_kern_ctx(ctx) of a cgroup/connect4 or connect6 program
 *
 * For programs that want to decide with the destination at hand and touch no other socket. Asks
 * smc_ulp_ops::init and ::connect, the latter with the destination as programs that ran before
 * this one have left it. connect(2) returns when TCP is established; the SMC handshake ends behind
 * it, and its errors surface on the first I/O or as SO_ERROR.
 *
 * Context: cgroup/connect4 and connect6 only, socket lock held by the caller of the program; does
 * not sleep. No reference is taken or given.
 *
 * Return: as bpf_smc_ulp_attach_create(), and -EBUSY when the descriptor is shared (dup, fork) or
 * another operation on it is in flight, -EISCONN when it is connected, -EOPNOTSUPP with TCP fast
 * open, TCP_REPAIR, SO_ZEROCOPY or an IPsec policy.
 */
__bpf_kfunc int bpf_smc_ulp_attach_connect(struct bpf_sock_addr_kern *ctx)
{
	return smc_ulp_attach_connecting(ctx->sk, ctx->uaddr, ctx->uaddrlen);
}

/**
 * bpf_smc_ulp_attach_sockopt() - attach the ULP to a socket whose option is being set
 * @ctx: bpf_cast_to_kern_ctx(ctx) of a cgroup/setsockopt program
 *
 * For programs that set some option of their sockets anyway. The option is set afterwards, whatever
 * happens here.
 *
 * Context: cgroup/setsockopt only, socket lock held by the caller of the program; does not sleep.
 * No reference is taken or given.
 *
 * Return: as bpf_smc_ulp_attach_create(), -EISCONN when it is connected, -EINVAL when it listens,
 * -EBUSY when something else has a hand on it.
 */
__bpf_kfunc int bpf_smc_ulp_attach_sockopt(struct bpf_sockopt_kern *ctx)
{
	return smc_ulp_attach(ctx->sk, SMC_ULP_ORIGIN_SOCKOPT);
}

/**
 * bpf_smc_ulp_result() - outcome of the SMC handshake of @sk
 * @sk: a TCP socket, as struct sock or struct sock_common: that of a callback, of a tracing or
 *	cgroup program, of an iterator over TCP sockets
 * @out: where to write it
 * @out__sz: its size; a program built against a shorter or longer struct smc_ulp_result gets what
 *	both know, the rest of @out is zeroed
 *
 * Copies an immutable snapshot taken when the handshake ended, plus the byte counts of now. Known
 * while SMC carries the data; afterwards, and for sockets that are plain TCP, there is nothing to
 * know here: the callbacks fallback and release are given it.
 *
 * Context: any; takes no locks.
 *
 * Return: 0, -EINVAL @out is empty, -ENOENT the ULP is not on @sk, -ENODATA the handshake has not
 * ended.
 */
__bpf_kfunc int bpf_smc_ulp_result(struct sock_common *sk, void *out, u32 out__sz)
{
	struct smc_ulp_result res;
	int rc;

	if (!out__sz)
		return -EINVAL;
	rc = smc_ulp_result_get(container_of(sk, struct sock, __sk_common), &res);
	memset(out, 0, out__sz);
	if (!rc)
		memcpy(out, &res, min_t(u32, out__sz, sizeof(res)));
	return rc;
}

/**
 * bpf_smc_ulp_scratch() - memory of the policies for the connection of @sk
 * @sk: the socket that the callback is about
 * @rdwr_buf_size: bytes that the program uses, a constant up to SMC_ULP_SCRATCH_SIZE
 *
 * Zeroed when it is made, at the first call, and when the policies in scope of the socket are
 * others: one was registered, detached or replaced. Policies that are in scope together share it. A
 * listener has its own, and a child begins with none. Callbacks may run at the same time, on a
 * listener above all, and during an update those of the old policy and of the new one: what matters
 * is to be written by atomic operations.
 *
 * Context: callbacks of struct smc_ulp_ops except init, for which there is no connection yet; does
 * not sleep. The memory is valid to the end of the callback.
 *
 * Return: the memory, aligned to 8 bytes, or NULL: too large, no memory, inside
 * bpf_smc_ulp_attach_connect(), or the ULP is not on @sk any more.
 */
__bpf_kfunc u8 *bpf_smc_ulp_scratch(struct sock *sk, const size_t rdwr_buf_size)
{
	return rdwr_buf_size <= SMC_ULP_SCRATCH_SIZE ? smc_ulp_scratch_get(sk) : NULL;
}

/**
 * bpf_smc_ulp_scratch_rdonly() - look at what the policies remember of the connection of @sk
 * @sk: a TCP socket, as for bpf_smc_ulp_result()
 * @rdonly_buf_size: bytes that the program looks at, a constant up to SMC_ULP_SCRATCH_SIZE
 *
 * Context: non-sleepable programs in any context; takes no locks. The memory is valid to the end of
 * the program, and policies may write to it.
 *
 * Return: the memory, or NULL when there is none, or that of other policies than are in scope now.
 */
__bpf_kfunc const u8 *bpf_smc_ulp_scratch_rdonly(struct sock_common *sk,
						 const size_t rdonly_buf_size)
{
	const u8 *scratch;

	if (rdonly_buf_size > SMC_ULP_SCRATCH_SIZE)
		return NULL;
	rcu_read_lock();	/* the program holds it to its end, whatever its type */
	scratch = smc_ulp_scratch_peek(container_of(sk, struct sock, __sk_common));
	rcu_read_unlock();
	return scratch;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(smc_ulp_kfunc_ids)
BTF_ID_FLAGS(func, bpf_smc_ulp_attach_create, KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, bpf_smc_ulp_attach_bind, KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, bpf_smc_ulp_attach_connect, KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, bpf_smc_ulp_attach_sockopt, KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, bpf_smc_ulp_result, KF_TRUSTED_ARGS)
BTF_ID_FLAGS(func, bpf_smc_ulp_scratch, KF_TRUSTED_ARGS | KF_RET_NULL)
BTF_ID_FLAGS(func, bpf_smc_ulp_scratch_rdonly, KF_TRUSTED_ARGS | KF_RET_NULL)
BTF_KFUNCS_END(smc_ulp_kfunc_ids)

enum smc_ulp_kfunc {
	SMC_ULP_KFUNC_CREATE,
	SMC_ULP_KFUNC_BIND,
	SMC_ULP_KFUNC_CONNECT,
	SMC_ULP_KFUNC_SOCKOPT,
	SMC_ULP_KFUNC_SCRATCH,
	SMC_ULP_KFUNC_SCRATCH_RDONLY,
};

BTF_ID_LIST(smc_ulp_kfunc_list)
BTF_ID(func, bpf_smc_ulp_attach_create)
BTF_ID(func, bpf_smc_ulp_attach_bind)
BTF_ID(func, bpf_smc_ulp_attach_connect)
BTF_ID(func, bpf_smc_ulp_attach_sockopt)
BTF_ID(func, bpf_smc_ulp_scratch)
BTF_ID(func, bpf_smc_ulp_scratch_rdonly)

static bool smc_ulp_kfunc_is(u32 kfunc_id, enum smc_ulp_kfunc which)
{
	return kfunc_id == smc_ulp_kfunc_list[which];
}

/* The callback that a struct_ops program is for: its number among the members */
static bool smc_ulp_prog_is_init(const struct bpf_prog *prog)
{
	BUILD_BUG_ON(offsetof(struct smc_ulp_ops, init));
	return prog->expected_attach_type == 0;
}

/*
 * Each attach kfunc belongs to the hook whose locking it relies on. Of struct_ops programs only
 * those of our own type know when their socks are valid.
 */
static int smc_ulp_kfunc_filter(const struct bpf_prog *prog, u32 kfunc_id)
{
	enum bpf_attach_type at = prog->expected_attach_type;
	enum bpf_prog_type type = prog->type;
	bool ok = true;

	if (!btf_id_set8_contains(&smc_ulp_kfunc_ids, kfunc_id))
		return 0;
	if (type == BPF_PROG_TYPE_STRUCT_OPS && prog->aux->attach_btf != smc_ulp_btf)
		return -EACCES;
	if (smc_ulp_kfunc_is(kfunc_id, SMC_ULP_KFUNC_CREATE))
		ok = type == BPF_PROG_TYPE_CGROUP_SOCK && at == BPF_CGROUP_INET_SOCK_CREATE;
	else if (smc_ulp_kfunc_is(kfunc_id, SMC_ULP_KFUNC_BIND))
		ok = type == BPF_PROG_TYPE_CGROUP_SOCK_ADDR &&
		     (at == BPF_CGROUP_INET4_BIND || at == BPF_CGROUP_INET6_BIND);
	else if (smc_ulp_kfunc_is(kfunc_id, SMC_ULP_KFUNC_CONNECT))
		ok = type == BPF_PROG_TYPE_CGROUP_SOCK_ADDR &&
		     (at == BPF_CGROUP_INET4_CONNECT || at == BPF_CGROUP_INET6_CONNECT);
	else if (smc_ulp_kfunc_is(kfunc_id, SMC_ULP_KFUNC_SOCKOPT))
		ok = type == BPF_PROG_TYPE_CGROUP_SOCKOPT && at == BPF_CGROUP_SETSOCKOPT;
	else if (smc_ulp_kfunc_is(kfunc_id, SMC_ULP_KFUNC_SCRATCH))
		ok = type == BPF_PROG_TYPE_STRUCT_OPS && !smc_ulp_prog_is_init(prog);
	else if (smc_ulp_kfunc_is(kfunc_id, SMC_ULP_KFUNC_SCRATCH_RDONLY))
		ok = !prog->sleepable;	/* the memory is there as long as RCU is */
	return ok ? 0 : -EACCES;
}

static const struct btf_kfunc_id_set smc_ulp_kfunc_set = {
	.owner	= THIS_MODULE,
	.set	= &smc_ulp_kfunc_ids,
	.filter	= smc_ulp_kfunc_filter,
};

/**
 * smc_ulp_bpf_init() - register kfuncs and struct_ops type
 *
 * Both vanish with the BTF of the module: there is nothing to undo.
 *
 * Return: 0 or -errno.
 */
int __init smc_ulp_bpf_init(void)
{
	int rc;

	/* on 6.12 one registration serves all cgroup program types */
	rc = register_btf_kfunc_id_set(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, &smc_ulp_kfunc_set);
	if (!rc)
		rc = register_btf_kfunc_id_set(BPF_PROG_TYPE_STRUCT_OPS, &smc_ulp_kfunc_set);
	if (!rc)
		rc = register_btf_kfunc_id_set(BPF_PROG_TYPE_TRACING, &smc_ulp_kfunc_set);
	if (!rc)
		rc = register_bpf_struct_ops(&bpf_smc_ulp_ops, smc_ulp_ops);
	return rc;
}
