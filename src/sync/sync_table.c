/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/sync_table.h"

#include "base/rng.h"

static uint32_t
buckets(uint32_t flows)
{
	uint32_t n = 16;

	while (n < flows)
		n *= 2;
	return n;
}

static size_t
entry_bytes(uint32_t flows)
{
	return sizeof(struct sync_entry) * ((size_t)flows + 1);
}

size_t
sync_table_bytes(uint32_t flows)
{
	return entry_bytes(flows) + sizeof(uint32_t) * buckets(flows);
}

void
sync_table_init(struct sync_table *t, void *memory, uint32_t flows, uint64_t seed)
{
	ASSERT(flows > 0 && flows < UINT32_MAX / 2);
	*t = (struct sync_table){.entry = memory,
	    .bucket = (uint32_t *)(void *)((char *)memory + entry_bytes(flows)),
	    .mask = buckets(flows) - 1,
	    .size = flows + 1,
	    .used = 1,
	    .seed = seed};
}

static uint32_t
hash_of(const struct sync_table *t, const struct flow *f)
{
	uint64_t word[sizeof(struct flow_tuple) / 8], h = t->seed;
	uint32_t ports = (uint32_t)f->orig.src_port << 16 | f->orig.dst_port;

	memcpy(word, &f->orig, sizeof(word)); /* all but the ports */
	h = rng_mix(h ^ ports ^ (uint64_t)f->zone << 32 ^ (uint64_t)f->proto << 48);
	h = rng_mix(h ^ word[0]) ^ word[2];
	if (f->family == AF_INET6)
		h = rng_mix(h ^ word[1]) ^ word[3];
	return (uint32_t)rng_mix(h);
}

uint32_t
sync_table_find(const struct sync_table *t, const struct flow *f)
{
	uint32_t hash = hash_of(t, f), i = t->bucket[hash & t->mask];

	while (i != 0 && (t->entry[i].hash != hash || !flow_same(&t->entry[i].flow, f)))
		i = t->entry[i].chain;
	return i;
}

static void
count(struct sync_table *t, unsigned life, uint32_t by)
{
	if (life == SYNC_LIVE)
		t->live += by;
	else if (life == SYNC_DEAD)
		t->dead += by;
}

void
sync_table_life(struct sync_table *t, uint32_t i, enum sync_life life)
{
	count(t, t->entry[i].life, UINT32_MAX); /* one less */
	count(t, life, 1);
	t->entry[i].life = (uint8_t)life;
}

uint32_t
sync_table_add(struct sync_table *t, const struct flow *f)
{
	uint32_t i = t->unused, hash = hash_of(t, f);
	struct sync_entry *e;

	if (i != 0)
		t->unused = t->entry[i].chain;
	else if (t->used < t->size)
		i = t->used++;
	else
		return 0;
	e = &t->entry[i];
	*e = (struct sync_entry){
	    .flow = *f, .hash = hash, .chain = t->bucket[hash & t->mask]};
	t->bucket[hash & t->mask] = i;
	sync_table_life(t, i, SYNC_LIVE);
	return i;
}

void
sync_table_remove(struct sync_table *t, uint32_t i)
{
	struct sync_entry *e = &t->entry[i];
	uint32_t *p = &t->bucket[e->hash & t->mask];

	ASSERT(!sync_table_listed(e) && e->unconfirmed == 0);
	while (*p != i)
		p = &t->entry[*p].chain;
	*p = e->chain;
	sync_table_life(t, i, SYNC_FREE);
	e->chain = t->unused;
	t->unused = i;
}

bool
sync_table_listed(const struct sync_entry *e)
{
	for (unsigned side = 0; side < SYNC_SIDES; side++) {
		if (e->link[side].list != NULL)
			return true;
	}
	return false;
}

static void
take_off(struct sync_table *t, unsigned side, uint32_t i)
{
	struct sync_link *k = &t->entry[i].link[side];
	struct sync_list *list = k->list;

	if (list == NULL)
		return;
	if (k->prev != 0)
		t->entry[k->prev].link[side].next = k->next;
	else
		list->first = k->next;
	if (k->next != 0)
		t->entry[k->next].link[side].prev = k->prev;
	else
		list->last = k->prev;
	list->n--;
	*k = (struct sync_link){0};
}

void
sync_table_move(struct sync_table *t, unsigned side, uint32_t i, struct sync_list *list)
{
	struct sync_link *k = &t->entry[i].link[side];

	take_off(t, side, i);
	if (list == NULL)
		return;
	*k = (struct sync_link){.prev = list->last, .list = list};
	if (list->last != 0)
		t->entry[list->last].link[side].next = i;
	else
		list->first = i;
	list->last = i;
	list->n++;
}
