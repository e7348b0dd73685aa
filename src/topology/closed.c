/* SPDX-License-Identifier: Apache-2.0 */
/*
 * closed.c - services behind the gateways and the firewall that nobody outside reaches,
 * whatever works: a row of `allow` that was forgotten, a route that leads elsewhere.
 */
#include <netinet/in.h>
#include <string.h>

#include "topology/causes.h"

/* True if `p` stands for `ip`, at which `s` listens. */
static bool
means(const struct cluster *c, const struct peer *p, const struct service *s,
    const struct ip *ip)
{
	switch (p->kind) {
	case PEER_ANY:
		return true;
	case PEER_NETWORK:
		return ip_in_net(ip, &p->network->subnet);
	case PEER_HOST:
		return cluster_host_by_address(c, ip, 1) == p->host;
	case PEER_FLOATING_IP:
		return topology_floating_ip_at(c, ip) == p->floating_ip;
	case PEER_SERVICE:
		return p->service == s;
	case PEER_NET:
		return ip_in_net(ip, &p->net);
	case PEER_VPN:
		break;
	}
	return false;
}

/* True if `rule` may be about TCP connections to `l`, of whomever. */
static bool
is_about(const struct cluster *c, const struct firewall_rule *rule,
    const struct service *s, const struct listener *l)
{
	bool port =
	    rule->ports.n == 0 && (rule->proto == 0 || rule->proto == IPPROTO_TCP);

	for (size_t i = 0; i < rule->ports.n; i++) {
		const struct port_range *range = &rule->ports.range[i];

		port =
		    port || (range->proto == IPPROTO_TCP && range->low <= l->at.port &&
				l->at.port <= range->high);
	}
	if (rule->nat.kind == NAT_TO)
		return ip_equal(&rule->nat.to.ip, &l->at.ip);
	for (size_t i = 0; i < rule->to.n && port; i++) {
		if (means(c, &rule->to.peer[i], s, &l->at.ip))
			return true;
	}
	return false;
}

static bool
from_anywhere(const struct firewall_rule *rule)
{
	for (size_t i = 0; i < rule->from.n; i++) {
		if (rule->from.peer[i].kind == PEER_ANY)
			return true;
	}
	return false;
}

/* True if `p` may stand for clients outside: what is in no network or VPN of the file.
 */
static bool
is_outside(const struct cluster *c, const struct peer *p)
{
	if (p->kind == PEER_NETWORK)
		return p->network == c->firewall.outside;
	if (p->kind != PEER_NET)
		return p->kind == PEER_ANY;
	for (size_t i = 0; i < c->n_networks; i++) {
		const struct network *net = &c->network[i];

		if (net != c->firewall.outside && ip_in_net(&p->net.ip, &net->subnet))
			return false;
	}
	for (size_t i = 0; i < c->n_vpns; i++) {
		if (ip_in_net(&p->net.ip, &c->vpn[i].subnet))
			return false;
	}
	return true;
}

static bool
lets_outside_in(const struct cluster *c, const struct firewall_rule *rule)
{
	for (size_t i = 0; i < rule->from.n; i++) {
		if (is_outside(c, &rule->from.peer[i]))
			return true;
	}
	return rule->from.n == 0;
}

/* What the firewall says to clients of `l`: nothing if those outside may pass. */
static void
advise_rows(struct drafts *d, const struct service *s, const struct listener *l,
    const struct network *net)
{
	const struct cluster *c = d->t->cluster;
	const struct firewall_conf *fw = &c->firewall;
	const struct spot spot = {s->place, s->name};
	bool some = false;

	for (size_t i = 0; i < fw->n_deny; i++) {
		if (!from_anywhere(&fw->deny[i]) || !is_about(c, &fw->deny[i], s, l))
			continue;
		draft_say(d, FINDING_WARNING, N311, spot,
		    draft_text(d,
			"nobody beyond the firewall reaches %s on %s, port %u: row %zu "
			"of deny refuses everybody",
			s->name, net->name, l->at.port, i + 1),
		    "narrow that row, since deny goes before allow");
		return;
	}
	for (size_t i = 0; i < fw->n_allow; i++) {
		if (!is_about(c, &fw->allow[i], s, l))
			continue;
		if (lets_outside_in(c, &fw->allow[i]))
			return;
		some = true;
	}
	draft_say(d, some ? FINDING_NOTE : FINDING_WARNING, N311, spot,
	    draft_text(d,
		"%s beyond the firewall reaches %s on %s, port %u: no row of allow "
		"lets %s in",
		some ? "only who is in this file" : "nobody", s->name, net->name,
		l->at.port, some ? "the outside" : "anybody"),
	    draft_text(d, "add {from: %s, to: %s} to allow, if clients come from there",
		fw->outside != NULL ? fw->outside->name : "any", s->name));
}

static const struct network *
network_at(const struct listener *l)
{
	if (l->floating_ip != NULL)
		return l->floating_ip->network;
	for (size_t i = 0; l->host != NULL && i < l->host->n_addresses; i++) {
		if (ip_equal(&l->host->address[i].ip, &l->at.ip))
			return l->host->address[i].network;
	}
	return NULL;
}

/* The gateways have no route to `net`, on which none of them is. */
static bool
no_route(const struct cluster *c, const struct network *net)
{
	const struct gateways *gw = &c->gateways;

	if (gw->n_hosts == 0 || host_address_on(gw->host[0], net) != NULL)
		return false;
	for (size_t i = 0; i < gw->n_routes; i++) {
		if (topology_route_leads(&gw->route[i], net))
			return false;
	}
	return true;
}

static void
advise_listener(struct drafts *d, const struct service *s, const struct listener *l)
{
	const struct cluster *c = d->t->cluster;
	const struct network *net = network_at(l);
	const struct spot spot = {s->place, s->name};

	if (net == NULL || !topology_behind_firewall(c, net))
		return;
	advise_rows(d, s, l, net);
	if (no_route(c, net))
		draft_say(d, FINDING_WARNING, N311, spot,
		    draft_text(d,
			"%s: the gateways have no route to %s, which is behind the "
			"firewall",
			s->name, net->name),
		    draft_text(d, "add %s to \"routes\" of the gateways", net->name));
}

void
advise_closed(struct drafts *d)
{
	const struct cluster *c = d->t->cluster;

	for (size_t i = 0; i < c->n_services; i++) {
		for (size_t k = 0; k < c->service[i].n_listen; k++)
			advise_listener(d, &c->service[i], &c->service[i].listen[k]);
	}
}
