/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - objects of one size that live long, apart from what lives short.
 *
 * In one heap the objects of idle connections lie between the pieces that a burst of
 * requests or handshakes needs for a moment, and hold their pages when those are gone.
 * Here they lie next to each other, in chunks that go back to the system when their
 * last object does.
 */
#ifndef NINES_PROXY_POOL_H
#define NINES_PROXY_POOL_H

#include <stddef.h>

#include "base/check.h"
#include "base/list.h"

struct pool {
	size_t size;	    /* of an object */
	struct list chunks; /* that have room; the first one gives */
	size_t n_used;	    /* objects */
	size_t n_empty;	    /* chunks */
};

void pool_init(struct pool *p, size_t size);
void pool_done(struct pool *p); /* all objects must have been put back */

/* Uninitialised; NULL if there is no memory. */
void *pool_get(struct pool *p) MUST_CHECK;
void pool_put(struct pool *p, void *object); /* NULL is fine */

#endif /* NINES_PROXY_POOL_H */
