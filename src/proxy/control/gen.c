/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/control/gen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "proxy/control/gen_coded.h"
#include "proxy/control/gen_page.h"
#include "proxy/control/gen_stick.h"
#include "proxy/control/gen_tls.h"
#include "proxy/counters.h"
#include "proxy/meter.h"
#include "proxy/request/route.h"
#include "proxy/servers/shared_breaker.h"
#include "proxy/tls/tls_site.h"

#define GEN_MEMORY ((size_t)64 << 20)

static const char *const service_counters[] = {
#define X(id, name) name,
    SERVICE_COUNTERS(X)
#undef X
};

static const char *const server_counters[] = {
#define X(id, name) name,
    SERVER_COUNTERS(X)
#undef X
};

struct builder {
	struct gen *g;
	struct stats *stats; /* or NULL */
	const struct gen *old;
	const struct tls_source *files;
};

/* One block for each worker; private ones where the segment has none. */
static stats_t **
blocks(struct builder *b, const char *name, const char *label,
    const char *const *fields, size_t n)
{
	struct gen *g = b->g;
	stats_t **block = arena_array(g->memory, g->n_workers, sizeof(stats_t *));

	for (unsigned i = 0; block != NULL && i < g->n_workers; i++) {
		if (b->stats != NULL)
			block[i] = stats_block(b->stats, name, label, i, fields, n);
		if (block[i] == NULL)
			block[i] = arena_array(g->memory, n, sizeof(stats_t));
	}
	return block;
}

static const struct gen_service *
old_service(const struct gen *old, const char *name)
{
	for (size_t i = 0; old != NULL && i < old->cluster->n_services; i++) {
		if (strcmp(old->service[i].conf->name, name) == 0)
			return &old->service[i];
	}
	return NULL;
}

static struct limit *
old_server_limit(const struct gen_service *s, const char *name)
{
	for (size_t i = 0; s != NULL && s->server != NULL && i < s->conf->n_servers;
	     i++) {
		if (strcmp(s->conf->server[i].name, name) == 0)
			return s->server[i].limit;
	}
	return NULL;
}

/* NULL if `max` says there is none, or without memory: then none holds. */
static struct limit *
carry_limit(unsigned max, struct limit *old)
{
	if (max == 0)
		return NULL;
	return old != NULL ? limit_ref(old) : limit_new();
}

static void
build_servers(struct builder *b, struct gen_service *gs, const struct gen_service *old)
{
	const struct service *conf = gs->conf;
	char label[STATS_LABEL_LEN];

	gs->server =
	    arena_array(b->g->memory, conf->n_servers + 1, sizeof(*gs->server));
	if (gs->server == NULL)
		return;
	for (size_t i = 0; i < conf->n_servers; i++) {
		const struct server *server = &conf->server[i];

		(void)snprintf(label, sizeof(label), "service=%s server=%s", conf->name,
		    server->name);
		gs->server[i].counter =
		    blocks(b, "proxy_server", label, server_counters, SRV_N);
		gs->server[i].limit = carry_limit(
		    server->max_connections, old_server_limit(old, server->name));
	}
}

static const struct gen_group *
old_group(const struct gen_service *s, const char *name)
{
	size_t i;

	if (s == NULL || s->group == NULL)
		return NULL;
	i = service_group(s->conf, name);
	return i < s->conf->n_groups ? &s->group[i] : NULL;
}

/* Without memory there is no breaker. */
static void
build_groups(struct builder *b, struct gen_service *gs, const struct gen_service *old)
{
	const struct service *conf = gs->conf;

	gs->group = arena_array(b->g->memory, conf->n_groups, sizeof(*gs->group));
	for (size_t i = 0; gs->group != NULL && i < conf->n_groups; i++) {
		const struct gen_group *was = old_group(old, conf->group[i].name);

		gs->group[i].limit = carry_limit(
		    conf->group[i].max_connections, was != NULL ? was->limit : NULL);
		if (!conf->breaker.on)
			continue;
		gs->group[i].breaker = was != NULL && was->breaker != NULL
					   ? shared_breaker_ref(was->breaker)
					   : shared_breaker_new();
	}
}

static void
build_routes(struct builder *b, struct gen_service *gs)
{
	const struct service *conf = gs->conf;
	void *memory;

	if (conf->n_routes == 0 && conf->to_server.drop.n + conf->to_server.put.n +
					   conf->to_client.drop.n +
					   conf->to_client.put.n ==
				       0)
		return;
	gs->routes = arena_array(b->g->memory, 1, sizeof(*gs->routes));
	memory = arena_array(b->g->memory, 1, route_table_size(conf));
	if (gs->routes != NULL && memory != NULL)
		route_table_init(gs->routes, conf, memory);
}

static void
build_service(struct builder *b, size_t i)
{
	struct gen *g = b->g;
	const struct service *conf = &g->cluster->service[i];
	struct gen_service *gs = &g->service[i];
	const struct gen_service *old = old_service(b->old, conf->name);
	char label[STATS_LABEL_LEN];

	gs->conf = conf;
	gs->first = g->n_servers;
	gs->here = service_on_host(conf, g->me);
	if (!gs->here)
		return;
	g->n_servers += conf->n_servers;
	(void)snprintf(label, sizeof(label), "service=%s", conf->name);
	gs->counter = blocks(b, "proxy_service", label, service_counters, SVC_N);
	gs->waiting = carry_limit(1, old != NULL ? old->waiting : NULL);
	gs->working = carry_limit(
	    conf->max_server_connections, old != NULL ? old->working : NULL);
	gs->limit = carry_limit(conf->max_connections, old != NULL ? old->limit : NULL);
	if (conf->guard.requests > 0 || conf->guard.connections > 0)
		gs->meter = old != NULL && old->meter != NULL ? meter_ref(old->meter)
							      : meter_new();
	build_servers(b, gs, old);
	build_groups(b, gs, old);
	build_routes(b, gs);
	gen_tls_build(g, gs, old, b->files);
	gen_stick_build(g, gs, old, b->files);
	if (conf->n_routes > 0)
		gen_page_build(g, gs, old, b->files);
	gen_coded_build(g, gs, old);
}

/* In the first worker's block: what is shown is the sum of all. */
static void
tell_expiry(struct gen *g)
{
	ASSERT(g->service != NULL || g->cluster->n_services == 0);
	for (size_t i = 0; i < g->cluster->n_services; i++) {
		struct gen_service *gs = &g->service[i];

		if (gs->here)
			stats_set(&gs->counter[0][SVC_CERTIFICATE_EXPIRES],
			    gs->tls != NULL ? (uint64_t)tls_site_expires(gs->tls) : 0);
	}
}

struct gen *
gen_new(const struct cluster *c, const struct host *me, unsigned n_workers,
    struct stats *stats, const struct gen *old, const struct tls_source *files)
{
	struct gen *g = calloc(1, sizeof(*g));
	struct builder b = {.g = g, .stats = stats, .old = old, .files = files};

	ASSERT(n_workers > 0 && n_workers <= WORKERS_CAP);
	if (g == NULL)
		return NULL;
	g->memory = arena_new(GEN_MEMORY);
	if (g->memory == NULL) {
		free(g);
		return NULL;
	}
	atomic_init(&g->refs, 1);
	g->cluster = cluster_ref(c);
	g->me = me;
	g->n_workers = n_workers;
	g->service = arena_array(g->memory, c->n_services + 1, sizeof(*g->service));
	for (size_t i = 0; g->service != NULL && i < c->n_services; i++)
		build_service(&b, i);
	if (!arena_failed(g->memory)) {
		tell_expiry(g);
		return g;
	}
	gen_unref(g);
	return NULL;
}

size_t
gen_find(const struct gen *g, const char *service, const char *server)
{
	for (size_t i = 0; i < g->cluster->n_services; i++) {
		const struct gen_service *gs = &g->service[i];

		if (!gs->here || strcmp(gs->conf->name, service) != 0)
			continue;
		for (size_t j = 0; j < gs->conf->n_servers; j++) {
			if (strcmp(gs->conf->server[j].name, server) == 0)
				return gs->first + j;
		}
	}
	return GEN_NOWHERE;
}

void
gen_reset_gauges(struct gen *g)
{
	for (size_t i = 0; i < g->cluster->n_services; i++) {
		struct gen_service *gs = &g->service[i];

		for (unsigned w = 0; gs->here && w < g->n_workers; w++) {
			stats_set(&gs->counter[w][SVC_ACTIVE], 0);
			stats_set(&gs->counter[w][SVC_QUEUE], 0);
			for (size_t j = 0; j < gs->conf->n_servers; j++)
				stats_set(&gs->server[j].counter[w][SRV_ACTIVE], 0);
		}
	}
}

uint64_t
gen_doubts(const struct gen *g, size_t i, size_t j)
{
	const struct gen_server *s = &g->service[i].server[j];
	uint64_t sum = 0;

	for (unsigned w = 0; w < g->n_workers; w++)
		sum += stats_get(&s->counter[w][SRV_DOUBTS]);
	return sum;
}

uint64_t
gen_failures(const struct gen *g, size_t i, size_t j, int *last_errno)
{
	const struct gen_server *s = &g->service[i].server[j];
	uint64_t sum = 0;

	for (unsigned w = 0; w < g->n_workers; w++) {
		uint64_t n = stats_get(&s->counter[w][SRV_FAILURES]);

		if (n > 0)
			*last_errno = (int)stats_get(&s->counter[w][SRV_LAST_ERRNO]);
		sum += n;
	}
	return sum;
}
