/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/servers/wait.h"

#include "config/cluster.h"
#include "proxy/client.h"
#include "proxy/h2/h2.h"
#include "proxy/servers/care.h"
#include "proxy/servers/server_conn.h"
#include "proxy/servers/service.h"
#include "proxy/servers/upstream.h"
#include "proxy/worker_inside.h"

/* Its own server is worth a longer wait: there it has its data, or what is cached. */
static bool
stays(const struct client *c)
{
	return c->stuck != 0 || c->service->conf->balance == BALANCE_HASH;
}

/* What follows the network's part, a handshake, is work of the server's. */
static bool
at_work(const struct server_conn *sc)
{
	if (sc->shared)
		return h2_server_greets(sc);
	return sc->s.via != NULL && sc->s.writable;
}

int64_t
wait_patience(const struct server_conn *sc)
{
	bool early = !stays(sc->client) && !at_work(sc);

	return patience_ns(&sc->up->connects, early ? PATIENCE_HOP : PATIENCE_LEAST,
	    sc->up->service->conf->connect_timeout_ns);
}

bool
wait_elsewhere(const struct upstream *up, const struct client *c)
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
wait_others(const struct client *c)
{
	return wait_elsewhere(c->peer->up, c);
}

/* True if the request can go to another server: RFC 9110 section 9.2.2. All of it is
 * still here, and either nothing was sent or it may be sent twice. */
bool
wait_replayable(const struct client *c)
{
	if (c->tcp)
		return c->state == CLIENT_CONNECTING;
	return c->req != NULL && !c->streamed &&
	       (c->req_sent == 0 || http1_idempotent(c->method));
}

bool
wait_may_move(const struct client *c, const struct upstream *up)
{
	return c->state == CLIENT_WAITING && wait_replayable(c) &&
	       care_affords(c->service) && wait_elsewhere(up, c);
}

/* Who has yet to send a body may be the one who is waited for. */
void
wait_begin(struct worker *w, struct server_conn *sc)
{
	struct upstream *up = sc->up;

	sc->counted = (sc->client->tcp || sc->client->up.body.done) &&
		      mono_before(up->heard, w->now);
	if (sc->counted)
		silence_wait(&up->silence, w->now);
	if (mono_is_never(up->watch.due))
		wheel_set(&w->wheel, &up->watch, mono_add(w->now, PATIENCE_LEAST));
}

void
wait_end(struct worker *w, struct server_conn *sc)
{
	if (sc->counted && mono_before(sc->up->heard, sc->since))
		silence_leave(&sc->up->silence, w->now);
	sc->counted = false;
}

void
wait_heard(struct upstream *up, mono_t now)
{
	up->heard = now;
	silence_end(&up->silence);
}

void
wait_reached(struct worker *w, struct upstream *up)
{
	up->reached = w->now;
	if (up->service->conf->mode == MODE_TCP) /* there is nothing else to hear */
		wait_heard(up, w->now);
}
