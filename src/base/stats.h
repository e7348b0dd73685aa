/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats.h - counters of one part in one shared-memory segment.
 *
 * The owner adds with relaxed stores and no lock; readers (`nines status`,
 * `nines top`, monitor, console) map the segment read-only and never disturb it.
 * A block is a row of counters that belong together and to one writer (one worker,
 * one server); blocks are cache-line aligned so that writers do not share lines.
 * Several blocks may carry the same name and label: readers sum them.
 */
#ifndef NINES_BASE_STATS_H
#define NINES_BASE_STATS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

#define STATS_SIZE	((size_t)4 << 20)
#define STATS_NAME_LEN	32 /* with the NUL; such as "proxy_server" */
#define STATS_LABEL_LEN 96 /* with the NUL; such as "service=site server=web1:80" */
#define STATS_FIELD_MAX 32

typedef _Atomic uint64_t stats_t;

struct stats;

/* Writes the header into a zeroed mapping of the whole of `fd` (STATS_SIZE bytes,
 * kept by the caller). NULL with errno set on failure. */
struct stats *stats_create(int fd) MUST_CHECK;
/* Maps read-only; checks header and bounds. */
struct stats *stats_open(int fd) MUST_CHECK;
void stats_close(struct stats *s); /* NULL is fine */

/*
 * A block of `n` zeroed counters named `fields[0..n)` (each shorter than
 * STATS_NAME_LEN). The block of the same name, label and `writer` is returned again,
 * with its values, when it exists: counters survive a restart of their part.
 * NULL when the segment is full. Safe against another process that creates blocks in
 * the same segment through a descriptor opened separately, not against another thread.
 */
stats_t *stats_block(struct stats *s, const char *name, const char *label,
    unsigned writer, const char *const fields[], size_t n) MUST_CHECK;

static inline void
stats_add(stats_t *c, uint64_t n) /* one writer: no locked instruction needed */
{
	atomic_store_explicit(
	    c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline void
stats_set(stats_t *c, uint64_t v)
{
	atomic_store_explicit(c, v, memory_order_relaxed);
}

static inline uint64_t
stats_get(const stats_t *c)
{
	return atomic_load_explicit((stats_t *)(uintptr_t)c, memory_order_relaxed);
}

/* Calls `cb` for every counter in order of creation. */
void stats_each(const struct stats *s,
    void (*cb)(void *arg, const char *name, const char *label, unsigned writer,
	const char *field, uint64_t value),
    void *arg);

#endif /* NINES_BASE_STATS_H */
