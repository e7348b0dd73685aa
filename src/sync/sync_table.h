/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync_table.h - flows by their name, each on one list per side that is to hear of it.
 *
 * A side is this host's kernel or a peer. Everything lives in memory that the owner
 * gave, by numbers from 1; 0 is nobody. Private to sync/.
 */
#ifndef NINES_SYNC_SYNC_TABLE_H
#define NINES_SYNC_SYNC_TABLE_H

#include <stddef.h>

#include "base/check.h"
#include "sync/flow.h"

#define SYNC_PEERS_MAX 3 /* other hosts */
#define SYNC_SIDES     (1 + SYNC_PEERS_MAX)
#define SYNC_KERNEL    0U /* the side; peer i is side 1 + i */

struct sync_list {
	uint32_t first, last, n;
};

struct sync_link {
	uint32_t next, prev;
	struct sync_list *list; /* NULL: on none */
};

enum sync_life { SYNC_FREE, SYNC_LIVE, SYNC_DEAD /* to be told */ };

struct sync_entry {
	struct flow flow;
	struct sync_link link[SYNC_SIDES];
	uint32_t hash, chain;
	uint32_t news_us;    /* when it last changed: the low bits of a clock */
	uint32_t snapshot;   /* the last one of a peer that had it */
	uint32_t dump;	     /* the last dump of our kernel that had it, or news */
	uint8_t life;	     /* enum sync_life */
	uint8_t unconfirmed; /* bit per peer: its snapshot waits for this flow */
	bool in_kernel;
};

struct sync_table {
	struct sync_entry *entry; /* [0] is not used */
	uint32_t *bucket;
	uint32_t mask;	 /* of buckets */
	uint32_t size;	 /* entries, [0] included */
	uint32_t used;	 /* entries that have ever been used, [0] included */
	uint32_t unused; /* chain of those that are free again */
	uint32_t live, dead;
	uint64_t seed; /* nobody can choose flows that collide */
};

/* Bytes of zeroed memory that sync_table_init() wants for `flows`. */
size_t sync_table_bytes(uint32_t flows);
void sync_table_init(struct sync_table *t, void *memory, uint32_t flows, uint64_t seed);

/* 0: there is none. */
uint32_t sync_table_find(const struct sync_table *t, const struct flow *f);
/* Adds *f, which is not there, alive and on no list; 0: the table is full. */
uint32_t sync_table_add(struct sync_table *t, const struct flow *f);
/* Frees an entry that is on no list. */
void sync_table_remove(struct sync_table *t, uint32_t i);
void sync_table_life(struct sync_table *t, uint32_t i, enum sync_life life);

/* Puts entry `i` at the end of `list` of `side`, off the one it was on. NULL: off. */
void sync_table_move(
    struct sync_table *t, unsigned side, uint32_t i, struct sync_list *list);
bool sync_table_listed(const struct sync_entry *e);

#endif /* NINES_SYNC_SYNC_TABLE_H */
