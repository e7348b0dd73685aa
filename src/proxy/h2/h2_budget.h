/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_budget.h - how much a peer may make us do for nothing.
 *
 * A bucket that is full at first and fills up again with time. Pure.
 */
#ifndef NINES_PROXY_H2_BUDGET_H
#define NINES_PROXY_H2_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mono.h"

struct h2_budget {
	uint32_t max, per_second;
	uint32_t left;
	mono_t at; /* when it was last filled */
};

static inline void
h2_budget_init(struct h2_budget *b, uint32_t max, uint32_t per_second, mono_t now)
{
	*b = (struct h2_budget){max, per_second, max, now};
}

static inline void
h2_budget_earn(struct h2_budget *b, uint32_t n)
{
	b->left = n < b->max - b->left ? b->left + n : b->max;
}

/* False: it is used up. */
static inline bool
h2_budget_spend(struct h2_budget *b, mono_t now)
{
	int64_t seconds = mono_sub(now, b->at) / SEC_NS;

	if (seconds > 0) {
		int64_t full = b->max / b->per_second + 1;

		h2_budget_earn(
		    b, seconds < full ? (uint32_t)seconds * b->per_second : b->max);
		b->at = now;
	}
	if (b->left == 0)
		return false;
	b->left--;
	return true;
}

#endif /* NINES_PROXY_H2_BUDGET_H */
