/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.c - an index of routes by what they say of host and path.
 *
 * A route has an entry for each pair of a host and a path that it names, "any" being
 * one of them. A query looks up its own host, all that is above it, and any; each of
 * them with its own path, all that it begins with, and any. What it finds is only a
 * candidate: route_holds() has the last word, so two keys may well be alike.
 */
#include "proxy/request/route.h"

#include <string.h>
#include <strings.h>

#include "base/rng.h"

#define SEED  UINT64_C(0xcbf29ce484222325)
#define PRIME UINT64_C(0x100000001b3)

/* What a key is made of. */
enum part { HOST_ANY, HOST_WHOLE, HOST_BELOW, PATH_ANY, PATH_WHOLE, PATH_PREFIX };

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static uint64_t
step(uint64_t h, char c)
{
	return (h ^ (unsigned char)c) * PRIME;
}

static uint64_t
part_key(enum part part, uint64_t h)
{
	return rng_mix(h + (uint64_t)part);
}

static uint64_t
whole_key(uint64_t host, uint64_t path)
{
	return rng_mix(host ^ (path << 1 | path >> 63));
}

static uint64_t
bit(size_t n)
{
	return UINT64_C(1) << (n < 63 ? n : 63);
}

/* ---- conditions ---------------------------------------------------------------- */

static bool
name_is(struct route_text name, const char *text)
{
	size_t len = strlen(text);

	if (text[0] == '*')
		return name.len > len - 1 &&
		       strncasecmp(
			   name.p + (name.len - (len - 1)), text + 1, len - 1) == 0;
	return name.len == len && strncasecmp(name.p, text, len) == 0;
}

static bool
name_holds(const struct texts *t, struct route_text name)
{
	for (size_t i = 0; i < t->n; i++) {
		if (name_is(name, t->text[i]))
			return true;
	}
	return t->n == 0;
}

static bool
text_is(struct route_text a, const char *text)
{
	return a.len == strlen(text) && memcmp(a.p, text, a.len) == 0;
}

static bool
text_holds(const struct texts *t, struct route_text a)
{
	for (size_t i = 0; i < t->n; i++) {
		if (text_is(a, t->text[i]))
			return true;
	}
	return t->n == 0;
}

/* "/api" is the prefix of /api and /api/x, "/api/" only of the latter. */
static bool
begins(struct route_text path, const char *prefix)
{
	size_t len = strlen(prefix);

	return path.len >= len && memcmp(path.p, prefix, len) == 0 &&
	       (path.len == len || prefix[len - 1] == '/' || path.p[len] == '/');
}

static bool
prefix_holds(const struct texts *t, struct route_text path)
{
	for (size_t i = 0; i < t->n; i++) {
		if (begins(path, t->text[i]))
			return true;
	}
	return t->n == 0;
}

static bool
field_holds(const struct pair *want, const struct route_query *q)
{
	size_t len = strlen(want->name);

	for (unsigned i = 0; q->head != NULL && i < q->head->n_fields; i++) {
		const struct http1_field *f = &q->head->field[i];
		struct route_text value = {q->bytes + f->value.off, f->value.len};

		if (f->name.len == len &&
		    strncasecmp(q->bytes + f->name.off, want->name, len) == 0 &&
		    (strcmp(want->value, "*") == 0 || text_is(value, want->value)))
			return true;
	}
	return false;
}

static bool
source_holds(const struct nets *nets, const struct ip *source)
{
	for (size_t i = 0; i < nets->n; i++) {
		if (ip_in_net(source, &nets->net[i]))
			return true;
	}
	return nets->n == 0;
}

bool
route_holds(const struct route *r, const struct route_query *q)
{
	for (size_t i = 0; i < r->header.n; i++) {
		if (!field_holds(&r->header.pair[i], q))
			return false;
	}
	return name_holds(&r->host, q->host) && name_holds(&r->sni, q->sni) &&
	       text_holds(&r->path, q->path) && prefix_holds(&r->prefix, q->path) &&
	       text_holds(&r->method, q->method) && source_holds(&r->source, q->source);
}

/* ---- the table ----------------------------------------------------------------- */

static const struct texts *
names_of(const struct route_table *t, const struct route *r)
{
	return t->by_sni ? &r->sni : &r->host;
}

/* How many keys `r` has, at least. */
static size_t
keys_of(const struct route_table *t, const struct route *r)
{
	size_t hosts = names_of(t, r)->n, paths = r->path.n + r->prefix.n;

	return (hosts > 0 ? hosts : 1) * (paths > 0 ? paths : 1);
}

static size_t
slots_for(size_t entries)
{
	size_t n = 16;

	while (n < 2 * entries)
		n *= 2;
	return n;
}

static size_t
count_entries(const struct route_table *t, const struct service *conf)
{
	size_t n = 0;

	for (size_t i = 0; i < conf->n_routes; i++)
		n += keys_of(t, &conf->route[i]);
	return n;
}

size_t
route_table_size(const struct service *conf)
{
	const struct route_table t = {.by_sni = conf->mode == MODE_TCP};
	size_t n = count_entries(&t, conf);

	return n * sizeof(struct route_entry) + slots_for(n) * sizeof(uint32_t);
}

/* From the end, since what is above a host is its end. */
static uint64_t
host_key(struct route_table *t, const char *name)
{
	bool below = name[0] == '*';
	uint64_t h = SEED;
	size_t dots = 0;

	for (size_t i = strlen(name); i > (below ? 1 : 0); i--) {
		h = step(h, lower(name[i - 1]));
		dots += name[i - 1] == '.';
	}
	if (below)
		t->below_host |= bit(dots);
	else
		t->whole_host = true;
	return part_key(below ? HOST_BELOW : HOST_WHOLE, h);
}

static uint64_t
path_key(struct route_table *t, const char *path, bool prefix)
{
	uint64_t h = SEED;
	size_t slashes = 0, len = strlen(path);

	for (size_t i = 0; i < len; i++) {
		h = step(h, path[i]);
		slashes += path[i] == '/';
	}
	if (!prefix)
		t->whole_path = true;
	else if (path[len - 1] == '/')
		t->prefix_slash |= bit(slashes);
	else
		t->prefix |= bit(slashes);
	return part_key(prefix ? PATH_PREFIX : PATH_WHOLE, h);
}

/* Routes are added from the last to the first, so each goes before the others. */
static void
add_entry(
    struct route_table *t, size_t *n, uint64_t host, uint64_t path, uint32_t route)
{
	uint64_t key = whole_key(host, path);
	uint32_t *slot = &t->slot[key & t->mask];

	t->entry[*n] = (struct route_entry){.key = key, .route = route, .next = *slot};
	*slot = (uint32_t)++ * n;
}

static void
add_paths(struct route_table *t, size_t *n, uint64_t host, size_t i)
{
	const struct route *r = &t->route[i];

	for (size_t k = 0; k < r->path.n; k++)
		add_entry(t, n, host, path_key(t, r->path.text[k], false), (uint32_t)i);
	for (size_t k = 0; k < r->prefix.n; k++)
		add_entry(
		    t, n, host, path_key(t, r->prefix.text[k], true), (uint32_t)i);
	if (r->path.n + r->prefix.n > 0)
		return;
	t->any_path = true;
	add_entry(t, n, host, part_key(PATH_ANY, 0), (uint32_t)i);
}

void
route_table_init(struct route_table *t, const struct service *conf, void *memory)
{
	size_t n = 0, entries;

	*t = (struct route_table){.route = conf->route,
	    .n = conf->n_routes,
	    .by_sni = conf->mode == MODE_TCP,
	    .entry = memory};
	entries = count_entries(t, conf);
	t->mask = slots_for(entries) - 1;
	t->slot = (void *)(t->entry + entries);
	for (size_t i = t->n; i-- > 0;) {
		const struct texts *names = names_of(t, &t->route[i]);

		for (size_t k = 0; k < names->n; k++)
			add_paths(t, &n, host_key(t, names->text[k]), i);
		if (names->n > 0)
			continue;
		t->any_host = true;
		add_paths(t, &n, part_key(HOST_ANY, 0), i);
	}
	ASSERT(n == entries);
}

/* ---- finding ------------------------------------------------------------------- */

struct search {
	const struct route_table *t;
	const struct route_query *q;
	size_t best; /* the first route that holds, of those looked at; or t->n */
};

static void
look(struct search *s, uint64_t host, uint64_t path)
{
	const struct route_table *t = s->t;
	uint64_t key = whole_key(host, path);
	uint32_t at = t->slot[key & t->mask];

	for (; at != 0; at = t->entry[at - 1].next) {
		const struct route_entry *e = &t->entry[at - 1];

		if (e->route >= s->best)
			return;
		if (e->key == key && route_holds(&t->route[e->route], s->q)) {
			s->best = e->route;
			return;
		}
	}
}

/* All that may be said of the path, with one thing said of the host. */
static void
look_paths(struct search *s, uint64_t host)
{
	const struct route_table *t = s->t;
	struct route_text path = s->q->path;
	uint64_t h = SEED;
	size_t slashes = 0;

	if (t->any_path)
		look(s, host, part_key(PATH_ANY, 0));
	if (!t->whole_path && (t->prefix | t->prefix_slash) == 0)
		return;
	for (size_t i = 0; i < path.len; i++) {
		bool slash = path.p[i] == '/';

		if (slash && (t->prefix & bit(slashes)) != 0)
			look(s, host, part_key(PATH_PREFIX, h));
		h = step(h, path.p[i]);
		slashes += slash;
		if (slash && (t->prefix_slash & bit(slashes)) != 0)
			look(s, host, part_key(PATH_PREFIX, h));
	}
	if (t->whole_path)
		look(s, host, part_key(PATH_WHOLE, h));
	if ((t->prefix & bit(slashes)) != 0)
		look(s, host, part_key(PATH_PREFIX, h));
}

const struct route *
route_find(const struct route_table *t, const struct route_query *q)
{
	struct search s = {.t = t, .q = q, .best = t->n};
	struct route_text name = t->by_sni ? q->sni : q->host;
	uint64_t h = SEED;
	size_t dots = 0;

	if (t->any_host)
		look_paths(&s, part_key(HOST_ANY, 0));
	for (size_t i = name.len;
	     i > 0 && (t->whole_host || (t->below_host >> dots) != 0); i--) {
		char c = lower(name.p[i - 1]);

		h = step(h, c);
		dots += c == '.' && dots < 63;
		if (c == '.' && i > 1 && (t->below_host & bit(dots)) != 0)
			look_paths(&s, part_key(HOST_BELOW, h));
	}
	if (t->whole_host && name.len > 0)
		look_paths(&s, part_key(HOST_WHOLE, h));
	return s.best < t->n ? &t->route[s.best] : NULL;
}

struct route_text
route_host(const char *p, size_t len)
{
	const char *end =
	    len > 0 && p[0] == '[' ? memchr(p, ']', len) : memchr(p, ':', len);

	if (end != NULL)
		len = (size_t)(end - p) + (*end == ']');
	if (len > 1 && p[len - 1] == '.')
		len--;
	return (struct route_text){p, len};
}

size_t
route_rewritten(const struct route *r, struct route_text path)
{
	if (r->rewrite_from != NULL)
		return begins(path, r->rewrite_from) ? strlen(r->rewrite_from) : 0;
	if (r->path.n > 0)
		return path.len;
	for (size_t i = 0; i < r->prefix.n; i++) {
		if (begins(path, r->prefix.text[i]))
			return strlen(r->prefix.text[i]);
	}
	return 0;
}
