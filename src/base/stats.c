/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The segment: a header line, then blocks. A block is a 64-byte-aligned record
 * { size, writer, n, name, label, n field names, values on lines of their own }. The
 * header's `used` is stored last, with release, so that a reader never sees half a
 * block; it checks every length against the segment all the same, since a reader
 * must not trust a process that may be broken.
 */
#include "base/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC	 UINT64_C(0x6e696e6573737431) /* "ninesst1" */
#define LINE	 ((size_t)64)
#define ROUND(n) (((n) + LINE - 1) & ~(LINE - 1))

struct header {
	uint64_t magic;
	_Atomic uint64_t used; /* bytes of the segment, header included */
};

struct block {
	uint32_t size; /* of the whole record */
	uint32_t writer;
	uint32_t n;
	uint32_t values; /* offset of the values in the record */
	char name[STATS_NAME_LEN];
	char label[STATS_LABEL_LEN];
	char field[][STATS_NAME_LEN];
};

struct stats {
	char *map;
	bool writable;
	int lock_fd; /* writers: their own, so that its lock dies with them */
};

static struct stats *
map_segment(int fd, int prot)
{
	struct stats *s = calloc(1, sizeof(*s));
	void *p;

	if (s == NULL)
		return NULL;
	p = mmap(NULL, STATS_SIZE, prot, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		free(s);
		return NULL;
	}
	s->map = p;
	s->lock_fd = -1;
	s->writable = prot & PROT_WRITE;
	return s;
}

static struct header *
header(const struct stats *s)
{
	return (struct header *)(void *)s->map;
}

struct stats *
stats_create(int fd)
{
	struct stats *s = map_segment(fd, PROT_READ | PROT_WRITE);

	if (s == NULL)
		return NULL;
	s->lock_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (s->lock_fd < 0) {
		stats_close(s);
		return NULL;
	}
	if (header(s)->magic == MAGIC)
		return s;
	atomic_store_explicit(&header(s)->used, LINE, memory_order_relaxed);
	header(s)->magic = MAGIC;
	return s;
}

struct stats *
stats_open(int fd)
{
	struct stat st;
	struct stats *s;

	if (fstat(fd, &st) != 0)
		return NULL;
	if ((size_t)st.st_size < STATS_SIZE) {
		errno = EBADMSG;
		return NULL;
	}
	s = map_segment(fd, PROT_READ);
	if (s != NULL && header(s)->magic != MAGIC) {
		stats_close(s);
		errno = EBADMSG;
		return NULL;
	}
	return s;
}

void
stats_close(struct stats *s)
{
	if (s == NULL)
		return;
	if (s->lock_fd >= 0)
		(void)close(s->lock_fd);
	(void)munmap(s->map, STATS_SIZE);
	free(s);
}

static size_t
used(const struct stats *s)
{
	size_t n = atomic_load_explicit(&header(s)->used, memory_order_acquire);

	return n <= STATS_SIZE ? n : STATS_SIZE;
}

/* The record at `*off`, which is moved behind it; NULL at the end or if it is bad. */
static struct block *
next_block(const struct stats *s, size_t *off, size_t end)
{
	struct block *b;

	if (end - *off < sizeof(*b))
		return NULL;
	b = (struct block *)(void *)(s->map + *off);
	if (b->size < sizeof(*b) || b->size > end - *off || b->size % LINE != 0 ||
	    b->n > STATS_FIELD_MAX || b->values % LINE != 0 || b->values > b->size ||
	    sizeof(*b) + b->n * (size_t)STATS_NAME_LEN > b->values ||
	    b->n * sizeof(stats_t) > b->size - b->values)
		return NULL;
	*off += b->size;
	return b;
}

static stats_t *
values(struct block *b)
{
	return (stats_t *)(void *)((char *)b + b->values);
}

static bool
same(const struct block *b, const char *name, const char *label, unsigned writer,
    size_t n)
{
	return b->writer == writer && b->n == n &&
	       strncmp(b->name, name, sizeof(b->name)) == 0 &&
	       strncmp(b->label, label, sizeof(b->label)) == 0;
}

/* Cuts what is too long: a label is for people. */
static void
copy(char *dst, size_t size, const char *src)
{
	size_t n = strnlen(src, size - 1);

	memcpy(dst, src, n);
	dst[n] = '\0';
}

static stats_t *
find_or_add(struct stats *s, const char *name, const char *label, unsigned writer,
    const char *const fields[], size_t n)
{
	size_t off = LINE, end = used(s), names, size;
	struct block *b;

	while ((b = next_block(s, &off, end)) != NULL) {
		if (same(b, name, label, writer, n))
			return values(b);
	}
	names = ROUND(sizeof(*b) + n * STATS_NAME_LEN);
	size = names + ROUND(n * sizeof(stats_t));
	if (size > STATS_SIZE - end)
		return NULL;
	b = (struct block *)(void *)(s->map + end);
	memset(b, 0, size);
	b->size = (uint32_t)size;
	b->writer = writer;
	b->n = (uint32_t)n;
	b->values = (uint32_t)names;
	copy(b->name, sizeof(b->name), name);
	copy(b->label, sizeof(b->label), label);
	for (size_t i = 0; i < n; i++)
		copy(b->field[i], sizeof(b->field[i]), fields[i]);
	atomic_store_explicit(&header(s)->used, end + size, memory_order_release);
	return values(b);
}

stats_t *
stats_block(struct stats *s, const char *name, const char *label, unsigned writer,
    const char *const fields[], size_t n)
{
	/* A part and its spare may create blocks at the same time. */
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	char short_label[STATS_LABEL_LEN];
	stats_t *found;

	ASSERT(s->writable && n > 0 && n <= STATS_FIELD_MAX);
	copy(short_label, sizeof(short_label), label);
	while (fcntl(s->lock_fd, F_OFD_SETLKW, &lock) != 0) {
		if (errno != EINTR)
			return NULL;
	}
	found = find_or_add(s, name, short_label, writer, fields, n);
	lock.l_type = F_UNLCK;
	(void)fcntl(s->lock_fd, F_OFD_SETLK, &lock);
	return found;
}

void
stats_each(const struct stats *s,
    void (*cb)(void *arg, const char *name, const char *label, unsigned writer,
	const char *field, uint64_t value),
    void *arg)
{
	char name[STATS_NAME_LEN], label[STATS_LABEL_LEN], field[STATS_NAME_LEN];
	size_t off = LINE, end = used(s);
	struct block *b;

	while ((b = next_block(s, &off, end)) != NULL) {
		/* Copies that end: the writer may be broken. */
		copy(name, sizeof(name), b->name);
		copy(label, sizeof(label), b->label);
		for (size_t i = 0; i < b->n; i++) {
			copy(field, sizeof(field), b->field[i]);
			cb(arg, name, label, b->writer, field,
			    stats_get(&values(b)[i]));
		}
	}
}
