/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/avail.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mono.h"
#include "topology/bdd.h"
#include "topology/model.h"

#define YEAR_S	     (365.25 * 86400)
#define TWINS_IN_ALL 12 /* models built with one more host, of a whole file */

/* ---- text ---------------------------------------------------------------------- */

double
avail_digit(double x)
{
	double scale = 1;

	if (!(x > 0))
		return 0;
	while (x * scale < 1 && scale < 1e300)
		scale *= 10;
	while (x * scale >= 10)
		scale /= 10;
	return (double)(int)(x * scale + 0.5) / scale;
}

const char *
avail_percent(double down, char text[static AVAIL_TEXT_LEN])
{
	double d = avail_digit(down), unit = 1;
	int digits = -2;

	if (d <= 0)
		return "100 %";
	if (d >= 0.95)
		return "0 %";
	while (d * unit < 0.9999999 && digits < 15) {
		unit *= 10;
		digits++;
	}
	(void)snprintf(
	    text, AVAIL_TEXT_LEN, "%.*f %%", digits > 0 ? digits : 0, 100 * (1 - d));
	return text;
}

const char *
avail_a_year(double down, char text[static AVAIL_TEXT_LEN])
{
	static const struct {
		double s;
		const char *name;
	} unit[] = {{86400, "days"}, {3600, "h"}, {60, "min"}, {1, "s"}, {1e-3, "ms"}};
	double s = down * YEAR_S, rounded = avail_digit(s);

	for (size_t i = 0; i < ARRAY_LEN(unit); i++) {
		if (rounded < unit[i].s && i + 1 < ARRAY_LEN(unit))
			continue;
		(void)snprintf(text, AVAIL_TEXT_LEN, "%.0f %s",
		    avail_digit(s / unit[i].s), unit[i].name);
		break;
	}
	return text;
}

/* ---- the diagram of a goal ----------------------------------------------------- */

struct work {
	const struct topology *t;
	const struct availability_conf *rates;
	const size_t *failed;
	size_t n_failed;
	struct arena *arena;
	struct graph_cone cone;
	struct bdd bdd;
	double *q;
};

static double
share_down(const struct availability_rate *r)
{
	return (double)r->mttr_ns / ((double)r->mtbf_ns + (double)r->mttr_ns);
}

static void
set_rates(struct work *w)
{
	for (size_t i = 0; i < w->t->n_failures; i++)
		w->q[i] = share_down(&w->rates->rate[w->t->failure[i].kind]);
	for (size_t i = 0; i < w->n_failed; i++)
		w->q[w->failed[i]] = 1;
}

/* How far from the clients: what many paths share is far up in the diagram. */
static unsigned
rank(const struct topology *t, const struct failure *f)
{
	if (f->kind == AVAIL_ZONE || f->kind == AVAIL_NETWORK)
		return 0;
	if (f->kind != AVAIL_SERVER && f->host != NULL &&
	    topology_has_part(t->cluster, f->host, PART_VIP))
		return 1;
	return 2;
}

/*
 * Diagrams are as large as their order is bad. With zones, networks and the owners of
 * floating addresses asked first, what is left are servers, each with its own.
 */
int
avail_order(const struct topology *t, struct arena *a, struct graph_cone *cone)
{
	uint32_t *order = arena_array(a, (size_t)cone->n_leaves + 1, sizeof(*order));
	uint32_t n = 0;

	if (order == NULL)
		return -ENOMEM;
	for (unsigned r = 0; r <= 2; r++) {
		for (uint32_t i = 0; i < cone->n_leaves; i++) {
			if (rank(t, &t->failure[cone->leaf[i]]) == r)
				order[n++] = cone->leaf[i];
		}
	}
	cone->leaf = order;
	return 0;
}

static int
open_goal(struct work *w, size_t goal)
{
	int err = -ENOMEM;

	w->arena = arena_new(TOPOLOGY_MAX);
	if (w->arena == NULL)
		return -ENOMEM;
	w->q = arena_array(w->arena, w->t->n_failures + 1, sizeof(*w->q));
	if (w->q != NULL)
		err =
		    graph_cone(&w->t->graph, w->t->goal[goal].root, w->arena, &w->cone);
	if (err == 0)
		err = avail_order(w->t, w->arena, &w->cone);
	if (err == 0)
		err = bdd_build(
		    &w->bdd, &w->t->graph, &w->cone, NULL, w->arena, AVAIL_NODES_MAX);
	if (err == 0)
		set_rates(w);
	else
		arena_free(w->arena);
	return err;
}

/* `down` if nothing of `kind` ever failed. */
static double
without_kind(struct work *w, unsigned kind)
{
	double down;

	for (size_t i = 0; i < w->t->n_failures; i++) {
		if (w->t->failure[i].kind == kind && w->q[i] < 1)
			w->q[i] = 0;
	}
	down = bdd_unavailability(&w->bdd, w->q);
	set_rates(w);
	return down;
}

static void
find_dominant(struct work *w, struct avail *a)
{
	double least = a->down, q, down;

	a->failure = SIZE_MAX;
	for (unsigned kind = 0; kind < AVAIL_KINDS; kind++) {
		a->without_kind[kind] = without_kind(w, kind);
		if (a->without_kind[kind] < least) {
			least = a->without_kind[kind];
			a->kind = (enum availability_kind)kind;
		}
	}
	least = a->down;
	for (uint32_t i = 0; i < w->cone.n_leaves; i++) {
		uint32_t leaf = w->cone.leaf[i];

		if (w->t->failure[leaf].kind != a->kind)
			continue;
		q = w->q[leaf];
		w->q[leaf] = 0;
		down = bdd_unavailability(&w->bdd, w->q);
		w->q[leaf] = q;
		if (down < least && q < 1) {
			least = down;
			a->failure = leaf;
		}
	}
}

/* ---- failovers ----------------------------------------------------------------- */

static const struct floating_ip *
address_of(const struct goal *goal)
{
	const struct service *s = goal->service;

	for (size_t i = 0; s != NULL && i < s->n_listen; i++) {
		if (s->listen[i].floating_ip != NULL)
			return s->listen[i].floating_ip;
	}
	return goal->floating_ip;
}

static double
seconds(int64_t measured_ns, const struct floating_ip *f)
{
	/* Between two and three heartbeats of silence, and the election. */
	if (measured_ns < 0)
		measured_ns = f->heartbeat_ns * 5 / 2;
	return (double)measured_ns / (double)SEC_NS;
}

/* Failures a second. */
static double
often(const struct availability_rate *r)
{
	return (double)SEC_NS / (double)(r->mtbf_ns + r->mttr_ns);
}

/* One host at a time has the address; what takes it away happens at its rates. */
static void
add_failovers(struct work *w, const struct goal *goal, const struct failover_outage *m,
    struct avail *a)
{
	static const struct failover_outage unknown = {-1, -1, 0};
	const struct floating_ip *f = address_of(goal);
	const struct {
		enum availability_kind kind;
		int64_t ns;
		unsigned n;
	} what[] = {
	    {AVAIL_HOST, m != NULL ? m->host_ns : unknown.host_ns, 1},
	    {AVAIL_ZONE, m != NULL ? m->host_ns : unknown.host_ns,
		f != NULL && f->host[0]->zone != NULL},
	    {AVAIL_LINK, m != NULL ? m->link_ns : unknown.link_ns,
		f != NULL && !f->network->redundant},
	    {AVAIL_PART, m != NULL ? m->part_ns : unknown.part_ns, 2},
	};

	for (size_t i = 0; f != NULL && f->n_hosts > 1 && i < ARRAY_LEN(what); i++) {
		double a_second = what[i].n * often(&w->rates->rate[what[i].kind]);

		a->moves += a_second * YEAR_S;
		a->failovers += a_second * seconds(what[i].ns, f);
	}
}

/* Failures a second of what takes writes in `d`, if another host takes over from it. */
static double
takeovers_of(const struct work *w, const struct database *d)
{
	const struct availability_rate *rate = w->rates->rate;
	const struct host *primary = NULL;
	size_t may = 0;
	double sum;

	for (size_t i = 0; i < d->n_copies; i++) {
		if (!topology_may_lead(d, d->copy[i].host))
			continue;
		may++;
		if (primary == NULL)
			primary = d->copy[i].host;
	}
	if (may < 2)
		return 0;
	sum = often(&rate[AVAIL_HOST]) + often(&rate[AVAIL_SERVER]);
	if (primary->zone != NULL)
		sum += often(&rate[AVAIL_ZONE]);
	if (!d->of.over->redundant)
		sum += often(&rate[AVAIL_LINK]);
	return sum;
}

/* While another host takes over there is nobody to write to. */
static void
add_takeovers(struct work *w, const struct goal *goal, struct avail *a)
{
	const struct cluster *c = w->t->cluster;
	double most = 0;

	for (size_t i = 0; i < c->n_databases; i++) {
		const struct database *d = &c->database[i];
		double a_second, share;

		if (goal->service != NULL
			? !topology_needs_data(goal->service, &d->of)
			: goal->role != GOAL_WRITES || goal->database != d)
			continue;
		a_second = takeovers_of(w, d);
		share = a_second * (double)d->takeover_ns / (double)SEC_NS;
		a->moves += a_second * YEAR_S;
		a->failovers += share;
		a->takeovers += share;
		if (share > most) {
			most = share;
			a->database = d;
		}
	}
}

/* ---- one more host ------------------------------------------------------------- */

struct twins {
	const struct host *host[TWINS_IN_ALL];
	size_t n;
};

static void
add_twin(struct twins *t, const struct host *h)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->host[i] == h)
			return;
	}
	if (t->n < TWINS_IN_ALL)
		t->host[t->n++] = h;
}

/* One of each kind of host that something depends on: the last of its list. */
static void
find_twins(const struct cluster *c, struct twins *t)
{
	for (size_t i = 0; i < c->n_floating_ips; i++)
		add_twin(t, c->floating_ip[i].host[c->floating_ip[i].n_hosts - 1]);
	for (size_t i = 0; i < c->n_services; i++) {
		for (size_t k = 0; k < c->service[i].n_groups; k++) {
			const struct server_group *g = &c->service[i].group[k];

			for (size_t n = g->n_servers; n > 0; n--) {
				const struct host *h = g->server[n - 1].host;

				if (h == NULL)
					continue;
				add_twin(t, h);
				break;
			}
		}
	}
	if (c->gateways.n_hosts > 0)
		add_twin(t, c->gateways.host[c->gateways.n_hosts - 1]);
	for (size_t i = 0; i < c->n_databases; i++) {
		const struct replicated *d = &c->database[i].of;

		add_twin(t, d->host[0]);
		add_twin(t, d->host[d->n_hosts - 1]);
		if (c->database[i].n_electors > 0)
			add_twin(
			    t, c->database[i].elector[c->database[i].n_electors - 1]);
	}
	for (size_t i = 0; i < c->n_volumes; i++)
		add_twin(t, c->volume[i].of.host[c->volume[i].of.n_hosts - 1]);
}

static void
note_twin(struct avail *a, const struct host *h, double down)
{
	size_t at = a->n_twins;

	if (down >= a->down)
		return;
	while (at > 0 && a->twin[at - 1].down > down)
		at--;
	if (at == AVAIL_TWINS_MAX)
		return;
	if (a->n_twins < AVAIL_TWINS_MAX)
		a->n_twins++;
	memmove(
	    &a->twin[at + 1], &a->twin[at], (a->n_twins - at - 1) * sizeof(a->twin[0]));
	a->twin[at] = (struct avail_twin){h, down};
}

/* What has failed, by its numbers in `t`, in t's arena; NULL: no memory. */
static const size_t *
failed_in(struct topology *t, const struct work *like)
{
	size_t *failed = arena_array(t->arena, like->n_failed + 1, sizeof(*failed));

	for (size_t i = 0; i < like->n_failed && failed != NULL; i++) {
		const struct failure *f = &like->t->failure[like->failed[i]];
		long found = topology_find_failure(t, f->name);

		ASSERT(found >= 0);
		failed[i] = (size_t)found;
	}
	return failed;
}

static int
try_twin(const struct work *like, const struct host *h, struct avail *avail)
{
	struct topology *t = topology_new_with(like->t->cluster, h);
	struct work w = *like;
	int err = 0;

	if (t == NULL)
		return -ENOMEM;
	w.t = t;
	w.failed = failed_in(t, like);
	if (w.failed == NULL)
		err = -ENOMEM;
	for (size_t i = 0; i < t->n_goals && err == 0; i++) {
		if (!avail[i].known)
			continue;
		err = open_goal(&w, i);
		if (err == 0) {
			note_twin(&avail[i], h, bdd_unavailability(&w.bdd, w.q));
			arena_free(w.arena);
		} else if (err == -E2BIG) {
			err = 0;
		}
	}
	topology_free(t);
	return err;
}

/* ---- the whole ----------------------------------------------------------------- */

int
avail_work_out(const struct topology *t, const struct availability_conf *rates,
    const struct failover_outage *outage, const size_t *failed, size_t n_failed,
    struct avail *avail)
{
	struct work w = {
	    .t = t, .rates = rates, .failed = failed, .n_failed = n_failed};
	struct twins twins = {0};
	int err = 0;

	for (size_t i = 0; i < t->n_goals; i++) {
		avail[i] = (struct avail){.failure = SIZE_MAX};
		if (t->goal[i].goal.role == GOAL_COPIES)
			continue;
		err = open_goal(&w, i);
		if (err == -E2BIG)
			continue;
		if (err != 0)
			return err;
		avail[i].known = true;
		avail[i].down = bdd_unavailability(&w.bdd, w.q);
		find_dominant(&w, &avail[i]);
		add_failovers(&w, &t->goal[i].goal, outage, &avail[i]);
		add_takeovers(&w, &t->goal[i].goal, &avail[i]);
		arena_free(w.arena);
	}
	find_twins(t->cluster, &twins);
	for (size_t i = 0; i < twins.n; i++) {
		err = try_twin(&w, twins.host[i], avail);
		if (err != 0)
			return err;
	}
	return 0;
}
