/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health_core.h - when to check one target, and what the results mean, as a pure state
 * machine.
 *
 * The caller
 *   - feeds events to health_input(), with a `now` that never goes backwards;
 *   - carries out the returned actions, in order, before the next input;
 *   - sends HEALTH_EV_TICK at or after health_deadline(); an early one is harmless.
 *
 * The rules:
 *   - `fall` failures in a row make it down, `rise` successes in a row make it up.
 * Until the first verdict it is unknown, which is neither.
 *   - A failure of real traffic makes it down at once. Real traffic that waits in vain
 *     is a doubt: one check at once, with little patience, decides alone.
 *   - Where an answer is wanted soon (unknown, or down by real traffic alone), checks
 *     follow each other `HEALTH_HASTE` times as fast. A target that real traffic takes
 *     down again and again soon after it came up is asked less hastily each time.
 *   - One check at a time: one that outlasts the interval delays the next.
 *   - Every interval is shortened by a random tenth, and the first check comes at a
 *     random instant, so that the checks of many targets do not line up.
 */
#ifndef NINES_HEALTH_HEALTH_CORE_H
#define NINES_HEALTH_HEALTH_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/mono.h"
#include "base/rng.h"

#define HEALTH_EVERY_MIN_NS (10 * MS_NS)
#define HEALTH_EVERY_MAX_NS (3600 * SEC_NS)
#define HEALTH_HASTE	    10
#define HEALTH_CALM	    10		  /* intervals of being up that end damping */
#define HEALTH_DOUBT_NS	    (300 * MS_NS) /* what the answer to a doubt may take */
#define HEALTH_OUT_MAX	    2

enum health_state { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN };

struct health_conf {
	int64_t every_ns;    /* HEALTH_EVERY_MIN_NS .. HEALTH_EVERY_MAX_NS */
	int64_t timeout_ns;  /* above 0 */
	unsigned fall, rise; /* above 0 */
};

enum health_ev_type {
	HEALTH_EV_START, /* begin checking, from `state` as it was last known */
	HEALTH_EV_TICK,
	HEALTH_EV_GOOD,	   /* the check that was begun succeeded */
	HEALTH_EV_BAD,	   /* ... failed */
	HEALTH_EV_VOID,	   /* ... could not be made, for a reason of this host's own */
	HEALTH_EV_PASSIVE, /* real traffic failed */
	HEALTH_EV_DOUBT,   /* real traffic waits for an answer, in vain so far */
	HEALTH_EV_CONF, /* `conf` changed, and maybe what is asked; `state` remains */
};

struct health_ev {
	enum health_ev_type type;
	enum health_state state;	/* HEALTH_EV_START */
	const struct health_conf *conf; /* HEALTH_EV_CONF */
};

enum health_act {
	HEALTH_ACT_BEGIN,  /* begin a check */
	HEALTH_ACT_EXPIRE, /* end it: it took too long, and counts as a failure */
	HEALTH_ACT_ABORT,  /* end it: its result is of no interest any more */
	HEALTH_ACT_STATE,  /* `state` changed */
};

struct health_out {
	unsigned n;
	enum health_act act[HEALTH_OUT_MAX];
};

struct health {
	struct health_conf conf;
	struct rng rng;
	enum health_state state;
	bool running;
	bool checking; /* begun and not ended */
	bool doubted;  /* the check under way decides alone */
	bool hasty;
	unsigned good, bad;  /* in a row; one of them is 0 */
	int64_t haste_ns;    /* interval while hasty */
	mono_t due;	     /* the next check */
	mono_t expires;	     /* the one begun */
	mono_t risen;	     /* when it came up last */
	mono_t doubt_from;   /* the next doubt is not heard before */
	int64_t patience_ns; /* of the check begun last */
};

/* Returns 0, or -EINVAL if a value of `conf` is out of its range. */
int health_init(
    struct health *h, const struct health_conf *conf, uint64_t seed) MUST_CHECK;

/* Takes any event in any state; what does not apply is ignored. */
void health_input(
    struct health *h, mono_t now, const struct health_ev *ev, struct health_out *out);

mono_t health_deadline(const struct health *h);

/* True if the last verdict is that of `fall` checks, not of real traffic. */
bool health_confirmed(const struct health *h);

/* True if the invariants hold. For tests and the simulator, after every input. */
bool health_check(const struct health *h);

#endif /* NINES_HEALTH_HEALTH_CORE_H */
