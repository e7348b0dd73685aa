/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wglink.h - the network interface of a tunnel: made, set up and down, removed.
 *
 * Each call is one request over rtnetlink. Errors are -errno, as the kernel gave them.
 */
#ifndef NINES_OS_WGLINK_H
#define NINES_OS_WGLINK_H

#include <stdbool.h>

#include "base/check.h"
#include "base/ip.h"

/* An interface of the kernel's WireGuard; -EOPNOTSUPP: it has none. */
int wglink_make(const char *name) MUST_CHECK;
/* 0 also if it was not there. */
int wglink_remove(const char *name) MUST_CHECK;

/* 1 if the interface is administratively up, 0 if down; -ENODEV. */
int wglink_is_up(const char *name) MUST_CHECK;

int wglink_set_up(const char *name, bool up) MUST_CHECK;
int wglink_set_mtu(const char *name, unsigned mtu) MUST_CHECK;

/* Gives it `ip`, with a route to its network of `bits`; 0 also if it has it. */
int wglink_set_address(const char *name, const struct ip *ip, unsigned bits) MUST_CHECK;

#endif /* NINES_OS_WGLINK_H */
