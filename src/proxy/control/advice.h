/* SPDX-License-Identifier: Apache-2.0 */
/*
 * advice.h - what of this host's set-up stands in the way of what the cluster file
 * says: limits that are too low, source addresses that are not here.
 */
#ifndef NINES_PROXY_ADVICE_H
#define NINES_PROXY_ADVICE_H

#include "config/cluster.h"

#define ADVICE_LEN   256  /* with the NUL: what a fact may carry */
#define ADVICE_FILES 4096 /* descriptors that the least busy proxy should have */

/* Writes one or more sentences, "" if there is nothing to say. Looks at the system. */
void advice_give(
    char text[static ADVICE_LEN], const struct cluster *c, const struct host *me);

#endif /* NINES_PROXY_ADVICE_H */
