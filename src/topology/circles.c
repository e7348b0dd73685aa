/* SPDX-License-Identifier: Apache-2.0 */
/*
 * circles.c - servers that stand for their own service: what is sent there comes back,
 * directly or by other services, and is served by nobody.
 *
 * Such a server passes its check while another one works, and is up for as long as it
 * is of no use. A server counts if somebody who is no service of this file can be
 * reached through it without passing the service again.
 *
 * A server that is another service, and does not lead back, needs all that one needs.
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

/* What is reached through a service. */
struct reach {
	bool *seen; /* of each service */
	const struct service **list;
	size_t n;
	bool others; /* and somebody who is no service */
};

static void
reach_service(struct reach *r, const struct service *s)
{
	if (!r->seen[s->index])
		r->list[r->n++] = s;
	r->seen[s->index] = true;
}

/* From `first` on, without passing `last`. */
static void
follow(const struct cluster *c, const struct service *first, const struct service *last,
    struct reach *r)
{
	r->n = 0;
	r->others = false;
	memset(r->seen, 0, c->n_services * sizeof(*r->seen));
	reach_service(r, first);
	for (size_t at = 0; at < r->n; at++) {
		const struct service *s = r->list[at];

		for (size_t i = 0; i < s->n_servers && s != last; i++) {
			const struct service *next = service_at(c, &s->server[i]);

			if (next == NULL)
				r->others = true;
			else
				reach_service(r, next);
		}
	}
}

void
build_circles(struct build *b)
{
	struct topology *t = b->t;
	const struct cluster *c = b->c;
	struct reach r = {
	    .seen = arena_array(t->arena, c->n_services + 1, sizeof(*r.seen)),
	    .list = arena_array(t->arena, c->n_services + 1, sizeof(struct service *))};

	for (size_t i = 0; i < c->n_services && r.seen != NULL && r.list != NULL; i++) {
		const struct service *s = &c->service[i];

		for (size_t k = 0; k < s->n_servers; k++) {
			const struct service *at = service_at(c, &s->server[k]);

			if (at == NULL)
				continue;
			follow(c, at, s, &r);
			if (!r.others)
				t->circle[t->first_server[i] + k] = true;
			else if (!r.seen[i])
				t->inner[t->first_server[i] + k] = at;
		}
	}
}

const struct service *
topology_inner(
    const struct topology *t, const struct service *s, const struct server *server)
{
	return t->inner[t->first_server[s->index] + (size_t)(server - s->server)];
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

	ASSERT(at != NULL);
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
		    server->name, at->name, s->name);
	out->change =
	    "name the port at which the program itself listens, on another host";
}
