/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutsets.h - minimal cut sets of one and two: what ends a goal alone, and in pairs.
 *
 * A cut set is a set of leaves that, failed together, end the goal; minimal if no part
 * of it does. Found by trying every leaf and every pair, 64 at a time: exact, without
 * a theory that could be wrong. bdd.h finds those of all orders in another way; the
 * tests hold one against the other and both against brute force.
 */
#ifndef NINES_TOPOLOGY_CUTSETS_H
#define NINES_TOPOLOGY_CUTSETS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "topology/graph.h"

struct cut {
	uint32_t leaf[2]; /* numbers; leaf[0] < leaf[1] */
};

struct cutsets {
	bool
	    lost; /* the goal does not work even with all others: nothing else is set */
	const uint32_t *single;
	uint32_t n_single;
	const struct cut *pair;
	uint32_t n_pairs; /* kept; at most CUTSETS_PAIRS_MAX */
	uint64_t found_pairs;
};

#define CUTSETS_PAIRS_MAX 100000U

/*
 * Of the goal at the root of `cone`, where `failed` (one flag per leaf of `g`, or NULL)
 * has failed already. `order` is 1 or 2. In `a`; -ENOMEM.
 */
int cutsets_find(const struct graph *g, const struct graph_cone *cone,
    const uint8_t *failed, unsigned order, struct arena *a,
    struct cutsets *out) MUST_CHECK;

#endif /* NINES_TOPOLOGY_CUTSETS_H */
