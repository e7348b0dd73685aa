/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_load.h - certificates, keys and authorities from files. Private to the room, for
 * the control thread.
 */
#ifndef NINES_PROXY_TLS_LOAD_H
#define NINES_PROXY_TLS_LOAD_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

#define TLS_WHY_LEN  200	       /* with the NUL: what a fact can carry */
#define TLS_FILE_MAX ((size_t)4 << 20) /* bytes */

/* Where files come from: a descriptor that stays its owner's, or -errno. */
struct tls_source {
	int (*open)(void *arg, const char *path);
	void *arg;
};

struct tls_bytes {
	unsigned char *p;
	size_t len;
	bool open_to_all; /* everybody on this host may read the file */
};

/* A certificate with its chain and key. */
struct tls_pair {
	X509 *leaf;
	STACK_OF(X509) * chain;
	EVP_PKEY *key;
};

/* 0 or -errno, with the reason in `why`. */
int tls_bytes_read(struct tls_bytes *b, const struct tls_source *from, const char *path,
    char why[static TLS_WHY_LEN]) MUST_CHECK;
void tls_bytes_done(struct tls_bytes *b); /* wipes them */

int tls_pair_read(struct tls_pair *p, const struct tls_bytes *b, const char *path,
    char why[static TLS_WHY_LEN]) MUST_CHECK;
void tls_pair_done(struct tls_pair *p);

/* Adds the certificates in `b` to what `ctx` trusts; as a server, also to what it tells
 * clients that it trusts. */
int tls_trust(SSL_CTX *ctx, const struct tls_bytes *b, bool server, const char *path,
    char why[static TLS_WHY_LEN]) MUST_CHECK;

/* Why OpenSSL did not do what it was told, for people; forgets it. */
const char *tls_why(void);

/* Seconds since the epoch; 0 if that cannot be told. */
int64_t tls_expires(const X509 *cert);

#endif /* NINES_PROXY_TLS_LOAD_H */
