/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream.c - the servers of a service: which is next, connections to it, and what
 * real traffic tells about its health.
 */
#include "proxy/servers/upstream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/client.h"
#include "proxy/counters.h"
#include "proxy/h2/h2.h"
#include "proxy/listener.h"
#include "proxy/proxy_wire.h"
#include "proxy/servers/balance.h"
#include "proxy/servers/care.h"
#include "proxy/servers/dial.h"
#include "proxy/servers/doubt.h"
#include "proxy/servers/hedge.h"
#include "proxy/servers/lane.h"
#include "proxy/servers/race.h"
#include "proxy/servers/server_conn.h"
#include "proxy/servers/service.h"
#include "proxy/servers/stick.h"
#include "proxy/timers.h"
#include "proxy/tls/tls.h"
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

static bool
wanted(const struct upstream *up)
{
	return !up->gone && (up->state == SERVER_UNKNOWN || up->state == SERVER_UP);
}

bool
upstream_takes(const struct upstream *up)
{
	bool panic =
	    !up->gone && up->group->panic && (up->state & SERVER_DRAINING) == 0;

	return (wanted(up) || panic) && !up->failed && !up->doubted && !up->outlier.out;
}

void
upstream_usable(struct upstream *up)
{
	if (!up->gone)
		balance_usable(&up->group->balancer, up->index, upstream_takes(up));
}

static void
close_idle(struct worker *w, struct upstream *up)
{
	LIST_EACH(n, tmp, &up->idle)
	{
		server_close(w, CONTAINER(n, struct server_conn, link));
	}
	lanes_leave(up);
	h2_trunks_leave(up);
}

/*
 * The server is down: who waits for its first byte and may ask again does so at once,
 * elsewhere. Thus a server that hangs costs its requests the time until the checks
 * notice, not the server timeout.
 */
static void
rescue(struct worker *w, struct upstream *up)
{
	LIST_EACH(n, tmp, &up->busy)
	{
		struct server_conn *sc = CONTAINER(n, struct server_conn, link);
		struct client *c = sc->client;

		if (c->state == CLIENT_CONNECTING ||
		    (c->state == CLIENT_WAITING && client_replayable(c)))
			server_lost(w, sc, EHOSTDOWN);
	}
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
upstream_settle(struct worker *w, struct upstream *up)
{
	uint8_t was = up->was;

	if (was == up->state)
		return;
	up->was = up->state;
	if (wanted(up)) {
		if (was == SERVER_DOWN)
			care_welcome(w, up);
		client_requeue(w, up->group);
		return;
	}
	close_idle(w, up);
	if ((up->state & ~SERVER_DRAINING) == SERVER_DOWN &&
	    (was & ~SERVER_DRAINING) != SERVER_DOWN)
		rescue(w, up);
}

/* The file does not name it any more; what it is doing it finishes. */
void
upstream_retire(struct worker *w, struct upstream *up)
{
	up->gone = true;
	wheel_clear(&w->wheel, &up->retry);
	wheel_clear(&w->wheel, &up->watch);
	close_idle(w, up);
	upstream_unref(up);
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

		if (!wanted(up) || upstream_takes(up) || upstream_tried(c, i))
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

/* The server for `c`, which counts as its work until leave(); or what
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
static void
leave(struct worker *w, struct upstream *up, const struct work_limits *t)
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

static struct work_limits
limits_of(const struct upstream *up)
{
	return (struct work_limits){up->limit, up->group->limit, up->service->working};
}

void
upstream_give_back(struct worker *w, struct upstream *up)
{
	const struct work_limits t = limits_of(up);

	leave(w, up, &t);
}

static struct server_conn *
server_new(struct worker *w, struct upstream *up)
{
	struct server_conn *sc = pool_get(&w->servers);

	if (sc == NULL)
		return NULL;
	*sc = (struct server_conn){.s = {.fd = -1, .kind = SIDE_SERVER}, .up = up};
	list_init(&sc->link);
	up->refs++;
	return sc;
}

/* TLS; a PROXY header goes in front of it. */
static int
secure(struct worker *w, struct server_conn *sc, const struct client *c)
{
	const struct service *conf = sc->up->service->conf;
	uint8_t head[PROXY_WIRE_MAX];
	int r;

	if (sc->up->service->server_tls == NULL)
		return -ENOBUFS; /* the fact about it says why */
	r = tls_connect(w, &sc->s, sc->up);
	if (r != 0 || conf->send_proxy == 0)
		return r;
	return tls_preface(&sc->s, head,
	    proxy_wire_encode(conf->send_proxy, &c->from, &c->listener->at, head));
}

static int
dial(struct worker *w, struct server_conn *sc, const struct client *c)
{
	int fd = dial_server(sc->up, &c->from);

	if (fd < 0)
		return fd;
	sc->s.fd = fd;
	count(sc->up->counter, SRV_CONNECTIONS);
	if (sc->up->service->conf->server_tls.on) {
		int r = secure(w, sc, c);

		if (r != 0)
			return r;
	}
	return side_watch(w, &sc->s);
}

static void
attach(struct worker *w, struct client *c, struct server_conn *sc)
{
	c->peer = sc;
	sc->client = c;
	sc->limits = limits_of(sc->up);
	(void)limit_ref(sc->limits.server);
	(void)limit_ref(sc->limits.group);
	(void)limit_ref(sc->limits.service);
	sc->partial = sc->keep = false;
	list_remove(&sc->link);
	list_append(&sc->up->busy, &sc->link);
	sc->since = w->now;
	doubt_begin(w, sc);
	if (!w->caring)
		care_begin(w);
	count(sc->up->counter, SRV_REQUESTS);
}

/* A connection to `up` for `c`: one that waits in the pool, or a new one. 0 or -errno;
 * the caller keeps what upstream_pick() gave. */
int
server_open(struct worker *w, struct client *c, struct upstream *up)
{
	bool http2 = !c->tcp && up->service->conf->server_http2;
	struct server_conn *sc;
	int r;

	if (!c->tcp && !http2 && !list_empty(&up->idle) && !lane_fits(w, c, up)) {
		/* The last used: its state is in the cache, the others may time out. */
		sc = CONTAINER(up->idle.next, struct server_conn, link);
		up->n_idle--;
		attach(w, c, sc);
		return 0;
	}
	sc = server_new(w, up);
	if (sc == NULL)
		return -ENOMEM;
	if (lane_fits(w, c, up) && lane_open(w, c, up, &sc->s) == 0) {
		sc->shared = sc->connected = true;
		attach(w, c, sc);
		return 0;
	}
	r = http2 ? h2_server_open(w, c, up, sc) : dial(w, sc, c);
	if (r != 0) {
		server_close(w, sc);
		return r;
	}
	attach(w, c, sc);
	return 0;
}

static void
detach(struct worker *w, struct server_conn *sc)
{
	if (sc->client == NULL)
		return;
	doubt_end(w, sc);
	if (sc->beside)
		race_detach(sc);
	else if (hedge_is(sc))
		hedge_detach(sc);
	else
		sc->client->peer = NULL;
	sc->client = NULL;
	leave(w, sc->up, &sc->limits);
	limit_unref(sc->limits.server);
	limit_unref(sc->limits.group);
	limit_unref(sc->limits.service);
	sc->limits = (struct work_limits){NULL, NULL, NULL};
}

/* The exchange is over; with `keep` the connection may wait for the next. */
void
server_release(struct worker *w, struct server_conn *sc, bool keep)
{
	struct upstream *up = sc->up;

	if (!keep || sc->shared || !wanted(up) ||
	    up->n_idle >= up->service->conf->pool || sc->s.broken ||
	    !side_quiet(&sc->s)) {
		server_close(w, sc);
		return;
	}
	detach(w, sc);
	sc->reused = true;
	list_remove(&sc->link);
	list_prepend(&up->idle, &sc->link);
	up->n_idle++;
}

void
server_close(struct worker *w, struct server_conn *sc)
{
	if (sc->client == NULL && !list_empty(&sc->link))
		sc->up->n_idle--;
	detach(w, sc);
	list_remove(&sc->link);
	side_close(w, &sc->s);
	list_append(&w->dead_servers, &sc->link);
}
