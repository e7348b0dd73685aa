/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doubt.h - servers that take work and say nothing. Private to the room.
 */
#ifndef NINES_PROXY_DOUBT_H
#define NINES_PROXY_DOUBT_H

struct upstream;
struct worker;

/* Its timer `watch`, which wait_begin() sets. */
void doubt_due(struct worker *w, struct upstream *up);

#endif /* NINES_PROXY_DOUBT_H */
