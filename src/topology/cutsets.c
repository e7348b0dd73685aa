/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/cutsets.h"

#include <errno.h>
#include <string.h>

#define BATCH	64
#define ALL_ONE UINT64_MAX

struct search {
	const struct graph *g;
	const struct graph_cone *cone;
	uint64_t *leaf, *value; /* what works, in the 64 cases at hand */
	uint32_t *candidate;	/* leaves that have not failed and are no cut alone */
	uint32_t n;
	struct cut *pair;
	uint32_t n_pairs, cap;
	uint64_t found;
	struct arena *arena;
	bool failed;
};

/* The cases in which the goal works. */
static uint64_t
works(struct search *s)
{
	graph_eval(s->g, s->cone, s->leaf, s->value);
	return s->value[s->cone->node[s->cone->n - 1]];
}

/* Candidates from `from`, up to 64 of them, each failed in a case of its own. */
static uint64_t
try_batch(struct search *s, uint32_t from, uint32_t n)
{
	uint64_t alive;

	for (uint32_t i = 0; i < n; i++)
		s->leaf[s->candidate[from + i]] &= ~(UINT64_C(1) << i);
	alive = works(s);
	for (uint32_t i = 0; i < n; i++)
		s->leaf[s->candidate[from + i]] |= UINT64_C(1) << i;
	return n == BATCH ? ~alive : ~alive & ((UINT64_C(1) << n) - 1);
}

static uint32_t
batch_size(const struct search *s, uint32_t from)
{
	return s->n - from < BATCH ? s->n - from : BATCH;
}

/* Moves what is a cut alone from the candidates to `single`; returns its number. */
static uint32_t
find_single(struct search *s, uint32_t *single)
{
	uint32_t n = 0, kept = 0;

	for (uint32_t from = 0; from < s->n; from += BATCH) {
		uint32_t size = batch_size(s, from);
		uint64_t dead = try_batch(s, from, size);

		for (uint32_t i = 0; i < size; i++) {
			if ((dead >> i & 1) != 0)
				single[n++] = s->candidate[from + i];
			else /* never overtakes what is still to be read */
				s->candidate[kept++] = s->candidate[from + i];
		}
	}
	s->n = kept;
	return n;
}

static void
keep_pair(struct search *s, uint32_t a, uint32_t b)
{
	uint32_t larger = s->cap == 0 ? 256 : s->cap * 2;
	struct cut *fresh;

	s->found++;
	if (s->n_pairs == CUTSETS_PAIRS_MAX || s->failed)
		return;
	if (s->n_pairs == s->cap) {
		fresh = arena_array(s->arena, larger, sizeof(*fresh));
		if (fresh == NULL) {
			s->failed = true;
			return;
		}
		if (s->n_pairs > 0)
			memcpy(fresh, s->pair, s->n_pairs * sizeof(*fresh));
		s->pair = fresh;
		s->cap = larger;
	}
	s->pair[s->n_pairs++] = (struct cut){{a < b ? a : b, a < b ? b : a}};
}

static void
find_pairs(struct search *s)
{
	for (uint32_t a = 0; a + 1 < s->n; a++) {
		s->leaf[s->candidate[a]] = 0;
		for (uint32_t from = a + 1; from < s->n; from += BATCH) {
			uint32_t size = batch_size(s, from);
			uint64_t dead = try_batch(s, from, size);

			for (; dead != 0; dead &= dead - 1) {
				uint32_t i = (uint32_t)__builtin_ctzll(dead);

				keep_pair(s, s->candidate[a], s->candidate[from + i]);
			}
		}
		s->leaf[s->candidate[a]] = ALL_ONE;
	}
}

int
cutsets_find(const struct graph *g, const struct graph_cone *cone,
    const uint8_t *failed, unsigned order, struct arena *a, struct cutsets *out)
{
	struct search s = {.g = g, .cone = cone, .arena = a};
	uint32_t *single;

	*out = (struct cutsets){0};
	s.leaf = arena_array(a, g->n_leaves + 1, sizeof(*s.leaf));
	s.value = arena_array(a, g->n + 1, sizeof(*s.value));
	s.candidate = arena_array(a, cone->n_leaves + 1, sizeof(*s.candidate));
	single = arena_array(a, cone->n_leaves + 1, sizeof(*single));
	if (s.leaf == NULL || s.value == NULL || s.candidate == NULL || single == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < cone->n_leaves; i++) {
		uint32_t leaf = cone->leaf[i];

		s.leaf[leaf] = failed != NULL && failed[leaf] ? 0 : ALL_ONE;
		if (s.leaf[leaf] != 0)
			s.candidate[s.n++] = leaf;
	}
	out->lost = works(&s) == 0;
	if (out->lost)
		return 0;
	out->n_single = find_single(&s, single);
	out->single = single;
	if (order >= 2)
		find_pairs(&s);
	out->pair = s.pair;
	out->n_pairs = s.n_pairs;
	out->found_pairs = s.found;
	return s.failed ? -ENOMEM : 0;
}
