/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doubt.c - a server that takes work and says nothing.
 *
 * Checks find it after `fall` intervals; its clients know sooner. When somebody has
 * waited for PATIENCE_NS, one client or several one after the other, whether they still
 * wait or have given up, and nothing at all was heard of it meanwhile, it is doubted:
 * it gets no new work for a while, those who only wait for a connection go elsewhere,
 * and the checks are asked to look at once (health_core.h). A slow page therefore costs
 * a check and nothing else, and the last server left is never doubted.
 *
 * Requests that were sent are moved by the verdict of the checks. Where there are none,
 * or where they see nothing (a program that accepts and answers its check while its
 * workers hang), a second doubt does the same: after the first the server got new work
 * again for as long as anybody is patient and has still said nothing, several wait for
 * it, and each of them several times what its answers take. Only what may be asked
 * twice moves, within the retry budget.
 */
#include "proxy/servers/doubt.h"

#include <errno.h>

#include "config/cluster.h"
#include "proxy/client.h"
#include "proxy/counters.h"
#include "proxy/servers/race.h"
#include "proxy/servers/server_conn.h"
#include "proxy/servers/service.h"
#include "proxy/servers/upstream.h"
#include "proxy/servers/wait.h"
#include "proxy/worker_inside.h"

#define PATIENCE_NS PATIENCE_LEAST
#define DOUBT_NS    (400 * MS_NS) /* the first; each one after that twice as long */
#define DOUBT_MAX   (30 * SEC_NS)
#define WITNESSES   2 /* that wait, before anything that was sent is moved ... */
#define AT_ONCE	    3 /* ... and at the second doubt */
#define USUAL	    4 /* times what its answers usually take */

/* True if `c` has done its part, and waits. */
static bool
waits(const struct client *c)
{
	if (c->state == CLIENT_CONNECTING)
		return true;
	return c->state == CLIENT_WAITING && c->req != NULL &&
	       c->req_sent == c->req->len && c->up.body.done && !flow_pending(&c->up);
}

/* Who waits for so long doubts its server. */
static int64_t
limit_ns(const struct upstream *up)
{
	return up->connects.mean_ns == 0 ? PATIENCE_NS
					 : patience_ns(&up->connects, PATIENCE_NS,
					       up->service->conf->connect_timeout_ns);
}

static bool
overdue(const struct worker *w, const struct server_conn *sc)
{
	int64_t ns =
	    sc->client->state == CLIENT_CONNECTING ? limit_ns(sc->up) : PATIENCE_NS;

	return mono_sub(w->now, sc->since) >= ns && waits(sc->client);
}

/* Connections are in the order of their exchanges: the latest are at the end. */
static bool
silent(const struct worker *w, struct upstream *up)
{
	if (silence_ns(&up->silence, w->now) >= limit_ns(up))
		return true;
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

/* How long its answers take; one that has never answered is as the others. */
static int64_t
usual(const struct upstream *up)
{
	int64_t ns = up->usual_ns;

	for (size_t i = 0; ns == 0 && i < up->group->n_up; i++)
		ns = up->group->up[i]->usual_ns;
	return ns;
}

static bool
waits_long(const struct worker *w, const struct server_conn *sc)
{
	int64_t ns = usual(sc->up);

	return ns > 0 && overdue(w, sc) && mono_sub(w->now, sc->since) > ns * USUAL;
}

/* It has been doubted without a word in between, and several are the witnesses. */
static bool
hangs(const struct worker *w, const struct upstream *up)
{
	unsigned n = 0;

	if (up->doubts < 2)
		return false;
	LIST_EACH(l, tmp, &up->busy)
	{
		n += waits_long(w, CONTAINER(l, struct server_conn, link));
	}
	return n >= (up->doubts > 2 ? WITNESSES : AT_ONCE);
}

/* Those that may go elsewhere do. */
static void
move_on(struct worker *w, struct upstream *up)
{
	bool all = hangs(w, up);

	LIST_EACH(n, tmp, &up->busy)
	{
		struct server_conn *sc = CONTAINER(n, struct server_conn, link);
		struct client *c = sc->client;

		if (!overdue(w, sc) || sc->beside)
			continue;
		if (c->state == CLIENT_CONNECTING && race_may(c) &&
		    wait_elsewhere(up, c)) {
			race_begin(c);
			client_dispatch(w, c);
		} else if (all && wait_may_move(c, up))
			server_lost(w, sc, EHOSTDOWN);
	}
}

static void
doubt(struct worker *w, struct upstream *up)
{
	int64_t ns = DOUBT_NS;

	up->doubts = mono_before(up->heard, up->doubted_at) ? up->doubts + 1 : 1;
	for (unsigned i = 1; i < up->doubts && ns < DOUBT_MAX; i++)
		ns *= 2;
	up->doubted = true;
	up->doubted_at = w->now;
	silence_again(&up->silence, w->now);
	up->doubted_until = mono_add(w->now, ns);
	upstream_usable(up);
	wheel_set(&w->wheel, &up->retry, up->doubted_until);
	count(up->counter, SRV_DOUBTS);
	worker_notify(w);
	move_on(w, up);
}

void
doubt_due(struct worker *w, struct upstream *up)
{
	if (up->gone)
		return;
	if (upstream_takes(up) && silent(w, up) && wait_elsewhere(up, NULL) &&
	    mono_before(mono_add(up->doubted_until, PATIENCE_NS), w->now))
		doubt(w, up);
	if (list_empty(&up->busy) && silence_ns(&up->silence, w->now) == 0)
		return;
	wheel_set(&w->wheel, &up->watch, mono_add(w->now, PATIENCE_NS / 5));
}
