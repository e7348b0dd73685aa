/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/sources/source_table.h"

#include "base/check.h"
#include "base/rng.h"

/* Says what the memory holds; a change of the layout changes it. */
#define SOURCE_LAYOUT UINT64_C(0x396e736f75726331)

_Static_assert(sizeof(struct source_head) == SOURCE_HEAD_LEN, "the layout is fixed");
_Static_assert(sizeof(struct source_slot) == 40, "the layout is fixed");

/* Half more than entries: of a full table's new sources, one in 2,000 finds both of its
 * buckets full and takes the place of one that is not the oldest of all. With a quarter
 * more it is one in 30. */
static uint32_t
buckets(uint32_t entries)
{
	return (entries + entries / 2) / SOURCE_BUCKET + 1;
}

uint32_t
source_table_slots(uint32_t entries)
{
	return buckets(entries) * SOURCE_BUCKET;
}

size_t
source_table_bytes(uint32_t entries)
{
	return SOURCE_HEAD_LEN +
	       (size_t)source_table_slots(entries) * sizeof(struct source_slot);
}

void
source_table_open(struct source_table *t, void *memory, uint32_t entries)
{
	t->head = memory;
	t->slot = (struct source_slot *)(void *)((uint8_t *)memory + SOURCE_HEAD_LEN);
	t->n_buckets = buckets(entries);
}

static uint64_t
load(const _Atomic uint64_t *p)
{
	return atomic_load_explicit(
	    (_Atomic uint64_t *)(uintptr_t)p, memory_order_acquire);
}

static uint32_t
load_turn(const struct source_slot *s)
{
	return atomic_load_explicit(
	    (_Atomic uint32_t *)(uintptr_t)&s->turn, memory_order_acquire);
}

static uint32_t
load_used(const struct source_slot *s)
{
	return atomic_load_explicit(
	    (_Atomic uint32_t *)(uintptr_t)&s->used_s, memory_order_relaxed);
}

/* Each store stays behind the one before: a reader who sees one of them sees the odd
 * turn as well. */
static void
store(_Atomic uint64_t *p, uint64_t v)
{
	atomic_store_explicit(p, v, memory_order_release);
}

static void
write_slot(struct source_slot *s, const struct source_entry *e)
{
	uint32_t turn = load_turn(s);

	atomic_store_explicit(&s->turn, turn | 1, memory_order_release);
	store(&s->key[0], e->key.half[0]);
	store(&s->key[1], e->key.half[1]);
	store(&s->server, e->server);
	store(&s->version, e->version);
	atomic_store_explicit(&s->used_s, e->used_s, memory_order_release);
	atomic_store_explicit(&s->turn, (turn | 1) + 1, memory_order_release);
}

/* False if it was written meanwhile. */
static bool
read_slot(const struct source_slot *s, struct source_entry *e)
{
	uint32_t turn = load_turn(s);

	e->key.half[0] = load(&s->key[0]);
	e->key.half[1] = load(&s->key[1]);
	e->server = load(&s->server);
	e->version = load(&s->version);
	e->used_s = load_used(s);
	return (turn & 1) == 0 && load_turn(s) == turn;
}

bool
source_table_claim(struct source_table *t, uint64_t seed)
{
	const struct source_entry none = {.server = 0};
	uint32_t n = t->n_buckets * SOURCE_BUCKET;
	bool ours = load(&t->head->layout) == SOURCE_LAYOUT &&
		    t->head->n_buckets == t->n_buckets;

	if (!ours) {
		store(&t->head->layout, 0);
		t->head->n_buckets = t->n_buckets;
		t->head->seed = seed;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (!ours || (load_turn(&t->slot[i]) & 1) != 0)
			write_slot(&t->slot[i], &none);
	}
	store(&t->head->layout, SOURCE_LAYOUT);
	return ours;
}

static bool
same(const struct source_key *a, const struct source_key *b)
{
	return a->half[0] == b->half[0] && a->half[1] == b->half[1];
}

struct places {
	uint32_t first[2]; /* slots of the buckets */
};

static struct places
places(const struct source_table *t, const struct source_key *key)
{
	uint64_t h = rng_mix(rng_mix(key->half[0] ^ t->head->seed) ^ key->half[1]);
	uint64_t a = ((h & UINT32_MAX) * t->n_buckets) >> 32;
	uint64_t b = ((h >> 32) * t->n_buckets) >> 32;

	return (struct places){
	    {(uint32_t)a * SOURCE_BUCKET, (uint32_t)b * SOURCE_BUCKET}};
}

static uint32_t
seek(const struct source_table *t, const struct source_key *key,
    struct source_entry *out)
{
	struct places p = places(t, key);
	struct source_entry e;

	for (unsigned i = 0; i < 2 * SOURCE_BUCKET; i++) {
		uint32_t at = p.first[i / SOURCE_BUCKET] + i % SOURCE_BUCKET;

		/* Most are somebody else's: one look tells. */
		if (load(&t->slot[at].key[0]) != key->half[0] ||
		    !read_slot(&t->slot[at], &e) || e.server == 0 || !same(&e.key, key))
			continue;
		*out = e;
		return at;
	}
	return SOURCE_NOWHERE;
}

bool
source_table_find(const struct source_table *t, const struct source_key *key,
    struct source_entry *out)
{
	return load(&t->head->layout) == SOURCE_LAYOUT &&
	       seek(t, key, out) != SOURCE_NOWHERE;
}

uint32_t
source_table_seek(const struct source_table *t, const struct source_key *key)
{
	struct source_entry e;

	return seek(t, key, &e);
}

/* Within a second, whose server was chosen first. */
static bool
is_older(const struct source_slot *a, const struct source_slot *b)
{
	uint32_t used_a = load_used(a), used_b = load_used(b);

	return used_a != used_b ? used_a < used_b
				: load(&a->version) < load(&b->version);
}

uint32_t
source_table_place(const struct source_table *t, const struct source_key *key)
{
	struct places p = places(t, key);
	uint32_t vacant[2] = {SOURCE_NOWHERE, SOURCE_NOWHERE}, oldest = p.first[0];
	unsigned n[2] = {0, 0};

	for (unsigned i = 0; i < 2 * SOURCE_BUCKET; i++) {
		unsigned b = i / SOURCE_BUCKET;
		uint32_t at = p.first[b] + i % SOURCE_BUCKET;
		const struct source_slot *s = &t->slot[at];

		if (load(&s->server) == 0) {
			vacant[b] = at;
			n[b]++;
		}
		if (is_older(s, &t->slot[oldest]))
			oldest = at;
	}
	if (n[0] + n[1] == 0)
		return oldest;
	return n[0] >= n[1] ? vacant[0] : vacant[1];
}

bool
source_table_get(const struct source_table *t, uint32_t i, struct source_entry *out)
{
	return read_slot(&t->slot[i], out) && out->server != 0;
}

void
source_table_put(struct source_table *t, uint32_t i, const struct source_entry *e)
{
	ASSERT(e->server != 0 && i < t->n_buckets * SOURCE_BUCKET);
	write_slot(&t->slot[i], e);
}

void
source_table_touch(struct source_table *t, uint32_t i, uint32_t used_s)
{
	atomic_store_explicit(&t->slot[i].used_s, used_s, memory_order_relaxed);
}

void
source_table_clear(struct source_table *t, uint32_t i)
{
	const struct source_entry none = {.server = 0};

	write_slot(&t->slot[i], &none);
}
