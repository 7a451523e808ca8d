// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "cli.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <smc_policy/connection.h>

#define STATE_LISTEN	10	/* TCP_LISTEN of the kernel's include/net/tcp_states.h */

static struct json_object *array;
static bool processes;

/* Who has a socket: found by a walk through /proc, as ss -p does it */
static struct owner {
	uint64_t inode;
	int pid;
	char comm[16];
} *owners;
static size_t owner_count;

static void read_comm(const char *pid, char *comm, size_t size)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	*comm = 0;
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(comm, size, file))
		comm[strcspn(comm, "\n")] = 0;
	fclose(file);
}

static void add_owner(const char *pid, uint64_t inode)
{
	struct owner *more;

	if (owner_count && !(owner_count & (owner_count - 1))) {
		more = realloc(owners, 2 * owner_count * sizeof(*owners));
	} else {
		more = owner_count ? owners : malloc(sizeof(*owners));
	}
	if (!more)
		return;		/* a process less is shown */
	owners = more;
	owners[owner_count].inode = inode;
	owners[owner_count].pid = atoi(pid);
	read_comm(pid, owners[owner_count].comm, sizeof(owners[owner_count].comm));
	owner_count++;
}

static void find_owners(void)
{
	DIR *proc = opendir("/proc"), *fds;
	struct dirent *process, *fd;
	unsigned long long inode;
	char path[300], target[64];
	ssize_t n;

	while (proc && (process = readdir(proc))) {
		if (!isdigit((unsigned char)process->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/fd", process->d_name);
		fds = opendir(path);
		while (fds && (fd = readdir(fds))) {
			snprintf(path, sizeof(path), "/proc/%.16s/fd/%.16s", process->d_name,
				 fd->d_name);
			n = readlink(path, target, sizeof(target) - 1);
			if (n < 0)
				continue;
			target[n] = 0;
			if (sscanf(target, "socket:[%llu]", &inode) == 1)
				add_owner(process->d_name, inode);
		}
		if (fds)
			closedir(fds);
	}
	if (proc)
		closedir(proc);
}

static const struct owner *owner_of(uint64_t inode)
{
	size_t i;

	for (i = 0; inode && i < owner_count; i++)
		if (owners[i].inode == inode)
			return &owners[i];
	return NULL;
}

static const char *state_of(const struct smc_connection *connection)
{
	if (connection->active)
		return connection->result.mode == SMC_ULP_MODE_SMCD ? "smcd" : "smcr";
	return connection->state == STATE_LISTEN ? "listen" : "connecting";
}

static void add_address(struct json_object *object, const char *key, const char *port_key,
			uint16_t family, const uint8_t *address, uint16_t port)
{
	char text[INET6_ADDRSTRLEN] = "";

	inet_ntop(family, address, text, sizeof(text));
	add_string(object, key, text);
	add_number(object, port_key, port);
}

static struct json_object *connection_json(const struct smc_connection *connection)
{
	const struct smc_ulp_result *result = &connection->result;
	const struct owner *owner = owner_of(connection->inode);
	struct json_object *object = json_object_new_object();

	add_string(object, "state", state_of(connection));
	add_address(object, "local_addr", "local_port", connection->family, connection->local_addr,
		    connection->local_port);
	if (connection->state != STATE_LISTEN)
		add_address(object, "remote_addr", "remote_port", connection->family,
			    connection->remote_addr, connection->remote_port);
	add_number(object, "uid", connection->uid);
	add_number(object, "inode", connection->inode);
	if (owner) {
		add_number(object, "pid", owner->pid);
		add_string(object, "comm", owner->comm);
	}
	if (!connection->active)
		return object;
	add_string(object, "role", result->role == SMC_ULP_SERVER ? "server" : "client");
	add_number(object, "cookie", result->cookie);
	add_number(object, "rule", result->rule);
	add_number(object, "smc_version", result->version);
	add_number(object, "link_group", result->lgr_id);
	add_bool(object, "first_contact", result->first_contact);
	add_chars(object, "eid", result->eid, sizeof(result->eid));
	add_chars(object, "peer_hostname", result->peer_hostname, sizeof(result->peer_hostname));
	add_chars(object, "ib_name", result->ib_name, sizeof(result->ib_name));
	add_number(object, "sndbuf", result->sndbuf);
	add_number(object, "rcvbuf", result->rcvbuf);
	add_number(object, "handshake_ns", result->handshake_ns);
	add_number(object, "lifetime_ns", result->lifetime_ns);
	add_number(object, "tx_bytes", result->tx_bytes);
	add_number(object, "rx_bytes", result->rx_bytes);
	return object;
}

static void print_address(uint16_t family, const uint8_t *address, uint16_t port)
{
	char text[INET6_ADDRSTRLEN] = "?";

	inet_ntop(family, address, text, sizeof(text));
	printf(strchr(text, ':') ? "[%s]:%u" : "%s:%u", text, port);
}

static void print_text(const struct smc_connection *connection)
{
	const struct smc_ulp_result *result = &connection->result;
	const struct owner *owner = owner_of(connection->inode);

	printf("%-10s ", state_of(connection));
	print_address(connection->family, connection->local_addr, connection->local_port);
	if (connection->state != STATE_LISTEN) {
		printf(" > ");
		print_address(connection->family, connection->remote_addr,
			      connection->remote_port);
	}
	if (connection->active)
		printf(" %s v%u group %08x tx %llu rx %llu handshake %lluus rule %u",
		       result->role == SMC_ULP_SERVER ? "server" : "client", result->version,
		       result->lgr_id, (unsigned long long)result->tx_bytes,
		       (unsigned long long)result->rx_bytes,
		       (unsigned long long)result->handshake_ns / 1000, result->rule);
	printf(" uid %u", connection->uid);
	if (owner)
		printf(" pid %d (%s)", owner->pid, owner->comm);
	printf("\n");
}

static int on_connection(const struct smc_connection *connection, void *context)
{
	(void)context;
	if (cli.json)
		json_object_array_add(array, connection_json(connection));
	else
		print_text(connection);
	return 0;
}

static int set(int key, const char *value)
{
	(void)key;
	(void)value;
	processes = true;
	return 0;
}

static int connections(int argc, char **argv)
{
	int rc;

	(void)argc;
	(void)argv;
	array = json_object_new_array();
	if (processes)
		find_owners();
	rc = smcpolicy_connections(on_connection, NULL);
	free(owners);
	if (cli.json && !rc)
		print_json(array);
	else
		json_object_put(array);
	return rc ? fail_library() : 0;
}

const struct command cmd_connections = {
	.name = "connections",
	.arguments = "[--processes]",
	.help = "list the sockets that SMC carries, or may carry\n\n"
		"A line, with -j an element of a JSON array, for each TCP socket with the ULP in\n"
		"this network namespace, whoever attached it: what it is, its addresses and, when\n"
		"SMC carries its data, side, version, link group, bytes, time of the handshake and\n"
		"number of the rule that decided.",
	.options = (const struct cli_option[]) {
		{ 'P', "processes", NULL, "also which process has it, as far as one may see" },
		{}
	},
	.set = set,
	.run = connections,
};
