/* SPDX-License-Identifier: Apache-2.0 */
/* Rules for people and programs, and what would become of a connection. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/firewall.h"
#include "cli/verbs.h"
#include "config/units.h"

#define TEXT_MAX    ((size_t)4 << 20)
#define RULES_BYTES ((size_t)1 << 30)

/* ---- show ----------------------------------------------------------------------- */

static const char *
verdict_text(enum rule_verdict v)
{
	static const char *const text[] = {
	    [RULE_ACCEPT] = "accept",
	    [RULE_DROP] = "drop",
	    [RULE_LOG] = "log",
	    [RULE_LIMIT] = "limit",
	    [RULE_NOTRACK] = "notrack",
	    [RULE_SYNPROXY] = "synproxy",
	    [RULE_TO] = "pass",
	    [RULE_FROM] = "come",
	    [RULE_MASQUERADE] = "come as the interface's address",
	};

	return text[v];
}

static const char *
chain_text(enum rule_chain chain)
{
	static const char *const text[] = {
	    [RULES_RAW] = "Before connections are followed",
	    [RULES_DNAT] = "New destinations",
	    [RULES_FORWARD] = "Through this host; nothing else passes",
	    [RULES_GUARD] = "To addresses that stand for others",
	    [RULES_HOST] = "To this host; nothing else is accepted",
	    [RULES_SNAT] = "New sources",
	};

	return text[chain];
}

static void
print_rule(const struct rule *r, const struct nft_state *state)
{
	const struct nft_count *n = nft_state_count(state, r->id);
	char line[16] = "";
	struct sbuf text;

	sbuf_init(&text, TEXT_MAX);
	rule_describe(r, &text);
	if (r->place.line > 0)
		(void)snprintf(line, sizeof(line), "%u", r->place.line);
	(void)printf(
	    "%6s  %-8s %s\n", line, verdict_text(r->verdict), sbuf_text(&text));
	(void)printf("%6s  %-8s   %s", "", "", r->why);
	if (n != NULL)
		(void)printf(
		    "  [%" PRIu64 " packets, %" PRIu64 " bytes]", n->packets, n->bytes);
	(void)printf("\n");
	sbuf_done(&text);
}

void
firewall_show(const struct cluster *c, const struct host *host,
    const struct rule_list *l, const struct nft_state *state)
{
	(void)c;
	if (l->n == 0)
		(void)printf("%s filters nothing: the file has neither host_firewall "
			     "nor a firewall with it\n",
		    host->name);
	for (unsigned chain = 0; chain < RULES_CHAINS; chain++) {
		if (l->count[chain] == 0)
			continue;
		(void)printf("%s\n  line  what\n", chain_text((enum rule_chain)chain));
		for (size_t i = 0; i < l->n; i++) {
			if (l->rule[i].chain == chain)
				print_rule(&l->rule[i], state);
		}
		(void)printf("\n");
	}
	if (state->present && state->trial)
		(void)printf("On trial, %u s left: `nines firewall confirm` keeps "
			     "these rules, else those before return.\n",
		    state->trial_s);
}

static void
rule_json(const struct rule *r, const struct nft_state *state, struct sbuf *out)
{
	const struct nft_count *n = nft_state_count(state, r->id);
	struct sbuf text;

	sbuf_init(&text, TEXT_MAX);
	rule_describe(r, &text);
	sbuf_printf(out,
	    "{\"id\":\"%s\",\"chain\":\"%s\",\"verdict\":\"%s\",\"what\":", r->id,
	    rule_chain_name(r->chain), verdict_text(r->verdict));
	sbuf_json(out, sbuf_text(&text));
	sbuf_puts(out, ",\"why\":");
	sbuf_json(out, r->why);
	sbuf_printf(out, ",\"line\":%u", r->place.line);
	if (n != NULL)
		sbuf_printf(out, ",\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64,
		    n->packets, n->bytes);
	sbuf_puts(out, "}");
	sbuf_done(&text);
}

void
firewall_show_json(const struct cluster *c, const struct host *host,
    const struct rule_list *l, const struct nft_state *state)
{
	struct sbuf out;

	(void)c;
	sbuf_init(&out, NFT_JSON_MAX);
	sbuf_puts(&out, "{\"host\":");
	sbuf_json(&out, host->name);
	sbuf_printf(&out, ",\"loaded\":%s,\"trial\":%s,\"trial_s\":%u,\"rules\":[",
	    state->present ? "true" : "false", state->trial ? "true" : "false",
	    state->trial_s);
	for (size_t i = 0; i < l->n; i++) {
		sbuf_puts(&out, i > 0 ? "," : "");
		rule_json(&l->rule[i], state, &out);
	}
	sbuf_puts(&out, "]}\n");
	(void)fputs(sbuf_text(&out), stdout);
	sbuf_done(&out);
}

/* ---- test ------------------------------------------------------------------------ */

struct question {
	const struct cluster *c;
	const char *from, *to;
	struct packet p;
};

/* An address of what `name` is, of `family` if there is one; false: there is none. */
static bool
address_of(const struct cluster *c, const char *name, uint8_t family, struct ip *ip)
{
	const struct floating_ip *f = cluster_floating_ip(c, name);
	const struct service *s = cluster_service(c, name);
	const struct host *h = cluster_host(c, name);

	if (ip_parse(ip, name) == 0)
		return true;
	for (size_t i = 0; f != NULL && i < f->n_addresses; i++) {
		if (family == 0 || f->address[i].family == family) {
			*ip = f->address[i];
			return true;
		}
	}
	for (size_t i = 0; h != NULL && i < h->n_addresses; i++) {
		const struct host_address *a = &h->address[i];

		if (!a->network->dedicated && (family == 0 || a->ip.family == family)) {
			*ip = a->ip;
			return true;
		}
	}
	if (s != NULL && s->n_listen > 0) {
		*ip = s->listen[0].at.ip;
		return true;
	}
	for (size_t i = 0; i < c->n_networks; i++) {
		if (strcmp(c->network[i].name, name) != 0)
			continue;
		*ip = c->network[i].subnet.ip; /* some host there: the last but one */
		ip->byte[ip_len(ip) - 1] |= 0xfe;
		return ip_in_net(ip, &c->network[i].subnet);
	}
	for (size_t i = 0; i < c->n_vpns; i++) {
		if (strcmp(c->vpn[i].name, name) != 0)
			continue;
		*ip = c->vpn[i].subnet.ip; /* some client */
		ip->byte[ip_len(ip) - 1] |= 2;
		return true;
	}
	return false;
}

/* Both ends, of one family where there is a choice; false: said why not. */
static bool
resolve(const struct cluster *c, const char *from, const char *to, struct packet *p)
{
	char src[IP_STR_LEN], dst[IP_STR_LEN];
	const char *unknown = NULL;

	if (!address_of(c, from, 0, &p->src))
		unknown = from;
	else if (!address_of(c, to, p->src.family, &p->dst) &&
		 (!address_of(c, to, 0, &p->dst) ||
		     !address_of(c, from, p->dst.family, &p->src)))
		unknown = to;
	if (unknown != NULL)
		(void)fprintf(stderr,
		    "nines firewall: \"%s\" is neither an address nor a network, host, "
		    "floating IP, service or VPN with one in the file\n",
		    unknown);
	else if (p->src.family != p->dst.family)
		(void)fprintf(stderr,
		    "nines firewall: %s and %s cannot talk, one is IPv6 and one is "
		    "not; "
		    "say two addresses of one kind\n",
		    ip_format(&p->src, src), ip_format(&p->dst, dst));
	return unknown == NULL && p->src.family == p->dst.family;
}

/* "80", "53/udp", "icmp" */
static bool
parse_port(const char *text, struct packet *p)
{
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	char number[8] = "";
	int64_t n;

	if (strcmp(text, "icmp") == 0 || strcmp(text, "ping") == 0) {
		p->echo = true;
		p->proto = p->dst.family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
		return true;
	}
	if (slash != NULL && strcmp(slash, "/udp") != 0 && strcmp(slash, "/tcp") != 0)
		return false;
	if (len < sizeof(number))
		memcpy(number, text, len);
	if (count_parse(&n, number) != 0 || n < 1 || n > 65535)
		return false;
	p->proto =
	    slash != NULL && strcmp(slash, "/udp") == 0 ? IPPROTO_UDP : IPPROTO_TCP;
	p->port = (uint16_t)n;
	return true;
}

static void
print_reason(const struct rule *r)
{
	if (r == NULL) {
		(void)printf("no rule decides\n");
		return;
	}
	(void)printf("%s", r->why);
	if (r->place.line > 0)
		(void)printf(" (line %u)", r->place.line);
	(void)printf("\n");
}

static bool
say(const struct host *h, const struct packet_fate *fate, const char *what)
{
	char text[IP_ENDPOINT_LEN];

	(void)printf("%s: %s%s: ", h->name, fate->accepted ? "" : "not ", what);
	print_reason(fate->rule);
	if (fate->dnat != NULL) {
		(void)printf("    passed on to %s: ",
		    fate->dnat->nat.port != 0
			? ip_endpoint_format(&fate->dnat->nat, text)
			: ip_format(&fate->dnat->nat.ip, text));
		print_reason(fate->dnat);
	}
	if (fate->snat != NULL)
		(void)printf("    comes from %s then\n",
		    fate->snat->verdict == RULE_FROM
			? ip_format(&fate->snat->nat.ip, text)
			: "the interface's address");
	if (fate->limit != NULL)
		(void)printf("    as long as its source opens no more than %u/%c\n",
		    fate->limit->rate.count, fate->limit->rate.unit);
	return fate->accepted;
}

static bool
has(const struct cluster *c, const struct host *h, const struct ip *ip)
{
	for (size_t i = 0; i < h->n_addresses; i++) {
		if (ip_equal(&h->address[i].ip, ip))
			return true;
	}
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		const struct floating_ip *f = &c->floating_ip[i];

		for (size_t j = 0; j < f->n_addresses; j++) {
			if (ip_equal(&f->address[j], ip))
				return floating_ip_rank(f, h) >= 0;
		}
	}
	return false;
}

static const struct network *
network_of(const struct cluster *c, const struct ip *ip)
{
	for (size_t i = 0; i < c->n_networks; i++) {
		if (ip_in_net(ip, &c->network[i].subnet))
			return &c->network[i];
	}
	return NULL;
}

/* Whether the way leads through the firewall: from one network to another, or to an
 * address that the firewall translates. */
static bool
crosses(const struct cluster *c, const struct packet *p, const struct rule_list *l)
{
	const struct network *a = network_of(c, &p->src), *b = network_of(c, &p->dst);
	struct packet_fate fate;

	rules_eval(l, p, true, &fate);
	if (fate.dnat != NULL)
		return true;
	if (has(c, c->firewall.host[0], &p->dst) ||
	    has(c, c->firewall.host[0], &p->src))
		return false;
	return a != b || a == NULL;
}

static bool
ask(const struct cluster *c, const struct host *h, struct packet *p, bool forward,
    bool *asked)
{
	struct arena *a = arena_new(RULES_BYTES);
	struct packet_fate fate;
	struct rule_list l;
	bool ok = true;

	if (a == NULL || rules_build(c, h, a, &l) != 0) {
		arena_free(a);
		(void)fprintf(stderr, "nines firewall: out of memory\n");
		return false;
	}
	if (forward ? crosses(c, p, &l)
		    : l.count[RULES_HOST] + l.count[RULES_GUARD] > 0) {
		rules_eval(&l, p, forward, &fate);
		ok = say(h, &fate, forward ? "let through" : "accepted");
		*asked = true;
		if (fate.dnat != NULL) {
			p->dst = fate.dnat->nat.ip;
			if (fate.dnat->nat.port != 0)
				p->port = fate.dnat->nat.port;
		}
	}
	arena_free(a);
	return ok;
}

int
firewall_test(
    const struct cluster *c, const char *from, const char *to, const char *port)
{
	struct packet p = {.port = 0};
	bool ok = true, asked = false;

	if (!resolve(c, from, to, &p))
		return EXIT_USAGE;
	if (!parse_port(port, &p)) {
		(void)fprintf(
		    stderr, "nines firewall: PORT is such as 443, 53/udp or icmp\n");
		return EXIT_USAGE;
	}
	if (c->firewall.n_hosts > 0)
		ok = ask(c, c->firewall.host[0], &p, true, &asked);
	for (size_t i = 0; i < c->n_hosts && ok; i++) {
		if (has(c, &c->host[i], &p.dst))
			ok = ask(c, &c->host[i], &p, false, &asked);
	}
	if (!asked)
		(void)printf("nothing in this file filters it\n");
	return ok ? EXIT_SUCCESS : EXIT_NEGATIVE;
}
