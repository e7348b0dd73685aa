/* SPDX-License-Identifier: Apache-2.0 */
/* silence_test.c - the time in which somebody waited, against a slow model of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/rng.h"
#include "proxy/servers/silence.h"

#define SPAN_MS	     4000
#define CLIENTS	     8
#define ROUNDS	     300
#define AT(ms)	     ((mono_t){(int64_t)(1000 + (ms)) * MS_NS})
#define MS_OF(s, ms) (silence_ns(s, AT(ms)) / MS_NS)

static void
test_those_who_gave_up_count(void **state)
{
	struct silence s = {0};

	(void)state;
	for (int i = 0; i < 3; i++) { /* 100 ms each, with pauses */
		silence_wait(&s, AT(i * 500));
		assert_int_equal(MS_OF(&s, i * 500 + 40), i * 100 + 40);
		silence_leave(&s, AT(i * 500 + 100));
		assert_int_equal(MS_OF(&s, i * 500 + 400), (i + 1) * 100);
	}
	silence_end(&s);
	assert_int_equal(MS_OF(&s, 2000), 0);
}

static void
test_many_at_once_count_as_one(void **state)
{
	struct silence s = {0};

	(void)state;
	silence_wait(&s, AT(0));
	silence_wait(&s, AT(50));
	silence_leave(&s, AT(60));
	silence_wait(&s, AT(70));
	assert_int_equal(MS_OF(&s, 80), 80);
	silence_leave(&s, AT(90));
	silence_leave(&s, AT(100));
	assert_int_equal(MS_OF(&s, 200), 100);
	silence_wait(&s, AT(300));
	silence_again(&s, AT(310));
	assert_int_equal(MS_OF(&s, 330), 20);
}

static void
test_old_evidence_is_forgotten(void **state)
{
	const int64_t old = SILENCE_OLD / MS_NS;
	struct silence s = {0};

	(void)state;
	silence_wait(&s, AT(0));
	silence_leave(&s, AT(200));
	assert_int_equal(MS_OF(&s, 200 + old - 1), 200);
	assert_int_equal(MS_OF(&s, 200 + old), 0);
	silence_wait(&s, AT(200 + old));
	assert_int_equal(MS_OF(&s, 210 + old), 10);
	/* However long somebody waits, it is no memory. */
	assert_int_equal(MS_OF(&s, 200 + 3 * old), 2 * old);
}

/* The model marks each millisecond in which somebody waited. */
static void
run(uint64_t seed)
{
	struct rng rng = {.state = seed};
	struct silence s = {0};
	bool waits[CLIENTS] = {false}, busy;
	int64_t expected = 0;

	for (int ms = 0; ms < SPAN_MS; ms++) {
		for (size_t i = 0; i < CLIENTS; i++) {
			if (rng_next(&rng) % 60 != 0)
				continue;
			waits[i] = !waits[i];
			if (waits[i])
				silence_wait(&s, AT(ms));
			else
				silence_leave(&s, AT(ms));
		}
		if (rng_next(&rng) % 700 == 0) { /* an answer */
			silence_end(&s);
			memset(waits, 0, sizeof(waits));
			expected = 0;
		}
		if (MS_OF(&s, ms) != expected)
			fail_msg("seed %llu, %d ms: %lld instead of %lld",
			    (unsigned long long)seed, ms, (long long)MS_OF(&s, ms),
			    (long long)expected);
		busy = false;
		for (size_t i = 0; i < CLIENTS; i++)
			busy |= waits[i];
		expected += busy;
	}
}

static void
test_against_the_model(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= ROUNDS; seed++)
		run(seed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_those_who_gave_up_count),
	    cmocka_unit_test(test_many_at_once_count_as_one),
	    cmocka_unit_test(test_old_evidence_is_forgotten),
	    cmocka_unit_test(test_against_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
