/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of one target's health, one history each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "health/health_core.h"

static const struct health_conf conf = {
    .every_ns = SEC_NS, .timeout_ns = 500 * MS_NS, .fall = 3, .rise = 2};

/*
 * A history in letters. Each check is begun when it is due and then ends:
 *   g good, b bad, v void, t timeout;
 *   p real traffic fails (between checks), P (during one), q (during one of a target
 *   that is down already; the check then succeeds).
 * `end` is the state after it, `turns` how often the state changed, `confirmed` whether
 * checks alone have come to it.
 */
static const struct row {
	const char *what;
	enum health_state from;
	const char *history;
	enum health_state end;
	unsigned turns;
	bool confirmed;
} rows[] = {
    {"unknown until a verdict", HEALTH_UNKNOWN, "", HEALTH_UNKNOWN, 0, false},
    {"one success is none", HEALTH_UNKNOWN, "g", HEALTH_UNKNOWN, 0, false},
    {"rise successes", HEALTH_UNKNOWN, "gg", HEALTH_UP, 1, true},
    {"two failures are none", HEALTH_UNKNOWN, "bb", HEALTH_UNKNOWN, 0, false},
    {"fall failures", HEALTH_UNKNOWN, "bbb", HEALTH_DOWN, 1, true},
    {"a row is broken", HEALTH_UNKNOWN, "gbgbbg", HEALTH_UNKNOWN, 0, false},
    {"up stays up", HEALTH_UP, "bbgbbgbb", HEALTH_UP, 0, true},
    {"up goes down", HEALTH_UP, "bbb", HEALTH_DOWN, 1, true},
    {"silence counts", HEALTH_UP, "tbt", HEALTH_DOWN, 1, true},
    {"our own lack does not", HEALTH_UP, "vvvvvv", HEALTH_UP, 0, true},
    {"nor does it break a row", HEALTH_UP, "bvbvb", HEALTH_DOWN, 1, true},
    {"down stays down", HEALTH_DOWN, "gbgbg", HEALTH_DOWN, 0, false},
    {"down comes up", HEALTH_DOWN, "gg", HEALTH_UP, 1, true},
    {"real traffic at once", HEALTH_UP, "p", HEALTH_DOWN, 1, false},
    {"also during a check", HEALTH_UP, "P", HEALTH_DOWN, 1, false},
    {"also while unknown", HEALTH_UNKNOWN, "p", HEALTH_DOWN, 1, false},
    {"and back by rise", HEALTH_UP, "pgg", HEALTH_UP, 2, true},
    {"it breaks a row of successes", HEALTH_UP, "pgpg", HEALTH_DOWN, 1, false},
    {"a stream of failures lets checks end", HEALTH_UP, "pqqqg", HEALTH_UP, 2, true},
    {"checks confirm it", HEALTH_UP, "pbbb", HEALTH_DOWN, 1, true},
    {"a failure before does not count twice", HEALTH_UP, "bbpbb", HEALTH_DOWN, 1,
	false},
};

struct run {
	struct health h;
	mono_t now;
	unsigned turns;
};

static struct health_out
give(struct run *r, enum health_ev_type type)
{
	struct health_out out;

	health_input(&r->h, r->now, &(struct health_ev){.type = type}, &out);
	assert_true(health_check(&r->h));
	for (unsigned i = 0; i < out.n; i++)
		r->turns += out.act[i] == HEALTH_ACT_STATE;
	return out;
}

static void
begin(struct run *r)
{
	struct health_out out;

	r->now = health_deadline(&r->h);
	out = give(r, HEALTH_EV_TICK);
	assert_int_equal(out.n, 1);
	assert_int_equal(out.act[0], HEALTH_ACT_BEGIN);
	r->now = mono_add(r->now, MS_NS);
}

static void
step(struct run *r, char c)
{
	struct health_out out;

	if (c != 'p')
		begin(r);
	switch (c) {
	case 'g':
		(void)give(r, HEALTH_EV_GOOD);
		break;
	case 'b':
		(void)give(r, HEALTH_EV_BAD);
		break;
	case 'v':
		(void)give(r, HEALTH_EV_VOID);
		break;
	case 't':
		r->now = health_deadline(&r->h);
		out = give(r, HEALTH_EV_TICK);
		assert_int_equal(out.act[0], HEALTH_ACT_EXPIRE);
		break;
	case 'P':
		out = give(r, HEALTH_EV_PASSIVE);
		assert_int_equal(out.act[0], HEALTH_ACT_ABORT);
		(void)give(r, HEALTH_EV_GOOD); /* too late to matter */
		break;
	case 'q':
		assert_int_equal(give(r, HEALTH_EV_PASSIVE).n, 0);
		(void)give(r, HEALTH_EV_GOOD);
		break;
	default:
		(void)give(r, HEALTH_EV_PASSIVE);
		break;
	}
}

static struct run
started(enum health_state from)
{
	struct run r = {.now = {SEC_NS}};
	struct health_out out;

	assert_int_equal(health_init(&r.h, &conf, 7), 0);
	health_input(&r.h, r.now,
	    &(struct health_ev){.type = HEALTH_EV_START, .state = from}, &out);
	assert_int_equal(out.n, 0);
	return r;
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct run r = started(rows[i].from);

		for (const char *c = rows[i].history; *c != '\0'; c++)
			step(&r, *c);
		if (r.h.state != rows[i].end || r.turns != rows[i].turns ||
		    health_confirmed(&r.h) != rows[i].confirmed)
			fail_msg("%s: state %d, %u turns, confirmed %d", rows[i].what,
			    (int)r.h.state, r.turns, health_confirmed(&r.h));
	}
}

static void
test_haste(void **state)
{
	struct run r = started(HEALTH_UP);
	int64_t wait[4];

	(void)state;
	/* Down by real traffic again and again, right after it came up: 2, 4, 8 tenths
	 * of the interval, then all of it. */
	for (size_t i = 0; i < ARRAY_LEN(wait); i++) {
		step(&r, 'p');
		wait[i] = mono_sub(health_deadline(&r.h), r.now);
		step(&r, 'g');
		step(&r, 'g');
	}
	assert_in_range(wait[0], 180 * MS_NS, 200 * MS_NS);
	assert_in_range(wait[1], 360 * MS_NS, 400 * MS_NS);
	assert_in_range(wait[2], 720 * MS_NS, 800 * MS_NS);
	assert_in_range(wait[3], 900 * MS_NS, 1000 * MS_NS);
	/* After a calm time it is asked at once again. */
	r.now = mono_add(r.now, HEALTH_CALM * conf.every_ns);
	step(&r, 'p');
	assert_in_range(
	    mono_sub(health_deadline(&r.h), r.now), 90 * MS_NS, 100 * MS_NS);
	/* Checks that confirm the failure end the hurry. */
	step(&r, 'b');
	assert_in_range(
	    mono_sub(health_deadline(&r.h), r.now), 89 * MS_NS, 100 * MS_NS);
	step(&r, 'b');
	step(&r, 'b');
	step(&r, 'b');
	assert_in_range(mono_sub(health_deadline(&r.h), r.now), 899 * MS_NS, SEC_NS);
}

/* Real traffic waits in vain: one check at once, with little patience, decides. */
static void
test_doubt(void **state)
{
	struct run r = started(HEALTH_UP);
	struct health_out out;

	(void)state;
	r.now = mono_add(r.now, MS_NS);
	out = give(&r, HEALTH_EV_DOUBT);
	assert_int_equal(out.n, 1);
	assert_int_equal(out.act[0], HEALTH_ACT_BEGIN);
	assert_int_equal(mono_sub(health_deadline(&r.h), r.now), HEALTH_DOUBT_NS);
	(void)give(&r, HEALTH_EV_GOOD);
	assert_int_equal(r.h.state, HEALTH_UP);
	/* A stream of doubts does not become a stream of checks. */
	assert_int_equal(give(&r, HEALTH_EV_DOUBT).n, 0);
	r.now = mono_add(r.now, conf.every_ns / HEALTH_HASTE);
	out = give(&r, HEALTH_EV_DOUBT);
	assert_int_equal(out.act[out.n - 1], HEALTH_ACT_BEGIN);
	assert_int_equal(give(&r, HEALTH_EV_DOUBT).n, 0);
	r.now = health_deadline(&r.h);
	out = give(&r, HEALTH_EV_TICK);
	assert_int_equal(out.n, 2);
	assert_int_equal(out.act[0], HEALTH_ACT_EXPIRE);
	assert_int_equal(r.h.state, HEALTH_DOWN);
	assert_false(health_confirmed(&r.h));
	/* Down already: nothing to doubt. */
	r.now = mono_add(r.now, SEC_NS);
	assert_int_equal(give(&r, HEALTH_EV_DOUBT).n, 0);
}

/* Two targets in step by chance do not stay so. */
static void
test_jitter(void **state)
{
	struct run r = started(HEALTH_UP);
	int64_t least = INT64_MAX, most = 0;

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		int64_t wait;

		begin(&r);
		(void)give(&r, HEALTH_EV_GOOD);
		wait = mono_sub(health_deadline(&r.h), r.now);
		least = wait < least ? wait : least;
		most = wait > most ? wait : most;
	}
	assert_in_range(least, 899 * MS_NS, 920 * MS_NS);
	assert_in_range(most, 980 * MS_NS, SEC_NS);
}

static void
test_slow_checks_do_not_overlap(void **state)
{
	static const struct health_conf slow = {
	    .every_ns = 100 * MS_NS, .timeout_ns = SEC_NS, .fall = 1, .rise = 1};
	struct run r = {.now = {0}};
	struct health_out out;

	(void)state;
	assert_int_equal(health_init(&r.h, &slow, 1), 0);
	(void)give(&r, HEALTH_EV_START);
	begin(&r);
	r.now = mono_add(r.now, 900 * MS_NS);
	assert_int_equal(give(&r, HEALTH_EV_TICK).n, 0);
	(void)give(&r, HEALTH_EV_GOOD);
	assert_false(mono_before(r.now, health_deadline(&r.h)));
	out = give(&r, HEALTH_EV_TICK);
	assert_int_equal(out.act[0], HEALTH_ACT_BEGIN);
}

static void
test_reload(void **state)
{
	struct health_conf stricter = conf;
	struct health_ev ev = {.type = HEALTH_EV_CONF, .conf = &stricter};
	struct run r = started(HEALTH_UP);
	struct health_out out;

	(void)state;
	stricter.fall = 1;
	step(&r, 'b');
	step(&r, 'b');
	begin(&r);
	health_input(&r.h, r.now, &ev, &out);
	assert_int_equal(out.n, 1);
	assert_int_equal(out.act[0], HEALTH_ACT_ABORT);
	assert_int_equal(r.h.state, HEALTH_UP); /* what was counted, does not count */
	assert_true(health_check(&r.h));
	step(&r, 'b');
	assert_int_equal(r.h.state, HEALTH_DOWN);
}

static void
test_refused(void **state)
{
	struct health h;
	struct health_conf bad = conf;

	(void)state;
	bad.every_ns = HEALTH_EVERY_MIN_NS - 1;
	assert_int_equal(health_init(&h, &bad, 1), -EINVAL);
	bad = conf;
	bad.fall = 0;
	assert_int_equal(health_init(&h, &bad, 1), -EINVAL);
	bad = conf;
	bad.timeout_ns = 0;
	assert_int_equal(health_init(&h, &bad, 1), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_haste),
	    cmocka_unit_test(test_doubt),
	    cmocka_unit_test(test_jitter),
	    cmocka_unit_test(test_slow_checks_do_not_overlap),
	    cmocka_unit_test(test_reload),
	    cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
