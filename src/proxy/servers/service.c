/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.c - a worker's services and their groups of servers, from one generation to
 * the next.
 */
#include "proxy/servers/service.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/client.h"
#include "proxy/counters.h"
#include "proxy/meter.h"
#include "proxy/request/shape.h"
#include "proxy/servers/care.h"
#include "proxy/servers/hedge.h"
#include "proxy/servers/shared_breaker.h"
#include "proxy/servers/stick.h"
#include "proxy/servers/upstream.h"
#include "proxy/sources/source_map.h"
#include "proxy/timers.h"
#include "proxy/worker_inside.h"

struct wservice *
service_find(struct worker *w, const char *name)
{
	LIST_EACH(n, tmp, &w->services)
	{
		struct wservice *s = CONTAINER(n, struct wservice, link);

		if (!s->gone && strcmp(s->conf->name, name) == 0)
			return s;
	}
	return NULL;
}

struct wservice *
service_new(struct worker *w)
{
	struct wservice *s = calloc(1, sizeof(*s));

	ASSERT(s != NULL);
	s->budget = CARE_BUDGET;
	s->hedge_purse = HEDGE_PURSE;
	list_init(&s->link);
	list_init(&s->clients);
	list_init(&s->left);
	list_init(&s->hedges);
	wheel_timer_init(&s->hedge_timer, TIMER_HEDGE);
	list_append(&w->services, &s->link);
	return s;
}

static void
replace_limit(struct limit **l, struct limit *new)
{
	struct limit *old = *l;

	*l = limit_ref(new);
	limit_unref(old);
}

/* Groups */

static struct wgroup *
group_new(struct wservice *s, const char *name)
{
	struct wgroup *g = calloc(1, sizeof(*g));

	ASSERT(g != NULL);
	g->service = s;
	g->name = strdup(name);
	ASSERT(g->name != NULL);
	list_init(&g->link);
	/* Its lines come with the first who waits. */
	list_init(&g->queue.turns);
	return g;
}

static void
group_free(struct wgroup *g)
{
	list_remove(&g->link);
	free(g->balancer.server);
	free(g->heap);
	free(g->ring);
	free(g->up);
	free(g->queue.line);
	shared_breaker_unref(g->breaker);
	limit_unref(g->limit);
	free(g->name);
	free(g);
}

static struct wgroup *
find_group(const struct wservice *s, const char *name)
{
	for (size_t i = 0; i < s->n_groups; i++) {
		if (s->group[i] != NULL && strcmp(s->group[i]->name, name) == 0)
			return s->group[i];
	}
	return NULL;
}

/* The balancer of the `n` servers `up`; what they are busy with is not forgotten. */
static void
build_balancer(
    struct wgroup *g, enum balance kind, struct upstream *const *up, size_t n)
{
	const struct balance_conf *conf = &g->service->conf->balancing;
	struct balance_server *server = calloc(n + 1, sizeof(*server));
	uint32_t *heap = calloc(2 * n + 1, sizeof(*heap));
	struct balance_point *ring;
	size_t points;

	ASSERT(server != NULL && heap != NULL);
	for (size_t i = 0; i < n; i++) {
		const struct server *sc = up[i]->conf;

		server[i].weight = up[i]->weight;
		server[i].backup = sc->backup;
		server[i].id = balance_hash(sc->name, strlen(sc->name));
		server[i].active = up[i]->kept_active;
	}
	points = balance_ring_size(kind, server, n);
	ring = calloc(points + 1, sizeof(*ring));
	ASSERT(ring != NULL);
	free(g->balancer.server);
	free(g->heap);
	free(g->ring);
	balance_init(&g->balancer, kind, server, n, heap, ring);
	balance_backups(&g->balancer, conf->backup_below, conf->backup_full);
	balance_bound(&g->balancer, conf->hash_bound);
	g->heap = heap;
	g->ring = ring;
}

static void
group_share(
    struct wgroup *g, const struct gen_group *gg, const struct server_group *conf)
{
	struct shared_breaker *old = g->breaker;

	replace_limit(&g->limit, gg->limit);
	g->max = conf->max_connections;

	g->breaker = shared_breaker_ref(gg->breaker);
	shared_breaker_unref(old);
}

static void
group_update(struct worker *w, struct wgroup *g, const struct service *conf,
    size_t index, struct upstream *const *up)
{
	const struct server_group *gc = &conf->group[index];
	struct upstream **own = calloc(gc->n_servers + 1, sizeof(struct upstream *));

	ASSERT(own != NULL);
	build_balancer(g, conf->balance, up + gc->first, gc->n_servers);
	balance_begin(&g->balancer, &w->rng);
	free(g->up);
	g->up = own;
	g->n_up = gc->n_servers;
	for (size_t i = 0; i < g->n_up; i++) {
		own[i] = up[gc->first + i];
		if (own[i]->group != g) /* its tally would not be in the group's */
			own[i]->outlier = (struct outlier_server){0};
		own[i]->group = g;
		own[i]->index = i;
	}
}

/* The file does not name it any more. Who is on the way to a server of it finds none;
 * it is freed when nobody is. */
static void
group_retire(struct wservice *s, struct wgroup *g)
{
	free(g->up);
	g->up = NULL;
	g->n_up = 0;
	build_balancer(g, BALANCE_ROUND_ROBIN, NULL, 0);
	list_append(&s->left, &g->link);
}

static bool
group_needed(const struct wservice *s, const struct wgroup *g)
{
	LIST_EACH(n, tmp, &s->clients)
	{
		if (CONTAINER(n, struct client, link)->group == g)
			return true;
	}
	return false;
}

/* Frees groups that left, and forgets what clients tried by indices of old. */
static void
sweep_groups(struct worker *w, struct wservice *s)
{
	LIST_EACH(n, tmp, &s->clients)
	{
		struct client *c = CONTAINER(n, struct client, link);

		c->n_tried = 0;
		c->stuck = 0;
	}
	LIST_EACH(n, tmp, &s->left)
	{
		struct wgroup *g = CONTAINER(n, struct wgroup, link);

		client_requeue_all(w, g);
		if (!group_needed(s, g))
			group_free(g);
	}
}

static void
update_groups(struct worker *w, struct wservice *s, const struct gen_service *gs,
    struct upstream *const *up)
{
	const struct service *conf = s->conf;
	struct wgroup **group = calloc(conf->n_groups + 1, sizeof(struct wgroup *));

	ASSERT(group != NULL && conf->n_groups > 0);
	for (size_t i = 0; i < conf->n_groups; i++) {
		group[i] = find_group(s, conf->group[i].name);
		if (group[i] == NULL)
			group[i] = group_new(s, conf->group[i].name);
		group_update(w, group[i], conf, i, up);
		group_share(group[i], &gs->group[i], &conf->group[i]);
		for (size_t j = 0; j < s->n_groups; j++) {
			if (s->group[j] == group[i])
				s->group[j] = NULL;
		}
	}
	for (size_t i = 0; i < s->n_groups; i++) {
		if (s->group[i] != NULL)
			group_retire(s, s->group[i]);
	}
	free(s->group);
	s->group = group;
	s->n_groups = conf->n_groups;
	s->active = conf->active;
	sweep_groups(w, s);
}

/* Services */

static struct upstream *
find_upstream(const struct wservice *s, const struct server *conf)
{
	for (size_t i = 0; i < s->n_up; i++) {
		struct upstream *up = s->up[i];

		if (up != NULL && strcmp(up->name, conf->name) == 0 &&
		    up->conf->at.port == conf->at.port &&
		    ip_equal(&up->conf->at.ip, &conf->at.ip))
			return up;
	}
	return NULL;
}

/* The servers of `conf`: those that stay keep their connections, others go. */
static struct upstream **
update_servers(struct worker *w, struct wservice *s, const struct service *conf)
{
	struct upstream **up = calloc(conf->n_servers + 1, sizeof(struct upstream *));

	ASSERT(up != NULL);
	for (size_t i = 0; i < conf->n_servers; i++) {
		const struct server *server = &conf->server[i];

		up[i] = find_upstream(s, server);
		if (up[i] == NULL) {
			up[i] = upstream_new(s, server);
			continue;
		}
		up[i]->kept_active = up[i]->group->balancer.server[up[i]->index].active;
		s->up[up[i]->place] = NULL;
		up[i]->conf = server;
	}
	for (size_t i = 0; i < s->n_up; i++) {
		if (s->up[i] != NULL)
			upstream_retire(w, s->up[i]);
	}
	return up;
}

static bool
names_count(const struct service *conf)
{
	for (size_t i = 0; i < conf->n_routes; i++) {
		if (conf->route[i].sni.n > 0)
			return true;
	}
	return false;
}

/* What is under way ends in the new block: in the first moments of a process nothing is
 * counted for others to see. */
static void
move_gauge(stats_t *from, stats_t *to, unsigned field)
{
	if (from != NULL && from != to)
		stats_add(&to[field], stats_get(&from[field]));
}

void
service_update(struct worker *w, struct wservice *s, struct gen *g, size_t index)
{
	const struct gen_service *gs = &g->service[index];
	struct gen *old_gen = s->gen;
	struct upstream **up = update_servers(w, s, gs->conf);

	free(s->up);
	s->gen = gen_ref(g);
	s->conf = gs->conf;
	s->up = up;
	s->n_up = gs->conf->n_servers;
	for (size_t i = 0; i < s->n_up; i++) {
		stats_t *counter = gs->server[i].counter[w->conf.index];

		ASSERT(up[i] != NULL);
		up[i]->place = i;
		move_gauge(up[i]->counter, counter, SRV_ACTIVE);
		up[i]->counter = counter;
		replace_limit(&up[i]->limit, gs->server[i].limit);
	}
	move_gauge(s->counter, gs->counter[w->conf.index], SVC_ACTIVE);
	move_gauge(s->counter, gs->counter[w->conf.index], SVC_QUEUE);
	s->counter = gs->counter[w->conf.index];
	s->tls = gs->tls;
	s->server_tls = gs->server_tls;
	replace_limit(&s->limit, gs->limit);
	replace_limit(&s->waiting, gs->waiting);
	replace_limit(&s->working, gs->working);
	update_groups(w, s, gs, up);
	stick_update(s);
	meter_unref(s->meter);
	s->meter = meter_ref(gs->meter);
	routing_unref(s->routing);
	s->by_name = names_count(gs->conf);
	s->routing = gs->routes != NULL ? routing_new(g, gs) : NULL;
	for (size_t i = 0; i < s->n_up; i++)
		upstream_usable(up[i]);
	gen_unref(old_gen);
}

static void
service_free(struct wservice *s)
{
	list_remove(&s->link);
	for (size_t i = 0; i < s->n_groups; i++)
		group_free(s->group[i]);
	LIST_EACH(n, tmp, &s->left)
	{
		group_free(CONTAINER(n, struct wgroup, link));
	}
	limit_unref(s->limit);
	limit_unref(s->waiting);
	limit_unref(s->working);
	routing_unref(s->routing);
	meter_unref(s->meter);
	gen_unref(s->gen);
	source_map_unref(s->sources);
	free(s->group);
	free(s->sticky);
	free(s->up);
	free(s);
}

/* The file does not name it any more. It lives on until its last client has gone. */
void
service_retire(struct worker *w, struct wservice *s)
{
	s->gone = true;
	LIST_EACH(n, tmp, &s->clients)
	{
		client_drain(w, CONTAINER(n, struct client, link));
	}
}

void
service_bury(struct worker *w, struct wservice *s)
{
	for (size_t i = 0; i < s->n_up; i++)
		upstream_retire(w, s->up[i]);
	s->n_up = 0;
	wheel_clear(&w->wheel, &s->hedge_timer);
	service_free(s);
}

/* The ring is made anew; the others can be told. */
static void
set_weight(struct upstream *up, unsigned weight)
{
	struct wgroup *g = up->group;

	up->weight = weight;
	if (g->balancer.kind != BALANCE_HASH) {
		balance_weight(&g->balancer, up->index, weight);
		return;
	}
	for (size_t i = 0; i < g->n_up; i++)
		g->up[i]->kept_active = g->balancer.server[i].active;
	build_balancer(g, g->balancer.kind, g->up, g->n_up);
	for (size_t i = 0; i < g->n_up; i++)
		upstream_usable(g->up[i]);
}

void
service_order(struct upstream *up, const struct view_order *order)
{
	unsigned weight = order->weighted ? order->weight : up->conf->weight;

	if (weight != up->weight)
		set_weight(up, weight);
	/* Until a client has reached it, what its checks have found holds. */
	if (order->reach_ms > 0 && up->connects.mean_ns == 0)
		patience_learn(&up->connects, order->reach_ms * MS_NS);
}

/* Perhaps something of a limit was given back. */
void
service_room(struct worker *w, struct wservice *s)
{
	for (size_t i = 0; i < s->n_groups; i++) {
		struct wgroup *g = s->group[i];

		for (size_t j = 0; j < g->n_up; j++) {
			if (g->up[j]->limit != NULL)
				balance_full(&g->balancer, j, false);
		}
		client_requeue(w, g);
	}
}
