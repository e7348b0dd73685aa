/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_inside.h - a worker as the code on its thread sees it (worker.h is what others
 * see). Private to the room.
 *
 * All that the thread's connections share: the clock's last reading, buffers, timers,
 * who is ready, who has died, and room for the one head that is at work.
 */
#ifndef NINES_PROXY_WORKER_INSIDE_H
#define NINES_PROXY_WORKER_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/mono.h"
#include "base/rng.h"
#include "base/stats.h"
#include "proxy/buf.h"
#include "proxy/http1/http1.h"
#include "proxy/pool.h"
#include "proxy/request/coding.h"
#include "proxy/request/shape.h"
#include "proxy/request/squeeze.h"
#include "proxy/servers/sticky.h"
#include "proxy/side.h"
#include "proxy/wheel.h"
#include "proxy/worker.h"

struct access_ring;
struct h2_worker;
struct source_ring;
struct tls_io;
struct view;

#define OUT_MAX                                                               \
	(HTTP1_HEAD_MAX + HTTP1_FORWARD_EXTRA + SHAPE_MAX + STICKY_LINE_MAX + \
	    CODING_LINES_MAX)

struct worker {
	struct worker_conf conf;
	pthread_t thread;
	_Atomic(pid_t) tid;
	int epfd;
	struct side wake;
	int reserve; /* a descriptor to give up when there are no more */
	_Atomic(struct view *) next; /* shown, not yet adopted */
	_Atomic(uint64_t) adopted;   /* the view's serial; 0: none yet */
	atomic_bool end;
	_Atomic(struct access_ring *) shared_ring; /* `ring`, for the control thread */
	_Atomic(struct source_ring *) shared_sources; /* the same */
	atomic_size_t n_clients;
	atomic_bool deaf; /* stopping, and accepts nobody any more */
	atomic_bool busy; /* does not wait for events */
	stats_t turns;	  /* pieces of work done */
	struct view *view;
	mono_t now;
	struct rng rng;
	struct bufs bufs;
	struct wheel wheel;
	struct wheel_timer care;
	bool caring; /* it is set */
	struct list services, listeners;
	struct list ready;
	struct list dead_clients, dead_servers, dead_listeners;
	struct pool clients, servers;
	struct list lanes, dead_lanes; /* with something to do; ended */
	struct pipe *pipes;	       /* empty ones */
	unsigned n_pipes;
	struct squeeze_pool squeezes;
	struct h2_worker *h2;	     /* NULL: nobody has spoken HTTP/2 yet */
	struct tls_io *tls;	     /* NULL: no connection had TLS yet */
	struct access_ring *ring;    /* NULL: no service wants a log */
	struct source_ring *sources; /* `shared_sources`; NULL: nothing to say yet */
	struct http1_head head;
	char out[OUT_MAX];
	char lines[SHAPE_MAX]; /* what routes add to a head */
};

/* worker_signal.c; so are worker_poke() and worker_wall_us(). */
void worker_poke_set(struct worker *w, uint64_t set);
void worker_notify(struct worker *w);
struct source_ring *worker_want_sources(struct worker *w);
/* worker.c */
/* What events leave to do in a round; then who died in it. Fuzz targets do it too. */
void worker_init(struct worker *w);
void worker_turn(struct worker *w);
void worker_bury(struct worker *w);

#endif /* NINES_PROXY_WORKER_INSIDE_H */
