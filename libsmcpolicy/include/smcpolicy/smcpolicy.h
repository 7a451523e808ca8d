/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * libsmcpolicy - load and manage policies of the TCP upper-layer protocol "smc"
 *
 * A policy is a BPF object with a struct_ops map of type smc_ulp_ops, cgroup programs that attach
 * the sockets of unmodified programs, and options. The usual sequence is
 *
 *	policy = smcpolicy__open("by_port", NULL);
 *	smcpolicy__set_option(policy, "allow_ports", "6379,8080");
 *	smcpolicy__load(policy, NULL);
 *	smcpolicy__attach(policy, &opts);	// now it is in force
 *	smcpolicy__pin(policy, NULL);		// and outlives this process
 *	smcpolicy__close(policy);
 *
 * and smcpolicy__close() at any point undoes everything that is not pinned.
 *
 * Errors: functions that return int return a negative errno and set errno; functions that return
 * a pointer return NULL and set errno. Of the last failure in the calling thread
 * smcpolicy_error_cause() and smcpolicy_error_cure() say what happened and what helps. The
 * library neither prints nor exits, and is thread-safe as far as one object is used by one thread
 * at a time.
 *
 * Environment:
 *	SMCPOLICY_OBJECT_PATH	directories to look for objects in, separated by colons, before
 *				the built-in ones
 *	SMCPOLICY_BPFFS		BPF file system to pin in, instead of /sys/fs/bpf
 */
#ifndef _SMCPOLICY_H
#define _SMCPOLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef SMCPOLICY_API
#define SMCPOLICY_API __attribute__((visibility("default")))
#endif

#define SMCPOLICY_VERSION_MAJOR 0
#define SMCPOLICY_VERSION_MINOR 1

struct smc_event;	/* smc_policy/event.h */
struct smc_connection;	/* smc_policy/connection.h */
struct smcpolicy;
struct smcpolicy_option;
struct smcpolicy_list;
struct smcpolicy_loaded;
struct smcpolicy_events;
struct smcpolicy_rules;

/* ---- versions, errors, messages ---- */

/** @brief The version of the library, "major.minor.patch". */
SMCPOLICY_API const char *smcpolicy_version_string(void);
SMCPOLICY_API unsigned int smcpolicy_version_major(void);
SMCPOLICY_API unsigned int smcpolicy_version_minor(void);

/**
 * @brief What went wrong in the last call that failed in this thread.
 * @return one line without full stop; never NULL. Valid until the next call of the library.
 */
SMCPOLICY_API const char *smcpolicy_error_cause(void);

/** @brief What helps against it: one line, "" when nothing in particular does. */
SMCPOLICY_API const char *smcpolicy_error_cure(void);

enum smcpolicy_log_level {
	SMCPOLICY_LOG_WARN	= 0,
	SMCPOLICY_LOG_INFO	= 1,
	SMCPOLICY_LOG_DEBUG	= 2,	/* all that libbpf and the verifier say */
};

typedef void (*smcpolicy_log_fn)(enum smcpolicy_log_level level, const char *message,
				 void *context);

/**
 * @brief Receive messages; without a function, which is the default, they are dropped.
 * @param function gets each message, a line without newline; NULL for none
 * @param context is given to function
 *
 * While a function of the library runs, messages of libbpf go the same way.
 */
SMCPOLICY_API void smcpolicy_set_log(smcpolicy_log_fn function, void *context);

/* ---- the host ---- */

enum smcpolicy_check {
	SMCPOLICY_CHECK_PRIVILEGE	= 1 << 0,	/* may this process load policies */
	SMCPOLICY_CHECK_MODULE		= 1 << 1,	/* kernel, BTF, smc.ko, smc_ulp.ko */
	SMCPOLICY_CHECK_DEVICE		= 1 << 2,	/* an SMC-D or SMC-R device is there */
	SMCPOLICY_CHECK_EID		= 1 << 3,	/* an enterprise id is set */
	SMCPOLICY_CHECK_ALL		= (1 << 4) - 1,
};

/**
 * @brief Find out whether a policy can work here.
 * @param checks enum smcpolicy_check, ORed
 * @return 0, or the error of the first check that fails, with cause and cure. They are made in
 *	the order of the bits.
 */
SMCPOLICY_API int smcpolicy_check(unsigned int checks);

struct smcpolicy_host {
	size_t sz;			/* set by the caller: sizeof(struct smcpolicy_host) */
	char kernel[65];		/* release */
	char module_version[32];	/* of smc_ulp.ko, "" when it is not loaded or has none */
	bool module_loaded;		/* smc_ulp.ko */
	bool module_btf;		/* it has BTF with the struct_ops type */
	bool smc_loaded;		/* smc.ko */
	bool vulnerable_ulp;		/* the kernel's own smc.ko registers a ULP "smc" */
	int smcd_devices;		/* or negative errno */
	int smcr_devices;		/* or negative errno */
	int eids;			/* user-defined enterprise ids, or negative errno */
	int seid;			/* the system enterprise id is in use, or negative errno */
};
#define smcpolicy_host__last_field seid

/** @brief Fill in what is known of the host; needs no privilege. */
SMCPOLICY_API int smcpolicy_host(struct smcpolicy_host *host);

/* ---- policies ---- */

enum smcpolicy_hook {
	SMCPOLICY_HOOK_CREATE	= 1 << 0,	/* cgroup/sock_create: the normal place */
	SMCPOLICY_HOOK_BIND	= 1 << 1,	/* cgroup/bind4, bind6 */
	SMCPOLICY_HOOK_CONNECT	= 1 << 2,	/* cgroup/connect4, connect6: inside connect(2) */
	SMCPOLICY_HOOK_SOCKOPS	= 1 << 3,	/* sockops: attaches nothing, learns of TCP */
};

/**
 * @brief Open a policy; nothing is loaded yet.
 * @param name of a policy, looked up as name.bpf.o in the directories of
 *	smcpolicy_object_path(), or a path: a string with a '/'
 * @param opts none yet, NULL
 */
SMCPOLICY_API struct smcpolicy *smcpolicy__open(const char *name, const void *opts);

/** @brief Close it, and detach everything that is not pinned. NULL is ignored. */
SMCPOLICY_API void smcpolicy__close(struct smcpolicy *policy);

/** @brief The directories that objects are sought in, separated by colons. */
SMCPOLICY_API const char *smcpolicy_object_path(void);

/** @brief The name in its struct smc_ulp_ops, else that of the file. */
SMCPOLICY_API const char *smcpolicy__name(const struct smcpolicy *policy);
SMCPOLICY_API const char *smcpolicy__path(const struct smcpolicy *policy);
/** @brief One line, "" when it has none. */
SMCPOLICY_API const char *smcpolicy__description(const struct smcpolicy *policy);
/** @brief Whether it has a struct_ops map, that is, gives verdicts. */
SMCPOLICY_API bool smcpolicy__has_ops(const struct smcpolicy *policy);
/** @brief The enum smcpolicy_hook it has programs for, ORed. */
SMCPOLICY_API unsigned int smcpolicy__hooks(const struct smcpolicy *policy);

/** @brief Iterate over the options; NULL gives the first, and NULL is the end. */
SMCPOLICY_API const struct smcpolicy_option *
smcpolicy__next_option(const struct smcpolicy *policy, const struct smcpolicy_option *previous);

SMCPOLICY_API const char *smcpolicy_option__key(const struct smcpolicy_option *option);
/** @brief "enum", "u32", "rules", or of a list: "port", "addr", "u32", "comm". */
SMCPOLICY_API const char *smcpolicy_option__type(const struct smcpolicy_option *option);
SMCPOLICY_API bool smcpolicy_option__is_list(const struct smcpolicy_option *option);
/** @brief What the value may be: "no|yes", "1-65535"; "" when the type says it. */
SMCPOLICY_API const char *smcpolicy_option__choices(const struct smcpolicy_option *option);
/** @brief The value it has now, as smcpolicy__set_option() takes it. */
SMCPOLICY_API const char *smcpolicy_option__value(const struct smcpolicy_option *option);
SMCPOLICY_API const char *smcpolicy_option__help(const struct smcpolicy_option *option);

/**
 * @brief Set an option of a policy that is not loaded yet.
 * @param key of the option
 * @param value list values are separated by commas, and are added to those set before
 * @return 0, -ENOENT for an unknown key, -EINVAL or -ERANGE for a bad value, -EEXIST for a list
 *	element that another list of the same kind has, -EBUSY when the policy is loaded
 */
SMCPOLICY_API int smcpolicy__set_option(struct smcpolicy *policy, const char *key,
					const char *value);

/*
 * Whose sockets a policy decides about. Each scope has one policy at most; that of the nearest
 * cgroup is asked first, then that of the network namespace, then that of the host, until one does
 * not pass.
 */
enum smcpolicy_scope {
	SMCPOLICY_SCOPE_HOST	= 0,
	SMCPOLICY_SCOPE_CGROUP	= 1,	/* sockets made in a cgroup, or below it */
	SMCPOLICY_SCOPE_NETNS	= 2,	/* sockets of a network namespace */
};

struct smcpolicy_load_opts {
	size_t sz;
	unsigned int hooks;	/* which attach programs are wanted, enum smcpolicy_hook; 0: none */
	bool no_ops;		/* without the struct_ops map */
	enum smcpolicy_scope scope;
	/*
	 * Path of a cgroup v2 directory; or a network namespace: a name of ip-netns(8), a path, or
	 * "self"
	 */
	const char *scope_name;
	int scope_fd;		/* descriptor of a cgroup; used when scope_name is NULL */
	/*
	 * Name of a pinned policy that smcpolicy__replace() is to replace: this one has its scope
	 * and hooks, and goes on with its readers of events and with what it has learned
	 */
	const char *replaces;
	size_t :0;
};
#define smcpolicy_load_opts__last_field replaces

/**
 * @brief Load programs and maps into the kernel, with the options set so far.
 * @return 0; -ENOENT when there is no such cgroup or namespace, or nothing to replace
 */
SMCPOLICY_API int smcpolicy__load(struct smcpolicy *policy, const struct smcpolicy_load_opts *opts);

struct smcpolicy_attach_opts {
	size_t sz;
	const char *cgroup;	/* path of a cgroup v2 directory for the attach programs, or NULL */
	int cgroup_fd;		/* or its descriptor; used when cgroup is NULL and it is > 0 */
	size_t :0;
};
#define smcpolicy_attach_opts__last_field cgroup_fd

/**
 * @brief Put it in force: attach the cgroup programs, and register the policy.
 * @return 0; -EBUSY when another policy is registered in its scope. On failure nothing is attached.
 */
SMCPOLICY_API int smcpolicy__attach(struct smcpolicy *policy,
				    const struct smcpolicy_attach_opts *opts);

/** @brief Detach it now, whether it is pinned or not; what is pinned stays as a dead pin. */
SMCPOLICY_API int smcpolicy__detach(struct smcpolicy *policy);

/**
 * @brief Pin an attached policy in BPFFS/smcpolicy/NAME, so that it outlives the process.
 * @param name of the directory; NULL: the name of the policy
 * @return 0, -EEXIST when there is one. On failure nothing is pinned.
 */
SMCPOLICY_API int smcpolicy__pin(struct smcpolicy *policy, const char *name);

/**
 * @brief Put it in force in the place of the one that smcpolicy_load_opts::replaces names, and pin
 *	it: each decision is made by one of the two.
 * @param name of the pins; NULL: those of the one that is replaced
 * @return 0; on failure that one is in force as before
 */
SMCPOLICY_API int smcpolicy__replace(struct smcpolicy *policy, const char *name);

/* ---- rules ---- */

/**
 * @brief Read a file of rules, as the option "rules" of a policy does, and check it.
 * @return NULL and errno; the cause has file, line and column
 */
SMCPOLICY_API struct smcpolicy_rules *smcpolicy_rules__read(const char *path);
SMCPOLICY_API void smcpolicy_rules__free(struct smcpolicy_rules *rules);
/** @brief How many rules it has. */
SMCPOLICY_API uint32_t smcpolicy_rules__count(const struct smcpolicy_rules *rules);
/** @brief How many prefixes it, and the files it names, have. */
SMCPOLICY_API size_t smcpolicy_rules__prefix_count(const struct smcpolicy_rules *rules);
/** @brief How many sets of rules they make. */
SMCPOLICY_API uint32_t smcpolicy_rules__class_count(const struct smcpolicy_rules *rules);

/* ---- what is loaded ---- */

/** @brief All policies registered or pinned on this host. */
SMCPOLICY_API struct smcpolicy_list *smcpolicy_list__new(void);
SMCPOLICY_API void smcpolicy_list__free(struct smcpolicy_list *list);
/** @brief Iterate; NULL gives the first, and NULL is the end. */
SMCPOLICY_API const struct smcpolicy_loaded *
smcpolicy_list__next(const struct smcpolicy_list *list, const struct smcpolicy_loaded *previous);
/** @brief Find one by its name; NULL and ENOENT when there is none. */
SMCPOLICY_API const struct smcpolicy_loaded *
smcpolicy_list__find(const struct smcpolicy_list *list, const char *name);
/**
 * @brief Find the one that is registered in a scope.
 * @param name of the cgroup or namespace, as in struct smcpolicy_load_opts
 * @return NULL and ENOENT when there is none, or no such cgroup or namespace
 */
SMCPOLICY_API const struct smcpolicy_loaded *
smcpolicy_list__find_scope(const struct smcpolicy_list *list, enum smcpolicy_scope scope,
			   const char *name);

/** @brief Name of the pin, or of the policy when it is not pinned. */
SMCPOLICY_API const char *smcpolicy_loaded__name(const struct smcpolicy_loaded *loaded);
/** @brief Name in struct smc_ulp_ops; "" when only attach programs are loaded. */
SMCPOLICY_API const char *smcpolicy_loaded__policy(const struct smcpolicy_loaded *loaded);
SMCPOLICY_API const char *smcpolicy_loaded__description(const struct smcpolicy_loaded *loaded);
/** @brief Directory of the pins; "" when it lives as long as the process that loaded it. */
SMCPOLICY_API const char *smcpolicy_loaded__pin_path(const struct smcpolicy_loaded *loaded);
/** @brief Whether the policy is registered; false for a pin that was detached. */
SMCPOLICY_API bool smcpolicy_loaded__registered(const struct smcpolicy_loaded *loaded);
/** @brief Whose sockets it decides about. */
SMCPOLICY_API enum smcpolicy_scope smcpolicy_loaded__scope(const struct smcpolicy_loaded *loaded);
/** @brief Path of the cgroup, name of the network namespace; "" when it is gone, or for the host. */
SMCPOLICY_API const char *smcpolicy_loaded__scope_name(const struct smcpolicy_loaded *loaded);
/** @brief A process that holds it, 0 when none was found; only looked for without a pin. */
SMCPOLICY_API int smcpolicy_loaded__pid(const struct smcpolicy_loaded *loaded);
/** @brief Ids of the struct_ops link and map, 0 when there is none. */
SMCPOLICY_API uint32_t smcpolicy_loaded__link_id(const struct smcpolicy_loaded *loaded);
SMCPOLICY_API uint32_t smcpolicy_loaded__map_id(const struct smcpolicy_loaded *loaded);
/** @brief Path of the cgroup with the attach programs, "" when there is none. */
SMCPOLICY_API const char *smcpolicy_loaded__cgroup(const struct smcpolicy_loaded *loaded);
SMCPOLICY_API unsigned int smcpolicy_loaded__hooks(const struct smcpolicy_loaded *loaded);
/** @brief Programs: struct_ops callbacks and attach programs. */
SMCPOLICY_API int smcpolicy_loaded__program_count(const struct smcpolicy_loaded *loaded);
SMCPOLICY_API const char *smcpolicy_loaded__program_name(const struct smcpolicy_loaded *loaded,
							 int index);
SMCPOLICY_API uint32_t smcpolicy_loaded__program_id(const struct smcpolicy_loaded *loaded,
						    int index);
/** @brief Link of an attach program; 0 for a callback, which belongs to the struct_ops link. */
SMCPOLICY_API uint32_t smcpolicy_loaded__program_link_id(const struct smcpolicy_loaded *loaded,
							 int index);
/** @brief Instructions the verifier went through, as veristat counts them. */
SMCPOLICY_API uint32_t smcpolicy_loaded__program_insns(const struct smcpolicy_loaded *loaded,
						       int index);
/** @brief Its options as they are in the kernel; pinned policies only. */
SMCPOLICY_API const struct smcpolicy_option *
smcpolicy_loaded__next_option(const struct smcpolicy_loaded *loaded,
			      const struct smcpolicy_option *previous);
/** @brief Records sent to readers, and lost, so far; -ENOENT when it writes none. */
SMCPOLICY_API int smcpolicy_loaded__event_counts(const struct smcpolicy_loaded *loaded,
						 uint64_t *sent, uint64_t *lost);
/**
 * @brief How many read its records now: struct smcpolicy_events, in any process.
 * @return -ENOENT when it writes none
 *
 * What is left of readers that were killed, a ring buffer each, is removed.
 */
SMCPOLICY_API int smcpolicy_loaded__event_readers(const struct smcpolicy_loaded *loaded);

struct smcpolicy_rule {
	size_t sz;		/* set by the caller: sizeof(struct smcpolicy_rule) */
	uint32_t number;	/* in the file, from 1 on; 0: what happens when no rule matches */
	uint32_t line;		/* in the file, 0 for a default that is not there */
	const char *verdict;	/* "allow", "deny", "require", "pass" */
	char name[24];		/* "rule N" unless it has one */
	char text[224];		/* the line, or its beginning */
	uint64_t hits;		/* verdicts that it gave */
};
#define smcpolicy_rule__last_field hits

/**
 * @brief A rule of a pinned policy that was loaded with a file of rules.
 * @return 0, -ENOENT when there is none of that number, or there are no rules
 */
SMCPOLICY_API int smcpolicy_loaded__rule(const struct smcpolicy_loaded *loaded, uint32_t number,
					 struct smcpolicy_rule *rule);

/**
 * @brief Detach a pinned policy and remove its pins.
 * @param name as smcpolicy_loaded__name()
 */
SMCPOLICY_API int smcpolicy_unload(const char *name);

/* ---- connections ---- */

/** @brief Gets each socket; a value other than 0 ends smcpolicy_connections() with it. */
typedef int (*smcpolicy_connection_fn)(const struct smc_connection *connection, void *context);

/**
 * @brief The TCP sockets of this network namespace that have the ULP, whoever attached it.
 * @return 0, what @p function has returned, or a negative errno
 */
SMCPOLICY_API int smcpolicy_connections(smcpolicy_connection_fn function, void *context);

/* ---- events ----
 *
 * A policy writes records while somebody reads them, that is, from the return of
 * smcpolicy_events__open() or __new() until smcpolicy_events__free() or the end of the process.
 * Each reader gets each record; there can be eight at a time. Nothing is kept of what was before.
 */

/** @brief Gets each record; a value other than 0 ends smcpolicy_events__poll() with it. */
typedef int (*smcpolicy_event_fn)(const struct smc_event *event, void *context);

/**
 * @brief Read the records that a pinned policy writes from now on.
 * @param name of the pin; NULL: the policy that is registered, if there is one only
 * @return NULL and errno: ENOENT when there is none, EEXIST when there are several, or it cannot write any, ENODATA when it was
 *	loaded with events=no, EBUSY when there are eight readers
 */
SMCPOLICY_API struct smcpolicy_events *
smcpolicy_events__open(const char *name, smcpolicy_event_fn function, void *context);
/** @brief Read those of a policy this process has loaded, pinned or not. */
SMCPOLICY_API struct smcpolicy_events *
smcpolicy_events__new(const struct smcpolicy *policy, smcpolicy_event_fn function, void *context);
/** @brief End reading. NULL is ignored. */
SMCPOLICY_API void smcpolicy_events__free(struct smcpolicy_events *events);
/** @brief The name of the pin, or of the policy of this process. */
SMCPOLICY_API const char *smcpolicy_events__name(const struct smcpolicy_events *events);
/** @brief Readable when there are records; for poll, epoll. */
SMCPOLICY_API int smcpolicy_events__fd(const struct smcpolicy_events *events);
/**
 * @brief Wait for records and deliver them.
 * @param timeout_ms -1: without limit
 * @return number of records, -EINTR after a signal, -ENODEV when the pinned policy was unloaded
 *	and nothing is left to read
 */
SMCPOLICY_API int smcpolicy_events__poll(struct smcpolicy_events *events, int timeout_ms);
/** @brief Records that this reader lost because it was too slow. */
SMCPOLICY_API int64_t smcpolicy_events__lost(const struct smcpolicy_events *events);

/** @brief Name of a fallback reason, "PEERNOSMC" for 0x03010000; NULL when it is unknown. */
SMCPOLICY_API const char *smcpolicy_reason_name(uint32_t reason);
/** @brief What it means, one line; NULL when it is unknown. */
SMCPOLICY_API const char *smcpolicy_reason_text(uint32_t reason);
/** @brief What is likely to have caused it, and what helps, in sentences; NULL when it is unknown. */
SMCPOLICY_API const char *smcpolicy_reason_cause(uint32_t reason);
SMCPOLICY_API const char *smcpolicy_reason_cure(uint32_t reason);

#ifdef __cplusplus
}
#endif

#endif /* _SMCPOLICY_H */
