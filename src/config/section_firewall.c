/* SPDX-License-Identifier: Apache-2.0 */
/*
 * section_firewall.c - `firewall` and `host_firewall`.
 */
#include <string.h>

#include "base/mono.h"
#include "config/firewall_parts.h"
#include "config/host_list.h"
#include "config/section_firewall.h"
#include "config/sections.h"

#define HOSTS_MAX 254

/* ---- hosts, sync, outside ------------------------------------------------------ */

static const struct hosts_rule hosts_rule = {
    .count = offsetof(struct firewall_conf, n_hosts),
    .max = HOSTS_MAX,
    .one_to = "a firewall has",
    .what = "hosts",
    .lonely = "nobody takes over from it",
};

static void
read_sync(struct reader *r, const struct yaml *node, void *base)
{
	struct firewall_conf *f = base;

	f->sync = look_up(r, node, NAME_NETWORK);
	if (f->n_hosts > FIREWALL_SYNC_HOSTS)
		(void)reader_error(r, node, "out-of-range",
		    "state is shared by at most %d hosts", FIREWALL_SYNC_HOSTS);
	for (size_t i = 0; i < f->n_hosts && f->sync != NULL; i++) {
		const struct host *h = f->host[i];

		if (host_unclear(h) || host_address_on(h, f->sync) != NULL)
			continue;
		diag_hint(reader_error(r, node, "host-not-on-network",
			      "host \"%s\" has no address on network \"%s\"", h->name,
			      f->sync->name),
		    "each host of the firewall needs one there");
	}
}

static void
write_sync(const void *base, struct sbuf *out)
{
	const struct firewall_conf *f = base;

	if (f->sync != NULL)
		sbuf_puts(out, f->sync->name);
}

static const struct form sync_form = {
    .read = read_sync,
    .write = write_sync,
    .schema = "{\"$ref\":\"#/$defs/name\"}",
    .syntax = "NETWORK",
};

static void
read_outside(struct reader *r, const struct yaml *node, void *base)
{
	struct firewall_conf *f = base;

	if (node->kind == YAML_SCALAR && strcmp(node->text, "none") == 0)
		f->outside = NULL;
	else
		f->outside = look_up(r, node, NAME_NETWORK);
}

static void
write_outside(const void *base, struct sbuf *out)
{
	const struct firewall_conf *f = base;

	sbuf_puts(out, f->outside != NULL ? f->outside->name : "none");
}

static const struct form outside_form = {
    .read = read_outside,
    .write = write_outside,
    .schema = "{\"$ref\":\"#/$defs/name\"}",
    .syntax = "NETWORK or none",
};

/* ---- the firewall -------------------------------------------------------------- */

static void
read_firewall_log(struct reader *r, const struct yaml *node, void *base)
{
	firewall_read_rate(r, node, &((struct firewall_conf *)base)->log);
}

static void
write_firewall_log(const void *base, struct sbuf *out)
{
	firewall_write_rate(&((const struct firewall_conf *)base)->log, out);
}

static const struct form firewall_log_form = {
    .read = read_firewall_log,
    .write = write_firewall_log,
    .schema = FIREWALL_RATE_SCHEMA,
    .syntax = "N/s, N/m, N/h or off",
};

static const struct word reverse_path_word[] = {
    {"strict", REVERSE_PATH_STRICT,
	"a source must be reached by the interface it came in by"},
    {"loose", REVERSE_PATH_LOOSE,
	"a source must be reachable at all, for asymmetric routes"},
    {"off", REVERSE_PATH_OFF, "sources are believed"},
    {0},
};

#define RULES(member, counter)                                                     \
	{                                                                          \
		.section = &firewall_rule_section,                                 \
		.size = sizeof(struct firewall_rule),                              \
		.count = offsetof(struct firewall_conf, counter),                  \
		.place = offsetof(struct firewall_rule, place), .index = SIZE_MAX, \
	}

static const struct many allow_rules = RULES(allow, n_allow);
static const struct many deny_rules = RULES(deny, n_deny);

enum { FIREWALL_KEY_OUTSIDE = 3 };

static const struct key firewall_key[] = {
    {
	.name = "hosts",
	.kind = VALUE_HOSTS,
	.required = true,
	HOSTS_FIELD(struct firewall_conf, host, &hosts_rule),
	.doc = "The hosts that filter; the one that has the floating IPs does so "
	       "at any time.",
    },
    {
	.name = "sync",
	.kind = VALUE_FORM,
	.form = &sync_form,
	.doc = "The network on which they share the state of connections.",
    },
    {
	.name = "key_file",
	.kind = VALUE_FILE,
	FIELD(struct firewall_conf, key_file),
	.preset = "/etc/nines/sync.key",
	.doc = "File with the secret that protects `sync`, the same on all of them.",
    },
    [FIREWALL_KEY_OUTSIDE] =
	{
	    .name = "outside",
	    .kind = VALUE_FORM,
	    .form = &outside_form,
	    .doc = "In rules this network stands for all addresses that are in no "
		   "network of this file: the rest of the world.",
	    .derived_doc = "the gateways' outer network; or the one called `internet`",
	},
    {
	.name = "deny",
	.kind = VALUE_LIST,
	.offset = offsetof(struct firewall_conf, deny),
	.many = &deny_rules,
	.doc = "What never passes, whatever `allow` says.",
    },
    {
	.name = "allow",
	.kind = VALUE_LIST,
	.offset = offsetof(struct firewall_conf, allow),
	.many = &allow_rules,
	.doc = "What passes. Nothing else does.",
    },
    {
	.name = "reverse_path",
	.kind = VALUE_WORD,
	FIELD(struct firewall_conf, reverse_path),
	.preset = "strict",
	.words = reverse_path_word,
	.doc = "Protection against forged sources.",
    },
    {
	.name = "log",
	.kind = VALUE_FORM,
	.preset = "10/s",
	.form = &firewall_log_form,
	.doc = "Log what is refused, at most so many packets.",
    },
};

/* The floating IPs that nobody but the firewall's hosts can have. */
static void
find_floating_ips(struct reader *r, struct firewall_conf *f)
{
	const struct cluster *c = r->cluster;
	const struct floating_ip **list =
	    arena_array(r->arena, c->n_floating_ips + 1, sizeof(const void *));

	for (size_t i = 0; i < c->n_floating_ips && list != NULL; i++) {
		const struct floating_ip *ip = &c->floating_ip[i];
		bool ours = ip->n_hosts > 0;

		for (size_t j = 0; j < ip->n_hosts; j++)
			ours = ours && host_list_has(f->host, f->n_hosts, ip->host[j]);
		if (ours)
			list[f->n_floating_ips++] = ip;
	}
	f->floating_ip = list;
}

/* Half of the addresses on one host and half on the other: answers would come to a
 * firewall that does not know the connection. */
static void
check_group(struct reader *r, const struct firewall_conf *f)
{
	for (size_t i = 1; i < f->n_floating_ips; i++) {
		const struct floating_ip *a = f->floating_ip[0], *b = f->floating_ip[i];
		const struct yaml at = {.line = b->place.line,
		    .column = b->place.column,
		    .width = (unsigned)strlen(b->name)};

		if (a->group != NULL && b->group != NULL &&
		    strcmp(a->group, b->group) == 0)
			continue;
		diag_hint(reader_warning(r, &at, "firewall-group",
			      "\"%s\" and \"%s\" are the firewall's, but can be on "
			      "different hosts",
			      a->name, b->name),
		    "one group for all of them, such as group: firewall");
		return;
	}
}

/* A network that one of the hosts filters and another does not reach. */
static void
check_networks(struct reader *r, const struct yaml *node, const struct firewall_conf *f)
{
	const struct host *first;

	if (f->n_hosts == 0)
		return;
	first = f->host[0];
	for (size_t i = 1; i < f->n_hosts; i++) {
		const struct host *h = f->host[i];

		if (host_unclear(h) || host_unclear(first))
			return;
		for (size_t j = 0; j < h->n_addresses + first->n_addresses; j++) {
			bool ours = j < h->n_addresses;
			const struct network *net =
			    ours ? h->address[j].network
				 : first->address[j - h->n_addresses].network;
			const struct host *lacks = ours ? first : h;

			if (net == NULL || host_address_on(lacks, net) != NULL)
				continue;
			diag_hint(
			    reader_error(r, yaml_get(node, "hosts"),
				"host-not-on-network",
				"host \"%s\" has no address on network \"%s\", but "
				"\"%s\" has",
				lacks->name, net->name, ours ? h->name : first->name),
			    "a host that takes over must be on the same networks");
		}
	}
}

static void
check_nat(struct reader *r, const struct firewall_conf *f)
{
	for (size_t i = 0; i < f->n_allow; i++) {
		const struct firewall_rule *rule = &f->allow[i];
		const struct yaml at = {
		    .line = rule->place.line, .column = rule->place.column, .width = 1};

		if (rule->nat.kind == NAT_MASQUERADE && f->n_floating_ips == 0)
			diag_hint(reader_warning(r, &at, "nat-address",
				      "the firewall has no floating IP to masquerade "
				      "as"),
			    "without one, these connections end when a host fails");
	}
	for (size_t i = 0; i < f->n_deny; i++) {
		const struct firewall_rule *rule = &f->deny[i];
		const struct yaml at = {
		    .line = rule->place.line, .column = rule->place.column, .width = 1};

		if (rule->nat.kind != NAT_NONE || rule->synproxy ||
		    rule->limit.count > 0)
			(void)reader_error(r, &at, "key-conflict",
			    "\"nat\", \"synproxy\" and \"limit\" make no sense in "
			    "\"deny\"");
	}
}

static const struct network *
default_outside(const struct reader *r)
{
	const struct gateway_side *side = &r->cluster->gateways.outside;

	return side->n == 1 ? side->network[0]
			    : names_get(&r->names[NAME_NETWORK], "internet");
}

static void
finish_firewall(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	struct firewall_conf *f = base;
	const struct yaml *at = node->key != NULL ? node->key : node;

	f->place = (struct place){at->line, at->column};
	if ((given & 1U << FIREWALL_KEY_OUTSIDE) == 0)
		f->outside = default_outside(r);
	find_floating_ips(r, f);
	check_networks(r, node, f);
	check_group(r, f);
	check_nat(r, f);
}

static const char *
firewall_absent(const void *base)
{
	const struct firewall_conf *f = base;

	return f->n_hosts == 0 ? "" : NULL;
}

const struct section firewall_section = {
    .what = "firewall",
    .doc = "Hosts that connections pass through, if they may. Only what `allow` lists "
	   "passes, and what belongs to it.",
    KEYS(firewall_key),
    .finish = finish_firewall,
    .absent = firewall_absent,
};

/* ---- host firewalls ------------------------------------------------------------ */

static void
read_management_from(struct reader *r, const struct yaml *node, void *base)
{
	firewall_read_peers(r, node, &((struct management_conf *)base)->from);
}

static void
write_management_from(const void *base, struct sbuf *out)
{
	firewall_write_peers(&((const struct management_conf *)base)->from, out);
}

static const struct form management_from_form = {
    .read = read_management_from,
    .write = write_management_from,
    .schema = FIREWALL_PEERS_SCHEMA,
    .syntax = FIREWALL_PEERS_SYNTAX,
};

static void
read_management_ports(struct reader *r, const struct yaml *node, void *base)
{
	firewall_read_ports(r, node, &((struct management_conf *)base)->ports);
}

static void
write_management_ports(const void *base, struct sbuf *out)
{
	firewall_write_ports(&((const struct management_conf *)base)->ports, out);
}

static const struct form management_ports_form = {
    .read = read_management_ports,
    .write = write_management_ports,
    .schema = "{\"$ref\":\"#/$defs/texts\"}",
    .syntax = FIREWALL_PORTS_SYNTAX,
};

static const struct key management_key[] = {
    {
	.name = "from",
	.kind = VALUE_FORM,
	.form = &management_from_form,
	.doc = "Where administrators come from.",
	.derived_doc = "every network of this file but the firewall's `outside`",
    },
    {
	.name = "ports",
	.kind = VALUE_FORM,
	.preset = "22",
	.form = &management_ports_form,
	.doc = "What they connect to.",
    },
};

static const struct section management_section = {
    .what = "management",
    .doc = "The administrators' access, on every host.",
    KEYS(management_key),
};

static void
read_host_log(struct reader *r, const struct yaml *node, void *base)
{
	firewall_read_rate(r, node, &((struct host_firewall_conf *)base)->log);
}

static void
write_host_log(const void *base, struct sbuf *out)
{
	firewall_write_rate(&((const struct host_firewall_conf *)base)->log, out);
}

static const struct form host_log_form = {
    .read = read_host_log,
    .write = write_host_log,
    .schema = FIREWALL_RATE_SCHEMA,
    .syntax = "N/s, N/m, N/h or off",
};

static const struct many host_rules = {
    .section = &host_rule_section,
    .size = sizeof(struct firewall_rule),
    .count = offsetof(struct host_firewall_conf, n_allow),
    .place = offsetof(struct firewall_rule, place),
    .index = SIZE_MAX,
};

static const struct key host_firewall_key[] = {
    {
	.name = "management",
	.kind = VALUE_SECTION,
	.offset = offsetof(struct host_firewall_conf, management),
	.section = &management_section,
	.doc = "The administrators' access, on every host.",
    },
    {
	.name = "confirm",
	.kind = VALUE_DURATION,
	FIELD(struct host_firewall_conf, confirm_ns),
	.max = 3600 * SEC_NS,
	.preset = "1m",
	.doc = "A change that closes what was open is undone unless `nines firewall "
	       "confirm` comes in this time. 0s: it holds at once.",
    },
    {
	.name = "reverse_path",
	.kind = VALUE_WORD,
	FIELD(struct host_firewall_conf, reverse_path),
	.preset = "loose",
	.words = reverse_path_word,
	.doc = "Protection against forged sources.",
    },
    {
	.name = "log",
	.kind = VALUE_FORM,
	.preset = "10/s",
	.form = &host_log_form,
	.doc = "Log what is refused, at most so many packets.",
    },
    {
	.name = "allow",
	.kind = VALUE_LIST,
	.offset = offsetof(struct host_firewall_conf, allow),
	.many = &host_rules,
	.doc = "What hosts accept beside what this file implies.",
    },
};

static void
finish_host_firewall(
    struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	struct host_firewall_conf *h = base;
	const struct yaml *at = node->key != NULL ? node->key : node;

	(void)r;
	(void)given;
	h->enabled = true;
	h->place = (struct place){at->line, at->column};
}

static bool
host_firewall_scalar(struct reader *r, const struct yaml *node, void *base)
{
	struct yaml map = {.kind = YAML_MAP,
	    .key = node->key,
	    .line = node->line,
	    .column = node->column,
	    .width = node->width};

	if (node->kind != YAML_SCALAR)
		return false;
	if (strcmp(node->text, "true") == 0)
		read_section(r, &host_firewall_section, &map, base);
	else if (strcmp(node->text, "false") != 0)
		diag_hint(reader_error(r, node, "bad-flag",
			      "\"host_firewall\" is true, false or a mapping"),
		    "write true");
	return true;
}

static const char *
host_firewall_absent(const void *base)
{
	return ((const struct host_firewall_conf *)base)->enabled ? NULL : "";
}

/* All as it would be anyway: `true` says it. */
static bool
host_firewall_brief(const void *base, struct sbuf *out)
{
	const struct host_firewall_conf *h = base;
	const struct section *m = &management_section;

	if (h->n_allow > 0)
		return false;
	for (size_t i = 0; i < m->n_keys; i++) {
		if (!key_is_preset(&m->key[i], &h->management))
			return false;
	}
	for (size_t i = 1; i + 1 < ARRAY_LEN(host_firewall_key); i++) {
		if (!key_is_preset(&host_firewall_key[i], h))
			return false;
	}
	sbuf_puts(out, "true");
	return true;
}

const struct section host_firewall_section = {
    .what = "host_firewall",
    .doc = "On every host: refuse what this file does not imply. `true`: with every "
	   "default.",
    KEYS(host_firewall_key),
    .scalar = host_firewall_scalar,
    .scalar_schema = "{\"type\":\"boolean\"}",
    .scalar_syntax = "`true` or `false`",
    .finish = finish_host_firewall,
    .absent = host_firewall_absent,
    .brief = host_firewall_brief,
};
