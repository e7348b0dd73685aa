/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fault trees of the Aralia set, whose minimal cut sets and probabilities are published
 * (the table of github.com/openpra-org/generic-openpsa-models). aralia/NAME.txt: the
 * numbers of events and gates; the events' probabilities; each gate as "k n inputs",
 * working while k of its n inputs do, events being numbered before gates.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "topology/bdd.h"
#include "topology/cutsets.h"

#define ARENA_MAX ((size_t)1 << 30)
#define NODES_MAX 4000000
#define EVENTS	  512

struct tree {
	const char *name;
	double cut_sets;
	double probability; /* 0: published for other probabilities than the file's */
};

static const struct tree trees[] = {
    {"baobab1", 46188, 1.01708e-04},
    {"baobab2", 4805, 7.13018e-04},
    {"baobab3", 24386, 2.24117e-03},
    {"chinese", 392, 1.17058e-03},
    {"das9201", 14217, 1.34237e-02},
    {"das9202", 27778, 1.01154e-02},
    {"das9203", 16200, 1.34880e-03},
    {"das9204", 16704, 0},
    {"das9205", 17280, 1.38408e-08},
    {"das9206", 19518, 2.29687e-01},
    {"das9208", 8060, 1.30179e-02},
    {"das9209", 8.20e+10, 1.05800e-13},
};

/* The last gate, which is the top. */
static uint32_t
load(const char *name, struct graph *g, double *q)
{
	unsigned events, gates, k, n, input;
	uint32_t node[2 * EVENTS], mark;
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "tests/unit/aralia/%s.txt", name);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%u %u", &events, &gates), 2);
	assert_true(events <= EVENTS && gates <= EVENTS);
	for (unsigned i = 0; i < events; i++) {
		assert_int_equal(fscanf(f, "%lf", &q[i]), 1);
		node[i] = graph_leaf(g);
	}
	for (unsigned i = events; i < events + gates; i++) {
		assert_int_equal(fscanf(f, "%u %u", &k, &n), 2);
		mark = graph_open(g);
		for (unsigned j = 0; j < n; j++) {
			assert_int_equal(fscanf(f, "%u", &input), 1);
			assert_true(input < i);
			graph_push(g, node[input]);
		}
		node[i] = graph_at_least(g, mark, k);
	}
	(void)fclose(f);
	return node[events + gates - 1];
}

static bool
near(double a, double b, double relative)
{
	double d = a > b ? a - b : b - a;

	return d <= relative * b;
}

static void
check_tree(const struct tree *tree)
{
	struct arena *a = arena_new(ARENA_MAX);
	double q[EVENTS], sum = 0, p;
	uint64_t count[BDD_ORDER_MAX + 1];
	struct graph_cone cone;
	struct cutsets cuts;
	struct graph g;
	struct bdd b;
	uint32_t root;

	assert_non_null(a);
	graph_init(&g, a);
	root = load(tree->name, &g, q);
	assert_false(graph_failed(&g));
	assert_int_equal(graph_cone(&g, root, a, &cone), 0);
	assert_int_equal(bdd_build(&b, &g, &cone, NULL, a, NODES_MAX), 0);
	p = bdd_unavailability(&b, q);
	assert_int_equal(bdd_cuts(&b), 0);
	assert_int_equal(bdd_count_cuts(&b, BDD_ORDER_MAX, count), 0);
	for (unsigned i = 0; i <= BDD_ORDER_MAX; i++)
		sum += (double)count[i];
	print_message(
	    "%s: %.0f cut sets, %.5e, %u nodes\n", tree->name, sum, p, b.goal.n);
	assert_true(near(sum, tree->cut_sets, tree->cut_sets > 1e9 ? 1e-3 : 0));
	assert_true(tree->probability == 0 || near(p, tree->probability, 1e-5));
	assert_int_equal(cutsets_find(&g, &cone, NULL, 2, a, &cuts), 0);
	assert_int_equal(cuts.n_single, count[1]);
	assert_int_equal(cuts.found_pairs, count[2]);
	arena_free(a);
}

static void
test_published(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++)
		check_tree(&trees[i]);
}

/* A diagram that may not grow is refused, not wrong. */
static void
test_bounded(void **state)
{
	struct arena *a = arena_new(ARENA_MAX);
	struct graph_cone cone;
	struct graph g;
	struct bdd b;
	double q[EVENTS];

	(void)state;
	assert_non_null(a);
	graph_init(&g, a);
	assert_int_equal(graph_cone(&g, load("das9206", &g, q), a, &cone), 0);
	assert_int_equal(bdd_build(&b, &g, &cone, NULL, a, 1000), -E2BIG);
	arena_free(a);
	a = arena_new(1 << 17);
	assert_non_null(a);
	graph_init(&g, a);
	assert_int_equal(graph_cone(&g, load("das9206", &g, q), a, &cone), 0);
	assert_int_equal(bdd_build(&b, &g, &cone, NULL, a, NODES_MAX), -ENOMEM);
	arena_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_published),
	    cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
