/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote.h - somebody who works from outside, through the file's VPN: what a failure
 * costs him (private to lab/).
 *
 * A WireGuard client of its own (wireguard-go) beside those who ask services keeps a
 * tunnel to the VPN's `listen`. Through it a datagram goes to a host in `reach` every
 * REMOTE_EVERY_NS, which sends it back. As with probe.h, an outage lasts from the
 * sending of the first one that was not answered to that of the first that was.
 */
#ifndef NINES_LAB_REMOTE_H
#define NINES_LAB_REMOTE_H

#include <stdint.h>

#include "base/check.h"
#include "lab/probe.h"
#include "lab/world.h"

#define REMOTE_EVERY_NS (10 * MS_NS)
#define REMOTE_WHY_LEN	200

struct remote;

/*
 * Before world_build(): a key and an address for him in the first VPN of the file whose
 * clients can come from outside. False: there is none, with `why` where that is worth
 * telling, else "".
 */
bool remote_invite(struct world *w, char why[static REMOTE_WHY_LEN]) MUST_CHECK;

/* When everything runs. NULL with `why`. `w` stays the caller's until remote_stop(). */
struct remote *remote_start(
    struct world *w, char why[static REMOTE_WHY_LEN]) MUST_CHECK;
void remote_stop(struct remote *r); /* NULL is fine */

/* How long, up to now, all that could be was answered. */
int64_t remote_steady_ns(struct remote *r);

/* What was sent in [from, to). */
void remote_measure(struct remote *r, mono_t from, mono_t to, struct probe_sum *sum);

#endif /* NINES_LAB_REMOTE_H */
