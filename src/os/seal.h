/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal.h - encrypts and authenticates the datagrams that hosts send each other.
 *
 * A datagram is a head in the clear, a sealed payload and a tag; head and tag guard
 * each other. Hosts have a secret in common; each key is derived from it (HKDF with
 * SHA-256, RFC 5869) for one purpose, one direction and one life of who sends. Within
 * such a key a number is used once: it is the nonce. Who opens looks himself whether a
 * number came before: replay_fresh().
 */
#ifndef NINES_OS_SEAL_H
#define NINES_OS_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

#define SEAL_SECRET_LEN 32
#define SEAL_TAG_LEN	16

enum seal_cipher { SEAL_AES_256_GCM, SEAL_CHACHA20_POLY1305 };

struct seal; /* one key, one direction */

/* `salt` is the life the key is for, `info` the purpose and the direction. NULL: out of
 * memory. */
struct seal *seal_new(enum seal_cipher cipher,
    const uint8_t secret[static SEAL_SECRET_LEN], const uint8_t *salt, size_t salt_len,
    const char *info) MUST_CHECK;
void seal_free(struct seal *s); /* NULL is fine */

/*
 * `datagram` begins with its head of `head` bytes; the `len` bytes of `payload` are
 * sealed behind it, and the tag follows: head + len + SEAL_TAG_LEN bytes. 0 or -EIO.
 */
int seal_close(struct seal *s, uint64_t number, uint8_t *datagram, size_t head,
    const uint8_t *payload, size_t len) MUST_CHECK;

/* The opposite: of `n` bytes, n - head - SEAL_TAG_LEN bytes of payload. -EBADMSG: not
 * sealed with this key, or too short. */
int seal_open(struct seal *s, uint64_t number, const uint8_t *datagram, size_t n,
    size_t head, uint8_t *payload) MUST_CHECK;

/* A file's content as a secret: 64 hexadecimal digits and perhaps a line's end, or 32
 * bytes. False: it is neither. */
bool seal_secret_parse(
    const char *text, size_t n, uint8_t secret[static SEAL_SECRET_LEN]) MUST_CHECK;

#endif /* NINES_OS_SEAL_H */
