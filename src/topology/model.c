/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.c - what each goal needs, from the cluster file.
 *
 * How floating addresses behave is in vip/ and docs/floating-ips.md: an address leaves
 * a host whose power, link, vip or proxy part is gone. It does not leave a host that
 * has merely lost its servers, unless it follows the service. Who has it at the time of
 * a failure is not known, so without `follow` every candidate must be able to reach the
 * servers, and with it, one.
 */
#include <string.h>

#include "topology/build.h"

/* ---- nodes --------------------------------------------------------------------- */

/* What never works. */
static uint32_t
nothing(struct build *b)
{
	return graph_any(b->g, graph_open(b->g));
}

void
build_push_host(struct build *b, struct seat seat)
{
	const struct zone *zone = seat.host->zone;

	graph_push(b->g, seat.twin ? b->twin_host : b->host[seat.host->index]);
	if (zone != NULL)
		graph_push(b->g, b->zone[zone - b->c->zone]);
}

void
build_push_link(struct build *b, struct seat seat, const struct network *net)
{
	const struct host *h = seat.host;
	const uint32_t *link = seat.twin ? b->twin_link : b->link[h->index];

	for (size_t i = 0; i < h->n_addresses && link != NULL; i++) {
		if (h->address[i].network == net) {
			graph_push(b->g, link[i]);
			return;
		}
	}
	graph_push(b->g, nothing(b));
}

void
build_push_part(struct build *b, struct seat seat, enum topology_part part)
{
	graph_push(b->g,
	    seat.twin ? b->twin_part[part] : b->part[seat.host->index * PARTS + part]);
}

void
build_push_network(struct build *b, const struct network *net)
{
	if (net != NULL)
		graph_push(b->g, b->network[net - b->c->network]);
}

bool
build_seat_of(const struct build *b, const struct host *const *list, size_t n, size_t i,
    struct seat *seat)
{
	if (i < n) {
		*seat = (struct seat){.host = list[i]};
		return true;
	}
	*seat = (struct seat){.host = b->twin, .twin = true};
	return i == n && b->twin != NULL && topology_in_hosts(list, n, b->twin);
}

/* ---- the way in ---------------------------------------------------------------- */

static bool
side_has(const struct gateway_side *side, const struct network *net)
{
	for (size_t i = 0; i < side->n; i++) {
		if (side->network[i] == net)
			return true;
	}
	return false;
}

static void
push_gateway(struct build *b, struct seat seat)
{
	const struct gateways *gw = &b->c->gateways;
	uint32_t mark = graph_open(b->g);

	build_push_host(b, seat);
	for (size_t i = 0; i < gw->outside.n; i++)
		build_push_link(b, seat, gw->outside.network[i]);
	for (size_t i = 0; i < gw->inside.n; i++)
		build_push_link(b, seat, gw->inside.network[i]);
	graph_push(b->g, graph_all(b->g, mark));
}

/* Whoever answers at a next hop, and leads on to `net` if he is on it (or NULL): a host
 * of the file, one of several, or neither. */
static void
push_hop(struct build *b, const struct gateway_hop *hop, const struct network *net)
{
	const struct floating_ip *f = topology_floating_ip_at(b->c, &hop->ip);
	struct seat seat = {.host = cluster_host_by_address(b->c, &hop->ip, 1)};
	uint32_t mark;

	if (f != NULL) {
		build_push_floating_ip(b, f);
	} else if (seat.host != NULL) {
		mark = graph_open(b->g);
		build_push_host(b, seat);
		build_push_link(b, seat, hop->network);
		if (net != NULL && host_address_on(seat.host, net) != NULL)
			build_push_link(b, seat, net);
		graph_push(b->g, graph_all(b->g, mark));
	} else {
		graph_push(b->g, build_outside_leaf(b, &hop->ip, SURVIVE_NETWORK));
	}
}

static void
push_upstream(struct build *b)
{
	const struct gateway_via *via = &b->c->gateways.upstream;
	uint32_t mark = graph_open(b->g);

	for (size_t i = 0; i < via->n_hops; i++)
		push_hop(b, &via->hop[i], NULL);
	if (graph_pending(b->g, mark) > 0)
		graph_push(b->g, graph_any(b->g, mark));
}

/* One of the next hops by which the gateways reach `net`, for each of its routes. */
static void
push_routes(struct build *b, const struct network *net)
{
	const struct gateways *gw = &b->c->gateways;

	for (size_t i = 0; i < gw->n_routes; i++) {
		const struct gateway_route *route = &gw->route[i];
		uint32_t mark;

		if (!topology_route_leads(route, net))
			continue;
		mark = graph_open(b->g);
		for (size_t k = 0; k < route->via.n_hops; k++)
			push_hop(b, &route->via.hop[k], net);
		graph_push(b->g, graph_any(b->g, mark));
	}
}

/* From the world through the gateways: their own state stays routed without the part.
 */
static uint32_t
gateways_node(struct build *b)
{
	const struct gateways *gw = &b->c->gateways;
	uint32_t mark = graph_open(b->g), any;
	struct seat seat;

	for (size_t i = 0; i < gw->outside.n; i++)
		build_push_network(b, gw->outside.network[i]);
	for (size_t i = 0; i < gw->inside.n; i++)
		build_push_network(b, gw->inside.network[i]);
	any = graph_open(b->g);
	for (size_t i = 0; build_seat_of(b, gw->host, gw->n_hosts, i, &seat); i++)
		push_gateway(b, seat);
	graph_push(b->g, graph_any(b->g, any));
	push_upstream(b);
	return graph_all(b->g, mark);
}

/* The firewall's addresses move together: who has them needs all of these links. Where
 * it has none, on `net`, hosts send to the one or the other, and each is needed. */
static uint32_t
firewall_node(struct build *b, const struct network *net)
{
	const struct firewall_conf *fw = &b->c->firewall;
	bool floats = topology_firewall_floats(b->c, net);
	uint32_t mark = graph_open(b->g), any;
	struct seat seat;

	for (size_t k = 0; k < fw->n_floating_ips; k++)
		build_push_network(b, fw->floating_ip[k]->network);
	any = graph_open(b->g);
	for (size_t i = 0; build_seat_of(b, fw->host, fw->n_hosts, i, &seat); i++) {
		uint32_t inner = graph_open(b->g);

		build_push_host(b, seat);
		build_push_part(b, seat, PART_VIP);
		build_push_link(b, seat, net);
		for (size_t k = 0; k < fw->n_floating_ips; k++)
			build_push_link(b, seat, fw->floating_ip[k]->network);
		graph_push(b->g, graph_all(b->g, inner));
	}
	graph_push(b->g, floats ? graph_any(b->g, any) : graph_all(b->g, any));
	return graph_all(b->g, mark);
}

bool
topology_firewall_floats(const struct cluster *c, const struct network *net)
{
	for (size_t k = 0; k < c->firewall.n_floating_ips; k++) {
		if (c->firewall.floating_ip[k]->network == net)
			return true;
	}
	return false;
}

bool
topology_behind_firewall(const struct cluster *c, const struct network *net)
{
	const struct firewall_conf *fw = &c->firewall;
	bool outside = false;

	if (fw->n_hosts == 0 || net->dedicated || net == fw->outside ||
	    side_has(&c->gateways.inside, net) || side_has(&c->gateways.outside, net) ||
	    host_address_on(fw->host[0], net) == NULL)
		return false;
	for (size_t i = 0; i < fw->host[0]->n_addresses; i++) {
		const struct network *at = fw->host[0]->address[i].network;

		outside =
		    outside || at == fw->outside || side_has(&c->gateways.inside, at);
	}
	return outside;
}

/* How clients come to `net`; they are there already if nothing says otherwise. */
static void
push_way_in(struct build *b, const struct network *net)
{
	const struct cluster *c = b->c;
	bool firewall = topology_behind_firewall(c, net);

	if (firewall)
		graph_push(b->g, firewall_node(b, net));
	if (c->gateways.n_hosts > 0 &&
	    (side_has(&c->gateways.inside, net) || firewall)) {
		graph_push(b->g, gateways_node(b));
		push_routes(b, net);
	}
	build_push_network(b, net);
}

/* ---- goals --------------------------------------------------------------------- */

/* A host that may have `f`: who lacks one of these gives it to another. */
static void
push_owner(struct build *b, struct seat seat, const struct floating_ip *f,
    enum topology_part serving)
{
	build_push_host(b, seat);
	build_push_link(b, seat, f->network);
	build_push_part(b, seat, PART_VIP);
	if (serving != PARTS)
		build_push_part(b, seat, serving);
}

/* How clients come to `net`, or who is on it. */
static void
push_way(struct build *b, const struct network *net, bool inside)
{
	if (inside)
		build_push_network(b, net);
	else
		push_way_in(b, net);
}

/* Service `s` at floating address `f`. */
static void
push_floating_entry(
    struct build *b, const struct service *s, const struct floating_ip *f, bool inside)
{
	bool follows = topology_follows(b->c, f, s);
	uint32_t any;
	struct seat seat;

	push_way(b, f->network, inside);
	any = graph_open(b->g);
	for (size_t i = 0; build_seat_of(b, f->host, f->n_hosts, i, &seat); i++) {
		uint32_t inner = graph_open(b->g);

		push_owner(b, seat, f, PART_PROXY);
		if (follows)
			build_push_groups(b, seat, s, NULL);
		graph_push(b->g, graph_all(b->g, inner));
	}
	graph_push(b->g, graph_any(b->g, any));
	for (size_t i = 0; !follows && build_seat_of(b, f->host, f->n_hosts, i, &seat);
	     i++)
		build_push_groups(b, seat, s, f->network);
}

/* The service at a host's own address. */
static void
push_host_entry(
    struct build *b, const struct service *s, const struct listener *l, bool inside)
{
	struct seat seat = {.host = l->host};
	const struct network *net = NULL;

	for (size_t i = 0; i < l->host->n_addresses; i++) {
		if (ip_equal(&l->host->address[i].ip, &l->at.ip))
			net = l->host->address[i].network;
	}
	if (net != NULL) {
		push_way(b, net, inside);
		build_push_link(b, seat, net);
	}
	build_push_host(b, seat);
	build_push_part(b, seat, PART_PROXY);
	build_push_groups(b, seat, s, NULL);
}

/* ---- what others run ----------------------------------------------------------- */

/* One place of `e`, on the network of its address if it is a host of the file. */
static void
push_place(struct build *b, const struct external *e, const char *place)
{
	const struct host *h = topology_host_at(b->c, place);
	struct seat seat = {.host = h};
	uint32_t mark;
	struct ip ip;

	if (h == NULL) {
		graph_push(b->g, build_external_leaf(b, e, place));
		return;
	}
	mark = graph_open(b->g);
	build_push_host(b, seat);
	for (size_t i = 0; ip_parse(&ip, place) == 0 && i < h->n_addresses; i++) {
		if (!ip_equal(&h->address[i].ip, &ip))
			continue;
		build_push_link(b, seat, h->address[i].network);
		build_push_network(b, h->address[i].network);
	}
	graph_push(b->g, graph_all(b->g, mark));
}

static uint32_t
external_node(struct build *b, const struct external *e)
{
	uint32_t *node = &b->external[e - b->c->external], mark;

	if (*node != 0)
		return *node - 1;
	mark = graph_open(b->g);
	for (size_t i = 0; i < e->at.n; i++)
		push_place(b, e, e->at.text[i]);
	if (e->at.n == 0)
		graph_push(b->g, build_external_leaf(b, e, e->name));
	*node = graph_at_least(b->g, mark, e->needs) + 1;
	return *node - 1;
}

/* What `s` needs, databases and volumes aside. */
static uint32_t
run_node(struct build *b, const struct service *s, bool inside)
{
	uint32_t mark = graph_open(b->g);

	for (size_t i = 0; i < b->c->n_externals; i++) {
		if (topology_needs(s, &b->c->external[i]))
			graph_push(b->g, external_node(b, &b->c->external[i]));
	}
	build_push_certificates(b, s);
	for (size_t i = 0; i < s->n_listen; i++) {
		const struct listener *l = &s->listen[i];
		bool again = false;

		for (size_t k = 0; k < i; k++)
			again = again || (l->floating_ip == s->listen[k].floating_ip &&
					     l->host == s->listen[k].host);
		if (again)
			continue;
		if (l->floating_ip != NULL)
			push_floating_entry(b, s, l->floating_ip, inside);
		else if (l->host != NULL)
			push_host_entry(b, s, l, inside);
	}
	return graph_all(b->g, mark);
}

uint32_t
build_inner(struct build *b, const struct service *s)
{
	uint32_t *node = &b->inner[s->index];

	if (*node == 0)
		*node = run_node(b, s, true) + 1;
	return *node - 1;
}

/* `run`: without databases and volumes. */
static uint32_t
service_node(struct build *b, const struct service *s, uint32_t *run)
{
	uint32_t mark = graph_open(b->g);

	*run = run_node(b, s, false);
	graph_push(b->g, *run);
	build_push_data(b, s);
	return graph_all(b->g, mark);
}

/* True if `f` is for its neighbours: gateways and firewalls are on the way in. */
static bool
is_next_hop(const struct cluster *c, const struct floating_ip *f)
{
	for (size_t i = 0; i < f->n_hosts; i++) {
		if (gateways_have(&c->gateways, f->host[i]) ||
		    topology_in_hosts(
			c->firewall.host, c->firewall.n_hosts, f->host[i]))
			return true;
	}
	return false;
}

static uint32_t
floating_node(struct build *b, const struct floating_ip *f, enum topology_part serving)
{
	uint32_t mark = graph_open(b->g), any;
	struct seat seat;

	if (is_next_hop(b->c, f))
		build_push_network(b, f->network);
	else
		push_way_in(b, f->network);
	any = graph_open(b->g);
	for (size_t i = 0; build_seat_of(b, f->host, f->n_hosts, i, &seat); i++) {
		uint32_t inner = graph_open(b->g);

		push_owner(b, seat, f, serving);
		graph_push(b->g, graph_all(b->g, inner));
	}
	graph_push(b->g, graph_any(b->g, any));
	return graph_all(b->g, mark);
}

/* ---- VPNs ---------------------------------------------------------------------- */

/* Clients of `v` may go to `net`, or to something on it. */
static bool
reaches(const struct vpn *v, const struct network *net)
{
	for (size_t i = 0; i < v->reach.n; i++) {
		const struct ip_net *to = &v->reach.net[i];

		if (to->ip.family == net->subnet.ip.family &&
		    (to->bits > net->subnet.bits ? ip_in_net(&to->ip, &net->subnet)
						 : ip_in_net(&net->subnet.ip, to)))
			return true;
	}
	return false;
}

/* `net` is how its gateways send on what clients ask for. */
static bool
leads(const struct build *b, const struct vpn *v, const struct network *net)
{
	bool beyond = false;

	if (v->n_hosts == 0 || host_address_on(v->host[0], net) == NULL ||
	    (v->floating_ip != NULL && v->floating_ip->network == net))
		return false;
	for (size_t i = 0; i < b->c->n_networks; i++)
		beyond = beyond ||
			 (reaches(v, &b->c->network[i]) &&
			     host_address_on(v->host[0], &b->c->network[i]) == NULL);
	return reaches(v, net) || (beyond && side_has(&b->c->gateways.inside, net));
}

/* A host that has lost `net` loses `f`, since they move together. */
static bool
moves_with(
    const struct cluster *c, const struct floating_ip *f, const struct network *net)
{
	for (size_t i = 0; f->group != NULL && i < c->n_floating_ips; i++) {
		const struct floating_ip *other = &c->floating_ip[i];

		if (other->network == net && other->group != NULL &&
		    strcmp(other->group, f->group) == 0)
			return true;
	}
	return false;
}

static void
push_leading(struct build *b, const struct vpn *v, struct seat seat, bool together)
{
	for (size_t i = 0; i < b->c->n_networks; i++) {
		const struct network *net = &b->c->network[i];

		if (leads(b, v, net) &&
		    together == (v->floating_ip != NULL &&
				    moves_with(b->c, v->floating_ip, net)))
			build_push_link(b, seat, net);
	}
}

/* In by the gateway that has the address, and on to where clients may go. */
static uint32_t
vpn_node(struct build *b, const struct vpn *v)
{
	const struct floating_ip *f = v->floating_ip;
	uint32_t mark = graph_open(b->g), any;
	struct seat seat;

	for (size_t i = 0; i < b->c->n_networks; i++) {
		if (reaches(v, &b->c->network[i]))
			push_way_in(b, &b->c->network[i]);
	}
	if (f != NULL && is_next_hop(b->c, f))
		build_push_network(b, f->network);
	else if (f != NULL)
		push_way_in(b, f->network);
	any = graph_open(b->g);
	for (size_t i = 0; build_seat_of(b, v->host, v->n_hosts, i, &seat); i++) {
		uint32_t inner = graph_open(b->g);

		if (f != NULL)
			push_owner(b, seat, f, PART_VPN);
		build_push_host(b, seat);
		build_push_part(b, seat, PART_VPN);
		push_leading(b, v, seat, true);
		graph_push(b->g, graph_all(b->g, inner));
	}
	graph_push(b->g, graph_any(b->g, any));
	for (size_t i = 0; build_seat_of(b, v->host, v->n_hosts, i, &seat); i++)
		push_leading(b, v, seat, false);
	return graph_all(b->g, mark);
}

/* True if `f` is looked at with something that is served there. */
static bool
spoken_for(const struct cluster *c, const struct floating_ip *f)
{
	for (size_t i = 0; i < c->n_services; i++) {
		for (size_t k = 0; k < c->service[i].n_listen; k++) {
			if (c->service[i].listen[k].floating_ip == f)
				return true;
		}
	}
	for (size_t i = 0; i < c->n_vpns; i++) {
		if (c->vpn[i].floating_ip == f)
			return true;
	}
	return topology_data_listens(c, f);
}

void
build_goal(struct build *b, struct goal goal, uint32_t root)
{
	b->t->goal[b->t->n_goals++] =
	    (struct goal_node){.goal = goal, .root = root, .run = root};
}

static void
add_goals(struct build *b)
{
	const struct cluster *c = b->c;

	for (size_t i = 0; i < c->n_services; i++) {
		const struct service *s = &c->service[i];
		uint32_t run, root = service_node(b, s, &run);

		build_goal(b,
		    (struct goal){.what = "service",
			.name = s->name,
			.must_survive = s->must_survive,
			.service = s,
			.place = s->place},
		    root);
		b->t->goal[b->t->n_goals - 1].run = run;
	}
	build_data_goals(b);
	for (size_t i = 0; i < c->n_vpns; i++)
		build_goal(b,
		    (struct goal){.what = "VPN",
			.role = GOAL_ADDRESS,
			.name = c->vpn[i].name,
			.must_survive = SURVIVE_HOST,
			.floating_ip = c->vpn[i].floating_ip,
			.place = c->vpn[i].place},
		    vpn_node(b, &c->vpn[i]));
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		const struct floating_ip *f = &c->floating_ip[i];

		if (!spoken_for(c, f))
			build_goal(b,
			    (struct goal){.what = "floating IP",
				.role = GOAL_ADDRESS,
				.name = f->name,
				.must_survive = SURVIVE_HOST,
				.floating_ip = f,
				.place = f->place},
			    floating_node(b, f, PARTS));
	}
}

/* ---- the whole ----------------------------------------------------------------- */

static bool
allocate(struct build *b)
{
	struct arena *a = b->t->arena;
	const struct cluster *c = b->c;
	size_t n = 0;

	b->t->first_server =
	    arena_array(a, c->n_services + 1, sizeof(*b->t->first_server));
	if (b->t->first_server == NULL)
		return false;
	for (size_t i = 0; i < c->n_services; i++) {
		const struct service *s = &c->service[i];

		b->t->first_server[i] =
		    n; /* groups may be empty, and more than servers */
		n += s->n_servers > s->n_groups ? s->n_servers : s->n_groups;
	}
	b->t->inner = arena_array(a, n + 1, sizeof(*b->t->inner));
	b->inner = arena_array(a, c->n_services + 1, sizeof(*b->inner));
	b->t->circle = arena_array(a, n + 1, sizeof(*b->t->circle));
	b->zone = arena_array(a, c->n_zones + 1, sizeof(*b->zone));
	b->network = arena_array(a, c->n_networks + 1, sizeof(*b->network));
	b->host = arena_array(a, c->n_hosts + 1, sizeof(*b->host));
	b->part = arena_array(a, c->n_hosts * PARTS + 1, sizeof(*b->part));
	b->link = arena_array(a, c->n_hosts + 1, sizeof(*b->link));
	b->server = arena_array(a, n + 1, sizeof(*b->server));
	b->external = arena_array(a, c->n_externals + 1, sizeof(*b->external));
	b->server_base = arena_array(a, n + 1, sizeof(*b->server_base));
	b->twin_base = arena_array(a, n + 1, sizeof(*b->twin_base));
	b->group_base = arena_array(a, n + 1, sizeof(*b->group_base));
	b->database = arena_array(a, c->n_databases + 1, sizeof(*b->database));
	b->volume = arena_array(a, c->n_volumes + 1, sizeof(*b->volume));
	b->t->goal = arena_array(a,
	    c->n_services + c->n_floating_ips + c->n_vpns + 3 * c->n_databases +
		2 * c->n_volumes + 2,
	    sizeof(*b->t->goal));
	return !arena_failed(a);
}

struct topology *
topology_new_with(const struct cluster *c, const struct host *twin)
{
	struct arena *a = arena_new(TOPOLOGY_MAX);
	struct topology *t = a != NULL ? arena_alloc(a, sizeof(*t)) : NULL;
	struct build b = {.t = t, .c = c, .twin = twin};

	if (t == NULL) {
		arena_free(a);
		return NULL;
	}
	t->arena = a;
	t->cluster = c;
	graph_init(&t->graph, a);
	b.g = &t->graph;
	if (allocate(&b)) {
		build_circles(&b);
		build_leaves(&b);
		build_data(&b);
		add_goals(&b);
		t->leaf = arena_array(a, t->graph.n_leaves + 1, sizeof(*t->leaf));
		t->value = arena_array(a, (size_t)t->graph.n + 1, sizeof(*t->value));
	}
	if (arena_failed(a) || graph_failed(&t->graph)) {
		arena_free(a);
		return NULL;
	}
	return t;
}

struct topology *
topology_new(const struct cluster *c)
{
	return topology_new_with(c, NULL);
}

void
topology_free(struct topology *t)
{
	if (t != NULL)
		arena_free(t->arena);
}

size_t
topology_n_failures(const struct topology *t)
{
	return t->n_failures;
}

const struct failure *
topology_failure(const struct topology *t, size_t i)
{
	ASSERT(i < t->n_failures);
	return &t->failure[i];
}

long
topology_find_failure(const struct topology *t, const char *name)
{
	for (size_t i = 0; i < t->n_failures; i++) {
		if (strcmp(t->failure[i].name, name) == 0)
			return (long)i;
	}
	return -1;
}

size_t
topology_n_goals(const struct topology *t)
{
	return t->n_goals;
}

const struct goal *
topology_goal(const struct topology *t, size_t i)
{
	ASSERT(i < t->n_goals);
	return &t->goal[i].goal;
}

static bool
survives(const struct topology *t, const size_t *failed, size_t n, uint32_t root)
{
	for (size_t i = 0; i < t->n_failures; i++)
		t->leaf[i] = UINT64_MAX;
	for (size_t i = 0; i < n; i++) {
		ASSERT(failed[i] < t->n_failures);
		t->leaf[failed[i]] = 0;
	}
	graph_eval_to(&t->graph, root, t->leaf, t->value);
	return t->value[root] != 0;
}

bool
topology_survives(const struct topology *t, const size_t *failed, size_t n, size_t goal)
{
	ASSERT(goal < t->n_goals);
	return survives(t, failed, n, t->goal[goal].root);
}

bool
topology_survives_as_run(
    const struct topology *t, const size_t *failed, size_t n, size_t goal)
{
	ASSERT(goal < t->n_goals);
	return survives(t, failed, n, t->goal[goal].run);
}
