/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coding.h - which content coding an answer gets (RFC 9110 sections 8.4 and 12.5.3),
 * and what becomes of its head then.
 *
 * Pure. An answer that could be compressed says so (Vary), whoever gets it and however,
 * so that no cache hands a compressed one to somebody who did not ask for it.
 */
#ifndef NINES_PROXY_CODING_H
#define NINES_PROXY_CODING_H

#include <stdbool.h>
#include <stddef.h>

#include "config/compression_conf.h"
#include "proxy/http1/http1.h"

#define CODING_LINES_MAX 512
#define CODING_DROPS_MAX 3

/* What the client of the request `h` at `p` likes best of what `conf` offers. */
enum coding coding_accepted(
    const struct compression_conf *conf, const struct http1_head *h, const char *p);

/* Whether the answer `h` at `p` to a request by `method` may be compressed: it has a
 * body, all of it, of such a type and size, and nobody forbids it. */
bool coding_fits(const struct compression_conf *conf, const struct http1_head *h,
    const char *p, enum http1_method method);

/* The same of a page of our own: `type` is its Content-Type. */
bool coding_type_fits(const struct compression_conf *conf, const char *type);

/*
 * The lines that such an answer gets, without NUL; their length. The fields of
 * coding_drops() make room for them, but for CODING_IDENTITY, which gets Vary only.
 */
size_t coding_lines(const struct http1_head *h, const char *p, enum coding coding,
    char out[static CODING_LINES_MAX]);
const char *const *coding_drops(size_t *n);

/* As Content-Encoding has it. */
const char *coding_name(enum coding coding);

#endif /* NINES_PROXY_CODING_H */
