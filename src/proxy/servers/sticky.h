/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sticky.h - the cookie that names a server.
 *
 * Pure. A server's token is a keyed hash (SipHash-2-4 with 128 bits) of its name:
 * whoever knows the key, as all load balancers of the cluster do, finds the server by
 * it; nobody else can tell or choose. A client sends back what it was given or, for all
 * we know, anything: what is no token of a server counts as none.
 */
#ifndef NINES_PROXY_STICKY_H
#define NINES_PROXY_STICKY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STICKY_LEN	32  /* hexadecimal digits */
#define STICKY_LINE_MAX 256 /* of the field that sets it */

struct sticky_key {
	uint64_t k[2];
};

struct sticky_token {
	uint64_t t[2];
};

/* SipHash-2-4-128 of `len` bytes. */
struct sticky_token sticky_hash(
    const struct sticky_key *key, const void *bytes, size_t len);

/* The key of a service: the same on every host that has the same secret, or none (of no
 * bytes). */
struct sticky_key sticky_derive(
    const char *cluster, const char *service, const void *secret, size_t secret_len);

bool sticky_equal(const struct sticky_token *a, const struct sticky_token *b);

/* Lower-case digits, without a NUL. */
void sticky_format(const struct sticky_token *t, char out[static STICKY_LEN]);
/* False: it is none. */
bool sticky_parse(struct sticky_token *t, const char *text, size_t len);

/* "Set-Cookie: NAME=TOKEN; ..." with its CRLF; its length. `name` fits as the cluster
 * file has been checked. */
size_t sticky_line(char out[static STICKY_LINE_MAX], const char *name,
    const struct sticky_token *t, bool secure);

#endif /* NINES_PROXY_STICKY_H */
