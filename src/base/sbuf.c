/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
sbuf_init(struct sbuf *b, size_t max)
{
	*b = (struct sbuf){.max = max};
}

void
sbuf_done(struct sbuf *b)
{
	free(b->p);
	*b = (struct sbuf){.max = b->max};
}

/* Room for `len` more bytes and the NUL. */
static bool
reserve(struct sbuf *b, size_t len)
{
	size_t cap = b->cap;
	char *p;

	if (b->bad || len > b->max - b->len) {
		b->bad = true;
		return false;
	}
	while (cap < b->len + len + 1)
		cap = cap == 0 ? 256 : cap * 2;
	if (cap == b->cap)
		return true;
	p = realloc(b->p, cap);
	if (p == NULL) {
		b->bad = true;
		return false;
	}
	b->p = p;
	b->cap = cap;
	return true;
}

void
sbuf_put(struct sbuf *b, const char *s, size_t len)
{
	if (!reserve(b, len))
		return;
	if (len > 0)
		memcpy(b->p + b->len, s, len);
	b->len += len;
	b->p[b->len] = '\0';
}

void
sbuf_puts(struct sbuf *b, const char *s)
{
	sbuf_put(b, s, strlen(s));
}

void
sbuf_printf(struct sbuf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !reserve(b, (size_t)n)) {
		b->bad = true;
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(b->p + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void
sbuf_hex(struct sbuf *b, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sbuf_printf(b, "%02x", p[i]);
}

/* Length of the UTF-8 sequence at `s`, 0 if there is none (RFC 3629). */
static size_t
utf8_len(const unsigned char *s)
{
	size_t n = s[0] < 0x80			  ? 1
		   : s[0] >= 0xc2 && s[0] <= 0xdf ? 2
		   : (s[0] & 0xf0) == 0xe0	  ? 3
		   : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
						  : 0;

	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

void
sbuf_json(struct sbuf *b, const char *s)
{
	sbuf_puts(b, "\"");
	while (*s != '\0') {
		size_t n = utf8_len((const unsigned char *)s);

		if (n == 0)
			sbuf_puts(b, "\\ufffd");
		else if (*s == '"' || *s == '\\')
			sbuf_printf(b, "\\%c", *s);
		else if ((unsigned char)*s < 0x20 || *s == 0x7f)
			sbuf_printf(b, "\\u%04x", (unsigned)*s);
		else
			sbuf_put(b, s, n);
		s += n > 0 ? n : 1;
	}
	sbuf_puts(b, "\"");
}

const char *
sbuf_text(const struct sbuf *b)
{
	return b->p != NULL ? b->p : "";
}
