/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2.h - HTTP/2 with clients. Private to the room.
 *
 * A connection that speaks HTTP/2 stays the `struct client` it was accepted as, in
 * state CLIENT_SESSION: it has the socket, the timer of the connection and its place
 * in the limits. Each of its streams is a client of its own without a socket, whose
 * side has the stream as its transport: it reads there one request as HTTP/1.1 and
 * sends there one answer as HTTP/1.1. All else of the proxy sees a client that asks
 * once and closes.
 *
 * Nothing is sent before the end of a turn of the loop (h2_flush()), so that what many
 * streams have to say goes in one send. Memory is bounded for each connection: a
 * request's body waits in its stream's window of 64 KiB, all of them in the
 * connection's; an answer's in one buffer of its stream.
 */
#ifndef NINES_PROXY_H2_H
#define NINES_PROXY_H2_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

struct client;
struct h2_session;
struct h2_worker;
struct server_conn;
struct side;
struct upstream;
struct wheel_timer;
struct worker;

/* True if `p` may be, or is, the beginning of the preface of HTTP/2. */
bool h2_preface(const char *p, size_t len);

/*
 * `c`, which has had no request yet, speaks HTTP/2: it negotiated that in TLS, or what
 * it has sent (c->s.in, if anything) begins with the preface.
 */
void h2_start(struct worker *w, struct client *c);

/* For client.c, of a client in state CLIENT_SESSION. */
void h2_event(struct worker *w, struct client *c);
void h2_timeout(struct worker *w, struct client *c);
void h2_drain(struct worker *w, struct client *c);
void h2_close(struct worker *w, struct client *c); /* frees c->session */

/*
 * HTTP/2 with servers (h2_trunk.h): gives `sc`, for a request of `c`, a place on a
 * connection to `up`. 0 or -errno. It is connected at once, or server_connected() says
 * when, or client_lost_server() that it will not be.
 */
int h2_server_open(struct worker *w, const struct client *c, struct upstream *up,
    struct server_conn *sc) MUST_CHECK;
/* `sc`, a place that h2_server_open() gave and that is not connected: true if the
 * server has the connection, and is to greet. */
bool h2_server_greets(const struct server_conn *sc);
void h2_trunk_event(struct worker *w, struct side *s); /* what epoll reported */
void h2_trunk_timeout(struct worker *w, struct wheel_timer *timer);
/* `up` gets no more work: what nobody uses ends. */
void h2_trunks_leave(struct upstream *up);
/* Frees those that have ended; nobody refers to them any more. */
void h2_trunks_bury(struct worker *w);

/* At the end of a turn: sends what has come together, to clients; then to servers, what
 * those have read of them as well. Only if w->h2 is there. */
void h2_flush(struct worker *w);
void h2_trunks_flush(struct worker *w);
bool h2_busy(const struct worker *w);	  /* something has come together again */
void h2_worker_free(struct h2_worker *h); /* NULL is fine */

#endif /* NINES_PROXY_H2_H */
