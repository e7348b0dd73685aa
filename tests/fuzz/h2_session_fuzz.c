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
#include "worker_world.h"

enum { DRAIN = 16, GIVE = 32 };

static const char site[] =
    "cluster: t\nnetwork: 127.0.0.0/8\nhosts: {lb: 127.0.0.1}\nservices:\n"
    "  site:\n    listen: lb:80\n    http2: true\n    max_streams: 8\n"
    "    servers:\n"
    "      - {unix: /nonexistent/socket, max_connections: 1}\n"
    "    queue: 4\n";

static void
play(struct world *o, struct input *in)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	struct worker *w = &o->worker;
	struct client *c = client_new(w, &o->listener, -1);
	struct input hello = {
	    .p = (const uint8_t *)preface, .len = sizeof(preface) - 1};

	ASSERT(c != NULL);
	c->s.via = &fake;
	c->s.layer = &hello;
	h2_start(w, c);
	worker_turn(w);
	c->s.layer = in;
	while (in->at < in->len && c->state == CLIENT_SESSION) {
		c->s.readable = c->s.writable = true;
		h2_event(w, c);
		worker_turn(w);
		w->now = mono_add(w->now, MS_NS);
	}
	if ((in->how & DRAIN) != 0)
		client_drain(w, c);
	if ((in->how & GIVE) != 0) {
		(void)limit_put(o->service->up[0]->limit);
		service_room(w, o->service);
	}
	worker_turn(w);
	in->ended = (in->how & BY_TIME) == 0;
	for (int i = 0; i < 8 && c->state != CLIENT_DEAD && in->ended; i++) {
		c->s.readable = true;
		client_event(w, c);
		worker_turn(w);
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
	if (o == NULL)
		o = world_new(site);
	w = &o->worker;
	limit = o->service->up[0]->limit;
	ASSERT(limit_take(limit, 1, 0));
	play(o, &(struct input){.p = data + 1, .len = len - 1, .how = data[0]});
	ASSERT(o->service->n_clients == 0 && o->service->group[0]->queue.n == 0);
	ASSERT(list_empty(&o->service->clients) && list_empty(&w->ready));
	ASSERT(list_empty(&w->h2->dirty));
	worker_bury(w);
	ASSERT(w->bufs.n_large == w->bufs.n_free_large + 1);
	if ((data[0] & GIVE) == 0)
		(void)limit_put(limit);
	return 0;
}
