/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/h2/h2_memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* What stands before the bytes that nghttp2 gets. */
struct h2_piece {
	_Alignas(max_align_t) size_t size; /* of those bytes */
	struct h2_piece *next;		   /* while it is free */
};

/* The list for `size` bytes; H2_MEMORY_CLASSES: none. */
static size_t
class_of(size_t size)
{
	size_t steps = size / H2_MEMORY_STEP + (size % H2_MEMORY_STEP != 0);

	return steps == 0		       ? 0
	       : steps - 1 < H2_MEMORY_CLASSES ? steps - 1
					       : H2_MEMORY_CLASSES;
}

static void *
bytes_of(struct h2_piece *p)
{
	return p + 1;
}

static struct h2_piece *
piece_of(void *bytes)
{
	return (struct h2_piece *)bytes - 1;
}

static void *
get(size_t size, void *user)
{
	struct h2_memory *m = user;
	size_t class = class_of(size);
	struct h2_piece *p;

	if (class < H2_MEMORY_CLASSES && m->free[class] != NULL) {
		p = m->free[class];
		m->free[class] = p->next;
		m->kept -= p->size;
		return bytes_of(p);
	}
	if (class < H2_MEMORY_CLASSES)
		size = (class + 1) * H2_MEMORY_STEP;
	if (size > SIZE_MAX - sizeof(*p))
		return NULL;
	p = malloc(sizeof(*p) + size);
	if (p == NULL)
		return NULL;
	p->size = size;
	return bytes_of(p);
}

static void
put(void *bytes, void *user)
{
	struct h2_memory *m = user;
	struct h2_piece *p;
	size_t class;

	if (bytes == NULL)
		return;
	p = piece_of(bytes);
	class = class_of(p->size);
	if (class == H2_MEMORY_CLASSES || m->kept + p->size > H2_MEMORY_KEPT) {
		free(p);
		return;
	}
	p->next = m->free[class];
	m->free[class] = p;
	m->kept += p->size;
}

static void *
get_clear(size_t n, size_t size, void *user)
{
	void *bytes;

	if (size != 0 && n > SIZE_MAX / size)
		return NULL;
	bytes = get(n * size, user);
	if (bytes != NULL)
		memset(bytes, 0, n * size);
	return bytes;
}

static void *
get_more(void *bytes, size_t size, void *user)
{
	size_t had = bytes != NULL ? piece_of(bytes)->size : 0;
	void *more;

	if (bytes != NULL && size <= had)
		return bytes;
	more = get(size, user);
	if (more == NULL || bytes == NULL)
		return more;
	memcpy(more, bytes, had);
	put(bytes, user);
	return more;
}

void
h2_memory_init(struct h2_memory *m)
{
	*m = (struct h2_memory){.mem = {m, get, put, get_clear, get_more}};
}

void
h2_memory_done(struct h2_memory *m)
{
	for (size_t i = 0; i < H2_MEMORY_CLASSES; i++) {
		while (m->free[i] != NULL) {
			struct h2_piece *p = m->free[i];

			m->free[i] = p->next;
			free(p);
		}
	}
	m->kept = 0;
}
