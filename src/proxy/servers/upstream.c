/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream.c - the servers of a service: which is next, and what real traffic tells
 * about its health.
 */
#include "proxy/servers/upstream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/client.h"
#include "proxy/counters.h"
#include "proxy/servers/balance.h"
#include "proxy/servers/service.h"
#include "proxy/servers/stick.h"
#include "proxy/timers.h"
#include "proxy/tls/tls_peer.h"
#include "proxy/worker_inside.h"

/* How long a failure of real traffic counts when the checks have nothing to say. */
#define FAILED_NS (5 * SEC_NS)

struct upstream *
upstream_new(struct wservice *s, const struct server *conf)
{
	struct upstream *up = aligned_alloc(alignof(struct upstream), sizeof(*up));

	ASSERT(up != NULL);
	_Static_assert(offsetof(struct upstream, refs) < 4 * CACHE_LINE, "hot lines");
	*up = (struct upstream){0};
	up->refs = 1;
	up->service = s;
	up->conf = conf;
	up->weight = conf->weight;
	up->name = strdup(conf->name);
	ASSERT(up->name != NULL);
	if (conf->unix_path == NULL)
		up->address_len = ip_to_sockaddr(&conf->at, &up->address);
	list_init(&up->idle);
	list_init(&up->busy);
	list_init(&up->lanes);
	list_init(&up->trunks);
	up->streams = UINT16_MAX; /* until it says otherwise */
	wheel_timer_init(&up->retry, TIMER_UPSTREAM);
	wheel_timer_init(&up->watch, TIMER_WATCH);
	return up;
}

void
upstream_unref(struct upstream *up)
{
	if (--up->refs > 0)
		return;
	ASSERT(list_empty(&up->idle) && list_empty(&up->busy));
	ASSERT(list_empty(&up->lanes) && list_empty(&up->trunks));
	limit_unref(up->limit);
	tls_peer_forget(up->session);
	free(up->name);
	free(up);
}

bool
upstream_wanted(const struct upstream *up)
{
	return !up->gone && (up->state == SERVER_UNKNOWN || up->state == SERVER_UP);
}

bool
upstream_takes(const struct upstream *up)
{
	bool panic =
	    !up->gone && up->group->panic && (up->state & SERVER_DRAINING) == 0;

	return (upstream_wanted(up) || panic) && !up->failed && !up->doubted &&
	       !up->outlier.out;
}

void
upstream_usable(struct upstream *up)
{
	if (!up->gone)
		balance_usable(&up->group->balancer, up->index, upstream_takes(up));
}

/* What the view says of it. What follows from that is upstream_settle()'s, when the
 * news of all servers are in: who leaves this one needs to know where to go. */
void
upstream_state(struct worker *w, struct upstream *up, uint8_t state)
{
	up->was = up->state;
	if (state == up->state)
		return;
	up->state = state;
	if ((state & ~SERVER_DRAINING) != SERVER_DOWN) {
		up->failed = up->doubted = false; /* news are better than memory */
		wheel_clear(&w->wheel, &up->retry);
	}
	upstream_usable(up);
}

void
upstream_failed(struct worker *w, struct upstream *up, int error)
{
	if (up->failed || up->gone)
		return;
	up->failed = true;
	wheel_set(&w->wheel, &up->retry, mono_add(w->now, FAILED_NS));
	upstream_usable(up);
	stats_set(&up->counter[SRV_LAST_ERRNO], (uint64_t)error);
	count(up->counter, SRV_FAILURES);
	worker_notify(w);
}

void
upstream_retry_due(struct worker *w, struct upstream *up)
{
	up->failed = up->doubted = false;
	upstream_usable(up);
	client_requeue(w, up->group);
}

bool
upstream_tried(const struct client *c, size_t i)
{
	for (size_t t = 0; t < c->n_tried; t++) {
		if (c->tried[t] == i)
			return true;
	}
	return false;
}

/*
 * Last resort: servers that only real traffic calls failed get another chance before
 * a request is refused. True if there is one.
 */
static bool
revive(struct worker *w, struct wgroup *g, const struct client *c)
{
	bool any = false;

	for (size_t i = 0; i < g->n_up; i++) {
		struct upstream *up = g->up[i];

		if (!upstream_wanted(up) || upstream_takes(up) || upstream_tried(c, i))
			continue;
		up->failed = up->doubted = false;
		(void)outlier_back(&g->outlier, &up->outlier, up->outlier.until);
		wheel_clear(&w->wheel, &up->retry);
		upstream_usable(up);
		any = true;
	}
	return any;
}

/* A place among the work of all servers of `g`, and of its service. */
static bool
take_place(struct worker *w, const struct wgroup *g)
{
	const struct wservice *s = g->service;

	if (g->limit == NULL && s->working == NULL)
		return true;
	if (s->working != NULL &&
	    !limit_take(s->working, s->conf->max_server_connections, w->conf.index))
		return false;
	if (g->limit == NULL || limit_take(g->limit, g->max, w->conf.index))
		return true;
	if (s->working != NULL)
		worker_poke_set(w, limit_put(s->working));
	return false;
}

static void
put_place(struct worker *w, const struct wgroup *g)
{
	if (g->limit != NULL)
		worker_poke_set(w, limit_put(g->limit));
	if (g->service->working != NULL)
		worker_poke_set(w, limit_put(g->service->working));
}

static int
take(struct upstream *up)
{
	balance_take(&up->group->balancer, up->index);
	stats_add(&up->counter[SRV_ACTIVE], 1);
	return (int)up->index;
}

/* The server for `c`, which counts as its work until upstream_leave(); or what
 * balance_pick() says. */
int
upstream_pick(struct worker *w, struct client *c)
{
	struct wgroup *g = c->group;
	bool revived = false;
	struct upstream *up;
	int i;

	if (!take_place(w, g))
		return BALANCE_FULL;
	up = c->stuck != 0 ? stick_server(c) : NULL;
	if (up != NULL &&
	    (up->limit == NULL ||
		limit_take(up->limit, up->conf->max_connections, w->conf.index)))
		return take(up);
	for (;;) {
		i = balance_pick(&g->balancer, &w->rng, c->hash, c->tried, c->n_tried);
		if (i == BALANCE_NONE && !revived) {
			revived = true;
			if (revive(w, g, c))
				continue;
		}
		if (i < 0) {
			put_place(w, g);
			return i;
		}
		up = g->up[i];
		if (up->limit == NULL ||
		    limit_take(up->limit, up->conf->max_connections, w->conf.index))
			break;
		balance_full(&g->balancer, (size_t)i, true);
	}
	return take(up);
}

/* Work of `up` ended: who waits for what it took goes on. */
void
upstream_leave(struct worker *w, struct upstream *up, const struct work_limits *t)
{
	struct wservice *s = up->service;

	stats_add(&up->counter[SRV_ACTIVE], UINT64_MAX); /* one less */
	if (!up->gone)
		balance_put(&up->group->balancer, up->index);
	if (t->server != NULL) {
		worker_poke_set(w, limit_put(t->server));
		if (!up->gone)
			balance_full(&up->group->balancer, up->index, false);
	}
	if (t->group != NULL)
		worker_poke_set(w, limit_put(t->group));
	if (t->service != NULL) {
		worker_poke_set(w, limit_put(t->service));
		for (size_t i = 0; i < s->n_groups; i++)
			client_requeue(w, s->group[i]);
	} else if ((t->server != NULL || t->group != NULL) && !up->gone) {
		client_requeue(w, up->group);
	}
}

struct work_limits
upstream_limits(const struct upstream *up)
{
	return (struct work_limits){up->limit, up->group->limit, up->service->working};
}

void
upstream_give_back(struct worker *w, struct upstream *up)
{
	const struct work_limits t = upstream_limits(up);

	upstream_leave(w, up, &t);
}
