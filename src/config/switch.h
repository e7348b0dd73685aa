/* SPDX-License-Identifier: Apache-2.0 */
/*
 * switch.h - sections that are also `true` (all defaults) or `false` (as if not there).
 *
 * Private to config/.
 */
#ifndef NINES_CONFIG_SWITCH_H
#define NINES_CONFIG_SWITCH_H

#include <stdbool.h>

#include "base/sbuf.h"
#include "config/reader.h"

#define SWITCH_SCHEMA "{\"type\":\"boolean\"}"
#define SWITCH_SYNTAX "true or false"

/* For section.scalar; `example` is shown to who wrote something else. */
bool switch_read(struct reader *r, const struct section *s, const struct yaml *node,
    void *base, const char *example);

/* For section.brief. */
bool switch_write(const struct section *s, const void *base, struct sbuf *out);

#endif /* NINES_CONFIG_SWITCH_H */
