/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shape.h - what a service's routes make of a request and of its answer: the group of
 * servers, changes of heads, or an answer of our own. Private to the room.
 *
 * Whatever needs the request's head is done while it is there, what answers get by it
 * included. A client holds on to the routes that its request took, since a reload may
 * replace them meanwhile.
 */
#ifndef NINES_PROXY_SHAPE_H
#define NINES_PROXY_SHAPE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/cluster.h"
#include "proxy/buf.h"
#include "proxy/http1/http1.h"
#include "proxy/request/route.h"

struct client;
struct gen;
struct gen_service;
struct worker;
struct wservice;

#define SHAPE_MAX 8192 /* bytes of the lines that are added to a head */

/* The routes of a service and generation, in one worker. */
struct wrouting {
	unsigned refs;
	struct gen *gen;
	const struct service *conf;
	const struct route_table *table;
	const struct route_text *page;	 /* by a route's index */
	const struct route_codes *codes; /* the same; or NULL */
};

/* What a request has of it; zero where its service has no routes. */
struct shape {
	struct wrouting *routing;
	const struct route *route; /* NULL: none holds */
	struct buf *lines;	   /* to be added to the answer; or NULL */
	struct route_text page;	   /* what is left to be sent of our own answer */
};

struct wrouting *routing_new(struct gen *g, const struct gen_service *gs);
void routing_unref(struct wrouting *r); /* NULL is fine */

/* Chooses the client's route and group: by the head of a request in w->head and `p`. */
void shape_choose(struct worker *w, struct client *c, const char *p);
/* For a whole connection: by the name that TLS asks for, "" if there is none. */
void shape_choose_connection(struct worker *w, struct client *c, const char *name);

/* The changes of the request's head, and those its answer will have. 0 or -ENOBUFS. */
int shape_request(
    struct worker *w, struct client *c, const char *p, struct http1_edit *edit);
/* The changes of the answer's head. */
void shape_response(const struct client *c, struct http1_edit *edit);

/* True if the route answers instead of a server. */
bool shape_answers(const struct client *c);
/* Writes that answer's head, all but its last lines, to w->out, and says what its
 * body is; the length, or -ENOBUFS. */
int shape_answer(struct worker *w, struct client *c, const char *p,
    struct route_text *body, unsigned *status);

/* The exchange is over. */
void shape_done(struct worker *w, struct client *c);

#endif /* NINES_PROXY_SHAPE_H */
