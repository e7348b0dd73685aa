/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_signal.c - what the code on a worker's thread says to others: to the control
 * thread, to the other workers; and the time of day, for what people read.
 */
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "proxy/sources/source_map.h"
#include "proxy/worker_inside.h"

int64_t
worker_wall_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void
worker_notify(struct worker *w)
{
	uint64_t one = 1;

	(void)!write(w->conf.notify, &one, sizeof(one));
}

void
worker_poke(struct worker *w)
{
	uint64_t one = 1;

	(void)!write(w->wake.fd, &one, sizeof(one));
}

void
worker_poke_set(struct worker *w, uint64_t set)
{
	for (unsigned i = 0; set != 0; i++, set >>= 1) {
		if ((set & 1) != 0 && i < w->conf.n_all && w->conf.all[i] != NULL)
			worker_poke(w->conf.all[i]);
	}
}

struct source_ring *
worker_want_sources(struct worker *w)
{
	w->sources = source_ring_new();
	atomic_store(&w->shared_sources, w->sources);
	return w->sources;
}
