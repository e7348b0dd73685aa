/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane_run.c - lanes at work: what goes out and comes back on them, and their end.
 */
#include <errno.h>
#include <stdlib.h>

#include "proxy/client.h"
#include "proxy/counters.h"
#include "proxy/servers/lane_inside.h"
#include "proxy/servers/server_conn.h"
#include "proxy/servers/service.h"
#include "proxy/servers/upstream.h"
#include "proxy/servers/wait.h"

#define ORPHAN_NS (1 * SEC_NS)		/* for an answer that nobody wants any more */
#define DISTRUST  (10 * SEC_NS)		/* after a lane ended with requests on it */
#define LONG_BODY ((uint64_t)64 * 1024) /* more is not waited for by others */

/* The first one is answered, or was never asked. */
static void
pop(struct lane *l)
{
	l->answered |= l->in_body;
	l->first = (l->first + 1) % LANE_MAX;
	l->n--;
	l->in_body = false;
	/* The next one has all its time. */
	if (l->n > 0)
		wheel_set(&l->w->wheel, &l->timer, mono_add(l->w->now, LANE_LATE_NS));
	else
		wheel_clear(&l->w->wheel, &l->timer);
}

static void
lane_close(struct lane *l)
{
	struct worker *w = l->w;

	ASSERT(l->n == 0);
	l->over = l->closing = true;
	wheel_clear(&w->wheel, &l->timer);
	side_close(w, &l->s);
	buf_put(&w->bufs, l->out);
	l->out = NULL;
	list_remove(&l->dirty);
	list_remove(&l->link);
	list_append(&w->dead_lanes, &l->link);
}

static struct server_conn *
conn_at(struct lane *l, unsigned i)
{
	return CONTAINER(lane_slot(l, i)->side, struct server_conn, s);
}

/* Asks for it on a connection of its own; nothing of an answer has come. */
static void
ask_apart(struct lane *l, struct server_conn *sc)
{
	struct client *c = sc->client;

	count(l->up->counter, SRV_RETRIES);
	server_close(l->w, sc);
	c->repeats++;
	c->req_sent = 0;
	c->apart = true;
	client_dispatch(l->w, c);
}

/* Those behind the first one do not wait for it any longer. */
static void
scatter(struct lane *l)
{
	l->closing = true;
	for (unsigned i = 1; i < l->n; i++) {
		if (lane_slot(l, i)->side != NULL)
			ask_apart(l, conn_at(l, i));
	}
}

/* Those that nobody waits for and that take no place on the wire any more. */
static void
pop_done(struct lane *l)
{
	while (l->n > 0 && l->slot[l->first].side == NULL &&
	       (l->over || !l->slot[l->first].sent || lane_front_done(l)))
		pop(l);
}

/* The connection is of no use any more. */
static void
lane_end(struct lane *l)
{
	struct server_conn *sc;

	if (l->over)
		return;
	if (!l->connected || l->n > 1 || (l->n == 1 && !l->in_body))
		l->up->no_lanes = mono_add(l->w->now, DISTRUST);
	scatter(l);
	l->over = true;
	if (l->n > 0 && l->slot[l->first].side != NULL) {
		sc = conn_at(l, 0);
		if (l->in_body || l->ready > 0) {
			sc->s.readable = true; /* takes the rest, and finds the end */
			server_event(l->w, sc);
		} else {
			ask_apart(l, sc);
		}
	}
	lane_soon(l);
}

/* Reads on. False: nothing came. */
static bool
fill(struct lane *l)
{
	struct buf *b = side_more(l->w, &l->s);

	return b != NULL && (b == l->s.in || side_rest(l->w, &l->s, b, 0) == 0);
}

/* 0; -EAGAIN: bytes are missing; -EBADMSG. */
static int
read_head(struct lane *l)
{
	struct http1_head *h = &l->w->head;
	struct buf *b = l->s.in;
	int r;

	if (b == NULL || b->len == l->ready)
		return -EAGAIN;
	r = http1_parse_response(h, buf_bytes(b) + l->ready, b->len - l->ready,
	    (enum http1_method)l->slot[l->first].method);
	if (r != 0)
		return r;
	if (h->status == 101)
		return -EBADMSG;
	l->ready += h->len;
	if (h->status < 200)
		return 0;
	l->in_body = true;
	http1_body_init(&l->body, h->framing, h->length);
	if (!h->keep_alive || h->framing == HTTP1_UNTIL_CLOSE)
		l->closing = true;
	if (h->framing == HTTP1_UNTIL_CLOSE || h->framing == HTTP1_CHUNKED ||
	    (h->framing == HTTP1_LENGTH && h->length > LONG_BODY))
		scatter(l);
	return 0;
}

/* Counts what has come as the first one's. */
static int
follow(struct lane *l)
{
	struct buf *b = l->s.in;
	int r = 0;

	while (!l->in_body && r == 0)
		r = read_head(l);
	if (r != 0 && r != -EAGAIN)
		return r;
	if (l->in_body && !l->body.done && b != NULL && b->len > l->ready)
		l->ready += http1_body_pass(
		    &l->body, buf_bytes(b) + l->ready, b->len - l->ready);
	return l->in_body && l->body.error != HTTP1_OK ? -EBADMSG : 0;
}

/* Hands the first one what is its. */
static void
deliver(struct lane *l)
{
	struct side *s = l->slot[l->first].side;

	if (s != NULL && l->ready > 0) {
		s->readable = true;
		server_event(l->w, CONTAINER(s, struct server_conn, s));
		return;
	}
	if (s == NULL)
		lane_use(l, l->ready);
}

static void
lane_read(struct lane *l)
{
	while (!l->over) {
		pop_done(l);
		/* An idle one has nothing to say but that it ends. */
		if (l->n == 0 &&
		    (l->s.in != NULL || fill(l) || l->s.eof || l->s.failed))
			lane_end(l);
		if (l->n == 0 || !l->slot[l->first].sent)
			return;
		if (follow(l) != 0) {
			lane_end(l);
			return;
		}
		if (l->ready > 0)
			deliver(l);
		if (l->over || lane_front_done(l))
			continue;
		if (l->ready > 0) /* its client takes no more for now */
			return;
		if (!fill(l)) {
			if (l->s.eof || l->s.failed)
				lane_end(l);
			return;
		}
	}
}

static void
send_out(struct lane *l)
{
	struct iovec v;
	ssize_t n;

	if (l->out == NULL || !l->connected || l->over)
		return;
	if (l->out->len > 0) {
		v = (struct iovec){buf_bytes(l->out), l->out->len};
		n = side_send(&l->s, &v, 1);
		buf_drop(l->out, (size_t)n);
	}
	l->open = false;
	if (l->s.broken) {
		l->s.readable = true; /* it may have answered before */
		return;
	}
	if (l->out->len > 0)
		return;
	buf_put(&l->w->bufs, l->out);
	l->out = NULL;
}

/* Everything that may be due. */
static void
run(struct lane *l)
{
	send_out(l);
	if (l->connected && !l->over)
		lane_read(l);
	pop_done(l);
	if (l->n == 0 && (l->over || l->closing || l->up->gone))
		lane_close(l);
}

void
lanes_flush(struct worker *w)
{
	struct list now;

	list_init(&now);
	while (!list_empty(&w->lanes)) {
		struct list *n = w->lanes.next;

		list_remove(n);
		list_append(&now, n);
	}
	while (!list_empty(&now)) {
		struct lane *l = CONTAINER(now.next, struct lane, dirty);

		list_remove(&l->dirty);
		run(l);
	}
}

void
lane_event(struct worker *w, struct side *s)
{
	struct lane *l = CONTAINER(s, struct lane, s);

	if (l->s.fd < 0)
		return;
	if (!l->connected && l->s.gone) {
		lane_end(l); /* those who ask apart find out why */
	} else if (!l->connected && l->s.writable) {
		l->connected = true;
		wait_reached(w, l->up);
	}
	lane_soon(l);
}

void
lane_timeout(struct worker *w, struct wheel_timer *t)
{
	struct lane *l = CONTAINER(t, struct lane, timer);
	bool wanted;

	if (l->n == 0 || l->over)
		return;
	wanted = l->slot[l->first].side != NULL;
	if (!l->connected || (!wanted && l->closing))
		lane_end(l);
	else if (l->n > 1)
		scatter(l);
	else if (!wanted)
		l->closing = true;
	if (l->n > 0 && !l->over)
		wheel_set(&w->wheel, &l->timer, mono_add(w->now, ORPHAN_NS));
	lane_soon(l);
}

void
lanes_leave(struct upstream *up)
{
	LIST_EACH(n, tmp, &up->lanes)
	{
		struct lane *l = CONTAINER(n, struct lane, link);
		bool wanted = false;

		l->closing = true;
		for (unsigned i = 0; i < l->n; i++)
			wanted |= lane_slot(l, i)->side != NULL;
		if (wanted)
			continue;
		l->over = true;
		pop_done(l);
		lane_close(l);
	}
}

void
lanes_bury(struct worker *w)
{
	while (!list_empty(&w->dead_lanes)) {
		struct lane *l = CONTAINER(w->dead_lanes.next, struct lane, link);

		list_remove(&l->link);
		upstream_unref(l->up);
		free(l);
	}
}
