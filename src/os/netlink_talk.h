/* SPDX-License-Identifier: Apache-2.0 */
/* netlink_talk.h - one request and its answer (private to os/). */
#ifndef NINES_OS_NETLINK_TALK_H
#define NINES_OS_NETLINK_TALK_H

#include <libmnl/libmnl.h>

#include "os/netlink.h"

/* Sends one request and feeds every part of its answer to `cb`. */
int netlink_talk(
    struct netlink *nl, struct nlmsghdr *h, mnl_cb_t cb, void *arg) MUST_CHECK;

#endif /* NINES_OS_NETLINK_TALK_H */
