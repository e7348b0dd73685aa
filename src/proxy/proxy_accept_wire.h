/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy_accept_wire.h - the PROXY protocol's header, versions 1 and 2, as a receiver
 * reads it (HAProxy's proxy-protocol.txt, 2.1 and 2.2). Pure.
 */
#ifndef NINES_PROXY_PROXY_ACCEPT_WIRE_H
#define NINES_PROXY_PROXY_ACCEPT_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/ip.h"

#define PROXY_ACCEPT_MAX 536 /* bytes of a header, what follows addresses included */

/*
 * Reads the header at the start of `p`. 0: whole, `*used` bytes of it, and `*from` is
 * the source it names; untouched if it names none. -EAGAIN: not yet whole. -EBADMSG.
 */
int proxy_accept_decode(
    const uint8_t *p, size_t len, struct ip_endpoint *from, size_t *used) MUST_CHECK;

#endif /* NINES_PROXY_PROXY_ACCEPT_WIRE_H */
