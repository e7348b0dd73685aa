/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ct.h - this host's connection tracking: what happens in it, all that is in it, and
 * orders to it. Netlink sockets; the messages are ct_wire.h's. Private to sync/.
 */
#ifndef NINES_SYNC_CT_H
#define NINES_SYNC_CT_H

#include <stddef.h>

#include "base/ip.h"
#include "sync/ct_wire.h"

#define CT_OWN_MAX 128 /* addresses */

struct ct;

struct ct *ct_open(void) MUST_CHECK; /* NULL with errno set */
void ct_close(struct ct *ct);	     /* NULL is fine */

/*
 * Flows that begin or end at one of these addresses stay here, as do half-open ones
 * and what this very program ordered: the kernel does not even report them. 0 or
 * -errno: they are reported then, and left out by ct_foreign().
 */
int ct_set_own(struct ct *ct, const struct ip *own, size_t n) MUST_CHECK;

/* ---- events ---- */

int ct_events_fd(const struct ct *ct);

/*
 * Reads events until there are none or some hundred were read. Returns 1 if there may
 * be more, 0 if not, -ENOBUFS if some were lost: the table is to be dumped.
 */
int ct_events(struct ct *ct, void (*cb)(void *arg, bool gone, const struct flow *f),
    void *arg) MUST_CHECK;

/* ---- the whole table ---- */

int ct_dump_begin(struct ct *ct) MUST_CHECK;
/*
 * Reads a portion. 1: there is more; 0: that was all; -errno: given up. Between two
 * calls events must be read.
 */
int ct_dump_step(
    struct ct *ct, void (*cb)(void *arg, const struct flow *f), void *arg) MUST_CHECK;

/* ---- orders ---- */

/* Collects; `tag` comes back if the kernel refuses it. */
void ct_order(struct ct *ct, enum ct_order order, const struct flow *f, uint32_t tag);
bool ct_full(const struct ct *ct); /* to be flushed before the next order */

/*
 * Has the orders carried out. What is there already in another shape is replaced, what
 * is missing is created, what is gone needs no removal; `refused` hears of the rest.
 */
void ct_flush(struct ct *ct,
    void (*refused)(void *arg, uint32_t tag, const struct flow *f, int err), void *arg);

#endif /* NINES_SYNC_CT_H */
