/* SPDX-License-Identifier: Apache-2.0 */
/*
 * patience.h - how long to wait for a connection to a server before another is asked.
 *
 * Pure. Learned from how long connections to it took: their mean and how much they
 * differ, as TCP does for its retransmissions (RFC 6298). A server next door is given
 * PATIENCE_HOP, so that one lost packet already sends a client elsewhere and nobody
 * waits for the kernel's next SYN after a second; one that is far away is given what it
 * needs. Asking another costs a connection and loses nothing (race.h); where it would
 * cost work, or move a client from its own server, all are given PATIENCE_LEAST.
 */
#ifndef NINES_PROXY_PATIENCE_H
#define NINES_PROXY_PATIENCE_H

#include "base/mono.h"

#define PATIENCE_HOP	 (40 * MS_NS)  /* for the network's part, at least */
#define PATIENCE_LEAST	 (250 * MS_NS) /* for all that the server has to do */
#define PATIENCE_UNKNOWN (750 * MS_NS) /* the same with one that was never reached */

struct patience { /* zero: nothing is known */
	int64_t mean_ns, spread_ns;
};

/* A connection took `ns`. */
static inline void
patience_learn(struct patience *p, int64_t ns)
{
	int64_t off = ns > p->mean_ns ? ns - p->mean_ns : p->mean_ns - ns;

	if (p->mean_ns == 0) {
		p->mean_ns = ns > 0 ? ns : 1;
		p->spread_ns = ns / 2;
		return;
	}
	p->spread_ns += (off - p->spread_ns) / 4;
	p->mean_ns += (ns - p->mean_ns) / 8;
	if (p->mean_ns < 1)
		p->mean_ns = 1;
}

/* `least` is one of those above; at most `most`, which the file says. */
static inline int64_t
patience_ns(const struct patience *p, int64_t least, int64_t most)
{
	int64_t ns = 2 * (p->mean_ns + 4 * p->spread_ns);

	if (p->mean_ns == 0)
		ns = least < PATIENCE_LEAST ? PATIENCE_LEAST : PATIENCE_UNKNOWN;
	if (ns < least)
		ns = least;
	return ns < most ? ns : most;
}

#endif /* NINES_PROXY_PATIENCE_H */
