/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_record.h - the record layer of TLS 1.3 once the handshake is over (RFC 8446
 * section 5): headers, nonces, padding, and what a peer may say besides data. Pure:
 * tls_cipher.h encrypts.
 */
#ifndef NINES_PROXY_TLS_RECORD_H
#define NINES_PROXY_TLS_RECORD_H

#include <stddef.h>
#include <stdint.h>

#define TLS_RECORD_HEADER 5
#define TLS_RECORD_DATA	  16384 /* bytes of one record, at most */
#define TLS_RECORD_TAG	  16	/* of every cipher that we know */
#define TLS_RECORD_NONCE  12
#define TLS_RECORD_WIRE	  (TLS_RECORD_HEADER + TLS_RECORD_DATA + 256) /* section 5.2 */
/* What encryption adds to a record of ours, which has no padding. */
#define TLS_RECORD_EXTRA (TLS_RECORD_HEADER + 1 + TLS_RECORD_TAG)

/* Records in a row without data that a peer may send: keys anew, nothing at all. */
#define TLS_RECORD_IDLE_MAX 32

/* RFC 8446 appendix B.1 */
enum tls_content { TLS_ALERT = 21, TLS_HANDSHAKE = 22, TLS_DATA = 23 };

/* Section 6; 0 is no error where one is returned. */
enum tls_alert {
	TLS_CLOSE_NOTIFY = 0,
	TLS_UNEXPECTED_MESSAGE = 10,
	TLS_BAD_RECORD_MAC = 20,
	TLS_RECORD_OVERFLOW = 22,
	TLS_ILLEGAL_PARAMETER = 47,
	TLS_DECODE_ERROR = 50,
	TLS_INTERNAL_ERROR = 80,
	TLS_USER_CANCELED = 90
};

#define TLS_KEY_UPDATE_LEN 5 /* a message of section 4.6.3 */

/* What a record says. */
enum tls_heard {
	TLS_HEARD_DATA,
	TLS_HEARD_NOTHING,
	TLS_HEARD_END,	  /* close_notify */
	TLS_HEARD_UPDATE, /* the next record has the peer's next key */
	TLS_HEARD_ASKED,  /* the same, and ours shall change too */
	TLS_HEARD_FAILED, /* the peer gives up: an alert of his */
	TLS_HEARD_WRONG	  /* we do: `alert` says why */
};

/* What is remembered between records. Zero at the beginning. */
struct tls_hearing {
	uint8_t message[TLS_KEY_UPDATE_LEN]; /* may come in pieces */
	uint8_t have;
	uint8_t idle; /* records without data in a row */
};

/* What is wrong with a record that is answered with `alert`, for people. */
const char *tls_alert_text(enum tls_alert alert);

/*
 * The length, with its header, of the encrypted record that begins with the `n` bytes
 * at `p`: 0 while the header is not all there. Returns 0 or the alert for what can be
 * none.
 */
enum tls_alert tls_record_length(const uint8_t *p, size_t n, size_t *len);

/* The header of a record with `len` bytes of ours. */
void tls_record_header(uint8_t out[static TLS_RECORD_HEADER], size_t len);

/* Section 5.3 */
void tls_record_nonce(const uint8_t iv[static TLS_RECORD_NONCE], uint64_t seq,
    uint8_t out[static TLS_RECORD_NONCE]);

/* Of `n` decrypted bytes, what is in front of the padding and its type: 0, or the
 * alert. */
enum tls_alert tls_record_inner(const uint8_t *p, size_t n, size_t *len, uint8_t *type);

/* What the `n` bytes of a record of `type` mean; *alert is set with TLS_HEARD_WRONG. */
enum tls_heard tls_record_hear(struct tls_hearing *h, uint8_t type, const uint8_t *p,
    size_t n, enum tls_alert *alert);

/* The message that announces our next key. */
void tls_record_key_update(uint8_t out[static TLS_KEY_UPDATE_LEN]);

#endif /* NINES_PROXY_TLS_RECORD_H */
