/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard_test.c - the PROXY header by rows and by every cut; rates and connections of
 * sources, many of them at once included.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants the ones above first. */
#include <cmocka.h>

#include "base/mono.h"
#include "base/rng.h"
#include "proxy/meter.h"
#include "proxy/proxy_accept_wire.h"
#include "proxy/proxy_wire.h"

#define V2	 "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(s) (const uint8_t *)(s), sizeof(s) - 1

static const struct {
	const uint8_t *p;
	size_t len;
	int rc;
	const char *from; /* NULL: none */
	size_t used;	  /* 0: all */
} row[] = {
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n"), 0, "1.2.3.4:9", 0},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 65535 0\r\nGET"), 0, "1.2.3.4:65535", 36},
    {BYTES("PROXY TCP6 ::1 ::2 9 10\r\n"), 0, "[::1]:9", 0},
    {BYTES("PROXY UNKNOWN\r\n"), 0, NULL, 0},
    {BYTES("PROXY UNKNOWN ffff::1 ::2 9 10\r\n"), 0, NULL, 0},
    {BYTES("PROXY UNKNOWNX\r\n"), -EBADMSG, NULL, 0},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 9 10 \r\n"), -EBADMSG, NULL, 0},
    {BYTES("PROXY TCP4 1.2.3.4  5.6.7.8 9 10\r\n"), -EBADMSG, NULL, 0},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 09 10\r\n"), -EBADMSG, NULL, 0},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 9 65536\r\n"), -EBADMSG, NULL, 0},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 9 -1\r\n"), -EBADMSG, NULL, 0},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 9 10\n"), -EBADMSG, NULL, 0},
    {BYTES("PROXY TCP4 1.2.3 5.6.7.8 9 10\r\n"), -EBADMSG, NULL, 0},
    {BYTES("PROXY TCP4 ::1 ::2 9 10\r\n"), -EBADMSG, NULL, 0},
    {BYTES("PROXY TCP5 1.2.3.4 5.6.7.8 9 10\r\n"), -EBADMSG, NULL, 0},
    {BYTES("PROXY TCP4 1.2.3.4\0 5.6.7.8 9 10\r\n"), -EBADMSG, NULL, 0},
    {BYTES("proxy TCP4 1.2.3.4 5.6.7.8 9 10\r\n"), -EBADMSG, NULL, 0},
    {BYTES("GET / HTTP/1.1\r\n"), -EBADMSG, NULL, 0},
    {BYTES("\r\n\r\nGET"), -EBADMSG, NULL, 0},
    {BYTES(V2 "\x21\x11\0\x0c\1\2\3\4\5\6\7\x08\0\x09\0\x0a"), 0, "1.2.3.4:9", 0},
    {BYTES(V2 "\x21\x12\0\x0c\1\2\3\4\5\6\7\x08\0\x09\0\x0a"), 0, NULL, 0},
    {BYTES(V2 "\x21\x11\0\x0f\1\2\3\4\5\6\7\x08\0\x09\0\x0a\4\0\0X"), 0, "1.2.3.4:9",
	31},
    {BYTES(V2 "\x20\0\0\0"), 0, NULL, 0},
    {BYTES(V2 "\x21\x31\0\1x"), 0, NULL, 0},
    {BYTES(V2 "\x21\x11\0\x0b\1\2\3\4\5\6\7\x08\0\x09\0"), -EBADMSG, NULL, 0},
    {BYTES(V2 "\x11\x11\0\0"), -EBADMSG, NULL, 0},
    {BYTES(V2 "\x22\x11\0\0"), -EBADMSG, NULL, 0},
    {BYTES(V2 "\x21\x41\0\0"), -EBADMSG, NULL, 0},
    {BYTES(V2 "\x21\x11\x02\x09"), -EBADMSG, NULL, 0},
};

static void
headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct ip_endpoint from = {0}, wanted = {0};
		size_t used = 0, whole = row[i].used > 0 ? row[i].used : row[i].len;
		int rc = proxy_accept_decode(row[i].p, row[i].len, &from, &used);

		if (rc != row[i].rc)
			fail_msg("row %zu: %d", i, rc);
		if (row[i].from != NULL)
			assert_int_equal(ip_endpoint_parse(&wanted, row[i].from), 0);
		assert_int_equal(from.port, wanted.port);
		assert_true(from.ip.family == wanted.ip.family &&
			    (from.ip.family == 0 || ip_equal(&from.ip, &wanted.ip)));
		assert_int_equal(used, rc == 0 ? whole : 0);
		for (size_t cut = 0; rc == 0 && cut < whole; cut++)
			assert_int_equal(
			    proxy_accept_decode(row[i].p, cut, &from, &used), -EAGAIN);
	}
}

/* What we send we take. */
static void
round_trip(void **state)
{
	static const char *const ends[][2] = {{"1.2.3.4:5", "6.7.8.9:10"},
	    {"[2001:db8:1111:2222:3333:4444:5555:6666]:65535", "[::1]:1"}};
	uint8_t out[PROXY_WIRE_MAX];

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(ends); i++) {
		struct ip_endpoint from, to, got = {0};
		size_t n, used = 0;

		assert_int_equal(ip_endpoint_parse(&from, ends[i / 2][0]), 0);
		assert_int_equal(ip_endpoint_parse(&to, ends[i / 2][1]), 0);
		n = proxy_wire_encode(1 + i % 2, &from, &to, out);
		assert_int_equal(proxy_accept_decode(out, n, &got, &used), 0);
		assert_int_equal(used, n);
		assert_true(ip_equal(&got.ip, &from.ip) && got.port == from.port);
	}
}

static uint64_t
source(uint32_t n)
{
	struct ip ip = {.family = AF_INET};

	memcpy(ip.byte, &n, sizeof(n));
	return meter_source(&ip);
}

static void
rates(void **state)
{
	struct meter *m = meter_new();
	int64_t now = 5 * SEC_NS;

	(void)state;
	assert_non_null(m);
	for (int i = 0; i < 10; i++)
		assert_true(meter_request(m, source(1), now, SEC_NS / 10, 10));
	assert_false(meter_request(m, source(1), now, SEC_NS / 10, 10));
	assert_true(meter_request(m, source(2), now, SEC_NS / 10, 10));
	now += SEC_NS / 10 - 1;
	assert_false(meter_request(m, source(1), now, SEC_NS / 10, 10));
	now += 1;
	assert_true(meter_request(m, source(1), now, SEC_NS / 10, 10));
	assert_false(meter_request(m, source(1), now, SEC_NS / 10, 10));
	now += 100 * SEC_NS; /* no more than the burst is saved up */
	for (int i = 0; i < 10; i++)
		assert_true(meter_request(m, source(1), now, SEC_NS / 10, 10));
	assert_false(meter_request(m, source(1), now, SEC_NS / 10, 10));
	meter_unref(m);
}

/* Among a hundred thousand who ask a little, one who asks for all is held, and hardly
 * anybody else is. */
static void
crowd(void **state)
{
	struct meter *m = meter_new();
	struct rng rng = {.state = 3};
	int refused = 0, got = 0;

	(void)state;
	assert_non_null(m);
	for (int64_t ms = 0; ms < 10000; ms++) {
		int64_t now = SEC_NS + ms * MS_NS;

		for (int i = 0; i < 10; i++)
			refused += !meter_request(
			    m, source(1000 + rng_below(&rng, 100000)), now, SEC_NS, 10);
		got += meter_request(m, source(1), now, SEC_NS, 10);
	}
	assert_in_range(got, 10, 20);
	assert_in_range(refused, 0, 100);
	meter_unref(m);
}

static void
connections(void **state)
{
	struct meter *m = meter_new();

	(void)state;
	assert_non_null(m);
	assert_true(meter_open(m, source(1), 2));
	assert_true(meter_open(m, source(1), 2));
	assert_false(meter_open(m, source(1), 2));
	assert_true(meter_open(m, source(2), 2));
	meter_close(m, source(1));
	assert_true(meter_open(m, source(1), 2));
	meter_close(m, source(1));
	meter_close(m, source(1));
	meter_close(m, source(2));
	for (unsigned row_at = 0; row_at < METER_ROWS; row_at++) {
		for (size_t i = 0; i < METER_CELLS; i++)
			assert_int_equal(m->open[row_at][i], 0);
	}
	meter_unref(m);
}

static void
sources(void **state)
{
	struct ip a, b, c;

	(void)state;
	assert_int_equal(ip_parse(&a, "2001:db8:1:2:3::4"), 0);
	assert_int_equal(ip_parse(&b, "2001:db8:1:2:9::"), 0);
	assert_int_equal(ip_parse(&c, "2001:db8:1:3::"), 0);
	assert_true(meter_source(&a) == meter_source(&b));
	assert_true(meter_source(&a) != meter_source(&c));
	assert_true(source(1) != source(2));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(headers),
	    cmocka_unit_test(round_trip),
	    cmocka_unit_test(rates),
	    cmocka_unit_test(crowd),
	    cmocka_unit_test(connections),
	    cmocka_unit_test(sources),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
