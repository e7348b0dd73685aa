/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/flows.h"

#include <errno.h>
#include <string.h>

#define PROTO_VRRP 112

/* ---- lists of addresses -------------------------------------------------------- */

struct ip_net
net_of_ip(const struct ip *ip)
{
	return (struct ip_net){.ip = *ip, .bits = (uint8_t)(ip_len(ip) * 8)};
}

bool
net_list_has(const struct net_list *l, const struct ip *ip)
{
	if (l->any)
		return true;
	for (size_t i = 0; i < l->n; i++) {
		if (ip_in_net(ip, &l->net[i]))
			return !l->not ;
	}
	return l->not ;
}

/* Doubling in the arena: what is left behind is less than what is kept. */
static void
add_net(struct arena *a, struct net_list *l, const struct ip_net *net)
{
	struct ip_net *more;

	if (net->ip.family == 0)
		return;
	for (size_t i = 0; i < l->n; i++) {
		if (l->net[i].bits == net->bits && ip_equal(&l->net[i].ip, &net->ip))
			return;
	}
	if ((l->n & (l->n - 1)) == 0) { /* a power of two: full */
		more = arena_array(a, l->n > 0 ? 2 * l->n : 1, sizeof(*more));
		if (more == NULL)
			return;
		if (l->n > 0)
			memcpy(more, l->net, l->n * sizeof(*more));
		l->net = more;
	}
	l->net[l->n++] = *net;
}

static void
add_ip(struct arena *a, struct net_list *l, const struct ip *ip)
{
	const struct ip_net net = net_of_ip(ip);

	if (ip->family != 0)
		add_net(a, l, &net);
}

static void
add_host(struct arena *a, struct net_list *l, const struct host *h)
{
	for (size_t i = 0; i < h->n_addresses; i++)
		add_ip(a, l, &h->address[i].ip);
}

static void
add_floating(struct arena *a, struct net_list *l, const struct floating_ip *f)
{
	for (size_t i = 0; i < f->n_addresses; i++)
		add_ip(a, l, &f->address[i]);
}

void
host_nets(const struct cluster *c, const struct host *h, bool floating, struct arena *a,
    struct net_list *out)
{
	*out = (struct net_list){.n = 0};
	add_host(a, out, h);
	for (size_t i = 0; floating && i < c->n_floating_ips; i++) {
		if (floating_ip_rank(&c->floating_ip[i], h) >= 0)
			add_floating(a, out, &c->floating_ip[i]);
	}
}

/* All hosts that serve `s`, with the floating IPs it listens on. */
static void
add_service_hosts(const struct cluster *c, const struct service *s, struct arena *a,
    struct net_list *l)
{
	for (size_t i = 0; i < c->n_hosts; i++) {
		if (service_on_host(s, &c->host[i]))
			add_host(a, l, &c->host[i]);
	}
	for (size_t i = 0; i < s->n_listen; i++)
		add_ip(a, l, &s->listen[i].at.ip);
}

static void
add_peer(const struct cluster *c, const struct peer *p, bool source, struct arena *a,
    struct net_list *out)
{
	switch (p->kind) {
	case PEER_ANY:
		out->any = true;
		break;
	case PEER_NETWORK:
		add_net(a, out, &p->network->subnet);
		break;
	case PEER_HOST:
		add_host(a, out, p->host);
		break;
	case PEER_FLOATING_IP:
		add_floating(a, out, p->floating_ip);
		break;
	case PEER_SERVICE:
		for (size_t i = 0; !source && i < p->service->n_listen; i++)
			add_ip(a, out, &p->service->listen[i].at.ip);
		if (source)
			add_service_hosts(c, p->service, a, out);
		break;
	case PEER_VPN:
		add_net(a, out, &p->vpn->subnet);
		break;
	case PEER_NET:
	default:
		add_net(a, out, &p->net);
	}
}

/* All the world but the networks of the file. The outer network itself is outside. */
static void
outside(const struct cluster *c, struct arena *a, struct net_list *out)
{
	out->not = true;
	for (size_t i = 0; i < c->n_networks; i++) {
		if (&c->network[i] != c->firewall.outside)
			add_net(a, out, &c->network[i].subnet);
	}
	for (size_t i = 0; i < c->n_vpns; i++)
		add_net(a, out, &c->vpn[i].subnet);
}

static bool
is_outside(const struct cluster *c, const struct peer *p)
{
	return p->kind == PEER_NETWORK && p->network == c->firewall.outside;
}

void
peers_nets(const struct cluster *c, const struct peers *p, bool source, struct arena *a,
    struct net_list *out)
{
	struct net_list without = {.n = 0}, inside = {.n = 0};
	bool world = false;

	*out = (struct net_list){.n = 0};
	for (size_t i = 0; i < p->n; i++) {
		world = world || is_outside(c, &p->peer[i]);
		if (!is_outside(c, &p->peer[i]))
			add_peer(c, &p->peer[i], source, a, out);
	}
	if (out->any || !world)
		return;
	/* Outside and some of the inside: all but the rest of the inside. */
	outside(c, a, &inside);
	for (size_t i = 0; i < inside.n; i++) {
		bool listed = false;

		for (size_t j = 0; j < out->n; j++)
			listed =
			    listed || (out->net[j].bits <= inside.net[i].bits &&
					  ip_in_net(&inside.net[i].ip, &out->net[j]));
		if (!listed)
			add_net(a, &without, &inside.net[i]);
	}
	without.not = true;
	without.any = without.n == 0;
	*out = without;
}

/* ---- flows --------------------------------------------------------------------- */

struct work {
	const struct cluster *c;
	const struct host *me;
	struct arena *a;
	struct flow_list *out;
};

static struct flow *
add_flow(struct work *w, enum flow_kind kind, const char *what, struct place place)
{
	struct flow_list *l = w->out;
	struct flow *more;

	if ((l->n & (l->n - 1)) == 0) {
		more = arena_array(w->a, l->n > 0 ? 2 * l->n : 1, sizeof(*more));
		if (more == NULL)
			return NULL;
		if (l->n > 0)
			memcpy(more, l->flow, l->n * sizeof(*more));
		l->flow = more;
	}
	l->flow[l->n] = (struct flow){.kind = kind, .what = what, .place = place};
	return &l->flow[l->n++];
}

static void
set_port(struct flow *f, uint8_t proto, uint16_t port)
{
	f->proto = proto;
	f->low = f->high = port;
}

static void
clients(struct work *w, const struct service *s)
{
	for (size_t i = 0; i < s->n_listen; i++) {
		const struct listener *l = &s->listen[i];
		struct flow *f;

		if (!listener_on_host(l, w->me))
			continue;
		f = add_flow(w, FLOW_CLIENTS, s->name, s->place);
		if (f == NULL)
			return;
		f->from.any = true;
		add_ip(w->a, &f->to, &l->at.ip);
		set_port(f, IPPROTO_TCP, l->at.port);
	}
}

/* Where connections and checks of `s` come from. */
static void
balancers(struct work *w, const struct service *s, struct net_list *from)
{
	if (s->transparent) { /* from the clients' own addresses */
		from->any = true;
		return;
	}
	for (size_t i = 0; i < w->c->n_hosts; i++) {
		if (service_on_host(s, &w->c->host[i]))
			add_host(w->a, from, &w->c->host[i]);
	}
	add_ip(w->a, from, &s->source);
	for (size_t i = 0; i < w->c->n_floating_ips; i++) {
		const struct floating_ip *f = &w->c->floating_ip[i];

		for (size_t j = 0; j < f->n_follow; j++) {
			if (f->follow[j] !=
			    s) /* whoever follows it checks it as well */
				continue;
			for (size_t k = 0; k < f->n_hosts; k++)
				add_host(w->a, from, f->host[k]);
		}
	}
}

static bool
has_address(const struct host *h, const struct ip *ip)
{
	for (size_t i = 0; i < h->n_addresses; i++) {
		if (ip_equal(&h->address[i].ip, ip))
			return true;
	}
	return false;
}

/* An address of `me`, or a floating one that it may take over. */
static bool
may_have(const struct work *w, const struct ip *ip)
{
	if (has_address(w->me, ip))
		return true;
	for (size_t i = 0; i < w->c->n_floating_ips; i++) {
		const struct floating_ip *f = &w->c->floating_ip[i];

		for (size_t j = 0; j < f->n_addresses; j++) {
			if (ip_equal(&f->address[j], ip))
				return floating_ip_rank(f, w->me) >= 0;
		}
	}
	return false;
}

static void
servers(struct work *w, const struct service *s)
{
	for (size_t i = 0; i < s->n_servers; i++) {
		const struct server *server = &s->server[i];
		struct flow *f;

		if (server->at.ip.family == 0 || !has_address(w->me, &server->at.ip))
			continue;
		f = add_flow(w, FLOW_SERVER, s->name, server->place);
		if (f == NULL)
			return;
		balancers(w, s, &f->from);
		add_ip(w->a, &f->to, &server->at.ip);
		set_port(f, IPPROTO_TCP, server->at.port);
		if (s->check.port == 0 || s->check.port == server->at.port)
			continue;
		f = add_flow(w, FLOW_CHECK, s->name, server->place);
		if (f == NULL)
			return;
		balancers(w, s, &f->from);
		add_ip(w->a, &f->to, &server->at.ip);
		set_port(f, IPPROTO_TCP, s->check.port);
	}
	if (s->check.type == CHECK_PING && may_have(w, &s->check.ping)) {
		struct flow *f = add_flow(w, FLOW_CHECK, s->name, s->place);

		if (f == NULL)
			return;
		balancers(w, s, &f->from);
		add_ip(w->a, &f->to, &s->check.ping);
		f->proto = IPPROTO_ICMP;
	}
}

/* RFC 9568, 5.1.1 and 5.1.2: IPv6 ones come from a link-local address. */
static void
add_vrrp_groups(struct work *w, struct flow *f, uint8_t family)
{
	struct ip_net link_local;
	struct ip group;
	int err;

	err = ip_parse(&group, family == AF_INET ? "224.0.0.18" : "ff02::12");
	if (err == 0)
		add_ip(w->a, &f->to, &group);
	if (family == AF_INET6 && ip_net_parse(&link_local, "fe80::/10") == 0) {
		add_net(w->a, &f->from, &link_local);
		add_net(w->a, &f->to, &link_local);
	}
}

static void
heartbeats(struct work *w, const struct floating_ip *fip)
{
	struct flow *f;

	if (floating_ip_rank(fip, w->me) < 0 || fip->n_hosts < 2)
		return;
	f = add_flow(w, FLOW_HEARTBEAT, fip->name, fip->place);
	if (f == NULL)
		return;
	for (size_t i = 0; i < fip->n_hosts; i++) {
		if (fip->host[i] != w->me)
			add_host(w->a, &f->from, fip->host[i]);
	}
	add_host(w->a, &f->to, w->me);
	add_vrrp_groups(w, f, fip->address[0].family);
	f->proto = PROTO_VRRP;
}

/* Owners of a floating IP that ask something beyond themselves. */
static void
address_check(struct work *w, const struct floating_ip *fip)
{
	struct flow *f;

	if (fip->check.type != CHECK_PING || !may_have(w, &fip->check.ping))
		return;
	f = add_flow(w, FLOW_CHECK, fip->name, fip->place);
	if (f == NULL)
		return;
	for (size_t i = 0; i < fip->n_hosts; i++) {
		add_host(w->a, &f->from, fip->host[i]);
		add_floating(w->a, &f->from, fip);
	}
	add_ip(w->a, &f->to, &fip->check.ping);
	f->proto = IPPROTO_ICMP;
}

/* UDP among `n` hosts on one network, to port `port` of `me`. */
static void
among(struct work *w, struct flow *f, const struct host *const *host, size_t n,
    const struct network *net, uint16_t port)
{
	const struct host_address *a;

	for (size_t i = 0; i < n; i++) {
		a = host_address_on(host[i], net);
		if (a != NULL)
			add_ip(w->a, host[i] == w->me ? &f->to : &f->from, &a->ip);
	}
	set_port(f, IPPROTO_UDP, port);
}

static void
state_sync(struct work *w)
{
	const struct firewall_conf *fw = &w->c->firewall;
	bool mine = false;
	struct flow *f;

	for (size_t i = 0; i < fw->n_hosts; i++)
		mine = mine || fw->host[i] == w->me;
	if (!mine || fw->sync == NULL || fw->n_hosts < 2)
		return;
	f = add_flow(w, FLOW_STATE_SYNC, fw->sync->name, fw->place);
	if (f != NULL)
		among(w, f, fw->host, fw->n_hosts, fw->sync, FIREWALL_SYNC_PORT);
}

/* Who has which server. */
static void
sources(struct work *w, const struct service *s)
{
	const struct network *net = s->balancing.source.sync;
	const struct host *host[STICKY_HOSTS_MAX];
	struct flow *f;
	size_t n = 0;

	if (net == NULL || !service_on_host(s, w->me))
		return;
	for (size_t i = 0; i < w->c->n_hosts && n < STICKY_HOSTS_MAX; i++) {
		if (service_on_host(s, &w->c->host[i]))
			host[n++] = &w->c->host[i];
	}
	if (n < 2)
		return;
	f = add_flow(w, FLOW_SOURCES, s->name, s->place);
	if (f != NULL)
		among(w, f, host, n, net, STICKY_SYNC_PORT);
}

static void
tunnels(struct work *w, const struct vpn *v)
{
	struct flow *f;

	if (!vpn_on_host(v, w->me))
		return;
	f = add_flow(w, FLOW_VPN, v->name, v->place);
	if (f == NULL)
		return;
	f->from.any = true;
	add_ip(w->a, &f->to, &v->listen.ip);
	set_port(f, IPPROTO_UDP, v->listen.port);
	if (v->sync == NULL || v->n_hosts < 2)
		return;
	f = add_flow(w, FLOW_VPN_SYNC, v->name, v->place);
	if (f != NULL)
		among(w, f, v->host, v->n_hosts, v->sync, v->sync_port);
}

static bool
is_hop(const struct work *w, const struct gateway_via *via)
{
	for (size_t i = 0; i < via->n_hops; i++) {
		if (may_have(w, &via->hop[i].ip))
			return true;
	}
	return false;
}

/* Gateways, those they serve and those they route to ask whether the others live. */
static void
probes(struct work *w)
{
	const struct gateways *g = &w->c->gateways;
	bool mine = gateways_have(g, w->me) || gateways_serve(g, w->me) ||
		    is_hop(w, &g->upstream);
	struct flow *f;

	for (size_t i = 0; i < g->n_routes; i++)
		mine = mine || is_hop(w, &g->route[i].via);
	if (!mine || g->n_hosts == 0)
		return;
	f = add_flow(w, FLOW_PROBE, NULL, g->place);
	if (f == NULL)
		return;
	for (size_t i = 0; i < g->n_hosts; i++)
		add_host(w->a, &f->from, g->host[i]);
	for (size_t i = 0; i < g->n_clients; i++)
		add_host(w->a, &f->from, g->client[i]);
	f->to.any = true;
	f->proto = IPPROTO_ICMP;
}

static void
add_ports(struct work *w, const struct flow *like, const struct port_ranges *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct flow *f = add_flow(w, like->kind, like->what, like->place);

		if (f == NULL)
			return;
		*f = *like;
		f->proto = p->range[i].proto;
		f->low = p->range[i].low;
		f->high = p->range[i].high;
	}
}

static void
management(struct work *w)
{
	const struct host_firewall_conf *h = &w->c->host_firewall;
	struct flow like = {
	    .kind = FLOW_MANAGEMENT, .place = h->place, .to = {.any = true}};

	if (h->management.from.n > 0) {
		peers_nets(w->c, &h->management.from, true, w->a, &like.from);
	} else {
		for (size_t i = 0; i < w->c->n_networks; i++) {
			if (&w->c->network[i] != w->c->firewall.outside)
				add_net(w->a, &like.from, &w->c->network[i].subnet);
		}
		for (size_t i = 0; i < w->c->n_vpns; i++)
			add_net(w->a, &like.from, &w->c->vpn[i].subnet);
	}
	add_ports(w, &like, &h->management.ports);
}

/* A row without `to` is about every host; else about those that have an address of it.
 */
static bool
about_me(struct work *w, const struct peers *to, struct net_list *mine)
{
	struct net_list all, own;

	if (to->n == 0) {
		mine->any = true;
		return true;
	}
	peers_nets(w->c, to, false, w->a, &all);
	host_nets(w->c, w->me, true, w->a, &own);
	for (size_t i = 0; i < own.n; i++) {
		if (net_list_has(&all, &own.net[i].ip))
			add_net(w->a, mine, &own.net[i]);
	}
	return mine->n > 0;
}

static void
allowed(struct work *w, const struct firewall_rule *rule)
{
	struct flow like = {.kind = FLOW_ALLOWED, .rule = rule, .place = rule->place};
	struct flow *f;

	if (!about_me(w, &rule->to, &like.to))
		return;
	peers_nets(w->c, &rule->from, true, w->a, &like.from);
	if (rule->ports.n > 0) {
		add_ports(w, &like, &rule->ports);
		return;
	}
	f = add_flow(w, FLOW_ALLOWED, NULL, rule->place);
	if (f == NULL)
		return;
	*f = like;
	f->proto = rule->proto;
}

/* What the firewall lets through to a host by name is meant to be accepted there. */
static void
let_through(struct work *w, const struct firewall_rule *rule)
{
	struct flow like = {
	    .kind = FLOW_LET_THROUGH, .rule = rule, .place = rule->place};
	struct port_range port = {.proto = IPPROTO_TCP};
	struct port_ranges ports = rule->ports;

	if (rule->nat.kind == NAT_TO) {
		if (!has_address(w->me, &rule->nat.to.ip))
			return;
		add_ip(w->a, &like.to, &rule->nat.to.ip);
		if (rule->nat.to.port != 0 && ports.n > 0) {
			port.proto = ports.range[0].proto;
			port.low = port.high = rule->nat.to.port;
			ports = (struct port_ranges){.range = &port, .n = 1};
		}
	}
	for (size_t i = 0; i < rule->to.n && rule->nat.kind != NAT_TO; i++) {
		if (rule->to.peer[i].kind == PEER_HOST &&
		    rule->to.peer[i].host == w->me)
			add_host(w->a, &like.to, w->me);
	}
	if (like.to.n == 0)
		return;
	peers_nets(w->c, &rule->from, true, w->a, &like.from);
	add_ports(w, &like, &ports);
}

int
flows_to(const struct cluster *c, const struct host *me, struct arena *a,
    struct flow_list *out)
{
	struct work w = {.c = c, .me = me, .a = a, .out = out};

	*out = (struct flow_list){.n = 0};
	for (size_t i = 0; i < c->n_services; i++)
		clients(&w, &c->service[i]);
	for (size_t i = 0; i < c->n_services; i++)
		servers(&w, &c->service[i]);
	for (size_t i = 0; i < c->n_floating_ips; i++)
		heartbeats(&w, &c->floating_ip[i]);
	for (size_t i = 0; i < c->n_floating_ips; i++)
		address_check(&w, &c->floating_ip[i]);
	for (size_t i = 0; i < c->n_services; i++)
		sources(&w, &c->service[i]);
	state_sync(&w);
	for (size_t i = 0; i < c->n_vpns; i++)
		tunnels(&w, &c->vpn[i]);
	probes(&w);
	management(&w);
	for (size_t i = 0; i < c->firewall.n_allow; i++)
		let_through(&w, &c->firewall.allow[i]);
	for (size_t i = 0; i < c->host_firewall.n_allow; i++)
		allowed(&w, &c->host_firewall.allow[i]);
	return arena_failed(a) ? -ENOMEM : 0;
}
