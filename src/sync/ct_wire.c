/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/ct_wire.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum {
	ALIGN = 4,
	NLMSG_HEADER = 16,
	TYPE_MASK = 0x3fff, /* NLA_TYPE_MASK */
};

#define CT_TYPE(message) (NFNL_SUBSYS_CTNETLINK << 8 | (message))

/* ---- reading -------------------------------------------------------------------- */

static uint16_t
rd_host16(struct rd *r)
{
	uint16_t v = 0;

	rd_bytes(r, &v, sizeof(v));
	return v;
}

static uint32_t
rd_host32(struct rd *r)
{
	uint32_t v = 0;

	rd_bytes(r, &v, sizeof(v));
	return v;
}

/* Cuts `len` bytes and the padding behind them, of which the last has none. */
static struct rd
cut(struct rd *r, size_t len)
{
	struct rd part = {.left = len};
	size_t pad = (ALIGN - len % ALIGN) % ALIGN;

	part.p = rd_take(r, len);
	part.bad = part.p == NULL;
	if (!r->bad)
		(void)rd_take(r, pad < r->left ? pad : r->left);
	return part;
}

bool
ct_next(struct rd *r, struct ct_message *m)
{
	uint32_t len;

	if (r->bad || r->left == 0)
		return false;
	len = rd_host32(r);
	m->type = rd_host16(r);
	m->flags = rd_host16(r);
	m->seq = rd_host32(r);
	m->port = rd_host32(r);
	if (len < NLMSG_HEADER)
		r->bad = true;
	if (!r->bad)
		m->body = cut(r, len - NLMSG_HEADER);
	return !r->bad;
}

struct attribute {
	uint16_t type;
	struct rd body;
};

static bool
next_attribute(struct rd *r, struct attribute *a)
{
	uint16_t len;

	if (r->bad || r->left == 0)
		return false;
	len = rd_host16(r);
	a->type = rd_host16(r) & TYPE_MASK;
	if (len < sizeof(struct nlattr))
		r->bad = true;
	if (!r->bad)
		a->body = cut(r, len - sizeof(struct nlattr));
	return !r->bad;
}

static int
read_addresses(struct rd *r, struct flow_tuple *t, uint8_t *family)
{
	struct attribute a;

	while (next_attribute(r, &a)) {
		switch (a.type) {
		case CTA_IP_V4_SRC:
			*family = AF_INET;
			rd_bytes(&a.body, t->src, 4);
			break;
		case CTA_IP_V4_DST:
			rd_bytes(&a.body, t->dst, 4);
			break;
		case CTA_IP_V6_SRC:
			*family = AF_INET6;
			rd_bytes(&a.body, t->src, 16);
			break;
		case CTA_IP_V6_DST:
			rd_bytes(&a.body, t->dst, 16);
			break;
		default:
			break;
		}
		r->bad |= a.body.bad;
	}
	return r->bad ? -EPROTO : 0;
}

static int
read_protocol(struct rd *r, struct flow_tuple *t, uint8_t *proto)
{
	struct attribute a;
	uint8_t type = 0, code = 0;
	bool icmp = false;

	while (next_attribute(r, &a)) {
		switch (a.type) {
		case CTA_PROTO_NUM:
			*proto = rd_u8(&a.body);
			break;
		case CTA_PROTO_SRC_PORT:
		case CTA_PROTO_ICMP_ID:
		case CTA_PROTO_ICMPV6_ID:
			t->src_port = rd_u16(&a.body);
			break;
		case CTA_PROTO_DST_PORT:
			t->dst_port = rd_u16(&a.body);
			break;
		case CTA_PROTO_ICMP_TYPE:
		case CTA_PROTO_ICMPV6_TYPE:
			icmp = true;
			type = rd_u8(&a.body);
			break;
		case CTA_PROTO_ICMP_CODE:
		case CTA_PROTO_ICMPV6_CODE:
			code = rd_u8(&a.body);
			break;
		default:
			break;
		}
		r->bad |= a.body.bad;
	}
	if (icmp)
		t->dst_port = (uint16_t)(type << 8 | code);
	return r->bad ? -EPROTO : 0;
}

static int
read_tuple(struct rd *r, struct flow_tuple *t, uint8_t *family, uint8_t *proto)
{
	struct attribute a;
	int err = 0;

	while (err == 0 && next_attribute(r, &a)) {
		if (a.type == CTA_TUPLE_IP)
			err = read_addresses(&a.body, t, family);
		else if (a.type == CTA_TUPLE_PROTO)
			err = read_protocol(&a.body, t, proto);
		else if (a.type == CTA_TUPLE_ZONE)
			err = -ENOTSUP; /* a zone for one direction only */
	}
	return r->bad ? -EPROTO : err;
}

static void
read_tcp_value(struct flow *f, struct attribute *a)
{
	switch (a->type) {
	case CTA_PROTOINFO_TCP_STATE:
		f->tcp_state = rd_u8(&a->body);
		f->has |= FLOW_TCP;
		break;
	case CTA_PROTOINFO_TCP_WSCALE_ORIGINAL:
		f->tcp_wscale[0] = rd_u8(&a->body);
		break;
	case CTA_PROTOINFO_TCP_WSCALE_REPLY:
		f->tcp_wscale[1] = rd_u8(&a->body);
		break;
	case CTA_PROTOINFO_TCP_FLAGS_ORIGINAL:
		f->tcp_flags[0] = rd_u8(&a->body);
		break;
	case CTA_PROTOINFO_TCP_FLAGS_REPLY:
		f->tcp_flags[1] = rd_u8(&a->body);
		break;
	default:
		break;
	}
}

static int
read_tcp(struct rd *info, struct flow *f)
{
	struct attribute a, b;

	while (next_attribute(info, &a)) {
		if (a.type != CTA_PROTOINFO_TCP)
			continue;
		while (next_attribute(&a.body, &b)) {
			read_tcp_value(f, &b);
			a.body.bad |= b.body.bad;
		}
		info->bad |= a.body.bad;
	}
	return info->bad ? -EPROTO : 0;
}

static int
read_adjust(struct rd *r, struct flow_adjust *j)
{
	struct attribute a;

	while (next_attribute(r, &a)) {
		if (a.type == CTA_SEQADJ_CORRECTION_POS)
			j->pos = rd_u32(&a.body);
		else if (a.type == CTA_SEQADJ_OFFSET_BEFORE)
			j->before = rd_u32(&a.body);
		else if (a.type == CTA_SEQADJ_OFFSET_AFTER)
			j->after = rd_u32(&a.body);
		r->bad |= a.body.bad;
	}
	return r->bad ? -EPROTO : 0;
}

static int
read_synproxy(struct rd *r, struct flow *f)
{
	struct attribute a;

	while (next_attribute(r, &a)) {
		if (a.type == CTA_SYNPROXY_ISN)
			f->isn = rd_u32(&a.body);
		else if (a.type == CTA_SYNPROXY_ITS)
			f->its = rd_u32(&a.body);
		else if (a.type == CTA_SYNPROXY_TSOFF)
			f->ts_off = rd_u32(&a.body);
		r->bad |= a.body.bad;
	}
	f->has |= FLOW_SYNPROXY;
	return r->bad ? -EPROTO : 0;
}

static int
read_numbers(struct flow *f, struct attribute *a)
{
	switch (a->type) {
	case CTA_STATUS:
		f->status = (uint8_t)(rd_u32(&a->body) & FLOW_STATUS_ALL);
		f->has |= FLOW_STATUS;
		break;
	case CTA_TIMEOUT:
		f->timeout_s = rd_u32(&a->body);
		f->has |= FLOW_TIMEOUT;
		break;
	case CTA_MARK:
		f->mark = rd_u32(&a->body);
		f->has |= FLOW_MARK;
		break;
	case CTA_ZONE:
		f->zone = rd_u16(&a->body);
		break;
	default:
		break;
	}
	return a->body.bad ? -EPROTO : 0;
}

static int
read_attribute(struct flow *f, struct attribute *a, uint8_t *family, uint8_t *proto)
{
	switch (a->type) {
	case CTA_TUPLE_ORIG:
		return read_tuple(&a->body, &f->orig, &f->family, &f->proto);
	case CTA_TUPLE_REPLY:
		return read_tuple(&a->body, &f->reply, family, proto);
	case CTA_PROTOINFO:
		return read_tcp(&a->body, f);
	case CTA_SEQ_ADJ_ORIG:
		f->has |= FLOW_SEQ_ADJ;
		return read_adjust(&a->body, &f->adjust[0]);
	case CTA_SEQ_ADJ_REPLY:
		f->has |= FLOW_SEQ_ADJ;
		return read_adjust(&a->body, &f->adjust[1]);
	case CTA_SYNPROXY:
		return read_synproxy(&a->body, f);
	default:
		return read_numbers(f, a);
	}
}

static bool
followed(uint8_t proto)
{
	return proto != 0 && proto != IPPROTO_GRE && proto != IPPROTO_SCTP &&
	       proto != IPPROTO_DCCP;
}

static int
read_flow(struct rd *r, struct flow *f)
{
	uint8_t family = 0, proto = 0; /* of the reply */
	struct attribute a;
	int err = 0;

	*f = (struct flow){0};
	(void)rd_take(r, sizeof(struct nfgenmsg));
	while (err == 0 && next_attribute(r, &a))
		err = read_attribute(f, &a, &family, &proto);
	if (err != 0 || r->bad)
		return err != 0 ? err : -EPROTO;
	if (!followed(f->proto))
		return -ENOTSUP;
	return f->family != 0 && f->family == family && f->proto == proto ? 0 : -EPROTO;
}

int
ct_decode(const struct ct_message *m, enum ct_kind *kind, struct flow *f, int *result)
{
	struct rd r = m->body;
	int err;

	switch (m->type) {
	case NLMSG_DONE:
		*kind = CT_DONE;
		return 0;
	case NLMSG_ERROR:
		err = (int)rd_host32(&r);
		if (r.bad || err > 0)
			return -EPROTO;
		*kind = CT_RESULT;
		*result = err;
		return 0;
	case CT_TYPE(IPCTNL_MSG_CT_NEW):
		*kind = CT_FLOW;
		return read_flow(&r, f);
	case CT_TYPE(IPCTNL_MSG_CT_DELETE):
		*kind = CT_GONE;
		return read_flow(&r, f);
	default:
		return -ENOTSUP;
	}
}

/* ---- writing -------------------------------------------------------------------- */

static void
wr_host16(struct wr *w, uint16_t v)
{
	wr_bytes(w, &v, sizeof(v));
}

static void
wr_host32(struct wr *w, uint32_t v)
{
	wr_bytes(w, &v, sizeof(v));
}

static void
put(struct wr *w, unsigned type, const void *value, size_t len)
{
	static const uint8_t zero[ALIGN];

	wr_host16(w, (uint16_t)(sizeof(struct nlattr) + len));
	wr_host16(w, (uint16_t)type);
	wr_bytes(w, value, len);
	wr_bytes(w, zero, (ALIGN - len % ALIGN) % ALIGN);
}

static void
put_u8(struct wr *w, unsigned type, uint8_t v)
{
	put(w, type, &v, 1);
}

static void
put_u16(struct wr *w, unsigned type, uint16_t v)
{
	const uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};

	put(w, type, b, sizeof(b));
}

static void
put_u32(struct wr *w, unsigned type, uint32_t v)
{
	const uint8_t b[4] = {
	    (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

	put(w, type, b, sizeof(b));
}

/* The length of an attribute, or of a message, is known when it ends. */
static uint8_t *
nest(struct wr *w, unsigned type)
{
	uint8_t *at = w->p;

	wr_host16(w, 0);
	wr_host16(w, (uint16_t)(type | NLA_F_NESTED));
	return at;
}

static void
nest_end(struct wr *w, uint8_t *at)
{
	uint16_t len;

	if (w->bad)
		return;
	len = (uint16_t)(w->p - at);
	memcpy(at, &len, sizeof(len));
}

static void
put_protocol(struct wr *w, const struct flow *f, const struct flow_tuple *t)
{
	const bool icmp = f->proto == IPPROTO_ICMP, icmp6 = f->proto == IPPROTO_ICMPV6;
	uint8_t *n = nest(w, CTA_TUPLE_PROTO);

	put_u8(w, CTA_PROTO_NUM, f->proto);
	if (icmp || icmp6) {
		put_u16(w, icmp ? CTA_PROTO_ICMP_ID : CTA_PROTO_ICMPV6_ID, t->src_port);
		put_u8(w, icmp ? CTA_PROTO_ICMP_TYPE : CTA_PROTO_ICMPV6_TYPE,
		    (uint8_t)(t->dst_port >> 8));
		put_u8(w, icmp ? CTA_PROTO_ICMP_CODE : CTA_PROTO_ICMPV6_CODE,
		    (uint8_t)t->dst_port);
	} else {
		put_u16(w, CTA_PROTO_SRC_PORT, t->src_port);
		put_u16(w, CTA_PROTO_DST_PORT, t->dst_port);
	}
	nest_end(w, n);
}

static void
put_tuple(struct wr *w, unsigned type, const struct flow *f, const struct flow_tuple *t)
{
	const bool v6 = f->family == AF_INET6;
	uint8_t *n = nest(w, type), *ip = nest(w, CTA_TUPLE_IP);

	put(w, v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, t->src, v6 ? 16 : 4);
	put(w, v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, t->dst, v6 ? 16 : 4);
	nest_end(w, ip);
	put_protocol(w, f, t);
	nest_end(w, n);
}

/* To this address and port, and no other. */
static void
put_nat(struct wr *w, unsigned type, const struct flow *f, const uint8_t *ip,
    uint16_t port, bool has_port)
{
	const bool v6 = f->family == AF_INET6;
	uint8_t *n = nest(w, type), *range;

	put(w, v6 ? CTA_NAT_V6_MINIP : CTA_NAT_V4_MINIP, ip, v6 ? 16 : 4);
	put(w, v6 ? CTA_NAT_V6_MAXIP : CTA_NAT_V4_MAXIP, ip, v6 ? 16 : 4);
	if (has_port) {
		range = nest(w, CTA_NAT_PROTO);
		put_u16(w, CTA_PROTONAT_PORT_MIN, port);
		put_u16(w, CTA_PROTONAT_PORT_MAX, port);
		nest_end(w, range);
	}
	nest_end(w, n);
}

/* Where answers go to is what the source became, where they come from what the
 * destination became. */
static void
put_translation(struct wr *w, const struct flow *f)
{
	const bool icmp = f->proto == IPPROTO_ICMP || f->proto == IPPROTO_ICMPV6;
	const bool ports = icmp || f->proto == IPPROTO_TCP || f->proto == IPPROTO_UDP ||
			   f->proto == IPPROTO_UDPLITE;
	const struct flow_tuple *r = &f->reply;

	if ((f->status & FLOW_SRC_NAT) != 0)
		put_nat(
		    w, CTA_NAT_SRC, f, r->dst, icmp ? r->src_port : r->dst_port, ports);
	if ((f->status & FLOW_DST_NAT) != 0)
		put_nat(w, CTA_NAT_DST, f, r->src, r->src_port, ports && !icmp);
}

/* The window is unknown to the kernel that is told: it is to be liberal about it. */
static void
put_tcp(struct wr *w, const struct flow *f)
{
	const uint8_t keep = IP_CT_TCP_FLAG_WINDOW_SCALE | IP_CT_TCP_FLAG_SACK_PERM |
			     IP_CT_TCP_FLAG_CLOSE_INIT;
	const uint8_t mask = keep | IP_CT_TCP_FLAG_BE_LIBERAL;
	uint8_t *info = nest(w, CTA_PROTOINFO), *tcp = nest(w, CTA_PROTOINFO_TCP);

	put_u8(w, CTA_PROTOINFO_TCP_STATE, f->tcp_state);
	put_u8(w, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, f->tcp_wscale[0]);
	put_u8(w, CTA_PROTOINFO_TCP_WSCALE_REPLY, f->tcp_wscale[1]);
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t flags[2] = {
		    (uint8_t)((f->tcp_flags[i] & keep) | IP_CT_TCP_FLAG_BE_LIBERAL),
		    mask};

		put(w,
		    i == 0 ? CTA_PROTOINFO_TCP_FLAGS_ORIGINAL
			   : CTA_PROTOINFO_TCP_FLAGS_REPLY,
		    flags, sizeof(flags));
	}
	nest_end(w, tcp);
	nest_end(w, info);
}

static void
put_adjust(struct wr *w, unsigned type, const struct flow_adjust *j)
{
	uint8_t *n = nest(w, type);

	put_u32(w, CTA_SEQADJ_CORRECTION_POS, j->pos);
	put_u32(w, CTA_SEQADJ_OFFSET_BEFORE, j->before);
	put_u32(w, CTA_SEQADJ_OFFSET_AFTER, j->after);
	nest_end(w, n);
}

static void
put_synproxy(struct wr *w, const struct flow *f)
{
	uint8_t *n = nest(w, CTA_SYNPROXY);

	put_u32(w, CTA_SYNPROXY_ISN, f->isn);
	put_u32(w, CTA_SYNPROXY_ITS, f->its);
	put_u32(w, CTA_SYNPROXY_TSOFF, f->ts_off);
	nest_end(w, n);
}

static uint8_t
icmp_answer(uint8_t type)
{
	switch (type) {
	case 8: /* echo, and its reply: RFC 792 */
		return 0;
	case 128: /* RFC 4443 */
		return 129;
	default: /* timestamp 13, information 15, address mask 17 */
		return (uint8_t)(type + 1);
	}
}

/* The tuple of answers as if nothing was translated. */
static struct flow_tuple
plain_reply(const struct flow *f)
{
	struct flow_tuple t = {
	    .src_port = f->orig.dst_port, .dst_port = f->orig.src_port};

	if (f->proto == IPPROTO_ICMP || f->proto == IPPROTO_ICMPV6) {
		t.src_port = f->orig.src_port;
		t.dst_port =
		    (uint16_t)(icmp_answer((uint8_t)(f->orig.dst_port >> 8)) << 8);
	}
	memcpy(t.src, f->orig.dst, sizeof(t.src));
	memcpy(t.dst, f->orig.src, sizeof(t.dst));
	return t;
}

static void
put_state(struct wr *w, enum ct_order order, const struct flow *f)
{
	const uint32_t told = FLOW_SEEN_REPLY | FLOW_ASSURED | FLOW_ADJUSTED;

	put_u32(w, CTA_STATUS, (f->status & told) | FLOW_CONFIRMED);
	put_u32(w, CTA_TIMEOUT, f->timeout_s);
	if ((f->has & FLOW_MARK) != 0)
		put_u32(w, CTA_MARK, f->mark);
	if (f->proto == IPPROTO_TCP)
		put_tcp(w, f);
	if (order == CT_CREATE)
		put_translation(w, f);
	if ((f->has & FLOW_SEQ_ADJ) != 0 && (f->status & FLOW_ADJUSTED) != 0) {
		put_adjust(w, CTA_SEQ_ADJ_ORIG, &f->adjust[0]);
		put_adjust(w, CTA_SEQ_ADJ_REPLY, &f->adjust[1]);
	}
	if ((f->has & FLOW_SYNPROXY) != 0)
		put_synproxy(w, f);
}

static uint8_t *
begin(struct wr *w, unsigned message, unsigned flags, uint32_t seq, uint8_t family)
{
	const struct nfgenmsg gen = {.nfgen_family = family, .version = NFNETLINK_V0};
	uint8_t *at = w->p;

	wr_host32(w, 0);
	wr_host16(w, (uint16_t)CT_TYPE(message));
	wr_host16(w, (uint16_t)(NLM_F_REQUEST | flags));
	wr_host32(w, seq);
	wr_host32(w, 0);
	wr_bytes(w, &gen, sizeof(gen));
	return at;
}

static void
end(struct wr *w, uint8_t *at)
{
	uint32_t len;

	if (w->bad)
		return;
	len = (uint32_t)(w->p - at);
	memcpy(at, &len, sizeof(len));
}

void
ct_encode(struct wr *w, enum ct_order order, const struct flow *f, uint32_t seq)
{
	const bool remove = order == CT_DELETE || order == CT_DELETE_REPLY;
	const struct flow_tuple plain = plain_reply(f);
	uint8_t *at = begin(w, remove ? IPCTNL_MSG_CT_DELETE : IPCTNL_MSG_CT_NEW,
	    order == CT_CREATE ? NLM_F_CREATE | NLM_F_EXCL : 0, seq, f->family);

	if (order != CT_DELETE_REPLY)
		put_tuple(w, CTA_TUPLE_ORIG, f, &f->orig);
	/* The kernel translates itself, and would find nothing left to do. */
	if (order == CT_CREATE && (f->status & (FLOW_SRC_NAT | FLOW_DST_NAT)) != 0)
		put_tuple(w, CTA_TUPLE_REPLY, f, &plain);
	else if (order != CT_DELETE)
		put_tuple(w, CTA_TUPLE_REPLY, f, &f->reply);
	if (f->zone != 0)
		put_u16(w, CTA_ZONE, f->zone);
	if (!remove)
		put_state(w, order, f);
	end(w, at);
}

void
ct_encode_dump(struct wr *w, uint32_t seq)
{
	uint8_t *at = begin(w, IPCTNL_MSG_CT_GET, NLM_F_DUMP, seq, AF_UNSPEC);

	end(w, at);
}
