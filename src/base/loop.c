/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

struct loop {
	uv_loop_t uv;
	uv_poll_t clock;  /* on the timerfd: wakes the loop when a timer is due */
	uv_check_t after; /* runs timers once the descriptors were served */
	int timerfd;
	mono_t armed; /* what the timerfd is set to */
	mono_t now;
	bool stale; /* `now` belongs to an earlier wake-up */
	struct loop_timer **heap;
	size_t n, cap;
	unsigned open; /* handles whose close has not finished yet */
};

struct loop_fd {
	uv_poll_t poll;
	struct loop *loop;
	unsigned events;
	bool removed;
	void (*cb)(void *, unsigned);
	void *arg;
};

struct loop_signal {
	uv_signal_t sig;
	struct loop *loop;
	void (*cb)(void *, int);
	void *arg;
};

mono_t
loop_clock(struct loop *l)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	l->now = (mono_t){ts.tv_sec * SEC_NS + ts.tv_nsec};
	l->stale = false;
	return l->now;
}

mono_t
loop_now(struct loop *l)
{
	return l->stale ? loop_clock(l) : l->now;
}

/* Heap of timers by `due`; positions count from 1. */

static void
place(struct loop *l, size_t pos, struct loop_timer *t)
{
	l->heap[pos - 1] = t;
	t->pos = pos;
}

static struct loop_timer *
at(const struct loop *l, size_t pos)
{
	return l->heap[pos - 1];
}

static void
sift_up(struct loop *l, struct loop_timer *t, size_t pos)
{
	while (pos > 1 && mono_before(t->due, at(l, pos / 2)->due)) {
		place(l, pos, at(l, pos / 2));
		pos /= 2;
	}
	place(l, pos, t);
}

static void
sift_down(struct loop *l, struct loop_timer *t, size_t pos)
{
	size_t child;

	while ((child = pos * 2) <= l->n) {
		if (child < l->n &&
		    mono_before(at(l, child + 1)->due, at(l, child)->due))
			child++;
		if (!mono_before(at(l, child)->due, t->due))
			break;
		place(l, pos, at(l, child));
		pos = child;
	}
	place(l, pos, t);
}

static void
heap_remove(struct loop *l, struct loop_timer *t)
{
	struct loop_timer *last = at(l, l->n);
	size_t pos = t->pos;

	l->n--;
	t->pos = 0;
	if (last == t)
		return;
	if (pos > 1 && mono_before(last->due, at(l, pos / 2)->due))
		sift_up(l, last, pos);
	else
		sift_down(l, last, pos);
}

/* Sets the timerfd to the first timer; a loop without timers may end. */
static void
arm(struct loop *l)
{
	mono_t due = l->n > 0 ? at(l, 1)->due : MONO_NEVER;
	struct itimerspec its = {0};

	if (l->n > 0)
		uv_ref((uv_handle_t *)&l->clock);
	else
		uv_unref((uv_handle_t *)&l->clock);
	if (due.ns == l->armed.ns)
		return;
	l->armed = due;
	if (!mono_is_never(due)) {
		/* Zero would disarm; an instant of the past fires at once. */
		int64_t ns = due.ns > 0 ? due.ns : 1;

		its.it_value.tv_sec = ns / SEC_NS;
		its.it_value.tv_nsec = ns % SEC_NS;
	}
	/* Cannot fail: a valid descriptor and a valid time. */
	ASSERT(timerfd_settime(l->timerfd, TFD_TIMER_ABSTIME, &its, NULL) == 0);
}

void
loop_timer_clear(struct loop *l, struct loop_timer *t)
{
	if (t->pos != 0) {
		heap_remove(l, t);
		arm(l);
	}
}

void
loop_timer_set(struct loop *l, struct loop_timer *t, mono_t due)
{
	if (t->pos != 0)
		heap_remove(l, t);
	t->due = due;
	if (mono_is_never(due)) {
		arm(l);
		return;
	}
	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 64 : l->cap * 2;
		struct loop_timer **heap = reallocarray(l->heap, cap, sizeof(*heap));

		ASSERT(heap != NULL); /* a part without timers would be a silent part */
		l->heap = heap;
		l->cap = cap;
	}
	l->n++;
	sift_up(l, t, l->n);
	arm(l);
}

static void
clock_cb(uv_poll_t *h, int status, int events)
{
	struct loop *l = h->data;
	uint64_t n;

	(void)status;
	(void)events;
	/* Only to clear its readiness: run_timers() looks at the clock itself. */
	if (read(l->timerfd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		return;
	l->armed = MONO_NEVER;
}

static void
run_timers(uv_check_t *h)
{
	struct loop *l = h->data;
	mono_t now;

	if (l->n > 0) {
		now = loop_clock(l);
		while (l->n > 0 && !mono_before(now, at(l, 1)->due)) {
			struct loop_timer *t = at(l, 1);

			heap_remove(l, t);
			t->cb(t->arg);
		}
		arm(l);
	}
	l->stale = true;
}

struct loop *
loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->armed = MONO_NEVER;
	l->stale = true;
	l->timerfd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (l->timerfd < 0 || uv_loop_init(&l->uv) != 0) {
		if (l->timerfd >= 0)
			(void)close(l->timerfd);
		free(l);
		return NULL;
	}
	l->clock.data = l;
	l->after.data = l;
	/* These three only fail for descriptors that epoll refuses. */
	ASSERT(uv_poll_init(&l->uv, &l->clock, l->timerfd) == 0);
	ASSERT(uv_poll_start(&l->clock, UV_READABLE, clock_cb) == 0);
	ASSERT(uv_check_init(&l->uv, &l->after) == 0);
	(void)uv_check_start(&l->after, run_timers);
	uv_unref((uv_handle_t *)&l->clock);
	uv_unref((uv_handle_t *)&l->after);
	return l;
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	uv_close((uv_handle_t *)&l->clock, NULL);
	uv_close((uv_handle_t *)&l->after, NULL);
	/* Lets the pending closes finish; a handle that is still watched is a bug. */
	(void)uv_run(&l->uv, UV_RUN_NOWAIT);
	(void)uv_run(&l->uv, UV_RUN_NOWAIT);
	ASSERT(l->open == 0);
	ASSERT(uv_loop_close(&l->uv) == 0);
	(void)close(l->timerfd);
	free(l->heap);
	free(l);
}

void
loop_run(struct loop *l)
{
	(void)uv_run(&l->uv, UV_RUN_DEFAULT);
}

void
loop_stop(struct loop *l)
{
	uv_stop(&l->uv);
}

struct uv_loop_s *
loop_uv(struct loop *l)
{
	return &l->uv;
}

static void fd_cb(uv_poll_t *h, int status, int events);

static int
fd_start(struct loop_fd *w)
{
	int events = UV_DISCONNECT;

	events |= w->events & LOOP_IN ? UV_READABLE : 0;
	events |= w->events & LOOP_OUT ? UV_WRITABLE : 0;
	return uv_poll_start(&w->poll, events, fd_cb);
}

static void
fd_cb(uv_poll_t *h, int status, int events)
{
	struct loop_fd *w = h->data;
	unsigned got = 0;

	/* An error of the descriptor (a refused connection, say) shows in its next read
	 * or write, so it is reported as everything that was asked for. */
	if (status < 0)
		got = w->events | LOOP_HUP;
	got |= events & UV_READABLE ? LOOP_IN : 0;
	got |= events & UV_WRITABLE ? LOOP_OUT : 0;
	got |= events & UV_DISCONNECT ? LOOP_HUP : 0;
	w->cb(w->arg, got);
	/* libuv stops a watch that had an error; ours lasts until loop_unwatch(). */
	if (status < 0 && !w->removed)
		(void)fd_start(w);
}

static void
fd_closed(uv_handle_t *h)
{
	struct loop_fd *w = h->data;

	w->loop->open--;
	free(w);
}

struct loop_fd *
loop_watch(
    struct loop *l, int fd, unsigned events, void (*cb)(void *, unsigned), void *arg)
{
	struct loop_fd *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	*w = (struct loop_fd){.loop = l, .events = events, .cb = cb, .arg = arg};
	if (uv_poll_init(&l->uv, &w->poll, fd) != 0) {
		free(w);
		return NULL;
	}
	w->poll.data = w;
	l->open++;
	if (fd_start(w) != 0) {
		loop_unwatch(w);
		return NULL;
	}
	return w;
}

void
loop_rewatch(struct loop_fd *w, unsigned events)
{
	if (w->events == events)
		return;
	w->events = events;
	/* Fails only for a closed descriptor, which the contract forbids. */
	ASSERT(fd_start(w) == 0);
}

void
loop_unwatch(struct loop_fd *w)
{
	if (w == NULL)
		return;
	w->removed = true;
	(void)uv_poll_stop(&w->poll);
	uv_close((uv_handle_t *)&w->poll, fd_closed);
}

static void
signal_cb(uv_signal_t *h, int signo)
{
	struct loop_signal *s = h->data;

	s->cb(s->arg, signo);
}

static void
signal_closed(uv_handle_t *h)
{
	struct loop_signal *s = h->data;

	s->loop->open--;
	free(s);
}

struct loop_signal *
loop_signal_new(struct loop *l, int signo, void (*cb)(void *, int), void *arg)
{
	struct loop_signal *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	*s = (struct loop_signal){.loop = l, .cb = cb, .arg = arg};
	if (uv_signal_init(&l->uv, &s->sig) != 0) {
		free(s);
		return NULL;
	}
	s->sig.data = s;
	l->open++;
	if (uv_signal_start(&s->sig, signal_cb, signo) != 0) {
		loop_signal_free(s);
		return NULL;
	}
	/* A signal handler alone does not keep a loop alive. */
	uv_unref((uv_handle_t *)&s->sig);
	return s;
}

void
loop_signal_free(struct loop_signal *s)
{
	if (s == NULL)
		return;
	uv_close((uv_handle_t *)&s->sig, signal_closed);
}
