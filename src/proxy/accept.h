/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accept.h - clients that come by a worker's listening sockets. Private to the room.
 */
#ifndef NINES_PROXY_ACCEPT_H
#define NINES_PROXY_ACCEPT_H

#include <stdbool.h>

struct view;
struct wlistener;
struct worker;

/* Those that wait at `l`, as many as one turn allows. */
void accept_clients(struct worker *w, struct wlistener *l);
/* Listens where `v` says, and nowhere else; who has begun to connect to what closes is
 * served. `fresh`: of another generation, whose options the sockets get. */
void accept_adopt(struct worker *w, const struct view *v, bool fresh);
/* The timer of `l` is due. */
void accept_due(struct worker *w, struct wlistener *l);
/* Whether a listener takes clients although the view has it no more. */
bool accept_closing(const struct worker *w);

#endif /* NINES_PROXY_ACCEPT_H */
