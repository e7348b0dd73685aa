/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.h - a worker's buffers: two sizes, free lists, a cap.
 *
 * A connection has a buffer only while it holds bytes that it could not pass on.
 * Everything is read into the worker's scratch buffer first; buf_keep() either copies
 * a few bytes into a small buffer or lets the connection have the scratch itself.
 */
#ifndef NINES_PROXY_BUF_H
#define NINES_PROXY_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "proxy/pool.h"

#define BUF_SMALL 2048		    /* with its header */
#define BUF_BODY  65536		    /* what splice and TCP like to move at once */
#define BUF_LARGE (BUF_BODY + 2048) /* without; that, and the head before it */

struct buf {
	struct buf *next;  /* free list */
	uint32_t off, len; /* the bytes are data[off .. off + len) */
	uint32_t cap;
	char data[];
};

struct bufs {
	struct pool small;
	struct buf *large;	   /* free */
	size_t n_large, max_large; /* in being */
	size_t n_free_large;
	struct buf *scratch; /* empty, large; always there */
};

/* 0 or -ENOMEM. `max_large` is at least 1. */
int bufs_init(struct bufs *b, size_t max_large) MUST_CHECK;
void bufs_done(struct bufs *b); /* all buffers must have been put back */

/* An empty buffer for `size` bytes, at most BUF_LARGE; NULL at the cap. */
struct buf *buf_get(struct bufs *b, size_t size) MUST_CHECK;
void buf_put(struct bufs *b, struct buf *buf); /* NULL is fine */

/*
 * Makes the `len` bytes at `p`, which may lie in the scratch buffer, the caller's.
 * The scratch is empty afterwards, or another one. NULL at the cap.
 */
struct buf *buf_keep(struct bufs *b, const char *p, size_t len) MUST_CHECK;

static inline char *
buf_bytes(struct buf *b)
{
	return b->data + b->off;
}

static inline void
buf_drop(struct buf *b, size_t n) /* from the front */
{
	b->off += (uint32_t)n;
	b->len -= (uint32_t)n;
}

#endif /* NINES_PROXY_BUF_H */
