/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.h - which of a service's routes a request takes: the first whose conditions all
 * hold.
 *
 * Pure. A table is made once for a generation and read by all workers. Routes are found
 * by their hosts and paths, so a thousand of them cost what one does; those that tell
 * requests of one host and path apart by method, header or source are tried in turn.
 */
#ifndef NINES_PROXY_ROUTE_H
#define NINES_PROXY_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/cluster.h"
#include "proxy/http1/http1.h"

struct route_entry {
	uint64_t key;
	uint32_t route;
	uint32_t next; /* index plus 1; 0: the last of its slot */
};

struct route_table {
	const struct route *route;
	size_t n;
	bool by_sni; /* where there is no other name of a host */
	struct route_entry *entry;
	uint32_t *slot; /* indices plus 1 of entries, in the order of routes */
	size_t mask;
	/* What need not be looked up. Bit k: something of that kind with k dots or
	 * slashes; 63 stands for all higher ones. */
	bool any_host, whole_host, any_path, whole_path;
	uint64_t below_host, prefix, prefix_slash;
};

struct route_text {
	const char *p;
	size_t len;
};

/* One text in the codings that it is worth having in; p NULL: it is not. */
struct route_codes {
	bool any;
	struct route_text text[CODING_N];
};

struct route_query {
	struct route_text host; /* without port and final dot; empty: none */
	struct route_text path; /* without query */
	struct route_text method;
	struct route_text sni;
	const struct http1_head *head; /* for fields, which lie in `bytes`; or NULL */
	const char *bytes;
	const struct ip *source;
};

/* Bytes that the table of `conf` needs besides its struct, aligned as for malloc. */
size_t route_table_size(const struct service *conf);
/* `memory` lives as long as the table; of that size, and zero. */
void route_table_init(struct route_table *t, const struct service *conf, void *memory);

/* The route that `q` takes, or NULL. */
const struct route *route_find(
    const struct route_table *t, const struct route_query *q);
/* Whether all conditions of `r` hold. */
bool route_holds(const struct route *r, const struct route_query *q);

/* The host that a Host field or an authority says, as a query has it. */
struct route_text route_host(const char *p, size_t len);

/* How much of `path` the rewriting of `r`, which holds, takes away. */
size_t route_rewritten(const struct route *r, struct route_text path);

#endif /* NINES_PROXY_ROUTE_H */
