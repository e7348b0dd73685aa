/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/servers/latency.h"

#define UNIT 16	  /* log2 of nanoseconds: what is below 65 us is all the same */
#define FULL 2000 /* times; then all counts are halved, and older ones matter less */

static unsigned
log2_of(uint64_t v)
{
	return 63U - (unsigned)__builtin_clzll(v);
}

/* 0, 1, 2, 3, then four to an octave. */
static unsigned
bucket_of(int64_t ns)
{
	uint64_t v = ns > 0 ? (uint64_t)ns >> UNIT : 0;
	unsigned octave, i;

	if (v < 4)
		return (unsigned)v;
	octave = log2_of(v);
	i = 4 * (octave - 1) + (unsigned)(v >> (octave - 2) & 3);
	return i < LATENCY_BUCKETS ? i : LATENCY_BUCKETS - 1;
}

/* The first time that is too long for it. */
static int64_t
end_of(unsigned bucket)
{
	unsigned next = bucket + 1, octave = next / 4 + 1;

	if (next < 4)
		return (int64_t)next << UNIT;
	return (int64_t)((uint64_t)(4 + next % 4) << (octave - 2)) << UNIT;
}

void
latency_add(struct latency *l, int64_t ns)
{
	l->bucket[bucket_of(ns)]++;
	if (++l->n < FULL)
		return;
	l->n = 0;
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		l->bucket[i] /= 2;
		l->n += l->bucket[i];
	}
}

int64_t
latency_percentile(const struct latency *l, unsigned percent)
{
	uint64_t want = ((uint64_t)l->n * percent + 99) / 100, sum = 0;

	if (l->n < LATENCY_LEAST)
		return 0;
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		sum += l->bucket[i];
		if (sum >= want)
			return end_of(i);
	}
	return end_of(LATENCY_BUCKETS - 1);
}
