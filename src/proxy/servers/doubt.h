/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doubt.h - servers that take work and say nothing. Private to the room.
 */
#ifndef NINES_PROXY_DOUBT_H
#define NINES_PROXY_DOUBT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mono.h"

struct client;
struct server_conn;
struct upstream;
struct worker;

/* It was given work, which is over before it was heard, or not. */
void doubt_begin(struct worker *w, struct server_conn *sc);
void doubt_end(struct worker *w, struct server_conn *sc);
void doubt_heard(struct upstream *up, mono_t now);
void doubt_reached(struct worker *w, struct upstream *up);
void doubt_due(struct worker *w, struct upstream *up);
/* How long a client waits for the connection `sc` before it asks another server too. */
int64_t doubt_patience(const struct server_conn *sc);
/* True if there is one that `c`, which has a peer, has not asked. */
bool doubt_others(const struct client *c);
/* True if another server can be asked what `c` has asked `up`. */
bool doubt_may_move(const struct client *c, const struct upstream *up);

#endif /* NINES_PROXY_DOUBT_H */
