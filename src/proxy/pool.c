/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/pool.h"

#include <stdint.h>
#include <sys/mman.h>

#define CHUNK ((size_t)65536) /* bytes, and what its address is a multiple of */
#define ALIGN ((size_t)16)
#define SPARE 8 /* empty chunks that are kept: objects come and go */

#ifdef __SANITIZE_ADDRESS__
#define POISONED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONED 1
#endif
#endif
#ifdef POISONED
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)	  ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

struct chunk {
	struct list link; /* pool->chunks, while there is room */
	void *free;	  /* objects that were put back: each begins with the next */
	size_t n_used;
	size_t end; /* of what was ever in use */
};

#define HEAD ((sizeof(struct chunk) + ALIGN - 1) & ~(ALIGN - 1))

void
pool_init(struct pool *p, size_t size)
{
	*p = (struct pool){.size = (size + ALIGN - 1) & ~(ALIGN - 1)};
	ASSERT(p->size > 0 && p->size <= (CHUNK - HEAD) / 8);
	list_init(&p->chunks);
}

/* The address tells the chunk of an object, so that it needs no header. */
static struct chunk *
map_chunk(void)
{
	char *p = mmap(NULL, 2 * CHUNK, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t skip;

	if (p == MAP_FAILED)
		return NULL;
	skip = (CHUNK - (uintptr_t)p % CHUNK) % CHUNK;
	if (skip > 0)
		(void)munmap(p, skip);
	(void)munmap(p + skip + CHUNK, CHUNK - skip);
	return (struct chunk *)(void *)(p + skip);
}

static struct chunk *
new_chunk(struct pool *p)
{
	struct chunk *c = map_chunk();

	if (c == NULL)
		return NULL;
	c->free = NULL;
	c->n_used = 0;
	c->end = HEAD;
	list_init(&c->link);
	list_append(&p->chunks, &c->link);
	p->n_empty++;
	ASAN_POISON_MEMORY_REGION((char *)c + HEAD, CHUNK - HEAD);
	return c;
}

static void
free_chunk(struct chunk *c)
{
	list_remove(&c->link);
	ASAN_UNPOISON_MEMORY_REGION(c, CHUNK);
	(void)munmap(c, CHUNK);
}

void
pool_done(struct pool *p)
{
	ASSERT(p->n_used == 0);
	LIST_EACH(n, next, &p->chunks)
	{
		free_chunk((struct chunk *)(void *)n);
	}
}

void *
pool_get(struct pool *p)
{
	struct chunk *c = (struct chunk *)(void *)p->chunks.next;
	void *object;

	if (list_empty(&p->chunks))
		c = new_chunk(p);
	if (c == NULL)
		return NULL;
	object = c->free;
	if (object != NULL) {
		ASAN_UNPOISON_MEMORY_REGION(object, p->size);
		c->free = *(void **)object;
	} else {
		object = (char *)c + c->end;
		ASAN_UNPOISON_MEMORY_REGION(object, p->size);
		c->end += p->size;
	}
	if (c->n_used++ == 0)
		p->n_empty--;
	p->n_used++;
	if (c->free == NULL && c->end + p->size > CHUNK)
		list_remove(&c->link);
	return object;
}

void
pool_put(struct pool *p, void *object)
{
	struct chunk *c;

	if (object == NULL)
		return;
	c = (struct chunk *)(void *)((char *)object - (uintptr_t)object % CHUNK);
	ASSERT(c->n_used > 0 && p->n_used > 0);
	if (c->free == NULL && c->end + p->size > CHUNK)
		list_prepend(&p->chunks, &c->link);
	*(void **)object = c->free;
	c->free = object;
	c->n_used--;
	p->n_used--;
	ASAN_POISON_MEMORY_REGION(object, p->size);
	if (c->n_used > 0)
		return;
	if (p->n_empty == SPARE) {
		free_chunk(c);
		return;
	}
	/* Behind those in use, so that they fill up and this one can go. */
	p->n_empty++;
	list_remove(&c->link);
	list_append(&p->chunks, &c->link);
}
