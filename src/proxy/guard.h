/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.h - who is served at all, and how much of it. Private to the room.
 */
#ifndef NINES_PROXY_GUARD_H
#define NINES_PROXY_GUARD_H

#include <stdbool.h>

#include "config/cluster.h"
#include "proxy/http1/http1.h"

struct client;
struct worker;

#define BODY_STEP 4096 /* bytes that a request's body has to come on by */

/* A new connection: counts it, reads its PROXY header, and starts or closes it. */
void guard_accept(struct worker *w, struct client *c);
/* More of a PROXY header may have come. */
void guard_event(struct worker *w, struct client *c);
/* The connection ends. */
void guard_leave(struct client *c);

/* The source of the request in w->head and `p`. 0, or the status that refuses it with
 * the reason in *why. */
unsigned guard_request(
    struct worker *w, struct client *c, const char *p, const char **why);

#endif /* NINES_PROXY_GUARD_H */
