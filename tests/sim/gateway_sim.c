/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Next hops that come and go, in virtual time.
 *
 * One seed gives one run: hops that die and return, links that fail with all that is
 * behind them, answers that are lost or late, a caller that oversleeps or comes too
 * early, reloads and restarts. A referee apart from the core keeps the books and states
 * what may never be:
 *
 *   - an empty set, or one that leaves out a living hop or uses a fallen one beside it;
 *   - a flow that moves although its hop has not fallen, or while nobody lives;
 *   - a question before the one before it could be answered, however late the caller,
 * or more often than once in a heartbeat to who has fallen;
 *   - a silent hop that was not asked again in time;
 *   - a hop in use after `fall` questions in a row without an answer;
 *   - a hop that is not used after `rise` answers in a row;
 *   - a fit host of which a set was dark for longer than it may, or an unfit one
 *     without such a set.
 *
 * Usage: gateway_sim FIRST_SEED COUNT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"
#include "gateway/gateway_core.h"
#include "sim.h"

#define STEPS	3000
#define HOPS	8
#define LINKS	3
#define SETS	5
#define FLOWS	64
#define ANSWERS 64

struct answer {
	mono_t due;
	unsigned hop;
};

/* The referee's book of a hop. */
struct book {
	unsigned link;
	bool alive;
	bool asked;
	mono_t last;		   /* question */
	int64_t pace;		   /* to the one after it, at least */
	unsigned missed, answered; /* questions in a row */
};

struct sim {
	uint64_t seed, hash;
	struct rng rng;
	struct gateway_core g;
	struct gateway_conf conf;
	mono_t now;
	unsigned n_hops, n_sets;
	struct book book[HOPS];
	bool link_up[LINKS];
	uint64_t member[SETS];
	unsigned flow[SETS][FLOWS]; /* the hop of each */
	mono_t dark[SETS];
	uint64_t used[SETS];	       /* before the last input */
	struct answer answer[ANSWERS]; /* on their way */
	unsigned n_answers;
	unsigned loss; /* of 100 answers */
};

static uint32_t
below(struct sim *s, uint32_t n)
{
	return rng_below(&s->rng, n);
}

NORETURN static void
fail(const struct sim *s, const char *why)
{
	(void)printf(
	    "FAIL seed %llu at %lld us: %s (every %lld us, fall %u, rise %u)\n",
	    (unsigned long long)s->seed, (long long)(s->now.ns / US_NS), why,
	    (long long)(s->conf.heartbeat_ns / US_NS), s->conf.fall, s->conf.rise);
	exit(1);
}

/* ---- the referee --------------------------------------------------------------- */

static bool
down(const struct sim *s, unsigned hop)
{
	return s->g.hop[hop].state == GATEWAY_DOWN;
}

static void
check_hop(const struct sim *s, unsigned i)
{
	const struct book *b = &s->book[i];

	if (!s->link_up[b->link]) {
		if (!down(s, i))
			fail(s, "a hop behind a dead link is in use");
		return;
	}
	if (b->missed >= s->conf.fall && !down(s, i))
		fail(s, "a silent hop is in use");
	if (b->answered >= s->conf.rise && s->g.hop[i].state != GATEWAY_UP)
		fail(s, "a hop that answers is not in use");
}

/* After a tick: nobody is overdue. */
static void
check_asked(const struct sim *s, unsigned i)
{
	const struct book *b = &s->book[i];

	if (s->link_up[b->link] && b->asked && mono_sub(s->now, b->last) >= b->pace)
		fail(s, "a hop is not asked in time");
}

/* As the kernel's resilient groups do: who stays keeps its flows. */
static void
move_flows(struct sim *s, unsigned set)
{
	uint64_t live = s->g.set[set].live;

	for (unsigned i = 0; i < FLOWS; i++) {
		unsigned *hop = &s->flow[set][i];

		if ((live & GATEWAY_BIT(*hop)) != 0)
			continue;
		if (!down(s, *hop))
			fail(s, "a flow moves away from a living hop");
		do
			*hop = below(s, s->n_hops);
		while ((live & GATEWAY_BIT(*hop)) == 0);
	}
}

static void
check_set(struct sim *s, unsigned set)
{
	const struct gateway_set *g = &s->g.set[set];
	uint64_t alive = 0;

	for (unsigned i = 0; i < s->n_hops; i++) {
		if ((s->member[set] & GATEWAY_BIT(i)) != 0 && !down(s, i))
			alive |= GATEWAY_BIT(i);
	}
	if (g->live == 0 || (g->live & ~s->member[set]) != 0)
		fail(s, "an empty or foreign set");
	if (alive != 0 && g->live != alive)
		fail(s, "a set does not use who lives");
	for (unsigned i = 0; i < FLOWS; i++) {
		if ((g->live & GATEWAY_BIT(s->flow[set][i])) == 0)
			fail(s, "a set changed in silence");
	}
	/* With a link several fall at once; the last of them stays. */
	if (alive == 0 &&
	    ((g->live & ~s->used[set]) != 0 ||
		(!mono_is_never(s->dark[set]) && g->live != s->used[set])))
		fail(s, "a set changed while none of it lives");
	s->used[set] = g->live;
	if (alive != 0)
		s->dark[set] = MONO_NEVER;
	else if (mono_is_never(s->dark[set]))
		s->dark[set] = s->now;
}

static bool
link_left(const struct sim *s, unsigned set)
{
	for (unsigned i = 0; i < s->n_hops; i++) {
		if ((s->member[set] & GATEWAY_BIT(i)) != 0 &&
		    s->link_up[s->book[i].link])
			return true;
	}
	return false;
}

static void
check_fitness(const struct sim *s)
{
	bool fit = true;

	for (unsigned i = 0; i < s->n_sets; i++) {
		if (mono_is_never(s->dark[i]))
			continue;
		if (!link_left(s, i) ||
		    mono_sub(s->now, s->dark[i]) >= GATEWAY_UNFIT_NS)
			fit = false;
	}
	if (fit != s->g.fit)
		fail(s, fit ? "unfit without a reason" : "fit without a way");
}

/* ---- the world ----------------------------------------------------------------- */

/* A quarter of a heartbeat, at least 5 ms. */
static int64_t
quick(const struct sim *s)
{
	const int64_t part = s->conf.heartbeat_ns / 4;

	return part > 5 * MS_NS ? part : 5 * MS_NS;
}

static void
ask(struct sim *s, unsigned i)
{
	struct book *b = &s->book[i];

	if (b->asked) {
		b->missed++;
		b->answered = 0;
		if (mono_sub(s->now, b->last) < b->pace)
			fail(s, "asked again before it could answer");
	}
	b->asked = true;
	b->last = s->now;
	b->pace = down(s, i) ? s->conf.heartbeat_ns : quick(s);
	if (!s->link_up[b->link])
		fail(s, "a question into a dead link");
	if (!b->alive || s->n_answers == ANSWERS || below(s, 100) < s->loss)
		return;
	s->answer[s->n_answers++] =
	    (struct answer){mono_add(s->now, below(s, (uint32_t)b->pace)), i};
}

static void
give(struct sim *s, const struct gateway_ev *ev)
{
	bool was_fit = s->g.fit;
	struct gateway_out out;

	gateway_core_input(&s->g, s->now, ev, &out);
	if (!gateway_core_check(&s->g))
		fail(s, "the core contradicts itself");
	if (out.fit != (was_fit != s->g.fit))
		fail(s, "fitness changed in silence");
	if (out.sets != 0 && out.hops == 0)
		fail(s, "a set changed without a reason");
	for (unsigned i = 0; i < s->n_sets; i++) {
		if ((out.sets & GATEWAY_BIT(i)) != 0)
			move_flows(s, i);
	}
	for (unsigned i = 0; i < s->n_hops; i++) {
		if ((out.probe & GATEWAY_BIT(i)) != 0)
			ask(s, i);
	}
	for (unsigned i = 0; i < s->n_hops; i++) {
		check_hop(s, i);
		if (ev->type == GATEWAY_EV_TICK)
			check_asked(s, i);
	}
	for (unsigned i = 0; i < s->n_sets; i++)
		check_set(s, i);
	check_fitness(s);
	s->hash = rng_mix(s->hash ^ out.sets ^ out.hops << 16 ^ out.probe << 32);
}

/* What has arrived by now, in any order. */
static void
deliver(struct sim *s)
{
	for (unsigned i = 0; i < s->n_answers;) {
		const struct answer a = s->answer[i];
		struct book *b = &s->book[a.hop];

		if (mono_before(s->now, a.due)) {
			i++;
			continue;
		}
		s->answer[i] = s->answer[--s->n_answers];
		if (b->asked && s->link_up[b->link]) {
			b->asked = false;
			b->missed = 0;
			b->answered++;
		}
		give(s, &(struct gateway_ev){.type = GATEWAY_EV_ANSWER, .hop = a.hop});
	}
}

/* The part tells of each hop; in between the referee cannot judge. */
static void
tell_links(struct sim *s)
{
	for (unsigned i = 0; i < s->n_hops; i++) {
		struct gateway_out out;

		gateway_core_input(&s->g, s->now,
		    &(struct gateway_ev){.type = GATEWAY_EV_LINK,
			.hop = i,
			.up = s->link_up[s->book[i].link]},
		    &out);
		for (unsigned k = 0; k < s->n_sets; k++) {
			if ((out.sets & GATEWAY_BIT(k)) != 0)
				move_flows(s, k);
		}
	}
	for (unsigned i = 0; i < s->n_sets; i++)
		check_set(s, i);
	check_fitness(s);
}

static void
flip_link(struct sim *s, unsigned link)
{
	s->link_up[link] = !s->link_up[link];
	for (unsigned i = 0; i < s->n_hops; i++) {
		struct book *b = &s->book[i];

		if (b->link != link)
			continue;
		b->asked = false;
		b->missed = b->answered = 0;
	}
	tell_links(s);
}

/* A new core that begins where the old one was: a reload, or with `all` false a
 * process that finds only what the kernel has. */
static void
reload(struct sim *s, bool all)
{
	static const struct gateway_next was_down = {
	    .state = GATEWAY_DOWN, .link = true};
	struct gateway_core old = s->g;

	gateway_core_init(&s->g, &s->conf);
	for (unsigned i = 0; i < s->n_hops; i++) {
		const struct gateway_next *was =
		    old.hop[i].state == GATEWAY_DOWN ? &was_down : NULL;

		(void)gateway_core_add_hop(&s->g, s->now, all ? &old.hop[i] : was);
		s->book[i].asked = false;
		if (!all)
			s->book[i].missed = s->book[i].answered = 0;
	}
	for (unsigned i = 0; i < s->n_sets; i++) {
		(void)gateway_core_add_set(
		    &s->g, s->now, s->member[i], old.set[i].live);
		s->dark[i] = s->g.set[i].dark;
		if (s->g.set[i].live != old.set[i].live)
			fail(s, "a reload changes a set");
	}
	tell_links(s);
}

static void
step(struct sim *s)
{
	const int64_t beat = s->conf.heartbeat_ns;
	/* Without a link there is nothing to wait for. */
	mono_t due =
	    mono_min(gateway_core_deadline(&s->g), mono_add(s->now, 10 * beat));
	uint32_t dice = below(s, 1000);

	if (dice < 20)
		s->book[below(s, s->n_hops)].alive ^= true;
	else if (dice < 25)
		flip_link(s, below(s, LINKS));
	else if (dice < 28)
		reload(s, below(s, 2) == 0);
	if (dice >= 900) /* too early */
		s->now = mono_add(s->now, below(s, (uint32_t)beat));
	else if (mono_before(s->now, due))
		s->now = due;
	if (dice >= 600 && dice < 650) /* overslept */
		s->now = mono_add(s->now, below(s, 40) * beat / 4);
	deliver(s);
	give(s, &(struct gateway_ev){.type = GATEWAY_EV_TICK});
}

static void
boot(struct sim *s)
{
	static const int64_t beat[] = {10 * MS_NS, 100 * MS_NS, 2 * SEC_NS};

	s->conf = (struct gateway_conf){.heartbeat_ns = beat[below(s, 3)],
	    .fall = 1 + below(s, 5),
	    .rise = 1 + below(s, 8)};
	s->n_hops = 1 + below(s, HOPS);
	s->n_sets = 1 + below(s, SETS);
	s->loss = below(s, 2) * below(s, 40);
	gateway_core_init(&s->g, &s->conf);
	for (unsigned i = 0; i < LINKS; i++)
		s->link_up[i] = true;
	for (unsigned i = 0; i < s->n_hops; i++) {
		s->book[i] =
		    (struct book){.link = below(s, LINKS), .alive = below(s, 3) > 0};
		(void)gateway_core_add_hop(&s->g, s->now, NULL);
	}
	for (unsigned i = 0; i < s->n_sets; i++) {
		while (s->member[i] == 0)
			s->member[i] = rng_next(&s->rng) & (GATEWAY_BIT(s->n_hops) - 1);
		(void)gateway_core_add_set(&s->g, s->now, s->member[i], 0);
		s->dark[i] = MONO_NEVER;
		s->used[i] = s->g.set[i].live;
		for (unsigned k = 0; k < FLOWS; k++) {
			do
				s->flow[i][k] = below(s, s->n_hops);
			while ((s->member[i] & GATEWAY_BIT(s->flow[i][k])) == 0);
		}
	}
}

static uint64_t
run(uint64_t seed)
{
	struct sim s = {.seed = seed, .rng = {rng_mix(seed)}};

	boot(&s);
	for (unsigned i = 0; i < STEPS; i++)
		step(&s);
	return s.hash;
}

int
main(int argc, char **argv)
{
	return sim_main(argc, argv, run, 300, 1);
}
