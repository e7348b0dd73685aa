/* SPDX-License-Identifier: Apache-2.0 */
/* Percentiles of answers' times: never too low, a quarter too high at most. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/mono.h"
#include "base/rng.h"
#include "proxy/servers/latency.h"

static int
by_size(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
test_too_few(void **state)
{
	struct latency l = {0};

	(void)state;
	for (int i = 0; i < LATENCY_LEAST; i++) {
		assert_int_equal(latency_percentile(&l, 95), 0);
		latency_add(&l, MS_NS);
	}
	assert_true(latency_percentile(&l, 95) > MS_NS);
	assert_true(latency_percentile(&l, 95) <= MS_NS * 5 / 4 + MS_NS / 8);
}

/* Against the truth, over seven orders of magnitude. */
static void
test_percentiles(void **state)
{
	static const unsigned percent[] = {50, 75, 90, 95, 99};
	struct rng rng = {.state = 1};
	int64_t t[1000];

	(void)state;
	for (int round = 0; round < 50; round++) {
		struct latency l = {0};

		for (size_t i = 0; i < 1000; i++) {
			t[i] = (int64_t)(rng_next(&rng) >> (30 + rng_next(&rng) % 16));
			latency_add(&l, t[i]);
		}
		qsort(t, 1000, sizeof(t[0]), by_size);
		for (size_t i = 0; i < sizeof(percent) / sizeof(percent[0]); i++) {
			int64_t is = latency_percentile(&l, percent[i]),
				truth = t[percent[i] * 10 - 1];

			assert_true(is > truth || truth > 8 * SEC_NS);
			assert_true(is <= truth + truth / 4 + (1 << 16));
		}
	}
}

static void
test_it_forgets(void **state)
{
	struct latency l = {0};

	(void)state;
	for (int i = 0; i < 5000; i++)
		latency_add(&l, SEC_NS);
	for (int i = 0; i < 20000; i++)
		latency_add(&l, MS_NS);
	assert_true(latency_percentile(&l, 99) < 2 * MS_NS);
	latency_add(&l, -1);
	latency_add(&l, INT64_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_too_few),
	    cmocka_unit_test(test_percentiles),
	    cmocka_unit_test(test_it_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
