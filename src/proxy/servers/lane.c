/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/servers/lane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/client.h"
#include "proxy/counters.h"
#include "proxy/servers/dial.h"
#include "proxy/servers/server_conn.h"
#include "proxy/servers/service.h"
#include "proxy/servers/upstream.h"
#include "proxy/servers/wait.h"
#include "proxy/timers.h"
#include "proxy/worker_inside.h"

#define LATE_NS	  (25 * MS_NS)	/* for the first answer while others wait behind */
#define ORPHAN_NS (1 * SEC_NS)	/* for an answer that nobody wants any more */
#define DISTRUST  (10 * SEC_NS) /* after a lane ended with requests on it */
#define LONG_BODY ((uint64_t)64 * 1024) /* more is not waited for by others */

/* A request on its way; the order of them is the order of the answers. */
struct slot {
	struct side *side; /* NULL: nobody wants the answer */
	uint8_t method;
	bool sent; /* written, at least into `out` */
};

struct lane {
	struct side s;	   /* the connection; what was read and not taken is in s.in */
	struct list link;  /* upstream->lanes, or worker->dead_lanes */
	struct list dirty; /* worker->lanes */
	struct worker *w;
	struct upstream *up;
	struct buf *out;	    /* requests of this turn */
	struct slot slot[LANE_MAX]; /* a ring */
	unsigned first, n;
	bool connected;
	bool answered; /* at least one request */
	bool open;     /* all its requests are of this turn: takes more */
	bool closing;  /* takes no more, and ends with the answer at hand */
	bool over;     /* nothing more will be sent or read */
	bool in_body;  /* of the first one's answer */
	struct http1_body body;
	size_t ready; /* bytes at the start of s.in that are the first one's */
	struct wheel_timer timer;
};

static struct slot *
slot_at(struct lane *l, unsigned i)
{
	ASSERT(i < l->n);
	return &l->slot[(l->first + i) % LANE_MAX];
}

static void
soon(struct lane *l)
{
	if (list_empty(&l->dirty))
		list_append(&l->w->lanes, &l->dirty);
}

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
		wheel_set(&l->w->wheel, &l->timer, mono_add(l->w->now, LATE_NS));
	else
		wheel_clear(&l->w->wheel, &l->timer);
}

static bool
front_done(const struct lane *l)
{
	return l->in_body && l->body.done && l->ready == 0;
}

/* `n` bytes of what is ready are done with. */
static void
use(struct lane *l, size_t n)
{
	if (n == 0)
		return;
	buf_drop(l->s.in, n);
	l->ready -= n;
	if (l->s.in->len > 0)
		return;
	buf_put(&l->w->bufs, l->s.in);
	l->s.in = NULL;
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

/* ---- what a server connection's side sees ---- */

static ssize_t
slot_recv(struct side *s, void *p, size_t n)
{
	struct lane *l = s->layer;
	struct slot *first;

	if (l == NULL) /* it has had all of its answer */
		return 0;
	first = l->n > 0 ? &l->slot[l->first] : NULL;
	if (first != NULL && first->side == s && l->ready > 0) {
		n = n < l->ready ? n : l->ready;
		memcpy(p, buf_bytes(l->s.in), n);
		use(l, n);
		if (front_done(l)) {
			first->side = NULL;
			s->layer = NULL;
		}
		soon(l); /* there may be more behind it */
		return (ssize_t)n;
	}
	if (l->over)
		return 0;
	errno = EAGAIN;
	return -1;
}

/* All or nothing: the bytes of two requests must not mix. */
static ssize_t
slot_send(struct side *s, const struct iovec *iov, size_t n)
{
	struct lane *l = s->layer;
	size_t want = 0;

	for (size_t i = 0; i < n; i++)
		want += iov[i].iov_len;
	if (l->over || l->out == NULL || l->out->cap - l->out->len < want) {
		errno = EPIPE;
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		memcpy(l->out->data + l->out->len, iov[i].iov_base, iov[i].iov_len);
		l->out->len += (uint32_t)iov[i].iov_len;
	}
	for (unsigned i = 0; i < l->n; i++) {
		if (slot_at(l, i)->side == s)
			slot_at(l, i)->sent = true;
	}
	soon(l);
	return (ssize_t)want;
}

static void
slot_shut(struct side *s)
{
	(void)s; /* the connection is not this one's to close */
}

static bool
slot_quiet(struct side *s)
{
	(void)s;
	return true;
}

/* The exchange is over, or given up: then somebody has to read the answer all the
 * same. */
static void
slot_close(struct worker *w, struct side *s)
{
	struct lane *l = s->layer;

	(void)w;
	if (l == NULL)
		return;
	for (unsigned i = 0; i < l->n; i++) {
		if (slot_at(l, i)->side == s)
			slot_at(l, i)->side = NULL;
	}
	s->layer = NULL;
	soon(l);
}

static const struct transport slot_transport = {.recv = slot_recv,
    .send = slot_send,
    .shut = slot_shut,
    .quiet = slot_quiet,
    .close = slot_close};

/* ---- a lane's life ---- */

static struct server_conn *
conn_at(struct lane *l, unsigned i)
{
	return CONTAINER(slot_at(l, i)->side, struct server_conn, s);
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
		if (slot_at(l, i)->side != NULL)
			ask_apart(l, conn_at(l, i));
	}
}

/* Those that nobody waits for and that take no place on the wire any more. */
static void
pop_done(struct lane *l)
{
	while (l->n > 0 && l->slot[l->first].side == NULL &&
	       (l->over || !l->slot[l->first].sent || front_done(l)))
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
	soon(l);
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
		use(l, l->ready);
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
		if (l->over || front_done(l))
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
	soon(l);
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
	soon(l);
}

/* ---- getting a place ---- */

bool
lane_fits(const struct worker *w, const struct client *c, const struct upstream *up)
{
	const struct service *conf = c->service->conf;

	return conf->pipeline > 0 && !c->tcp && !c->apart && !c->upgrade &&
	       (c->method == HTTP1_GET || c->method == HTTP1_HEAD) && c->up.body.done &&
	       c->req != NULL && conf->send_proxy == 0 && !conf->server_tls.on &&
	       !conf->transparent && mono_before(up->no_lanes, w->now);
}

static struct lane *
lane_new(struct worker *w, const struct client *c, struct upstream *up)
{
	struct lane *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->s = (struct side){.fd = dial_server(up, &c->from), .kind = SIDE_LANE};
	if (l->s.fd < 0 || side_watch(w, &l->s) != 0) {
		if (l->s.fd >= 0)
			side_close(w, &l->s);
		free(l);
		return NULL;
	}
	l->w = w;
	l->up = up;
	up->refs++;
	list_init(&l->link);
	list_init(&l->dirty);
	list_append(&up->lanes, &l->link);
	wheel_timer_init(&l->timer, TIMER_LANE);
	count(up->counter, SRV_CONNECTIONS);
	return l;
}

/* One that this turn has begun, else an idle one. The last used is the first. */
static struct lane *
lane_free(const struct upstream *up, const struct client *c)
{
	struct lane *idle = NULL;

	LIST_EACH(n, tmp, &up->lanes)
	{
		struct lane *l = CONTAINER(n, struct lane, link);

		if (l->closing || l->over)
			continue;
		if (l->open && l->n > 0 && l->n < c->service->conf->pipeline &&
		    l->out != NULL && l->out->cap - l->out->len >= c->req->len)
			return l;
		if (idle == NULL && l->n == 0 && l->out == NULL && side_quiet(&l->s))
			idle = l;
	}
	return idle;
}

int
lane_open(struct worker *w, const struct client *c, struct upstream *up, struct side *s)
{
	struct lane *l = lane_free(up, c);
	size_t room = 0;

	if (l == NULL) {
		LIST_EACH(n, tmp, &up->lanes)
		room++;
		if (room >= up->service->conf->pool)
			return -EAGAIN;
		l = lane_new(w, c, up);
		if (l == NULL)
			return -EAGAIN; /* a plain connection says why */
	}
	if (l->n == 0) {
		if (l->out == NULL)
			l->out = buf_get(&w->bufs, BUF_LARGE);
		if (l->out == NULL)
			return -EAGAIN;
		l->open = true;
		wheel_set(&w->wheel, &l->timer, mono_add(w->now, LATE_NS));
		list_remove(&l->link);
		list_prepend(&up->lanes, &l->link);
	}
	l->n++;
	*slot_at(l, l->n - 1) = (struct slot){.side = s, .method = c->method};
	*s = (struct side){.fd = -1,
	    .kind = SIDE_SERVER,
	    .writable = true,
	    .via = &slot_transport,
	    .layer = l};
	return 0;
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
			wanted |= slot_at(l, i)->side != NULL;
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
