/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/buf.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_CAP   (BUF_SMALL - sizeof(struct buf))
#define BUF_ALL	    (sizeof(struct buf) + BUF_LARGE)
#define SPARE_LARGE 64 /* large buffers kept for later; more go back to the system */

static struct buf *
made(void *memory, size_t cap)
{
	struct buf *buf = memory;

	if (buf == NULL)
		return NULL;
	buf->next = NULL;
	buf->cap = (uint32_t)cap;
	buf->off = buf->len = 0;
	return buf;
}

int
bufs_init(struct bufs *b, size_t max_large)
{
	ASSERT(max_large > 0);
	*b = (struct bufs){.max_large = max_large, .n_large = 1};
	pool_init(&b->small, BUF_SMALL);
	b->scratch = made(malloc(BUF_ALL), BUF_LARGE);
	return b->scratch != NULL ? 0 : -ENOMEM;
}

static void
free_all(struct buf *buf)
{
	struct buf *next;

	for (; buf != NULL; buf = next) {
		next = buf->next;
		free(buf);
	}
}

void
bufs_done(struct bufs *b)
{
	ASSERT(b->n_large == b->n_free_large + (b->scratch != NULL));
	free_all(b->large);
	free(b->scratch);
	pool_done(&b->small);
	*b = (struct bufs){0};
}

static struct buf *
get_large(struct bufs *b)
{
	struct buf *buf = b->large;

	if (buf != NULL) {
		b->large = buf->next;
		b->n_free_large--;
		return buf;
	}
	if (b->n_large == b->max_large)
		return NULL;
	buf = made(malloc(BUF_ALL), BUF_LARGE);
	if (buf != NULL)
		b->n_large++;
	return buf;
}

struct buf *
buf_get(struct bufs *b, size_t size)
{
	struct buf *buf;

	ASSERT(size <= BUF_LARGE);
	if (size <= SMALL_CAP)
		return made(pool_get(&b->small), SMALL_CAP);
	buf = get_large(b);
	if (buf != NULL)
		buf->off = buf->len = 0;
	return buf;
}

void
buf_put(struct bufs *b, struct buf *buf)
{
	if (buf == NULL)
		return;
	if (buf->cap == SMALL_CAP) {
		pool_put(&b->small, buf);
		return;
	}
	if (b->n_free_large >= SPARE_LARGE) {
		b->n_large--;
		free(buf);
		return;
	}
	buf->next = b->large;
	b->large = buf;
	b->n_free_large++;
}

struct buf *
buf_keep(struct bufs *b, const char *p, size_t len)
{
	struct buf *buf = b->scratch, *other;
	bool inside = p >= buf->data && p <= buf->data + buf->cap;

	if (inside && len > SMALL_CAP) {
		other = get_large(b);
		if (other == NULL)
			return NULL;
		other->off = other->len = 0;
		b->scratch = other;
		buf->off = (uint32_t)(p - buf->data);
		buf->len = (uint32_t)len;
		return buf;
	}
	buf = buf_get(b, len);
	if (buf == NULL)
		return NULL;
	memcpy(buf->data, p, len);
	buf->len = (uint32_t)len;
	return buf;
}
