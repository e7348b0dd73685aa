/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meter.h - how much each source has had of a service, in constant memory.
 *
 * A source has a cell in each of several rows, by as many hashes; the cell with the
 * least in it is what the source had, or somewhat more if it shares all its cells with
 * others. So nobody gets more than he may, whatever the number of sources, and whoever
 * asks a little is refused only if all his cells are those of greedy ones. All workers
 * share the cells, without locks. A rate is a point in time per cell, up to which what
 * was asked for is paid (the generic cell rate algorithm): cells empty by themselves.
 */
#ifndef NINES_PROXY_METER_H
#define NINES_PROXY_METER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/ip.h"

#define METER_ROWS  4
#define METER_CELLS 16384 /* of a row; a power of two */

struct meter {
	atomic_uint refs;
	_Atomic int64_t paid[METER_ROWS][METER_CELLS]; /* nanoseconds */
	atomic_uint open[METER_ROWS][METER_CELLS];     /* connections */
};

struct meter *meter_new(void) MUST_CHECK; /* one reference; NULL: no memory */
struct meter *meter_ref(struct meter *m); /* NULL is fine */
void meter_unref(struct meter *m);	  /* NULL is fine */

/* What a source is counted by: an IPv4 address, 64 bits of an IPv6 address. */
uint64_t meter_source(const struct ip *ip);

/* One request at `now`, of a rate of one in `each_ns`, and `burst` of them at once.
 * False: too many, and it does not count. */
bool meter_request(
    struct meter *m, uint64_t source, int64_t now, int64_t each_ns, unsigned burst);

/* One connection more, if fewer than `max` are open; meter_close() ends it. */
bool meter_open(struct meter *m, uint64_t source, unsigned max);
void meter_close(struct meter *m, uint64_t source);

#endif /* NINES_PROXY_METER_H */
