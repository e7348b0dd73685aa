/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - clients that keep their connections: what a failure costs their requests.
 *
 * Two kinds: busy connections with many requests a second, and held ones that are
 * open all the time and ask rarely. Each request has its own number and its answer
 * must carry it. As RFC 9112 section 9.3.1 lets every client do, a request whose kept
 * connection breaks before the first byte of an answer is asked once more on a new
 * one: that counts as `retried`, not as `failed`.
 *
 * Writers (writers.h) are the same with POST, which nobody may repeat.
 */
#ifndef NINES_LAB_LOAD_H
#define NINES_LAB_LOAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/ip.h"
#include "base/mono.h"

#define LOAD_TIMEOUT_NS (2 * SEC_NS)

struct load_conf {
	const char *netns; /* NULL: this one; stays the caller's, until load_stop() */
	struct ip_endpoint target;
	unsigned busy, held;		      /* connections of each kind */
	int64_t busy_every_ns, held_every_ns; /* between requests of one connection */
	uint64_t writes_max; /* 0: they ask; else they write, at most so often */
};

enum load_fate {
	LOAD_FAIL_CONNECT, /* a new connection was refused or timed out */
	LOAD_FAIL_BROKEN,  /* broken within an answer, or again after the retry */
	LOAD_FAIL_TIMEOUT, /* no complete answer in LOAD_TIMEOUT_NS */
	LOAD_FAIL_STATUS,
	LOAD_FAIL_WRONG, /* the answer of another request */
	LOAD_FATES
};

struct load_sum {
	uint64_t requests; /* with an answer or failed */
	uint64_t failed[LOAD_FATES], failures;
	uint64_t retried;
	uint64_t broken; /* kept connections that ended without our doing */
	uint64_t slowest_us;
	int64_t pause_ns; /* the longest that the clients themselves stood still */
};

struct load;

struct load *load_start(const struct load_conf *conf) MUST_CHECK; /* NULL: errno */
void load_stop(struct load *l);					  /* NULL is fine */

/* Since the last call of load_take(). */
void load_take(struct load *l, struct load_sum *sum);

/* Ends every connection that no request is on, so that the next opens another. */
void load_renew(struct load *l);

/* The time of sending of the oldest request without an answer; MONO_NEVER: none. */
mono_t load_oldest(struct load *l);

/* When a request last failed, or a kept connection broke; the start, if none has. */
mono_t load_failed(struct load *l);

/* When the last answer came; the start, if none has. */
mono_t load_answered(struct load *l);

/*
 * The numbers of writes that were acknowledged, at most `max` of those that have not
 * been told yet; how many. Writers pause while LOAD_UNTOLD are.
 */
#define LOAD_UNTOLD ((size_t)1 << 18)
size_t load_acknowledged(struct load *l, uint64_t *id, size_t max);

const char *load_fate_name(enum load_fate f);

#endif /* NINES_LAB_LOAD_H */
