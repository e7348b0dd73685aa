/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/schedule.h"

#include <string.h>

#define PAUSE_MIN_MS 300 /* from one beginning to the next */
#define PAUSE_MAX_MS 4000
#define HOLD_MIN_MS  500
#define HOLD_MAX_MS  6000
#define PICKS	     16 /* before it is given up for this time */

static uint32_t
between(struct rng *r, uint32_t min, uint32_t max)
{
	return min + rng_below(r, max - min + 1);
}

/* Failures of which something may still be felt at `now_ms`; more than fit: all. */
static size_t
at_work(const struct event *event, size_t n, uint32_t now_ms, size_t *which)
{
	size_t found = 0;

	for (size_t i = 0; i < n && found < SCHEDULE_AT_ONCE; i++) {
		if (event[i].at_ms + event[i].hold_ms + SCHEDULE_RECOVER_MS > now_ms)
			which[found++] = event[i].which;
	}
	return found;
}

size_t
schedule_make(struct rng *r, const struct chances *c, uint32_t length_ms,
    struct event *event, size_t max)
{
	size_t which[SCHEDULE_AT_ONCE + 1], n = 0;
	uint32_t now = 0;

	while (n < max && c->n > 0) {
		size_t busy;

		now += between(r, PAUSE_MIN_MS, PAUSE_MAX_MS);
		if (now >= length_ms)
			break;
		busy = at_work(event, n, now, which);
		for (int i = 0; i < PICKS && busy < SCHEDULE_AT_ONCE; i++) {
			which[busy] = rng_below(r, (uint32_t)c->n);
			if (!c->may(c->arg, which, busy + 1))
				continue;
			event[n++] = (struct event){.at_ms = now,
			    .hold_ms = between(r, HOLD_MIN_MS, HOLD_MAX_MS),
			    .which = which[busy]};
			break;
		}
	}
	return n;
}

struct shrinking {
	size_t n;
	bool *keep;
	int (*fails)(void *arg, const bool *keep);
	void *arg;
	unsigned tries;
};

static size_t
kept(const struct shrinking *s)
{
	size_t count = 0;

	for (size_t i = 0; i < s->n; i++)
		count += s->keep[i];
	return count;
}

/*
 * Tries without the chunk number `chunk` of `chunks` of what is kept. 1: it still
 * fails, and the chunk is gone for good; 0: it is needed.
 */
static int
try_without(struct shrinking *s, size_t chunk, size_t chunks)
{
	size_t all = kept(s), from = all * chunk / chunks;
	size_t to = all * (chunk + 1) / chunks, at = 0;
	bool before[SCHEDULE_MAX];
	int verdict;

	memcpy(before, s->keep, s->n * sizeof(*before));
	for (size_t i = 0; i < s->n; i++) {
		if (!before[i])
			continue;
		s->keep[i] = at < from || at >= to;
		at++;
	}
	s->tries--;
	verdict = s->fails(s->arg, s->keep);
	if (verdict != 1)
		memcpy(s->keep, before, s->n * sizeof(*before));
	return verdict;
}

/* One pass over all chunks, as far as tries last. 1: something could go. */
static int
pass(struct shrinking *s, size_t chunks)
{
	int less = 0;

	for (size_t i = 0; i < chunks && s->tries > 0;) {
		int verdict = try_without(s, i, chunks);

		if (verdict < 0)
			return verdict;
		if (verdict == 0) {
			i++;
			continue;
		}
		less = 1;
		if (--chunks < 2)
			break; /* what is left was found to fail */
	}
	return less;
}

int
schedule_shrink(size_t n, bool *keep, int (*fails)(void *arg, const bool *keep),
    void *arg, unsigned tries)
{
	struct shrinking s = {n, keep, fails, arg, tries};
	size_t chunks = 2;

	if (n > SCHEDULE_MAX)
		return 0;
	while (s.tries > 0 && kept(&s) > 1) {
		size_t left = kept(&s);
		int less;

		if (chunks > left)
			chunks = left;
		less = pass(&s, chunks);
		if (less < 0)
			return less;
		if (less == 1) {
			chunks = 2;
			continue;
		}
		if (chunks == left)
			break; /* not one of them can go */
		chunks *= 2;
	}
	return 0;
}
