/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_trunk.c - connections to servers that speak HTTP/2: who gets a place on one. What
 * goes on there is h2_trunk_run.c's.
 */
#include <errno.h>
#include <stdlib.h>

#include "proxy/client.h"
#include "proxy/counters.h"
#include "proxy/h2/h2_trunk.h"
#include "proxy/servers/dial.h"
#include "proxy/servers/server_conn.h"
#include "proxy/servers/service.h"
#include "proxy/servers/upstream.h"
#include "proxy/timers.h"
#include "proxy/tls/tls.h"
#include "proxy/worker_inside.h"

void
h2_trunk_dirty(struct h2_trunk *t)
{
	if (list_empty(&t->dirty))
		list_append(&t->w->h2->dirty_trunks, &t->dirty);
}

unsigned
h2_trunk_room(const struct h2_trunk *t)
{
	const struct service *conf = t->up->service->conf;
	unsigned max = conf->pool == 0 ? 1 : conf->server_streams;

	return t->up->streams < max ? t->up->streams : max;
}

static struct h2_trunk *
trunk_new(struct worker *w, const struct client *c, struct upstream *up, int *error)
{
	struct h2_trunk *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		*error = -ENOMEM;
		return NULL;
	}
	t->s = (struct side){.fd = dial_server(up, &c->from), .kind = SIDE_TRUNK};
	*error = t->s.fd < 0 ? t->s.fd : 0;
	if (*error == 0 && up->service->conf->server_tls.on)
		*error = up->service->server_tls == NULL ? -ENOBUFS
							 : tls_connect(w, &t->s, up);
	if (*error == 0)
		*error = side_watch(w, &t->s);
	if (*error != 0) {
		side_close(w, &t->s);
		free(t);
		return NULL;
	}
	t->w = w;
	t->up = up;
	up->refs++;
	list_init(&t->link);
	list_init(&t->dirty);
	list_init(&t->places);
	list_prepend(&up->trunks, &t->link);
	wheel_timer_init(&t->timer, TIMER_TRUNK);
	wheel_set(&w->wheel, &t->timer,
	    mono_add(w->now, up->service->conf->connect_timeout_ns));
	count(up->counter, SRV_CONNECTIONS);
	return t;
}

/* One that has room; rather one that gets rid of what it has to send, and that is not
 * silent. The last used is the first. */
static struct h2_trunk *
trunk_free(const struct upstream *up, const struct client *c)
{
	LIST_EACH(n, tmp, &up->trunks)
	{
		struct h2_trunk *t = CONTAINER(n, struct h2_trunk, link);

		if (t->closing || t->n >= h2_trunk_room(t) || t->unsent != NULL ||
		    t->pinged.ns != 0)
			continue;
		if (t->ng != NULL && !c->up.body.done &&
		    nghttp2_session_get_remote_window_size(t->ng) <= 0)
			continue;
		return t;
	}
	return NULL;
}

int
h2_server_open(struct worker *w, const struct client *c, struct upstream *up,
    struct server_conn *sc)
{
	struct h2_trunk *t = trunk_free(up, c);
	struct h2_place *p;
	int r = -ENOMEM;

	if (w->h2 == NULL && h2_worker_init(w) != 0)
		return r;
	if (t == NULL)
		t = trunk_new(w, c, up, &r);
	if (t == NULL)
		return r;
	p = h2_place_new(t, sc);
	if (p == NULL)
		return -ENOMEM;
	if (t->n == 1 && t->greeted) {
		t->heard = w->now;
		wheel_set(&w->wheel, &t->timer, mono_add(w->now, H2_LOOK_NS));
	}
	if (up->service->conf->pool == 0)
		t->closing = true;
	sc->s = (struct side){.fd = -1,
	    .kind = SIDE_SERVER,
	    .writable = true,
	    .via = &h2_place_transport,
	    .layer = p};
	sc->shared = true;
	sc->connected = t->greeted;
	sc->reused = t->answered && c->repeats <= up->service->conf->retries;
	return 0;
}
