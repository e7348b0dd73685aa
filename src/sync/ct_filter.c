/* SPDX-License-Identifier: Apache-2.0 */
#include "sync/ct_filter.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>

enum {
	TYPE_AT = 4, /* in struct nlmsghdr */
	PORT_AT = 12,
	ATTRIBUTES_AT = 20, /* behind it and struct nfgenmsg */
	VALUE_AT = 4,	    /* in an attribute */
};

struct code {
	struct sock_filter *at;
	size_t n;
	bool bad;
};

static void
emit(struct code *c, unsigned op, uint32_t k, uint8_t jt, uint8_t jf)
{
	if (c->n == CT_FILTER_MAX) {
		c->bad = true;
		return;
	}
	c->at[c->n++] = (struct sock_filter){(uint16_t)op, jt, jf, k};
}

static void
load(struct code *c, unsigned size, uint32_t at)
{
	emit(c, BPF_LD | size | BPF_ABS, at, 0, 0);
}

/* A = value of the attribute at A, from byte `at` on. */
static void
load_value(struct code *c, unsigned size, uint32_t at)
{
	emit(c, BPF_MISC | BPF_TAX, 0, 0, 0);
	emit(c, BPF_LD | size | BPF_IND, VALUE_AT + at, 0, 0);
}

static void
drop_if(struct code *c, uint32_t value)
{
	emit(c, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
	emit(c, BPF_RET | BPF_K, 0, 0, 0);
}

/* Far jumps, whose length is known later. */
static size_t
jump(struct code *c)
{
	emit(c, BPF_JMP | BPF_JA, 0, 0, 0);
	return c->n;
}

static void
land(struct code *c, size_t from)
{
	if (!c->bad)
		c->at[from - 1].k = (uint32_t)(c->n - from);
}

/* A = offset of attribute `type`; returns the jump taken if there is none. */
static size_t
find(struct code *c, unsigned how, uint32_t type)
{
	emit(c, BPF_LDX | BPF_IMM, type, 0, 0);
	emit(c, BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + (int)how), 0, 0);
	emit(c, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
	return jump(c);
}

static size_t
find_first(struct code *c, uint32_t type)
{
	emit(c, BPF_LD | BPF_IMM, ATTRIBUTES_AT, 0, 0);
	return find(c, SKF_AD_NLATTR, type);
}

static size_t
find_within(struct code *c, uint32_t type)
{
	return find(c, SKF_AD_NLATTR_NEST, type);
}

static uint32_t
word(const struct ip *ip, unsigned i)
{
	const uint8_t *b = ip->byte + 4 * (size_t)i;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void
drop_v4(struct code *c, const struct ip *own, size_t n)
{
	load_value(c, BPF_W, 0);
	for (size_t i = 0; i < n; i++) {
		if (own[i].family == AF_INET)
			drop_if(c, word(&own[i], 0));
	}
}

static void
drop_v6(struct code *c, const struct ip *own, size_t n)
{
	emit(c, BPF_MISC | BPF_TAX, 0, 0, 0);
	for (size_t i = 0; i < n; i++) {
		if (own[i].family != AF_INET6)
			continue;
		for (unsigned k = 0; k < 4; k++) {
			const uint8_t rest = (uint8_t)(2 * (3 - k) + 1);

			emit(c, BPF_LD | BPF_W | BPF_IND, VALUE_AT + 4 * k, 0, 0);
			emit(c, BPF_JMP | BPF_JEQ | BPF_K, word(&own[i], k), 0, rest);
		}
		emit(c, BPF_RET | BPF_K, 0, 0, 0);
	}
}

/* Drops what has one of the addresses as the source in `tuple`. */
static void
drop_source(struct code *c, uint32_t tuple, const struct ip *own, size_t n)
{
	size_t none = find_first(c, tuple), no_ip = find_within(c, CTA_TUPLE_IP);
	size_t not_v4, not_v6, over;

	emit(c, BPF_ST, 0, 0, 0);
	not_v4 = find_within(c, CTA_IP_V4_SRC);
	drop_v4(c, own, n);
	over = jump(c);
	land(c, not_v4);
	emit(c, BPF_LD | BPF_MEM, 0, 0, 0);
	not_v6 = find_within(c, CTA_IP_V6_SRC);
	drop_v6(c, own, n);
	land(c, not_v6);
	land(c, over);
	land(c, no_ip);
	land(c, none);
}

static void
drop_unanswered(struct code *c)
{
	size_t none = find_first(c, CTA_STATUS);

	load_value(c, BPF_W, 0);
	emit(c, BPF_JMP | BPF_JSET | BPF_K, FLOW_SEEN_REPLY, 1, 0);
	emit(c, BPF_RET | BPF_K, 0, 0, 0);
	land(c, none);
}

/*
 * Of a connection's end, the first FIN and the last state matter; between them nothing
 * happens that the standby would not see by itself. The end of an entry always counts.
 */
static void
drop_tcp_states(struct code *c)
{
	const uint16_t delete = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
	static const uint8_t dull[] = {FLOW_TCP_SYN_SENT, FLOW_TCP_SYN_RECV,
	    FLOW_TCP_CLOSE_WAIT, FLOW_TCP_LAST_ACK, FLOW_TCP_SYN_SENT2};
	size_t gone, no_info, no_tcp, no_state;

	load(c, BPF_H, TYPE_AT);
	emit(c, BPF_JMP | BPF_JEQ | BPF_K, ntohs(delete), 0, 1);
	gone = jump(c);
	no_info = find_first(c, CTA_PROTOINFO);
	no_tcp = find_within(c, CTA_PROTOINFO_TCP);
	no_state = find_within(c, CTA_PROTOINFO_TCP_STATE);
	load_value(c, BPF_B, 0);
	for (size_t i = 0; i < sizeof(dull); i++)
		drop_if(c, dull[i]);
	land(c, no_state);
	land(c, no_tcp);
	land(c, no_info);
	land(c, gone);
}

size_t
ct_filter_make(struct sock_filter code[static CT_FILTER_MAX], uint32_t port,
    const struct ip *own, size_t n)
{
	struct code c = {.at = code};

	load(&c, BPF_W, PORT_AT);
	drop_if(&c, ntohl(port));
	drop_unanswered(&c);
	drop_tcp_states(&c);
	drop_source(&c, CTA_TUPLE_ORIG, own, n);
	drop_source(&c, CTA_TUPLE_REPLY, own, n);
	emit(&c, BPF_RET | BPF_K, UINT32_MAX, 0, 0);
	return c.bad ? 0 : c.n;
}

bool
ct_filter_own(const struct flow *f, const struct ip *own, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = ip_len(&own[i]);

		if (own[i].family == f->family &&
		    (memcmp(own[i].byte, f->orig.src, len) == 0 ||
			memcmp(own[i].byte, f->reply.src, len) == 0))
			return true;
	}
	return false;
}
