/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vpn_core.h - one VPN on one gateway: who has the clients, and where they are.
 *
 * A WireGuard session lives in one kernel or process and cannot be moved. What a
 * gateway that takes over can do is to begin a new one with each client at once, if it
 * knows where the clients are. So the active gateway tells the others, and here is who
 * tells whom what, and whom to believe. Pure: the shell (tunnel.c) reads the clock and
 * the interface, seals and sends.
 *
 * Belief: every gateway has a session of its own choice and echoes those of the others
 * to them. Only what echoes our own session is news, so nothing that was recorded
 * before we started counts; within a session, numbers rise, and the next session of a
 * gateway is later. One whose clock was set back meanwhile has to prove itself: after
 * a silence we take a new session of our own, and what echoes that is no record.
 */
#ifndef NINES_VPN_VPN_CORE_H
#define NINES_VPN_VPN_CORE_H

#include "base/mono.h"
#include "vpn/vpn_wire.h"

#define VPN_OTHERS_MAX 15

#define VPN_TICK_NS   SEC_NS /* what is new is told so often, and a sign of life */
#define VPN_ANSWER_NS (200 * MS_NS) /* between answers to strangers */
#define VPN_GREET_NS  (250 * MS_NS) /* between words to those we have not met ... */
#define VPN_YOUNG_NS  (10 * SEC_NS) /* ... in our first moments */
#define VPN_SILENT_NS (10 * SEC_NS) /* after that a gateway counts as gone */
#define VPN_CALM_NS   (5 * SEC_NS)  /* from taking over to keepalives off */
/* A session is dead 180 s after its handshake (REJECT_AFTER_TIME); and some for what
 * we have not heard yet. */
#define VPN_ALIVE_NS (200 * SEC_NS)

struct vpn_place {
	uint8_t key[VPN_KEY_LEN];
	struct ip_endpoint at; /* family 0: never heard */
	mono_t handshake;      /* valid where `shaken` */
	bool shaken;
	uint8_t tell; /* so many times more, since a datagram may get lost */
};

/* Another gateway. */
struct vpn_other {
	char name[CLUSTER_NAME_MAX + 1];
	uint8_t session[VPN_SESSION_LEN];
	bool known;		       /* `session` is its session, beyond doubt */
	uint8_t echo[VPN_SESSION_LEN]; /* what it calls its session, to be proved */
	bool active;
	uint64_t number; /* the last one of it */
	mono_t heard, answered;
	size_t cursor; /* how far we have told it everything, round by round */
	size_t due;    /* of the places from `cursor` on, in this tick */
	bool owed;     /* a message, even if there is nothing to tell */
	size_t scan;   /* of the places, in this tick */
};

struct vpn_core {
	char name[CLUSTER_NAME_MAX + 1];
	uint8_t session[VPN_SESSION_LEN];
	uint64_t number;
	struct vpn_place *place; /* the caller's, in the order of keys */
	size_t n_places;
	struct vpn_other other[VPN_OTHERS_MAX];
	size_t n_others;
	bool active, calm;
	bool renew; /* choose a session: vpn_core_renew() */
	mono_t took_over, tick;
	mono_t born, greet;
};

enum vpn_deed {
	VPN_NOTHING,
	VPN_TAKE,  /* begin sessions with all that are alive, then serve */
	VPN_LEAVE, /* be silent at once: what we say would lead clients astray */
	VPN_CALM,  /* keepalives that began sessions are not needed any more */
};

void vpn_core_init(struct vpn_core *c, const char *me,
    const uint8_t session[static VPN_SESSION_LEN], mono_t now);

/* Another session of our own, since `c->renew`. */
void vpn_core_renew(struct vpn_core *c, const uint8_t session[static VPN_SESSION_LEN]);

/*
 * The clients, in any order; `place` is room for them, which the core keeps and sorts.
 * What was known of those that stay is kept. Two with one key are a bug.
 */
void vpn_core_places(
    struct vpn_core *c, struct vpn_place *place, const struct vpn_peer *peer, size_t n);

/* The other gateways; those that stay keep their state. */
void vpn_core_others(struct vpn_core *c, const char *const *name, size_t n);

/* The address of `listen` is here, or is not. */
enum vpn_deed vpn_core_role(struct vpn_core *c, mono_t now, bool active);

/* What the interface shows of a client; unknown keys are passed over. What is new is
 * told with the next vpn_core_next(), and again in the next ticks. */
void vpn_core_seen(struct vpn_core *c, const uint8_t key[static VPN_KEY_LEN],
    const struct ip_endpoint *at, bool shaken, mono_t handshake);

/* A message that was unsealed. True if it counts. */
bool vpn_core_heard(struct vpn_core *c, mono_t now, const struct vpn_msg *m);

/* At vpn_core_deadline(), after vpn_core_seen() of all. */
enum vpn_deed vpn_core_tick(struct vpn_core *c, mono_t now);
mono_t vpn_core_deadline(const struct vpn_core *c);

/*
 * After each of the calls above: the next message to send, until false. `to` and all
 * but `wall_ns` are filled in.
 */
bool vpn_core_next(struct vpn_core *c, mono_t now, struct vpn_msg *m);

/* True if a session with it may be alive: it is worth a word when we take over. */
bool vpn_core_alive(const struct vpn_place *p, mono_t now);

/* NULL if there is none of that key. */
const struct vpn_place *vpn_core_place(
    const struct vpn_core *c, const uint8_t key[static VPN_KEY_LEN]);

bool vpn_core_check(const struct vpn_core *c);

#endif /* NINES_VPN_VPN_CORE_H */
