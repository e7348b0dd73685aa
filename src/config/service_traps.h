/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_traps.h - what is right by every rule and will still not do what its author
 * wants. Private to config/.
 */
#ifndef NINES_CONFIG_SERVICE_TRAPS_H
#define NINES_CONFIG_SERVICE_TRAPS_H

#include "config/reader.h"

/* Warns of traps in `s`, of which all else is finished. */
void service_traps(struct reader *r, const struct yaml *node, const struct service *s);

#endif /* NINES_CONFIG_SERVICE_TRAPS_H */
