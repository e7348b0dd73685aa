/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stick.h - clients that stay with their server by a cookie (sticky.h). Private to the
 * room.
 */
#ifndef NINES_PROXY_STICK_H
#define NINES_PROXY_STICK_H

#include "proxy/http1/http1.h"
#include "proxy/servers/sticky.h"

struct client;
struct upstream;
struct worker;
struct wservice;

/* A service and its servers of a new generation. */
void stick_update(struct wservice *s);

/* Notes the server that the request names, whose head is w->head and `p`. */
void stick_read(const struct worker *w, struct client *c, const char *p);

/* The server that `c` named if it may have the request; or NULL. */
struct upstream *stick_server(const struct client *c);

/* The line for the answer of `up`, in `line`: its length, 0 for none. */
size_t stick_answer(const struct client *c, const struct upstream *up,
    char line[static STICKY_LINE_MAX]);

#endif /* NINES_PROXY_STICK_H */
