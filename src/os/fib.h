/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fib.h - the kernel's forwarding: next hops, groups of them, routes, rules.
 *
 * A route points to a group, a group to next hops; who leaves a group is one message,
 * whatever number of routes there are. Groups are resilient where the kernel has that
 * (Linux 5.13): flows of the next hops that stay do not move. Everything made here is
 * marked FIB_PROTO, so that a later process finds it; nothing else is listed or
 * touched. Errors are -errno, as the kernel gave them.
 */
#ifndef NINES_OS_FIB_H
#define NINES_OS_FIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/ip.h"
#include "os/netlink.h"

#define FIB_PROTO     0x6e /* of next hops, routes and rules */
#define FIB_GROUP_MAX 16
#define FIB_MAIN      254 /* the main table */

enum fib_kind { FIB_RESILIENT, FIB_PLAIN };

struct fib_nexthop {
	uint32_t id;
	/* a next hop */
	struct ip ip; /* family 0: a group */
	unsigned index;
	/* a group, in no order */
	uint32_t member[FIB_GROUP_MAX];
	size_t n_members;
};

struct fib_route {
	struct ip_net to;
	uint32_t table, metric;
	uint32_t group;
};

/* Each is made anew, or becomes as said. */
int fib_hop_set(
    struct netlink *nl, uint32_t id, const struct ip *ip, unsigned index) MUST_CHECK;
int fib_group_set(struct netlink *nl, uint32_t id, const uint32_t *member, size_t n,
    enum fib_kind kind) MUST_CHECK;
/* -EEXIST with `fresh`: there is one of that destination, table and metric. */
int fib_route_set(struct netlink *nl, const struct fib_route *r, bool fresh) MUST_CHECK;
/*
 * A rule for all packets of a family: look into `table`; with `specific` pass by what
 * is found there if it is a default route. 0 also if it is there already.
 */
int fib_rule_set(struct netlink *nl, uint8_t family, uint32_t priority, uint32_t table,
    bool specific) MUST_CHECK;

/* 0 also if it was not there. */
int fib_nexthop_del(struct netlink *nl, uint32_t id) MUST_CHECK;
int fib_route_del(struct netlink *nl, const struct fib_route *r) MUST_CHECK;
int fib_rule_del(
    struct netlink *nl, uint8_t family, uint32_t priority, uint32_t table) MUST_CHECK;

/* What FIB_PROTO has made. */
int fib_nexthops(struct netlink *nl, void (*cb)(void *arg, const struct fib_nexthop *),
    void *arg) MUST_CHECK;
int fib_routes(struct netlink *nl, uint8_t family,
    void (*cb)(void *arg, const struct fib_route *), void *arg) MUST_CHECK;

#endif /* NINES_OS_FIB_H */
