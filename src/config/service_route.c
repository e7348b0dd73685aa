/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_route.c - `routes` of a service, and the changes of heads that a service and
 * its routes make.
 */
#include <string.h>
#include <strings.h>

#include "config/cluster_files.h"
#include "config/reader.h"
#include "config/sections.h"
#include "config/service_parts.h"

#define BODY_MAX   16384 /* of an answer of our own */
#define WEIGHT_MAX 1000

/* ---- what texts may be --------------------------------------------------------- */

static bool
fill_word_known(const char *word, size_t len)
{
	static const char *const name[] = {
#define X(id, name) name,
	    FILL_WORDS(X)
#undef X
	};

	for (size_t i = 0; i < ARRAY_LEN(name); i++) {
		if (strlen(name[i]) == len && memcmp(name[i], word, len) == 0)
			return true;
	}
	return false;
}

static const char *
fill_fault(const char *name, const char *text)
{
	const char *end;

	(void)name;
	for (const char *p = text; (p = strpbrk(p, "{}")) != NULL; p = end + 1) {
		end = *p == '{' ? strchr(p, '}') : NULL;
		if (end == NULL || !fill_word_known(p + 1, (size_t)(end - p - 1)))
			return "in braces only {host}, {uri}, {path}, {client} and "
			       "{request_id}";
	}
	return NULL;
}

/* Fields on which the framing and this hop depend, or which are written anew. */
static bool
field_is_ours(const char *name)
{
	static const char *const ours[] = {"connection", "content-length", "expect",
	    "forwarded", "keep-alive", "proxy-connection", "te", "trailer",
	    "transfer-encoding", "upgrade", "x-forwarded-for", "x-forwarded-proto"};

	for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
		if (strcasecmp(name, ours[i]) == 0)
			return true;
	}
	return false;
}

const char *
field_set_fault(const char *name, const char *text)
{
	if (field_is_ours(name))
		return "no field that the load balancer itself takes care of";
	return fill_fault(name, text);
}

const char *
field_remove_fault(const char *name, const char *text)
{
	(void)name;
	if (text[strcspn(text, " \t:,;/")] != '\0')
		return "names of fields";
	if (strcasecmp(text, "host") == 0)
		return "no \"Host\": every request has one";
	return field_is_ours(text)
		   ? "no field that the load balancer itself takes care of"
		   : NULL;
}

const char *
field_add_fault(const char *name, const char *text)
{
	if (strcasecmp(name, "host") == 0)
		return "no \"Host\": there is one already, and may be only one";
	return field_set_fault(name, text);
}

static const char *
host_fault(const char *name, const char *text)
{
	static const char may[] = "abcdefghijklmnopqrstuvwxyz0123456789-._:[]";
	const char *rest = strncmp(text, "*.", 2) == 0 ? text + 2 : text;

	(void)name;
	return *rest != '\0' && rest[strspn(rest, may)] == '\0'
		   ? NULL
		   : "host names in lower case, such as a.test or \"*.a.test\"";
}

static const char *
path_fault(const char *name, const char *text)
{
	(void)name;
	return *text == '/' && text[strcspn(text, " ?#")] == '\0'
		   ? NULL
		   : "paths such as /app, without a query";
}

static const char *
method_fault(const char *name, const char *text)
{
	(void)name;
	return text[strcspn(text, " \t:,;/")] == '\0' ? NULL : "methods such as GET";
}

static const char *
redirect_fault(const char *name, const char *text)
{
	if (strchr(text, ' ') != NULL)
		return "an address without spaces";
	return fill_fault(name, text);
}

/* ---- to ------------------------------------------------------------------------ */

static void
read_target(
    struct reader *r, const struct yaml *node, const char *name, struct route_target *t)
{
	const struct yaml key = *node;
	const struct service *s = r->service;

	if (strcmp(name, GROUP_ACTIVE) != 0 &&
	    (strcmp(name, GROUP_DEFAULT) != 0 || s->servers.n_servers == 0) &&
	    look_up(r, &key, NAME_GROUP) == NULL)
		return;
	t->name = arena_strndup(r->arena, name, strlen(name));
}

static void
read_to(struct reader *r, const struct yaml *node, void *base)
{
	static const struct key weight_key = {.name = "to",
	    .kind = VALUE_COUNT,
	    FIELD(struct route_target, weight),
	    .max = WEIGHT_MAX};
	struct route *route = base;
	bool many = node->kind == YAML_MAP;
	size_t n = many ? node->n : 1;
	const struct yaml *item = many ? node->first : node;
	struct route_target *to = arena_array(r->arena, n, sizeof(*to));

	if (n == 0)
		(void)reader_error(r, node, "empty-value", "\"to\" is empty");
	if (to == NULL || (!many && !want_scalar(r, node, "the name of a group")))
		return;
	for (size_t i = 0; i < n; i++, item = item->next) {
		struct route_target *t = &to[route->n_to];

		*t = (struct route_target){.weight = 1};
		read_target(
		    r, many ? item->key : item, many ? item->key->text : item->text, t);
		if (many)
			read_value(r, &weight_key, item, t);
		route->n_to += t->name != NULL && t->weight > 0;
	}
	route->to = to;
	if (route->n_to == 0 && many && n > 0)
		(void)reader_error(
		    r, node, "out-of-range", "one group of \"to\" must have a weight");
}

static void
write_to(const void *base, struct sbuf *out)
{
	const struct route *route = base;

	if (route->n_to == 1 && route->to->weight == 1) {
		write_text(out, route->to->name);
		return;
	}
	for (size_t i = 0; i < route->n_to; i++) {
		sbuf_puts(out, i == 0 ? "{" : ", ");
		write_text(out, route->to[i].name);
		sbuf_printf(out, ": %u", route->to[i].weight);
	}
	if (route->n_to > 0)
		sbuf_puts(out, "}");
}

static const struct form to_form = {
    .read = read_to,
    .write = write_to,
    .schema = "{\"anyOf\":[{\"$ref\":\"#/$defs/name\"},{\"type\":\"object\","
	      "\"minProperties\":1,\"additionalProperties\":{\"type\":\"integer\","
	      "\"minimum\":0,\"maximum\":1000}}]}",
    .syntax = "a group, `active`, or {GROUP: weight, ...}",
};

/* ---- answer -------------------------------------------------------------------- */

static void
read_body(struct reader *r, const struct yaml *node, void *base)
{
	struct route *route = base;

	if (!want_scalar(r, node, "a text"))
		return;
	if (strlen(node->text) > BODY_MAX) {
		(void)reader_error(
		    r, node, "bad-text", "\"body\" is longer than %d bytes", BODY_MAX);
		return;
	}
	route->answer.body = arena_strndup(r->arena, node->text, strlen(node->text));
}

static void
write_body(const void *base, struct sbuf *out)
{
	const struct route *route = base;

	if (route->answer.body != NULL)
		sbuf_json(out, route->answer.body);
}

static const struct form body_form = {
    .read = read_body,
    .write = write_body,
    .schema = "{\"type\":\"string\"}",
    .syntax = "a text",
};

static const char *
file_fault(const char *name, const char *text)
{
	(void)name;
	return strlen(text) <= CLUSTER_PATH_MAX ? NULL : "a shorter file name";
}

static const struct {
	const char *suffix, *type;
} type_of[] = {
    {".html", "text/html; charset=utf-8"},
    {".htm", "text/html; charset=utf-8"},
    {".json", "application/json"},
    {"", "text/plain"},
};

static const char *
usual_type(const struct route *route)
{
	const char *file =
	    route->answer.body_file != NULL ? route->answer.body_file : "";
	size_t len = strlen(file), i = 0;

	while (len < strlen(type_of[i].suffix) ||
	       strcmp(file + len - strlen(type_of[i].suffix), type_of[i].suffix) != 0)
		i++;
	return type_of[i].type;
}

static void
derive_type(const void *base, struct sbuf *out)
{
	write_text(out, usual_type(base));
}

static const char *
answer_absent(const void *base)
{
	return ((const struct route *)base)->answer.status == 0 ? "" : NULL;
}

static bool brief_answer(const void *base, struct sbuf *out);

static const struct key answer_key[] = {
    {
	.name = "status",
	.kind = VALUE_COUNT,
	.required = true,
	FIELD(struct route, answer.status),
	.min = 200,
	.max = 599,
	.doc = "Status of the answer.",
    },
    {
	.name = "body",
	.kind = VALUE_FORM,
	.form = &body_form,
	.doc = "What it says.",
    },
    {
	.name = "body_file",
	.kind = VALUE_FILE,
	FIELD(struct route, answer.body_file),
	.fault = file_fault,
	.doc = "The file that has it, on each load balancer; read at start and by "
	       "`nines reload`.",
    },
    {
	.name = "type",
	.kind = VALUE_TEXT,
	FIELD(struct route, answer.type),
	.doc = "Content-Type of the body.",
	.derived = derive_type,
	.derived_doc = "by the file's name: HTML or JSON, else text/plain",
    },
};

static void
finish_answer(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	struct route *route = base;

	(void)given;
	if (route->answer.type == NULL)
		route->answer.type = usual_type(route);
	if (route->answer.body != NULL && route->answer.body_file != NULL)
		(void)reader_error(r, yaml_get(node, "body_file")->key, "key-conflict",
		    "\"body\" and \"body_file\" exclude each other");
}

static const struct section answer_section = {
    .what = "answer",
    .doc = "An answer of the load balancer's own, such as a maintenance page.",
    KEYS(answer_key),
    .shorthand = "status",
    .finish = finish_answer,
    .absent = answer_absent,
    .brief = brief_answer,
};

static bool
brief_answer(const void *base, struct sbuf *out)
{
	write_flow(&answer_section, base, false, out);
	return true;
}

/* ---- rewrite ------------------------------------------------------------------- */

static const char *
rewrite_absent(const void *base)
{
	return ((const struct route *)base)->rewrite == NULL ? "" : NULL;
}

static bool brief_rewrite(const void *base, struct sbuf *out);

static const struct key rewrite_key[] = {
    {
	.name = "prefix",
	.kind = VALUE_TARGET,
	FIELD(struct route, rewrite_from),
	.doc = "What is replaced; unless said, the route's `prefix` or `path`.",
    },
    {
	.name = "to",
	.kind = VALUE_TARGET,
	.required = true,
	FIELD(struct route, rewrite),
	.doc = "What stands there instead.",
    },
};

static const struct section rewrite_section = {
    .what = "rewrite",
    .doc = "The beginning of the path as servers see it.",
    KEYS(rewrite_key),
    .shorthand = "to",
    .absent = rewrite_absent,
    .brief = brief_rewrite,
};

static bool
brief_rewrite(const void *base, struct sbuf *out)
{
	write_flow(&rewrite_section, base, false, out);
	return true;
}

/* ---- changes of fields --------------------------------------------------------- */

static const char *
changes_absent(const void *base)
{
	const struct field_changes *c = base;

	return c->set.n + c->add.n + c->remove.n == 0 ? "" : NULL;
}

static bool brief_changes(const void *base, struct sbuf *out);

static const struct key changes_key[] = {
    {
	.name = "set",
	.kind = VALUE_PAIRS,
	FIELD(struct field_changes, set),
	.fault = field_set_fault,
	.doc = "Fields in place of any of that name.",
    },
    {
	.name = "add",
	.kind = VALUE_PAIRS,
	FIELD(struct field_changes, add),
	.fault = field_add_fault,
	.doc = "Fields beside any of that name.",
    },
    {
	.name = "remove",
	.kind = VALUE_TEXTS,
	FIELD(struct field_changes, remove),
	.fault = field_remove_fault,
	.doc = "Fields that leave.",
    },
};

const struct section answer_headers_section = {
    .what = "answer_headers",
    .doc = "Changes of the header fields of answers.",
    KEYS(changes_key),
    .absent = changes_absent,
    .brief = brief_changes,
};

static bool
brief_changes(const void *base, struct sbuf *out)
{
	write_flow(&answer_headers_section, base, false, out);
	return true;
}

/* ---- routes -------------------------------------------------------------------- */

static const struct key route_key[] = {
    {
	.name = "host",
	.kind = VALUE_TEXTS,
	FIELD(struct route, host),
	.fault = host_fault,
	.doc = "The host asked for, without its port; `*.a.test`: all below a.test.",
    },
    {
	.name = "path",
	.kind = VALUE_TEXTS,
	FIELD(struct route, path),
	.fault = path_fault,
	.doc = "The path, exactly and without its query.",
    },
    {
	.name = "prefix",
	.kind = VALUE_TEXTS,
	FIELD(struct route, prefix),
	.fault = path_fault,
	.doc = "The path or what it begins with, up to a slash: `/api` is not "
	       "`/apis`.",
    },
    {
	.name = "method",
	.kind = VALUE_TEXTS,
	FIELD(struct route, method),
	.fault = method_fault,
	.doc = "The method.",
    },
    {
	.name = "header",
	.kind = VALUE_PAIRS,
	FIELD(struct route, header),
	.doc = "Header fields and their values; `*`: any value. All must be there.",
    },
    {
	.name = "source",
	.kind = VALUE_NETS,
	.offset = offsetof(struct route, source),
	.doc = "Where the client is: networks, by prefix or name, or addresses.",
    },
    {
	.name = "sni",
	.kind = VALUE_TEXTS,
	FIELD(struct route, sni),
	.fault = host_fault,
	.doc = "The name asked for in the TLS handshake.",
    },
    {
	.name = "to",
	.kind = VALUE_FORM,
	.form = &to_form,
	.doc = "The group of servers, or several by weight; `active` unless said.",
    },
    {
	.name = "redirect",
	.kind = VALUE_TEXT,
	FIELD(struct route, redirect),
	.fault = redirect_fault,
	.doc = "Instead of servers: the address that the client is sent to.",
    },
    {
	.name = "status",
	.kind = VALUE_COUNT,
	FIELD(struct route, status),
	.min = 301,
	.max = 308,
	.preset = "302",
	.doc = "Of a redirect: 301, 302, 303, 307 or 308.",
    },
    {
	.name = "answer",
	.kind = VALUE_SECTION,
	.section = &answer_section,
	.doc = "Instead of servers: an answer of the load balancer's own.",
    },
    {
	.name = "rewrite",
	.kind = VALUE_SECTION,
	.section = &rewrite_section,
	.doc = "The beginning of the path as servers see it.",
    },
    HEADER_KEYS(struct route),
};

static void
finish_route(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	struct route *route = base;
	const struct yaml *rewrite = yaml_get(node, "rewrite");
	const struct yaml *status = yaml_get(node, "status");
	int outcomes =
	    (route->n_to > 0) + (route->redirect != NULL) + (route->answer.status != 0);

	(void)given;
	if (outcomes > 1)
		(void)reader_error(r, node, "key-conflict",
		    "a route has one of \"to\", \"redirect\" and \"answer\"");
	if (route->path.n > 0 && route->prefix.n > 0)
		(void)reader_error(r, node, "key-conflict",
		    "a route has \"path\" or \"prefix\", not both");
	if (rewrite != NULL && route->rewrite_from == NULL &&
	    route->path.n + route->prefix.n == 0)
		diag_hint(reader_error(r, rewrite->key, "missing-key",
			      "what is to be rewritten is not said"),
		    "rewrite: {prefix: /api, to: /}");
	if (status != NULL && route->redirect == NULL)
		(void)reader_error(r, status->key, "key-conflict",
		    "\"status\" is a redirect's; an answer has its own");
	else if (route->status > 303 && route->status < 307)
		diag_hint(reader_error(r, status, "out-of-range",
			      "\"status\" cannot be %u", route->status),
		    "one of 301, 302, 303, 307, 308");
}

static const struct section route_section = {
    .what = "route",
    .doc = "Requests, and what becomes of them.",
    KEYS(route_key),
    .finish = finish_route,
};

const struct many service_routes = {
    .section = &route_section,
    .size = sizeof(struct route),
    .count = offsetof(struct service, n_routes),
    .place = offsetof(struct route, place),
    .index = SIZE_MAX,
};

/* ---- what changes come to ------------------------------------------------------ */

static bool
changed_by(const struct field_changes *c, const char *name)
{
	for (size_t i = 0; i < c->set.n; i++) {
		if (strcasecmp(c->set.pair[i].name, name) == 0)
			return true;
	}
	for (size_t i = 0; i < c->remove.n; i++) {
		if (strcasecmp(c->remove.text[i], name) == 0)
			return true;
	}
	return false;
}

/* What is said of a head, the last word last. */
#define LAYERS 3

struct layers {
	const struct field_changes *of[LAYERS]; /* NULL: nothing */
};

static bool
changed_later(const struct layers *l, size_t i, const char *name)
{
	while (++i < LAYERS) {
		if (l->of[i] != NULL && changed_by(l->of[i], name))
			return true;
	}
	return false;
}

static void
plan_layer(struct field_plan *plan, const char **drop, struct pair *put,
    const struct layers *l, size_t at)
{
	const struct field_changes *c = l->of[at];

	for (size_t i = 0; i < c->remove.n; i++)
		drop[plan->drop.n++] = c->remove.text[i];
	for (size_t i = 0; i < c->set.n + c->add.n; i++) {
		bool set = i < c->set.n;
		const struct pair *p =
		    set ? &c->set.pair[i] : &c->add.pair[i - c->set.n];

		if (set)
			drop[plan->drop.n++] = p->name;
		if (changed_later(l, at, p->name))
			continue;
		put[plan->put.n++] = *p;
		plan->host = plan->host || strcasecmp(p->name, "host") == 0;
	}
}

static void
plan_fields(struct reader *r, struct field_plan *plan, const struct layers *l)
{
	const char **drop;
	struct pair *put;
	size_t n = 0;

	for (size_t i = 0; i < LAYERS; i++) {
		if (l->of[i] != NULL)
			n += l->of[i]->set.n + l->of[i]->remove.n + l->of[i]->add.n;
	}
	drop = arena_array(r->arena, n, sizeof(*drop));
	put = arena_array(r->arena, n, sizeof(*put));
	if (n == 0 || drop == NULL || put == NULL)
		return;
	for (size_t i = 0; i < LAYERS; i++) {
		if (l->of[i] != NULL)
			plan_layer(plan, drop, put, l, i);
	}
	plan->drop.text = drop;
	plan->put.pair = put;
}

/* `route` NULL: where none holds. `request_id` is a field like any other. */
static void
plan_heads(struct reader *r, const struct service *s, const struct route *route,
    struct field_plan *to_server, struct field_plan *to_client)
{
	static const struct pair id[] = {{"X-Request-Id", "{request_id}"}};
	static const struct field_changes set_id = {.set = {id, 1}};
	const struct layers request = {{s->guard.request_id ? &set_id : NULL,
	    &s->request, route != NULL ? &route->request : NULL}};
	const struct layers response = {
	    {&s->response, route != NULL ? &route->response : NULL}};

	plan_fields(r, to_server, &request);
	plan_fields(r, to_client, &response);
}

/* ---- a service's routes -------------------------------------------------------- */

static size_t
group_index(const struct service *s, const char *name)
{
	size_t i = service_group(s, name);

	return i < s->n_groups ? i : ROUTE_GROUP_ANY;
}

/* In mode tcp nothing is known of a connection but where it comes from and its name. */
static void
check_tcp(struct reader *r, const struct yaml *node)
{
	static const char *const may[] = {"sni", "source", "to"};

	for (const struct yaml *n = node->first; n != NULL; n = n->next) {
		bool fits = false;

		for (size_t i = 0; i < ARRAY_LEN(may); i++)
			fits = fits || strcmp(n->key->text, may[i]) == 0;
		if (!fits)
			(void)reader_error(r, n->key, "key-conflict",
			    "\"%s\" makes no sense in mode tcp", n->key->text);
	}
}

void
routes_finish(struct reader *r, const struct yaml *node, struct service *s)
{
	const struct yaml *list = yaml_get(node, "routes"), *item;
	size_t n;

	plan_heads(r, s, NULL, &s->to_server, &s->to_client);
	if (list == NULL)
		return;
	item = yaml_items(list, &n);
	if (n > ROUTES_MAX)
		(void)reader_error(r, list->key, "out-of-range",
		    "\"routes\" has more than %d", ROUTES_MAX);
	for (size_t i = 0; i < s->n_routes; i++, item = item->next) {
		/* Ours until the cluster is complete. */
		struct route *route = (void *)(uintptr_t)&s->route[i];
		struct route_target *to = (void *)(uintptr_t)route->to;

		for (size_t j = 0; j < route->n_to; j++)
			to[j].group = group_index(s, to[j].name);
		plan_heads(r, s, route, &route->to_server, &route->to_client);
		if (s->mode == MODE_TCP)
			check_tcp(r, item);
	}
}
