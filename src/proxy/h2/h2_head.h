/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_head.h - heads of HTTP/2 as heads of HTTP/1.1, and back.
 *
 * Pure. A stream's header fields are gathered one by one into memory of the caller's
 * and then written as one strict HTTP/1.1 head, which the rest of the proxy reads like
 * any other; an answer's HTTP/1.1 head becomes an array of fields. Nothing that comes
 * in can make more lines out of one: names are lower-case tokens, values have no
 * control characters, fields that belong to one connection are refused (RFC 9113
 * section 8.2), and Transfer-Encoding is only ever written here.
 */
#ifndef NINES_PROXY_H2_HEAD_H
#define NINES_PROXY_H2_HEAD_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "proxy/http1/http1.h"

/* What the written head may be longer than what was gathered. */
#define H2_HEAD_EXTRA 192
/* Bytes and fields that are taken: with ours they must fit the limits of HTTP/1.1. */
#define H2_GATHER_MAX  (HTTP1_HEAD_MAX - H2_HEAD_EXTRA)
#define H2_TRAILER_MAX (HTTP1_TRAILER_MAX - 8)
#define H2_FIELDS_MAX  (HTTP1_FIELDS_MAX - 8)
#define H2_NONCE       16 /* bytes of chance for Sec-WebSocket-Key */
/* Fields of a head on its way out: with pseudo-fields and ours. */
#define H2_NV_MAX (HTTP1_FIELDS_MAX + 8)

enum h2_pseudo {
	H2_METHOD,
	H2_SCHEME,
	H2_AUTHORITY,
	H2_PATH,
	H2_PROTOCOL, /* RFC 8441 */
	H2_STATUS,   /* the only one of an answer */
	H2_N_PSEUDO
};

enum h2_kind { H2_REQUEST, H2_ANSWER, H2_TRAILER };

/* A head or trailer section on its way in. */
struct h2_gather {
	char *p;	 /* the caller's; may move between calls */
	uint32_t cap;	 /* of it */
	uint32_t len;	 /* used: first pseudo-fields, then lines */
	uint32_t lines;	 /* where the lines begin */
	uint32_t cookie; /* end of the Cookie line without its CRLF; 0: none yet */
	unsigned n_fields;
	enum h2_kind kind;
	bool has_length;
	uint8_t seen; /* 1 << enum h2_pseudo */
	struct http1_slice pseudo[H2_N_PSEUDO];
	struct http1_slice host;
	enum http1_error error; /* the first; the rest is ignored then */
};

void h2_gather_init(struct h2_gather *g, enum h2_kind kind);

/* Bytes that must be free behind `len` for the next field. */
static inline size_t
h2_gather_need(size_t name, size_t value)
{
	return name + value + 4;
}

void h2_gather_field(struct h2_gather *g, const char *name, size_t name_len,
    const char *value, size_t value_len);

/*
 * The request that was gathered, as HTTP/1.1. `ended`: no body follows; else one
 * without a Content-Length is chunked. An extended CONNECT for a WebSocket becomes the
 * request to upgrade (RFC 8441 section 5). Returns the length; -EBADMSG: g->error says
 * why; -ENOBUFS: H2_HEAD_EXTRA bytes more than g->len always suffice.
 */
int h2_write_request(struct h2_gather *g, bool ended, const uint8_t nonce[H2_NONCE],
    char *out, size_t cap) MUST_CHECK;

/* The same of an answer; `bodiless`: to HEAD. */
int h2_write_answer(
    struct h2_gather *g, bool ended, bool bodiless, char *out, size_t cap) MUST_CHECK;
unsigned h2_answer_status(const struct h2_gather *g); /* 0: malformed */

/* True if it asks for a WebSocket. */
bool h2_is_websocket(const struct h2_gather *g);

/*
 * The answer whose head stands at `p`; `status` is room for its number. The fields
 * refer to `p` and `status`. Returns their number.
 */
size_t h2_answer_fields(const struct http1_head *head, const char *p, char status[3],
    nghttp2_nv nv[H2_NV_MAX]);

/* The same of a request to a server; an upgrade is not asked for. */
size_t h2_request_fields(const struct http1_head *head, const char *p, bool secure,
    nghttp2_nv nv[H2_NV_MAX]);

/* The same of a trailer section, which ends with an empty line. */
size_t h2_trailer_fields(const char *p, size_t len, nghttp2_nv nv[H2_NV_MAX]);

/*
 * Frames `*len` bytes at `p` as one chunk; `*len` becomes what fitted. Returns the
 * bytes written to `out`; 0 if not even one fits.
 */
#define H2_CHUNK_EXTRA 8
size_t h2_write_chunk(const char *p, size_t *len, char *out, size_t cap);

#endif /* NINES_PROXY_H2_HEAD_H */
