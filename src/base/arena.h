/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h - memory that is freed as a whole.
 *
 * A configuration generation lives in one arena: built once, immutable, freed
 * in one call. Memory is zeroed. An arena is born with a maximum; past it, or when
 * the system has no more, allocation returns NULL and arena_failed() stays true,
 * so a builder may test once at its end.
 */
#ifndef NINES_BASE_ARENA_H
#define NINES_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

struct arena;

/* `max` bytes in all. NULL if out of memory. */
struct arena *arena_new(size_t max) MUST_CHECK;
void arena_free(struct arena *a); /* NULL is fine */

/* Zeroed, aligned for any object; NULL past the maximum. */
void *arena_alloc(struct arena *a, size_t size) MUST_CHECK;

/* `n` objects of `size` bytes; NULL also when the product overflows. */
void *arena_array(struct arena *a, size_t n, size_t size) MUST_CHECK;

/* Copies `len` bytes of `s` and ends them with a NUL. */
char *arena_strndup(struct arena *a, const char *s, size_t len) MUST_CHECK;

bool arena_failed(const struct arena *a);

#endif /* NINES_BASE_ARENA_H */
