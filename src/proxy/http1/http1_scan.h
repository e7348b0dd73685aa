/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http1_scan.h - the three searches that a head is made of, private to http1*.c.
 *
 * Each returns the first offset in [i, len) whose byte ends the run, or `len`. SSE2
 * belongs to every x86-64; other machines take the plain versions, which are compiled
 * everywhere so that tests can hold one against the other.
 */
#ifndef NINES_PROXY_HTTP1_SCAN_H
#define NINES_PROXY_HTTP1_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* RFC 9110 section 5.6.2: tchar, one bit per character. */
static inline bool
http1_is_token(char c)
{
	static const uint32_t set[8] = {
	    0, 0x03ff6cfa, /* ! # $ % & ' * + - . 0-9 */
	    0xc7fffffe,	   /* A-Z ^ _ */
	    0x57ffffff,	   /* ` a-z | ~ */
	};
	unsigned char u = (unsigned char)c;

	return (set[u >> 5] >> (u & 31) & 1) != 0;
}

/* What a field value, a reason or a chunk extension may hold (section 5.5). */
static inline bool
http1_is_text(char c)
{
	unsigned char u = (unsigned char)c;

	return (u >= 0x20 && u != 0x7f) || u == '\t';
}

static inline bool
http1_is_visible(char c)
{
	return c > 0x20 && c < 0x7f;
}

static inline size_t
http1_scan_token(const char *p, size_t i, size_t len)
{
	while (i < len && http1_is_token(p[i]))
		i++;
	return i;
}

static inline size_t
http1_scan_text_plain(const char *p, size_t i, size_t len)
{
	while (i < len && http1_is_text(p[i]))
		i++;
	return i;
}

static inline size_t
http1_scan_visible_plain(const char *p, size_t i, size_t len)
{
	while (i < len && http1_is_visible(p[i]))
		i++;
	return i;
}

#ifdef __SSE2__

static inline size_t
http1_scan_text(const char *p, size_t i, size_t len)
{
	const __m128i low = _mm_set1_epi8(0x1f), tab = _mm_set1_epi8('\t');
	const __m128i del = _mm_set1_epi8(0x7f);
	__m128i x, end;
	unsigned mask;

	for (; len - i >= 16; i += 16) {
		x = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
		end = _mm_cmpeq_epi8(_mm_min_epu8(x, low), x);
		end = _mm_andnot_si128(_mm_cmpeq_epi8(x, tab), end);
		end = _mm_or_si128(end, _mm_cmpeq_epi8(x, del));
		mask = (unsigned)_mm_movemask_epi8(end);
		if (mask != 0)
			return i + (size_t)__builtin_ctz(mask);
	}
	return http1_scan_text_plain(p, i, len);
}

static inline size_t
http1_scan_visible(const char *p, size_t i, size_t len)
{
	const __m128i space = _mm_set1_epi8(0x20), del = _mm_set1_epi8(0x7f);
	__m128i x, good;
	unsigned mask;

	for (; len - i >= 16; i += 16) {
		x = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
		/* Signed: bytes from 0x80 on are below the space. */
		good = _mm_cmpgt_epi8(x, space);
		good = _mm_andnot_si128(_mm_cmpeq_epi8(x, del), good);
		mask = (unsigned)_mm_movemask_epi8(good) ^ 0xffff;
		if (mask != 0)
			return i + (size_t)__builtin_ctz(mask);
	}
	return http1_scan_visible_plain(p, i, len);
}

#else

static inline size_t
http1_scan_text(const char *p, size_t i, size_t len)
{
	return http1_scan_text_plain(p, i, len);
}

static inline size_t
http1_scan_visible(const char *p, size_t i, size_t len)
{
	return http1_scan_visible_plain(p, i, len);
}

#endif

/* True if [p, p + len) is `word` (lower case) in any case. */
static inline bool
http1_is_word(const char *p, size_t len, const char *word, size_t word_len)
{
	if (len != word_len)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = p[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c | 0x20);
		if (c != word[i])
			return false;
	}
	return true;
}

#define HTTP1_IS(p, len, word) http1_is_word(p, len, word, sizeof(word) - 1)

#endif /* NINES_PROXY_HTTP1_SCAN_H */
