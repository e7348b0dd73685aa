/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync_seal.h - os/seal.h for the datagrams of sync_wire.h (AES-256-GCM).
 *
 * A key for each direction and each pair of epochs, so that a number is never used
 * twice under one key and what was said in another life opens nothing. Private to
 * sync/.
 */
#ifndef NINES_SYNC_SYNC_SEAL_H
#define NINES_SYNC_SYNC_SEAL_H

#include "os/seal.h"
#include "sync/sync_wire.h"

_Static_assert(SYNC_TAG_LEN == SEAL_TAG_LEN, "the datagram has room for the tag");

/*
 * From `from` to `to` (names of hosts). A greeting's key depends on the sender's epoch
 * only: `peer` NULL. NULL: out of memory.
 */
struct seal *sync_seal_new(const uint8_t secret[static SEAL_SECRET_LEN],
    const char *from, const char *to, const struct sync_epoch *sender,
    const struct sync_epoch *peer) MUST_CHECK;

/*
 * Seals `len` bytes behind header *h into a datagram of SYNC_HEADER_LEN + len +
 * SYNC_TAG_LEN bytes. 0 or -EIO.
 */
int sync_seal_close(struct seal *s, const struct sync_header *h, const uint8_t *payload,
    size_t len, uint8_t *datagram) MUST_CHECK;

/* The opposite; *len bytes of payload. -EBADMSG: not sealed with this key. */
int sync_seal_open(struct seal *s, const struct sync_header *h, const uint8_t *datagram,
    size_t n, uint8_t payload[static SYNC_PAYLOAD_MAX], size_t *len) MUST_CHECK;

#endif /* NINES_SYNC_SYNC_SEAL_H */
