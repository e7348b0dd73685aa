/* SPDX-License-Identifier: Apache-2.0 */
#include "health/health_core.h"

#include <errno.h>
#include <string.h>

static void
act(struct health_out *out, enum health_act a)
{
	ASSERT(out->n < HEALTH_OUT_MAX);
	out->act[out->n++] = a;
}

/* Uniform in [0, ns), in whole microseconds: an hour of them fits 32 bits. */
static int64_t
spread(struct health *h, int64_t ns)
{
	int64_t us = ns / US_NS;

	return us > 0 ? rng_below(&h->rng, (uint32_t)us) * US_NS : 0;
}

/* A tenth is enough for two targets to drift through each other's phase in seconds. */
static int64_t
interval(struct health *h)
{
	int64_t ns = h->hasty ? h->haste_ns : h->conf.every_ns;

	return ns - spread(h, ns / 10);
}

static int64_t
haste(const struct health_conf *c)
{
	int64_t ns = c->every_ns / HEALTH_HASTE;

	return ns > HEALTH_EVERY_MIN_NS ? ns : HEALTH_EVERY_MIN_NS;
}

static bool
conf_valid(const struct health_conf *c)
{
	return c->every_ns >= HEALTH_EVERY_MIN_NS &&
	       c->every_ns <= HEALTH_EVERY_MAX_NS && c->timeout_ns > 0 && c->fall > 0 &&
	       c->rise > 0;
}

int
health_init(struct health *h, const struct health_conf *conf, uint64_t seed)
{
	if (!conf_valid(conf))
		return -EINVAL;
	*h = (struct health){.conf = *conf,
	    .rng = {seed},
	    .haste_ns = haste(conf),
	    .due = MONO_NEVER,
	    .expires = MONO_NEVER};
	return 0;
}

static void
start(struct health *h, mono_t now, enum health_state state)
{
	if (h->running)
		return;
	h->running = true;
	h->state = state;
	h->risen = now;
	h->hasty = state == HEALTH_UNKNOWN;
	h->due = mono_add(now, spread(h, h->hasty ? h->haste_ns : h->conf.every_ns));
}

/* Targets that became settled in the same instant must not stay in step. */
static void
settle(struct health *h)
{
	if (!h->hasty)
		return;
	h->hasty = false;
	h->due = mono_add(h->due, spread(h, h->conf.every_ns - h->haste_ns));
}

static void
move(struct health *h, mono_t now, enum health_state to, struct health_out *out)
{
	if (h->state == to)
		return;
	h->state = to;
	if (to == HEALTH_UP)
		h->risen = now;
	act(out, HEALTH_ACT_STATE);
}

static void
end(struct health *h)
{
	h->checking = false;
	h->expires = MONO_NEVER;
}

static unsigned
count(unsigned n)
{
	return n < UINT32_MAX ? n + 1 : n;
}

/*
 * A check under way may have got its answer before the failure, so it says nothing.
 * A target that is down already is not asked anew: a stream of failures would keep its
 * checks from ever ending.
 */
static void
passive(struct health *h, mono_t now, struct health_out *out)
{
	bool again = h->state == HEALTH_UP &&
		     mono_sub(now, h->risen) / HEALTH_CALM < h->conf.every_ns;

	h->good = 0;
	if (h->state == HEALTH_DOWN)
		return;
	if (h->checking) {
		end(h);
		act(out, HEALTH_ACT_ABORT);
	}
	if (!again || h->state == HEALTH_UNKNOWN)
		h->haste_ns = haste(&h->conf);
	else if (h->haste_ns > h->conf.every_ns / 2)
		h->haste_ns = h->conf.every_ns;
	else
		h->haste_ns *= 2;
	h->bad = 0;
	h->hasty = true;
	h->due = mono_add(now, interval(h));
	move(h, now, HEALTH_DOWN, out);
}

static void
succeed(struct health *h, mono_t now, struct health_out *out)
{
	h->good = count(h->good);
	h->bad = 0;
	if (h->good < h->conf.rise)
		return;
	move(h, now, HEALTH_UP, out);
	settle(h);
}

static void
fail(struct health *h, mono_t now, struct health_out *out)
{
	if (h->doubted) {
		passive(h, now, out);
		return;
	}
	h->bad = count(h->bad);
	h->good = 0;
	if (h->bad < h->conf.fall)
		return;
	move(h, now, HEALTH_DOWN, out);
	settle(h);
}

static int64_t
patience(const struct health *h)
{
	if (h->doubted && h->conf.timeout_ns > HEALTH_DOUBT_NS)
		return HEALTH_DOUBT_NS;
	return h->conf.timeout_ns;
}

static void
tick(struct health *h, mono_t now, struct health_out *out)
{
	if (h->checking && !mono_before(now, h->expires)) {
		end(h);
		act(out, HEALTH_ACT_EXPIRE);
		fail(h, now, out);
		h->doubted = false;
		return; /* the next check, if due, with the next tick */
	}
	if (h->checking || !h->running || mono_before(now, h->due))
		return;
	h->checking = true;
	h->patience_ns = patience(h);
	h->expires = mono_add(now, h->patience_ns);
	h->due = mono_add(now, interval(h));
	act(out, HEALTH_ACT_BEGIN);
}

/* Asked anew, since a check under way may have been answered before. */
static void
doubt(struct health *h, mono_t now, struct health_out *out)
{
	if (h->state != HEALTH_UP || h->doubted || mono_before(now, h->doubt_from))
		return;
	if (h->checking) {
		end(h);
		act(out, HEALTH_ACT_ABORT);
	}
	h->doubted = true;
	h->doubt_from = mono_add(now, haste(&h->conf));
	h->due = now;
	tick(h, now, out);
}

/* What was counted, was counted by other rules. */
static void
reconf(struct health *h, mono_t now, const struct health_conf *conf,
    struct health_out *out)
{
	if (!conf_valid(conf))
		return;
	h->conf = *conf;
	h->haste_ns = haste(conf);
	h->good = h->bad = 0;
	h->doubted = false;
	if (h->checking) {
		end(h);
		act(out, HEALTH_ACT_ABORT);
	}
	if (h->running)
		h->due =
		    mono_add(now, spread(h, h->hasty ? h->haste_ns : h->conf.every_ns));
}

void
health_input(
    struct health *h, mono_t now, const struct health_ev *ev, struct health_out *out)
{
	out->n = 0;
	switch (ev->type) {
	case HEALTH_EV_START:
		start(h, now, ev->state);
		break;
	case HEALTH_EV_TICK:
		tick(h, now, out);
		break;
	case HEALTH_EV_GOOD:
	case HEALTH_EV_BAD:
	case HEALTH_EV_VOID:
		if (!h->checking)
			break;
		end(h);
		if (ev->type == HEALTH_EV_GOOD)
			succeed(h, now, out);
		else if (ev->type == HEALTH_EV_BAD)
			fail(h, now, out);
		h->doubted = false;
		break;
	case HEALTH_EV_PASSIVE:
		h->doubted = false;
		if (h->running)
			passive(h, now, out);
		break;
	case HEALTH_EV_DOUBT:
		if (h->running)
			doubt(h, now, out);
		break;
	case HEALTH_EV_CONF:
		reconf(h, now, ev->conf, out);
		break;
	}
}

mono_t
health_deadline(const struct health *h)
{
	return h->checking ? h->expires : h->due;
}

bool
health_confirmed(const struct health *h)
{
	return h->state == HEALTH_DOWN ? h->bad >= h->conf.fall : h->state == HEALTH_UP;
}

bool
health_check(const struct health *h)
{
	if (!h->running)
		return !h->checking && mono_is_never(h->due);
	if (h->checking == mono_is_never(h->expires))
		return false;
	if (h->good > 0 && h->bad > 0)
		return false;
	if (h->state != HEALTH_UP && h->good >= h->conf.rise)
		return false;
	if (h->state != HEALTH_DOWN && h->bad >= h->conf.fall)
		return false;
	if (h->hasty && h->state == HEALTH_UP)
		return false;
	if (h->doubted && !h->checking)
		return false;
	return h->haste_ns >= HEALTH_EVERY_MIN_NS && h->haste_ns <= h->conf.every_ns;
}
