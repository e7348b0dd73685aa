/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health_icmp.h - ICMP echo messages (RFC 792, RFC 4443 section 4) as bytes.
 */
#ifndef NINES_HEALTH_HEALTH_ICMP_H
#define NINES_HEALTH_HEALTH_ICMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

#define HEALTH_ICMP_LEN 16

struct health_echo {
	uint16_t id, seq;
	uint64_t cookie; /* ours alone: other programs ping, too */
};

/* A request of HEALTH_ICMP_LEN bytes. The kernel fills in the checksum of IPv6. */
void health_icmp_encode(
    const struct health_echo *e, bool v6, uint8_t buf[static HEALTH_ICMP_LEN]);

/*
 * Reads a reply as a raw socket gives it (IPv4: with its header). True if it is an echo
 * reply of our form; `e` is written only then.
 */
bool health_icmp_decode(
    struct health_echo *e, bool v6, const uint8_t *p, size_t len) MUST_CHECK;

#endif /* NINES_HEALTH_HEALTH_ICMP_H */
