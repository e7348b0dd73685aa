/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse.h - a cluster for tests that need one; the includer includes cmocka.h first.
 */
#ifndef NINES_TESTS_UNIT_PARSE_H
#define NINES_TESTS_UNIT_PARSE_H

#include <string.h>

#include "base/diag.h"
#include "base/sbuf.h"
#include "config/cluster.h"

/* Of what must be right; if it is not, the test fails and shows the findings. The
 * caller's reference. */
static inline const struct cluster *
parse(const char *text)
{
	const struct cluster *c;
	struct diag_list diags;
	struct sbuf out;

	diag_init(&diags, "test");
	c = cluster_parse(text, strlen(text), &diags);
	if (c == NULL) {
		sbuf_init(&out, 1 << 20);
		diag_render(&diags, text, strlen(text), false, &out);
		print_error("%s", sbuf_text(&out));
		sbuf_done(&out);
	}
	diag_done(&diags);
	assert_non_null(c);
	return c;
}

#endif /* NINES_TESTS_UNIT_PARSE_H */
