/* SPDX-License-Identifier: Apache-2.0 */
/* gateway_plan.c - what `gateways` comes to on one host. */
#include <string.h>

#include "config/cluster.h"

static bool
listed(const struct host *const *host, size_t n, const struct host *h)
{
	for (size_t i = 0; i < n; i++) {
		if (host[i] == h)
			return true;
	}
	return false;
}

bool
gateways_have(const struct gateways *g, const struct host *h)
{
	return listed(g->host, g->n_hosts, h);
}

bool
gateways_serve(const struct gateways *g, const struct host *h)
{
	return listed(g->client, g->n_clients, h);
}

const struct network *
gateways_network(const struct gateways *g, size_t i)
{
	return i < g->outside.n ? g->outside.network[i]
				: g->inside.network[i - g->outside.n];
}

const struct floating_ip *
gateway_floating_ip(
    const struct cluster *c, const struct host *h, const struct network *net)
{
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		const struct floating_ip *f = &c->floating_ip[i];
		bool ours = f->network == net && f->n_hosts > 1 && f->host[0] == h;

		for (size_t k = 0; ours && k < f->n_hosts; k++)
			ours = gateways_have(&c->gateways, f->host[k]);
		if (ours)
			return f;
	}
	return NULL;
}

static struct gateway_plan_route *
new_route(struct gateway_plan *plan, const struct ip_net *to)
{
	struct gateway_plan_route *r;

	if (plan->n_routes == GATEWAY_ROUTES_MAX)
		return NULL;
	r = &plan->route[plan->n_routes];
	*r = (struct gateway_plan_route){.to = *to};
	return r;
}

/* Adds a next hop of the route's family that `me` has an address beside. */
static void
add_hop(struct gateway_plan_route *r, const struct host *me, const struct ip *ip,
    const struct network *net)
{
	if (ip->family != r->to.ip.family || r->n_hops == GATEWAY_HOPS_MAX ||
	    host_address_on(me, net) == NULL)
		return;
	for (size_t i = 0; i < r->n_hops; i++) {
		if (ip_equal(&r->hop[i].ip, ip) && r->hop[i].network == net)
			return;
	}
	r->hop[r->n_hops++] = (struct gateway_hop){.ip = *ip, .network = net};
}

static void
add_via(struct gateway_plan *plan, const struct host *me, const struct ip_net *to,
    const struct gateway_via *via)
{
	struct gateway_plan_route *r = new_route(plan, to);

	for (size_t i = 0; r != NULL && i < via->n_hops; i++)
		add_hop(r, me, &via->hop[i].ip, via->hop[i].network);
	if (r != NULL && r->n_hops > 0)
		plan->n_routes++;
}

/* The default route of a host behind the gateways. */
static void
add_gateways(struct gateway_plan *plan, const struct cluster *c, const struct host *me,
    const struct ip_net *to)
{
	const struct gateways *g = &c->gateways;
	struct gateway_plan_route *r = new_route(plan, to);

	for (size_t i = 0; r != NULL && i < g->n_hosts * g->inside.n; i++) {
		const struct host *h = g->host[i / g->inside.n];
		const struct network *net = g->inside.network[i % g->inside.n];
		const struct floating_ip *f = gateway_floating_ip(c, h, net);
		const struct host_address *own = host_address_on(h, net);

		if (f != NULL)
			add_hop(r, me, &f->address[0], net);
		else if (own != NULL)
			add_hop(r, me, &own->ip, net);
	}
	if (r != NULL && r->n_hops > 0)
		plan->n_routes++;
}

/* The way back to the clients of a VPN of the gateways: to who has its other addresses
 * on the inside, which is who has the clients. */
static void
add_vpn(struct gateway_plan *plan, const struct cluster *c, const struct host *me,
    const struct vpn *v)
{
	const char *group = v->floating_ip != NULL ? v->floating_ip->group : NULL;
	struct gateway_plan_route *r = new_route(plan, &v->subnet);

	if (group == NULL || !gateways_have(&c->gateways, v->floating_ip->host[0]))
		return;
	for (size_t i = 0; r != NULL && i < c->n_floating_ips && r->n_hops == 0; i++) {
		const struct floating_ip *f = &c->floating_ip[i];

		if (f->group != NULL && strcmp(f->group, group) == 0)
			add_hop(r, me, &f->address[0], f->network);
	}
	if (r != NULL && r->n_hops > 0)
		plan->n_routes++;
}

bool
gateway_plan(const struct cluster *c, const struct host *me, struct gateway_plan *plan)
{
	static const struct ip_net everything[] = {
	    {.ip = {.family = AF_INET}}, {.ip = {.family = AF_INET6}}};
	const struct gateways *g = &c->gateways;

	plan->n_routes = 0;
	plan->forwards = gateways_have(g, me);
	if (!plan->forwards && !gateways_serve(g, me))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(everything); i++) {
		if (plan->forwards)
			add_via(plan, me, &everything[i], &g->upstream);
		else
			add_gateways(plan, c, me, &everything[i]);
	}
	for (size_t i = 0; plan->forwards && i < g->n_routes; i++)
		add_via(plan, me, &g->route[i].to, &g->route[i].via);
	for (size_t i = 0; !plan->forwards && i < c->n_vpns; i++)
		add_vpn(plan, c, me, &c->vpn[i]);
	return true;
}
