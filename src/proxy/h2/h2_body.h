/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_body.h - a body between the framings of HTTP/2 and HTTP/1.1. Private to h2_*.c.
 *
 * One way it comes in DATA frames and is read as HTTP/1.1 frames it, the other way it
 * is written as in HTTP/1.1 and goes out in DATA frames, a trailer section behind it.
 * Both hold at most one large buffer.
 */
#ifndef NINES_PROXY_H2_BODY_H
#define NINES_PROXY_H2_BODY_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proxy/buf.h"
#include "proxy/h2/h2_head.h"
#include "proxy/http1/http1.h"

struct h2_in {
	bool ended;	  /* END_STREAM is in */
	bool chunked;	  /* framed for the reader */
	bool sized;	  /* has a Content-Length */
	bool end_read;	  /* the reader has had the last chunk */
	struct buf *data; /* not read yet; at most the window */
	struct buf *trailer;
};

struct h2_out {
	struct http1_body body;
	bool complete;	     /* all of it is here */
	bool deferred;	     /* nghttp2 waits for more */
	struct buf *data;    /* not framed yet */
	struct buf *trailer; /* as it came, with the empty line */
};

/* Makes room for up to `want` bytes behind those in `*b`; returns how much there is. */
size_t h2_reserve(struct bufs *bufs, struct buf **b, size_t want);

/* False: no memory. `len` is at most what the window allows. */
bool h2_in_put(struct bufs *bufs, struct h2_in *in, const void *p, size_t len);
bool h2_in_trailer(struct bufs *bufs, struct h2_in *in, const char *p, size_t len);

/* Up to `n` bytes for the reader; *used is how many of the body are among them. */
size_t h2_in_read(struct bufs *bufs, struct h2_in *in, char *p, size_t n, size_t *used);

/* There is something to read; or that the body has ended, which is told only where the
 * reader does not know it by itself. */
bool h2_in_ready(const struct h2_in *in);
bool h2_in_over(const struct h2_in *in); /* and all of it was read */
void h2_in_drop(struct bufs *bufs, struct h2_in *in);

/* Takes what there is room for; -1: it is no body. */
ssize_t h2_out_take(struct bufs *bufs, struct h2_out *out, const char *p, size_t len);

/* What nghttp2 asks for the data of the next frame; it copies by h2_out_copy(). */
nghttp2_data_provider h2_out_provider(struct h2_out *out);

/* For the send callback: copies a DATA frame behind what `to` has. 0, or
 * NGHTTP2_ERR_WOULDBLOCK when there is no room. */
int h2_out_copy(struct bufs *bufs, struct h2_out *out, const uint8_t *header,
    size_t length, struct buf *to);

/* True if it is worth while to offer more. */
bool h2_out_low(const struct h2_out *out);
void h2_out_resume(struct h2_out *out, nghttp2_session *ng, int32_t id);
void h2_out_drop(struct bufs *bufs, struct h2_out *out);

#endif /* NINES_PROXY_H2_BODY_H */
