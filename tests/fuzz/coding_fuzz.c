/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coding_fuzz.c - any bytes as heads that are asked about compression.
 *
 * Whatever they say: the lines fit their room and are whole lines; what is written with
 * them is a head again, with one framing, one ETag and one coding, for HEAD as for GET.
 */
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "proxy/request/coding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *const types[] = {"text/*", "*/json", "a/*b"};
static const struct compression_conf conf = {.on = true,
    .order = {CODING_ZSTD, CODING_BR, CODING_GZIP},
    .n_codings = 3,
    .types = {types, 3},
    .minimum = 10};

static void
recoded(const struct http1_head *h, const char *p, enum coding coding)
{
	static char out[HTTP1_HEAD_MAX + HTTP1_FORWARD_EXTRA + CODING_LINES_MAX];
	static struct http1_head again;
	char line[CODING_LINES_MAX];
	struct http1_edit edit = {.extra = "", .more = line};
	const struct http1_answer a = {
	    .minor = 1, .keep_alive = true, .dechunk = true, .edit = &edit};
	int n, rc;

	edit.more_len = coding_lines(h, p, coding, line);
	edit.also = coding_drops(&edit.n_also);
	n = http1_forward_response(h, p, &a, out, sizeof(out));
	ASSERT(n > 0);
	rc = http1_parse_response(&again, out, (size_t)n, HTTP1_GET);
	/* What we add may push a head at the limit over it. */
	if (rc != 0 && again.error == HTTP1_LONG_HEAD)
		return;
	ASSERT(rc == 0 && again.len == (uint32_t)n);
	ASSERT(again.framing == HTTP1_CHUNKED);
	ASSERT(http1_field_value(&again, out, "content-encoding").len ==
	       strlen(coding_name(coding)));
	ASSERT(http1_field_value(&again, out, "content-length").len == 0);
	ASSERT(coding_lines(&again, out, CODING_IDENTITY, line) == 0); /* it varies */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct http1_head h;
	const char *p = (const char *)data;

	if (http1_parse_request(&h, p, len) == 0)
		ASSERT(coding_accepted(&conf, &h, p) < CODING_N);
	if (http1_parse_response(&h, p, len, HTTP1_HEAD) == 0)
		(void)coding_fits(&conf, &h, p, HTTP1_HEAD);
	if (http1_parse_response(&h, p, len, HTTP1_GET) == 0 &&
	    coding_fits(&conf, &h, p, HTTP1_GET)) {
		for (unsigned i = CODING_GZIP; i < CODING_N; i++)
			recoded(&h, p, (enum coding)i);
	}
	return 0;
}
