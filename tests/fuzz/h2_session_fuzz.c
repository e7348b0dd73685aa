/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_session_fuzz.c - any frames to a worker that speaks HTTP/2.
 *
 * The client is a transport that hands out the input, behind the preface, and takes or
 * does not take what is sent; the one server is busy, so that requests wait in its
 * queue with their bodies, or gone, so that they are refused. The first byte of the
 * input says how large reads are, what is taken, and how it ends: by the client's end,
 * by time passing, or by draining. Whatever comes, in the end nothing is left.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/control/gen.h"
#include "proxy/h2/h2_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MUST(e) ((e) ? (void)0 : broken(#e, __LINE__))

enum { SMALL_READS = 1, DEAF = 2, NARROW = 4, BY_TIME = 8, DRAIN = 16, GIVE = 32 };

struct world {
	struct worker worker;
	struct wlistener listener;
	struct wservice *service;
	struct view *view;
};

struct input {
	const uint8_t *p;
	size_t len, at;
	uint8_t how;
	bool ended;
};

static void
broken(const char *what, int line)
{
	(void)fprintf(stderr, "line %d: not so: %s\n", line, what);
	abort();
}

static ssize_t
fake_recv(struct side *s, void *p, size_t n)
{
	struct input *in = s->layer;
	size_t left = in->len - in->at, k = left < n ? left : n;

	if ((in->how & SMALL_READS) != 0 && k > 7)
		k = 7;
	if (k == 0) {
		errno = EAGAIN;
		return in->ended ? 0 : -1;
	}
	memcpy(p, in->p + in->at, k);
	in->at += k;
	return (ssize_t)k;
}

static ssize_t
fake_send(struct side *s, const struct iovec *iov, size_t n)
{
	const struct input *in = s->layer;
	size_t all = 0;

	for (size_t i = 0; i < n; i++)
		all += iov[i].iov_len;
	if ((in->how & DEAF) != 0) {
		errno = EAGAIN;
		return -1;
	}
	return (ssize_t)((in->how & NARROW) != 0 && all > 11 ? 11 : all);
}

static void
fake_shut(struct side *s)
{
	(void)s;
}

static bool
fake_quiet(struct side *s)
{
	(void)s;
	return false;
}

static void
fake_close(struct worker *w, struct side *s)
{
	(void)w;
	s->layer = NULL;
}

static const struct transport fake = {
    fake_recv, fake_send, fake_shut, fake_quiet, fake_close};

/* As worker_start() would, without a thread. */
static void
open_world(struct world *o)
{
	static const char text[] =
	    "cluster: t\nnetwork: 127.0.0.0/8\nhosts: {lb: 127.0.0.1}\nservices:\n"
	    "  site:\n    listen: lb:80\n    http2: true\n    max_streams: 8\n"
	    "    servers:\n"
	    "      - {unix: /nonexistent/socket, max_connections: 1}\n"
	    "    queue: 4\n";
	struct worker *w = &o->worker;
	struct diag_list diags;
	const struct cluster *c;
	struct gen *g;

	diag_init(&diags, "fuzz");
	c = cluster_parse(text, sizeof(text) - 1, &diags);
	diag_done(&diags);
	MUST(c != NULL);
	g = gen_new(c, cluster_host(c, "lb"), 1, NULL, NULL, NULL);
	MUST(g != NULL);
	w->epfd = w->reserve = w->wake.fd = w->conf.notify = -1;
	w->now = (mono_t){SEC_NS};
	wheel_init(&w->wheel, w->now);
	MUST(bufs_init(&w->bufs, 64) == 0);
	list_init(&w->services);
	list_init(&w->listeners);
	list_init(&w->ready);
	list_init(&w->dead_clients);
	list_init(&w->dead_listeners);
	list_init(&w->dead_servers);
	list_init(&w->free_clients);
	list_init(&w->free_servers);
	o->service = service_new(w);
	service_update(w, o->service, g, 0);
	o->view = w->view = view_new(g, 0);
	MUST(o->view != NULL);
	o->listener.refs = 1;
	o->listener.service = o->service;
	list_init(&o->listener.link);
}

static void
expire(struct worker *w)
{
	struct wheel_timer *t;

	while ((t = wheel_expired(&w->wheel, w->now)) != NULL) {
		if (t->kind == TIMER_CLIENT)
			client_timeout(w, CONTAINER(t, struct client, timer));
	}
}

static void
turn(struct worker *w)
{
	struct list now;

	list_init(&now);
	while (!list_empty(&w->ready)) {
		struct list *n = w->ready.next;

		list_remove(n);
		list_append(&now, n);
	}
	while (!list_empty(&now))
		client_ready(w, CONTAINER(now.next, struct client, ready_link));
	h2_flush(w);
}

/* Frees what died; the streams' structs are used again. */
static void
bury(struct worker *w)
{
	while (!list_empty(&w->dead_clients)) {
		struct list *n = w->dead_clients.next;

		list_remove(n);
		free(CONTAINER(n, struct client, link));
	}
	while (!list_empty(&w->dead_servers)) {
		struct list *n = w->dead_servers.next;

		list_remove(n);
		upstream_unref(CONTAINER(n, struct server_conn, link)->up);
		free(CONTAINER(n, struct server_conn, link));
	}
}

/* Time passes until whatever waits for something has waited long enough. */
static void
wait_for_the_end(struct world *o)
{
	struct worker *w = &o->worker;

	for (int i = 0; i < 100 && o->service->n_clients > 0; i++) {
		w->now = mono_add(w->now, 61 * SEC_NS);
		expire(w);
		turn(w);
	}
}

static void
play(struct world *o, struct input *in)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	struct worker *w = &o->worker;
	struct client *c = client_new(w, &o->listener, -1);
	struct input hello = {
	    (const uint8_t *)preface, sizeof(preface) - 1, 0, 0, false};

	MUST(c != NULL);
	c->s.via = &fake;
	c->s.layer = &hello;
	h2_start(w, c);
	turn(w);
	c->s.layer = in;
	while (in->at < in->len && c->state == CLIENT_SESSION) {
		c->s.readable = c->s.writable = true;
		h2_event(w, c);
		turn(w);
		w->now = mono_add(w->now, MS_NS);
	}
	if ((in->how & DRAIN) != 0)
		client_drain(w, c);
	if ((in->how & GIVE) != 0) {
		(void)limit_put(o->service->up[0]->limit);
		service_room(w, o->service);
	}
	turn(w);
	in->ended = (in->how & BY_TIME) == 0;
	for (int i = 0; i < 8 && c->state != CLIENT_DEAD && in->ended; i++) {
		c->s.readable = true;
		client_event(w, c);
		turn(w);
	}
	wait_for_the_end(o);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct world *o;
	struct limit *limit;
	struct worker *w;

	if (len == 0)
		return 0;
	if (o == NULL) {
		o = calloc(1, sizeof(*o));
		if (o == NULL)
			abort();
		open_world(o);
	}
	w = &o->worker;
	limit = o->service->up[0]->limit;
	MUST(limit_take(limit, 1, 0));
	play(o, &(struct input){data + 1, len - 1, 0, data[0], false});
	MUST(o->service->n_clients == 0 && o->service->group[0]->queue.n == 0);
	MUST(list_empty(&o->service->clients) && list_empty(&w->ready));
	MUST(list_empty(&w->h2->dirty));
	bury(w);
	MUST(w->bufs.n_large == w->bufs.n_free_large + 1);
	if ((data[0] & GIVE) == 0)
		(void)limit_put(limit);
	return 0;
}
