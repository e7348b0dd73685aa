/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_sticky.c - clients that stay with a server: by a cookie, or by their source,
 * which a hash or a table knows.
 */
#include <string.h>

#include "base/mono.h"
#include "config/reader.h"
#include "config/sections.h"
#include "config/service_parts.h"
#include "config/units.h"

#define STICKY_NAME_MAX 64
#define DAY_NS		(86400 * SEC_NS)

bool
balance_applies(const void *base)
{
	const struct service *s = base;

	return !s->balancing.sticky_source || sticky_has_table(&s->balancing);
}

bool
sticky_has_table(const struct balance_conf *b)
{
	return b->source.sync != NULL;
}

/* ---- by source ------------------------------------------------------------------ */

static const struct word by_word[] = {
    {"source", 1, "the client's address, or the network it comes from"},
    {0},
};

static void
read_sync(struct reader *r, const struct yaml *node, void *base)
{
	struct service *s = base;

	s->balancing.source.sync = look_up(r, node, NAME_NETWORK);
}

static void
write_sync(const void *base, struct sbuf *out)
{
	const struct service *s = base;

	if (s->balancing.source.sync != NULL)
		write_text(out, s->balancing.source.sync->name);
}

static const struct form sync_form = {
    .read = read_sync,
    .write = write_sync,
    .schema = "{\"type\":\"string\"}",
    .syntax = "NETWORK",
};

/* The first is `by`; the others make sense with a table, which takes `sync`. */
static const struct key source_key[] = {
    {
	.name = "by",
	.kind = VALUE_WORD,
	.required = true,
	FIELD(struct service, balancing.sticky_source),
	.words = by_word,
	.doc = "Where a client comes from.",
    },
    {
	.name = "sync",
	.kind = VALUE_FORM,
	.form = &sync_form,
	.doc = "The network on which load balancers tell each other who has which "
	       "server.",
    },
    {
	.name = "key_file",
	.kind = VALUE_FILE,
	FIELD(struct service, balancing.source.key_file),
	.preset = "/etc/nines/sync.key",
	.doc = "File with the secret that protects `sync`, the same on all of them.",
    },
    {
	.name = "size",
	.kind = VALUE_COUNT,
	FIELD(struct service, balancing.source.size),
	.min = 1000,
	.max = 1000000,
	.preset = "100000",
	.doc = "Sources that are known at a time; beyond that the oldest is forgotten.",
    },
    {
	.name = "expire",
	.kind = VALUE_DURATION,
	FIELD(struct service, balancing.source.expire_ns),
	.min = 60 * SEC_NS,
	.max = 30 * DAY_NS,
	.preset = "30m",
	.doc = "A source that was not here for so long is forgotten.",
    },
    {
	.name = "ipv6_prefix",
	.kind = VALUE_COUNT,
	FIELD(struct service, balancing.source.prefix6),
	.min = 32,
	.max = 128,
	.preset = "64",
	.doc = "Bits of an IPv6 address that make a source.",
    },
};

static const struct section source_section = {
    .what = "sticky",
    KEYS(source_key),
};

static void
need_sync(struct reader *r, const struct yaml *node)
{
	for (const struct yaml *n = node->first; n != NULL; n = n->next) {
		if (strcmp(n->key->text, "by") != 0)
			diag_hint(reader_error(r, n->key, "missing-key",
				      "\"%.64s\" is for a table, which needs \"sync\"",
				      n->key->text),
			    "sync: NETWORK, on which the load balancers tell each "
			    "other");
	}
}

static void
read_by_source(struct reader *r, const struct yaml *node, struct service *s)
{
	read_section(r, &source_section, node, s);
	if (yaml_get(node, "sync") == NULL)
		need_sync(r, node);
}

static void
write_by_source(const struct balance_conf *b, struct sbuf *out)
{
	char time[UNITS_LEN];

	if (!sticky_has_table(b)) {
		sbuf_puts(out, "source");
		return;
	}
	sbuf_puts(out, "{by: source, sync: ");
	write_text(out, b->source.sync->name);
	sbuf_puts(out, ", key_file: ");
	write_text(out, b->source.key_file);
	sbuf_printf(out, ", size: %u, expire: %s, ipv6_prefix: %u}", b->source.size,
	    duration_format(b->source.expire_ns, time), b->source.prefix6);
}

/* ---- sticky --------------------------------------------------------------------- */

static void
read_cookie(struct reader *r, const struct yaml *node, struct service *s)
{
	const struct key cookie_key = {.name = "cookie",
	    .kind = VALUE_TOKEN,
	    FIELD(struct service, balancing.sticky)};
	const struct key secret_key = {.name = "secret_file",
	    .kind = VALUE_FILE,
	    FIELD(struct service, balancing.sticky_secret)};
	const struct yaml *cookie = yaml_get(node, "cookie");
	const struct yaml *secret = yaml_get(node, "secret_file");

	balance_unknown_keys(r, node, "sticky", cookie, secret);
	read_value(r, &cookie_key, cookie, s);
	if (secret != NULL)
		read_value(r, &secret_key, secret, s);
	if (s->balancing.sticky != NULL &&
	    strlen(s->balancing.sticky) > STICKY_NAME_MAX)
		(void)reader_error(r, cookie, "bad-text",
		    "the name of a cookie has at most %d characters here",
		    STICKY_NAME_MAX);
}

static void
read_sticky(struct reader *r, const struct yaml *node, void *base)
{
	struct service *s = base;

	if (node->kind == YAML_SCALAR && strcmp(node->text, "source") == 0)
		s->balancing.sticky_source = true;
	else if (node->kind == YAML_MAP && yaml_get(node, "cookie") != NULL)
		read_cookie(r, node, s);
	else if (node->kind == YAML_MAP && yaml_get(node, "by") != NULL)
		read_by_source(r, node, s);
	else
		diag_hint(reader_error(r, node, "wrong-type",
			      "\"sticky\" takes source, {by: source, sync: NETWORK} or "
			      "{cookie: NAME}"),
		    "sticky: {cookie: nines}");
}

static void
write_sticky(const void *base, struct sbuf *out)
{
	const struct service *s = base;

	if (s->balancing.sticky_source)
		write_by_source(&s->balancing, out);
	if (s->balancing.sticky == NULL)
		return;
	sbuf_printf(out, "{cookie: \"%s\"", s->balancing.sticky);
	if (s->balancing.sticky_secret != NULL) {
		sbuf_puts(out, ", secret_file: ");
		write_text(out, s->balancing.sticky_secret);
	}
	sbuf_puts(out, "}");
}

const struct form sticky_form = {
    .read = read_sticky,
    .write = write_sticky,
    .schema = "{\"anyOf\":[{\"enum\":[\"source\"]},{\"type\":\"object\",\"required\":"
	      "[\"cookie\"],\"additionalProperties\":false,\"properties\":{\"cookie\":"
	      "{\"type\":\"string\"},\"secret_file\":{\"type\":\"string\","
	      "\"pattern\":\"^/\"}}},{\"type\":\"object\",\"required\":[\"by\"],"
	      "\"additionalProperties\":false,\"properties\":{\"by\":{\"enum\":"
	      "[\"source\"]},\"sync\":{\"type\":\"string\"},\"key_file\":{\"type\":"
	      "\"string\",\"pattern\":\"^/\"},\"size\":{\"type\":\"integer\","
	      "\"minimum\":1000,\"maximum\":1000000},\"expire\":{\"type\":\"string\"},"
	      "\"ipv6_prefix\":{\"type\":\"integer\",\"minimum\":32,\"maximum\":128}}}"
	      "]}",
    .syntax = "source, {by: source, sync: NETWORK, key_file: FILE, size: 100000, "
	      "expire: 30m, ipv6_prefix: 64} or {cookie: NAME, secret_file: FILE}",
};

/* ---- together ------------------------------------------------------------------- */

/* Every load balancer has an address on the network, and there are not too many. */
static void
check_hosts(struct reader *r, const struct yaml *sync, const struct service *s)
{
	size_t n = 0;

	for (size_t i = 0; i < r->cluster->n_hosts; i++) {
		const struct host *h = &r->cluster->host[i];

		if (!service_on_host(s, h))
			continue;
		n++;
		if (host_unclear(h) ||
		    host_address_on(h, s->balancing.source.sync) != NULL)
			continue;
		diag_hint(reader_error(r, sync, "host-not-on-network",
			      "host \"%s\" has no address on network \"%s\"", h->name,
			      s->balancing.source.sync->name),
		    "each host that listens for the service needs one there");
	}
	if (n > STICKY_HOSTS_MAX)
		(void)reader_error(r, sync, "out-of-range",
		    "sources are shared by at most %d hosts", STICKY_HOSTS_MAX);
}

void
sticky_finish(struct reader *r, const struct yaml *node, struct service *s)
{
	const struct yaml *balance = yaml_get(node, "balance");
	const struct yaml *sticky = yaml_get(node, "sticky");

	if (s->mode == MODE_TCP && s->balancing.sticky != NULL)
		diag_hint(reader_error(r, sticky, "key-conflict",
			      "in mode tcp there is only the source to stick to"),
		    "sticky: source");
	if (!s->balancing.sticky_source)
		return;
	if (sticky_has_table(&s->balancing)) {
		check_hosts(r, yaml_get(sticky, "sync"), s);
		if (balance != NULL)
			return; /* for sources that are not in it */
	} else if (balance != NULL) {
		diag_hint(reader_error(r, balance->key, "key-conflict",
			      "\"sticky: source\" is a way of balancing by itself"),
		    "leave out \"balance\", use a cookie, or a table: {by: source, "
		    "sync: NETWORK}");
	}
	/* Both load balancers find the same server without a word, and after a restart:
	 * the hash is the table, or what it begins with. */
	s->balance = BALANCE_HASH;
	s->balancing.hash_key = HASH_SOURCE;
}
