/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wg.h - what a WireGuard interface has, and what is to change about it.
 *
 * The two ways to talk to one, the userspace protocol (wg_uapi.h) and generic netlink
 * (wg_genl.h), read into struct wg_state and carry out a struct wg_change. What is not
 * named in a change stays as it is: sessions of peers live on.
 */
#ifndef NINES_VPN_WG_H
#define NINES_VPN_WG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/ip.h"
#include "config/vpn_conf.h"

#define WG_KEEPALIVE_STAYS (-1)

struct wg_peer {
	uint8_t key[VPN_KEY_LEN];
	struct ip_endpoint at; /* where it was heard last; family 0: unknown */
	int64_t handshake_s;   /* wall clock; 0: never */
	uint64_t received, sent;
	struct ip_net allowed; /* the first, family 0: none */
	size_t n_allowed;
	unsigned keepalive_s;
};

struct wg_state {
	uint8_t key[VPN_KEY_LEN]; /* private; all zero: none */
	uint16_t port;
	uint32_t mark;
	struct wg_peer *peer; /* the caller's, with `room` */
	size_t n_peers, room;
};

struct wg_peer_change {
	uint8_t key[VPN_KEY_LEN];
	bool remove;
	bool set_allowed; /* `allowed` and nothing else */
	bool set_at;
	struct ip allowed;
	struct ip_endpoint at;
	int keepalive_s;
};

struct wg_change {
	bool set_key, set_port, set_mark;
	uint8_t key[VPN_KEY_LEN];
	uint16_t port;
	uint32_t mark;
	struct wg_peer_change *peer; /* the caller's, with `room` */
	size_t n_peers, room;
};

/* What the cluster file wants. */
struct wg_wish {
	uint8_t key[VPN_KEY_LEN];
	uint16_t port;
	uint32_t mark;
	const struct vpn_peer *peer;
	size_t n_peers;
};

/*
 * What makes `wish` of `state`: no more than that, since setting a port anew, even the
 * same, closes its socket for a moment. `out` has room for all peers of both.
 */
void wg_compare(
    const struct wg_state *state, const struct wg_wish *wish, struct wg_change *out);

#endif /* NINES_VPN_WG_H */
