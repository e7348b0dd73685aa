/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules.h - what a drill holds a cluster to (private to lab/). Pure.
 *
 * A drill of the list compares what was foretold with what was seen; a random drill
 * looks all the time whether a rule is broken. Who looks brings the time and what he
 * sees; here is what it means.
 */
#ifndef NINES_LAB_RULES_H
#define NINES_LAB_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mono.h"
#include "lab/mishap.h"

/* Longer than every check takes to fail. */
#define RULES_UNSERVED_NS (8 * SEC_NS)
/* Where nobody keeps the hosts from hearing each other. */
#define RULES_TWO_OWNERS_NS (2 * SEC_NS)
#define RULES_FLOATS_MAX    16

/* What is wrong about a failure that was foretold so and seen so; NULL: nothing. */
const char *rules_differ(enum forecast forecast, bool served);

struct rules {
	mono_t deaf_until; /* hosts may not hear each other until then */
	mono_t two_since[RULES_FLOATS_MAX]; /* MONO_NEVER: it has one owner or none */
	uint64_t wrong;
};

enum rule {
	RULE_NONE,
	RULE_UNSERVED, /* clients were not served for too long */
	RULE_WRONG,    /* a client got what it had not asked for */
	RULE_TWO,      /* an address has two owners that hear each other */
};

void rules_init(struct rules *r);

/* Hosts do not hear each other, or may not yet, at `now`. */
void rules_deaf(struct rules *r, mono_t now);

/* Nobody was served for so long. */
enum rule rules_unserved(int64_t ns);
/* So many more answers or bytes were wrong. */
enum rule rules_wrong(struct rules *r, uint64_t more);
/* Address `which` is on `holders` (bit i: host i) at `now`. */
enum rule rules_owners(struct rules *r, size_t which, uint32_t holders, mono_t now);

#endif /* NINES_LAB_RULES_H */
