/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health_http.h - reads the answer to an HTTP check, piece by piece (pure).
 *
 * It needs no more of the answer than its verdict does: the head for the status, the
 * body (RFC 9112, 6: length, chunks or end of connection) only where a text is looked
 * for. Memory is constant, and what is too long is refused.
 */
#ifndef NINES_HEALTH_HEALTH_HTTP_H
#define NINES_HEALTH_HEALTH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEALTH_HTTP_HEAD_MAX 65536   /* bytes of heads, interim ones included */
#define HEALTH_HTTP_BODY_MAX 1048576 /* bytes of body in which the text must occur */
#define HEALTH_HTTP_LINE_MAX 256     /* of a longer line the rest is passed over */
#define HEALTH_HTTP_TEXT_MAX 1024    /* bytes of a text looked for */

struct health_http_want {
	unsigned status_min, status_max;
	const char *text; /* must occur in the body; or NULL. Kept by reference */
	bool head;	  /* the method is HEAD: there is no body */
};

enum health_http_verdict {
	HEALTH_HTTP_MORE,
	HEALTH_HTTP_GOOD,
	HEALTH_HTTP_NOT_HTTP, /* `line` is how it began */
	HEALTH_HTTP_STATUS,   /* `status` is not wanted */
	HEALTH_HTTP_NO_TEXT,  /* the body has no such text */
	HEALTH_HTTP_TOO_LONG, /* ... or not in the part that is looked at */
	HEALTH_HTTP_BROKEN,   /* lengths make no sense */
	HEALTH_HTTP_SHORT,    /* the connection ended before the answer did */
};

enum health_http_state {
	HEALTH_HTTP_AT_STATUS,
	HEALTH_HTTP_AT_FIELD,
	HEALTH_HTTP_AT_BODY,
	HEALTH_HTTP_AT_CHUNK,	  /* the line with its size */
	HEALTH_HTTP_AT_CHUNK_END, /* the empty line after its data */
};

struct health_http {
	struct health_http_want want;
	enum health_http_state state;
	enum health_http_verdict verdict;
	unsigned status;
	size_t head, body; /* bytes read */
	char line[HEALTH_HTTP_LINE_MAX];
	size_t line_len;
	bool chunked, sized;
	uint64_t left; /* of the body, or of this chunk */
	char window[2 * HEALTH_HTTP_TEXT_MAX];
	size_t window_len;
};

void health_http_init(struct health_http *h, const struct health_http_want *want);

/* Further bytes. Once there is a verdict it stays. */
enum health_http_verdict health_http_feed(
    struct health_http *h, const char *p, size_t len);

/* The connection ended; never HEALTH_HTTP_MORE. */
enum health_http_verdict health_http_end(struct health_http *h);

#endif /* NINES_HEALTH_HEALTH_HTTP_H */
