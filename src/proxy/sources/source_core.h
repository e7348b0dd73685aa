/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_core.h - keeps the source tables of a service's load balancers the same.
 *
 * Every host writes its table as its workers ask, and tells the others. Each entry has
 * a version from a clock that never runs behind what was heard (a hybrid of the wall
 * clock and a counter): of two versions the later holds, of equal ones that with the
 * greater server, on all hosts alike. So it does not matter in which order news come,
 * nor how often, and two hosts that were both active without hearing each other end up
 * with the same.
 *
 * Changes are numbered. The entries in use are on a list in the order of their last
 * change; to tell a peer is to walk the list from where it has not heard. A datagram
 * that gets lost is told again from there, with what holds then. A peer in another life
 * has heard nothing: it is told everything, with no further ado. The oldest change is
 * at the list's head, which is what gives way when the table is full, and what expires.
 *
 * Pure: time, events and datagrams come in as arguments, datagrams are fetched.
 */
#ifndef NINES_PROXY_SOURCE_CORE_H
#define NINES_PROXY_SOURCE_CORE_H

#include "base/mono.h"
#include "base/rng.h"
#include "os/replay.h"
#include "proxy/sources/source_wire.h"

#define SOURCE_PEERS_MAX 7
#define SOURCE_WINDOW	 32 /* datagrams with news that wait for an acknowledgement */

/* Beside each slot of the table. */
struct source_link {
	uint32_t prev, next; /* in the order of changes; SOURCE_NOWHERE: none */
	uint64_t change;     /* its last one's number; 0: not on the list */
	uint8_t origin;	     /* the peer that told us of it, from 1; 0: nobody */
};

struct source_figures {
	uint64_t told, heard; /* entries */
	uint64_t sent, received;
	uint64_t lost; /* times that something was told again */
};

struct source_peer {
	bool present;
	bool open; /* it is there, and knows of this life of ours as we of its */
	bool met;  /* `epoch` is known */
	struct source_epoch epoch;
	uint64_t nonce, echo; /* ours, its last */
	mono_t heard, spoke, greeted;
	bool greet, speak;
	uint64_t number; /* last used */
	struct replay replay;
	/* What we tell. */
	uint64_t since;	 /* changes up to here are from before it was met */
	uint64_t sent;	 /* news up to this change are on their way or there */
	uint64_t acked;	 /* they are there */
	uint32_t next;	 /* slot after `sent` */
	uint32_t unsure; /* slot after `acked` */
	uint64_t flying[SOURCE_WINDOW];
	unsigned first, n_flying;
	mono_t overdue; /* of the first of them */
	int64_t patience_ns;
	/* What we hear. */
	uint64_t hears;	 /* all changes up to here */
	uint64_t newest; /* number of the latest datagram */
	bool agreed;	 /* it has nothing more to tell */
	struct source_figures figures;
};

struct source_core {
	struct source_table table;
	struct source_link *link;
	uint32_t head, tail;
	uint32_t n, max;
	uint64_t change; /* the last number */
	uint64_t clock;	 /* the highest version that was seen */
	uint32_t expire_s;
	struct source_epoch epoch;
	struct rng rng;
	struct source_peer peer[SOURCE_PEERS_MAX];
	uint64_t evicted, expired;
};

/*
 * Takes over `table`, which was claimed, with `link` beside each of its slots. At most
 * `max` entries are kept, each for `expire_s` after its last use. `seed` is random.
 */
void source_core_init(struct source_core *c, const struct source_table *table,
    struct source_link *link, uint32_t max, uint32_t expire_s, uint64_t seed);

/* A new life towards all peers: another epoch, drawn at random, and none of them yet.
 */
void source_core_begin(struct source_core *c, const struct source_epoch *epoch);
void source_core_add(struct source_core *c, unsigned peer);
void source_core_expire(struct source_core *c, uint32_t expire_s);

/* A worker had `key` served by `server`, knowing it to be `saw`'s (0: nobody's). Where
 * another one was faster, his word holds. `wall_ms` is the time of day. */
void source_core_served(struct source_core *c, mono_t now, uint64_t wall_ms,
    const struct source_key *key, uint64_t server, uint64_t saw);

/* Takes over an entry of another table of this host. */
void source_core_adopt(struct source_core *c, mono_t now, const struct source_entry *e);

/* A greeting of `peer`, sent in epoch *from. True: it began another life. */
bool source_core_greeted(struct source_core *c, mono_t now, unsigned peer,
    const struct source_epoch *from, const struct source_hello *h);

/*
 * The payload of datagram `number`, sealed for both epochs. 0; -EALREADY: it came
 * before, or too late, and is to be ignored; -EPROTO: it makes no sense.
 */
int source_core_heard(struct source_core *c, mono_t now, unsigned peer, uint64_t number,
    const uint8_t *payload, size_t len) MUST_CHECK;

/* The next datagram for `peer`: its header but for the service, and `*len` bytes of
 * payload. False: nothing to say now. */
bool source_core_next(struct source_core *c, mono_t now, unsigned peer,
    struct source_header *h, uint8_t payload[static SOURCE_PAYLOAD_MAX],
    size_t *len) MUST_CHECK;

/* What time brings; a portion of it. */
void source_core_tick(struct source_core *c, mono_t now);
mono_t source_core_deadline(const struct source_core *c);

/* Both know what the other knows. */
bool source_core_agreed(const struct source_core *c, unsigned peer);

bool source_core_check(const struct source_core *c); /* invariants, for tests */

#endif /* NINES_PROXY_SOURCE_CORE_H */
