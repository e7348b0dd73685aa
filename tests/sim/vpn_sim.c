/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gateways that tell each other where clients are, over a bad network with a listener
 * who plays back what he has heard, in virtual time.
 *
 * One seed gives one run: two to four gateways, clients that come and roam, datagrams
 * lost, doubled, late and played back whenever, gateways that restart (also with a
 * clock that was set back), the address moving about. A referee states what may never
 * be:
 *
 *   - a message believed twice, or after it was overtaken within its session;
 *   - a client placed where it never was, or of another client's place;
 *   - a deed that does not follow from the role;
 *   - after the world has been quiet for a while: a standby that does not know where
 *     every client is.
 *
 * Usage: vpn_sim FIRST_SEED COUNT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "sim.h"
#include "vpn/vpn_core.h"

#define GATEWAYS_MAX 4
#define CLIENTS_MAX  60
#define FLIGHTS_MAX  512
#define RECORDS	     2048
#define STEPS	     3000
#define QUIET_NS     (60 * SEC_NS)
#define AGE_ERROR_NS (4 * SEC_NS)

struct flight {
	struct vpn_msg m;
	mono_t due;
	unsigned to;
	size_t record;
};

/* What the listener has: every message, and who has believed it. */
struct record {
	struct vpn_msg m;
	unsigned to;
	bool believed[GATEWAYS_MAX];
};

struct client {
	uint8_t key[VPN_KEY_LEN];
	struct ip_endpoint at;
	unsigned moves; /* it has been at ports 1000 to 1000 + moves */
	mono_t handshake;
	bool known; /* it has come in */
};

struct gateway {
	char name[16];
	struct vpn_core core;
	struct vpn_place *place;
	uint64_t boots;
	int64_t clock; /* its wall clock, from the world's */
	bool cut;
};

struct sim {
	uint64_t seed, hash;
	struct rng rng;
	mono_t now;
	unsigned n_gateways, active;
	size_t n_clients;
	struct gateway g[GATEWAYS_MAX];
	struct client client[CLIENTS_MAX];
	struct vpn_peer peer[CLIENTS_MAX];
	struct flight flight[FLIGHTS_MAX];
	size_t n_flights;
	struct record record[RECORDS];
	size_t n_records; /* counts on; the newest are kept */
	bool quiet;
};

static uint32_t
below(struct sim *s, uint32_t n)
{
	return rng_below(&s->rng, n);
}

NORETURN static void
fail(const struct sim *s, const char *why)
{
	(void)printf("FAIL seed %llu at %lld ms: %s\n", (unsigned long long)s->seed,
	    (long long)(s->now.ns / MS_NS), why);
	exit(1);
}

/* ---- the network --------------------------------------------------------------- */

static void
post(struct sim *s, unsigned to, const struct vpn_msg *m, size_t record)
{
	struct flight *f;

	if (s->n_flights == FLIGHTS_MAX)
		return;
	f = &s->flight[s->n_flights++];
	f->m = *m;
	f->to = to;
	f->record = record;
	f->due = mono_add(s->now, below(s, s->quiet ? 5 : 1500) * MS_NS);
}

static unsigned
gateway_named(const struct sim *s, const char *name)
{
	for (unsigned i = 0; i < s->n_gateways; i++) {
		if (strcmp(s->g[i].name, name) == 0)
			return i;
	}
	fail(s, "a message to nobody");
}

static void
send_all(struct sim *s, unsigned from)
{
	struct gateway *g = &s->g[from];
	struct vpn_msg m;

	memset(&m, 0, sizeof(m));
	while (vpn_core_next(&g->core, s->now, &m)) {
		unsigned to = gateway_named(s, m.to);
		size_t at = s->n_records++ % RECORDS;

		s->hash = rng_mix(s->hash ^ m.envelope.number ^ m.n_entries);
		s->record[at] = (struct record){.m = m, .to = to};
		for (unsigned copies = below(s, 20) == 0 ? 2 : 1; copies > 0;
		     copies--) {
			if (s->quiet ||
			    (below(s, 100) >= 25 && !g->cut && !s->g[to].cut))
				post(s, to, &m, at);
		}
	}
	if (!vpn_core_check(&g->core))
		fail(s, "an invariant is broken");
}

static void
check_places(const struct sim *s, const struct gateway *g)
{
	for (size_t i = 0; i < s->n_clients; i++) {
		const struct client *c = &s->client[i];
		const struct vpn_place *p = vpn_core_place(&g->core, c->key);

		if (p == NULL)
			fail(s, "a client was forgotten");
		if (p->at.ip.family == 0)
			continue;
		if (!c->known || p->at.port < 1000 || p->at.port > 1000 + c->moves ||
		    !ip_equal(&p->at.ip, &c->at.ip))
			fail(s, "a client was placed where it never was");
	}
}

static void choose_session(struct sim *s, struct gateway *g, uint8_t *session);

static void
deliver(struct sim *s, const struct flight *f)
{
	struct gateway *g = &s->g[f->to];
	struct record *r = &s->record[f->record];
	bool same = memcmp(&r->m, &f->m, sizeof(r->m)) == 0;
	uint8_t session[VPN_SESSION_LEN];

	if (vpn_core_heard(&g->core, s->now, &f->m)) {
		if (same && r->believed[f->to])
			fail(s, "a message was believed twice");
		if (same)
			r->believed[f->to] = true;
		check_places(s, g);
	}
	if (g->core.renew) {
		choose_session(s, g, session);
		vpn_core_renew(&g->core, session);
	}
	send_all(s, f->to);
}

static void
deliver_due(struct sim *s)
{
	for (size_t i = 0; i < s->n_flights;) {
		struct flight f = s->flight[i];

		if (mono_before(s->now, f.due)) {
			i++;
			continue;
		}
		s->flight[i] = s->flight[--s->n_flights];
		deliver(s, &f);
	}
}

/* ---- gateways ------------------------------------------------------------------ */

static void
choose_session(struct sim *s, struct gateway *g, uint8_t *session)
{
	int64_t wall = (1000 * SEC_NS + s->now.ns + g->clock) / MS_NS;

	for (size_t i = 0; i < 8; i++)
		session[i] = (uint8_t)((uint64_t)wall >> (56 - 8 * i) & 0xff);
	for (size_t i = 8; i < VPN_SESSION_LEN; i++)
		session[i] = (uint8_t)below(s, 256);
	g->boots++;
}

static void
set_role(struct sim *s, unsigned i, bool active)
{
	struct vpn_core *c = &s->g[i].core;
	bool was = c->active;
	enum vpn_deed deed = vpn_core_role(c, s->now, active);

	if (deed != (was == active ? VPN_NOTHING : active ? VPN_TAKE : VPN_LEAVE))
		fail(s, "a deed that does not follow from the role");
	send_all(s, i);
}

static void
boot(struct sim *s, unsigned i)
{
	struct gateway *g = &s->g[i];
	uint8_t session[VPN_SESSION_LEN];
	const char *others[GATEWAYS_MAX];
	size_t n = 0;

	choose_session(s, g, session);
	vpn_core_init(&g->core, g->name, session, s->now);
	free(g->place);
	g->place = calloc(s->n_clients + 1, sizeof(*g->place));
	if (g->place == NULL)
		fail(s, "no memory");
	vpn_core_places(&g->core, g->place, s->peer, s->n_clients);
	for (unsigned k = 0; k < s->n_gateways; k++) {
		if (k != i)
			others[n++] = s->g[k].name;
	}
	vpn_core_others(&g->core, others, n);
	if (i == s->active)
		set_role(s, i, true);
}

static void
look(struct sim *s, unsigned i)
{
	for (size_t k = 0; k < s->n_clients; k++) {
		const struct client *c = &s->client[k];
		/* As coarse as the interface says it, and a little off. */
		mono_t at = {
		    c->handshake.ns / SEC_NS * SEC_NS + (int64_t)below(s, 900) * MS_NS};

		if (c->known)
			vpn_core_seen(&s->g[i].core, c->key, &c->at, true, at);
	}
}

static void
tick(struct sim *s, unsigned i)
{
	struct vpn_core *c = &s->g[i].core;
	enum vpn_deed deed;

	if (mono_before(s->now, vpn_core_deadline(c)) && below(s, 20) != 0)
		return;
	if (c->active)
		look(s, i);
	deed = vpn_core_tick(c, s->now);
	if (deed != VPN_NOTHING && (deed != VPN_CALM || !c->active ||
				       mono_sub(s->now, c->took_over) < VPN_CALM_NS))
		fail(s, "calm too early, or not at all");
	send_all(s, i);
}

/* ---- the world ----------------------------------------------------------------- */

static void
move_client(struct sim *s)
{
	struct client *c = &s->client[below(s, (uint32_t)s->n_clients)];

	if (c->known && below(s, 2) == 0)
		c->moves++;
	c->known = true;
	c->at.port = (uint16_t)(1000 + c->moves);
	c->handshake = s->now;
}

static void
play_back(struct sim *s)
{
	size_t kept = s->n_records < RECORDS ? s->n_records : RECORDS, at;

	if (kept == 0)
		return;
	at = below(s, (uint32_t)kept);
	post(s, s->record[at].to, &s->record[at].m, at);
}

static void
disturb(struct sim *s)
{
	unsigned i = below(s, s->n_gateways);

	switch (below(s, 60)) {
	case 0:
		if (below(s, 3) == 0) /* set back, or put right */
			s->g[i].clock = -(int64_t)below(s, 2) * 500 * SEC_NS;
		boot(s, i);
		break;
	case 1:
		set_role(s, s->active, false);
		s->active = i;
		set_role(s, i, true);
		break;
	case 2: /* both believe that they have it, for a while */
		set_role(s, i, true);
		break;
	case 3:
		set_role(s, i, i == s->active);
		break;
	case 4:
		s->g[i].cut = !s->g[i].cut;
		break;
	case 5:
	case 6:
	case 7:
		move_client(s);
		break;
	default:
		play_back(s);
	}
}

static void
prepare(struct sim *s)
{
	s->n_gateways = 2 + below(s, GATEWAYS_MAX - 1);
	s->n_clients = 1 + below(s, CLIENTS_MAX);
	s->now = (mono_t){500 * SEC_NS};
	for (size_t i = 0; i < s->n_clients; i++) {
		struct client *c = &s->client[i];

		for (size_t k = 0; k < VPN_KEY_LEN; k++)
			c->key[k] = (uint8_t)below(s, 256);
		memcpy(s->peer[i].key, c->key, sizeof(c->key));
		c->at.ip =
		    (struct ip){.family = AF_INET, .byte = {192, 0, 2, (uint8_t)i}};
	}
	for (unsigned i = 0; i < s->n_gateways; i++)
		(void)snprintf(s->g[i].name, sizeof(s->g[i].name), "gw%u", i);
	for (unsigned i = 0; i < s->n_gateways; i++)
		boot(s, i);
}

/* Nothing goes wrong any more: soon everybody knows everything. */
static void
settle(struct sim *s)
{
	mono_t end = mono_add(s->now, QUIET_NS);

	s->quiet = true;
	for (unsigned i = 0; i < s->n_gateways; i++) {
		s->g[i].cut = false;
		set_role(s, i, i == s->active);
	}
	while (mono_before(s->now, end)) {
		s->now = mono_add(s->now, 100 * MS_NS);
		deliver_due(s);
		for (unsigned i = 0; i < s->n_gateways; i++)
			tick(s, i);
		if (below(s, 20) == 0)
			play_back(s);
	}
	for (unsigned i = 0; i < s->n_gateways; i++) {
		for (size_t k = 0; k < s->n_clients; k++) {
			const struct client *c = &s->client[k];
			const struct vpn_place *p =
			    vpn_core_place(&s->g[i].core, c->key);

			if (c->known && (p == NULL || p->at.port != c->at.port))
				fail(s, "a gateway does not know where a client is");
			/* By the delay of each message it may seem younger. */
			if (c->known &&
			    mono_sub(c->handshake, p->handshake) > AGE_ERROR_NS)
				fail(s, "a gateway does not know when it was heard");
		}
	}
}

static uint64_t
run(uint64_t seed)
{
	struct sim *s = calloc(1, sizeof(*s));
	uint64_t hash;

	if (s == NULL)
		exit(1);
	s->seed = seed;
	s->rng.state = seed;
	prepare(s);
	for (unsigned step = 0; step < STEPS; step++) {
		s->now = mono_add(s->now, (1 + below(s, 200)) * MS_NS);
		deliver_due(s);
		for (unsigned i = 0; i < s->n_gateways; i++)
			tick(s, i);
		disturb(s);
	}
	settle(s);
	hash = s->hash;
	for (unsigned i = 0; i < s->n_gateways; i++)
		free(s->g[i].place);
	free(s);
	return hash;
}

int
main(int argc, char **argv)
{
	return sim_main(argc, argv, run, 150, 50);
}
