/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_stream.c - one stream of HTTP/2 as the transport of a client's side.
 */
#include "proxy/h2/h2_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/client.h"
#include "proxy/counters.h"
#include "proxy/request/http.h"
#include "proxy/servers/service.h"
#include "proxy/worker_inside.h"

#define SPARE_STREAMS 1024 /* freed ones that a worker keeps */

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
	if (st->in.data != NULL)
		consumed(st, st->in.data->len);
	h2_in_drop(&st->session->worker->bufs, &st->in);
}

static void
stream_free(struct h2_stream *st)
{
	struct h2_session *h = st->session;
	struct h2_worker *hw = h->worker->h2;

	h2_in_drop(&h->worker->bufs, &st->in);
	h2_out_drop(&h->worker->bufs, &st->out);
	list_remove(&st->link);
	h->n_streams--;
	if (hw->n_free >= SPARE_STREAMS) {
		free(st);
		return;
	}
	list_prepend(&hw->free, &st->link);
	hw->n_free++;
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
	    g, st->in.ended, (const uint8_t *)nonce, head->data, head->cap);
	if (n < 0) {
		buf_put(&w->bufs, head);
		http_refuse_head(w, c, g->error);
		return;
	}
	head->len = (uint32_t)n;
	st->in.sized = g->has_length;
	st->in.chunked = !st->in.ended && !st->in.sized && !h2_is_websocket(g);
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

	if (st->client != NULL && st->in.chunked && g->error == HTTP1_OK &&
	    st->in.trailer == NULL)
		(void)h2_in_trailer(
		    &h->worker->bufs, &st->in, g->p + g->lines, g->len - g->lines);
}

void
h2_stream_end(struct h2_stream *st)
{
	st->in.ended = true;
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
	if (!h2_in_put(&w->bufs, &st->in, p, len)) {
		consumed(st, len);
		reset(st, NGHTTP2_INTERNAL_ERROR);
		return;
	}
	wake_reader(st);
}

static ssize_t
stream_recv(struct side *s, void *p, size_t n)
{
	struct h2_stream *st = s->layer;
	size_t len, used;

	/* All is said, and what else comes is refused: see stream_close(). */
	if (st->client->state == CLIENT_LINGER)
		return 0;
	len = h2_in_read(&st->session->worker->bufs, &st->in, p, n, &used);
	if (used > 0)
		consumed(st, used);
	s->readable = h2_in_ready(&st->in);
	if (len > 0)
		return (ssize_t)len;
	if (h2_in_over(&st->in))
		return 0;
	errno = EAGAIN;
	return -1;
}

static bool
stream_quiet(struct side *s)
{
	const struct h2_stream *st = s->layer;

	return !h2_in_ready(&st->in);
}

/* The answer, on its way out */

static void
resume(struct h2_stream *st)
{
	if (!st->closed)
		h2_out_resume(&st->out, st->session->ng, st->id);
	h2_dirty(st->session);
}

/* Takes the head at `p`. Its length, or -1: it cannot go on. */
static ssize_t
take_head(struct h2_stream *st, const char *p, size_t len)
{
	struct h2_worker *hw = st->session->worker->h2;
	struct http1_head *h = &hw->head;
	nghttp2_session *ng = st->session->ng;
	nghttp2_data_provider body = h2_out_provider(&st->out);
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
	http1_body_init(&st->out.body, h->framing, h->length);
	st->out.complete = st->out.body.done;
	st->answered = true;
	r = nghttp2_submit_response(
	    ng, st->id, hw->nv, n, st->out.complete ? NULL : &body);
	return r == 0 ? (ssize_t)h->len : -1;
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
	n = -1;
	if (st->answered && !st->out.complete)
		n = h2_out_take(&st->session->worker->bufs, &st->out, p, len);
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
	errno = taken < 0 ? EPROTO : st->out.data == NULL ? ENOBUFS : EAGAIN;
	return -1;
}

void
h2_stream_drained(struct h2_stream *st)
{
	struct client *c = st->client;

	if (c == NULL || c->s.writable || !h2_out_low(&st->out))
		return;
	c->s.writable = true;
	client_make_ready(st->session->worker, c);
}

static void
stream_shut(struct side *s)
{
	struct h2_stream *st = s->layer;

	if (st->answered)
		st->out.complete = true;
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
	if (st->answered && st->out.body.framing == HTTP1_UNTIL_CLOSE &&
	    st->client->down.shut)
		st->out.complete = true;
	st->client = NULL;
	drop_request(st);
	if (st->closed) {
		stream_free(st);
		return;
	}
	if (!st->answered || !st->out.complete)
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
	if (error == NGHTTP2_NO_ERROR && st->out.complete && st->in.ended)
		return;
	count(c->service->counter, SVC_ABORTED);
	client_close(st->session->worker, c);
}

void
h2_stream_abandon(struct h2_stream *st)
{
	st->out.complete = false;
	h2_stream_closed(st, NGHTTP2_CANCEL);
}

const struct transport h2_transport = {
    .recv = stream_recv,
    .send = stream_send,
    .shut = stream_shut,
    .quiet = stream_quiet,
    .close = stream_close,
};
