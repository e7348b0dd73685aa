/* SPDX-License-Identifier: Apache-2.0 */
#include "config/service_traps.h"

#include <string.h>

#define HTTPS_PORT 443
/* Each route is held against those before it: more of them are not looked at. */
#define ROUTES_COMPARED 2000

/* ---- ports and checks ------------------------------------------------------------ */

/* Browsers speak TLS there, and would be answered 400. */
static void
warn_of_plain_443(struct reader *r, const struct yaml *node, const struct service *s)
{
	if (s->mode != MODE_HTTP || s->tls.mode != TLS_OFF)
		return;
	for (size_t i = 0; i < s->n_listen; i++) {
		if (s->listen[i].at.port != HTTPS_PORT)
			continue;
		diag_hint(
		    reader_warning(r, yaml_get(node, "listen")->key, "plain-https",
			"service \"%s\" listens on port 443 without TLS", s->name),
		    "tls: /etc/nines/site.pem, tls: passthrough or mode: tcp");
		return;
	}
}

/* A server that speaks TLS is down to a check that does not. */
static void
warn_of_plain_check(struct reader *r, const struct yaml *node, const struct service *s)
{
	bool encrypted = s->server_tls.on || s->tls.mode == TLS_PASSTHROUGH;

	if (!encrypted || s->check.type != CHECK_HTTP || s->check.port != 0)
		return;
	diag_hint(
	    reader_warning(r, yaml_get(node, "check")->key, "plain-check",
		"the servers of \"%s\" speak TLS, and its check does not", s->name),
	    "check: {https: true, path: %s}", s->check.path);
}

/* What it sends to itself goes round until something gives way. */
static void
warn_of_circles(struct reader *r, const struct yaml *node, const struct service *s)
{
	for (size_t i = 0; i < s->n_servers; i++) {
		if (!service_listens_at(s, &s->server[i].at))
			continue;
		(void)reader_warning(r, yaml_get(node, "listen")->key, "circle",
		    "server \"%s\" is where service \"%s\" itself listens",
		    s->server[i].name, s->name);
		return;
	}
}

/* ---- routes ---------------------------------------------------------------------- */

static bool
has(const struct texts *all, const char *text)
{
	for (size_t i = 0; i < all->n; i++) {
		if (strcmp(all->text[i], text) == 0)
			return true;
	}
	return false;
}

/* One of `prefixes` holds wherever `path`, or what is below it, does. */
static bool
below(const struct texts *prefixes, const char *path)
{
	for (size_t i = 0; i < prefixes->n; i++) {
		const char *p = prefixes->text[i];
		size_t len = strlen(p);

		if (strncmp(p, path, len) == 0 &&
		    (path[len] == '\0' || path[len] == '/' || p[len - 1] == '/'))
			return true;
	}
	return false;
}

static bool
takes_paths(const struct route *first, const struct route *then)
{
	if (first->path.n == 0 && first->prefix.n == 0)
		return true;
	if (then->path.n + then->prefix.n == 0)
		return false;
	for (size_t i = 0; i < then->prefix.n; i++) {
		if (!below(&first->prefix, then->prefix.text[i]))
			return false;
	}
	for (size_t i = 0; i < then->path.n; i++) {
		if (!below(&first->prefix, then->path.text[i]) &&
		    !has(&first->path, then->path.text[i]))
			return false;
	}
	return true;
}

/* `first` holds whenever `then` does. */
static bool
takes_all(const struct route *first, const struct route *then)
{
	if (first->sni.n + first->method.n + first->header.n + first->source.n > 0)
		return false;
	if (first->host.n > 0 && then->host.n == 0)
		return false;
	for (size_t i = 0; first->host.n > 0 && i < then->host.n; i++) {
		if (!has(&first->host, then->host.text[i]))
			return false;
	}
	return takes_paths(first, then);
}

static void
warn_of_dead_routes(struct reader *r, const struct yaml *node, const struct service *s)
{
	const struct yaml *list = yaml_get(node, "routes"), *item;
	size_t n;

	if (list == NULL || s->n_routes > ROUTES_COMPARED)
		return;
	item = yaml_items(list, &n);
	for (size_t i = 0; i < s->n_routes && item != NULL; i++, item = item->next) {
		for (size_t k = 0; k < i; k++) {
			if (!takes_all(&s->route[k], &s->route[i]))
				continue;
			diag_hint(reader_warning(r, item, "dead-route",
				      "this route never holds: that of line %u takes "
				      "all of its requests",
				      s->route[k].place.line),
			    "put it in front of that one, or leave it out");
			break;
		}
	}
}

/* Without TLS there is no name in a handshake. */
static void
warn_of_names(struct reader *r, const struct yaml *node, const struct service *s)
{
	const struct yaml *list = yaml_get(node, "routes"), *item;
	size_t n;

	if (list == NULL || s->mode != MODE_HTTP || s->tls.mode != TLS_OFF)
		return;
	item = yaml_items(list, &n);
	for (size_t i = 0; i < s->n_routes && item != NULL; i++, item = item->next) {
		if (s->route[i].sni.n > 0)
			diag_hint(reader_warning(r, item, "dead-route",
				      "this route never holds: without \"tls\" nobody "
				      "says a name in a handshake"),
			    "host: %s", s->route[i].sni.text[0]);
	}
}

void
service_traps(struct reader *r, const struct yaml *node, const struct service *s)
{
	if (r->diags->errors > 0)
		return; /* of what is not there yet nothing can be told */
	warn_of_plain_443(r, node, s);
	warn_of_plain_check(r, node, s);
	warn_of_circles(r, node, s);
	warn_of_dead_routes(r, node, s);
	warn_of_names(r, node, s);
}
