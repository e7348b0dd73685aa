/* SPDX-License-Identifier: Apache-2.0 */
/*
 * latency.h - how long answers took lately, as a histogram that forgets. Pure.
 *
 * A bucket is a quarter of an octave: a percentile is at most a quarter too high, and
 * never too low.
 */
#ifndef NINES_PROXY_LATENCY_H
#define NINES_PROXY_LATENCY_H

#include <stdint.h>

#define LATENCY_BUCKETS 72
#define LATENCY_LEAST	100 /* times that must be known */

struct latency {
	uint32_t n;
	uint32_t bucket[LATENCY_BUCKETS];
};

void latency_add(struct latency *l, int64_t ns);

/* What `percent` (1 .. 99) of 100 did not exceed; 0: too few are known. */
int64_t latency_percentile(const struct latency *l, unsigned percent);

#endif /* NINES_PROXY_LATENCY_H */
