/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flows.h - connections that are in use all the time: what a failure costs them.
 *
 * Downloads are long and steady; pushes are small messages that the server sends by
 * itself, as over a websocket. Every byte is checked against web_byte(). A connection
 * that ends without our doing is broken, and is opened anew.
 */
#ifndef NINES_LAB_FLOWS_H
#define NINES_LAB_FLOWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/ip.h"
#include "base/mono.h"

enum flow_kind { FLOW_DOWNLOAD, FLOW_PUSH, FLOW_KINDS };

struct flow_sum {
	uint64_t bytes;
	uint64_t broken;    /* ended, or silent for FLOW_DEAD_NS, after a first byte */
	uint64_t refused;   /* attempts that came to nothing */
	uint64_t corrupt;   /* had a wrong byte, or an answer other than 200 */
	int64_t silence_ns; /* the longest, of connections that went on after it */
};

#define FLOW_DEAD_NS (4 * SEC_NS)

struct flows;

/* NULL with errno set on failure. `netns` (NULL: this one) stays the caller's until
 * flows_stop(). */
struct flows *flows_start(const char *netns, const struct ip_endpoint *target,
    const unsigned number[FLOW_KINDS]) MUST_CHECK;
void flows_stop(struct flows *f); /* NULL is fine */

/* Since the last call. */
void flows_take(struct flows *f, struct flow_sum sum[FLOW_KINDS]);

/* Ends every connection and opens it anew; not counted as broken. */
void flows_renew(struct flows *f);

/* Do all of them receive what they should, right now? */
bool flows_steady(struct flows *f);

const char *flow_kind_name(enum flow_kind k);

#endif /* NINES_LAB_FLOWS_H */
