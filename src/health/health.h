/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.h - checks of servers, services and floating addresses: the part `health`.
 *
 * One process per host asks every server of the services that this host may serve, and
 * whatever the floating addresses of this host are checked by, and publishes what it
 * finds as facts (docs/facts.md). docs/health.md is its manual.
 */
#ifndef NINES_HEALTH_HEALTH_H
#define NINES_HEALTH_HEALTH_H

/* The process `nines part health`; returns its exit status. */
int health_main(void);

#endif /* NINES_HEALTH_HEALTH_H */
