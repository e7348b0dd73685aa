/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http1_out.h - text that goes into memory of a given size: heads, and parts of them.
 */
#ifndef NINES_PROXY_HTTP1_OUT_H
#define NINES_PROXY_HTTP1_OUT_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Begins as {.p = memory, .cap = its size}. */
struct http1_out {
	char *p;
	size_t len, cap;
	bool bad; /* something did not fit, and nothing does any more */
};

/* Inline: of what is constant, only some stores remain. */
static inline void
http1_put(struct http1_out *o, const char *s, size_t len)
{
	if (o->cap - o->len < len) {
		o->bad = true;
		o->cap = o->len;
		return;
	}
	if (len > 0)
		memcpy(o->p + o->len, s, len);
	o->len += len;
}

static inline void
http1_put_text(struct http1_out *o, const char *s)
{
	http1_put(o, s, strlen(s));
}

#define HTTP1_PUT(o, literal) http1_put(o, literal, sizeof(literal) - 1)

/* The length of it all, or -ENOBUFS. */
static inline int
http1_out_len(const struct http1_out *o)
{
	return o->bad ? -ENOBUFS : (int)o->len;
}

#endif /* NINES_PROXY_HTTP1_OUT_H */
