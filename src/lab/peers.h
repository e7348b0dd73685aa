/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers.h - keepalived and haproxy in the place of nines, for figures side by side
 * (private to lab/). Configured as their manuals advise: VRRP 3 with the file's
 * heartbeat, a script that looks once a second whether haproxy lives (the shortest
 * interval keepalived knows), checks and retries as the cluster file has them.
 */
#ifndef NINES_LAB_PEERS_H
#define NINES_LAB_PEERS_H

#include <stdbool.h>

#include "lab/world.h"

bool peers_installed(void);

/* Starts whichever of the two does not run on this host. */
int peers_start(struct world *w, size_t host) MUST_CHECK;

/* The configurations. Pure. */
void peers_haproxy_conf(
    const struct cluster *c, const struct host *h, struct sbuf *out);
void peers_keepalived_conf(
    const struct world *w, size_t host, const char *check, struct sbuf *out);

#endif /* NINES_LAB_PEERS_H */
