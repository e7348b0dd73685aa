/* SPDX-License-Identifier: Apache-2.0 */
/*
 * race.h - attempts of one client to connect to several servers: whoever is first has
 * its request. Private to the room.
 *
 * An attempt that is slow may be a dead server's, a packet that was lost, or one of a
 * machine that stood still for a moment; nobody can tell. So it is not given up when
 * another server is asked, but goes on beside that. Asking early costs a connection
 * and can lose nothing: the last attempt to fail is the first that its client hears of.
 */
#ifndef NINES_PROXY_RACE_H
#define NINES_PROXY_RACE_H

#include <stdbool.h>

struct client;
struct server_conn;
struct worker;

/* When to look at the attempt of `c` again: whether another server is to be asked, or
 * none is and it has taken too long. */
void race_wait(struct worker *w, struct client *c);
/* True if `c`, which waits for a connection, may ask one server more. */
bool race_may(const struct client *c);
/* The attempt that `c` has goes on; its caller finds it the next server. */
void race_begin(struct client *c);
/* The connection of `sc` stands: its client's other attempts end. */
void race_won(struct worker *w, struct server_conn *sc);
/* An attempt beside its client's peer failed. */
void race_lost(struct worker *w, struct server_conn *sc, int error);
/* `c` has no peer, and nobody else to ask: the attempt begun last is waited for.
 * False: there is none. */
bool race_stands_in(struct worker *w, struct client *c);
/* Ends one that is of no use any more, or all of them; nobody is to blame. */
void race_drop(struct worker *w, struct server_conn *sc);
void race_end(struct worker *w, struct client *c);

#endif /* NINES_PROXY_RACE_H */
