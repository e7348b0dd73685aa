/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall/nft_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define METER_SIZE    65535 /* sources that a limit remembers */
#define METER_SECONDS 60
#define COMMENT_MAX   100 /* nft takes 128 */

/* The chains that the kernel calls. All are there, so that nothing depends on order. */
static const struct {
	const char *name, *type, *hook;
	int priority;
	bool drop; /* where no rule decides */
} base[RULES_CHAINS] = {
    [RULES_RAW] = {"raw", "filter", "prerouting", -300, false},
    [RULES_DNAT] = {"nat_to", "nat", "prerouting", -100, false},
    [RULES_FORWARD] = {"forward", "filter", "forward", 0, true},
    [RULES_GUARD] = {"guard", "filter", "input", -10, false},
    [RULES_HOST] = {"input", "filter", "input", 0, true},
    [RULES_SNAT] = {"nat_from", "nat", "postrouting", 100, false},
};

#define IN_TABLE "\"family\":\"inet\",\"table\":\"" NFT_TABLE "\""

/* The host's own rules stand in chains of their own: one can be on trial. */
#define CHAIN_NOW    "host"
#define CHAIN_BEFORE "host_before"

/* ---- matches ------------------------------------------------------------------- */

static void
sep(struct sbuf *out)
{
	if (out->len > 0 && out->p[out->len - 1] != '[')
		sbuf_puts(out, ",");
}

static void
match(struct sbuf *out, const char *op, const char *left, const char *right)
{
	sep(out);
	sbuf_printf(out, "{\"match\":{\"op\":\"%s\",\"left\":%s,\"right\":%s}}", op,
	    left, right);
}

#define PAYLOAD(proto, field) \
	"{\"payload\":{\"protocol\":\"" proto "\",\"field\":\"" field "\"}}"
#define META(key)	   "{\"meta\":{\"key\":\"" key "\"}}"
#define CT(key)		   "{\"ct\":{\"key\":\"" key "\"}}"
#define ORIGINAL(key)	   "{\"ct\":{\"key\":\"" key "\",\"dir\":\"original\"}}"
#define FIB(result, flags) "{\"fib\":{\"result\":\"" result "\",\"flags\":[" flags "]}}"
#define TCP_FLAGS \
	"{\"&\":[" PAYLOAD("tcp", "flags") ",[\"fin\",\"syn\",\"rst\",\"ack\"]]}"

static void
put_net(struct sbuf *out, const struct ip_net *net)
{
	char text[IP_STR_LEN];

	if (net->bits == ip_len(&net->ip) * 8)
		sbuf_printf(out, "\"%s\"", ip_format(&net->ip, text));
	else
		sbuf_printf(out, "{\"prefix\":{\"addr\":\"%s\",\"len\":%u}}",
		    ip_format(&net->ip, text), net->bits);
}

static void
match_nets(struct sbuf *out, const char *left, const struct net_list *l)
{
	if (l->any)
		return;
	sep(out);
	sbuf_printf(out, "{\"match\":{\"op\":\"%s\",\"left\":%s,\"right\":",
	    l->not ? "!=" : "==", left);
	if (l->n == 1) {
		put_net(out, &l->net[0]);
	} else {
		sbuf_puts(out, "{\"set\":[");
		for (size_t i = 0; i < l->n; i++) {
			sep(out);
			put_net(out, &l->net[i]);
		}
		sbuf_puts(out, "]}");
	}
	sbuf_puts(out, "}}");
}

static void
put_range(struct sbuf *out, const struct port_range *range)
{
	if (range->low == range->high)
		sbuf_printf(out, "%u", range->low);
	else
		sbuf_printf(out, "{\"range\":[%u,%u]}", range->low, range->high);
}

static void
match_ports(struct sbuf *out, const char *left, const struct rule *r)
{
	if (r->n_ports == 0)
		return;
	sep(out);
	sbuf_printf(out, "{\"match\":{\"op\":\"==\",\"left\":%s,\"right\":", left);
	if (r->n_ports == 1) {
		put_range(out, &r->ports[0]);
	} else {
		sbuf_puts(out, "{\"set\":[");
		for (size_t i = 0; i < r->n_ports; i++) {
			sep(out);
			put_range(out, &r->ports[i]);
		}
		sbuf_puts(out, "]}");
	}
	sbuf_puts(out, "}}");
}

/* What a test comes to; both families at most, in matches of `op left right`. */
static const struct {
	const char *op, *left, *right;
} tests[RULE_TESTS][3] = {
    [RULE_NEW] = {{"in", CT("state"), "\"new\""}},
    [RULE_ESTABLISHED] = {{"in", CT("state"), "[\"established\",\"related\"]"}},
    [RULE_INVALID] = {{"in", CT("state"), "\"invalid\""}},
    [RULE_LOOPBACK] = {{"==", META("iif"), "\"lo\""}},
    [RULE_MIDSTREAM] = {{"in", CT("state"), "\"new\""}, {"!=", TCP_FLAGS, "\"syn\""}},
    [RULE_FORGED] = {{"in", CT("state"), "\"new\""},
	{"==", FIB("oif", "\"saddr\",\"iif\""), "false"}},
    [RULE_UNROUTED] = {{"in", CT("state"), "\"new\""},
	{"==", FIB("oif", "\"saddr\""), "false"}},
    [RULE_SYN] = {{"==", TCP_FLAGS, "\"syn\""}},
    [RULE_HANDSHAKE] = {{"in", CT("state"), "[\"invalid\",\"untracked\"]"}},
    /* RFC 4861, 6.1 and 7.1: with a hop limit of 255, so not from elsewhere */
    [RULE_NEIGHBOUR] = {{"==", PAYLOAD("icmpv6", "type"),
			    "{\"set\":[133,134,135,136]}"},
	{"==", PAYLOAD("ip6", "hoplimit"), "255"}},
    [RULE_DHCP6] = {{"==", PAYLOAD("ip6", "saddr"),
			"{\"prefix\":{\"addr\":\"fe80::\",\"len\":10}}"},
	{"==", PAYLOAD("udp", "sport"), "547"}, {"==", PAYLOAD("udp", "dport"), "546"}},
    [RULE_TO_MANY] = {{"==", META("pkttype"),
	"{\"set\":[\"broadcast\",\"multicast\"]}"}},
};

static void
match_test(struct sbuf *out, const struct rule *r)
{
	for (size_t i = 0; i < ARRAY_LEN(tests[0]); i++) {
		if (tests[r->test][i].op != NULL)
			match(out, tests[r->test][i].op, tests[r->test][i].left,
			    tests[r->test][i].right);
	}
	if (r->test == RULE_ECHO && r->family == AF_INET6)
		match(out, "==", PAYLOAD("icmpv6", "type"), "\"echo-request\"");
	else if (r->test == RULE_ECHO)
		match(out, "==", PAYLOAD("icmp", "type"), "\"echo-request\"");
	/* RFC 2710 and 3810: listeners and their routers */
	if (r->test == RULE_GROUPS && r->family == AF_INET6)
		match(out, "==", PAYLOAD("icmpv6", "type"),
		    "{\"set\":[130,131,132,143]}");
}

/* The protocol, and with it the family where the addresses do not tell it. */
static void
match_proto(struct sbuf *out, const struct rule *r)
{
	char number[8];
	unsigned proto = r->proto;

	if (proto == IPPROTO_ICMP && r->family == AF_INET6)
		proto = IPPROTO_ICMPV6;
	if (r->test == RULE_GROUPS && r->family == AF_INET)
		proto = IPPROTO_IGMP;
	if (r->test == RULE_MIDSTREAM || r->test == RULE_SYN ||
	    r->test == RULE_HANDSHAKE)
		proto = IPPROTO_TCP;
	if (r->family != 0 && r->src.any && r->dst.any)
		match(out, "==", META("nfproto"),
		    r->family == AF_INET6 ? "\"ipv6\"" : "\"ipv4\"");
	if (proto == 0)
		return;
	(void)snprintf(number, sizeof(number), "%u", proto);
	match(out, "==", META("l4proto"), number);
}

static void
match_all(struct sbuf *out, const struct rule *r)
{
	bool v6 = r->family == AF_INET6;

	match_nets(out, v6 ? PAYLOAD("ip6", "saddr") : PAYLOAD("ip", "saddr"), &r->src);
	match_nets(out, v6 ? PAYLOAD("ip6", "daddr") : PAYLOAD("ip", "daddr"), &r->dst);
	match_proto(out, r);
	match_ports(out, PAYLOAD("th", "dport"), r);
	match_test(out, r);
	if (r->translated != NULL) {
		match(out, "in", CT("status"), "\"dnat\"");
		match_nets(out, v6 ? ORIGINAL("ip6 daddr") : ORIGINAL("ip daddr"),
		    &r->translated->dst);
		match_ports(out, ORIGINAL("proto-dst"), r->translated);
	}
	/* What this host sends itself keeps its source: the standby has no other. */
	if (r->chain == RULES_SNAT)
		match(out, "!=", FIB("type", "\"saddr\""), "\"local\"");
	if (r->via.ip.family != 0) {
		const struct net_list via = {
		    .net = (struct ip_net *)(uintptr_t)&r->via, .n = 1};

		match_nets(out,
		    v6 ? "{\"rt\":{\"key\":\"nexthop\",\"family\":\"ip6\"}}"
		       : "{\"rt\":{\"key\":\"nexthop\",\"family\":\"ip\"}}",
		    &via);
	}
}

/* ---- statements ---------------------------------------------------------------- */

static const char *
unit_name(char unit)
{
	return unit == 'h' ? "hour" : unit == 'm' ? "minute" : "second";
}

/* IPv6 sources count as networks of 64 bits, since a host has so many addresses. */
static void
put_meter(struct sbuf *out, const struct rule *r)
{
	const struct rate *rate = &r->rate;

	sep(out);
	sbuf_puts(out, "{\"set\":{\"op\":\"update\",\"elem\":");
	if (r->family == AF_INET6)
		sbuf_puts(out,
		    "{\"&\":[" PAYLOAD("ip6", "saddr") ",\"ffff:ffff:ffff:ffff::\"]}");
	else
		sbuf_puts(out, PAYLOAD("ip", "saddr"));
	sbuf_printf(out,
	    ",\"set\":\"@m_%s\",\"stmt\":[{\"limit\":{\"rate\":%u,\"burst\":%u,"
	    "\"per\":\"%s\",\"inv\":true}}]}}",
	    r->id, rate->count, rate->count, unit_name(rate->unit));
}

static void
put_limit(struct sbuf *out, const struct rate *rate)
{
	sep(out);
	sbuf_printf(out, "{\"limit\":{\"rate\":%u,\"burst\":%u,\"per\":\"%s\"}}",
	    rate->count, rate->count, unit_name(rate->unit));
}

static void
put_counter(struct sbuf *out, const struct rule *r, const struct nft_state *counts)
{
	const struct nft_count *c =
	    counts != NULL ? nft_state_count(counts, r->id) : NULL;

	sep(out);
	if (c == NULL)
		sbuf_puts(out, "{\"counter\":null}");
	else
		sbuf_printf(out,
		    "{\"counter\":{\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64 "}}",
		    c->packets, c->bytes);
}

static void
put_nat(struct sbuf *out, const struct rule *r, const char *kind)
{
	char text[IP_STR_LEN];

	sbuf_printf(out, "{\"%s\":{\"family\":\"%s\",\"addr\":\"%s\"", kind,
	    r->nat.ip.family == AF_INET6 ? "ip6" : "ip", ip_format(&r->nat.ip, text));
	if (r->nat.port != 0)
		sbuf_printf(out, ",\"port\":%u", r->nat.port);
	sbuf_puts(out, "}}");
}

static void
put_verdict(struct sbuf *out, const struct rule *r)
{
	sep(out);
	switch (r->verdict) {
	case RULE_ACCEPT:
		sbuf_puts(out, "{\"accept\":null}");
		break;
	case RULE_DROP:
	case RULE_LIMIT:
		sbuf_puts(out, "{\"drop\":null}");
		break;
	case RULE_LOG:
		sbuf_printf(out, "{\"log\":{\"prefix\":\"nines %s line %u: \"}}",
		    rule_chain_name(r->chain), r->place.line);
		break;
	case RULE_NOTRACK:
		sbuf_puts(out, "{\"notrack\":null}");
		break;
	case RULE_SYNPROXY:
		sbuf_puts(out, "{\"synproxy\":{\"mss\":1460,\"wscale\":7,\"flags\":"
			       "[\"timestamp\",\"sack-perm\"]}}");
		break;
	case RULE_TO:
		put_nat(out, r, "dnat");
		break;
	case RULE_FROM:
		put_nat(out, r, "snat");
		break;
	case RULE_MASQUERADE:
	default:
		sbuf_puts(out, "{\"masquerade\":null}");
	}
}

/* ---- the transaction ------------------------------------------------------------ */

static void
begin(struct sbuf *out, const char *kind)
{
	sep(out);
	sbuf_printf(out, "{\"add\":{\"%s\":{" IN_TABLE ",", kind);
}

static void
put_rule(struct sbuf *out, const char *chain, const struct rule *r,
    const struct nft_state *counts)
{
	char comment[COMMENT_MAX];

	(void)snprintf(comment, sizeof(comment), "%s %s", r->id, r->why);
	if (r->verdict == RULE_LIMIT) {
		begin(out, "set");
		sbuf_printf(out,
		    "\"name\":\"m_%s\",\"type\":\"%s\",\"size\":%d,\"timeout\":%d,"
		    "\"flags\":[\"timeout\"]}}}",
		    r->id, r->family == AF_INET6 ? "ipv6_addr" : "ipv4_addr",
		    METER_SIZE, METER_SECONDS);
	}
	begin(out, "rule");
	sbuf_printf(out, "\"chain\":\"%s\",\"comment\":", chain);
	sbuf_json(out, comment);
	sbuf_puts(out, ",\"expr\":[");
	match_all(out, r);
	if (r->verdict == RULE_LIMIT)
		put_meter(out, r);
	else if (r->rate.count > 0)
		put_limit(out, &r->rate);
	put_counter(out, r, counts);
	put_verdict(out, r);
	sbuf_puts(out, "]}}}");
}

static void
put_chain(struct sbuf *out, const char *name)
{
	begin(out, "chain");
	sbuf_printf(out, "\"name\":\"%s\"}}}", name);
}

static void
put_base(struct sbuf *out, enum rule_chain chain)
{
	begin(out, "chain");
	sbuf_printf(out,
	    "\"name\":\"%s\",\"type\":\"%s\",\"hook\":\"%s\",\"prio\":%d,"
	    "\"policy\":\"%s\"}}}",
	    base[chain].name, base[chain].type, base[chain].hook, base[chain].priority,
	    base[chain].drop ? "drop" : "accept");
}

static void
put_goto(struct sbuf *out, const char *when, const char *verdict)
{
	begin(out, "rule");
	sbuf_printf(out, "\"chain\":\"input\",\"expr\":[%s%s]}}}", when, verdict);
}

static void
put_rules(struct sbuf *out, const struct rule_list *l, enum rule_chain chain,
    const char *name, const struct nft_state *counts)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->rule[i].chain == chain)
			put_rule(out, name, &l->rule[i], counts);
	}
}

static void
put_mark(struct sbuf *out, const char *what, const char *digest)
{
	begin(out, "counter");
	sbuf_printf(out, "\"name\":\"%s_%s\"}}}", what, digest);
}

/* A set that holds for both families, for a time: the kernel's own clock. */
static void
put_while(struct sbuf *out, const char *name, unsigned seconds)
{
	begin(out, "set");
	sbuf_printf(out,
	    "\"name\":\"%s\",\"type\":\"nf_proto\",\"flags\":[\"timeout\"],"
	    "\"elem\":[{\"elem\":{\"val\":\"ipv4\",\"timeout\":%u}},"
	    "{\"elem\":{\"val\":\"ipv6\",\"timeout\":%u}}]}}}",
	    name, seconds, seconds);
}

#define WHILE(name)                                                                 \
	"{\"match\":{\"op\":\"==\",\"left\":" META("nfproto") ",\"right\":\"@" name \
							      "\"}},"

#define MATCH(op, left, right) \
	"{\"match\":{\"op\":\"" op "\",\"left\":" left ",\"right\":" right "}},"

/* Without SYN nothing begins; the host's own answer to what it does not know is a
 * reset. */
static void
put_grace(struct sbuf *out, unsigned seconds)
{
	put_while(out, "grace", seconds);
	put_goto(out,
	    WHILE("grace") MATCH("in", CT("state"), "\"new\"")
		MATCH("!=", TCP_FLAGS, "\"syn\""),
	    "{\"accept\":null}");
}

/* The elements of `trial` leave it when its time is over: the kernel's own clock. */
static void
put_trial(struct sbuf *out, const struct nft_load *l)
{
	bool back = l->before != NULL && l->before->count[RULES_HOST] > 0;

	put_while(out, "trial", l->trial_s);
	put_goto(out, WHILE("trial"), "{\"goto\":{\"target\":\"" CHAIN_NOW "\"}}");
	if (back) {
		put_chain(out, CHAIN_BEFORE);
		put_rules(out, l->before, RULES_HOST, CHAIN_BEFORE, l->counts);
		put_goto(out, "", "{\"goto\":{\"target\":\"" CHAIN_BEFORE "\"}}");
	} else {
		put_goto(out, "", "{\"accept\":null}");
	}
}

static void
put_host(struct sbuf *out, const struct nft_load *l)
{
	if (l->host == NULL || l->host->count[RULES_HOST] == 0)
		return;
	put_base(out, RULES_HOST);
	put_chain(out, CHAIN_NOW);
	put_rules(out, l->host, RULES_HOST, CHAIN_NOW, l->counts);
	if (l->grace_s > 0)
		put_grace(out, l->grace_s);
	if (l->trial_s > 0)
		put_trial(out, l);
	else
		put_goto(out, "", "{\"goto\":{\"target\":\"" CHAIN_NOW "\"}}");
}

/* Deleting what is not there is an error, so it is added before. */
static void
put_renewal(struct sbuf *out)
{
	static const char *const verb[] = {"add", "delete", "add"};

	for (size_t i = 0; i < ARRAY_LEN(verb); i++) {
		sep(out);
		sbuf_printf(out,
		    "{\"%s\":{\"table\":{\"family\":\"inet\",\"name\":\"" NFT_TABLE
		    "\"}}}",
		    verb[i]);
	}
}

size_t
nft_json_load(const struct nft_load *l, struct sbuf *out)
{
	size_t n = 0;

	sbuf_puts(out, "{\"nftables\":[");
	put_renewal(out);
	put_mark(out, "gen", l->digest);
	if (l->undone != NULL && l->undone[0] != '\0')
		put_mark(out, "undone", l->undone);
	for (unsigned c = 0; c < RULES_CHAINS; c++) {
		if (c == RULES_HOST || l->rules->count[c] == 0)
			continue;
		put_base(out, (enum rule_chain)c);
		put_rules(out, l->rules, (enum rule_chain)c, base[c].name, l->counts);
		n += l->rules->count[c];
	}
	put_host(out, l);
	if (l->host != NULL)
		n += l->host->count[RULES_HOST];
	if (l->trial_s > 0 && l->before != NULL)
		n += l->before->count[RULES_HOST];
	sbuf_puts(out, "]}\n");
	return n;
}

void
nft_json_off(struct sbuf *out)
{
	sbuf_puts(out, "{\"nftables\":["
		       "{\"add\":{\"table\":{\"family\":\"inet\",\"name\":\"" NFT_TABLE
		       "\"}}},{\"delete\":{\"table\":{\"family\":\"inet\",\"name\":"
		       "\"" NFT_TABLE "\"}}}]}\n");
}

void
nft_digest(const struct rule_list *rules, char out[static NFT_DIGEST_LEN])
{
	static const char hex[] = "0123456789abcdef";
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < rules->n; i++) {
		for (const char *p = rules->rule[i].id; *p != '\0'; p++)
			h = (h ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
		h = (h ^ ',') * UINT64_C(0x100000001b3);
	}
	for (size_t i = 0; i < NFT_DIGEST_LEN - 1; i++)
		out[i] = hex[(h >> (4 * i)) & 15];
	out[NFT_DIGEST_LEN - 1] = '\0';
}
