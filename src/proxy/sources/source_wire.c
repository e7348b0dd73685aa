/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/sources/source_wire.h"

#include <errno.h>

static const uint8_t magic[4] = {'9', 's', 'r', 'c'};

enum { DATA_AGREED = 1 };

void
source_header_encode(const struct source_header *h, uint8_t p[static SOURCE_HEADER_LEN])
{
	struct wr w = {.p = p, .left = SOURCE_HEADER_LEN};

	wr_bytes(&w, magic, sizeof(magic));
	wr_u8(&w, h->version);
	wr_u8(&w, h->kind);
	wr_u16(&w, 0);
	wr_u64(&w, h->service);
	wr_bytes(&w, h->from.byte, SOURCE_EPOCH_LEN);
	wr_u64(&w, h->number);
}

int
source_header_decode(struct source_header *h, const uint8_t *p, size_t len)
{
	struct rd r = {.p = p, .left = len};
	const uint8_t *m = rd_take(&r, sizeof(magic));
	struct source_header got = {.version = rd_u8(&r)};

	if (r.bad || m == NULL || memcmp(m, magic, sizeof(magic)) != 0)
		return -EPROTO;
	if (got.version != SOURCE_VERSION) {
		h->version = got.version;
		return -EPROTONOSUPPORT;
	}
	got.kind = rd_u8(&r);
	if (rd_u16(&r) != 0)
		return -EPROTO;
	got.service = rd_u64(&r);
	rd_bytes(&r, got.from.byte, SOURCE_EPOCH_LEN);
	got.number = rd_u64(&r);
	if (r.bad || r.left < SOURCE_TAG_LEN || got.number == 0)
		return -EPROTO;
	if (got.kind != SOURCE_HELLO && got.kind != SOURCE_DATA)
		return -EPROTO;
	*h = got;
	return 0;
}

void
source_hello_encode(const struct source_hello *h, struct wr *w)
{
	wr_u64(w, h->nonce);
	wr_u64(w, h->echo);
	wr_u8(w, h->open ? 1 : 0);
}

int
source_hello_decode(struct source_hello *h, const uint8_t *p, size_t len)
{
	struct rd r = {.p = p, .left = len};
	struct source_hello got = {.nonce = rd_u64(&r)};

	uint8_t flags;

	got.echo = rd_u64(&r);
	flags = rd_u8(&r);
	if (!rd_done(&r) || got.nonce == 0 || flags > 1)
		return -EPROTO;
	got.open = flags == 1;
	*h = got;
	return 0;
}

void
source_data_encode(const struct source_data *d, struct wr *w)
{
	wr_u64(w, d->ack);
	wr_u64(w, d->after);
	wr_u64(w, d->upto);
	wr_u16(w, d->n);
	wr_u16(w, d->agreed ? DATA_AGREED : 0);
}

int
source_data_decode(struct source_data *d, struct rd *r)
{
	struct source_data got = {.ack = rd_u64(r)};
	uint16_t flags;

	got.after = rd_u64(r);
	got.upto = rd_u64(r);
	got.n = rd_u16(r);
	flags = rd_u16(r);
	got.agreed = (flags & DATA_AGREED) != 0;
	if (r->bad || (flags & ~DATA_AGREED) != 0 || got.after > got.upto ||
	    got.upto > INT64_MAX || r->left != (size_t)got.n * SOURCE_RECORD_LEN)
		return -EPROTO;
	*d = got;
	return 0;
}

void
source_record_encode(const struct source_record *s, struct wr *w)
{
	wr_u64(w, s->key.half[0]);
	wr_u64(w, s->key.half[1]);
	wr_u64(w, s->server);
	wr_u64(w, s->version);
	wr_u32(w, s->age_s);
}

int
source_record_decode(struct source_record *s, struct rd *r)
{
	struct source_record got = {.key = {{rd_u64(r), 0}}};

	got.key.half[1] = rd_u64(r);
	got.server = rd_u64(r);
	got.version = rd_u64(r);
	got.age_s = rd_u32(r);
	if (r->bad || got.server == 0 || got.version == 0 ||
	    got.version > SOURCE_VERSION_TOP)
		return -EPROTO;
	*s = got;
	return 0;
}
