/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flows.h - who talks to whom, as the cluster file implies it.
 *
 * flows_to() lists what one host must accept so that the cluster works: clients of its
 * services, balancers and their checks, heartbeats, state sync, VPNs, probes of next
 * hops, administrators. Answers are not listed. The firewall of the host is made from
 * this, and the analysis can ask it.
 *
 * Pure: the result depends on the file alone and lives in the caller's arena.
 */
#ifndef NINES_TOPOLOGY_FLOWS_H
#define NINES_TOPOLOGY_FLOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "config/cluster.h"

/* Addresses of a family or of both. */
struct net_list {
	struct ip_net *net;
	size_t n;
	bool any;  /* every address; `net` is empty */
	bool not ; /* every address but these */
};

enum flow_kind {
	FLOW_CLIENTS,	/* of a service */
	FLOW_SERVER,	/* a balancer's connections to a server */
	FLOW_CHECK,	/* of a server, on another port; or by ping */
	FLOW_HEARTBEAT, /* VRRP between the owners of a floating IP */
	FLOW_STATE_SYNC,
	FLOW_SOURCES,  /* between the load balancers of a service */
	FLOW_VPN,      /* tunnels */
	FLOW_VPN_SYNC, /* between the gateways of one */
	FLOW_PROBE,    /* of next hops */
	FLOW_MANAGEMENT,
	FLOW_LET_THROUGH, /* by the firewall, to the host by name */
	FLOW_ALLOWED	  /* host_firewall.allow */
};

struct flow {
	enum flow_kind kind;
	const char *what; /* the service, server or floating IP it is about; or NULL */
	const struct firewall_rule *rule; /* FLOW_ALLOWED, FLOW_LET_THROUGH */
	struct net_list from;
	struct net_list to; /* `any`: every address of the host */
	uint8_t proto;	    /* IPPROTO_*; IPPROTO_ICMP: also ICMPv6, an echo request */
	uint16_t low, high; /* ports; 0: none */
	struct place place;
};

struct flow_list {
	struct flow *flow;
	size_t n;
};

/* 0, or -ENOMEM if the arena is full. */
int flows_to(const struct cluster *c, const struct host *me, struct arena *a,
    struct flow_list *out) MUST_CHECK;

/* What names come to. `source`: connections from there (a service: its hosts). */
void peers_nets(const struct cluster *c, const struct peers *p, bool source,
    struct arena *a, struct net_list *out);

/* The addresses of `h`, and of what it may take over with `floating`. */
void host_nets(const struct cluster *c, const struct host *h, bool floating,
    struct arena *a, struct net_list *out);

struct ip_net net_of_ip(const struct ip *ip);
bool net_list_has(const struct net_list *l, const struct ip *ip);

#endif /* NINES_TOPOLOGY_FLOWS_H */
