/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vip_core.h - the election of one virtual router, and the coupling of a group, as a
 * pure state machine.
 *
 * The core decides whether this host holds the addresses. The caller
 *   - feeds events to vip_input(), with a `now` that never goes backwards;
 *   - carries out the returned actions, in order, before the next input;
 *   - sends VIP_EV_TICK at or after vip_deadline() (an early one is harmless), and
 *     hands over what has already arrived before it does.
 *
 * Beyond RFC 9568, on the same wire format:
 *   - Fitness. A host that cannot serve says so by its priority: 1 for one without
 *     proxy or whose check fails, 2..10 for one whose services are down or that is
 *     drained. The address stays somewhere, but any fitter host takes it, preemption
 *     or not. The priorities of healthy hosts therefore begin at 11.
 *   - Handover. Who leaves on purpose says priority 0 and goes on serving until it
 *     hears the new owner; connections it had may finish (VIP_ACT_LEAVE), and the new
 *     owner sends their packets back to it (VIP_ACT_FORWARD). A resignation addressed
 *     to one host moves the addresses to that one.
 *   - Conflicts. A loser says farewell with its own priority, the winner hears it,
 *     advertises and announces again; otherwise clients would keep talking to the
 * loser.
 *   - Pauses. An owner that finds that it was asleep for longer than the others wait
 *     lets go at once and listens.
 */
#ifndef NINES_VIP_VIP_CORE_H
#define NINES_VIP_VIP_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/ip.h"
#include "base/mono.h"

#define VIP_PRIO_BROKEN 1
#define VIP_PRIO_WEAK	10 /* and down to 2: by rank */
#define VIP_OUT_MAX	6

/*	name	text	  states that may follow */
#define VIP_STATES(X)                                             \
	X(INIT, "init", TO(BACKUP) | TO(ACTIVE))                  \
	X(BACKUP, "backup", TO(INIT) | TO(ACTIVE))                \
	X(ACTIVE, "active", TO(INIT) | TO(BACKUP) | TO(HANDOVER)) \
	X(HANDOVER, "handover", TO(INIT) | TO(BACKUP) | TO(ACTIVE))

enum vip_state {
#define X(name, text, next) VIP_##name,
	VIP_STATES(X)
#undef X
};

/* How well this host can serve the address; in order. */
enum vip_level {
	VIP_OUT,    /* no link: takes no part */
	VIP_BROKEN, /* cannot serve: leaves at once, takes part as the very last resort
		     */
	VIP_WEAK,   /* had better not serve: leaves if another takes over */
	VIP_FIT,
};

struct vip_conf {
	uint8_t vrid;
	uint8_t prio;	 /* 1..255, when fit */
	uint8_t rank;	 /* among the hosts of the address, from 0 */
	uint8_t version; /* 3, or 2: the interval of others must be ours */
	uint16_t adv_cs; /* advertisement interval */
	bool preempt;	 /* take over from a lower priority */
	bool grouped;	 /* take only together with the other routers of the group */
	struct ip self;	 /* source of our advertisements: breaks ties */
};

struct vip_advert {
	uint8_t prio;
	uint16_t adv_cs;
	struct ip from;
};

enum vip_ev_type {
	VIP_EV_START,  /* take part, as the level allows */
	VIP_EV_RESUME, /* take part; the addresses are still ours from a moment ago */
	VIP_EV_TICK,
	VIP_EV_ADVERT, /* an advertisement of this vrid from another host */
	VIP_EV_LEVEL,  /* `level` changed */
	VIP_EV_MOVE,   /* hand over to host `to` and do not preempt it */
	VIP_EV_STOP,   /* leave in good order, then take no part */
	VIP_EV_HALT,   /* leave at once, then take no part */
	VIP_EV_TAKE,   /* the group takes; see vip_group_next() */
	VIP_EV_YIELD,  /* the group leaves */
};

struct vip_ev {
	enum vip_ev_type type;
	struct vip_advert adv; /* VIP_EV_ADVERT */
	enum vip_level level;  /* VIP_EV_LEVEL */
	struct ip to;	       /* VIP_EV_MOVE */
};

enum vip_act_type {
	VIP_ACT_SEND,	  /* advertise `prio`, to `peer` alone if it has a family */
	VIP_ACT_TAKE,	  /* install the addresses (they may be there already) */
	VIP_ACT_ANNOUNCE, /* tell the neighbours that the addresses are here */
	VIP_ACT_FORWARD,  /* send packets of connections unknown here to `peer` */
	VIP_ACT_LEAVE,	  /* answer for the addresses no more; connections may finish.
			   * `peer` has them now */
	VIP_ACT_DROP,	  /* remove the addresses at once */
	VIP_ACT_MOVED,	  /* the handover succeeded: `peer` has the addresses */
	VIP_ACT_STUCK,	  /* nobody took over in time */
};

struct vip_act {
	enum vip_act_type type;
	uint8_t prio;
	struct ip peer;
};

struct vip_out {
	unsigned n;
	struct vip_act act[VIP_OUT_MAX];
};

struct vip {
	struct vip_conf conf;
	enum vip_state state;
	enum vip_level level;
	bool running;		/* started and not stopped; INIT while OUT */
	bool hold;		/* do not preempt the owner: it was chosen on purpose */
	bool wants;		/* grouped BACKUP: the active router is silent */
	bool stopping;		/* HANDOVER: take no part afterwards */
	bool moving;		/* HANDOVER: asked for by VIP_EV_MOVE */
	uint8_t farewells;	/* BACKUP after a conflict: still to be said */
	uint8_t announce_step;	/* ACTIVE: place in the series of announcements */
	uint16_t active_adv_cs; /* interval of the active router, last heard */
	mono_t now;		/* of the last input */
	mono_t deadline;    /* next advert, active router is down, or resign again */
	mono_t announce;    /* ACTIVE: next announcement */
	mono_t give_up;	    /* HANDOVER: nobody took over */
	struct ip resigner; /* who resigned last, and when we heard it */
	mono_t resigned;
	mono_t awake;	  /* after a pause: until then news may be old */
	mono_t quiet;	  /* ACTIVE: no answer to a conflict before this */
	int64_t quiet_ns; /* ... and the pause after the next one */
	struct ip target; /* HANDOVER: the chosen host, or family 0 */
	struct ip owner;  /* who advertised or resigned last; family 0: unknown */
	mono_t owner_heard;
	bool better_known;   /* BACKUP: we heard an active router that we accept ... */
	struct ip better;    /* ... this one ... */
	mono_t better_heard; /* ... at this instant, and it has not resigned since */
};

/* Returns 0, or -EINVAL if a value of `conf` is out of its range. */
int vip_init(
    struct vip *v, const struct vip_conf *conf, enum vip_level level) MUST_CHECK;

/*
 * A reload changed `prio`, `rank`, `preempt` or `grouped`; the rest of `conf` must be
 * as it was. The state is untouched.
 */
void vip_reconf(struct vip *v, const struct vip_conf *conf);

/* Takes any event in any state; what does not apply is ignored. */
void vip_input(struct vip *v, mono_t now, const struct vip_ev *ev, struct vip_out *out);

mono_t vip_deadline(const struct vip *v);
bool vip_holds(const struct vip *v);   /* the addresses are installed here */
uint8_t vip_prio(const struct vip *v); /* what we advertise at our level */
const char *vip_state_name(enum vip_state s);

/* How long silence must last before this router takes over, at its own interval. */
int64_t vip_down_ns(const struct vip *v);

/*
 * The next step that keeps the `n` routers of one group together, to be called after
 * every input to one of them until it returns false: give *ev to member[*which].
 */
bool vip_group_next(
    const struct vip *const member[], size_t n, size_t *which, struct vip_ev *ev);

/* True if the invariants hold. For tests and the simulator, after every input. */
bool vip_check(const struct vip *v);

#endif /* NINES_VIP_VIP_CORE_H */
