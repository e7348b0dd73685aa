/* SPDX-License-Identifier: Apache-2.0 */
/*
 * late.c - a library that holds processes of nines up, as a busy machine does: now and
 * then what epoll_wait() found is given to its caller late. `make late` runs the system
 * tests with it: what races a clock, or another process, fails here sooner than once in
 * a hundred runs. Never longer than what nines takes for a process that hangs.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define ONE_IN	   50
#define AT_MOST_MS 120

/* xorshift64, seeded by when and who. */
static uint64_t
chance(void)
{
	static _Thread_local uint64_t x;
	struct timespec now;

	if (x == 0) {
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		x = ((uint64_t)now.tv_nsec << 32 | (uint64_t)gettid()) + 1;
	}
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static void
hold_up(void)
{
	uint64_t dice = chance();
	const struct timespec ts = {
	    .tv_nsec = (long)((dice >> 20) % AT_MOST_MS) * 1000000};
	int err = errno;

	if (dice % ONE_IN == 0 && strcmp(program_invocation_short_name, "nines") == 0)
		(void)nanosleep(&ts, NULL);
	errno = err;
}

int
epoll_wait(int fd, struct epoll_event *event, int n, int timeout)
{
	int (*next)(int, struct epoll_event *, int, int);
	int found;

	/* POSIX has dlsym() return functions as what they are not. */
	*(void **)&next = dlsym(RTLD_NEXT, "epoll_wait");
	found = next(fd, event, n, timeout);
	if (found > 0)
		hold_up();
	return found;
}
