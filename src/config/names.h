/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - from name to thing, and from a mistyped name to the one that was meant.
 *
 * A hash table in an arena. Keys are kept by reference. When the arena is full, names
 * get lost; whoever built the table asks arena_failed() at the end.
 */
#ifndef NINES_CONFIG_NAMES_H
#define NINES_CONFIG_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/check.h"

struct names_slot {
	const char *name;
	void *thing;
};

struct names {
	struct names_slot *slot;
	size_t n_slots; /* a power of two, or 0: an empty table */
	size_t n;
	struct arena *arena;
};

void names_init(struct names *t, struct arena *a);

/* NULL if there is none of that name. */
void *names_get(const struct names *t, const char *name);

/* Adds `name`; returns the thing that has it already, or NULL if it was new. */
void *names_put(struct names *t, const char *name, void *thing);

/* The name closest to `name`, if it is close enough to be what was meant; or NULL. */
const char *names_nearest(const struct names *t, const char *name);

/* The better of two candidates for `name`: `best` (NULL: none yet) or `other`. */
const char *name_nearer(const char *name, const char *best, const char *other);

#endif /* NINES_CONFIG_NAMES_H */
