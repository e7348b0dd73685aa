/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ways.h - which way packets take from one network of the file to another (private
 * to lab/). Pure.
 *
 * Gateways and firewalls pass packets on; nobody else does. The network farthest out
 * is where the rest of the world is: in the lab, a router `internet` with the client
 * behind it. A next hop is a floating address of the routers where they have one, so
 * that whoever sends to it need not know which of them lives.
 */
#ifndef NINES_LAB_WAYS_H
#define NINES_LAB_WAYS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/cluster.h"

#define WAYS_HOPS_MAX	  8
#define WAYS_NETWORKS_MAX 64

struct way {
	const struct network *by; /* where the next hops are */
	struct ip hop[WAYS_HOPS_MAX];
	size_t n_hops; /* 0: there is no way */
};

/* Does `h` pass packets on from one network to another? */
bool ways_passes(const struct cluster *c, const struct host *h);

/*
 * The network where the rest of the world is; NULL where no host passes packets on,
 * and clients can only be beside the servers.
 */
const struct network *ways_outside(const struct cluster *c);

/*
 * From `h` to `to`, by the nearest of its networks. No hops where it is there already.
 */
void ways_find(const struct cluster *c, const struct host *h, const struct network *to,
    struct way *way);

/* The same from a network, for somebody who is on nothing else. */
void ways_from(const struct cluster *c, const struct network *from,
    const struct network *to, struct way *way);

#endif /* NINES_LAB_WAYS_H */
