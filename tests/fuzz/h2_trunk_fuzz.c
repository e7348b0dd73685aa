/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_trunk_fuzz.c - any frames from a server that speaks HTTP/2.
 *
 * Three clients, one with a body, wait for one connection to it. Its transport hands
 * out the input and takes or does not take what is sent; another connection cannot be
 * had. The first byte of the input says how large reads are, what is taken, and how it
 * ends. Whatever comes, clients get HTTP/1.1 or an end, and in the end nothing is left.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/control/gen.h"
#include "proxy/h2/h2_trunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MUST(e) ((e) ? (void)0 : broken(#e, __LINE__))

enum { SMALL_READS = 1, DEAF = 2, NARROW = 4, BY_TIME = 8, SLOW_CLIENTS = 16 };

#define CLIENTS 3

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
	bool client; /* it is one, and hears an answer */
	size_t heard;
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
	struct input *in = s->layer;
	size_t all = 0;

	for (size_t i = 0; i < n; i++)
		all += iov[i].iov_len;
	if (in->client && in->heard == 0)
		MUST(memcmp(iov[0].iov_base, "HTTP/1.1 ", 9) == 0);
	in->heard += all;
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
	    "  site:\n    listen: lb:80\n    server_http2: true\n"
	    "    servers: [{unix: /nonexistent/socket}]\n";
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
	MUST(h2_worker_init(w) == 0);
}

static struct h2_trunk *
trunk_new(struct world *o, struct input *in)
{
	struct h2_trunk *t = calloc(1, sizeof(*t));

	MUST(t != NULL);
	t->s = (struct side){.fd = -1, .kind = SIDE_TRUNK, .via = &fake, .layer = in};
	t->w = &o->worker;
	t->up = o->service->up[0];
	t->up->refs++;
	t->up->streams = UINT16_MAX;
	list_init(&t->dirty);
	list_init(&t->places);
	list_init(&t->link);
	list_prepend(&t->up->trunks, &t->link);
	wheel_timer_init(&t->timer, TIMER_TRUNK);
	return t;
}

static void
expire(struct worker *w)
{
	struct wheel_timer *t;

	while ((t = wheel_expired(&w->wheel, w->now)) != NULL) {
		if (t->kind == TIMER_CLIENT)
			client_timeout(w, CONTAINER(t, struct client, timer));
		if (t->kind == TIMER_TRUNK)
			h2_trunk_timeout(w, t);
		if (t->kind == TIMER_UPSTREAM)
			upstream_retry_due(w, CONTAINER(t, struct upstream, retry));
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
	h2_trunks_bury(w);
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
ask(struct world *o, struct input *from)
{
	struct client *c = client_new(&o->worker, &o->listener, -1);

	MUST(c != NULL);
	c->s.via = &fake;
	c->s.layer = from;
	client_start(&o->worker, c);
}

/* The clients go on taking what there is for them. */
static void
move_clients(struct world *o)
{
	struct worker *w = &o->worker;

	LIST_EACH(n, tmp, &o->service->clients)
	{
		struct client *c = CONTAINER(n, struct client, link);

		c->s.readable = c->s.writable = true;
		client_make_ready(w, c);
	}
	turn(w);
}

static void
play(struct world *o, struct input *in)
{
	static const char get[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	static const char post[] =
	    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "3\r\nabc\r\n0\r\nX-A: b\r\n\r\n";
	uint8_t how = (in->how & SLOW_CLIENTS) != 0 ? NARROW : 0;
	struct input from[CLIENTS] = {
	    {(const uint8_t *)get, sizeof(get) - 1, 0, how, false, true, 0},
	    {(const uint8_t *)post, sizeof(post) - 1, 0, how, false, true, 0},
	    {(const uint8_t *)get, sizeof(get) - 1, 0, 0, false, true, 0}};
	struct h2_trunk *t = trunk_new(o, in);
	struct worker *w = &o->worker;

	for (size_t i = 0; i < CLIENTS; i++)
		ask(o, &from[i]);
	MUST(t->n == CLIENTS);
	MUST(h2_trunk_begin(t) == 0);
	turn(w);
	while (in->at < in->len && !t->over) {
		t->s.readable = t->s.writable = true;
		h2_trunk_event(w, &t->s);
		turn(w);
		move_clients(o);
		w->now = mono_add(w->now, MS_NS);
	}
	in->ended = true;
	if ((in->how & BY_TIME) == 0 && !t->over) {
		t->s.readable = true;
		h2_trunk_event(w, &t->s);
		turn(w);
	}
	for (size_t i = 0; i < CLIENTS; i++)
		from[i].ended = true;
	move_clients(o);
	wait_for_the_end(o);
	if (!list_empty(&o->service->up[0]->trunks))
		h2_trunks_leave(o->service->up[0]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct world *o;
	struct input in = {.how = 0};
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
	in.p = data + 1;
	in.len = len - 1;
	in.how = data[0];
	upstream_retry_due(w, o->service->up[0]);
	play(o, &in);
	MUST(o->service->n_clients == 0 && list_empty(&o->service->clients));
	MUST(list_empty(&o->service->up[0]->trunks));
	MUST(list_empty(&o->service->up[0]->busy));
	bury(w);
	MUST(list_empty(&w->h2->ended_trunks));
	turn(w);
	MUST(list_empty(&w->h2->dirty_trunks));
	MUST(w->bufs.n_large == w->bufs.n_free_large + 1);
	return 0;
}
