/* SPDX-License-Identifier: Apache-2.0 */
/*
 * section_host.c - `network`, `networks`, `zones`, `hosts`: what stands where.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/reader.h"
#include "config/sections.h"

#define INTERFACE_MAX 15 /* IFNAMSIZ - 1 */

/* ---- networks ------------------------------------------------------------------ */

static void
read_subnet(struct reader *r, const struct yaml *node, void *base)
{
	struct network *net = base;
	char text[IP_STR_LEN], *slash;
	struct ip ip;
	struct diag *d;

	if (!want_scalar(r, node, "a subnet such as 10.0.0.0/24") ||
	    ip_net_parse(&net->subnet, node->text) == 0)
		return;
	d = reader_error(
	    r, node, "bad-subnet", "\"%.64s\" is not a subnet", node->text);
	(void)snprintf(text, sizeof(text), "%s", node->text);
	slash = strchr(text, '/');
	if (slash != NULL)
		*slash = '\0';
	if (ip_parse(&ip, text) != 0)
		diag_hint(d, "an address and a prefix length, such as 10.0.0.0/24");
	else if (slash == NULL)
		diag_hint(d, "add the prefix length, such as %s/24", text);
	else
		diag_hint(d, "the bits after the prefix length must be zero");
}

static void
write_subnet(const void *base, struct sbuf *out)
{
	const struct network *net = base;
	char text[IP_STR_LEN];

	sbuf_printf(out, "%s/%u", ip_format(&net->subnet.ip, text), net->subnet.bits);
}

static const struct form subnet_form = {
    .read = read_subnet,
    .write = write_subnet,
    .schema = "{\"type\":\"string\",\"pattern\":\"^[0-9a-fA-F.:]+/[0-9]+$\"}",
    .syntax = "ADDRESS/BITS",
};

static void
finish_network(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	const struct network *net = base;

	(void)given;
	if (host_key_is_reserved(net->name))
		diag_hint(reader_error(r, node->key, "reserved-name",
			      "a network cannot be called \"%s\"", net->name),
		    "hosts have a key of that name");
}

static const struct key network_key[] = {
    {
	.name = "subnet",
	.kind = VALUE_FORM,
	.required = true,
	.form = &subnet_form,
	.doc =
	    "Addresses of the network. Subnets of different networks do not overlap.",
    },
    {
	.name = "dedicated",
	.kind = VALUE_FLAG,
	FIELD(struct network, dedicated),
	.preset = "false",
	.doc = "The network carries heartbeats and the synchronisation of state, and "
	       "no traffic of services.",
    },
    {
	.name = "redundant",
	.kind = VALUE_FLAG,
	FIELD(struct network, redundant),
	.preset = "false",
	.doc = "No one switch or cable takes it, or a host on it, down: two switches, "
	       "hosts bonded to both. `nines spof` believes this.",
    },
};

static bool
brief_network(const void *base, struct sbuf *out)
{
	const struct network *net = base;

	if (net->dedicated || net->redundant)
		return false;
	write_subnet(net, out);
	return true;
}

const struct section network_section = {
    .what = "network",
    .doc = "A network that hosts have addresses on.",
    KEYS(network_key),
    .shorthand = "subnet",
    .finish = finish_network,
    .brief = brief_network,
};

static int
by_subnet(const void *a, const void *b)
{
	const struct network *x = *(const struct network *const *)a;
	const struct network *y = *(const struct network *const *)b;
	int order = ip_compare(&x->subnet.ip, &y->subnet.ip);

	return order != 0 ? order : (int)x->subnet.bits - (int)y->subnet.bits;
}

static void
report_overlap(struct reader *r, const struct network *a, const struct network *b)
{
	const struct network *later = a->place.line > b->place.line ? a : b;
	const struct network *earlier = later == a ? b : a;
	struct yaml at = {.line = later->place.line,
	    .column = later->place.column,
	    .width = (unsigned)strlen(later->name)};

	(void)reader_error(r, &at, "network-overlap",
	    "network \"%s\" overlaps network \"%s\"", later->name, earlier->name);
}

void
complete_networks(struct reader *r)
{
	struct cluster *c = r->cluster;
	size_t n = 0;

	r->by_subnet = arena_array(r->scratch, c->n_networks + 1, sizeof(c->network));
	if (r->by_subnet == NULL)
		return;
	for (size_t i = 0; i < c->n_networks; i++) {
		if (c->network[i].subnet.ip.family != 0)
			r->by_subnet[n++] = &c->network[i];
	}
	qsort(r->by_subnet, n, sizeof(c->network), by_subnet);
	/* Two subnets either nest or have nothing in common. */
	for (size_t i = 1, outer = 0; i < n; i++) {
		const struct network *net = r->by_subnet[i];

		if (ip_in_net(&net->subnet.ip, &r->by_subnet[outer]->subnet))
			report_overlap(r, r->by_subnet[outer], net);
		else
			outer = i;
	}
	r->n_subnets = n;
}

const struct network *
network_of(const struct reader *r, const struct ip *ip)
{
	size_t low = 0, high = r->n_subnets, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (ip_compare(&r->by_subnet[mid]->subnet.ip, ip) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0 || !ip_in_net(ip, &r->by_subnet[low - 1]->subnet))
		return NULL;
	return r->by_subnet[low - 1];
}

bool
networks_clear(const struct reader *r)
{
	return r->n_subnets > 0 && r->n_subnets == r->cluster->n_networks;
}

static void
read_network(struct reader *r, const struct yaml *node, void *base)
{
	struct cluster *c = base;
	struct network *net = arena_alloc(r->arena, sizeof(*net));

	if (net == NULL)
		return;
	net->name = "main";
	net->place = (struct place){node->key->line, node->key->column};
	c->network = net;
	c->n_networks = 1;
	(void)names_put(&r->names[NAME_NETWORK], net->name, net);
	read_section(r, &network_section, node, net);
	complete_networks(r);
}

static void
write_network(const void *base, struct sbuf *out)
{
	const struct cluster *c = base;

	if (only_main_network(c))
		write_subnet(&c->network[0], out);
}

const struct form network_form = {
    .read = read_network,
    .write = write_network,
    .schema = "{\"$ref\":\"#/$defs/network\"}",
    .syntax = "ADDRESS/BITS",
};

bool
only_main_network(const void *base)
{
	const struct cluster *c = base;

	return c->n_networks == 1 && !c->network[0].dedicated &&
	       !c->network[0].redundant && strcmp(c->network[0].name, "main") == 0;
}

bool
other_networks(const void *base)
{
	return !only_main_network(base);
}

/* ---- zones --------------------------------------------------------------------- */

static void
read_zones(struct reader *r, const struct yaml *node, void *base)
{
	struct cluster *c = base;
	struct zone *zone;
	size_t n;
	const struct yaml *item = yaml_items(node, &n);

	zone = arena_array(r->arena, n, sizeof(*zone));
	if (zone == NULL)
		return;
	for (size_t i = 0; i < n; i++, item = item->next) {
		if (!want_scalar(r, item, "the name of a zone"))
			continue;
		if (!name_valid(item->text))
			(void)reader_error(
			    r, item, "bad-name", "not a name for a zone");
		zone[i].name = arena_strndup(r->arena, item->text, strlen(item->text));
		if (zone[i].name != NULL &&
		    names_put(&r->names[NAME_ZONE], zone[i].name, &zone[i]) != NULL)
			(void)reader_error(r, item, "duplicate-zone",
			    "zone \"%.64s\" is given twice", item->text);
	}
	c->zone = zone;
	c->n_zones = n;
}

static void
write_zones(const void *base, struct sbuf *out)
{
	const struct cluster *c = base;

	if (c->n_zones == 0)
		return;
	for (size_t i = 0; i < c->n_zones; i++)
		sbuf_printf(out, "%s%s", i > 0 ? ", " : "[", c->zone[i].name);
	sbuf_puts(out, "]");
}

const struct form zones_form = {
    .read = read_zones,
    .write = write_zones,
    .schema = "{\"$ref\":\"#/$defs/names\"}",
    .syntax = "[NAME, ...]",
};

/* ---- addresses ----------------------------------------------------------------- */

/* What an address cannot be; NULL if it is fit for a host. */
static const char *
address_fault(const struct reader *r, const struct ip *ip)
{
	const struct network *net = network_of(r, ip);
	unsigned host_bits, ones = 0, zeros = 0;

	if (net == NULL)
		return NULL;
	host_bits = (unsigned)ip_len(ip) * 8 - net->subnet.bits;
	for (unsigned i = 0; i < host_bits; i++) {
		if (ip->byte[ip_len(ip) - 1 - i / 8] >> i % 8 & 1)
			ones++;
		else
			zeros++;
	}
	if (host_bits < 2) /* RFC 3021, RFC 6164: both ends of a link are addresses */
		return NULL;
	if (ones == 0)
		return "is the address of the network itself";
	if (zeros == 0 && ip->family == AF_INET)
		return "is the broadcast address of its network";
	return NULL;
}

bool
read_address(struct reader *r, const struct yaml *node, struct ip *ip)
{
	const char *fault;
	struct ip v;
	struct diag *d;

	if (!want_scalar(r, node, "an address such as 10.0.0.11"))
		return false;
	if (ip_parse(&v, node->text) != 0) {
		d = reader_error(
		    r, node, "bad-address", "\"%.64s\" is not an address", node->text);
		if (strchr(node->text, '/') != NULL)
			diag_hint(d, "without the prefix length");
		return false;
	}
	fault = address_fault(r, &v);
	if (fault != NULL) {
		(void)reader_error(r, node, "bad-address", "%s %s", node->text, fault);
		return false;
	}
	*ip = v;
	return true;
}

bool
claim_address(struct reader *r, const struct yaml *node, const struct ip *ip,
    const struct host *host, const struct floating_ip *fip)
{
	struct owner *owner = arena_alloc(r->scratch, sizeof(*owner));
	char *text = arena_alloc(r->scratch, IP_STR_LEN);
	const struct owner *first;

	if (owner == NULL || text == NULL)
		return false;
	*owner = (struct owner){.ip = *ip, .host = host, .floating_ip = fip};
	first = names_put(&r->addresses, ip_format(ip, text), owner);
	if (first == NULL)
		return true;
	if (first->host != NULL)
		(void)reader_error(r, node, "duplicate-address",
		    "%s is the address of host \"%s\"", text, first->host->name);
	else
		(void)reader_error(r, node, "duplicate-address",
		    "%s is an address of floating IP \"%s\"", text,
		    first->floating_ip->name);
	return false;
}

/* ---- hosts --------------------------------------------------------------------- */

static void
begin_host(struct reader *r, const struct yaml *node, void *base)
{
	struct host *h = base;

	if (h->address == NULL) /* room for every key, since any may be a network */
		h->address = arena_array(r->arena, node->n, sizeof(*h->address));
}

/* The arrays of a host that is being read are still ours to fill. */
static struct host_address *
own_address(const struct host *h)
{
	return (struct host_address *)(uintptr_t)h->address;
}

static void
add_address(struct reader *r, struct host *h, const struct yaml *node,
    const struct network *net, const struct ip *ip)
{
	struct host_address *a;

	if (h->address == NULL)
		return;
	if (host_address_on(h, net) != NULL) {
		(void)reader_error(r, node, "duplicate-address",
		    "host \"%s\" has an address on network \"%s\" already", h->name,
		    net->name);
		return;
	}
	a = &own_address(h)[h->n_addresses++];
	a->network = net;
	if (ip->family != 0 && claim_address(r, node, ip, h, NULL))
		a->ip = *ip;
}

static void
add_unclear(struct host *h)
{
	if (h->address != NULL)
		own_address(h)[h->n_addresses++] = (struct host_address){0};
}

bool
host_unclear(const struct host *h)
{
	for (size_t i = 0; i < h->n_addresses; i++) {
		if (h->address[i].ip.family == 0)
			return true;
	}
	return h->n_addresses == 0;
}

/* NETWORK: ADDRESS */
static void
other_host(struct reader *r, const struct yaml *node, void *base)
{
	struct host *h = base;
	const struct network *net = names_get(&r->names[NAME_NETWORK], node->key->text),
			     *actual;
	char text[IP_STR_LEN];
	struct ip ip = {0};
	struct diag *d;

	if (net == NULL) {
		d = reader_error(r, node->key, "unknown-network",
		    "no network named \"%.64s\"", node->key->text);
		suggest(r, d, NAME_NETWORK, node->key->text);
		if (d != NULL && d->hint == NULL)
			diag_hint(
			    d, "keys of a host are networks, zone and interfaces");
		/* The address stays unknown, and nobody shall complain about that. */
		add_unclear(h);
		return;
	}
	if (read_address(r, node, &ip) && net->subnet.ip.family != 0 &&
	    !ip_in_net(&ip, &net->subnet)) {
		actual = network_of(r, &ip);
		d = reader_error(r, node, "wrong-network",
		    "%s is not in network \"%s\" (%s/%u)", node->text, net->name,
		    ip_format(&net->subnet.ip, text), net->subnet.bits);
		if (actual != NULL)
			diag_hint(d, "it is in network \"%s\"", actual->name);
		ip = (struct ip){0};
	}
	add_address(r, h, node, net, &ip);
}

/* An address, or several, whose networks follow. */
static bool
scalar_host(struct reader *r, const struct yaml *node, void *base)
{
	struct host *h = base;
	size_t n;
	const struct yaml *item = yaml_items(node, &n);
	const struct network *net;
	struct ip ip;

	h->address = arena_array(r->arena, n, sizeof(*h->address));
	for (size_t i = 0; i < n && h->address != NULL; i++, item = item->next) {
		if (!read_address(r, item, &ip)) {
			add_unclear(h);
			continue;
		}
		net = network_of(r, &ip);
		if (net != NULL) {
			add_address(r, h, item, net, &ip);
			continue;
		}
		add_unclear(h);
		if (networks_clear(r))
			(void)reader_error(r, item, "no-network",
			    "%s is not in any network of this file", item->text);
	}
	if (n == 0)
		(void)reader_error(
		    r, node, "no-address", "host \"%s\" has no address", h->name);
	return true;
}

static void
finish_host(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	const struct host *h = base;

	(void)given;
	if (h->n_addresses == 0)
		(void)reader_error(
		    r, node->key, "no-address", "host \"%s\" has no address", h->name);
}

static void
read_zone(struct reader *r, const struct yaml *node, void *base)
{
	struct host *h = base;

	h->zone = look_up(r, node, NAME_ZONE);
}

static void
write_zone(const void *base, struct sbuf *out)
{
	const struct host *h = base;

	if (h->zone != NULL)
		sbuf_puts(out, h->zone->name);
}

static const struct form zone_form = {
    .read = read_zone,
    .write = write_zone,
    .schema = "{\"$ref\":\"#/$defs/name\"}",
    .syntax = "ZONE",
};

static struct host_address *
address_on_named(struct reader *r, const struct host *h, const struct yaml *key)
{
	const struct network *net = look_up(r, key, NAME_NETWORK);

	for (size_t i = 0; i < h->n_addresses && net != NULL; i++) {
		if (h->address[i].network == net)
			return &own_address(h)[i];
	}
	if (net != NULL && !host_unclear(h))
		(void)reader_error(r, key, "host-not-on-network",
		    "host \"%s\" has no address on network \"%s\"", h->name, net->name);
	return NULL;
}

static bool
interface_valid(const char *s)
{
	if (*s == '\0' || strlen(s) > INTERFACE_MAX || strcmp(s, ".") == 0 ||
	    strcmp(s, "..") == 0)
		return false;
	for (; *s != '\0'; s++) { /* as the kernel's dev_valid_name() */
		if (*s == '/' || *s == ':' || (unsigned char)*s <= ' ' || *s == 0x7f)
			return false;
	}
	return true;
}

static void
read_interfaces(struct reader *r, const struct yaml *node, void *base)
{
	struct host *h = base;
	struct host_address *a;

	if (node->kind != YAML_MAP) {
		(void)reader_error(r, node, "wrong-type",
		    "\"interfaces\" takes a mapping from networks to interfaces");
		return;
	}
	for (const struct yaml *n = node->first; n != NULL; n = n->next) {
		a = address_on_named(r, h, n->key);
		if (a == NULL || !want_scalar(r, n, "the name of an interface"))
			continue;
		if (!interface_valid(n->text))
			(void)reader_error(r, n, "bad-interface",
			    "\"%.64s\" is not the name of an interface", n->text);
		else
			a->interface =
			    arena_strndup(r->arena, n->text, strlen(n->text));
	}
}

static void
write_interfaces(const void *base, struct sbuf *out)
{
	const struct host *h = base;
	const char *sep = "{";

	for (size_t i = 0; i < h->n_addresses; i++) {
		if (h->address[i].interface == NULL)
			continue;
		sbuf_printf(out, "%s%s: ", sep, h->address[i].network->name);
		write_text(out, h->address[i].interface);
		sep = ", ";
	}
	if (*sep == ',')
		sbuf_puts(out, "}");
}

static const struct form interfaces_form = {
    .read = read_interfaces,
    .write = write_interfaces,
    .schema = "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}",
    .syntax = "{NETWORK: INTERFACE, ...}",
};

static const struct key host_key[] = {
    {
	.name = "zone",
	.kind = VALUE_FORM,
	.form = &zone_form,
	.doc = "What the host shares its fate with: power, rack, site.",
    },
    {
	.name = "interfaces",
	.kind = VALUE_FORM,
	.form = &interfaces_form,
	.doc = "Interface of each network, where it is not the one that has the "
	       "host's address.",
    },
};

bool
host_key_is_reserved(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(host_key); i++) {
		if (strcmp(host_key[i].name, name) == 0)
			return true;
	}
	return false;
}

static void
write_addresses(const void *base, struct sbuf *out, int indent)
{
	const struct host *h = base;
	char text[IP_STR_LEN];

	for (size_t i = 0; i < h->n_addresses; i++) {
		sbuf_printf(out, "%*s%s: ", indent, "", h->address[i].network->name);
		write_text(out, ip_format(&h->address[i].ip, text));
		sbuf_puts(out, "\n");
	}
}

/* One address says it all, unless two networks make a reader wonder which. */
static bool
brief_host(const void *base, struct sbuf *out)
{
	const struct host *h = base;
	char text[IP_STR_LEN];

	if (h->n_addresses != 1 || h->zone != NULL || h->address[0].interface != NULL)
		return false;
	write_text(out, ip_format(&h->address[0].ip, text));
	return true;
}

const struct section host_section = {
    .what = "host",
    .doc =
	"A machine. Keys other than these are networks with the host's address on "
	"each. An address alone, or a list of them, will do where nothing else is to "
	"be said: the networks follow.",
    KEYS(host_key),
    .scalar = scalar_host,
    .scalar_schema = "{\"$ref\":\"#/$defs/addresses\"}",
    .scalar_syntax = "ADDRESS or [ADDRESS, ...]",
    .begin = begin_host,
    .finish = finish_host,
    .other = other_host,
    .write_other = write_addresses,
    .other_schema = "{\"$ref\":\"#/$defs/address\"}",
    .other_syntax = "NETWORK: ADDRESS",
    .brief = brief_host,
};
