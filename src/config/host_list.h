/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_list.h - `hosts: [NAME, ...]`, as several sections have it.
 *
 * Private to config/.
 */
#ifndef NINES_CONFIG_HOST_LIST_H
#define NINES_CONFIG_HOST_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/sbuf.h"
#include "config/reader.h"

#define HOST_LIST_SCHEMA "{\"$ref\":\"#/$defs/names\"}"
#define HOST_LIST_SYNTAX "[HOST, ...]"

struct host_list {
	const struct host *const *host; /* each once, in the order of the file */
	size_t n;
};

struct host_list_rule {
	const char *one_to; /* "a VPN has": before "1 to MAX" ... */
	const char *what;   /* "gateways": ... and after it */
	size_t max;
	bool may_be_empty;
	/* NULL, or reports what is wrong with a host that is listed at `node`. */
	void (*look)(struct reader *r, const struct yaml *node, const struct host *h,
	    const void *base);
};

/*
 * Reads the names at `node`. Reports unknown and repeated ones, which are left out,
 * and their number. `base` is what `look` is told. Returns how many the file names.
 */
size_t host_list_read(struct reader *r, const struct yaml *node,
    const struct host_list_rule *rule, const void *base, struct host_list *list);

/* Nothing if there are none. */
void host_list_write(const struct host *const *host, size_t n, struct sbuf *out);

bool host_list_has(const struct host *const *host, size_t n, const struct host *h);

#endif /* NINES_CONFIG_HOST_LIST_H */
