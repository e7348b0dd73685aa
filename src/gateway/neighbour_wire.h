/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neighbour_wire.h - the question whether a neighbour is there, as bytes: ARP (RFC
 * 826) and neighbour discovery (RFC 4861, 4.3 and 4.4). Whoever can be a next hop has
 * to answer these, whatever its packet filter says of pings.
 */
#ifndef NINES_GATEWAY_NEIGHBOUR_WIRE_H
#define NINES_GATEWAY_NEIGHBOUR_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/ip.h"

#define NEIGHBOUR_ARP_LEN     28
#define NEIGHBOUR_SOLICIT_LEN 32
#define NEIGHBOUR_HOP_LIMIT   255 /* less: it came over a router */

/* "Who has `to`?", asked by `from` at `mac`; without the link's header. */
void neighbour_arp_encode(uint8_t buf[static NEIGHBOUR_ARP_LEN], const struct ip *to,
    const struct ip *from, const uint8_t mac[static 6]);
/* True for an answer: `ip` is at `mac`. */
bool neighbour_arp_decode(
    const uint8_t *p, size_t len, struct ip *ip, uint8_t mac[static 6]) MUST_CHECK;

/* An ICMPv6 message; the kernel fills in the checksum. It says where we are (`mac`):
 * without that, who does not know us stays silent. */
void neighbour_solicit_encode(uint8_t buf[static NEIGHBOUR_SOLICIT_LEN],
    const struct ip *to, const uint8_t mac[static 6]);
/* True for an advertisement of `ip`. */
bool neighbour_advert_decode(const uint8_t *p, size_t len, struct ip *ip) MUST_CHECK;

/* The group that `ip` listens to for such questions (RFC 4291, 2.7.1). */
struct ip neighbour_solicited_node(const struct ip *ip);

#endif /* NINES_GATEWAY_NEIGHBOUR_WIRE_H */
