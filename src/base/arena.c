/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK ((size_t)64 * 1024)

struct chunk {
	struct chunk *next;
	size_t used, size;
	alignas(max_align_t) char mem[];
};

struct arena {
	struct chunk *head;
	size_t max, total;
	bool failed;
};

struct arena *
arena_new(size_t max)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (a != NULL)
		a->max = max;
	return a;
}

void
arena_free(struct arena *a)
{
	struct chunk *c;

	if (a == NULL)
		return;
	while ((c = a->head) != NULL) {
		a->head = c->next;
		free(c);
	}
	free(a);
}

static bool
grow(struct arena *a, size_t need)
{
	size_t size = need > CHUNK ? need : CHUNK;
	struct chunk *c;

	if (need > a->max - a->total)
		return false;
	if (size > a->max - a->total)
		size = need;
	c = calloc(1, sizeof(*c) + size);
	if (c == NULL)
		return false;
	c->size = size;
	c->next = a->head;
	a->head = c;
	a->total += size;
	return true;
}

void *
arena_alloc(struct arena *a, size_t size)
{
	const size_t mask = alignof(max_align_t) - 1;
	size_t need;
	void *p;

	if (size > SIZE_MAX - mask)
		size = SIZE_MAX - mask; /* fails below: no maximum is that large */
	need = (size + mask) & ~mask;
	if (a->head == NULL || a->head->size - a->head->used < need) {
		if (!grow(a, need)) {
			a->failed = true;
			return NULL;
		}
	}
	p = a->head->mem + a->head->used;
	a->head->used += need;
	return p;
}

void *
arena_array(struct arena *a, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total)) {
		a->failed = true;
		return NULL;
	}
	return arena_alloc(a, total);
}

char *
arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *p = len < SIZE_MAX ? arena_alloc(a, len + 1) : NULL;

	if (p != NULL && len > 0)
		memcpy(p, s, len);
	return p;
}

bool
arena_failed(const struct arena *a)
{
	return a->failed;
}
