/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firewall_rule.c - one row of `allow` or `deny`: who, what for, and what else.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/firewall_parts.h"
#include "config/sections.h"
#include "config/units.h"

#define RATE_MAX   1000000
#define PEERS_MAX  1000
#define RANGES_MAX 1000

/* ---- from, to ------------------------------------------------------------------ */

static const enum name_space space_of[] = {
    [PEER_NETWORK] = NAME_NETWORK,
    [PEER_HOST] = NAME_HOST,
    [PEER_FLOATING_IP] = NAME_FLOATING_IP,
    [PEER_SERVICE] = NAME_SERVICE,
    [PEER_VPN] = NAME_VPN,
};

static void
report_unknown_peer(struct reader *r, const struct yaml *node)
{
	struct diag *d = reader_error(r, node, "unknown-peer",
	    "no network, host, floating IP, service or VPN named \"%.64s\"",
	    node->text);
	const char *near = NULL, *other;

	for (unsigned k = PEER_NETWORK; k <= PEER_VPN; k++) {
		other = names_nearest(&r->names[space_of[k]], node->text);
		if (other != NULL)
			near = name_nearer(node->text, near, other);
	}
	if (near != NULL)
		diag_hint(d, "did you mean \"%s\"?", near);
	else
		diag_hint(d, "a name of this file, any, or a prefix such as "
			     "192.0.2.0/24");
}

/* The one thing of that name. Two of them would leave open which is meant. */
static bool
named_peer(struct reader *r, const struct yaml *node, struct peer *p)
{
	const char *first = NULL;
	const void *thing;

	for (unsigned k = PEER_NETWORK; k <= PEER_VPN; k++) {
		thing = names_get(&r->names[space_of[k]], node->text);
		if (thing == NULL)
			continue;
		if (first != NULL) {
			diag_hint(reader_error(r, node, "ambiguous-name",
				      "\"%s\" is the name of a %s and of a %s",
				      node->text, first, name_space_what(space_of[k])),
			    "rename one of them");
			return false;
		}
		first = name_space_what(space_of[k]);
		p->kind = (enum peer_kind)k;
		memcpy(&p->network, &thing, sizeof(thing));
	}
	if (first == NULL)
		report_unknown_peer(r, node);
	return first != NULL;
}

static bool
read_peer(struct reader *r, const struct yaml *node, struct peer *p)
{
	int err;

	*p = (struct peer){.kind = PEER_NET};
	if (!want_scalar(r, node, "a name, an address, a prefix or any"))
		return false;
	p->text = arena_strndup(r->arena, node->text, strlen(node->text));
	if (strcmp(node->text, "any") == 0) {
		p->kind = PEER_ANY;
		return true;
	}
	err = reader_prefix(r, node, &p->net);
	return err == -ENOENT ? named_peer(r, node, p) : err == 0;
}

void
firewall_read_peers(struct reader *r, const struct yaml *node, struct peers *out)
{
	size_t n;
	const struct yaml *item = yaml_items(node, &n);
	struct peer *peer;

	*out = (struct peers){.n = 0};
	if (n == 0 || n > PEERS_MAX || node->kind == YAML_EMPTY) {
		(void)reader_error(
		    r, node, "out-of-range", "one to %d names stand here", PEERS_MAX);
		return;
	}
	peer = arena_array(r->arena, n, sizeof(*peer));
	if (peer == NULL)
		return;
	for (size_t i = 0; i < n; i++, item = item->next)
		out->n += read_peer(r, item, &peer[out->n]);
	out->peer = peer;
}

void
firewall_write_peers(const struct peers *p, struct sbuf *out)
{
	if (p->n > 1)
		sbuf_puts(out, "[");
	for (size_t i = 0; i < p->n; i++) {
		sbuf_puts(out, i > 0 ? ", " : "");
		write_text(out, p->peer[i].text);
	}
	if (p->n > 1)
		sbuf_puts(out, "]");
}

static void
read_from(struct reader *r, const struct yaml *node, void *base)
{
	firewall_read_peers(r, node, &((struct firewall_rule *)base)->from);
}

static void
write_from(const void *base, struct sbuf *out)
{
	firewall_write_peers(&((const struct firewall_rule *)base)->from, out);
}

static const struct form from_form = {
    .read = read_from,
    .write = write_from,
    .schema = FIREWALL_PEERS_SCHEMA,
    .syntax = FIREWALL_PEERS_SYNTAX,
};

static void
read_to(struct reader *r, const struct yaml *node, void *base)
{
	firewall_read_peers(r, node, &((struct firewall_rule *)base)->to);
}

static void
write_to(const void *base, struct sbuf *out)
{
	firewall_write_peers(&((const struct firewall_rule *)base)->to, out);
}

static const struct form to_form = {
    .read = read_to,
    .write = write_to,
    .schema = FIREWALL_PEERS_SCHEMA,
    .syntax = FIREWALL_PEERS_SYNTAX,
};

/* ---- ports --------------------------------------------------------------------- */

/* "80", "8000-8100", "53/udp" */
static bool
parse_range(const char *s, struct port_range *range)
{
	const char *slash = strchr(s, '/'), *dash = strchr(s, '-');
	size_t len = slash != NULL ? (size_t)(slash - s) : strlen(s), low = len;
	char text[2][8] = {"", ""};
	int64_t n[2];

	range->proto = IPPROTO_TCP;
	if (slash != NULL && strcmp(slash, "/udp") == 0)
		range->proto = IPPROTO_UDP;
	else if (slash != NULL && strcmp(slash, "/tcp") != 0)
		return false;
	if (dash != NULL && dash < s + len)
		low = (size_t)(dash - s);
	if (low >= sizeof(text[0]) || len - low > sizeof(text[1]))
		return false;
	memcpy(text[0], s, low);
	if (low < len)
		memcpy(text[1], s + low + 1, len - low - 1);
	else
		memcpy(text[1], s, low);
	for (size_t i = 0; i < 2; i++) {
		if (count_parse(&n[i], text[i]) != 0 || n[i] < 1 || n[i] > 65535)
			return false;
	}
	range->low = (uint16_t)n[0];
	range->high = (uint16_t)n[1];
	return n[0] <= n[1];
}

void
firewall_read_ports(struct reader *r, const struct yaml *node, struct port_ranges *out)
{
	size_t n;
	const struct yaml *item = yaml_items(node, &n);
	struct port_range *range;

	*out = (struct port_ranges){.n = 0};
	if (n == 0 || n > RANGES_MAX || node->kind == YAML_EMPTY) {
		(void)reader_error(
		    r, node, "out-of-range", "one to %d ports stand here", RANGES_MAX);
		return;
	}
	range = arena_array(r->arena, n, sizeof(*range));
	if (range == NULL)
		return;
	for (size_t i = 0; i < n; i++, item = item->next) {
		if (!want_scalar(r, item, "a port"))
			continue;
		if (parse_range(item->text, &range[out->n]))
			out->n++;
		else
			diag_hint(reader_error(r, item, "bad-port",
				      "\"%.32s\" is neither a port nor a range of them",
				      item->text),
			    "such as 443, 8000-8100 or 53/udp");
	}
	out->range = range;
}

void
firewall_write_ports(const struct port_ranges *p, struct sbuf *out)
{
	if (p->n > 1)
		sbuf_puts(out, "[");
	for (size_t i = 0; i < p->n; i++) {
		const struct port_range *range = &p->range[i];

		sbuf_printf(out, "%s%u", i > 0 ? ", " : "", range->low);
		if (range->high != range->low)
			sbuf_printf(out, "-%u", range->high);
		if (range->proto == IPPROTO_UDP)
			sbuf_puts(out, "/udp");
	}
	if (p->n > 1)
		sbuf_puts(out, "]");
}

static void
read_ports(struct reader *r, const struct yaml *node, void *base)
{
	firewall_read_ports(r, node, &((struct firewall_rule *)base)->ports);
}

static void
write_ports(const void *base, struct sbuf *out)
{
	firewall_write_ports(&((const struct firewall_rule *)base)->ports, out);
}

static const struct form ports_form = {
    .read = read_ports,
    .write = write_ports,
    .schema = "{\"$ref\":\"#/$defs/texts\"}",
    .syntax = FIREWALL_PORTS_SYNTAX,
};

static const struct word proto_word[] = {
    {"any", 0, "every protocol"},
    {"tcp", IPPROTO_TCP, "TCP, all ports"},
    {"udp", IPPROTO_UDP, "UDP, all ports"},
    {"icmp", IPPROTO_ICMP, "ICMP and ICMPv6"},
    {"gre", IPPROTO_GRE, "GRE"},
    {"esp", IPPROTO_ESP, "IPsec ESP"},
    {"ah", IPPROTO_AH, "IPsec AH"},
    {"sctp", IPPROTO_SCTP, "SCTP"},
    {0},
};

/* ---- log, limit ---------------------------------------------------------------- */

void
firewall_read_rate(struct reader *r, const struct yaml *node, struct rate *out)
{
	const char *slash;
	char text[16] = "";
	int64_t n = 0;
	size_t len;

	*out = (struct rate){.count = 0};
	if (!want_scalar(r, node, "a rate such as 10/s") ||
	    strcmp(node->text, "off") == 0)
		return;
	slash = strchr(node->text, '/');
	len = slash != NULL ? (size_t)(slash - node->text) : 0;
	if (len > 0 && len < sizeof(text))
		memcpy(text, node->text, len);
	if (slash == NULL || count_parse(&n, text) != 0 || n < 1 || n > RATE_MAX ||
	    strlen(slash) != 2 || strchr("smh", slash[1]) == NULL) {
		diag_hint(reader_error(
			      r, node, "bad-rate", "\"%.32s\" is no rate", node->text),
		    "such as 10/s, 100/m or 1000/h, at most %d; or off", RATE_MAX);
		return;
	}
	*out = (struct rate){.count = (unsigned)n, .unit = slash[1]};
}

void
firewall_write_rate(const struct rate *rate, struct sbuf *out)
{
	if (rate->count > 0)
		sbuf_printf(out, "%u/%c", rate->count, rate->unit);
	else
		sbuf_puts(out, "off");
}

static void
read_log(struct reader *r, const struct yaml *node, void *base)
{
	firewall_read_rate(r, node, &((struct firewall_rule *)base)->log);
}

static void
write_log(const void *base, struct sbuf *out)
{
	firewall_write_rate(&((const struct firewall_rule *)base)->log, out);
}

static void
read_limit(struct reader *r, const struct yaml *node, void *base)
{
	firewall_read_rate(r, node, &((struct firewall_rule *)base)->limit);
}

static void
write_limit(const void *base, struct sbuf *out)
{
	firewall_write_rate(&((const struct firewall_rule *)base)->limit, out);
}

static const struct form log_form = {
    .read = read_log,
    .write = write_log,
    .schema = FIREWALL_RATE_SCHEMA,
    .syntax = "N/s, N/m, N/h or off",
};

static const struct form limit_form = {
    .read = read_limit,
    .write = write_limit,
    .schema = FIREWALL_RATE_SCHEMA,
    .syntax = "N/s, N/m, N/h or off",
};

/* ---- nat ----------------------------------------------------------------------- */

/* ADDRESS, ADDRESS:PORT, [ADDRESS]:PORT, HOST or HOST:PORT */
static void
read_nat_to(struct reader *r, const struct yaml *node, struct nat_conf *nat)
{
	char name[CLUSTER_NAME_MAX + 1];
	const char *colon = strrchr(node->text, ':');
	size_t len = colon != NULL ? (size_t)(colon - node->text) : strlen(node->text);
	const struct host *h;
	int64_t port = 0;

	if (ip_endpoint_parse(&nat->to, node->text) == 0)
		return;
	nat->to = (struct ip_endpoint){.port = 0};
	if (ip_parse(&nat->to.ip, node->text) == 0)
		return;
	if (len > CLUSTER_NAME_MAX)
		len = CLUSTER_NAME_MAX;
	memcpy(name, node->text, len);
	name[len] = '\0';
	h = names_get(&r->names[NAME_HOST], name);
	if (h == NULL) {
		suggest(r,
		    reader_error(r, node, "unknown-host",
			"\"%s\" is neither a host nor an address", name),
		    NAME_HOST, name);
		return;
	}
	if (colon != NULL &&
	    (count_parse(&port, colon + 1) != 0 || port < 1 || port > 65535)) {
		(void)reader_error(r, node, "bad-port",
		    "\"%.16s\" is not a port, 1 to 65535", colon + 1);
		return;
	}
	nat->to.port = (uint16_t)port;
	for (size_t i = 0; i < h->n_addresses; i++) {
		const struct host_address *a = &h->address[i];

		if (a->network != NULL && !a->network->dedicated) {
			nat->to.ip = a->ip;
			break;
		}
	}
}

static void
read_nat_map(struct reader *r, const struct yaml *node, struct nat_conf *nat)
{
	const struct yaml *to = yaml_get(node, "to"), *from = yaml_get(node, "from");
	const struct yaml *one = to != NULL ? to : from;
	const struct floating_ip *f;

	if (one == NULL || node->n != 1) {
		diag_hint(reader_error(r, node, "bad-nat", "not a translation"),
		    "nat: masquerade, nat: {from: FLOATING-IP} or nat: {to: "
		    "HOST:PORT}");
		return;
	}
	if (!want_scalar(r, one, "a name or an address"))
		return;
	if (to != NULL) {
		nat->kind = NAT_TO;
		nat->text = arena_strndup(r->arena, to->text, strlen(to->text));
		read_nat_to(r, to, nat);
		return;
	}
	nat->kind = NAT_FROM;
	f = names_get(&r->names[NAME_FLOATING_IP], from->text);
	nat->from = f;
	if (f == NULL)
		suggest(r,
		    reader_error(r, from, "unknown-floating-ip",
			"no floating IP named \"%.64s\"", from->text),
		    NAME_FLOATING_IP, from->text);
}

static void
read_nat(struct reader *r, const struct yaml *node, void *base)
{
	struct nat_conf *nat = &((struct firewall_rule *)base)->nat;

	*nat = (struct nat_conf){.kind = NAT_NONE};
	if (node->kind == YAML_MAP) {
		read_nat_map(r, node, nat);
		return;
	}
	if (!want_scalar(r, node, "masquerade, or a mapping"))
		return;
	if (strcmp(node->text, "masquerade") == 0)
		nat->kind = NAT_MASQUERADE;
	else
		diag_hint(reader_error(r, node, "bad-nat",
			      "\"%.32s\" is not a translation", node->text),
		    "nat: masquerade, nat: {from: FLOATING-IP} or nat: {to: "
		    "HOST:PORT}");
}

static void
write_nat(const void *base, struct sbuf *out)
{
	const struct nat_conf *nat = &((const struct firewall_rule *)base)->nat;

	if (nat->kind == NAT_MASQUERADE) {
		sbuf_puts(out, "masquerade");
	} else if (nat->kind == NAT_FROM) {
		sbuf_printf(out, "{from: %s}", nat->from->name);
	} else if (nat->kind == NAT_TO) {
		sbuf_puts(out, "{to: ");
		write_text(out, nat->text);
		sbuf_puts(out, "}");
	}
}

static const struct form nat_form = {
    .read = read_nat,
    .write = write_nat,
    .schema = "{\"anyOf\":[{\"const\":\"masquerade\"},{\"type\":\"object\","
	      "\"additionalProperties\":false,\"properties\":{\"to\":{\"type\":"
	      "\"string\"},\"from\":{\"$ref\":\"#/$defs/name\"}},"
	      "\"minProperties\":1,\"maxProperties\":1}]}",
    .syntax = "masquerade, {from: FLOATING-IP} or {to: HOST:PORT}",
};

/* ---- the row ------------------------------------------------------------------- */

#define PEER_KEY(key, how, must, text)                               \
	{                                                            \
		.name = (key), .kind = VALUE_FORM, .required = must, \
		.form = &how##_form, .doc = (text),                  \
	}

#define PORT_KEYS                                                                     \
	{                                                                             \
	    .name = "ports",                                                          \
	    .kind = VALUE_FORM,                                                       \
	    .form = &ports_form,                                                      \
	    .doc = "Ports of the destination; TCP unless said. A service in `to` "    \
		   "brings its own.",                                                 \
	},                                                                            \
	    {                                                                         \
		.name = "proto",                                                      \
		.kind = VALUE_WORD,                                                   \
		FIELD(struct firewall_rule, proto),                                   \
		.preset = "any",                                                      \
		.words = proto_word,                                                  \
		.doc = "The protocol, where no port narrows it.",                     \
	    },                                                                        \
	    {                                                                         \
		.name = "log",                                                        \
		.kind = VALUE_FORM,                                                   \
		.preset = "off",                                                      \
		.form = &log_form,                                                    \
		.doc = "Log new connections of this row, at most so many.",           \
	    },                                                                        \
	{                                                                             \
		.name = "limit", .kind = VALUE_FORM, .preset = "off",                 \
		.form = &limit_form,                                                  \
		.doc = "New connections that one source may open; more are dropped.", \
	}

static const struct key firewall_rule_key[] = {
    PEER_KEY("from", from, true, "Who opens the connections."),
    PEER_KEY("to", to, true, "Whom they go to."),
    PORT_KEYS,
    {
	.name = "nat",
	.kind = VALUE_FORM,
	.form = &nat_form,
	.doc = "`masquerade`: to the outside they come from the firewall's floating "
	       "IP. `from`: from this one. `to`: they are passed on to that host.",
    },
    {
	.name = "synproxy",
	.kind = VALUE_FLAG,
	FIELD(struct firewall_rule, synproxy),
	.preset = "false",
	.doc = "The firewall answers TCP handshakes first, so that a flood of forged "
	       "ones reaches nobody.",
    },
};

static const struct key host_rule_key[] = {
    PEER_KEY("from", from, true, "Who opens the connections."),
    PEER_KEY("to", to, false, "The hosts they go to; every host unless said."),
    PORT_KEYS,
};

static bool
has_service(const struct peers *p)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->peer[i].kind == PEER_SERVICE)
			return true;
	}
	return false;
}

static void
conflict(struct reader *r, const struct yaml *node, const char *key, const char *why)
{
	const struct yaml *value = yaml_get(node, key);

	if (value != NULL)
		(void)reader_error(
		    r, value->key, "key-conflict", "\"%s\" %s", key, why);
}

static bool
only_tcp(const struct firewall_rule *rule)
{
	if (rule->ports.n == 0)
		return has_service(&rule->to) || rule->proto == IPPROTO_TCP;
	for (size_t i = 0; i < rule->ports.n; i++) {
		if (rule->ports.range[i].proto != IPPROTO_TCP)
			return false;
	}
	return true;
}

/* A port of its own for all of several ports could not be told apart. */
static void
check_forward(
    struct reader *r, const struct yaml *node, const struct firewall_rule *rule)
{
	const struct yaml *nat = yaml_get(node, "nat"), *to = yaml_get(node, "to");

	if (rule->nat.kind != NAT_TO)
		return;
	if (rule->nat.to.port != 0 &&
	    (rule->ports.n != 1 ||
		rule->ports.range[0].low != rule->ports.range[0].high))
		diag_hint(reader_error(r, nat, "bad-nat",
			      "a new port needs one port in \"ports\""),
		    "one row for each port");
	for (size_t i = 0; i < rule->to.n && to != NULL; i++) {
		const struct peer *p = &rule->to.peer[i];

		if (p->kind == PEER_FLOATING_IP || p->kind == PEER_NET)
			continue;
		diag_hint(reader_error(r, to, "bad-nat",
			      "what is passed on comes to a floating IP or an address, "
			      "not to \"%s\"",
			      p->text),
		    "one of the firewall's floating IPs");
	}
}

static void
finish_rule(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	const struct firewall_rule *rule = base;

	(void)given;
	if (rule->ports.n > 0 && rule->proto != 0)
		conflict(r, node, "proto", "makes no sense beside \"ports\"");
	if (rule->ports.n > 0 && has_service(&rule->to))
		conflict(r, node, "ports", "makes no sense: the service has ports");
	if (rule->synproxy && !only_tcp(rule))
		conflict(r, node, "synproxy", "is for TCP only");
	if (rule->synproxy && rule->nat.kind == NAT_TO)
		conflict(r, node, "synproxy", "cannot be had beside nat: {to: ...}");
	check_forward(r, node, rule);
}

const struct section firewall_rule_section = {
    .what = "firewall rule",
    .doc = "A row is about new connections; their answers, and errors about them, "
	   "always pass.",
    KEYS(firewall_rule_key),
    .finish = finish_rule,
};

const struct section host_rule_section = {
    .what = "firewall rule",
    .doc = "What hosts accept beside what this file implies.",
    KEYS(host_rule_key),
    .finish = finish_rule,
};
