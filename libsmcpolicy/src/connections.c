// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The sockets that have the ULP, by a BPF iterator
 */
#include <stdio.h>
#include <unistd.h>

#include <smc_policy/connection.h>

#include "internal.h"

#define OBJECT	"iter/connections"

/* Hands each record to @function; they need not come in whole ones. */
static int read_records(int fd, smcpolicy_connection_fn function, void *context)
{
	struct smc_connection connection;
	size_t have = 0;
	ssize_t n;
	int rc = 0;

	while (!rc) {
		n = read(fd, (char *)&connection + have, sizeof(connection) - have);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return smcp_error(errno, NULL, "cannot read the connections: %s",
					  strerror(errno));
		if (!n)
			break;
		have += n;
		if (have < sizeof(connection))
			continue;
		have = 0;
		rc = function(&connection, context);
	}
	return rc;
}

static int iterate(struct bpf_object *object, smcpolicy_connection_fn function, void *context)
{
	struct bpf_program *program = bpf_object__next_program(object, NULL);
	struct bpf_link *link;
	int fd, rc;

	link = program ? bpf_program__attach_iter(program, NULL) : NULL;
	if (!link)
		return smcp_libbpf_error(errno, NULL, "cannot attach the iterator");
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0) {
		rc = smcp_libbpf_error(-fd, NULL, "cannot open the iterator");
	} else {
		rc = read_records(fd, function, context);
		close(fd);
	}
	bpf_link__destroy(link);
	return rc;
}

int smcpolicy_connections(smcpolicy_connection_fn function, void *context)
{
	struct bpf_object *object = NULL;
	char *path;
	int rc;

	rc = smcp_check_privilege();
	if (!rc)
		rc = smcp_check_module();
	if (rc)
		return rc;
	smcp_enter();
	path = smcp_find_object(OBJECT);
	if (path)
		object = bpf_object__open_file(path, NULL);
	if (!path)
		rc = -errno;
	else if (!object || bpf_object__load(object))
		rc = smcp_libbpf_error(errno, "build iterator and module for the same kernel",
				       "%s cannot be loaded", path);
	else
		rc = iterate(object, function, context);
	bpf_object__close(object);
	free(path);
	smcp_leave();
	return rc;
}
