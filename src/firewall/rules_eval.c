/* SPDX-License-Identifier: Apache-2.0 */
/* rules_eval.c - what a list of rules says about a packet, and about another list. */
#include <string.h>

#include "base/sbuf.h"
#include "firewall/rules.h"

static bool
in_ports(const struct rule *r, uint16_t port)
{
	if (r->n_ports == 0)
		return true;
	for (size_t i = 0; i < r->n_ports; i++) {
		if (port >= r->ports[i].low && port <= r->ports[i].high)
			return true;
	}
	return false;
}

static bool
same_proto(const struct rule *r, const struct packet *p)
{
	if (r->proto == IPPROTO_ICMP && p->src.family == AF_INET6)
		return p->proto == IPPROTO_ICMPV6;
	return r->proto == 0 || r->proto == p->proto;
}

static bool
to_many(const struct ip *ip)
{
	if (ip->family == AF_INET6)
		return ip->byte[0] == 0xff;
	return ip->byte[0] >= 224 && (ip->byte[0] < 240 || ip->byte[3] == 255);
}

static bool
test_holds(const struct rule *r, const struct packet *p)
{
	switch (r->test) {
	case RULE_ALWAYS:
	case RULE_NEW:
		return true;
	case RULE_MIDSTREAM:
		return p->proto == IPPROTO_TCP && p->midstream;
	case RULE_SYN:
	case RULE_HANDSHAKE:
		return p->proto == IPPROTO_TCP && !p->midstream;
	case RULE_ECHO:
		return p->echo;
	case RULE_TO_MANY:
		return to_many(&p->dst);
	case RULE_ESTABLISHED:
	case RULE_INVALID:
	case RULE_LOOPBACK:
	case RULE_FORGED:
	case RULE_UNROUTED:
	case RULE_NEIGHBOUR:
	case RULE_GROUPS:
	case RULE_DHCP6:
	case RULE_TESTS:
	default:
		return false;
	}
}

static bool
matches(const struct rule *r, const struct packet *p, const struct packet *original)
{
	if (r->family != 0 && r->family != p->src.family)
		return false;
	if (!test_holds(r, p) || !same_proto(r, p) || !in_ports(r, p->port))
		return false;
	if (!net_list_has(&r->src, &p->src) || !net_list_has(&r->dst, &p->dst))
		return false;
	return r->translated == NULL ||
	       (net_list_has(&r->translated->dst, &original->dst) &&
		   in_ports(r->translated, original->port));
}

/* The first rule of `chain` that decides, or NULL. */
static const struct rule *
walk(const struct rule_list *l, enum rule_chain chain, const struct packet *p,
    const struct packet *original, struct packet_fate *fate)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct rule *r = &l->rule[i];

		if (r->chain != chain || !matches(r, p, original))
			continue;
		if (r->verdict == RULE_LIMIT)
			fate->limit = r;
		if (r->verdict == RULE_LOG || r->verdict == RULE_LIMIT ||
		    r->verdict == RULE_NOTRACK)
			continue;
		return r;
	}
	return NULL;
}

/* Which of them translates the source is a matter of routes: the first is named. */
void
rules_eval(const struct rule_list *l, const struct packet *p, bool forward,
    struct packet_fate *fate)
{
	struct packet now = *p;
	const struct rule *r;

	*fate = (struct packet_fate){.accepted = true};
	if (!forward) {
		r = walk(l, RULES_GUARD, p, p, fate);
		if (r == NULL || r->verdict == RULE_ACCEPT)
			r = walk(l, RULES_HOST, p, p, fate);
		fate->rule = r;
		fate->accepted =
		    r == NULL ? l->count[RULES_HOST] == 0 : r->verdict == RULE_ACCEPT;
		return;
	}
	fate->dnat = walk(l, RULES_DNAT, p, p, fate);
	if (fate->dnat != NULL) {
		now.dst = fate->dnat->nat.ip;
		if (fate->dnat->nat.port != 0)
			now.port = fate->dnat->nat.port;
	}
	fate->rule = r = walk(l, RULES_FORWARD, &now, p, fate);
	fate->accepted =
	    r == NULL ? l->count[RULES_FORWARD] == 0 : r->verdict != RULE_DROP;
	if (fate->accepted)
		fate->snat = walk(l, RULES_SNAT, &now, p, fate);
}

/* ---- two lists ------------------------------------------------------------------ */

static bool
net_covers(const struct ip_net *wide, const struct ip_net *narrow)
{
	return wide->bits <= narrow->bits && ip_in_net(&narrow->ip, wide);
}

static bool
same_nets(const struct net_list *a, const struct net_list *b)
{
	if (a->any != b->any || a->not != b->not || a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (a->net[i].bits != b->net[i].bits ||
		    !ip_equal(&a->net[i].ip, &b->net[i].ip))
			return false;
	}
	return true;
}

/* True if what `narrow` holds is surely in `wide`. */
static bool
nets_cover(const struct net_list *wide, const struct net_list *narrow)
{
	if (wide->any || same_nets(wide, narrow))
		return true;
	if (wide->not || narrow->not || narrow->any)
		return false;
	for (size_t i = 0; i < narrow->n; i++) {
		bool found = false;

		for (size_t j = 0; j < wide->n && !found; j++)
			found = net_covers(&wide->net[j], &narrow->net[i]);
		if (!found)
			return false;
	}
	return true;
}

static bool
ports_cover(const struct rule *wide, const struct rule *narrow)
{
	if (wide->n_ports == 0)
		return true;
	for (size_t i = 0; i < narrow->n_ports; i++) {
		bool found = false;

		for (size_t j = 0; j < wide->n_ports && !found; j++)
			found = narrow->ports[i].low >= wide->ports[j].low &&
				narrow->ports[i].high <= wide->ports[j].high;
		if (!found)
			return false;
	}
	return narrow->n_ports > 0;
}

static bool
rate_covers(const struct rate *wide, const struct rate *narrow)
{
	return wide->count == 0 ||
	       (wide->unit == narrow->unit && wide->count >= narrow->count &&
		   narrow->count > 0);
}

static bool
rule_covers(const struct rule *wide, const struct rule *narrow)
{
	return wide->verdict == RULE_ACCEPT && wide->test == narrow->test &&
	       (wide->family == 0 || wide->family == narrow->family) &&
	       (wide->proto == 0 || wide->proto == narrow->proto) &&
	       rate_covers(&wide->rate, &narrow->rate) &&
	       nets_cover(&wide->src, &narrow->src) &&
	       nets_cover(&wide->dst, &narrow->dst) && ports_cover(wide, narrow);
}

static bool
still_accepted(const struct rule *r, const struct rule_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->rule[i].chain == RULES_HOST && rule_covers(&l->rule[i], r))
			return true;
	}
	return false;
}

static bool
has_rule(const struct rule_list *l, const char *id)
{
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->rule[i].id, id) == 0)
			return true;
	}
	return false;
}

bool
rules_close(const struct rule_list *before, const struct rule_list *after)
{
	if (after->count[RULES_HOST] == 0)
		return false;
	if (before == NULL || before->count[RULES_HOST] == 0)
		return true;
	for (size_t i = 0; i < before->n; i++) {
		const struct rule *r = &before->rule[i];

		if (r->chain == RULES_HOST && r->verdict == RULE_ACCEPT &&
		    !still_accepted(r, after))
			return true;
	}
	for (size_t i = 0; i < after->n; i++) {
		const struct rule *r = &after->rule[i];

		if (r->chain == RULES_HOST &&
		    (r->verdict == RULE_DROP || r->verdict == RULE_LIMIT) &&
		    !has_rule(before, r->id))
			return true;
	}
	return false;
}

/* ---- in words ------------------------------------------------------------------- */

const char *
rule_chain_name(enum rule_chain chain)
{
	static const char *const name[] = {
	    [RULES_RAW] = "raw",
	    [RULES_DNAT] = "dnat",
	    [RULES_FORWARD] = "forward",
	    [RULES_GUARD] = "guard",
	    [RULES_HOST] = "host",
	    [RULES_SNAT] = "snat",
	};

	return name[chain];
}

static const char *
test_text(enum rule_test test)
{
	static const char *const text[RULE_TESTS] = {
	    [RULE_ESTABLISHED] = "known connections",
	    [RULE_INVALID] = "invalid packets",
	    [RULE_LOOPBACK] = "loopback",
	    [RULE_MIDSTREAM] = "unknown TCP without SYN",
	    [RULE_FORGED] = "forged sources",
	    [RULE_UNROUTED] = "unreachable sources",
	    [RULE_SYN] = "TCP SYN",
	    [RULE_HANDSHAKE] = "TCP handshakes",
	    [RULE_NEIGHBOUR] = "neighbour discovery",
	    [RULE_GROUPS] = "group membership",
	    [RULE_DHCP6] = "DHCPv6 answers",
	    [RULE_ECHO] = "ping",
	    [RULE_TO_MANY] = "broadcast and multicast",
	};

	return text[test];
}

static const char *
proto_text(uint8_t proto)
{
	static const struct {
		uint8_t proto;
		const char *name;
	} name[] = {{IPPROTO_TCP, "tcp"}, {IPPROTO_UDP, "udp"}, {IPPROTO_ICMP, "icmp"},
	    {IPPROTO_GRE, "gre"}, {IPPROTO_ESP, "esp"}, {IPPROTO_AH, "ah"},
	    {IPPROTO_SCTP, "sctp"}, {112, "vrrp"}};

	for (size_t i = 0; i < ARRAY_LEN(name); i++) {
		if (name[i].proto == proto)
			return name[i].name;
	}
	return NULL;
}

static void
describe_nets(const struct net_list *l, struct sbuf *out)
{
	char text[IP_STR_LEN];

	if (l->any) {
		sbuf_puts(out, "any");
		return;
	}
	if (l->not )
		sbuf_puts(out, "all but ");
	for (size_t i = 0; i < l->n; i++) {
		const struct ip_net *net = &l->net[i];

		sbuf_printf(out, "%s%s", i > 0 ? ", " : "", ip_format(&net->ip, text));
		if (net->bits < ip_len(&net->ip) * 8)
			sbuf_printf(out, "/%u", net->bits);
	}
}

static void
describe_nat(const struct rule *r, struct sbuf *out)
{
	char text[IP_ENDPOINT_LEN];

	if (r->verdict != RULE_TO && r->verdict != RULE_FROM)
		return;
	sbuf_printf(out, " %s %s", r->verdict == RULE_TO ? "on to" : "as",
	    r->nat.port != 0 ? ip_endpoint_format(&r->nat, text)
			     : ip_format(&r->nat.ip, text));
	if (r->via.ip.family != 0)
		sbuf_printf(out, " by %s/%u", ip_format(&r->via.ip, text), r->via.bits);
}

void
rule_describe(const struct rule *r, struct sbuf *out)
{
	const char *test = test_text(r->test), *proto = proto_text(r->proto);

	if (test != NULL)
		sbuf_printf(out, "%s ", test);
	if (proto != NULL && r->test != RULE_ECHO)
		sbuf_printf(out, "%s ", proto);
	else if (r->proto != 0 && r->test != RULE_ECHO)
		sbuf_printf(out, "protocol %u ", r->proto);
	sbuf_puts(out, "from ");
	describe_nets(&r->src, out);
	sbuf_puts(out, " to ");
	describe_nets(&r->dst, out);
	for (size_t i = 0; i < r->n_ports; i++) {
		sbuf_printf(out, "%s%u", i > 0 ? ", " : " port ", r->ports[i].low);
		if (r->ports[i].high != r->ports[i].low)
			sbuf_printf(out, "-%u", r->ports[i].high);
	}
	if (r->family == AF_INET6 && r->src.any && r->dst.any)
		sbuf_puts(out, " (IPv6)");
	else if (r->family == AF_INET && r->src.any && r->dst.any)
		sbuf_puts(out, " (IPv4)");
	describe_nat(r, out);
	if (r->translated != NULL) {
		sbuf_puts(out, ", that came to ");
		describe_nets(&r->translated->dst, out);
	}
	if (r->rate.count > 0)
		sbuf_printf(out, ", %u/%c", r->rate.count, r->rate.unit);
}
