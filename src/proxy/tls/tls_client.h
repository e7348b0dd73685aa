/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_client.h - what servers are told about the certificate that a client has shown.
 * Private to the room.
 */
#ifndef NINES_PROXY_TLS_CLIENT_H
#define NINES_PROXY_TLS_CLIENT_H

#include <stddef.h>

#include <openssl/ssl.h>

#include "base/check.h"

struct side;
struct tls_end;

/* What the names of these fields begin with. Where clients may show certificates, a
 * request has no other fields of such a name. */
#define TLS_CLIENT_PREFIX    "x-client-cert-"
#define TLS_CLIENT_LINES_MAX 2560

/* At the end of a handshake: the lines of the certificate that the client has shown, if
 * it was verified, in e->lines. 0 or -ENOMEM. */
int tls_client_remember(struct tls_end *e, SSL *ssl) MUST_CHECK;

/* Writes the lines, without NUL, for a connection with TLS; their length, 0 if there
 * is no certificate. */
size_t tls_client_lines(const struct side *s, char out[static TLS_CLIENT_LINES_MAX]);

#endif /* NINES_PROXY_TLS_CLIENT_H */
