/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stick.h - clients that stay with their server: by a cookie (sticky.h), or by their
 * source, which a table knows (sources/source_map.h). Private to the room.
 */
#ifndef NINES_PROXY_STICK_H
#define NINES_PROXY_STICK_H

#include "proxy/http1/http1.h"
#include "proxy/servers/sticky.h"

struct client;
struct source_map;
struct upstream;
struct worker;
struct wservice;

/* A service and its servers of a new generation. */
void stick_update(struct wservice *s);

/* Its table of sources; NULL: none. */
void stick_show(struct wservice *s, struct source_map *sources);

/* Notes the server that the request names, whose head is w->head and `p`, or that its
 * source has. */
void stick_read(const struct worker *w, struct client *c, const char *p);
/* The same of a connection, which has a source and no head. */
void stick_connection(const struct worker *w, struct client *c);
/* `c` is served by `up`: its source keeps it, if it is to. */
void stick_served(struct worker *w, const struct client *c, const struct upstream *up);

/* The server that `c` named if it may have the request; or NULL. */
struct upstream *stick_server(const struct client *c);

/* `up` answers: notes that, or tells the client by the line for its answer, in `line`.
 * Its length, 0 for none. */
size_t stick_answer(struct worker *w, const struct client *c, const struct upstream *up,
    char line[static STICKY_LINE_MAX]);

#endif /* NINES_PROXY_STICK_H */
