/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tls/tls_memory.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LARGE  4096 /* bytes, from which on a block is taken */
#define BLOCK  ((size_t)24576)
#define BLOCKS 43690 /* 1 GiB of addresses; pages are there when they are used */
#define KEPT   128   /* blocks that a thread keeps for itself */

/*
 * OpenSSL's functions take no argument that could lead to a state of ours: hence the
 * only variables of this program's libraries, but for the log's.
 */
static struct {
	pthread_mutex_t lock;
	char *start;
	uint32_t n_free, n_used; /* blocks of `free`; blocks that were ever in use */
	uint32_t free[BLOCKS];	 /* not within the blocks: their pages are gone */
} region = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local struct {
	unsigned n;
	uint32_t block[KEPT];
} kept;

static bool
is_block(const void *p)
{
	return region.start != NULL && (const char *)p >= region.start &&
	       (const char *)p < region.start + BLOCK * BLOCKS;
}

static void *
take(void)
{
	uint32_t i = BLOCKS;

	if (kept.n > 0)
		return region.start + BLOCK * kept.block[--kept.n];
	(void)pthread_mutex_lock(&region.lock);
	if (region.n_free > 0)
		i = region.free[--region.n_free];
	else if (region.n_used < BLOCKS)
		i = region.n_used++;
	(void)pthread_mutex_unlock(&region.lock);
	return i < BLOCKS ? region.start + BLOCK * i : NULL;
}

static void
give(void *p)
{
	uint32_t i = (uint32_t)((size_t)((char *)p - region.start) / BLOCK);

	if (kept.n < KEPT) {
		kept.block[kept.n++] = i;
		return;
	}
	(void)madvise(p, BLOCK, MADV_DONTNEED);
	(void)pthread_mutex_lock(&region.lock);
	region.free[region.n_free++] = i;
	(void)pthread_mutex_unlock(&region.lock);
}

static void *
get(size_t size, const char *file, int line)
{
	void *p = NULL;

	(void)file;
	(void)line;
	if (size >= LARGE && size <= BLOCK && region.start != NULL)
		p = take();
	return p != NULL ? p : malloc(size > 0 ? size : 1);
}

static void
put(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	if (is_block(p))
		give(p);
	else
		free(p);
}

static void *
resize(void *p, size_t size, const char *file, int line)
{
	bool block = is_block(p);
	size_t had;
	void *q;

	if (p != NULL && !block && size < LARGE)
		return realloc(p, size);
	if (block && size > 0 && size <= BLOCK)
		return p;
	q = size > 0 || p == NULL ? get(size, file, line) : NULL;
	if (p != NULL && (q != NULL || size == 0)) {
		had = block ? BLOCK : malloc_usable_size(p);
		if (q != NULL)
			memcpy(q, p, had < size ? had : size);
		put(p, file, line);
	}
	return q;
}

void
tls_memory_init(void)
{
	void *p = mmap(NULL, BLOCK * BLOCKS, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return;
	if (CRYPTO_set_mem_functions(get, resize, put) == 1)
		region.start = p;
	else
		(void)munmap(p, BLOCK * BLOCKS);
}
