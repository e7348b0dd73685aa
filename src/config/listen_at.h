/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen_at.h - reading and writing "NAME:PORT", and who listens where.
 *
 * Private to config/.
 */
#ifndef NINES_CONFIG_LISTEN_AT_H
#define NINES_CONFIG_LISTEN_AT_H

#include "config/listen_at_conf.h"
#include "config/reader.h"

/* Splits `node` at its last colon; reports what is not a name and a port. */
bool listen_at_split(struct reader *r, const struct yaml *node,
    char name[static CLUSTER_NAME_MAX + 1], uint16_t *port);

/* Reports that neither a host nor a floating IP is called `name`. */
void listen_at_unknown(struct reader *r, const struct yaml *node, const char *name);

/* The address that a host's name stands for; NULL if it has none. */
const struct host_address *host_main_address(const struct host *h);

/* Reads what stands at `node`; false if it is wrong, which was reported. */
bool listen_at_read(struct reader *r, const struct yaml *node, struct listen_at *t);

/* Notes that `what` `name` listens at `at`; reports a place that is taken. */
bool listen_at_claim(struct reader *r, const struct yaml *node,
    const struct ip_endpoint *at, const char *what, const char *name);
/* The same for all that `t` stands for. */
bool listen_at_claim_all(struct reader *r, const struct yaml *node,
    const struct listen_at *t, const char *what, const char *name);

/* As a file would say it. */
void listen_at_write(const struct listen_at *t, struct sbuf *out);

#define LISTEN_AT_SCHEMA "{\"$ref\":\"#/$defs/endpoint\"}"
#define LISTEN_AT_SYNTAX "NAME:PORT"

#endif /* NINES_CONFIG_LISTEN_AT_H */
