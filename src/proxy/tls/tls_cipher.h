/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_cipher.h - encryption of records of TLS 1.3 by OpenSSL's ciphers. Private to the
 * room.
 *
 * A connection has its keys only; what a cipher makes of a key before it can use it is
 * ten times as large and lies in an engine. A worker has a limited number of engines:
 * a connection takes the one that was not used for the longest time and has it until
 * somebody else does the same. Whoever talks much never loses his, and whoever is idle
 * costs nothing.
 */
#ifndef NINES_PROXY_TLS_CIPHER_H
#define NINES_PROXY_TLS_CIPHER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/check.h"
#include "proxy/tls/tls_record.h"

#define TLS_SECRET_MAX 48 /* SHA-384 */
#define TLS_KEY_MAX    32

/* RFC 8446 section 5.5: 2^24.5 full records are what AES-GCM is good for. */
#define TLS_KEY_RECORDS ((uint64_t)1 << 24)

struct tls_ciphers;
struct tls_engine;
struct tls_suite;

/* One direction of a connection. */
struct tls_key {
	const struct tls_suite *suite;
	struct tls_engine *engine; /* or NULL; only tls_cipher.c looks */
	uint64_t seq;		   /* of the next record */
	uint8_t secret[TLS_SECRET_MAX], key[TLS_KEY_MAX], iv[TLS_RECORD_NONCE];
};

/* Bytes in pieces: `at` of the first of `n` were used. */
struct tls_pieces {
	const struct iovec *iov;
	size_t n, at;
};

/* A worker's. 0 or -ENOMEM. */
int tls_ciphers_new(struct tls_ciphers **out) MUST_CHECK;
void tls_ciphers_free(struct tls_ciphers *c); /* after all keys; NULL is fine */

/* By its number in RFC 8446 appendix B.4; NULL: not one of ours. */
const struct tls_suite *tls_suite_find(uint16_t id);
size_t tls_suite_secret_len(const struct tls_suite *s);

/* From a traffic secret (section 7.3), whose first record has the number 0. 0 or -EIO.
 * tls_key_done() is needed in both cases: it leaves nothing of the key in memory. */
int tls_key_init(struct tls_ciphers *c, struct tls_key *k, const struct tls_suite *s,
    const uint8_t *secret) MUST_CHECK;
void tls_key_done(struct tls_ciphers *c, struct tls_key *k);
/* The next one (section 7.2). 0 or -EIO. */
int tls_key_update(struct tls_ciphers *c, struct tls_key *k) MUST_CHECK;

/*
 * A record of `type` with the next `len` bytes of `from`, which has them, at most
 * TLS_RECORD_DATA. Writes len + TLS_RECORD_EXTRA bytes. 0 or -EIO.
 */
int tls_seal(struct tls_ciphers *c, struct tls_key *k, enum tls_content type,
    struct tls_pieces *from, size_t len, uint8_t *out) MUST_CHECK;

/*
 * Opens the record of `len` bytes that tls_record_length() found at `p`. Returns the
 * number of bytes written to `out`, type and padding included; -EBADMSG if it is not
 * what the peer has sent. `out` has room for what lies between header and tag.
 * tls_key_took() makes the next record the next one.
 */
ssize_t tls_open(struct tls_ciphers *c, struct tls_key *k, const uint8_t *p, size_t len,
    uint8_t *out) MUST_CHECK;

static inline void
tls_key_took(struct tls_key *k)
{
	k->seq++;
}

#endif /* NINES_PROXY_TLS_CIPHER_H */
