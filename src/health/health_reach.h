/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health_reach.h - how long the connections of a target's checks take.
 *
 * Pure. What is said of it is a step, a power of two in ms that the mean does not
 * exceed, so that it hardly ever changes: whoever sends clients there wants to know
 * whether the target is next door or on another continent.
 */
#ifndef NINES_HEALTH_HEALTH_REACH_H
#define NINES_HEALTH_HEALTH_REACH_H

#include <stdbool.h>

#include "base/mono.h"

#define HEALTH_REACH_LEAST 4 /* ms: the first step */
#define HEALTH_REACH_MOST  4096

struct health_reach { /* zero: nothing is known */
	int64_t mean_ns;
	unsigned step_ms;
};

/* A connection took `ns`. True if the step is another one. */
static inline bool
health_reach_learn(struct health_reach *r, int64_t ns)
{
	unsigned ms = HEALTH_REACH_LEAST;

	r->mean_ns = r->mean_ns == 0 ? ns : r->mean_ns + (ns - r->mean_ns) / 8;
	while (ms < HEALTH_REACH_MOST && ms * MS_NS < r->mean_ns)
		ms *= 2;
	/* Down only where there is no way back soon. */
	if (ms == r->step_ms || (ms < r->step_ms && ms * 2 == r->step_ms))
		return false;
	r->step_ms = ms;
	return true;
}

#endif /* NINES_HEALTH_HEALTH_REACH_H */
