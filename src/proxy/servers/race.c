/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/servers/race.h"

#include <errno.h>

#include "proxy/client.h"
#include "proxy/counters.h"
#include "proxy/servers/care.h"
#include "proxy/servers/server_conn.h"
#include "proxy/servers/service.h"
#include "proxy/servers/upstream.h"
#include "proxy/servers/wait.h"
#include "proxy/worker_inside.h"

/* It may be asked again. */
static void
untry(struct client *c, size_t index)
{
	for (size_t i = 0; i < c->n_tried; i++) {
		if (c->tried[i] != index)
			continue;
		c->tried[i] = c->tried[--c->n_tried];
		return;
	}
}

void
race_wait(struct worker *w, struct client *c)
{
	const struct server_conn *sc = c->peer;
	mono_t last = mono_add(sc->since, c->service->conf->connect_timeout_ns);
	mono_t due = mono_add(sc->since, wait_patience(sc));

	if (!race_may(c))
		due = last;
	else if (!mono_before(w->now, due)) /* nobody else just now */
		due = mono_add(w->now, PATIENCE_LEAST);
	wheel_set(&w->wheel, &c->timer, mono_min(due, last));
}

bool
race_may(const struct client *c)
{
	return c->n_beside < c->service->conf->retries && c->n_tried < TRIES_MAX;
}

void
race_begin(struct client *c)
{
	struct server_conn *sc = c->peer;

	ASSERT(c->state == CLIENT_CONNECTING && race_may(c));
	count(sc->up->counter, SRV_CONNECTS_LEFT);
	sc->beside = true;
	sc->before = c->beside;
	c->beside = sc;
	c->n_beside++;
	c->tried[c->n_tried++] = (uint32_t)sc->up->index;
	c->peer = NULL;
	c->apart = true; /* a lane is taken for connected before it is */
}

void
race_drop(struct worker *w, struct server_conn *sc)
{
	untry(sc->client, sc->up->index);
	server_close(w, sc);
}

/* It was slower. That is held against it only if it was slow by any measure. */
static void
outrun(struct worker *w, struct server_conn *sc)
{
	struct upstream *up = sc->up;
	bool slow = mono_sub(w->now, sc->since) >= PATIENCE_LEAST;

	count(up->counter, SRV_RETRIES);
	sc->client->repeats++;
	race_drop(w, sc);
	if (slow)
		care_failed(w, up);
}

void
race_won(struct worker *w, struct server_conn *sc)
{
	struct client *c = sc->client;

	if (sc->beside) {
		server_stands_alone(sc);
		untry(c, sc->up->index);
		outrun(w, c->peer);
		c->peer = sc;
	}
	while (c->beside != NULL)
		outrun(w, c->beside);
}

void
race_lost(struct worker *w, struct server_conn *sc, int error)
{
	struct client *c = sc->client;
	struct upstream *up = sc->up;

	count(up->counter, SRV_CONNECT_ERRORS);
	care_failed(w, up);
	if (error != EHOSTDOWN)
		upstream_failed(w, up, error);
	server_close(w, sc); /* it stays among those that were tried */
	if (c->peer != NULL)
		race_wait(w, c);
}

bool
race_stands_in(struct worker *w, struct client *c)
{
	struct server_conn *sc = c->beside;

	if (sc == NULL)
		return false;
	server_stands_alone(sc);
	untry(c, sc->up->index);
	c->peer = sc;
	c->state = CLIENT_CONNECTING;
	race_wait(w, c);
	return true;
}

void
race_end(struct worker *w, struct client *c)
{
	while (c->beside != NULL)
		race_drop(w, c->beside);
}
