/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy_wire.h - the PROXY protocol's header, versions 1 and 2, as a sender writes it.
 *
 * Tells a server the addresses of a connection that it sees coming from us. Pure.
 * (HAProxy's proxy-protocol.txt, 2.1 and 2.2.)
 */
#ifndef NINES_PROXY_PROXY_WIRE_H
#define NINES_PROXY_PROXY_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/ip.h"

#define PROXY_WIRE_MAX 108 /* of either version */

/*
 * Writes the header of a connection from `from` to `to` and returns its length; with
 * an unknown or mixed family, the form that says so. `version` is 1 or 2, `out` has
 * room for PROXY_WIRE_MAX bytes.
 */
size_t proxy_wire_encode(unsigned version, const struct ip_endpoint *from,
    const struct ip_endpoint *to, uint8_t *out) MUST_CHECK;

#endif /* NINES_PROXY_PROXY_WIRE_H */
