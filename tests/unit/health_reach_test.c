/* SPDX-License-Identifier: Apache-2.0 */
/* health_reach_test.c - what is said of the time that connections of checks take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "health/health_reach.h"

static void
test_rows(void **state)
{
	static const struct {
		int64_t took_us[4];
		unsigned step_ms, changes;
	} rows[] = {
	    {{0, 0, 0, 0}, 4, 1},
	    {{200, 300, 3900, 100}, 4, 1},	    /* next door */
	    {{200, 30000, 200, 200}, 4, 1},	    /* once busy: one is no mean */
	    {{5000, 5000, 4500, 3000}, 8, 1},	    /* on the edge it stays */
	    {{80000, 80000, 80000, 80000}, 128, 1}, /* an ocean */
	    {{200, 90000, 90000, 90000}, 32, 3},    /* it moves away, by and by */
	    {{9000000, 9000000, 9000000, 9000000}, 4096, 1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct health_reach r = {0, 0};
		unsigned changes = 0;

		for (size_t n = 0; n < 4; n++)
			changes += health_reach_learn(&r, rows[i].took_us[n] * US_NS);
		if (r.step_ms != rows[i].step_ms || changes != rows[i].changes)
			fail_msg("row %zu: %u ms, %u changes", i, r.step_ms, changes);
	}
}

static void
test_it_comes_down(void **state)
{
	struct health_reach r = {0, 0};
	unsigned changes = 0;

	(void)state;
	(void)health_reach_learn(&r, 60 * MS_NS);
	assert_int_equal(r.step_ms, 64);
	for (int i = 0; i < 100; i++)
		changes += health_reach_learn(&r, MS_NS);
	assert_true(r.step_ms <= 8);
	assert_in_range(changes, 1, 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_it_comes_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
