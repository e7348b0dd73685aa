/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refs.h - how many hold what several threads share.
 */
#ifndef NINES_BASE_REFS_H
#define NINES_BASE_REFS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/check.h"

/* By who holds a reference already. */
static inline void
refs_take(atomic_uint *refs)
{
	(void)atomic_fetch_add_explicit(refs, 1, memory_order_relaxed);
}

/* True for the last one, who sees all that the others did with it. */
static inline bool
refs_drop(atomic_uint *refs)
{
	unsigned before = atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel);

	ASSERT(before > 0);
	return before == 1;
}

#endif /* NINES_BASE_REFS_H */
