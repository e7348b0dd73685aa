/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - one thread of the data plane, as the control thread sees it.
 *
 * A worker owns its epoll instance, buffers, timers and connections. What it has to
 * know comes as a view; what it has to say is in its counters, and the descriptor
 * `notify` is written when the control thread should look at them: a server failed,
 * or the last connection of a stopping worker ended.
 */
#ifndef NINES_PROXY_WORKER_H
#define NINES_PROXY_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/mono.h"
#include "proxy/control/view.h"

struct access_ring;
struct source_ring;
struct worker;

struct worker_conf {
	unsigned index;		   /* its bit and its column of counters */
	int notify;		   /* eventfd of the control thread, not owned */
	struct worker *const *all; /* by index: who waits for a limit is poked */
	unsigned n_all;
	uint64_t seed; /* of balancing */
};

/* Starts the thread, which idles until its first view. 0 or -errno. */
int worker_start(struct worker **out, const struct worker_conf *conf) MUST_CHECK;

/* The time of day. */
int64_t worker_wall_us(void);

/* Ends the `n` threads, cutting what is open; NULLs are fine. What they have to say of
 * it stays readable until the workers are freed. */
void workers_end(struct worker **w, unsigned n);
void workers_free(struct worker **w, unsigned n);

/* Hands over one reference of `v`; the worker adopts it at once, and notifies. */
void worker_show(struct worker *w, struct view *v);

/* The serial of the view that it goes by; 0: it has none yet. */
uint64_t worker_adopted(const struct worker *w);

/* From any thread: something it waits for may have become free. */
void worker_poke(struct worker *w);

/* Its lines for the access log; NULL as long as no service wants one. */
struct access_ring *worker_ring(struct worker *w);

/* What it has to say of sources; NULL as long as it has nothing. */
struct source_ring *worker_sources(struct worker *w);

/* True once it was shown that all ends, and accepts nobody any more. */
bool worker_deaf(const struct worker *w);

/* The same, and it has no client left. */
bool worker_done(const struct worker *w);

/* True if it waits for events; else *turns changes with every piece of work. */
bool worker_idle(const struct worker *w, uint64_t *turns);

/* Its thread, and the processor time in ns that this has used; 0: it is only about to
 * begin. */
pid_t worker_thread(const struct worker *w, int64_t *cpu_ns);

#endif /* NINES_PROXY_WORKER_H */
