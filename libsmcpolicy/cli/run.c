// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * A program of any kind in a cgroup of its own whose TCP sockets are attached: nothing of the
 * program is touched, so static ones and those that make system calls themselves are fine. The
 * attachment is not pinned and ends with this process.
 */
#include "cli.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#define CGROUP_ROOT	"/sys/fs/cgroup"

static const char *policy_name;

static int run_set(int key, const char *value)
{
	switch (key) {
	case 'a':
		return set_hook(value);
	case 's':
		return set_setting(value);
	}
	policy_name = value;
	return 0;
}

/* Make a cgroup in that of this process, where limits and accounting stay as they are. */
static int make_cgroup(char *path, size_t size)
{
	char line[3072], own[3072] = "";
	struct statfs fs;
	FILE *file;

	if (statfs(CGROUP_ROOT, &fs) || fs.f_type != CGROUP2_SUPER_MAGIC) {
		fail("boot with systemd.unified_cgroup_hierarchy=1", "no cgroup v2 is mounted on %s",
		     CGROUP_ROOT);
		return -1;
	}
	file = fopen("/proc/self/cgroup", "re");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, "0::/", 4))
			snprintf(own, sizeof(own), "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
	if (file)
		fclose(file);

	snprintf(path, size, CGROUP_ROOT "%s%ssmcpolicy-run-%d", own,
		 own[1] ? "/" : "", getpid());
	if (mkdir(path, 0755)) {
		snprintf(path, size, CGROUP_ROOT "/smcpolicy-run-%d", getpid());
		if (mkdir(path, 0755)) {
			fail("run as root, or where cgroups are delegated to you",
			     "cannot make cgroup %s: %s", path, strerror(errno));
			return -1;
		}
	}
	return open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
}

/* Processes that were just killed may need a moment. */
static void remove_cgroup(const char *path)
{
	int tries;

	for (tries = 0; tries < 20; tries++) {
		if (!rmdir(path) || errno == ENOENT)
			return;
		usleep(10000);
	}
	warn("they run on over TCP, except for connections that are SMC; rmdir it when they end",
	     "processes are left in %s", path);
}

static int exec_program(int cgroup_fd, char **argv)
{
	int fd, err;

	fd = openat(cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		return fail("", "cannot enter the cgroup: %s", strerror(errno));
	execvp(argv[0], argv);
	err = errno;
	fail(err == ENOENT ? "name a program in PATH, or give its path; is its interpreter there?" :
	     err == EACCES ? "make it executable: chmod +x" :
	     err == ENOEXEC ? "it is for another machine, or a script without #!" : "",
	     "cannot run %s: %s", argv[0], strerror(err));
	return err == ENOENT ? 127 : 126;
}

static int wait_program(pid_t pid, const sigset_t *signals)
{
	siginfo_t info;
	int status;

	for (;;) {
		if (sigwaitinfo(signals, &info) < 0)
			continue;
		/* What comes from the terminal the program has got already. */
		if (info.si_signo != SIGCHLD) {
			if (info.si_code != SI_KERNEL)
				kill(pid, info.si_signo);
		} else if (waitpid(pid, &status, WNOHANG) == pid) {
			return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		}
	}
}

static int start_program(int cgroup_fd, char **argv, const sigset_t *signals,
			 const sigset_t *before)
{
	pid_t pid;
	int status;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return fail("", "cannot fork: %s", strerror(errno));
	if (!pid) {
		sigprocmask(SIG_SETMASK, before, NULL);
		status = exec_program(cgroup_fd, argv);
		fflush(NULL);
		_exit(status);
	}
	return wait_program(pid, signals);
}

static int run(int argc, char **argv)
{
	static const int numbers[] = { SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct smcpolicy_attach_opts opts = { .sz = sizeof(opts) };
	struct smcpolicy_load_opts load_opts = {
		.sz = sizeof(load_opts),
		.scope = SMCPOLICY_SCOPE_CGROUP,
	};
	struct smcpolicy *policy = NULL;
	int status = cli.failed;
	sigset_t signals, before;
	char path[4096];
	size_t i;

	(void)argc;
	if (smcpolicy_check(SMCPOLICY_CHECK_PRIVILEGE | SMCPOLICY_CHECK_MODULE))
		return fail_library();

	/* From here on there is something to clean up. */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&signals);
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaddset(&signals, numbers[i]);
	sigprocmask(SIG_BLOCK, &signals, &before);
	opts.cgroup_fd = make_cgroup(path, sizeof(path));
	if (opts.cgroup_fd < 0)
		return status;
	load_opts.scope_fd = opts.cgroup_fd;
	policy = load_policy(policy_name ? policy_name : "attach", true, &load_opts);
	if (policy) {
		if (smcpolicy__attach(policy, &opts))
			fail_library();
		else
			status = start_program(opts.cgroup_fd, argv, &signals, &before);
	}
	close(opts.cgroup_fd);
	smcpolicy__close(policy);
	remove_cgroup(path);
	return status;
}

const struct command cmd_run = {
	.name = "run",
	.arguments = "[--policy POLICY] [--attach HOOK]... [--set KEY=VALUE]... [--] COMMAND...",
	.help = "run a program whose TCP connections become SMC\n\n"
		"It runs in a cgroup of its own, and --policy decides about that only. Without it, or\n"
		"when it passes, the policies in force around it give the verdicts, and without any\n"
		"all connections may become SMC. The exit status is\n"
		"that of COMMAND, 128+N when signal N ended it, 125 for errors of smcpolicy, 126\n"
		"when COMMAND cannot be run, 127 when it is not found.",
	.options = (const struct cli_option[]) {
		{ 'P', "policy", "POLICY", "in force as long as COMMAND runs" },
		{ 'a', "attach", "HOOK", "when: create (default), bind, connect; repeatable" },
		{ 's', "set", "KEY=VALUE", "an option of the policy; repeatable" },
		{}
	},
	.min_args = 1,
	.max_args = -1,
	.program = true,
	.set = run_set,
	.run = run,
};
