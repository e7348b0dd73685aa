/* SPDX-License-Identifier: Apache-2.0 */
/*
 * circles.c - servers that stand for their own service: what is sent there comes back,
 * directly or by other services, and is served by nobody.
 *
 * Such a server passes its check while another one works, and is up for as long as it
 * is of no use. A server counts if somebody who is no service of this file can be
 * reached through it without passing the service again.
 */
#include <string.h>

#include "topology/build.h"
#include "topology/causes.h"

static const struct service *
service_at(const struct cluster *c, const struct server *server)
{
	for (size_t i = 0; i < c->n_services; i++) {
		if (service_listens_at(&c->service[i], &server->at))
			return &c->service[i];
	}
	return NULL;
}

/* Whether somebody else than a service is reached through `next` without passing what
 * is marked in `seen`. `list` has room for all services. */
static bool
serves(const struct cluster *c, const struct service *next, bool *seen,
    const struct service **list)
{
	size_t n = 0;

	if (!seen[next->index])
		list[n++] = next;
	seen[next->index] = true;
	for (size_t at = 0; at < n; at++) {
		for (size_t i = 0; i < list[at]->n_servers; i++) {
			next = service_at(c, &list[at]->server[i]);
			if (next == NULL)
				return true;
			if (!seen[next->index])
				list[n++] = next;
			seen[next->index] = true;
		}
	}
	return false;
}

void
build_circles(struct build *b)
{
	const struct cluster *c = b->c;
	const struct service **list =
	    arena_array(b->t->arena, c->n_services + 1, sizeof(struct service *));
	bool *seen = arena_array(b->t->arena, c->n_services + 1, sizeof(*seen));

	for (size_t i = 0; i < c->n_services && list != NULL && seen != NULL; i++) {
		const struct service *s = &c->service[i];

		for (size_t k = 0; k < s->n_servers; k++) {
			const struct service *at = service_at(c, &s->server[k]);

			memset(seen, 0, c->n_services * sizeof(*seen));
			seen[i] = true;
			b->t->circle[b->t->first_server[i] + k] =
			    at != NULL && !serves(c, at, seen, list);
		}
	}
}

bool
topology_in_circle(
    const struct topology *t, const struct service *s, const struct server *server)
{
	return t->circle[t->first_server[s->index] + (size_t)(server - s->server)];
}

void
cause_of_circle(struct drafts *d, const struct service *s, const struct server *server,
    struct cause *out)
{
	const struct service *at = service_at(d->t->cluster, server);

	cause_put(out, N223, server->place, server->name);
	if (at == s)
		out->reason = draft_text(d,
		    "server %s is where %s itself listens: what is sent there comes "
		    "back, so that it does not count",
		    server->name, s->name);
	else
		out->reason = draft_text(d,
		    "server %s is service %s, all of whose servers lead back to %s: it "
		    "does not count",
		    server->name, at != NULL ? at->name : "?", s->name);
	out->change =
	    "name the port at which the program itself listens, on another host";
}
