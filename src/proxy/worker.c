/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.c - a worker's thread: its loop, timers, and taking over a new view.
 */
#include "proxy/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "proxy/accept.h"
#include "proxy/access_log.h"
#include "proxy/client.h"
#include "proxy/counters.h"
#include "proxy/h2/h2.h"
#include "proxy/listener.h"
#include "proxy/servers/care.h"
#include "proxy/servers/doubt.h"
#include "proxy/servers/hedge.h"
#include "proxy/servers/lane.h"
#include "proxy/servers/server_conn.h"
#include "proxy/servers/service.h"
#include "proxy/servers/stick.h"
#include "proxy/servers/upstream.h"
#include "proxy/sources/source_map.h"
#include "proxy/timers.h"
#include "proxy/tls/tls.h"
#include "proxy/worker_inside.h"

#define EVENTS	  256		       /* of one round */
#define BUFFERS	  4096		       /* large ones of a worker: 256 MiB */
#define RING_SIZE ((size_t)256 * 1024) /* of the access log: about 1,000 lines */

static mono_t
clock_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (mono_t){(int64_t)t.tv_sec * SEC_NS + t.tv_nsec};
}

void
worker_show(struct worker *w, struct view *v)
{
	view_unref(atomic_exchange(&w->next, v));
	worker_poke(w);
}

uint64_t
worker_adopted(const struct worker *w)
{
	return atomic_load((_Atomic(uint64_t) *)(uintptr_t)&w->adopted);
}

bool
worker_deaf(const struct worker *w)
{
	return atomic_load((atomic_bool *)(uintptr_t)&w->deaf);
}

bool
worker_done(const struct worker *w)
{
	return worker_deaf(w) &&
	       atomic_load((atomic_size_t *)(uintptr_t)&w->n_clients) == 0;
}

struct access_ring *
worker_ring(struct worker *w)
{
	return atomic_load(&w->shared_ring);
}

struct source_ring *
worker_sources(struct worker *w)
{
	return atomic_load(&w->shared_sources);
}

bool
worker_idle(const struct worker *w, uint64_t *turns)
{
	*turns = stats_get(&w->turns);
	return !atomic_load((atomic_bool *)(uintptr_t)&w->busy);
}

pid_t
worker_thread(const struct worker *w, int64_t *cpu_ns)
{
	pid_t tid = atomic_load((_Atomic(pid_t) *)(uintptr_t)&w->tid);
	struct timespec ts = {0};
	clockid_t clock;

	if (tid != 0 && pthread_getcpuclockid(w->thread, &clock) == 0)
		(void)clock_gettime(clock, &ts);
	*cpu_ns = ts.tv_sec * SEC_NS + ts.tv_nsec;
	return tid;
}

/* Views */

/* The ring is made when the first service wants a log, and stays. */
static void
want_ring(struct worker *w, const struct cluster *c)
{
	struct access_ring *r;
	char *data;

	for (size_t i = 0; i < c->n_services && w->ring == NULL; i++) {
		if (c->service[i].log == LOG_MODE_OFF)
			continue;
		r = aligned_alloc(_Alignof(struct access_ring), sizeof(*r));
		data = malloc(RING_SIZE);
		ASSERT(r != NULL && data != NULL);
		access_ring_init(r, data, RING_SIZE);
		w->ring = r;
		atomic_store(&w->shared_ring, r);
	}
}

static void
adopt_services(struct worker *w, const struct view *v)
{
	struct gen *g = v->gen;
	bool fresh = w->view == NULL || w->view->gen != g;

	want_ring(w, g->cluster);
	for (size_t i = 0; i < g->cluster->n_services; i++) {
		const struct gen_service *gs = &g->service[i];
		struct wservice *s = service_find(w, gs->conf->name);

		if (!gs->here)
			continue;
		if (s == NULL)
			s = service_new(w);
		if (fresh)
			service_update(w, s, g, i);
		s->active = v->group[i];
		stick_show(s, v->sources[i]);
		for (size_t j = 0; j < s->n_up; j++)
			upstream_state(w, s->up[j], v->server[gs->first + j]);
		for (size_t j = 0; j < s->n_up; j++)
			service_order(s->up[j], &v->order[gs->first + j]);
		for (size_t j = 0; j < s->n_up; j++)
			care_less(w, s->up[j], v->order[gs->first + j].less);
		for (size_t j = 0; j < s->n_groups; j++)
			care_group(s->group[j]);
		for (size_t j = 0; j < s->n_up; j++)
			upstream_settle(w, s->up[j]);
	}
	LIST_EACH(n, tmp, &w->services)
	{
		struct wservice *s = CONTAINER(n, struct wservice, link);

		if (!s->gone && s->gen != g)
			service_retire(w, s);
	}
}

static void
hears_nobody(struct worker *w)
{
	if (!w->view->stopping || accept_closing(w))
		return;
	atomic_store(&w->deaf, true);
	worker_notify(w);
}

static void
adopt(struct worker *w, struct view *v)
{
	struct view *old = w->view;
	bool fresh = old == NULL || old->gen != v->gen;

	adopt_services(w, v);
	w->view = v;
	accept_adopt(w, v, fresh);
	LIST_EACH(n, tmp, &w->services)
	{
		struct wservice *s = CONTAINER(n, struct wservice, link);

		LIST_EACH(m, tmp2, &s->clients)
		{
			struct client *c = CONTAINER(m, struct client, link);

			if (v->stopping || c->listener->leaving)
				client_drain(w, c);
		}
	}
	view_unref(old);
	hears_nobody(w);
	atomic_store(&w->adopted, v->serial);
	worker_notify(w);
}

/* The thread */

static void
woken(struct worker *w)
{
	struct view *v;
	uint64_t n;

	(void)!read(w->wake.fd, &n, sizeof(n));
	v = atomic_exchange(&w->next, NULL);
	if (v != NULL)
		adopt(w, v);
	/* Perhaps something of a limit was given back. */
	LIST_EACH(i, tmp, &w->services)
	{
		struct wservice *s = CONTAINER(i, struct wservice, link);

		if (s->limit != NULL)
			listener_resume(w, s);
		service_room(w, s);
	}
}

static void
event(struct worker *w, const struct epoll_event *e)
{
	struct side *s = e->data.ptr;

	switch ((enum side_kind)s->kind) {
	case SIDE_CLIENT:
		if (s->fd < 0)
			return;
		side_event(s, e->events);
		client_event(w, CONTAINER(s, struct client, s));
		return;
	case SIDE_SERVER:
		if (s->fd < 0)
			return;
		side_event(s, e->events);
		server_event(w, CONTAINER(s, struct server_conn, s));
		return;
	case SIDE_LANE:
		side_event(s, e->events);
		lane_event(w, s);
		return;
	case SIDE_TRUNK:
		side_event(s, e->events);
		h2_trunk_event(w, s);
		return;
	case SIDE_LISTENER:
		accept_clients(w, CONTAINER(s, struct wlistener, s));
		return;
	case SIDE_WAKE:
	default:
		woken(w);
		return;
	}
}

static void
expire(struct worker *w)
{
	struct wheel_timer *t;

	while ((t = wheel_expired(&w->wheel, w->now)) != NULL) {
		stats_add(&w->turns, 1);
		switch ((enum timer_kind)t->kind) {
		case TIMER_CLIENT:
			client_timeout(w, CONTAINER(t, struct client, timer));
			break;
		case TIMER_CARE:
			care_due(w);
			break;
		case TIMER_UPSTREAM:
			upstream_retry_due(w, CONTAINER(t, struct upstream, retry));
			break;
		case TIMER_WATCH:
			doubt_due(w, CONTAINER(t, struct upstream, watch));
			break;
		case TIMER_LANE:
			lane_timeout(w, t);
			break;
		case TIMER_HEDGE:
			hedge_due(w, CONTAINER(t, struct wservice, hedge_timer));
			break;
		case TIMER_TRUNK:
			h2_trunk_timeout(w, t);
			break;
		case TIMER_LISTENER:
		default:
			accept_due(w, CONTAINER(t, struct wlistener, pause));
			hears_nobody(w);
			break;
		}
	}
}

/* One turn each: who makes himself ready again waits for the next round. */
static void
run_ready(struct worker *w)
{
	struct list now;

	list_init(&now);
	while (!list_empty(&w->ready)) {
		struct list *n = w->ready.next;

		list_remove(n);
		list_append(&now, n);
	}
	while (!list_empty(&now)) {
		stats_add(&w->turns, 1);
		client_ready(w, CONTAINER(now.next, struct client, ready_link));
	}
}

void
worker_bury(struct worker *w)
{
	while (!list_empty(&w->dead_servers)) {
		struct server_conn *sc =
		    CONTAINER(w->dead_servers.next, struct server_conn, link);

		list_remove(&sc->link);
		upstream_unref(sc->up);
		pool_put(&w->servers, sc);
	}
	while (!list_empty(&w->dead_clients)) {
		struct client *c = CONTAINER(w->dead_clients.next, struct client, link);

		list_remove(&c->link);
		pool_put(&w->clients, c);
	}
	lanes_bury(w);
	h2_trunks_bury(w);
	while (!list_empty(&w->dead_listeners)) {
		struct list *n = w->dead_listeners.next;

		list_remove(n);
		free(CONTAINER(n, struct wlistener, link));
	}
	LIST_EACH(n, tmp, &w->services)
	{
		struct wservice *s = CONTAINER(n, struct wservice, link);

		if (s->gone && s->n_clients == 0 && !accept_closing(w))
			service_bury(w, s);
	}
}

static int
timeout_ms(struct worker *w)
{
	mono_t due = wheel_deadline(&w->wheel);
	int64_t ns;

	if (!list_empty(&w->ready) || !list_empty(&w->lanes) || h2_busy(w))
		return 0;
	if (mono_is_never(due))
		return -1;
	ns = mono_sub(due, clock_now());
	return ns <= 0 ? 0 : (int)((ns + MS_NS - 1) / MS_NS);
}

void
worker_turn(struct worker *w)
{
	expire(w);
	run_ready(w);
	lanes_flush(w);
	if (w->h2 != NULL) {
		h2_flush(w);
		h2_trunks_flush(w);
	}
}

static void
run_round(struct worker *w)
{
	struct epoll_event SCRATCH e[EVENTS];
	int timeout = timeout_ms(w), n;

	atomic_store(&w->busy, false);
	n = epoll_wait(w->epfd, e, EVENTS, timeout);
	w->now = clock_now();
	atomic_store(&w->busy, true);
	for (int i = 0; i < n; i++) {
		stats_add(&w->turns, 1);
		event(w, &e[i]);
	}
	worker_turn(w);
	worker_bury(w);
}

static void
close_all(struct worker *w)
{
	LIST_EACH(n, tmp, &w->listeners)
	{
		listener_close(w, CONTAINER(n, struct wlistener, link));
	}
	LIST_EACH(n, tmp, &w->services)
	{
		struct wservice *s = CONTAINER(n, struct wservice, link);

		while (!list_empty(&s->clients))
			client_close(
			    w, CONTAINER(s->clients.next, struct client, link));
		worker_bury(w);
		service_bury(w, s);
		worker_bury(w);
	}
	pool_done(&w->clients);
	pool_done(&w->servers);
	for (struct pipe *p = w->pipes, *next; p != NULL; p = next) {
		next = p->next;
		(void)close(p->fd[0]);
		(void)close(p->fd[1]);
		free(p);
	}
	h2_worker_free(w->h2);
	bufs_done(&w->bufs);
	squeeze_pool_done(&w->squeezes);
	tls_io_free(w->tls);
}

static void *
run(void *arg)
{
	struct worker *w = arg;

	atomic_store(&w->tid, gettid());
	while (!atomic_load(&w->end))
		run_round(w);
	close_all(w);
	return NULL;
}

static void
free_worker(struct worker *w)
{
	view_unref(atomic_load(&w->next));
	view_unref(w->view);
	if (w->ring != NULL)
		free(w->ring->data);
	free(w->ring);
	source_ring_free(w->sources);
	if (w->wake.fd >= 0)
		(void)close(w->wake.fd);
	if (w->epfd >= 0)
		(void)close(w->epfd);
	if (w->reserve >= 0)
		(void)close(w->reserve);
	free(w);
}

static int
open_worker(struct worker *w)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = &w->wake};
	int r = bufs_init(&w->bufs, BUFFERS);

	w->epfd = epoll_create1(EPOLL_CLOEXEC);
	w->wake = (struct side){.kind = SIDE_WAKE};
	w->wake.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (r != 0)
		return r;
	if (w->epfd < 0 || w->wake.fd < 0 ||
	    epoll_ctl(w->epfd, EPOLL_CTL_ADD, w->wake.fd, &e) != 0)
		return -errno;
	return 0;
}

void
worker_init(struct worker *w)
{
	wheel_init(&w->wheel, w->now);
	wheel_timer_init(&w->care, TIMER_CARE);
	list_init(&w->services);
	list_init(&w->listeners);
	list_init(&w->ready);
	list_init(&w->dead_clients);
	list_init(&w->dead_listeners);
	list_init(&w->dead_servers);
	list_init(&w->dead_lanes);
	list_init(&w->lanes);
	pool_init(&w->clients, sizeof(struct client));
	pool_init(&w->servers, sizeof(struct server_conn));
}

int
worker_start(struct worker **out, const struct worker_conf *conf)
{
	struct worker *w = calloc(1, sizeof(*w));
	int r;

	if (w == NULL)
		return -ENOMEM;
	w->conf = *conf;
	w->rng.state = conf->seed;
	w->now = clock_now();
	worker_init(w);
	r = open_worker(w);
	if (r == 0)
		r = -pthread_create(&w->thread, NULL, run, w);
	if (r != 0) {
		free(w->bufs.scratch);
		free_worker(w);
		return r;
	}
	*out = w;
	return 0;
}

void
workers_end(struct worker **w, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (w[i] == NULL)
			continue;
		atomic_store(&w[i]->end, true);
		worker_poke(w[i]);
	}
	/* They poke each other until the last has ended. */
	for (unsigned i = 0; i < n; i++) {
		if (w[i] != NULL)
			(void)pthread_join(w[i]->thread, NULL);
	}
}

void
workers_free(struct worker **w, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (w[i] != NULL)
			free_worker(w[i]);
		w[i] = NULL;
	}
}
