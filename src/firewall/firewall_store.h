/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firewall_store.h - the cluster file whose host rules were confirmed last, kept over
 * reboots: what a change is compared with, and what returns without a confirmation.
 */
#ifndef NINES_FIREWALL_FIREWALL_STORE_H
#define NINES_FIREWALL_FIREWALL_STORE_H

#include "config/cluster.h"

/* 0 or -errno. Written beside and renamed, so that there is always a whole one. */
int firewall_store_put(const struct cluster *c, const struct host *me) MUST_CHECK;

/* What was stored for this host of this cluster, a reference of the caller's; NULL:
 * nothing, or nothing that this program understands. */
const struct cluster *firewall_store_get(
    const struct cluster *c, const struct host *me) MUST_CHECK;

/* No rules of the host hold any more: the next ones are the first again. */
void firewall_store_clear(const struct cluster *c, const struct host *me);

#endif /* NINES_FIREWALL_FIREWALL_STORE_H */
