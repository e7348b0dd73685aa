/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_list.h - `[SERVICE, ...]`, as several sections have it.
 *
 * Private to config/.
 */
#ifndef NINES_CONFIG_SERVICE_LIST_H
#define NINES_CONFIG_SERVICE_LIST_H

#include "base/sbuf.h"
#include "config/reader.h"

/*
 * The services named at `node`, in the order of the file, `n` of them; NULL if there
 * are none. Reports unknown and repeated ones.
 */
const struct service *const *service_list_read(
    struct reader *r, const struct yaml *node, size_t *n);

/* Nothing if there are none. */
void service_list_write(
    const struct service *const *service, size_t n, struct sbuf *out);

#define SERVICE_LIST_SCHEMA "{\"$ref\":\"#/$defs/names\"}"
#define SERVICE_LIST_SYNTAX "[SERVICE, ...]"

#endif /* NINES_CONFIG_SERVICE_LIST_H */
