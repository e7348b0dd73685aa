/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rng.h - a small seeded generator (splitmix64) for jitter, balancing and tests.
 *
 * Not for secrets. The state is one word in its owner, so the same seed gives the
 * same sequence: cores take a `struct rng *` and never reach for randomness.
 */
#ifndef NINES_BASE_RNG_H
#define NINES_BASE_RNG_H

#include <stdint.h>

struct rng {
	uint64_t state;
};

/* One strong 64-bit mix; also good as the finisher of a hash. */
static inline uint64_t
rng_mix(uint64_t z)
{
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline uint64_t
rng_next(struct rng *r)
{
	return rng_mix(r->state += UINT64_C(0x9e3779b97f4a7c15));
}

/* Uniform in [0, n); `n` is not 0. The bias of 2^-32 is of no concern here. */
static inline uint32_t
rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)(((rng_next(r) >> 32) * n) >> 32);
}

#endif /* NINES_BASE_RNG_H */
