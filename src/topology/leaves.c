/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leaves.c - questions to the cluster file, and everything in it that can fail.
 */
#include <stdio.h>
#include <string.h>

#include "topology/build.h"

#define NAME_LEN (3 * CLUSTER_NAME_MAX + 32)

static const char *const part_name[PARTS] = {
    [PART_VIP] = "vip",
    [PART_PROXY] = "proxy",
    [PART_HEALTH] = "health",
    [PART_GATEWAY] = "gateway",
    [PART_FIREWALL] = "firewall",
    [PART_SYNC] = "sync",
    [PART_VPN] = "vpn",
};

/* ---- questions to the cluster file --------------------------------------------- */

bool
topology_in_hosts(const struct host *const *list, size_t n, const struct host *h)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i] == h)
			return true;
	}
	return false;
}

static bool
has_vip(const struct cluster *c, const struct host *h)
{
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		if (floating_ip_rank(&c->floating_ip[i], h) >= 0)
			return true;
	}
	return false;
}

static bool
has_proxy(const struct cluster *c, const struct host *h)
{
	for (size_t i = 0; i < c->n_services; i++) {
		if (service_on_host(&c->service[i], h))
			return true;
	}
	return false;
}

/* As `wanted` in supervisor/parts.c has it. */
bool
topology_has_part(
    const struct cluster *c, const struct host *h, enum topology_part part)
{
	bool firewall = topology_in_hosts(c->firewall.host, c->firewall.n_hosts, h);

	switch (part) {
	case PART_VIP:
		return has_vip(c, h);
	case PART_PROXY:
		return has_proxy(c, h);
	case PART_HEALTH:
		return has_vip(c, h) || has_proxy(c, h);
	case PART_GATEWAY:
		return gateways_have(&c->gateways, h) ||
		       gateways_serve(&c->gateways, h);
	case PART_FIREWALL:
		return firewall || c->host_firewall.enabled;
	case PART_SYNC:
		return firewall && c->firewall.sync != NULL;
	case PART_VPN:
		for (size_t i = 0; i < c->n_vpns; i++) {
			if (vpn_on_host(&c->vpn[i], h))
				return true;
		}
		return false;
	case PARTS:
		break;
	}
	return false;
}

bool
topology_follows(
    const struct cluster *c, const struct floating_ip *f, const struct service *s)
{
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		const struct floating_ip *other = &c->floating_ip[i];
		bool together =
		    other == f || (f->group != NULL && other->group != NULL &&
				      strcmp(f->group, other->group) == 0);

		for (size_t k = 0; together && k < other->n_follow; k++) {
			if (other->follow[k] == s)
				return true;
		}
	}
	return false;
}

bool
topology_group_used(const struct service *s, size_t g)
{
	if (g == s->active)
		return true;
	for (size_t i = 0; i < s->n_routes; i++) {
		for (size_t k = 0; k < s->route[i].n_to; k++) {
			if (s->route[i].to[k].group == g)
				return true;
		}
	}
	return false;
}

/* Servers that get work while all is well. */
static size_t
active_servers(const struct server_group *g)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n_servers; i++) {
		if (!g->server[i].backup && g->server[i].weight > 0)
			n++;
	}
	return n;
}

bool
topology_backups_count(
    const struct service *s, const struct server_group *g, unsigned needs)
{
	/* They join when fewer than so many active ones are left. */
	size_t below = (active_servers(g) * s->balancing.backup_below + 99) / 100;

	return s->balancing.backup_full || (below > 1 ? below : 1) >= needs;
}

const struct network *
topology_network_of(const struct cluster *c, const struct server *server)
{
	const struct host *h = server->host;

	if (h != NULL) {
		for (size_t i = 0; i < h->n_addresses; i++) {
			const struct host_address *a = &h->address[i];

			if (ip_equal(&a->ip, &server->at.ip))
				return a->network;
		}
	}
	for (size_t i = 0; i < c->n_networks; i++) {
		if (server->at.ip.family == c->network[i].subnet.ip.family &&
		    ip_in_net(&server->at.ip, &c->network[i].subnet))
			return &c->network[i];
	}
	return NULL;
}

const struct floating_ip *
topology_floating_ip_at(const struct cluster *c, const struct ip *ip)
{
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		const struct floating_ip *f = &c->floating_ip[i];

		for (size_t k = 0; k < f->n_addresses; k++) {
			if (ip_equal(&f->address[k], ip))
				return f;
		}
	}
	return NULL;
}

const struct floating_ip *
topology_server_floating_ip(const struct cluster *c, const struct server *server)
{
	if (server->unix_path != NULL || server->host != NULL)
		return NULL;
	return topology_floating_ip_at(c, &server->at.ip);
}

bool
topology_route_leads(const struct gateway_route *route, const struct network *net)
{
	return route->to.ip.family == net->subnet.ip.family &&
	       route->to.bits <= net->subnet.bits &&
	       ip_in_net(&net->subnet.ip, &route->to);
}

bool
topology_needs(const struct service *s, const struct external *e)
{
	for (size_t i = 0; i < e->n_services; i++) {
		if (e->service[i] == s)
			return true;
	}
	return e->n_services == 0;
}

const struct host *
topology_host_at(const struct cluster *c, const char *place)
{
	struct ip ip;

	if (ip_parse(&ip, place) == 0)
		return cluster_host_by_address(c, &ip, 1);
	return cluster_host(c, place);
}

/* ---- leaves -------------------------------------------------------------------- */

static const unsigned survive_of[AVAIL_KINDS] = {
    [AVAIL_HOST] = SURVIVE_HOST,
    [AVAIL_PART] = SURVIVE_HOST,
    [AVAIL_LINK] = SURVIVE_HOST,
    [AVAIL_NETWORK] = SURVIVE_NETWORK,
    [AVAIL_ZONE] = SURVIVE_ZONE,
    [AVAIL_SERVER] = SURVIVE_HOST,
    [AVAIL_CERTIFICATE] = SURVIVE_EXTERNAL,
    /* AVAIL_OUTSIDE: a server is somebody's host, a router is a network's. */
};

uint32_t
build_failure(struct build *b, struct failure f, const char *name)
{
	struct topology *t = b->t;
	uint32_t node = graph_leaf(b->g);

	if (t->n_failures == t->cap_failures) {
		size_t cap = t->cap_failures == 0 ? 256 : t->cap_failures * 2;
		struct failure *fresh = arena_array(t->arena, cap, sizeof(*fresh));

		if (fresh == NULL)
			return GRAPH_NONE;
		if (t->n_failures > 0)
			memcpy(fresh, t->failure, t->n_failures * sizeof(*fresh));
		t->failure = fresh;
		t->cap_failures = cap;
	}
	f.name = arena_strndup(t->arena, name, strlen(name));
	f.survive |= survive_of[f.kind];
	if (node != GRAPH_NONE)
		t->failure[t->n_failures++] = f;
	return node;
}

static void
add_zones_and_networks(struct build *b)
{
	const struct cluster *c = b->c;
	char name[NAME_LEN];

	for (size_t i = 0; i < c->n_zones; i++) {
		(void)snprintf(name, sizeof(name), "zone %s", c->zone[i].name);
		b->zone[i] = build_failure(
		    b, (struct failure){.kind = AVAIL_ZONE, .zone = &c->zone[i]}, name);
	}
	for (size_t i = 0; i < c->n_networks; i++) {
		b->network[i] = GRAPH_NONE;
		if (c->network[i].redundant)
			continue;
		(void)snprintf(name, sizeof(name), "network %s", c->network[i].name);
		b->network[i] = build_failure(b,
		    (struct failure){.kind = AVAIL_NETWORK, .network = &c->network[i]},
		    name);
	}
}

static uint32_t
add_host(struct build *b, const struct host *h, const char *suffix)
{
	char name[NAME_LEN];

	(void)snprintf(name, sizeof(name), "host %s%s", h->name, suffix);
	return build_failure(b, (struct failure){.kind = AVAIL_HOST, .host = h}, name);
}

static void
add_links(struct build *b, const struct host *h, const char *suffix, uint32_t *link)
{
	char name[NAME_LEN];

	for (size_t i = 0; i < h->n_addresses; i++) {
		const struct network *net = h->address[i].network;

		link[i] = GRAPH_NONE;
		if (net->redundant)
			continue;
		(void)snprintf(
		    name, sizeof(name), "link %s%s %s", h->name, suffix, net->name);
		link[i] = build_failure(b,
		    (struct failure){.kind = AVAIL_LINK, .host = h, .network = net},
		    name);
	}
}

static void
add_parts(struct build *b, const struct host *h, const char *suffix, uint32_t *part)
{
	char name[NAME_LEN];

	for (unsigned i = 0; i < PARTS; i++) {
		part[i] = GRAPH_NONE;
		if (!topology_has_part(b->c, h, (enum topology_part)i))
			continue;
		(void)snprintf(
		    name, sizeof(name), "part %s%s %s", h->name, suffix, part_name[i]);
		part[i] = build_failure(b,
		    (struct failure){
			.kind = AVAIL_PART, .host = h, .part = part_name[i]},
		    name);
	}
}

static void
add_hosts(struct build *b)
{
	const struct cluster *c = b->c;

	for (size_t i = 0; i < c->n_hosts; i++)
		b->host[i] = add_host(b, &c->host[i], "");
	for (size_t i = 0; i < c->n_hosts; i++) {
		b->link[i] =
		    arena_array(b->t->arena, c->host[i].n_addresses, sizeof(**b->link));
		if (b->link[i] != NULL)
			add_links(b, &c->host[i], "", b->link[i]);
	}
	for (size_t i = 0; i < c->n_hosts; i++)
		add_parts(b, &c->host[i], "", &b->part[i * PARTS]);
}

/* A program on a host of the file, or on each load balancer itself (a Unix socket). */
uint32_t
build_server_leaf(struct build *b, const struct service *s, const struct server *server,
    const struct host *h, const char *suffix)
{
	char name[NAME_LEN];

	(void)snprintf(name, sizeof(name), "server %s %s%s%s", s->name, server->name,
	    *suffix != '\0' ? " " : "", suffix);
	return build_failure(b,
	    (struct failure){
		.kind = AVAIL_SERVER, .host = h, .service = s, .server = server},
	    name);
}

static void
add_servers(struct build *b, const struct service *s)
{
	for (size_t i = 0; i < s->n_servers; i++) {
		const struct server *server = &s->server[i];
		const struct host *h = server->host;
		uint32_t *node = &b->server[b->t->first_server[s->index] + i];

		*node = GRAPH_NONE;
		if (server->unix_path != NULL) {
			for (size_t k = 0; k < b->c->n_hosts; k++) {
				if (service_on_host(s, &b->c->host[k]))
					(void)build_server_leaf(b, s, server,
					    &b->c->host[k], b->c->host[k].name);
			}
		} else if (h != NULL) {
			*node = build_server_leaf(b, s, server, h, "");
		}
	}
}

/* What has the same address is the same thing, whoever needs it. */
static uint32_t
outside_leaf(
    struct build *b, const char *text, const struct external *e, unsigned survive)
{
	char name[NAME_LEN];

	(void)snprintf(name, sizeof(name), "outside %s", text);
	for (size_t i = 0; i < b->t->n_failures; i++) {
		struct failure *f = &b->t->failure[i];

		if (f->kind == AVAIL_OUTSIDE && strcmp(f->name, name) == 0) {
			f->survive |= survive;
			return b->g->leaf[i];
		}
	}
	return build_failure(b,
	    (struct failure){.kind = AVAIL_OUTSIDE, .external = e, .survive = survive},
	    name);
}

uint32_t
build_outside_leaf(struct build *b, const struct ip *ip, unsigned survive)
{
	char address[IP_STR_LEN];

	return outside_leaf(b, ip_format(ip, address), NULL, survive);
}

uint32_t
build_external_leaf(struct build *b, const struct external *e, const char *place)
{
	return outside_leaf(b, place, e, SURVIVE_EXTERNAL);
}

/* Servers that the file knows by their address alone. */
static void
add_outside(struct build *b, const struct service *s)
{
	for (size_t i = 0; i < s->n_servers; i++) {
		const struct server *server = &s->server[i];

		if (server->unix_path == NULL && server->host == NULL &&
		    topology_server_floating_ip(b->c, server) == NULL)
			b->server[b->t->first_server[s->index] + i] =
			    build_outside_leaf(b, &server->at.ip, SURVIVE_HOST);
	}
}

static void
add_twin(struct build *b)
{
	const struct host *twin = b->twin;

	b->twin_host = add_host(b, twin, "+1");
	b->twin_link =
	    arena_array(b->t->arena, twin->n_addresses, sizeof(*b->twin_link));
	if (b->twin_link != NULL)
		add_links(b, twin, "+1", b->twin_link);
	add_parts(b, twin, "+1", b->twin_part);
}

void
build_leaves(struct build *b)
{
	const struct cluster *c = b->c;

	add_zones_and_networks(b);
	add_hosts(b);
	for (size_t i = 0; i < c->n_services; i++)
		add_servers(b, &c->service[i]);
	for (size_t i = 0; i < c->n_services; i++)
		add_outside(b, &c->service[i]);
	build_data_leaves(b);
	build_certificates(b);
	b->n_own = b->t->n_failures;
	if (b->twin != NULL)
		add_twin(b);
}
