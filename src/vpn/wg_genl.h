/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wg_genl.h - the kernel's WireGuard: generic netlink family "wireguard", version 1.
 *
 * Synchronous, as the kernel is. Errors are -errno.
 */
#ifndef NINES_VPN_WG_GENL_H
#define NINES_VPN_WG_GENL_H

#include "vpn/wg.h"

/* True if `name` is an interface of the kernel's WireGuard. */
bool wg_genl_is_there(const char *name);

/* As wg_uapi_state() and wg_uapi_set(). */
int wg_genl_state(const char *name, struct wg_state *s) MUST_CHECK;
int wg_genl_change(const char *name, const struct wg_change *c) MUST_CHECK;

struct nlmsghdr;

/* For the tests: one message of an answer to WG_CMD_GET_DEVICE; 0 or -errno. */
int wg_genl_decode(struct wg_state *s, const struct nlmsghdr *h) MUST_CHECK;

/*
 * For the tests: a message of at most `size` bytes with as many of the peers from
 * `*next` on as fit, and with all else that `c` says if `*next` is 0.
 */
struct nlmsghdr *wg_genl_encode(void *buf, size_t size, uint16_t family,
    const char *name, const struct wg_change *c, size_t *next);

#endif /* NINES_VPN_WG_GENL_H */
