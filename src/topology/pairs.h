/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pairs.h - what ends a goal in pairs, told in a few lines; and how many sets do.
 *
 * lb1's power, link, vip and proxy with those of lb2 are sixteen minimal cut sets and
 * one fact. Failures of a host are told as that host where its loss does the same, and
 * zones only where their hosts do not say it already.
 */
#ifndef NINES_TOPOLOGY_PAIRS_H
#define NINES_TOPOLOGY_PAIRS_H

#include "topology/topology.h"

struct failure_pair {
	size_t a, b; /* failures; a < b */
};

struct failure_pairs {
	struct arena *arena;
	const struct failure_pair *item; /* in order */
	size_t n;
	uint64_t cut_sets; /* minimal ones of two, before this */
};

/* Of goal `goal`, when `failed` has failed. -ENOMEM. Freed by pairs_done(). */
int pairs_collect(const struct topology *t, size_t goal, const size_t *failed,
    size_t n_failed, struct failure_pairs *out) MUST_CHECK;
/*
 * How many minimal cut sets goal `goal` has of 0 (it is down) to `order` leaves, all
 * links, parts and programs counted. -E2BIG: too large to say.
 */
int cuts_count(const struct topology *t, size_t goal, const size_t *failed,
    size_t n_failed, unsigned order, uint64_t *count) MUST_CHECK;
void pairs_done(struct failure_pairs *p);

#endif /* NINES_TOPOLOGY_PAIRS_H */
