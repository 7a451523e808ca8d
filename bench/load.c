// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: load -f OBJECT
 *        load [-g CGROUP] [-n PREFIXES] POLICY [KEY=VALUE]...
 *
 * Loads the BPF object of the first form and attaches it, or puts a policy in force, prints
 * "ready" and keeps it until SIGTERM. -g attaches the TCP sockets of a cgroup; -n gives the policy
 * so many prefixes in deny_addr, none of which 127.0.0.1 has.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <smcpolicy/smcpolicy.h>

static int failed(const char *what)
{
	fprintf(stderr, "load: %s: %s (%s)\n", what, smcpolicy_error_cause(),
		smcpolicy_error_cure());
	return 1;
}

/* Networks and hosts in 10.0.0.0/7, in the order in which the library keeps them: quick to add. */
static char *prefixes(unsigned int n)
{
	char *list = malloc(n * 20ul + 1), *p = list;
	unsigned int i, at;

	if (!list)
		exit(1);
	for (i = 0; i < n; i++) {
		at = i < n / 2 ? i : i - n / 2;
		p += sprintf(p, "%s%u.%u.%u.%u/%d", i ? "," : "", 10 + (at >> 19), at >> 11 & 255,
			     at >> 3 & 255, (at & 7) << 5, i < n / 2 ? 29 : 32);
	}
	return list;
}

static int load_object(const char *path, sigset_t *set)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program;
	int signal;

	if (!object || bpf_object__load(object)) {
		fprintf(stderr, "load: cannot load %s\n", path);
		return 1;
	}
	bpf_object__for_each_program(program, object) {
		if (!bpf_program__attach(program)) {
			fprintf(stderr, "load: cannot attach %s\n", bpf_program__name(program));
			return 1;
		}
	}
	puts("ready");
	fflush(stdout);
	sigwait(set, &signal);
	return 0;
}

int main(int argc, char **argv)
{
	struct smcpolicy_load_opts load = { .sz = sizeof(load) };
	struct smcpolicy_attach_opts attach = { .sz = sizeof(attach) };
	struct smcpolicy *policy;
	unsigned int n = 0;
	int opt, signal;
	char *value;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	while ((opt = getopt(argc, argv, "f:g:n:")) != -1) {
		switch (opt) {
		case 'f': return load_object(optarg, &set);
		case 'g': attach.cgroup = optarg; break;
		case 'n': n = atoi(optarg); break;
		default: return 2;
		}
	}
	if (optind == argc)
		return 2;
	policy = smcpolicy__open(argv[optind], NULL);
	if (!policy)
		return failed(argv[optind]);
	if (n) {
		value = prefixes(n);
		if (smcpolicy__set_option(policy, "deny_addr", value))
			return failed("deny_addr");
		free(value);
	}
	while (++optind < argc) {
		value = strchr(argv[optind], '=');
		if (!value)
			return 2;
		*value++ = '\0';
		if (smcpolicy__set_option(policy, argv[optind], value))
			return failed(argv[optind]);
	}
	if (attach.cgroup)
		load.hooks = SMCPOLICY_HOOK_CREATE;
	if (smcpolicy__load(policy, &load) || smcpolicy__attach(policy, &attach))
		return failed("load");
	puts("ready");
	fflush(stdout);
	sigwait(&set, &signal);
	smcpolicy__close(policy);
	return 0;
}
