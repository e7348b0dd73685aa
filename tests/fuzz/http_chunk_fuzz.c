/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_chunk_fuzz.c - any bytes as a chunked body.
 *
 * The end, the verdict and the data are those of a plain reader written apart from the
 * code, and the same however the bytes are cut into reads.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "proxy/http1/http1.h"

#define CUTS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct result {
	struct http1_body b;
	size_t used, n_data;
	char *data;
};

/* Reads [0, cut) and [cut, len), each from memory of exactly its size. */
static struct result
follow(const char *p, size_t len, size_t cut, bool dechunk)
{
	struct result r = {.data = malloc(len + 1)};
	size_t at = 0, n, got;

	if (r.data == NULL)
		abort();
	http1_body_init(&r.b, HTTP1_CHUNKED, 0);
	for (size_t end = cut; !r.b.done && r.b.error == HTTP1_OK; end = len) {
		char *piece = malloc(end > at ? end - at : 1);

		if (piece == NULL)
			abort();
		memcpy(piece, p + at, end - at);
		got = 0;
		n = dechunk ? http1_body_dechunk(&r.b, piece, end - at, &got)
			    : http1_body_pass(&r.b, piece, end - at);
		ASSERT(n <= end - at && got <= n);
		ASSERT(n == end - at || r.b.done || r.b.error != HTTP1_OK);
		/* Passing on changes nothing. */
		ASSERT(dechunk || memcmp(piece, p + at, end - at) == 0);
		memcpy(r.data + r.n_data, piece, got);
		free(piece);
		r.n_data += got;
		r.used += n;
		if (end == len)
			break;
		at = end;
	}
	return r;
}

static size_t
line(const char *p, size_t len, size_t at)
{
	const char *lf = memchr(p + at, '\n', len - at);

	return lf != NULL ? (size_t)(lf - p) + 1 : 0;
}

/*
 * The body of a finished message, read again line by line. Only what was accepted comes
 * here, so anything it cannot read is a finding.
 */
static void
check_finished(const char *p, const struct result *r)
{
	size_t at = 0, end, data = 0;
	unsigned long long size;
	char *stop;

	do {
		end = line(p, r->used, at);
		ASSERT(end >= at + 3 && p[end - 2] == '\r');
		size = strtoull(p + at, &stop, 16);
		ASSERT(stop > p + at && strchr(" \t;\r", *stop) != NULL);
		at = end;
		if (size == 0)
			break;
		ASSERT(size <= r->used - at && r->used - at - size >= 2);
		ASSERT(size <= r->n_data - data);
		ASSERT(memcmp(p + at, r->data + data, size) == 0);
		data += size;
		at += size;
		ASSERT(p[at] == '\r' && p[at + 1] == '\n');
		at += 2;
	} while (size > 0);
	ASSERT(data == r->n_data);
	while ((end = line(p, r->used, at)) != at + 2) {
		ASSERT(end > at + 2 && p[end - 2] == '\r');
		ASSERT(memchr(p + at, ':', end - at) != NULL);
		at = end;
	}
	ASSERT(end == r->used);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *p = (const char *)data;
	struct result whole = follow(p, len, len, true), part;

	ASSERT(whole.b.error == HTTP1_OK || !whole.b.done);
	if (whole.b.done)
		check_finished(p, &whole);
	for (size_t cut = 0; cut <= len; cut += len / CUTS + 1)
		for (int dechunk = 0; dechunk < 2; dechunk++) {
			part = follow(p, len, cut, dechunk != 0);
			ASSERT(part.b.error == whole.b.error);
			ASSERT(part.b.done == whole.b.done && part.used == whole.used);
			ASSERT(!dechunk ||
			       (part.n_data == whole.n_data &&
				   memcmp(part.data, whole.data, whole.n_data) == 0));
			free(part.data);
		}
	free(whole.data);
	return 0;
}
