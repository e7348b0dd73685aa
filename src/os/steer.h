/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steer.h - packets of TCP connections that this kernel does not know go to another
 * host.
 *
 * After a planned move of a floating address its connections still live on the
 * previous owner, while their packets arrive here. A small program at the interface's
 * ingress (tc, BPF) asks the kernel's own socket table: what starts a connection or
 * belongs to one of ours passes; the rest goes on to the previous owner as it is, with
 * one hop less to live so that two hosts that point at each other cannot loop for ever.
 * The previous owner answers the client directly.
 */
#ifndef NINES_OS_STEER_H
#define NINES_OS_STEER_H

#include <stdint.h>

#include "base/check.h"
#include "base/ip.h"

/*
 * Steers TCP to `address` arriving on interface `index` to the neighbour `peer` of the
 * same family and link. `handle` (not 0) names it on that interface: setting it again
 * replaces it. 0 or -errno; -EPERM and -ENOSYS where the kernel does not allow BPF.
 */
int steer_set(unsigned index, uint32_t handle, const struct ip *address,
    const struct ip *peer) MUST_CHECK;

/* 0 also if there was none. steer_clear() removes all on the interface. */
int steer_del(unsigned index, uint32_t handle) MUST_CHECK;
int steer_clear(unsigned index) MUST_CHECK;

#endif /* NINES_OS_STEER_H */
