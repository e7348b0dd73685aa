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
		int64_t took_us[4], hop_ms, least_ms, most_ms;
	} rows[] = {
	    {{200, 200, 200, 200}, 40, 250, 250},		/* next door */
	    {{0, 0, 0, 0}, 40, 250, 250},			/* a Unix socket */
	    {{200, 200, 40000, 200}, 60, 250, 250},		/* once busy */
	    {{20000, 20000, 20000, 20000}, 57, 250, 250},	/* the next town */
	    {{300000, 300000, 300000, 300000}, 600, 600, 1500}, /* another continent */
	    {{900000, 900000, 900000, 900000}, 3000, 3000,
		3000}, /* what the file says */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct patience p = {0, 0};
		int64_t ns, hop;

		assert_int_equal(patience_ns(&p, PATIENCE_HOP, MOST), PATIENCE_LEAST);
		assert_int_equal(
		    patience_ns(&p, PATIENCE_LEAST, MOST), PATIENCE_UNKNOWN);
		for (size_t n = 0; n < 4; n++)
			patience_learn(&p, rows[i].took_us[n] * US_NS);
		ns = patience_ns(&p, PATIENCE_LEAST, MOST);
		hop = patience_ns(&p, PATIENCE_HOP, MOST);
		if (ns < rows[i].least_ms * MS_NS || ns > rows[i].most_ms * MS_NS)
			fail_msg("row %zu: %lld ns", i, (long long)ns);
		if (hop < rows[i].hop_ms * MS_NS || hop > ns ||
		    (rows[i].hop_ms == 40 && hop != PATIENCE_HOP))
			fail_msg("row %zu: %lld ns for a hop", i, (long long)hop);
		assert_int_equal(
		    patience_ns(&p, PATIENCE_LEAST, 100 * MS_NS), 100 * MS_NS);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
