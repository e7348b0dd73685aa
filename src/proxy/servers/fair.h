/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fair.h - a queue that one source cannot have for itself: sources take turns.
 *
 * Pure. Each source waits in a line of its own, and the lines with somebody in them are
 * served one after the other. There are FAIR_LINES of them, so memory is constant and
 * everything takes constant time: a source that finds FAIR_TRIES lines taken by others
 * shares the first one's turns. When the queue is full, its longest line gives up its
 * last place.
 */
#ifndef NINES_PROXY_FAIR_H
#define NINES_PROXY_FAIR_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

#define FAIR_LINES 256
#define FAIR_TRIES 16

struct fair_line {
	struct list turn; /* fair->turns; alone while nobody waits */
	struct list waiting;
	uint64_t source; /* whose it is while anybody waits */
	size_t n;
};

struct fair {
	struct list turns; /* lines with somebody in them, the next one first */
	struct fair_line *line;
	size_t n;
	uint64_t seed;
};

/* `line` has FAIR_LINES of them, and is the caller's. */
void fair_init(struct fair *f, struct fair_line *line, uint64_t seed);

/* The last, or the first, of its source; `node` is on no list. Returns his line, which
 * fair_remove() wants. */
uint8_t fair_push(struct fair *f, uint64_t source, struct list *node);
uint8_t fair_push_first(struct fair *f, uint64_t source, struct list *node);

/* Whose turn it is, who is not in the queue any more; NULL: nobody waits. */
struct list *fair_pop(struct fair *f);
/* Somebody in `line` waits no longer. */
void fair_remove(struct fair *f, uint8_t line, struct list *node);

/* Who leaves for a newcomer of `source`: the last of the longest line; NULL if that is
 * his own. He stays in the queue until fair_remove(). */
struct list *fair_victim(const struct fair *f, uint64_t source);

#endif /* NINES_PROXY_FAIR_H */
