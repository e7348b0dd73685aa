/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random small systems against brute force: every state of every leaf is looked at, by
 * a plain evaluator of its own. Held against it: single and double cut sets
 * (cutsets.h), all minimal cut sets, how many there are, and the exact probability
 * (bdd.h), also with something failed beforehand.
 *
 *	topology_sim FIRST-SEED COUNT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "sim.h"
#include "topology/bdd.h"
#include "topology/cutsets.h"

#define LEAVES 11
#define GATES  16
#define STATES (1U << LEAVES)
#define NODES  (LEAVES + GATES)

struct gate {
	unsigned k, n, input[NODES];
};

struct sim {
	uint64_t seed;
	struct rng rng;
	unsigned n_leaves, n_gates;
	struct gate gate[GATES];
	double q[LEAVES];
	uint8_t failed[LEAVES];
	bool ends[STATES];    /* by the set of failed leaves */
	bool minimal[STATES]; /* and is a minimal cut set */
	bool seen[STATES];
};

static void
fail(const struct sim *s, const char *what)
{
	(void)printf("FAIL seed %llu: %s\n", (unsigned long long)s->seed, what);
	exit(1);
}

/* ---- the system ---------------------------------------------------------------- */

static void
make(struct sim *s)
{
	s->n_leaves = 1 + rng_below(&s->rng, LEAVES);
	s->n_gates = 1 + rng_below(&s->rng, GATES);
	for (unsigned i = 0; i < s->n_gates; i++) {
		struct gate *g = &s->gate[i];

		g->n = rng_below(&s->rng, i == 0 ? 4 : 6);
		for (unsigned j = 0; j < g->n; j++)
			g->input[j] = rng_below(&s->rng, s->n_leaves + i);
		if (g->n > 0 && i > 0) /* mostly what was built is used */
			g->input[0] = s->n_leaves + i - 1;
		g->k = rng_below(&s->rng, 3) == 0 ? g->n : rng_below(&s->rng, g->n + 2);
	}
	for (unsigned i = 0; i < s->n_leaves; i++) {
		s->q[i] = (rng_below(&s->rng, 1000) + 1) / 1001.0;
		s->failed[i] = rng_below(&s->rng, 12) == 0;
	}
}

/* Whether the last gate works when the leaves of `down` have failed. */
static bool
works(const struct sim *s, unsigned down)
{
	bool up[NODES];

	for (unsigned i = 0; i < s->n_leaves; i++)
		up[i] = (down >> i & 1) == 0;
	for (unsigned i = 0; i < s->n_gates; i++) {
		unsigned n = 0;

		for (unsigned j = 0; j < s->gate[i].n; j++)
			n += up[s->gate[i].input[j]];
		up[s->n_leaves + i] = n >= s->gate[i].k;
	}
	return up[s->n_leaves + s->n_gates - 1];
}

static unsigned
given(const struct sim *s)
{
	unsigned set = 0;

	for (unsigned i = 0; i < s->n_leaves && i < LEAVES; i++)
		set |= (unsigned)s->failed[i] << i;
	return set;
}

/* Cut sets beyond what has failed in `base`. */
static void
brute_force(struct sim *s, unsigned base)
{
	unsigned states = 1U << s->n_leaves;

	for (unsigned set = 0; set < states; set++)
		s->ends[set] = !works(s, set | base);
	for (unsigned set = 0; set < states; set++) {
		s->minimal[set] = s->ends[set] && (set & base) == 0;
		for (unsigned i = 0; i < s->n_leaves; i++) {
			if ((set >> i & 1) != 0 && s->ends[set & ~(1U << i)])
				s->minimal[set] = false;
		}
	}
}

/* ---- what is tested ------------------------------------------------------------ */

static uint32_t
build(const struct sim *s, struct graph *g)
{
	uint32_t node[NODES], mark;

	for (unsigned i = 0; i < s->n_leaves; i++)
		node[i] = graph_leaf(g);
	for (unsigned i = 0; i < s->n_gates; i++) {
		mark = graph_open(g);
		for (unsigned j = 0; j < s->gate[i].n; j++)
			graph_push(g, node[s->gate[i].input[j]]);
		node[s->n_leaves + i] = graph_at_least(g, mark, s->gate[i].k);
	}
	return node[s->n_leaves + s->n_gates - 1];
}

static void
check_small_cuts(struct sim *s, const struct graph *g, const struct graph_cone *cone,
    struct arena *a)
{
	struct cutsets cuts;
	unsigned singles = 0, pairs = 0;

	brute_force(s, given(s));
	if (cutsets_find(g, cone, s->failed, 2, a, &cuts) != 0)
		fail(s, "cutsets_find");
	if (cuts.lost != s->ends[0])
		fail(s, "lost or not");
	for (unsigned set = 0; set < 1U << s->n_leaves; set++) {
		singles += s->minimal[set] && __builtin_popcount(set) == 1;
		pairs += s->minimal[set] && __builtin_popcount(set) == 2;
	}
	if (cuts.n_single != singles || cuts.found_pairs != pairs ||
	    cuts.n_pairs != pairs)
		fail(s, "number of single or double cut sets");
	for (unsigned i = 0; i < cuts.n_single; i++) {
		if (!s->minimal[1U << cuts.single[i]])
			fail(s, "a single cut set that is none");
	}
	for (unsigned i = 0; i < cuts.n_pairs; i++) {
		if (!s->minimal[1U << cuts.pair[i].leaf[0] |
				1U << cuts.pair[i].leaf[1]])
			fail(s, "a double cut set that is none");
	}
}

static void
see(const uint32_t *leaf, unsigned n, void *arg)
{
	struct sim *s = arg;
	unsigned set = 0;

	for (unsigned i = 0; i < n; i++)
		set |= 1U << leaf[i];
	if (!s->minimal[set])
		fail(s, "a cut set that is not minimal");
	if (s->seen[set])
		fail(s, "a cut set twice");
	s->seen[set] = true;
}

static void
check_all_cuts(struct sim *s, struct bdd *b)
{
	uint64_t count[LEAVES + 1], real[LEAVES + 1] = {0};

	if (bdd_cuts(b) != 0 || bdd_count_cuts(b, LEAVES, count) != 0)
		fail(s, "bdd_cuts");
	bdd_each_cut(b, LEAVES, see, s);
	for (unsigned set = 0; set < 1U << s->n_leaves; set++) {
		if (s->minimal[set] != s->seen[set])
			fail(s, "a minimal cut set is missing");
		real[__builtin_popcount(set)] += s->minimal[set];
	}
	if (memcmp(real, count, sizeof(real)) != 0)
		fail(s, "number of minimal cut sets");
}

static double
brute_probability(const struct sim *s)
{
	double sum = 0;

	for (unsigned set = 0; set < 1U << s->n_leaves; set++) {
		double p = 1;

		for (unsigned i = 0; i < s->n_leaves; i++)
			p *= (set >> i & 1) != 0 ? s->q[i] : 1 - s->q[i];
		sum += s->ends[set] ? p : 0;
	}
	return sum;
}

static uint64_t
run(uint64_t seed)
{
	struct sim s = {.seed = seed, .rng = {rng_mix(seed)}};
	struct arena *a = arena_new((size_t)64 << 20);
	struct graph_cone cone;
	struct graph g;
	struct bdd b;
	double got, real;

	make(&s);
	graph_init(&g, a);
	if (graph_cone(&g, build(&s, &g), a, &cone) != 0 || graph_failed(&g))
		fail(&s, "graph");
	check_small_cuts(&s, &g, &cone, a);
	if (bdd_build(&b, &g, &cone, s.failed, a, 100000) != 0)
		fail(&s, "bdd_build with failures");
	check_all_cuts(&s, &b);
	memset(s.seen, 0, sizeof(s.seen));
	brute_force(&s, 0);
	if (bdd_build(&b, &g, &cone, NULL, a, 100000) != 0)
		fail(&s, "bdd_build");
	got = bdd_unavailability(&b, s.q);
	real = brute_probability(&s);
	if (got - real > 1e-12 || real - got > 1e-12)
		fail(&s, "probability");
	check_all_cuts(&s, &b);
	arena_free(a);
	return s.rng.state;
}

int
main(int argc, char **argv)
{
	return sim_main(argc, argv, run, 10000, 100);
}
