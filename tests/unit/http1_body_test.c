/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies: where each ends, what is refused, and the same however the bytes come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/http1/http1.h"

/* What follows a body and must not be taken for a part of it. */
#define NEXT "GET"

static const struct row {
	const char *in;
	enum http1_error error;
	int used; /* bytes of the message; -1: more is needed; on error: where */
	const char *data;
} rows[] = {
    {"0\r\n\r\n" NEXT, HTTP1_OK, 5, ""},
    {"3\r\nabc\r\n0\r\n\r\n" NEXT, HTTP1_OK, 13, "abc"},
    {"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", HTTP1_OK, 20, "abcde"},
    {"A\r\n0123456789\r\n0\r\n\r\n", HTTP1_OK, 20, "0123456789"},
    {"a\r\n0123456789\r\n0\r\n\r\n", HTTP1_OK, 20, "0123456789"},
    {"0003\r\n\r\n\n\r\n000\r\n\r\n" NEXT, HTTP1_OK, 18, "\r\n\n"},
    {"3;a=b;c=\"d e\"\r\nabc\r\n0\r\n\r\n", HTTP1_OK, 25, "abc"},
    {"3 ;a\r\nabc\r\n0;x\r\n\r\n", HTTP1_OK, 18, "abc"},
    {"0\r\nA: b\r\nC:\r\n\r\n" NEXT, HTTP1_OK, 15, ""},

    {"", HTTP1_OK, -1, ""},
    {"3\r\nab", HTTP1_OK, -1, "ab"},
    {"3\r\nabc\r\n0\r\n\r", HTTP1_OK, -1, "abc"},
    {"0\r\nA: b\r\n", HTTP1_OK, -1, ""},

    {"\r\n", HTTP1_BAD_CHUNK, 0, ""},
    {";a\r\n", HTTP1_BAD_CHUNK, 0, ""},
    {"g\r\n", HTTP1_BAD_CHUNK, 0, ""},
    {"-1\r\n", HTTP1_BAD_CHUNK, 0, ""},
    {"+1\r\n", HTTP1_BAD_CHUNK, 0, ""},
    {" 1\r\n", HTTP1_BAD_CHUNK, 0, ""},
    {"0x3\r\nabc\r\n", HTTP1_BAD_CHUNK, 1, ""},
    {"3g\r\n", HTTP1_BAD_CHUNK, 1, ""},
    {"3 \r\nabc\r\n0\r\n\r\n", HTTP1_BAD_CHUNK, 2, ""},
    {"3 4\r\nabc\r\n", HTTP1_BAD_CHUNK, 2, ""},
    {"3\nabc\r\n", HTTP1_BAD_CHUNK, 1, ""},
    {"3\rabc\r\n", HTTP1_BAD_CHUNK, 2, ""},
    {"3;a\nabc\r\n", HTTP1_BAD_CHUNK, 3, ""},
    {"3;\x01\r\nabc\r\n", HTTP1_BAD_CHUNK, 2, ""},
    {"3\r\nabcd\r\n", HTTP1_BAD_CHUNK, 6, "abc"},
    {"3\r\nabc\n0\r\n\r\n", HTTP1_BAD_CHUNK, 6, "abc"},
    {"3\r\nabc\r0\r\n\r\n", HTTP1_BAD_CHUNK, 7, "abc"},
    {"10000000000000000\r\n", HTTP1_BAD_CHUNK, 16, ""},
    {"ffffffffffffffff\r\n", HTTP1_BAD_CHUNK, 15, ""},
    {"0\r\n\n", HTTP1_BAD_CHUNK, 3, ""},
    {"0\r\n\r\r", HTTP1_BAD_CHUNK, 4, ""},
    {"0\r\n a: b\r\n\r\n", HTTP1_BAD_CHUNK, 3, ""},
    {"0\r\n: b\r\n\r\n", HTTP1_BAD_CHUNK, 3, ""},
    {"0\r\na b: c\r\n\r\n", HTTP1_BAD_CHUNK, 4, ""},
    {"0\r\na\r\n\r\n", HTTP1_BAD_CHUNK, 4, ""},
    {"0\r\na: \x7f\r\n\r\n", HTTP1_BAD_CHUNK, 6, ""},
    {"0\r\na: b\n\r\n", HTTP1_BAD_CHUNK, 7, ""},
};

/* Follows `in` in pieces that end at `cut` and at its end; collects the data. */
static void
follow(const struct row *r, size_t cut, bool dechunk)
{
	size_t len = strlen(r->in), at = 0, used = 0, data = 0, n, got;
	char out[64];
	struct http1_body b;

	http1_body_init(&b, HTTP1_CHUNKED, 0);
	for (size_t end = cut; at < len && !b.done && b.error == HTTP1_OK; end = len) {
		char *piece = malloc(end - at + 1);

		assert_non_null(piece);
		memcpy(piece, r->in + at, end - at);
		got = 0;
		n = dechunk ? http1_body_dechunk(&b, piece, end - at, &got)
			    : http1_body_pass(&b, piece, end - at);
		assert_true(n <= end - at && got <= n);
		memcpy(out + data, piece, got);
		free(piece);
		data += got;
		used += n;
		at = end;
	}
	if (b.error != r->error || b.done != (r->error == HTTP1_OK && r->used >= 0) ||
	    used != (r->used < 0 ? len : (size_t)r->used) ||
	    (dechunk && (data != strlen(r->data) || memcmp(out, r->data, data) != 0)))
		fail_msg("%s cut at %zu: error %u done %d used %zu data %.*s", r->in,
		    cut, b.error, b.done, used, (int)data, out);
}

static void
chunked(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t cut = 0; cut <= strlen(rows[i].in); cut++) {
			follow(&rows[i], cut, false);
			follow(&rows[i], cut, true);
		}
}

/* How many bytes of `unit` repeated behind `start` are taken before `error` comes. */
static size_t
taken(const char *start, char unit, enum http1_error error)
{
	struct http1_body b;
	size_t n = 0;

	http1_body_init(&b, HTTP1_CHUNKED, 0);
	assert_int_equal(http1_body_pass(&b, start, strlen(start)), strlen(start));
	while (http1_body_pass(&b, &unit, 1) == 1 && n < 100000)
		n++;
	assert_int_equal(b.error, error);
	return n;
}

static void
limits(void **state)
{
	(void)state;
	assert_int_equal(taken("1;", 'a', HTTP1_BAD_CHUNK), HTTP1_CHUNK_EXT_MAX);
	assert_int_equal(taken("1 ", ' ', HTTP1_BAD_CHUNK), HTTP1_CHUNK_EXT_MAX);
	assert_int_equal(taken("0", '0', HTTP1_BAD_CHUNK), HTTP1_CHUNK_EXT_MAX);
	assert_int_equal(
	    taken("0\r\na:", 'b', HTTP1_LONG_TRAILER), HTTP1_TRAILER_MAX - 2);
	/* The section has one maximum, however many lines it has. */
	assert_int_equal(
	    taken("0\r\na: b\r\nc:", 'd', HTTP1_LONG_TRAILER), HTTP1_TRAILER_MAX - 8);
}

static void
other_framings(void **state)
{
	struct http1_body b;

	(void)state;
	http1_body_init(&b, HTTP1_NO_BODY, 9);
	assert_true(b.done);
	assert_int_equal(http1_body_pass(&b, "abc", 3), 0);

	http1_body_init(&b, HTTP1_LENGTH, 0);
	assert_true(b.done);
	http1_body_init(&b, HTTP1_LENGTH, 5);
	assert_int_equal(http1_body_pass(&b, "abc", 3), 3);
	assert_false(b.done);
	assert_int_equal(b.left, 2);
	assert_int_equal(http1_body_pass(&b, "defg", 4), 2);
	assert_true(b.done);

	http1_body_init(&b, HTTP1_LENGTH, UINT64_MAX);
	assert_int_equal(http1_body_pass(&b, "abc", 3), 3);
	assert_int_equal(b.left, UINT64_MAX - 3);

	http1_body_init(&b, HTTP1_UNTIL_CLOSE, 0);
	assert_int_equal(http1_body_pass(&b, "abc", 3), 3);
	assert_false(b.done);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(chunked),
	    cmocka_unit_test(limits),
	    cmocka_unit_test(other_framings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
