/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/servers/stick.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/conn.h"

static int
compare(const void *a, const void *b)
{
	const struct sticky_server *x = a, *y = b;

	if (x->token.t[0] != y->token.t[0])
		return x->token.t[0] < y->token.t[0] ? -1 : 1;
	return (x->token.t[1] > y->token.t[1]) - (x->token.t[1] < y->token.t[1]);
}

void
stick_update(struct wservice *s)
{
	const struct sticky_key *key = &s->gen->service[s->conf->index].stick_key;

	free(s->sticky);
	s->sticky = NULL;
	if (s->conf->balancing.sticky == NULL)
		return;
	s->sticky = calloc(s->n_up + 1, sizeof(*s->sticky));
	ASSERT(s->sticky != NULL);
	for (size_t i = 0; i < s->n_up; i++) {
		s->up[i]->token =
		    sticky_hash(key, s->up[i]->name, strlen(s->up[i]->name));
		s->sticky[i] = (struct sticky_server){
		    .token = s->up[i]->token, .place = (uint32_t)i};
	}
	qsort(s->sticky, s->n_up, sizeof(*s->sticky), compare);
}

void
stick_read(const struct worker *w, struct client *c, const char *p)
{
	const struct wservice *s = c->service;
	struct http1_slice v = http1_cookie(&w->head, p, s->conf->balancing.sticky);
	struct sticky_server wanted = {0}, *found;

	c->stuck = 0;
	if (!sticky_parse(&wanted.token, p + v.off, v.len))
		return;
	found = bsearch(&wanted, s->sticky, s->n_up, sizeof(*s->sticky), compare);
	if (found != NULL)
		c->stuck = found->place + 1;
}

/* It serves those who have been its own, also while it is drained. */
static bool
keeps(const struct upstream *up)
{
	return !up->gone && (up->state & ~SERVER_DRAINING) != SERVER_DOWN &&
	       !up->failed && !up->doubted && !up->outlier.out;
}

struct upstream *
stick_server(const struct client *c)
{
	struct upstream *up = c->service->up[c->stuck - 1];

	return up->group == c->group && c->n_tried == 0 && keeps(up) ? up : NULL;
}

size_t
stick_answer(const struct client *c, const struct upstream *up,
    char line[static STICKY_LINE_MAX])
{
	const struct wservice *s = c->service;

	if (s->sticky == NULL || up->gone || c->stuck == up->place + 1)
		return 0;
	/* Its own has no room just now, or other requests are another group's. */
	if (c->stuck != 0 &&
	    (s->up[c->stuck - 1]->group != c->group || keeps(s->up[c->stuck - 1])))
		return 0;
	return sticky_line(line, s->conf->balancing.sticky, &up->token, c->https);
}
