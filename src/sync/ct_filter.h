/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ct_filter.h - which events the kernel keeps to itself, as a program for it (classic
 * BPF on a netlink socket). Pure. Private to sync/.
 */
#ifndef NINES_SYNC_CT_FILTER_H
#define NINES_SYNC_CT_FILTER_H

#include <linux/filter.h>
#include <stddef.h>

#include "base/ip.h"
#include "sync/flow.h"

#define CT_FILTER_MAX 4000 /* instructions; the kernel takes 4,096 */

/*
 * Drops events that `port` caused, of flows nobody answered, of TCP connections not yet
 * or no longer interesting, and of flows from or to (after translation) one of the `n`
 * addresses. Returns the number of instructions, or 0 if `n` is too large.
 */
size_t ct_filter_make(struct sock_filter code[static CT_FILTER_MAX], uint32_t port,
    const struct ip *own, size_t n);

/* The last of these rules, for what comes by another way. */
bool ct_filter_own(const struct flow *f, const struct ip *own, size_t n);

#endif /* NINES_SYNC_CT_FILTER_H */
