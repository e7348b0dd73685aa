/* SPDX-License-Identifier: Apache-2.0 */
/* Heads between HTTP/2 and HTTP/1.1: rows of fields and the text that they become. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/h2/h2_budget.h"
#include "proxy/h2/h2_head.h"

#define PLAIN ":method=GET\n:scheme=http\n:authority=a.example\n:path=/x?y\n"
#define LINE  "GET /x?y HTTP/1.1\r\n"
#define HOST  "host: a.example\r\n"
#define END   "\r\n"

static char memory[H2_GATHER_MAX];
static const uint8_t nonce[H2_NONCE] = "0123456789abcde";

/* `text` has lines "name=value". */
static void
gather(struct h2_gather *g, const char *text, enum h2_kind kind)
{
	h2_gather_init(g, kind);
	g->p = memory;
	g->cap = sizeof(memory);
	while (*text != '\0') {
		const char *end = strchr(text, '\n'), *eq = strchr(text, '=');

		assert_non_null(end);
		assert_non_null(eq);
		h2_gather_field(
		    g, text, (size_t)(eq - text), eq + 1, (size_t)(end - eq - 1));
		text = end + 1;
	}
}

static void
requests(void **state)
{
	static const struct {
		const char *fields;
		bool ended;
		const char *text;
	} row[] = {
	    {PLAIN, true, LINE HOST END},
	    {PLAIN "x-one=1\nx-two=\n", true, LINE HOST "x-one: 1\r\nx-two: \r\n" END},
	    {":path=*\n:method=OPTIONS\n:scheme=https\nhost=b\n", true,
		"OPTIONS * HTTP/1.1\r\nhost: b\r\n" END},
	    {PLAIN "host=A.example\n", true, LINE "host: A.example\r\n" END},
	    {PLAIN "cookie=a=1\nx=1\nhost=a.example\ncookie=b=2\ncookie=c\n", true,
		LINE "cookie: a=1; b=2; c\r\nx: 1\r\nhost: a.example\r\n" END},
	    {PLAIN "host=a.example\ncookie=\ncookie=b\n", true,
		LINE "host: a.example\r\ncookie: ; b\r\n" END},
	    {PLAIN "te=trailers\n", true, LINE HOST "te: trailers\r\n" END},
	    {PLAIN "sec-websocket-key=mine\n", true, LINE HOST END},
	    {PLAIN, false, LINE HOST "transfer-encoding: chunked\r\n" END},
	    {PLAIN "content-length=5\n", false, LINE HOST "content-length: 5\r\n" END},
	    {":method=POST\n:scheme=http\n:path=/\n:authority=b\n", true,
		"POST / HTTP/1.1\r\nhost: b\r\ncontent-length: 0\r\n" END},
	    {":method=CONNECT\n:protocol=websocket\n:scheme=http\n:path=/c\n"
	     ":authority=b\nsec-websocket-key=theirs\nsec-websocket-version=13\n",
		false,
		"GET /c HTTP/1.1\r\nhost: b\r\nsec-websocket-version: 13\r\n"
		"upgrade: websocket\r\nconnection: close, upgrade\r\n"
		"sec-websocket-key: MDEyMzQ1Njc4OWFiY2RlAA==\r\n\r\n"},
	};
	static struct http1_head head;
	struct h2_gather g;
	char out[512];
	int n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		gather(&g, row[i].fields, H2_REQUEST);
		n = h2_write_request(&g, row[i].ended, nonce, out, sizeof(out) - 1);
		assert_true(n > 0);
		out[n] = '\0';
		assert_string_equal(out, row[i].text);
		/* The strict reader takes it, all of it, and sees the body we mean. */
		assert_int_equal(http1_parse_request(&head, out, (size_t)n), 0);
		assert_int_equal(head.len, n);
		assert_int_equal(
		    head.framing == HTTP1_CHUNKED || head.framing == HTTP1_LENGTH,
		    !row[i].ended && !h2_is_websocket(&g));
		assert_int_equal(head.upgrade, h2_is_websocket(&g));
		/* A byte less of room is noticed. */
		assert_int_equal(
		    h2_write_request(&g, row[i].ended, nonce, out, (size_t)n - 1),
		    -ENOBUFS);
	}
}

static void
refusals(void **state)
{
	static const struct {
		const char *fields;
		enum http1_error error;
	} row[] = {
	    {"", HTTP1_BAD_LINE},
	    {":method=GET\n:scheme=http\n", HTTP1_BAD_TARGET},
	    {":method=GET\n:path=/\n", HTTP1_BAD_TARGET},
	    {":scheme=http\n:path=/\n", HTTP1_BAD_LINE},
	    {":method=GET\n:scheme=http\n:path=\n", HTTP1_BAD_TARGET},
	    {":method=GET\n:scheme=http\n:path=x\n", HTTP1_BAD_TARGET},
	    {":method=GET\n:scheme=http\n:path=*\n", HTTP1_BAD_TARGET},
	    {":method=GET\n:scheme=http\n:path=/ HTTP/1.1\n", HTTP1_BAD_TARGET},
	    {":method=GET\n:scheme=http\n:path=/\r\n", HTTP1_BAD_TARGET},
	    {":method=G T\n:scheme=http\n:path=/\n", HTTP1_BAD_LINE},
	    {":method=GET\n:authority=a b\n", HTTP1_BAD_HOST},
	    {":method=GET\n:authority=a\r\n", HTTP1_BAD_HOST},
	    {PLAIN ":path=/\n", HTTP1_BAD_LINE},
	    {PLAIN ":status=200\n", HTTP1_BAD_LINE},
	    {PLAIN ":protocol=websocket\n", HTTP1_BAD_LINE},
	    {":method=GET\nx=1\n:scheme=http\n:path=/\n", HTTP1_BAD_LINE},
	    {":method=CONNECT\n:authority=a:1\n", HTTP1_BAD_METHOD},
	    {":method=CONNECT\n:protocol=masque\n:scheme=http\n:path=/\n",
		HTTP1_BAD_METHOD},
	    {PLAIN "host=b\n", HTTP1_BAD_HOST},
	    {PLAIN "host=a.example\nhost=a.example\n", HTTP1_BAD_HOST},
	    {PLAIN "host=\n", HTTP1_BAD_HOST},
	    {PLAIN "=1\n", HTTP1_BAD_FIELD},
	    {PLAIN "X=1\n", HTTP1_BAD_FIELD},
	    {PLAIN "x y=1\n", HTTP1_BAD_FIELD},
	    {PLAIN "x:y=1\n", HTTP1_BAD_FIELD},
	    {PLAIN "x\r=1\n", HTTP1_BAD_FIELD},
	    {PLAIN "x=1\r\n", HTTP1_BAD_FIELD},
	    {PLAIN "x= 1\n", HTTP1_BAD_FIELD},
	    {PLAIN "x=1 \n", HTTP1_BAD_FIELD},
	    {PLAIN "x=a\x01\n", HTTP1_BAD_FIELD},
	    {PLAIN "connection=close\n", HTTP1_BAD_FIELD},
	    {PLAIN "keep-alive=5\n", HTTP1_BAD_FIELD},
	    {PLAIN "proxy-connection=x\n", HTTP1_BAD_FIELD},
	    {PLAIN "transfer-encoding=chunked\n", HTTP1_BAD_FIELD},
	    {PLAIN "upgrade=h2c\n", HTTP1_BAD_FIELD},
	    {PLAIN "te=gzip\n", HTTP1_BAD_FIELD},
	};
	struct h2_gather g;
	char out[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		gather(&g, row[i].fields, H2_REQUEST);
		assert_int_equal(
		    h2_write_request(&g, true, nonce, out, sizeof(out)), -EBADMSG);
		assert_int_equal(g.error, row[i].error);
	}
	/* A line feed cannot stand in a row. */
	h2_gather_init(&g, H2_REQUEST);
	g.p = memory;
	g.cap = sizeof(memory);
	h2_gather_field(&g, "x", 1, "a\nb: c", 6);
	assert_int_equal(g.error, HTTP1_BAD_FIELD);
	h2_gather_init(&g, H2_REQUEST);
	g.p = memory;
	g.cap = sizeof(memory);
	h2_gather_field(&g, "x", 1, "a\0b", 3);
	assert_int_equal(g.error, HTTP1_BAD_FIELD);
}

static void
limits(void **state)
{
	static char out[HTTP1_HEAD_MAX], value[H2_GATHER_MAX];
	static struct http1_head head;
	struct h2_gather g;
	int n;

	(void)state;
	memset(value, 'v', sizeof(value));
	gather(&g, PLAIN, H2_REQUEST);
	h2_gather_field(&g, "x", 1, value, H2_GATHER_MAX - g.len - 5);
	assert_int_equal(g.error, HTTP1_OK);
	n = h2_write_request(&g, false, nonce, out, g.len + H2_HEAD_EXTRA);
	assert_true(n > 0);
	assert_int_equal(http1_parse_request(&head, out, (size_t)n), 0);
	h2_gather_field(&g, "y", 1, "", 0);
	assert_int_equal(g.error, HTTP1_LONG_HEAD);
	gather(&g, PLAIN, H2_REQUEST);
	for (unsigned i = 0; i < H2_FIELDS_MAX; i++)
		h2_gather_field(&g, "x", 1, "", 0);
	n = h2_write_request(&g, false, nonce, out, g.len + H2_HEAD_EXTRA);
	assert_true(n > 0);
	assert_int_equal(http1_parse_request(&head, out, (size_t)n), 0);
	h2_gather_field(&g, "x", 1, "", 0);
	assert_int_equal(g.error, HTTP1_LONG_HEAD);
	gather(&g, "", H2_TRAILER);
	h2_gather_field(&g, "x", 1, value, H2_TRAILER_MAX);
	assert_int_equal(g.error, HTTP1_LONG_TRAILER);
}

static void
request_trailers(void **state)
{
	struct h2_gather g;

	(void)state;
	gather(&g, "x-sum=7\ncontent-length=5\nhost=b\nte=trailers\ny=\n", H2_TRAILER);
	assert_int_equal(g.error, HTTP1_OK);
	assert_int_equal(g.len - g.lines, strlen("x-sum: 7\r\ny: \r\n"));
	assert_memory_equal(g.p + g.lines, "x-sum: 7\r\ny: \r\n", g.len - g.lines);
	gather(&g, ":path=/\n", H2_TRAILER);
	assert_int_equal(g.error, HTTP1_BAD_LINE);
}

/* The fields as lines "name=value". */
static const char *
show(const nghttp2_nv *nv, size_t n)
{
	static char text[1024];
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		assert_true(len + nv[i].namelen + nv[i].valuelen + 3 < sizeof(text));
		memcpy(text + len, nv[i].name, nv[i].namelen);
		len += nv[i].namelen;
		text[len++] = '=';
		memcpy(text + len, nv[i].value, nv[i].valuelen);
		len += nv[i].valuelen;
		text[len++] = '\n';
	}
	text[len] = '\0';
	return text;
}

static void
answers(void **state)
{
	static const struct {
		const char *text, *fields;
	} row[] = {
	    {"HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 3\r\n\r\n",
		":status=200\nA=1\nContent-Length=3\n"},
	    {"HTTP/1.1 404 No\r\nConnection: close, X\r\nX: 1\r\nKeep-Alive: 5\r\n"
	     "Transfer-Encoding: chunked\r\nTrailer: y\r\n\r\n",
		":status=404\nTrailer=y\n"},
	    {"HTTP/1.1 103 Hints\r\nLink: <a>\r\n\r\n", ":status=103\nLink=<a>\n"},
	    {"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
	     "Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: p\r\n\r\n",
		":status=200\nSec-WebSocket-Protocol=p\n"},
	};
	static struct http1_head head;
	nghttp2_nv nv[H2_NV_MAX];
	char status[3];
	size_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		assert_int_equal(http1_parse_response(&head, row[i].text,
				     strlen(row[i].text), HTTP1_GET),
		    0);
		n = h2_answer_fields(&head, row[i].text, status, nv);
		assert_string_equal(show(nv, n), row[i].fields);
	}
}

/* What a server says in HTTP/2. */
static void
server_answers(void **state)
{
	static const struct {
		const char *fields;
		bool ended, to_head;
		const char *text; /* NULL: refused */
	} row[] = {
	    {":status=200\na=1\nset-cookie=b\nset-cookie=c\n", false, false,
		"HTTP/1.1 200 \r\na: 1\r\nset-cookie: b\r\nset-cookie: c\r\n"
		"transfer-encoding: chunked\r\n\r\n"},
	    {":status=200\ncontent-length=3\n", false, false,
		"HTTP/1.1 200 \r\ncontent-length: 3\r\n\r\n"},
	    {":status=404\n", true, false,
		"HTTP/1.1 404 \r\ncontent-length: 0\r\n\r\n"},
	    {":status=200\n", true, true, "HTTP/1.1 200 \r\n\r\n"},
	    {":status=204\n", true, false, "HTTP/1.1 204 \r\n\r\n"},
	    {":status=304\n", false, false, "HTTP/1.1 304 \r\n\r\n"},
	    {":status=103\nlink=x\n", false, false, "HTTP/1.1 103 \r\nlink: x\r\n\r\n"},
	    {":status=101\n", false, false, NULL},
	    {":status=099\n", false, false, NULL},
	    {":status=600\n", false, false, NULL},
	    {":status=20\n", false, false, NULL},
	    {":status=2x0\n", false, false, NULL},
	    {":status=200\n:status=200\n", false, false, NULL},
	    {":status=200\n:path=/\n", false, false, NULL},
	    {":status=200\nconnection=close\n", false, false, NULL},
	    {":status=200\ntransfer-encoding=chunked\n", false, false, NULL},
	    {":status=200\nA=1\n", false, false, NULL},
	    {":status=200\na=1\r\n", false, false, NULL},
	    {"a=1\n", false, false, NULL},
	};
	static struct http1_head head;
	struct h2_gather g;
	char out[512];
	int n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		gather(&g, row[i].fields, H2_ANSWER);
		n = h2_write_answer(
		    &g, row[i].ended, row[i].to_head, out, sizeof(out) - 1);
		if (row[i].text == NULL) {
			assert_int_equal(n, -EBADMSG);
			continue;
		}
		assert_true(n > 0);
		out[n] = '\0';
		assert_string_equal(out, row[i].text);
		assert_int_equal(http1_parse_response(&head, out, (size_t)n,
				     row[i].to_head ? HTTP1_HEAD : HTTP1_GET),
		    0);
		assert_int_equal(head.len, n);
		/* Nothing that the end of a connection would end. */
		assert_int_not_equal(head.framing, HTTP1_UNTIL_CLOSE);
		assert_int_equal(h2_write_answer(&g, row[i].ended, row[i].to_head, out,
				     (size_t)n - 1),
		    -ENOBUFS);
	}
}

/* What a server is asked in HTTP/2. */
static void
server_requests(void **state)
{
	static const struct {
		const char *text, *fields;
	} row[] = {
	    {"GET /x?y HTTP/1.1\r\nA: 1\r\nHost: a\r\n\r\n",
		":method=GET\n:scheme=https\n:authority=a\n:path=/x?y\nA=1\n"},
	    {"POST / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, TE, X\r\n"
	     "TE: trailers\r\nX: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		":method=POST\n:scheme=https\n:authority=a\n:path=/\nte=trailers\n"},
	    {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nTE: gzip\r\n"
	     "Connection: upgrade\r\n\r\n",
		":method=GET\n:scheme=https\n:authority=a\n:path=/\n"},
	};
	static struct http1_head head;
	nghttp2_nv nv[H2_NV_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		assert_int_equal(
		    http1_parse_request(&head, row[i].text, strlen(row[i].text)), 0);
		assert_string_equal(
		    show(nv, h2_request_fields(&head, row[i].text, true, nv)),
		    row[i].fields);
	}
}

static void
answer_trailers(void **state)
{
	static const struct {
		const char *text, *fields;
	} row[] = {
	    {"\r\n", ""},
	    {"Grpc-Status: 0\r\ngrpc-message:\t x \r\n\r\n",
		"Grpc-Status=0\ngrpc-message=x\n"},
	    {"Content-Length: 1\r\nTE: x\r\nHost: y\r\nConnection: z\r\na:b\r\n\r\n",
		"a=b\n"},
	    {"", ""},
	    {"a", ""},
	    {"a:", "a=\n"},
	    {"a: b", "a=b\n"},
	    {"a: b\r", "a=b\n"},
	    {": b\r\n\r\n", ""},
	};
	nghttp2_nv nv[H2_NV_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++)
		assert_string_equal(
		    show(nv, h2_trailer_fields(row[i].text, strlen(row[i].text), nv)),
		    row[i].fields);
}

static void
chunks(void **state)
{
	static char data[70000], out[70000];
	size_t len, n;

	(void)state;
	for (size_t size = 1; size < sizeof(data); size = size * 3 + 1) {
		for (size_t cap = 0; cap < 40; cap++) {
			struct http1_body body;
			size_t got;

			len = size;
			n = h2_write_chunk(data, &len, out, cap);
			assert_int_equal(n > 0, cap > H2_CHUNK_EXTRA);
			assert_true(n <= cap && len <= size);
			if (n == 0)
				continue;
			http1_body_init(&body, HTTP1_CHUNKED, 0);
			assert_int_equal(http1_body_dechunk(&body, out, n, &got), n);
			assert_int_equal(got, len);
			assert_int_equal(body.error, HTTP1_OK);
		}
	}
	len = sizeof(data);
	n = h2_write_chunk(data, &len, out, sizeof(out));
	assert_int_equal(len, 0xffff);
	assert_int_equal(n, 0xffff + H2_CHUNK_EXTRA);
	len = 0;
	assert_int_equal(h2_write_chunk(data, &len, out, sizeof(out)), 0);
}

static void
budget(void **state)
{
	mono_t now = {SEC_NS};
	struct h2_budget b;

	(void)state;
	h2_budget_init(&b, 3, 2, now);
	for (int i = 0; i < 3; i++)
		assert_true(h2_budget_spend(&b, now));
	assert_false(h2_budget_spend(&b, now));
	h2_budget_earn(&b, 1);
	assert_true(h2_budget_spend(&b, now));
	assert_false(h2_budget_spend(&b, now));
	now = mono_add(now, SEC_NS);
	assert_true(h2_budget_spend(&b, now));
	assert_true(h2_budget_spend(&b, now));
	assert_false(h2_budget_spend(&b, now));
	now = mono_add(now, INT64_MAX / 4); /* never more than its maximum */
	for (int i = 0; i < 3; i++)
		assert_true(h2_budget_spend(&b, now));
	assert_false(h2_budget_spend(&b, now));
	h2_budget_earn(&b, UINT32_MAX);
	assert_int_equal(b.left, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(requests),
	    cmocka_unit_test(refusals),
	    cmocka_unit_test(limits),
	    cmocka_unit_test(request_trailers),
	    cmocka_unit_test(answers),
	    cmocka_unit_test(server_answers),
	    cmocka_unit_test(server_requests),
	    cmocka_unit_test(answer_trailers),
	    cmocka_unit_test(chunks),
	    cmocka_unit_test(budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
