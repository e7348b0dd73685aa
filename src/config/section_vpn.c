/* SPDX-License-Identifier: Apache-2.0 */
/*
 * section_vpn.c - `vpn`: WireGuard gateways and their clients.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mono.h"
#include "config/host_list.h"
#include "config/reader.h"
#include "config/sections.h"
#include "config/units.h"

#define HOSTS_MAX     16
#define INTERFACE_MAX 15 /* IFNAMSIZ - 1 */
#define SYNC_STEP     1000

bool
vpn_on_host(const struct vpn *v, const struct host *h)
{
	return host_list_has(v->host, v->n_hosts, h);
}

/* ---- hosts, listen ------------------------------------------------------------- */

static const struct hosts_rule hosts_rule = {
    .count = offsetof(struct vpn, n_hosts),
    .max = HOSTS_MAX,
    .one_to = "a VPN has",
    .what = "gateways",
    .lonely = "when it fails, clients have nowhere to go",
};

/* Who has the address that `listen` names; reports what no VPN can listen on. */
static void
adopt_owner(struct reader *r, struct vpn *v, const struct yaml *node)
{
	char text[IP_STR_LEN];
	const struct owner *owner =
	    names_get(&r->addresses, ip_format(&v->listen.ip, text));

	if (owner == NULL) {
		diag_hint(
		    reader_error(r, node, "unknown-address",
			"%s is neither a host's nor a floating IP's address", text),
		    "a floating IP moves with the VPN: listen: NAME:%u",
		    v->listen.port);
		return;
	}
	v->floating_ip = owner->floating_ip;
	if (owner->host != NULL && (v->n_hosts != 1 || v->host[0] != owner->host))
		diag_hint(reader_error(r, node, "not-floating",
			      "%s is the address of host \"%s\" and does not move",
			      text, owner->host->name),
		    "listen on a floating IP of the VPN's hosts");
}

/* The port that `text` ends in; 0 if it has none. */
static uint16_t
port_of(const char *text)
{
	const char *colon = strrchr(text, ':');
	int64_t n;

	if (colon == NULL || count_parse(&n, colon + 1) != 0 || n > UINT16_MAX)
		return 0;
	return (uint16_t)n;
}

/* ADDRESS:PORT, or NAME:PORT for the first address of a floating IP. */
static void
read_listen(struct reader *r, const struct yaml *node, void *base)
{
	struct vpn *v = base;
	char name[CLUSTER_NAME_MAX + 1];
	const struct floating_ip *f;
	size_t len;

	if (!want_scalar(r, node, "a floating IP and a port, such as www:51820"))
		return;
	if (port_of(node->text) == 0) {
		diag_hint(reader_error(r, node, "no-port", "\"%.64s\" lacks the port",
			      node->text),
		    "such as %.64s:51820", node->text);
		return;
	}
	if (ip_endpoint_parse(&v->listen, node->text) == 0) {
		adopt_owner(r, v, node);
		return;
	}
	len = (size_t)(strrchr(node->text, ':') - node->text);
	(void)snprintf(name, sizeof(name), "%.*s", (int)len, node->text);
	f = names_get(&r->names[NAME_FLOATING_IP], name);
	if (f == NULL) {
		suggest(r,
		    reader_error(r, node, "unknown-floating-ip",
			"no floating IP named \"%s\"", name),
		    NAME_FLOATING_IP, name);
		return;
	}
	v->floating_ip = f;
	if (f->n_addresses > 0)
		v->listen.ip = f->address[0];
	v->listen.port = port_of(node->text);
}

static void
write_listen(const void *base, struct sbuf *out)
{
	const struct vpn *v = base;
	char text[IP_ENDPOINT_LEN];

	write_text(out, ip_endpoint_format(&v->listen, text));
}

static const struct form listen_form = {
    .read = read_listen,
    .write = write_listen,
    .schema = "{\"$ref\":\"#/$defs/endpoint\"}",
    .syntax = "FLOATING-IP:PORT",
};

/* ---- addresses ----------------------------------------------------------------- */

static void
read_subnet(struct reader *r, const struct yaml *node, void *base)
{
	struct vpn *v = base;

	if (!want_scalar(r, node, "a subnet such as 10.8.0.0/24"))
		return;
	if (ip_net_parse(&v->subnet, node->text) != 0) {
		v->subnet = (struct ip_net){0};
		diag_hint(reader_error(r, node, "bad-subnet",
			      "\"%.64s\" is not a subnet", node->text),
		    "such as 10.8.0.0/24, with no bits behind its length");
	} else if (v->subnet.bits + 2U > ip_len(&v->subnet.ip) * 8) {
		(void)reader_error(r, node, "bad-subnet",
		    "%s has no room for a gateway and its clients", node->text);
	}
}

static void
write_subnet(const void *base, struct sbuf *out)
{
	const struct vpn *v = base;
	char text[IP_STR_LEN + 8], ip[IP_STR_LEN];

	(void)snprintf(
	    text, sizeof(text), "%s/%u", ip_format(&v->subnet.ip, ip), v->subnet.bits);
	write_text(out, text);
}

static const struct form subnet_form = {
    .read = read_subnet,
    .write = write_subnet,
    .schema = "{\"type\":\"string\",\"pattern\":\"^[0-9a-fA-F.:]+/[0-9]+$\"}",
    .syntax = "ADDRESS/BITS",
};

/* The subnet's first address. */
static struct ip
first_address(const struct vpn *v)
{
	struct ip ip = v->subnet.ip;

	if (ip.family != 0)
		ip.byte[ip_len(&ip) - 1] |= 1;
	return ip;
}

static bool
is_last_of(const struct ip *ip, const struct ip_net *net)
{
	for (size_t bit = net->bits; bit < ip_len(ip) * 8; bit++) {
		if ((ip->byte[bit / 8] >> (7 - bit % 8) & 1) == 0)
			return false;
	}
	return true;
}

/* An address within `v->subnet` that a machine may have. */
static bool
read_inside(
    struct reader *r, const struct vpn *v, const struct yaml *node, struct ip *out)
{
	struct ip ip;

	if (!want_scalar(r, node, "an address"))
		return false;
	if (ip_parse(&ip, node->text) != 0) {
		(void)reader_error(
		    r, node, "bad-address", "\"%.64s\" is not an address", node->text);
		return false;
	}
	if (v->subnet.ip.family == 0) /* which was reported */
		return false;
	if (!ip_in_net(&ip, &v->subnet)) {
		(void)reader_error(r, node, "outside-subnet",
		    "%s is not in the subnet of VPN \"%s\"", node->text, v->name);
		return false;
	}
	if (ip_equal(&ip, &v->subnet.ip) ||
	    (ip.family == AF_INET && is_last_of(&ip, &v->subnet))) {
		(void)reader_error(r, node, "bad-address",
		    "%s is the %s address of the VPN's subnet", node->text,
		    ip_equal(&ip, &v->subnet.ip) ? "network" : "broadcast");
		return false;
	}
	*out = ip;
	return true;
}

static void
read_address_key(struct reader *r, const struct yaml *node, void *base)
{
	struct vpn *v = base;

	(void)read_inside(r, v, node, &v->address);
}

static void
write_address(const void *base, struct sbuf *out)
{
	const struct vpn *v = base;
	char text[IP_STR_LEN];

	write_text(out, ip_format(&v->address, text));
}

static void
derive_address(const void *base, struct sbuf *out)
{
	const struct ip ip = first_address(base);
	char text[IP_STR_LEN];

	write_text(out, ip_format(&ip, text));
}

static const struct form address_form = {
    .read = read_address_key,
    .write = write_address,
    .schema = "{\"$ref\":\"#/$defs/address\"}",
    .syntax = "ADDRESS",
};

static const char *
dns_fault(const char *name, const char *text)
{
	struct ip ip;

	(void)name;
	return ip_parse(&ip, text) == 0 ? NULL : "addresses of name servers";
}

/* ---- sync ---------------------------------------------------------------------- */

/* A network of all gateways, one for such purposes if there is one. */
static const struct network *
default_sync(const struct vpn *v)
{
	return v->n_hosts > 1 ? host_list_network(v->host, v->n_hosts) : NULL;
}

static void
read_sync(struct reader *r, const struct yaml *node, void *base)
{
	struct vpn *v = base;

	v->sync = look_up(r, node, NAME_NETWORK);
	for (size_t i = 0; i < v->n_hosts && v->sync != NULL; i++) {
		const struct host *h = v->host[i];

		if (host_unclear(h) || host_address_on(h, v->sync) != NULL)
			continue;
		(void)reader_error(r, node, "host-not-on-network",
		    "host \"%s\" has no address on network \"%s\"", h->name,
		    v->sync->name);
		return;
	}
}

static void
write_sync(const void *base, struct sbuf *out)
{
	const struct vpn *v = base;

	if (v->sync != NULL)
		sbuf_puts(out, v->sync->name);
}

static void
derive_sync(const void *base, struct sbuf *out)
{
	const struct network *net = default_sync(base);

	if (net != NULL)
		sbuf_puts(out, net->name);
}

static const struct form sync_form = {
    .read = read_sync,
    .write = write_sync,
    .schema = "{\"$ref\":\"#/$defs/name\"}",
    .syntax = "NETWORK",
};

static unsigned
default_sync_port(const struct vpn *v)
{
	unsigned port = v->listen.port;

	return port + SYNC_STEP <= UINT16_MAX ? port + SYNC_STEP : port - SYNC_STEP;
}

static void
derive_sync_port(const void *base, struct sbuf *out)
{
	sbuf_printf(out, "%u", default_sync_port(base));
}

/* ---- names of files and interfaces --------------------------------------------- */

static void
derive_key_file(const void *base, struct sbuf *out)
{
	const struct vpn *v = base;

	sbuf_printf(out, "/etc/nines/%s.key", v->name);
}

static void
derive_interface(const void *base, struct sbuf *out)
{
	const struct vpn *v = base;

	sbuf_printf(out, "wg-%s", v->name);
}

static const char *
interface_fault(const char *name, const char *text)
{
	static const char fit[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789-_.";
	(void)name;
	if (*text != '.' && strlen(text) <= INTERFACE_MAX &&
	    text[strspn(text, fit)] == '\0')
		return NULL;
	return "the name of an interface, at most 15 letters, digits, \"-\", \"_\" "
	       "and \".\"";
}

static const char *
endpoint_fault(const char *name, const char *text)
{
	(void)name;
	if (port_of(text) != 0 && *text != ':' && strpbrk(text, " /") == NULL)
		return NULL;
	return "a name or address with a port, such as vpn.example.org:51820";
}

/* ---- peers --------------------------------------------------------------------- */

static void
read_public_key(struct reader *r, const struct yaml *node, void *base)
{
	struct vpn_peer *p = base;

	if (!want_scalar(r, node, "a public key"))
		return;
	if (base64_decode(p->key, sizeof(p->key), node->text) != 0)
		diag_hint(reader_error(
			      r, node, "bad-public-key", "not a WireGuard public key"),
		    "44 characters of base64, as `wg pubkey` prints them");
}

static void
write_public_key(const void *base, struct sbuf *out)
{
	const struct vpn_peer *p = base;
	char text[BASE64_LEN(VPN_KEY_LEN)];

	write_text(out, base64_encode(p->key, sizeof(p->key), text));
}

static const struct form public_key_form = {
    .read = read_public_key,
    .write = write_public_key,
    .schema = "{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9+/]{43}=$\"}",
    .syntax = "44 characters",
};

static void
read_peer_address(struct reader *r, const struct yaml *node, void *base)
{
	struct vpn_peer *p = base;

	(void)read_inside(r, r->vpn, node, &p->address);
}

static void
write_peer_address(const void *base, struct sbuf *out)
{
	const struct vpn_peer *p = base;
	char text[IP_STR_LEN];

	write_text(out, ip_format(&p->address, text));
}

static const struct form peer_address_form = {
    .read = read_peer_address,
    .write = write_peer_address,
    .schema = "{\"$ref\":\"#/$defs/address\"}",
    .syntax = "ADDRESS",
};

static const struct key peer_key[] = {
    {
	.name = "public_key",
	.kind = VALUE_FORM,
	.required = true,
	.form = &public_key_form,
	.doc = "The client's public key. The private one stays with the client.",
    },
    {
	.name = "address",
	.kind = VALUE_FORM,
	.required = true,
	.form = &peer_address_form,
	.doc = "The client's address in the tunnel, and the only one it may use.",
    },
};

static const struct section peer_section = {
    .what = "peer",
    .doc = "One client. `nines vpn add` and `nines vpn revoke` write these.",
    KEYS(peer_key),
};

static void
report_twin(struct reader *r, const struct vpn_peer *p, const struct vpn_peer *first,
    const char *what)
{
	const struct yaml at = {.line = p->place.line,
	    .column = p->place.column,
	    .width = (unsigned)strlen(p->name)};

	(void)reader_error(r, &at, "duplicate-peer", "\"%s\" has the %s of \"%s\"",
	    p->name, what, first->name);
}

/* Every peer is told from the others by its key, and by its address. */
static void
complete_peers(struct reader *r)
{
	const struct vpn *v = r->vpn;
	struct names seen;

	names_init(&seen, r->scratch);
	for (size_t i = 0; i < v->n_peers; i++) {
		const struct vpn_peer *p = &v->peer[i], *first;
		char text[BASE64_LEN(VPN_KEY_LEN)], ip[IP_STR_LEN];
		static const uint8_t none[VPN_KEY_LEN];
		const char *key;

		(void)base64_encode(p->key, sizeof(p->key), text);
		key = arena_strndup(r->scratch, text, strlen(text));
		if (key == NULL)
			return;
		first = names_put(&seen, key, (void *)(uintptr_t)p);
		if (first != NULL && memcmp(p->key, none, sizeof(none)) != 0)
			report_twin(r, p, first, "public key");
		if (p->address.family == 0)
			continue;
		(void)ip_format(&p->address, ip);
		key = arena_strndup(r->scratch, ip, strlen(ip));
		if (key == NULL)
			return;
		first = names_put(&seen, key, (void *)(uintptr_t)p);
		if (first != NULL)
			report_twin(r, p, first, "address");
	}
}

static const struct many peers = {
    .section = &peer_section,
    .size = sizeof(struct vpn_peer),
    .count = offsetof(struct vpn, n_peers),
    .place = offsetof(struct vpn_peer, place),
    .index = SIZE_MAX,
    .space = NAME_PEER,
    .complete = complete_peers,
};

/* ---- the section --------------------------------------------------------------- */

enum {
	VPN_KEY_ADDRESS = 4, /* places in the table */
	VPN_KEY_KEY_FILE = 7,
	VPN_KEY_INTERFACE = 8,
	VPN_KEY_SYNC = 12,
	VPN_KEY_SYNC_PORT = 13,
	VPN_KEY_PEERS = 14,
};

static const struct key vpn_key[] = {
    {
	.name = "hosts",
	.kind = VALUE_HOSTS,
	.required = true,
	HOSTS_FIELD(struct vpn, host, &hosts_rule),
	.doc = "The gateways. They have one identity; the one with the address of "
	       "`listen` has the clients.",
    },
    {
	.name = "listen",
	.kind = VALUE_FORM,
	.required = true,
	.form = &listen_form,
	.doc = "A floating IP of the gateways, by name or address, and a UDP port.",
    },
    {
	.name = "endpoint",
	.kind = VALUE_TEXT,
	FIELD(struct vpn, endpoint),
	.fault = endpoint_fault,
	.doc = "What clients are told to connect to, where that is not `listen`: a "
	       "name in the DNS, or the outside of a NAT.",
    },
    {
	.name = "subnet",
	.kind = VALUE_FORM,
	.required = true,
	.form = &subnet_form,
	.doc = "Addresses of the clients in the tunnel, in no network of the file.",
    },
    [VPN_KEY_ADDRESS] =
	{
	    .name = "address",
	    .kind = VALUE_FORM,
	    .form = &address_form,
	    .doc = "The gateways' own address in the tunnel, the same for all.",
	    .derived = derive_address,
	    .derived_doc = "the first of `subnet`",
	},
    {
	.name = "reach",
	.kind = VALUE_NETS,
	.required = true,
	FIELD(struct vpn, reach),
	.doc = "Where clients may go, and nowhere else.",
    },
    {
	.name = "masquerade",
	.kind = VALUE_FLAG,
	FIELD(struct vpn, masquerade),
	.preset = "false",
	.doc = "Clients arrive there from the gateway's own address: no route back is "
	       "needed, but connections through the tunnel end in a failover.",
    },
    [VPN_KEY_KEY_FILE] =
	{
	    .name = "key_file",
	    .kind = VALUE_FILE,
	    FIELD(struct vpn, key_file),
	    .doc = "The private key, the same on all gateways, readable by root "
		   "only. `nines vpn key` makes one.",
	    .derived = derive_key_file,
	    .derived_doc = "`/etc/nines/NAME.key`",
	},
    [VPN_KEY_INTERFACE] =
	{
	    .name = "interface",
	    .kind = VALUE_TEXT,
	    FIELD(struct vpn, interface),
	    .fault = interface_fault,
	    .doc = "Name of the tunnel's interface on the gateways.",
	    .derived = derive_interface,
	    .derived_doc = "`wg-NAME`",
	},
    {
	.name = "mtu",
	.kind = VALUE_COUNT,
	FIELD(struct vpn, mtu),
	.min = 1280,
	.max = 9000,
	.preset = "1420",
	.doc = "Largest packet in the tunnel: 80 bytes less than outside.",
    },
    {
	.name = "dns",
	.kind = VALUE_TEXTS,
	FIELD(struct vpn, dns),
	.fault = dns_fault,
	.doc = "Name servers that clients are told.",
    },
    {
	.name = "keepalive",
	.kind = VALUE_DURATION,
	FIELD(struct vpn, keepalive_ns),
	.max = 65535 * SEC_NS,
	.preset = "25s",
	.doc = "How often clients show themselves, so that a NAT on their way keeps "
	       "its door open and a failover finds them; 0s: never.",
    },
    [VPN_KEY_SYNC] =
	{
	    .name = "sync",
	    .kind = VALUE_FORM,
	    .form = &sync_form,
	    .doc = "The network on which the gateways tell each other where their "
		   "clients are.",
	    .derived = derive_sync,
	    .derived_doc = "one that all gateways are on, a dedicated one first",
	},
    [VPN_KEY_SYNC_PORT] =
	{
	    .name = "sync_port",
	    .kind = VALUE_COUNT,
	    FIELD(struct vpn, sync_port),
	    .min = 1,
	    .max = 65535,
	    .doc = "The UDP port for that.",
	    .derived = derive_sync_port,
	    .derived_doc = "the port of `listen` and 1000",
	},
    [VPN_KEY_PEERS] =
	{
	    .name = "peers",
	    .kind = VALUE_MAP,
	    .offset = offsetof(struct vpn, peer),
	    .many = &peers,
	    .doc = "The clients.",
	},
};

static void
begin_vpn(struct reader *r, const struct yaml *node, void *base)
{
	const struct yaml *map = yaml_get(node, "peers");

	r->vpn = base;
	names_init(&r->names[NAME_PEER], r->arena);
	if (map != NULL)
		declare_names(r, &vpn_key[VPN_KEY_PEERS], map, base);
}

/* The floating IP must be where the VPN is. */
static void
check_floating(struct reader *r, const struct yaml *node, const struct vpn *v)
{
	const struct floating_ip *f = v->floating_ip;
	const struct yaml *listen = yaml_get(node, "listen");
	const struct host *wrong = NULL;

	if (f == NULL || listen == NULL || v->n_hosts == 0 || f->n_hosts == 0)
		return;
	for (size_t i = 0; i < v->n_hosts; i++) {
		if (floating_ip_rank(f, v->host[i]) < 0)
			wrong = v->host[i];
	}
	for (size_t i = 0; i < f->n_hosts && wrong == NULL; i++) {
		if (!vpn_on_host(v, f->host[i]))
			wrong = f->host[i];
	}
	if (wrong != NULL)
		diag_hint(reader_error(r, listen, "vpn-hosts",
			      "VPN \"%s\" and floating IP \"%s\" have different "
			      "hosts: \"%s\"",
			      v->name, f->name, wrong->name),
		    "list the same hosts for both");
}

static void
check_subnet(struct reader *r, const struct yaml *node, const struct vpn *v)
{
	const struct yaml *subnet = yaml_get(node, "subnet");
	const struct ip_net *mine = &v->subnet;

	if (mine->ip.family == 0 || subnet == NULL)
		return;
	for (size_t i = 0; i < r->cluster->n_networks; i++) {
		const struct network *net = &r->cluster->network[i];

		if (net->subnet.ip.family == 0 ||
		    (!ip_in_net(&mine->ip, &net->subnet) &&
			!ip_in_net(&net->subnet.ip, mine)))
			continue;
		(void)reader_error(r, subnet, "network-overlap",
		    "the subnet of VPN \"%s\" overlaps network \"%s\"", v->name,
		    net->name);
		return;
	}
}

/* What another VPN must not have as well. */
static void
check_others(struct reader *r, const struct yaml *node, const struct vpn *v)
{
	for (const struct vpn *o = r->cluster->vpn; o < v; o++) {
		const char *what = NULL;

		if (o->subnet.ip.family != 0 && v->subnet.ip.family != 0 &&
		    (ip_in_net(&o->subnet.ip, &v->subnet) ||
			ip_in_net(&v->subnet.ip, &o->subnet)))
			what = "subnet";
		else if (o->interface != NULL && v->interface != NULL &&
			 strcmp(o->interface, v->interface) == 0)
			what = "interface";
		else if (o->listen.port != 0 && v->listen.port != 0 &&
			 (o->listen.port == v->listen.port ||
			     o->listen.port == v->sync_port ||
			     o->sync_port == v->listen.port ||
			     o->sync_port == v->sync_port))
			what = "port";
		if (what == NULL)
			continue;
		(void)reader_error(r, node->key, "vpn-conflict",
		    "VPNs \"%s\" and \"%s\" have the same %s", o->name, v->name, what);
		return;
	}
}

static void
check_peers(struct reader *r, const struct yaml *node, const struct vpn *v)
{
	if (v->n_peers > VPN_PEERS_MAX)
		(void)reader_error(r, yaml_get(node, "peers"), "out-of-range",
		    "a VPN has at most %d peers", VPN_PEERS_MAX);
	for (size_t i = 0; i < v->n_peers; i++) {
		const struct vpn_peer *p = &v->peer[i];
		const struct yaml at = {.line = p->place.line,
		    .column = p->place.column,
		    .width = (unsigned)strlen(p->name)};

		if (p->address.family != 0 && ip_equal(&p->address, &v->address))
			(void)reader_error(r, &at, "duplicate-peer",
			    "\"%s\" has the gateways' own address", p->name);
	}
}

static const char *
derived_text(
    struct reader *r, const struct vpn *v, void (*derive)(const void *, struct sbuf *))
{
	struct sbuf text;
	const char *copy;

	sbuf_init(&text, (size_t)2 * CLUSTER_NAME_MAX);
	derive(v, &text);
	copy = arena_strndup(r->arena, sbuf_text(&text), text.len);
	sbuf_done(&text);
	return copy;
}

static void
derive_names(struct reader *r, const struct yaml *node, struct vpn *v, uint64_t given)
{
	if ((given & 1U << VPN_KEY_KEY_FILE) == 0)
		v->key_file = derived_text(r, v, derive_key_file);
	if ((given & 1U << VPN_KEY_INTERFACE) != 0)
		return;
	v->interface = derived_text(r, v, derive_interface);
	if (v->interface != NULL && strlen(v->interface) > INTERFACE_MAX)
		diag_hint(reader_error(r, node->key, "bad-interface",
			      "\"%s\" is too long for the name of an interface",
			      v->interface),
		    "name one with at most %d characters: interface: NAME",
		    INTERFACE_MAX);
}

static void
finish_vpn(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	struct vpn *v = base;
	const struct yaml *keepalive = yaml_get(node, "keepalive");

	derive_names(r, node, v, given);
	if ((given & 1U << VPN_KEY_ADDRESS) == 0)
		v->address = first_address(v);
	if ((given & 1U << VPN_KEY_SYNC) == 0)
		v->sync = default_sync(v);
	if ((given & 1U << VPN_KEY_SYNC_PORT) == 0)
		v->sync_port = (uint16_t)default_sync_port(v);
	if (keepalive != NULL && v->keepalive_ns % SEC_NS != 0)
		(void)reader_error(
		    r, keepalive, "bad-keepalive", "\"keepalive\" is whole seconds");
	if (v->n_hosts > 1 && v->sync == NULL && (given & 1U << VPN_KEY_SYNC) == 0 &&
	    !host_unclear(v->host[0]))
		(void)reader_error(r, node->key, "no-shared-network",
		    "the gateways of VPN \"%s\" are on no common network", v->name);
	check_floating(r, node, v);
	check_subnet(r, node, v);
	check_others(r, node, v);
	check_peers(r, node, v);
}

const struct section vpn_section = {
    .what = "VPN",
    .doc = "WireGuard gateways that stand in for each other.",
    KEYS(vpn_key),
    .begin = begin_vpn,
    .finish = finish_vpn,
};
