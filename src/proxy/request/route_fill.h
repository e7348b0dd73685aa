/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route_fill.h - texts of the cluster file with what a request says filled in.
 *
 * Pure. What comes from a client can never end a line: control characters leave.
 */
#ifndef NINES_PROXY_ROUTE_FILL_H
#define NINES_PROXY_ROUTE_FILL_H

#include <stddef.h>

#include "base/check.h"
#include "config/routing.h"
#include "proxy/request/route.h"

struct fill {
	struct route_text word[FILL_N];
};

/* Writes `text`; its length, or -ENOBUFS. */
int fill_text(const char *text, const struct fill *f, char *out, size_t cap) MUST_CHECK;

/* Writes a line "Name: value" for each of `fields`; their length, or -ENOBUFS. */
int fill_fields(
    const struct pairs *fields, const struct fill *f, char *out, size_t cap) MUST_CHECK;

/*
 * Writes a target: `path` with its first `cut` bytes replaced by `to`, and `query` with
 * its question mark; its length, or -ENOBUFS.
 */
int fill_target(const char *to, struct route_text path, struct route_text query,
    size_t cut, char *out, size_t cap) MUST_CHECK;

#endif /* NINES_PROXY_ROUTE_FILL_H */
