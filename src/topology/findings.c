/* SPDX-License-Identifier: Apache-2.0 */
/*
 * findings.c - collecting, merging and ordering; what each single point of failure is
 * caused by is in causes.c, what else is to be said in advice.c.
 */
#include "topology/findings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topology/causes.h"
#include "topology/cutsets.h"

#define NAMES_SHOWN 4

const struct finding_rule finding_rules[FINDING_CODES] = {
#define X(id, text_name, text) \
	[id] = {.code = #id, .name = (text_name), .what = (text)},
    FINDING_RULES(X)
#undef X
};

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

struct draft *
draft_add(struct drafts *d, const struct cause *cause, enum finding_level level)
{
	struct draft *fresh;

	for (size_t i = 0; i < d->n; i++) {
		struct draft *old = &d->item[i];

		if (old->cause.code == cause->code &&
		    old->cause.place.line == cause->place.line &&
		    old->cause.place.column == cause->place.column &&
		    same_text(old->cause.reason, cause->reason)) {
			if (level < old->level)
				old->level = level;
			return old;
		}
	}
	if (d->n == d->cap) {
		size_t cap = d->cap == 0 ? 64 : d->cap * 2;

		fresh = arena_array(d->arena, cap, sizeof(*fresh));
		if (fresh == NULL)
			return NULL;
		if (d->n > 0)
			memcpy(fresh, d->item, d->n * sizeof(*fresh));
		d->item = fresh;
		d->cap = cap;
	}
	d->item[d->n] = (struct draft){.cause = *cause, .level = level};
	return &d->item[d->n++];
}

void
index_add(struct arena *a, struct index_list *l, size_t index)
{
	size_t *fresh;

	for (size_t i = 0; i < l->n; i++) {
		if (l->item[i] == index)
			return;
	}
	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 8 : l->cap * 2;

		fresh = arena_array(a, cap, sizeof(*fresh));
		if (fresh == NULL)
			return;
		if (l->n > 0)
			memcpy(fresh, l->item, l->n * sizeof(*fresh));
		l->item = fresh;
		l->cap = cap;
	}
	l->item[l->n++] = index;
}

/* ---- single points of failure -------------------------------------------------- */

static bool
has_host(
    const struct topology *t, const uint32_t *single, uint32_t n, const struct host *h)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct failure *f = &t->failure[single[i]];

		if (f->kind == AVAIL_HOST && f->host == h)
			return true;
	}
	return false;
}

/* True if the failure of one of its hosts alone is listed: the zone adds nothing. */
static bool
zone_follows(const struct topology *t, const uint32_t *single, uint32_t n,
    const struct zone *zone)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct failure *f = &t->failure[single[i]];

		if (f->kind == AVAIL_HOST && f->host->zone == zone)
			return true;
	}
	return false;
}

/* Failures that are single points only because something larger or smaller is. */
static bool
implied(const struct topology *t, const uint32_t *single, uint32_t n,
    const struct failure *f)
{
	switch (f->kind) {
	case AVAIL_LINK:
	case AVAIL_PART:
	case AVAIL_SERVER:
		return has_host(t, single, n, f->host);
	case AVAIL_ZONE:
		return zone_follows(t, single, n, f->zone);
	case AVAIL_HOST:
	case AVAIL_NETWORK:
	case AVAIL_OUTSIDE:
	case AVAIL_CERTIFICATE:
	case AVAIL_KINDS:
		break;
	}
	return false;
}

static enum finding_level
level_of(const struct goal *goal, const struct failure *f)
{
	if ((goal->must_survive & f->survive) != 0)
		return FINDING_ERROR;
	return goal->must_survive != 0 ? FINDING_WARNING : FINDING_NOTE;
}

static void
add_singles(struct drafts *d, size_t goal, const struct cutsets *cuts)
{
	const struct topology *t = d->t;

	for (uint32_t i = 0; i < cuts->n_single; i++) {
		const struct failure *f = &t->failure[cuts->single[i]];
		struct cause cause = {0};
		struct draft *draft;

		if (implied(t, cuts->single, cuts->n_single, f))
			continue;
		cause_of(d, &t->goal[goal].goal, f, &cause);
		draft = draft_add(d, &cause, level_of(&t->goal[goal].goal, f));
		if (draft == NULL)
			return;
		index_add(d->arena, &draft->failure, cuts->single[i]);
		index_add(d->arena, &draft->goal, goal);
	}
}

/* Not there at all, by the file or by what has failed already. */
static void
add_lost(struct drafts *d, size_t goal)
{
	const struct goal *g = &d->t->goal[goal].goal;
	struct cause cause = {.change = NULL};
	struct draft *draft;

	cause_of_loss(d, g, &cause);
	draft = draft_add(
	    d, &cause, g->must_survive != 0 ? FINDING_ERROR : FINDING_WARNING);
	if (draft != NULL)
		index_add(d->arena, &draft->goal, goal);
}

static int
find_singles(struct drafts *d, const uint8_t *failed)
{
	const struct topology *t = d->t;

	for (size_t i = 0; i < t->n_goals; i++) {
		struct arena *scratch = arena_new(TOPOLOGY_MAX);
		struct graph_cone cone;
		struct cutsets cuts;
		int err = scratch == NULL ? -ENOMEM : 0;

		if (err == 0)
			err = graph_cone(&t->graph, t->goal[i].root, scratch, &cone);
		if (err == 0)
			err = cutsets_find(&t->graph, &cone, failed, 1, scratch, &cuts);
		if (err == 0 && cuts.lost)
			add_lost(d, i);
		else if (err == 0)
			add_singles(d, i, &cuts);
		arena_free(scratch);
		if (err != 0)
			return err;
	}
	return 0;
}

/* ---- texts --------------------------------------------------------------------- */

static void
put_goal(struct sbuf *out, const struct topology *t, size_t i)
{
	const struct goal *g = &t->goal[i].goal;

	sbuf_printf(out, "%s%s",
	    g->role == GOAL_READS    ? "reads of "
	    : g->role == GOAL_COPIES ? "the data of "
				     : "",
	    g->role == GOAL_CONSOLE ? "the console" : g->name);
}

static void
put_failure(struct sbuf *out, const struct topology *t, size_t i)
{
	sbuf_puts(out, t->failure[i].name);
}

static void
put_names(struct sbuf *out, const struct topology *t, const struct index_list *l,
    void (*put)(struct sbuf *, const struct topology *, size_t))
{
	size_t shown = l->n > NAMES_SHOWN + 1 ? NAMES_SHOWN : l->n;

	for (size_t i = 0; i < shown; i++) {
		sbuf_puts(out, i == 0				? ""
			       : i + 1 == l->n && shown == l->n ? " and "
								: ", ");
		put(out, t, l->item[i]);
	}
	if (shown < l->n)
		sbuf_printf(out, " and %zu more", l->n - shown);
}

/* "host lb1 ends site: only lb1 can have www" */
static const char *
text_of(struct drafts *d, const struct draft *draft)
{
	struct sbuf text;
	const char *copy;

	if (draft->failure.n == 0)
		return draft->cause.reason;
	sbuf_init(&text, 65536);
	put_names(&text, d->t, &draft->failure, put_failure);
	sbuf_puts(&text, draft->failure.n > 1 ? ", each alone, end " : " ends ");
	put_names(&text, d->t, &draft->goal, put_goal);
	sbuf_printf(&text, ": %s", draft->cause.reason);
	copy = arena_strndup(d->arena, sbuf_text(&text), text.len);
	sbuf_done(&text);
	return copy;
}

static int
by_gravity(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;

	if (x->level != y->level)
		return x->level < y->level ? -1 : 1;
	if (x->place.line != y->place.line)
		return x->place.line < y->place.line ? -1 : 1;
	if (x->place.column != y->place.column)
		return x->place.column < y->place.column ? -1 : 1;
	return x->code < y->code ? -1 : x->code > y->code;
}

static int
by_index(const void *a, const void *b)
{
	const size_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int
finish(struct drafts *d, struct findings *out)
{
	struct finding *item =
	    arena_array(d->arena, d->n > 0 ? d->n : 1, sizeof(*item));

	if (item == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < d->n; i++) {
		const struct draft *draft = &d->item[i];

		if (draft->failure.n > 1)
			qsort(draft->failure.item, draft->failure.n,
			    sizeof(*draft->failure.item), by_index);
		item[i] = (struct finding){.code = draft->cause.code,
		    .level = draft->level,
		    .place = draft->cause.place,
		    .width = draft->cause.width > 0 ? draft->cause.width : 1,
		    .text = text_of(d, draft),
		    .change = draft->cause.change,
		    .failure = draft->failure.item,
		    .n_failures = draft->failure.n,
		    .goal = draft->goal.item,
		    .n_goals = draft->goal.n};
		out->errors += draft->level == FINDING_ERROR;
		out->warnings += draft->level == FINDING_WARNING;
	}
	if (d->n > 1)
		qsort(item, d->n, sizeof(*item), by_gravity);
	out->item = item;
	out->n = d->n;
	return arena_failed(d->arena) ? -ENOMEM : 0;
}

int
findings_collect(
    const struct topology *t, const struct findings_input *in, struct findings *out)
{
	struct drafts d = {.t = t, .in = in};
	uint8_t *down;
	int err = -ENOMEM;

	*out = (struct findings){0};
	d.arena = arena_new(TOPOLOGY_MAX);
	if (d.arena == NULL)
		return -ENOMEM;
	down = arena_alloc(d.arena, t->n_failures + 1);
	if (down != NULL) {
		for (size_t i = 0; i < in->n_failed; i++)
			down[in->failed[i]] = 1;
		err = find_singles(&d, down);
	}
	if (err == 0) {
		advise(&d);
		err = finish(&d, out);
	}
	if (err != 0) {
		arena_free(d.arena);
		return err;
	}
	out->arena = d.arena;
	return 0;
}

void
findings_done(struct findings *f)
{
	arena_free(f->arena);
	*f = (struct findings){0};
}
