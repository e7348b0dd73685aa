/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync_say_core.c - what peers are told, and when: greetings, news, the snapshot,
 * acknowledgements.
 */
#include "sync/sync_say.h"

#define HELLO_NS     (200 * MS_NS) /* between greetings nobody answers */
#define HELLO_MIN_NS (10 * MS_NS)  /* between any two */
#define KEEPALIVE_NS (100 * MS_NS)
#define ACK_NS	     (1 * MS_NS) /* an acknowledgement waits for company */
#define ACK_COUNT    16U
#define SCAN_STEP    4096U /* entries looked at in one go */

static bool
put_flow(struct sync *s, struct wr *w, uint32_t i)
{
	const struct sync_entry *e = &s->table.entry[i];
	struct wr t = *w;

	sync_record_encode(&e->flow, e->life == SYNC_DEAD, &t);
	if (t.bad)
		return false;
	*w = t;
	return true;
}

/* Writes as many news as fit into *w; they belong to `slot` from then on. */
static unsigned
put_news(struct sync *s, struct sync_peer *p, struct sync_slot *slot, struct wr *w)
{
	unsigned n = 0;

	while (p->news.first != 0 && put_flow(s, w, p->news.first)) {
		sync_table_move(
		    &s->table, sync_side(s, p), p->news.first, &slot->flows);
		n++;
	}
	return n;
}

/* Goes on with the snapshot. What is news or under way already only has to arrive. */
static unsigned
put_snapshot(struct sync *s, struct sync_peer *p, struct sync_slot *slot, struct wr *w)
{
	const unsigned side = sync_side(s, p);
	const uint8_t bit = (uint8_t)(1U << (side - 1));
	unsigned n = 0;

	for (unsigned step = 0; p->scan != 0 && step < SCAN_STEP; step++, p->scan++) {
		struct sync_entry *e = &s->table.entry[p->scan];

		if (p->scan >= s->table.used) {
			p->scan = 0;
			p->speak |= p->waiting == 0;
			break;
		}
		if (e->life != SYNC_LIVE)
			continue;
		if (e->link[side].list == NULL) {
			if (!put_flow(s, w, p->scan))
				break;
			sync_table_move(&s->table, side, p->scan, &slot->flows);
			n++;
		}
		if ((e->unconfirmed & bit) == 0)
			p->waiting++;
		e->unconfirmed |= bit;
	}
	return n;
}

static bool
has_news(const struct sync_peer *p)
{
	return p->flying < SYNC_WINDOW && (p->news.first != 0 || p->scan != 0);
}

static bool
ack_due(const struct sync_peer *p, mono_t now)
{
	return p->unacked >= ACK_COUNT ||
	       (p->unacked > 0 && mono_sub(now, p->rx_at) >= ACK_NS);
}

static bool
data_due(const struct sync_peer *p, mono_t now)
{
	return p->speak || has_news(p) || ack_due(p, now) ||
	       mono_sub(now, p->spoke) >= KEEPALIVE_NS;
}

static uint16_t
delay_us(const struct sync_peer *p, mono_t now)
{
	int64_t us = mono_sub(now, p->rx_at) / US_NS;

	return (uint16_t)(us < UINT16_MAX ? us : UINT16_MAX);
}

static size_t
put_data(struct sync *s, mono_t now, struct sync_peer *p,
    uint8_t payload[static SYNC_PAYLOAD_MAX])
{
	struct sync_slot *slot = &p->slot[(p->first + p->flying) % SYNC_WINDOW];
	struct wr head = {.p = payload, .left = SYNC_DATA_HEAD_LEN};
	struct wr w = {.p = payload + SYNC_DATA_HEAD_LEN,
	    .left = SYNC_PAYLOAD_MAX - SYNC_DATA_HEAD_LEN};
	struct sync_data d = {.acting = s->acting,
	    .delay_us = delay_us(p, now),
	    .ack = p->rx_seq,
	    .ack_bits = p->rx_bits,
	    .snapshot = p->snapshot,
	    .useless = p->rx_useless};

	p->speak = false;
	if (p->flying < SYNC_WINDOW) {
		unsigned n = put_news(s, p, slot, &w);

		n += put_snapshot(s, p, slot, &w);
		d.n = (uint16_t)n;
	}
	d.snapshot_end = p->scan == 0 && p->waiting == 0 && p->snapshot != 0;
	if (d.n > 0) {
		slot->seq = p->seq;
		slot->sent = now;
		p->flying++;
	}
	p->unacked = 0;
	p->spoke = now;
	p->figures.sent++;
	p->figures.records += d.n;
	sync_data_encode(&d, &head);
	ASSERT(!head.bad && !w.bad);
	return (size_t)(w.p - payload);
}

static bool
greeting_due(const struct sync_peer *p, mono_t now)
{
	int64_t since = mono_sub(now, p->greeted);

	return (p->greet && since >= HELLO_MIN_NS) || (!p->open && since >= HELLO_NS);
}

bool
sync_next(struct sync *s, mono_t now, unsigned peer, struct sync_header *h,
    uint8_t payload[static SYNC_PAYLOAD_MAX], size_t *len)
{
	struct sync_peer *p = &s->peer[peer];
	struct wr w = {.p = payload, .left = SYNC_PAYLOAD_MAX};
	const struct sync_hello hello = {.open = p->open, .echo = p->echo};

	if (!p->present)
		return false;
	*h = (struct sync_header){.version = SYNC_VERSION, .from = s->epoch};
	if (greeting_due(p, now)) {
		h->kind = SYNC_HELLO;
		h->seq = ++p->seq;
		sync_hello_encode(&hello, &w);
		*len = (size_t)(w.p - payload);
		p->greet = false;
		p->greeted = now;
		return true;
	}
	if (!p->open || !data_due(p, now))
		return false;
	h->kind = SYNC_DATA;
	h->seq = ++p->seq;
	*len = put_data(s, now, p, payload);
	return true;
}

mono_t
sync_say_deadline(const struct sync_peer *p, mono_t now)
{
	mono_t due = mono_add(p->greeted, p->greet ? HELLO_MIN_NS : HELLO_NS);

	if (!p->open)
		return due;
	if (!p->greet)
		due = mono_add(p->heard, SILENCE_NS);
	if (p->speak || has_news(p))
		return now;
	due = mono_min(due, mono_add(p->spoke, KEEPALIVE_NS));
	if (p->unacked > 0)
		due = mono_min(due, mono_add(p->rx_at, ACK_NS));
	if (p->flying > 0)
		due = mono_min(due, mono_add(p->slot[p->first].sent, p->rto_ns));
	return due;
}
