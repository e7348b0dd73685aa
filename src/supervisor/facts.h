/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts.h - the store of facts (private to supervisor/). Keys keep their order of
 * first publication; a withdrawn fact is gone.
 */
#ifndef NINES_SUPERVISOR_FACTS_H
#define NINES_SUPERVISOR_FACTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "base/mono.h"
#include "part/part.h"

#define FACTS_MAX     65536 /* a part that publishes without end is refused */
#define FACTS_BUCKETS 4096

struct fact {
	struct list node;  /* in order */
	struct fact *next; /* in its bucket */
	const char *by;	   /* static: the part's name */
	mono_t since;
	char value[FACT_VALUE_LEN];
	char key[FACT_KEY_LEN];
};

struct facts {
	struct list all;
	struct fact *bucket[FACTS_BUCKETS];
	size_t n;
};

void facts_init(struct facts *f);
void facts_done(struct facts *f);

/* True if this changed something; false also when the store is full or memory is. */
bool facts_set(
    struct facts *f, mono_t now, const char *by, const char *key, const char *value);

/* "" if there is none. */
const char *facts_get(const struct facts *f, const char *key);

#endif /* NINES_SUPERVISOR_FACTS_H */
