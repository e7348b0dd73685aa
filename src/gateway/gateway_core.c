/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway_core.h"

#include <string.h>

void
gateway_core_init(struct gateway_core *g, const struct gateway_conf *conf)
{
	ASSERT(conf->heartbeat_ns > 0 && conf->fall > 0 && conf->rise > 0);
	memset(g, 0, sizeof(*g));
	g->conf = *conf;
	g->fit = true;
}

int64_t
gateway_core_pace(const struct gateway_conf *conf, enum gateway_state state)
{
	const int64_t beat = conf->heartbeat_ns, part = beat / GATEWAY_ASKS;

	if (state == GATEWAY_DOWN)
		return beat;
	return part > GATEWAY_ASK_MIN_NS ? part : GATEWAY_ASK_MIN_NS;
}

unsigned
gateway_core_add_hop(struct gateway_core *g, mono_t now, const struct gateway_next *was)
{
	struct gateway_next *h = &g->hop[g->n_hops];

	ASSERT(g->n_hops < GATEWAY_HOPS);
	*h = (struct gateway_next){.state = GATEWAY_UNKNOWN, .link = true};
	if (was != NULL)
		*h = *was;
	h->asked = false; /* that answer would go to another */
	h->due = now;
	return g->n_hops++;
}

/* The members of at least this state. */
static uint64_t
in_state(const struct gateway_core *g, uint64_t members, enum gateway_state least)
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < g->n_hops; i++) {
		if ((members & GATEWAY_BIT(i)) != 0 && g->hop[i].state >= least)
			mask |= GATEWAY_BIT(i);
	}
	return mask;
}

/* What the set should use, given what it uses. */
static uint64_t
choose(const struct gateway_core *g, const struct gateway_set *s)
{
	uint64_t alive = in_state(g, s->members, GATEWAY_UNKNOWN);

	if (alive != 0)
		return alive;
	return (s->live & s->members) != 0 ? s->live & s->members : s->members;
}

unsigned
gateway_core_add_set(
    struct gateway_core *g, mono_t now, uint64_t members, uint64_t live)
{
	struct gateway_set *s = &g->set[g->n_sets];

	ASSERT(g->n_sets < GATEWAY_SETS && members != 0);
	ASSERT(in_state(g, members, GATEWAY_DOWN) == members);
	*s = (struct gateway_set){.members = members, .live = live, .dark = MONO_NEVER};
	s->live = choose(g, s);
	if (in_state(g, members, GATEWAY_UNKNOWN) == 0)
		s->dark = now;
	return g->n_sets++;
}

/* ---- events -------------------------------------------------------------------- */

static void
move(struct gateway_core *g, unsigned i, enum gateway_state to, struct gateway_out *out)
{
	if (g->hop[i].state == to)
		return;
	g->hop[i].state = to;
	out->hops |= GATEWAY_BIT(i);
}

/* The next question comes a whole pace after this one, however late this is: who is
 * asked must have the time to answer. */
static void
ask(struct gateway_core *g, mono_t now, unsigned i, struct gateway_out *out)
{
	struct gateway_next *h = &g->hop[i];

	if (h->asked) {
		h->hits = 0;
		if (h->misses < g->conf.fall)
			h->misses++;
		if (h->misses >= g->conf.fall)
			move(g, i, GATEWAY_DOWN, out);
	}
	h->asked = true;
	h->due = mono_add(now, gateway_core_pace(&g->conf, h->state));
	out->probe |= GATEWAY_BIT(i);
}

static void
on_tick(struct gateway_core *g, mono_t now, struct gateway_out *out)
{
	for (unsigned i = 0; i < g->n_hops; i++) {
		if (g->hop[i].link && !mono_before(now, g->hop[i].due))
			ask(g, now, i, out);
	}
}

static void
on_answer(struct gateway_core *g, mono_t now, unsigned i, struct gateway_out *out)
{
	struct gateway_next *h = &g->hop[i];

	if (!h->asked || !h->link)
		return; /* one answer for a question */
	h->asked = false;
	h->misses = 0;
	if (h->hits < g->conf.rise)
		h->hits++;
	if (h->state == GATEWAY_UP ||
	    (h->state == GATEWAY_DOWN && h->hits < g->conf.rise))
		return;
	move(g, i, GATEWAY_UP, out);
	h->due = mono_min(h->due, mono_add(now, gateway_core_pace(&g->conf, h->state)));
}

static void
on_link(
    struct gateway_core *g, mono_t now, unsigned i, bool up, struct gateway_out *out)
{
	struct gateway_next *h = &g->hop[i];

	if (h->link == up)
		return;
	h->link = up;
	h->asked = false;
	h->hits = 0;
	h->misses = up ? 0 : g->conf.fall;
	h->due = now;
	if (!up)
		move(g, i, GATEWAY_DOWN, out);
}

static bool
any_link(const struct gateway_core *g, uint64_t members)
{
	for (unsigned i = 0; i < g->n_hops; i++) {
		if ((members & GATEWAY_BIT(i)) != 0 && g->hop[i].link)
			return true;
	}
	return false;
}

/* When a dark set makes the host unfit: at once if its links are gone. */
static mono_t
unfit_at(const struct gateway_core *g, const struct gateway_set *s)
{
	if (mono_is_never(s->dark))
		return MONO_NEVER;
	return any_link(g, s->members) ? mono_add(s->dark, GATEWAY_UNFIT_NS) : s->dark;
}

static void
review(struct gateway_core *g, mono_t now, struct gateway_out *out)
{
	bool fit = true;

	for (unsigned i = 0; i < g->n_sets; i++) {
		struct gateway_set *s = &g->set[i];
		uint64_t live = choose(g, s);

		if (live != s->live)
			out->sets |= GATEWAY_BIT(i);
		s->live = live;
		if (in_state(g, s->members, GATEWAY_UNKNOWN) != 0)
			s->dark = MONO_NEVER;
		else if (mono_is_never(s->dark))
			s->dark = now;
		fit = fit && mono_before(now, unfit_at(g, s));
	}
	out->fit = fit != g->fit;
	g->fit = fit;
}

void
gateway_core_input(struct gateway_core *g, mono_t now, const struct gateway_ev *ev,
    struct gateway_out *out)
{
	*out = (struct gateway_out){0};
	if (ev->type != GATEWAY_EV_TICK && ev->hop >= g->n_hops)
		return;
	switch (ev->type) {
	case GATEWAY_EV_TICK:
		on_tick(g, now, out);
		break;
	case GATEWAY_EV_ANSWER:
		on_answer(g, now, ev->hop, out);
		break;
	case GATEWAY_EV_LINK:
		on_link(g, now, ev->hop, ev->up, out);
		break;
	}
	review(g, now, out);
}

mono_t
gateway_core_deadline(const struct gateway_core *g)
{
	mono_t first = MONO_NEVER;

	for (unsigned i = 0; i < g->n_hops; i++) {
		if (g->hop[i].link)
			first = mono_min(first, g->hop[i].due);
	}
	for (unsigned i = 0; g->fit && i < g->n_sets; i++) {
		mono_t at = unfit_at(g, &g->set[i]);

		if (mono_before(at, first))
			first = at;
	}
	return first;
}

bool
gateway_core_check(const struct gateway_core *g)
{
	for (unsigned i = 0; i < g->n_hops; i++) {
		const struct gateway_next *h = &g->hop[i];

		if ((!h->link && (h->state != GATEWAY_DOWN || h->asked)) ||
		    (h->misses > 0 && h->hits > 0))
			return false;
	}
	for (unsigned i = 0; i < g->n_sets; i++) {
		const struct gateway_set *s = &g->set[i];
		uint64_t alive = in_state(g, s->members, GATEWAY_UNKNOWN);

		if (s->live == 0 || (s->live & ~s->members) != 0)
			return false;
		if (alive != 0 && s->live != alive)
			return false;
		if ((alive == 0) != (!mono_is_never(s->dark)))
			return false;
	}
	return true;
}

const char *
gateway_state_name(enum gateway_state s)
{
	static const char *const name[] = {
	    [GATEWAY_DOWN] = "down",
	    [GATEWAY_UNKNOWN] = "unknown",
	    [GATEWAY_UP] = "up",
	};

	return name[s];
}
