/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster.h - the cluster file as immutable data.
 *
 * One generation is one arena: every pointer below lives exactly as long as the
 * struct cluster, which is reference counted and never changes after it was built.
 * All names are resolved: what the file says by name is a pointer here, and every
 * default is filled in. Arrays are in the order of the file, except where said.
 * Durations are nanoseconds.
 */
#ifndef NINES_CONFIG_CLUSTER_H
#define NINES_CONFIG_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/ip.h"
#include "config/availability_conf.h"
#include "config/breaker_conf.h"
#include "config/check_conf.h"
#include "config/compression_conf.h"
#include "config/console_conf.h"
#include "config/database_conf.h"
#include "config/external_conf.h"
#include "config/firewall_conf.h"
#include "config/gateway_conf.h"
#include "config/routing.h"
#include "config/service_balance.h"
#include "config/tls_conf.h"
#include "config/volume_conf.h"
#include "config/vpn_conf.h"

#define CLUSTER_FILE_MAX ((size_t)16 << 20) /* bytes of a cluster file */
#define CLUSTER_NAME_MAX 63		    /* characters of any name */

struct network {
	const char *name;
	struct ip_net subnet;
	bool dedicated; /* heartbeat and state sync, nothing else */
	bool redundant; /* no one switch or cable takes it or a host on it down */
	struct place place;
};

struct zone {
	const char *name;
};

struct host_address {
	const struct network *network;
	struct ip ip;
	const char *interface; /* NULL: the one that has `ip` */
};

struct host {
	const char *name;
	const struct zone *zone; /* or NULL */
	const struct host_address *address;
	size_t n_addresses; /* at least 1 */
	size_t index;	    /* in cluster.host */
	struct place place;
};

enum vrrp_transport { VRRP_MULTICAST, VRRP_UNICAST };

/* One floating IP is one virtual router with one or more addresses. */
struct floating_ip {
	const char *name;
	const struct ip *address;
	size_t n_addresses; /* at least 1; all of one network */
	const struct network *network;
	const struct host *const *host; /* first is preferred */
	size_t n_hosts;
	const uint8_t *priority; /* one per host, 1..254: 254, 253, ... by default */
	const char *group;	 /* moves together with others of this name; or NULL */
	bool failback;
	int64_t heartbeat_ns; /* 10 ms .. 40 s, whole centiseconds */
	const struct service *const *follow;
	size_t n_follow;
	/* CHECK_NONE when it has none. tcp and http(s) ask the host's own address on
	 * `network`, and the port is always given. */
	struct check_conf check;
	/* `vrrp:` for peers that are not nines */
	uint8_t vrid;	 /* 1..255; default: the last byte of the first address */
	uint8_t version; /* 3, or 2 (whole seconds, IPv4 only) */
	enum vrrp_transport transport; /* multicast by default */
	const char *password_file; /* version 2 simple text authentication; or NULL */
	size_t index;		   /* in cluster.floating_ip */
	struct place place;
};

enum service_mode { MODE_HTTP, MODE_TCP };
enum log_mode { LOG_MODE_OFF, LOG_MODE_SAMPLED, LOG_MODE_FULL };

struct server {
	const char *name; /* as in the file, "web1:8080": the name in facts and logs */
	const struct host *host;  /* NULL if it is none of the file's */
	struct ip_endpoint at;	  /* of family 0 with `unix_path` */
	const char *unix_path;	  /* NULL: it is at `at` */
	unsigned weight;	  /* 0 .. 1000, 1 by default; 0: no new work */
	unsigned max_connections; /* 0: no limit */
	bool backup;
	struct place place;
};

/* Servers that requests are balanced among. A server is in one group of its service. */
struct server_group {
	const char *name; /* "default" for what `servers:` lists */
	const struct server *server;
	size_t n_servers;
	size_t first;		  /* of them, in service.server */
	unsigned max_connections; /* of all of them together, per host; 0: no limit */
	struct place place;
};

struct listener {
	struct ip_endpoint at;
	const struct floating_ip *floating_ip; /* NULL: a host's own address */
	const struct host *host; /* the host whose own address it is, else NULL */
};

struct service {
	const char *name;
	enum service_mode mode;
	const struct listener *listen;
	size_t n_listen;
	const struct server *server; /* of all groups, one group after another */
	size_t n_servers;
	const struct server_group *group; /* at least one */
	size_t n_groups;
	struct server_group servers;	  /* as the file has them: `servers:` */
	const struct server_group *extra; /* and `groups:` */
	size_t n_extra;
	const char *active_name;   /* `active:`; or NULL */
	size_t active;		   /* in `group`: for what no route sends elsewhere */
	const struct route *route; /* the first that holds counts */
	size_t n_routes;
	struct field_changes request, response; /* of all requests, before a route's */
	struct field_plan to_server, to_client; /* where no route holds */
	struct guard_conf guard;
	enum balance balance;
	struct balance_conf balancing;
	struct check_conf check;	 /* default: tcp, every 1 s, fall 3, rise 2 */
	unsigned max_connections;	 /* client connections, per host; 0: no limit */
	unsigned max_server_connections; /* of all its servers, per host; 0: no limit */
	unsigned queue_size; /* requests waiting for a server; 0: refuse at once */
	int64_t queue_timeout_ns;
	int64_t connect_timeout_ns; /* to a server */
	int64_t head_timeout_ns;    /* first byte to end of a request head */
	int64_t body_timeout_ns;    /* for each BODY_STEP bytes of a request's body */
	int64_t idle_timeout_ns; /* keep-alive client without a request; tcp: silence */
	int64_t server_timeout_ns; /* silence of a server that owes an answer */
	int64_t drain_timeout_ns;  /* how long leaving connections may finish */
	int64_t peer_timeout_ns;   /* a peer that acknowledges nothing is gone */
	unsigned retries;	   /* further servers tried for a safe request */
	unsigned pool;	    /* idle server connections kept, per worker and server */
	unsigned pipeline;  /* requests of a turn on one connection; 0: one at a time */
	uint8_t send_proxy; /* PROXY protocol version sent: 0 none, 1, 2 */
	struct tls_conf tls;
	struct server_tls_conf server_tls;
	unsigned backlog; /* connections that wait to be accepted */
	struct ip source; /* of connections to servers; family 0: any ... */
	const struct network *source_network; /* ... or the host's own address on it */
	bool transparent;		      /* ... or the client's address */
	bool http2;			      /* taken from clients */
	bool server_http2;		      /* spoken with servers */
	unsigned max_streams;	 /* HTTP/2: requests at a time on one connection */
	unsigned server_streams; /* the same with servers */
	struct compression_conf compression; /* of answers */
	struct breaker_conf breaker;
	enum log_mode log;
	unsigned log_sample;   /* LOG_MODE_SAMPLED: one of so many */
	unsigned needs;	       /* servers of the active group that carry the load */
	unsigned must_survive; /* SURVIVE_ bits */
	size_t index;	       /* in cluster.service */
	struct place place;
};

struct cluster {
	const char *name;
	const struct network *network;
	size_t n_networks;
	const struct zone *zone;
	size_t n_zones;
	const struct host *host;
	size_t n_hosts;
	const struct floating_ip *floating_ip;
	size_t n_floating_ips;
	const struct service *service;
	size_t n_services;
	struct gateways gateways; /* of no hosts: there are none */
	const struct vpn *vpn;
	size_t n_vpns;
	struct firewall_conf firewall;
	struct host_firewall_conf host_firewall;
	unsigned workers; /* proxy worker threads per host; 0: one per processor */
	struct availability_conf availability;
	const struct external *external;
	size_t n_externals;
	const struct database *database;
	size_t n_databases;
	const struct volume *volume;
	size_t n_volumes;
	struct console console; /* on no hosts: there is none */
};

/*
 * Parses and checks `len` bytes of YAML. Every finding is added to `diags`. Returns
 * a cluster with one reference when there was no error (warnings do not matter);
 * NULL otherwise. `text` need not outlive the call. No file is read and no name is
 * looked up: the result depends on the text alone.
 */
const struct cluster *cluster_parse(
    const char *text, size_t len, struct diag_list *diags) MUST_CHECK;

/* References; safe from several threads. cluster_unref(NULL) is fine. */
const struct cluster *cluster_ref(const struct cluster *c);
void cluster_unref(const struct cluster *c);

/* NULL if there is none of that name. */
const struct host *cluster_host(const struct cluster *c, const char *name);
const struct service *cluster_service(const struct cluster *c, const char *name);
const struct floating_ip *cluster_floating_ip(
    const struct cluster *c, const char *name);

/* The host that owns one of `n` local addresses; NULL if none or several match. */
const struct host *cluster_host_by_address(
    const struct cluster *c, const struct ip *ip, size_t n);

size_t service_group(const struct service *s, const char *name); /* or n_groups */
/* Where `h` connects to servers from; false: the kernel chooses. */
bool service_source(const struct service *s, const struct host *h, struct ip *source);

/* This host's address on `net`, or NULL. */
const struct host_address *host_address_on(
    const struct host *h, const struct network *net);

/* Position of `h` among the hosts of `f`, or -1. */
int floating_ip_rank(const struct floating_ip *f, const struct host *h);

/* True if `h` is to accept connections on `l` (owner or candidate of its address). */
bool listener_on_host(const struct listener *l, const struct host *h);
bool service_on_host(const struct service *s, const struct host *h);
bool service_listens_at(const struct service *s, const struct ip_endpoint *at);
/* True if a server of any service is at `h`. */
bool cluster_has_server_at(const struct cluster *c, const struct host *h);

#endif /* NINES_CONFIG_CLUSTER_H */
