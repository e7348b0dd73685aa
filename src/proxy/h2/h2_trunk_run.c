/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_trunk_run.c - a connection to a server that speaks HTTP/2 at work: its beginning,
 * its frames, and its end.
 *
 * It stands when the server's SETTINGS are in. Until then nothing was asked, so that
 * whoever waits for it can go elsewhere, and how many requests it takes is known before
 * the first. Frames are read when they arrive and sent at the end of the turn, those of
 * all requests with one send.
 *
 * Nobody waits for another: the window of the connection opens with what arrives, only
 * that of a stream with what its client takes; a trunk that does not get rid of its
 * frames takes no further requests; and one that is silent is asked for a sign of life,
 * without which its requests go elsewhere if they may be asked twice.
 */
#include <errno.h>
#include <stdlib.h>

#include "proxy/client.h"
#include "proxy/h2/h2_trunk.h"
#include "proxy/servers/race.h"
#include "proxy/servers/server_conn.h"
#include "proxy/servers/service.h"
#include "proxy/servers/upstream.h"
#include "proxy/servers/wait.h"
#include "proxy/tls/tls.h"
#include "proxy/worker_inside.h"

#define READS	   16		 /* in one turn */
#define WINDOW	   (1 << 20)	 /* of the connection: what is on its way */
#define SILENT_NS  (500 * MS_NS) /* before it is asked whether it lives */
#define PONG_NS	   (1 * SEC_NS)	 /* for the answer to that */
#define RESETS_MAX 200		 /* servers take many for an attack */

/* What nghttp2 tells */

static struct h2_place *
place_of(nghttp2_session *ng, int32_t id)
{
	struct h2_place *p = nghttp2_session_get_stream_user_data(ng, id);

	return p != NULL && p->sc != NULL ? p : NULL;
}

static int
on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	struct h2_trunk *t = user;
	struct h2_place *p = place_of(ng, frame->hd.stream_id);

	if (p == NULL)
		return 0;
	if (t->gathered == NULL)
		t->gathered = buf_get(&t->w->bufs, BUF_LARGE);
	if (t->gathered == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	h2_gather_init(&t->gather, p->answered ? H2_TRAILER : H2_ANSWER);
	t->gather.p = t->gathered->data;
	t->gather.cap = t->gathered->cap;
	return 0;
}

static int
on_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name,
    nghttp2_rcbuf *value, uint8_t flags, void *user)
{
	nghttp2_vec n = nghttp2_rcbuf_get_buf(name), v = nghttp2_rcbuf_get_buf(value);
	struct h2_trunk *t = user;

	(void)ng;
	(void)frame;
	(void)flags;
	if (t->gathered != NULL)
		h2_gather_field(&t->gather, (const char *)n.base, n.len,
		    (const char *)v.base, v.len);
	return 0;
}

static void
take_settings(struct h2_trunk *t, const nghttp2_frame *frame)
{
	uint32_t max;

	if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
		return;
	max = nghttp2_session_get_remote_settings(
	    t->ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
	t->up->streams = max < UINT16_MAX ? (uint16_t)max : UINT16_MAX;
	t->greeted = true;
}

static int
on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	struct h2_trunk *t = user;
	bool ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
	struct h2_place *p;

	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		p = place_of(ng, frame->hd.stream_id);
		if (p != NULL && t->gathered != NULL)
			h2_place_head(p, ended);
		buf_put(&t->w->bufs, t->gathered);
		t->gathered = NULL;
		break;
	case NGHTTP2_DATA:
		p = place_of(ng, frame->hd.stream_id);
		if (p != NULL && ended)
			h2_place_end(p);
		break;
	case NGHTTP2_SETTINGS:
		take_settings(t, frame);
		break;
	default:
		break;
	}
	return 0;
}

static int
on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *bytes,
    size_t len, void *user)
{
	struct h2_place *p = place_of(ng, id);

	(void)flags;
	(void)user;
	(void)nghttp2_session_consume_connection(ng, len);
	if (p != NULL)
		h2_place_data(p, bytes, len);
	return 0;
}

static int
on_stream_close(nghttp2_session *ng, int32_t id, uint32_t error, void *user)
{
	struct h2_place *p = nghttp2_session_get_stream_user_data(ng, id);

	(void)user;
	if (p != NULL)
		h2_place_closed(p, error);
	return 0;
}

/* A request that was still to go out when the server refused any more. nghttp2 has no
 * stream for it, and does not tell of its end. */
static int
on_not_sent(nghttp2_session *ng, const nghttp2_frame *frame, int error, void *user)
{
	struct h2_trunk *t = user;

	(void)error;
	if (frame->hd.type != NGHTTP2_HEADERS ||
	    nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id) != NULL)
		return 0;
	LIST_EACH(n, tmp, &t->places)
	{
		struct h2_place *p = CONTAINER(n, struct h2_place, link);

		if (p->id == frame->hd.stream_id && !p->closed)
			h2_place_closed(p, NGHTTP2_REFUSED_STREAM);
	}
	return 0;
}

static int
on_send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *header,
    size_t length, nghttp2_data_source *source, void *user)
{
	struct h2_trunk *t = user;
	struct h2_place *p = CONTAINER(source->ptr, struct h2_place, out);
	struct bufs *bufs = &t->w->bufs;
	int r = h2_out_copy(bufs, &p->out, header, length, bufs->scratch);

	(void)ng;
	(void)frame;
	if (r == 0)
		h2_place_drained(p);
	return r;
}

/* NULL: no memory. */
static nghttp2_session_callbacks *
callbacks(void)
{
	nghttp2_session_callbacks *cb;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		return NULL;
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_not_sent);
	nghttp2_session_callbacks_set_send_data_callback(cb, on_send_data);
	return cb;
}

/* The end */

/* Those that wait for it look elsewhere; those that have asked read what there is. */
static void
trunk_end(struct h2_trunk *t, int error)
{
	struct worker *w = t->w;

	if (t->over)
		return;
	t->over = t->closing = true;
	wheel_clear(&w->wheel, &t->timer);
	side_close(w, &t->s);
	nghttp2_session_del(t->ng);
	t->ng = NULL;
	buf_put(&w->bufs, t->gathered);
	buf_put(&w->bufs, t->unsent);
	t->gathered = t->unsent = NULL;
	list_remove(&t->link);
	list_append(&w->h2->ended_trunks, &t->link);
	LIST_EACH(n, tmp, &t->places)
	{
		struct h2_place *p = CONTAINER(n, struct h2_place, link);

		if (p->sc != NULL && !p->sc->connected)
			server_lost(w, p->sc, error);
		else
			h2_place_abandon(p, error);
	}
}

static bool
in_use(const struct h2_trunk *t)
{
	LIST_EACH(n, tmp, &t->places)
	{
		if (CONTAINER(n, struct h2_place, link)->sc != NULL)
			return true;
	}
	return false;
}

void
h2_trunks_leave(struct upstream *up)
{
	LIST_EACH(n, tmp, &up->trunks)
	{
		struct h2_trunk *t = CONTAINER(n, struct h2_trunk, link);

		t->closing = true;
		if (!in_use(t))
			trunk_end(t, EPIPE);
	}
}

/* Those that nobody refers to any more; before, epoll may have in this round. */
void
h2_trunks_bury(struct worker *w)
{
	if (w->h2 == NULL)
		return;
	LIST_EACH(n, tmp, &w->h2->ended_trunks)
	{
		struct h2_trunk *t = CONTAINER(n, struct h2_trunk, link);

		if (t->n > 0)
			continue;
		list_remove(&t->dirty);
		list_remove(&t->link);
		upstream_unref(t->up);
		free(t);
	}
}

/* The beginning */

/* It stands: who waited for that asks, up to what the server takes. */
static void
stands(struct h2_trunk *t)
{
	struct worker *w = t->w;
	unsigned n = 0;

	if (t->up->streams == 0) {
		trunk_end(t, ECONNREFUSED);
		return;
	}
	t->heard = w->now;
	wheel_set(&w->wheel, &t->timer, mono_add(w->now, H2_LOOK_NS));
	LIST_EACH(l, tmp, &t->places)
	{
		struct server_conn *sc = CONTAINER(l, struct h2_place, link)->sc;
		struct client *c = sc->client;

		if (n++ < h2_trunk_room(t)) {
			server_connected(w, sc);
		} else if (sc->beside) {
			race_drop(w, sc);
			race_wait(w, c);
		} else {
			server_close(w, sc);
			client_dispatch(w, c);
		}
	}
}

int
h2_trunk_begin(struct h2_trunk *t)
{
	const nghttp2_settings_entry settings[] = {
	    {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
	    {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP1_HEAD_MAX},
	};
	struct h2_worker *hw = t->w->h2;

	if (tls_under(&t->s) && tls_protocol(&t->s) != TLS_PROTOCOL_HTTP2)
		return -EPROTO;
	if (hw->trunk_callbacks == NULL)
		hw->trunk_callbacks = callbacks();
	if (hw->trunk_callbacks == NULL)
		return -ENOMEM;
	if (nghttp2_session_client_new3(&t->ng, hw->trunk_callbacks, t, hw->option,
		h2_memory_for(&hw->memory)) != 0 ||
	    nghttp2_submit_settings(
		t->ng, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) != 0 ||
	    nghttp2_session_set_local_window_size(
		t->ng, NGHTTP2_FLAG_NONE, 0, WINDOW) != 0)
		return -ENOMEM;
	return 0;
}

static void
connecting(struct h2_trunk *t)
{
	int r = 0;

	if (t->s.gone) {
		trunk_end(t, side_error(&t->s));
		return;
	}
	if (!t->s.writable)
		return;
	if (t->s.via != NULL)
		r = tls_handshake(&t->s);
	if (r == 0)
		r = h2_trunk_begin(t);
	if (r == 0)
		t->s.readable = true;
	else if (r != -EAGAIN)
		trunk_end(t, -r);
}

static void
read_frames(struct h2_trunk *t)
{
	struct worker *w = t->w;
	struct buf *b = NULL;
	int error = 0;

	for (int i = 0; i < READS && error == 0; i++) {
		b = side_data(w, &t->s);
		if (b == NULL)
			break;
		t->heard = w->now;
		t->pinged = (mono_t){0};
		if (nghttp2_session_mem_recv(
			t->ng, (const uint8_t *)buf_bytes(b), b->len) < 0)
			error = EPROTO;
		(void)side_rest(w, &t->s, b, b->len);
	}
	if (t->s.failed)
		error = t->s.error;
	else if (t->s.eof)
		error = EPIPE;
	if (error != 0)
		trunk_end(t, error);
	else
		h2_trunk_dirty(t);
	/* GOAWAY, or it has had all the streams there can be. */
	if (error == 0 && nghttp2_session_check_request_allowed(t->ng) == 0)
		t->closing = true;
}

void
h2_trunk_event(struct worker *w, struct side *s)
{
	struct h2_trunk *t = CONTAINER(s, struct h2_trunk, s);
	bool greeted = t->greeted;

	(void)w;
	if (t->over)
		return;
	if (t->ng == NULL)
		connecting(t);
	if (t->ng != NULL)
		read_frames(t);
	if (t->greeted && !greeted && !t->over)
		stands(t);
}

/* Going out */

/* False: what is under this takes no more now. */
static bool
send_unsent(struct h2_trunk *t)
{
	struct buf *b = t->unsent;
	struct iovec v = {buf_bytes(b), b->len};

	buf_drop(b, (size_t)side_send(&t->s, &v, 1));
	if (b->len > 0)
		return false;
	buf_put(&t->w->bufs, b);
	t->unsent = NULL;
	return true;
}

static void
send_frames(struct h2_trunk *t)
{
	struct bufs *bufs = &t->w->bufs;
	struct iovec v;
	struct buf *b;
	size_t sent;

	while (t->unsent == NULL || send_unsent(t)) {
		b = bufs->scratch;
		b->off = b->len = 0;
		if (h2_collect(t->ng, b) != 0) {
			trunk_end(t, EPROTO);
			return;
		}
		if (b->len == 0)
			break;
		v = (struct iovec){b->data, b->len};
		sent = (size_t)side_send(&t->s, &v, 1);
		if (sent == b->len)
			continue;
		t->unsent = buf_keep(bufs, b->data + sent, b->len - sent);
		if (t->unsent == NULL) {
			trunk_end(t, ENOBUFS);
			return;
		}
	}
	/* The server broke the rules, and has been told so; or all is said. */
	if (nghttp2_session_want_read(t->ng) == 0 &&
	    nghttp2_session_want_write(t->ng) == 0)
		trunk_end(t, EPROTO);
}

/* Those that nobody uses: more than the pool are not kept. */
static bool
surplus(const struct h2_trunk *t)
{
	size_t n = 0;

	LIST_EACH(l, tmp, &t->up->trunks)
	{
		n += CONTAINER(l, struct h2_trunk, link)->n == 0;
	}
	return n > t->up->service->conf->pool;
}

/* Everything that may be due. */
static void
run(struct h2_trunk *t)
{
	if (t->ng != NULL && !t->over)
		send_frames(t);
	if (t->s.broken)
		t->s.readable = true; /* it may have answered before that */
	if (t->s.readable && t->ng != NULL)
		h2_trunk_event(t->w, &t->s);
	if (t->s.broken && !t->over)
		trunk_end(t, t->s.error);
	if (t->over)
		return;
	if (t->resets >= RESETS_MAX || t->up->gone)
		t->closing = true;
	if (t->n == 0 && (t->closing || !t->greeted || surplus(t)))
		trunk_end(t, EPIPE);
}

void
h2_trunks_flush(struct worker *w)
{
	struct list now;

	list_init(&now);
	while (!list_empty(&w->h2->dirty_trunks)) {
		struct list *n = w->h2->dirty_trunks.next;

		list_remove(n);
		list_append(&now, n);
	}
	while (!list_empty(&now)) {
		struct h2_trunk *t = CONTAINER(now.next, struct h2_trunk, dirty);

		list_remove(&t->dirty);
		run(t);
	}
}

/* Silence */

/* The requests that may be asked twice are, by another server. */
static void
give_up(struct h2_trunk *t)
{
	struct worker *w = t->w;

	t->closing = true;
	LIST_EACH(n, tmp, &t->places)
	{
		struct server_conn *sc = CONTAINER(n, struct h2_place, link)->sc;

		if (sc != NULL && wait_may_move(sc->client, t->up))
			server_lost(w, sc, EHOSTDOWN);
	}
	h2_trunk_dirty(t);
}

void
h2_trunk_timeout(struct worker *w, struct wheel_timer *timer)
{
	struct h2_trunk *t = CONTAINER(timer, struct h2_trunk, timer);

	if (!t->greeted) {
		trunk_end(t, ETIMEDOUT);
		return;
	}
	if (t->n == 0)
		return;
	if (t->pinged.ns != 0) {
		if (mono_sub(w->now, t->pinged) >= PONG_NS)
			give_up(t);
	} else if (mono_sub(w->now, t->heard) >= SILENT_NS) {
		t->pinged = w->now;
		(void)nghttp2_submit_ping(t->ng, NGHTTP2_FLAG_NONE, NULL);
		h2_trunk_dirty(t);
	}
	wheel_set(&w->wheel, &t->timer, mono_add(w->now, H2_LOOK_NS));
}
