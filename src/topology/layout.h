/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.h - who stands where in a picture of a cluster (private to topology/).
 *
 * Hosts stand in tiers, from where clients come to the servers. A network lies in the
 * gap below a tier: that of its uppermost host, or above it if nobody below is on it
 * and clients come over it.
 */
#ifndef NINES_TOPOLOGY_LAYOUT_H
#define NINES_TOPOLOGY_LAYOUT_H

#include "topology/model.h"

enum tier {
	TIER_GATEWAY,
	TIER_FIREWALL,
	TIER_BALANCER,
	TIER_SERVER,
	TIER_DATA, /* of databases and volumes */
	TIER_OTHER,
	TIERS
};

struct layout {
	const struct cluster *cluster;
	enum tier *tier; /* of each host */
	size_t in_tier[TIERS];
	unsigned *gap; /* of each network: 0 is above the first tier, 1 below it .. */
	bool *weak;    /* of each failure: alone, it ends a goal */
	bool *failed;  /* of each failure: it has happened already */
	bool *entry;   /* of each network: clients come over it */
};

/* In `a`; -ENOMEM. */
int layout_make(const struct topology *t, const size_t *failed, size_t n_failed,
    struct arena *a, struct layout *out) MUST_CHECK;

/* Whether the failure of this kind and these things is weak, or has happened. */
bool layout_flag(const struct topology *t, const bool *flag,
    enum availability_kind kind, const struct host *h, const struct network *net);

/* "gateways" */
const char *tier_name(enum tier tier);

#endif /* NINES_TOPOLOGY_LAYOUT_H */
