/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_conn.h - a connection to a server, or a place on one that requests share.
 * Private to the room.
 *
 * It begins with a `struct side`, as a client does, and is idle or its client's; who
 * may free it is the same, too: server_close() puts it on the worker's list of the
 * dead.
 */
#ifndef NINES_PROXY_SERVER_CONN_H
#define NINES_PROXY_SERVER_CONN_H

#include <stdbool.h>

#include "base/list.h"
#include "base/mono.h"
#include "proxy/servers/upstream.h"
#include "proxy/side.h"

struct client;
struct worker;

struct server_conn {
	struct side s;
	struct list link; /* upstream->idle or ->busy */
	struct upstream *up;
	struct client *client;	   /* NULL: idle */
	struct work_limits limits; /* that it counts in while busy */
	mono_t since;		   /* the exchange began */
	bool connected;
	bool reused;  /* has answered before: may have been closed meanwhile */
	bool partial; /* s.in is known to be an incomplete head */
	bool keep;    /* may answer again after this exchange */
	bool shared;  /* its side is a place on a lane or trunk */
	bool beside;  /* not its client's peer, but one of its other attempts */
	bool counted; /* in upstream->silence, unless that was heard since */
	struct server_conn *before; /* the next of them */
};

/* server_conn.c: where connections come from, and go */
int server_open(struct worker *w, struct client *c, struct upstream *up);
void server_release(struct worker *w, struct server_conn *sc, bool keep);
void server_close(struct worker *w, struct server_conn *sc);
/* Of a client's attempts beside its peer `sc` is none any more. */
void server_stands_alone(struct server_conn *sc);
/* True if it is the second server of its client (hedge.h). */
bool server_is_second(const struct server_conn *sc);

/* client.c: what happens to it, for its client */
void server_event(struct worker *w, struct server_conn *sc);
void server_connected(struct worker *w, struct server_conn *sc);
void server_lost(struct worker *w, struct server_conn *sc, int error);

#endif /* NINES_PROXY_SERVER_CONN_H */
