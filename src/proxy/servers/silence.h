/* SPDX-License-Identifier: Apache-2.0 */
/*
 * silence.h - for how long a server has kept somebody waiting without a word.
 *
 * Pure. The time in which at least one client waited for it, since it was heard last:
 * many that wait at once count as one, and those that gave up for as long as they
 * waited. So a dead server shows even if all its clients are impatient.
 */
#ifndef NINES_PROXY_SILENCE_H
#define NINES_PROXY_SILENCE_H

#include "base/mono.h"

/* What nobody has gone on to wait for is forgotten. */
#define SILENCE_OLD (5 * SEC_NS)

struct silence {      /* zero: it was heard, or never asked */
	unsigned n;   /* that wait now */
	mono_t since; /* ... one of them at any time; else the last one gave up then */
	int64_t ns;   /* before that */
};

static inline int64_t
silence_ns(const struct silence *s, mono_t now)
{
	if (s->n > 0)
		return s->ns + mono_sub(now, s->since);
	return mono_sub(now, s->since) < SILENCE_OLD ? s->ns : 0;
}

/* One more waits for it. */
static inline void
silence_wait(struct silence *s, mono_t now)
{
	if (s->n++ > 0)
		return;
	if (s->ns > 0)
		s->ns = silence_ns(&(struct silence){0, s->since, s->ns}, now);
	s->since = now;
}

/* One that has waited since it was heard last does not wait any more. */
static inline void
silence_leave(struct silence *s, mono_t now)
{
	if (--s->n > 0)
		return;
	s->ns += mono_sub(now, s->since);
	s->since = now;
}

/* What was is done with; who waits still begins anew. */
static inline void
silence_again(struct silence *s, mono_t now)
{
	s->ns = 0;
	s->since = now;
}

/* It was heard: who waits for it has not waited in vain, and is not counted any more.
 */
static inline void
silence_end(struct silence *s)
{
	s->n = 0;
	s->ns = 0;
}

#endif /* NINES_PROXY_SILENCE_H */
