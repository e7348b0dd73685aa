/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vpn_conf.h - the part of cluster.h about WireGuard gateways, with the same life.
 */
#ifndef NINES_CONFIG_VPN_CONF_H
#define NINES_CONFIG_VPN_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "config/routing.h"

#define VPN_KEY_LEN   32   /* bytes of a public or private key */
#define VPN_PEERS_MAX 4096 /* of one VPN */

struct floating_ip;
struct host;
struct network;

/* One device of a person, or one machine: `nines vpn add` writes it. */
struct vpn_peer {
	const char *name;
	uint8_t key[VPN_KEY_LEN]; /* its public one */
	struct ip address;	  /* its own in `subnet` */
	struct place place;
};

/* Gateways with one identity: one of them has `listen`, and so the clients. */
struct vpn {
	const char *name;
	const struct host *const *host;
	size_t n_hosts;
	const struct floating_ip *floating_ip; /* NULL: `listen` is a host's own */
	struct ip_endpoint listen;	       /* UDP */
	const char *endpoint; /* what clients are told instead of it; or NULL */
	struct ip_net subnet; /* of the clients' addresses */
	struct ip address;    /* the gateways' own in it */
	struct nets reach;    /* where clients may go */
	bool masquerade;      /* they come there from the gateway's own address */
	const char *key_file; /* the private key, in base64 */
	const char *interface;
	unsigned mtu;
	struct texts dns;     /* addresses that clients are told */
	int64_t keepalive_ns; /* of clients, whole seconds; 0: none */
	/* The gateways tell each other where clients are: NULL with one host. */
	const struct network *sync;
	uint16_t sync_port; /* UDP, on each host's own address on `sync` */
	const struct vpn_peer *peer;
	size_t n_peers;
	size_t index; /* in cluster.vpn */
	struct place place;
};

/* True if `h` is one of the gateways. */
bool vpn_on_host(const struct vpn *v, const struct host *h);

#endif /* NINES_CONFIG_VPN_CONF_H */
