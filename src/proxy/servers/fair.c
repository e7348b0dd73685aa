/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/servers/fair.h"

#include "base/rng.h"

void
fair_init(struct fair *f, struct fair_line *line, uint64_t seed)
{
	*f = (struct fair){.line = line, .seed = seed};
	list_init(&f->turns);
	for (size_t i = 0; i < FAIR_LINES; i++) {
		line[i] = (struct fair_line){.n = 0};
		list_init(&line[i].turn);
		list_init(&line[i].waiting);
	}
}

static struct fair_line *
line_of(const struct fair *f, uint64_t source)
{
	return &f->line[rng_mix(source ^ f->seed) % FAIR_LINES];
}

/* Who begins a line waits for one turn of all others. */
static void
joined(struct fair *f, struct fair_line *l)
{
	if (l->n == 0)
		list_append(&f->turns, &l->turn);
	l->n++;
	f->n++;
}

void
fair_push(struct fair *f, uint64_t source, struct list *node)
{
	struct fair_line *l = line_of(f, source);

	list_append(&l->waiting, node);
	joined(f, l);
}

/* He had his turn and could not use it: his line is the next one, too. */
void
fair_push_first(struct fair *f, uint64_t source, struct list *node)
{
	struct fair_line *l = line_of(f, source);

	list_prepend(&l->waiting, node);
	joined(f, l);
	list_remove(&l->turn);
	list_prepend(&f->turns, &l->turn);
}

static void
left(struct fair *f, struct fair_line *l, struct list *node)
{
	ASSERT(l->n > 0 && f->n > 0);
	list_remove(node);
	l->n--;
	f->n--;
	if (l->n == 0)
		list_remove(&l->turn);
}

struct list *
fair_pop(struct fair *f)
{
	struct fair_line *l;
	struct list *node;

	if (f->n == 0)
		return NULL;
	l = CONTAINER(f->turns.next, struct fair_line, turn);
	node = l->waiting.next;
	list_remove(&l->turn);
	list_append(&f->turns, &l->turn);
	left(f, l, node);
	return node;
}

void
fair_remove(struct fair *f, uint64_t source, struct list *node)
{
	left(f, line_of(f, source), node);
}

struct list *
fair_victim(const struct fair *f, uint64_t source)
{
	const struct fair_line *longest = line_of(f, source);
	size_t most = longest->n + 1; /* with the newcomer */

	for (size_t i = 0; i < FAIR_LINES; i++) {
		if (f->line[i].n > most) {
			longest = &f->line[i];
			most = longest->n;
		}
	}
	return longest == line_of(f, source) ? NULL : longest->waiting.prev;
}
