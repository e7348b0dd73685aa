/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doubt.c - a server that takes work and says nothing.
 *
 * Checks find it after `fall` intervals; its clients know sooner. Who waits for longer
 * than PATIENCE_NS on a server from which nothing at all was heard meanwhile doubts it:
 * it gets no new work for a while, those who only wait for a connection go elsewhere,
 * and the checks are asked to look at once (health_core.h). Their verdict, not this
 * doubt, moves requests that were sent. A slow page therefore costs a check and
 * nothing else, and the last server left is never doubted.
 */
#include <errno.h>

#include "proxy/conn.h"

#define PATIENCE_NS (250 * MS_NS)
#define DOUBT_NS    (1 * SEC_NS)

/* True if `c` has done its part, and waits. */
static bool
waits(const struct client *c)
{
	if (c->state == CLIENT_CONNECTING)
		return true;
	return c->state == CLIENT_WAITING && c->req != NULL &&
	       c->req_sent == c->req->len && c->up.body.done && !flow_pending(&c->up);
}

static bool
overdue(const struct worker *w, const struct server_conn *sc)
{
	return mono_sub(w->now, sc->since) >= PATIENCE_NS && waits(sc->client);
}

/* Connections are in the order of their exchanges: the latest are at the end. */
static bool
silent(const struct worker *w, struct upstream *up)
{
	for (struct list *n = up->busy.prev; n != &up->busy; n = n->prev) {
		const struct server_conn *sc = CONTAINER(n, struct server_conn, link);

		if (!mono_before(up->heard, sc->since))
			return false;
		/* The kernel of a program that hangs goes on accepting. */
		if (sc->client->state == CLIENT_CONNECTING &&
		    !mono_before(up->reached, sc->since))
			continue;
		if (overdue(w, sc))
			return true;
	}
	return false;
}

static bool
others(const struct upstream *up, const struct client *c)
{
	const struct wgroup *g = up->group;

	for (size_t i = 0; i < g->n_up; i++) {
		if (g->up[i] != up && upstream_takes(g->up[i]) &&
		    (c == NULL || !upstream_tried(c, i)))
			return true;
	}
	return false;
}

bool
doubt_may_move(const struct client *c, const struct upstream *up)
{
	return c->state == CLIENT_WAITING && client_replayable(c) &&
	       care_affords(c->service) && others(up, c);
}

static void
doubt(struct worker *w, struct upstream *up)
{
	up->doubted = true;
	upstream_usable(up);
	wheel_set(&w->wheel, &up->retry, mono_add(w->now, DOUBT_NS));
	count(up->counter, SRV_DOUBTS);
	worker_notify(w);
	LIST_EACH(n, tmp, &up->busy)
	{
		struct server_conn *sc = CONTAINER(n, struct server_conn, link);
		struct client *c = sc->client;

		if (c->state == CLIENT_CONNECTING && overdue(w, sc) && others(up, c))
			client_lost_server(w, c, EHOSTDOWN);
	}
}

void
doubt_begin(struct worker *w, struct upstream *up)
{
	if (mono_is_never(up->watch.due))
		wheel_set(&w->wheel, &up->watch, mono_add(w->now, PATIENCE_NS));
}

void
doubt_reached(struct worker *w, struct upstream *up)
{
	up->reached = w->now;
	if (up->service->conf->mode == MODE_TCP) /* there is nothing else to hear */
		up->heard = w->now;
}

void
doubt_due(struct worker *w, struct upstream *up)
{
	if (up->gone || list_empty(&up->busy))
		return;
	if (upstream_takes(up) && silent(w, up) && others(up, NULL))
		doubt(w, up);
	wheel_set(&w->wheel, &up->watch, mono_add(w->now, PATIENCE_NS / 5));
}
