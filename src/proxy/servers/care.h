/* SPDX-License-Identifier: Apache-2.0 */
/*
 * care.h - what a worker makes of the answers of its servers, ten times a second: who
 * is left out because others do better, and how much of its weight a server is worth.
 * Private to the room.
 */
#ifndef NINES_PROXY_CARE_H
#define NINES_PROXY_CARE_H

#include <stdbool.h>
#include <stdint.h>

struct upstream;
struct wgroup;
struct worker;
struct wservice;

#define CARE_BUDGET (1000 * 100) /* at most, and to begin with: hundredths */

/* A request went to a server: looks after it until there is nothing to look after. */
void care_begin(struct worker *w);
void care_due(struct worker *w);

/* The head of an answer came from `up`, so long after it was asked; `good`: it is no
 * failure. */
void care_answered(struct worker *w, struct upstream *up, int64_t took, bool good);
/* Another server was faster: it would have taken longer than that. */
void care_outrun(struct upstream *up, int64_t took);
/* No answer came, or none that can be understood. */
void care_failed(struct worker *w, struct upstream *up);

/* A request came; one that was sent is to be sent again: false if too many are. */
void care_earn(struct wservice *s);
bool care_spend(struct wservice *s);
bool care_affords(const struct wservice *s); /* one more could be */

/* It was down and is up. */
void care_welcome(struct worker *w, struct upstream *up);

/* Its agent wants it to have so many per cent less than its weight. */
void care_less(struct worker *w, struct upstream *up, unsigned less);

/* After a reload, and after news of servers: what holds for all of the group. */
void care_group(struct wgroup *g);

#endif /* NINES_PROXY_CARE_H */
