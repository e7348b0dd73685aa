/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_channel.h - a connection of TLS 1.3 whose handshake is over. Private to the room.
 *
 * OpenSSL's object for a connection is 14 KiB, none of which it gives back while the
 * connection is idle. What RFC 8446 needs behind the handshake is two keys and two
 * numbers, so OpenSSL makes the handshake and encrypts, and this is in between.
 */
#ifndef NINES_PROXY_TLS_CHANNEL_H
#define NINES_PROXY_TLS_CHANNEL_H

#include "proxy/tls/tls_handover.h"
#include "proxy/tls/tls_io.h"

/* Goes on with the handshake's connection: on success side.via and side.layer are the
 * channel's, and what `from` has is as well. 0 or -errno. */
int tls_channel_take(struct side *s, struct tls_end *from, const struct tls_handover *h,
    const struct tls_suite *suite) MUST_CHECK;

/* What the worker's pool of channels is made for. */
size_t tls_channel_size(void);

/* True if a channel is the side's layer. */
bool tls_channel_under(const struct side *s);
/* Of such a one, as tls_name(). */
const char *tls_channel_name(const struct side *s);
/* The same, as tls_wrong(). */
const char *tls_channel_wrong(const struct side *s);

#endif /* NINES_PROXY_TLS_CHANNEL_H */
