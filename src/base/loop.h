/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h - the control plane's event loop: descriptors, timers, signals (libuv).
 *
 * One loop per thread. `now` is read once per wake-up (loop_now()) and handed to
 * cores. Timers have nanosecond instants (one timerfd behind a heap), since a 10 ms
 * heartbeat cannot live with milliseconds. Descriptors are served before timers in
 * one wake-up: what has already arrived is heard before silence is concluded.
 * Callbacks may add and remove anything, themselves included.
 */
#ifndef NINES_BASE_LOOP_H
#define NINES_BASE_LOOP_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/mono.h"

struct loop;
struct loop_fd;
struct loop_signal;
struct uv_loop_s;

#define LOOP_IN	 1U
#define LOOP_OUT 2U
#define LOOP_HUP 4U /* reported only: the other end is gone */

struct loop *loop_new(void) MUST_CHECK; /* NULL: no memory or descriptors */
void loop_free(struct loop *l);		/* all watches must have been removed */

/* Runs until loop_stop() or until nothing is watched. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

/* The instant of the current wake-up. */
mono_t loop_now(struct loop *l);
/* Reads the clock afresh: for measurements, after long work. */
mono_t loop_clock(struct loop *l);

/* For libraries that need the loop underneath. */
struct uv_loop_s *loop_uv(struct loop *l);

/*
 * Watches `fd` (not owned, non-blocking) for LOOP_IN | LOOP_OUT, level-triggered.
 * NULL: no memory, or the kernel refuses this descriptor. loop_unwatch() must come
 * before the descriptor is closed; NULL is fine.
 */
struct loop_fd *loop_watch(struct loop *l, int fd, unsigned events,
    void (*cb)(void *arg, unsigned events), void *arg) MUST_CHECK;
void loop_rewatch(struct loop_fd *w, unsigned events);
void loop_unwatch(struct loop_fd *w);

/* NULL: no memory or a signal that cannot be caught. */
struct loop_signal *loop_signal_new(
    struct loop *l, int signo, void (*cb)(void *arg, int signo), void *arg) MUST_CHECK;
void loop_signal_free(struct loop_signal *s);

/* Embedded by its owner; zero-initialise, set `cb` and `arg`. */
struct loop_timer {
	void (*cb)(void *arg);
	void *arg;
	mono_t due;
	size_t pos; /* place in the heap from 1; 0: not set */
};

/* Sets or moves; MONO_NEVER clears. Fires once. Aborts only if out of memory. */
void loop_timer_set(struct loop *l, struct loop_timer *t, mono_t due);
void loop_timer_clear(struct loop *l, struct loop_timer *t);

#endif /* NINES_BASE_LOOP_H */
