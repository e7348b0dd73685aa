/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cables.h - namespaces, bridges and cables of a world (private to lab/; world.h has
 * the other functions of cables.c).
 */
#ifndef NINES_LAB_CABLES_H
#define NINES_LAB_CABLES_H

#include "lab/world.h"

/* Everything up to addresses and routes; says in `why` what went wrong. */
int cables_lay(struct world *w, struct sbuf *why) MUST_CHECK;

/* The address of the client on `net`, and its way back to `from` outside. */
struct ip cables_client_address(const struct world *w, const struct network *net);
int cables_way_back(struct world *w, const struct network *net,
    const struct ip_net *from, struct sbuf *why) MUST_CHECK;

#endif /* NINES_LAB_CABLES_H */
