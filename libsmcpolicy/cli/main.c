// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * smcpolicy - decide which TCP connections become SMC
 *
 * Each command is a struct command; parsing, --help and the summary come from it.
 */
#include "cli.h"

#include <ctype.h>
#include <getopt.h>

#define MAX_OPTIONS	24

struct cli cli = { .failed = EXIT_FAILURE, .misused = EXIT_USAGE };

static const struct command *const commands[] = {
	&cmd_load, &cmd_unload, &cmd_list, &cmd_show, &cmd_rules, &cmd_run, &cmd_trace,
	&cmd_connections, &cmd_version,
};

static const struct cli_option global_options[] = {
	{ 'j', "json", NULL, "output, and errors, as JSON" },
	{ 'p', "pretty", NULL, "JSON for reading; implies -j" },
	{ 'v', "verbose", NULL, "what library, libbpf and verifier say, to stderr" },
	{ 'V', "version", NULL, "print the version and exit" },
	{ 'h', "help", NULL, "print this and exit" },
	{}
};

static void print_options(const char *title, const struct cli_option *option)
{
	printf("\n%s:\n", title);
	for (; option && option->name; option++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", option->name, option->value ? " " : "",
			 option->value ? option->value : "");
		if (option->key < 256)
			printf("  -%c, %-24s %s\n", option->key, left, option->help);
		else
			printf("      %-24s %s\n", left, option->help);
	}
}

static int print_help(void)
{
	size_t i;

	if (cli.command) {
		printf("usage: smcpolicy [OPTIONS] %s %s\n\n%s\n", cli.command->name,
		       cli.command->arguments, cli.command->help);
		if (cli.command->options)
			print_options("options", cli.command->options);
	} else {
		printf("usage: smcpolicy [OPTIONS] COMMAND ...\n\n"
		       "Decide which TCP connections become SMC.\n\ncommands:\n");
		for (i = 0; i < ARRAY_SIZE(commands); i++)
			printf("  %-12s %.*s\n", commands[i]->name,
			       (int)strcspn(commands[i]->help, "\n"), commands[i]->help);
	}
	print_options("global options", global_options);
	return 0;
}

static void print_log(enum smcpolicy_log_level level, const char *line, void *context)
{
	static const char *const names[] = { "warning", "info", "debug" };

	(void)context;
	fprintf(stderr, "%s: %s\n", names[level], line);
}

/* @return true when there is nothing more to do */
static bool set_global(int key)
{
	switch (key) {
	case 'p':
		cli.pretty = true;
		/* fall through */
	case 'j':
		cli.json = true;
		break;
	case 'v':
		smcpolicy_set_log(print_log, NULL);
		break;
	case 'V':
		printf("smcpolicy %s\n", smcpolicy_version_string());
		return true;
	case 'h':
		print_help();
		return true;
	}
	return false;
}

static void add_options(const struct cli_option *option, char *shorts, struct option *longs)
{
	while (longs->name)
		longs++;
	for (; option && option->name; option++, longs++) {
		*longs = (struct option){ option->name, option->value ? required_argument :
					  no_argument, NULL, option->key };
		if (option->key < 256)
			sprintf(shorts + strlen(shorts), "%c%s", option->key,
				option->value ? ":" : "");
	}
}

/* @return -1, or the exit status */
static int parse(int argc, char **argv)
{
	const struct command *command = cli.command;
	struct option longs[MAX_OPTIONS] = {};
	char shorts[2 * MAX_OPTIONS + 3];
	int key, status;

	strcpy(shorts, !command || command->program ? "+:" : ":");
	add_options(global_options, shorts, longs);
	if (command)
		add_options(command->options, shorts, longs);

	optind = 0;	/* start anew */
	opterr = 0;
	while ((key = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const char *option = argv[optind - 1];
		bool is_long = !strncmp(option, "--", 2);
		size_t i;

		if (key == '?' && is_long && optopt)
			return usage("option '%s' takes no value", option);
		if (key == '?' && is_long)
			return usage("unknown option '%s'", option);
		if (key == '?')
			return usage("unknown option '-%c'", optopt);
		if (key == ':' && is_long)
			return usage("option '%s' needs a value", option);
		if (key == ':')
			return usage("option '-%c' needs a value", optopt);

		for (i = 0; global_options[i].name; i++)
			if (global_options[i].key == key)
				break;
		if (global_options[i].name) {
			if (set_global(key))
				return 0;
		} else {
			status = command->set(key, optarg);
			if (status)
				return status;
		}
	}
	return -1;
}

static int run_command(int argc, char **argv)
{
	int status;
	size_t i;

	status = parse(argc, argv);
	if (status >= 0)
		return status;
	if (optind == argc)
		return usage("no command given");
	argc -= optind;
	argv += optind;

	if (!strcmp(argv[0], "help"))
		return print_help();
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[0], commands[i]->name))
			cli.command = commands[i];
	if (!cli.command)
		return usage("unknown command '%s'", argv[0]);
	if (cli.command->program)
		cli.failed = cli.misused = EXIT_RUN;

	status = parse(argc, argv);
	if (status >= 0)
		return status;
	argc -= optind;
	argv += optind;
	if (argc < cli.command->min_args)
		return usage("%s: too few arguments", cli.command->name);
	if (cli.command->max_args >= 0 && argc > cli.command->max_args)
		return usage("extra argument '%s'", argv[cli.command->max_args]);
	return cli.command->run(argc, argv);
}

int main(int argc, char **argv)
{
	int status = run_command(argc, argv);

	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "smcpolicy: cannot write: %s\n", strerror(errno));
		status = status ? status : cli.failed;
	}
	return status;
}
