/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule.h - failures and repairs in a row, some at the same time (private to lab/).
 *
 * Made by chance within what may happen, and, when a schedule has shown a fault, made
 * short again: of a hundred failures two or three are to blame. Pure: the same seed
 * gives the same schedule.
 */
#ifndef NINES_LAB_SCHEDULE_H
#define NINES_LAB_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/rng.h"

#define SCHEDULE_MAX	    4096 /* events */
#define SCHEDULE_AT_ONCE    3	 /* failures at a time, at most */
#define SCHEDULE_RECOVER_MS 6000 /* after its repair a failure still counts */

struct event {
	uint32_t at_ms, hold_ms; /* when it begins; until it is repaired */
	size_t which;		 /* of the failures to choose from */
};

struct chances {
	size_t n; /* failures to choose from */
	/* May these be at work at the same time? More never may where fewer may not. */
	bool (*may)(void *arg, const size_t *which, size_t n);
	void *arg;
};

/* Fills `event` in the order of time; returns how many there are, at most `max`. */
size_t schedule_make(struct rng *r, const struct chances *c, uint32_t length_ms,
    struct event *event, size_t max);

/*
 * Delta debugging: the smallest part of `n` events that it finds for which `fails`
 * still says 1 (0: it does not fail; negative: stop). `keep` (n of them, all true, and
 * known to fail) becomes that part. Calls `fails` at most `tries` times. 0, or what
 * was negative.
 */
int schedule_shrink(size_t n, bool *keep, int (*fails)(void *arg, const bool *keep),
    void *arg, unsigned tries) MUST_CHECK;

#endif /* NINES_LAB_SCHEDULE_H */
