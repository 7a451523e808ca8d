// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP upper-layer protocol "smc": does the smc.ko that is loaded look as the one we were built for?
 *
 * We read some private structures of smc.ko at offsets that genlayout took from the BTF of the
 * target's smc.ko at build time. Here they are compared with the BTF of the smc.ko that runs,
 * which the kernel shows in /sys/kernel/btf. smc.ko cannot be exchanged while we are loaded: we
 * refer to a symbol of it.
 */
#define pr_fmt(fmt) "smc_ulp: " fmt

#include <linux/btf.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/vmalloc.h>
#include <net/smc.h>

#include "smc_ulp.h"
#include "smc_ulp_layout.gen.h"

extern struct proto smc_proto;	/* exported by smc.ko, declared in its private smc.h */

#define SMC_ULP_BTF_MAX		(64 << 20)

/* One BTF blob; that of a module continues the types and strings of vmlinux' */
struct smc_ulp_btf {
	const void	*data;
	const char	*strs;
	u32		str_len;
	const void	*types;
	const void	*types_end;
	u32		first_id;	/* type id of the first type */
	u32		nr_types;
	const struct smc_ulp_btf *base;
};

static const struct {
	const char *type;
	const char *member;
	u32 offset;
} smc_ulp_fields[] = {
#define SMC_ULP_FIELD(type, member, size) { #type, #member, SMC_ULP_OFF_##type##__##member },
#include "smc_ulp_layout.def"
#undef SMC_ULP_FIELD
};

/* bytes of a type record, 0 when it is not well formed */
static size_t smc_ulp_btf_type_size(const struct btf_type *t)
{
	size_t vlen = BTF_INFO_VLEN(t->info);

	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return sizeof(*t) + sizeof(u32);
	case BTF_KIND_ARRAY:
		return sizeof(*t) + sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return sizeof(*t) + vlen * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return sizeof(*t) + vlen * sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return sizeof(*t) + vlen * sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return sizeof(*t) + vlen * sizeof(struct btf_param);
	case BTF_KIND_DATASEC:
		return sizeof(*t) + vlen * sizeof(struct btf_var_secinfo);
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case BTF_KIND_TYPE_TAG:
		return sizeof(*t);
	}
	return 0;
}

static const struct btf_type *smc_ulp_btf_next(const struct smc_ulp_btf *b,
					       const struct btf_type *t)
{
	const void *next = t ? (const void *)t + smc_ulp_btf_type_size(t) : b->types;

	if (next == t || next + sizeof(*t) > b->types_end)
		return NULL;
	t = next;
	return next + smc_ulp_btf_type_size(t) > b->types_end ? NULL : t;
}

/* Not kernel_read_file_from_path(): that asks security modules, which want to know a purpose */
static ssize_t smc_ulp_file_read(const char *path, void **data)
{
	struct file *file;
	loff_t size, pos = 0;
	ssize_t n = -EFBIG;
	void *buf;

	file = filp_open(path, O_RDONLY, 0);
	if (IS_ERR(file))
		return PTR_ERR(file);
	size = i_size_read(file_inode(file));
	if (size <= 0 || size > SMC_ULP_BTF_MAX)
		goto out;
	n = -ENOMEM;
	buf = vmalloc(size);
	if (!buf)
		goto out;
	do
		n = kernel_read(file, buf + pos, size - pos, &pos);
	while (n > 0 && pos < size);
	*data = buf;
	n = n < 0 ? n : pos;
out:
	filp_close(file, NULL);
	return n;
}

static int smc_ulp_btf_read(struct smc_ulp_btf *b, const char *path,
			    const struct smc_ulp_btf *base)
{
	const struct btf_header *hdr;
	const struct btf_type *t;
	void *data = NULL;
	ssize_t len;

	memset(b, 0, sizeof(*b));
	len = smc_ulp_file_read(path, &data);
	b->data = data;
	if (len < 0)
		return len;
	b->base = base;
	b->first_id = base ? base->first_id + base->nr_types : 1;
	hdr = data;
	if (len < sizeof(*hdr) || hdr->magic != BTF_MAGIC || hdr->hdr_len < sizeof(*hdr) ||
	    (u64)hdr->hdr_len + hdr->type_off + hdr->type_len > len ||
	    (u64)hdr->hdr_len + hdr->str_off + hdr->str_len > len || !hdr->str_len)
		return -EINVAL;
	b->types = data + hdr->hdr_len + hdr->type_off;
	b->types_end = b->types + hdr->type_len;
	b->strs = data + hdr->hdr_len + hdr->str_off;
	b->str_len = hdr->str_len;
	if (b->strs[b->str_len - 1])
		return -EINVAL;
	for (t = smc_ulp_btf_next(b, NULL); t; t = smc_ulp_btf_next(b, t))
		b->nr_types++;
	return 0;
}

static const char *smc_ulp_btf_str(const struct smc_ulp_btf *b, u32 off)
{
	if (b->base) {
		if (off < b->base->str_len)
			return b->base->strs + off;
		off -= b->base->str_len;
	}
	return off < b->str_len ? b->strs + off : "";
}

static const struct btf_type *smc_ulp_btf_type(const struct smc_ulp_btf *b, u32 id)
{
	const struct btf_type *t;

	if (b->base && id < b->first_id)
		return smc_ulp_btf_type(b->base, id);
	for (t = smc_ulp_btf_next(b, NULL); t; t = smc_ulp_btf_next(b, t))
		if (id-- == b->first_id)
			return t;
	return NULL;
}

/* byte offset of @name in @t, also inside anonymous members; -1 when it is not there */
static long smc_ulp_btf_member(const struct smc_ulp_btf *b, const struct btf_type *t,
			       const char *name, int depth)
{
	const struct btf_member *m = (const struct btf_member *)(t + 1);
	u32 i;

	for (i = 0; i < BTF_INFO_VLEN(t->info); i++, m++) {
		u32 bits = BTF_INFO_KFLAG(t->info) ? BTF_MEMBER_BIT_OFFSET(m->offset) : m->offset;
		const char *n = smc_ulp_btf_str(b, m->name_off);
		const struct btf_type *inner;
		long off;

		if (!strcmp(n, name))
			return bits / 8;
		if (*n || !depth)
			continue;
		inner = smc_ulp_btf_type(b, m->type);
		if (!inner || (BTF_INFO_KIND(inner->info) != BTF_KIND_STRUCT &&
			       BTF_INFO_KIND(inner->info) != BTF_KIND_UNION))
			continue;
		off = smc_ulp_btf_member(b, inner, name, depth - 1);
		if (off >= 0)
			return bits / 8 + off;
	}
	return -1;
}

static const struct btf_type *smc_ulp_btf_struct(const struct smc_ulp_btf *b, const char *name)
{
	const struct btf_type *t;

	for (t = smc_ulp_btf_next(b, NULL); t; t = smc_ulp_btf_next(b, t))
		if (BTF_INFO_KIND(t->info) == BTF_KIND_STRUCT &&
		    !strcmp(smc_ulp_btf_str(b, t->name_off), name))
			return t;
	return NULL;
}

static int smc_ulp_layout_compare(const struct smc_ulp_btf *b)
{
	const struct btf_type *t;
	long off;
	int i;

	for (i = 0; i < ARRAY_SIZE(smc_ulp_fields); i++) {
		t = smc_ulp_btf_struct(b, smc_ulp_fields[i].type);
		off = t ? smc_ulp_btf_member(b, t, smc_ulp_fields[i].member, 4) : -1;
		if (off == smc_ulp_fields[i].offset)
			continue;
		pr_err("struct %s.%s of the loaded smc.ko is at %ld, this module was built for %u; rebuild it against this smc.ko\n",
		       smc_ulp_fields[i].type, smc_ulp_fields[i].member, off,
		       smc_ulp_fields[i].offset);
		return -EINVAL;
	}
	return 0;
}

/**
 * smc_ulp_layout_check() - refuse to run on an smc.ko we were not built for
 *
 * Also refuses when this module has no BTF: it would load, and register nothing.
 *
 * Return: 0; -ENOENT no BTF; -EINVAL another layout.
 */
int __init smc_ulp_layout_check(void)
{
	struct smc_ulp_btf vmlinux = {}, smc = {};
	int rc = -ENOENT;

	/* what keeps smc.ko in place, see above */
	if (smc_proto.obj_size != SMC_ULP_SIZE_smc_sock) {
		pr_err("struct smc_sock of the loaded smc.ko has %u bytes, this module was built for %u; rebuild it against this smc.ko\n",
		       smc_proto.obj_size, SMC_ULP_SIZE_smc_sock);
		return -EINVAL;
	}
#ifdef CONFIG_DEBUG_INFO_BTF_MODULES
	if (THIS_MODULE->btf_data_size)
		rc = 0;
#endif
	if (rc) {
		pr_err("this module has no BTF; build it with the kernel's vmlinux (linux-headers, or a copy of /sys/kernel/btf/vmlinux) and pahole installed\n");
		return rc;
	}
	rc = smc_ulp_btf_read(&vmlinux, "/sys/kernel/btf/vmlinux", NULL);
	if (!rc)
		rc = smc_ulp_btf_read(&smc, "/sys/kernel/btf/smc", &vmlinux);
	if (rc)
		pr_err("cannot read the BTF of smc.ko from /sys/kernel/btf (%d); the kernel needs CONFIG_DEBUG_INFO_BTF_MODULES and an smc.ko with BTF\n",
		       rc);
	else
		rc = smc_ulp_layout_compare(&smc);
	vfree(smc.data);
	vfree(vmlinux.data);
	return rc;
}
