/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wg_dev.h - one WireGuard interface, of the kernel or of a wireguard-go of ours.
 *
 * It outlives who opened it: a part that dies leaves interface, sessions and all, and
 * the next one takes them over. Calls are synchronous; a wireguard-go that does not
 * answer for two seconds counts as gone.
 */
#ifndef NINES_VPN_WG_DEV_H
#define NINES_VPN_WG_DEV_H

#include "base/loop.h"
#include "vpn/wg.h"

#define WG_WHY_LEN 160

struct wg_dev;

/*
 * Finds interface `name`, as it is, or makes it, down and without clients. `gone` is
 * called once if its wireguard-go ends; then close it. NULL with `why` saying what to
 * do.
 */
struct wg_dev *wg_dev_open(struct loop *l, const char *name, void (*gone)(void *arg),
    void *arg, char why[static WG_WHY_LEN]) MUST_CHECK;
void wg_dev_close(struct wg_dev *d); /* NULL is fine; the interface stays */

/* Closes one that is broken, and ends its wireguard-go: the next wg_dev_open() makes it
 * anew. */
void wg_dev_replace(struct wg_dev *d);

/* The interface goes, and its wireguard-go. */
void wg_dev_remove(const char *name);

int wg_dev_state(struct wg_dev *d, struct wg_state *s) MUST_CHECK;
int wg_dev_change(struct wg_dev *d, const struct wg_change *c) MUST_CHECK;

/* True if a wireguard-go did not answer as it should. What it says later would be taken
 * for the answer to something else, so every further call fails: close it. */
bool wg_dev_is_broken(const struct wg_dev *d);

#endif /* NINES_VPN_WG_DEV_H */
