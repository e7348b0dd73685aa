/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster_fuzz.c - any bytes as a cluster file.
 *
 * What is refused has a finding that can be shown; what is accepted can be written, and
 * what was written means the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/sbuf.h"
#include "config/cluster.h"
#include "config/config_diff.h"
#include "config/writer.h"

#define OUT_MAX ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/*
 * libfyaml 0.7.12 loses a buffer when a text has many escaped quotes
 * (https://github.com/pantoniou/libfyaml/issues/233).
 */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libfyaml.so";
}

static void
fail(const char *what, const char *text)
{
	(void)fprintf(stderr, "%s\n%s\n", what, text);
	abort();
}

static void
render(const struct diag_list *diags, const char *text, size_t len)
{
	struct sbuf out;

	sbuf_init(&out, OUT_MAX);
	diag_render(diags, text, len, true, &out);
	diag_json(diags, &out);
	sbuf_done(&out);
}

static void
round_trip(const struct cluster *c, bool full)
{
	struct sbuf text, change;
	struct diag_list diags;
	const struct cluster *again;

	sbuf_init(&text, OUT_MAX);
	sbuf_init(&change, OUT_MAX);
	diag_init(&diags, "again");
	cluster_write(c, full, &text);
	if (text.bad || text.len > CLUSTER_FILE_MAX)
		goto out;
	again = cluster_parse(sbuf_text(&text), text.len, &diags);
	if (again == NULL)
		fail(diags.n > 0 ? diags.item[0].text : "refused", sbuf_text(&text));
	config_diff_summary(c, again, &change);
	if (strcmp(sbuf_text(&change), "nothing changed") != 0)
		fail(sbuf_text(&change), sbuf_text(&text));
	cluster_unref(again);
out:
	diag_done(&diags);
	sbuf_done(&change);
	sbuf_done(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *text = (const char *)data;
	const struct cluster *c;
	struct diag_list diags;

	diag_init(&diags, "fuzz");
	c = cluster_parse(text, len, &diags);
	if ((c == NULL) != (diags.errors > 0))
		fail("verdict and findings differ", "");
	render(&diags, text, len);
	diag_done(&diags);
	if (c != NULL) {
		round_trip(c, false);
		round_trip(c, true);
	}
	cluster_unref(c);
	return 0;
}
