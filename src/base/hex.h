/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hex.h - hexadecimal digits, as others write them: in either case.
 */
#ifndef NINES_BASE_HEX_H
#define NINES_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Its value, or -1. */
static inline int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The `n` bytes that 2 * n digits at `text` are, of which a 0 may end the text early.
 * False: they are not; `out` has a part of them then. */
static inline bool
hex_bytes(const char *text, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(text[2 * i]);
		int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

		if (low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

#endif /* NINES_BASE_HEX_H */
