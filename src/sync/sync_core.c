/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/sync_core.h"

#include <errno.h>
#include <netinet/in.h>

#include "sync/sync_say.h"

#define RTO_MIN_NS (50 * MS_NS)
#define RTO_MAX_NS (500 * MS_NS)
#define RETRY_NS   (1000 * MS_NS) /* of what the kernel refused */
#define SWEEP_STEP 1024U	  /* entries looked at in one go */

/* ---- flows and who is to hear of them ------------------------------------------- */

static uint32_t
clock_us(mono_t now)
{
	return (uint32_t)(now.ns / US_NS);
}

bool
sync_follows(const struct sync *s)
{
	for (unsigned i = 0; i < SYNC_PEERS_MAX && !s->acting; i++) {
		if (s->peer[i].open && s->peer[i].acting)
			return true;
	}
	return false;
}

/* During a dump the dead are remembered: an answer may have been written before. */
static void
release(struct sync *s, uint32_t i)
{
	const struct sync_entry *e = &s->table.entry[i];

	if (e->life == SYNC_DEAD && !s->dumping && !sync_table_listed(e))
		sync_table_remove(&s->table, i);
}

static void
tell(struct sync *s, mono_t now, uint32_t i)
{
	s->table.entry[i].news_us = clock_us(now);
	for (unsigned k = 0; k < SYNC_PEERS_MAX; k++) {
		if (s->peer[k].open)
			sync_table_move(&s->table, 1 + k, i, &s->peer[k].news);
	}
}

static void
order(struct sync *s, uint32_t i)
{
	sync_table_move(&s->table, SYNC_KERNEL, i, &s->orders);
}

/* The flow has ended here, and the kernel knows. */
static void
bury(struct sync *s, mono_t now, uint32_t i)
{
	s->table.entry[i].in_kernel = false;
	sync_table_life(&s->table, i, SYNC_DEAD);
	sync_table_move(&s->table, SYNC_KERNEL, i, NULL);
	tell(s, now, i);
	release(s, i);
}

/* The kernel has a flow no more. Unless who acts has ended it, it gets it back. */
static void
vanished(struct sync *s, mono_t now, uint32_t i)
{
	if (!sync_follows(s)) {
		bury(s, now, i);
		return;
	}
	s->table.entry[i].in_kernel = false;
	s->restored++;
	order(s, i);
}

/* Established, or at least answered: what is half open may begin anew elsewhere. */
static bool
worth(const struct flow *f)
{
	if (f->proto == IPPROTO_TCP)
		return (f->has & FLOW_TCP) != 0 &&
		       f->tcp_state >= FLOW_TCP_ESTABLISHED &&
		       f->tcp_state <= FLOW_TCP_CLOSE;
	return (f->has & FLOW_STATUS) != 0 && (f->status & FLOW_SEEN_REPLY) != 0;
}

/* `news` is a later part of the life of `f`. */
static bool
advances(const struct flow *f, const struct flow *news)
{
	return worth(news) && f->proto == IPPROTO_TCP && news->tcp_state > f->tcp_state;
}

static uint32_t
add(struct sync *s, const struct flow *f)
{
	uint32_t i = sync_table_add(&s->table, f);

	if (i == 0)
		s->overflow++;
	return i;
}

/* Whatever is under way is told again. */
static void
recall(struct sync *s, struct sync_peer *p)
{
	for (; p->flying > 0; p->flying--, p->first = (p->first + 1) % SYNC_WINDOW) {
		struct sync_list *flows = &p->slot[p->first].flows;

		while (flows->first != 0)
			sync_table_move(
			    &s->table, sync_side(s, p), flows->first, &p->news);
	}
}

/* Everything is to be told anew, and what the peer has beyond that is to go. */
static void
snapshot_begin(struct sync *s, struct sync_peer *p)
{
	if (!s->acting || !s->complete || !p->open)
		return; /* it follows when that is so */
	recall(s, p);
	p->snapshot++;
	p->scan = 1;
	p->speak = true;
	p->figures.snapshots++;
}

/* ---- what the kernel reports ---------------------------------------------------- */

static void
event_gone(struct sync *s, mono_t now, uint32_t i, const struct flow *f)
{
	struct sync_entry *e = &s->table.entry[i];

	if (i == 0 && s->dumping) {
		i = sync_table_add(&s->table, f);
		if (i == 0)
			return;
		e = &s->table.entry[i];
		sync_table_life(&s->table, i, SYNC_DEAD);
	}
	if (i == 0)
		return;
	e->dump = s->dump;
	if (e->life == SYNC_DEAD)
		return;
	vanished(s, now, i);
}

void
sync_event(struct sync *s, mono_t now, bool gone, const struct flow *f)
{
	uint32_t i = sync_table_find(&s->table, f);
	struct sync_entry *e = &s->table.entry[i];

	if (gone) {
		event_gone(s, now, i, f);
		return;
	}
	if (i == 0 || e->life == SYNC_DEAD) {
		if (!worth(f))
			return;
		if (i == 0)
			i = add(s, f);
		if (i == 0)
			return;
		e = &s->table.entry[i];
		e->flow = *f;
		sync_table_life(&s->table, i, SYNC_LIVE);
	} else if (sync_follows(s) && !advances(&e->flow, f)) {
		e->dump = s->dump;
		return;
	} else if ((f->has & FLOW_TCP) == 0 || worth(f)) {
		flow_merge(&e->flow, f);
	} else {
		return;
	}
	e->in_kernel = true;
	e->dump = s->dump;
	sync_table_move(&s->table, SYNC_KERNEL, i, NULL);
	tell(s, now, i);
}

void
sync_dump_begin(struct sync *s)
{
	s->dump++;
	s->dumping = true;
	s->sweep_dump = 0;
}

/* Adds or corrects a flow that an event should have told of. */
static void
dumped_news(struct sync *s, mono_t now, uint32_t i, const struct flow *f)
{
	const bool quiet = !s->acting; /* what is old here is no hint */
	struct sync_entry *e;

	if (i == 0)
		i = add(s, f);
	if (i == 0)
		return;
	e = &s->table.entry[i];
	e->flow = *f;
	e->in_kernel = true;
	e->dump = s->dump;
	sync_table_life(&s->table, i, SYNC_LIVE);
	if (!quiet)
		tell(s, now, i);
}

/* Is everything that a peer acts on here? Then nothing else belongs here. */
static bool
follows_fully(const struct sync *s)
{
	for (unsigned k = 0; k < SYNC_PEERS_MAX && !s->acting; k++) {
		if (s->peer[k].open && s->peer[k].acting && s->peer[k].rx_end)
			return true;
	}
	return false;
}

/* Of an earlier life of this process, or of an event that got lost: gone since. */
static void
dumped_ghost(struct sync *s, uint32_t i, const struct flow *f)
{
	if (i == 0) {
		i = add(s, f);
		if (i == 0)
			return;
		sync_table_life(&s->table, i, SYNC_DEAD);
	}
	s->swept++;
	s->table.entry[i].in_kernel = true;
	order(s, i);
}

void
sync_dumped(struct sync *s, mono_t now, const struct flow *f)
{
	uint32_t i = sync_table_find(&s->table, f);
	struct sync_entry *e = &s->table.entry[i];

	if (!worth(f) || (i != 0 && e->dump == s->dump))
		return; /* an event has told more recent things */
	if (i == 0 || e->life == SYNC_DEAD) {
		if (e->link[SYNC_KERNEL].list != NULL)
			return;
		if (follows_fully(s))
			dumped_ghost(s, i, f);
		else
			dumped_news(s, now, i, f);
		return;
	}
	e->dump = s->dump;
	if (e->link[SYNC_KERNEL].list != NULL)
		return; /* about to be changed */
	e->in_kernel = true;
	if (sync_follows(s))
		return;
	if (e->flow.tcp_state != f->tcp_state || e->flow.status != f->status ||
	    memcmp(&e->flow.reply, &f->reply, sizeof(f->reply)) != 0)
		dumped_news(s, now, i, f);
	else
		flow_merge(&e->flow, f);
}

void
sync_dump_end(struct sync *s, bool whole)
{
	s->dumping = false;
	s->dump_whole = whole;
	s->sweep_dump = 1;
	if (!whole || s->complete)
		return;
	s->complete = true;
	for (unsigned k = 0; k < SYNC_PEERS_MAX; k++)
		snapshot_begin(s, &s->peer[k]);
}

/* A flow that neither the dump had nor an event has told of since. */
static void
sweep_unseen(struct sync *s, mono_t now, uint32_t i)
{
	struct sync_entry *e = &s->table.entry[i];

	if (e->life == SYNC_DEAD)
		release(s, i);
	if (e->life != SYNC_LIVE || e->dump == s->dump || !s->dump_whole ||
	    e->link[SYNC_KERNEL].list != NULL)
		return;
	vanished(s, now, i);
}

/* ---- orders to the kernel ------------------------------------------------------- */

uint32_t
sync_order(struct sync *s, enum ct_order *what, struct flow *f)
{
	while (s->orders.first != 0) {
		uint32_t i = s->orders.first;
		struct sync_entry *e = &s->table.entry[i];
		bool was = e->in_kernel;

		sync_table_move(&s->table, SYNC_KERNEL, i, NULL);
		e->dump = s->dump;
		e->in_kernel = e->life == SYNC_LIVE;
		*f = e->flow;
		if (e->life == SYNC_LIVE) {
			*what = was ? CT_CHANGE : CT_CREATE;
			return i;
		}
		release(s, i);
		*what = CT_DELETE;
		if (was)
			return i;
	}
	return 0;
}

void
sync_refused(struct sync *s, mono_t now, uint32_t i)
{
	if (s->table.entry[i].life != SYNC_LIVE)
		return;
	s->table.entry[i].in_kernel = false;
	sync_table_move(&s->table, SYNC_KERNEL, i, &s->refused);
	s->retry = mono_add(now, RETRY_NS);
}

static void
retry_refused(struct sync *s)
{
	while (s->refused.first != 0)
		order(s, s->refused.first);
}

/* ---- sessions ------------------------------------------------------------------- */

/* What was heard of the peer's snapshot is no part of what will be: if it goes on with
 * this one, as if nothing had been, it is asked for another. */
static void
disown_snapshot(struct sync_peer *p)
{
	if (p->rx_snapshot != 0)
		p->rx_useless = p->rx_snapshot;
}

static void
session_close(struct sync *s, struct sync_peer *p)
{
	disown_snapshot(p);
	p->open = p->acting = p->rx_end = false;
	recall(s, p);
	while (p->news.first != 0) {
		uint32_t i = p->news.first;

		s->table.entry[i].unconfirmed &=
		    (uint8_t) ~(1U << (sync_side(s, p) - 1));
		sync_table_move(&s->table, sync_side(s, p), i, NULL);
		release(s, i);
	}
	p->scan = p->waiting = p->rx_snapshot = 0;
	p->unacked = 0;
}

static bool
same_epoch(const struct sync_epoch *a, const struct sync_epoch *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void
session_open(
    struct sync *s, mono_t now, struct sync_peer *p, const struct sync_epoch *epoch)
{
	if (!same_epoch(&p->epoch, epoch)) {
		p->retired[p->n_retired++ % SYNC_RETIRED] = p->epoch;
		p->rx_seq = p->rx_bits = 0;
		p->rx_useless = 0;
	} /* else: it was away, and counts on */
	p->epoch = *epoch;
	p->open = p->speak = true;
	p->opened = p->heard = p->spoke = now;
	p->rtt_ns = 0;
	p->rto_ns = RTO_MIN_NS;
	snapshot_begin(s, p);
}

/* It was this peer once in our life; who says so now repeats what it heard then. */
static bool
retired(const struct sync_peer *p, const struct sync_epoch *from)
{
	for (unsigned i = 0; i < SYNC_RETIRED; i++) {
		if (same_epoch(&p->retired[i], from))
			return true;
	}
	return false;
}

void
sync_greeted(struct sync *s, mono_t now, unsigned peer, const struct sync_epoch *from,
    const struct sync_hello *h)
{
	struct sync_peer *p = &s->peer[peer];

	if (!p->present || retired(p, from))
		return;
	p->echo = *from;
	if (!same_epoch(&h->echo, &s->epoch)) {
		/* It does not know us yet, or somebody repeats what it said before this
		 * process began. Only its answer to a greeting of ours counts. */
		p->greet = true;
		return;
	}
	if (!p->open || !same_epoch(&p->epoch, from)) {
		session_close(s, p);
		session_open(s, now, p, from);
		p->greet = true;
	}
	if (!h->open)
		p->greet = true;
}

void
sync_peer_add(struct sync *s, unsigned peer)
{
	/* Numbers go on: none is used twice within an epoch. */
	s->peer[peer] =
	    (struct sync_peer){.present = true, .greet = true, .seq = s->seq_floor};
}

void
sync_peer_drop(struct sync *s, unsigned peer)
{
	session_close(s, &s->peer[peer]);
	if (s->peer[peer].seq > s->seq_floor)
		s->seq_floor = s->peer[peer].seq;
	s->peer[peer] = (struct sync_peer){0};
}

/* ---- what peers say ------------------------------------------------------------- */

static void
note_lag(struct sync_peer *p, mono_t now, uint32_t since_us, uint16_t delay_us)
{
	uint32_t lag = clock_us(now) - since_us;

	lag = lag > delay_us ? lag - delay_us : 0;
	p->figures.lags++;
	p->figures.lag_us += lag;
	if (lag > p->figures.lag_max)
		p->figures.lag_max = lag;
}

static void
confirm(struct sync *s, mono_t now, struct sync_peer *p, struct sync_slot *slot,
    const struct sync_data *d)
{
	const unsigned side = sync_side(s, p);
	const uint8_t bit = (uint8_t)(1U << (side - 1));

	while (slot->flows.first != 0) {
		uint32_t i = slot->flows.first;
		struct sync_entry *e = &s->table.entry[i];

		sync_table_move(&s->table, side, i, NULL);
		if ((e->unconfirmed & bit) != 0) {
			e->unconfirmed &= (uint8_t)~bit;
			p->waiting--;
			p->speak |= p->waiting == 0 && p->scan == 0;
		} else if (slot->seq == d->ack) { /* how long it waited is known */
			note_lag(p, now, e->news_us, d->delay_us);
		}
		release(s, i);
	}
}

static void
lose(struct sync *s, struct sync_peer *p, struct sync_slot *slot)
{
	p->figures.lost++;
	while (slot->flows.first != 0)
		sync_table_move(
		    &s->table, sync_side(s, p), slot->flows.first, &p->news);
}

static bool
acknowledged(const struct sync_data *d, uint64_t seq)
{
	uint64_t back = d->ack - seq;

	return back == 0 || (back <= 64 && (d->ack_bits >> (back - 1) & 1) != 0);
}

/* A receiver takes numbers only as they grow: what is below `ack` and not told of never
 * arrives. */
static void
hear_ack(struct sync *s, mono_t now, struct sync_peer *p, const struct sync_data *d)
{
	while (p->flying > 0 && p->slot[p->first].seq <= d->ack) {
		struct sync_slot *slot = &p->slot[p->first];

		if (acknowledged(d, slot->seq)) {
			int64_t rtt = mono_sub(now, slot->sent);

			p->rtt_ns =
			    p->rtt_ns == 0 ? rtt : p->rtt_ns + (rtt - p->rtt_ns) / 8;
			p->rto_ns =
			    4 * p->rtt_ns > RTO_MIN_NS ? 4 * p->rtt_ns : RTO_MIN_NS;
			if (p->rto_ns > RTO_MAX_NS)
				p->rto_ns = RTO_MAX_NS;
			confirm(s, now, p, slot, d);
		} else {
			lose(s, p, slot);
		}
		p->first = (p->first + 1) % SYNC_WINDOW;
		p->flying--;
	}
}

static bool
trusts(const struct sync *s, const struct sync_peer *p)
{
	return p->acting && !s->acting;
}

static void
hear_gone(struct sync *s, struct sync_peer *p, const struct flow *f)
{
	uint32_t i = sync_table_find(&s->table, f);

	if (i == 0 || !trusts(s, p) || s->table.entry[i].life == SYNC_DEAD)
		return;
	sync_table_life(&s->table, i, SYNC_DEAD);
	for (unsigned k = 0; k < SYNC_PEERS_MAX; k++) {
		sync_table_move(&s->table, 1 + k, i, NULL);
		if ((s->table.entry[i].unconfirmed & 1U << k) != 0)
			s->peer[k].waiting--;
	}
	s->table.entry[i].unconfirmed = 0;
	order(s, i); /* even if not there: the table may be wrong about it */
	s->table.entry[i].in_kernel = true;
}

static void
hear_flow(struct sync *s, mono_t now, struct sync_peer *p, const struct flow *f)
{
	uint32_t i = sync_table_find(&s->table, f);
	struct sync_entry *e = &s->table.entry[i];
	bool knew = i != 0 && e->life == SYNC_LIVE;

	if (!p->acting && sync_follows(s))
		return; /* a hint, and for somebody else */
	if (!trusts(s, p) && i != 0 && !(knew && advances(&e->flow, f))) {
		if (!knew && s->acting)
			tell(s, now, i); /* it has ended: say so after this */
		return;
	}
	if (i == 0)
		i = add(s, f);
	if (i == 0)
		return;
	e = &s->table.entry[i];
	if (trusts(s, p))
		e->snapshot = p->rx_mark;
	/* What passed here a moment ago is not known there yet. */
	if (knew && e->link[sync_side(s, p)].list != NULL && advances(f, &e->flow))
		return;
	/* It was to be removed, or is another one now, since it is translated
	 * otherwise. */
	if (e->life == SYNC_DEAD ||
	    memcmp(&e->flow.reply, &f->reply, sizeof(f->reply)) != 0)
		e->in_kernel = false;
	e->flow = *f;
	sync_table_life(&s->table, i, SYNC_LIVE);
	order(s, i);
	if (s->acting)
		tell(s, now, i);
}

static void
hear_snapshot(struct sync *s, struct sync_peer *p, const struct sync_data *d)
{
	if (d->snapshot == p->rx_snapshot)
		return;
	p->rx_snapshot = d->snapshot;
	p->rx_mark = ++s->marks;
	p->rx_end = false;
}

static void
hear_end(struct sync *s, struct sync_peer *p, const struct sync_data *d)
{
	if (!d->snapshot_end || p->rx_end || d->snapshot == 0 ||
	    d->snapshot == p->rx_useless || !trusts(s, p))
		return;
	p->rx_end = true;
	s->sweep_mark = p->rx_mark;
	s->sweep_side = sync_side(s, p);
	s->sweep_snapshot = 1;
}

static void
note_arrival(struct sync_peer *p, mono_t now, uint64_t seq, bool flows)
{
	uint64_t step = seq - p->rx_seq;

	if (step < 64)
		p->rx_bits = p->rx_bits << step;
	else
		p->rx_bits = 0;
	if (p->rx_seq != 0 && step <= 64)
		p->rx_bits |= UINT64_C(1) << (step - 1);
	p->rx_seq = seq;
	p->rx_at = now;
	p->unacked += flows;
	p->figures.received++;
}

/* All of it makes sense, so that none of it is used otherwise. */
static bool
sound(struct rd r, unsigned n)
{
	struct flow f;
	bool gone;

	for (unsigned i = 0; i < n; i++) {
		if (sync_record_decode(&f, &gone, &r) != 0)
			return false;
	}
	return rd_done(&r);
}

int
sync_heard(struct sync *s, mono_t now, unsigned peer, uint64_t seq,
    const uint8_t *payload, size_t len)
{
	struct rd r = {.p = payload, .left = len};
	struct sync_peer *p = &s->peer[peer];
	struct sync_data d;
	struct flow f;
	bool gone;

	if (!p->open || sync_data_decode(&d, &r) != 0)
		return -EPROTO;
	if (seq <= p->rx_seq) {
		p->figures.late++;
		return -EALREADY;
	}
	if (!sound(r, d.n))
		return -EPROTO;
	p->heard = now;
	p->acting = d.acting;
	hear_ack(s, now, p, &d);
	if (p->snapshot != 0 && d.useless == p->snapshot)
		snapshot_begin(s, p);
	hear_snapshot(s, p, &d);
	for (unsigned i = 0; i < d.n; i++) {
		if (sync_record_decode(&f, &gone, &r) != 0)
			break; /* it was tried above */
		if (gone)
			hear_gone(s, p, &f);
		else
			hear_flow(s, now, p, &f);
	}
	p->figures.heard += d.n;
	note_arrival(p, now, seq, d.n > 0);
	hear_end(s, p, &d);
	return 0;
}

/* ---- time ----------------------------------------------------------------------- */

void
sync_role(struct sync *s, mono_t now, bool acting)
{
	if (acting == s->acting)
		return;
	s->acting = acting;
	if (acting)
		s->sweep_snapshot = 0;
	for (unsigned k = 0; k < SYNC_PEERS_MAX; k++) {
		struct sync_peer *p = &s->peer[k];

		p->rx_end = false;
		p->speak = p->open;
		if (!acting) /* who acts believes nobody */
			disown_snapshot(p);
		snapshot_begin(s, p);
	}
	(void)now;
}

/* What a complete snapshot did not have is gone; what was just seen here, and the peer
 * does not know yet, stays. */
static void
sweep_beyond(struct sync *s, uint32_t i)
{
	struct sync_entry *e = &s->table.entry[i];

	if (e->life != SYNC_LIVE || e->snapshot == s->sweep_mark ||
	    e->link[s->sweep_side].list != NULL)
		return;
	s->swept++;
	sync_table_life(&s->table, i, SYNC_DEAD);
	e->in_kernel = true;
	order(s, i);
}

static void
sweep(struct sync *s, mono_t now)
{
	for (unsigned n = 0; n < SWEEP_STEP && s->sweep_snapshot != 0; n++) {
		if (s->sweep_snapshot < s->table.used && sync_follows(s))
			sweep_beyond(s, s->sweep_snapshot++);
		else
			s->sweep_snapshot = 0;
	}
	for (unsigned n = 0; n < SWEEP_STEP && s->sweep_dump != 0; n++) {
		if (s->sweep_dump < s->table.used)
			sweep_unseen(s, now, s->sweep_dump++);
		else
			s->sweep_dump = 0;
	}
}

static void
lose_late(struct sync *s, mono_t now, struct sync_peer *p)
{
	if (p->flying == 0 || mono_sub(now, p->slot[p->first].sent) < p->rto_ns)
		return;
	p->figures.lost += p->flying;
	recall(s, p);
	p->rto_ns = 2 * p->rto_ns < RTO_MAX_NS ? 2 * p->rto_ns : RTO_MAX_NS;
}

void
sync_tick(struct sync *s, mono_t now)
{
	sweep(s, now);
	if (s->refused.first != 0 && !mono_before(now, s->retry)) {
		retry_refused(s);
		s->retry = mono_add(now, RETRY_NS);
	}
	for (unsigned k = 0; k < SYNC_PEERS_MAX; k++) {
		struct sync_peer *p = &s->peer[k];

		if (!p->open)
			continue;
		lose_late(s, now, p);
		if (mono_sub(now, p->heard) >= SILENCE_NS)
			session_close(s, p);
	}
}

mono_t
sync_deadline(const struct sync *s, mono_t now)
{
	mono_t due = MONO_NEVER;

	if (s->sweep_snapshot != 0 || s->sweep_dump != 0 || s->orders.first != 0)
		return now;
	if (s->refused.first != 0)
		due = s->retry;
	for (unsigned k = 0; k < SYNC_PEERS_MAX; k++) {
		if (s->peer[k].present)
			due = mono_min(due, sync_say_deadline(&s->peer[k], now));
	}
	return due;
}

/* ---- the beginning -------------------------------------------------------------- */

void
sync_init(struct sync *s, void *memory, uint32_t flows, const struct sync_epoch *epoch,
    uint64_t seed)
{
	*s = (struct sync){.epoch = *epoch};
	sync_table_init(&s->table, memory, flows, seed);
}
