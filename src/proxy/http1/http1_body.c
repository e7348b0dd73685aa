/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies: RFC 9112 section 6 and 7.1. One state per part of the chunked grammar; the
 * data inside a chunk is skipped in one step, everything else goes byte by byte.
 */
#include <string.h>

#include "base/hex.h"
#include "proxy/http1/http1.h"

enum {
	SIZE_FIRST, /* the first digit of a chunk size */
	SIZE,
	SPACE,	 /* behind the size: only ';' or the end may follow */
	EXT,	 /* behind ';' to the end of the line */
	SIZE_LF, /* after the CR of the size line */
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER,      /* at the start of a trailer line, or of the last CRLF */
	TRAILER_NAME, /* in a field name, before its colon */
	TRAILER_LINE,
	TRAILER_LF,
	LAST_LF /* after the CR of the empty line */
};

void
http1_body_init(struct http1_body *b, enum http1_framing framing, uint64_t length)
{
	memset(b, 0, sizeof(*b));
	b->framing = framing;
	b->left = framing == HTTP1_LENGTH ? length : 0;
	b->done = framing == HTTP1_NO_BODY || (framing == HTTP1_LENGTH && length == 0);
}

static void
fail(struct http1_body *b, enum http1_error e)
{
	b->error = e;
}

static bool
plain(char c) /* a character of a field value or a chunk extension */
{
	unsigned char u = (unsigned char)c;

	return (u >= 0x20 && u != 0x7f) || u == '\t';
}

static bool
token(char c)
{
	static const char mark[] = "!#$%&'*+-.^_`|~";

	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || (c != '\0' && strchr(mark, c) != NULL);
}

/* The size line: 1*HEXDIG [ chunk-ext ] CRLF. Its size may have 16 digits' value. */
static void
size_byte(struct http1_body *b, char c)
{
	int digit = hex_digit(c);

	switch (b->state) {
	case SIZE_FIRST:
		b->left = 0;
		b->line = 0;
		if (digit < 0)
			fail(b, HTTP1_BAD_CHUNK);
		b->left = (uint64_t)(digit < 0 ? 0 : digit);
		b->state = SIZE;
		return;
	case SIZE:
		if (digit >= 0) {
			/* Leading zeros are counted too: a line has its maximum. */
			if (b->left >> 58 != 0 || ++b->line > HTTP1_CHUNK_EXT_MAX)
				fail(b, HTTP1_BAD_CHUNK);
			b->left = b->left << 4 | (uint64_t)digit;
			return;
		}
		b->line = 0;
		if (c == '\r')
			b->state = SIZE_LF;
		else if (c == ' ' || c == '\t')
			b->state = SPACE;
		else if (c == ';')
			b->state = EXT;
		else
			fail(b, HTTP1_BAD_CHUNK);
		return;
	case SPACE:
		if (c == '\r' && b->padded)
			b->state = SIZE_LF;
		else if (c == ';')
			b->state = EXT;
		else if ((c != ' ' && c != '\t') || ++b->line > HTTP1_CHUNK_EXT_MAX)
			fail(b, HTTP1_BAD_CHUNK);
		return;
	case EXT:
		if (c == '\r')
			b->state = SIZE_LF;
		else if (!plain(c) || ++b->line > HTTP1_CHUNK_EXT_MAX)
			fail(b, HTTP1_BAD_CHUNK);
		return;
	default:
		ASSERT(b->state == SIZE_LF);
		if (c != '\n')
			fail(b, HTTP1_BAD_CHUNK);
		b->line = 0;
		b->state = b->left == 0 ? TRAILER : DATA;
		return;
	}
}

/* The trailer section: field lines, checked like those of a head, and an empty line. */
static void
trailer_byte(struct http1_body *b, char c)
{
	if (++b->line > HTTP1_TRAILER_MAX) {
		fail(b, HTTP1_LONG_TRAILER);
		return;
	}
	switch (b->state) {
	case TRAILER:
		if (c == '\r')
			b->state = LAST_LF;
		else if (token(c))
			b->state = TRAILER_NAME;
		else
			fail(b, HTTP1_BAD_CHUNK);
		return;
	case TRAILER_NAME:
		if (c == ':')
			b->state = TRAILER_LINE;
		else if (!token(c))
			fail(b, HTTP1_BAD_CHUNK);
		return;
	case TRAILER_LINE:
		if (c == '\r')
			b->state = TRAILER_LF;
		else if (!plain(c))
			fail(b, HTTP1_BAD_CHUNK);
		return;
	default:
		ASSERT(b->state == TRAILER_LF || b->state == LAST_LF);
		if (c != '\n')
			fail(b, HTTP1_BAD_CHUNK);
		else if (b->state == LAST_LF)
			b->done = true;
		b->state = TRAILER;
		return;
	}
}

static void
chunk_byte(struct http1_body *b, char c)
{
	if (b->state <= SIZE_LF) {
		size_byte(b, c);
	} else if (b->state >= TRAILER) {
		trailer_byte(b, c);
	} else if (b->state == DATA_CR) {
		if (c != '\r')
			fail(b, HTTP1_BAD_CHUNK);
		b->state = DATA_LF;
	} else {
		ASSERT(b->state == DATA_LF);
		if (c != '\n')
			fail(b, HTTP1_BAD_CHUNK);
		b->state = SIZE_FIRST;
	}
}

static size_t
least(uint64_t left, size_t len)
{
	return left < len ? (size_t)left : len;
}

/* Calls for runs of data move them together when `out` is given. */
static size_t
chunks(struct http1_body *b, const char *p, size_t len, char *out, size_t *data)
{
	size_t i = 0, n;

	ASSERT(p != NULL || len == 0);
	while (i < len && !b->done && b->error == HTTP1_OK) {
		if (b->state != DATA) {
			chunk_byte(b, p[i]);
			i += b->error == HTTP1_OK;
			continue;
		}
		n = least(b->left, len - i);
		if (out != NULL) {
			memmove(out + *data, p + i, n);
			*data += n;
		}
		i += n;
		b->left -= n;
		if (b->left == 0)
			b->state = DATA_CR;
	}
	return i;
}

size_t
http1_body_pass(struct http1_body *b, const char *p, size_t len)
{
	size_t n;

	switch (b->framing) {
	case HTTP1_LENGTH:
		n = least(b->left, len);
		b->left -= n;
		b->done = b->left == 0;
		return n;
	case HTTP1_CHUNKED:
		return chunks(b, p, len, NULL, NULL);
	case HTTP1_UNTIL_CLOSE:
	case HTTP1_TUNNEL:
		return len;
	case HTTP1_NO_BODY:
	default:
		b->done = true;
		return 0;
	}
}

size_t
http1_body_dechunk(struct http1_body *b, char *p, size_t len, size_t *data)
{
	ASSERT(b->framing == HTTP1_CHUNKED);
	*data = 0;
	return chunks(b, p, len, p, data);
}

size_t
http1_body_trailer(const struct http1_body *b)
{
	return b->framing == HTTP1_CHUNKED && b->state >= TRAILER ? b->line : 0;
}
