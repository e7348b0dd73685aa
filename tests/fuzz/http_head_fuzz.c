/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_head_fuzz.c - any bytes as a request and as a response.
 *
 * Whatever they are: the verdict does not depend on how they were cut into reads;
 * slices lie inside the head; the vector searches agree with the plain ones. What was
 * accepted and written on is accepted again, with the same framing, and has lost every
 * field that ends at this hop; a writer never passes the bytes it was given.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "proxy/http1/http1.h"
#include "proxy/http1/http1_scan.h"

#define CUTS 64 /* every byte of a short input, evenly spread over a long one */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct parser {
	bool request;
	enum http1_method to;
};

static int
parse(const struct parser *how, struct http1_head *h, const char *p, size_t len)
{
	return how->request ? http1_parse_request(h, p, len)
			    : http1_parse_response(h, p, len, how->to);
}

static void
inside(const struct http1_head *h, struct http1_slice s)
{
	ASSERT(s.off <= h->len && s.len <= h->len - s.off);
}

static void
slices(const struct http1_head *h, const char *p)
{
	uint32_t at = 0;

	ASSERT(h->len >= 4 && h->len <= HTTP1_HEAD_MAX);
	ASSERT(memcmp(p + h->len - 4, "\r\n\r\n", 4) == 0);
	inside(h, h->target);
	inside(h, h->host);
	inside(h, http1_cookie(h, p, "id"));
	for (unsigned i = 0; i < h->n_fields; i++) {
		const struct http1_field *f = &h->field[i];

		inside(h, f->name);
		inside(h, f->value);
		ASSERT(i == 0 || f->line == at);
		ASSERT(f->name.len > 0 && p[f->name.off + f->name.len] == ':');
		ASSERT(memchr(p + f->line, '\n', f->end - f->line) == p + f->end - 1);
		at = f->end;
	}
	ASSERT(h->n_fields == 0 || at + 2 == h->len);
}

/* A part of the input is incomplete, or has the verdict of the whole. */
static void
cuts(const struct parser *how, const char *p, size_t len, int rc,
    const struct http1_head *whole)
{
	static struct http1_head h;
	size_t step = len / CUTS + 1;

	for (size_t cut = 0; cut < len; cut += step) {
		char *copy = malloc(cut > 0 ? cut : 1); /* ASan guards its end */
		int part;

		if (copy == NULL)
			abort();
		memcpy(copy, p, cut);
		part = parse(how, &h, copy, cut);
		free(copy);
		ASSERT(part == -EAGAIN || part == rc);
		if (part == -EBADMSG)
			ASSERT(h.error == whole->error);
		if (part == 0)
			ASSERT(h.len == whole->len && h.n_fields == whole->n_fields &&
			       h.framing == whole->framing &&
			       h.length == whole->length);
	}
}

static void
scans(const char *p, size_t len)
{
	for (size_t i = 0; i <= len; i += len / CUTS + 1) {
		ASSERT(
		    http1_scan_token(p, i, len) == http1_scan_token_plain(p, i, len));
		ASSERT(http1_scan_text(p, i, len) == http1_scan_text_plain(p, i, len));
		ASSERT(http1_scan_visible(p, i, len) ==
		       http1_scan_visible_plain(p, i, len));
	}
}

/* In a buffer of exactly the promised size, and in one that is a byte too small. */
static size_t
forward(const struct parser *how, const struct http1_head *h, const char *p, char *out)
{
	static const struct http1_via via = {
	    .client = "2001:db8:1111:2222:3333:4444:5555:6666",
	    .proto = "https",
	    .local = "[2001:db8:1111:2222:3333:4444:5555:6666]:65535",
	};
	const struct http1_answer a = {.minor = 0, .keep_alive = true};
	size_t cap = h->len + HTTP1_FORWARD_EXTRA;
	char *exact;
	int n = how->request ? http1_forward_request(h, p, &via, out, cap)
			     : http1_forward_response(h, p, &a, out, cap),
	    again;

	ASSERT(n > 0 && (size_t)n <= cap);
	exact = malloc((size_t)n);
	if (exact == NULL)
		abort();
	again = how->request ? http1_forward_request(h, p, &via, exact, (size_t)n)
			     : http1_forward_response(h, p, &a, exact, (size_t)n);
	ASSERT(again == n && memcmp(exact, out, (size_t)n) == 0);
	again = how->request ? http1_forward_request(h, p, &via, exact, (size_t)n - 1)
			     : http1_forward_response(h, p, &a, exact, (size_t)n - 1);
	ASSERT(again == -ENOBUFS);
	free(exact);
	return (size_t)n;
}

static bool
is_hop(enum http1_name id)
{
	return id == HTTP1_N_KEEP_ALIVE || id == HTTP1_N_PROXY_CONNECTION;
}

static void
written(const struct parser *how, const struct http1_head *h, const char *p)
{
	static char out[HTTP1_HEAD_MAX + HTTP1_FORWARD_EXTRA];
	static struct http1_head again;
	size_t n = forward(how, h, p, out);
	int rc = parse(how, &again, out, n);

	/* What we add may push a head at the limit over it. */
	if (rc == -EBADMSG && again.error == HTTP1_LONG_HEAD)
		return;
	ASSERT(rc == 0 && again.len == n && again.minor == 1);
	ASSERT(again.framing == h->framing);
	ASSERT(again.framing != HTTP1_LENGTH || again.length == h->length);
	ASSERT(again.method == h->method && again.status == h->status);
	ASSERT(again.upgrade == h->upgrade);
	for (unsigned i = 0; i < again.n_fields; i++)
		ASSERT(!is_hop(again.field[i].id));
	if (!how->request)
		return;
	ASSERT(again.host.len > 0);
	ASSERT(h->host.len == 0 ||
	       (again.host.len == h->host.len &&
		   memcmp(out + again.host.off, p + h->host.off, h->host.len) == 0));
	ASSERT(out[again.target.off] == '/' || out[again.target.off] == '*');
}

static void
try(const struct parser *how, const char *p, size_t len)
{
	static struct http1_head h;
	int rc = parse(how, &h, p, len);

	ASSERT(rc == 0 || rc == -EAGAIN || rc == -EBADMSG);
	ASSERT(rc != -EBADMSG || (h.error > HTTP1_OK && h.error < HTTP1_N_ERRORS));
	cuts(how, p, len, rc, &h);
	if (rc != 0)
		return;
	ASSERT(h.error == HTTP1_OK);
	slices(&h, p);
	written(how, &h, p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *p = (const char *)data;

	try(&(struct parser){.request = true}, p, len);
	try(&(struct parser){.to = HTTP1_GET}, p, len);
	try(&(struct parser){.to = HTTP1_HEAD}, p, len);
	scans(p, len);
	ASSERT(http1_skip_crlf(p, len) <= len);
	return 0;
}
