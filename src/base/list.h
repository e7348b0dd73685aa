/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h - intrusive doubly linked list.
 *
 * A node that is on no list points to itself, so list_remove() is always safe.
 * A list says which state its members are in; one function moves them.
 */
#ifndef NINES_BASE_LIST_H
#define NINES_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

struct list {
	struct list *next, *prev;
};

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool
list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void
list_remove(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}

/* Adds the unlinked node `n` as the last of `l`. */
static inline void
list_append(struct list *l, struct list *n)
{
	n->prev = l->prev;
	n->next = l;
	l->prev->next = n;
	l->prev = n;
}

/* Adds the unlinked node `n` as the first of `l`. */
static inline void
list_prepend(struct list *l, struct list *n)
{
	list_append(l->next, n);
}

/* Walks a list that may lose the current node on the way. */
#define LIST_EACH(n, tmp, l)                                       \
	for (struct list *n = (l)->next, *tmp = n->next; n != (l); \
	     n = tmp, tmp = n->next)

#endif /* NINES_BASE_LIST_H */
