/* SPDX-License-Identifier: Apache-2.0 */
/*
 * section_database.c - `databases`: copies, votes, and where clients find them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mono.h"
#include "config/host_list.h"
#include "config/listen_at.h"
#include "config/reader.h"
#include "config/replicated.h"
#include "config/sections.h"
#include "config/units.h"

#define DELAY_MIN (60 * SEC_NS)
#define DELAY_MAX (INT64_C(30) * 86400 * SEC_NS)

/* ---- hosts --------------------------------------------------------------------- */

/* By name, or by any address of it. */
static void
read_at(struct reader *r, const struct yaml *node, void *base)
{
	struct database_copy *copy = base;
	const struct owner *owner;
	char text[IP_STR_LEN];
	struct ip ip;

	if (node->kind != YAML_SCALAR || ip_parse(&ip, node->text) != 0) {
		copy->host = look_up(r, node, NAME_HOST);
		return;
	}
	owner = names_get(&r->addresses, ip_format(&ip, text));
	if (owner == NULL || owner->host == NULL)
		diag_hint(reader_error(r, node, "unknown-address",
			      "%s is no host's address", text),
		    "name a host of this file");
	else
		copy->host = owner->host;
}

static void
write_at(const void *base, struct sbuf *out)
{
	const struct database_copy *copy = base;

	if (copy->host != NULL)
		sbuf_puts(out, copy->host->name);
}

static const struct form at_form = {
    .read = read_at,
    .write = write_at,
    .schema = "{\"$ref\":\"#/$defs/name\"}",
    .syntax = "HOST",
};

static const struct key copy_key[] = {
    {
	.name = "at",
	.kind = VALUE_FORM,
	.required = true,
	.form = &at_form,
	.doc = "The host.",
    },
    {
	.name = "delay",
	.kind = VALUE_DURATION,
	FIELD(struct database_copy, delay_ns),
	.max = DELAY_MAX,
	.preset = "0s",
	.doc = "How much later it applies what it has received: the time there is to "
	       "notice a mistake. It votes and keeps a copy, and never takes over.",
    },
};

static bool
brief_copy(const void *base, struct sbuf *out)
{
	const struct database_copy *copy = base;

	if (copy->delay_ns != 0)
		return false;
	write_at(base, out);
	return true;
}

static void
finish_copy(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	struct database_copy *copy = base;
	const struct yaml *delay = yaml_get(node, "delay");

	(void)given;
	if (delay != NULL && copy->delay_ns > 0 && copy->delay_ns < DELAY_MIN)
		diag_hint(
		    reader_error(r, delay, "out-of-range",
			"\"delay\" is 1m to 30d: nobody notices a mistake sooner"),
		    "leave it out for a copy that may take over");
}

static const struct section copy_section = {
    .what = "host of a database",
    .doc = "A copy of the database.",
    KEYS(copy_key),
    .shorthand = "at",
    .finish = finish_copy,
    .brief = brief_copy,
};

static const struct many copies = {
    .section = &copy_section,
    .size = sizeof(struct database_copy),
    .count = offsetof(struct database, n_copies),
    .place = offsetof(struct database_copy, place),
    .index = SIZE_MAX,
};

/* ---- listen -------------------------------------------------------------------- */

#define LISTEN_FORM(which)                                            \
	static void read_##which(                                     \
	    struct reader *r, const struct yaml *node, void *base)    \
	{                                                             \
		struct database_listen *l = base;                     \
                                                                      \
		if (!listen_at_read(r, node, &l->which))              \
			l->which = (struct listen_at){0};             \
	}                                                             \
                                                                      \
	static void write_##which(const void *base, struct sbuf *out) \
	{                                                             \
		const struct database_listen *l = base;               \
                                                                      \
		listen_at_write(&l->which, out);                      \
	}                                                             \
                                                                      \
	static const struct form which##_form = {                     \
	    .read = read_##which,                                     \
	    .write = write_##which,                                   \
	    .schema = LISTEN_AT_SCHEMA,                               \
	    .syntax = LISTEN_AT_SYNTAX,                               \
	}

LISTEN_FORM(write);
LISTEN_FORM(read);
LISTEN_FORM(split);

#define LISTEN_KEY(which, text)                                            \
	{                                                                  \
		.name = #which, .kind = VALUE_FORM, .form = &which##_form, \
		.doc = (text)                                              \
	}

static const struct key listen_key[] = {
    LISTEN_KEY(write, "The primary: a floating IP or a host, and a port."),
    LISTEN_KEY(read, "Any copy that is not delayed."),
    LISTEN_KEY(split, "Both: what only reads goes to a copy."),
};

static const struct section listen_section = {
    .what = "listen",
    .doc = "Where clients find it. Without: at its hosts' own addresses, of which "
	   "clients know all.",
    KEYS(listen_key),
    .shorthand = "write",
};

/* ---- the rest ------------------------------------------------------------------ */

static const struct word engine_word[] = {
    {"postgresql", ENGINE_POSTGRESQL, "streaming replication"},
    {"mariadb", ENGINE_MARIADB, "replication by GTID"},
    {0},
};

static const struct word durability_word[] = {
    {"synchronous", DURABILITY_SYNCHRONOUS,
	"an acknowledged write is on a second host as well, and none is taken while "
	"there is none"},
    {"asynchronous", DURABILITY_ASYNCHRONOUS,
	"it is on the primary: a failover loses the last ones"},
    {0},
};

static const struct hosts_rule elector_rule = {
    .count = offsetof(struct database, n_electors),
    .max = DATABASE_HOSTS_MAX,
    .one_to = "a database has",
    .what = "electors",
};

static const struct key database_key[] = {
    {
	.name = "engine",
	.kind = VALUE_WORD,
	.required = true,
	FIELD(struct database, engine),
	.words = engine_word,
	.doc = "What it is.",
    },
    {
	.name = "hosts",
	.kind = VALUE_LIST,
	.required = true,
	.offset = offsetof(struct database, copy),
	.many = &copies,
	.doc = "The hosts with a copy and a vote. The first that may is the primary.",
    },
    {
	.name = "electors",
	.kind = VALUE_HOSTS,
	HOSTS_FIELD(struct database, elector, &elector_rule),
	.doc = "The hosts that vote on the primary, such as those of an etcd, where "
	       "they are not the ones with a copy.",
    },
    {
	.name = "takeover",
	.kind = VALUE_DURATION,
	FIELD(struct database, takeover_ns),
	.max = 86400 * SEC_NS,
	.preset = "30s",
	.doc = "From the failure of the primary until another host takes writes.",
    },
    {
	.name = "durability",
	.kind = VALUE_WORD,
	FIELD(struct database, durability),
	.preset = "synchronous",
	.words = durability_word,
	.doc = "What an acknowledged write has reached.",
    },
    {
	.name = "listen",
	.kind = VALUE_SECTION,
	.offset = offsetof(struct database, listen),
	.section = &listen_section,
	.doc = "Where clients find it.",
    },
    REPLICATED_KEYS("The network over which its hosts copy and vote.",
	"The services that end when it takes no writes. Without: all of them.",
	"Single failures after which it takes writes again, for `nines spof`."),
};

/* The hosts, each once, from what was read at `list`. */
static void
collect_hosts(struct reader *r, const struct yaml *list, struct database *d)
{
	const struct host **host = arena_array(r->arena, d->n_copies, sizeof(*host));
	size_t n;
	const struct yaml *item = yaml_items(list, &n);

	d->of.host = host;
	for (size_t i = 0; i < d->n_copies && host != NULL; i++, item = item->next) {
		const struct host *h = d->copy[i].host;

		if (h == NULL) /* which was reported */
			continue;
		if (host_list_has(host, d->of.n_hosts, h))
			(void)reader_error(r, item, "duplicate-host",
			    "host \"%s\" is listed twice: two copies on one host are "
			    "one",
			    h->name);
		else
			host[d->of.n_hosts++] = h;
	}
}

static bool
all_delayed(const struct database *d)
{
	for (size_t i = 0; i < d->n_copies; i++) {
		if (d->copy[i].delay_ns == 0)
			return false;
	}
	return d->n_copies > 0;
}

static void
check_copies(struct reader *r, const struct yaml *list, const struct database *d)
{
	if (d->n_copies > DATABASE_HOSTS_MAX)
		(void)reader_error(r, list, "out-of-range",
		    "a database has 1 to %d hosts", DATABASE_HOSTS_MAX);
	else if (all_delayed(d))
		diag_hint(reader_error(r, list, "all-delayed",
			      "every host of database \"%s\" is delayed: none may be "
			      "the primary",
			      d->of.name),
		    "list one without \"delay\", first");
	else if (d->n_copies == 1)
		diag_hint(reader_warning(r, list, "one-host", "there is only one host"),
		    "when it fails, writes end, and what is not in a backup is lost");
}

/* Copies and electors hear each other over the network of the copies if all are on it,
 * else over another one that all are on. */
static void
settle_votes(struct reader *r, const struct yaml *node, struct database *d)
{
	const size_t most = d->of.n_hosts + d->n_electors;
	const struct host **all;
	size_t n = 0;

	if (d->n_electors == 0)
		return;
	all = arena_array(r->arena, most, sizeof(*all));
	for (size_t i = 0; i < most && all != NULL; i++) {
		all[n] =
		    i < d->of.n_hosts ? d->of.host[i] : d->elector[i - d->of.n_hosts];
		if (host_unclear(all[n++]))
			return;
	}
	if (all == NULL || !networks_clear(r))
		return;
	d->votes_over = d->of.over;
	if (d->of.over == NULL || host_list_not_on(all, n, d->of.over) != NULL)
		d->votes_over = host_list_network(all, n);
	if (d->votes_over == NULL)
		diag_hint(
		    reader_error(r, yaml_get(node, "electors"), "no-shared-network",
			"the hosts and electors of database \"%s\" are on no "
			"common network",
			d->of.name),
		    "give each of them an address on one network");
}

static bool
shares_network(const struct host *a, const struct host *b)
{
	for (size_t i = 0; i < a->n_addresses; i++) {
		if (a->address[i].network != NULL &&
		    host_address_on(b, a->address[i].network) != NULL)
			return true;
	}
	return false;
}

/* Whoever has the address passes clients on to a copy. */
static void
check_reach(struct reader *r, const struct yaml *node, const struct database *d,
    const struct listen_at *t)
{
	const struct host *const *owner = t->fip != NULL ? t->fip->host : &t->host;
	size_t n = t->fip != NULL ? t->fip->n_hosts : 1;

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < d->of.n_hosts; k++) {
			if (owner[i] == d->of.host[k] || host_unclear(owner[i]) ||
			    host_unclear(d->of.host[k]) ||
			    shares_network(owner[i], d->of.host[k]))
				continue;
			(void)reader_error(r, node, "no-shared-network",
			    "\"%s\" listens for database \"%s\" and shares no network "
			    "with its host \"%s\"",
			    owner[i]->name, d->of.name, d->of.host[k]->name);
			return;
		}
	}
}

static void
check_listen(struct reader *r, const struct yaml *node, const struct database *d,
    const char *key, const struct listen_at *t)
{
	const struct yaml *listen = yaml_get(node, "listen");
	const struct yaml *at = listen;

	if (listen == NULL || (t->fip == NULL && t->host == NULL))
		return;
	if (listen->kind == YAML_MAP)
		at = yaml_get(listen, key);
	if (at != NULL && listen_at_claim_all(r, at, t, "database", d->of.name) &&
	    networks_clear(r))
		check_reach(r, at, d, t);
}

static void
finish_database(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	struct database *d = base;
	const struct yaml *list = yaml_get(node, "hosts");

	(void)given;
	if (list == NULL || d->n_copies == 0) /* which was reported */
		return;
	collect_hosts(r, list, d);
	check_copies(r, list, d);
	replicated_finish(r, node, "database", &d->of);
	settle_votes(r, node, d);
	check_listen(r, node, d, "write", &d->listen.write);
	check_listen(r, node, d, "read", &d->listen.read);
	check_listen(r, node, d, "split", &d->listen.split);
}

const struct section database_section = {
    .what = "database",
    .doc = "A database with a copy on each of its hosts: for `nines spof`.",
    KEYS(database_key),
    .finish = finish_database,
};
