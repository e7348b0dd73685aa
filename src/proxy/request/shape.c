/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/request/shape.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proxy/client.h"
#include "proxy/control/gen.h"
#include "proxy/http1/http1_sense.h"
#include "proxy/request/coding.h"
#include "proxy/request/https.h"
#include "proxy/request/route.h"
#include "proxy/request/route_fill.h"
#include "proxy/servers/service.h"
#include "proxy/tls/tls.h"
#include "proxy/worker_inside.h"

#define ID_LEN 32  /* hexadecimal digits of a request's id */
#define ID_MAX 128 /* bytes of one that a trusted proxy gave */

struct wrouting *
routing_new(struct gen *g, const struct gen_service *gs)
{
	struct wrouting *r = calloc(1, sizeof(*r));

	ASSERT(r != NULL);
	*r = (struct wrouting){.refs = 1,
	    .gen = gen_ref(g),
	    .conf = gs->conf,
	    .table = gs->routes,
	    .page = gs->page,
	    .codes = gs->codes};
	return r;
}

void
routing_unref(struct wrouting *r)
{
	if (r == NULL || --r->refs > 0)
		return;
	gen_unref(r->gen);
	free(r);
}

/* ---- what the request says ----------------------------------------------------- */

struct parts {
	struct route_text host, path, query, uri;
};

static struct route_text
slice(const char *p, struct http1_slice s)
{
	return (struct route_text){p + s.off, s.len};
}

/* A target of any form. */
static void
read_parts(const struct http1_head *h, const char *p, struct parts *parts)
{
	struct http1_slice host, rest = h->target;
	const char *query;

	if (p[h->target.off] != '/' && p[h->target.off] != '*' &&
	    !http1_split_absolute(p, h->target, &host, &rest))
		rest = h->target; /* which the parser would have refused */
	parts->host = slice(p, h->host);
	parts->uri = slice(p, rest);
	if (rest.len == 0 || p[rest.off] == '?') /* of an absolute form */
		parts->path = (struct route_text){"/", 1};
	else
		parts->path = parts->uri;
	query = memchr(p + rest.off, '?', rest.len);
	parts->query = (struct route_text){p + rest.off + rest.len, 0};
	if (query == NULL)
		return;
	parts->query.p = query;
	parts->query.len = rest.len - (size_t)(query - (p + rest.off));
	if (parts->path.p == parts->uri.p)
		parts->path.len -= parts->query.len;
}

static void
make_id(struct worker *w, char id[ID_LEN])
{
	static const char digit[] = "0123456789abcdef";
	uint64_t bits = 0;

	for (size_t i = 0; i < ID_LEN; i++, bits >>= 4) {
		if (i % 16 == 0)
			bits = rng_next(&w->rng);
		id[i] = digit[bits & 15];
	}
}

/* What a trusted proxy calls it, else a name of our own. */
static struct route_text
request_id(struct worker *w, const struct client *c, const char *p, char id[ID_LEN])
{
	struct http1_slice said = {0};

	if (c->trusted)
		said = http1_field_value(&w->head, p, "x-request-id");
	if (said.len > 0 && said.len <= ID_MAX)
		return slice(p, said);
	make_id(w, id);
	return (struct route_text){id, ID_LEN};
}

/* What has no place of its own. */
struct fill_texts {
	char id[ID_LEN];
	char source[IP_STR_LEN];
};

static void
fill_in(struct worker *w, const struct client *c, const char *p,
    struct fill_texts *text, struct fill *f)
{
	struct parts parts;

	read_parts(&w->head, p, &parts);
	(void)ip_format(&c->source, text->source);
	f->word[FILL_HOST] = parts.host;
	f->word[FILL_URI] = parts.uri;
	f->word[FILL_PATH] = parts.path;
	f->word[FILL_CLIENT] = (struct route_text){text->source, strlen(text->source)};
	f->word[FILL_REQUEST_ID] = request_id(w, c, p, text->id);
}

/* ---- choosing ------------------------------------------------------------------ */

static struct wgroup *
choose_group(struct worker *w, const struct wservice *s, const struct route *r)
{
	struct wgroup *active = s->group[s->active];
	uint32_t sum = 0, at;

	if (r == NULL || r->n_to == 0)
		return active;
	for (size_t i = 0; i < r->n_to; i++)
		sum += r->to[i].weight;
	at = r->n_to > 1 ? rng_below(&w->rng, sum) : 0;
	for (size_t i = 0;; i++) {
		size_t group = r->to[i].group;

		if (at < r->to[i].weight)
			return group == ROUTE_GROUP_ANY ? active : s->group[group];
		at -= r->to[i].weight;
	}
}

static void
choose(struct worker *w, struct client *c, const struct route_query *q)
{
	struct wservice *s = c->service;

	shape_done(w, c);
	c->shape.routing = s->routing;
	s->routing->refs++;
	c->shape.route = route_find(s->routing->table, q);
	c->group = choose_group(w, s, c->shape.route);
}

void
shape_choose(struct worker *w, struct client *c, const char *p)
{
	const struct http1_head *h = &w->head;
	struct route_query q = {.source = &c->source, .head = h, .bytes = p};
	const struct side *wire = client_wire(c);
	struct parts parts;

	read_parts(h, p, &parts);
	q.host = route_host(parts.host.p, parts.host.len);
	q.path = parts.path;
	q.method = slice(p, h->method_text);
	if (tls_under(wire)) {
		const char *name = tls_name(wire);

		q.sni = route_host(name, strlen(name));
	}
	choose(w, c, &q);
}

void
shape_choose_connection(struct worker *w, struct client *c, const char *name)
{
	struct route_query q = {.source = &c->source};

	q.sni = route_host(name, strlen(name));
	choose(w, c, &q);
}

/* ---- changes of heads ---------------------------------------------------------- */

static const struct field_plan *
plan_to_client(const struct client *c)
{
	return c->shape.route != NULL ? &c->shape.route->to_client
				      : &c->shape.routing->conf->to_client;
}

/* What the answer gets is worked out now: its variables are the request's. */
static int
keep_lines(struct worker *w, struct client *c, const struct fill *f)
{
	const struct field_plan *plan = plan_to_client(c);
	int n;

	if (plan->put.n == 0)
		return 0;
	n = fill_fields(&plan->put, f, w->lines, sizeof(w->lines));
	if (n < 0)
		return n;
	c->shape.lines = buf_get(&w->bufs, (size_t)n);
	if (c->shape.lines == NULL)
		return -ENOBUFS;
	memcpy(c->shape.lines->data, w->lines, (size_t)n);
	c->shape.lines->len = (uint32_t)n;
	return 0;
}

static int
rewrite(
    struct worker *w, const struct client *c, const char *p, struct http1_edit *edit)
{
	const struct route *r = c->shape.route;
	struct parts parts;
	size_t cut;
	int n;

	read_parts(&w->head, p, &parts);
	cut = route_rewritten(r, parts.path);
	if (cut == 0)
		return 0;
	n = fill_target(
	    r->rewrite, parts.path, parts.query, cut, w->out, sizeof(w->out));
	if (n < 0)
		return n;
	edit->target = w->out;
	edit->target_len = (size_t)n;
	return 0;
}

int
shape_request(
    struct worker *w, struct client *c, const char *p, struct http1_edit *edit)
{
	const struct route *r = c->shape.route;
	const struct field_plan *plan =
	    r != NULL ? &r->to_server : &c->shape.routing->conf->to_server;
	struct fill_texts text;
	struct fill f;
	int n;

	*edit = (struct http1_edit){.drop = plan->drop.text,
	    .n_drop = plan->drop.n,
	    .extra = w->lines,
	    .has_host = plan->host};
	fill_in(w, c, p, &text, &f);
	n = keep_lines(w, c, &f);
	if (n == 0 && r != NULL && r->rewrite != NULL)
		n = rewrite(w, c, p, edit);
	if (n < 0)
		return n;
	n = fill_fields(&plan->put, &f, w->lines, sizeof(w->lines));
	if (n < 0)
		return n;
	edit->extra_len = (size_t)n;
	return 0;
}

void
shape_response(const struct client *c, struct http1_edit *edit)
{
	const struct field_plan *plan = plan_to_client(c);
	struct buf *lines = c->shape.lines;

	*edit = (struct http1_edit){
	    .drop = plan->drop.text, .n_drop = plan->drop.n, .extra = ""};
	if (lines != NULL) {
		edit->extra = lines->data;
		edit->extra_len = lines->len;
	}
}

void
shape_done(struct worker *w, struct client *c)
{
	if (c->shape.routing == NULL)
		return;
	buf_put(&w->bufs, c->shape.lines);
	routing_unref(c->shape.routing);
	c->shape = (struct shape){0};
}

/* ---- answers of our own -------------------------------------------------------- */

bool
shape_answers(const struct client *c)
{
	const struct route *r = c->shape.route;

	return r != NULL && (r->redirect != NULL || r->answer.status != 0);
}

static bool
puts_field(const struct pairs *put, const char *name)
{
	for (size_t i = 0; i < put->n; i++) {
		if (strcasecmp(put->pair[i].name, name) == 0)
			return true;
	}
	return false;
}

/* What stands for `body` where the client likes that better; the lines that say so. */
static size_t
code_body(const struct client *c, const struct route_codes *codes,
    struct route_text *body, char *out, size_t cap)
{
	enum coding coding = (enum coding)c->coding;

	if (codes == NULL || !codes->any)
		return 0;
	if (codes->text[coding].p == NULL)
		return (size_t)snprintf(out, cap, "Vary: Accept-Encoding\r\n");
	*body = codes->text[coding];
	return (size_t)snprintf(out, cap,
	    "Vary: Accept-Encoding\r\nContent-Encoding: %s\r\n", coding_name(coding));
}

int
shape_answer(struct worker *w, struct client *c, const char *p, struct route_text *body,
    unsigned *status)
{
	const struct route *r = c->shape.route;
	const struct pairs *put = &r->to_client.put;
	const struct wrouting *routing = c->shape.routing;
	size_t cap = sizeof(w->out), n;
	struct fill_texts texts;
	struct fill f;
	int k;

	*status = r->redirect != NULL ? r->status : r->answer.status;
	*body = (struct route_text){"", 0};
	if (r->redirect == NULL && routing->page[r - routing->conf->route].p != NULL)
		*body = routing->page[r - routing->conf->route];
	else if (r->answer.body_file != NULL) /* it never could be read */
		*body = (struct route_text){
		    http1_phrase(*status), strlen(http1_phrase(*status))};
	fill_in(w, c, p, &texts, &f);
	k = snprintf(w->out, cap, "HTTP/1.1 %u %s\r\n", *status, http1_phrase(*status));
	ASSERT(k > 0);
	n = (size_t)k;
	if (r->redirect != NULL) {
		n += (size_t)snprintf(w->out + n, cap - n, "Location: ");
		k = fill_text(r->redirect, &f, w->out + n, HTTP1_HEAD_MAX - n);
		if (k < 0)
			return k;
		n += (size_t)k;
		n += (size_t)snprintf(w->out + n, cap - n, "\r\n");
	} else if (body->len > 0 && !puts_field(put, "content-type")) {
		n += (size_t)snprintf(
		    w->out + n, cap - n, "Content-Type: %.128s\r\n", r->answer.type);
	}
	k = fill_fields(put, &f, w->out + n, SHAPE_MAX);
	if (k < 0)
		return k;
	n += (size_t)k;
	if (!puts_field(put, HSTS_NAME))
		n += https_hsts(c, w->out + n, cap - n);
	if (r->redirect == NULL && routing->codes != NULL)
		n += code_body(c, &routing->codes[r - routing->conf->route], body,
		    w->out + n, cap - n);
	/* RFC 9110 section 8.6: 204 has no length. */
	if (*status != 204 && *status != 304)
		n += (size_t)snprintf(
		    w->out + n, cap - n, "Content-Length: %zu\r\n", body->len);
	return (int)n;
}
