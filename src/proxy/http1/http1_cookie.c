/* SPDX-License-Identifier: Apache-2.0 */
/* Cookies of a request: RFC 6265 section 4.2.1. */
#include <string.h>
#include <strings.h>

#include "proxy/http1/http1.h"

static bool
is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* The value of `name` in the pairs at [at, end) of `p`. */
static bool
find_pair(const char *p, uint32_t at, uint32_t end, const char *name,
    struct http1_slice *value)
{
	size_t len = strlen(name);

	while (at < end) {
		const char *semicolon = memchr(p + at, ';', end - at);
		uint32_t stop = semicolon != NULL ? (uint32_t)(semicolon - p) : end;
		uint32_t last = stop;

		while (at < last && is_space(p[at]))
			at++;
		while (at < last && is_space(p[last - 1]))
			last--;
		if (last - at > len && memcmp(p + at, name, len) == 0 &&
		    p[at + len] == '=') {
			value->off = at + (uint32_t)len + 1;
			value->len = last - value->off;
			return true;
		}
		at = stop + 1;
	}
	return false;
}

struct http1_slice
http1_cookie(const struct http1_head *head, const char *p, const char *name)
{
	struct http1_slice value = {0, 0};

	for (unsigned i = 0; i < head->n_fields; i++) {
		const struct http1_field *f = &head->field[i];

		if (f->name.len == 6 &&
		    strncasecmp(p + f->name.off, "cookie", 6) == 0 &&
		    find_pair(
			p, f->value.off, f->value.off + f->value.len, name, &value))
			break;
	}
	return value;
}
