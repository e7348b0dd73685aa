/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_trunk_fuzz.c - any frames from a server that speaks HTTP/2.
 *
 * Three clients, one with a body, wait for one connection to it. Its transport hands
 * out the input and takes or does not take what is sent; another connection cannot be
 * had. The first byte of the input says how large reads are, what is taken, and how it
 * ends. Whatever comes, clients get HTTP/1.1 or an end, and in the end nothing is left.
 */
#include "proxy/timers.h"
#include "worker_world.h"

enum { SLOW_CLIENTS = 16 };

#define CLIENTS 3

static const char site[] =
    "cluster: t\nnetwork: 127.0.0.0/8\nhosts: {lb: 127.0.0.1}\nservices:\n"
    "  site:\n    listen: lb:80\n    server_http2: true\n"
    "    servers: [{unix: /nonexistent/socket}]\n";

static struct h2_trunk *
trunk_new(struct world *o, struct input *in)
{
	struct h2_trunk *t = calloc(1, sizeof(*t));

	ASSERT(t != NULL);
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
ask(struct world *o, struct input *from)
{
	struct client *c = client_new(&o->worker, &o->listener, -1);

	ASSERT(c != NULL);
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
	worker_turn(w);
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
	ASSERT(t->n == CLIENTS);
	ASSERT(h2_trunk_begin(t) == 0);
	worker_turn(w);
	while (in->at < in->len && !t->over) {
		t->s.readable = t->s.writable = true;
		h2_trunk_event(w, &t->s);
		worker_turn(w);
		move_clients(o);
		w->now = mono_add(w->now, MS_NS);
	}
	in->ended = true;
	if ((in->how & BY_TIME) == 0 && !t->over) {
		t->s.readable = true;
		h2_trunk_event(w, &t->s);
		worker_turn(w);
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
	if (o == NULL)
		o = world_new(site);
	w = &o->worker;
	in.p = data + 1;
	in.len = len - 1;
	in.how = data[0];
	upstream_retry_due(w, o->service->up[0]);
	play(o, &in);
	ASSERT(o->service->n_clients == 0 && list_empty(&o->service->clients));
	ASSERT(list_empty(&o->service->up[0]->trunks));
	ASSERT(list_empty(&o->service->up[0]->busy));
	worker_bury(w);
	ASSERT(list_empty(&w->h2->ended_trunks));
	worker_turn(w);
	ASSERT(list_empty(&w->h2->dirty_trunks));
	ASSERT(w->bufs.n_large == w->bufs.n_free_large + 1);
	return 0;
}
