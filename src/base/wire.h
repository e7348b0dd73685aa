/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - bounds-checked readers and writers for network and message formats.
 *
 * Errors stick: after the first short read or write every further call is a
 * no-op (reads give 0), so a codec is straight-line code with one test at its
 * end: rd_done(), or the `bad` flag of a writer. Integers are big endian. No
 * struct is ever cast onto bytes.
 */
#ifndef NINES_BASE_WIRE_H
#define NINES_BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"

struct rd {
	const uint8_t *p;
	size_t left;
	bool bad;
};

struct wr {
	uint8_t *p;
	size_t left;
	bool bad;
};

static inline const uint8_t *
rd_take(struct rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || r->left < n) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	r->left -= n;
	return p;
}

static inline uint8_t
rd_u8(struct rd *r)
{
	const uint8_t *p = rd_take(r, 1);

	return p != NULL ? p[0] : 0;
}

static inline uint16_t
rd_u16(struct rd *r)
{
	const uint8_t *p = rd_take(r, 2);

	return (uint16_t)(p != NULL ? p[0] << 8 | p[1] : 0);
}

static inline uint32_t
rd_u32(struct rd *r)
{
	uint32_t hi = rd_u16(r);

	return hi << 16 | rd_u16(r);
}

static inline uint64_t
rd_u64(struct rd *r)
{
	uint64_t hi = rd_u32(r);

	return hi << 32 | rd_u32(r);
}

/* Copies `n` bytes to `dst`; on a short read `dst` is untouched. */
static inline void
rd_bytes(struct rd *r, void *dst, size_t n)
{
	const uint8_t *p = rd_take(r, n);

	if (p != NULL && n > 0)
		memcpy(dst, p, n);
}

/*
 * A string of at most `size` - 1 bytes behind a 16-bit length, as a C string.
 * Longer ones and ones with a NUL inside are bad input. On error `dst` is "".
 */
static inline void
rd_str(struct rd *r, char *dst, size_t size)
{
	size_t n = rd_u16(r);
	const uint8_t *p;

	dst[0] = '\0';
	if (n >= size)
		r->bad = true;
	p = rd_take(r, n);
	if (p == NULL)
		return;
	if (memchr(p, 0, n) != NULL) {
		r->bad = true;
		return;
	}
	memcpy(dst, p, n);
	dst[n] = '\0';
}

/* True if nothing was short and every byte was read. */
MUST_CHECK static inline bool
rd_done(const struct rd *r)
{
	return !r->bad && r->left == 0;
}

static inline void
wr_bytes(struct wr *w, const void *src, size_t n)
{
	if (w->bad || w->left < n) {
		w->bad = true;
		return;
	}
	if (n > 0)
		memcpy(w->p, src, n);
	w->p += n;
	w->left -= n;
}

static inline void
wr_u8(struct wr *w, uint8_t v)
{
	wr_bytes(w, &v, 1);
}

static inline void
wr_u16(struct wr *w, uint16_t v)
{
	const uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)(v & 0xff)};

	wr_bytes(w, b, sizeof(b));
}

static inline void
wr_u32(struct wr *w, uint32_t v)
{
	const uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16 & 0xff),
	    (uint8_t)(v >> 8 & 0xff), (uint8_t)(v & 0xff)};

	wr_bytes(w, b, sizeof(b));
}

static inline void
wr_u64(struct wr *w, uint64_t v)
{
	wr_u32(w, (uint32_t)(v >> 32));
	wr_u32(w, (uint32_t)(v & UINT32_MAX));
}

/* The counterpart of rd_str(). */
static inline void
wr_str(struct wr *w, const char *s)
{
	size_t n = strlen(s);

	if (n > UINT16_MAX) {
		w->bad = true;
		return;
	}
	wr_u16(w, (uint16_t)n);
	wr_bytes(w, s, n);
}

#endif /* NINES_BASE_WIRE_H */
