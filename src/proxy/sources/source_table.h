/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_table.h - which server a source of connections has: constant shared memory.
 *
 * Pure. The memory outlives the process (the supervisor keeps it), so that sources keep
 * their servers over reload, upgrade and crash. One thread writes: the control thread
 * of the process that acts. Any number of workers read meanwhile and never wait: a slot
 * that is being written, or changes while it is read, counts as not there.
 *
 * A source has its place in one of two buckets of eight slots; so nearly all slots are
 * in use before one has to give way for want of a place.
 */
#ifndef NINES_PROXY_SOURCE_TABLE_H
#define NINES_PROXY_SOURCE_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCE_BUCKET	8
#define SOURCE_HEAD_LEN 64
#define SOURCE_NOWHERE	UINT32_MAX

/* A source's address, or its prefix: IPv6, IPv4 as ::ffff:a.b.c.d; two big-endian
 * halves. */
struct source_key {
	uint64_t half[2];
};

struct source_entry {
	struct source_key key;
	uint64_t server;  /* who serves it; 0: nobody, there is no entry */
	uint64_t version; /* of `server`: the higher is the later one, on all hosts */
	uint32_t used_s;  /* when it was last there, on this host's monotonic clock */
};

struct source_slot {
	_Atomic uint32_t turn; /* odd while it is written */
	_Atomic uint32_t used_s;
	_Atomic uint64_t key[2];
	_Atomic uint64_t server;
	_Atomic uint64_t version;
};

struct source_head {
	_Atomic uint64_t layout; /* SOURCE_LAYOUT: the rest is valid */
	uint64_t n_buckets;
	uint64_t seed;
	uint8_t rest[SOURCE_HEAD_LEN - 24];
};

/* Where a process sees it. */
struct source_table {
	struct source_head *head;
	struct source_slot *slot;
	uint32_t n_buckets;
};

/* Memory for `entries`. */
size_t source_table_bytes(uint32_t entries);
uint32_t source_table_slots(uint32_t entries);

/* `memory` has source_table_bytes(entries) bytes, zero or as another process left them.
 */
void source_table_open(struct source_table *t, void *memory, uint32_t entries);

/* By the writer, before anything else: what is of another layout begins anew, what a
 * dying process has not finished is removed. True if something may be in it. */
bool source_table_claim(struct source_table *t, uint64_t seed);

/* By anybody. False: it is not known. */
bool source_table_find(const struct source_table *t, const struct source_key *key,
    struct source_entry *out);

/* Below: by the writer. Slots are numbered from 0. */

/* The slot of `key`, or SOURCE_NOWHERE. */
uint32_t source_table_seek(const struct source_table *t, const struct source_key *key);
/* One for `key`, which has none: the freer bucket's; where both are full, the slot that
 * was used least lately, which is to be cleared first. */
uint32_t source_table_place(const struct source_table *t, const struct source_key *key);
/* False: it is free. */
bool source_table_get(
    const struct source_table *t, uint32_t i, struct source_entry *out);
void source_table_put(struct source_table *t, uint32_t i, const struct source_entry *e);
void source_table_touch(struct source_table *t, uint32_t i, uint32_t used_s);
void source_table_clear(struct source_table *t, uint32_t i);

#endif /* NINES_PROXY_SOURCE_TABLE_H */
