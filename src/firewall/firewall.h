/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firewall.h - rules for what passes through this host and what it accepts: the part
 * `firewall`.
 *
 * It makes the rules of the cluster file (rules.h), has the program nft load them, and
 * guards against locking the administrator out (firewall_core.h). The rules live in
 * the kernel: they hold while this process is down, and when nines has stopped.
 * docs/firewall.md is its manual.
 */
#ifndef NINES_FIREWALL_FIREWALL_H
#define NINES_FIREWALL_FIREWALL_H

/* The process `nines part firewall`; returns its exit status. */
int firewall_main(void);

#endif /* NINES_FIREWALL_FIREWALL_H */
