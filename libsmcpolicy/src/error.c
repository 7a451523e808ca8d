// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Errors and messages
 */
#include <stdio.h>

#include "internal.h"

static __thread struct {
	char cause[768], cure[768];
	char libbpf[512];		/* first warning of libbpf since smcp_enter() */
	int depth;
	libbpf_print_fn_t previous;
} state;

static smcpolicy_log_fn log_function;
static void *log_context;

const char *smcpolicy_error_cause(void)
{
	return state.cause;
}

const char *smcpolicy_error_cure(void)
{
	return state.cure;
}

void smcpolicy_set_log(smcpolicy_log_fn function, void *context)
{
	log_function = function;
	log_context = context;
}

static void set_error(int err, const char *cure, const char *cause, va_list args)
{
	char text[2][sizeof(state.cause)];	/* arguments may be the old cause and cure */

	vsnprintf(text[0], sizeof(text[0]), cause, args);
	snprintf(text[1], sizeof(text[1]), "%s", cure ?: "");
	memcpy(state.cause, text[0], sizeof(state.cause));
	memcpy(state.cure, text[1], sizeof(state.cure));
	errno = err;
}

int smcp_error(int err, const char *cure, const char *cause, ...)
{
	va_list args;

	va_start(args, cause);
	set_error(err, cure, cause, args);
	va_end(args);
	return -err;
}

int smcp_libbpf_error(int err, const char *cure, const char *cause, ...)
{
	va_list args;
	size_t n;

	err = abs(err);
	if (err >= __LIBBPF_ERRNO__START)
		err = EINVAL;
	va_start(args, cause);
	set_error(err, cure, cause, args);
	va_end(args);
	n = strlen(state.cause);
	if (state.libbpf[0])
		snprintf(state.cause + n, sizeof(state.cause) - n, " (%s)", state.libbpf);
	else
		snprintf(state.cause + n, sizeof(state.cause) - n, " (%s)", strerror(err));
	return -err;
}

void *smcp_no_memory(void)
{
	smcp_error(ENOMEM, NULL, "out of memory");
	return NULL;
}

void smcp_save_error(struct smcp_saved_error *saved)
{
	saved->err = errno;
	memcpy(saved->text[0], state.cause, sizeof(state.cause));
	memcpy(saved->text[1], state.cure, sizeof(state.cure));
}

int smcp_restore_error(const struct smcp_saved_error *saved)
{
	memcpy(state.cause, saved->text[0], sizeof(state.cause));
	memcpy(state.cure, saved->text[1], sizeof(state.cure));
	errno = saved->err;
	return -saved->err;
}

void smcp_log(enum smcpolicy_log_level level, const char *format, ...)
{
	char text[1024];
	va_list args;

	if (!log_function)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_function(level, text, log_context);
}

/* Messages of libbpf have several lines; the verifier's log, very many. */
static int libbpf_message(enum libbpf_print_level level, const char *format, va_list args)
{
	char *text, *line, *rest;
	int n;

	if (level == LIBBPF_DEBUG && !log_function)
		return 0;
	n = vasprintf(&text, format, args);
	if (n < 0)
		return n;
	for (rest = text; (line = strsep(&rest, "\n")); ) {
		if (!*line)
			continue;
		if (level == LIBBPF_WARN && !state.libbpf[0])
			snprintf(state.libbpf, sizeof(state.libbpf), "%s", line);
		/* What libbpf warns of, we report as an error in words of our own. */
		smcp_log(SMCPOLICY_LOG_DEBUG, "%s", line);
	}
	free(text);
	return n;
}

void smcp_enter(void)
{
	if (state.depth++)
		return;
	state.libbpf[0] = 0;
	state.previous = libbpf_set_print(libbpf_message);
}

void smcp_leave(void)
{
	if (!--state.depth)
		libbpf_set_print(state.previous);
}

bool smcp_valid_opts(const void *opts, size_t known, size_t sz)
{
	const char *byte = opts;
	size_t i;

	if (sz < sizeof(size_t))
		goto bad;
	for (i = known; i < sz; i++)
		if (byte[i])
			goto bad;
	return true;
bad:
	smcp_error(EINVAL, "use the library the program was built for, or a newer one",
		   "an options struct has a member this version does not know");
	return false;
}

const char *smcpolicy_version_string(void)
{
	return VERSION;
}

unsigned int smcpolicy_version_major(void)
{
	return SMCPOLICY_VERSION_MAJOR;
}

unsigned int smcpolicy_version_minor(void)
{
	return SMCPOLICY_VERSION_MINOR;
}
