/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route_test.c - conditions by rows of a table; the index against trying every route in
 * turn, with tens of thousands of random tables and requests; texts filled in.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants the four above first. */
#include <cmocka.h>

#include "base/rng.h"
#include "base/sbuf.h"
#include "config/cluster.h"
#include "parse.h"
#include "proxy/request/route.h"
#include "proxy/request/route_fill.h"

#define FILE_HEAD                                                                      \
	"cluster: t\nnetwork: 10.0.0.0/24\nhosts: {web1: 10.0.0.1}\nservices:\n  s:\n" \
	"    listen: web1:80\n    servers: [web1:8080]\n    groups: {g: [web1:81]}\n"  \
	"    routes:\n"

struct table {
	const struct cluster *cluster;
	const struct service *conf;
	struct route_table table;
	void *memory;
};

static void
make(struct table *t, const char *routes)
{
	struct sbuf text;

	sbuf_init(&text, CLUSTER_FILE_MAX);
	sbuf_puts(&text, FILE_HEAD);
	sbuf_puts(&text, routes);
	t->cluster = parse(sbuf_text(&text));
	sbuf_done(&text);
	t->conf = &t->cluster->service[0];
	t->memory = calloc(1, route_table_size(t->conf));
	assert_non_null(t->memory);
	route_table_init(&t->table, t->conf, t->memory);
}

static void
unmake(struct table *t)
{
	free(t->memory);
	cluster_unref(t->cluster);
}

static struct route_text
text(const char *s)
{
	return (struct route_text){s, strlen(s)};
}

/* The index of the route taken, or -1. */
static int
find(const struct table *t, const struct route_query *q)
{
	const struct route *r = route_find(&t->table, q);

	return r == NULL ? -1 : (int)(r - t->conf->route);
}

static int
find_naively(const struct table *t, const struct route_query *q)
{
	for (size_t i = 0; i < t->conf->n_routes; i++) {
		if (route_holds(&t->conf->route[i], q))
			return (int)i;
	}
	return -1;
}

static const char rows_routes[] =
    "      - {host: a.test, path: /one}\n"	/* 0 */
    "      - {host: a.test, prefix: /api}\n"	/* 1 */
    "      - {host: \"*.a.test\", prefix: /}\n" /* 2 */
    "      - {prefix: [/img/, /css], host: [b.test, "
    "c.test]}\n"				      /* 3 */
    "      - {path: /only, method: [GET, HEAD]}\n"    /* 4 */
    "      - {source: [10.1.0.0/16, 10.2.3.4]}\n"     /* 5 */
    "      - {header: {X-Canary: 1, X-Any: \"*\"}}\n" /* 6 */
    "      - {host: a.test}\n"			      /* 7 */
    "      - {prefix: /}\n";			      /* 8 */

static const struct row {
	const char *host, *path, *method, *source, *fields;
	int route;
} row[] = {
    {"a.test", "/one", "GET", "10.0.0.1", "", 0},
    {"A.Test:8080", "/one", "GET", "10.0.0.1", "", 0},
    {"a.test.", "/one", "GET", "10.0.0.1", "", 0},
    {"a.test", "/one/", "GET", "10.0.0.1", "", 7},
    {"a.test", "/api", "GET", "10.0.0.1", "", 1},
    {"a.test", "/api/x", "GET", "10.0.0.1", "", 1},
    {"a.test", "/apis", "GET", "10.0.0.1", "", 7},
    {"x.a.test", "/api", "GET", "10.0.0.1", "", 2},
    {"x.y.a.test", "/", "GET", "10.0.0.1", "", 2},
    {".a.test", "/", "GET", "10.0.0.1", "", 8},
    {"xa.test", "/", "GET", "10.0.0.1", "", 8},
    {"b.test", "/img/1.png", "GET", "10.0.0.1", "", 3},
    {"c.test", "/css", "GET", "10.0.0.1", "", 3},
    {"c.test", "/img", "GET", "10.0.0.1", "", 8},
    {"d.test", "/css", "GET", "10.0.0.1", "", 8},
    {"d.test", "/only", "HEAD", "10.0.0.1", "", 4},
    {"d.test", "/only", "POST", "10.0.0.1", "", 8},
    {"d.test", "/only", "get", "10.0.0.1", "", 8},
    {"d.test", "/z", "GET", "10.1.255.1", "", 5},
    {"d.test", "/z", "GET", "10.2.3.4", "", 5},
    {"d.test", "/z", "GET", "10.2.3.5", "", 8},
    {"a.test", "/z", "GET", "10.2.3.4", "", 5},
    {"d.test", "/z", "GET", "10.0.0.1", "x-canary: 1\r\nx-any: \r\n", 6},
    {"d.test", "/z", "GET", "10.0.0.1", "X-Canary: 0\r\nX-Canary: 1\r\nX-Any: y\r\n",
	6},
    {"d.test", "/z", "GET", "10.0.0.1", "X-Canary: 11\r\nX-Any: y\r\n", 8},
    {"d.test", "/z", "GET", "10.0.0.1", "X-Canary: 1\r\n", 8},
    {"", "/z", "GET", "10.0.0.1", "", 8},
    {"", "*", "OPTIONS", "10.0.0.1", "", -1},
    {"[::1]:80", "/", "GET", "10.0.0.1", "", 8},
};

static void
rows(void **state)
{
	struct table t;

	(void)state;
	make(&t, rows_routes);
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		const struct row *x = &row[i];
		static struct http1_head head;
		char request[256];
		struct ip source;
		struct route_query q = {.host = route_host(x->host, strlen(x->host)),
		    .path = text(x->path),
		    .method = text(x->method),
		    .head = &head,
		    .bytes = request,
		    .source = &source};

		(void)snprintf(
		    request, sizeof(request), "GET / HTTP/1.0\r\n%s\r\n", x->fields);
		assert_int_equal(
		    http1_parse_request(&head, request, strlen(request)), 0);
		assert_int_equal(ip_parse(&source, x->source), 0);
		if (find(&t, &q) != x->route)
			fail_msg("%s %s%s: %d, not %d", x->method, x->host, x->path,
			    find(&t, &q), x->route);
		assert_int_equal(find_naively(&t, &q), x->route);
	}
	unmake(&t);
}

/* Few letters, so that much is alike. */
static void
put_host(struct sbuf *out, struct rng *rng, bool wild)
{
	unsigned labels = 1 + rng_below(rng, 3);

	if (wild && rng_below(rng, 3) == 0)
		sbuf_puts(out, "*.");
	for (unsigned i = 0; i < labels; i++)
		sbuf_printf(
		    out, "%s%c", i > 0 ? "." : "", 'a' + (int)rng_below(rng, 2));
}

static void
put_path(struct sbuf *out, struct rng *rng)
{
	unsigned segments = rng_below(rng, 4);

	for (unsigned i = 0; i < segments; i++)
		sbuf_printf(out, "/%.*s%s", (int)rng_below(rng, 2), "x",
		    rng_below(rng, 2) ? "y" : "");
	if (segments == 0 || rng_below(rng, 3) == 0)
		sbuf_puts(out, "/");
}

static void
put_route(struct sbuf *out, struct rng *rng)
{
	unsigned hosts = rng_below(rng, 3), paths = rng_below(rng, 3);

	sbuf_puts(out, "      - {to: g");
	for (unsigned i = 0; i < hosts; i++) {
		sbuf_puts(out, i == 0 ? ", host: [\"" : ", \"");
		put_host(out, rng, true);
		sbuf_puts(out, i + 1 == hosts ? "\"]" : "\"");
	}
	for (unsigned i = 0; i < paths; i++) {
		if (i == 0)
			sbuf_puts(out, rng_below(rng, 2) ? ", path: [" : ", prefix: [");
		else
			sbuf_puts(out, ", ");
		put_path(out, rng);
		sbuf_puts(out, i + 1 == paths ? "]" : "");
	}
	if (rng_below(rng, 4) == 0)
		sbuf_puts(out, ", method: POST");
	sbuf_puts(out, "}\n");
}

static void
like_naive(void **state)
{
	struct rng rng = {.state = 7};
	struct ip source;
	int hits = 0;

	(void)state;
	assert_int_equal(ip_parse(&source, "10.0.0.1"), 0);
	for (int i = 0; i < 300; i++) {
		struct sbuf routes;
		struct table t;

		sbuf_init(&routes, 65536);
		for (unsigned k = 1 + rng_below(&rng, 20); k > 0; k--)
			put_route(&routes, &rng);
		make(&t, sbuf_text(&routes));
		for (int k = 0; k < 100; k++) {
			struct sbuf host, path;
			struct route_query q = {.source = &source};
			int found;

			sbuf_init(&host, 64);
			sbuf_init(&path, 64);
			put_host(&host, &rng, false);
			put_path(&path, &rng);
			q.host = text(sbuf_text(&host));
			q.path = text(sbuf_text(&path));
			q.method = text(rng_below(&rng, 2) ? "POST" : "GET");
			found = find(&t, &q);
			if (found != find_naively(&t, &q))
				fail_msg("%s%s: %d, not %d of\n%s", q.host.p, q.path.p,
				    found, find_naively(&t, &q), sbuf_text(&routes));
			hits += found >= 0;
			sbuf_done(&host);
			sbuf_done(&path);
		}
		unmake(&t);
		sbuf_done(&routes);
	}
	assert_in_range(hits, 5000, 29000); /* it was a test of something */
}

static void
by_sni(void **state)
{
	struct ip source;
	struct route_query q = {.source = &source};
	struct table t;

	(void)state;
	assert_int_equal(ip_parse(&source, "10.0.0.1"), 0);
	make(&t, "      - {sni: a.test}\n      - {sni: \"*.a.test\", to: g}\n"
		 "    mode: tcp\n");
	assert_true(t.table.by_sni);
	assert_int_equal(find(&t, &q), -1);
	q.sni = text("A.test");
	assert_int_equal(find(&t, &q), 0);
	q.sni = text("x.a.test");
	assert_int_equal(find(&t, &q), 1);
	unmake(&t);
}

static void
rewriting(void **state)
{
	static const struct {
		const char *path, *query, *target;
	} cases[] = {
	    {"/api", "", "/v2"},
	    {"/api/x/y", "?a=/api", "/v2/x/y?a=/api"},
	    {"/apis", "", NULL},
	    {"/old/", "", "/"},
	    {"/old/x", "?q", "/x?q"},
	};
	struct table t;
	char out[64];

	(void)state;
	make(&t, "      - {prefix: /api, rewrite: /v2}\n"
		 "      - {rewrite: {prefix: /old/, to: /}}\n");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct route_text path = text(cases[i].path);
		const struct route *r = &t.conf->route[i > 2];
		size_t cut = route_rewritten(r, path);
		int n;

		assert_int_equal(cut == 0, cases[i].target == NULL);
		if (cut == 0)
			continue;
		n = fill_target(
		    r->rewrite, path, text(cases[i].query), cut, out, sizeof(out));
		assert_int_equal(n, strlen(cases[i].target));
		assert_memory_equal(out, cases[i].target, (size_t)n);
		assert_int_equal(fill_target(r->rewrite, path, text(cases[i].query),
				     cut, out, (size_t)n - 1),
		    -ENOBUFS);
	}
	unmake(&t);
}

static void
filling(void **state)
{
	const struct fill f = {.word = {[FILL_HOST] = text("h\r\nX: y"),
				   [FILL_URI] = text("/a?b"),
				   [FILL_CLIENT] = text("::1")}};
	const struct pair pair[] = {{"A", "{client}-{host}"}, {"B", "b"}};
	const struct pairs pairs = {pair, 2};
	const char *lines = "A: ::1-hX:y\r\nB: b\r\n";
	char out[64];
	int n = fill_text("https://{host}{uri}{path}", &f, out, sizeof(out));

	(void)state;
	assert_int_equal(n, strlen("https://hX:y/a?b"));
	assert_memory_equal(out, "https://hX:y/a?b", (size_t)n);
	n = fill_fields(&pairs, &f, out, sizeof(out));
	assert_int_equal(n, strlen(lines));
	assert_memory_equal(out, lines, (size_t)n);
	assert_int_equal(fill_fields(&pairs, &f, out, (size_t)n - 1), -ENOBUFS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows),
	    cmocka_unit_test(like_naive),
	    cmocka_unit_test(by_sni),
	    cmocka_unit_test(rewriting),
	    cmocka_unit_test(filling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
