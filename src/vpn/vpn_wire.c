/* SPDX-License-Identifier: Apache-2.0 */
#include "vpn/vpn_wire.h"

#include <errno.h>

#include "base/wire.h"

#define MAGIC	    0x6e77 /* "nw" */
#define VERSION	    1
#define FLAG_ACTIVE 1U
#define FLAGS_ALL   1U

void
vpn_wire_put_envelope(
    const struct vpn_envelope *e, uint8_t out[static VPN_ENVELOPE_LEN])
{
	struct wr w = {.p = out, .left = VPN_ENVELOPE_LEN};

	wr_u16(&w, MAGIC);
	wr_u8(&w, VERSION);
	wr_u8(&w, 0);
	wr_bytes(&w, e->session, sizeof(e->session));
	wr_u64(&w, e->number);
	ASSERT(!w.bad && w.left == 0);
}

int
vpn_wire_get_envelope(struct vpn_envelope *e, const uint8_t *in, size_t len)
{
	struct rd r = {.p = in, .left = len};
	struct vpn_envelope v = {.number = 0};
	unsigned magic = rd_u16(&r), version = rd_u8(&r), zero = rd_u8(&r);

	rd_bytes(&r, v.session, sizeof(v.session));
	v.number = rd_u64(&r);
	if (r.bad || magic != MAGIC)
		return -EBADMSG;
	if (version != VERSION)
		return -EPROTO;
	if (zero != 0 || v.number == 0)
		return -EBADMSG;
	*e = v;
	return 0;
}

static void
put_entry(struct wr *w, const struct vpn_entry *e)
{
	wr_bytes(w, e->key, sizeof(e->key));
	wr_u8(w, e->at.ip.family == AF_INET6 ? 6 : 4);
	wr_bytes(w, e->at.ip.byte, ip_len(&e->at.ip));
	wr_u16(w, e->at.port);
	wr_u32(w, e->age_s);
}

static void
get_entry(struct rd *r, struct vpn_entry *e)
{
	unsigned family;

	rd_bytes(r, e->key, sizeof(e->key));
	family = rd_u8(r);
	if (family != 4 && family != 6) {
		r->bad = true;
		return;
	}
	e->at.ip.family = family == 6 ? AF_INET6 : AF_INET;
	rd_bytes(r, e->at.ip.byte, family == 6 ? 16 : 4);
	e->at.port = rd_u16(r);
	e->age_s = rd_u32(r);
	if (e->at.port == 0)
		r->bad = true;
}

size_t
vpn_wire_put_body(const struct vpn_msg *m, uint8_t out[static VPN_BODY_MAX])
{
	struct wr w = {.p = out, .left = VPN_BODY_MAX};

	ASSERT(m->n_entries <= VPN_ENTRIES_MAX);
	wr_str(&w, m->from);
	wr_str(&w, m->to);
	wr_bytes(&w, m->echo, sizeof(m->echo));
	wr_u64(&w, (uint64_t)m->wall_ns);
	wr_u8(&w, m->active ? FLAG_ACTIVE : 0);
	wr_u8(&w, m->n_entries);
	for (size_t i = 0; i < m->n_entries; i++)
		put_entry(&w, &m->entry[i]);
	ASSERT(!w.bad);
	return VPN_BODY_MAX - w.left;
}

int
vpn_wire_get_body(struct vpn_msg *m, const uint8_t *in, size_t len)
{
	struct rd r = {.p = in, .left = len};
	struct vpn_msg v = {.envelope = m->envelope};
	uint64_t wall;
	unsigned flags;

	rd_str(&r, v.from, sizeof(v.from));
	rd_str(&r, v.to, sizeof(v.to));
	rd_bytes(&r, v.echo, sizeof(v.echo));
	wall = rd_u64(&r);
	flags = rd_u8(&r);
	v.n_entries = rd_u8(&r);
	if (r.bad || v.n_entries > VPN_ENTRIES_MAX || (flags & ~FLAGS_ALL) != 0 ||
	    wall > INT64_MAX)
		return -EBADMSG;
	v.wall_ns = (int64_t)wall;
	v.active = (flags & FLAG_ACTIVE) != 0;
	for (size_t i = 0; i < v.n_entries; i++)
		get_entry(&r, &v.entry[i]);
	if (!rd_done(&r))
		return -EBADMSG;
	*m = v;
	return 0;
}
