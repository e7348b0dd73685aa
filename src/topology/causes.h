/* SPDX-License-Identifier: Apache-2.0 */
/*
 * causes.h - why a thing is a single point of failure, and what else is worth saying
 * (private to topology/).
 */
#ifndef NINES_TOPOLOGY_CAUSES_H
#define NINES_TOPOLOGY_CAUSES_H

#include "base/sbuf.h"
#include "topology/findings.h"
#include "topology/model.h"

struct cause {
	enum finding_code code;
	struct place place;
	unsigned width;
	const char *reason, *change; /* in the arena */
};

struct index_list {
	size_t *item, n, cap;
};

struct draft {
	struct cause cause;
	enum finding_level level;
	struct index_list failure, goal;
};

/* Findings of the same cause are one draft. */
struct drafts {
	const struct topology *t;
	struct arena *arena;
	struct draft *item;
	size_t n, cap;
};

/* The draft for `cause`, new or not; NULL when out of memory. */
struct draft *draft_add(
    struct drafts *d, const struct cause *cause, enum finding_level level);
void index_add(struct arena *a, struct index_list *l, size_t index);

/* A text that lives as long as the drafts. */
const char *draft_text(struct drafts *d, const char *fmt, ...) PRINTF(2, 3);

/* Why `f`, alone, ends `goal`: which it does. */
void cause_of(struct drafts *d, const struct goal *goal, const struct failure *f,
    struct cause *out);

/* The same for a certificate (certificates.c). */
void cause_of_certificate(struct drafts *d, const struct failure *f, struct cause *out);

/* What is no single point of failure and yet to be said. */
void advise(struct drafts *d);
void advise_certificate(struct drafts *d, const struct certificate *c);
void advise_renewals(struct drafts *d, const struct certificate *list, size_t n);

#endif /* NINES_TOPOLOGY_CAUSES_H */
