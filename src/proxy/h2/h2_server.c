/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_server.c - one stream of HTTP/2 with a server as the transport of an exchange.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/client.h"
#include "proxy/h2/h2_trunk.h"
#include "proxy/servers/server_conn.h"
#include "proxy/servers/service.h"
#include "proxy/servers/upstream.h"
#include "proxy/tls/tls.h"
#include "proxy/worker_inside.h"

#define SPARE_PLACES 1024 /* freed ones that a worker keeps */

struct h2_place *
h2_place_new(struct h2_trunk *t, struct server_conn *sc)
{
	struct h2_worker *hw = t->w->h2;
	struct h2_place *p;

	if (list_empty(&hw->free_places)) {
		p = malloc(sizeof(*p));
		if (p == NULL)
			return NULL;
	} else {
		p = CONTAINER(hw->free_places.next, struct h2_place, link);
		list_remove(&p->link);
		hw->n_free_places--;
	}
	*p = (struct h2_place){.t = t, .sc = sc};
	list_init(&p->link);
	list_append(&t->places, &p->link);
	t->n++;
	return p;
}

bool
h2_server_greets(const struct server_conn *sc)
{
	const struct h2_place *p = sc->s.layer;

	return p->t->s.writable;
}

static void
place_free(struct h2_place *p)
{
	struct h2_trunk *t = p->t;
	struct worker *w = t->w;
	struct h2_worker *hw = w->h2;

	h2_in_drop(&w->bufs, &p->in);
	h2_out_drop(&w->bufs, &p->out);
	buf_put(&w->bufs, p->head);
	list_remove(&p->link);
	t->n--;
	if (!t->over)
		h2_trunk_dirty(t); /* it may have been the last */
	if (hw->n_free_places >= SPARE_PLACES) {
		free(p);
		return;
	}
	list_prepend(&hw->free_places, &p->link);
	hw->n_free_places++;
}

/* Its exchange has something to read. */
static void
wake(struct h2_place *p)
{
	if (p->sc == NULL || p->sc->client == NULL)
		return;
	p->sc->s.readable = true;
	client_make_ready(p->t->w, p->sc->client);
}

/* Coming in */

static void
take_answer(struct h2_place *p, bool ended)
{
	struct h2_trunk *t = p->t;
	struct h2_gather *g = &t->gather;
	unsigned status = h2_answer_status(g);
	bool bodiless = p->to_head || status == 204 || status == 304;
	size_t room = g->len + H2_HEAD_EXTRA;
	struct buf *b;
	int n = -ENOBUFS;

	if (h2_reserve(&t->w->bufs, &p->head, room) == room) {
		b = p->head;
		n = h2_write_answer(g, ended, p->to_head, buf_bytes(b) + b->len, room);
	}
	if (n < 0) {
		p->error = EBADMSG;
		return;
	}
	p->head->len += (uint32_t)n;
	if (status < 200)
		return;
	p->answered = t->answered = true;
	p->in.sized = g->has_length || bodiless;
	p->in.chunked = !ended && !p->in.sized;
}

void
h2_place_end(struct h2_place *p)
{
	p->in.ended = true;
	wake(p);
}

void
h2_place_head(struct h2_place *p, bool ended)
{
	struct h2_trunk *t = p->t;
	struct h2_gather *g = &t->gather;

	if (g->kind == H2_ANSWER)
		take_answer(p, ended);
	else if (g->error == HTTP1_OK && p->in.trailer == NULL && p->in.chunked)
		(void)h2_in_trailer(
		    &t->w->bufs, &p->in, g->p + g->lines, g->len - g->lines);
	if (ended)
		h2_place_end(p);
	else
		wake(p);
}

void
h2_place_data(struct h2_place *p, const uint8_t *bytes, size_t len)
{
	if (p->sc == NULL || p->error != 0) { /* nobody wants it any more */
		(void)nghttp2_session_consume_stream(p->t->ng, p->id, len);
		return;
	}
	if (!h2_in_put(&p->t->w->bufs, &p->in, bytes, len))
		p->error = ENOBUFS; /* what was lost shows: nothing more is read */
	wake(p);
}

/* Heads first, then what there is of the body. */
static size_t
deliver(struct h2_place *p, char *to, size_t n)
{
	struct bufs *bufs = &p->t->w->bufs;
	size_t len = 0, used;

	if (p->head != NULL) {
		len = p->head->len < n ? p->head->len : n;
		memcpy(to, buf_bytes(p->head), len);
		buf_drop(p->head, len);
		if (p->head->len > 0)
			return len;
		buf_put(bufs, p->head);
		p->head = NULL;
	}
	if (!p->answered)
		return len;
	len += h2_in_read(bufs, &p->in, to + len, n - len, &used);
	if (used > 0 && !p->closed) {
		(void)nghttp2_session_consume_stream(p->t->ng, p->id, used);
		h2_trunk_dirty(p->t);
	}
	return len;
}

static ssize_t
place_recv(struct side *s, void *to, size_t n)
{
	struct h2_place *p = s->layer;
	size_t len = deliver(p, to, n);

	if (len > 0)
		return (ssize_t)len;
	if (p->answered && h2_in_over(&p->in))
		return 0;
	errno = p->error != 0 ? p->error : EAGAIN;
	/* What was not looked at is as good as not sent, whatever it was. */
	if (p->refused && p->sc->client->state == CLIENT_WAITING) {
		p->sc->client->req_sent = 0;
		p->sc->reused =
		    p->sc->client->repeats <= p->t->up->service->conf->retries;
	}
	return -1;
}

static bool
place_quiet(struct side *s)
{
	(void)s;
	return true;
}

/* Going out */

void
h2_place_drained(struct h2_place *p)
{
	if (p->sc == NULL || p->sc->client == NULL || p->sc->s.writable ||
	    !h2_out_low(&p->out))
		return;
	p->sc->s.writable = true;
	client_make_ready(p->t->w, p->sc->client);
}

/* Takes the head at `text`. Its length, or -1. */
static ssize_t
ask(struct h2_place *p, const char *text, size_t len)
{
	struct h2_trunk *t = p->t;
	struct h2_worker *hw = t->w->h2;
	struct http1_head *h = &hw->head;
	nghttp2_data_provider body = h2_out_provider(&p->out);
	size_t n;

	/* What http.c writes is a whole head, which it has made of one it understood.
	 */
	if (http1_parse_request(h, text, len) != 0)
		return -1;
	n = h2_request_fields(h, text, tls_under(&t->s), hw->nv);
	http1_body_init(&p->out.body, h->framing, h->length);
	p->out.complete = p->out.body.done;
	p->to_head = h->method == HTTP1_HEAD;
	p->id = nghttp2_submit_request(
	    t->ng, NULL, hw->nv, n, p->out.complete ? NULL : &body, p);
	return p->id > 0 ? (ssize_t)h->len : -1;
}

static ssize_t
send_piece(struct h2_place *p, const char *text, size_t len)
{
	ssize_t head = 0, n = 0;

	if (p->id <= 0) {
		head = ask(p, text, len);
		if (head < 0)
			return -1;
		text += head;
		len -= (size_t)head;
	}
	/* Answered before its end: the rest is for nobody. */
	if (p->closed || len == 0)
		return head + (ssize_t)len;
	n = p->out.complete ? -1 : h2_out_take(&p->t->w->bufs, &p->out, text, len);
	return n < 0 ? -1 : head + n;
}

static ssize_t
place_send(struct side *s, const struct iovec *iov, size_t n)
{
	struct h2_place *p = s->layer;
	ssize_t taken = 0, piece;

	if (p->t->over) {
		errno = EPIPE;
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		piece = send_piece(p, iov[i].iov_base, iov[i].iov_len);
		if (piece < 0) {
			errno = EPROTO;
			return -1;
		}
		taken += piece;
		if ((size_t)piece < iov[i].iov_len)
			break;
	}
	if (!p->closed)
		h2_out_resume(&p->out, p->t->ng, p->id);
	h2_trunk_dirty(p->t);
	if (taken > 0)
		return taken;
	errno = EAGAIN;
	return -1;
}

static void
place_shut(struct side *s)
{
	struct h2_place *p = s->layer;

	p->out.complete = true;
	if (p->closed || p->id <= 0)
		return;
	h2_out_resume(&p->out, p->t->ng, p->id);
	h2_trunk_dirty(p->t);
}

/* The end */

void
h2_place_closed(struct h2_place *p, uint32_t error)
{
	p->closed = true;
	p->refused = error == NGHTTP2_REFUSED_STREAM;
	if (p->sc == NULL) {
		place_free(p);
		return;
	}
	if (!p->in.ended && p->error == 0)
		p->error = EPIPE;
	wake(p);
}

void
h2_place_abandon(struct h2_place *p, int error)
{
	p->closed = true;
	if (p->sc == NULL) {
		place_free(p);
		return;
	}
	if (!p->in.ended && p->error == 0)
		p->error = error;
	wake(p);
}

static void
place_close(struct worker *w, struct side *s)
{
	struct h2_place *p = s->layer;
	struct h2_trunk *t = p->t;

	(void)w;
	s->layer = NULL;
	p->sc = NULL;
	if (p->id <= 0 || p->closed) {
		place_free(p);
		return;
	}
	h2_trunk_dirty(t);
	if (p->in.ended && p->out.complete)
		return; /* it ends when the rest of the request is on its way */
	t->resets++;
	(void)nghttp2_submit_rst_stream(
	    t->ng, NGHTTP2_FLAG_NONE, p->id, NGHTTP2_CANCEL);
}

const struct transport h2_place_transport = {
    .recv = place_recv,
    .send = place_send,
    .shut = place_shut,
    .quiet = place_quiet,
    .close = place_close,
};
