/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_server.c - HTTP/2 as the transport of a server connection.
 *
 * What http.c sends as an HTTP/1.1 request becomes one stream, whose answer it reads as
 * HTTP/1.1. One stream at a time: limits, pool, retries and time-outs mean the same as
 * with HTTP/1.1, and a request that fails takes no other with it. Frames go out at the
 * end of the turn. TLS, if there is, stays under this layer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/h2_stream.h"
#include "proxy/tls.h"

#define FRAMES_MAX BUF_LARGE /* read at once */

struct h2_server {
	nghttp2_session *ng;
	struct worker *worker;
	struct server_conn *sc;
	const struct transport *under; /* NULL: the socket itself */
	void *under_layer;
	struct list link; /* h2_worker->dirty_servers */
	int32_t id;	  /* of the stream; 0: not asked yet */
	bool to_head;	  /* the request is a HEAD */
	bool answered;	  /* the final head is in */
	bool closed;	  /* the stream is */
	bool eof;
	int error;	  /* of reading; 0: none */
	struct buf *head; /* of answers, not read yet */
	struct h2_in in;
	struct h2_out out;
	struct h2_gather gather; /* the header block that is coming in */
	struct buf *gathered;
	struct buf *unsent; /* framed, and not taken by what is under this */
};

static void
dirty(struct h2_server *u)
{
	if (list_empty(&u->link))
		list_append(&u->worker->h2->dirty_servers, &u->link);
}

/* What is under this layer knows the side by its own. */
static ssize_t
under_recv(struct h2_server *u, void *p, size_t n)
{
	struct side *s = &u->sc->s;
	ssize_t r;

	if (u->under == NULL)
		return recv(s->fd, p, n, 0);
	s->layer = u->under_layer;
	r = u->under->recv(s, p, n);
	s->layer = u;
	return r;
}

static ssize_t
under_send(struct h2_server *u, void *p, size_t n)
{
	struct side *s = &u->sc->s;
	const struct iovec v = {p, n};
	ssize_t r;

	if (u->under == NULL)
		return send(s->fd, p, n, MSG_NOSIGNAL);
	s->layer = u->under_layer;
	r = u->under->send(s, &v, 1);
	s->layer = u;
	return r;
}

/* Coming in */

static int
on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	struct h2_server *u = user;

	(void)ng;
	(void)frame;
	if (u->gathered == NULL)
		u->gathered = buf_get(&u->worker->bufs, BUF_LARGE);
	if (u->gathered == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	h2_gather_init(&u->gather, u->answered ? H2_TRAILER : H2_ANSWER);
	u->gather.p = u->gathered->data;
	u->gather.cap = u->gathered->cap;
	return 0;
}

static int
on_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name,
    nghttp2_rcbuf *value, uint8_t flags, void *user)
{
	nghttp2_vec n = nghttp2_rcbuf_get_buf(name), v = nghttp2_rcbuf_get_buf(value);
	struct h2_server *u = user;

	(void)ng;
	(void)frame;
	(void)flags;
	if (u->gathered != NULL)
		h2_gather_field(&u->gather, (const char *)n.base, n.len,
		    (const char *)v.base, v.len);
	return 0;
}

static void
take_answer(struct h2_server *u, bool ended)
{
	struct h2_gather *g = &u->gather;
	unsigned status = h2_answer_status(g);
	bool bodiless = u->to_head || status == 204 || status == 304;
	size_t room = g->len + H2_HEAD_EXTRA;
	struct buf *b;
	int n = -ENOBUFS;

	if (h2_reserve(&u->worker->bufs, &u->head, room) == room) {
		b = u->head;
		n = h2_write_answer(g, ended, u->to_head, buf_bytes(b) + b->len, room);
	}
	if (n < 0) {
		u->error = EBADMSG;
		return;
	}
	u->head->len += (uint32_t)n;
	if (status < 200)
		return;
	u->answered = true;
	u->in.sized = g->has_length || bodiless;
	u->in.chunked = !ended && !u->in.sized;
}

static void
end_headers(struct h2_server *u, bool ended)
{
	struct h2_gather *g = &u->gather;

	if (u->gathered == NULL)
		return;
	if (g->kind == H2_ANSWER)
		take_answer(u, ended);
	else if (g->error == HTTP1_OK && u->in.trailer == NULL && u->in.chunked)
		(void)h2_in_trailer(
		    &u->worker->bufs, &u->in, g->p + g->lines, g->len - g->lines);
	buf_put(&u->worker->bufs, u->gathered);
	u->gathered = NULL;
}

static int
on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	struct h2_server *u = user;
	bool ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

	(void)ng;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	if (frame->hd.stream_id != u->id)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS)
		end_headers(u, ended);
	if (ended)
		u->in.ended = true;
	return 0;
}

static int
on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p, size_t len,
    void *user)
{
	struct h2_server *u = user;

	(void)flags;
	if (id != u->id || !h2_in_put(&u->worker->bufs, &u->in, p, len)) {
		(void)nghttp2_session_consume(ng, id, len);
		u->error = ENOBUFS;
	}
	return 0;
}

static int
on_stream_close(nghttp2_session *ng, int32_t id, uint32_t error, void *user)
{
	struct h2_server *u = user;

	(void)ng;
	if (id != u->id)
		return 0;
	u->closed = true;
	if (error != NGHTTP2_NO_ERROR && !u->in.ended)
		u->error = ECONNRESET;
	return 0;
}

/* Reads from the socket. True if something came; errno says why not. */
static bool
feed(struct h2_server *u)
{
	struct bufs *bufs = &u->worker->bufs;
	struct buf *b = buf_get(bufs, FRAMES_MAX);
	ssize_t n;

	if (b == NULL) {
		errno = ENOBUFS;
		return false;
	}
	do
		n = under_recv(u, b->data, b->cap);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		u->eof = true;
	if (n > 0 &&
	    nghttp2_session_mem_recv(u->ng, (const uint8_t *)b->data, (size_t)n) < 0)
		u->error = EPROTO;
	if (n > 0)
		dirty(u);
	buf_put(bufs, b); /* leaves errno alone */
	return n > 0;
}

/* Heads first, then what there is of the body. */
static size_t
deliver(struct h2_server *u, char *p, size_t n)
{
	struct bufs *bufs = &u->worker->bufs;
	size_t len = 0, used;

	if (u->head != NULL) {
		len = u->head->len < n ? u->head->len : n;
		memcpy(p, buf_bytes(u->head), len);
		buf_drop(u->head, len);
		if (u->head->len > 0)
			return len;
		buf_put(bufs, u->head);
		u->head = NULL;
	}
	if (!u->answered)
		return len;
	len += h2_in_read(bufs, &u->in, p + len, n - len, &used);
	if (used > 0) {
		if (u->closed)
			(void)nghttp2_session_consume_connection(u->ng, used);
		else
			(void)nghttp2_session_consume(u->ng, u->id, used);
		dirty(u);
	}
	return len;
}

static ssize_t
server_recv(struct side *s, void *p, size_t n)
{
	struct h2_server *u = s->layer;
	size_t len;

	for (;;) {
		len = deliver(u, p, n);
		if (len > 0) {
			s->readable = true; /* until the socket says otherwise */
			return (ssize_t)len;
		}
		if (u->error != 0) {
			errno = u->error;
			return -1;
		}
		if (u->eof || (u->answered && h2_in_over(&u->in)))
			return 0;
		if (!feed(u) && !u->eof)
			return -1;
	}
}

/* In the pool: false if this was the last exchange on it. */
static bool
server_quiet(struct side *s)
{
	struct h2_server *u = s->layer;

	while (feed(u))
		;
	if (!u->eof && errno == EAGAIN)
		s->readable = false;
	return !u->eof && errno == EAGAIN && u->error == 0 && u->closed &&
	       nghttp2_session_check_request_allowed(u->ng) != 0;
}

/* Going out */

static int
on_send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *header,
    size_t length, nghttp2_data_source *source, void *user)
{
	struct h2_server *u = user;
	struct bufs *bufs = &u->worker->bufs;
	int r = h2_out_copy(bufs, &u->out, header, length, bufs->scratch);

	(void)ng;
	(void)frame;
	(void)source;
	if (r == 0 && !u->sc->s.writable && u->sc->client != NULL &&
	    h2_out_low(&u->out)) {
		u->sc->s.writable = true;
		client_make_ready(u->worker, u->sc->client);
	}
	return r;
}

/* Takes the head at `p`. Its length, or -1. */
static ssize_t
ask(struct h2_server *u, const char *p, size_t len)
{
	struct h2_worker *hw = u->worker->h2;
	struct http1_head *h = &hw->head;
	nghttp2_data_provider body = h2_out_provider(&u->out);
	size_t n;

	/* What http.c writes is a whole head, which it has made of one it understood.
	 */
	if (http1_parse_request(h, p, len) != 0)
		return -1;
	n = h2_request_fields(h, p, u->under != NULL, hw->nv);
	http1_body_init(&u->out.body, h->framing, h->length);
	u->out.complete = u->out.body.done;
	u->to_head = h->method == HTTP1_HEAD;
	u->id = nghttp2_submit_request(
	    u->ng, NULL, hw->nv, n, u->out.complete ? NULL : &body, NULL);
	return u->id > 0 ? (ssize_t)h->len : -1;
}

static ssize_t
send_piece(struct h2_server *u, const char *p, size_t len)
{
	ssize_t head = 0, n = 0;

	if (u->id <= 0) {
		head = ask(u, p, len);
		if (head < 0)
			return -1;
		p += head;
		len -= (size_t)head;
	}
	/* Answered before its end: the rest is for nobody. */
	if (u->closed || len == 0)
		return head + (ssize_t)len;
	n = u->out.complete ? -1 : h2_out_take(&u->worker->bufs, &u->out, p, len);
	return n < 0 ? -1 : head + n;
}

static ssize_t
server_send(struct side *s, const struct iovec *iov, size_t n)
{
	struct h2_server *u = s->layer;
	ssize_t taken = 0, piece;

	for (size_t i = 0; i < n; i++) {
		piece = send_piece(u, iov[i].iov_base, iov[i].iov_len);
		if (piece < 0) {
			errno = EPROTO;
			return -1;
		}
		taken += piece;
		if ((size_t)piece < iov[i].iov_len)
			break;
	}
	if (!u->closed)
		h2_out_resume(&u->out, u->ng, u->id);
	dirty(u);
	if (taken > 0)
		return taken;
	errno = EAGAIN;
	return -1;
}

static void
server_shut(struct side *s)
{
	struct h2_server *u = s->layer;

	u->out.complete = true;
	if (!u->closed)
		h2_out_resume(&u->out, u->ng, u->id);
	dirty(u);
}

/* False: what is under this takes no more now. */
static bool
send_unsent(struct h2_server *u)
{
	struct buf *b = u->unsent;
	ssize_t n = under_send(u, buf_bytes(b), b->len);

	/* If it fails the answer may be here already: reading tells. */
	if (n < 0)
		return false;
	buf_drop(b, (size_t)n);
	if (b->len > 0)
		return false;
	buf_put(&u->worker->bufs, b);
	u->unsent = NULL;
	return true;
}

static void
flush(struct h2_server *u)
{
	struct bufs *bufs = &u->worker->bufs;
	struct buf *b;

	while (u->unsent == NULL || send_unsent(u)) {
		b = bufs->scratch;
		b->off = b->len = 0;
		if (h2_collect(u->ng, b) != 0)
			u->error = EPROTO;
		if (b->len == 0 || u->error != 0)
			break;
		u->unsent = buf_keep(bufs, b->data, b->len);
		if (u->unsent == NULL)
			u->error = ENOBUFS;
	}
	/* The server broke the rules, and has been told so. */
	if (nghttp2_session_want_read(u->ng) == 0 && !u->in.ended && u->error == 0)
		u->error = EPROTO;
	if (u->error != 0 && u->sc->client != NULL) {
		u->sc->s.readable = true; /* that is where errors are told */
		client_make_ready(u->worker, u->sc->client);
	}
}

void
h2_server_flush(struct worker *w)
{
	while (!list_empty(&w->h2->dirty_servers)) {
		struct h2_server *u =
		    CONTAINER(w->h2->dirty_servers.next, struct h2_server, link);

		list_remove(&u->link);
		flush(u);
	}
}

void
h2_server_event(struct server_conn *sc)
{
	dirty(sc->h2);
}

/* Beginning and end */

void
h2_server_next(struct server_conn *sc)
{
	struct h2_server *u = sc->h2;
	struct bufs *bufs = &u->worker->bufs;

	h2_in_drop(bufs, &u->in);
	h2_out_drop(bufs, &u->out);
	buf_put(bufs, u->head);
	u->head = NULL;
	u->in = (struct h2_in){0};
	u->out = (struct h2_out){0};
	u->id = 0;
	u->answered = u->closed = false;
}

static void
server_close_layer(struct worker *w, struct side *s)
{
	struct h2_server *u = s->layer;

	list_remove(&u->link);
	h2_in_drop(&w->bufs, &u->in);
	h2_out_drop(&w->bufs, &u->out);
	buf_put(&w->bufs, u->head);
	buf_put(&w->bufs, u->gathered);
	buf_put(&w->bufs, u->unsent);
	nghttp2_session_del(u->ng);
	u->sc->h2 = NULL;
	s->layer = u->under_layer;
	if (u->under != NULL)
		u->under->close(w, s);
	free(u);
}

static const struct transport transport = {
    .recv = server_recv,
    .send = server_send,
    .shut = server_shut,
    .quiet = server_quiet,
    .close = server_close_layer,
};

nghttp2_session_callbacks *
h2_server_callbacks(void)
{
	nghttp2_session_callbacks *cb;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		return NULL;
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
	return cb;
}

int
h2_server_start(struct worker *w, struct server_conn *sc)
{
	const nghttp2_settings_entry settings[] = {
	    {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
	    {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP1_HEAD_MAX},
	};
	struct h2_server *u;

	if (sc->s.via != NULL && tls_protocol(&sc->s) != TLS_PROTOCOL_HTTP2)
		return -EPROTO;
	if (w->h2 == NULL && h2_worker_init(w) != 0)
		return -ENOMEM;
	u = calloc(1, sizeof(*u));
	if (u == NULL)
		return -ENOMEM;
	u->worker = w;
	u->sc = sc;
	list_init(&u->link);
	if (nghttp2_session_client_new2(
		&u->ng, w->h2->server_callbacks, u, w->h2->option) != 0 ||
	    nghttp2_submit_settings(
		u->ng, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) != 0) {
		nghttp2_session_del(u->ng);
		free(u);
		return -ENOMEM;
	}
	u->under = sc->s.via;
	u->under_layer = sc->s.layer;
	sc->s.via = &transport;
	sc->s.layer = u;
	sc->h2 = u;
	return 0;
}
