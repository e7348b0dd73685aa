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
	const struct findings_input *in;
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

/* Why `goal` is down whatever works: which it is. */
void cause_of_loss(struct drafts *d, const struct goal *goal, struct cause *out);

/* The same for a certificate (certificates.c). */
void cause_of_certificate(struct drafts *d, const struct failure *f, struct cause *out);

/* Why `server`, one of those of `s`, does not count (circles.c). */
void cause_of_circle(struct drafts *d, const struct service *s,
    const struct server *server, struct cause *out);

/* What its makers share: what it is called and where it stands. */
void cause_put(
    struct cause *out, enum finding_code code, struct place place, const char *name);
/* True if `h` is gone when `f` has happened. */
bool cause_takes_host(const struct failure *f, const struct host *h);
/* Is it that all hosts of `fip` are gone at once, or the only one? */
bool cause_of_address(struct drafts *d, const struct failure *f,
    const struct floating_ip *fip, struct cause *out);

/* data_causes.c: databases, volumes and the console; and those that `s` needs. */
bool cause_of_data(struct drafts *d, const struct goal *goal, const struct failure *f,
    struct cause *out);
bool cause_at_data(struct drafts *d, const struct service *s, const struct failure *f,
    struct cause *out);

/* A finding about what stands in the file at `spot`. */
struct spot {
	struct place place;
	const char *name;
};
void draft_say(struct drafts *d, enum finding_level level, enum finding_code code,
    struct spot spot, const char *reason, const char *change);

/* What is no single point of failure and yet to be said. */
void advise_data(struct drafts *d);   /* data_advice.c */
void advise_closed(struct drafts *d); /* closed.c */
void advise(struct drafts *d);

#endif /* NINES_TOPOLOGY_CAUSES_H */
