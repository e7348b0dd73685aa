/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of a host's rules, and everything that can come in between, in virtual time.
 *
 * One seed gives one run: reloads of the same file and of others, confirmations in time
 * and too late, orders, loads that fail, deaths of the part, reboots. The kernel is a
 * model of what nft_json.h loads: rules on trial end by themselves. A referee apart
 * from the core states what may never be:
 *
 *   - rules that close something hold longer than the trial without a confirmation,
 *     whatever died or was reloaded meanwhile;
 *   - rules that were undone hold again without `on`, a changed file or a reboot;
 *   - what was confirmed does not hold at once, or not after a death or a reboot;
 *   - after all has settled, neither the file's rules nor the confirmed ones hold.
 *
 * Usage: firewall_sim FIRST_SEED COUNT
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "firewall/firewall_core.h"
#include "sim.h"

#define STEPS	3000
#define SETS	5
#define NO_SET	(-1) /* everything is accepted */
#define CONFIRM (60 * SEC_NS)

struct sim {
	uint64_t seed, hash;
	struct rng rng;
	mono_t now;
	struct fw_core core;
	bool alive, failing, said_off;
	bool closes[SETS][SETS]; /* the second closes what the first leaves open */
	int file, stored;	 /* rule sets */
	struct {
		bool present, trial;
		int set, before, undone; /* `set`: which the table was made of */
		int holds;		 /* for good */
		mono_t ends;
	} kernel;
	/* the referee's books */
	int legit;     /* what may hold for good; NO_SET: nothing was confirmed */
	int seen;      /* unconfirmed closing rules that hold ... */
	mono_t since;  /* ... since */
	int forbidden; /* undone, and nobody asked for them again */
};

static void
fail(const struct sim *s, const char *what)
{
	(void)printf("FAIL seed %llu at %lld ms: %s\n", (unsigned long long)s->seed,
	    (long long)(s->now.ns / MS_NS), what);
	exit(1);
}

static bool
closing(const struct sim *s, int before, int after)
{
	return before == NO_SET || s->closes[before][after];
}

/* The rules that packets meet now. */
static int
effective(const struct sim *s)
{
	if (!s->kernel.present)
		return NO_SET;
	if (s->kernel.trial)
		return mono_sub(s->kernel.ends, s->now) > 0 ? s->kernel.set
							    : s->kernel.before;
	return s->kernel.holds;
}

/* As the shell does it: a load that fails changes nothing, and is tried again. */
static bool
act(struct sim *s, enum fw_action action)
{
	if (action == FW_NOTHING)
		return true;
	if (s->failing) {
		fw_init(&s->core);
		return false;
	}
	s->kernel.present = action != FW_REMOVE;
	s->kernel.trial = action == FW_LOAD_TRIAL;
	s->kernel.set = s->file;
	s->kernel.undone = NO_SET;
	s->said_off = action == FW_REMOVE;
	if (action == FW_LOAD && !closing(s, s->legit, s->file))
		s->legit = s->file;
	if (action == FW_LOAD) {
		s->kernel.holds = s->stored = s->file;
	} else if (action == FW_LOAD_TRIAL) {
		s->kernel.before = s->stored;
		s->kernel.ends = mono_add(s->now, s->core.trial_ns);
	} else if (action == FW_LOAD_BEFORE) {
		s->kernel.holds = s->stored;
		s->kernel.undone = s->forbidden = s->file;
	}
	return true;
}

static struct fw_facts
facts(const struct sim *s)
{
	bool same = s->kernel.present && s->kernel.set == s->file;
	int64_t left = mono_sub(s->kernel.ends, s->now);

	return (struct fw_facts){
	    .closes = closing(s, s->stored, s->file),
	    .confirm_ns = CONFIRM,
	    .tried = same && s->kernel.trial,
	    .left_ns = left > 0 ? left : 0,
	    .undone = s->kernel.present && s->kernel.undone == s->file,
	    .held = same && !s->kernel.trial && s->kernel.undone == NO_SET,
	};
}

static void
configure(struct sim *s)
{
	struct fw_facts f = facts(s);
	enum fw_action action = fw_config(&s->core, s->now, &f, s->said_off);

	if (action == FW_LOAD_TRIAL && f.tried)
		return; /* the kernel has it */
	(void)act(s, action);
}

static void
boot(struct sim *s)
{
	fw_init(&s->core);
	s->alive = true;
	configure(s);
}

static void
other_file(struct sim *s)
{
	s->file = (int)rng_below(&s->rng, SETS);
	s->forbidden = NO_SET;
	s->said_off = false; /* a reload ends it */
	if (s->alive)
		configure(s);
}

static void
confirm(struct sim *s)
{
	enum fw_action action;
	int held = effective(s);

	if (!s->alive || fw_confirm(&s->core, s->now, &action) != 0)
		return;
	if (held != s->file && held != NO_SET && closing(s, held, s->file) &&
	    !s->kernel.trial)
		fail(s, "rules confirmed that were not on trial");
	if (!act(s, action))
		return;
	s->legit = s->file;
	s->forbidden = NO_SET;
	if (effective(s) != s->file || s->stored != s->file)
		fail(s, "confirmed rules do not hold");
}

static void
order(struct sim *s, bool on)
{
	struct fw_facts f = facts(s);
	enum fw_action action;

	if (!s->alive)
		return;
	if (!on) {
		if (act(s, fw_off(&s->core)))
			s->forbidden = NO_SET; /* what comes next is asked for */
		return;
	}
	f.tried = f.undone = f.held = false;
	if (fw_on(&s->core, s->now, &f, &action) != 0)
		return;
	s->forbidden = NO_SET;
	s->seen = NO_SET;
	(void)act(s, action);
}

static void
reboot(struct sim *s)
{
	s->kernel.present = s->kernel.trial = false;
	s->kernel.undone = s->forbidden = s->seen = NO_SET;
	s->said_off = false;
	boot(s);
}

static void
pass_time(struct sim *s, int64_t ns)
{
	s->now = mono_add(s->now, ns);
	if (!s->alive)
		return;
	if (s->core.state == FW_NONE)
		configure(s); /* the retry of a load that failed */
	else
		(void)act(s, fw_tick(&s->core, s->now));
}

static void
referee(struct sim *s)
{
	int e = effective(s);

	s->hash = rng_mix(s->hash ^ (uint64_t)(e + 1) ^ (uint64_t)s->now.ns);
	if (s->alive && s->core.state == FW_TRIAL && s->kernel.trial &&
	    mono_sub(s->kernel.ends, s->now) <= 0)
		fail(s, "a trial that is over is not told");
	if (e == NO_SET || e == s->legit || !closing(s, s->legit, e)) {
		s->seen = NO_SET;
		return;
	}
	if (e == s->forbidden)
		fail(s, "undone rules hold again, unasked");
	if (s->seen != e) {
		s->seen = e;
		s->since = s->now;
	}
	if (mono_sub(s->now, s->since) > CONFIRM)
		fail(s, "unconfirmed rules hold for longer than their trial");
}

static void
step(struct sim *s)
{
	switch (rng_below(&s->rng, 12)) {
	case 0:
		if (rng_below(&s->rng, 3) == 0)
			other_file(s);
		break;
	case 1:
		s->said_off = s->said_off && !s->alive;
		if (s->alive) /* the same file again */
			configure(s);
		break;
	case 2:
		s->alive = false;
		break;
	case 3:
		if (!s->alive)
			boot(s);
		break;
	case 4:
		if (rng_below(&s->rng, 20) == 0)
			reboot(s);
		break;
	case 5:
		if (rng_below(&s->rng, 3) == 0)
			confirm(s);
		break;
	case 6:
		order(s, rng_below(&s->rng, 3) != 0);
		break;
	case 7:
		s->failing = rng_below(&s->rng, 4) == 0;
		break;
	default:
		pass_time(s, (int64_t)rng_below(&s->rng, 20000) * MS_NS);
	}
	referee(s);
}

/* Without further trouble: what is to hold holds. */
static void
settle(struct sim *s)
{
	s->failing = false;
	if (!s->alive)
		boot(s);
	for (unsigned i = 0; i < 20; i++) {
		pass_time(s, 10 * SEC_NS);
		referee(s);
	}
	if (s->core.state == FW_OFF ? effective(s) != NO_SET : effective(s) != s->legit)
		fail(s, "something else holds after all has settled");
}

static uint64_t
run(uint64_t seed)
{
	struct sim s = {.seed = seed,
	    .rng = {rng_mix(seed)},
	    .stored = NO_SET,
	    .legit = NO_SET,
	    .seen = NO_SET,
	    .forbidden = NO_SET};

	s.kernel.undone = NO_SET;
	for (unsigned i = 0; i < SETS; i++) {
		for (unsigned j = 0; j < SETS; j++)
			s.closes[i][j] = i != j && rng_below(&s.rng, 3) != 0;
	}
	boot(&s);
	for (unsigned i = 0; i < STEPS; i++)
		step(&s);
	settle(&s);
	return s.hash;
}

int
main(int argc, char **argv)
{
	return sim_main(argc, argv, run, 500, 1);
}
