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
#include <string.h>

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
http1_scan_token_plain(const char *p, size_t i, size_t len)
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

/* A bit for each of 16 bytes that is neither letter nor digit nor "-": most names have
 * nothing else, and the rest of a token is looked at one by one. */
static inline unsigned
http1_stops_plain_token(const char *p)
{
	__m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i letter =
	    _mm_sub_epi8(_mm_or_si128(x, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
	__m128i digit = _mm_sub_epi8(x, _mm_set1_epi8('0'));
	__m128i good = _mm_cmpeq_epi8(x, _mm_set1_epi8('-'));

	/* Unsigned: x <= n is min(x, n) == x. */
	good = _mm_or_si128(
	    good, _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(25)), letter));
	good = _mm_or_si128(
	    good, _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit));
	return (unsigned)_mm_movemask_epi8(good) ^ 0xffff;
}

static inline unsigned
http1_stops_text(const char *p)
{
	__m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i end = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1f)), x);

	end = _mm_andnot_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('\t')), end);
	end = _mm_or_si128(end, _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f)));
	return (unsigned)_mm_movemask_epi8(end);
}

static inline unsigned
http1_stops_visible(const char *p)
{
	__m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
	/* Signed: bytes from 0x80 on are below the space. */
	__m128i good = _mm_cmpgt_epi8(x, _mm_set1_epi8(0x20));

	good = _mm_andnot_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f)), good);
	return (unsigned)_mm_movemask_epi8(good) ^ 0xffff;
}

/* The last 16 bytes are looked at together, even if some of them were before. */
static inline size_t
http1_scan_16(const char *p, size_t i, size_t len, unsigned (*stops)(const char *),
    size_t (*plain)(const char *, size_t, size_t))
{
	unsigned mask;

	for (; len - i >= 16; i += 16) {
		mask = stops(p + i);
		if (mask != 0)
			return i + (size_t)__builtin_ctz(mask);
	}
	if (len < 16)
		return plain(p, i, len);
	mask = stops(p + len - 16) >> (16 - (len - i));
	return mask != 0 ? i + (size_t)__builtin_ctz(mask) : len;
}

static inline size_t
http1_scan_token(const char *p, size_t i, size_t len)
{
	i = http1_scan_16(p, i, len, http1_stops_plain_token, http1_scan_token_plain);
	return http1_scan_token_plain(p, i, len);
}

static inline size_t
http1_scan_text(const char *p, size_t i, size_t len)
{
	return http1_scan_16(p, i, len, http1_stops_text, http1_scan_text_plain);
}

static inline size_t
http1_scan_visible(const char *p, size_t i, size_t len)
{
	return http1_scan_16(p, i, len, http1_stops_visible, http1_scan_visible_plain);
}

#else

static inline size_t
http1_scan_token(const char *p, size_t i, size_t len)
{
	return http1_scan_token_plain(p, i, len);
}

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

/* True if the eight bytes at `p` are those at `word`, but for the bit that makes
 * letters small. */
static inline bool
http1_same8(const char *p, const char *word)
{
	uint64_t x, y;

	memcpy(&x, p, sizeof(x));
	memcpy(&y, word, sizeof(y));
	return (x | UINT64_C(0x2020202020202020)) == y;
}

/*
 * True if [p, p + len) is `word` in any case. The word is in lower case and of letters,
 * digits and "-/:.", so that with this bit nothing else becomes one of its characters
 * but controls, which no head has that got as far as words.
 */
static inline bool
http1_is_word(const char *p, size_t len, const char *word, size_t word_len)
{
	size_t i = 0;

	if (len != word_len)
		return false;
	for (; word_len - i >= 8; i += 8) {
		if (!http1_same8(p + i, word + i))
			return false;
	}
	if (word_len >= 8)
		return http1_same8(p + (word_len - 8), word + (word_len - 8));
	for (; i < word_len; i++) {
		if ((p[i] | 0x20) != word[i])
			return false;
	}
	return true;
}

#define HTTP1_IS(p, len, word) http1_is_word(p, len, word, sizeof(word) - 1)

#endif /* NINES_PROXY_HTTP1_SCAN_H */
