/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/ways.h"

#include <string.h>

#define FAR UINT8_MAX

static size_t
index_of(const struct cluster *c, const struct network *net)
{
	return (size_t)(net - c->network);
}

static bool
serves_there(const struct cluster *c, const struct host *h)
{
	for (size_t i = 0; i < c->n_services; i++) {
		if (service_on_host(&c->service[i], h))
			return true;
	}
	return false;
}

static bool
filters(const struct firewall_conf *f, const struct host *h)
{
	for (size_t i = 0; i < f->n_hosts; i++) {
		if (f->host[i] == h)
			return true;
	}
	return false;
}

/* Gateways and firewalls; or floating addresses on two networks, and nothing that
 * listens at them. */
bool
ways_passes(const struct cluster *c, const struct host *h)
{
	const struct network *first = NULL;

	if (gateways_have(&c->gateways, h) || filters(&c->firewall, h))
		return true;
	if (serves_there(c, h))
		return false;
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		const struct floating_ip *f = &c->floating_ip[i];

		if (floating_ip_rank(f, h) < 0)
			continue;
		if (first != NULL && f->network != first)
			return true;
		first = f->network;
	}
	return false;
}

/* Can `h` take a packet from `a` to `b`? */
static bool
bridges(const struct cluster *c, const struct host *h, const struct network *a,
    const struct network *b)
{
	return a != b && !a->dedicated && !b->dedicated &&
	       host_address_on(h, a) != NULL && host_address_on(h, b) != NULL &&
	       ways_passes(c, h);
}

static bool
any_bridges(const struct cluster *c, const struct network *a, const struct network *b)
{
	for (size_t i = 0; i < c->n_hosts; i++) {
		if (bridges(c, &c->host[i], a, b))
			return true;
	}
	return false;
}

/* How many routers are between each network and `to`. */
static void
measure(const struct cluster *c, const struct network *to,
    uint8_t distance[WAYS_NETWORKS_MAX])
{
	bool changed = true;

	memset(distance, FAR, WAYS_NETWORKS_MAX);
	distance[index_of(c, to)] = 0;
	for (uint8_t d = 0; changed && d < FAR - 1; d++) {
		changed = false;
		for (size_t i = 0; i < c->n_networks; i++) {
			for (size_t k = 0; k < c->n_networks; k++) {
				if (distance[i] != d || distance[k] != FAR ||
				    !any_bridges(c, &c->network[i], &c->network[k]))
					continue;
				distance[k] = (uint8_t)(d + 1);
				changed = true;
			}
		}
	}
}

/* Where clients ask: the network of the first service at a floating address. */
static const struct network *
inside(const struct cluster *c)
{
	for (size_t i = 0; i < c->n_services; i++) {
		for (size_t k = 0; k < c->service[i].n_listen; k++) {
			const struct listener *l = &c->service[i].listen[k];

			if (l->floating_ip != NULL)
				return l->floating_ip->network;
		}
	}
	return NULL;
}

const struct network *
ways_outside(const struct cluster *c)
{
	const struct network *in = inside(c), *out = NULL;
	uint8_t distance[WAYS_NETWORKS_MAX], most = 0;

	if (c->gateways.n_hosts > 0 && c->gateways.outside.n > 0)
		return c->gateways.outside.network[0];
	if (in == NULL || c->n_networks > WAYS_NETWORKS_MAX)
		return NULL;
	measure(c, in, distance);
	for (size_t i = 0; i < c->n_networks; i++) {
		if (distance[i] != FAR && distance[i] > most) {
			most = distance[i];
			out = &c->network[i];
		}
	}
	return out;
}

static bool
are_all(const struct floating_ip *f, const struct host *const *router, size_t n)
{
	for (size_t i = 0; i < f->n_hosts; i++) {
		bool found = false;

		for (size_t k = 0; k < n; k++)
			found |= router[k] == f->host[i];
		if (!found)
			return false;
	}
	return true;
}

static void
add_hop(struct way *way, const struct ip *ip, const struct network *to)
{
	if (way->n_hops < WAYS_HOPS_MAX && ip->family == to->subnet.ip.family)
		way->hop[way->n_hops++] = *ip;
}

void
ways_from(const struct cluster *c, const struct network *from, const struct network *to,
    struct way *way)
{
	const struct host *router[WAYS_HOPS_MAX];
	uint8_t distance[WAYS_NETWORKS_MAX];
	size_t n = 0;

	*way = (struct way){.by = from};
	if (from == to || c->n_networks > WAYS_NETWORKS_MAX)
		return;
	measure(c, to, distance);
	for (size_t i = 0; i < c->n_hosts && n < WAYS_HOPS_MAX; i++) {
		bool nearer = false;

		for (size_t k = 0; k < c->n_networks; k++)
			nearer |= distance[k] < distance[index_of(c, from)] &&
				  bridges(c, &c->host[i], from, &c->network[k]);
		if (nearer)
			router[n++] = &c->host[i];
	}
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		const struct floating_ip *f = &c->floating_ip[i];

		if (f->network == from && are_all(f, router, n))
			add_hop(way, &f->address[0], to);
	}
	if (way->n_hops > 0)
		return;
	for (size_t i = 0; i < n; i++)
		add_hop(way, &host_address_on(router[i], from)->ip, to);
}

void
ways_find(const struct cluster *c, const struct host *h, const struct network *to,
    struct way *way)
{
	const struct network *nearest = NULL;
	uint8_t distance[WAYS_NETWORKS_MAX], least = FAR;

	*way = (struct way){.by = NULL};
	if (c->n_networks > WAYS_NETWORKS_MAX)
		return;
	measure(c, to, distance);
	for (size_t i = 0; i < h->n_addresses; i++) {
		const struct network *net = h->address[i].network;

		if (!net->dedicated && distance[index_of(c, net)] < least) {
			least = distance[index_of(c, net)];
			nearest = net;
		}
	}
	if (nearest != NULL)
		ways_from(c, nearest, to, way);
}
