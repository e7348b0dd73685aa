/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync.h - the part `sync`: the firewall's hosts share the state of their connections.
 *
 * Runs on hosts that `firewall` names if it has a network `sync`. What the kernel of
 * the host with the floating addresses knows of connections is put into the kernels of
 * the others while it happens; see sync_core.h. It follows the facts `vip ...` and
 * publishes `sync peer HOST`.
 */
#ifndef NINES_SYNC_SYNC_H
#define NINES_SYNC_SYNC_H

int sync_main(void);

#endif /* NINES_SYNC_SYNC_H */
