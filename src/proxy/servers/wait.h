/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait.h - clients that wait for a word of their server: how long they may, and whether
 * they could go elsewhere. What the server is thought of meanwhile is doubt.h's.
 * Private to the room.
 */
#ifndef NINES_PROXY_WAIT_H
#define NINES_PROXY_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mono.h"

struct client;
struct server_conn;
struct upstream;
struct worker;

/* It was given work, which is over before it was heard, or not. */
void wait_begin(struct worker *w, struct server_conn *sc);
void wait_end(struct worker *w, struct server_conn *sc);
void wait_heard(struct upstream *up, mono_t now);
void wait_reached(struct worker *w, struct upstream *up);
/* How long a client waits for the connection `sc` before it asks another server too. */
int64_t wait_patience(const struct server_conn *sc);
/* True if another one of its group takes work, which `c`, if not NULL, has not asked.
 */
bool wait_elsewhere(const struct upstream *up, const struct client *c);
/* The same, of `c`, which has a peer. */
bool wait_others(const struct client *c);
/* True if the request of `c` may go to a second server, or to the same again. */
bool wait_replayable(const struct client *c);
/* True if another server can be asked what `c` has asked `up`. */
bool wait_may_move(const struct client *c, const struct upstream *up);

#endif /* NINES_PROXY_WAIT_H */
