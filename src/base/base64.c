/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#include <errno.h>
#include <string.h>

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* 0 to 63, or -1. Looks at the whole alphabet: how long it takes says nothing. */
static int
value_of(char c)
{
	int v = -1;

	for (int i = 0; i < 64; i++)
		v = alphabet[i] == c ? i : v;
	return v;
}

int
base64_decode(uint8_t *out, size_t n, const char *s)
{
	size_t done = 0;

	if (strlen(s) != BASE64_LEN(n) - 1)
		return -EINVAL;
	while (done < n) {
		size_t bytes = n - done < 3 ? n - done : 3;
		uint32_t v = 0;

		for (size_t i = 0; i < 4; i++) {
			int x = i <= bytes ? value_of(*s) : *s == '=' ? 0 : -1;

			if (x < 0)
				return -EINVAL;
			v = v << 6 | (uint32_t)x;
			s++;
		}
		if ((v & ((1U << 8 * (3 - bytes)) - 1)) != 0)
			return -EINVAL;
		for (size_t i = 0; i < bytes; i++)
			out[done++] = (uint8_t)(v >> (16 - 8 * i) & 0xff);
	}
	return 0;
}

const char *
base64_encode(const uint8_t *in, size_t n, char *out)
{
	char *p = out;

	for (size_t at = 0; at < n; at += 3) {
		size_t bytes = n - at < 3 ? n - at : 3;
		uint32_t v = 0;

		for (size_t i = 0; i < 3; i++)
			v = v << 8 | (i < bytes ? in[at + i] : 0);
		for (size_t i = 0; i < 4; i++)
			*p++ = i <= bytes ? alphabet[v >> (18 - 6 * i) & 63] : '=';
	}
	*p = '\0';
	return out;
}
