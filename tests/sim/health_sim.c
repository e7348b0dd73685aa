/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many targets and a fickle world, in virtual time.
 *
 * One seed gives one run: a random configuration, targets whose checks succeed, fail,
 * take too long or cannot be made, real traffic that fails, a caller that is late or
 * early, reloads and restarts. A referee apart from the core keeps the books and states
 * what may never be:
 *
 *   - up without `rise` successes in a row, down without `fall` failures in a row or a
 *     failure of real traffic;
 *   - two checks of one target at once, or one that outlasts its timeout;
 *   - checks closer than nine tenths of the interval (a tenth of it in haste), or
 *     farther apart than the interval while the caller is punctual;
 *   - a verdict that stays out although its row is complete;
 *   - a hundred targets of one interval that are checked in step.
 *
 * Usage: health_sim FIRST_SEED COUNT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "health/health_core.h"
#include "sim.h"

#define STEPS	4000
#define CROWD	100
#define BUCKETS 20

struct sim {
	uint64_t seed, hash;
	struct rng rng;
	struct health h;
	struct health_conf conf;
	mono_t now;
	/* the referee's books */
	enum health_state state;
	unsigned good, bad; /* in a row, as the world gave them */
	bool checking, doubted;
	mono_t begun;	      /* the last check */
	bool was_up;	      /* at that instant */
	bool punctual;	      /* no late tick and no overlong check since */
	unsigned good_of_100; /* the target's mood */
};

static uint32_t
below(struct sim *s, uint32_t n)
{
	return rng_below(&s->rng, n);
}

NORETURN static void
fail(const struct sim *s, const char *why)
{
	(void)printf("FAIL seed %llu at %lld us: %s (every %lld us, timeout %lld us, "
		     "fall %u, rise %u)\n",
	    (unsigned long long)s->seed, (long long)(s->now.ns / US_NS), why,
	    (long long)(s->conf.every_ns / US_NS),
	    (long long)(s->conf.timeout_ns / US_NS), s->conf.fall, s->conf.rise);
	exit(1);
}

static int64_t
haste_of(const struct sim *s)
{
	int64_t ns = s->conf.every_ns / 10;

	return ns > 10 * MS_NS ? ns : 10 * MS_NS;
}

static void
begun(struct sim *s)
{
	int64_t gap = mono_sub(s->now, s->begun);

	if (s->checking)
		fail(s, "two checks at once");
	if (s->begun.ns >= 0) {
		if (gap < haste_of(s) * 9 / 10)
			fail(s, "checks too close");
		if (s->was_up && s->state == HEALTH_UP && s->punctual &&
		    gap < s->conf.every_ns * 9 / 10)
			fail(s, "checks of a settled target too close");
		if (s->punctual && gap > s->conf.every_ns)
			fail(s, "checks too far apart");
	}
	s->checking = true;
	s->begun = s->now;
	s->was_up = s->state == HEALTH_UP;
	s->punctual = true;
}

static void
judge(struct sim *s, bool passive)
{
	enum health_state to = s->h.state;

	if (to == s->state)
		fail(s, "a change that is none");
	if (to == HEALTH_UNKNOWN)
		fail(s, "a verdict was forgotten");
	if (to == HEALTH_UP && s->good < s->conf.rise)
		fail(s, "up too early");
	if (to == HEALTH_DOWN && s->bad < s->conf.fall && !passive)
		fail(s, "down too early");
	s->state = to;
}

static void
count(struct sim *s, bool good)
{
	s->good = good ? s->good + 1 : 0;
	s->bad = good ? 0 : s->bad + 1;
}

static int64_t
patience_of(const struct sim *s)
{
	int64_t ns = s->conf.timeout_ns;

	return s->doubted && ns > 300 * MS_NS ? 300 * MS_NS : ns;
}

static void
give(struct sim *s, struct health_ev ev)
{
	struct health_out out;
	bool passive = ev.type == HEALTH_EV_PASSIVE;
	bool alone = s->doubted; /* one bad answer is enough */

	if (alone && s->checking && ev.type == HEALTH_EV_BAD)
		passive = true;
	if (s->checking && (ev.type == HEALTH_EV_GOOD || ev.type == HEALTH_EV_BAD))
		count(s, ev.type == HEALTH_EV_GOOD);
	if (ev.type == HEALTH_EV_GOOD || ev.type == HEALTH_EV_BAD ||
	    ev.type == HEALTH_EV_VOID)
		s->checking = s->doubted = false;
	if (passive)
		s->good = 0;
	health_input(&s->h, s->now, &ev, &out);
	if (!health_check(&s->h))
		fail(s, "an invariant is broken");
	for (unsigned i = 0; i < out.n; i++) {
		s->hash = rng_mix(s->hash ^ (uint64_t)s->now.ns ^ out.act[i]);
		switch (out.act[i]) {
		case HEALTH_ACT_BEGIN:
			begun(s);
			break;
		case HEALTH_ACT_EXPIRE:
			if (!s->checking || mono_sub(s->now, s->begun) < patience_of(s))
				fail(s, "expired too early");
			passive |= alone;
			s->checking = s->doubted = false;
			count(s, false);
			break;
		case HEALTH_ACT_ABORT:
			if (!s->checking)
				fail(s, "nothing to abort");
			s->checking = s->doubted = false;
			/* The next one is a new beginning. */
			s->punctual = false;
			break;
		case HEALTH_ACT_STATE:
			judge(s, passive);
			break;
		}
	}
	if (ev.type == HEALTH_EV_DOUBT && s->state == HEALTH_UP && s->checking &&
	    s->begun.ns == s->now.ns)
		s->doubted = true;
	if (passive && ev.type != HEALTH_EV_PASSIVE)
		s->bad = s->h.bad; /* counted anew, by real traffic's rule */
	if (s->h.state != s->state)
		fail(s, "changed without a word");
	if (s->good >= s->conf.rise && s->state != HEALTH_UP)
		fail(s, "not up");
	if (s->bad >= s->conf.fall && s->state != HEALTH_DOWN)
		fail(s, "not down");
	if (passive && s->state != HEALTH_DOWN)
		fail(s, "real traffic was ignored");
}

static struct health_conf
any_conf(struct sim *s)
{
	return (struct health_conf){
	    .every_ns = (10 + (int64_t)below(s, 1 + (1U << below(s, 14)))) * MS_NS,
	    .timeout_ns = (1 + (int64_t)below(s, 1 + (1U << below(s, 13)))) * MS_NS,
	    .fall = 1 + below(s, 5),
	    .rise = 1 + below(s, 5)};
}

/* A new process: it knows the last verdict, and nothing else. */
static void
boot(struct sim *s, enum health_state state)
{
	if (health_init(&s->h, &s->conf, rng_next(&s->rng)) != 0)
		fail(s, "configuration refused");
	s->state = state;
	s->good = s->bad = 0;
	s->checking = s->doubted = false;
	s->begun = (mono_t){-1};
	/* Events before the start mean nothing. */
	for (int t = HEALTH_EV_TICK; t <= HEALTH_EV_DOUBT; t++) {
		struct health_out out;

		health_input(&s->h, s->now,
		    &(struct health_ev){.type = (enum health_ev_type)t}, &out);
		if (out.n > 0)
			fail(s, "acts before its start");
	}
	s->h.state = state;
	give(s, (struct health_ev){.type = HEALTH_EV_START, .state = state});
}

/* A check under way ends, in good time or not. */
static void
answer(struct sim *s)
{
	struct health_ev ev = {.type = HEALTH_EV_BAD};
	mono_t end = health_deadline(&s->h);
	int64_t left = mono_sub(end, s->now), took;

	if (below(s, 10) == 0) { /* silence */
		s->now = end;
		give(s, (struct health_ev){.type = HEALTH_EV_TICK});
		s->punctual =
		    s->punctual && s->conf.timeout_ns <= s->conf.every_ns / 10;
		return;
	}
	took = left > 0 ? (int64_t)below(s, (uint32_t)(left / US_NS) + 1) * US_NS : 0;
	s->now = mono_add(s->now, took);
	if (took > haste_of(s) * 9 / 10)
		s->punctual = false;
	if (below(s, 100) < s->good_of_100)
		ev.type = HEALTH_EV_GOOD;
	else if (below(s, 8) == 0)
		ev.type = HEALTH_EV_VOID;
	give(s, ev);
}

static void
wait_for_turn(struct sim *s)
{
	mono_t due = health_deadline(&s->h);

	if (mono_before(s->now, due))
		s->now = due;
	if (below(s, 20) == 0) { /* a busy machine */
		s->now = mono_add(s->now, (int64_t)below(s, 2000) * MS_NS);
		s->punctual = false;
	}
	give(s, (struct health_ev){.type = HEALTH_EV_TICK});
}

static void
step(struct sim *s)
{
	switch (below(s, 100)) {
	case 0:
		s->good_of_100 = below(s, 3) * 50;
		break;
	case 1: /* a stranger's word */
		if (!s->checking)
			give(s, (struct health_ev){.type = HEALTH_EV_GOOD});
		break;
	case 2:
	case 3:
		give(s, (struct health_ev){.type = HEALTH_EV_PASSIVE});
		s->bad = s->h.bad;
		s->punctual = false;
		break;
	case 8: /* asked at once, however short ago the last one was */
		s->punctual = false;
		s->was_up = false;
		s->begun = (mono_t){-1};
		give(s, (struct health_ev){.type = HEALTH_EV_DOUBT});
		s->punctual = false;
		break;
	case 4:
		s->conf = any_conf(s);
		s->good = s->bad = 0;
		s->begun = (mono_t){-1};
		give(s, (struct health_ev){.type = HEALTH_EV_CONF, .conf = &s->conf});
		s->punctual = false;
		break;
	case 5:
		boot(s, s->state);
		break;
	case 6: /* the next one may be due, but this one is not over */
		if (s->checking && s->conf.timeout_ns > 2 * s->conf.every_ns &&
		    mono_sub(s->now, s->begun) < s->conf.every_ns) {
			s->now = mono_add(s->begun, s->conf.every_ns);
			s->punctual = false;
		}
		give(s, (struct health_ev){.type = HEALTH_EV_TICK});
		break;
	case 7: /* too early: harmless */
		give(s, (struct health_ev){.type = HEALTH_EV_TICK});
		break;
	default:
		if (s->checking)
			answer(s);
		else
			wait_for_turn(s);
	}
}

/* Started in the same instant, a hundred targets spread over the interval. */
static void
check_crowd(struct sim *s)
{
	static struct health h[CROWD];
	static const struct health_conf conf = {
	    .every_ns = SEC_NS, .timeout_ns = SEC_NS, .fall = 3, .rise = 2};
	unsigned bucket[BUCKETS] = {0};
	mono_t end = mono_add(s->now, 20 * SEC_NS);
	struct health_out out;

	for (unsigned i = 0; i < CROWD; i++) {
		if (health_init(&h[i], &conf, rng_next(&s->rng)) != 0)
			fail(s, "configuration refused");
		health_input(
		    &h[i], s->now, &(struct health_ev){.type = HEALTH_EV_START}, &out);
	}
	for (unsigned i = 0; i < CROWD; i++) {
		mono_t at = s->now;

		while (mono_before(health_deadline(&h[i]), end)) {
			at = health_deadline(&h[i]);
			health_input(&h[i], at,
			    &(struct health_ev){.type = HEALTH_EV_TICK}, &out);
			health_input(&h[i], at,
			    &(struct health_ev){.type = HEALTH_EV_GOOD}, &out);
		}
		bucket[mono_sub(end, at) / (SEC_NS / BUCKETS) % BUCKETS]++;
	}
	/* 5 are to be expected; 25 of 100 in one twentieth is no chance. */
	for (unsigned i = 0; i < BUCKETS; i++) {
		if (bucket[i] > 25)
			fail(s, "checks line up");
	}
}

static uint64_t
run(uint64_t seed)
{
	struct sim s = {.seed = seed, .rng = {rng_mix(seed)}, .good_of_100 = 50};

	s.conf = any_conf(&s);
	boot(&s, HEALTH_UNKNOWN);
	for (unsigned i = 0; i < STEPS; i++)
		step(&s);
	check_crowd(&s);
	return s.hash;
}

int
main(int argc, char **argv)
{
	return sim_main(argc, argv, run, 200, 1);
}
