/* SPDX-License-Identifier: Apache-2.0 */
/*
 * news.c - what follows from news of a server for the connections to it, and for those
 * who wait for its answers.
 */
#include <errno.h>

#include "proxy/client.h"
#include "proxy/h2/h2.h"
#include "proxy/servers/care.h"
#include "proxy/servers/lane.h"
#include "proxy/servers/server_conn.h"
#include "proxy/servers/service.h"
#include "proxy/servers/wait.h"
#include "proxy/worker_inside.h"

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
		    (c->state == CLIENT_WAITING && wait_replayable(c)))
			server_lost(w, sc, EHOSTDOWN);
	}
}

void
upstream_settle(struct worker *w, struct upstream *up)
{
	uint8_t was = up->was;

	if (was == up->state)
		return;
	up->was = up->state;
	if (upstream_wanted(up)) {
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
