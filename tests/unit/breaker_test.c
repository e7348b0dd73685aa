/* SPDX-License-Identifier: Apache-2.0 */
/*
 * breaker_test.c - when a breaker opens, lets pass again and closes, by scripts of what
 * happens; and over random schedules what must never be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants the ones above first. */
#include <cmocka.h>

#include "base/check.h"
#include "base/rng.h"
#include "proxy/servers/breaker.h"

static const struct breaker_conf conf = {.on = true,
    .errors = 50,
    .requests = 4,
    .window_ns = 10 * SEC_NS,
    .open_ns = 5 * SEC_NS,
    .trials = 2};

/* g, b: a good or bad answer; B: a bad one that opens it; y, n: asked, it lets pass or
 * not; digits: so many seconds go by. */
static void
scripts(void **state)
{
	static const char *const script[] = {
	    "ybybybyBn",  /* the fourth is enough of them */
	    "gggbbBn",	  /* half of them */
	    "ggggbbbgby", /* never half */
	    "bbb9Bn",
	    "bbb99bbbBn",    /* what is old does not count, nor does it stay for ever */
	    "bbb99ggy",	     /* nothing is left of it */
	    "bbbBn4n1yyn",   /* two trials and no more */
	    "bbbBn5yyggyyy", /* both were good */
	    "bbbBn5yygggbby",  /* closed: it counts anew */
	    "bbbBn5ygyBn4n1y", /* one was not */
	    "bbbBn5yyn5yyn",   /* nobody heard of the trials again */
	    "bbbBnggggn",      /* late answers do not matter */
	    "bbbBnbbbn5y",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(script); i++) {
		struct breaker b = {.state = BREAKER_CLOSED};
		mono_t now = {1000 * SEC_NS};

		print_message("%s\n", script[i]);
		for (const char *p = script[i]; *p != '\0'; p++) {
			if (*p >= '0' && *p <= '9')
				now = mono_add(now, (*p - '0') * SEC_NS);
			else if (*p == 'y' || *p == 'n')
				assert_int_equal(
				    breaker_allows(&b, &conf, now), *p == 'y');
			else
				assert_int_equal(
				    breaker_answer(&b, &conf, now, *p == 'g'),
				    *p == 'B');
		}
	}
}

/* Good servers are never refused; broken ones are asked seldom, and not never. */
static void
schedules(void **state)
{
	struct breaker_conf careful = conf;

	(void)state;
	careful.requests = 20;
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct breaker good = {.state = BREAKER_CLOSED}, bad = good;
		struct rng rng = {seed};
		mono_t now = {1};
		unsigned asked = 0, steps = 20000;

		print_message("seed %u\n", (unsigned)seed);
		for (unsigned i = 0; i < steps; i++) {
			now = mono_add(now, (int64_t)rng_below(&rng, 20) * MS_NS);
			assert_true(breaker_allows(&good, &careful, now));
			assert_false(breaker_answer(
			    &good, &careful, now, rng_below(&rng, 100) < 95));
			if (!breaker_allows(&bad, &careful, now))
				continue;
			asked++;
			if (rng_below(&rng, 10) > 0)
				(void)breaker_answer(&bad, &careful, now, false);
		}
		/* Some 190 s: every 5 s at most two, and the first ones. */
		assert_true(asked >= 20 && asked < 150);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(scripts),
	    cmocka_unit_test(schedules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
