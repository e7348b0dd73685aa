/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passage.h - who comes through the firewall to what listens behind it, whatever rows
 * refuse or let in together.
 *
 * Rules tell sources apart by prefixes. Whatever the rules make of an address, they
 * make of the lowest one too that no prefix tells from it: the first of a prefix, or
 * the one after the last of one. So rules_eval() is asked about each of these, and the
 * answer is about all addresses.
 *
 * Pure: the result depends on the file alone and lives in the caller's arena.
 */
#ifndef NINES_FIREWALL_PASSAGE_H
#define NINES_FIREWALL_PASSAGE_H

#include "base/arena.h"
#include "topology/findings.h"

/* Those of all listeners of `c`; none without a firewall. -ENOMEM. */
int passages_find(const struct cluster *c, struct arena *a, struct passage **out,
    size_t *n) MUST_CHECK;

#endif /* NINES_FIREWALL_PASSAGE_H */
