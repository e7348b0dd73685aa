/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_conf.h - `gateways`: routers that all forward at once. Part of cluster.h,
 * with the same life.
 *
 * A gateway has an address on each network of two sides: the outside, where `upstream`
 * routers are, and the inside, behind which the cluster lives. Hosts named in `for`
 * send what they have no other route for through all gateways. gateway_plan() says
 * what this comes to on one host.
 */
#ifndef NINES_CONFIG_GATEWAY_CONF_H
#define NINES_CONFIG_GATEWAY_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/ip.h"
#include "config/routing.h"

#define GATEWAY_HOPS_MAX   16 /* next hops of one route */
#define GATEWAY_HOPS_ALL   64 /* of all routes, counted for each */
#define GATEWAY_ROUTES_MAX 64 /* routes of one host */

struct cluster;
struct floating_ip;
struct host;
struct host_address;
struct network;

struct gateway_hop {
	struct ip ip;
	const struct network *network; /* that it is on */
};

/* What the file names as a next hop, as it stands there: a host, a floating address,
 * an address. */
struct gateway_via {
	const char *const *text;
	size_t n_text;
	const struct gateway_hop *hop; /* what these come to, one per family and name */
	size_t n_hops;
};

struct gateway_route {
	const char *text; /* the destination as in the file */
	struct ip_net to;
	struct gateway_via via;
	struct place place;
};

struct gateway_side {
	const struct network *const *network;
	size_t n;
};

struct gateways {
	const struct host *const *host; /* of no hosts: the file has no gateways */
	size_t n_hosts;
	struct gateway_side outside, inside;
	struct gateway_via upstream;
	const struct gateway_route *route;
	size_t n_routes;
	bool routes_given;
	const struct host *const *client; /* `for` */
	size_t n_clients;
	bool clients_given;
	int64_t heartbeat_ns; /* of the checks of next hops */
	unsigned fall, rise;  /* 1 .. 100 */
	struct place place;
};

/* What one host is to route: to `to`, over all of `hop` that answer. */
struct gateway_plan_route {
	struct ip_net to; /* of 0 bits: the default route */
	struct gateway_hop hop[GATEWAY_HOPS_MAX];
	size_t n_hops;
};

struct gateway_plan {
	bool forwards; /* the host is a gateway */
	struct gateway_plan_route route[GATEWAY_ROUTES_MAX];
	size_t n_routes;
};

bool gateways_have(const struct gateways *g, const struct host *h);
bool gateways_serve(const struct gateways *g, const struct host *h);

/* Of the networks of both sides, which are outside.n + inside.n. */
const struct network *gateways_network(const struct gateways *g, size_t i);

/* The floating address on `net` that prefers gateway `h` and that another gateway
 * backs; NULL: there is none. */
const struct floating_ip *gateway_floating_ip(
    const struct cluster *c, const struct host *h, const struct network *net);

/*
 * What `me` is to route; false: nothing, since it is neither a gateway nor served by
 * one. Hosts served use the gateways' floating addresses where there are some: these
 * stay good next hops while a gateway is off.
 */
bool gateway_plan(
    const struct cluster *c, const struct host *me, struct gateway_plan *plan);

#endif /* NINES_CONFIG_GATEWAY_CONF_H */
