/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sbuf.h - a string under construction, born with its maximum.
 *
 * Errors stick (`bad`): past the maximum or out of memory nothing more is added,
 * so a long text is built straight through and tested once. The text is always
 * NUL-terminated; sbuf_text() of an empty one is "".
 */
#ifndef NINES_BASE_SBUF_H
#define NINES_BASE_SBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

struct sbuf {
	char *p;
	size_t len, cap, max;
	bool bad;
};

void sbuf_init(struct sbuf *b, size_t max);
void sbuf_done(struct sbuf *b); /* frees the text; init again before further use */

void sbuf_put(struct sbuf *b, const char *s, size_t len);
void sbuf_puts(struct sbuf *b, const char *s);
void sbuf_printf(struct sbuf *b, const char *fmt, ...) PRINTF(2, 3);

/* Two digits for each of the `n` bytes, in lower case. */
void sbuf_hex(struct sbuf *b, const uint8_t *p, size_t n);

/* A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void sbuf_json(struct sbuf *b, const char *s);

const char *sbuf_text(const struct sbuf *b);

#endif /* NINES_BASE_SBUF_H */
