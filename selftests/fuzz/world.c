// SPDX-License-Identifier: GPL-2.0-only
/*
 * What surrounds the sockets: policies, cgroup programs, settings, the module, and who looks at
 * them or kills them from outside.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "cgroup_helpers.h"
#include "fuzz.h"
#include "smcnl.h"

#include "fuzz.skel.h"
#include "smc_option.skel.h"

#define MAX_JOBS 16

static struct fuzz *fuzz;
static struct smc_option *smc_option;
static int cgroups[MAX_JOBS], cgroup = -1;
static int sockmap = -1;
static bool own_netns;

static int print_libbpf(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return level == LIBBPF_WARN && env.verbose ? vfprintf(stderr, fmt, args) : 0;
}

/* Registered and unregistered once, after which a link can be made from the map alone. */
static bool prepare(struct bpf_map *map)
{
	struct bpf_link *link = bpf_map__attach_struct_ops(map);

	return link && !bpf_link__destroy(link);
}

bool world_init(void)
{
	char name[16];
	int i;

	libbpf_set_print(print_libbpf);
	for (i = 0; i < MAX_JOBS; i++) {
		snprintf(name, sizeof(name), "fuzz%d", i);
		cgroups[i] = cgroup_make(name);
	}
	fuzz = fuzz__open_and_load();
	smc_option = smc_option__open_and_load();
	sockmap = bpf_map_create(BPF_MAP_TYPE_SOCKMAP, NULL, 4, 4, N_SLOTS, NULL);
	return fuzz && smc_option && sockmap >= 0 && prepare(fuzz->maps.first) &&
	       prepare(fuzz->maps.second);
}

static bool lo_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), rc;

	rc = ioctl(fd, SIOCSIFFLAGS, &ifr);
	close(fd);
	return !rc;
}

bool world_enter(const struct program *program, int job)
{
	char name[16];

	cgroup = cgroups[job];
	own_netns = program->netns;
	if (own_netns && (unshare(CLONE_NEWNET) || !lo_up()))
		return false;
	snprintf(name, sizeof(name), "fuzz%d", job);
	return !program->cgroup || !cgroup_join(name);
}

void world_report(void)
{
	printf("# policies: %llu verdicts; told of %llu connections over SMC, %llu that fell back, %llu closed\n",
	       fuzz->bss->n_asked, fuzz->bss->n_established, fuzz->bss->n_fallback,
	       fuzz->bss->n_released);
}

void world_exit(void)
{
	int i;

	fuzz__destroy(fuzz);
	smc_option__destroy(smc_option);
	close(sockmap);
	for (i = 0; i < MAX_JOBS; i++)
		close(cgroups[i]);
	cgroup_cleanup();
}

/* --- policies and programs ---------------------------------------------------------------------- */

static long keep_link(const struct call *call, int fd)
{
	if (fd < 0)
		return -1;
	fd = __atomic_exchange_n(&state.links[call->t % ARRAY_SIZE(state.links)], fd,
				 __ATOMIC_SEQ_CST);
	if (fd >= 0)
		close(fd);
	return 0;
}

static int link_of(const struct call *call)
{
	return state.links[call->t % ARRAY_SIZE(state.links)];
}

long op_policy(const struct call *call)
{
	struct bpf_map *map = call->b & 1 ? fuzz->maps.first : fuzz->maps.second;

	if (call->a % 3 == 0)
		return bpf_link_update(link_of(call), bpf_map__fd(map), NULL);
	return keep_link(call, bpf_link_create(bpf_map__fd(map), 0, BPF_STRUCT_OPS, NULL));
}

long op_verdicts(const struct call *call)
{
	static const __u32 verdicts[] = { 1, 1, 0, 2, 4, 4, 5 }, fallbacks[] = { 0, 0, 1, 4, 5 };

	fuzz->data->verdicts = verdicts[call->a % ARRAY_SIZE(verdicts)];
	fuzz->bss->fallbacks = fallbacks[call->b % ARRAY_SIZE(fallbacks)];
	return 0;
}

long op_unlink(const struct call *call)
{
	int fd;

	if (call->a & 1)
		return bpf_link_detach(link_of(call)) ? -1 : 0;
	fd = __atomic_exchange_n(&state.links[call->t % ARRAY_SIZE(state.links)], -1,
				 __ATOMIC_SEQ_CST);
	return close(fd);
}

long op_programs(const struct call *call)
{
	struct bpf_program *programs[] = {
		fuzz->progs.on_create, fuzz->progs.on_bind4, fuzz->progs.on_bind6,
		fuzz->progs.on_connect4, fuzz->progs.on_connect6, fuzz->progs.on_setsockopt,
		smc_option->progs.smc_option, smc_option->progs.smc_option,
	};
	struct bpf_program *program = programs[call->a % ARRAY_SIZE(programs)];

	return keep_link(call, bpf_link_create(bpf_program__fd(program), cgroup,
					       bpf_program__expected_attach_type(program), NULL));
}

long op_sockmap(const struct call *call)
{
	__u32 key = call->t, fd = state.slot[call->s];

	if (call->a % 4 == 0)
		return bpf_map_delete_elem(sockmap, &key) ? -1 : 0;
	return bpf_map_update_elem(sockmap, &key, &fd, BPF_ANY) ? -1 : 0;
}

/* --- settings ------------------------------------------------------------------------------------- */

long op_sysctl(const struct call *call)
{
	static const struct {
		const char *name;
		const char *values[4];
	} sysctls[] = {
		{ "smc_ulp/default", { "1", "0", "1", "2" } },
		{ "smc_ulp/clc_timeout_ms", { "1000", "100", "6000", "0" } },
		{ "smc/wmem", { "65536", "1048576", "16384", "0" } },
		{ "smc/rmem", { "65536", "1048576", "16384", "0" } },
		{ "smc/autocorking_size", { "65536", "0", "1000", "1" } },
		{ "ipv4/tcp_syncookies", { "1", "1", "2", "0" } },
		{ "ipv4/tcp_fastopen", { "1", "3", "0", "1027" } },
		{ "ipv4/tcp_migrate_req", { "0", "1", "0", "0" } },
		{ "ipv4/tcp_abort_on_overflow", { "0", "1", "0", "0" } },
		{ "core/somaxconn", { "4096", "1", "8", "4096" } },
	};
	unsigned int i = call->a % ARRAY_SIZE(sysctls);
	char path[64];

	snprintf(path, sizeof(path), "/proc/sys/net/%s", sysctls[i].name);
	/* the others' netns: back to the first value soon */
	return write_file(path, sysctls[i].values[own_netns ? call->b % 4 : call->b / 8 % 4]) ?
	       -1 : 0;
}

/* The policies hold the module: this never succeeds. */
long op_module(const struct call *call)
{
	(void)call;
	return syscall(SYS_delete_module, "smc_ulp", O_NONBLOCK);
}

/* --- from outside ---------------------------------------------------------------------------------- */

long op_look(const struct call *call)
{
	static const char * const files[] = {
		"tcp", "tcp6", "protocols", "sockstat", "netstat", "smc_ulp_stat",
	};
	char path[64];
	ssize_t n = 0;
	int fd;

	if (call->a % 4 == 0)
		return smcdiag__count();
	snprintf(path, sizeof(path), "/proc/net/%s", files[call->b % ARRAY_SIZE(files)]);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -1;
	while (n >= 0 && (n = read(fd, state.buffer, 4096)) > 0)
		;
	close(fd);
	return n;
}

long op_destroy(const struct call *call)
{
	return sock_destroy(state.slot[call->s]) ? -1 : 0;
}
