/* SPDX-License-Identifier: Apache-2.0 */
/* Outliers: who is ejected, for how long, and that not all of them ever are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "proxy/servers/outlier.h"

static const struct outlier_conf conf = {
    .errors = 3, .every_ns = 10 * SEC_NS, .eject_ns = 30 * SEC_NS, .max_ejected = 50};

static mono_t
at(int64_t s)
{
	return (mono_t){s * SEC_NS};
}

static bool
answers(struct outlier_group *g, struct outlier_server *s, unsigned n, bool good)
{
	bool out = false;

	for (unsigned i = 0; i < n; i++)
		out |= outlier_answer(g, s, &conf, at(1), good);
	return out;
}

static void
roll(struct outlier_group *g, struct outlier_server *s, mono_t now)
{
	for (size_t i = 0; i < g->n; i++)
		(void)outlier_roll(g, &s[i], &conf, now);
	outlier_roll_group(g);
}

static void
errors_in_a_row(void **state)
{
	struct outlier_server s[2] = {0};
	struct outlier_group g = {.n = 2};

	(void)state;
	assert_false(answers(&g, &s[1], 10, true));
	assert_false(answers(&g, &s[0], 2, false));
	assert_false(answers(&g, &s[0], 1, true)); /* not in a row */
	assert_false(answers(&g, &s[0], 2, false));
	assert_true(answers(&g, &s[0], 1, false));
	assert_true(s[0].out);
	assert_int_equal(g.n_out, 1);
	assert_false(outlier_back(&g, &s[0], at(30)));
	assert_true(outlier_back(&g, &s[0], at(31)));
	assert_int_equal(g.n_out, 0);
}

/* Everybody fails, or nobody else was asked: it is not the server. */
static void
only_beside_others(void **state)
{
	struct outlier_server s[3] = {0};
	struct outlier_group g = {.n = 3};

	(void)state;
	assert_false(answers(&g, &s[0], 50, false));
	for (int i = 0; i < 20; i++) {
		assert_false(answers(&g, &s[1], 1, i % 2 == 0));
		assert_false(answers(&g, &s[2], 1, i % 2 == 0));
	}
	assert_false(answers(&g, &s[0], 50, false)); /* half of theirs fail, too */
	roll(&g, s, at(10));
	roll(&g, s, at(20)); /* what was, is forgotten */
	assert_false(answers(&g, &s[1], 5, true));
	assert_true(answers(&g, &s[0], 3, false));
}

static void
not_too_many(void **state)
{
	struct outlier_server s[4] = {0}, one = {0};
	struct outlier_group g = {.n = 4}, alone = {.n = 1};

	(void)state;
	assert_false(answers(&g, &s[3], 1000, true));
	assert_true(answers(&g, &s[0], 3, false));
	assert_true(answers(&g, &s[1], 3, false));
	assert_false(answers(&g, &s[2], 9, false));
	assert_true(outlier_back(&g, &s[0], at(1000)));
	assert_true(answers(&g, &s[2], 1, false));
	assert_false(outlier_eject(&alone, &one, &conf, at(1)));
}

/* The second time it is out for twice as long; good conduct is rewarded. */
static void
longer_each_time(void **state)
{
	struct outlier_server s[2] = {0};
	struct outlier_group g = {.n = 2};

	(void)state;
	assert_true(outlier_eject(&g, &s[0], &conf, at(0)));
	assert_true(outlier_back(&g, &s[0], at(30)));
	assert_true(outlier_eject(&g, &s[0], &conf, at(100)));
	assert_false(outlier_back(&g, &s[0], at(159)));
	assert_true(outlier_back(&g, &s[0], at(160)));
	for (int i = 0; i < 2; i++) {
		assert_false(answers(&g, &s[0], 1, true));
		roll(&g, s, at(170 + i * 10));
	}
	assert_true(outlier_eject(&g, &s[0], &conf, at(200)));
	assert_true(outlier_back(&g, &s[0], at(230)));
}

static void
rate(void **state)
{
	struct outlier_server s[2] = {0};
	struct outlier_group g = {.n = 2};

	(void)state;
	assert_false(answers(&g, &s[1], 100, true));
	for (int i = 0; i < 20; i++) { /* two of three, never three in a row */
		assert_false(answers(&g, &s[0], 2, false));
		assert_false(answers(&g, &s[0], 1, true));
	}
	assert_true(outlier_roll(&g, &s[0], &conf, at(10)));
	assert_false(outlier_roll(&g, &s[1], &conf, at(10)));
}

/* After any history: as many are out as are counted, and never more than half. */
static void
random_histories(void **state)
{
	struct rng rng = {42};

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct outlier_server s[7] = {0};
		struct outlier_group g = {.n = 7};
		int64_t now = 0;

		for (int i = 0; i < 2000; i++) {
			uint32_t k = rng_below(&rng, 7);
			size_t out = 0;

			now += rng_below(&rng, 100);
			(void)outlier_back(&g, &s[k], at(now));
			(void)outlier_answer(
			    &g, &s[k], &conf, at(now), rng_below(&rng, 8) > k);
			if (rng_below(&rng, 50) == 0)
				roll(&g, s, at(now));
			for (k = 0; k < 7; k++)
				out += s[k].out;
			assert_int_equal(out, g.n_out);
			assert_true(out <= 3);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(errors_in_a_row),
	    cmocka_unit_test(only_beside_others),
	    cmocka_unit_test(not_too_many),
	    cmocka_unit_test(longer_each_time),
	    cmocka_unit_test(rate),
	    cmocka_unit_test(random_histories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
