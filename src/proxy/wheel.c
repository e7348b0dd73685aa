/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/wheel.h"

#include <string.h>

static size_t
slot_of(int64_t tick)
{
	return (size_t)((uint64_t)tick % WHEEL_SLOTS);
}

void
wheel_init(struct wheel *w, mono_t now)
{
	memset(w->used, 0, sizeof(w->used));
	for (size_t i = 0; i < WHEEL_SLOTS; i++)
		list_init(&w->slot[i]);
	w->tick = now.ns / WHEEL_TICK_NS;
	w->n = 0;
}

void
wheel_timer_init(struct wheel_timer *t, int kind)
{
	list_init(&t->link);
	t->due = MONO_NEVER;
	t->tick = 0;
	t->kind = kind;
}

/* The tick at whose end `due` has passed, within one turn of the wheel. */
static int64_t
tick_of(const struct wheel *w, mono_t due)
{
	int64_t tick = due.ns / WHEEL_TICK_NS;

	if (tick < w->tick)
		return w->tick;
	if (tick >= w->tick + WHEEL_SLOTS)
		return w->tick + WHEEL_SLOTS - 1;
	return tick;
}

static void
insert(struct wheel *w, struct wheel_timer *t)
{
	size_t i;

	t->tick = tick_of(w, t->due);
	i = slot_of(t->tick);
	list_append(&w->slot[i], &t->link);
	w->used[i / 64] |= UINT64_C(1) << i % 64;
}

void
wheel_set(struct wheel *w, struct wheel_timer *t, mono_t due)
{
	if (mono_is_never(due)) {
		wheel_clear(w, t);
		return;
	}
	if (mono_is_never(t->due))
		w->n++;
	else if (due.ns / WHEEL_TICK_NS >= t->tick) {
		t->due = due;
		return;
	} else
		list_remove(&t->link);
	t->due = due;
	insert(w, t);
}

void
wheel_clear(struct wheel *w, struct wheel_timer *t)
{
	if (mono_is_never(t->due))
		return;
	list_remove(&t->link);
	t->due = MONO_NEVER;
	w->n--;
}

/* The first due timer of the current slot; others of it go where they belong. */
static struct wheel_timer *
slot_expired(struct wheel *w, mono_t now)
{
	struct list *slot = &w->slot[slot_of(w->tick)];

	LIST_EACH(n, tmp, slot)
	{
		struct wheel_timer *t = CONTAINER(n, struct wheel_timer, link);

		if (!mono_before(now, t->due)) {
			wheel_clear(w, t);
			return t;
		}
		if (t->due.ns / WHEEL_TICK_NS == w->tick)
			continue;
		list_remove(n);
		insert(w, t);
	}
	return NULL;
}

struct wheel_timer *
wheel_expired(struct wheel *w, mono_t now)
{
	int64_t end = now.ns / WHEEL_TICK_NS;

	if (w->n == 0 && w->tick < end)
		w->tick = end;
	for (;;) {
		size_t i = slot_of(w->tick);
		struct wheel_timer *t = NULL;

		if ((w->used[i / 64] >> i % 64 & 1) != 0)
			t = slot_expired(w, now);
		if (t != NULL)
			return t;
		if (list_empty(&w->slot[i]))
			w->used[i / 64] &= ~(UINT64_C(1) << i % 64);
		if (w->tick >= end)
			return NULL;
		w->tick++;
	}
}

mono_t
wheel_deadline(const struct wheel *w)
{
	if (w->n == 0)
		return MONO_NEVER;
	for (int64_t t = w->tick; t < w->tick + WHEEL_SLOTS; t++) {
		size_t i = slot_of(t);

		if (w->used[i / 64] == 0) {
			t += 63 - (int64_t)(i % 64);
			continue;
		}
		if ((w->used[i / 64] >> i % 64 & 1) != 0)
			return (mono_t){(t + 1) * WHEEL_TICK_NS};
	}
	return (mono_t){(w->tick + WHEEL_SLOTS) * WHEEL_TICK_NS};
}
