/* SPDX-License-Identifier: Apache-2.0 */
/*
 * squeeze.h - one stream of compressed bytes, whichever coding it has.
 *
 * The libraries' memory is bounded by small windows: SQUEEZE_WINDOW bits, whatever the
 * level. A worker keeps a few states for the next answers, since making one costs more
 * than compressing a small page.
 */
#ifndef NINES_PROXY_SQUEEZE_H
#define NINES_PROXY_SQUEEZE_H

#include <stddef.h>

#include "base/check.h"
#include "config/compression_conf.h"

struct squeeze;

/* States that were used and can be used again; zero-initialised it is empty. */
struct squeeze_pool {
	struct squeeze *free[CODING_N];
	unsigned n_free[CODING_N];
	unsigned n; /* in use */
};

enum squeeze_op {
	SQUEEZE_MORE,  /* take bytes; what comes out may wait inside */
	SQUEEZE_FLUSH, /* what was taken can be decoded by what came out */
	SQUEEZE_END
};

struct squeeze_io {
	const char *in;
	size_t in_len;
	char *out;
	size_t out_len; /* room; both pairs move on */
};

/* NULL: no memory. Level 1 .. 9. */
struct squeeze *squeeze_get(
    struct squeeze_pool *pool, enum coding coding, unsigned level) MUST_CHECK;
void squeeze_put(struct squeeze_pool *pool, struct squeeze *s); /* NULL is fine */
void squeeze_pool_done(struct squeeze_pool *pool); /* all have been put back */

/* 1: the bytes were taken and the operation is complete; 0: `out` is full, call again
 * with the same operation; -EIO: it cannot go on. */
int squeeze_run(
    struct squeeze *s, enum squeeze_op op, struct squeeze_io *io) MUST_CHECK;

#endif /* NINES_PROXY_SQUEEZE_H */
