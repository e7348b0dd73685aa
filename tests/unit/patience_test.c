/* SPDX-License-Identifier: Apache-2.0 */
/* patience_test.c - how long connections to servers near and far are waited for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "proxy/servers/patience.h"

#define MOST (3 * SEC_NS)

static void
test_rows(void **state)
{
	static const struct {
		int64_t took_us[4], least_ms, most_ms;
	} rows[] = {
	    {{200, 200, 200, 200}, 250, 250},		    /* next door */
	    {{0, 0, 0, 0}, 250, 250},			    /* a Unix socket */
	    {{200, 200, 40000, 200}, 250, 250},		    /* once busy */
	    {{300000, 300000, 300000, 300000}, 600, 1500},  /* another continent */
	    {{900000, 900000, 900000, 900000}, 3000, 3000}, /* never beyond the file */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct patience p = {0, 0};
		int64_t ns;

		assert_int_equal(patience_ns(&p, MOST), PATIENCE_UNKNOWN);
		for (size_t n = 0; n < 4; n++)
			patience_learn(&p, rows[i].took_us[n] * US_NS);
		ns = patience_ns(&p, MOST);
		if (ns < rows[i].least_ms * MS_NS || ns > rows[i].most_ms * MS_NS)
			fail_msg("row %zu: %lld ns", i, (long long)ns);
		assert_int_equal(patience_ns(&p, 100 * MS_NS), 100 * MS_NS);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
