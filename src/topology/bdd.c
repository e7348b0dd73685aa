/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/bdd.h"

#include <errno.h>
#include <string.h>

#define END_FALSE 0U
#define END_TRUE  1U
#define NO_SETS	  0U
#define EMPTY_SET 1U
#define FIRST_CAP 1024U
#define NONE	  UINT32_MAX

/* ---- tables of nodes ----------------------------------------------------------- */

static uint32_t
mix(uint32_t a, uint32_t b, uint32_t c)
{
	uint64_t h = a * UINT64_C(0x9e3779b97f4a7c15) ^
		     b * UINT64_C(0xc2b2ae3d27d4eb4f) ^
		     c * UINT64_C(0x165667b19e3779f9);

	return (uint32_t)(h >> 32 ^ h);
}

static bool
resize(struct bdd *b, struct bdd_table *t, uint32_t cap)
{
	struct bdd_node *node = arena_array(b->arena, cap, sizeof(*node));
	uint32_t *bucket = arena_array(b->arena, cap, sizeof(*bucket));
	struct bdd_memo *memo = arena_array(b->arena, cap, sizeof(*memo));

	if (node == NULL || bucket == NULL || memo == NULL) {
		b->err = -ENOMEM;
		return false;
	}
	if (t->n > 0)
		memcpy(node, t->node, t->n * sizeof(*node));
	for (uint32_t i = 2; i < t->n; i++) {
		uint32_t *at =
		    &bucket[mix(node[i].level, node[i].low, node[i].high) % cap];

		node[i].next = *at; /* 0 ends the list */
		*at = i;
	}
	for (uint32_t i = 0; i < cap; i++)
		memo[i].a = NONE;
	*t = (struct bdd_table){.node = node,
	    .n = t->n,
	    .cap = cap,
	    .bucket = bucket,
	    .memo = memo,
	    .n_memo = cap};
	return true;
}

static bool
table_init(struct bdd *b, struct bdd_table *t)
{
	*t = (struct bdd_table){0};
	if (!resize(b, t, FIRST_CAP))
		return false;
	t->node[0].level = t->node[1].level = NONE;
	t->n = 2;
	return true;
}

/* The one node of these contents; 0 after an error. */
static uint32_t
node_of(struct bdd *b, struct bdd_table *t, uint32_t level, uint32_t low, uint32_t high)
{
	uint32_t hash = mix(level, low, high);

	for (uint32_t i = t->bucket[hash % t->cap]; i != 0; i = t->node[i].next) {
		const struct bdd_node *n = &t->node[i];

		if (n->level == level && n->low == low && n->high == high)
			return i;
	}
	if (t->n >= b->max)
		b->err = -E2BIG;
	if (b->err != 0 || (t->n == t->cap && !resize(b, t, t->cap * 2)))
		return 0;
	t->node[t->n] = (struct bdd_node){
	    .level = level, .low = low, .high = high, .next = t->bucket[hash % t->cap]};
	t->bucket[hash % t->cap] = t->n;
	return t->n++;
}

static bool
recall(const struct bdd_table *t, uint32_t a, uint32_t b, uint32_t c, uint32_t *result)
{
	const struct bdd_memo *m = &t->memo[mix(a, b, c) % t->n_memo];

	if (m->a != a || m->b != b || m->c != c)
		return false;
	*result = m->result;
	return true;
}

static void
remember(struct bdd_table *t, uint32_t a, uint32_t b, uint32_t c, uint32_t result)
{
	t->memo[mix(a, b, c) % t->n_memo] = (struct bdd_memo){a, b, c, result};
}

/* ---- the goal ------------------------------------------------------------------ */

static uint32_t
least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* `f` where the leaf at `level` has failed (`works` false) or works. */
static uint32_t
branch(const struct bdd_table *t, uint32_t f, uint32_t level, bool works)
{
	if (t->node[f].level != level)
		return f;
	return works ? t->node[f].high : t->node[f].low;
}

/* If f then g else h. */
static uint32_t
choose(struct bdd *b, uint32_t f, uint32_t g, uint32_t h)
{
	struct bdd_table *t = &b->goal;
	uint32_t level, low, high, result;

	if (f == END_TRUE || g == h)
		return g;
	if (f == END_FALSE)
		return h;
	if (g == END_TRUE && h == END_FALSE)
		return f;
	if (b->err != 0)
		return END_FALSE;
	if (recall(t, f, g, h, &result))
		return result;
	level = least(t->node[f].level, least(t->node[g].level, t->node[h].level));
	low = choose(b, branch(t, f, level, false), branch(t, g, level, false),
	    branch(t, h, level, false));
	high = choose(b, branch(t, f, level, true), branch(t, g, level, true),
	    branch(t, h, level, true));
	result = low == high ? low : node_of(b, t, level, low, high);
	if (b->err == 0)
		remember(t, f, g, h, result);
	return result;
}

/* count[j]: at least j of the inputs so far work. From above, as each uses the last. */
static uint32_t
at_least(struct bdd *b, const struct graph *g, const struct graph_node *node)
{
	uint32_t *count;

	if (node->k > node->n)
		return END_FALSE;
	count = arena_array(b->arena, (size_t)node->k + 1, sizeof(*count));
	if (count == NULL) {
		b->err = -ENOMEM;
		return END_FALSE;
	}
	count[0] = END_TRUE;
	for (uint32_t i = node->n; i > 0; i--) {
		uint32_t f = b->of_node[g->input[node->first + i - 1]];

		for (uint32_t j = node->k; j > 0; j--)
			count[j] = choose(b, f, count[j - 1], count[j]);
	}
	return count[node->k];
}

/* The nodes that the goal's diagram has; the rest was needed on the way. */
static int
find_reached(struct bdd *b)
{
	uint8_t *mark = arena_alloc(b->arena, b->goal.n);

	b->reached = arena_array(b->arena, b->goal.n, sizeof(*b->reached));
	b->value = arena_array(b->arena, b->goal.n, sizeof(*b->value));
	if (mark == NULL || b->reached == NULL || b->value == NULL)
		return -ENOMEM;
	mark[b->root] = 1;
	for (uint32_t i = b->root; i >= 2; i--) {
		if (mark[i])
			mark[b->goal.node[i].low] = mark[b->goal.node[i].high] = 1;
	}
	for (uint32_t i = 2; i <= b->root; i++) {
		if (mark[i])
			b->reached[b->n_reached++] = i;
	}
	return 0;
}

int
bdd_build(struct bdd *b, const struct graph *g, const struct graph_cone *cone,
    const uint8_t *failed, struct arena *a, uint32_t max)
{
	*b = (struct bdd){.arena = a, .cone = cone, .max = max};
	if (cone->n_leaves > BDD_LEAVES_MAX)
		return -E2BIG;
	b->of_node = arena_array(a, (size_t)g->n + 1, sizeof(*b->of_node));
	b->level = arena_array(a, (size_t)g->n_leaves + 1, sizeof(*b->level));
	if (b->of_node == NULL || b->level == NULL || !table_init(b, &b->goal))
		return -ENOMEM;
	for (uint32_t i = 0; i < cone->n_leaves; i++)
		b->level[cone->leaf[i]] = i;
	for (uint32_t i = 0; i < cone->n && b->err == 0; i++) {
		const struct graph_node *node = &g->node[cone->node[i]];

		if (node->k != GRAPH_LEAF)
			b->root = at_least(b, g, node);
		else if (failed != NULL && failed[node->first])
			b->root = END_FALSE;
		else
			b->root = node_of(
			    b, &b->goal, b->level[node->first], END_FALSE, END_TRUE);
		b->of_node[cone->node[i]] = b->root;
	}
	return b->err != 0 ? b->err : find_reached(b);
}

double
bdd_unavailability(struct bdd *b, const double *q)
{
	b->value[END_FALSE] = 1;
	b->value[END_TRUE] = 0;
	/* Only sums of products of what is not negative: nothing cancels. */
	for (uint32_t i = 0; i < b->n_reached; i++) {
		const struct bdd_node *n = &b->goal.node[b->reached[i]];
		double fails = q[b->cone->leaf[n->level]];

		b->value[b->reached[i]] =
		    fails * b->value[n->low] + (1 - fails) * b->value[n->high];
	}
	return b->value[b->root];
}

/* ---- minimal cut sets ---------------------------------------------------------- */

static uint32_t
set_node(struct bdd *b, uint32_t level, uint32_t without, uint32_t with)
{
	if (with == NO_SETS)
		return without;
	return node_of(b, &b->cuts, level, without, with);
}

/* The sets of `x` that have no set of `y` within. */
static uint32_t
without(struct bdd *b, uint32_t x, uint32_t y)
{
	struct bdd_table *t = &b->cuts;
	struct bdd_node p, q;
	uint32_t low, high, result;

	if (x == NO_SETS || y == EMPTY_SET || x == y)
		return NO_SETS;
	if (y == NO_SETS || x == EMPTY_SET)
		return x;
	if (b->err != 0)
		return NO_SETS;
	if (recall(t, x, y, 0, &result))
		return result;
	p = t->node[x];
	q = t->node[y];
	if (p.level > q.level) {
		result = without(b, x, q.low);
	} else {
		low = without(b, p.low, p.level == q.level ? q.low : y);
		high = without(b, p.high, p.level == q.level ? q.low : y);
		if (p.level == q.level)
			high = without(b, high, q.high);
		result = set_node(b, p.level, low, high);
	}
	if (b->err == 0)
		remember(t, x, y, 0, result);
	return result;
}

/*
 * Bottom up: nodes come after those they refer to. What fails with the leaf working is
 * a cut without it; what fails only with it is a cut with it.
 */
int
bdd_cuts(struct bdd *b)
{
	uint32_t *sets = arena_array(b->arena, b->goal.n, sizeof(*sets));

	if (sets == NULL || !table_init(b, &b->cuts))
		return -ENOMEM;
	sets[END_FALSE] = EMPTY_SET;
	sets[END_TRUE] = NO_SETS;
	for (uint32_t i = 0; i < b->n_reached && b->err == 0; i++) {
		const struct bdd_node *n = &b->goal.node[b->reached[i]];
		uint32_t with = without(b, sets[n->low], sets[n->high]);

		sets[b->reached[i]] = set_node(b, n->level, sets[n->high], with);
	}
	b->cuts_root = sets[b->root];
	return b->err;
}

static uint64_t
add(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

int
bdd_count_cuts(struct bdd *b, unsigned order, uint64_t *count)
{
	size_t width = (size_t)order + 1;
	uint64_t *of = arena_array(b->arena, b->cuts.n * width, sizeof(*of));

	if (of == NULL)
		return -ENOMEM;
	of[EMPTY_SET * width] = 1;
	for (uint32_t i = 2; i < b->cuts.n; i++) {
		const struct bdd_node *n = &b->cuts.node[i];

		for (size_t k = 0; k < width; k++)
			of[i * width + k] = add(of[n->low * width + k],
			    k > 0 ? of[n->high * width + k - 1] : 0);
	}
	memcpy(count, of + b->cuts_root * width, width * sizeof(*count));
	return 0;
}

struct visit {
	const struct bdd *b;
	uint32_t leaf[BDD_ORDER_MAX];
	unsigned order;
	void (*each)(const uint32_t *leaf, unsigned n, void *arg);
	void *arg;
};

static void
visit(struct visit *v, uint32_t at, unsigned n)
{
	for (; at > EMPTY_SET; at = v->b->cuts.node[at].low) {
		const struct bdd_node *node = &v->b->cuts.node[at];

		if (n == v->order)
			continue; /* one more would be too many */
		v->leaf[n] = v->b->cone->leaf[node->level];
		visit(v, node->high, n + 1);
	}
	if (at == EMPTY_SET)
		v->each(v->leaf, n, v->arg);
}

void
bdd_each_cut(const struct bdd *b, unsigned order,
    void (*each)(const uint32_t *leaf, unsigned n, void *arg), void *arg)
{
	struct visit v = {.b = b,
	    .order = order < BDD_ORDER_MAX ? order : BDD_ORDER_MAX,
	    .each = each,
	    .arg = arg};

	visit(&v, b->cuts_root, 0);
}
