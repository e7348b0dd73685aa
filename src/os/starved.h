/* SPDX-License-Identifier: Apache-2.0 */
/*
 * starved.h - whether a process has work and gets no processor: on a machine with too
 * much to do, or held back by a limit. What it does not do then is not its fault, and
 * another process in its place would fare no better.
 */
#ifndef NINES_OS_STARVED_H
#define NINES_OS_STARVED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct starved {
	int64_t cpu_ns; /* that its main thread has used; 0: not looked at yet */
};

/* True if the main thread of `pid` wants to run now, and since the last look, at least
 * `ns` ago, has run for less than half of that. The first look says false. */
bool starved_look(struct starved *s, pid_t pid, int64_t ns);

/* True if the thread `tid` has a processor or waits for one; false if it sleeps, was
 * stopped, or is not there. */
bool starved_wants(pid_t tid);

#endif /* NINES_OS_STARVED_H */
