// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Reading the records of a policy, see smc_policy/event.h for how a policy knows its readers
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/mman.h>

#include <smc_policy/event.h>

#include "internal.h"

#define RING_SIZE	(1 << 20)
#define CHECK_MS	1000	/* how often to look whether the policy is still pinned */

struct smcpolicy_events {
	struct ring_buffer *ring;
	smcpolicy_event_fn function;
	void *context;
	char name[NAME_MAX + 1];	/* of the pin, or of the policy */
	bool pinned;
	int rings_fd, stop;
	uint32_t number, map_id;	/* its place in the map; id of the map of readers */
	const struct smc_event_readers *readers;
	uint64_t lost_before;
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

/*
 * Is a ring buffer mapped by a process that reads it? The kernel freezes a map only when it is not
 * mapped writable; then it can never be again.
 */
static bool is_read(int ring_fd)
{
	size_t size = getpagesize();
	void *page;

	if (!bpf_map_freeze(ring_fd))
		return false;
	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd, 0);
	if (page == MAP_FAILED)
		return errno != EPERM;
	munmap(page, size);
	return true;
}

/*
 * Number of readers; what is left of those that were killed is removed. Numbers are taken and given
 * back under the lock of the pins, so that what is removed here is not a new reader of that number.
 */
static int count_readers(int rings_fd)
{
	uint32_t number, id;
	int fd, count = 0;

	for (number = 0; number < SMC_EVENT_READERS; number++) {
		if (bpf_map_lookup_elem(rings_fd, &number, &id))
			continue;
		fd = bpf_map_get_fd_by_id(id);
		if (fd < 0)
			continue;
		if (is_read(fd))
			count++;
		else
			bpf_map_delete_elem(rings_fd, &number);
		close(fd);
	}
	return count;
}

/* Without pins there is nobody else, and no lock. */
static int lock_pins(void)
{
	struct smcp_saved_error saved;
	int lock;

	smcp_save_error(&saved);
	lock = smcp_bpffs_open(false);
	smcp_restore_error(&saved);
	return lock;
}

static void unlock_pins(int lock)
{
	if (lock >= 0)
		smcp_bpffs_close(lock);
}

int smcp_event_readers(int rings_fd)
{
	int lock = lock_pins(), count = count_readers(rings_fd);

	unlock_pins(lock);
	return count;
}

static int take_number(struct smcpolicy_events *events, int ring_fd)
{
	int lock = lock_pins(), err = EEXIST;
	uint32_t number;

	count_readers(events->rings_fd);
	for (number = 0; number < SMC_EVENT_READERS && err == EEXIST; number++) {
		events->number = number;
		err = bpf_map_update_elem(events->rings_fd, &number, &ring_fd, BPF_NOEXIST) ?
		      errno : 0;
	}
	unlock_pins(lock);
	if (err == EEXIST)
		return smcp_error(EBUSY, "end one of them", "%s has %d readers of its events already",
				  events->name, SMC_EVENT_READERS);
	return err ? smcp_error(err, NULL, "cannot read the events of %s: %s", events->name,
				strerror(err)) : 0;
}

static void give_number_back(const struct smcpolicy_events *events)
{
	int lock = lock_pins();

	bpf_map_delete_elem(events->rings_fd, &events->number);
	unlock_pins(lock);
}

/* In this order: what is written for it from the moment that it counts as a reader, it gets. */
static int start_reading(struct smcpolicy_events *events, int readers_fd)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, SMC_EVENT_MAP, 0, 0, RING_SIZE, NULL);
	size_t size = getpagesize();
	void *page;
	int err;

	if (fd < 0)
		return smcp_error(errno, NULL, "cannot make a ring buffer: %s", strerror(errno));
	events->ring = ring_buffer__new(fd, on_record, events, NULL);
	err = events->ring ? take_number(events, fd) :
	      smcp_libbpf_error(errno, NULL, "cannot read the events of %s", events->name);
	close(fd);
	if (err)
		return err;
	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, readers_fd, 0);
	if (page == MAP_FAILED) {
		err = errno;
		give_number_back(events);
		return smcp_error(err, NULL, "cannot read the events of %s: %s", events->name,
				  strerror(err));
	}
	/* A child that is forked is no reader. */
	madvise(page, size, MADV_DONTFORK);
	events->readers = page;
	events->lost_before = events->readers->lost[events->number];
	return 0;
}

static void *no_events(const char *name)
{
	smcp_error(ENOENT, "build it with smc_policy/policy.bpf.h, whose verdict macros write them",
		   "%s writes no events: it has no maps " SMC_EVENT_MAP " and " SMC_EVENT_READER_MAP,
		   name);
	return NULL;
}

static void *events_off(const char *name)
{
	smcp_error(ENODATA, "load it again without --set events=no",
		   "%s writes no events: it was loaded with events=no", name);
	return NULL;
}

static struct smcpolicy_events *new_events(int rings_fd, int readers_fd, const char *name,
					   bool pinned, smcpolicy_event_fn function, void *context)
{
	struct smcpolicy_events *events;
	struct smcp_saved_error saved;
	struct smcp_map_info rings, readers;
	int err;

	if (rings_fd < 0 || readers_fd < 0 || smcp_map_info(rings_fd, &rings) ||
	    smcp_map_info(readers_fd, &readers) || rings.type != BPF_MAP_TYPE_HASH_OF_MAPS ||
	    readers.type != BPF_MAP_TYPE_ARRAY ||
	    readers.value_size < sizeof(struct smc_event_readers))
		return no_events(name);
	events = calloc(1, sizeof(*events));
	if (!events)
		return smcp_no_memory();
	snprintf(events->name, sizeof(events->name), "%s", name);
	events->pinned = pinned;
	events->function = function;
	events->context = context;
	events->map_id = readers.id;
	events->rings_fd = fcntl(rings_fd, F_DUPFD_CLOEXEC, 3);
	smcp_enter();
	err = events->rings_fd < 0 ? smcp_error(errno, NULL, "%s", strerror(errno)) :
	      start_reading(events, readers_fd);
	smcp_leave();
	if (!err)
		return events;
	smcp_save_error(&saved);
	smcpolicy_events__free(events);
	smcp_restore_error(&saved);
	return NULL;
}

static bool option_is_no(const struct smcpolicy_option *option)
{
	return !strcmp(smcpolicy_option__key(option), "events") &&
	       !strcmp(smcpolicy_option__value(option), "no");
}

/* The policy that is pinned under @name, or that is in force; NULL: after an error. */
static const struct smcpolicy_loaded *find_pinned(const struct smcpolicy_list *list,
						  const char *name)
{
	const struct smcpolicy_loaded *loaded = NULL, *other = NULL;

	if (name) {
		loaded = smcpolicy_list__find(list, name);
	} else {
		while ((other = smcpolicy_list__next(list, other))) {
			if (!smcpolicy_loaded__registered(other))
				continue;
			if (loaded) {
				smcp_error(EEXIST, "name one: smcpolicy list shows them",
					   "several policies are in force");
				return NULL;
			}
			loaded = other;
		}
	}
	if (!loaded && name)
		smcp_error(ENOENT, "smcpolicy list shows what is loaded and pinned",
			   "no policy %s is pinned", name);
	else if (!loaded)
		smcp_error(ENOENT, "smcpolicy load NAME", "no policy is in force");
	else if (!*smcpolicy_loaded__pin_path(loaded))
		smcp_error(ENOENT, "only its own process can read them",
			   "%s is not pinned, so its events cannot be read",
			   smcpolicy_loaded__name(loaded));
	else
		return loaded;
	return NULL;
}

struct smcpolicy_events *
smcpolicy_events__open(const char *name, smcpolicy_event_fn function, void *context)
{
	const struct smcpolicy_option *option = NULL;
	struct smcpolicy_events *events = NULL;
	const struct smcpolicy_loaded *loaded;
	struct smcpolicy_list *list;
	int fds[2], i;

	list = smcpolicy_list__new();
	if (!list)
		return NULL;
	loaded = find_pinned(list, name);
	if (!loaded)
		goto out;
	name = smcpolicy_loaded__name(loaded);
	while ((option = smcpolicy_loaded__next_option(loaded, option))) {
		if (option_is_no(option)) {
			events_off(name);
			goto out;
		}
	}
	fds[0] = smcp_pin_get(name, PIN_MAP SMC_EVENT_MAP);
	fds[1] = smcp_pin_get(name, PIN_MAP SMC_EVENT_READER_MAP);
	events = new_events(fds[0], fds[1], name, true, function, context);
	for (i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
out:
	smcpolicy_list__free(list);
	return events;
}

struct smcpolicy_events *
smcpolicy_events__new(const struct smcpolicy *policy, smcpolicy_event_fn function, void *context)
{
	const struct smcpolicy_option *option;

	if (!policy->loaded) {
		smcp_error(EINVAL, "load it first", "%s is not loaded", policy->name);
		return NULL;
	}
	option = smcp_option_find(&policy->desc, "events");
	if (option && option_is_no(option))
		return events_off(policy->name);
	return new_events(bpf_object__find_map_fd_by_name(policy->object, SMC_EVENT_MAP),
			  bpf_object__find_map_fd_by_name(policy->object, SMC_EVENT_READER_MAP),
			  policy->name, false, function, context);
}

void smcpolicy_events__free(struct smcpolicy_events *events)
{
	if (!events)
		return;
	if (events->readers) {
		munmap((void *)events->readers, getpagesize());
		give_number_back(events);
	}
	ring_buffer__free(events->ring);
	if (events->rings_fd >= 0)
		close(events->rings_fd);
	free(events);
}

const char *smcpolicy_events__name(const struct smcpolicy_events *events)
{
	return events->name;
}

int smcpolicy_events__fd(const struct smcpolicy_events *events)
{
	return ring_buffer__epoll_fd(events->ring);
}

/* It was unloaded; another of that name may be there. */
static bool is_gone(const struct smcpolicy_events *events)
{
	int fd = events->pinned ? smcp_pin_get(events->name, PIN_MAP SMC_EVENT_READER_MAP) : -1;
	struct smcp_map_info info = {};

	if (fd >= 0) {
		smcp_map_info(fd, &info);
		close(fd);
	}
	return events->pinned && info.id != events->map_id;
}

int smcpolicy_events__poll(struct smcpolicy_events *events, int timeout_ms)
{
	int n, step;

	events->stop = 0;
	for (;;) {
		step = timeout_ms < 0 || timeout_ms > CHECK_MS ? CHECK_MS : timeout_ms;
		n = ring_buffer__poll(events->ring, step);
		/* The last records may have come just before. */
		if (!n && is_gone(events)) {
			n = ring_buffer__consume(events->ring);
			if (!n)
				return smcp_error(ENODEV, "smcpolicy list shows what is loaded",
						  "%s was unloaded", events->name);
		}
		if (events->stop)
			return events->stop;
		if (n < 0)
			return smcp_error(-n, NULL, "cannot read events: %s", strerror(-n));
		if (timeout_ms >= 0)
			timeout_ms -= step;
		if (n || !timeout_ms)
			return n;
	}
}

int64_t smcpolicy_events__lost(const struct smcpolicy_events *events)
{
	return __atomic_load_n(&events->readers->lost[events->number], __ATOMIC_RELAXED) -
	       events->lost_before;
}
