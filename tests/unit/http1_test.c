/* SPDX-License-Identifier: Apache-2.0 */
/* Heads: one row per rule, and each row cut into two reads at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/http1/http1.h"
#include "proxy/http1/http1_scan.h"

#define G    "GET / HTTP/1.1\r\n"
#define H    "Host: a\r\n"
#define P    "POST / HTTP/1.1\r\n" H
#define END  "\r\n"
#define MORE (-1) /* an incomplete head */

static const struct row {
	const char *what, *head;
	int verdict; /* enum http1_error, or MORE */
} requests[] = {
    {"plain", G H END, HTTP1_OK},
    {"no host in 1.0", "GET / HTTP/1.0\r\n" END, HTTP1_OK},
    {"a later minor version", "GET / HTTP/1.9\r\n" H END, HTTP1_OK},
    {"unknown method", "BREW /pot HTTP/1.1\r\n" H END, HTTP1_OK},
    {"OPTIONS *", "OPTIONS * HTTP/1.1\r\n" H END, HTTP1_OK},
    {"absolute", "GET http://a/b HTTP/1.1\r\n" H END, HTTP1_OK},
    {"absolute, any case", "GET HTTP://A HTTP/1.1\r\n" H END, HTTP1_OK},
    {"IPv6 host", G "Host: [2001:db8::1]:80\r\n" END, HTTP1_OK},
    {"empty value", G H "X:\r\n" END, HTTP1_OK},
    {"tab in a value", G H "X: a\tb\r\n" END, HTTP1_OK},
    {"Latin-1 in a value", G H "X: \xe9\r\n" END, HTTP1_OK},
    {"length", P "Content-Length: 5\r\n" END, HTTP1_OK},
    {"chunked", P "Transfer-Encoding: Chunked\r\n" END, HTTP1_OK},

    {"nothing", "", MORE},
    {"half a line", "GET / HT", MORE},
    {"no empty line", G H, MORE},
    {"half an empty line", G H "\r", MORE},

    {"no method", " / HTTP/1.1\r\n" H END, HTTP1_BAD_LINE},
    {"method of other characters", "G(T / HTTP/1.1\r\n" H END, HTTP1_BAD_LINE},
    {"method without end", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", HTTP1_BAD_LINE},
    {"two spaces", "GET  / HTTP/1.1\r\n" H END, HTTP1_BAD_LINE},
    {"space at the end", "GET / HTTP/1.1 \r\n" H END, HTTP1_BAD_LINE},
    {"version 0.9", "GET /\r\n" H END, HTTP1_BAD_LINE},
    {"lower-case name", "GET / http/1.1\r\n" H END, HTTP1_BAD_LINE},
    {"version of letters", "GET / HTTP/1.x\r\n" H END, HTTP1_BAD_LINE},
    {"TLS hello", "\x16\x03\x01\x02", HTTP1_BAD_LINE},
    {"version 2", "PRI * HTTP/2.0\r\n\r\n", HTTP1_BAD_VERSION},
    {"control in a target", "GET /\x01 HTTP/1.1\r\n" H END, HTTP1_BAD_TARGET},
    {"tab after target", "GET /\tHTTP/1.1\r\n" H END, HTTP1_BAD_TARGET},
    {"UTF-8 in a target", "GET /\xc3\xa9 HTTP/1.1\r\n" H END, HTTP1_BAD_TARGET},
    {"fragment", "GET /#a HTTP/1.1\r\n" H END, HTTP1_BAD_TARGET},
    {"relative target", "GET a HTTP/1.1\r\n" H END, HTTP1_BAD_TARGET},
    {"GET *", "GET * HTTP/1.1\r\n" H END, HTTP1_BAD_TARGET},
    {"user in a target", "GET http://u@a/ HTTP/1.1\r\n" H END, HTTP1_BAD_TARGET},
    {"no authority", "GET http:///x HTTP/1.1\r\n" H END, HTTP1_BAD_TARGET},
    {"CONNECT", "CONNECT a:443 HTTP/1.1\r\n" H END, HTTP1_BAD_METHOD},

    {"bare LF, request line", "GET / HTTP/1.1\nHost: a\r\n" END, HTTP1_BARE_LF},
    {"bare LF, field", G "Host: a\n" END, HTTP1_BARE_LF},
    {"bare LF, end", G H "\n", HTTP1_BARE_LF},
    {"bare LF in a value", G H "X: a\nb: c\r\n" END, HTTP1_BARE_LF},
    {"bare CR in a value", G H "X: a\rb\r\n" END, HTTP1_BARE_LF},
    {"bare CR at an end", G H "\rX", HTTP1_BARE_LF},
    {"control in a value", G H "X: a\x01z\r\n" END, HTTP1_BAD_FIELD},
    {"DEL in a value", G H "X: a\x7fz\r\n" END, HTTP1_BAD_FIELD},
    {"fold", G H "X: a\r\n b\r\n" END, HTTP1_OBS_FOLD},
    {"fold by tab", G H "X: a\r\n\tb\r\n" END, HTTP1_OBS_FOLD},
    {"space before the first field", G " " H END, HTTP1_OBS_FOLD},
    {"space before a colon", G "Host : a\r\n" END, HTTP1_BAD_FIELD},
    {"no colon", G H "X\r\n" END, HTTP1_BAD_FIELD},
    {"no name", G H ": a\r\n" END, HTTP1_BAD_FIELD},
    {"name of other characters", G H "X[: a\r\n" END, HTTP1_BAD_FIELD},

    {"no host", G END, HTTP1_BAD_HOST},
    {"two hosts", G H H END, HTTP1_BAD_HOST},
    {"two hosts in 1.0", "GET / HTTP/1.0\r\n" H "Host: b\r\n" END, HTTP1_BAD_HOST},
    {"empty host", G "Host:\r\n" END, HTTP1_BAD_HOST},
    {"host with a path", G "Host: a/b\r\n" END, HTTP1_BAD_HOST},
    {"host with a user", G "Host: u@a\r\n" END, HTTP1_BAD_HOST},
    {"host with a space", G "Host: a b\r\n" END, HTTP1_BAD_HOST},
    {"host with a bad port", G "Host: a:8x\r\n" END, HTTP1_BAD_HOST},
    {"host with a long port", G "Host: a:800000\r\n" END, HTTP1_BAD_HOST},
    {"half an IPv6 host", G "Host: [::1\r\n" END, HTTP1_BAD_HOST},
    {"another host", "GET http://b/ HTTP/1.1\r\n" H END, HTTP1_BAD_HOST},

    {"differing lengths", P "Content-Length: 5\r\nContent-Length: 6\r\n" END,
	HTTP1_BAD_LENGTH},
    {"equal lengths", P "Content-Length: 5\r\nContent-Length: 5\r\n" END,
	HTTP1_BAD_LENGTH},
    {"list of lengths", P "Content-Length: 5, 5\r\n" END, HTTP1_BAD_LENGTH},
    {"signed length", P "Content-Length: +5\r\n" END, HTTP1_BAD_LENGTH},
    {"negative length", P "Content-Length: -5\r\n" END, HTTP1_BAD_LENGTH},
    {"hexadecimal length", P "Content-Length: 0x5\r\n" END, HTTP1_BAD_LENGTH},
    {"empty length", P "Content-Length:\r\n" END, HTTP1_BAD_LENGTH},
    {"length with a space", P "Content-Length: 1 0\r\n" END, HTTP1_BAD_LENGTH},
    {"enormous length", P "Content-Length: 18446744073709551617\r\n" END,
	HTTP1_BAD_LENGTH},
    {"length and chunked", P "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END,
	HTTP1_LENGTH_AND_CODING},
    {"chunked and length", P "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n" END,
	HTTP1_LENGTH_AND_CODING},
    {"chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" END,
	HTTP1_BAD_CODING},
    {"chunked twice", P "Transfer-Encoding: chunked, chunked\r\n" END,
	HTTP1_BAD_CODING},
    {"chunked in two fields",
	P "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END,
	HTTP1_BAD_CODING},
    {"empty coding", P "Transfer-Encoding:\r\n" END, HTTP1_BAD_CODING},
    {"empty element", P "Transfer-Encoding: ,chunked\r\n" END, HTTP1_BAD_CODING},
    {"empty last element", P "Transfer-Encoding: chunked,\r\n" END, HTTP1_BAD_CODING},
    {"coding with parameter", P "Transfer-Encoding: chunked;a\r\n" END,
	HTTP1_BAD_CODING},
    {"quoted coding", P "Transfer-Encoding: \"chunked\"\r\n" END, HTTP1_BAD_CODING},
    {"unknown coding", P "Transfer-Encoding: xchunked\r\n" END, HTTP1_UNKNOWN_CODING},
    {"identity", P "Transfer-Encoding: identity\r\n" END, HTTP1_UNKNOWN_CODING},
    {"gzip, chunked", P "Transfer-Encoding: gzip, chunked\r\n" END,
	HTTP1_UNKNOWN_CODING},
    {"chunked, gzip", P "Transfer-Encoding: chunked, gzip\r\n" END,
	HTTP1_UNKNOWN_CODING},
    {"Connection of other characters", G H "Connection: a b\r\n" END, HTTP1_BAD_FIELD},
};

static int
verdict(int rc, const struct http1_head *h)
{
	if (rc == -EAGAIN)
		return MORE;
	assert_true(rc == 0 || rc == -EBADMSG);
	assert_int_equal(rc == 0, h->error == HTTP1_OK);
	return (int)h->error;
}

/* Parses a copy that has not one byte more, for ASan to guard. */
static int
request(struct http1_head *h, const char *s, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);
	int v;

	assert_non_null(copy);
	memcpy(copy, s, len);
	v = verdict(http1_parse_request(h, copy, len), h);
	free(copy);
	return v;
}

static void
request_rows(void **state)
{
	struct http1_head h;

	(void)state;
	for (size_t r = 0; r < ARRAY_LEN(requests); r++) {
		const struct row *row = &requests[r];
		size_t len = strlen(row->head);
		int v = request(&h, row->head, len);

		if (v != row->verdict)
			fail_msg("%s: %d instead of %d", row->what, v, row->verdict);
		/* Cut short, it is either incomplete or refused for the same reason. */
		for (size_t cut = 0; cut < len; cut++) {
			int part = request(&h, row->head, cut);

			if (part != MORE && (part != v || part == HTTP1_OK))
				fail_msg("%s: %d at %zu", row->what, part, cut);
		}
	}
}

static void
nul_bytes(void **state)
{
	static const char *const where[] = {"G\001T / HTTP/1.1\r\n" H END,
	    "GET /\001 HTTP/1.1\r\n" H END, G "H\001st: a\r\n" END,
	    G H "X: \001\r\n" END, G "Host: \001\r\n" END};
	struct http1_head h;
	char buf[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(where); i++) {
		size_t len = strlen(where[i]);

		memcpy(buf, where[i], len);
		*(char *)memchr(buf, 1, len) = '\0';
		assert_true(request(&h, buf, len) > HTTP1_OK);
	}
}

static void
limits(void **state)
{
	char *big = malloc(2 * HTTP1_HEAD_MAX);
	struct http1_head h;
	size_t n;

	(void)state;
	assert_non_null(big);
	memset(big, 'a', 2 * HTTP1_HEAD_MAX);
	memcpy(big, "GET /", 5);
	assert_int_equal(request(&h, big, 4 + HTTP1_TARGET_MAX), MORE);
	assert_int_equal(request(&h, big, 5 + HTTP1_TARGET_MAX), HTTP1_LONG_TARGET);

	memcpy(big, G "X: ", sizeof(G "X: ") - 1);
	assert_int_equal(request(&h, big, HTTP1_HEAD_MAX - 1), MORE);
	assert_int_equal(request(&h, big, HTTP1_HEAD_MAX), HTTP1_LONG_HEAD);
	/* Complete, but one byte too long; then just right. */
	n = HTTP1_HEAD_MAX + 1 - sizeof("\r\nHost: a\r\n\r\n") + 1;
	memcpy(big + n, "\r\n" H END, sizeof("\r\n" H END) - 1);
	assert_int_equal(request(&h, big, HTTP1_HEAD_MAX + 1), HTTP1_LONG_HEAD);
	memcpy(big + n - 1, "\r\n" H END, sizeof("\r\n" H END) - 1);
	assert_int_equal(request(&h, big, HTTP1_HEAD_MAX), HTTP1_OK);
	assert_int_equal(h.len, HTTP1_HEAD_MAX);

	n = sizeof(G H) - 1;
	memcpy(big, G H, n);
	for (unsigned i = 1; i < HTTP1_FIELDS_MAX; i++, n += 4)
		memcpy(big + n, "X:\r\n", 4);
	memcpy(big + n, END "X:\r\n" END, 8);
	assert_int_equal(request(&h, big, n + 2), HTTP1_OK);
	assert_int_equal(h.n_fields, HTTP1_FIELDS_MAX);
	memcpy(big + n, "X:\r\n" END, 6);
	assert_int_equal(request(&h, big, n + 6), HTTP1_LONG_HEAD);

	n = sizeof(G H "Connection: a") - 1;
	memcpy(big, G H "Connection: a", n);
	for (unsigned i = 1; i < HTTP1_NOMINEE_MAX; i++, n += 2)
		memcpy(big + n, ",a", 2);
	memcpy(big + n, "\r\n\r\n", 4);
	assert_int_equal(request(&h, big, n + 4), HTTP1_OK);
	memcpy(big + n, ",a\r\n\r\n", 6);
	assert_int_equal(request(&h, big, n + 6), HTTP1_BAD_FIELD);
	free(big);
}

static void
whole_result(void **state)
{
	static const char s[] = "POST /a?b HTTP/1.1\r\nHOST:\t h:1 \r\n"
				"content-LENGTH: 12\r\nExpect: 100-Continue\r\n"
				"X-Other:  two words  \r\n\r\nbody";
	struct http1_head h;
	struct http1_slice v;

	(void)state;
	assert_int_equal(http1_parse_request(&h, s, sizeof(s) - 1), 0);
	assert_int_equal(h.len, sizeof(s) - 1 - 4);
	assert_int_equal(h.method, HTTP1_POST);
	assert_memory_equal(s + h.method_text.off, "POST", h.method_text.len);
	assert_memory_equal(s + h.target.off, "/a?b", 4);
	assert_int_equal(h.target.len, 4);
	assert_memory_equal(s + h.host.off, "h:1", 3);
	assert_int_equal(h.host.len, 3);
	assert_int_equal(h.framing, HTTP1_LENGTH);
	assert_int_equal(h.length, 12);
	assert_true(h.expect_continue && h.keep_alive && !h.upgrade);
	assert_int_equal(h.n_fields, 4);
	v = http1_field_value(&h, s, "x-other");
	assert_int_equal(v.len, 9);
	assert_memory_equal(s + v.off, "two words", 9);
	assert_int_equal(http1_field_value(&h, s, "absent").len, 0);
	assert_int_equal(h.field[3].end + 2, h.len);
}

/* Keep-alive, upgrade and expectations of requests. */
static void
request_persistence(void **state)
{
	static const struct {
		const char *head;
		bool keep_alive, upgrade, expect;
	} rows[] = {
	    {G H END, true, false, false},
	    {G H "Connection: close\r\n" END, false, false, false},
	    {G H "Connection: Keep-Alive, CLOSE\r\n" END, false, false, false},
	    {"GET / HTTP/1.0\r\n" END, false, false, false},
	    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n" END, true, false, false},
	    {G H "Connection: upgrade\r\nUpgrade: websocket\r\n" END, true, true,
		false},
	    {G H "Upgrade: websocket\r\n" END, true, false, false},
	    {G H "Connection: upgrade\r\n" END, true, false, false},
	    {G H "Connection: Upgrade\r\nUpgrade: h2c\r\n" END, true, false, false},
	    {"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: w\r\n" END, false,
		false, false},
	    {G H "Expect: 100-continue\r\n" END, true, false, false},
	    {P "Expect: 100-continue\r\nContent-Length: 1\r\n" END, true, false, true},
	    {P "Expect: 100-continue\r\nContent-Length: 0\r\n" END, true, false, false},
	    {"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n" END,
		false, false, false},
	};
	struct http1_head h;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (request(&h, rows[i].head, strlen(rows[i].head)) != HTTP1_OK ||
		    h.keep_alive != rows[i].keep_alive ||
		    h.upgrade != rows[i].upgrade || h.expect_continue != rows[i].expect)
			fail_msg("row %zu: %s", i, rows[i].head);
	}
}

#define OK11 "HTTP/1.1 200 OK\r\n"

static void
responses(void **state)
{
	static const struct {
		const char *head;
		enum http1_method to;
		int verdict;
		enum http1_framing framing;
		bool keep_alive;
	} rows[] = {
	    {OK11 "Content-Length: 7\r\n" END, HTTP1_GET, HTTP1_OK, HTTP1_LENGTH, true},
	    {OK11 "Content-Length: 0\r\n" END, HTTP1_GET, HTTP1_OK, HTTP1_NO_BODY,
		true},
	    {OK11 "Content-Length: 7\r\n" END, HTTP1_HEAD, HTTP1_OK, HTTP1_NO_BODY,
		true},
	    {OK11 "Transfer-Encoding: chunked\r\n" END, HTTP1_GET, HTTP1_OK,
		HTTP1_CHUNKED, true},
	    {OK11 "Transfer-Encoding: chunked\r\n" END, HTTP1_HEAD, HTTP1_OK,
		HTTP1_NO_BODY, true},
	    {OK11 END, HTTP1_GET, HTTP1_OK, HTTP1_UNTIL_CLOSE, false},
	    {OK11 END, HTTP1_HEAD, HTTP1_OK, HTTP1_NO_BODY, true},
	    {OK11 "Connection: close\r\nContent-Length: 1\r\n" END, HTTP1_GET, HTTP1_OK,
		HTTP1_LENGTH, false},
	    {"HTTP/1.0 200 OK\r\nContent-Length: 7\r\n" END, HTTP1_GET, HTTP1_OK,
		HTTP1_LENGTH, false},
	    {"HTTP/1.1 200\r\nContent-Length: 7\r\n" END, HTTP1_GET, HTTP1_OK,
		HTTP1_LENGTH, true},
	    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n" END, HTTP1_GET,
		HTTP1_OK, HTTP1_NO_BODY, true},
	    {"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n" END, HTTP1_GET,
		HTTP1_OK, HTTP1_NO_BODY, true},
	    {"HTTP/1.1 100 Continue\r\n" END, HTTP1_POST, HTTP1_OK, HTTP1_NO_BODY,
		true},
	    {"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: w\r\n" END, HTTP1_GET,
		HTTP1_OK, HTTP1_TUNNEL, true},
	    {OK11, HTTP1_GET, MORE, 0, 0},
	    {"HTTP/1.", HTTP1_GET, MORE, 0, 0},
	    {"HTTP/1.1 99 x\r\n" END, HTTP1_GET, HTTP1_BAD_LINE, 0, 0},
	    {"HTTP/1.1 099 x\r\n" END, HTTP1_GET, HTTP1_BAD_LINE, 0, 0},
	    {"HTTP/1.1 600 x\r\n" END, HTTP1_GET, HTTP1_BAD_LINE, 0, 0},
	    {"HTTP/1.1 2000 x\r\n" END, HTTP1_GET, HTTP1_BAD_LINE, 0, 0},
	    {"HTTP/1.1  200 x\r\n" END, HTTP1_GET, HTTP1_BAD_LINE, 0, 0},
	    {"HTTP/1.1 200 a\x01\r\n" END, HTTP1_GET, HTTP1_BAD_LINE, 0, 0},
	    {"HTTP/1.1 200 OK\nX: y\r\n" END, HTTP1_GET, HTTP1_BARE_LF, 0, 0},
	    {"HTTP/2 200 OK\r\n" END, HTTP1_GET, HTTP1_BAD_VERSION, 0, 0},
	    {"ICY 200 OK\r\n" END, HTTP1_GET, HTTP1_BAD_LINE, 0, 0},
	    {OK11 "Content-Length: 1\r\nContent-Length: 2\r\n" END, HTTP1_GET,
		HTTP1_BAD_LENGTH, 0, 0},
	    {OK11 "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n" END, HTTP1_GET,
		HTTP1_LENGTH_AND_CODING, 0, 0},
	    {OK11 "Transfer-Encoding: gzip\r\n" END, HTTP1_GET, HTTP1_UNKNOWN_CODING, 0,
		0},
	    {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n" END, HTTP1_GET,
		HTTP1_BAD_CODING, 0, 0},
	    {OK11 " folded\r\n" END, HTTP1_GET, HTTP1_OBS_FOLD, 0, 0},
	};
	struct http1_head h;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *s = rows[i].head;
		int v = verdict(http1_parse_response(&h, s, strlen(s), rows[i].to), &h);

		if (v != rows[i].verdict)
			fail_msg("%s: %d instead of %d", s, v, rows[i].verdict);
		if (v == HTTP1_OK && (h.framing != rows[i].framing ||
					 h.keep_alive != rows[i].keep_alive))
			fail_msg("%s: framing %u", s, h.framing);
	}
}

static const struct http1_via via = {
    .client = "192.0.2.7", .proto = "http", .local = "l:80"};

#define ADDED                            \
	"X-Forwarded-For: 192.0.2.7\r\n" \
	"X-Forwarded-Proto: http\r\n"    \
	"Forwarded: for=192.0.2.7;proto=http\r\n"

static void
forward_requests(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
	    {G H END, G H ADDED END},
	    {"GET / HTTP/1.0\r\nA: b\r\n" END, G "Host: l:80\r\nA: b\r\n" ADDED END},
	    {"GET http://a/x?y HTTP/1.1\r\nA: b\r\n" H "C: d\r\n" END,
		"GET /x?y HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\n" ADDED END},
	    {"GET http://a HTTP/1.1\r\n" H END, G H ADDED END},
	    {"GET http://a?q HTTP/1.0\r\n" END, "GET /?q HTTP/1.1\r\n" H ADDED END},
	    {"OPTIONS http://a HTTP/1.1\r\n" H END,
		"OPTIONS * HTTP/1.1\r\n" H ADDED END},
	    /* Hop-by-hop fields, also between others, and what Connection names. */
	    {G "A: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nB: 2\r\n" H
	       "Connection: x-secret, close\r\nX-SECRET: 1\r\nC: 3\r\n" END,
		G "A: 1\r\nB: 2\r\n" H "C: 3\r\n" ADDED END},
	    /* Naming Content-Length or Host does not make them go away. */
	    {P "Connection: content-length, host\r\nContent-Length: 3\r\n" END,
		P "Content-Length: 3\r\n" ADDED END},
	    {P "Transfer-Encoding:chunked\r\nTrailer: a\r\n" END,
		P "Trailer: a\r\nTransfer-Encoding: chunked\r\n" ADDED END},
	    {G H "TE: gzip, trailers\r\nConnection: TE\r\n" END,
		G H ADDED "TE: trailers\r\nConnection: keep-alive, TE\r\n" END},
	    {G H "TE: gzip\r\n" END, G H ADDED END},
	    {G H "Upgrade: websocket\r\nConnection: Upgrade\r\nA: b\r\n" END, G H
		"A: b\r\n" ADDED "Upgrade: websocket\r\nConnection: upgrade\r\n" END},
	    {G H "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
		 "HTTP2-Settings: AA\r\n" END,
		G H ADDED END},
	    {"POST / HTTP/1.0\r\n" H
	     "Expect: 100-continue\r\nContent-Length: 1\r\n" END,
		P "Content-Length: 1\r\n" ADDED END},
	    {G H "X-Forwarded-For: 1.1.1.1\r\nForwarded: for=a\r\nX-Forwarded-For: "
		 "2.2.2.2\r\n"
		 "X-Forwarded-Proto: https\r\n" END,
		G H "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 192.0.2.7\r\n"
		    "X-Forwarded-Proto: http\r\n"
		    "Forwarded: for=a, for=192.0.2.7;proto=http\r\n" END},
	};
	struct http1_head h;
	char out[1024];
	int n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = strlen(rows[i].in);

		assert_int_equal(http1_parse_request(&h, rows[i].in, len), 0);
		n = http1_forward_request(&h, rows[i].in, &via, out, sizeof(out) - 1);
		assert_true(n > 0 && (size_t)n <= len + HTTP1_FORWARD_EXTRA);
		out[n] = '\0';
		assert_string_equal(out, rows[i].out);
		/* Every smaller buffer is refused, none is overrun (ASan). */
		for (int cap = 0; cap < n; cap++) {
			char *small = malloc(cap > 0 ? (size_t)cap : 1);

			assert_non_null(small);
			assert_int_equal(http1_forward_request(
					     &h, rows[i].in, &via, small, (size_t)cap),
			    -ENOBUFS);
			free(small);
		}
	}
}

static void
forward_request_variants(void **state)
{
	static const struct http1_via v6 = {
	    .client = "2001:db8::7", .proto = "https", .local = "l", .close = true};
	struct http1_head h;
	char out[512];
	int n;

	(void)state;
	assert_int_equal(http1_parse_request(&h, G H END, sizeof(G H END) - 1), 0);
	n = http1_forward_request(&h, G H END, &v6, out, sizeof(out) - 1);
	assert_true(n > 0);
	out[n] = '\0';
	assert_string_equal(out, G H "X-Forwarded-For: 2001:db8::7\r\n"
				     "X-Forwarded-Proto: https\r\n"
				     "Forwarded: for=\"[2001:db8::7]\";proto=https\r\n"
				     "Connection: close\r\n" END);
}

static void
forward_responses(void **state)
{
	static const struct {
		const char *in;
		struct http1_answer a;
		const char *out;
	} rows[] = {
	    {OK11 "A: b\r\nContent-Length: 1\r\n" END, {1, true, false, NULL},
		OK11 "A: b\r\nContent-Length: 1\r\n" END},
	    {OK11 "A: b\r\nContent-Length: 1\r\n" END, {1, false, false, NULL},
		OK11 "A: b\r\nContent-Length: 1\r\nConnection: close\r\n" END},
	    {OK11 "Content-Length: 1\r\n" END, {0, true, false, NULL},
		OK11 "Content-Length: 1\r\nConnection: keep-alive\r\n" END},
	    {"HTTP/1.0 404 No\r\nConnection: keep-alive, x\r\nX: 1\r\nContent-Length: "
	     "1\r\n"
	     "Keep-Alive: 3\r\n" END,
		{1, true, false, NULL}, "HTTP/1.1 404 No\r\nContent-Length: 1\r\n" END},
	    {OK11 "Transfer-Encoding: chunked\r\nA: b\r\n" END, {1, true, false, NULL},
		OK11 "A: b\r\nTransfer-Encoding: chunked\r\n" END},
	    {OK11 "Transfer-Encoding: chunked\r\nA: b\r\n" END, {0, false, true, NULL},
		OK11 "A: b\r\nConnection: close\r\n" END},
	    {"HTTP/1.1 100 Continue\r\nA: b\r\n" END, {1, false, false, NULL},
		"HTTP/1.1 100 Continue\r\nA: b\r\n" END},
	    {"HTTP/1.1 204 N\r\nContent-Length: 9\r\n" END, {1, true, false, NULL},
		"HTTP/1.1 204 N\r\n" END},
	    {"HTTP/1.1 204 N\r\n" END, {1, true, false, NULL},
		"HTTP/1.1 204 N\r\n" END},
	    {"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: w\r\nA: b\r\n" END,
		{1, true, false, NULL},
		"HTTP/1.1 101 S\r\nA: b\r\nUpgrade: w\r\nConnection: upgrade\r\n" END},
	};
	struct http1_head h;
	char out[512];
	int n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = strlen(rows[i].in);

		assert_int_equal(
		    http1_parse_response(&h, rows[i].in, len, HTTP1_GET), 0);
		n = http1_forward_response(
		    &h, rows[i].in, &rows[i].a, out, sizeof(out) - 1);
		assert_true(n > 0);
		out[n] = '\0';
		assert_string_equal(out, rows[i].out);
		for (int cap = 0; cap < n; cap++)
			assert_int_equal(http1_forward_response(&h, rows[i].in,
					     &rows[i].a, out, (size_t)cap),
			    -ENOBUFS);
	}
}

static void
empty_lines(void **state)
{
	struct http1_head h;

	(void)state;
	assert_int_equal(http1_skip_crlf("\r\nGET", 5), 2);
	assert_int_equal(http1_skip_crlf("\r\n\r\n\r\n", 6), 4);
	assert_int_equal(http1_skip_crlf("\r", 1), 0);
	assert_int_equal(http1_skip_crlf("\n", 1), 0);
	assert_int_equal(http1_skip_crlf("", 0), 0);
	assert_int_equal(request(&h, "\r", 1), MORE);
	assert_int_equal(request(&h, "\rG", 2), HTTP1_BAD_LINE);
}

static void
reasons(void **state)
{
	(void)state;
	for (int e = 0; e < HTTP1_N_ERRORS; e++) {
		const struct http1_reason *r = http1_reason((enum http1_error)e);

		assert_non_null(r->text);
		assert_string_not_equal(http1_phrase(r->status), "Unknown");
		assert_int_equal(r->status >= 400, e != HTTP1_OK);
	}
	assert_int_equal(http1_reason(HTTP1_LONG_HEAD)->status, 431);
	assert_string_equal(http1_phrase(502), "Bad Gateway");
	assert_string_equal(http1_phrase(299), "Unknown");
}

/* The vector searches against the plain ones: every byte at every place of a block. */
static void
scans(void **state)
{
	char buf[40];

	(void)state;
	for (int c = 0; c < 256; c++)
		for (size_t at = 0; at < sizeof(buf); at++) {
			memset(buf, 'x', sizeof(buf));
			buf[at] = (char)c;
			for (size_t i = 0; i < 20; i++) {
				assert_int_equal(http1_scan_token(buf, i, sizeof(buf)),
				    http1_scan_token_plain(buf, i, sizeof(buf)));
				assert_int_equal(http1_scan_text(buf, i, sizeof(buf)),
				    http1_scan_text_plain(buf, i, sizeof(buf)));
				assert_int_equal(
				    http1_scan_visible(buf, i, sizeof(buf)),
				    http1_scan_visible_plain(buf, i, sizeof(buf)));
			}
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(request_rows),
	    cmocka_unit_test(nul_bytes),
	    cmocka_unit_test(limits),
	    cmocka_unit_test(whole_result),
	    cmocka_unit_test(request_persistence),
	    cmocka_unit_test(responses),
	    cmocka_unit_test(forward_requests),
	    cmocka_unit_test(forward_request_variants),
	    cmocka_unit_test(forward_responses),
	    cmocka_unit_test(empty_lines),
	    cmocka_unit_test(reasons),
	    cmocka_unit_test(scans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
