/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.h - rates of failure and repair from what was seen. Pure.
 *
 * How often things of a kind fail is a rate that nobody knows exactly. Before anything
 * was watched there is the one that the cluster file (or its default) says, taken for
 * as much as HISTORY_WEIGHT failures seen; each failure, and each hour without one,
 * then shifts it. In words of statistics: outages are a Poisson process, repairs take
 * exponential times, both rates have a Gamma prior of shape HISTORY_WEIGHT whose mean
 * is the file's, and what is told is the mean of the posterior. So a quiet month of one
 * host says next to nothing, and ten years of twelve of them nearly all.
 */
#ifndef NINES_TOPOLOGY_HISTORY_H
#define NINES_TOPOLOGY_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "config/availability_conf.h"

#define HISTORY_WEIGHT 1.0

/* What was seen of one kind, of all things of it together. */
struct history_kind {
	double watched_s; /* so many seconds times so many things */
	double down_s;	  /* of these, while one was down */
	unsigned outages; /* that began */
	unsigned repairs; /* of these, how many ended */
};

struct history {
	struct history_kind kind[AVAIL_KINDS]; /* watched_s 0: was not watched */
};

/* The rate after `seen`, where `before` was thought before it. */
struct availability_rate history_rate(
    const struct history_kind *seen, const struct availability_rate *before);

/* The rates of every kind that was watched, in place of those in `rates`. */
void history_apply(const struct history *h, struct availability_conf *rates);

/*
 * A moment as RFC 3339 writes it ("2026-11-21T07:00:00.5Z", or with an offset such as
 * +01:00), in milliseconds since 1970. Years 1970 to 2199; a leap second is the second
 * after it. 0 or -EINVAL.
 */
int history_time(int64_t *ms, const char *text) MUST_CHECK;

#endif /* NINES_TOPOLOGY_HISTORY_H */
