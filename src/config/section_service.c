/* SPDX-License-Identifier: Apache-2.0 */
/*
 * section_service.c - `services`: what the load balancers serve.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mono.h"
#include "config/listen_at.h"
#include "config/reader.h"
#include "config/sections.h"
#include "config/service_breaker.h"
#include "config/service_compression.h"
#include "config/service_http2.h"
#include "config/service_net.h"
#include "config/service_parts.h"
#include "config/service_tls.h"
#include "config/service_traps.h"
#include "config/units.h"

#define LIMIT_MAX 10000000 /* of anything that is counted */

/* ---- listen -------------------------------------------------------------------- */

static void
add_listener(struct reader *r, struct service *s, struct listener *list,
    const struct yaml *node, const struct listener *l)
{
	if (listen_at_claim(r, node, &l->at, "service", s->name))
		list[s->n_listen++] = *l;
}

static void
add_target(struct reader *r, struct service *s, struct listener *list,
    const struct yaml *node, const struct listen_at *t)
{
	struct listener l = {.at = t->at, .host = t->host, .floating_ip = t->fip};

	if (t->fip == NULL || t->at.ip.family != 0) {
		add_listener(r, s, list, node, &l);
		return;
	}
	for (size_t i = 0; i < t->fip->n_addresses; i++) {
		l.at.ip = t->fip->address[i];
		add_listener(r, s, list, node, &l);
	}
}

static void
read_listen(struct reader *r, const struct yaml *node, void *base)
{
	struct service *s = base;
	size_t n, max = 0;
	const struct yaml *items = yaml_items(node, &n), *item = items;
	struct listen_at *target = arena_array(r->scratch, n, sizeof(*target));
	struct listener *list;

	if (n == 0)
		(void)reader_error(r, node, "empty-value", "\"listen\" is empty");
	if (target == NULL)
		return;
	for (size_t i = 0; i < n; i++, item = item->next) {
		if (!listen_at_read(r, item, &target[i]))
			target[i] = (struct listen_at){0};
		max += target[i].fip != NULL ? target[i].fip->n_addresses : 1;
	}
	list = arena_array(r->arena, max, sizeof(*list));
	if (list == NULL)
		return;
	s->listen = list;
	item = items;
	for (size_t i = 0; i < n; i++, item = item->next) {
		if (target[i].fip != NULL || target[i].host != NULL)
			add_target(r, s, list, item, &target[i]);
	}
}

/* How many listeners from `i` on are what the name of their floating IP says. */
static size_t
named_listeners(const struct service *s, size_t i)
{
	const struct listener *l = &s->listen[i];
	const struct floating_ip *f = l->floating_ip;

	if (f == NULL)
		return ip_equal(&host_main_address(l->host)->ip, &l->at.ip);
	for (size_t j = 0; j < f->n_addresses; j++) {
		if (i + j >= s->n_listen || l[j].floating_ip != f ||
		    l[j].at.port != l->at.port ||
		    !ip_equal(&l[j].at.ip, &f->address[j]))
			return 0;
	}
	return f->n_addresses;
}

static void
write_listen(const void *base, struct sbuf *out)
{
	const struct service *s = base;
	char text[IP_ENDPOINT_LEN];
	const char *sep = "";
	struct sbuf list;
	size_t named, items = 0;

	sbuf_init(&list, CLUSTER_FILE_MAX);
	for (size_t i = 0; i<s->n_listen; i += named> 0 ? named : 1) {
		const struct listener *l = &s->listen[i];

		named = named_listeners(s, i);
		sbuf_puts(&list, sep);
		if (named == 0)
			write_text(&list, ip_endpoint_format(&l->at, text));
		else
			sbuf_printf(&list, "%s:%u",
			    l->floating_ip != NULL ? l->floating_ip->name
						   : l->host->name,
			    l->at.port);
		sep = ", ";
		items++;
	}
	sbuf_printf(out, items == 1 ? "%s" : "[%s]", sbuf_text(&list));
	sbuf_done(&list);
}

static const struct form listen_form = {
    .read = read_listen,
    .write = write_listen,
    .schema = "{\"$ref\":\"#/$defs/endpoints\"}",
    .syntax = "NAME:PORT or [NAME:PORT, ...]",
};

/* ---- servers ------------------------------------------------------------------- */

/* Whether every host that listens for `s` has an address on `net`. */
static bool
reached_from_all(const struct service *s, const struct network *net)
{
	for (size_t i = 0; i < s->n_listen; i++) {
		const struct listener *l = &s->listen[i];
		const struct floating_ip *f = l->floating_ip;

		if (l->host != NULL && host_address_on(l->host, net) == NULL)
			return false;
		for (size_t j = 0; f != NULL && j < f->n_hosts; j++) {
			if (host_address_on(f->host[j], net) == NULL)
				return false;
		}
	}
	return true;
}

/* True if a mistake reported elsewhere keeps us from knowing who listens. */
static bool
listeners_unclear(const struct reader *r, const struct service *s)
{
	if (s->n_listen == 0)
		return true;
	for (size_t i = 0; i < s->n_listen; i++) {
		const struct floating_ip *f = s->listen[i].floating_ip;

		for (size_t j = 0; f != NULL && j < f->n_hosts; j++) {
			if (host_unclear(f->host[j]))
				return true;
		}
	}
	return !networks_clear(r);
}

/* The address at which the load balancers reach `h`: not over a dedicated network. */
static void
resolve(struct reader *r, const struct yaml *node, struct server *server)
{
	const struct host *h = server->host;
	const struct host_address *best = NULL;

	for (size_t i = 0; i < h->n_addresses; i++) {
		const struct host_address *a = &h->address[i];

		if (a->network == NULL || !reached_from_all(r->service, a->network))
			continue;
		if (best == NULL ||
		    (best->network->dedicated && !a->network->dedicated))
			best = a;
	}
	if (best != NULL) {
		server->at.ip = best->ip;
		if (best->network->dedicated)
			diag_hint(reader_warning(r, node, "dedicated-network",
				      "\"%s\" is reached over \"%s\" only", h->name,
				      best->network->name),
			    "a dedicated network should carry no traffic of services");
	} else if (!host_unclear(h) && !listeners_unclear(r, r->service)) {
		mark_part(reader_error(r, node, "no-shared-network",
			      "\"%s\" shares no network with the hosts that listen "
			      "for \"%s\"",
			      h->name, r->service->name),
		    node, 0, strlen(h->name));
	}
}

/* Whoever writes addresses means the same machines. */
static void
find_owner(struct reader *r, struct server *server)
{
	char text[IP_STR_LEN];
	const struct owner *owner =
	    names_get(&r->addresses, ip_format(&server->at.ip, text));

	if (owner != NULL)
		server->host = owner->host;
}

static void
read_at(struct reader *r, const struct yaml *node, void *base)
{
	struct server *server = base;
	const struct floating_ip *f;
	char name[CLUSTER_NAME_MAX + 1];
	uint16_t port;

	if (!want_scalar(r, node, "a host and a port, such as web1:8080") ||
	    !listen_at_split(r, node, name, &port))
		return;
	server->name = arena_strndup(r->arena, node->text, strlen(node->text));
	if (ip_endpoint_parse(&server->at, node->text) == 0) {
		find_owner(r, server);
		return;
	}
	server->at.port = port;
	server->host = names_get(&r->names[NAME_HOST], name);
	f = names_get(&r->names[NAME_FLOATING_IP], name);
	if (server->host != NULL)
		resolve(r, node, server);
	else if (f != NULL && f->n_addresses > 0)
		server->at.ip = f->address[0];
	else if (f == NULL)
		listen_at_unknown(r, node, name);
}

static void
write_at(const void *base, struct sbuf *out)
{
	const struct server *server = base;

	if (server->unix_path == NULL)
		write_text(out, server->name);
}

static const struct form at_form = {
    .read = read_at,
    .write = write_at,
    .schema = "{\"$ref\":\"#/$defs/endpoint\"}",
    .syntax = "HOST:PORT or ADDRESS:PORT",
};

static const struct key server_key[] = {
    {
	.name = "at",
	.kind = VALUE_FORM,
	.form = &at_form,
	.doc =
	    "Host and port; the address is the one on a network that the hosts which "
	    "listen share with it.",
    },
    {
	.name = "unix",
	.kind = VALUE_FILE,
	FIELD(struct server, unix_path),
	.doc = "Instead of `at`: a Unix socket of the load balancer's own host.",
    },
    {
	.name = "weight",
	.kind = VALUE_COUNT,
	FIELD(struct server, weight),
	.max = SERVER_WEIGHT_MAX,
	.preset = "1",
	.doc = "Share of the work; 0: no new work.",
    },
    {
	.name = "backup",
	.kind = VALUE_FLAG,
	FIELD(struct server, backup),
	.preset = "false",
	.doc = "Serve only while no other server can.",
    },
    {
	.name = "max_connections",
	.kind = VALUE_COUNT,
	FIELD(struct server, max_connections),
	.max = LIMIT_MAX,
	.preset = "0",
	.doc = "Connections at a time, from each load balancer; 0: no limit.",
    },
};

static bool
brief_server(const void *base, struct sbuf *out)
{
	for (size_t i = 1; i < ARRAY_LEN(server_key); i++) {
		if (!key_is_preset(&server_key[i], base))
			return false;
	}
	write_at(base, out);
	return true;
}

const struct section server_section = {
    .what = "server",
    .doc = "Something that answers requests.",
    KEYS(server_key),
    .shorthand = "at",
    .finish = service_net_finish_server,
    .brief = brief_server,
};

static const struct many servers = {
    .section = &server_section,
    .size = sizeof(struct server),
    .count = offsetof(struct service, servers.n_servers),
    .place = offsetof(struct server, place),
    .index = SIZE_MAX,
};

/* ---- log ----------------------------------------------------------------------- */

static const struct word log_word[] = {
    {"off", LOG_MODE_OFF, "nothing"},
    {"full", LOG_MODE_FULL, "every request"},
    {0},
};

static const struct key log_key = {
    .name = "log", .kind = VALUE_WORD, FIELD(struct service, log), .words = log_word};

static const struct key sample_key = {
    .name = "sample",
    .kind = VALUE_COUNT,
    FIELD(struct service, log_sample),
    .min = 1,
    .max = LIMIT_MAX,
};

static void
read_log(struct reader *r, const struct yaml *node, void *base)
{
	const struct yaml *sample = yaml_get(node, "sample");
	struct service *s = base;

	if (node->kind != YAML_MAP) {
		read_value(r, &log_key, node, base);
		return;
	}
	for (const struct yaml *n = node->first; n != NULL; n = n->next) {
		if (n != sample)
			(void)reader_error(r, n->key, "unknown-key",
			    "unknown key \"%.64s\" in log", n->key->text);
	}
	if (sample != NULL) {
		s->log = LOG_MODE_SAMPLED;
		read_value(r, &sample_key, sample, base);
	} else if (node->n == 0) {
		(void)reader_error(r, node, "empty-value", "\"log\" is empty");
	}
}

static void
write_log(const void *base, struct sbuf *out)
{
	const struct service *s = base;

	if (s->log == LOG_MODE_SAMPLED)
		sbuf_printf(out, "{sample: %u}", s->log_sample);
	else
		write_value(&log_key, s, out);
}

static const struct form log_form = {
    .read = read_log,
    .write = write_log,
    .schema = "{\"anyOf\":[{\"enum\":[\"off\",\"full\",false]},{\"type\":\"object\","
	      "\"required\":[\"sample\"],\"additionalProperties\":false,\"properties\":"
	      "{\"sample\":{\"type\":\"integer\",\"minimum\":1}}}]}",
    .syntax = "off, full or {sample: N}",
};

/* ---- queue, timeouts ----------------------------------------------------------- */

static const struct key queue_key[] = {
    {
	.name = "size",
	.kind = VALUE_COUNT,
	FIELD(struct service, queue_size),
	.max = LIMIT_MAX,
	.preset = "1000",
	.doc = "Requests that may wait, on each load balancer; 0: refuse at once.",
    },
    {
	.name = "timeout",
	.kind = VALUE_DURATION,
	FIELD(struct service, queue_timeout_ns),
	.min = MS_NS,
	.max = 3600 * SEC_NS,
	.preset = "5s",
	.doc = "How long a request waits before it is refused.",
    },
};

static const struct section queue_section = {
    .what = "queue",
    .doc = "What waits while every server has as many connections as it may.",
    KEYS(queue_key),
    .shorthand = "size",
};

enum { TIMEOUT_KEY_CONNECT, TIMEOUT_KEY_HEAD, TIMEOUT_KEY_IDLE };

#define IDLE_HTTP (60 * SEC_NS)
#define IDLE_TCP  (3600 * SEC_NS) /* databases and shells are silent for long */

static void
derive_idle(const void *base, struct sbuf *out)
{
	const struct service *s = base;

	sbuf_puts(out, s->mode == MODE_TCP ? "1h" : "1m");
}

static const struct key timeout_key[] = {
    [TIMEOUT_KEY_CONNECT] =
	{
	    .name = "connect",
	    .kind = VALUE_DURATION,
	    FIELD(struct service, connect_timeout_ns),
	    .min = MS_NS,
	    .max = 3600 * SEC_NS,
	    .preset = "1s",
	    .doc = "For a connection to a server.",
	},
    [TIMEOUT_KEY_HEAD] =
	{
	    .name = "head",
	    .kind = VALUE_DURATION,
	    FIELD(struct service, head_timeout_ns),
	    .min = MS_NS,
	    .max = 3600 * SEC_NS,
	    .preset = "10s",
	    .doc = "From the first byte of a request to the end of its head.",
	},
    [TIMEOUT_KEY_IDLE] =
	{
	    .name = "idle",
	    .kind = VALUE_DURATION,
	    FIELD(struct service, idle_timeout_ns),
	    .min = MS_NS,
	    .max = 86400 * SEC_NS,
	    .doc = "For a kept connection without a request; in mode tcp for one on "
		   "which nothing moves.",
	    .derived = derive_idle,
	    .derived_doc = "1m; 1h in mode tcp",
	},
    {
	.name = "server",
	.kind = VALUE_DURATION,
	FIELD(struct service, server_timeout_ns),
	.min = MS_NS,
	.max = 86400 * SEC_NS,
	.preset = "1m",
	.doc = "Silence of a server that owes an answer.",
    },
    {
	.name = "drain",
	.kind = VALUE_DURATION,
	FIELD(struct service, drain_timeout_ns),
	.max = 86400 * SEC_NS,
	.preset = "30s",
	.doc = "How long connections may finish when their listener or server leaves.",
    },
    {
	.name = "body",
	.kind = VALUE_DURATION,
	FIELD(struct service, body_timeout_ns),
	.min = MS_NS,
	.max = 86400 * SEC_NS,
	.preset = "30s",
	.doc = "For 4 KiB of a request's body, or what is left of it.",
    },
    {
	.name = "peer",
	.kind = VALUE_DURATION,
	FIELD(struct service, peer_timeout_ns),
	.max = 86400 * SEC_NS,
	.preset = "5m",
	.doc = "A client or server whose host acknowledges nothing for so long, or "
	       "takes nothing, is given up; 0: as the kernel does.",
    },
};

static void
finish_timeouts(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	struct service *s = base;

	(void)r;
	(void)node;
	if ((given & 1U << TIMEOUT_KEY_IDLE) == 0)
		s->idle_timeout_ns = s->mode == MODE_TCP ? IDLE_TCP : IDLE_HTTP;
}

static const struct section timeouts_section = {
    .what = "timeouts",
    .doc = "How long to be patient.",
    KEYS(timeout_key),
    .finish = finish_timeouts,
};

/* ---- the section --------------------------------------------------------------- */

static const struct word mode_word[] = {
    {"http", MODE_HTTP, "HTTP/1.0 and HTTP/1.1, request by request"},
    {"tcp", MODE_TCP, "whatever it is, connection by connection"},
    {"packet", 0, NULL},
    {0},
};

static const struct word proxy_word[] = {
    {"none", 0, "nothing"},
    {"v1", 1, "the text form"},
    {"v2", 2, "the binary form"},
    {0},
};

static const struct key service_key[] = {
    {
	.name = "mode",
	.kind = VALUE_WORD,
	FIELD(struct service, mode),
	.preset = "http",
	.words = mode_word,
	.doc = "What is understood of the traffic.",
    },
    {
	.name = "tls",
	.kind = VALUE_SECTION,
	.offset = offsetof(struct service, tls),
	.section = &tls_section,
	.doc = "TLS towards clients.",
    },
    {
	.name = "listen",
	.kind = VALUE_FORM,
	.required = true,
	.form = &listen_form,
	.doc = "Where clients connect: floating IPs, or hosts, and ports.",
    },
    {
	.name = "servers",
	.kind = VALUE_LIST,
	.offset = offsetof(struct service, servers.server),
	.many = &servers,
	.doc = "Who answers: the group `default`.",
    },
    GROUPS_KEY,
    {
	.name = "active",
	.kind = VALUE_FORM,
	.form = &active_form,
	.doc = "The group that gets what no route sends elsewhere; `default` or the "
	       "first one unless said.",
    },
    {
	.name = "routes",
	.kind = VALUE_LIST,
	.offset = offsetof(struct service, route),
	.many = &service_routes,
	.doc = "Which requests go to which group, or are answered here; the first "
	       "that holds counts.",
    },
    HEADER_KEYS(struct service),
    GUARD_KEYS,
    BALANCE_KEYS,
    {
	.name = "check",
	.kind = VALUE_SECTION,
	.offset = offsetof(struct service, check),
	.preset = "tcp",
	.section = &service_check_section,
	.doc = "How to tell whether a server is healthy.",
    },
    {
	.name = "max_connections",
	.kind = VALUE_COUNT,
	FIELD(struct service, max_connections),
	.max = LIMIT_MAX,
	.preset = "0",
	.doc = "Connections of clients at a time, on each load balancer; 0: no limit.",
    },
    {
	.name = "max_server_connections",
	.kind = VALUE_COUNT,
	FIELD(struct service, max_server_connections),
	.max = LIMIT_MAX,
	.preset = "0",
	.doc =
	    "Requests, or connections in mode tcp, that all its servers together have "
	    "at a time, on each host; others wait in the queue. 0: no limit.",
    },
    {
	.name = "queue",
	.kind = VALUE_SECTION,
	.section = &queue_section,
	.doc = "What waits while every server has as many connections as it may.",
    },
    {
	.name = "timeouts",
	.kind = VALUE_SECTION,
	.section = &timeouts_section,
	.doc = "How long to be patient.",
    },
    {
	.name = "retries",
	.kind = VALUE_COUNT,
	FIELD(struct service, retries),
	.max = 10,
	.preset = "2",
	.doc =
	    "Further servers that are tried when a connection fails before a byte of "
	    "the answer came; only requests that are safe to repeat.",
    },
    {
	.name = "pool",
	.kind = VALUE_COUNT,
	FIELD(struct service, pool),
	.max = LIMIT_MAX,
	.preset = "64",
	.doc = "Idle connections kept to each server, by each worker.",
    },
    {
	.name = "server_tls",
	.kind = VALUE_SECTION,
	.offset = offsetof(struct service, server_tls),
	.section = &server_tls_section,
	.doc = "TLS towards servers.",
    },
    {
	.name = "pipeline",
	.kind = VALUE_COUNT,
	FIELD(struct service, pipeline),
	.max = 64,
	.preset = "0",
	.doc = "GET and HEAD requests that may go to a server together, on one "
	       "connection (HTTP/1.1 pipelining); 0: each on its own.",
    },
    {
	.name = "backlog",
	.kind = VALUE_COUNT,
	FIELD(struct service, backlog),
	.min = 1,
	.max = 65535,
	.preset = "4096",
	.doc = "Connections that may wait to be accepted, for each worker; not more "
	       "than net.core.somaxconn.",
    },
    {
	.name = "source",
	.kind = VALUE_FORM,
	.form = &service_net_source,
	.doc = "Where connections to servers come from: an address, or this host's own "
	       "on a network.",
    },
    {
	.name = "transparent",
	.kind = VALUE_FLAG,
	FIELD(struct service, transparent),
	.preset = "false",
	.doc = "Connections to servers come from the client's address. Answers must be "
	       "routed through the load balancer; nothing is pooled.",
    },
    {
	.name = "proxy_protocol",
	.kind = VALUE_WORD,
	FIELD(struct service, send_proxy),
	.preset = "none",
	.words = proxy_word,
	.doc = "Tell servers the client's address in front of each connection.",
    },
    {
	.name = "http2",
	.kind = VALUE_FLAG,
	FIELD(struct service, http2),
	.doc = "Take HTTP/2 from clients too, besides HTTP/1.",
	.derived = service_tls_http2,
	.derived_doc = "true with `tls`, else false",
    },
    {
	.name = "server_http2",
	.kind = VALUE_FLAG,
	FIELD(struct service, server_http2),
	.preset = "false",
	.doc = "Speak HTTP/2 with servers, as gRPC needs.",
    },
    {
	.name = "server_streams",
	.kind = VALUE_COUNT,
	FIELD(struct service, server_streams),
	.min = 1,
	.max = 1000,
	.preset = "100",
	.doc = "HTTP/2 with servers: requests at a time on one connection, if the "
	       "server takes as many.",
    },
    {
	.name = "max_streams",
	.kind = VALUE_COUNT,
	FIELD(struct service, max_streams),
	.min = 1,
	.max = 1000,
	.preset = "100",
	.doc = "HTTP/2: requests at a time on one connection.",
    },
    BREAKER_KEY,
    COMPRESSION_KEY,
    {
	.name = "log",
	.kind = VALUE_FORM,
	.preset = "off",
	.form = &log_form,
	.doc = "Access log: nothing, everything, or one request of so many.",
    },
    {
	.name = "needs",
	.kind = VALUE_COUNT,
	FIELD(struct service, needs),
	.min = 1,
	.max = LIMIT_MAX,
	.preset = "1",
	.doc = "Servers it takes to carry the load, for `nines spof`.",
    },
    {
	.name = "must_survive",
	.kind = VALUE_FORM,
	.preset = "host",
	.form = &must_survive_form,
	.doc = "Single failures that must not end it, for `nines spof`: `host` (any "
	       "host, part, link, server), `zone` (and any host), `network`, "
	       "`external` (any place of what others run).",
    },
};

static void
begin_service(struct reader *r, const struct yaml *node, void *base)
{
	r->service = base;
	groups_begin(r, node, base);
}

static void
finish_service(struct reader *r, const struct yaml *node, void *base, uint64_t given)
{
	struct service *s = base;

	(void)given;
	groups_finish(r, node, s);
	guard_finish(r, node, s);
	routes_finish(r, node, s);
	balance_finish(r, node, s);
	hedge_finish(r, node, s);
	service_net_finish(r, node, s);
	service_tls_finish(r, node, s);
	service_http2_finish(r, node, s);
	compression_finish(r, node, s);
	breaker_finish(r, node, s);
	if (s->check.type == CHECK_PING)
		(void)reader_error(r, yaml_get(yaml_get(node, "check"), "ping")->key,
		    "key-conflict",
		    "\"ping\" is for floating IPs: a server is more than its host");
	service_traps(r, node, s);
	r->service = NULL;
}

const struct section service_section = {
    .what = "service",
    .doc = "Something served under an address by several servers.",
    KEYS(service_key),
    .begin = begin_service,
    .finish = finish_service,
};
