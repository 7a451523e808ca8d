// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Reading the records of a policy
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include <smc_policy/event.h>

#include "internal.h"

struct smcpolicy_events {
	struct ring_buffer *ring;
	smcpolicy_event_fn function;
	void *context;
	int counts_fd, stop;
};

int smcp_event_counts(int fd, uint64_t *sent, uint64_t *lost)
{
	uint64_t *sums[SMC_EVENT_COUNT_MAX] = { sent, lost }, *values;
	int cpus = libbpf_num_possible_cpus(), cpu;
	uint32_t i;

	if (cpus < 0)
		return smcp_libbpf_error(cpus, NULL, "cannot tell the number of CPUs");
	values = calloc(cpus, sizeof(*values));
	if (!values) {
		smcp_no_memory();
		return -ENOMEM;
	}
	for (i = 0; i < SMC_EVENT_COUNT_MAX; i++) {
		*sums[i] = 0;
		if (bpf_map_lookup_elem(fd, &i, values))
			continue;
		for (cpu = 0; cpu < cpus; cpu++)
			*sums[i] += values[cpu];
	}
	free(values);
	return 0;
}

/* Records are as long as the program that wrote them knew. */
static int on_record(void *context, void *data, size_t size)
{
	struct smcpolicy_events *events = context;
	struct smc_event event = {};

	memcpy(&event, data, size < sizeof(event) ? size : sizeof(event));
	if (size < offsetof(struct smc_event, result) || event.version < 1)
		return 0;
	events->stop = events->function(&event, events->context);
	return events->stop ? -ECANCELED : 0;
}

/* Takes counts_fd. */
static struct smcpolicy_events *new_events(int fd, int counts_fd, smcpolicy_event_fn function,
					   void *context, const char *name)
{
	struct smcpolicy_events *events = calloc(1, sizeof(*events));

	if (!events) {
		if (counts_fd >= 0)
			close(counts_fd);
		return smcp_no_memory();
	}
	events->function = function;
	events->context = context;
	events->counts_fd = counts_fd;
	smcp_enter();
	events->ring = ring_buffer__new(fd, on_record, events, NULL);
	if (!events->ring)
		smcp_libbpf_error(errno, NULL, "cannot read the events of %s", name);
	smcp_leave();
	if (events->ring)
		return events;
	if (counts_fd >= 0)
		close(counts_fd);
	free(events);
	return NULL;
}

static void *no_events(const char *name)
{
	smcp_error(ENOENT, "build it with smc_policy/policy.bpf.h, whose verdict macros write them",
		   "%s writes no events: it has no map " SMC_EVENT_MAP, name);
	return NULL;
}

/* The name of the pin of the policy in force */
static int registered_pin(char *pin, size_t size)
{
	struct smcpolicy_list *list = smcpolicy_list__new();
	const struct smcpolicy_loaded *loaded = NULL;
	int err = -ENOENT;

	if (!list)
		return -errno;
	while ((loaded = smcpolicy_list__next(list, loaded)))
		if (smcpolicy_loaded__registered(loaded))
			break;
	if (!loaded) {
		smcp_error(ENOENT, "smcpolicy load NAME", "no policy is in force");
	} else if (!*smcpolicy_loaded__pin_path(loaded)) {
		smcp_error(ENOENT, "only its own process can read them",
			   "%s is not pinned, so its events cannot be read",
			   smcpolicy_loaded__name(loaded));
	} else {
		snprintf(pin, size, "%s", smcpolicy_loaded__name(loaded));
		err = 0;
	}
	smcpolicy_list__free(list);
	return err;
}

struct smcpolicy_events *
smcpolicy_events__open(const char *name, smcpolicy_event_fn function, void *context)
{
	char pin[NAME_MAX], path[PATH_MAX];
	struct smcpolicy_events *events;
	int fd;

	if (smcp_check_privilege() || (name ? smcp_pin_name(name, pin, sizeof(pin)) :
				       registered_pin(pin, sizeof(pin))))
		return NULL;
	fd = smcp_pin_get(pin, PIN_MAP SMC_EVENT_MAP);
	if (fd < 0) {
		snprintf(path, sizeof(path), "%.3800s/%s", smcp_bpffs_path(), pin);
		if (!access(path, F_OK))
			return no_events(name ?: pin);
		smcp_error(ENOENT, "smcpolicy list shows what is loaded and pinned",
			   "no policy %s is pinned", name ?: pin);
		return NULL;
	}
	events = new_events(fd, smcp_pin_get(pin, PIN_MAP SMC_EVENT_COUNT_MAP), function, context,
			    name ?: pin);
	close(fd);
	return events;
}

struct smcpolicy_events *
smcpolicy_events__new(const struct smcpolicy *policy, smcpolicy_event_fn function, void *context)
{
	int fd = bpf_object__find_map_fd_by_name(policy->object, SMC_EVENT_MAP);
	int counts = bpf_object__find_map_fd_by_name(policy->object, SMC_EVENT_COUNT_MAP);

	if (!policy->loaded || fd < 0)
		return no_events(policy->name);
	if (counts >= 0)
		counts = fcntl(counts, F_DUPFD_CLOEXEC, 3);
	return new_events(fd, counts, function, context, policy->name);
}

void smcpolicy_events__free(struct smcpolicy_events *events)
{
	if (!events)
		return;
	ring_buffer__free(events->ring);
	if (events->counts_fd >= 0)
		close(events->counts_fd);
	free(events);
}

int smcpolicy_events__fd(const struct smcpolicy_events *events)
{
	return ring_buffer__epoll_fd(events->ring);
}

int smcpolicy_events__poll(struct smcpolicy_events *events, int timeout_ms)
{
	int n;

	events->stop = 0;
	n = ring_buffer__poll(events->ring, timeout_ms);
	if (events->stop)
		return events->stop;
	if (n < 0)
		return smcp_error(-n, NULL, "cannot read events: %s", strerror(-n));
	return n;
}

int64_t smcpolicy_events__lost(const struct smcpolicy_events *events)
{
	uint64_t sent, lost;
	int err;

	if (events->counts_fd < 0)
		return 0;
	err = smcp_event_counts(events->counts_fd, &sent, &lost);
	return err ?: (int64_t)lost;
}
