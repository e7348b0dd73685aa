/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writers.h - clients that write, and whether what they were promised holds.
 *
 * Each write is a POST with a number of its own through the whole chain, on a kept
 * connection. Unlike a question (load.h) it is never asked again: a client cannot know
 * whether it was carried out. The servers (web.h) keep journals, which outlive them;
 * ledger.h says what must be in them.
 */
#ifndef NINES_LAB_WRITERS_H
#define NINES_LAB_WRITERS_H

#include <stdbool.h>

#include "base/check.h"
#include "lab/ledger.h"
#include "lab/load.h"
#include "lab/world.h"

struct writers;

/*
 * Into the journals of all hosts of `w` that serve. NULL with errno set on failure.
 * `netns` stays the caller's until writers_stop().
 */
struct writers *writers_start(const struct world *w, const char *netns,
    const struct ip_endpoint *target) MUST_CHECK;
void writers_stop(struct writers *w); /* NULL is fine */

/* Are writes acknowledged now, all that were sent? */
bool writers_steady(struct writers *w);

/* Ends every connection that no write is on. */
void writers_renew(struct writers *w);

/* Reads the journals. Both sums are since the last call. */
void writers_take(struct writers *w, struct ledger_sum *sum, struct load_sum *load);

/* What is wrong in `sum`, in words; "" if nothing is. */
void writers_explain(
    const struct writers *w, const struct ledger_sum *sum, char *text, size_t size);

#endif /* NINES_LAB_WRITERS_H */
