/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/servers/breaker.h"

static bool
open_up(struct breaker *b, const struct breaker_conf *conf, mono_t now)
{
	*b = (struct breaker){
	    .state = BREAKER_OPEN, .until = mono_add(now, conf->open_ns)};
	return true;
}

/* Trials that nobody heard of again do not keep it half open for ever. */
static void
try_anew(struct breaker *b, const struct breaker_conf *conf, mono_t now)
{
	*b = (struct breaker){
	    .state = BREAKER_TRYING, .until = mono_add(now, conf->open_ns)};
}

bool
breaker_allows(struct breaker *b, const struct breaker_conf *conf, mono_t now)
{
	if (b->state == BREAKER_CLOSED)
		return true;
	if (!mono_before(now, b->until))
		try_anew(b, conf, now);
	if (b->state == BREAKER_OPEN || b->begun >= conf->trials)
		return false;
	b->begun++;
	return true;
}

/* The window moves by halves. */
static void
roll(struct breaker *b, const struct breaker_conf *conf, mono_t now)
{
	int64_t half = conf->window_ns / 2;

	if (mono_before(now, b->half))
		return;
	/* After a silence, nothing of what was says anything. */
	bool fresh = b->half.ns != 0 && mono_sub(now, b->half) < half;

	b->good[1] = fresh ? b->good[0] : 0;
	b->bad[1] = fresh ? b->bad[0] : 0;
	b->good[0] = b->bad[0] = 0;
	b->half = mono_add(now, half);
}

static bool
count(struct breaker *b, const struct breaker_conf *conf, mono_t now, bool good)
{
	uint64_t bad, all;

	roll(b, conf, now);
	b->good[0] += good;
	b->bad[0] += !good;
	bad = (uint64_t)b->bad[0] + b->bad[1];
	all = bad + b->good[0] + b->good[1];
	if (good || all < conf->requests || bad * 100 < all * conf->errors)
		return false;
	return open_up(b, conf, now);
}

bool
breaker_answer(
    struct breaker *b, const struct breaker_conf *conf, mono_t now, bool good)
{
	switch (b->state) {
	case BREAKER_CLOSED:
		return count(b, conf, now, good);
	case BREAKER_TRYING:
		if (!good)
			return open_up(b, conf, now);
		b->passed++;
		if (b->passed >= conf->trials)
			*b = (struct breaker){.state = BREAKER_CLOSED};
		return false;
	case BREAKER_OPEN: /* of a request from before */
	default:
		return false;
	}
}
