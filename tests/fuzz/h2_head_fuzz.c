/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_head_fuzz.c - any fields as a request of HTTP/2.
 *
 * The input is lines: "name=value" as the fields of a request, whose last may be cut
 * short by a NUL to say that no body follows. What is written is one head and nothing
 * behind it: the strict reader takes exactly all of it, or refuses it, and never waits
 * for more; it has no more fields than were given and are ours; its framing is the one
 * that was meant. The same bytes as a trailer section never lead outside.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "proxy/h2/h2_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Like a session: memory that grows with what is gathered. */
static void
gather(struct h2_gather *g, const char *name, size_t n, const char *value, size_t v)
{
	size_t need = h2_gather_need(n, v);

	if (need <= H2_GATHER_MAX - g->len) {
		g->p = realloc(g->p, g->len + need);
		if (g->p == NULL)
			abort();
		g->cap = g->len + (uint32_t)need;
	}
	h2_gather_field(g, name, n, value, v);
	ASSERT(g->len <= g->cap && g->lines <= g->len);
}

static void
gather_all(struct h2_gather *g, const char *p, size_t len)
{
	while (len > 0) {
		const char *end = memchr(p, '\n', len), *eq;
		size_t line = end != NULL ? (size_t)(end - p) : len;

		eq = memchr(p, '=', line);
		if (eq == NULL)
			gather(g, p, line, "", 0);
		else
			gather(g, p, (size_t)(eq - p), eq + 1,
			    line - (size_t)(eq - p) - 1);
		line += end != NULL;
		p += line;
		len -= line;
	}
}

static void
request(const char *p, size_t len, bool ended)
{
	static const uint8_t nonce[H2_NONCE];
	static struct http1_head head;
	struct h2_gather g;
	size_t cap;
	char *out;
	int n, rc;

	h2_gather_init(&g, H2_REQUEST);
	gather_all(&g, p, len);
	cap = g.len + H2_HEAD_EXTRA;
	out = malloc(cap);
	if (out == NULL)
		abort();
	n = h2_write_request(&g, ended, nonce, out, cap);
	ASSERT(n == -EBADMSG || n > 0);
	ASSERT((n < 0) == (g.error != HTTP1_OK));
	if (n > 0) {
		rc = http1_parse_request(&head, out, (size_t)n);
		ASSERT(rc == 0 || rc == -EBADMSG);
		ASSERT(rc != 0 || head.len == (uint32_t)n);
		ASSERT(rc != 0 || head.n_fields <= g.n_fields + 4);
		ASSERT(rc != 0 || head.upgrade == h2_is_websocket(&g));
		ASSERT(rc != 0 || ended || g.has_length || head.upgrade ||
		       head.framing == HTTP1_CHUNKED);
		ASSERT(rc != 0 || head.framing != HTTP1_CHUNKED ||
		       (!ended && !g.has_length));
	}
	free(out);
	free(g.p);
}

/* As an answer: the same, and never one that only the connection's end would end. */
static void
answer(const char *p, size_t len, bool ended, bool to_head)
{
	static struct http1_head head;
	struct h2_gather g;
	size_t cap;
	char *out;
	int n, rc;

	h2_gather_init(&g, H2_ANSWER);
	gather_all(&g, p, len);
	cap = g.len + H2_HEAD_EXTRA;
	out = malloc(cap);
	if (out == NULL)
		abort();
	n = h2_write_answer(&g, ended, to_head, out, cap);
	ASSERT(n == -EBADMSG || n > 0);
	if (n > 0) {
		rc = http1_parse_response(
		    &head, out, (size_t)n, to_head ? HTTP1_HEAD : HTTP1_GET);
		ASSERT(rc == 0 || rc == -EBADMSG);
		ASSERT(rc != 0 || head.len == (uint32_t)n);
		ASSERT(rc != 0 || head.n_fields <= g.n_fields + 1);
		ASSERT(rc != 0 || head.framing != HTTP1_UNTIL_CLOSE);
		ASSERT(rc != 0 || head.framing != HTTP1_TUNNEL);
		ASSERT(rc != 0 || head.framing != HTTP1_CHUNKED ||
		       (!ended && !to_head && !g.has_length));
	}
	free(out);
	free(g.p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *p = (const char *)data;
	nghttp2_nv nv[H2_NV_MAX];
	struct h2_gather g;
	size_t n;

	request(p, len, true);
	request(p, len, false);
	answer(p, len, true, false);
	answer(p, len, false, false);
	answer(p, len, false, true);
	h2_gather_init(&g, H2_TRAILER);
	gather_all(&g, p, len);
	free(g.p);
	n = h2_trailer_fields(p, len, nv);
	for (size_t i = 0; i < n; i++) {
		const char *name = (const char *)nv[i].name,
			   *value = (const char *)nv[i].value;

		ASSERT(name >= p && name + nv[i].namelen <= p + len);
		ASSERT(value >= p && value + nv[i].valuelen <= p + len);
	}
	return 0;
}
