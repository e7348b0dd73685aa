/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/sources/source_map.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mono.h"
#include "base/refs.h"
#include "base/rng.h"
#include "base/wire.h"

#define RENEWALS 8 /* news of one use, in the time after which it would expire */

_Static_assert((SOURCE_RING & (SOURCE_RING - 1)) == 0, "places are counted on");

struct source_map *
source_map_new(int fd, const struct source_conf *conf, uint32_t id)
{
	struct source_map *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->bytes = source_table_bytes(conf->size);
	m->memory = mmap(NULL, m->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (m->memory == MAP_FAILED) {
		free(m);
		return NULL;
	}
	atomic_init(&m->refs, 1);
	source_table_open(&m->table, m->memory, conf->size);
	m->id = id;
	m->expire_s = (uint32_t)(conf->expire_ns / SEC_NS);
	m->renew_s = m->expire_s / RENEWALS;
	m->prefix6 = conf->prefix6;
	return m;
}

struct source_map *
source_map_ref(struct source_map *m)
{
	if (m != NULL)
		refs_take(&m->refs);
	return m;
}

void
source_map_unref(struct source_map *m)
{
	if (m == NULL || !refs_drop(&m->refs))
		return;
	(void)munmap(m->memory, m->bytes);
	free(m);
}

/* The first `bits` of it. */
static uint64_t
cut(uint64_t half, unsigned bits)
{
	return bits == 0 ? 0 : half & UINT64_MAX << (64 - bits);
}

struct source_key
source_key_of(const struct source_map *m, const struct ip *ip)
{
	struct rd r = {.p = ip->byte, .left = sizeof(ip->byte)};
	struct source_key k;

	if (ip_len(ip) == 4)
		return (struct source_key){{0, UINT64_C(0xffff) << 32 | rd_u32(&r)}};
	k.half[0] = rd_u64(&r);
	k.half[1] = rd_u64(&r);
	/* IPv4 that comes by an IPv6 socket is no network of it. */
	if (k.half[0] == 0 && k.half[1] >> 32 == 0xffff)
		return k;
	k.half[0] = cut(k.half[0], m->prefix6 < 64 ? m->prefix6 : 64);
	k.half[1] = cut(k.half[1], m->prefix6 < 64 ? 0 : m->prefix6 - 64);
	return k;
}

uint64_t
source_key_hash(const struct source_key *key)
{
	return rng_mix(rng_mix(key->half[0]) ^ key->half[1]);
}

uint64_t
source_map_find(const struct source_map *m, const struct source_key *key,
    uint32_t now_s, bool *renew)
{
	struct source_entry e;
	uint32_t idle;

	*renew = true;
	if (!source_table_find(&m->table, key, &e))
		return 0;
	idle = now_s > e.used_s ? now_s - e.used_s : 0;
	if (idle > m->expire_s)
		return 0;
	*renew = idle > m->renew_s;
	return e.server;
}

/* ---- the ring ------------------------------------------------------------------- */

struct source_ring *
source_ring_new(void)
{
	struct source_ring *r = aligned_alloc(_Alignof(struct source_ring), sizeof(*r));

	if (r == NULL)
		return NULL;
	atomic_init(&r->head, 0);
	atomic_init(&r->tail, 0);
	atomic_init(&r->dropped, 0);
	atomic_init(&r->told, false);
	return r;
}

void
source_ring_free(struct source_ring *r)
{
	free(r);
}

bool
source_ring_put(struct source_ring *r, const struct source_news *news)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	if (head - atomic_load_explicit(&r->tail, memory_order_acquire) ==
	    SOURCE_RING) {
		(void)atomic_fetch_add_explicit(&r->dropped, 1, memory_order_relaxed);
		return false;
	}
	r->news[head % SOURCE_RING] = *news;
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
	return !atomic_exchange(&r->told, true);
}

bool
source_ring_told(struct source_ring *r)
{
	return atomic_load(&r->told);
}

bool
source_ring_open(struct source_ring *r)
{
	return atomic_exchange(&r->told, false);
}

bool
source_ring_get(struct source_ring *r, struct source_news *news)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (tail == atomic_load_explicit(&r->head, memory_order_acquire))
		return false;
	*news = r->news[tail % SOURCE_RING];
	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
	return true;
}
