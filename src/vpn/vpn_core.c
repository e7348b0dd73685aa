/* SPDX-License-Identifier: Apache-2.0 */
#include "vpn/vpn_core.h"

#include <string.h>

#define TELL_TIMES  4 /* the ticks in which a change is told, and one */
#define ROUND_TICKS 8 /* everything is told once in so many */
#define ROUND_LEAST VPN_ENTRIES_MAX

void
vpn_core_init(struct vpn_core *c, const char *me,
    const uint8_t session[static VPN_SESSION_LEN], mono_t now)
{
	*c = (struct vpn_core){.calm = true,
	    .tick = now,
	    .born = now,
	    .greet = mono_add(now, VPN_GREET_NS)};
	memcpy(c->name, me, strnlen(me, sizeof(c->name) - 1));
	memcpy(c->session, session, sizeof(c->session));
}

void
vpn_core_renew(struct vpn_core *c, const uint8_t session[static VPN_SESSION_LEN])
{
	memcpy(c->session, session, sizeof(c->session));
	c->number = 0;
	c->renew = false;
	for (size_t i = 0; i < c->n_others; i++) {
		c->other[i].known = false;
		c->other[i].owed = true;
	}
}

/* ---- clients ------------------------------------------------------------------- */

/* The place of `key`, or where it would be. */
static size_t
position(const struct vpn_place *place, size_t n, const uint8_t *key)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (memcmp(place[mid].key, key, VPN_KEY_LEN) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct vpn_place *
find(const struct vpn_core *c, const uint8_t *key)
{
	size_t i = position(c->place, c->n_places, key);

	if (i == c->n_places || memcmp(c->place[i].key, key, VPN_KEY_LEN) != 0)
		return NULL;
	return &c->place[i];
}

const struct vpn_place *
vpn_core_place(const struct vpn_core *c, const uint8_t key[static VPN_KEY_LEN])
{
	return find(c, key);
}

void
vpn_core_places(
    struct vpn_core *c, struct vpn_place *place, const struct vpn_peer *peer, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct vpn_place *was = find(c, peer[i].key);
		size_t at = position(place, i, peer[i].key);

		memmove(&place[at + 1], &place[at], (i - at) * sizeof(*place));
		place[at] = was != NULL ? *was : (struct vpn_place){0};
		memcpy(place[at].key, peer[i].key, VPN_KEY_LEN);
	}
	c->place = place;
	c->n_places = n;
	for (size_t i = 0; i < c->n_others; i++) {
		c->other[i].cursor = c->other[i].due = 0;
		c->other[i].scan = n;
	}
}

bool
vpn_core_alive(const struct vpn_place *p, mono_t now)
{
	return p->at.ip.family != 0 && p->shaken &&
	       mono_sub(now, p->handshake) < VPN_ALIVE_NS;
}

static bool
same_endpoint(const struct ip_endpoint *a, const struct ip_endpoint *b)
{
	return ip_equal(&a->ip, &b->ip) && a->port == b->port;
}

void
vpn_core_seen(struct vpn_core *c, const uint8_t key[static VPN_KEY_LEN],
    const struct ip_endpoint *at, bool shaken, mono_t handshake)
{
	struct vpn_place *p = find(c, key);
	bool later;

	if (p == NULL || !c->active || at->ip.family == 0)
		return;
	/* Wall clocks are read in whole seconds: a little later is the same. */
	later =
	    shaken && (!p->shaken || mono_sub(handshake, p->handshake) >= 2 * SEC_NS);
	if (same_endpoint(&p->at, at) && !later)
		return;
	p->at = *at;
	if (later) { /* an interface that was made anew knows less than we do */
		p->shaken = true;
		p->handshake = handshake;
	}
	p->tell = TELL_TIMES;
	for (size_t i = 0; i < c->n_others; i++)
		c->other[i].scan = 0;
}

/* ---- the other gateways -------------------------------------------------------- */

static struct vpn_other *
find_other(struct vpn_core *c, const char *name)
{
	for (size_t i = 0; i < c->n_others; i++) {
		if (strcmp(c->other[i].name, name) == 0)
			return &c->other[i];
	}
	return NULL;
}

void
vpn_core_others(struct vpn_core *c, const char *const *name, size_t n)
{
	struct vpn_other other[VPN_OTHERS_MAX] = {{.known = false}};

	ASSERT(n <= VPN_OTHERS_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct vpn_other *was = find_other(c, name[i]);

		if (was != NULL) {
			other[i] = *was;
		} else {
			memcpy(other[i].name, name[i],
			    strnlen(name[i], sizeof(other[i].name) - 1));
			other[i].scan = c->n_places;
		}
	}
	memcpy(c->other, other, sizeof(c->other));
	c->n_others = n;
}

static void
believe(struct vpn_core *c, struct vpn_other *o, const struct vpn_msg *m)
{
	memcpy(o->session, m->envelope.session, sizeof(o->session));
	o->known = true;
	/* Now: either is worth nothing to clients before it has heard of the other. */
	o->owed = true;
	if (c->active) { /* it knows nothing: tell it all */
		o->cursor = 0;
		o->due = c->n_places;
		o->scan = 0;
	}
}

/* May a message with a session that is not the one we know follow upon it? */
static bool
succeeds(const struct vpn_other *o, const struct vpn_msg *m)
{
	return !o->known ||
	       memcmp(m->envelope.session, o->session, sizeof(o->session)) > 0;
}

static void
learn(struct vpn_core *c, mono_t now, const struct vpn_msg *m)
{
	for (size_t i = 0; i < m->n_entries; i++) {
		const struct vpn_entry *e = &m->entry[i];
		struct vpn_place *p = find(c, e->key);

		if (p == NULL)
			continue;
		p->at = e->at;
		p->shaken = e->age_s != VPN_AGE_NEVER;
		if (p->shaken)
			p->handshake = (mono_t){now.ns - (int64_t)e->age_s * SEC_NS};
	}
}

bool
vpn_core_heard(struct vpn_core *c, mono_t now, const struct vpn_msg *m)
{
	struct vpn_other *o = find_other(c, m->from);
	bool same;

	if (o == NULL || strcmp(m->to, c->name) != 0)
		return false;
	if (memcmp(m->echo, c->session, sizeof(c->session)) != 0) {
		/* It does not know us yet, or it is not it: show it our session. */
		if (o->answered.ns != 0 && mono_sub(now, o->answered) < VPN_ANSWER_NS)
			return false;
		o->answered = now;
		o->owed = true;
		if (succeeds(o, m) || mono_sub(now, o->heard) > VPN_SILENT_NS)
			memcpy(o->echo, m->envelope.session, sizeof(o->echo));
		return false;
	}
	same = o->known &&
	       memcmp(m->envelope.session, o->session, sizeof(o->session)) == 0;
	if (same && m->envelope.number <= o->number)
		return false;
	if (!same && !succeeds(o, m)) {
		c->renew = c->renew || mono_sub(now, o->heard) > VPN_SILENT_NS;
		return false;
	}
	if (!same)
		believe(c, o, m);
	memcpy(o->echo, o->session, sizeof(o->echo));
	o->number = m->envelope.number;
	o->heard = now;
	o->active = m->active;
	if (m->active && !c->active)
		learn(c, now, m);
	return true;
}

/* ---- what is sent -------------------------------------------------------------- */

/* True if place `i` is among the `due` ones from the cursor on, round the end. */
static bool
is_due(const struct vpn_core *c, const struct vpn_other *o, size_t i)
{
	size_t behind = i >= o->cursor ? i - o->cursor : i + c->n_places - o->cursor;

	return behind < o->due;
}

static void
fill(struct vpn_core *c, struct vpn_other *o, mono_t now, struct vpn_msg *m)
{
	for (; o->scan < c->n_places && m->n_entries < VPN_ENTRIES_MAX; o->scan++) {
		const struct vpn_place *p = &c->place[o->scan];
		struct vpn_entry *e = &m->entry[m->n_entries];
		int64_t age;

		if (p->at.ip.family == 0 || (p->tell == 0 && !is_due(c, o, o->scan)))
			continue;
		memcpy(e->key, p->key, sizeof(e->key));
		e->at = p->at;
		age = p->shaken ? mono_sub(now, p->handshake) / SEC_NS : 0;
		if (age < 0)
			age = 0;
		e->age_s =
		    !p->shaken || age >= VPN_AGE_NEVER ? VPN_AGE_NEVER : (uint32_t)age;
		m->n_entries++;
	}
}

bool
vpn_core_next(struct vpn_core *c, mono_t now, struct vpn_msg *m)
{
	for (size_t i = 0; i < c->n_others; i++) {
		struct vpn_other *o = &c->other[i];

		m->n_entries = 0;
		if (c->active && o->known)
			fill(c, o, now, m);
		if (m->n_entries == 0 && !o->owed)
			continue;
		o->owed = false;
		memcpy(m->from, c->name, sizeof(m->from));
		memcpy(m->to, o->name, sizeof(m->to));
		memcpy(m->envelope.session, c->session, sizeof(c->session));
		m->envelope.number = ++c->number;
		memcpy(m->echo, o->echo, sizeof(m->echo));
		m->active = c->active;
		return true;
	}
	return false;
}

/* ---- time and role ------------------------------------------------------------- */

static void
begin_round(struct vpn_core *c)
{
	size_t share = c->n_places / ROUND_TICKS + 1;

	if (share < ROUND_LEAST)
		share = ROUND_LEAST;
	if (share > c->n_places)
		share = c->n_places;
	for (size_t i = 0; i < c->n_others; i++) {
		struct vpn_other *o = &c->other[i];

		o->owed = true;
		if (c->n_places > 0)
			o->cursor = (o->cursor + o->due) % c->n_places;
		o->due = share;
		o->scan = 0;
	}
}

/* A gateway that has just come may be the next to have the clients, and the first word
 * may be lost while its network comes up. */
static void
greet(struct vpn_core *c, mono_t now)
{
	bool met = c->n_others > 0;

	if (mono_before(now, c->greet))
		return;
	for (size_t i = 0; i < c->n_others; i++) {
		c->other[i].owed = c->other[i].owed || !c->other[i].known;
		met = met && c->other[i].known;
	}
	c->greet = met || mono_sub(now, c->born) > VPN_YOUNG_NS
		       ? MONO_NEVER
		       : mono_add(now, VPN_GREET_NS);
}

enum vpn_deed
vpn_core_tick(struct vpn_core *c, mono_t now)
{
	greet(c, now);
	if (!mono_before(now, c->tick)) {
		c->tick = mono_add(now, VPN_TICK_NS);
		/* What the last tick has told counts as told. */
		begin_round(c);
		for (size_t i = 0; i < c->n_places; i++) {
			if (c->place[i].tell > 0)
				c->place[i].tell--;
		}
	}
	if (c->active && !c->calm && mono_sub(now, c->took_over) >= VPN_CALM_NS) {
		c->calm = true;
		return VPN_CALM;
	}
	return VPN_NOTHING;
}

mono_t
vpn_core_deadline(const struct vpn_core *c)
{
	mono_t at = mono_min(c->tick, c->greet);

	if (c->active && !c->calm)
		at = mono_min(at, mono_add(c->took_over, VPN_CALM_NS));
	return at;
}

enum vpn_deed
vpn_core_role(struct vpn_core *c, mono_t now, bool active)
{
	if (c->active == active)
		return VPN_NOTHING;
	c->active = active;
	c->calm = !active;
	if (active)
		c->took_over = now;
	for (size_t i = 0; i < c->n_others; i++) {
		c->other[i].owed = true;
		c->other[i].scan = c->n_places;
	}
	return active ? VPN_TAKE : VPN_LEAVE;
}

bool
vpn_core_check(const struct vpn_core *c)
{
	for (size_t i = 1; i < c->n_places; i++) {
		if (memcmp(c->place[i - 1].key, c->place[i].key, VPN_KEY_LEN) >= 0)
			return false;
	}
	for (size_t i = 0; i < c->n_others; i++) {
		const struct vpn_other *o = &c->other[i];

		if (o->due > c->n_places || o->scan > c->n_places ||
		    (c->n_places > 0 && o->cursor >= c->n_places))
			return false;
	}
	return c->n_others <= VPN_OTHERS_MAX && (c->active || c->calm);
}
