/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h - what a client sees, measured from outside: one probe a millisecond, as long
 * as some are answered.
 *
 * Each probe is a new TCP connection and one request of its own number, with its own
 * time of sending; the answer must be complete, 200, and carry the same number.
 * An outage lasts from the sending of the first probe that failed to the sending of
 * the first one after it that was answered. A thread of real-time priority in the
 * client's namespace does nothing else.
 */
#ifndef NINES_LAB_PROBE_H
#define NINES_LAB_PROBE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/ip.h"
#include "base/mono.h"

#define PROBE_EVERY_NS	 MS_NS
#define PROBE_TIMEOUT_NS (150 * MS_NS)
#define PROBE_BEAT_NS	 (10 * MS_NS)

/* After so long without an answer probes are sent less often: on a busy machine they
 * may be what keeps the site from coming back. */
#define PROBE_PATIENCE_NS (3 * SEC_NS)
#define PROBE_RARELY_NS	  (10 * MS_NS)

enum probe_result {
	PROBE_WAITING,
	PROBE_OK,
	PROBE_REFUSED, /* the connection was */
	PROBE_RESET,
	PROBE_CLOSED,  /* before the answer was complete */
	PROBE_TIMEOUT, /* nothing, or not enough, within PROBE_TIMEOUT_NS */
	PROBE_STATUS,  /* an answer other than 200 */
	PROBE_WRONG,   /* the answer of another request */
	PROBE_LOCAL,   /* could not be sent at all: no route, no memory */
	PROBE_RESULTS
};

struct probe_sample {
	mono_t sent;
	uint32_t took_us;
	_Atomic uint8_t result;
};

struct outage {
	mono_t from, to;
	enum probe_result first; /* how the first probe failed */
	unsigned failed;
};

/* Room for `max` of them; those that do not fit are in the sums all the same. */
struct outage_list {
	struct outage *outage;
	size_t max, n;
};

struct probe_sum {
	int64_t outage_ns; /* of all outages */
	unsigned outages, failed, answered;
	unsigned by[PROBE_RESULTS]; /* how many ended so */
	uint32_t slowest_us;	    /* of those answered */
	int64_t pause_ns; /* longest time between two probes: we stood still too */
};

struct prober;

/* NULL with errno set on failure. */
struct prober *prober_start(
    const char *netns, const struct ip_endpoint *target) MUST_CHECK;
void prober_stop(struct prober *p); /* NULL is fine */

/* How long, up to now, every probe has been answered. */
int64_t prober_steady_ns(struct prober *p);

/* Since the last one that was answered was sent. */
int64_t prober_unserved_ns(struct prober *p);

/* Probes sent in [from, to); outages are added to `list`, which may be NULL. */
void prober_measure(struct prober *p, mono_t from, mono_t to, struct probe_sum *sum,
    struct outage_list *list);

/* What became of the probes of a short while. */
struct probe_beat {
	uint8_t answered, failed;
};

/* Of those sent since `from`, `n` times PROBE_BEAT_NS on end. */
void prober_beats(struct prober *p, mono_t from, struct probe_beat *beat, size_t n);

/* The same for any samples in order of sending. Pure. */
void probe_measure(const struct probe_sample *s, size_t n, mono_t from, mono_t to,
    struct probe_sum *sum, struct outage_list *list);

const char *probe_result_name(enum probe_result r);

/*
 * Is `text` a complete answer to request number `id`? PROBE_WAITING: not yet. Shared
 * with the load (load.h). Pure.
 */
enum probe_result probe_judge(const char *text, uint64_t id);

/* The laboratory's clock, the one by which all its threads take times. */
mono_t probe_clock(void);

/* Real-time priority for the calling thread, if the system grants it. */
void probe_realtime(void);

#endif /* NINES_LAB_PROBE_H */
