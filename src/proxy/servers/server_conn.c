/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/servers/server_conn.h"

#include <errno.h>

#include "proxy/client.h"
#include "proxy/counters.h"
#include "proxy/h2/h2.h"
#include "proxy/listener.h"
#include "proxy/proxy_wire.h"
#include "proxy/servers/care.h"
#include "proxy/servers/dial.h"
#include "proxy/servers/lane.h"
#include "proxy/servers/service.h"
#include "proxy/servers/wait.h"
#include "proxy/tls/tls.h"
#include "proxy/worker_inside.h"

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
	sc->limits = upstream_limits(sc->up);
	(void)limit_ref(sc->limits.server);
	(void)limit_ref(sc->limits.group);
	(void)limit_ref(sc->limits.service);
	sc->partial = sc->keep = false;
	list_remove(&sc->link);
	list_append(&sc->up->busy, &sc->link);
	sc->since = w->now;
	wait_begin(w, sc);
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

void
server_stands_alone(struct server_conn *sc)
{
	struct client *c = sc->client;
	struct server_conn **at = &c->beside;

	while (*at != sc)
		at = &(*at)->before;
	*at = sc->before;
	sc->before = NULL;
	sc->beside = false;
	c->n_beside--;
}

bool
server_is_second(const struct server_conn *sc)
{
	return sc->client != NULL && sc->client->second == sc;
}

static void
detach(struct worker *w, struct server_conn *sc)
{
	if (sc->client == NULL)
		return;
	wait_end(w, sc);
	if (sc->beside)
		server_stands_alone(sc);
	else if (server_is_second(sc))
		sc->client->second = NULL;
	else
		sc->client->peer = NULL;
	sc->client = NULL;
	upstream_leave(w, sc->up, &sc->limits);
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

	if (!keep || sc->shared || !upstream_wanted(up) ||
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
