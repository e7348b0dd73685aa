/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.h - the topology as its own files see it (private to topology/).
 */
#ifndef NINES_TOPOLOGY_MODEL_H
#define NINES_TOPOLOGY_MODEL_H

#include "topology/graph.h"
#include "topology/topology.h"

/* Parts that something depends on, or that the drill breaks. */
enum topology_part {
	PART_VIP,
	PART_PROXY,
	PART_HEALTH,
	PART_GATEWAY,
	PART_FIREWALL,
	PART_SYNC,
	PART_VPN,
	PARTS
};

struct goal_node {
	struct goal goal;
	uint32_t root;
	uint32_t run; /* of a service: without databases and volumes */
};

/* The number of a leaf is that of its failure. */
struct topology {
	struct arena *arena;
	const struct cluster *cluster;
	struct graph graph;
	struct failure *failure;
	size_t n_failures, cap_failures;
	struct goal_node *goal;
	size_t n_goals;
	size_t *first_server;	      /* of each service, in what is kept of servers */
	const struct service **inner; /* that each server is; or NULL */
	bool *circle;		      /* of each server: it is its own service */
	uint64_t *leaf, *value;	      /* of topology_survives() */
};

/* The same with one more host just like `twin` (NULL: none). */
struct topology *topology_new_with(
    const struct cluster *c, const struct host *twin) MUST_CHECK;

/* True if the part runs on `h`. */
bool topology_has_part(
    const struct cluster *c, const struct host *h, enum topology_part part);

/* True if `f` leaves a host that cannot serve `s`: it, or one it moves with, follows.
 */
bool topology_follows(
    const struct cluster *c, const struct floating_ip *f, const struct service *s);

/* Whether requests reach group `g` of `s` as the file has it. */
bool topology_group_used(const struct service *s, size_t g);

/* Whether the backups of `g` join in time to be counted among `needs` servers. */
bool topology_backups_count(
    const struct service *s, const struct server_group *g, unsigned needs);

/* True if what `s` sends to `server`, one of its own, only comes back (circles.c). */
bool topology_in_circle(
    const struct topology *t, const struct service *s, const struct server *server);

/* The service that `server`, one of those of `s`, is and needs; or NULL. */
const struct service *topology_inner(
    const struct topology *t, const struct service *s, const struct server *server);

/* The network over which the load balancers reach `server`; NULL: not one of the file.
 */
const struct network *topology_network_of(
    const struct cluster *c, const struct server *server);

/* The floating IP of address `ip`; or NULL. */
const struct floating_ip *topology_floating_ip_at(
    const struct cluster *c, const struct ip *ip);

/* True if the gateways send by `route` what is for `net`. */
bool topology_route_leads(const struct gateway_route *route, const struct network *net);

/* True if the firewall stands between the gateways, or the outside, and `net`. */
bool topology_behind_firewall(const struct cluster *c, const struct network *net);

/* True if the firewall has a floating IP on `net`. */
bool topology_firewall_floats(const struct cluster *c, const struct network *net);

/* The floating IP that `server` stands for; or NULL. */
const struct floating_ip *topology_server_floating_ip(
    const struct cluster *c, const struct server *server);

/* Does `s` end without `e`? */
bool topology_needs(const struct service *s, const struct external *e);

/* The host of the file that a place of an external thing is, by name or address. */
const struct host *topology_host_at(const struct cluster *c, const char *place);

/* Does `s` end without the database or volume? */
bool topology_needs_data(const struct service *s, const struct replicated *d);

/* True if a database or the console is reached at `f`. */
bool topology_data_listens(const struct cluster *c, const struct floating_ip *f);

/* Who votes on the primary of `d`, and over what; NULL: there is only one. */
struct voters {
	const struct host *const *host;
	size_t n;
	const struct network *over;
};
struct voters topology_voters(const struct database *d);

/* True if `h` may be the primary of `d`. */
bool topology_may_lead(const struct database *d, const struct host *h);

/* True if `f` stays on a host that has lost the way to the copies of `d`. */
bool topology_data_stays(const struct replicated *d, const struct floating_ip *f);

/* The network over which `from` passes clients of `d` on to `to`; or NULL. */
const struct network *topology_between(
    const struct replicated *d, const struct host *from, const struct host *to);

#endif /* NINES_TOPOLOGY_MODEL_H */
