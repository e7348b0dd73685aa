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

/* The line of `source`, or one that it can have, or else the one it has to share. */
static struct fair_line *
line_of(const struct fair *f, uint64_t source)
{
	uint64_t home = rng_mix(source ^ f->seed);
	struct fair_line *free = NULL;

	for (uint64_t i = 0; i < FAIR_TRIES; i++) {
		struct fair_line *l = &f->line[(home + i) % FAIR_LINES];

		if (l->n > 0 && l->source == source)
			return l;
		if (l->n == 0 && free == NULL)
			free = l;
	}
	return free != NULL ? free : &f->line[home % FAIR_LINES];
}

/* Who begins a line waits for one turn of all others. */
static struct fair_line *
join(struct fair *f, uint64_t source)
{
	struct fair_line *l = line_of(f, source);

	if (l->n == 0) {
		l->source = source;
		list_append(&f->turns, &l->turn);
	}
	l->n++;
	f->n++;
	return l;
}

uint8_t
fair_push(struct fair *f, uint64_t source, struct list *node)
{
	struct fair_line *l = join(f, source);

	list_append(&l->waiting, node);
	return (uint8_t)(l - f->line);
}

/* He had his turn and could not use it: his line is the next one, too. */
uint8_t
fair_push_first(struct fair *f, uint64_t source, struct list *node)
{
	struct fair_line *l = join(f, source);

	list_prepend(&l->waiting, node);
	list_remove(&l->turn);
	list_prepend(&f->turns, &l->turn);
	return (uint8_t)(l - f->line);
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
fair_remove(struct fair *f, uint8_t line, struct list *node)
{
	left(f, &f->line[line], node);
}

struct list *
fair_victim(const struct fair *f, uint64_t source)
{
	const struct fair_line *own = line_of(f, source), *longest = own;
	size_t most = own->n + 1; /* with the newcomer */

	for (size_t i = 0; i < FAIR_LINES; i++) {
		if (f->line[i].n > most) {
			longest = &f->line[i];
			most = longest->n;
		}
	}
	return longest == own ? NULL : longest->waiting.prev;
}
