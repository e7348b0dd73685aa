/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_core.h - which next hops are alive, and which of them each set of them uses,
 * as a pure state machine.
 *
 * The caller adds hops and sets, feeds events with a `now` that never goes backwards,
 * and carries out what comes back in the order of struct gateway_out. It sends
 * GATEWAY_EV_TICK at or after gateway_core_deadline(), having handed over what has
 * already arrived: an answer in the queue is not silence.
 *
 * A set never becomes empty. When the last of its next hops falls, that one stays: a
 * route into silence is worth no less than none, and works again with the first packet
 * that is forwarded.
 */
#ifndef NINES_GATEWAY_GATEWAY_CORE_H
#define NINES_GATEWAY_GATEWAY_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/mono.h"

#define GATEWAY_HOPS 64 /* of one host: a bit each */
#define GATEWAY_SETS 64 /* likewise */

/*
 * Who is in use is asked so many times in a heartbeat, so that its silence is noticed
 * within one; who has fallen, once: those questions are broadcast. Never more often
 * than the least time, which a neighbour that is busy may need to answer.
 */
#define GATEWAY_ASKS	   4
#define GATEWAY_ASK_MIN_NS (5 * MS_NS)

/* A set without an answer for so long makes the host unfit. Shorter silences are a
 * floating address on its way from one owner to the next. */
#define GATEWAY_UNFIT_NS SEC_NS

#define GATEWAY_BIT(i) (UINT64_C(1) << (i))

/* Of a hop; in the order of hope. */
enum gateway_state { GATEWAY_DOWN, GATEWAY_UNKNOWN, GATEWAY_UP };

struct gateway_conf {
	int64_t heartbeat_ns;
	unsigned fall, rise; /* at least 1 */
};

struct gateway_next {
	enum gateway_state state;
	bool link;	       /* the interface to it works */
	bool asked;	       /* and has not answered yet */
	unsigned misses, hits; /* in a row */
	mono_t due;	       /* the next question */
};

struct gateway_set {
	uint64_t members; /* hops, a bit each */
	uint64_t live;	  /* those in use; never 0 */
	mono_t dark;	  /* since when none of them is alive; MONO_NEVER: one is */
};

enum gateway_ev_type {
	GATEWAY_EV_TICK,
	GATEWAY_EV_ANSWER, /* `hop` answered */
	GATEWAY_EV_LINK,   /* the interface to `hop` works (`up`) or does not */
};

struct gateway_ev {
	enum gateway_ev_type type;
	unsigned hop;
	bool up;
};

/* To be done in this order. */
struct gateway_out {
	uint64_t sets;	/* whose `live` changed */
	uint64_t hops;	/* whose state changed */
	bool fit;	/* the host's fitness changed */
	uint64_t probe; /* hops to ask */
};

struct gateway_core {
	struct gateway_conf conf;
	struct gateway_next hop[GATEWAY_HOPS];
	unsigned n_hops;
	struct gateway_set set[GATEWAY_SETS];
	unsigned n_sets;
	bool fit; /* every set leads somewhere */
};

void gateway_core_init(struct gateway_core *g, const struct gateway_conf *conf);

/* Return the number; `was` is what the hop was to an earlier core (NULL: it is new). */
unsigned gateway_core_add_hop(
    struct gateway_core *g, mono_t now, const struct gateway_next *was);
/* At least one member; `live`: those that the kernel uses already (0: all that may). */
unsigned gateway_core_add_set(
    struct gateway_core *g, mono_t now, uint64_t members, uint64_t live);

void gateway_core_input(struct gateway_core *g, mono_t now, const struct gateway_ev *ev,
    struct gateway_out *out);
mono_t gateway_core_deadline(const struct gateway_core *g);
/* Between two questions to a hop in this state. */
int64_t gateway_core_pace(const struct gateway_conf *conf, enum gateway_state state);

/* Invariants, for tests. */
bool gateway_core_check(const struct gateway_core *g);

const char *gateway_state_name(enum gateway_state s);

#endif /* NINES_GATEWAY_GATEWAY_CORE_H */
