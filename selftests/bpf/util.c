// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a test needs that has nothing to do with tests: time, files, commands.
 */
#include <stdarg.h>
#include <sys/wait.h>
#include <time.h>

#include "test_progs.h"

double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

long ms_since(double start)
{
	return (now() - start) * 1000;
}

void msleep(unsigned int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

int sys(const char *fmt, ...)
{
	char line[1024], out[256];
	va_list args;
	int status;
	FILE *f;
	char *text = NULL, *at;
	size_t len = 0;
	FILE *all;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	fflush(stdout);
	strncat(line, " 2>&1", sizeof(line) - strlen(line) - 1);
	f = popen(line, "re");
	if (!f)
		return -1;
	all = open_memstream(&text, &len);
	while (fgets(out, sizeof(out), f))
		fputs(out, all);
	fclose(all);
	status = pclose(f);
	if (status) {
		test__log("'%s' returned %d", line, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
		for (at = text; at && *at; at += strcspn(at, "\n") + !!strchr(at, '\n'))
			test__log("    %.*s", (int)strcspn(at, "\n"), at);
	}
	free(text);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool file_contains(const char *path, const char *what)
{
	FILE *f = fopen(path, "r");
	char line[1024];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, what);
	if (f)
		fclose(f);
	return found;
}

int write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");
	int rc = 0;

	if (!f)
		return -errno;
	setvbuf(f, NULL, _IONBF, 0);
	if (fputs(text, f) < 0)
		rc = -errno;
	fclose(f);
	return rc;
}

long read_long(const char *path)
{
	FILE *f = fopen(path, "re");
	long value = -1;

	if (f) {
		if (fscanf(f, "%ld", &value) != 1)
			value = -1;
		fclose(f);
	}
	return value;
}
