/* SPDX-License-Identifier: Apache-2.0 */
/*
 * https.h - what HTTP says about itself and TLS: the way from http to https. Private
 * to the room.
 */
#ifndef NINES_PROXY_HTTPS_H
#define NINES_PROXY_HTTPS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/cluster.h"
#include "proxy/http1/http1.h"

struct client;

/*
 * Writes the head, all but its last lines, of the answer to a request whose head is `h`
 * at `p` and that came to `at`, a plain port of `s`: the way to https, or 400 if it
 * does not name a host. Returns its length, or -ENOBUFS.
 */
int https_answer(const struct client *c, const struct http1_head *h, const char *p,
    char *out, size_t size, unsigned *status) MUST_CHECK;

#define HSTS_NAME "Strict-Transport-Security"

/* Writes the line of that name for an answer of our own to `out`, which has room for
 * `size` bytes, where the service wants it and the client came by https. Its length. */
size_t https_hsts(const struct client *c, char *out, size_t size);

/*
 * Adds the same to the head of `len` bytes at `out`, which has room
 * for `size`, unless the server has sent its own. Returns the new length.
 */
size_t https_add_hsts(const struct client *c, const struct http1_head *h, const char *p,
    char *out, size_t len, size_t size);

#endif /* NINES_PROXY_HTTPS_H */
