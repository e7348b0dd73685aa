/* SPDX-License-Identifier: Apache-2.0 */
#include "config/listen_at.h"

#include <stdlib.h>
#include <string.h>

#include "config/sections.h"
#include "config/units.h"

/* Who listens at a place. */
struct claim {
	const char *what, *name;
};

bool
listen_at_split(struct reader *r, const struct yaml *node,
    char name[static CLUSTER_NAME_MAX + 1], uint16_t *port)
{
	const char *colon = strrchr(node->text, ':');
	size_t len = colon != NULL ? (size_t)(colon - node->text) : strlen(node->text);
	int64_t n;

	if (colon == NULL) {
		diag_hint(reader_error(r, node, "no-port", "\"%.64s\" lacks the port",
			      node->text),
		    "such as %.64s:80", node->text);
		return false;
	}
	if (count_parse(&n, colon + 1) != 0 || n < 1 || n > 65535) {
		mark_part(reader_error(r, node, "bad-port",
			      "\"%.16s\" is not a port, 1 to 65535", colon + 1),
		    node, len + 1, strlen(colon + 1));
		return false;
	}
	*port = (uint16_t)n;
	if (len > CLUSTER_NAME_MAX)
		len = CLUSTER_NAME_MAX;
	memcpy(name, node->text, len);
	name[len] = '\0';
	return true;
}

void
listen_at_unknown(struct reader *r, const struct yaml *node, const char *name)
{
	struct diag *d = reader_error(
	    r, node, "unknown-host", "no host or floating IP named \"%s\"", name);
	const char *near;

	if (d == NULL)
		return;
	mark_part(d, node, 0, strlen(name));
	near = names_nearest(&r->names[NAME_HOST], name);
	if (near == NULL)
		near = names_nearest(&r->names[NAME_FLOATING_IP], name);
	if (near != NULL)
		diag_hint(d, "did you mean \"%s\"?", near);
}

const struct host_address *
host_main_address(const struct host *h)
{
	for (size_t i = 0; i < h->n_addresses; i++) {
		if (h->address[i].network != NULL && !h->address[i].network->dedicated)
			return &h->address[i];
	}
	return h->n_addresses > 0 ? &h->address[0] : NULL;
}

static bool
listen_at_of_address(struct reader *r, const struct yaml *node, struct listen_at *t)
{
	char text[IP_STR_LEN];
	const struct owner *owner =
	    names_get(&r->addresses, ip_format(&t->at.ip, text));

	if (owner == NULL) {
		diag_hint(
		    reader_error(r, node, "unknown-address",
			"%s is neither a host's nor a floating IP's address", text),
		    "listen on a name of this file");
		return false;
	}
	t->host = owner->host;
	t->fip = owner->floating_ip;
	return true;
}

bool
listen_at_read(struct reader *r, const struct yaml *node, struct listen_at *t)
{
	char name[CLUSTER_NAME_MAX + 1];
	const struct host_address *a;
	uint16_t port;

	*t = (struct listen_at){0};
	if (!want_scalar(r, node, "a floating IP and a port, such as www:80") ||
	    !listen_at_split(r, node, name, &port))
		return false;
	if (ip_endpoint_parse(&t->at, node->text) == 0)
		return listen_at_of_address(r, node, t);
	t->at.port = port;
	t->fip = names_get(&r->names[NAME_FLOATING_IP], name);
	if (t->fip != NULL)
		return true;
	t->host = names_get(&r->names[NAME_HOST], name);
	if (t->host == NULL) {
		listen_at_unknown(r, node, name);
		return false;
	}
	a = host_main_address(t->host);
	if (a == NULL || a->ip.family == 0) /* which was reported */
		return false;
	t->at.ip = a->ip;
	return true;
}

bool
listen_at_claim(struct reader *r, const struct yaml *node, const struct ip_endpoint *at,
    const char *what, const char *name)
{
	char text[IP_ENDPOINT_LEN];
	const struct claim *first;
	struct claim *mine;
	const char *key;

	if (at->ip.family == 0) /* which was reported */
		return false;
	(void)ip_endpoint_format(at, text);
	key = arena_strndup(r->scratch, text, strlen(text));
	mine = arena_alloc(r->scratch, sizeof(*mine));
	if (key == NULL || mine == NULL)
		return false;
	*mine = (struct claim){what, name};
	first = names_put(&r->listeners, key, mine);
	if (first == NULL)
		return true;
	(void)reader_error(r, node, "listen-conflict",
	    "%s \"%s\" listens on %s already", first->what, first->name, node->text);
	return false;
}

bool
listen_at_claim_all(struct reader *r, const struct yaml *node,
    const struct listen_at *t, const char *what, const char *name)
{
	struct ip_endpoint at = t->at;
	size_t n = t->fip != NULL && at.ip.family == 0 ? t->fip->n_addresses : 1;

	for (size_t i = 0; i < n; i++) {
		if (t->at.ip.family == 0 && t->fip != NULL)
			at.ip = t->fip->address[i];
		if (!listen_at_claim(r, node, &at, what, name))
			return false;
	}
	return true;
}

void
listen_at_write(const struct listen_at *t, struct sbuf *out)
{
	const struct host_address *a =
	    t->host != NULL ? host_main_address(t->host) : NULL;
	char text[IP_ENDPOINT_LEN];

	if (t->fip == NULL && t->host == NULL)
		return;
	if (t->fip != NULL && t->at.ip.family == 0)
		sbuf_printf(out, "%s:%u", t->fip->name, t->at.port);
	else if (a != NULL && ip_equal(&a->ip, &t->at.ip))
		sbuf_printf(out, "%s:%u", t->host->name, t->at.port);
	else
		write_text(out, ip_endpoint_format(&t->at, text));
}
