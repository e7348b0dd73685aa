/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer.h - a cluster as canonical YAML, as the schema's tables say.
 */
#ifndef NINES_CONFIG_WRITER_H
#define NINES_CONFIG_WRITER_H

#include <stdbool.h>

#include "base/sbuf.h"
#include "config/cluster.h"

/*
 * A text that cluster_parse() makes the same cluster of: with `full` every value
 * that holds, otherwise only what differs from the defaults.
 */
void cluster_write(const struct cluster *c, bool full, struct sbuf *out);

#endif /* NINES_CONFIG_WRITER_H */
