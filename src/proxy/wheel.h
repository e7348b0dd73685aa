/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wheel.h - many coarse timers: one for each connection of a worker.
 *
 * Pure: the owner says what time it is. A timer fires at its instant or up to one
 * tick later. Moving a timer to a later instant writes one word: it stays in its
 * slot, and is sorted in again when that comes up.
 */
#ifndef NINES_PROXY_WHEEL_H
#define NINES_PROXY_WHEEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/mono.h"

#define WHEEL_TICK_NS (4 * MS_NS)
#define WHEEL_SLOTS   2048 /* a turn: 8.2 s; what is due later goes round again */

struct wheel_timer {
	struct list link;
	mono_t due;   /* MONO_NEVER: not set */
	int64_t tick; /* of the slot it is in */
	int kind;     /* the owner's: what it belongs to */
};

struct wheel {
	struct list slot[WHEEL_SLOTS];
	uint64_t used[WHEEL_SLOTS / 64]; /* slots that may have timers */
	int64_t tick;			 /* all before it have been served */
	size_t n;
};

void wheel_init(struct wheel *w, mono_t now);
void wheel_timer_init(struct wheel_timer *t, int kind);

/* Sets or moves; MONO_NEVER clears. */
void wheel_set(struct wheel *w, struct wheel_timer *t, mono_t due);
void wheel_clear(struct wheel *w, struct wheel_timer *t);

/*
 * Takes a timer that is due off the wheel; NULL when there is none left. Call it until
 * then; the wheel may be changed in between.
 */
struct wheel_timer *wheel_expired(struct wheel *w, mono_t now);

/* When to call wheel_expired() next: not later than the first timer needs. */
mono_t wheel_deadline(const struct wheel *w);

#endif /* NINES_PROXY_WHEEL_H */
