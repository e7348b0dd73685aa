/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vrrp_wire.h - VRRP advertisements as bytes: version 3 (RFC 9568), version 2
 * (RFC 3768), IPv4 and IPv6.
 *
 * Every check that a receiver makes without knowing the virtual router is here:
 * TTL, version, length, checksum. What depends on the router (interval of version
 * 2, password, address list) is the caller's. Pure; input is refused, never trusted.
 */
#ifndef NINES_VIP_VRRP_WIRE_H
#define NINES_VIP_VRRP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/ip.h"

#define VRRP_PROTO	 112
#define VRRP_TTL	 255
#define VRRP_TOS	 0xc0 /* network control */
#define VRRP_PRIO_RESIGN 0
#define VRRP_PRIO_OWNER	 255
#define VRRP_ADV_CS_MAX	 4095
#define VRRP_ADDR_MAX	 64 /* addresses of one router; the format allows 255 */
#define VRRP_AUTH_LEN	 8  /* version 2 */
#define VRRP_PACKET_MAX	 (8 + VRRP_ADDR_MAX * 16 + VRRP_AUTH_LEN)

/* Authentication of version 2 (RFC 2338); RFC 3768 only knows none. */
enum vrrp_auth { VRRP_AUTH_NONE, VRRP_AUTH_TEXT };

/* What the IP layer knows of a packet. */
struct vrrp_envelope {
	struct ip src, dst;
	uint8_t ttl; /* or hop limit */
};

struct vrrp_advert {
	uint8_t version;
	uint8_t vrid;
	uint8_t prio;
	uint16_t adv_cs; /* version 2 speaks in seconds: a multiple of 100 */
	uint8_t n_addresses;
	struct ip address[VRRP_ADDR_MAX];
	enum vrrp_auth auth;
	uint8_t password[VRRP_AUTH_LEN]; /* VRRP_AUTH_TEXT; padded with zeros */
};

/* Where multicast advertisements go. */
struct ip vrrp_group(uint8_t family);

/*
 * Splits an IPv4 packet as a raw socket delivers it. Returns 0 and where the VRRP
 * message is, or -EBADMSG.
 */
int vrrp_ipv4_open(struct vrrp_envelope *env, const uint8_t **msg, size_t *msg_len,
    const void *packet, size_t len) MUST_CHECK;

/*
 * 0; -EBADMSG: malformed; -EPROTONOSUPPORT: another version or type; -EPERM: it came
 * from beyond the link, or the authentication is of a kind we do not speak; -EILSEQ:
 * bad checksum. *adv is written only on success.
 */
int vrrp_decode(struct vrrp_advert *adv, const struct vrrp_envelope *env,
    const void *msg, size_t len) MUST_CHECK;

/*
 * Encodes with its checksum for `env` (src and dst). Returns the length, 0 if the
 * advert cannot be said in its version or does not fit `size`.
 */
size_t vrrp_encode(const struct vrrp_advert *adv, const struct vrrp_envelope *env,
    uint8_t *buf, size_t size) MUST_CHECK;

#endif /* NINES_VIP_VRRP_WIRE_H */
