/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/meter.h"

#include <stdlib.h>

#include "base/refs.h"
#include "base/rng.h"

#define V6_BYTES 8 /* of an address that tell sources apart */

struct meter *
meter_new(void)
{
	struct meter *m = calloc(1, sizeof(*m));

	if (m != NULL)
		atomic_init(&m->refs, 1);
	return m;
}

struct meter *
meter_ref(struct meter *m)
{
	if (m != NULL)
		refs_take(&m->refs);
	return m;
}

void
meter_unref(struct meter *m)
{
	if (m != NULL && refs_drop(&m->refs))
		free(m);
}

uint64_t
meter_source(const struct ip *ip)
{
	size_t n = ip->family == AF_INET6 ? V6_BYTES : 4;
	uint64_t bits = ip->family;

	for (size_t i = 0; i < n; i++)
		bits = bits << 8 ^ ip->byte[i] ^ bits >> 56;
	return rng_mix(bits);
}

/* Four cells of 14 bits out of 64. */
static size_t
cell(uint64_t source, unsigned row)
{
	return source >> (16 * row) & (METER_CELLS - 1);
}

/* Only cells that are behind are moved on, so that others' are hardly touched. */
static void
pay(struct meter *m, uint64_t source, int64_t until)
{
	for (unsigned row = 0; row < METER_ROWS; row++) {
		_Atomic int64_t *c = &m->paid[row][cell(source, row)];
		int64_t paid = atomic_load_explicit(c, memory_order_relaxed);

		while (paid < until && !atomic_compare_exchange_weak(c, &paid, until))
			;
	}
}

bool
meter_request(
    struct meter *m, uint64_t source, int64_t now, int64_t each_ns, unsigned burst)
{
	int64_t paid = INT64_MAX;

	for (unsigned row = 0; row < METER_ROWS; row++) {
		int64_t p = atomic_load_explicit(
		    &m->paid[row][cell(source, row)], memory_order_relaxed);

		if (p < paid)
			paid = p;
	}
	if (paid < now)
		paid = now;
	if (paid - now > each_ns * ((int64_t)burst - 1))
		return false;
	pay(m, source, paid + each_ns);
	return true;
}

void
meter_close(struct meter *m, uint64_t source)
{
	for (unsigned row = 0; row < METER_ROWS; row++)
		(void)atomic_fetch_sub(&m->open[row][cell(source, row)], 1);
}

bool
meter_open(struct meter *m, uint64_t source, unsigned max)
{
	unsigned least = UINT32_MAX;

	for (unsigned row = 0; row < METER_ROWS; row++) {
		unsigned n = atomic_fetch_add(&m->open[row][cell(source, row)], 1);

		if (n < least)
			least = n;
	}
	if (least < max)
		return true;
	meter_close(m, source);
	return false;
}
