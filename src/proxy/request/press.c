/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/request/press.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/request/squeeze.h"
#include "proxy/worker_inside.h"

#define TURN	   ((uint64_t)128 * 1024) /* bytes in; a few milliseconds */
#define CHUNK_HEAD 7			  /* "1ffff\r\n" */
#define CHUNK_END  2			  /* "\r\n" */
_Static_assert(BUF_LARGE <= 0x1ffff, "CHUNK_HEAD has room for its length");
#define LAST_CHUNK "0\r\n\r\n"
#define ROOM_MIN   512 /* less is not worth a chunk, and flushing needs some */

struct press {
	struct squeeze *squeeze;
	struct buf *in;	    /* taken from the source, not yet by `squeeze` */
	enum squeeze_op op; /* what is under way */
	bool dirty;	    /* something was taken and not flushed yet */
	bool fresh;	    /* nothing was tried yet: a head may wait in the flow */
	bool ended;	    /* the last chunk is out, or in the flow's buffer */
	bool failed;
	uint64_t taken; /* bytes from the source */
};

struct press *
press_new(struct worker *w, enum coding coding, const struct compression_conf *conf)
{
	struct press *z;

	if (w->squeezes.n >= conf->streams)
		return NULL;
	z = calloc(1, sizeof(*z));
	if (z == NULL)
		return NULL;
	z->fresh = true;
	z->squeeze = squeeze_get(&w->squeezes, coding, conf->level);
	if (z->squeeze != NULL)
		return z;
	free(z);
	return NULL;
}

void
press_free(struct worker *w, struct press *z)
{
	if (z == NULL)
		return;
	squeeze_put(&w->squeezes, z->squeeze);
	buf_put(&w->bufs, z->in);
	free(z);
}

/* What the source has next becomes `in`, or decides on an operation. False: there is
 * nothing to do until it has more. */
static bool
take(struct worker *w, struct flow *f, struct side *src)
{
	struct press *z = f->press;
	struct buf *b = NULL;
	size_t used, n;

	if (!f->body.done)
		b = side_data(w, src);
	if (b == NULL && src->eof && f->body.framing == HTTP1_UNTIL_CLOSE)
		f->body.done = true;
	if (f->body.done) {
		z->op = SQUEEZE_END;
		return true;
	}
	if (b == NULL) {
		if (z->dirty)
			z->op = SQUEEZE_FLUSH;
		return z->dirty;
	}
	if (f->dechunk)
		used = http1_body_dechunk(&f->body, buf_bytes(b), b->len, &n);
	else
		n = used = http1_body_pass(&f->body, buf_bytes(b), b->len);
	if (n > 0) {
		z->in = buf_get(&w->bufs, n);
		z->failed = z->in == NULL;
	}
	if (z->in != NULL) {
		memcpy(z->in->data, buf_bytes(b), n);
		z->in->len = (uint32_t)n;
	}
	z->taken += n;
	z->failed = side_rest(w, src, b, used) != 0 || z->failed;
	z->op = SQUEEZE_MORE;
	return f->body.error == HTTP1_OK && !z->failed;
}

/* Goes on with the operation; true if it is complete. */
static bool
squeeze(struct worker *w, struct press *z, struct squeeze_io *io)
{
	int r;

	io->in = z->in != NULL ? buf_bytes(z->in) : NULL;
	io->in_len = z->in != NULL ? z->in->len : 0;
	z->dirty = z->dirty || z->in != NULL;
	r = squeeze_run(z->squeeze, z->op, io);
	z->failed = r < 0;
	if (z->in != NULL) {
		buf_drop(z->in, z->in->len - io->in_len);
		if (z->in->len == 0) {
			buf_put(&w->bufs, z->in);
			z->in = NULL;
		}
	}
	if (r == 1 && z->op == SQUEEZE_FLUSH)
		z->dirty = false;
	return r == 1;
}

/* The `n` bytes at `at` + CHUNK_HEAD become a chunk at `at`; its length. */
static size_t
frame(char *at, size_t n)
{
	char head[CHUNK_HEAD + 1];
	size_t len;

	if (n == 0)
		return 0;
	len = (size_t)snprintf(head, sizeof(head), "%zx\r\n", n);
	ASSERT(len <= CHUNK_HEAD);
	memmove(at + len, at + CHUNK_HEAD, n);
	memcpy(at, head, len);
	len += n;
	at[len++] = '\r';
	at[len++] = '\n';
	return len;
}

/* Compresses what the source has into the flow's buffer, as far as there is room and
 * the turn goes. False: no more comes out until the source has more. */
static bool
fill(struct worker *w, struct flow *f, struct side *src, uint64_t end)
{
	const size_t extra = CHUNK_HEAD + CHUNK_END + sizeof(LAST_CHUNK) - 1;
	struct press *z = f->press;
	struct buf *o = f->out;
	struct squeeze_io io;
	bool more = true;
	char *at;

	if (o == NULL)
		o = buf_get(&w->bufs, BUF_LARGE);
	z->failed = o == NULL;
	if (z->failed || o->cap - o->off - o->len < extra + ROOM_MIN)
		return true;
	at = buf_bytes(o) + o->len;
	io.out = at + CHUNK_HEAD;
	io.out_len = o->cap - o->off - o->len - extra;
	while (!z->failed && !z->ended && io.out_len >= ROOM_MIN) {
		if (z->in == NULL && z->op == SQUEEZE_MORE) {
			more = z->taken < end && take(w, f, src);
			if (!more)
				break;
		}
		if (!squeeze(w, z, &io))
			continue;
		z->ended = z->op == SQUEEZE_END;
		z->op = SQUEEZE_MORE;
	}
	o->len += (uint32_t)frame(at, (size_t)(io.out - at) - CHUNK_HEAD);
	f->bytes += (size_t)(io.out - at) - CHUNK_HEAD;
	if (z->ended) {
		memcpy(buf_bytes(o) + o->len, LAST_CHUNK, sizeof(LAST_CHUNK) - 1);
		o->len += sizeof(LAST_CHUNK) - 1;
	}
	f->out = o;
	if (o->len > 0)
		return more;
	buf_put(&w->bufs, o);
	f->out = NULL;
	return more;
}

enum flow_result
press_pump(struct worker *w, struct flow *f, struct side *src, struct side *dst)
{
	struct press *z = f->press;
	uint64_t end = z->taken + TURN;
	bool more = true;

	f->more = false;
	/* First what waits: a slow sink is not to be overrun. A head that has not been
	 * tried yet goes out with the first bytes. */
	while (more && !z->ended) {
		if (!z->fresh && !flow_flush(w, f, dst))
			return dst->broken ? FLOW_SINK_FAILED : FLOW_WAIT;
		more = fill(w, f, src, end);
		z->fresh = false;
		if (z->failed)
			return FLOW_SOURCE_FAILED;
	}
	if (!flow_flush(w, f, dst))
		return dst->broken ? FLOW_SINK_FAILED : FLOW_WAIT;
	if (z->ended)
		return FLOW_DONE;
	if (dst->broken)
		return FLOW_SINK_FAILED;
	if (f->body.error != HTTP1_OK)
		return FLOW_BAD;
	if (z->taken >= end) {
		f->more = true;
		return FLOW_WAIT;
	}
	if (src->failed)
		return FLOW_SOURCE_FAILED;
	return src->eof ? FLOW_EOF : FLOW_WAIT;
}
