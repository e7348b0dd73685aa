/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owners.h - who holds a floating address, as the kernels of the hosts say.
 *
 * A thread listens to the address events of every host's namespace. An address on a
 * loopback interface is one that is being given up: it owns nothing. A host that was
 * switched off is counted out by owners_mute(): its kernel still lists the address,
 * but nobody can be misled by it.
 */
#ifndef NINES_LAB_OWNERS_H
#define NINES_LAB_OWNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/ip.h"
#include "base/mono.h"

#define OWNERS_HOSTS_MAX 32

struct owner_event {
	mono_t at;
	uint32_t holders; /* from here on; bit i: host i */
};

struct owners_sum {
	int64_t two_ns, none_ns; /* more than one holder; nobody */
	unsigned moves;		 /* how often a host that had it not got it */
};

struct owners;

/* `netns[0..n)` are the hosts. NULL with errno set on failure. */
struct owners *owners_start(
    const char *const netns[], size_t n, const struct ip *address) MUST_CHECK;
void owners_stop(struct owners *o); /* NULL is fine */

void owners_mute(struct owners *o, size_t host, bool mute);

uint32_t owners_now(struct owners *o); /* bit i: host i holds it */

/* Copies at most `max` events after `from`, and the last one before. */
size_t owners_events(
    struct owners *o, mono_t from, struct owner_event *events, size_t max);

/* What `n` events (in order of time) say about [from, to). Pure. */
void owners_measure(const struct owner_event *events, size_t n, mono_t from, mono_t to,
    struct owners_sum *sum);

#endif /* NINES_LAB_OWNERS_H */
