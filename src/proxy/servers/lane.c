/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane.c - places on lanes: what the exchange of each request sees of one. The lanes
 * themselves are lane_run.c's.
 */
#include "proxy/servers/lane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/client.h"
#include "proxy/counters.h"
#include "proxy/servers/dial.h"
#include "proxy/servers/lane_inside.h"
#include "proxy/servers/service.h"
#include "proxy/servers/upstream.h"
#include "proxy/timers.h"

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
		lane_use(l, n);
		if (lane_front_done(l)) {
			first->side = NULL;
			s->layer = NULL;
		}
		lane_soon(l); /* there may be more behind it */
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
		if (lane_slot(l, i)->side == s)
			lane_slot(l, i)->sent = true;
	}
	lane_soon(l);
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
		if (lane_slot(l, i)->side == s)
			lane_slot(l, i)->side = NULL;
	}
	s->layer = NULL;
	lane_soon(l);
}

static const struct transport slot_transport = {.recv = slot_recv,
    .send = slot_send,
    .shut = slot_shut,
    .quiet = slot_quiet,
    .close = slot_close};

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
		wheel_set(&w->wheel, &l->timer, mono_add(w->now, LANE_LATE_NS));
		list_remove(&l->link);
		list_prepend(&up->lanes, &l->link);
	}
	l->n++;
	*lane_slot(l, l->n - 1) = (struct slot){.side = s, .method = c->method};
	*s = (struct side){.fd = -1,
	    .kind = SIDE_SERVER,
	    .writable = true,
	    .via = &slot_transport,
	    .layer = l};
	return 0;
}
