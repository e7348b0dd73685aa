/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync_say.h - what the two halves of the core have of each other: sync_core.c, which
 * knows flows and hears peers, and sync_say_core.c, which writes what peers are told.
 * Private to them.
 */
#ifndef NINES_SYNC_SYNC_SAY_H
#define NINES_SYNC_SYNC_SAY_H

#include "sync/sync_core.h"

#define SILENCE_NS (1000 * MS_NS) /* a peer that says nothing so long is gone */

/* The list of an entry's links that is this peer's. */
static inline unsigned
sync_side(const struct sync *s, const struct sync_peer *p)
{
	return 1U + (unsigned)(p - s->peer);
}

/* When something is to be said to `p` at the latest, or it is silent for too long. */
mono_t sync_say_deadline(const struct sync_peer *p, mono_t now);

#endif /* NINES_SYNC_SYNC_SAY_H */
