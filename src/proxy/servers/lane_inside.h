/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane_inside.h - the inside of lanes. Private to lane.c and lane_run.c.
 */
#ifndef NINES_PROXY_LANE_INSIDE_H
#define NINES_PROXY_LANE_INSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/list.h"
#include "proxy/servers/lane.h"
#include "proxy/side.h"
#include "proxy/worker_inside.h"

#define LANE_LATE_NS (25 * MS_NS) /* for the first answer while others wait behind */

/* A request on its way; the order of them is the order of the answers. */
struct slot {
	struct side *side; /* NULL: nobody wants the answer */
	uint8_t method;
	bool sent; /* written, at least into `out` */
};

struct lane {
	struct side s;	   /* the connection; what was read and not taken is in s.in */
	struct list link;  /* upstream->lanes, or worker->dead_lanes */
	struct list dirty; /* worker->lanes */
	struct worker *w;
	struct upstream *up;
	struct buf *out;	    /* requests of this turn */
	struct slot slot[LANE_MAX]; /* a ring */
	unsigned first, n;
	bool connected;
	bool answered; /* at least one request */
	bool open;     /* all its requests are of this turn: takes more */
	bool closing;  /* takes no more, and ends with the answer at hand */
	bool over;     /* nothing more will be sent or read */
	bool in_body;  /* of the first one's answer */
	struct http1_body body;
	size_t ready; /* bytes at the start of s.in that are the first one's */
	struct wheel_timer timer;
};

static inline struct slot *
lane_slot(struct lane *l, unsigned i)
{
	ASSERT(i < l->n);
	return &l->slot[(l->first + i) % LANE_MAX];
}

static inline void
lane_soon(struct lane *l)
{
	if (list_empty(&l->dirty))
		list_append(&l->w->lanes, &l->dirty);
}

static inline bool
lane_front_done(const struct lane *l)
{
	return l->in_body && l->body.done && l->ready == 0;
}

/* `n` bytes of what is ready are done with. */
static inline void
lane_use(struct lane *l, size_t n)
{
	if (n == 0)
		return;
	buf_drop(l->s.in, n);
	l->ready -= n;
	if (l->s.in->len > 0)
		return;
	buf_put(&l->w->bufs, l->s.in);
	l->s.in = NULL;
}

#endif /* NINES_PROXY_LANE_INSIDE_H */
