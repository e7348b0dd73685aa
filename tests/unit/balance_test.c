/* SPDX-License-Identifier: Apache-2.0 */
/* Balancing: who is picked, how evenly, and that nobody else is after any history. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/servers/balance.h"

#define N_MAX 1000

struct fixture {
	struct balancer b;
	struct balance_server server[N_MAX];
	uint32_t heap[2 * N_MAX];
	struct balance_point *ring;
	struct rng rng;
};

/* A server per letter of `weights`: a digit, behind 'b' if it is a backup. */
static struct fixture *
setup(enum balance kind, const char *weights)
{
	struct fixture *f = calloc(1, sizeof(*f));
	size_t n = 0;

	assert_non_null(f);
	f->rng.state = 1;
	for (; *weights != '\0'; weights++) {
		if (*weights == 'b') {
			f->server[n].backup = true;
			continue;
		}
		f->server[n].weight = (uint32_t)(*weights - '0');
		f->server[n].id = rng_mix(n + 77);
		n++;
	}
	f->ring = calloc(
	    balance_ring_size(kind, f->server, n) + 1, sizeof(struct balance_point));
	assert_non_null(f->ring);
	balance_init(&f->b, kind, f->server, n, f->heap, f->ring);
	assert_true(balance_check(&f->b));
	return f;
}

static void
teardown(struct fixture *f)
{
	free(f->ring);
	free(f);
}

static int
pick(struct fixture *f)
{
	return balance_pick(&f->b, &f->rng, rng_next(&f->rng), NULL, 0);
}

/* The next picks as text, 'a' for server 0. */
static void
expect(struct fixture *f, const char *order)
{
	char got[64];
	size_t n = strlen(order);

	for (size_t i = 0; i < n; i++)
		got[i] = (char)('a' + pick(f));
	got[n] = '\0';
	assert_string_equal(got, order);
	assert_true(balance_check(&f->b));
}

static void
round_robin(void **state)
{
	struct fixture *f = setup(BALANCE_ROUND_ROBIN, "111");

	(void)state;
	expect(f, "abcabcabc");
	balance_usable(&f->b, 1, false);
	expect(f, "acacac");
	/* Back again, it has no turns saved up. */
	balance_usable(&f->b, 1, true);
	expect(f, "abcabc");
	teardown(f);

	f = setup(BALANCE_ROUND_ROBIN, "511");
	expect(f, "aaabaac");
	expect(f, "aaabaac");
	teardown(f);

	f = setup(BALANCE_ROUND_ROBIN, "101");
	expect(f, "acac");
	teardown(f);
}

/* No server waits longer for its turn than its weight allows, nor gets it sooner. */
static void
round_robin_is_smooth(void **state)
{
	struct fixture *f = setup(BALANCE_ROUND_ROBIN, "9531");
	int last[4] = {-1, -1, -1, -1}, count[4] = {0}, total = 18;

	(void)state;
	for (int i = 0; i < 180; i++) {
		int s = pick(f), gap = i - last[s], fair;

		fair = total / (int)f->server[s].weight;
		if (last[s] >= 0 && (gap > fair + 3 || gap < fair - 3))
			fail_msg("server %d after %d picks", s, gap);
		last[s] = i;
		count[s]++;
	}
	for (int s = 0; s < 4; s++)
		assert_int_equal(count[s], 10 * f->server[s].weight);
	teardown(f);
}

static void
virtual_time_wraps(void **state)
{
	struct fixture *f = setup(BALANCE_ROUND_ROBIN, "11");

	(void)state;
	f->server[0].key = f->server[1].key = UINT64_MAX - 5;
	f->b.tier[0].turn = UINT64_MAX - 5;
	expect(f, "abababab");
	balance_usable(&f->b, 0, false);
	balance_usable(&f->b, 0, true);
	expect(f, "abab");
	teardown(f);
}

static void
least_connections(void **state)
{
	struct fixture *f = setup(BALANCE_LEAST_CONNECTIONS, "12");

	(void)state;
	/* (active + 1) / weight: b 1/2, a 1 = b 2/2 (a was picked longer ago), b, b...
	 */
	static const char order[] = "babbab";

	for (size_t i = 0; order[i] != '\0'; i++) {
		int s = pick(f);

		assert_int_equal(s, order[i] - 'a');
		balance_take(&f->b, (size_t)s);
		assert_true(balance_check(&f->b));
	}
	for (int i = 0; i < 2; i++)
		balance_put(&f->b, 0);
	expect(f, "a");
	teardown(f);

	/* All idle: it still goes round. */
	f = setup(BALANCE_LEAST_CONNECTIONS, "111");
	expect(f, "abcabc");
	teardown(f);
}

/* The first one is chance, and the round after it is whole. */
static void
begins_anywhere(void **state)
{
	static const enum balance kinds[] = {
	    BALANCE_ROUND_ROBIN, BALANCE_IDLE_CAPACITY, BALANCE_LEAST_CONNECTIONS};

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		struct fixture *f = setup(kinds[k], "1111");
		int firsts[4] = {0};

		for (int round = 0; round < 400; round++) {
			int first, seen = 0;

			balance_begin(&f->b, &f->rng);
			assert_true(balance_check(&f->b));
			first = pick(f);
			firsts[first]++;
			for (int i = 0; i < 4; i++)
				seen |= 1 << (i == 0 ? first : pick(f));
			assert_int_equal(seen, 15);
			assert_int_equal(pick(f), first);
		}
		for (int s = 0; s < 4; s++)
			assert_in_range(firsts[s], 60, 140);
		teardown(f);
	}
}

static void
random_of_two(void **state)
{
	struct fixture *f = setup(BALANCE_RANDOM, "1111");
	int count[4] = {0};

	(void)state;
	for (int i = 0; i < 4000; i++)
		count[pick(f)]++;
	for (int s = 0; s < 4; s++)
		assert_in_range(count[s], 850, 1150);
	/* The busiest of four never wins a pair. */
	balance_take(&f->b, 2);
	for (int i = 0; i < 1000; i++)
		assert_int_not_equal(pick(f), 2);
	teardown(f);
}

static void
hash_share(void **state)
{
	struct fixture *f = setup(BALANCE_HASH, "1121");
	int count[4] = {0};

	(void)state;
	for (uint64_t k = 0; k < 50000; k++)
		count[balance_pick(&f->b, &f->rng, k, NULL, 0)]++;
	for (int s = 0; s < 4; s++) {
		int fair = 10000 * (int)f->server[s].weight;

		assert_in_range(count[s], fair * 7 / 10, fair * 13 / 10);
	}
	teardown(f);
}

/* Of `n` servers those from `gone` on leave: keys of the others stay where they are. */
static void
hash_moves_only_what_it_must(void **state)
{
	static const struct {
		const char *weights;
		size_t gone;
	} rows[] = {{"1111", 3}, {"11111111", 1}, {"9999999999", 2}};

	(void)state;
	for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
		struct fixture *f = setup(BALANCE_HASH, rows[r].weights);
		uint8_t was[5000];

		for (uint64_t k = 0; k < 5000; k++)
			was[k] = (uint8_t)balance_pick(&f->b, &f->rng, k, NULL, 0);
		for (size_t i = rows[r].gone; i < f->b.n; i++)
			balance_usable(&f->b, i, false);
		for (uint64_t k = 0; k < 5000; k++) {
			int s = balance_pick(&f->b, &f->rng, k, NULL, 0);

			assert_in_range(s, 0, rows[r].gone - 1);
			if (was[k] < rows[r].gone)
				assert_int_equal(s, was[k]);
		}
		for (size_t i = rows[r].gone; i < f->b.n; i++)
			balance_usable(&f->b, i, true);
		for (uint64_t k = 0; k < 5000; k++)
			assert_int_equal(
			    balance_pick(&f->b, &f->rng, k, NULL, 0), was[k]);
		teardown(f);
	}
}

/* Another order in the file, or one server fewer, moves nobody else's keys. */
static void
hash_over_reload(void **state)
{
	struct fixture *f = setup(BALANCE_HASH, "1111"),
		       *g = setup(BALANCE_HASH, "111");
	int moved = 0;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		g->server[i].id = f->server[2 - i].id;
	memset(g->ring, 0,
	    balance_ring_size(BALANCE_HASH, g->server, 3) *
		sizeof(struct balance_point));
	balance_init(&g->b, BALANCE_HASH, g->server, 3, g->heap, g->ring);
	for (uint64_t k = 0; k < 5000; k++) {
		int a = balance_pick(&f->b, &f->rng, k, NULL, 0);
		int b = balance_pick(&g->b, &g->rng, k, NULL, 0);

		if (a == 3)
			moved++;
		else
			assert_int_equal(a, 2 - b);
	}
	assert_in_range(moved, 500, 2000);
	teardown(f);
	teardown(g);
}

static void
backups(void **state)
{
	for (int kind = BALANCE_ROUND_ROBIN; kind <= BALANCE_HASH; kind++) {
		struct fixture *f = setup((enum balance)kind, "11b1b1");

		(void)state;
		for (int i = 0; i < 50; i++)
			assert_in_range(pick(f), 0, 1);
		/* Full is not down: the request waits. */
		balance_full(&f->b, 0, true);
		balance_full(&f->b, 1, true);
		assert_int_equal(pick(f), BALANCE_FULL);
		balance_usable(&f->b, 0, false);
		assert_int_equal(pick(f), BALANCE_FULL);
		balance_usable(&f->b, 1, false);
		for (int i = 0; i < 50; i++)
			assert_in_range(pick(f), 2, 3);
		balance_usable(&f->b, 2, false);
		assert_int_equal(pick(f), 3);
		balance_usable(&f->b, 3, false);
		assert_int_equal(pick(f), BALANCE_NONE);
		/* It comes back still full. */
		balance_usable(&f->b, 0, true);
		assert_int_equal(pick(f), BALANCE_FULL);
		balance_full(&f->b, 0, false);
		assert_int_equal(pick(f), 0);
		assert_true(balance_check(&f->b));
		teardown(f);
	}
}

static void
tried(void **state)
{
	static const uint32_t list[] = {0, 2, 0, 1};

	(void)state;
	for (int kind = BALANCE_ROUND_ROBIN; kind <= BALANCE_HASH; kind++) {
		struct fixture *f = setup((enum balance)kind, "1111b1");

		for (int i = 0; i < 50; i++) {
			int s = balance_pick(&f->b, &f->rng, (uint64_t)i, list, 3);

			assert_true(s == 1 || s == 3);
			assert_true(balance_check(&f->b));
			assert_int_equal(
			    balance_pick(&f->b, &f->rng, (uint64_t)i, list, 4), 3);
		}
		balance_full(&f->b, 3, true);
		assert_int_equal(
		    balance_pick(&f->b, &f->rng, 0, list, 4), BALANCE_FULL);
		balance_usable(&f->b, 3, false);
		assert_int_equal(
		    balance_pick(&f->b, &f->rng, 0, list, 4), BALANCE_NONE);
		/* One that was tried and is full as well does not count twice. */
		balance_full(&f->b, 0, true);
		assert_int_equal(
		    balance_pick(&f->b, &f->rng, 0, list, 4), BALANCE_NONE);
		teardown(f);
	}
}

static void
none(void **state)
{
	(void)state;
	for (int kind = BALANCE_ROUND_ROBIN; kind <= BALANCE_HASH; kind++) {
		struct fixture *f = setup((enum balance)kind, "");

		assert_int_equal(pick(f), BALANCE_NONE);
		teardown(f);
		f = setup((enum balance)kind, "00");
		assert_int_equal(pick(f), BALANCE_NONE);
		balance_usable(&f->b, 0, false);
		balance_usable(&f->b, 0, true);
		assert_int_equal(pick(f), BALANCE_NONE);
		teardown(f);
	}
}

/* The answer is allowed, judged apart from the code. */
static void
judge(const struct fixture *f, int s)
{
	size_t usable[2] = {0, 0}, free_[2] = {0, 0};

	for (size_t i = 0; i < f->b.n; i++) {
		const struct balance_server *v = &f->server[i];

		if (!v->usable || v->weight == 0)
			continue;
		usable[v->backup]++;
		free_[v->backup] += !v->full;
	}
	if (usable[0] + usable[1] == 0) {
		assert_int_equal(s, BALANCE_NONE);
	} else if (free_[usable[0] == 0] == 0) {
		assert_int_equal(s, BALANCE_FULL);
	} else {
		assert_in_range(s, 0, f->b.n - 1);
		assert_true(f->server[s].usable && !f->server[s].full);
		assert_int_not_equal(f->server[s].weight, 0);
		assert_int_equal(f->server[s].backup, usable[0] == 0);
	}
}

static void
any_history(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 400; seed++) {
		enum balance kind = (enum balance)(seed % 4);
		struct fixture *f = setup(kind, "3b110b0912b4");

		f->rng.state = seed;
		for (int step = 0; step < 200; step++) {
			size_t i = rng_below(&f->rng, (uint32_t)f->b.n);
			bool on = rng_below(&f->rng, 2) != 0;

			switch (rng_below(&f->rng, 5)) {
			case 0:
				balance_usable(&f->b, i, on);
				break;
			case 1:
				balance_full(&f->b, i, on);
				break;
			case 2:
				balance_take(&f->b, i);
				break;
			case 3:
				if (f->server[i].active > 0)
					balance_put(&f->b, i);
				break;
			default:
				judge(f, pick(f));
				break;
			}
			assert_true(balance_check(&f->b));
		}
		teardown(f);
	}
}

/* 1,000 servers: the ring stays within its maximum, and the last one up is found. */
static void
many(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	size_t n;

	(void)state;
	assert_non_null(f);
	for (size_t i = 0; i < N_MAX; i++)
		f->server[i] = (struct balance_server){
		    .weight = (uint32_t)i + 1, .id = rng_mix(i)};
	n = balance_ring_size(BALANCE_HASH, f->server, N_MAX);
	assert_in_range(n, N_MAX, 140000);
	f->ring = calloc(n, sizeof(struct balance_point));
	assert_non_null(f->ring);
	balance_init(&f->b, BALANCE_HASH, f->server, N_MAX, f->heap, f->ring);
	assert_int_equal(f->b.n_ring, n);
	for (size_t i = 1; i < n; i++)
		assert_true(f->ring[i - 1].at <= f->ring[i].at);
	for (size_t i = 1; i < N_MAX; i++)
		balance_usable(&f->b, i, false);
	for (int i = 0; i < 100; i++)
		assert_int_equal(pick(f), 0);
	assert_true(balance_check(&f->b));
	teardown(f);
}

/* Backups come when fewer than three of four active servers are left, and go again. */
static void
backups_join(void **state)
{
	struct fixture *f = setup(BALANCE_ROUND_ROBIN, "1111b1b1");
	int seen[6] = {0};

	(void)state;
	balance_backups(&f->b, 75, false);
	balance_usable(&f->b, 0, false);
	for (int i = 0; i < 30; i++)
		seen[pick(f)]++;
	assert_int_equal(seen[4] + seen[5], 0);
	balance_usable(&f->b, 1, false);
	assert_true(balance_check(&f->b));
	for (int i = 0; i < 40; i++)
		seen[pick(f)]++;
	assert_in_range(seen[4], 9, 11);
	assert_in_range(seen[5], 9, 11);
	balance_usable(&f->b, 0, true);
	assert_true(balance_check(&f->b));
	memset(seen, 0, sizeof(seen));
	for (int i = 0; i < 30; i++)
		seen[pick(f)]++;
	assert_int_equal(seen[4] + seen[5], 0);
	teardown(f);
}

static void
backups_when_full(void **state)
{
	struct fixture *f = setup(BALANCE_ROUND_ROBIN, "11b1");

	(void)state;
	balance_full(&f->b, 0, true);
	balance_full(&f->b, 1, true);
	assert_int_equal(pick(f), BALANCE_FULL);
	balance_backups(&f->b, 0, true);
	assert_int_equal(pick(f), 2);
	balance_full(&f->b, 2, true);
	assert_int_equal(pick(f), BALANCE_FULL);
	balance_full(&f->b, 1, false);
	assert_int_equal(pick(f), 1);
	teardown(f);
}

/* However many ask for the same key, nobody has more than the bound. */
static void
bounded_load(void **state)
{
	struct fixture *f = setup(BALANCE_HASH, "1111");
	int s;

	(void)state;
	balance_bound(&f->b, 125);
	for (uint64_t n = 1; n <= 400; n++) {
		s = balance_pick(&f->b, &f->rng, 7, NULL, 0);
		balance_take(&f->b, (size_t)s);
		for (size_t i = 0; i < 4; i++)
			assert_true(f->server[i].active <= (n * 125 + 399) / 400);
	}
	assert_true(balance_check(&f->b));
	teardown(f);
}

static void
shares_and_weights(void **state)
{
	static const enum balance kind[] = {BALANCE_ROUND_ROBIN, BALANCE_IDLE_CAPACITY};

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(kind); k++) {
		struct fixture *f = setup(kind[k], "111");
		int seen[3] = {0};

		balance_share(&f->b, 0, BALANCE_SHARE / 4);
		for (int i = 0; i < 90; i++)
			seen[pick(f)]++;
		assert_in_range(seen[0], 8, 13);
		balance_weight(&f->b, 1, 0);
		assert_true(balance_check(&f->b));
		memset(seen, 0, sizeof(seen));
		for (int i = 0; i < 50; i++)
			seen[pick(f)]++;
		assert_int_equal(seen[1], 0);
		balance_share(&f->b, 0, BALANCE_SHARE);
		balance_weight(&f->b, 1, 2);
		assert_true(balance_check(&f->b));
		memset(seen, 0, sizeof(seen));
		for (int i = 0; i < 400; i++)
			seen[pick(f)]++;
		assert_in_range(seen[1], 190, 210);
		teardown(f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(round_robin),
	    cmocka_unit_test(round_robin_is_smooth),
	    cmocka_unit_test(virtual_time_wraps),
	    cmocka_unit_test(least_connections),
	    cmocka_unit_test(begins_anywhere),
	    cmocka_unit_test(random_of_two),
	    cmocka_unit_test(hash_share),
	    cmocka_unit_test(hash_moves_only_what_it_must),
	    cmocka_unit_test(hash_over_reload),
	    cmocka_unit_test(backups),
	    cmocka_unit_test(tried),
	    cmocka_unit_test(none),
	    cmocka_unit_test(any_history),
	    cmocka_unit_test(many),
	    cmocka_unit_test(backups_join),
	    cmocka_unit_test(backups_when_full),
	    cmocka_unit_test(bounded_load),
	    cmocka_unit_test(shares_and_weights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
