/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_queue.c - clients that can go on without an event, and those that wait until a
 * server has room.
 */
#include <stdlib.h>

#include "config/cluster.h"
#include "proxy/client.h"
#include "proxy/control/view.h"
#include "proxy/counters.h"
#include "proxy/meter.h"
#include "proxy/servers/fair.h"
#include "proxy/servers/service.h"
#include "proxy/worker_inside.h"

static void
left_queue(struct client *c)
{
	(void)limit_put(c->service->waiting); /* nobody waits to wait */
	stats_add(&c->service->counter[SVC_QUEUE], UINT64_MAX);
}

bool
client_call_over(struct client *c)
{
	if (c->group->called != c)
		return false;
	c->group->called = NULL;
	left_queue(c);
	return true;
}

void
client_leave_queue(struct worker *w, struct client *c)
{
	c->ready = false;
	if (c->state == CLIENT_QUEUED) {
		fair_remove(&c->group->queue, c->line, &c->ready_link);
		left_queue(c);
		return;
	}
	list_remove(&c->ready_link);
	if (client_call_over(c))
		client_requeue(w, c->group);
}

void
client_make_ready(struct worker *w, struct client *c)
{
	if (c->ready || c->state == CLIENT_QUEUED)
		return;
	c->ready = true;
	list_append(&w->ready, &c->ready_link);
}

/* The next in the queue of `g` goes on; NULL if nobody waits. */
static struct client *
wake_next(struct worker *w, struct wgroup *g)
{
	struct list *next = fair_pop(&g->queue);
	struct client *c;

	if (next == NULL)
		return NULL;
	c = CONTAINER(next, struct client, ready_link);
	c->state = CLIENT_CONNECTING;
	c->ready = true;
	list_append(&w->ready, &c->ready_link);
	return c;
}

/*
 * A server of `g` may have room: the next who waits for one tries, and keeps his place
 * in the queue until he has found it. Then he calls the next, so that the last who is
 * called finds none, and with it whose limit wakes this worker again. Whoever is called
 * already will see the room that this is about.
 */
void
client_requeue(struct worker *w, struct wgroup *g)
{
	if (g->called == NULL)
		g->called = wake_next(w, g);
}

/* Nobody is to wait for `g` any more. */
void
client_requeue_all(struct worker *w, struct wgroup *g)
{
	struct client *c;

	while ((c = wake_next(w, g)) != NULL)
		left_queue(c);
}

/* If its turn was too short for what it has to move, it gets another one. */
void
client_take_turns(struct worker *w, struct client *c)
{
	if ((c->up.more || c->down.more) && c->state != CLIENT_DEAD)
		client_make_ready(w, c);
}

/* A place in the queue of its group. False: there is none but that of `*victim`, whose
 * source has more of them; NULL: nobody is to go for it. */
static bool
find_place(struct worker *w, struct client *c, struct client **victim)
{
	struct wservice *s = c->service;
	struct fair *q = &c->group->queue;
	struct fair_line *lines;
	struct list *first;

	if (s->conf->queue_size == 0)
		return false;
	if (q->line == NULL) {
		lines = calloc(FAIR_LINES, sizeof(*lines));
		if (lines == NULL)
			return false;
		fair_init(q, lines, rng_next(&w->rng));
	}
	if (limit_take(s->waiting, s->conf->queue_size, w->conf.index))
		return true;
	first = fair_victim(q, meter_source(&c->source));
	if (first != NULL)
		*victim = CONTAINER(first, struct client, ready_link);
	return false;
}

bool
client_enqueue(struct worker *w, struct client *c, struct client **victim)
{
	uint64_t source = meter_source(&c->source);
	struct wgroup *g = c->group;

	*victim = NULL;
	/* Who was called up in vain waits on, but not for longer. */
	if (g->called == c) {
		g->called = NULL;
		c->line = fair_push_first(&g->queue, source, &c->ready_link);
	} else if (find_place(w, c, victim)) {
		c->line = fair_push(&g->queue, source, &c->ready_link);
		stats_add(&c->service->counter[SVC_QUEUE], 1);
	} else {
		return false;
	}
	c->state = CLIENT_QUEUED;
	wheel_set(&w->wheel, &c->timer,
	    mono_add(c->started, c->service->conf->queue_timeout_ns));
	return true;
}
