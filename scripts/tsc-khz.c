// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints the rate of this machine's time-stamp counter in kHz, which is that of an emulated guest's,
 * too. The guest's kernel measures it against emulated timers, which on a busy host can be wrong by
 * a factor of four: all its clocks are, then.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <x86intrin.h>

#define ROUNDS 5

static int64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* Both clocks at the same time, within some microseconds. */
static void read_both(int64_t *ns, uint64_t *tsc)
{
	int64_t before, after, best = INT64_MAX;
	uint64_t cycles;
	int i;

	for (i = 0; i < 20; i++) {
		before = clock_ns();
		cycles = __rdtsc();
		after = clock_ns();
		if (after - before < best) {
			best = after - before;
			*ns = before + best / 2;
			*tsc = cycles;
		}
	}
}

static int compare(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return (d > 0) - (d < 0);
}

int main(void)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	int64_t ns0, ns1;
	uint64_t tsc0, tsc1;
	double khz[ROUNDS];
	int i;

	for (i = 0; i < ROUNDS; i++) {
		read_both(&ns0, &tsc0);
		nanosleep(&pause, NULL);
		read_both(&ns1, &tsc1);
		khz[i] = (tsc1 - tsc0) * 1e6 / (ns1 - ns0);
	}
	qsort(khz, ROUNDS, sizeof(khz[0]), compare);
	printf("%.0f\n", khz[ROUNDS / 2]);
	return 0;
}
