/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mono.h - instants of the monotonic clock, as a type of their own.
 *
 * A struct, so that an instant cannot be mixed up with a duration, a wall clock
 * time or another unit. Durations are int64_t with the unit in the name (_ns).
 * Only an event loop reads the clock; everything else is told what time it is.
 */
#ifndef NINES_BASE_MONO_H
#define NINES_BASE_MONO_H

#include <stdbool.h>
#include <stdint.h>

typedef struct mono {
	int64_t ns;
} mono_t;

#define MONO_NEVER ((mono_t){INT64_MAX})
#define US_NS	   INT64_C(1000)
#define MS_NS	   INT64_C(1000000)
#define CS_NS	   INT64_C(10000000) /* one centisecond, the unit of VRRP */
#define SEC_NS	   INT64_C(1000000000)

/* Saturates at MONO_NEVER; `ns` is not negative. */
static inline mono_t
mono_add(mono_t t, int64_t ns)
{
	return t.ns > INT64_MAX - ns ? MONO_NEVER : (mono_t){t.ns + ns};
}

/* How long after `b` is `a`, in nanoseconds; negative if before. */
static inline int64_t
mono_sub(mono_t a, mono_t b)
{
	return a.ns - b.ns;
}

static inline bool
mono_before(mono_t a, mono_t b)
{
	return a.ns < b.ns;
}

static inline mono_t
mono_min(mono_t a, mono_t b)
{
	return mono_before(a, b) ? a : b;
}

static inline bool
mono_is_never(mono_t t)
{
	return t.ns == INT64_MAX;
}

#endif /* NINES_BASE_MONO_H */
