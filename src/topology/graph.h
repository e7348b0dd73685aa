/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph.h - who needs what, as a graph of gates.
 *
 * A leaf is a thing that works or has failed. A gate works while at least `k` of its
 * inputs do: all of them (and), one (or), or some number between. Inputs exist before
 * the gate, so the nodes are in topological order, there is no cycle, and one sweep
 * from the first node to the last evaluates everything. Without negation, failing more
 * never repairs anything (the graph is monotone), which is what minimal cut sets are
 * about (cutsets.h).
 *
 * Built once in an arena. Running out of it sticks: graph_failed() at the end.
 */
#ifndef NINES_TOPOLOGY_GRAPH_H
#define NINES_TOPOLOGY_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

#define GRAPH_NODES_MAX 4000000U
#define GRAPH_NONE	UINT32_MAX

struct graph_node {
	uint32_t first; /* of its inputs, in graph.input; of a leaf: its number */
	uint32_t n;	/* 0: a leaf, or a gate without inputs */
	uint32_t k;	/* inputs that must work; GRAPH_LEAF */
};
#define GRAPH_LEAF UINT32_MAX

struct graph {
	struct arena *arena;
	struct graph_node *node;
	uint32_t *input, *pending;
	uint32_t *leaf; /* the node of each leaf */
	uint32_t n, cap, n_inputs, cap_inputs, n_pending, cap_pending;
	uint32_t n_leaves, cap_leaves;
	bool failed;
};

void graph_init(struct graph *g, struct arena *a);
bool graph_failed(const struct graph *g);

/* The node of a new leaf, whose number is the count of leaves before it. */
uint32_t graph_leaf(struct graph *g);

/*
 * A gate is built by noting where the stack of inputs stands, pushing inputs (each of
 * which may be built in between, by the same means) and closing it:
 *
 *	mark = graph_open(g);
 *	graph_push(g, graph_leaf(g));
 *	graph_push(g, ...);
 *	node = graph_all(g, mark);
 *
 * A gate of one input that is needed is that input. GRAPH_NONE may be pushed, and is
 * left out.
 */
uint32_t graph_open(const struct graph *g);
void graph_push(struct graph *g, uint32_t node);
uint32_t graph_pending(const struct graph *g, uint32_t mark); /* pushed since */
uint32_t graph_all(struct graph *g, uint32_t mark);
uint32_t graph_any(struct graph *g, uint32_t mark);
uint32_t graph_at_least(struct graph *g, uint32_t mark, uint32_t k);
/* A gate of two. */
uint32_t graph_both(struct graph *g, uint32_t a, uint32_t b);

/*
 * The part of a graph that one node depends on: its nodes in order (the root last), and
 * its leaves in the order of a walk from the root, which keeps together what is used
 * together.
 */
struct graph_cone {
	uint32_t *node;
	uint32_t n;
	uint32_t *leaf; /* numbers of leaves */
	uint32_t n_leaves;
};

/* In `a`; -ENOMEM. */
int graph_cone(const struct graph *g, uint32_t root, struct arena *a,
    struct graph_cone *cone) MUST_CHECK;

/*
 * Evaluates 64 cases at once: bit i of leaf[x] says whether leaf x works in case i, bit
 * i of value[node] becomes whether the node does. `value` has room for graph.n words.
 */
void graph_eval(const struct graph *g, const struct graph_cone *cone,
    const uint64_t *leaf, uint64_t *value);
/* The same with all nodes up to `root`. */
void graph_eval_to(
    const struct graph *g, uint32_t root, const uint64_t *leaf, uint64_t *value);

#endif /* NINES_TOPOLOGY_GRAPH_H */
