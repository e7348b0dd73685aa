/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal.h - encrypts and authenticates the datagrams of two hosts (AES-256-GCM).
 *
 * All hosts have one secret. From it, a key of its own is derived (HKDF-SHA-256) for
 * each direction and each pair of epochs, so that a number is never used twice under
 * one key and what was said in another life opens nothing. The header is authenticated.
 * Private to sync/.
 */
#ifndef NINES_SYNC_SEAL_H
#define NINES_SYNC_SEAL_H

#include "base/check.h"
#include "sync/sync_wire.h"

#define SEAL_SECRET_LEN 32

struct seal; /* one key, one direction */

/*
 * From `from` to `to` (names of hosts). A greeting's key depends on the sender's epoch
 * only: `peer` NULL. NULL: out of memory.
 */
struct seal *seal_new(const uint8_t secret[static SEAL_SECRET_LEN], const char *from,
    const char *to, const struct sync_epoch *sender, const struct sync_epoch *peer);
void seal_free(struct seal *s); /* NULL is fine */

/*
 * Seals `len` bytes behind header *h into a datagram of SYNC_HEADER_LEN + len +
 * SYNC_TAG_LEN bytes. 0 or -EIO.
 */
int seal_close(struct seal *s, const struct sync_header *h, const uint8_t *payload,
    size_t len, uint8_t *datagram) MUST_CHECK;

/* The opposite; *len bytes of payload. -EBADMSG: not sealed with this key. */
int seal_open(struct seal *s, const struct sync_header *h, const uint8_t *datagram,
    size_t n, uint8_t payload[static SYNC_PAYLOAD_MAX], size_t *len) MUST_CHECK;

#endif /* NINES_SYNC_SEAL_H */
