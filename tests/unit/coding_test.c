/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coding_test.c - what clients ask for, what answers allow, and what becomes of their
 * heads, by rows; streams of every coding cut in random places, read by the libraries'
 * own decoders.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the ones above first. */
#include <brotli/decode.h>
#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

#include "base/rng.h"
#include "proxy/request/coding.h"
#include "proxy/request/squeeze.h"

static const char *const types[] = {"text/*", "application/json", "*/*+xml"};

static const struct compression_conf conf = {
    .on = true,
    .order = {CODING_ZSTD, CODING_BR, CODING_GZIP},
    .n_codings = 3,
    .types = {types, 2},
    .minimum = 100,
    .level = 4,
};

static const struct compression_conf gzip_only = {
    .order = {CODING_GZIP}, .n_codings = 1, .types = {types, 1}};

static void
request(struct http1_head *h, char *text, size_t size, const char *accept)
{
	int n = snprintf(text, size, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", accept);

	assert_int_equal(http1_parse_request(h, text, (size_t)n), 0);
}

static void
accepted(void **state)
{
	static const struct {
		const char *field;
		enum coding best, gzip; /* of all three; where only gzip is offered */
	} row[] = {
	    {"X: y", CODING_IDENTITY, CODING_IDENTITY},
	    {"Accept-Encoding: gzip", CODING_GZIP, CODING_GZIP},
	    {"accept-encoding: GZip", CODING_GZIP, CODING_GZIP},
	    {"Accept-Encoding: x-gzip", CODING_GZIP, CODING_GZIP},
	    {"Accept-Encoding: gzip, br", CODING_BR, CODING_GZIP},
	    {"Accept-Encoding: gzip,br,zstd", CODING_ZSTD, CODING_GZIP},
	    {"Accept-Encoding: gzip\r\nAccept-Encoding: br", CODING_BR, CODING_GZIP},
	    {"Accept-Encoding: br;q=0.5, gzip;q=0.9", CODING_GZIP, CODING_GZIP},
	    {"Accept-Encoding: br;q=0.500, gzip;q=0.499", CODING_BR, CODING_GZIP},
	    {"Accept-Encoding: *", CODING_ZSTD, CODING_GZIP},
	    {"Accept-Encoding: *;q=0.1, br", CODING_BR, CODING_GZIP},
	    {"Accept-Encoding: zstd;q=0, *", CODING_BR, CODING_GZIP},
	    {"Accept-Encoding: gzip;q=0", CODING_IDENTITY, CODING_IDENTITY},
	    {"Accept-Encoding: gzip;q=0.000", CODING_IDENTITY, CODING_IDENTITY},
	    {"Accept-Encoding: gzip;q=0.001", CODING_GZIP, CODING_GZIP},
	    {"Accept-Encoding: gzip;q=1.000", CODING_GZIP, CODING_GZIP},
	    {"Accept-Encoding: gzip;q=1.001", CODING_IDENTITY, CODING_IDENTITY},
	    {"Accept-Encoding: gzip;q=0.0001", CODING_IDENTITY, CODING_IDENTITY},
	    {"Accept-Encoding: gzip;q=-1", CODING_IDENTITY, CODING_IDENTITY},
	    {"Accept-Encoding: gzip;q", CODING_IDENTITY, CODING_IDENTITY},
	    {"Accept-Encoding: gzip;", CODING_GZIP, CODING_GZIP},
	    {"Accept-Encoding: gzip \t; \tq=0.3", CODING_GZIP, CODING_GZIP},
	    {"Accept-Encoding: identity, gzip;q=0.5", CODING_IDENTITY, CODING_IDENTITY},
	    {"Accept-Encoding: identity, gzip", CODING_GZIP, CODING_GZIP},
	    {"Accept-Encoding: identity;q=0", CODING_IDENTITY, CODING_IDENTITY},
	    {"Accept-Encoding: , ,gzip,", CODING_GZIP, CODING_GZIP},
	    {"Accept-Encoding: gzipx, xgzip", CODING_IDENTITY, CODING_IDENTITY},
	    {"Accept-Encoding:", CODING_IDENTITY, CODING_IDENTITY},
	    {"Accept-Encoding: ;q=1, =, ;", CODING_IDENTITY, CODING_IDENTITY},
	};
	static struct http1_head h;
	char text[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		print_message("%s\n", row[i].field);
		request(&h, text, sizeof(text), row[i].field);
		assert_int_equal(coding_accepted(&conf, &h, text), row[i].best);
		assert_int_equal(coding_accepted(&gzip_only, &h, text), row[i].gzip);
	}
}

#define HTML "Content-Type: text/html\r\n"

static void
fits(void **state)
{
	static const struct {
		const char *head;
		bool get, head_too;
	} row[] = {
	    {"200 OK\r\n" HTML "Content-Length: 100", true, true},
	    {"200 OK\r\n" HTML "Content-Length: 99", false, false},
	    {"200 OK\r\n" HTML "Transfer-Encoding: chunked", true, true},
	    {"200 OK\r\n" HTML "X: y", true, true},
	    {"404 No\r\n" HTML "Content-Length: 100", true, true},
	    {"204 No\r\n" HTML "X: y", false, false},
	    {"205 No\r\n" HTML "Content-Length: 100", false, false},
	    {"206 Part\r\n" HTML "Content-Length: 100", false, false},
	    {"304 No\r\n" HTML "Content-Length: 100", false, false},
	    {"200 OK\r\nContent-Length: 100", false, false},
	    {"200 OK\r\nContent-Type: TEXT/x; a=b\r\nContent-Length: 100", true, true},
	    {"200 OK\r\nContent-Type: text\r\nContent-Length: 100", false, false},
	    {"200 OK\r\nContent-Type: image/png\r\nContent-Length: 100", false, false},
	    {"200 OK\r\nContent-Type: application/json\r\nX: y", true, true},
	    {"200 OK\r\nContent-Type: application/jsonx\r\nX: y", false, false},
	    {"200 OK\r\n" HTML "Content-Encoding: gzip", false, false},
	    {"200 OK\r\n" HTML "Content-Range: bytes 0-1/2", false, false},
	    {"200 OK\r\n" HTML "Cache-Control: public, NO-transform", false, false},
	    {"200 OK\r\n" HTML "Cache-Control: public\r\nCache-Control: no-transform",
		false, false},
	    {"200 OK\r\n" HTML "Cache-Control: no-transformx, max-age=0", true, true},
	    {"200 OK\r\n" HTML "Digest: sha-256=x", false, false},
	    {"200 OK\r\n" HTML "Trailer: x\r\nTransfer-Encoding: chunked", false,
		false},
	};
	static struct http1_head h;
	char text[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		int n =
		    snprintf(text, sizeof(text), "HTTP/1.1 %s\r\n\r\n", row[i].head);

		print_message("%s\n", row[i].head);
		assert_int_equal(
		    http1_parse_response(&h, text, (size_t)n, HTTP1_GET), 0);
		assert_int_equal(coding_fits(&conf, &h, text, HTTP1_GET), row[i].get);
		assert_int_equal(
		    http1_parse_response(&h, text, (size_t)n, HTTP1_HEAD), 0);
		assert_int_equal(
		    coding_fits(&conf, &h, text, HTTP1_HEAD), row[i].head_too);
	}
}

static void
lines(void **state)
{
	static const struct {
		const char *field, *plain, *gzip;
	} row[] = {
	    {"X: y", "Vary: Accept-Encoding\r\n",
		"Vary: Accept-Encoding\r\nContent-Encoding: gzip\r\n"
		"Transfer-Encoding: chunked\r\n"},
	    {"Vary: x, ACCEPT-encoding", "",
		"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"},
	    {"Vary: *", "", "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"},
	    {"Vary: *\r\nETag: \"a\"", "",
		"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"
		"ETag: W/\"a\"\r\n"},
	    {"Vary: *\r\nETag: W/\"a\"", "",
		"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"
		"ETag: W/\"a\"\r\n"},
	};
	static struct http1_head h;
	char text[512], out[CODING_LINES_MAX];
	size_t len;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		int n = snprintf(
		    text, sizeof(text), "HTTP/1.1 200 OK\r\n%s\r\n\r\n", row[i].field);

		assert_int_equal(
		    http1_parse_response(&h, text, (size_t)n, HTTP1_GET), 0);
		len = coding_lines(&h, text, CODING_IDENTITY, out);
		assert_int_equal(len, strlen(row[i].plain));
		assert_memory_equal(out, row[i].plain, len);
		len = coding_lines(&h, text, CODING_GZIP, out);
		assert_int_equal(len, strlen(row[i].gzip));
		assert_memory_equal(out, row[i].gzip, len);
	}
}

/* ---- streams ------------------------------------------------------------------- */

#define MOST ((size_t)300000)

static size_t
decode_gzip(const char *p, size_t len, char *out, size_t cap)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)p,
	    .avail_in = (uInt)len,
	    .next_out = (Bytef *)out,
	    .avail_out = (uInt)cap};

	assert_int_equal(inflateInit2(&z, 31), Z_OK);
	(void)inflate(&z, Z_SYNC_FLUSH);
	(void)inflateEnd(&z);
	assert_int_equal(z.avail_in, 0);
	return cap - z.avail_out;
}

static size_t
decode_brotli(const char *p, size_t len, char *out, size_t cap)
{
	BrotliDecoderState *d = BrotliDecoderCreateInstance(NULL, NULL, NULL);
	const uint8_t *in = (const uint8_t *)p;
	uint8_t *to = (uint8_t *)out;
	size_t room = cap;

	assert_non_null(d);
	assert_int_not_equal(
	    BrotliDecoderDecompressStream(d, &len, &in, &room, &to, NULL),
	    BROTLI_DECODER_RESULT_ERROR);
	BrotliDecoderDestroyInstance(d);
	return cap - room;
}

static size_t
decode_zstd(const char *p, size_t len, char *out, size_t cap)
{
	ZSTD_DCtx *d = ZSTD_createDCtx();
	ZSTD_inBuffer in = {p, len, 0};
	ZSTD_outBuffer to = {out, cap, 0};

	assert_non_null(d);
	while (in.pos < in.size)
		assert_false(ZSTD_isError(ZSTD_decompressStream(d, &to, &in)));
	(void)ZSTD_freeDCtx(d);
	return to.pos;
}

static size_t (*const decode[CODING_N])(const char *, size_t, char *, size_t) = {
    [CODING_GZIP] = decode_gzip,
    [CODING_BR] = decode_brotli,
    [CODING_ZSTD] = decode_zstd};

/* Runs until the operation is complete, with room for a few bytes at a time. */
static void
run(struct squeeze *s, enum squeeze_op op, struct squeeze_io *io, struct rng *rng)
{
	char *end = io->out + io->out_len;
	int r = 0;

	while (r == 0) {
		size_t room = 512 + rng_below(rng, 5000);

		io->out_len = (size_t)(end - io->out);
		if (io->out_len > room)
			io->out_len = room;
		assert_true(io->out_len > 0);
		r = squeeze_run(s, op, io);
		assert_true(r >= 0);
	}
	assert_int_equal(io->in_len, 0);
	io->out_len = (size_t)(end - io->out);
}

/* Half of it is noise, half repeats. */
static void
make_text(char *p, size_t n, struct rng *rng)
{
	for (size_t i = 0; i < n; i++)
		p[i] = i > 1000 && rng_below(rng, 50) > 0 ? p[i - 1000]
							  : (char)rng_next(rng);
}

static void
stream(struct squeeze_pool *pool, enum coding coding, struct rng *rng, char *memory)
{
	struct squeeze *s = squeeze_get(pool, coding, 1 + (unsigned)rng_below(rng, 9));
	char *text = memory, *packed = memory + MOST, *back = memory + 3 * MOST;
	size_t n = rng_below(rng, (uint32_t)MOST), at = 0;
	struct squeeze_io io = {.out = packed, .out_len = 2 * MOST};

	assert_non_null(s);
	make_text(text, n, rng);
	while (at < n) {
		size_t part = 1 + rng_below(rng, 40000);

		io.in = text + at;
		io.in_len = part < n - at ? part : n - at;
		at += io.in_len;
		run(s, SQUEEZE_MORE, &io, rng);
		if (rng_below(rng, 3) > 0)
			continue;
		run(s, SQUEEZE_FLUSH, &io, rng);
		assert_int_equal(
		    decode[coding](packed, (size_t)(io.out - packed), back, MOST), at);
		assert_memory_equal(back, text, at);
	}
	run(s, SQUEEZE_END, &io, rng);
	assert_int_equal(
	    decode[coding](packed, (size_t)(io.out - packed), back, MOST), n);
	assert_memory_equal(back, text, n);
	squeeze_put(pool, s);
}

static void
streams(void **state)
{
	struct squeeze_pool pool = {.n = 0};
	char *memory = malloc(4 * MOST);
	struct rng rng;

	(void)state;
	assert_non_null(memory);
	for (uint64_t seed = 1; seed <= 15; seed++) {
		rng = (struct rng){seed};
		print_message("seed %u\n", (unsigned)seed);
		for (unsigned coding = CODING_GZIP; coding < CODING_N; coding++)
			stream(&pool, (enum coding)coding, &rng, memory);
	}
	assert_int_equal(pool.n, 0);
	squeeze_pool_done(&pool);
	free(memory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(accepted),
	    cmocka_unit_test(fits),
	    cmocka_unit_test(lines),
	    cmocka_unit_test(streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
