/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_list.h - `hosts: [NAME, ...]`, as several sections have it (VALUE_HOSTS).
 *
 * Private to config/.
 */
#ifndef NINES_CONFIG_HOST_LIST_H
#define NINES_CONFIG_HOST_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/sbuf.h"
#include "config/reader.h"

/*
 * Reads the names at `node`, each once, in the order of the file. Reports unknown and
 * repeated ones, which are left out, their number, and a single one if that is to be
 * feared.
 */
void host_list_read(
    struct reader *r, const struct key *k, const struct yaml *node, void *base);

/* Nothing if there are none. */
void host_list_write(const struct key *k, const void *base, struct sbuf *out);

bool host_list_has(const struct host *const *host, size_t n, const struct host *h);

/* The first of them without an address on `net`; NULL if all have one. */
const struct host *host_list_not_on(
    const struct host *const *host, size_t n, const struct network *net);

/* A network that all of them are on, a dedicated one first; NULL: there is none. */
const struct network *host_list_network(const struct host *const *host, size_t n);

#endif /* NINES_CONFIG_HOST_LIST_H */
