/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_handover.h - what has to be known of a handshake to go on without OpenSSL: the
 * secrets that it ends with, and how many records OpenSSL has sent under them. Private
 * to the room.
 *
 * OpenSSL tells the secrets to whoever wants a log of them; ours lasts as long as the
 * handshake, and nothing is ever written anywhere.
 */
#ifndef NINES_PROXY_TLS_HANDOVER_H
#define NINES_PROXY_TLS_HANDOVER_H

#include <openssl/ssl.h>
#include <stdint.h>

#include "proxy/tls/tls_cipher.h"

/* Zero at the beginning. */
struct tls_handover {
	uint8_t client[TLS_SECRET_MAX], server[TLS_SECRET_MAX];
	uint8_t n_client, n_server; /* bytes of them */
	uint64_t sent;		    /* records under the server's: tickets */
};

/* A server's context: what is said of its handshakes goes to tls_handover_begin()'s. */
void tls_handover_watch(SSL_CTX *ctx);
/* Before the handshake. `h` must outlive it, and is erased by tls_handover_done(). */
void tls_handover_begin(struct tls_handover *h, SSL *ssl);
void tls_handover_done(struct tls_handover *h);

/* After it: the cipher suite with which we can go on; NULL if OpenSSL has to. */
const struct tls_suite *tls_handover_suite(const struct tls_handover *h, SSL *ssl);

#endif /* NINES_PROXY_TLS_HANDOVER_H */
