/* SPDX-License-Identifier: Apache-2.0 */
/*
 * section_floating_ip.c - `floating_ips`: addresses that move between hosts.
 */
#include <stdio.h>
#include <string.h>

#include "base/mono.h"
#include "base/plural.h"
#include "config/host_list.h"
#include "config/reader.h"
#include "config/sections.h"
#include "config/service_list.h"

#define HEARTBEAT_V3 (100 * MS_NS)
#define HEARTBEAT_V2 SEC_NS /* version 2 knows only whole seconds */

#define ADDRESSES_MAX 20  /* of one virtual router: they must fit an advertisement */
#define HOSTS_MAX     254 /* a priority each */

/* ---- address, hosts, follow ---------------------------------------------------- */

static void
read_one_address(
    struct reader *r, struct floating_ip *f, const struct yaml *node, struct ip *ip)
{
	const struct network *net;
	struct ip v;

	if (!read_address(r, node, &v))
		return;
	net = network_of(r, &v);
	if (net == NULL) {
		if (networks_clear(r))
			(void)reader_error(r, node, "no-network",
			    "%s is not in any network of this file", node->text);
	} else if (f->network != NULL && f->network != net) {
		(void)reader_error(r, node, "wrong-network",
		    "%s is in network \"%s\", the addresses before are in \"%s\"",
		    node->text, net->name, f->network->name);
	} else {
		f->network = net;
		if (claim_address(r, node, &v, NULL, f))
			*ip = v;
	}
}

static void
read_addresses(struct reader *r, const struct yaml *node, void *base)
{
	struct floating_ip *f = base;
	size_t n;
	const struct yaml *item = yaml_items(node, &n);
	struct ip *ip;

	if (n == 0 || n > ADDRESSES_MAX) {
		(void)reader_error(r, node, "out-of-range",
		    "a floating IP has 1 to %d addresses", ADDRESSES_MAX);
		return;
	}
	ip = arena_array(r->arena, n, sizeof(*ip));
	if (ip == NULL)
		return;
	f->address = ip;
	f->n_addresses = n;
	for (size_t i = 0; i < n; i++, item = item->next)
		read_one_address(r, f, item, &ip[i]);
}

static void
write_addresses(const void *base, struct sbuf *out)
{
	const struct floating_ip *f = base;
	char text[IP_STR_LEN];

	if (f->n_addresses > 1)
		sbuf_puts(out, "[");
	for (size_t i = 0; i < f->n_addresses; i++) {
		if (i > 0)
			sbuf_puts(out, ", ");
		write_text(out, ip_format(&f->address[i], text));
	}
	if (f->n_addresses > 1)
		sbuf_puts(out, "]");
}

static const struct form addresses_form = {
    .read = read_addresses,
    .write = write_addresses,
    .schema = "{\"$ref\":\"#/$defs/addresses\"}",
    .syntax = "ADDRESS or [ADDRESS, ...]",
};

static void
look_at_host(
    struct reader *r, const struct yaml *node, const struct host *h, const void *base)
{
	const struct floating_ip *f = base;

	if (f->network == NULL || host_address_on(h, f->network) != NULL ||
	    host_unclear(h))
		return;
	diag_hint(reader_error(r, node, "host-not-on-network",
		      "host \"%s\" has no address on network \"%s\"", h->name,
		      f->network->name),
	    "the network of %s's address", f->name);
}

static const struct hosts_rule hosts_rule = {
    .count = offsetof(struct floating_ip, n_hosts),
    .max = HOSTS_MAX,
    .one_to = "a floating IP has",
    .what = "hosts",
    .lonely = "the address cannot move anywhere",
    .look = look_at_host,
};

static void
read_follow(struct reader *r, const struct yaml *node, void *base)
{
	struct floating_ip *f = base;

	f->follow = service_list_read(r, node, &f->n_follow);
}

static void
write_follow(const void *base, struct sbuf *out)
{
	const struct floating_ip *f = base;

	service_list_write(f->follow, f->n_follow, out);
}

static const struct form follow_form = {
    .read = read_follow,
    .write = write_follow,
    .schema = SERVICE_LIST_SCHEMA,
    .syntax = SERVICE_LIST_SYNTAX,
};

/* ---- vrrp ---------------------------------------------------------------------- */

static void
read_priority(struct reader *r, const struct yaml *node, void *base)
{
	const struct key item_key = {
	    .name = "priority", .size = 1, .min = 1, .max = 254, .kind = VALUE_COUNT};
	struct floating_ip *f = base;
	size_t n;
	const struct yaml *item = yaml_items(node, &n);
	uint8_t *list = arena_alloc(r->arena, n > 0 ? n : 1);

	if (list == NULL)
		return;
	f->priority = list;
	for (size_t i = 0; i < n; i++, item = item->next)
		read_value(r, &item_key, item, &list[i]);
	if (n != f->n_hosts && f->n_hosts > 0)
		(void)reader_error(r, node, "priority-count",
		    "%zu priorit%s for %zu host%s", n, n == 1 ? "y" : "ies", f->n_hosts,
		    plural(f->n_hosts));
	for (size_t i = 1; i < n && i < f->n_hosts; i++) {
		if (list[i] == 0 || list[i] < list[i - 1])
			continue;
		diag_hint(reader_error(r, node, "priority-order",
			      "priorities must fall in the order of \"hosts\""),
		    "the first host is the preferred one");
		break;
	}
}

static void
write_priority(const void *base, struct sbuf *out)
{
	const struct floating_ip *f = base;

	for (size_t i = 0; i < f->n_hosts; i++)
		sbuf_printf(out, "%s%u", i > 0 ? ", " : "[", f->priority[i]);
	sbuf_puts(out, "]");
}

static void
derive_priority(const void *base, struct sbuf *out)
{
	const struct floating_ip *f = base;

	for (size_t i = 0; i < f->n_hosts; i++)
		sbuf_printf(out, "%s%zu", i > 0 ? ", " : "[", 254 - i);
	sbuf_puts(out, "]");
}

static const struct form priority_form = {
    .read = read_priority,
    .write = write_priority,
    .schema = "{\"$ref\":\"#/$defs/priorities\"}",
    .syntax = "[1..254, ...]",
};

static uint8_t
last_byte(const struct floating_ip *f)
{
	if (f->n_addresses == 0 || f->address[0].family == 0)
		return 0;
	return f->address[0].byte[ip_len(&f->address[0]) - 1];
}

static void
derive_id(const void *base, struct sbuf *out)
{
	sbuf_printf(out, "%u", last_byte(base));
}

static const struct word version_word[] = {
    {"3", 3, "RFC 9568"},
    {"2", 2, "RFC 3768, for old peers: IPv4 only, heartbeats of whole seconds"},
    {0},
};

static const struct word transport_word[] = {
    {"multicast", VRRP_MULTICAST, "as the standard says"},
    {"unicast", VRRP_UNICAST,
	"to each of the other hosts, where there is no multicast"},
    {0},
};

enum { VRRP_KEY_ID, VRRP_KEY_VERSION, VRRP_KEY_TRANSPORT, VRRP_KEY_PRIORITY };

static const struct key vrrp_key[] = {
    [VRRP_KEY_ID] =
	{
	    .name = "id",
	    .kind = VALUE_COUNT,
	    FIELD(struct floating_ip, vrid),
	    .min = 1,
	    .max = 255,
	    .doc = "Virtual router identifier, unique on its network.",
	    .derived = derive_id,
	    .derived_doc = "the last byte of the first address",
	},
    [VRRP_KEY_VERSION] =
	{
	    .name = "version",
	    .kind = VALUE_WORD,
	    FIELD(struct floating_ip, version),
	    .preset = "3",
	    .words = version_word,
	    .doc = "Version of the protocol.",
	},
    [VRRP_KEY_TRANSPORT] =
	{
	    .name = "transport",
	    .kind = VALUE_WORD,
	    FIELD(struct floating_ip, transport),
	    .preset = "multicast",
	    .words = transport_word,
	    .doc = "How heartbeats travel.",
	},
    [VRRP_KEY_PRIORITY] =
	{
	    .name = "priority",
	    .kind = VALUE_FORM,
	    .form = &priority_form,
	    .doc = "Priority of each host, in the order of `hosts`.",
	    .derived = derive_priority,
	    .derived_doc = "254, 253, ... in the order of `hosts`",
	},
    {
	.name = "password_file",
	.kind = VALUE_FILE,
	FIELD(struct floating_ip, password_file),
	.doc = "File with the simple text password of version 2.",
    },
};

static void
default_priorities(struct reader *r, struct floating_ip *f)
{
	uint8_t *list = arena_alloc(r->arena, f->n_hosts > 0 ? f->n_hosts : 1);

	for (size_t i = 0; i < f->n_hosts && list != NULL; i++)
		list[i] = (uint8_t)(254 - i);
	f->priority = list;
}

static void
finish_vrrp(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	struct floating_ip *f = base;
	const struct yaml *password = yaml_get(node, "password_file");
	const struct yaml *version = yaml_get(node, "version");

	if ((given & 1U << VRRP_KEY_ID) == 0)
		f->vrid = last_byte(f);
	if ((given & 1U << VRRP_KEY_PRIORITY) == 0)
		default_priorities(r, f);
	if (password != NULL && f->version != 2)
		(void)reader_error(r, password->key, "vrrp-version",
		    "only VRRP version 2 has passwords");
	if (version != NULL && f->version == 2 && f->n_addresses > 0 &&
	    f->address[0].family == AF_INET6)
		(void)reader_error(
		    r, version, "vrrp-version", "VRRP version 2 is for IPv4 only");
}

static const struct section vrrp_section = {
    .what = "vrrp",
    .doc = "What peers that are not nines must agree on.",
    KEYS(vrrp_key),
    .shorthand = "id",
    .finish = finish_vrrp,
};

/* ---- the section --------------------------------------------------------------- */

static void
derive_heartbeat(const void *base, struct sbuf *out)
{
	const struct floating_ip *f = base;

	sbuf_puts(out, f->version == 2 ? "1s" : "100ms");
}

static const struct key floating_ip_key[] = {
    {
	.name = "address",
	.kind = VALUE_FORM,
	.required = true,
	.form = &addresses_form,
	.doc = "The address, or several of one network that move as one.",
    },
    {
	.name = "hosts",
	.kind = VALUE_HOSTS,
	.required = true,
	HOSTS_FIELD(struct floating_ip, host, &hosts_rule),
	.doc = "The hosts that may have it, the preferred one first.",
    },
    {
	.name = "group",
	.kind = VALUE_NAME,
	FIELD(struct floating_ip, group),
	.doc = "Floating IPs of one group are on the same host at any time.",
    },
    {
	.name = "failback",
	.kind = VALUE_FLAG,
	FIELD(struct floating_ip, failback),
	.preset = "false",
	.doc = "Return to the preferred host when it is healthy again.",
    },
    {
	.name = "vrrp",
	.kind = VALUE_SECTION,
	.section = &vrrp_section,
	.doc = "Details of the protocol, for peers that are not nines.",
    },
    {
	.name = "heartbeat",
	.kind = VALUE_DURATION,
	FIELD(struct floating_ip, heartbeat_ns),
	.min = 10 * MS_NS,
	.max = 40 * SEC_NS,
	.doc = "Interval of the active host's signs of life, in steps of 10ms. A "
	       "silence of about three of them moves the address.",
	.derived = derive_heartbeat,
	.derived_doc = "100ms; 1s with VRRP version 2",
    },
    {
	.name = "follow",
	.kind = VALUE_FORM,
	.form = &follow_form,
	.doc = "Leave a host on which these services cannot serve.",
    },
    {
	.name = "check",
	.kind = VALUE_SECTION,
	.offset = offsetof(struct floating_ip, check),
	.section = &address_check_section,
	.doc = "Leave a host on which this check fails.",
    },
    {.name = "provider", .kind = VALUE_LATER},
};

/* An identifier no floating IP of `f`'s network and family has; 0 if there is none. */
static unsigned
free_id(const struct reader *r, const struct floating_ip *f)
{
	char text[CLUSTER_NAME_MAX + 32];

	for (unsigned id = 1; id <= 255; id++) {
		(void)snprintf(text, sizeof(text), "%s %u %u", f->network->name,
		    f->address[0].family, id);
		if (names_get(&r->routers, text) == NULL)
			return id;
	}
	return 0;
}

static void
claim_id(struct reader *r, struct floating_ip *f, const struct yaml *node)
{
	const struct yaml *vrrp = yaml_get(node, "vrrp");
	const struct yaml *at = vrrp != NULL ? vrrp->key : node->key;
	const struct floating_ip *first;
	char text[CLUSTER_NAME_MAX + 32];
	const char *key;
	struct diag *d;

	if (f->network == NULL || f->address[0].family == 0)
		return;
	if (f->vrid == 0) {
		if (vrrp == NULL || yaml_get(vrrp, "id") == NULL)
			diag_hint(reader_error(r, at, "no-router-id",
				      "\"%s\" needs an identifier, since its address "
				      "ends in a zero byte",
				      f->name),
			    "such as vrrp: {id: 51}");
		return;
	}
	(void)snprintf(text, sizeof(text), "%s %u %u", f->network->name,
	    f->address[0].family, f->vrid);
	key = arena_strndup(r->scratch, text, strlen(text));
	first = key != NULL ? names_put(&r->routers, key, f) : NULL;
	if (first == NULL)
		return;
	d = reader_error(r, at, "duplicate-router-id",
	    "\"%s\" and \"%s\" would both be virtual router %u on network \"%s\"",
	    f->name, first->name, f->vrid, f->network->name);
	if (d != NULL && free_id(r, f) > 0)
		diag_hint(d, "such as vrrp: {id: %u}", free_id(r, f));
}

static void
check_heartbeat(struct reader *r, struct floating_ip *f, const struct yaml *node)
{
	const struct yaml *heartbeat = yaml_get(node, "heartbeat");

	if (heartbeat == NULL) {
		f->heartbeat_ns = f->version == 2 ? HEARTBEAT_V2 : HEARTBEAT_V3;
		return;
	}
	if (f->heartbeat_ns % CS_NS != 0)
		(void)reader_error(r, heartbeat, "bad-heartbeat",
		    "a heartbeat is a multiple of 10ms"); /* RFC 9568, 5.2.7 */
	else if (f->version == 2 && f->heartbeat_ns % SEC_NS != 0)
		(void)reader_error(r, heartbeat, "bad-heartbeat",
		    "VRRP version 2 has heartbeats of whole seconds"); /* RFC
									  3768, 5.3.7 */
}

static void
finish_floating_ip(
    struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	struct floating_ip *f = base;

	(void)given;
	check_heartbeat(r, f, node);
	claim_id(r, f, node);
	if (names_get(&r->names[NAME_HOST], f->name) != NULL)
		(void)reader_error(r, node->key, "name-taken",
		    "\"%s\" is the name of a host", f->name);
}

const struct section floating_ip_section = {
    .what = "floating IP",
    .doc = "An address that one of several hosts has, and another takes over.",
    KEYS(floating_ip_key),
    .finish = finish_floating_ip,
};

static bool
same_hosts(const struct floating_ip *a, const struct floating_ip *b)
{
	if (a->n_hosts != b->n_hosts)
		return false;
	for (size_t i = 0; i < a->n_hosts; i++) {
		if (a->host[i] != b->host[i])
			return false;
	}
	return true;
}

void
complete_floating_ips(struct reader *r)
{
	struct names groups;

	names_init(&groups, r->scratch);
	for (size_t i = 0; i < r->cluster->n_floating_ips; i++) {
		const struct floating_ip *f = &r->cluster->floating_ip[i], *first;
		const struct yaml at = {.line = f->place.line,
		    .column = f->place.column,
		    .width = (unsigned)strlen(f->name)};

		if (f->group == NULL)
			continue;
		first = names_put(&groups, f->group, (void *)(uintptr_t)f);
		if (first != NULL && !same_hosts(first, f))
			diag_hint(
			    reader_error(r, &at, "group-hosts",
				"\"%s\" and \"%s\" are one group, but their hosts "
				"differ",
				first->name, f->name),
			    "the same hosts in the same order");
	}
}
