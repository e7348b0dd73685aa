/* SPDX-License-Identifier: Apache-2.0 */
/*
 * section_gateway.c - `gateways`: several routers between two sides, all at work.
 */
#include <string.h>

#include "base/mono.h"
#include "config/host_list.h"
#include "config/reader.h"
#include "config/sections.h"

#define HOSTS_MAX    GATEWAY_HOPS_MAX /* each is a next hop of the hosts behind */
#define NETWORKS_MAX 16		      /* of one side */
#define MISSING_MAX  4096	      /* bytes of their names in a warning */

/* ---- hosts, for ---------------------------------------------------------------- */

static const struct hosts_rule hosts_rule = {
    .count = offsetof(struct gateways, n_hosts),
    .max = HOSTS_MAX,
    .one_to = "there are",
    .what = "gateways",
    .lonely = "what it carries stops when it is off",
};

static const struct hosts_rule clients_rule = {
    .count = offsetof(struct gateways, n_clients),
    .max = 65535,
    .one_to = "gateways serve",
    .what = "hosts",
};

/* Not a kind by itself: an empty list says something, none stands for another. */
static const struct key clients = {HOSTS_FIELD(struct gateways, client, &clients_rule)};

static void
read_for(struct reader *r, const struct yaml *node, void *base)
{
	struct gateways *g = base;

	host_list_read(r, &clients, node, g);
	g->clients_given = true;
}

static void
write_for(const void *base, struct sbuf *out)
{
	const struct gateways *g = base;

	host_list_write(&clients, g, out);
	if (g->clients_given && g->n_clients == 0)
		sbuf_puts(out, "[]");
}

static void
derive_for(const void *base, struct sbuf *out)
{
	const struct gateways *g = base;

	if (!g->clients_given)
		host_list_write(&clients, g, out);
}

static const struct form for_form = {
    .read = read_for,
    .write = write_for,
    .schema = "{\"anyOf\":[{\"$ref\":\"#/$defs/names\"},"
	      "{\"type\":\"array\",\"maxItems\":0}]}",
    .syntax = "[HOST, ...]",
};

/* ---- between ------------------------------------------------------------------- */

static void
read_side(struct reader *r, const struct yaml *node, struct gateway_side *side,
    const struct gateway_side *other)
{
	size_t n;
	const struct yaml *item = yaml_items(node, &n);
	const struct network **list = arena_array(r->arena, n, sizeof(*list)), *net;
	bool twice;

	side->network = list;
	if (n == 0 || n > NETWORKS_MAX)
		(void)reader_error(r, node, "out-of-range",
		    "a side has 1 to %d networks", NETWORKS_MAX);
	for (size_t i = 0; i < n && i < NETWORKS_MAX && list != NULL;
	     i++, item = item->next) {
		net = look_up(r, item, NAME_NETWORK);
		twice = false;
		for (size_t k = 0; k < side->n + other->n; k++)
			twice |= net ==
				 (k < side->n ? list[k] : other->network[k - side->n]);
		if (net != NULL && twice)
			(void)reader_error(r, item, "duplicate-network",
			    "network \"%s\" is listed twice", net->name);
		else if (net != NULL)
			list[side->n++] = net;
	}
}

static void
read_between(struct reader *r, const struct yaml *node, void *base)
{
	static const struct gateway_side none = {.n = 0};
	struct gateways *g = base;

	if (node->kind != YAML_LIST || node->n != 2) {
		diag_hint(reader_error(r, node, "wrong-type",
			      "\"between\" takes two sides: the outside, the inside"),
		    "such as [internet, edge], or [[internet, internet6], [edge, "
		    "edge6]]");
		return;
	}
	read_side(r, node->first, &g->outside, &none);
	read_side(r, node->first->next, &g->inside, &g->outside);
}

static void
write_side(const struct gateway_side *side, struct sbuf *out)
{
	if (side->n > 1)
		sbuf_puts(out, "[");
	for (size_t i = 0; i < side->n; i++)
		sbuf_printf(out, "%s%s", i > 0 ? ", " : "", side->network[i]->name);
	if (side->n > 1)
		sbuf_puts(out, "]");
}

static void
write_between(const void *base, struct sbuf *out)
{
	const struct gateways *g = base;

	sbuf_puts(out, "[");
	write_side(&g->outside, out);
	sbuf_puts(out, ", ");
	write_side(&g->inside, out);
	sbuf_puts(out, "]");
}

static const struct form between_form = {
    .read = read_between,
    .write = write_between,
    .schema = "{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/names\"},"
	      "\"minItems\":2,\"maxItems\":2}",
    .syntax = "[NETWORK or [NETWORK, ...], NETWORK or [NETWORK, ...]]",
};

/* ---- next hops ----------------------------------------------------------------- */

/* Room is for one hop of each network of a side, for each name. */
static void
add_hop(struct gateway_via *via, const struct ip *ip, const struct network *net)
{
	struct gateway_hop *list = (void *)(uintptr_t)via->hop; /* still ours */

	if (ip->family != 0)
		list[via->n_hops++] = (struct gateway_hop){.ip = *ip, .network = net};
}

static void
named_hops(struct gateway_via *via, const struct gateway_side *side,
    const struct host *h, const struct floating_ip *f)
{
	for (size_t i = 0; i < side->n; i++) {
		const struct network *net = side->network[i];
		const struct host_address *a =
		    h != NULL ? host_address_on(h, net) : NULL;

		if (a != NULL)
			add_hop(via, &a->ip, net);
		else if (f != NULL && f->network == net)
			add_hop(via, &f->address[0], net);
	}
}

/* A link-local address is on the side's IPv6 network; others say which by themselves.
 */
static void
plain_hop(struct gateway_via *via, const struct gateway_side *side, const struct ip *ip)
{
	for (size_t i = 0; i < side->n; i++) {
		const struct network *net = side->network[i];
		bool local = ip->family == AF_INET6 && ip_is_link_local(ip) &&
			     net->subnet.ip.family == AF_INET6;

		if (local || ip_in_net(ip, &net->subnet)) {
			add_hop(via, ip, net);
			return;
		}
	}
}

static void
read_hop(struct reader *r, const struct yaml *node, const struct gateway_side *side,
    struct gateway_via *via)
{
	const size_t before = via->n_hops;
	const struct host *h;
	const struct floating_ip *f;
	struct ip ip;
	struct diag *d;

	if (!want_scalar(r, node, "a next hop: a host, a floating IP or an address"))
		return;
	h = names_get(&r->names[NAME_HOST], node->text);
	f = names_get(&r->names[NAME_FLOATING_IP], node->text);
	if (ip_parse(&ip, node->text) == 0) {
		plain_hop(via, side, &ip);
	} else if (h != NULL || f != NULL) {
		if (h != NULL ? host_unclear(h) : f->network == NULL)
			return;
		named_hops(via, side, h, f);
	} else {
		d = reader_error(r, node, "unknown-next-hop",
		    "no host or floating IP named \"%.64s\"", node->text);
		suggest(r, d, NAME_FLOATING_IP, node->text);
		if (d != NULL && d->hint == NULL)
			suggest(r, d, NAME_HOST, node->text);
		return;
	}
	if (via->n_hops == before && side->n > 0)
		diag_hint(reader_error(r, node, "next-hop-elsewhere",
			      "%.64s is on no network of this side", node->text),
		    "such as one on \"%s\"", side->network[0]->name);
}

/* True if anything came of it. */
static bool
read_via(struct reader *r, const struct yaml *node, const struct gateway_side *side,
    struct gateway_via *via)
{
	size_t n;
	const struct yaml *item = yaml_items(node, &n);
	const char **text = arena_array(r->arena, n, sizeof(*text));

	*via = (struct gateway_via){.text = text};
	via->hop =
	    arena_array(r->arena, n * (side->n > 0 ? side->n : 1), sizeof(*via->hop));
	if (n == 0 || n > GATEWAY_HOPS_MAX) {
		(void)reader_error(r, node, "out-of-range",
		    "a route has 1 to %d next hops", GATEWAY_HOPS_MAX);
		return false;
	}
	for (size_t i = 0; i < n && text != NULL && via->hop != NULL;
	     i++, item = item->next) {
		const size_t before = via->n_hops;

		read_hop(r, item, side, via);
		if (via->n_hops > before)
			text[via->n_text++] =
			    arena_strndup(r->arena, item->text, strlen(item->text));
	}
	return via->n_hops > 0;
}

static void
write_via(const struct gateway_via *via, struct sbuf *out)
{
	if (via->n_text > 1)
		sbuf_puts(out, "[");
	for (size_t i = 0; i < via->n_text; i++) {
		sbuf_puts(out, i > 0 ? ", " : "");
		write_text(out, via->text[i]);
	}
	if (via->n_text > 1)
		sbuf_puts(out, "]");
}

static void
read_upstream(struct reader *r, const struct yaml *node, void *base)
{
	struct gateways *g = base;

	(void)read_via(r, node, &g->outside, &g->upstream);
}

static void
write_upstream(const void *base, struct sbuf *out)
{
	const struct gateways *g = base;

	write_via(&g->upstream, out);
}

static const struct form upstream_form = {
    .read = read_upstream,
    .write = write_upstream,
    .schema = "{\"$ref\":\"#/$defs/texts\"}",
    .syntax = "HOST, FLOATING-IP, ADDRESS or a list of them",
};

/* ---- routes -------------------------------------------------------------------- */

static bool
has_family(const struct gateway_via *via, uint8_t family)
{
	for (size_t i = 0; i < via->n_hops; i++) {
		if (via->hop[i].ip.family == family)
			return true;
	}
	return false;
}

static bool
known_route(const struct gateways *g, const struct ip_net *to)
{
	for (size_t i = 0; i < g->n_routes; i++) {
		if (g->route[i].to.bits == to->bits &&
		    ip_equal(&g->route[i].to.ip, &to->ip))
			return true;
	}
	return false;
}

/* DESTINATION: VIA */
static void
read_route(struct reader *r, const struct yaml *node, struct gateways *g,
    struct gateway_route *route)
{
	const struct key to_key = {.name = "routes", .kind = VALUE_NETS};
	struct nets to = {.n = 0};

	read_value(r, &to_key, node->key, &to);
	if (!read_via(r, node, &g->inside, &route->via) || to.n != 1)
		return;
	if (known_route(g, &to.net[0])) {
		(void)reader_error(r, node->key, "duplicate-route",
		    "there is a route to %.64s already", node->key->text);
		return;
	}
	if (!has_family(&route->via, to.net[0].ip.family)) {
		(void)reader_error(r, node, "next-hop-family",
		    "no next hop to %.64s has an address of its family",
		    node->key->text);
		return;
	}
	route->text = to.text[0];
	route->to = to.net[0];
	route->place = (struct place){node->key->line, node->key->column};
	g->n_routes++;
}

static void
read_routes(struct reader *r, const struct yaml *node, void *base)
{
	struct gateways *g = base;
	struct gateway_route *list;

	g->routes_given = true;
	if (node->kind != YAML_MAP || node->n == 0 ||
	    node->n > GATEWAY_ROUTES_MAX - 2) {
		diag_hint(reader_error(r, node, "wrong-type",
			      "\"routes\" takes a mapping from networks to next hops"),
		    "such as {dmz: fw-out, 10.8.0.0/24: fw-out}");
		return;
	}
	list = arena_array(r->arena, node->n, sizeof(*list));
	g->route = list;
	for (const struct yaml *n = node->first; n != NULL && list != NULL; n = n->next)
		read_route(r, n, g, &list[g->n_routes]);
}

static void
write_routes(const void *base, struct sbuf *out)
{
	const struct gateways *g = base;

	for (size_t i = 0; i < g->n_routes; i++) {
		sbuf_puts(out, i > 0 ? ", " : "{");
		write_text(out, g->route[i].text);
		sbuf_puts(out, ": ");
		write_via(&g->route[i].via, out);
	}
	if (g->n_routes > 0)
		sbuf_puts(out, "}");
}

static void
derive_routes(const void *base, struct sbuf *out)
{
	const struct gateways *g = base;

	if (!g->routes_given)
		write_routes(base, out);
}

static const struct form routes_form = {
    .read = read_routes,
    .write = write_routes,
    .schema = "{\"type\":\"object\",\"minProperties\":1,"
	      "\"additionalProperties\":{\"$ref\":\"#/$defs/texts\"}}",
    .syntax = "{NETWORK or PREFIX: HOST, FLOATING-IP, ADDRESS or a list, ...}",
};

/* ---- the section --------------------------------------------------------------- */

enum { GATEWAY_KEY_HOSTS, GATEWAY_KEY_BETWEEN, GATEWAY_KEY_UPSTREAM };

static const struct key gateway_key[] = {
    [GATEWAY_KEY_HOSTS] =
	{
	    .name = "hosts",
	    .kind = VALUE_HOSTS,
	    .required = true,
	    HOSTS_FIELD(struct gateways, host, &hosts_rule),
	    .doc = "The gateways. All of them forward, all the time.",
	},
    [GATEWAY_KEY_BETWEEN] =
	{
	    .name = "between",
	    .kind = VALUE_FORM,
	    .required = true,
	    .form = &between_form,
	    .doc = "The two sides: the outside first, then the inside. A side is a "
		   "network, or several, such as one for each address family.",
	},
    [GATEWAY_KEY_UPSTREAM] =
	{
	    .name = "upstream",
	    .kind = VALUE_FORM,
	    .form = &upstream_form,
	    .doc = "Routers on the outside: the gateways' default route, over all of "
		   "them that answer. Without it the system's own default route "
		   "stays.",
	},
    {
	.name = "routes",
	.kind = VALUE_FORM,
	.form = &routes_form,
	.doc = "Networks behind the inside, and who leads to them.",
	.derived = derive_routes,
	.derived_doc = "the networks of all hosts of `firewall`, by its floating "
		       "address on the inside",
    },
    {
	.name = "for",
	.kind = VALUE_FORM,
	.form = &for_form,
	.doc = "Hosts on the inside whose default route goes over all gateways.",
	.derived = derive_for,
	.derived_doc = "the hosts of `firewall`",
    },
    {
	.name = "heartbeat",
	.kind = VALUE_DURATION,
	FIELD(struct gateways, heartbeat_ns),
	.min = 10 * MS_NS,
	.max = 10 * SEC_NS,
	.preset = "100ms",
	.doc = "Each next hop is asked four times in it whether it is there (ARP, "
	       "neighbour discovery), but not more often than each 5 ms; one that "
	       "is not in use, once.",
    },
    {
	.name = "fall",
	.kind = VALUE_COUNT,
	FIELD(struct gateways, fall),
	.min = 1,
	.max = 100,
	.preset = "3",
	.doc = "So many questions in a row without an answer: it is used no more.",
    },
    {
	.name = "rise",
	.kind = VALUE_COUNT,
	FIELD(struct gateways, rise),
	.min = 1,
	.max = 100,
	.preset = "5",
	.doc = "So many answers in a row: it is used again.",
    },
};

static void
check_members(struct reader *r, const struct yaml *at, const struct gateways *g)
{
	for (size_t i = 0; i < g->n_hosts * (g->outside.n + g->inside.n); i++) {
		const struct host *h = g->host[i % g->n_hosts];
		const struct network *net = gateways_network(g, i / g->n_hosts);

		if (!host_unclear(h) && host_address_on(h, net) == NULL)
			diag_hint(reader_error(r, at, "host-not-on-network",
				      "host \"%s\" has no address on network \"%s\"",
				      h->name, net->name),
			    "a gateway has an address on every network of both sides");
	}
}

static void
check_clients(struct reader *r, const struct yaml *node, const struct gateways *g)
{
	const struct yaml *at = yaml_get(node, "for");

	for (size_t i = 0; at != NULL && i < g->n_clients; i++) {
		const struct host *h = g->client[i];
		bool near = host_unclear(h) || g->inside.n == 0;

		if (gateways_have(g, h)) {
			(void)reader_error(r, at, "key-conflict",
			    "\"%s\" is a gateway itself", h->name);
			continue;
		}
		for (size_t k = 0; k < g->inside.n; k++)
			near |= host_address_on(h, g->inside.network[k]) != NULL;
		if (!near)
			diag_hint(
			    reader_error(r, at, "host-not-on-network",
				"host \"%s\" has no address on the inside", h->name),
			    "it cannot reach the gateways directly; the inside is "
			    "\"%s\"",
			    g->inside.network[0]->name);
	}
}

/* Each is a bit in the part; there is no reason for so many. */
static void
check_hops(struct reader *r, const struct yaml *node, const struct gateways *g)
{
	const struct yaml *at = yaml_get(node, "routes");
	size_t n = g->upstream.n_hops;

	for (size_t i = 0; i < g->n_routes; i++)
		n += g->route[i].via.n_hops;
	if (n > GATEWAY_HOPS_ALL && at != NULL)
		diag_hint(reader_error(r, at->key, "out-of-range",
			      "upstream and routes have %zu next hops, at most %d may "
			      "be",
			      n, GATEWAY_HOPS_ALL),
		    "give networks behind one next hop as one prefix");
}

/* Neighbours with one static next hop survive a gateway only by a floating address. */
static void
check_floating(struct reader *r, const struct yaml *at, const struct gateways *g,
    const struct host *h)
{
	const char *first = NULL;
	struct sbuf missing;

	sbuf_init(&missing, MISSING_MAX);
	for (size_t i = 0; i < g->outside.n + g->inside.n; i++) {
		const struct network *net = gateways_network(g, i);
		const struct floating_ip *f = gateway_floating_ip(r->cluster, h, net);

		if (f == NULL) {
			sbuf_printf(
			    &missing, "%s\"%s\"", first != NULL ? ", " : "", net->name);
			first = first != NULL ? first : net->name;
		} else if (!f->failback) {
			diag_hint(reader_warning(r, at, "no-failback",
				      "\"%s\" does not come back to \"%s\" by itself",
				      f->name, h->name),
			    "failback: true, or after %s was off its share stays with "
			    "another gateway",
			    h->name);
		}
	}
	if (first != NULL)
		diag_hint(reader_warning(r, at, "no-gateway-address",
			      "gateway \"%s\" has no floating address on %s that "
			      "another one backs",
			      h->name, sbuf_text(&missing)),
		    "neighbours that know one next hop lose their way while %s is off; "
		    "such as floating_ips: {%s-%s: {address: ..., hosts: [%s, %s], "
		    "failback: true}}",
		    h->name, h->name, first, h->name,
		    g->host[g->host[0] == h ? 1 : 0]->name);
	sbuf_done(&missing);
}

static void
finish_gateways(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	struct gateways *g = base;
	const struct yaml *at = yaml_get(node, "hosts");

	(void)given;
	if (node->key != NULL)
		g->place = (struct place){node->key->line, node->key->column};
	if (at == NULL || g->n_hosts == 0)
		return;
	check_members(r, at, g);
	check_clients(r, node, g);
	check_hops(r, node, g);
	for (size_t i = 0; g->n_hosts > 1 && i < g->n_hosts; i++)
		check_floating(r, at, g, g->host[i]);
}

/* ---- what other sections say --------------------------------------------------- */

static bool
on_side(const struct gateway_side *side, const struct network *net)
{
	for (size_t i = 0; i < side->n; i++) {
		if (side->network[i] == net)
			return true;
	}
	return false;
}

/* The hosts of `firewall` that can reach the gateways. */
static void
default_clients(struct reader *r, struct gateways *g)
{
	const struct firewall_conf *fw = &r->cluster->firewall;
	const struct host **list = arena_array(r->arena, fw->n_hosts, sizeof(*list));

	for (size_t i = 0; i < fw->n_hosts && list != NULL; i++) {
		bool near = false;

		for (size_t k = 0; k < g->inside.n; k++)
			near |=
			    host_address_on(fw->host[i], g->inside.network[k]) != NULL;
		if (near && !gateways_have(g, fw->host[i]))
			list[g->n_clients++] = fw->host[i];
	}
	g->client = list;
}

/* The firewall's floating address on a network of the inside, of that family. */
static const struct floating_ip *
way_in(const struct reader *r, const struct gateways *g, uint8_t family)
{
	const struct firewall_conf *fw = &r->cluster->firewall;

	for (size_t i = 0; i < fw->n_floating_ips; i++) {
		const struct floating_ip *f = fw->floating_ip[i];

		if (f->n_addresses > 0 && f->address[0].family == family &&
		    on_side(&g->inside, f->network))
			return f;
	}
	return NULL;
}

/* True if all hosts of the firewall are on `net`, which is neither a side of the
 * gateways nor theirs alone. */
static bool
behind_firewall(
    const struct reader *r, const struct gateways *g, const struct network *net)
{
	const struct firewall_conf *fw = &r->cluster->firewall;
	bool all = fw->n_hosts > 0 && !net->dedicated && net != fw->sync &&
		   !on_side(&g->inside, net) && !on_side(&g->outside, net);

	for (size_t i = 0; all && i < fw->n_hosts; i++)
		all = host_address_on(fw->host[i], net) != NULL;
	return all;
}

static void
default_routes(struct reader *r, struct gateways *g)
{
	const struct cluster *c = r->cluster;
	struct gateway_route *list =
	    arena_array(r->arena, c->n_networks, sizeof(*list));

	g->route = list;
	for (size_t i = 0; i < c->n_networks && list != NULL; i++) {
		const struct network *net = &c->network[i];
		const struct floating_ip *f = way_in(r, g, net->subnet.ip.family);
		struct gateway_route *route = &list[g->n_routes];
		struct gateway_hop *hop;
		const char **text;

		if (f == NULL || !behind_firewall(r, g, net) ||
		    g->n_routes == GATEWAY_ROUTES_MAX - 2)
			continue;
		hop = arena_array(r->arena, 1, sizeof(*hop));
		text = arena_array(r->arena, 1, sizeof(*text));
		if (hop == NULL || text == NULL)
			return;
		*hop = (struct gateway_hop){.ip = f->address[0], .network = f->network};
		*text = f->name;
		*route = (struct gateway_route){.text = net->name,
		    .to = net->subnet,
		    .via = {.text = text, .n_text = 1, .hop = hop, .n_hops = 1},
		    .place = g->place};
		g->n_routes++;
	}
}

void
complete_gateways(struct reader *r)
{
	struct gateways *g = &r->cluster->gateways;

	if (g->n_hosts == 0)
		return;
	if (!g->clients_given)
		default_clients(r, g);
	if (!g->routes_given)
		default_routes(r, g);
}

static const char *
gateways_absent(const void *base)
{
	const struct gateways *g = base;

	return g->n_hosts == 0 ? "" : NULL;
}

const struct section gateway_section = {
    .what = "gateways",
    .doc = "Routers between two sides that all forward at once. Each is to have a "
	   "floating address of its own on every network, which the others back.",
    KEYS(gateway_key),
    .finish = finish_gateways,
    .absent = gateways_absent,
};
