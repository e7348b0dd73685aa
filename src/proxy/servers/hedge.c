/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/servers/hedge.h"

#include <errno.h>
#include <stdlib.h>

#include "proxy/client.h"
#include "proxy/counters.h"
#include "proxy/servers/care.h"
#include "proxy/servers/latency.h"
#include "proxy/servers/server_conn.h"
#include "proxy/servers/service.h"
#include "proxy/servers/upstream.h"
#include "proxy/servers/wait.h"
#include "proxy/tls/tls.h"
#include "proxy/worker_inside.h"

struct hedge {
	struct list link; /* service->hedges, in the order of `asked`; or none */
	struct client *c;
	mono_t asked;
	uint32_t sent; /* of the request, to the second server */
};

void
hedge_end(struct worker *w, struct client *c)
{
	struct hedge *h = c->hedge;

	if (h == NULL)
		return;
	if (c->second != NULL)
		server_close(w, c->second);
	list_remove(&h->link);
	c->hedge = NULL;
	free(h);
}

void
hedge_answered(struct worker *w, struct client *c)
{
	if (c->service->conf->balancing.hedge.percentile > 0)
		latency_add(&c->group->latency, mono_sub(w->now, c->served));
	hedge_end(w, c);
}

/* ---- the second server ----------------------------------------------------------- */

void
hedge_lost(struct worker *w, struct server_conn *sc, int error)
{
	struct upstream *up = sc->up;

	if (!sc->connected) {
		count(up->counter, SRV_CONNECT_ERRORS);
		if (error != EHOSTDOWN)
			upstream_failed(w, up, error);
	}
	server_close(w, sc);
}

/* The second is the peer from now on. */
static void
take_place(struct worker *w, struct client *c)
{
	struct hedge *h = c->hedge;

	server_close(w, c->peer);
	c->peer = c->second;
	c->second = NULL;
	c->req_sent = h->sent;
	c->connected = c->peer->since;
	hedge_end(w, c);
}

/* It was faster. */
static void
win(struct worker *w, struct client *c)
{
	struct server_conn *first = c->peer;

	care_outrun(first->up, mono_sub(w->now, first->since));
	take_place(w, c);
	c->unclean = c->req_sent < c->req->len;
	count(c->peer->up->counter, SRV_HEDGES_WON);
	client_make_ready(w, c); /* it reads the answer, which waits there */
}

static void
send_on(struct client *c)
{
	struct hedge *h = c->hedge;
	struct iovec v = {c->req->data + h->sent, c->req->len - h->sent};

	if (v.iov_len > 0)
		h->sent += (uint32_t)side_send(&c->second->s, &v, 1);
}

void
hedge_pump(struct worker *w, struct client *c)
{
	struct server_conn *sc = c->second;
	struct side *s;
	struct buf *b;
	int r;

	if (sc == NULL || !sc->connected)
		return;
	s = &sc->s;
	send_on(c);
	for (;;) {
		b = s->in != NULL && !sc->partial ? s->in : side_more(w, s);
		if (b == NULL)
			break;
		r = http1_parse_response(
		    &w->head, buf_bytes(b), b->len, (enum http1_method)c->method);
		sc->partial = r == -EAGAIN;
		if (side_rest(w, s, b, 0) != 0)
			break;
		if (r == 0 && w->head.status < 500 && w->head.status != 101) {
			win(w, c);
			return;
		}
		if (r != -EAGAIN) {
			hedge_lost(w, sc, EBADMSG);
			return;
		}
	}
	if (s->eof || s->failed || s->broken)
		hedge_lost(w, sc, EPIPE);
}

void
hedge_connected(struct worker *w, struct server_conn *sc)
{
	sc->connected = true;
	wait_reached(w, sc->up);
	hedge_pump(w, sc->client);
}

void
hedge_event(struct worker *w, struct server_conn *sc)
{
	int r = 0;

	if (sc->connected) {
		hedge_pump(w, sc->client);
		return;
	}
	if (sc->s.gone) {
		hedge_lost(w, sc, side_error(&sc->s));
		return;
	}
	if (!sc->s.writable)
		return;
	if (sc->s.via != NULL)
		r = tls_handshake(&sc->s);
	if (r == 0)
		hedge_connected(w, sc);
	else if (r != -EAGAIN)
		hedge_lost(w, sc, -r);
}

bool
hedge_stands_in(struct worker *w, struct client *c, int error)
{
	struct server_conn *first = c->peer;

	if (c->second == NULL)
		return false;
	count(first->up->counter, SRV_ERRORS);
	care_failed(w, first->up);
	if (error == ECONNRESET)
		upstream_failed(w, first->up, error);
	if (c->n_tried < TRIES_MAX)
		c->tried[c->n_tried++] = (uint32_t)first->up->index;
	take_place(w, c);
	c->unclean = false;
	c->repeats++;
	c->state = c->peer->connected ? CLIENT_WAITING : CLIENT_CONNECTING;
	if (c->peer->connected)
		client_make_ready(w, c);
	else
		wheel_set(&w->wheel, &c->timer,
		    mono_add(w->now, c->service->conf->connect_timeout_ns));
	return true;
}

/* ---- when ------------------------------------------------------------------------ */

static bool
spend(struct wservice *s)
{
	if (s->hedge_purse < 100)
		return false;
	s->hedge_purse -= 100;
	return true;
}

/* Asks a server that `c` has not asked yet, if one is free. */
static void
ask_second(struct worker *w, struct client *c)
{
	struct server_conn *first = c->peer;
	struct upstream *up;
	int i;

	if (c->n_tried == TRIES_MAX)
		return;
	c->tried[c->n_tried++] = (uint32_t)first->up->index;
	i = upstream_pick(w, c);
	c->n_tried--;
	if (i < 0)
		return;
	up = c->group->up[i];
	if (!spend(c->service) || server_open(w, c, up) != 0) {
		upstream_give_back(w, up);
		return;
	}
	c->second = c->peer;
	c->peer = first;
	count(up->counter, SRV_HEDGES);
	if (c->second->connected)
		hedge_pump(w, c);
}

/* All of its request is out, and nothing has come back. */
static bool
waits(const struct client *c)
{
	return c->state == CLIENT_WAITING && c->peer != NULL && c->req != NULL &&
	       c->req_sent == c->req->len && !c->unclean && c->peer->s.in == NULL &&
	       !flow_pending(&c->down);
}

/* How long the first server may take; 0: it is not known. */
static int64_t
patience(const struct client *c)
{
	const struct hedge_conf *conf = &c->service->conf->balancing.hedge;

	return conf->percentile == 0
		   ? conf->after_ns
		   : latency_percentile(&c->group->latency, conf->percentile);
}

void
hedge_due(struct worker *w, struct wservice *s)
{
	while (!list_empty(&s->hedges)) {
		struct hedge *h = CONTAINER(s->hedges.next, struct hedge, link);
		int64_t ns = patience(h->c);
		mono_t due = mono_add(h->asked, ns);

		if (ns > 0 && mono_before(w->now, due)) {
			wheel_set(&w->wheel, &s->hedge_timer, due);
			return;
		}
		list_remove(&h->link);
		if (ns > 0 && waits(h->c))
			ask_second(w, h->c);
	}
}

void
hedge_begin(struct worker *w, struct client *c)
{
	struct wservice *s = c->service;
	const struct hedge_conf *conf = &s->conf->balancing.hedge;
	int64_t ns;

	if (c->state != CLIENT_WAITING || c->hedge != NULL || c->streamed ||
	    !c->up.body.done || c->upgrade || c->stuck != 0 ||
	    !http1_idempotent((enum http1_method)c->method))
		return;
	s->hedge_purse += s->hedge_purse < HEDGE_PURSE ? conf->budget : 0;
	ns = patience(c);
	if (ns == 0)
		return;
	c->hedge = calloc(1, sizeof(*c->hedge));
	if (c->hedge == NULL)
		return;
	c->hedge->c = c;
	c->hedge->asked = w->now;
	list_init(&c->hedge->link);
	if (list_empty(&s->hedges))
		wheel_set(&w->wheel, &s->hedge_timer, mono_add(w->now, ns));
	list_append(&s->hedges, &c->hedge->link);
}
