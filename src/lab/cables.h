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

#endif /* NINES_LAB_CABLES_H */
