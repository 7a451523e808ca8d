// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <sys/syscall.h>

#include "stress_helpers.h"

#define MAX_THREADS 64

static struct {
	double until;
	int pin;		/* socket with the ULP: the module cannot go */
	unsigned int attempts, unloaded;
	long clc_timeout;	/* as it was */
	pthread_t threads[MAX_THREADS];
	int n_threads;
} stress = { .pin = -1 };

static __thread unsigned int seed;

int dice(int n)
{
	return rand_r(&seed) % n;
}

void dice_seed(int number)
{
	seed = env.seed * 1000 + number;
}

void dice_sleep(int max_us)
{
	usleep(dice(max_us));
}

bool stress_on(void)
{
	return now() < stress.until;
}

struct thread {
	void (*fn)(int number);
	int number;
};

static void *run(void *arg)
{
	struct thread thread = *(struct thread *)arg;

	free(arg);
	dice_seed(thread.number);
	thread.fn(thread.number);
	return NULL;
}

bool stress_thread(void (*fn)(int number), int number)
{
	struct thread *thread = malloc(sizeof(*thread));

	if (!ASSERT_LT(stress.n_threads, MAX_THREADS, "threads") || !ASSERT_OK_PTR(thread, "malloc"))
		return false;
	*thread = (struct thread){ .fn = fn, .number = number };
	if (!thread_start(&stress.threads[stress.n_threads], run, thread)) {
		free(thread);
		return false;
	}
	stress.n_threads++;
	return true;
}

static void unload(int number)
{
	(void)number;
	while (stress_on()) {
		stress.attempts++;
		if (syscall(SYS_delete_module, "smc_ulp", O_NONBLOCK) != -1 || errno != EWOULDBLOCK)
			stress.unloaded++;
		dice_sleep(20000);
	}
}

/* On a slow machine handshakes take long; more than smc.ko itself waits is not possible. */
#define CLC_TIMEOUT "/proc/sys/net/smc_ulp/clc_timeout_ms"

bool stress_begin(double seconds)
{
	dice_seed(0);
	stress.attempts = 0;
	stress.unloaded = 0;
	stress.clc_timeout = read_long(CLC_TIMEOUT);
	write_file(CLC_TIMEOUT, "6000");
	stress.until = now() + seconds * env.effort;
	stress.pin = sock_make(ULP, V4);
	return ASSERT_OK_FD(stress.pin, "socket that pins the module") && stress_thread(unload, 999);
}

void stress_join(void)
{
	while (stress.n_threads) {
		if (stress.n_threads == 1)	/* the one that tries to unload, if any */
			stress.until = 0;
		pthread_join(stress.threads[--stress.n_threads], NULL);
	}
}

void stress_end(void)
{
	char ms[24];

	stress_join();
	snprintf(ms, sizeof(ms), "%ld", stress.clc_timeout);
	write_file(CLC_TIMEOUT, ms);
	ASSERT_GT(stress.attempts, 0, "attempts to unload the module");
	ASSERT_EQ(stress.unloaded, 0, "attempts that did not fail as they should");
	sock_close(&stress.pin);
}

void stress_timeouts(int fd)
{
	sock_timeout(fd, SO_RCVTIMEO, 50);
	sock_timeout(fd, SO_SNDTIMEO, 50);
}

int stress_socket(enum kind kind, enum addr addr)
{
	int fd = sock_make(kind, addr);

	stress_timeouts(fd);
	return fd;
}

void stress_talk(int fd)
{
	static __thread char buf[65536];
	double start = now(), ms = dice(6000) / 1000.0;
	int what = dice(3);
	ssize_t n;

	do {
		switch (what) {
		case 0:
			n = send(fd, buf, 1 + dice(sizeof(buf)), MSG_NOSIGNAL);
			break;
		case 1:
			n = recv(fd, buf, 1 + dice(sizeof(buf)), 0);
			break;
		default:
			usleep(500);
			n = 1;
		}
	} while (n > 0 && ms_since(start) < ms);
}

void stress_close(int fd)
{
	struct linger linger = { .l_onoff = 1 };
	char byte;

	switch (dice(6)) {
	case 0:
		shutdown(fd, SHUT_WR);
		if (dice(2) && recv(fd, &byte, 1, 0) < 0)
			dice_sleep(1000);
		break;
	case 1:
		shutdown(fd, SHUT_RDWR);
		break;
	case 2:
		shutdown(fd, SHUT_RD);
		break;
	case 3:
		linger.l_linger = dice(2);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		break;
	}
	if (dice(2))
		dice_sleep(2000);
	close(fd);
}
