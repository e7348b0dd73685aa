/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hedge.h - a second server is asked what the first takes long to answer. Private to
 * the room.
 *
 * Off unless the file says `hedge`. The second server's connection belongs to the same
 * client, which goes on with the first one (client->peer); whoever sends the head of an
 * answer below 500 first becomes the peer, and the other is closed. Only what may be
 * asked twice, has no body and sticks to no server; and only a share of the requests.
 */
#ifndef NINES_PROXY_HEDGE_H
#define NINES_PROXY_HEDGE_H

#include <stdbool.h>

#define HEDGE_PURSE 1000 /* hundredths of requests that may be asked twice at once */

struct client;
struct server_conn;
struct worker;
struct wservice;

/* The request of `c` has gone out, and waits. */
void hedge_begin(struct worker *w, struct client *c);
/* It is answered by the peer. */
void hedge_answered(struct worker *w, struct client *c);
/* It is given up. Without a hedge nothing happens. */
void hedge_end(struct worker *w, struct client *c);
/* The peer is lost: the second takes its place. False: there is none. */
bool hedge_stands_in(struct worker *w, struct client *c, int error);

/* Of the second server of its client, server_is_second(): */
void hedge_event(struct worker *w, struct server_conn *sc);
void hedge_connected(struct worker *w, struct server_conn *sc);
void hedge_lost(struct worker *w, struct server_conn *sc, int error);

/* For http.c, of a client that waits: has the second answered? */
void hedge_pump(struct worker *w, struct client *c);

/* The service's timer. */
void hedge_due(struct worker *w, struct wservice *s);

#endif /* NINES_PROXY_HEDGE_H */
