/* SPDX-License-Identifier: Apache-2.0 */
/*
 * known.h - the facts that matter to the proxy, and what they say in a view. For the
 * control thread.
 *
 * All are kept as they came, also those about what the present generation does not
 * have: the next one may.
 */
#ifndef NINES_PROXY_KNOWN_H
#define NINES_PROXY_KNOWN_H

#include <stdbool.h>
#include <stddef.h>

#include "proxy/control/view.h"

struct known_fact;

/* All zero: nothing is known. */
struct known {
	struct known_fact *fact;
	size_t n, room;
};

/* A fact was published, changed or withdrawn (""). `g` is the present generation, NULL
 * if there is none. */
void known_put(
    struct known *k, const struct gen *g, const char *key, const char *value);
/* There is another generation. */
void known_resolve(struct known *k, const struct gen *g);

/* True if the first word of the fact `kind name` is `word`. */
bool known_says(
    const struct known *k, const char *kind, const char *name, const char *word);

/* The states of v->gen's servers, what is ordered about them, and which groups are
 * active. */
void known_fill(const struct known *k, struct view *v);

void known_done(struct known *k);

#endif /* NINES_PROXY_KNOWN_H */
