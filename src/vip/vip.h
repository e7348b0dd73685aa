/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vip.h - floating addresses: the part `vip`.
 *
 * One process per host takes part in the election (VRRP) of every floating address
 * that names the host, installs and removes the addresses, and announces them to the
 * neighbours. docs/floating-ips.md is its manual.
 */
#ifndef NINES_VIP_VIP_H
#define NINES_VIP_VIP_H

#include "base/check.h"
#include "config/cluster.h"

/* The process `nines part vip`; returns its exit status. */
int vip_main(void);

/*
 * Removes every floating address of `me` from this machine's interfaces, with what else
 * the part may have left there. For the supervisor, in a child, when the part keeps
 * dying. 0 or the first -errno; goes on past errors.
 */
int vip_release(const struct cluster *c, const struct host *me) MUST_CHECK;

#endif /* NINES_VIP_VIP_H */
