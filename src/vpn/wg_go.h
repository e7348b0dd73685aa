/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wg_go.h - a wireguard-go of ours: its life, and requests to it.
 *
 * Its configuration socket is /run/nines-vpn/NETNS/INTERFACE.sock, where NETNS is the
 * number of our network namespace (hosts of a lab share a file system), and a link to
 * it stands where `wg` looks, /run/wireguard/INTERFACE.sock. Beside it, INTERFACE.pid
 * says which process it is, and when that began. Only root may enter.
 */
#ifndef NINES_VPN_WG_GO_H
#define NINES_VPN_WG_GO_H

#include "base/sbuf.h"
#include "vpn/wg_dev.h"

/* A connection to the one that runs, or -errno: none does. Non-blocking. */
int wg_go_connect(const char *interface) MUST_CHECK;

/* Starts one in the place of any other, and connects; -errno with `why`. */
int wg_go_start(const char *interface, char why[static WG_WHY_LEN]) MUST_CHECK;

/* Sends `text` and reads the whole answer; 0, -ETIMEDOUT or another -errno. */
int wg_go_ask(int fd, const char *text, size_t len, struct sbuf *answer) MUST_CHECK;

/* Ends the one that was started last, also one that hangs, and its sessions. */
void wg_go_kill(const char *interface);

/* Collects those that have ended. */
void wg_go_reap(void);

#endif /* NINES_VPN_WG_GO_H */
