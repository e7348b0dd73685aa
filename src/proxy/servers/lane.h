/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane.h - one connection to a server for the requests of several clients (HTTP/1.1
 * pipelining, RFC 9112 section 9.3.2). Private to the room.
 *
 * Requests that arrive in one turn of the loop go out with one send, and their answers
 * come with few reads: where most of a request's cost is the kernel's, that is what is
 * left to save. Only what may be asked twice and has no body goes this way, and a lane
 * takes no further request until it has answered all of a turn's. To the exchange
 * (http.c) each of them looks like a server connection of its own (struct transport).
 *
 * Nobody waits long for another's answer: when the first one is large or late, the
 * others are asked anew on connections of their own. When the connection ends, those
 * without an answer are, and the server is asked one by one for a while.
 */
#ifndef NINES_PROXY_LANE_H
#define NINES_PROXY_LANE_H

#include <stdbool.h>

#include "base/check.h"

struct client;
struct side;
struct upstream;
struct wheel_timer;
struct worker;

#define LANE_MAX 64 /* requests of one turn on one connection */

/* True if the request of `c` may share a connection to `up`. */
bool lane_fits(
    const struct worker *w, const struct client *c, const struct upstream *up);
/* Gives `s`, the side of a server connection, a place on a lane. 0; -EAGAIN: there is
 * none. */
int lane_open(struct worker *w, const struct client *c, struct upstream *up,
    struct side *s) MUST_CHECK;
/* What epoll reported. */
void lane_event(struct worker *w, struct side *s);
void lane_timeout(struct worker *w, struct wheel_timer *t);
/* Sends what this turn's requests wrote; at the end of it. */
void lanes_flush(struct worker *w);
/* `up` gets no more work: its lanes end when nobody uses them any more. */
void lanes_leave(struct upstream *up);
/* Frees those that have ended; nobody refers to them any more. */
void lanes_bury(struct worker *w);

#endif /* NINES_PROXY_LANE_H */
