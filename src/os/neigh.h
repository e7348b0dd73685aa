/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neigh.h - telling the neighbours on a link where an address lives: gratuitous ARP
 * (RFC 5227, the request form that switches and hosts understand) and unsolicited
 * neighbour advertisements (RFC 4861, 7.2.6).
 */
#ifndef NINES_OS_NEIGH_H
#define NINES_OS_NEIGH_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/ip.h"

#define NEIGH_FRAME_MAX 86

/* A packet socket that only sends. -errno on failure. */
int neigh_open(void) MUST_CHECK;

/* Pure: the Ethernet frame; returns its length. */
size_t neigh_frame(const struct ip *ip, const uint8_t mac[static 6],
    uint8_t buf[static NEIGH_FRAME_MAX]);

/* Says on interface `index` that `ip` is at `mac`. 0 or -errno. */
int neigh_announce(int fd, unsigned index, const uint8_t mac[static 6],
    const struct ip *ip) MUST_CHECK;

#endif /* NINES_OS_NEIGH_H */
