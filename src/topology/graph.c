/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/graph.h"

#include <errno.h>
#include <string.h>

#define COUNTER_BITS 23 /* enough to count GRAPH_NODES_MAX inputs */

void
graph_init(struct graph *g, struct arena *a)
{
	*g = (struct graph){.arena = a};
}

bool
graph_failed(const struct graph *g)
{
	return g->failed;
}

/* Room for one more element of `size` bytes; what is outgrown stays in the arena. */
static bool
grow(struct graph *g, void *array, uint32_t n, uint32_t *cap, size_t size)
{
	uint32_t larger = *cap == 0 ? 256 : *cap * 2;
	void *old, *fresh;

	if (g->failed)
		return false;
	if (n < *cap)
		return true;
	if (n >= GRAPH_NODES_MAX) {
		g->failed = true;
		return false;
	}
	fresh = arena_array(g->arena, larger, size);
	if (fresh == NULL) {
		g->failed = true;
		return false;
	}
	memcpy(&old, array, sizeof(old));
	if (n > 0)
		memcpy(fresh, old, n * size);
	memcpy(array, &fresh, sizeof(fresh));
	*cap = larger;
	return true;
}

static uint32_t
add_node(struct graph *g, struct graph_node node)
{
	if (!grow(g, &g->node, g->n, &g->cap, sizeof(*g->node)))
		return GRAPH_NONE;
	g->node[g->n] = node;
	return g->n++;
}

uint32_t
graph_leaf(struct graph *g)
{
	uint32_t node;

	if (!grow(g, &g->leaf, g->n_leaves, &g->cap_leaves, sizeof(*g->leaf)))
		return GRAPH_NONE;
	node = add_node(g, (struct graph_node){.first = g->n_leaves, .k = GRAPH_LEAF});
	if (node != GRAPH_NONE)
		g->leaf[g->n_leaves++] = node;
	return node;
}

uint32_t
graph_open(const struct graph *g)
{
	return g->n_pending;
}

void
graph_push(struct graph *g, uint32_t node)
{
	if (node == GRAPH_NONE ||
	    !grow(g, &g->pending, g->n_pending, &g->cap_pending, sizeof(*g->pending)))
		return;
	g->pending[g->n_pending++] = node;
}

uint32_t
graph_pending(const struct graph *g, uint32_t mark)
{
	return g->n_pending - mark;
}

uint32_t
graph_at_least(struct graph *g, uint32_t mark, uint32_t k)
{
	uint32_t n = g->n_pending - mark, first = g->n_inputs;

	if (n == 1 && k == 1) {
		g->n_pending = mark;
		return g->pending[mark];
	}
	for (uint32_t i = 0; i < n; i++) {
		if (!grow(g, &g->input, g->n_inputs, &g->cap_inputs, sizeof(*g->input)))
			return GRAPH_NONE;
		g->input[g->n_inputs++] = g->pending[mark + i];
	}
	g->n_pending = mark;
	return add_node(g, (struct graph_node){.first = first, .n = n, .k = k});
}

uint32_t
graph_all(struct graph *g, uint32_t mark)
{
	return graph_at_least(g, mark, g->n_pending - mark);
}

uint32_t
graph_any(struct graph *g, uint32_t mark)
{
	return graph_at_least(g, mark, 1);
}

uint32_t
graph_both(struct graph *g, uint32_t a, uint32_t b)
{
	uint32_t mark = graph_open(g);

	graph_push(g, a);
	graph_push(g, b);
	return graph_all(g, mark);
}

/* ---- cones --------------------------------------------------------------------- */

struct walk {
	const struct graph *g;
	uint8_t *seen;
	uint32_t *stack;
	struct graph_cone *cone;
};

/* Depth first, inputs in their order, without recursion: graphs may be deep. */
static void
walk_from(struct walk *w, uint32_t root)
{
	uint32_t depth = 0;

	w->stack[depth++] = root;
	w->seen[root] = 1;
	while (depth > 0) {
		uint32_t at = w->stack[--depth];
		const struct graph_node *node = &w->g->node[at];

		if (node->k == GRAPH_LEAF)
			w->cone->leaf[w->cone->n_leaves++] = node->first;
		for (uint32_t i = node->n; i > 0; i--) {
			uint32_t input = w->g->input[node->first + i - 1];

			if (!w->seen[input]) {
				w->seen[input] = 1;
				w->stack[depth++] = input;
			}
		}
	}
}

int
graph_cone(
    const struct graph *g, uint32_t root, struct arena *a, struct graph_cone *cone)
{
	struct walk w = {.g = g, .cone = cone};

	*cone = (struct graph_cone){0};
	w.seen = arena_alloc(a, g->n);
	w.stack = arena_array(a, g->n, sizeof(*w.stack));
	cone->node = arena_array(a, g->n, sizeof(*cone->node));
	cone->leaf = arena_array(a, g->n_leaves + 1, sizeof(*cone->leaf));
	if (w.seen == NULL || w.stack == NULL || cone->node == NULL ||
	    cone->leaf == NULL)
		return -ENOMEM;
	walk_from(&w, root);
	for (uint32_t i = 0; i <= root; i++) {
		if (w.seen[i])
			cone->node[cone->n++] = i;
	}
	return 0;
}

/* ---- evaluation ---------------------------------------------------------------- */

/* How many inputs work, for 64 cases at once: bit j of all counts is count[j]. */
static uint64_t
at_least(const struct graph *g, const struct graph_node *node, const uint64_t *value)
{
	uint64_t count[COUNTER_BITS] = {0}, above = 0, equal = ~UINT64_C(0);
	unsigned bits = 1;

	while (node->n >> bits != 0)
		bits++;
	for (uint32_t i = 0; i < node->n; i++) {
		uint64_t carry = value[g->input[node->first + i]];

		for (unsigned j = 0; j < bits && carry != 0; j++) {
			uint64_t both = count[j] & carry;

			count[j] ^= carry;
			carry = both;
		}
	}
	if (node->k >> bits != 0)
		return 0;
	for (unsigned j = bits; j-- > 0;) {
		if ((node->k >> j & 1) != 0) {
			equal &= count[j];
		} else {
			above |= equal & count[j];
			equal &= ~count[j];
		}
	}
	return above | equal;
}

static uint64_t
eval_node(const struct graph *g, const struct graph_node *node, const uint64_t *leaf,
    const uint64_t *value)
{
	const uint32_t *input = g->input + node->first;
	uint64_t v;

	if (node->k == GRAPH_LEAF)
		return leaf[node->first];
	if (node->k == node->n) {
		v = ~UINT64_C(0);
		for (uint32_t j = 0; j < node->n; j++)
			v &= value[input[j]];
		return v;
	}
	if (node->k == 1) {
		v = 0;
		for (uint32_t j = 0; j < node->n; j++)
			v |= value[input[j]];
		return v;
	}
	return at_least(g, node, value);
}

void
graph_eval(const struct graph *g, const struct graph_cone *cone, const uint64_t *leaf,
    uint64_t *value)
{
	for (uint32_t i = 0; i < cone->n; i++)
		value[cone->node[i]] =
		    eval_node(g, &g->node[cone->node[i]], leaf, value);
}

void
graph_eval_to(
    const struct graph *g, uint32_t root, const uint64_t *leaf, uint64_t *value)
{
	for (uint32_t i = 0; i <= root; i++)
		value[i] = eval_node(g, &g->node[i], leaf, value);
}
