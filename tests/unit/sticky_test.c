/* SPDX-License-Identifier: Apache-2.0 */
/* Cookies: the hash by its published vectors, tokens as text, and pairs in a head. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "proxy/http1/http1.h"
#include "proxy/servers/sticky.h"

/* The key 00 01 .. 0f and the first bytes of 00 01 02 ..: the reference's vectors. */
static void
hash_vectors(void **state)
{
	static const uint8_t expected[][16] = {
	    {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14,
		0xc7, 0x55, 0x02, 0x93},
	    {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11,
		0x9b, 0x22, 0xfc, 0x45},
	};
	const struct sticky_key key = {
	    {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)}};
	const uint8_t in[] = {0};

	(void)state;
	for (size_t n = 0; n < ARRAY_LEN(expected); n++) {
		struct sticky_token t = sticky_hash(&key, in, n);
		uint8_t got[16];

		for (size_t i = 0; i < 16; i++)
			got[i] = (uint8_t)(t.t[i / 8] >> (8 * (i % 8)));
		assert_memory_equal(got, expected[n], 16);
	}
}

/* A byte more or less, or another one, is another hash. */
static void
hash_differs(void **state)
{
	struct sticky_key key = sticky_derive("shop", "site", "", 0);
	struct sticky_key other = sticky_derive("shop", "api", "", 0);
	struct sticky_token seen[40];
	char text[40] = "";
	size_t n = 0;

	(void)state;
	assert_true(key.k[0] != other.k[0] && key.k[1] != other.k[1]);
	for (size_t len = 0; len < ARRAY_LEN(seen); len++) {
		seen[n++] = sticky_hash(&key, text, len);
		for (size_t i = 0; i + 1 < n; i++)
			assert_false(sticky_equal(&seen[i], &seen[n - 1]));
	}
}

/* No secret is what there was before secrets; one byte more is another key. */
static void
secrets_differ(void **state)
{
	struct sticky_key seen[33];
	char secret[32] = "";
	const struct sticky_key zero = {{0, 0}};
	struct sticky_token t = sticky_hash(&zero, "shop", 4);
	struct sticky_key k = {{t.t[0], t.t[1]}};

	(void)state;
	t = sticky_hash(&k, "site", 4);
	for (size_t len = 0; len < ARRAY_LEN(seen); len++) {
		seen[len] = sticky_derive("shop", "site", secret, len);
		for (size_t i = 0; i < len; i++)
			assert_true(seen[i].k[0] != seen[len].k[0]);
	}
	assert_true(seen[0].k[0] == t.t[0] && seen[0].k[1] == t.t[1]);
}

static void
text_and_back(void **state)
{
	static const char *const bad[] = {"", "0", "0123456789abcdef0123456789abcde",
	    "0123456789abcdef0123456789abcdef0", "0123456789abcdef0123456789abcdeF",
	    "0123456789abcdef 123456789abcdef", "g123456789abcdef0123456789abcdef"};
	const struct sticky_token t = {{UINT64_C(0x0123456789abcdef), UINT64_C(1)}};
	struct sticky_token back;
	char text[STICKY_LEN], line[STICKY_LINE_MAX];
	size_t n;

	(void)state;
	sticky_format(&t, text);
	assert_memory_equal(text, "0123456789abcdef0000000000000001", STICKY_LEN);
	assert_true(sticky_parse(&back, text, sizeof(text)));
	assert_true(sticky_equal(&back, &t));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(sticky_parse(&back, bad[i], strlen(bad[i])));
	n = sticky_line(line, "nines", &t, true);
	line[n] = '\0';
	assert_string_equal(line, "Set-Cookie: nines=0123456789abcdef0000000000000001"
				  "; Path=/; HttpOnly; SameSite=Lax; Secure\r\n");
	n = sticky_line(line, "s", &t, false);
	line[n] = '\0';
	assert_string_equal(line, "Set-Cookie: s=0123456789abcdef0000000000000001"
				  "; Path=/; HttpOnly; SameSite=Lax\r\n");
}

static void
cookies(void **state)
{
	static const struct {
		const char *fields, *value;
	} rows[] = {
	    {"", ""},
	    {"Cookie: a=b\r\n", ""},
	    {"Cookie: id=7\r\n", "7"},
	    {"cookie: a=b; id=7; c=d\r\n", "7"},
	    {"Cookie: a=b;id=7\r\n", "7"},
	    {"Cookie: a=id=8; \t id=7 ;\r\n", "7"},
	    {"Cookie: xid=8; idx=9; ID=3\r\n", ""},
	    {"Cookie: id\r\nCookie: id=\r\n", ""},
	    {"Cookie: a=b\r\nCookie: id=7\r\n", "7"},
	    {"Cookie: id=7\r\nCookie: id=8\r\n", "7"},
	    {"Cookie: ;;;=;id=7=8\r\n", "7=8"},
	    {"Cookies: id=7\r\n", ""},
	};
	struct http1_head h;
	struct http1_slice v;
	char text[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		(void)snprintf(text, sizeof(text),
		    "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", rows[i].fields);
		assert_int_equal(http1_parse_request(&h, text, strlen(text)), 0);
		v = http1_cookie(&h, text, "id");
		if (v.len != strlen(rows[i].value) ||
		    memcmp(text + v.off, rows[i].value, v.len) != 0)
			fail_msg(
			    "%s gives %.*s", rows[i].fields, (int)v.len, text + v.off);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hash_vectors),
	    cmocka_unit_test(hash_differs),
	    cmocka_unit_test(secrets_differ),
	    cmocka_unit_test(text_and_back),
	    cmocka_unit_test(cookies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
