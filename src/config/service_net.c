/* SPDX-License-Identifier: Apache-2.0 */
#include "config/service_net.h"

#include <string.h>
#include <sys/un.h>

#include "config/sections.h"

static void
read_source(struct reader *r, const struct yaml *node, void *base)
{
	struct service *s = base;

	if (!want_scalar(r, node, "an address or a network"))
		return;
	if (ip_parse(&s->source, node->text) != 0)
		s->source_network = look_up(r, node, NAME_NETWORK);
}

static void
write_source(const void *base, struct sbuf *out)
{
	const struct service *s = base;
	char text[IP_STR_LEN];

	if (s->source.family != 0)
		write_text(out, ip_format(&s->source, text));
	else if (s->source_network != NULL)
		write_text(out, s->source_network->name);
}

const struct form service_net_source = {
    .read = read_source,
    .write = write_source,
    .schema = "{\"type\":\"string\"}",
    .syntax = "ADDRESS or NETWORK",
};

void
service_net_finish_server(
    struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	const struct yaml *at = yaml_get(node, "at"), *path = yaml_get(node, "unix");
	struct server *server = base;

	(void)given;
	if (at == NULL && path == NULL)
		diag_hint(reader_error(r, node, "missing-key", "server has no \"at\""),
		    "at: HOST:PORT, or unix: /run/app.sock");
	else if (at != NULL && path != NULL)
		(void)reader_error(r, path->key, "key-conflict",
		    "a server has either \"at\" or \"unix\"");
	if (server->unix_path == NULL)
		return;
	server->name = server->unix_path;
	if (strlen(server->unix_path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		(void)reader_error(r, path, "bad-text",
		    "the path of a Unix socket has at most %zu bytes",
		    sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
	else if (strpbrk(server->unix_path, " \t") != NULL)
		(void)reader_error(r, path, "bad-text",
		    "the path of a Unix socket must not contain spaces");
}

/* Every server can be reached from `s->source`. */
static void
check_families(
    struct reader *r, const struct yaml *source, const struct service *s, int family)
{
	for (size_t i = 0; i < s->n_servers; i++) {
		const struct server *server = &s->server[i];

		if (server->at.ip.family == 0 || server->at.ip.family == family)
			continue;
		(void)reader_error(r, source, "key-conflict",
		    "server \"%s\" has an address of the other family", server->name);
		return;
	}
}

/* Every host that listens has an address on `s->source_network`. */
static void
check_network(struct reader *r, const struct yaml *source, const struct service *s)
{
	for (size_t i = 0; i < r->cluster->n_hosts; i++) {
		const struct host *h = &r->cluster->host[i];

		if (!service_on_host(s, h) || host_unclear(h) ||
		    host_address_on(h, s->source_network) != NULL)
			continue;
		(void)reader_error(r, source, "no-shared-network",
		    "\"%s\", which listens for \"%s\", has no address on \"%s\"",
		    h->name, s->name, s->source_network->name);
		return;
	}
}

void
service_net_finish(struct reader *r, const struct yaml *node, struct service *s)
{
	const struct yaml *source = yaml_get(node, "source");
	const struct yaml *transparent = yaml_get(node, "transparent");
	const struct yaml *pool = yaml_get(node, "pool");

	if (s->source.family != 0)
		check_families(r, source, s, s->source.family);
	if (s->source_network != NULL) {
		check_families(r, source, s, s->source_network->subnet.ip.family);
		check_network(r, source, s);
	}
	if (!s->transparent)
		return;
	if (source != NULL)
		(void)reader_error(r, transparent->key, "key-conflict",
		    "\"transparent\" and \"source\" exclude each other");
	/* A connection that speaks for one client must not carry another's requests. */
	if (pool == NULL)
		s->pool = 0;
	else if (s->pool != 0)
		(void)reader_error(
		    r, pool->key, "key-conflict", "\"transparent\" allows no pool");
}
