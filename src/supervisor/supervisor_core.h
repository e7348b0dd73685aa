/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor_core.h - the life of one part, as a pure state machine.
 *
 * A part has one or two processes: one acts, the other (the spare) is configured and
 * waits. The core decides when to start, ping, activate and kill them, and what the
 * others are told of the part. The caller feeds events with a `now` that never goes
 * backwards, carries out the actions in order, and ticks at sup_deadline().
 *
 *	- The acting process died or hangs: the spare acts at once. Without one the
 *	  part is `restarting` until a new process is ready; the first one starts at
 *	  once, further ones wait longer and longer.
 *	- SUP_LOOP_DEATHS deaths within SUP_LOOP_NS: the part is `down`, so that
 *	  floating addresses leave, and is tried on. It is `up` again when a process
 *	  has acted for SUP_STABLE_NS.
 *	- All processes are to be replaced (by those of another program): the spare is
 *	  first, and when the new one is ready the old one yields to it: it acts no
 *	  more, says so, and finishes what it has begun beside its successor. One that
 *	  ends instead has yielded as well.
 *	- A process that does not answer a ping in time is killed. Waits are counted
 *	  in slices, each seen to its end: however long the whole host was paused, it
 *	  costs those who could not answer one slice. A slice in which it had work and
 *	  no processor does not count, SUP_PARDONS times.
 */
#ifndef NINES_SUPERVISOR_SUPERVISOR_CORE_H
#define NINES_SUPERVISOR_SUPERVISOR_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/mono.h"

#define SUP_SLOTS	3	  /* the third: for one that has yielded */
#define SUP_CREW	2	  /* of those that have not */
#define SUP_NOBODY	SUP_SLOTS /* no slot */
#define SUP_LOOP_DEATHS 3
#define SUP_LOOP_NS	(10 * SEC_NS)
#define SUP_STABLE_NS	(5 * SEC_NS)
#define SUP_FORGET_NS \
	(60 * SEC_NS) /* alive for so long: earlier deaths are forgotten */
#define SUP_BOOT_NS	    (10 * SEC_NS) /* from start to ready, at most */
#define SUP_SPARE_PING_NS   (500 * MS_NS)
#define SUP_SPARE_HANG_NS   SEC_NS /* it may be short of processor: it has time */
#define SUP_FIRST_PING_HANG 4	   /* times hang_ns, while it takes the work over */
#define SUP_SLICES	    8	   /* of one wait */
#define SUP_PARDONS	    (3 * SUP_SLICES) /* of one wait */
#define SUP_OUT_MAX	    8

enum sup_status { SUP_OFF, SUP_STARTING, SUP_UP, SUP_RESTARTING, SUP_DOWN };

/*	name		states that may follow */
#define SUP_PROC_STATES(X)                                                \
	X(NONE, TO(BOOTING))                                              \
	X(BOOTING, TO(READY) | TO(LEAVING) | TO(DYING) | TO(NONE))        \
	X(READY, TO(YIELDING) | TO(LEAVING) | TO(DYING) | TO(NONE))       \
	X(YIELDING, TO(YIELDED) | TO(LEAVING) | TO(DYING) | TO(NONE))     \
	X(YIELDED, TO(DYING) | TO(NONE)) /* finishes what it has begun */ \
	X(LEAVING, TO(DYING) | TO(NONE)) /* asked to stop */              \
	X(DYING, TO(NONE))		 /* killed, not yet gone */

enum sup_proc_state {
#define X(name, next) SUP_PROC_##name,
	SUP_PROC_STATES(X)
#undef X
};

struct sup_conf {
	bool spare;
	int64_t ping_ns; /* between an answer and the next ping */
	int64_t hang_ns; /* a ping unanswered for so long: the process hangs */
	int64_t stop_ns; /* from being asked to stop to being killed */
};

enum sup_ev_type {
	SUP_EV_WANT,	/* the part is to run */
	SUP_EV_UNWANT,	/* the part is to leave in good order */
	SUP_EV_READY,	/* `slot` is configured */
	SUP_EV_PONG,	/* `slot` answered */
	SUP_EV_DIED,	/* `slot` is gone */
	SUP_EV_BROKEN,	/* the link to `slot` is broken: it is of no use any more */
	SUP_EV_KILL,	/* `slot` must end at once */
	SUP_EV_REPLACE, /* all there are: by new ones, without a gap */
	SUP_EV_YIELDED, /* `slot` acts no more */
	SUP_EV_STARVED, /* `slot` had no processor in the slice that ends now */
	SUP_EV_TICK,
};

struct sup_ev {
	enum sup_ev_type type;
	unsigned slot;
};

enum sup_act_type {
	SUP_ACT_SPAWN,
	SUP_ACT_PING,
	SUP_ACT_ACTIVATE,
	SUP_ACT_YIELD, /* a successor is ready: act no more, say so, finish */
	SUP_ACT_STOP,  /* ask to leave */
	SUP_ACT_KILL,
	SUP_ACT_STATUS, /* publish sup_status() */
};

struct sup_act {
	enum sup_act_type type;
	unsigned slot;
};

struct sup_out {
	unsigned n;
	struct sup_act act[SUP_OUT_MAX];
};

struct sup_proc {
	enum sup_proc_state state;
	bool old;	  /* is to be replaced */
	bool waiting;	  /* READY: for the answer to a ping */
	unsigned left;	  /* slices of this wait, the present one included */
	unsigned pardons; /* of this wait, so far */
	int64_t slice;	  /* how long one is */
	mono_t due;	  /* the end of the slice, or the next ping; DYING: never */
};

struct sup {
	struct sup_conf conf;
	struct sup_proc proc[SUP_SLOTS];
	enum sup_status status;
	bool wanted;
	unsigned acting;	       /* slot, or SUP_NOBODY */
	unsigned restarts;	       /* deaths of acting processes, all in all */
	unsigned deaths;	       /* of any process since the last quiet time */
	mono_t death[SUP_LOOP_DEATHS]; /* the last ones of the acting process */
	mono_t last_death;
	mono_t spawn;  /* no new process before this */
	mono_t stable; /* DOWN: up again then, if nobody dies */
	mono_t now;
};

/* A new slot's first process is spawned by SUP_EV_WANT. */
void sup_init(struct sup *s, const struct sup_conf *conf);
/* New times; they apply from the next ping on. */
void sup_reconf(struct sup *s, const struct sup_conf *conf);

/*
 * The part runs already: for a supervisor that goes on where another has ended. Then
 * each of its processes, which are ready or have yielded. One at most acts.
 */
void sup_resume(struct sup *s, mono_t now, enum sup_status status, unsigned restarts);
void sup_resume_process(
    struct sup *s, unsigned slot, enum sup_proc_state state, bool acting);

/* Takes any event in any state; what does not apply is ignored. */
void sup_input(struct sup *s, mono_t now, const struct sup_ev *ev, struct sup_out *out);
mono_t sup_deadline(const struct sup *s);
/* True if a slice of `slot`'s wait for an answer ends: was it starved? */
bool sup_slice_ends(const struct sup *s, unsigned slot, mono_t now);
bool sup_check(const struct sup *s);

/* True when nothing is on its way: who should be there is ready, nobody old acts. */
bool sup_is_settled(const struct sup *s);

/* True when no process is left and none is wanted. */
bool sup_is_off(const struct sup *s);

#endif /* NINES_SUPERVISOR_SUPERVISOR_CORE_H */
