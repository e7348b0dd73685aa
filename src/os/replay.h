/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.h - which numbers of sealed datagrams came before: a window of the last 64.
 */
#ifndef NINES_OS_REPLAY_H
#define NINES_OS_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

struct replay { /* zero: nothing came yet */
	uint64_t top;
	uint64_t bits; /* bit i: so did top - 1 - i */
};

/* True once for each number; false also for what is too old to tell. 0 is none. */
static inline bool
replay_fresh(struct replay *r, uint64_t number)
{
	uint64_t ahead, behind;

	if (number == 0 || number == r->top)
		return false;
	if (number > r->top) {
		ahead = number - r->top;
		r->bits = ahead >= 64 ? 0 : r->bits << ahead;
		if (ahead <= 64 && r->top != 0)
			r->bits |= UINT64_C(1) << (ahead - 1);
		r->top = number;
		return true;
	}
	behind = r->top - number;
	if (behind > 64 || (r->bits >> (behind - 1) & 1) != 0)
		return false;
	r->bits |= UINT64_C(1) << (behind - 1);
	return true;
}

#endif /* NINES_OS_REPLAY_H */
