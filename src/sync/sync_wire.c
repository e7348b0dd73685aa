/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/sync_wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

static const uint8_t magic[4] = {'9', 's', 'y', 'n'};

/* ---- datagrams ------------------------------------------------------------------ */

void
sync_header_encode(const struct sync_header *h, uint8_t p[static SYNC_HEADER_LEN])
{
	struct wr w = {.p = p, .left = SYNC_HEADER_LEN};

	wr_bytes(&w, magic, sizeof(magic));
	wr_u8(&w, h->version);
	wr_u8(&w, h->kind);
	wr_u16(&w, 0);
	wr_bytes(&w, h->from.byte, SYNC_EPOCH_LEN);
	wr_u64(&w, h->seq);
}

int
sync_header_decode(struct sync_header *h, const uint8_t *p, size_t len)
{
	struct rd r = {.p = p, .left = len};
	const uint8_t *m = rd_take(&r, sizeof(magic));
	struct sync_header got = {.version = rd_u8(&r), .kind = rd_u8(&r)};

	if (r.bad || m == NULL || memcmp(m, magic, sizeof(magic)) != 0)
		return -EPROTO;
	if (got.version != SYNC_VERSION) {
		h->version = got.version;
		return -EPROTONOSUPPORT;
	}
	if (rd_u16(&r) != 0)
		return -EPROTO;
	rd_bytes(&r, got.from.byte, SYNC_EPOCH_LEN);
	got.seq = rd_u64(&r);
	if (r.bad || r.left < SYNC_TAG_LEN)
		return -EPROTO;
	if (got.kind != SYNC_HELLO && got.kind != SYNC_DATA)
		return -EPROTO;
	*h = got;
	return 0;
}

/* ---- greetings ------------------------------------------------------------------ */

void
sync_hello_encode(const struct sync_hello *h, struct wr *w)
{
	wr_u8(w, h->open ? 1 : 0);
	wr_u8(w, 0);
	wr_u16(w, 0);
	wr_bytes(w, h->echo.byte, SYNC_EPOCH_LEN);
}

int
sync_hello_decode(struct sync_hello *h, const uint8_t *p, size_t len)
{
	struct rd r = {.p = p, .left = len};
	struct sync_hello got = {0};
	uint8_t flags = rd_u8(&r);

	(void)rd_take(&r, 3); /* for later versions of this one */
	rd_bytes(&r, got.echo.byte, SYNC_EPOCH_LEN);
	if (!rd_done(&r) || flags > 1)
		return -EPROTO;
	got.open = flags == 1;
	*h = got;
	return 0;
}

/* ---- data ----------------------------------------------------------------------- */

enum { DATA_ACTING = 1, DATA_SNAPSHOT_END = 2, DATA_FLAGS = 3 };

void
sync_data_encode(const struct sync_data *d, struct wr *w)
{
	wr_u8(w, (uint8_t)((d->acting ? DATA_ACTING : 0) |
			   (d->snapshot_end ? DATA_SNAPSHOT_END : 0)));
	wr_u8(w, 0);
	wr_u16(w, d->delay_us);
	wr_u32(w, d->snapshot);
	wr_u32(w, d->useless);
	wr_u64(w, d->ack);
	wr_u64(w, d->ack_bits);
	wr_u16(w, d->n);
}

int
sync_data_decode(struct sync_data *d, struct rd *r)
{
	struct sync_data got = {0};
	uint8_t flags = rd_u8(r);

	(void)rd_u8(r);
	got.acting = (flags & DATA_ACTING) != 0;
	got.snapshot_end = (flags & DATA_SNAPSHOT_END) != 0;
	got.delay_us = rd_u16(r);
	got.snapshot = rd_u32(r);
	got.useless = rd_u32(r);
	got.ack = rd_u64(r);
	got.ack_bits = rd_u64(r);
	got.n = rd_u16(r);
	if (r->bad || (flags & ~DATA_FLAGS) != 0)
		return -EPROTO;
	*d = got;
	return 0;
}

/* ---- records -------------------------------------------------------------------- */

enum {
	RECORD_GONE = 1,
	RECORD_V6 = 2,
	RECORD_REPLY = 4, /* answers do not simply come the other way round */
	RECORD_ZONE = 8,
	RECORD_MARK = 16,
	RECORD_TCP = 32,
	RECORD_SEQ_ADJ = 64,
	RECORD_SYNPROXY = 128,
	WSCALE_MAX = 15, /* 14 by RFC 7323, and four bits */
};

static struct flow_tuple
turned(const struct flow_tuple *t)
{
	struct flow_tuple back = {.src_port = t->dst_port, .dst_port = t->src_port};

	memcpy(back.src, t->dst, sizeof(back.src));
	memcpy(back.dst, t->src, sizeof(back.dst));
	return back;
}

static bool
same_tuple(const struct flow_tuple *a, const struct flow_tuple *b)
{
	return a->src_port == b->src_port && a->dst_port == b->dst_port &&
	       memcmp(a->src, b->src, sizeof(a->src)) == 0 &&
	       memcmp(a->dst, b->dst, sizeof(a->dst)) == 0;
}

static void
put_tuple(struct wr *w, const struct flow_tuple *t, size_t len)
{
	wr_bytes(w, t->src, len);
	wr_bytes(w, t->dst, len);
	wr_u16(w, t->src_port);
	wr_u16(w, t->dst_port);
}

static void
get_tuple(struct rd *r, struct flow_tuple *t, size_t len)
{
	rd_bytes(r, t->src, len);
	rd_bytes(r, t->dst, len);
	t->src_port = rd_u16(r);
	t->dst_port = rd_u16(r);
}

static unsigned
kind_of(const struct flow *f, bool gone)
{
	const struct flow_tuple back = turned(&f->orig);
	unsigned kind = (gone ? RECORD_GONE : 0U) |
			(f->family == AF_INET6 ? RECORD_V6 : 0U) |
			(f->zone != 0 ? RECORD_ZONE : 0U);

	if (gone)
		return kind;
	if (!same_tuple(&f->reply, &back))
		kind |= RECORD_REPLY;
	if ((f->has & FLOW_MARK) != 0)
		kind |= RECORD_MARK;
	if ((f->has & FLOW_TCP) != 0)
		kind |= RECORD_TCP;
	if ((f->has & FLOW_SEQ_ADJ) != 0)
		kind |= RECORD_SEQ_ADJ;
	if ((f->has & FLOW_SYNPROXY) != 0)
		kind |= RECORD_SYNPROXY;
	return kind;
}

static void
put_tcp(struct wr *w, const struct flow *f)
{
	wr_u8(w, f->tcp_state);
	wr_bytes(w, f->tcp_flags, sizeof(f->tcp_flags));
	wr_u8(w, (uint8_t)((f->tcp_wscale[0] & WSCALE_MAX) << 4 |
			   (f->tcp_wscale[1] & WSCALE_MAX)));
}

static void
get_tcp(struct rd *r, struct flow *f)
{
	uint8_t wscale;

	f->tcp_state = rd_u8(r);
	rd_bytes(r, f->tcp_flags, sizeof(f->tcp_flags));
	wscale = rd_u8(r);
	f->tcp_wscale[0] = wscale >> 4;
	f->tcp_wscale[1] = wscale & WSCALE_MAX;
	f->has |= FLOW_TCP;
}

static void
put_adjust(struct wr *w, const struct flow *f)
{
	for (unsigned i = 0; i < 2; i++) {
		wr_u32(w, f->adjust[i].pos);
		wr_u32(w, f->adjust[i].before);
		wr_u32(w, f->adjust[i].after);
	}
}

static void
get_adjust(struct rd *r, struct flow *f)
{
	for (unsigned i = 0; i < 2; i++) {
		f->adjust[i].pos = rd_u32(r);
		f->adjust[i].before = rd_u32(r);
		f->adjust[i].after = rd_u32(r);
	}
	f->has |= FLOW_SEQ_ADJ;
}

void
sync_record_encode(const struct flow *f, bool gone, struct wr *w)
{
	const size_t len = f->family == AF_INET6 ? 16 : 4;
	const unsigned kind = kind_of(f, gone);

	wr_u8(w, (uint8_t)kind);
	wr_u8(w, f->proto);
	put_tuple(w, &f->orig, len);
	if ((kind & RECORD_ZONE) != 0)
		wr_u16(w, f->zone);
	if (gone)
		return;
	if ((kind & RECORD_REPLY) != 0)
		put_tuple(w, &f->reply, len);
	wr_u8(w, f->status);
	wr_u32(w, f->timeout_s);
	if ((kind & RECORD_MARK) != 0)
		wr_u32(w, f->mark);
	if ((kind & RECORD_TCP) != 0)
		put_tcp(w, f);
	if ((kind & RECORD_SEQ_ADJ) != 0)
		put_adjust(w, f);
	if ((kind & RECORD_SYNPROXY) != 0) {
		wr_u32(w, f->isn);
		wr_u32(w, f->its);
		wr_u32(w, f->ts_off);
	}
}

static void
get_state(struct flow *f, unsigned kind, struct rd *r)
{
	f->status = rd_u8(r);
	f->timeout_s = rd_u32(r);
	f->has = FLOW_STATUS | FLOW_TIMEOUT;
	if ((kind & RECORD_MARK) != 0) {
		f->mark = rd_u32(r);
		f->has |= FLOW_MARK;
	}
	if ((kind & RECORD_TCP) != 0)
		get_tcp(r, f);
	if ((kind & RECORD_SEQ_ADJ) != 0)
		get_adjust(r, f);
	if ((kind & RECORD_SYNPROXY) != 0) {
		f->isn = rd_u32(r);
		f->its = rd_u32(r);
		f->ts_off = rd_u32(r);
		f->has |= FLOW_SYNPROXY;
	}
}

/* One flow is said in one way only. */
static bool
well_said(const struct flow *f, bool gone, unsigned kind)
{
	if (f->proto == 0 || kind_of(f, gone) != kind)
		return false;
	if (gone)
		return true;
	return (f->status & ~FLOW_STATUS_ALL) == 0 &&
	       ((kind & RECORD_TCP) != 0) == (f->proto == IPPROTO_TCP);
}

int
sync_record_decode(struct flow *f, bool *gone, struct rd *r)
{
	const unsigned kind = rd_u8(r);
	const size_t len = (kind & RECORD_V6) != 0 ? 16 : 4;
	struct flow got = {.proto = rd_u8(r)};

	got.family = len == 16 ? AF_INET6 : AF_INET;
	get_tuple(r, &got.orig, len);
	got.reply = turned(&got.orig);
	if ((kind & RECORD_ZONE) != 0)
		got.zone = rd_u16(r);
	if ((kind & RECORD_GONE) == 0) {
		if ((kind & RECORD_REPLY) != 0)
			get_tuple(r, &got.reply, len);
		get_state(&got, kind, r);
	}
	if (r->bad || !well_said(&got, (kind & RECORD_GONE) != 0, kind))
		return -EPROTO;
	*f = got;
	*gone = (kind & RECORD_GONE) != 0;
	return 0;
}
