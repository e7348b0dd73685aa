/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_map.h - a service's source table as its workers see it, and what they have to
 * say of sources.
 *
 * A map is immutable but for what it shows; it comes with a view and is reference
 * counted. A worker reads the table without waiting. What it decides it puts into its
 * ring, which the control thread empties into the core.
 */
#ifndef NINES_PROXY_SOURCE_MAP_H
#define NINES_PROXY_SOURCE_MAP_H

#include "base/check.h"
#include "base/ip.h"
#include "config/service_balance.h"
#include "proxy/sources/source_table.h"

#define SOURCE_RING 4096 /* a power of two */

struct source_map {
	atomic_uint refs;
	void *memory;
	size_t bytes;
	struct source_table table;
	uint32_t id; /* of the service, for source_news */
	uint32_t expire_s;
	uint32_t renew_s; /* a use is news when the last one is so long ago */
	unsigned prefix6;
};

/* Maps `fd` (not owned), which has source_table_bytes(conf->size). NULL: no memory. */
struct source_map *source_map_new(
    int fd, const struct source_conf *conf, uint32_t id) MUST_CHECK;
struct source_map *source_map_ref(struct source_map *m); /* NULL is fine */
void source_map_unref(struct source_map *m);		 /* NULL is fine */

struct source_key source_key_of(const struct source_map *m, const struct ip *ip);
/* Its hash, where a source that nobody knows begins. */
uint64_t source_key_hash(const struct source_key *key);

/* The server of `key`, 0 if none is known. *renew: its use is to be told. */
uint64_t source_map_find(const struct source_map *m, const struct source_key *key,
    uint32_t now_s, bool *renew);

/* `key` was served by `server`; `saw` is what the table said. */
struct source_news {
	struct source_key key;
	uint64_t server, saw;
	uint32_t id;
};

/* One producer, one consumer. What finds no room is dropped: the next use says it. */
struct source_ring {
	struct source_news news[SOURCE_RING];
	_Alignas(64) _Atomic uint32_t head; /* the worker's */
	_Atomic uint64_t dropped;
	_Alignas(64) _Atomic uint32_t tail; /* the control thread's */
	atomic_bool told; /* the control thread knows that there is something */
};

struct source_ring *source_ring_new(void) MUST_CHECK; /* NULL: no memory */
void source_ring_free(struct source_ring *r);	      /* NULL is fine */
/* True if the control thread is to be told. */
bool source_ring_put(struct source_ring *r, const struct source_news *news) MUST_CHECK;
/* By the control thread: whether there is something to get; the same, before it
 * empties the ring, after which it is told again. */
bool source_ring_told(struct source_ring *r);
bool source_ring_open(struct source_ring *r);
bool source_ring_get(struct source_ring *r, struct source_news *news) MUST_CHECK;

#endif /* NINES_PROXY_SOURCE_MAP_H */
