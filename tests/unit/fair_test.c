/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fair_test.c - turns of sources in a queue, by hand and beside a slow model over
 * random schedules.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants the ones above first. */
#include <cmocka.h>

#include "base/rng.h"
#include "proxy/servers/fair.h"

#define PEOPLE 400

struct person {
	struct list node;
	uint64_t source;
	uint8_t line;
	bool waits;
};

struct room {
	struct fair fair;
	struct fair_line line[FAIR_LINES];
	struct person person[PEOPLE];
};

static void
open_room(struct room *r, uint64_t seed)
{
	*r = (struct room){.person = {{.source = 0}}};
	fair_init(&r->fair, r->line, seed);
	for (size_t i = 0; i < PEOPLE; i++)
		list_init(&r->person[i].node);
}

static void
come(struct room *r, size_t i, uint64_t from)
{
	r->person[i].source = from;
	r->person[i].waits = true;
	r->person[i].line = fair_push(&r->fair, from, &r->person[i].node);
}

static size_t
next(struct room *r)
{
	struct list *n = fair_pop(&r->fair);
	struct person *p;

	assert_non_null(n);
	p = CONTAINER(n, struct person, node);
	p->waits = false;
	return (size_t)(p - r->person);
}

static void
turns(void **state)
{
	static struct room r;
	static const size_t order[] = {0, 4, 6, 1, 5, 2, 3};

	(void)state;
	open_room(&r, 7);
	for (size_t i = 0; i < 4; i++)
		come(&r, i, 1);
	come(&r, 4, 2);
	come(&r, 5, 2);
	come(&r, 6, 3);
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		assert_int_equal(next(&r), order[i]);
	assert_null(fair_pop(&r.fair));
}

/* Who was called in vain is the next one all the same. */
static void
in_vain(void **state)
{
	static struct room r;

	(void)state;
	open_room(&r, 7);
	come(&r, 0, 1);
	come(&r, 1, 1);
	come(&r, 2, 2);
	assert_int_equal(next(&r), 0);
	(void)fair_push_first(&r.fair, 1, &r.person[0].node);
	assert_int_equal(next(&r), 0);
	assert_int_equal(next(&r), 2);
	assert_int_equal(next(&r), 1);
}

static void
victims(void **state)
{
	static struct room r;

	(void)state;
	open_room(&r, 7);
	assert_null(fair_victim(&r.fair, 1));
	for (size_t i = 0; i < 3; i++)
		come(&r, i, 1);
	come(&r, 3, 2);
	come(&r, 4, 2);
	assert_null(fair_victim(&r.fair, 1)); /* he has most himself */
	assert_null(fair_victim(&r.fair, 2)); /* it would be no better */
	assert_ptr_equal(fair_victim(&r.fair, 3), &r.person[2].node);
	fair_remove(&r.fair, r.person[3].line, &r.person[3].node);
	assert_ptr_equal(fair_victim(&r.fair, 2), &r.person[2].node);
}

/* The `n` first ones, each of a source of his own, but the first two of one. */
static void
crowd(struct room *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		come(r, i, i == 0 ? 1 : i);
}

/* Whatever the seed, as many sources as a site in trouble has do not share turns. */
static void
apart(void **state)
{
	static struct room r;

	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		open_room(&r, seed);
		crowd(&r, 100);
		assert_int_equal(next(&r), 0);
		for (size_t i = 2; i < 100; i++)
			assert_int_equal(next(&r), i);
		assert_int_equal(next(&r), 1);
	}
}

/* With more sources than lines some do, and everybody is served, or leaves. */
static void
shared(void **state)
{
	static struct room r;
	static bool seen[PEOPLE];

	(void)state;
	open_room(&r, 7);
	crowd(&r, PEOPLE);
	for (size_t i = 0; i < PEOPLE; i += 2) {
		fair_remove(&r.fair, r.person[i].line, &r.person[i].node);
		come(&r, i, PEOPLE + i);
	}
	for (size_t i = 0; i < PEOPLE; i++) {
		size_t got = next(&r);

		assert_false(seen[got]);
		seen[got] = true;
	}
	assert_null(fair_pop(&r.fair));
}

/* Between two turns of a line each other one that waits all the while has one. */
static void
schedule(uint64_t seed)
{
	static struct room r;
	struct rng rng = {seed};
	size_t waiting = 0, served[8] = {0}, since[8] = {0};

	open_room(&r, seed);
	for (unsigned step = 0; step < 3000; step++) {
		size_t i = rng_below(&rng, PEOPLE);
		struct person *p = &r.person[i];
		unsigned who = 1 + rng_below(&rng, 4) * rng_below(&rng, 2);

		if (rng_below(&rng, 3) == 0 && waiting > 0) {
			size_t got = next(&r);

			for (unsigned k = 1; k <= 5; k++)
				since[k]++;
			for (unsigned k = 1; k <= 5; k++) {
				if (r.person[got].source != k)
					continue;
				served[k]++;
				since[k] = 0;
			}
			waiting--;
		} else if (p->waits) {
			fair_remove(&r.fair, p->line, &p->node);
			p->waits = false;
			waiting--;
		} else {
			come(&r, i, who);
			waiting++;
		}
		assert_int_equal(r.fair.n, waiting);
		for (unsigned k = 1; k <= 5; k++) {
			size_t here = 0;

			for (size_t j = 0; j < PEOPLE; j++)
				here += r.person[j].waits && r.person[j].source == k;
			if (here == 0)
				since[k] = 0;
			assert_true(since[k] <= 5);
		}
	}
	for (unsigned k = 1; k <= 4; k++)
		assert_true(served[k] > 0);
	while (waiting > 0) {
		(void)next(&r);
		waiting--;
	}
	assert_null(fair_pop(&r.fair));
}

static void
schedules(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		print_message("seed %u\n", (unsigned)seed);
		schedule(seed);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(turns),
	    cmocka_unit_test(in_vain),
	    cmocka_unit_test(victims),
	    cmocka_unit_test(apart),
	    cmocka_unit_test(shared),
	    cmocka_unit_test(schedules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
