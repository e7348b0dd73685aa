/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vpn_wire.h - messages between the gateways of one VPN: where clients are.
 *
 * A datagram is an envelope in the clear and a sealed body (vpn_seal.h):
 *
 *	u16 magic, u8 version, u8 zero, 16 bytes session, u64 number, body, 16 bytes tag
 *
 * The session is chosen by the sender when it starts: its wall clock in nanoseconds,
 * then random bytes. The body:
 *
 *	string from, string to, 16 bytes echo, u64 wall clock in ns, u8 flags, u8 count,
 *	count * (32 bytes key, u8 family, 4 or 16 bytes address, u16 port, u32 age in s)
 */
#ifndef NINES_VPN_VPN_WIRE_H
#define NINES_VPN_VPN_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/ip.h"
#include "config/cluster.h"

#define VPN_SESSION_LEN	 16
#define VPN_TAG_LEN	 16
#define VPN_ENVELOPE_LEN 28
#define VPN_ENTRIES_MAX	 16	    /* fit into 1,280 bytes of IPv6 with all the rest */
#define VPN_AGE_NEVER	 UINT32_MAX /* no handshake */
#define VPN_BODY_MAX                                            \
	(2 * (2 + CLUSTER_NAME_MAX) + VPN_SESSION_LEN + 8 + 2 + \
	    VPN_ENTRIES_MAX * (VPN_KEY_LEN + 1 + 16 + 2 + 4))
#define VPN_DATAGRAM_MAX (VPN_ENVELOPE_LEN + VPN_BODY_MAX + VPN_TAG_LEN)

struct vpn_envelope {
	uint8_t session[VPN_SESSION_LEN];
	uint64_t number; /* from 1, never twice in a session */
};

/* Where a client was heard last. */
struct vpn_entry {
	uint8_t key[VPN_KEY_LEN];
	struct ip_endpoint at;
	uint32_t age_s; /* of its last handshake */
};

struct vpn_msg {
	struct vpn_envelope envelope;
	char from[CLUSTER_NAME_MAX + 1], to[CLUSTER_NAME_MAX + 1]; /* hosts */
	uint8_t echo[VPN_SESSION_LEN]; /* of the receiver's session; zero: unknown */
	int64_t wall_ns;
	bool active; /* the sender has the clients */
	uint8_t n_entries;
	struct vpn_entry entry[VPN_ENTRIES_MAX];
};

/* Writes VPN_ENVELOPE_LEN bytes. */
void vpn_wire_put_envelope(
    const struct vpn_envelope *e, uint8_t out[static VPN_ENVELOPE_LEN]);

/* 0; -EBADMSG for what is none, -EPROTO for one of another version. */
int vpn_wire_get_envelope(
    struct vpn_envelope *e, const uint8_t *in, size_t len) MUST_CHECK;

/* Writes at most VPN_BODY_MAX bytes; returns how many. */
size_t vpn_wire_put_body(
    const struct vpn_msg *m, uint8_t out[static VPN_BODY_MAX]) MUST_CHECK;

/* Reads all but the envelope. -EBADMSG: m is untouched. */
int vpn_wire_get_body(struct vpn_msg *m, const uint8_t *in, size_t len) MUST_CHECK;

#endif /* NINES_VPN_VPN_WIRE_H */
