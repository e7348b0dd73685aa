/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rings between workers and the log. `head` and `tail` count bytes for ever; what
 * lies between them belongs to the consumer, the rest to the worker.
 */
#include "proxy/access_log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>

/* One write. A pipe takes so much at once or not at all, so lines stay whole. */
#define WRITE_MAX PIPE_BUF

_Static_assert(ACCESS_LINE_MAX <= WRITE_MAX, "a line is written whole");

void
access_ring_init(struct access_ring *r, char *data, size_t size)
{
	ASSERT(size >= ACCESS_LINE_MAX && (size & (size - 1)) == 0);
	memset(r, 0, sizeof(*r));
	r->data = data;
	r->size = size;
}

bool
access_ring_put(struct access_ring *r, const char *line, size_t len)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_relaxed), at, first;

	/* The consumer's line of cache is looked at only when the ring seems full. */
	if (r->size - (head - r->tail_seen) < len)
		r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
	if (r->size - (head - r->tail_seen) < len) {
		atomic_store_explicit(&r->dropped,
		    atomic_load_explicit(&r->dropped, memory_order_relaxed) + 1,
		    memory_order_relaxed);
		return false;
	}
	at = head & (r->size - 1);
	first = r->size - at < len ? r->size - at : len;
	memcpy(r->data + at, line, first);
	memcpy(r->data, line + first, len - first);
	atomic_store_explicit(&r->head, head + len, memory_order_release);
	return true;
}

/* How many of the `len` bytes from `tail` on to write: up to the last end of a line. */
static size_t
whole_lines(const struct access_ring *r, size_t tail, size_t len)
{
	if (len <= WRITE_MAX)
		return len;
	len = WRITE_MAX;
	while (len > 0 && r->data[(tail + len - 1) & (r->size - 1)] != '\n')
		len--;
	return len;
}

int
access_ring_drain(struct access_ring *r, int fd)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_acquire);
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	struct pollfd ready = {.fd = fd, .events = POLLOUT};

	while (tail != head) {
		size_t len = whole_lines(r, tail, head - tail);
		size_t at = tail & (r->size - 1);
		size_t first = r->size - at < len ? r->size - at : len;
		struct iovec v[2] = {
		    {.iov_base = r->data + at, .iov_len = first},
		    {.iov_base = r->data, .iov_len = len - first},
		};
		ssize_t n;

		/* Standard output is shared with others who want it blocking. */
		if (poll(&ready, 1, 0) <= 0)
			return -EAGAIN;
		n = writev(fd, v, len > first ? 2 : 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		tail += (size_t)n;
		atomic_store_explicit(&r->tail, tail, memory_order_release);
	}
	return 0;
}

uint64_t
access_ring_dropped(const struct access_ring *r)
{
	return atomic_load_explicit(
	    (_Atomic uint64_t *)(uintptr_t)&r->dropped, memory_order_relaxed);
}
