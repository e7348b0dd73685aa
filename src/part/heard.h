/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heard.h - facts as a part knows them: each key with what was said of it last. A short
 * list, looked through from its beginning, in the order in which the keys came.
 */
#ifndef NINES_PART_HEARD_H
#define NINES_PART_HEARD_H

#include "base/list.h"
#include "part/part.h"

struct heard {
	struct list link;
	bool wanted; /* the part's own mark; false at first */
	char key[FACT_KEY_LEN];
	char value[FACT_VALUE_LEN];
};

#define HEARD_EACH(h, facts)                                                       \
	LIST_EACH(h##_link, h##_next, facts)                                       \
	for (struct heard *h = CONTAINER(h##_link, struct heard, link); h != NULL; \
	     h = NULL)

/* NULL if nothing was ever said of it. */
struct heard *heard_find(const struct list *facts, const char *key);

/* "" if nothing was ever said of it. */
const char *heard_value(const struct list *facts, const char *key);

/* NULL without memory, which the log says then. */
struct heard *heard_note(struct list *facts, const char *key, const char *value);

/* Frees one, or all. */
void heard_drop(struct heard *h);
void heard_clear(struct list *facts);

#endif /* NINES_PART_HEARD_H */
