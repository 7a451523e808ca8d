/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#ifndef _SMCPOLICY_INTERNAL_H
#define _SMCPOLICY_INTERNAL_H

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <smcpolicy/smcpolicy.h>

#if LIBBPF_MAJOR_VERSION < 1 || (LIBBPF_MAJOR_VERSION == 1 && LIBBPF_MINOR_VERSION < 4)
#error "libbpf 1.4 or newer is needed: struct_ops types of kernel modules"
#endif

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define __format(f, a)	__attribute__((format(printf, f, a)))

#define STRUCT_OPS_TYPE		"smc_ulp_ops"
#define STRUCT_OPS_VALUE_TYPE	"bpf_struct_ops_smc_ulp_ops"
#define MODULE_NAME		"smc_ulp"
#define MIN_KERNEL		"6.12"
#define FIXED_KERNEL		"6.12.115"

/* ---- error.c ---- */

/* Sets errno and the cause (and cure, which may be NULL); returns -err. @err is positive. */
int smcp_error(int err, const char *cure, const char *cause, ...) __format(3, 4);
/* The same for what libbpf returned: its own codes become -EINVAL, its warning joins the cause. */
int smcp_libbpf_error(int err, const char *cure, const char *cause, ...) __format(3, 4);
void *smcp_no_memory(void);
void smcp_log(enum smcpolicy_log_level level, const char *format, ...) __format(2, 3);
/* Around calls of libbpf: its messages go to us. */
void smcp_enter(void);
void smcp_leave(void);
/* Keep errno, cause and cure through a clean-up. */
struct smcp_saved_error {
	int err;
	char text[2][768];
};
void smcp_save_error(struct smcp_saved_error *saved);
int smcp_restore_error(const struct smcp_saved_error *saved);

/* An options struct is as long as we know, shorter, or longer with zeros. */
bool smcp_valid_opts(const void *opts, size_t known, size_t sz);
#define OPTS_VALID(opts, type)								\
	(!(opts) || smcp_valid_opts(opts, offsetof(struct type, type##__last_field) +	\
				    sizeof(((struct type *)0)->type##__last_field),	\
				    (opts)->sz))
#define OPTS_HAS(opts, field)								\
	((opts) && (opts)->sz >= offsetof(typeof(*(opts)), field) + sizeof((opts)->field))
#define OPTS_GET(opts, field, fallback)							\
	(OPTS_HAS(opts, field) ? (opts)->field : (fallback))

/* ---- option.c ---- */

enum option_type {
	OPTION_ENUM, OPTION_U32, LIST_PORT, LIST_ADDR, LIST_U32, LIST_COMM, OPTION_RULES,
};

struct element {
	union {
		unsigned char bytes[20];
		uint16_t port;
		uint32_t u32;
		char comm[16];
		struct {
			uint32_t prefixlen;
			unsigned char addr[16];
		} addr;
	} key;
};

struct smcpolicy_option {
	struct smcpolicy_option *next;
	char *key, *choices, *help, *value;
	enum option_type type;
	char *variable;			/* variable in .rodata, or map */
	uint32_t offset;		/* of a variable in .rodata */
	uint32_t number;		/* of a variable; of a list: value of each element */
	bool set;
	uint32_t min, max;		/* OPTION_U32 */
	char *enum_spec;		/* OPTION_ENUM: word=number|... */
	struct element *elements;	/* sorted */
	size_t count;
	struct smcpolicy_rules *rules;	/* OPTION_RULES */
	char file[256];
	bool has_count_variable;
	uint32_t count_offset;		/* SMC_OPTION_COUNT */
};

struct smcp_description {
	char *text;
	struct smcpolicy_option *options;
};

/* Read the tags of an object's BTF. */
int smcp_describe(struct smcp_description *desc, const struct btf *btf, const char *what);
void smcp_description_free(struct smcp_description *desc);
int smcp_option_set(struct smcp_description *desc, struct smcpolicy_option *option,
		    const char *value, const char *policy);
struct smcpolicy_option *smcp_option_find(const struct smcp_description *desc, const char *key);
size_t smcp_key_size(const struct smcpolicy_option *option);
/* Values as they are: from the bytes of .rodata, or from a map. */
int smcp_option_read_rodata(struct smcp_description *desc, const void *data, size_t size);
int smcp_option_read_map(struct smcp_description *desc, const char *map, int fd);

bool smcp_parse_number(const char *text, uint32_t *number);
bool smcp_parse_range(const char *text, uint32_t *min, uint32_t *max);	/* 80, or 80-90 */
/* An address or a prefix; IPv4 becomes v4-mapped. @text is written to, and as it was afterwards. */
bool smcp_parse_addr(char *text, unsigned char *addr, uint32_t *length);

/* ---- rules_map.c: rules in the kernel ---- */

/* Before the object is loaded, with its read-only data; and afterwards. */
int smcp_rules_prepare(const struct smcpolicy_option *option, struct bpf_object *object,
		       void *rodata, size_t size);
int smcp_rules_fill(const struct smcpolicy_option *option, struct bpf_object *object);
int smcp_rules_read_config(struct smcpolicy_option *option, const void *rodata, size_t size);
/* Rule @number of what is pinned as @pin; -ENOENT after the last */
int smcp_rules_get(const char *pin, uint32_t number, uint32_t default_verdict,
		   struct smcpolicy_rule *rule);

/* ---- policy.c ---- */

#define MAX_PROGRAM_LINKS	16

/* Both zero: the host */
struct smcp_scope {
	uint64_t cgroup_id, netns_cookie;
};

struct smcpolicy {
	struct bpf_object *object;
	struct bpf_map *ops, *rodata;
	char *path, *name;
	struct smcp_description desc;
	unsigned int hooks;		/* that it has programs for */
	bool loaded, no_ops;
	struct smcp_scope scope;
	char *replaces;			/* name of a pin */
	char *cgroup;			/* to which that one is attached, or NULL */
	struct bpf_link *ops_link;
	struct {
		struct bpf_link *link;
		struct bpf_program *program;
	} links[MAX_PROGRAM_LINKS];
	int link_count;
};

unsigned int smcp_hook(enum bpf_attach_type type);
char *smcp_find_object(const char *name);
/* Descriptor of a cgroup v2 directory: that of @path, or a copy of @fd */
int smcp_cgroup_open(const char *path, int fd);
int smcp_scope_find(enum smcpolicy_scope scope, const char *name, int fd, struct smcp_scope *found);

/* ---- check.c ---- */

int smcp_check_module(void);
int smcp_check_privilege(void);
const char *smcp_missing_privilege(void);

/* ---- netlink.c ---- */

/* Number of records a dump command of SMC_GEN_NETLINK gives; -ENOENT: smc.ko is not loaded. */
int smcp_netlink_count(int command);
int smcp_netlink_seid(void);		/* is the system EID in use */
int smcp_netlink_smcd(void);		/* number of SMC-D devices */

/* ---- kernel.c: what the kernel says of BPF things ---- */

/* As in <linux/bpf.h> of Linux 6.12; that of the build host may be older. */
struct smcp_map_info {
	uint32_t type, id, key_size, value_size, max_entries, map_flags;
	char name[16];
	uint32_t ifindex, btf_vmlinux_value_type_id;
	uint64_t netns_dev, netns_ino;
	uint32_t btf_id, btf_key_type_id, btf_value_type_id, btf_vmlinux_id;
	uint64_t map_extra;
};

struct smcp_link_info {
	uint32_t type, id, prog_id, pad;
	union {
		struct {
			uint64_t cgroup_id;
			uint32_t attach_type;
		} cgroup;
		struct {
			uint32_t map_id;
		} struct_ops;
		uint64_t room[8];
	};
};

int smcp_map_info(int fd, struct smcp_map_info *info);
int smcp_link_info(int fd, struct smcp_link_info *info);
/* What a struct_ops map of a policy says, and the ids of its callbacks */
struct smcp_policy_info {
	char name[64];
	struct smcp_scope scope;
	uint32_t programs[16];
	int program_count;
};

/* -ENOENT: this map is no policy */
int smcp_policy_info(int map_fd, struct smcp_policy_info *info);
/* The registered link that comes after @id; 0: there is no other. */
uint32_t smcp_next_registered(uint32_t id, struct smcp_policy_info *info);
int smcp_cgroup_root(char *path, size_t size);	/* where cgroup v2 is mounted */
int smcp_cgroup_path(uint64_t id, char *path, size_t size);
int smcp_link_holder(uint32_t link_id);

/* ---- netns.c ---- */

/* Of a name of ip-netns(8), a path, or "self"; negative errno, without a message */
int smcp_netns_cookie(const char *name, uint64_t *cookie);
/* Its name, or "cookie N" when it has none */
void smcp_netns_name(uint64_t cookie, char *name, size_t size);

/* ---- pin.c ---- */

#define PIN_OPS		"ops"
#define PIN_LINK	"link_"
#define PIN_MAP		"map_"

int smcp_bpffs_open(bool create);	/* BPFFS/smcpolicy, locked; -ENOENT when there is none */
void smcp_bpffs_close(int fd);
const char *smcp_bpffs_path(void);
int smcp_pin_name(const char *name, char *pin, size_t size);
/* Descriptor of an object pinned in directory @name. */
int smcp_pin_get(const char *name, const char *entry);

/* ---- list.c ---- */

const struct smcp_scope *smcp_loaded_scope(const struct smcpolicy_loaded *loaded);
const struct smcpolicy_loaded *smcp_list_find_scope(const struct smcpolicy_list *list,
						    const struct smcp_scope *scope);

/* ---- events.c ---- */

int smcp_event_counts(int fd, uint64_t *sent, uint64_t *lost);
/* Number of readers; removes what is left of those that were killed. */
int smcp_event_readers(int rings_fd);

#endif /* _SMCPOLICY_INTERNAL_H */
