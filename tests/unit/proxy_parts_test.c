/* SPDX-License-Identifier: Apache-2.0 */
/* The small pieces of the data plane: timer wheel, buffers, PROXY protocol headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "proxy/buf.h"
#include "proxy/pool.h"
#include "proxy/proxy_wire.h"
#include "proxy/wheel.h"

#define TIMERS 500

/* Random timers, moved and cleared; each fires once, not early, and at most a tick and
 * the owner's own delay late. */
static void
test_wheel(void **state)
{
	static struct wheel w;
	static struct wheel_timer t[TIMERS];
	mono_t due[TIMERS], now = {12345};
	struct rng rng = {7};
	size_t fired = 0;

	(void)state;
	wheel_init(&w, now);
	for (size_t i = 0; i < TIMERS; i++) {
		wheel_timer_init(&t[i], (int)i);
		due[i] = MONO_NEVER;
	}
	for (int round = 0; round < 20000; round++) {
		size_t i = rng_below(&rng, TIMERS);
		struct wheel_timer *x;

		due[i] = rng_below(&rng, 8) == 0
			     ? MONO_NEVER
			     : mono_add(now, (int64_t)rng_below(&rng, 20000) * MS_NS);
		wheel_set(&w, &t[i], due[i]);
		for (size_t k = 0; k < TIMERS; k++) {
			if (!mono_is_never(due[k]))
				assert_true(wheel_deadline(&w).ns <=
					    due[k].ns + 2 * WHEEL_TICK_NS);
			if (round % 50 != 0)
				break;
		}
		now = mono_add(now, rng_below(&rng, 10) * MS_NS);
		while ((x = wheel_expired(&w, now)) != NULL) {
			size_t k = (size_t)x->kind;

			assert_false(mono_is_never(due[k]));
			assert_false(mono_before(now, due[k]));
			due[k] = MONO_NEVER;
			fired++;
		}
		for (size_t k = 0; k < TIMERS; k++) /* none was forgotten */
			assert_true(mono_before(now, mono_add(due[k], WHEEL_TICK_NS)));
	}
	assert_true(fired > 1000);
}

static void
test_wheel_after_a_long_sleep(void **state)
{
	static struct wheel w;
	struct wheel_timer a, b;
	mono_t now = {0};

	(void)state;
	wheel_init(&w, now);
	wheel_timer_init(&a, 1);
	wheel_timer_init(&b, 2);
	assert_true(mono_is_never(wheel_deadline(&w)));
	wheel_set(&w, &a, (mono_t){3600 * SEC_NS});
	wheel_set(&w, &b, (mono_t){1 * SEC_NS});
	now.ns = 7200 * SEC_NS;
	assert_ptr_equal(wheel_expired(&w, now), &b);
	assert_ptr_equal(wheel_expired(&w, now), &a);
	assert_null(wheel_expired(&w, now));
	wheel_set(&w, &a, mono_add(now, SEC_NS));
	wheel_clear(&w, &a);
	assert_null(wheel_expired(&w, mono_add(now, 2 * SEC_NS)));
	assert_true(mono_is_never(wheel_deadline(&w)));
}

static void
test_buffers(void **state)
{
	struct bufs b;
	struct buf *small, *large, *more;

	(void)state;
	assert_int_equal(bufs_init(&b, 2), 0);
	memset(b.scratch->data, 'x', BUF_LARGE);
	memcpy(b.scratch->data + 10, "hello", 5);
	small = buf_keep(&b, b.scratch->data + 10, 5);
	assert_non_null(small);
	assert_true(small->cap < BUF_SMALL);
	assert_memory_equal(buf_bytes(small), "hello", 5);
	/* Many bytes are not copied: the scratch itself changes hands. */
	large = buf_keep(&b, b.scratch->data + 10, 40000);
	assert_non_null(large);
	assert_int_equal(large->off, 10);
	assert_int_equal(large->len, 40000);
	assert_ptr_not_equal(large, b.scratch);
	/* Born with a maximum. */
	assert_null(buf_keep(&b, b.scratch->data, 40000));
	assert_null(buf_get(&b, BUF_LARGE));
	buf_put(&b, large);
	more = buf_get(&b, BUF_LARGE);
	assert_ptr_equal(more, large);
	buf_put(&b, more);
	buf_put(&b, small);
	buf_put(&b, NULL);
	bufs_done(&b);
}

struct wire_row {
	unsigned version;
	const char *from, *to;
	const char *text; /* of version 1 */
	size_t len;
};

static const struct wire_row wire_rows[] = {
    {1, "192.0.2.1:4000", "198.51.100.9:80",
	"PROXY TCP4 192.0.2.1 198.51.100.9 4000 80\r\n", 43},
    {1, "[2001:db8::1]:1", "[2001:db8::2]:65535",
	"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", 44},
    {1, "192.0.2.1:4000", "[2001:db8::2]:80", "PROXY UNKNOWN\r\n", 15},
    {2, "192.0.2.1:4000", "198.51.100.9:80", NULL, 16 + 12},
    {2, "[2001:db8::1]:1", "[2001:db8::2]:65535", NULL, 16 + 36},
    {2, "192.0.2.1:4000", "[2001:db8::2]:80", NULL, 16},
};

static void
test_proxy_headers(void **state)
{
	/* From the specification: signature, version and command, family, length. */
	static const uint8_t v2[] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51,
	    0x55, 0x49, 0x54, 0x0a, 0x21, 0x11, 0x00, 0x0c, 192, 0, 2, 1, 198, 51, 100,
	    9, 0x0f, 0xa0, 0x00, 0x50};
	uint8_t out[PROXY_WIRE_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wire_rows); i++) {
		const struct wire_row *r = &wire_rows[i];
		struct ip_endpoint from, to;

		assert_int_equal(ip_endpoint_parse(&from, r->from), 0);
		assert_int_equal(ip_endpoint_parse(&to, r->to), 0);
		assert_int_equal(
		    proxy_wire_encode(r->version, &from, &to, out), r->len);
		if (r->text != NULL)
			assert_memory_equal(out, r->text, r->len);
		if (i == 3)
			assert_memory_equal(out, v2, sizeof(v2));
		if (r->version == 2 && r->len == 16)
			assert_int_equal(out[12], 0x20); /* LOCAL */
	}
}

/* Objects keep their bytes whatever comes and goes around them, and chunks go. */
static void
test_pool(void **state)
{
	enum { MANY = 3000, SIZE = 600 };
	static unsigned char *object[MANY];
	struct pool p;
	size_t had;

	(void)state;
	pool_init(&p, SIZE);
	for (size_t round = 0; round < 4; round++) {
		for (size_t i = 0; i < MANY; i++) {
			if (object[i] != NULL)
				continue;
			object[i] = pool_get(&p);
			assert_non_null(object[i]);
			memset(object[i], (int)(i % 251), SIZE);
		}
		assert_int_equal(p.n_used, MANY);
		for (size_t i = 0; i < MANY; i++) {
			assert_int_equal(object[i][0], i % 251);
			assert_int_equal(object[i][SIZE - 1], i % 251);
			if (i % (round + 2) == 0) {
				pool_put(&p, object[i]);
				object[i] = NULL;
			}
		}
	}
	for (size_t i = 0; i < MANY; i++) {
		pool_put(&p, object[i]);
		object[i] = NULL;
	}
	assert_int_equal(p.n_used, 0);
	had = p.n_empty;
	assert_in_range(had, 1, 8);
	/* One that comes and goes does not ask the system. */
	pool_put(&p, pool_get(&p));
	assert_int_equal(p.n_empty, had);
	pool_done(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pool),
	    cmocka_unit_test(test_wheel),
	    cmocka_unit_test(test_wheel_after_a_long_sleep),
	    cmocka_unit_test(test_buffers),
	    cmocka_unit_test(test_proxy_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
