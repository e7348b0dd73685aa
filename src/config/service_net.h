/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_net.h - how a service connects to its servers: Unix sockets, source
 * addresses. What section_service.c's tables point to.
 *
 * Private to config/.
 */
#ifndef NINES_CONFIG_SERVICE_NET_H
#define NINES_CONFIG_SERVICE_NET_H

#include "config/reader.h"

/* The value of `source`. */
extern const struct form service_net_source;

/* A server is at exactly one of `at` and `unix`. */
void service_net_finish_server(
    struct reader *r, const struct yaml *node, void *base, uint64_t given);

/* What `source` and `transparent` ask of the rest of the service. */
void service_net_finish(struct reader *r, const struct yaml *node, struct service *s);

#endif /* NINES_CONFIG_SERVICE_NET_H */
