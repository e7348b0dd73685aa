/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_memory_test.c - pieces of all sizes, got, grown and given back at random: none
 * overlaps another, contents stay, and what is kept has its limit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants the ones above first. */
#include <cmocka.h>

#include "base/rng.h"
#include "proxy/h2/h2_memory.h"

#define SEED   11
#define PIECES 4096
#define STEPS  200000

struct held {
	uint8_t *p;
	size_t size;
	uint8_t mark;
};

static void
fill(struct held *h, uint8_t mark)
{
	h->mark = mark;
	memset(h->p, mark, h->size);
}

static void
intact(const struct held *h, size_t size)
{
	for (size_t i = 0; i < size; i++)
		assert_int_equal(h->p[i], h->mark);
}

static size_t
any_size(struct rng *rng)
{
	return rng_below(rng, rng_below(rng, 8) == 0 ? 5000 : 300);
}

static void
at_random(void **state)
{
	static struct held held[PIECES];
	struct rng rng = {SEED};
	struct h2_memory m;

	(void)state;
	h2_memory_init(&m);
	for (int i = 0; i < STEPS; i++) {
		struct held *h = &held[rng_below(&rng, PIECES)];
		size_t size = any_size(&rng), old = h->size;

		if (h->p == NULL) {
			h->p = m.mem.malloc(size, m.mem.mem_user_data);
		} else if (rng_below(&rng, 4) == 0) {
			h->p = m.mem.realloc(h->p, size, m.mem.mem_user_data);
			intact(h, old < size ? old : size);
		} else {
			intact(h, h->size);
			m.mem.free(h->p, m.mem.mem_user_data);
			h->p = NULL;
			assert_true(m.kept <= H2_MEMORY_KEPT);
			continue;
		}
		assert_non_null(h->p);
		assert_int_equal((uintptr_t)h->p % _Alignof(max_align_t), 0);
		h->size = size;
		fill(h, (uint8_t)rng_below(&rng, 256));
	}
	for (size_t i = 0; i < PIECES; i++) {
		if (held[i].p != NULL)
			intact(&held[i], held[i].size);
		m.mem.free(held[i].p, m.mem.mem_user_data);
	}
	assert_true(m.kept > 0 && m.kept <= H2_MEMORY_KEPT);
	h2_memory_done(&m);
}

static void
edges(void **state)
{
	struct h2_memory m;
	uint8_t *p, *q;

	(void)state;
	h2_memory_init(&m);
	assert_null(m.mem.calloc(SIZE_MAX / 2, 3, &m));
	assert_null(m.mem.malloc(SIZE_MAX - 4, &m));
	m.mem.free(NULL, &m);
	p = m.mem.malloc(0, &m);
	assert_non_null(p);
	memset(p, 0xff, H2_MEMORY_STEP); /* it is of the first class */
	m.mem.free(p, &m);
	assert_int_equal(m.kept, H2_MEMORY_STEP);
	q = m.mem.calloc(8, 8, &m);
	assert_ptr_equal(p, q); /* the last used first, and clear */
	for (size_t i = 0; i < 64; i++)
		assert_int_equal(q[i], 0);
	assert_int_equal(m.kept, 0);
	m.mem.free(q, &m);
	h2_memory_done(&m);
	assert_int_equal(m.kept, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(at_random),
	    cmocka_unit_test(edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
