/* SPDX-License-Identifier: Apache-2.0 */
#include "config/names.h"

#include <stdint.h>
#include <string.h>

#define COMPARED_MAX 64 /* longer names get no suggestion */

static size_t
hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325; /* FNV-1a */

	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3;
	return (size_t)(h ^ h >> 32);
}

void
names_init(struct names *t, struct arena *a)
{
	*t = (struct names){.arena = a};
}

/* Where `name` is or would be. At least half of the slots are free. */
static struct names_slot *
find(const struct names *t, const char *name)
{
	size_t i = hash(name) & (t->n_slots - 1);

	while (t->slot[i].name != NULL && strcmp(t->slot[i].name, name) != 0)
		i = (i + 1) & (t->n_slots - 1);
	return &t->slot[i];
}

void *
names_get(const struct names *t, const char *name)
{
	return t->n_slots > 0 ? find(t, name)->thing : NULL;
}

static bool
grow(struct names *t)
{
	struct names next = {.arena = t->arena, .n = t->n};

	next.n_slots = t->n_slots > 0 ? t->n_slots * 2 : 16;
	next.slot = arena_array(t->arena, next.n_slots, sizeof(*next.slot));
	if (next.slot == NULL)
		return false;
	for (size_t i = 0; i < t->n_slots; i++) {
		if (t->slot[i].name != NULL)
			*find(&next, t->slot[i].name) = t->slot[i];
	}
	*t = next;
	return true;
}

void *
names_put(struct names *t, const char *name, void *thing)
{
	struct names_slot *s;

	if ((t->n + 1) * 2 > t->n_slots && !grow(t))
		return NULL;
	s = find(t, name);
	if (s->name != NULL)
		return s->thing;
	*s = (struct names_slot){name, thing};
	t->n++;
	return NULL;
}

static unsigned
min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/*
 * Edits from `a` to `b`: insertions, deletions, replacements, and neighbours that
 * changed places (optimal string alignment), since that is how fingers err.
 */
static unsigned
distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	unsigned row[3][COMPARED_MAX + 1];
	unsigned *before = row[0], *last = row[1], *now = row[2], *spare;

	if (la > COMPARED_MAX || lb > COMPARED_MAX)
		return COMPARED_MAX;
	for (size_t j = 0; j <= lb; j++)
		last[j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned cost = a[i - 1] != b[j - 1];

			now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[lb];
}

/* One edit in three characters may be wrong, but some of them must be right. */
static bool
near_enough(const char *name, unsigned edits)
{
	size_t len = strlen(name);

	return edits < len && edits <= 1 + len / 4;
}

const char *
name_nearer(const char *name, const char *best, const char *other)
{
	unsigned edits = distance(name, other);

	if (!near_enough(name, edits))
		return best;
	return best == NULL || edits < distance(name, best) ? other : best;
}

const char *
names_nearest(const struct names *t, const char *name)
{
	const char *best = NULL;

	for (size_t i = 0; i < t->n_slots; i++) {
		if (t->slot[i].name != NULL)
			best = name_nearer(name, best, t->slot[i].name);
	}
	return best;
}
