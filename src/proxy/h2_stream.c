/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_stream.c - one stream of HTTP/2 as the transport of a client's side.
 */
#include "proxy/h2_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SPARE_STREAMS 1024	      /* freed ones that a worker keeps */
#define LOW_WATER     (BUF_LARGE / 2) /* of an answer's buffer: there is room again */

struct h2_stream *
h2_stream_new(struct h2_session *h, int32_t id)
{
	struct h2_worker *hw = h->worker->h2;
	struct h2_stream *st;

	if (list_empty(&hw->free)) {
		st = malloc(sizeof(*st));
		if (st == NULL)
			return NULL;
	} else {
		st = CONTAINER(hw->free.next, struct h2_stream, link);
		list_remove(&st->link);
		hw->n_free--;
	}
	*st = (struct h2_stream){.session = h, .id = id};
	list_init(&st->link);
	list_append(&h->streams, &st->link);
	h->n_streams++;
	return st;
}

static void
put(struct h2_stream *st, struct buf **b)
{
	buf_put(&st->session->worker->bufs, *b);
	*b = NULL;
}

/* Of `n` bytes that came in the windows, the client may send as many again. */
static void
consumed(struct h2_stream *st, size_t n)
{
	struct h2_session *h = st->session;

	if (st->closed)
		(void)nghttp2_session_consume_connection(h->ng, n);
	else
		(void)nghttp2_session_consume(h->ng, st->id, n);
	h2_dirty(h);
}

static void
drop_request(struct h2_stream *st)
{
	if (st->in != NULL)
		consumed(st, st->in->len);
	put(st, &st->in);
	put(st, &st->in_trailer);
}

static void
stream_free(struct h2_stream *st)
{
	struct h2_session *h = st->session;
	struct h2_worker *hw = h->worker->h2;

	put(st, &st->in);
	put(st, &st->in_trailer);
	put(st, &st->out);
	put(st, &st->trailer);
	list_remove(&st->link);
	h->n_streams--;
	if (hw->n_free >= SPARE_STREAMS) {
		free(st);
		return;
	}
	list_prepend(&hw->free, &st->link);
	hw->n_free++;
}

/* Makes room for up to `want` bytes behind those in `*b`; returns how much there is. */
static size_t
reserve(struct bufs *bufs, struct buf **b, size_t want)
{
	struct buf *old = *b, *new;
	size_t len = old != NULL ? old->len : 0, room;

	if (old != NULL && old->cap - old->off - len >= want)
		return want;
	if (old != NULL && old->off > 0) {
		memmove(old->data, buf_bytes(old), len);
		old->off = 0;
	}
	if (old == NULL || (old->cap < BUF_LARGE && old->cap - len < want)) {
		new = buf_get(bufs, len + want < BUF_LARGE ? len + want : BUF_LARGE);
		if (new != NULL && old != NULL) {
			memcpy(new->data, old->data, len);
			new->len = (uint32_t)len;
			buf_put(bufs, old);
		}
		if (new != NULL)
			*b = new;
	}
	if (*b == NULL)
		return 0;
	room = (*b)->cap - (*b)->len;
	return room < want ? room : want;
}

static void
append(struct buf *b, const void *p, size_t len)
{
	memcpy(buf_bytes(b) + b->len, p, len);
	b->len += (uint32_t)len;
}

static void
reset(struct h2_stream *st, uint32_t error)
{
	struct h2_session *h = st->session;

	(void)nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, st->id, error);
	h2_dirty(h);
}

/* The request, on its way in */

void
h2_stream_request(struct h2_stream *st)
{
	struct h2_session *h = st->session;
	struct worker *w = h->worker;
	struct h2_gather *g = &h->gather;
	struct client *c = client_stream(w, h->conn);
	struct buf *head = buf_get(&w->bufs, g->len + H2_HEAD_EXTRA);
	uint64_t nonce[H2_NONCE / sizeof(uint64_t)];
	int n;

	if (c == NULL || head == NULL) {
		buf_put(&w->bufs, head);
		if (c != NULL)
			client_close(w, c);
		reset(st, NGHTTP2_REFUSED_STREAM);
		return;
	}
	c->s.via = &h2_transport;
	c->s.layer = st;
	st->client = c;
	for (size_t i = 0; i < ARRAY_LEN(nonce); i++)
		nonce[i] = rng_next(&w->rng);
	n = h2_write_request(
	    g, st->ended, (const uint8_t *)nonce, head->data, head->cap);
	if (n < 0) {
		buf_put(&w->bufs, head);
		http_refuse_head(w, c, g->error);
		return;
	}
	head->len = (uint32_t)n;
	st->sized = g->has_length;
	st->chunked = !st->ended && !st->sized && !h2_is_websocket(g);
	c->s.in = head;
	client_make_ready(w, c);
}

static void
wake_reader(struct h2_stream *st)
{
	if (st->client == NULL)
		return;
	st->client->s.readable = true;
	client_make_ready(st->session->worker, st->client);
}

void
h2_stream_trailer(struct h2_stream *st)
{
	struct h2_session *h = st->session;
	const struct h2_gather *g = &h->gather;

	if (st->client == NULL || !st->chunked || g->error != HTTP1_OK ||
	    g->len == g->lines || st->in_trailer != NULL)
		return;
	if (reserve(&h->worker->bufs, &st->in_trailer, g->len - g->lines) ==
	    g->len - g->lines)
		append(st->in_trailer, g->p + g->lines, g->len - g->lines);
}

void
h2_stream_end(struct h2_stream *st)
{
	st->ended = true;
	wake_reader(st);
}

void
h2_stream_data(struct h2_stream *st, const uint8_t *p, size_t len)
{
	struct worker *w = st->session->worker;

	if (st->client == NULL) {
		consumed(st, len);
		return;
	}
	if (reserve(&w->bufs, &st->in, len) < len) {
		consumed(st, len);
		reset(st, NGHTTP2_INTERNAL_ERROR);
		return;
	}
	append(st->in, p, len);
	wake_reader(st);
}

/* The last chunk and the trailer, if they fit. */
static size_t
read_end(struct h2_stream *st, char *p, size_t n)
{
	size_t len = st->in_trailer != NULL ? st->in_trailer->len : 0;

	if (n < len + sizeof("0\r\n\r\n") - 1)
		return 0;
	memcpy(p, "0\r\n", 3);
	if (len > 0)
		memcpy(p + 3, buf_bytes(st->in_trailer), len);
	memcpy(p + 3 + len, "\r\n", 2);
	st->end_read = true;
	return len + sizeof("0\r\n\r\n") - 1;
}

static size_t
read_body(struct h2_stream *st, char *p, size_t n)
{
	size_t used = st->in->len, len;

	if (st->chunked) {
		len = h2_write_chunk(buf_bytes(st->in), &used, p, n);
	} else {
		used = len = used < n ? used : n;
		memcpy(p, buf_bytes(st->in), len);
	}
	consumed(st, used);
	buf_drop(st->in, used);
	if (st->in->len == 0)
		put(st, &st->in);
	return len;
}

static ssize_t
stream_recv(struct side *s, void *p, size_t n)
{
	struct h2_stream *st = s->layer;
	size_t len = 0;

	/* All is said, and what else comes is refused: see stream_close(). */
	if (st->client->state == CLIENT_LINGER)
		return 0;
	if (st->in != NULL)
		len = read_body(st, p, n);
	if (st->in == NULL && st->ended && st->chunked && !st->end_read)
		len += read_end(st, (char *)p + len, n - len);
	/* Of a body with a Content-Length or chunks the end need not be read. */
	s->readable = st->in != NULL || (st->ended && !st->sized && !st->end_read);
	if (len > 0)
		return (ssize_t)len;
	if (st->ended && st->in == NULL && (!st->chunked || st->end_read))
		return 0;
	errno = EAGAIN;
	return -1;
}

static bool
stream_quiet(struct side *s)
{
	const struct h2_stream *st = s->layer;

	return st->in == NULL && !st->ended;
}

/* The answer, on its way out */

/* At most `length` bytes for a DATA frame, which on_send_data() then copies. */
static ssize_t
frame_data(nghttp2_session *ng, int32_t id, uint8_t *p, size_t length, uint32_t *flags,
    nghttp2_data_source *source, void *user)
{
	struct h2_stream *st = source->ptr;
	size_t len = st->out != NULL ? st->out->len : 0,
	       n = len < length ? len : length;

	(void)p;
	(void)user;
	if (n == 0 && !st->complete) {
		st->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (n == len && st->complete) {
		nghttp2_nv *nv = st->session->worker->h2->nv;
		size_t fields = 0;

		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (st->trailer != NULL)
			fields = h2_trailer_fields(
			    buf_bytes(st->trailer), st->trailer->len, nv);
		if (fields > 0 && nghttp2_submit_trailer(ng, id, nv, fields) == 0)
			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	}
	return (ssize_t)n;
}

static void
resume(struct h2_stream *st)
{
	if (st->deferred && !st->closed) {
		st->deferred = false;
		(void)nghttp2_session_resume_data(st->session->ng, st->id);
	}
	h2_dirty(st->session);
}

/* Takes the head at `p`. Its length, or -1: it cannot go on. */
static ssize_t
take_head(struct h2_stream *st, const char *p, size_t len)
{
	struct h2_worker *hw = st->session->worker->h2;
	struct http1_head *h = &hw->head;
	nghttp2_session *ng = st->session->ng;
	nghttp2_data_provider body = {
	    .source = {.ptr = st}, .read_callback = frame_data};
	char status[3];
	size_t n;
	int r;

	/* What http.c writes is a whole head, which it has made of one it understood.
	 */
	if (http1_parse_response(h, p, len, st->client->method) != 0)
		return -1;
	n = h2_answer_fields(h, p, status, hw->nv);
	if (h->status < 200 && h->status != 101) {
		r = nghttp2_submit_headers(
		    ng, NGHTTP2_FLAG_NONE, st->id, NULL, hw->nv, n, NULL);
		return r == 0 ? (ssize_t)h->len : -1;
	}
	http1_body_init(&st->body, h->framing, h->length);
	st->complete = st->body.done;
	st->answered = true;
	r = nghttp2_submit_response(ng, st->id, hw->nv, n, st->complete ? NULL : &body);
	return r == 0 ? (ssize_t)h->len : -1;
}

/* Of the `len` bytes that were appended to `out`, the last `n` belong to the trailer.
 * False: they cannot be kept. */
static bool
keep_trailer(struct h2_stream *st, const char *end, size_t n)
{
	if (n == 0)
		return true;
	if (reserve(&st->session->worker->bufs, &st->trailer, n) < n)
		return false;
	append(st->trailer, end - n, n);
	return true;
}

/* Takes what there is room for; -1: it is no body. */
static ssize_t
take_body(struct h2_stream *st, const char *p, size_t len)
{
	size_t n = reserve(&st->session->worker->bufs, &st->out, len), data, before;
	char *at;

	if (n == 0)
		return 0;
	at = buf_bytes(st->out) + st->out->len;
	if (st->body.framing != HTTP1_CHUNKED) {
		n = data = http1_body_pass(&st->body, p, n);
		memcpy(at, p, n);
	} else {
		before = http1_body_trailer(&st->body);
		memcpy(at, p, n);
		n = http1_body_dechunk(&st->body, at, n, &data);
		if (!keep_trailer(st, at + n, http1_body_trailer(&st->body) - before))
			return -1;
	}
	st->out->len += (uint32_t)data;
	st->complete = st->body.done;
	return st->body.error == HTTP1_OK ? (ssize_t)n : -1;
}

/* True if all of `v` was taken; *taken grows by what was, or becomes -1. */
static bool
take(struct h2_stream *st, const struct iovec *v, ssize_t *taken)
{
	const char *p = v->iov_base;
	size_t len = v->iov_len;
	ssize_t n;

	if (!st->answered) {
		n = take_head(st, p, len);
		if (n < 0) {
			*taken = -1;
			return false;
		}
		*taken += n;
		p += n;
		len -= (size_t)n;
	}
	if (len == 0)
		return true;
	n = st->answered && !st->complete ? take_body(st, p, len) : -1;
	*taken = n < 0 ? -1 : *taken + n;
	return n >= 0 && (size_t)n == len;
}

static ssize_t
stream_send(struct side *s, const struct iovec *iov, size_t n)
{
	struct h2_stream *st = s->layer;
	ssize_t taken = 0;

	if (st->closed) {
		errno = EPIPE;
		return -1;
	}
	for (size_t i = 0; i < n && take(st, &iov[i], &taken); i++)
		;
	resume(st);
	if (taken > 0)
		return taken;
	/* With nothing in `out` nothing would ever make room. */
	errno = taken < 0 ? EPROTO : st->out == NULL ? ENOBUFS : EAGAIN;
	return -1;
}

void
h2_stream_drained(struct h2_stream *st)
{
	struct client *c = st->client;

	if (st->out->len == 0)
		put(st, &st->out);
	if (c == NULL || c->s.writable || (st->out != NULL && st->out->len > LOW_WATER))
		return;
	c->s.writable = true;
	client_make_ready(st->session->worker, c);
}

static void
stream_shut(struct side *s)
{
	struct h2_stream *st = s->layer;

	if (st->answered)
		st->complete = true;
	s->readable = true; /* whoever lingers is told of the end */
	resume(st);
}

/* The end */

static void
stream_close(struct worker *w, struct side *s)
{
	struct h2_stream *st = s->layer;
	struct h2_session *h = st->session;

	(void)w;
	s->layer = NULL;
	/* An answer without a length ends with its client, if that has had all. */
	if (st->answered && st->body.framing == HTTP1_UNTIL_CLOSE &&
	    st->client->down.shut)
		st->complete = true;
	st->client = NULL;
	drop_request(st);
	if (st->closed) {
		stream_free(st);
		return;
	}
	if (!st->answered || !st->complete)
		reset(st, NGHTTP2_INTERNAL_ERROR);
	else if (nghttp2_session_get_stream_local_close(h->ng, st->id) == 1)
		reset(st, NGHTTP2_NO_ERROR); /* it would go on sending to nobody */
	else
		resume(st);
}

void
h2_stream_closed(struct h2_stream *st, uint32_t error)
{
	struct client *c = st->client;

	st->closed = true;
	if (c == NULL) {
		stream_free(st);
		return;
	}
	/* Both ends are in, but a tunnel may still have to pass them on. */
	if (error == NGHTTP2_NO_ERROR && st->complete && st->ended)
		return;
	count(c->service->counter, SVC_ABORTED);
	client_close(st->session->worker, c);
}

void
h2_stream_abandon(struct h2_stream *st)
{
	st->complete = false;
	h2_stream_closed(st, NGHTTP2_CANCEL);
}

const struct transport h2_transport = {
    .recv = stream_recv,
    .send = stream_send,
    .shut = stream_shut,
    .quiet = stream_quiet,
    .close = stream_close,
};
