/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firewall_conf.h - `firewall` and `host_firewall`: who may talk to whom. Part of
 * cluster.h, with the same life.
 */
#ifndef NINES_CONFIG_FIREWALL_CONF_H
#define NINES_CONFIG_FIREWALL_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "config/routing.h"

#define FIREWALL_RULES_MAX  20000 /* of one list */
#define FIREWALL_SYNC_HOSTS 4	  /* share their state */
#define FIREWALL_SYNC_PORT  3781  /* UDP, between firewall hosts, on `sync` */

struct network;
struct host;
struct floating_ip;
struct service;
struct vpn;

/* What a name in `from` and `to` stands for. */
enum peer_kind {
	PEER_ANY,	  /* every address */
	PEER_NETWORK,	  /* its subnet; `outside`: what is in no network of the file */
	PEER_HOST,	  /* all its addresses */
	PEER_FLOATING_IP, /* its addresses */
	PEER_SERVICE,	  /* its listeners; as a source: the hosts that serve it */
	PEER_VPN,	  /* its clients' subnet */
	PEER_NET	  /* an address or a prefix */
};

struct peer {
	enum peer_kind kind;
	union {
		const struct network *network;
		const struct host *host;
		const struct floating_ip *floating_ip;
		const struct service *service;
		const struct vpn *vpn;
		struct ip_net net;
	};
	const char *text; /* as in the file */
};

struct peers {
	const struct peer *peer;
	size_t n; /* 0: not said */
};

struct port_range {
	uint8_t proto; /* IPPROTO_TCP, IPPROTO_UDP */
	uint16_t low, high;
};

struct port_ranges {
	const struct port_range *range;
	size_t n; /* 0: not said */
};

/* So many in a unit of time. */
struct rate {
	unsigned count; /* 0: not said */
	char unit;	/* 's', 'm', 'h' */
};

enum nat_kind { NAT_NONE, NAT_MASQUERADE, NAT_FROM, NAT_TO };

/* What becomes of the addresses of a connection. */
struct nat_conf {
	enum nat_kind kind;
	/* NAT_FROM: the floating IP that it comes from afterwards. */
	const struct floating_ip *from;
	/* NAT_TO: where it goes; port 0: as it was. */
	struct ip_endpoint to;
	const char *text; /* of `to`, as in the file */
};

/* A row of `allow` or `deny`. */
struct firewall_rule {
	struct peers from, to; /* `to` may be empty in host_firewall.allow: this host */
	struct port_ranges ports;
	uint8_t proto; /* without ports: IPPROTO_*; 0: any */
	struct nat_conf nat;
	struct rate log;   /* first packets logged, at most so many */
	struct rate limit; /* new connections of one source */
	bool synproxy;	   /* TCP handshakes are answered here first */
	struct place place;
};

enum reverse_path { REVERSE_PATH_STRICT, REVERSE_PATH_LOOSE, REVERSE_PATH_OFF };

struct firewall_conf {
	const struct host *const *host; /* in the order of the file */
	size_t n_hosts;			/* 0: the file has no firewall */
	const struct network *sync;	/* state sync; or NULL: none */
	const char *key_file;		/* of the state sync */
	const struct network *outside;	/* stands for the rest of the world; or NULL */
	const struct firewall_rule *allow, *deny; /* `deny` goes first */
	size_t n_allow, n_deny;
	enum reverse_path reverse_path;
	struct rate log; /* of what no rule allows; count 0: none */
	/* Worked out: the floating IPs that only these hosts can have. */
	const struct floating_ip *const *floating_ip;
	size_t n_floating_ips;
	struct place place;
};

struct management_conf {
	struct peers from; /* empty: every network of the file but `outside` */
	struct port_ranges ports;
};

struct host_firewall_conf {
	bool enabled;
	struct management_conf management;
	const struct firewall_rule *allow; /* beside what the file implies */
	size_t n_allow;
	int64_t confirm_ns; /* unconfirmed changes are undone then; 0: never */
	enum reverse_path reverse_path;
	struct rate log;
	struct place place;
};

#endif /* NINES_CONFIG_FIREWALL_CONF_H */
