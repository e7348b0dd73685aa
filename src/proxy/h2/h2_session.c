/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_session.c - a connection that speaks HTTP/2: what nghttp2 tells, what it has to
 * send, floods, time-outs and the end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/client.h"
#include "proxy/counters.h"
#include "proxy/h2/h2_stream.h"
#include "proxy/request/http.h"
#include "proxy/servers/service.h"
#include "proxy/worker_inside.h"

/* Of request bodies that wait, all streams together. */
#define CONNECTION_WINDOW (1 << 20)
#define READS		  4 /* of one connection in one turn */

/* What a client may make us do for nothing. Browsers that leave a page reset a hundred
 * streams at once; a client that reads answers earns what it needs for that. */
#define RESETS		 200
#define RESETS_PER_SEC	 20
#define CONTROLS	 1000
#define CONTROLS_PER_SEC 100
#define CONTROLS_EARNED	 4 /* by a frame of an answer */

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

bool
h2_preface(const char *p, size_t len)
{
	size_t n = sizeof(preface) - 1;

	return len > 0 && memcmp(p, preface, len < n ? len : n) == 0;
}

void
h2_dirty(struct h2_session *h)
{
	if (list_empty(&h->link))
		list_append(&h->worker->h2->dirty, &h->link);
}

void
h2_spend(struct h2_session *h, struct h2_budget *b)
{
	if (h->refused || h2_budget_spend(b, h->worker->now))
		return;
	h->refused = true;
	count(h->conn->service->counter, SVC_REFUSED);
	(void)nghttp2_session_terminate_session(h->ng, NGHTTP2_ENHANCE_YOUR_CALM);
	h2_dirty(h);
}

/* What nghttp2 tells */

static struct h2_stream *
stream_of(nghttp2_session *ng, int32_t id)
{
	return nghttp2_session_get_stream_user_data(ng, id);
}

/* Every frame costs something; those that ask for no work of a server are counted. */
static int
on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *user)
{
	struct h2_session *h = user;

	(void)ng;
	switch (hd->type) {
	case NGHTTP2_HEADERS:
		return 0;
	case NGHTTP2_DATA:
		if (hd->length > 0 || (hd->flags & NGHTTP2_FLAG_END_STREAM) != 0)
			return 0;
		break;
	case NGHTTP2_RST_STREAM:
		h2_spend(h, &h->resets);
		return 0;
	default:
		break;
	}
	h2_spend(h, &h->control);
	return 0;
}

static int
on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	struct h2_session *h = user;
	bool request = frame->headers.cat == NGHTTP2_HCAT_REQUEST;
	struct h2_stream *st;

	if (frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	if (h->gathered == NULL)
		h->gathered = buf_get(&h->worker->bufs, 1);
	if (h->gathered == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	h2_gather_init(&h->gather, request ? H2_REQUEST : H2_TRAILER);
	h->gather.p = h->gathered->data;
	h->gather.cap = h->gathered->cap;
	if (!request)
		return 0;
	st = h2_stream_new(h, frame->hd.stream_id);
	if (st == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	(void)nghttp2_session_set_stream_user_data(ng, st->id, st);
	return 0;
}

/* A larger buffer for the header block. */
static bool
grow(struct h2_session *h)
{
	struct h2_gather *g = &h->gather;
	struct buf *b = buf_get(&h->worker->bufs, BUF_LARGE);

	if (b == NULL)
		return false;
	memcpy(b->data, g->p, g->len);
	buf_put(&h->worker->bufs, h->gathered);
	h->gathered = b;
	g->p = b->data;
	g->cap = b->cap;
	return true;
}

static int
on_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name,
    nghttp2_rcbuf *value, uint8_t flags, void *user)
{
	nghttp2_vec n = nghttp2_rcbuf_get_buf(name), v = nghttp2_rcbuf_get_buf(value);
	struct h2_session *h = user;
	struct h2_gather *g = &h->gather;
	size_t need = h2_gather_need(n.len, v.len);

	(void)ng;
	(void)flags;
	if (frame->hd.type != NGHTTP2_HEADERS || h->gathered == NULL)
		return 0;
	if (g->error != HTTP1_OK) { /* only decoding goes on, and not for ever */
		h2_spend(h, &h->control);
		return 0;
	}
	if (need > g->cap - g->len && need <= H2_GATHER_MAX - g->len && !grow(h))
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	h2_gather_field(g, (const char *)n.base, n.len, (const char *)v.base, v.len);
	return 0;
}

static void
end_headers(struct h2_session *h, const nghttp2_frame *frame)
{
	struct h2_stream *st = stream_of(h->ng, frame->hd.stream_id);

	if (st != NULL && h->gathered != NULL && !h->refused) {
		if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
			st->in.ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
			h2_stream_request(st);
		} else {
			h2_stream_trailer(st);
			if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
				h2_stream_end(st);
		}
	}
	buf_put(&h->worker->bufs, h->gathered);
	h->gathered = NULL;
}

static int
on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	struct h2_session *h = user;
	struct h2_stream *st;

	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		end_headers(h, frame);
		break;
	case NGHTTP2_DATA:
		st = stream_of(ng, frame->hd.stream_id);
		if (st != NULL && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
			h2_stream_end(st);
		break;
	case NGHTTP2_SETTINGS:
		h->greeted = true;
		break;
	case NGHTTP2_PING:
		/* The client has read the notice: what it asked before is here. */
		if (h->draining && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
			(void)nghttp2_submit_goaway(ng, NGHTTP2_FLAG_NONE,
			    nghttp2_session_get_last_proc_stream_id(ng),
			    NGHTTP2_NO_ERROR, NULL, 0);
		break;
	default:
		break;
	}
	return 0;
}

static int
on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p, size_t len,
    void *user)
{
	struct h2_stream *st = stream_of(ng, id);

	(void)flags;
	(void)user;
	if (st != NULL)
		h2_stream_data(st, p, len);
	else
		(void)nghttp2_session_consume(ng, id, len);
	return 0;
}

static int
on_stream_close(nghttp2_session *ng, int32_t id, uint32_t error, void *user)
{
	struct h2_stream *st = stream_of(ng, id);

	(void)user;
	if (st != NULL)
		h2_stream_closed(st, error);
	return 0;
}

/* Resets that the client provoked are its own (CVE-2025-8671). */
static bool
provoked(uint32_t error)
{
	return error == NGHTTP2_PROTOCOL_ERROR || error == NGHTTP2_STREAM_CLOSED ||
	       error == NGHTTP2_FLOW_CONTROL_ERROR ||
	       error == NGHTTP2_FRAME_SIZE_ERROR || error == NGHTTP2_REFUSED_STREAM;
}

static int
on_sent(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	struct h2_session *h = user;
	int32_t id = frame->hd.stream_id;
	struct h2_stream *st;

	if (frame->hd.type == NGHTTP2_RST_STREAM) {
		if (provoked(frame->rst_stream.error_code))
			h2_spend(h, &h->resets);
		return 0;
	}
	if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	h2_budget_earn(&h->control, CONTROLS_EARNED);
	if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
		return 0;
	/* RFC 9113 section 8.1: answered before the request's end, which nobody wants
	 * any more. */
	st = stream_of(ng, id);
	if (st != NULL && st->client == NULL && !st->in.ended &&
	    nghttp2_session_get_stream_remote_close(ng, id) == 0)
		(void)nghttp2_submit_rst_stream(
		    ng, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
	return 0;
}

/* Copies a DATA frame to the others of this turn. */
static int
on_send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *header,
    size_t length, nghttp2_data_source *source, void *user)
{
	struct h2_session *h = user;
	struct h2_stream *st = CONTAINER(source->ptr, struct h2_stream, out);
	struct bufs *bufs = &h->worker->bufs;
	int r = h2_out_copy(bufs, &st->out, header, length, bufs->scratch);

	(void)ng;
	(void)frame;
	if (r == 0)
		h2_stream_drained(st);
	return r;
}

/* What it needs before its first session. 0 or -ENOMEM. */
static int
prepare(struct worker *w)
{
	nghttp2_session_callbacks *cb;

	if (w->h2 == NULL && h2_worker_init(w) != 0)
		return -ENOMEM;
	if (w->h2->callbacks != NULL)
		return 0;
	if (nghttp2_session_callbacks_new(&cb) != 0)
		return -ENOMEM;
	nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
	nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
	w->h2->callbacks = cb;
	return 0;
}

/*
 * The connection's own timer: for the client's greeting and for a header block as for
 * a head; without streams as for a kept connection; else it is set anew whenever the
 * client takes something, and looks for answers that nobody takes.
 */
static void
start_timer(struct h2_session *h)
{
	const struct service *conf = h->conn->service->conf;
	int64_t ns = conf->head_timeout_ns;

	if (h->phase == H2_BUSY)
		ns = conf->server_timeout_ns;
	if (h->phase == H2_IDLE)
		ns = conf->idle_timeout_ns;
	if (h->phase == H2_IDLE && h->draining && conf->drain_timeout_ns / 4 < ns)
		ns = conf->drain_timeout_ns / 4;
	wheel_set(&h->worker->wheel, &h->conn->timer, mono_add(h->worker->now, ns));
}

static void
set_timer(struct h2_session *h)
{
	enum h2_phase phase = H2_IDLE;

	if (!h->greeted)
		phase = H2_GREETING;
	else if (h->gathered != NULL)
		phase = H2_HEAD;
	else if (!list_empty(&h->streams))
		phase = H2_BUSY;
	if (phase == h->phase && !(phase == H2_BUSY && h->moved))
		return;
	h->phase = phase;
	start_timer(h);
}

static int
open_session(struct h2_session *h)
{
	const nghttp2_settings_entry settings[] = {
	    {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
		h->conn->service->conf->max_streams},
	    {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP1_HEAD_MAX},
	    {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
	};
	struct h2_worker *hw = h->worker->h2;

	if (nghttp2_session_server_new3(&h->ng, hw->callbacks, h, hw->option,
		h2_memory_for(&hw->memory)) != 0 ||
	    nghttp2_submit_settings(
		h->ng, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) != 0 ||
	    nghttp2_session_set_local_window_size(
		h->ng, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW) != 0)
		return -ENOMEM;
	return 0;
}

void
h2_start(struct worker *w, struct client *c)
{
	struct h2_session *h;

	if (prepare(w) != 0) {
		client_close(w, c);
		return;
	}
	h = calloc(1, sizeof(*h));
	if (h == NULL) {
		client_close(w, c);
		return;
	}
	h->worker = w;
	h->conn = c;
	list_init(&h->link);
	list_init(&h->streams);
	h2_budget_init(&h->resets, RESETS, RESETS_PER_SEC, w->now);
	h2_budget_init(&h->control, CONTROLS, CONTROLS_PER_SEC, w->now);
	c->session = h;
	c->state = CLIENT_SESSION;
	if (c->address[0] == '\0') /* for the streams, which copy it */
		(void)ip_format(&c->from.ip, c->address);
	if (open_session(h) != 0) {
		client_close(w, c);
		return;
	}
	start_timer(h);
	h2_dirty(h);
	h2_event(w, c);
}

void
h2_close(struct worker *w, struct client *c)
{
	struct h2_session *h = c->session;

	while (!list_empty(&h->streams))
		h2_stream_abandon(CONTAINER(h->streams.next, struct h2_stream, link));
	list_remove(&h->link);
	buf_put(&w->bufs, h->gathered);
	buf_put(&w->bufs, h->out);
	nghttp2_session_del(h->ng);
	free(h);
	c->session = NULL;
}

/* All is said; the client is given time to read it. */
static void
farewell(struct h2_session *h)
{
	struct client *c = h->conn;
	struct worker *w = h->worker;

	h2_close(w, c);
	http_linger(w, c);
}

/* What the socket does not take waits in h->out. False: it takes no more. */
static bool
send_frames(struct h2_session *h, struct buf *b)
{
	struct worker *w = h->worker;
	struct iovec v = {buf_bytes(b), b->len};
	size_t sent = (size_t)side_send(&h->conn->s, &v, 1);

	h->moved = h->moved || sent > 0;
	if (b == h->out) {
		buf_drop(b, sent);
		if (b->len > 0)
			return false;
		buf_put(&w->bufs, b);
		h->out = NULL;
		return true;
	}
	if (sent == b->len)
		return true;
	h->out = buf_keep(&w->bufs, b->data + sent, b->len - sent);
	if (h->out == NULL)
		h->failed = true;
	return false;
}

static void
flush(struct h2_session *h)
{
	struct worker *w = h->worker;
	struct client *c = h->conn;
	struct buf *b;

	h->moved = false;
	while (!h->failed && (h->out == NULL || send_frames(h, h->out))) {
		b = w->bufs.scratch;
		b->off = b->len = 0;
		h->failed = h2_collect(h->ng, b) != 0;
		if (h->failed || b->len == 0 || !send_frames(h, b))
			break;
	}
	if (h->failed || c->s.broken)
		client_close(w, c);
	else if (h->out == NULL && nghttp2_session_want_read(h->ng) == 0 &&
		 nghttp2_session_want_write(h->ng) == 0)
		farewell(h);
	else
		set_timer(h);
}

void
h2_flush(struct worker *w)
{
	while (!list_empty(&w->h2->dirty)) {
		struct h2_session *h =
		    CONTAINER(w->h2->dirty.next, struct h2_session, link);

		list_remove(&h->link);
		flush(h);
	}
}

void
h2_event(struct worker *w, struct client *c)
{
	struct h2_session *h = c->session;
	struct buf *b = NULL;

	for (int i = 0; i < READS && !h->failed; i++) {
		b = side_data(w, &c->s);
		if (b == NULL)
			break;
		/* After the last word what comes is only taken off the socket. */
		if (!h->refused && nghttp2_session_mem_recv(h->ng,
				       (const uint8_t *)buf_bytes(b), b->len) < 0)
			h->failed = true;
		(void)side_rest(w, &c->s, b, b->len);
	}
	if (c->s.eof || c->s.failed || c->s.broken) {
		client_close(w, c);
		return;
	}
	if (b != NULL)
		client_make_ready(w, c);
	h2_dirty(h);
}

void
h2_timeout(struct worker *w, struct client *c)
{
	struct h2_session *h = c->session;

	/* A stream's time was up in this very turn: its answer is about to be said. */
	if (h->phase == H2_BUSY && h->out == NULL &&
	    nghttp2_session_want_write(h->ng) != 0) {
		start_timer(h);
		return;
	}
	/* Streams that somebody works on have time-outs of their own. */
	LIST_EACH(n, tmp, &h->streams)
	{
		if (h->phase == H2_BUSY &&
		    CONTAINER(n, struct h2_stream, link)->client != NULL) {
			start_timer(h);
			return;
		}
	}
	if (h->phase != H2_IDLE)
		count(c->service->counter, SVC_TIMEOUTS);
	if (h->phase != H2_IDLE || h->out != NULL || h->refused) {
		client_close(w, c);
		return;
	}
	h->refused = true;
	(void)nghttp2_session_terminate_session(h->ng, NGHTTP2_NO_ERROR);
	start_timer(h); /* for a client that does not even take that */
	h2_dirty(h);
}

/* Its address moves away, or all ends: RFC 9113 section 6.8. */
void
h2_drain(struct worker *w, struct client *c)
{
	struct h2_session *h = c->session;

	if (h->draining)
		return;
	h->draining = true;
	(void)w;
	(void)nghttp2_submit_shutdown_notice(h->ng);
	(void)nghttp2_submit_ping(h->ng, NGHTTP2_FLAG_NONE, NULL);
	if (h->phase == H2_IDLE)
		start_timer(h);
	h2_dirty(h);
}
