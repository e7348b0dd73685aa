/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/control/view.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/refs.h"
#include "proxy/control/gen_tls.h"
#include "proxy/meter.h"
#include "proxy/servers/shared_breaker.h"
#include "proxy/sources/source_map.h"

struct limit *
limit_new(void)
{
	struct limit *l = calloc(1, sizeof(*l));

	if (l != NULL)
		atomic_init(&l->refs, 1);
	return l;
}

struct limit *
limit_ref(struct limit *l)
{
	if (l != NULL)
		refs_take(&l->refs);
	return l;
}

void
limit_unref(struct limit *l)
{
	if (l != NULL && refs_drop(&l->refs))
		free(l);
}

static bool
take_below(struct limit *l, unsigned max)
{
	unsigned used = atomic_load(&l->used);

	while (used < max) {
		if (atomic_compare_exchange_weak(&l->used, &used, used + 1))
			return true;
	}
	return false;
}

bool
limit_take(struct limit *l, unsigned max, unsigned worker)
{
	if (take_below(l, max))
		return true;
	(void)atomic_fetch_or(&l->waiters, UINT64_C(1) << worker);
	/* One may have been given back before the bit could be seen. */
	return take_below(l, max);
}

uint64_t
limit_put(struct limit *l)
{
	unsigned used = atomic_fetch_sub(&l->used, 1);

	ASSERT(used > 0);
	if (atomic_load(&l->waiters) == 0)
		return 0;
	return atomic_exchange(&l->waiters, 0);
}

struct lsock *
lsock_new(int fd)
{
	struct lsock *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		(void)close(fd);
		return NULL;
	}
	atomic_init(&s->refs, 1);
	s->fd = fd;
	return s;
}

struct lsock *
lsock_ref(struct lsock *s)
{
	if (s != NULL)
		refs_take(&s->refs);
	return s;
}

void
lsock_unref(struct lsock *s)
{
	if (s == NULL || !refs_drop(&s->refs))
		return;
	(void)close(s->fd);
	free(s);
}

struct gen *
gen_ref(struct gen *g)
{
	refs_take(&g->refs);
	return g;
}

static void
release_group(struct gen_group *g)
{
	shared_breaker_unref(g->breaker);
	limit_unref(g->limit);
}

void
gen_unref(struct gen *g)
{
	if (g == NULL || !refs_drop(&g->refs))
		return;
	for (size_t i = 0; i < g->cluster->n_services; i++) {
		struct gen_service *s = &g->service[i];

		limit_unref(s->limit);
		limit_unref(s->waiting);
		limit_unref(s->working);
		meter_unref(s->meter);
		gen_tls_free(s);
		for (size_t j = 0; s->server != NULL && j < s->conf->n_servers; j++)
			limit_unref(s->server[j].limit);
		for (size_t j = 0; s->group != NULL && j < s->conf->n_groups; j++)
			release_group(&s->group[j]);
	}
	cluster_unref(g->cluster);
	arena_free(g->memory);
	free(g);
}

struct view *
view_new(struct gen *g, size_t n_listeners)
{
	struct view *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return NULL;
	v->server = calloc(g->n_servers + 1, 1);
	v->listener = calloc(n_listeners + 1, sizeof(*v->listener));
	v->order = calloc(g->n_servers + 1, sizeof(*v->order));
	v->group = calloc(g->cluster->n_services + 1, sizeof(*v->group));
	v->sources = calloc(g->cluster->n_services + 1, sizeof(*v->sources));
	if (v->server == NULL || v->listener == NULL || v->group == NULL ||
	    v->order == NULL || v->sources == NULL) {
		free(v->sources);
		free(v->order);
		free(v->group);
		free(v->server);
		free(v->listener);
		free(v);
		return NULL;
	}
	atomic_init(&v->refs, 1);
	v->n_listeners = n_listeners;
	v->gen = gen_ref(g);
	for (size_t i = 0; i < g->cluster->n_services; i++)
		v->group[i] = g->cluster->service[i].active;
	return v;
}

struct view *
view_ref(struct view *v)
{
	refs_take(&v->refs);
	return v;
}

void
view_unref(struct view *v)
{
	if (v == NULL || !refs_drop(&v->refs))
		return;
	for (size_t i = 0; i < v->n_listeners; i++) {
		for (size_t j = 0; j < WORKERS_CAP; j++)
			lsock_unref(v->listener[i].sock[j]);
	}
	for (size_t i = 0; i < v->gen->cluster->n_services; i++)
		source_map_unref(v->sources[i]);
	gen_unref(v->gen);
	free(v->sources);
	free(v->order);
	free(v->group);
	free(v->server);
	free(v->listener);
	free(v);
}
