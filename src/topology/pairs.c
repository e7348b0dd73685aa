/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/pairs.h"

#include <errno.h>
#include <stdlib.h>

#include "topology/avail.h"
#include "topology/bdd.h"
#include "topology/cutsets.h"
#include "topology/model.h"

static int
by_order(const void *a, const void *b)
{
	const struct failure_pair *x = a, *y = b;

	if (x->a != y->a)
		return x->a < y->a ? -1 : 1;
	return x->b < y->b ? -1 : x->b > y->b;
}

/* The failure of the host that `f` happens on; itself if it is not on one. */
static size_t
host_of(const struct topology *t, size_t f)
{
	const struct host *h = t->failure[f].host;

	for (size_t i = 0; h != NULL && i < t->n_failures; i++) {
		if (t->failure[i].kind == AVAIL_HOST && t->failure[i].host == h)
			return i;
	}
	return f;
}

static struct failure_pair
told(const struct topology *t, size_t goal, struct cut cut)
{
	size_t pair[2] = {host_of(t, cut.leaf[0]), host_of(t, cut.leaf[1])};

	if (pair[0] == pair[1] || topology_survives(t, pair, 2, goal)) {
		pair[0] = cut.leaf[0];
		pair[1] = cut.leaf[1];
	}
	return (struct failure_pair){pair[0] < pair[1] ? pair[0] : pair[1],
	    pair[0] < pair[1] ? pair[1] : pair[0]};
}

static bool
covers(const struct topology *t, size_t of, size_t what)
{
	const struct failure *zone = &t->failure[of], *f = &t->failure[what];

	return of == what || (zone->kind == AVAIL_ZONE && f->kind == AVAIL_HOST &&
				 f->host->zone == zone->zone);
}

/* True if another pair says the same with hosts in the place of a zone. */
static bool
said_better(const struct topology *t, const struct failure_pair *item, size_t n,
    const struct failure_pair *p)
{
	if (t->failure[p->a].kind != AVAIL_ZONE && t->failure[p->b].kind != AVAIL_ZONE)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct failure_pair *q = &item[i];

		if (q == p || (q->a == p->a && q->b == p->b))
			continue;
		if ((covers(t, p->a, q->a) && covers(t, p->b, q->b)) ||
		    (covers(t, p->a, q->b) && covers(t, p->b, q->a)))
			return true;
	}
	return false;
}

static int
tell(const struct topology *t, size_t goal, const struct cutsets *cuts,
    struct failure_pairs *out)
{
	struct failure_pair *all =
	    arena_array(out->arena, cuts->n_pairs + 1U, sizeof(*all));
	struct failure_pair *kept =
	    arena_array(out->arena, cuts->n_pairs + 1U, sizeof(*kept));
	size_t n = 0;

	if (all == NULL || kept == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < cuts->n_pairs; i++)
		all[i] = told(t, goal, cuts->pair[i]);
	if (cuts->n_pairs > 1)
		qsort(all, cuts->n_pairs, sizeof(*all), by_order);
	for (uint32_t i = 0; i < cuts->n_pairs; i++) {
		if (n == 0 || by_order(&all[n - 1], &all[i]) != 0)
			all[n++] = all[i];
	}
	for (size_t i = 0; i < n; i++) {
		if (!said_better(t, all, n, &all[i]))
			kept[out->n++] = all[i];
	}
	out->item = kept;
	out->cut_sets = cuts->found_pairs;
	return 0;
}

int
pairs_collect(const struct topology *t, size_t goal, const size_t *failed,
    size_t n_failed, struct failure_pairs *out)
{
	struct graph_cone cone;
	struct cutsets cuts;
	uint8_t *down;
	int err = -ENOMEM;

	*out = (struct failure_pairs){.arena = arena_new(TOPOLOGY_MAX)};
	if (out->arena == NULL)
		return -ENOMEM;
	down = arena_alloc(out->arena, t->n_failures + 1);
	for (size_t i = 0; i < n_failed && down != NULL; i++)
		down[failed[i]] = 1;
	if (down != NULL)
		err = graph_cone(&t->graph, t->goal[goal].root, out->arena, &cone);
	if (err == 0)
		err = cutsets_find(&t->graph, &cone, down, 2, out->arena, &cuts);
	if (err == 0)
		err = tell(t, goal, &cuts, out);
	if (err != 0)
		pairs_done(out);
	return err;
}

void
pairs_done(struct failure_pairs *p)
{
	arena_free(p->arena);
	*p = (struct failure_pairs){0};
}

int
cuts_count(const struct topology *t, size_t goal, const size_t *failed, size_t n_failed,
    unsigned order, uint64_t *count)
{
	struct arena *a = arena_new(TOPOLOGY_MAX);
	uint8_t *down = a != NULL ? arena_alloc(a, t->n_failures + 1) : NULL;
	struct graph_cone cone;
	struct bdd bdd;
	int err = -ENOMEM;

	for (size_t i = 0; i < n_failed && down != NULL; i++)
		down[failed[i]] = 1;
	if (down != NULL)
		err = graph_cone(&t->graph, t->goal[goal].root, a, &cone);
	if (err == 0)
		err = avail_order(t, a, &cone);
	if (err == 0)
		err = bdd_build(&bdd, &t->graph, &cone, down, a, AVAIL_NODES_MAX);
	if (err == 0)
		err = bdd_cuts(&bdd);
	if (err == 0)
		err = bdd_count_cuts(&bdd, order, count);
	arena_free(a);
	return err;
}
