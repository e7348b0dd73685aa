/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part's life under random faults in virtual time: processes that crash, hang, never
 * become ready, break their link or refuse to leave; pauses of the whole host. The
 * properties are written apart from the code:
 *
 *	- never do two processes act at once;
 *	- an acting one that dies while a spare is ready is replaced in the same
 *instant;
 *	- one that hangs is killed in time, one that answers never is, nor one that is
 *	  late for want of a processor;
 *	- a part that keeps dying is not restarted faster than the back-off allows;
 *	- one that is replaced and healthy acts until its successor is ready, and is not
 *	  killed; afterwards nobody is left of those that were to be replaced;
 *	- once faults end, the part is up within a known time, and gone when unwanted.
 *
 *	supervisor_sim [FIRST-SEED [COUNT]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "sim.h"
#include "supervisor/supervisor_core.h"

#define PING_NS	  (20 * MS_NS)
#define HANG_NS	  (60 * MS_NS)
#define STOP_NS	  (2 * SEC_NS)
#define FAULTS_NS (90 * SEC_NS)
/* The longest back-off, a boot, and being stable; with something to spare. */
#define SETTLE_NS   (10 * SEC_NS + SUP_STABLE_NS + SEC_NS)
#define CHECK(w, e) ((e) ? (void)0 : failed(w, #e, __LINE__))

struct actor {
	bool alive, killed, acting, hung, never_ready, refuses;
	bool starved;			/* until it answers */
	mono_t since;			/* it acts, or hangs: whichever came last */
	bool old;			/* is to be replaced */
	mono_t ready, pong, yield, end; /* when it will be; MONO_NEVER */
};

struct world {
	uint64_t seed, hash;
	struct rng rng;
	struct sup sup;
	struct actor actor[SUP_SLOTS];
	mono_t now, next_fault, tick;
	bool calm;	 /* no faults any more */
	bool crash_loop; /* every process dies soon after its start */
	bool paused_since_hang;
	unsigned spawns;
};

NORETURN static void
failed(const struct world *w, const char *what, int line)
{
	(void)printf("FAIL seed %llu at %lld us: %s (line %d)\n",
	    (unsigned long long)w->seed, (long long)(w->now.ns / US_NS), what, line);
	exit(1);
}

static mono_t
later(struct world *w, int64_t least_us, uint32_t spread_us)
{
	return mono_add(
	    w->now, (least_us + (int64_t)rng_below(&w->rng, spread_us + 1)) * US_NS);
}

static void
spawn(struct world *w, struct actor *a)
{
	CHECK(w, !a->alive);
	*a = (struct actor){.alive = true,
	    .ready = later(w, 500, 20000),
	    .pong = MONO_NEVER,
	    .yield = MONO_NEVER,
	    .end = MONO_NEVER};
	w->spawns++;
	if (w->calm)
		return;
	if (w->crash_loop)
		a->end = later(w, 100, 40000);
	a->never_ready = rng_below(&w->rng, 40) == 0;
	a->refuses = rng_below(&w->rng, 10) == 0;
	if (a->never_ready)
		a->ready = MONO_NEVER;
}

static bool
has_successor(const struct world *w)
{
	for (unsigned i = 0; i < SUP_SLOTS; i++) {
		if (w->actor[i].alive && !w->actor[i].old &&
		    w->sup.proc[i].state == SUP_PROC_READY)
			return true;
	}
	return false;
}

static void
do_one(struct world *w, const struct sup_act *act)
{
	struct actor *a = act->slot < SUP_SLOTS ? &w->actor[act->slot] : NULL;

	w->hash = rng_mix(
	    w->hash ^ (uint64_t)w->now.ns ^ (uint64_t)act->type << 8 ^ act->slot);
	switch (act->type) {
	case SUP_ACT_SPAWN:
		spawn(w, a);
		break;
	case SUP_ACT_PING:
		CHECK(w, !a->killed);
		/* Also with a little delay that is within what is allowed. */
		if (a->alive && !a->hung && mono_is_never(a->pong))
			a->pong = later(w, 10, 30000);
		if (a->alive && !a->hung && !w->calm && rng_below(&w->rng, 50) == 0) {
			a->starved = true;
			a->pong = later(w, 10, 3 * HANG_NS / US_NS);
		}
		break;
	case SUP_ACT_ACTIVATE:
		for (unsigned i = 0; i < SUP_SLOTS; i++)
			CHECK(w, !w->actor[i].acting);
		CHECK(w, !a->killed);
		a->acting = true;
		a->since = w->now;
		break;
	case SUP_ACT_YIELD:
		CHECK(w, a->old && has_successor(w));
		a->since = w->now; /* patience begins anew */
		if (!a->alive || a->hung || a->refuses)
			break;
		a->yield = later(w, 10, 20000);
		break;
	case SUP_ACT_STOP:
		a->acting = false;
		a->yield = MONO_NEVER;
		if (a->alive && !a->hung && !a->refuses)
			a->end = mono_min(a->end, later(w, 10, 500000));
		break;
	case SUP_ACT_KILL:
		/* Only what hangs, did not get ready, broke its link or does not leave
		 * is killed: none of these happens to a healthy one. */
		CHECK(w, a->hung || a->never_ready || a->refuses || !a->alive);
		a->killed = true;
		a->acting = false;
		if (a->alive)
			a->end = later(w, 10, 2000);
		break;
	case SUP_ACT_STATUS:
		break;
	}
}

static void
feed(struct world *w, enum sup_ev_type type, unsigned slot)
{
	const struct sup_ev ev = {.type = type, .slot = slot};
	struct sup_out out;

	sup_input(&w->sup, w->now, &ev, &out);
	CHECK(w, sup_check(&w->sup));
	for (unsigned i = 0; i < out.n; i++)
		do_one(w, &out.act[i]);
	w->tick = sup_deadline(&w->sup);
}

static bool
spare_is_ready(const struct world *w, unsigned other)
{
	for (unsigned i = 0; i < SUP_SLOTS; i++) {
		if (i != other && w->sup.proc[i].state == SUP_PROC_READY)
			return true;
	}
	return false;
}

static void
die(struct world *w, unsigned slot)
{
	struct actor *a = &w->actor[slot];
	bool acted = a->acting, spare = spare_is_ready(w, slot);
	bool calm = w->sup.wanted;

	*a = (struct actor){.ready = MONO_NEVER,
	    .pong = MONO_NEVER,
	    .yield = MONO_NEVER,
	    .end = MONO_NEVER};
	/* The link breaks first, then the process is reaped; or the other way round. */
	if (rng_below(&w->rng, 2) == 0)
		feed(w, SUP_EV_BROKEN, slot);
	feed(w, SUP_EV_DIED, slot);
	if (acted && spare && calm) {
		CHECK(w, w->sup.acting != SUP_NOBODY);
		CHECK(w, w->sup.status != SUP_RESTARTING);
	}
}

/* What actors do by themselves at this instant. */
static void
live(struct world *w, unsigned slot)
{
	struct actor *a = &w->actor[slot];

	if (a->alive && !mono_before(w->now, a->end)) {
		die(w, slot);
		return;
	}
	if (a->alive && !a->hung && !mono_before(w->now, a->ready)) {
		a->ready = MONO_NEVER;
		feed(w, SUP_EV_READY, slot);
	}
	if (a->alive && !a->hung && !mono_before(w->now, a->pong)) {
		a->pong = MONO_NEVER;
		a->starved = false;
		feed(w, SUP_EV_PONG, slot);
	}
	/* It says that it acts no more, and finishes; or it ends at once. */
	if (a->alive && !a->hung && !mono_before(w->now, a->yield)) {
		a->yield = MONO_NEVER;
		a->acting = false;
		a->end = mono_min(a->end, later(w, 0, 1000000));
		if (rng_below(&w->rng, 3) == 0)
			die(w, slot);
		else
			feed(w, SUP_EV_YIELDED, slot);
	}
	/* Nobody acts and hangs for longer than the pings need to show it. */
	if (a->alive && a->hung && a->acting && !w->paused_since_hang)
		CHECK(w, mono_sub(w->now, a->since) <=
			     PING_NS + SUP_FIRST_PING_HANG * HANG_NS);
}

static void
hang(struct world *w, struct actor *a)
{
	if (!a->alive || a->hung)
		return;
	a->hung = true;
	a->starved = false;
	a->since = w->now;
	a->pong = MONO_NEVER;
	w->paused_since_hang = false;
}

/* Everything stands still: what was due happens late, answers before timers. */
static void
pause_host(struct world *w)
{
	w->now = later(w, 1000, 8000000);
	w->paused_since_hang = true;
	for (unsigned i = 0; i < SUP_SLOTS; i++) {
		struct actor *a = &w->actor[i];

		/* Continued a moment after us. */
		if (a->alive && !mono_is_never(a->pong))
			a->pong = later(w, 10, 5000);
		if (a->alive && !mono_is_never(a->ready))
			a->ready = later(w, 10, 5000);
	}
}

static void
replace(struct world *w)
{
	for (unsigned i = 0; i < SUP_SLOTS; i++)
		w->actor[i].old = w->actor[i].alive;
	feed(w, SUP_EV_REPLACE, SUP_NOBODY);
}

static void
fault(struct world *w)
{
	struct actor *a = &w->actor[rng_below(&w->rng, SUP_SLOTS)];
	unsigned slot = (unsigned)(a - w->actor);

	w->next_fault = later(w, 1000, w->crash_loop ? 20000000 : 4000000);
	switch (rng_below(&w->rng, 10)) {
	case 0:
	case 1:
		if (a->alive)
			a->end = mono_min(a->end, w->now);
		break;
	case 2:
		hang(w, a);
		break;
	case 3:
		pause_host(w);
		break;
	case 4:
		if (a->alive && !a->killed) {
			a->refuses = true; /* its link is broken: killing it is right */
			feed(w, SUP_EV_BROKEN, slot);
		}
		break;
	case 5:
		feed(w, SUP_EV_UNWANT, SUP_NOBODY);
		break;
	case 6: /* events that do not fit, from anywhere */
		feed(w, (enum sup_ev_type)(SUP_EV_READY + rng_below(&w->rng, 2)), slot);
		break;
	case 7:
	case 8:
		if (w->sup.wanted)
			replace(w);
		break;
	default:
		feed(w, SUP_EV_WANT, SUP_NOBODY);
		break;
	}
}

static mono_t
next_instant(const struct world *w)
{
	mono_t t = mono_min(w->tick, w->calm ? MONO_NEVER : w->next_fault);

	for (unsigned i = 0; i < SUP_SLOTS; i++) {
		const struct actor *a = &w->actor[i];

		t = mono_min(t, a->end);
		if (a->hung)
			continue;
		t = mono_min(t, mono_min(mono_min(a->ready, a->pong), a->yield));
	}
	return t;
}

static void
run_until(struct world *w, mono_t end)
{
	unsigned still = 0;

	while (mono_before(w->now, end)) {
		mono_t t = mono_min(next_instant(w), end);

		/* A core that asks for now again and again would spin. */
		still = t.ns <= w->now.ns ? still + 1 : 0;
		CHECK(w, still < 50);
		if (mono_before(w->now, t))
			w->now = t;
		if (!w->calm && !mono_before(w->now, w->next_fault))
			fault(w);
		for (unsigned i = 0; i < SUP_SLOTS; i++)
			live(w, i);
		if (mono_before(w->now, w->tick))
			continue;
		for (unsigned i = 0; i < SUP_SLOTS; i++) {
			if (w->actor[i].starved && sup_slice_ends(&w->sup, i, w->now))
				feed(w, SUP_EV_STARVED, i);
		}
		feed(w, SUP_EV_TICK, SUP_NOBODY);
	}
}

static unsigned
living(const struct world *w)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SUP_SLOTS; i++)
		n += w->actor[i].alive;
	return n;
}

static uint64_t
simulate(uint64_t seed)
{
	struct world w = {.seed = seed, .rng = {seed}, .now = {SEC_NS}};
	struct sup_conf conf = {
	    .ping_ns = PING_NS, .hang_ns = HANG_NS, .stop_ns = STOP_NS};
	unsigned spawns;

	conf.spare = rng_below(&w.rng, 4) != 0;
	w.crash_loop = rng_below(&w.rng, 4) == 0;
	for (unsigned i = 0; i < SUP_SLOTS; i++)
		w.actor[i].ready = w.actor[i].pong = w.actor[i].yield = w.actor[i].end =
		    MONO_NEVER;
	sup_init(&w.sup, &conf);
	w.next_fault = later(&w, 1000, 1000000);
	feed(&w, SUP_EV_WANT, SUP_NOBODY);
	run_until(&w, mono_add(w.now, FAULTS_NS));
	/* Back-off: 0, 0, 10 ms, 100 ms, 1 s, ...: a part that dies at once cannot be
	 * started often. Each `want` by an operator starts from the beginning. */
	if (w.crash_loop)
		CHECK(&w, w.spawns < 300);

	w.calm = true;
	for (unsigned i = 0; i < SUP_SLOTS; i++) {
		struct actor *a = &w.actor[i];

		/* Those that are on their way out go on as they are. */
		if (a->killed || w.sup.proc[i].state == SUP_PROC_LEAVING ||
		    w.sup.proc[i].state == SUP_PROC_YIELDING ||
		    w.sup.proc[i].state == SUP_PROC_YIELDED)
			continue;
		a->refuses = false;
		if (!a->hung)
			a->end = MONO_NEVER;
	}
	feed(&w, SUP_EV_WANT, SUP_NOBODY);
	run_until(&w, mono_add(w.now, SETTLE_NS + SUP_BOOT_NS + STOP_NS));
	CHECK(&w, w.sup.status == SUP_UP);
	CHECK(&w, w.sup.acting != SUP_NOBODY && w.actor[w.sup.acting].acting);
	CHECK(&w, living(&w) == (conf.spare ? 2U : 1U));
	CHECK(&w, sup_is_settled(&w.sup));
	replace(&w);
	run_until(&w, mono_add(w.now, SEC_NS + STOP_NS + SUP_BOOT_NS));
	CHECK(&w, sup_is_settled(&w.sup) && w.sup.status == SUP_UP);
	CHECK(&w, living(&w) == (conf.spare ? 2U : 1U));
	for (unsigned i = 0; i < SUP_SLOTS; i++)
		CHECK(&w, !w.actor[i].old);
	spawns = w.spawns;
	run_until(&w, mono_add(w.now, 30 * SEC_NS));
	CHECK(&w, w.spawns == spawns);

	feed(&w, SUP_EV_UNWANT, SUP_NOBODY);
	run_until(&w, mono_add(w.now, STOP_NS + SEC_NS));
	CHECK(&w, living(&w) == 0 && sup_is_off(&w.sup) && w.sup.status == SUP_OFF);
	return w.hash;
}

int
main(int argc, char **argv)
{
	return sim_main(argc, argv, simulate, 2000, 10);
}
