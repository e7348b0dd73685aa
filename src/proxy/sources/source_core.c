/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/sources/source_core.h"

#include <errno.h>

enum { EXPIRE_PORTION = 256 };

#define GREET_NS     (1 * SEC_NS)  /* between greetings of somebody who is silent */
#define GREET_MIN    (100 * MS_NS) /* and of somebody who asks for one */
#define SPEAK_NS     (1 * SEC_NS)  /* so often something is said, if only that */
#define SILENCE_NS   (5 * SEC_NS)  /* then the peer is gone */
#define PATIENCE_NS  (200 * MS_NS) /* for an acknowledgement, at first */
#define PATIENCE_MAX (2 * SEC_NS)

static uint32_t
seconds(mono_t t)
{
	return (uint32_t)(t.ns / SEC_NS);
}

/* ---- the list of changes -------------------------------------------------------- */

static void
unlink_slot(struct source_core *c, uint32_t i)
{
	struct source_link *l = &c->link[i];

	for (unsigned k = 0; k < SOURCE_PEERS_MAX; k++) {
		struct source_peer *p = &c->peer[k];

		if (p->next == i)
			p->next = l->next;
		if (p->unsure == i)
			p->unsure = l->next;
	}
	if (l->prev != SOURCE_NOWHERE)
		c->link[l->prev].next = l->next;
	else
		c->head = l->next;
	if (l->next != SOURCE_NOWHERE)
		c->link[l->next].prev = l->prev;
	else
		c->tail = l->prev;
	*l = (struct source_link){SOURCE_NOWHERE, SOURCE_NOWHERE, 0, 0};
	c->n--;
}

/* `i` changed last; who told us of it, from 1, or 0. */
static void
append_slot(struct source_core *c, uint32_t i, unsigned origin)
{
	c->link[i] = (struct source_link){.prev = c->tail,
	    .next = SOURCE_NOWHERE,
	    .change = ++c->change,
	    .origin = (uint8_t)origin};
	if (c->tail != SOURCE_NOWHERE)
		c->link[c->tail].next = i;
	else
		c->head = i;
	c->tail = i;
	c->n++;
	for (unsigned k = 0; k < SOURCE_PEERS_MAX; k++) {
		struct source_peer *p = &c->peer[k];

		if (p->next == SOURCE_NOWHERE)
			p->next = i;
		if (p->unsure == SOURCE_NOWHERE)
			p->unsure = i;
	}
}

static void
changed(struct source_core *c, uint32_t i, unsigned origin)
{
	if (c->link[i].change != 0)
		unlink_slot(c, i);
	append_slot(c, i, origin);
}

static void
drop(struct source_core *c, uint32_t i)
{
	unlink_slot(c, i);
	source_table_clear(&c->table, i);
}

/* ---- entries -------------------------------------------------------------------- */

/* A slot for a key that has none. */
static uint32_t
make_room(struct source_core *c, const struct source_key *key)
{
	uint32_t i;

	if (c->n >= c->max) {
		drop(c, c->head);
		c->evicted++;
	}
	i = source_table_place(&c->table, key);
	if (c->link[i].change != 0) {
		drop(c, i);
		c->evicted++;
	}
	return i;
}

static bool
is_expired(const struct source_core *c, uint32_t now_s, const struct source_entry *e)
{
	return now_s > e->used_s && now_s - e->used_s > c->expire_s;
}

/* True if `b` holds against `a`. */
static bool
later(const struct source_entry *a, const struct source_entry *b)
{
	if (a->version != b->version)
		return b->version > a->version;
	return b->server > a->server;
}

/* News of a peer, or of another table: what holds, and when it was used last. */
static void
merge(struct source_core *c, const struct source_entry *news, unsigned origin)
{
	uint32_t i = source_table_seek(&c->table, &news->key);
	struct source_entry e;

	if (news->version > c->clock)
		c->clock = news->version;
	if (i == SOURCE_NOWHERE) {
		i = make_room(c, &news->key);
		source_table_put(&c->table, i, news);
		changed(c, i, origin);
		return;
	}
	if (!source_table_get(&c->table, i, &e))
		return;
	if (later(&e, news)) {
		struct source_entry both = *news;

		if (e.used_s > both.used_s)
			both.used_s = e.used_s;
		source_table_put(&c->table, i, &both);
		changed(c, i, origin);
	} else if (e.version == news->version && e.server == news->server &&
		   news->used_s > e.used_s) {
		source_table_touch(&c->table, i, news->used_s);
		changed(c, i, origin);
	}
}

void
source_core_adopt(struct source_core *c, mono_t now, const struct source_entry *e)
{
	if (!is_expired(c, seconds(now), e))
		merge(c, e, 0);
}

static uint64_t
next_version(struct source_core *c, uint64_t wall_ms)
{
	c->clock = wall_ms > c->clock ? wall_ms : c->clock + 1;
	if (c->clock > SOURCE_VERSION_TOP)
		c->clock = SOURCE_VERSION_TOP;
	return c->clock;
}

void
source_core_served(struct source_core *c, mono_t now, uint64_t wall_ms,
    const struct source_key *key, uint64_t server, uint64_t saw)
{
	uint32_t i = source_table_seek(&c->table, key), now_s = seconds(now);
	struct source_entry e = {.key = *key, .server = server, .used_s = now_s};
	struct source_entry old = {.server = 0};
	bool known = i != SOURCE_NOWHERE && source_table_get(&c->table, i, &old) &&
		     !is_expired(c, now_s, &old);

	ASSERT(server != 0);
	if (known && old.server == server) {
		source_table_touch(&c->table, i, now_s);
		changed(c, i, 0);
		return;
	}
	if (known && old.server != saw)
		return;
	if (i == SOURCE_NOWHERE)
		i = make_room(c, key);
	e.version = next_version(c, wall_ms);
	source_table_put(&c->table, i, &e);
	changed(c, i, 0);
}

/* ---- life ----------------------------------------------------------------------- */

void
source_core_init(struct source_core *c, const struct source_table *table,
    struct source_link *link, uint32_t max, uint32_t expire_s, uint64_t seed)
{
	uint32_t n = table->n_buckets * SOURCE_BUCKET;
	struct source_entry e;

	*c = (struct source_core){.table = *table,
	    .link = link,
	    .head = SOURCE_NOWHERE,
	    .tail = SOURCE_NOWHERE,
	    .max = max,
	    .expire_s = expire_s,
	    .rng = {seed}};
	source_core_begin(c, &c->epoch);
	for (uint32_t i = 0; i < n; i++)
		link[i] = (struct source_link){SOURCE_NOWHERE, SOURCE_NOWHERE, 0, 0};
	for (uint32_t i = 0; i < n; i++) {
		if (!source_table_get(table, i, &e))
			continue;
		if (c->n == max) { /* the file asks for fewer than there are */
			source_table_clear(&c->table, i);
			continue;
		}
		append_slot(c, i, 0);
		if (e.version > c->clock)
			c->clock = e.version;
	}
}

void
source_core_begin(struct source_core *c, const struct source_epoch *epoch)
{
	c->epoch = *epoch;
	for (unsigned k = 0; k < SOURCE_PEERS_MAX; k++)
		c->peer[k] = (struct source_peer){
		    .next = SOURCE_NOWHERE, .unsure = SOURCE_NOWHERE};
}

static uint64_t
draw_nonce(struct source_core *c)
{
	uint64_t n = rng_next(&c->rng);

	return n != 0 ? n : 1;
}

void
source_core_add(struct source_core *c, unsigned peer)
{
	ASSERT(peer < SOURCE_PEERS_MAX && !c->peer[peer].present);
	c->peer[peer] = (struct source_peer){.present = true,
	    .nonce = draw_nonce(c),
	    .next = c->head,
	    .unsure = c->head,
	    .greet = true};
}

void
source_core_expire(struct source_core *c, uint32_t expire_s)
{
	c->expire_s = expire_s;
}

static bool
same_epoch(const struct source_epoch *a, const struct source_epoch *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* It has heard nothing of us, nor we of it. */
static void
meet(struct source_core *c, struct source_peer *p, const struct source_epoch *epoch)
{
	struct source_figures figures = p->figures;

	*p = (struct source_peer){.present = true,
	    .met = true,
	    .epoch = *epoch,
	    .nonce = draw_nonce(c),
	    .echo = p->echo,
	    .greeted = p->greeted,
	    .greet = true,
	    .number = p->number,
	    .since = c->change,
	    .next = c->head,
	    .unsure = c->head,
	    .patience_ns = PATIENCE_NS,
	    .figures = figures};
}

bool
source_core_greeted(struct source_core *c, mono_t now, unsigned peer,
    const struct source_epoch *from, const struct source_hello *h)
{
	struct source_peer *p = &c->peer[peer];
	bool fresh = h->echo == p->nonce, met = false;

	if (!p->present)
		return false;
	p->echo = h->nonce;
	if (!fresh) {
		p->greet = true; /* it needs our nonce */
		return false;
	}
	if (!p->met || !same_epoch(&p->epoch, from)) {
		meet(c, p, from);
		p->echo = h->nonce;
		met = true;
	}
	p->open = true;
	p->heard = now;
	p->speak = true;
	p->greet = p->greet || !h->open;
	return met;
}

/* ---- hearing -------------------------------------------------------------------- */

/* All in flight, and what follows, is told again. */
static void
rewind_to_acked(struct source_peer *p)
{
	p->next = p->unsure;
	p->sent = p->acked;
	p->n_flying = 0;
}

static void
hear_ack(struct source_core *c, struct source_peer *p, mono_t now, uint64_t ack)
{
	if (ack > p->sent)
		return;	      /* not ours; it is sealed, so it cannot be */
	if (ack < p->acked) { /* it lost what it had: from the beginning */
		p->acked = ack;
		p->unsure = c->head;
		p->since = c->change;
		rewind_to_acked(p);
		return;
	}
	if (ack == p->acked)
		return;
	p->acked = ack;
	while (p->unsure != SOURCE_NOWHERE && p->unsure != p->next &&
	       c->link[p->unsure].change <= ack)
		p->unsure = c->link[p->unsure].next;
	while (p->n_flying > 0 && p->flying[p->first] <= ack) {
		p->first = (p->first + 1) % SOURCE_WINDOW;
		p->n_flying--;
	}
	p->patience_ns = PATIENCE_NS;
	p->overdue = mono_add(now, p->patience_ns);
}

static void
hear_record(
    struct source_core *c, mono_t now, unsigned origin, const struct source_record *s)
{
	uint32_t now_s = seconds(now);

	if (s->age_s > c->expire_s)
		return;
	merge(c,
	    &(struct source_entry){.key = s->key,
		.server = s->server,
		.version = s->version,
		.used_s = s->age_s < now_s ? now_s - s->age_s : 0},
	    origin);
}

int
source_core_heard(struct source_core *c, mono_t now, unsigned peer, uint64_t number,
    const uint8_t *payload, size_t len)
{
	struct source_peer *p = &c->peer[peer];
	struct rd r = {.p = payload, .left = len}, again;
	struct source_record s;
	struct source_data d;

	if (source_data_decode(&d, &r) != 0)
		return -EPROTO;
	again = r;
	for (unsigned i = 0; i < d.n; i++) { /* all of it or nothing */
		if (source_record_decode(&s, &again) != 0)
			return -EPROTO;
	}
	if (!p->met || !replay_fresh(&p->replay, number))
		return -EALREADY;
	p->open = true;
	p->heard = now;
	p->figures.received++;
	p->figures.heard += d.n;
	for (unsigned i = 0; i < d.n; i++) {
		if (source_record_decode(&s, &r) == 0)
			hear_record(c, now, peer + 1, &s);
	}
	if (d.after <= p->hears && d.upto > p->hears)
		p->hears = d.upto;
	if (d.n > 0)
		p->speak = true;
	if (number > p->newest) { /* of two that overtook each other, the later's */
		p->newest = number;
		p->agreed = d.agreed && p->hears >= d.upto;
		hear_ack(c, p, now, d.ack);
	}
	return 0;
}

/* ---- telling -------------------------------------------------------------------- */

static void
put_hello(struct source_peer *p, mono_t now, struct wr *w)
{
	source_hello_encode(
	    &(struct source_hello){.nonce = p->nonce, .echo = p->echo, .open = p->open},
	    w);
	p->greet = false;
	p->greeted = now;
}

static bool
may_greet(const struct source_peer *p, mono_t now)
{
	if (p->greeted.ns == 0)
		return true;
	return mono_sub(now, p->greeted) >= (p->greet ? GREET_MIN : GREET_NS);
}

/* It told us of it in this life of ours and its, so it knows. */
static bool
is_known(const struct source_peer *p, const struct source_link *l, unsigned peer)
{
	return l->origin == peer + 1 && l->change > p->since;
}

/* The records that fit, behind the place for the head. Returns how many. */
static uint16_t
put_news(struct source_core *c, mono_t now, unsigned peer, struct wr *w, uint64_t *upto)
{
	struct source_peer *p = &c->peer[peer];
	uint32_t now_s = seconds(now);
	struct source_entry e;
	uint16_t n = 0;

	while (p->next != SOURCE_NOWHERE && n < SOURCE_RECORDS_MAX) {
		const struct source_link *l = &c->link[p->next];

		if (!is_known(p, l, peer) && source_table_get(&c->table, p->next, &e) &&
		    !is_expired(c, now_s, &e)) {
			source_record_encode(&(struct source_record){.key = e.key,
						 .server = e.server,
						 .version = e.version,
						 .age_s = now_s - e.used_s},
			    w);
			n++;
		}
		*upto = l->change;
		p->next = l->next;
	}
	return n;
}

static void
put_data(struct source_core *c, mono_t now, unsigned peer, struct wr *w)
{
	struct source_peer *p = &c->peer[peer];
	uint8_t records[SOURCE_RECORDS_MAX * SOURCE_RECORD_LEN];
	struct wr body = {.p = records, .left = sizeof(records)};
	struct source_data d = {.ack = p->hears, .after = p->sent, .upto = p->sent};

	if (p->n_flying < SOURCE_WINDOW)
		d.n = put_news(c, now, peer, &body, &d.upto);
	if (d.n == 0) {
		d.upto = d.after; /* what it knows already is not worth a word */
		if (p->n_flying == 0)
			p->unsure = p->next;
	} else {
		if (p->n_flying == 0)
			p->overdue = mono_add(now, p->patience_ns);
		p->flying[(p->first + p->n_flying) % SOURCE_WINDOW] = d.upto;
		p->n_flying++;
		p->sent = d.upto;
	}
	d.agreed = p->next == SOURCE_NOWHERE;
	p->figures.told += d.n;
	p->figures.sent++;
	p->speak = false;
	p->spoke = now;
	source_data_encode(&d, w);
	wr_bytes(w, records, sizeof(records) - body.left);
}

static bool
has_news(struct source_core *c, unsigned peer)
{
	struct source_peer *p = &c->peer[peer];

	/* What it knows is passed over without a datagram. */
	while (p->next != SOURCE_NOWHERE && is_known(p, &c->link[p->next], peer))
		p->next = c->link[p->next].next;
	if (p->n_flying == 0)
		p->unsure = p->next;
	return p->next != SOURCE_NOWHERE && p->n_flying < SOURCE_WINDOW;
}

static void
look_overdue(struct source_peer *p, mono_t now)
{
	if (p->n_flying == 0 || mono_before(now, p->overdue))
		return;
	rewind_to_acked(p);
	p->figures.lost++;
	p->patience_ns *= 2;
	if (p->patience_ns > PATIENCE_MAX)
		p->patience_ns = PATIENCE_MAX;
}

bool
source_core_next(struct source_core *c, mono_t now, unsigned peer,
    struct source_header *h, uint8_t payload[static SOURCE_PAYLOAD_MAX], size_t *len)
{
	struct source_peer *p = &c->peer[peer];
	struct wr w = {.p = payload, .left = SOURCE_PAYLOAD_MAX};
	bool hello;

	if (!p->present)
		return false;
	hello = (p->greet || !p->open) && may_greet(p, now);
	if (p->open)
		look_overdue(p, now);
	if (!hello && (!p->open || (!has_news(c, peer) && !p->speak &&
				       mono_sub(now, p->spoke) < SPEAK_NS)))
		return false;
	if (hello)
		put_hello(p, now, &w);
	else
		put_data(c, now, peer, &w);
	ASSERT(!w.bad);
	*h = (struct source_header){.version = SOURCE_VERSION,
	    .kind = hello ? SOURCE_HELLO : SOURCE_DATA,
	    .from = c->epoch,
	    .number = ++p->number};
	*len = SOURCE_PAYLOAD_MAX - w.left;
	return true;
}

/* ---- time ----------------------------------------------------------------------- */

void
source_core_tick(struct source_core *c, mono_t now)
{
	struct source_entry e;

	for (unsigned k = 0; k < SOURCE_PEERS_MAX; k++) {
		struct source_peer *p = &c->peer[k];

		if (p->open && mono_sub(now, p->heard) >= SILENCE_NS)
			p->open = p->agreed = false;
	}
	for (unsigned i = 0; i < EXPIRE_PORTION && c->head != SOURCE_NOWHERE; i++) {
		if (source_table_get(&c->table, c->head, &e) &&
		    !is_expired(c, seconds(now), &e))
			break;
		drop(c, c->head);
		c->expired++;
	}
}

static mono_t
peer_deadline(const struct source_peer *p)
{
	mono_t at = p->greet || !p->open
			? mono_add(p->greeted, p->greet ? GREET_MIN : GREET_NS)
			: mono_add(p->spoke, SPEAK_NS);

	if (!p->open)
		return at;
	if (p->n_flying > 0)
		at = mono_min(at, p->overdue);
	return mono_min(at, mono_add(p->heard, SILENCE_NS));
}

mono_t
source_core_deadline(const struct source_core *c)
{
	mono_t at = MONO_NEVER;

	for (unsigned k = 0; k < SOURCE_PEERS_MAX; k++) {
		if (c->peer[k].present)
			at = mono_min(at, peer_deadline(&c->peer[k]));
	}
	return at;
}

bool
source_core_agreed(const struct source_core *c, unsigned peer)
{
	const struct source_peer *p = &c->peer[peer];

	return p->open && p->agreed && p->next == SOURCE_NOWHERE && p->n_flying == 0;
}

bool
source_core_check(const struct source_core *c)
{
	uint32_t n = 0, slots = c->table.n_buckets * SOURCE_BUCKET, used = 0;
	uint64_t change = 0;
	struct source_entry e;

	for (uint32_t i = c->head; i != SOURCE_NOWHERE; i = c->link[i].next) {
		if (c->link[i].change <= change ||
		    !source_table_get(&c->table, i, &e) || e.version > c->clock ||
		    source_table_seek(&c->table, &e.key) != i)
			return false;
		change = c->link[i].change;
		n++;
	}
	for (uint32_t i = 0; i < slots; i++)
		used += source_table_get(&c->table, i, &e);
	return n == c->n && used == n && n <= c->max && change <= c->change;
}
