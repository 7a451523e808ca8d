/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#ifndef _SMCPOLICY_CLI_H
#define _SMCPOLICY_CLI_H

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <smcpolicy/smcpolicy.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define __format(f, a)	__attribute__((format(printf, f, a)))

/* Exit statuses; run has its own, as env and timeout do. */
#define EXIT_USAGE	2
#define EXIT_RUN	125

struct cli_option {
	int key;		/* the short option, or a number from 256 on: none */
	const char *name;	/* the long option; NULL ends the table */
	const char *value;	/* what its value is called in the help, NULL for none */
	const char *help;
};

struct command {
	const char *name;
	const char *arguments;	/* in the help */
	const char *help;
	const struct cli_option *options;
	int min_args, max_args;	/* -1: any number */
	bool program;		/* options end at the first argument */
	int (*set)(int key, const char *value);	/* 0, or what usage() returns */
	int (*run)(int argc, char **argv);	/* gives the exit status */
};

extern const struct command cmd_load, cmd_unload, cmd_list, cmd_show, cmd_rules, cmd_run, cmd_trace,
	cmd_connections, cmd_version;

/* What the global options say, and what an error exits with. */
struct cli {
	bool json, pretty;
	int failed, misused;
	const struct command *command;
};
extern struct cli cli;

/* ---- output.c ---- */

/* Print an error; they return the exit status. */
int fail(const char *cure, const char *cause, ...) __format(2, 3);
int fail_library(void);		/* the last error of the library */
int usage(const char *cause, ...) __format(1, 2);
void warn_library(void);
void warn(const char *cure, const char *cause, ...) __format(2, 3);
void note(const char *text, ...) __format(1, 2);

void add_string(struct json_object *object, const char *key, const char *value);
void add_number(struct json_object *object, const char *key, int64_t value);
void add_bool(struct json_object *object, const char *key, bool value);
/* Blank or NUL padded */
void add_chars(struct json_object *object, const char *key, const void *chars, size_t size);
/* Print it, and drop it: as JSON, or as lines "key value". */
void print(struct json_object *object);
void print_json(struct json_object *object);

/* ---- load.c: what load and run share ---- */

extern const char *const hook_names[4];	/* in the order of enum smcpolicy_hook */
struct json_object *hooks_json(unsigned int hooks);
extern unsigned int wanted_hooks;
int set_hook(const char *value);
int set_setting(const char *value);
/* Open, set, check and load; NULL after an error message. */
struct smcpolicy *load_policy(const char *name, bool attach, struct smcpolicy_load_opts *opts);

#endif /* _SMCPOLICY_CLI_H */
