/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bdd.h - exact probabilities and all minimal cut sets, by decision diagrams.
 *
 * The goal as a binary decision diagram over its leaves (Bryant 1986): each node asks
 * one leaf, equal nodes exist once, and the probability that the goal does not work is
 * one sum over the nodes, exact whatever is shared. The minimal cut sets are derived
 * from it as a diagram of sets (Rauzy 1993; Minato 1993), in which billions of them
 * take little room.
 *
 * A diagram may grow exponentially. It lives in an arena and has at most `max` nodes;
 * beyond that the answer is -E2BIG, never a wrong one.
 */
#ifndef NINES_TOPOLOGY_BDD_H
#define NINES_TOPOLOGY_BDD_H

#include <stdint.h>

#include "base/check.h"
#include "topology/graph.h"

#define BDD_LEAVES_MAX 20000U /* of a goal; recursion is as deep */
#define BDD_ORDER_MAX  64

struct bdd_node {
	uint32_t level; /* position of the leaf in the order */
	uint32_t low;	/* bdd: where the leaf has failed; sets: those without it */
	uint32_t high;	/* bdd: where it works; sets: those with it */
	uint32_t next;	/* of the same bucket */
};

struct bdd_memo {
	uint32_t a, b, c, result;
};

/* Nodes 0 and 1 are the ends: false and true; no set, and the empty set. */
struct bdd_table {
	struct bdd_node *node;
	uint32_t n, cap;
	uint32_t *bucket; /* `cap` of them */
	struct bdd_memo *memo;
	uint32_t n_memo;
};

struct bdd {
	struct arena *arena;
	const struct graph_cone *cone;
	uint32_t max;
	struct bdd_table goal, cuts;
	uint32_t root, cuts_root;
	uint32_t *of_node; /* while it is built: diagram of each node of the graph */
	uint32_t *level;   /* of each leaf */
	uint32_t *reached; /* nodes of the finished diagram, inputs first */
	uint32_t n_reached;
	double *value;
	int err;
};

/*
 * `cone` must outlive it. `failed` (one flag per leaf of `g`, or NULL) has failed
 * already: cut sets are what is needed beyond that. 0, -ENOMEM, -E2BIG.
 */
int bdd_build(struct bdd *b, const struct graph *g, const struct graph_cone *cone,
    const uint8_t *failed, struct arena *a, uint32_t max) MUST_CHECK;

/* The probability that the goal does not work; q[leaf]: that this leaf does not. */
double bdd_unavailability(struct bdd *b, const double *q);

/*
 * Minimal cut sets: bdd_cuts() once; then how many there are of exactly `order` leaves
 * (1 .. BDD_ORDER_MAX; 0: whether the goal never works), and all of at most `order`,
 * in no particular order.
 */
int bdd_cuts(struct bdd *b) MUST_CHECK;
/* In count[0 .. order]; numbers above 2^64 - 1 stay there. */
int bdd_count_cuts(struct bdd *b, unsigned order, uint64_t *count) MUST_CHECK;
void bdd_each_cut(const struct bdd *b, unsigned order,
    void (*each)(const uint32_t *leaf, unsigned n, void *arg), void *arg);

#endif /* NINES_TOPOLOGY_BDD_H */
