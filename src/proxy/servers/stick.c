/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/servers/stick.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/client.h"
#include "proxy/servers/service.h"
#include "proxy/servers/sticky.h"
#include "proxy/servers/upstream.h"
#include "proxy/sources/source_map.h"
#include "proxy/worker_inside.h"

static int
compare(const void *a, const void *b)
{
	const struct sticky_server *x = a, *y = b;

	if (x->token.t[0] != y->token.t[0])
		return x->token.t[0] < y->token.t[0] ? -1 : 1;
	return (x->token.t[1] > y->token.t[1]) - (x->token.t[1] < y->token.t[1]);
}

/* A table has room for half of it, and 0 is nobody there. */
static struct sticky_token
token_of(const struct wservice *s, const struct sticky_key *key, const char *name)
{
	struct sticky_token t = sticky_hash(key, name, strlen(name));

	if (s->conf->balancing.sticky == NULL)
		t = (struct sticky_token){{t.t[0] != 0 ? t.t[0] : 1, 0}};
	return t;
}

void
stick_update(struct wservice *s)
{
	const struct sticky_key *key = &s->gen->service[s->conf->index].stick_key;

	free(s->sticky);
	s->sticky = NULL;
	if (s->conf->balancing.sticky == NULL && !sticky_has_table(&s->conf->balancing))
		return;
	s->sticky = calloc(s->n_up + 1, sizeof(*s->sticky));
	ASSERT(s->sticky != NULL);
	for (size_t i = 0; i < s->n_up; i++) {
		s->up[i]->token = token_of(s, key, s->up[i]->name);
		s->sticky[i] = (struct sticky_server){
		    .token = s->up[i]->token, .place = (uint32_t)i};
	}
	qsort(s->sticky, s->n_up, sizeof(*s->sticky), compare);
}

void
stick_show(struct wservice *s, struct source_map *sources)
{
	struct source_map *old = s->sources;

	s->sources = source_map_ref(sources);
	source_map_unref(old);
}

/* Its place in the service from 1; 0: it is no server of it. */
static uint32_t
find_token(const struct wservice *s, const struct sticky_token *t)
{
	const struct sticky_server wanted = {.token = *t}, *found;

	found = bsearch(&wanted, s->sticky, s->n_up, sizeof(*s->sticky), compare);
	return found != NULL ? found->place + 1 : 0;
}

static uint32_t
seconds(const struct worker *w)
{
	return (uint32_t)(w->now.ns / SEC_NS);
}

void
stick_connection(const struct worker *w, struct client *c)
{
	const struct wservice *s = c->service;
	struct sticky_token t = {{0, 0}};
	struct source_key key;
	bool renew;

	c->stuck = 0;
	c->known = false;
	if (s->sources == NULL)
		return;
	key = source_key_of(s->sources, &c->source);
	if (s->conf->balance == BALANCE_HASH)
		c->hash = source_key_hash(&key);
	t.t[0] = source_map_find(s->sources, &key, seconds(w), &renew);
	if (t.t[0] == 0)
		return;
	c->stuck = find_token(s, &t);
	c->known = !renew;
}

void
stick_read(const struct worker *w, struct client *c, const char *p)
{
	const struct wservice *s = c->service;
	struct sticky_token t;
	struct http1_slice v;

	if (s->conf->balancing.sticky == NULL) {
		stick_connection(w, c);
		return;
	}
	v = http1_cookie(&w->head, p, s->conf->balancing.sticky);
	c->stuck = sticky_parse(&t, p + v.off, v.len) ? find_token(s, &t) : 0;
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

/* Its own has no room just now, or other requests are another group's. */
static bool
has_another(const struct client *c)
{
	const struct upstream *own;

	if (c->stuck == 0)
		return false;
	own = c->service->up[c->stuck - 1];
	return own->group != c->group || keeps(own);
}

void
stick_served(struct worker *w, const struct client *c, const struct upstream *up)
{
	const struct wservice *s = c->service;
	struct source_news news;
	bool renew, stays = c->stuck == up->place + 1;

	if (s->sources == NULL || up->gone || (stays ? c->known : has_another(c)))
		return;
	news = (struct source_news){.key = source_key_of(s->sources, &c->source),
	    .server = up->token.t[0],
	    .id = s->sources->id};
	news.saw = source_map_find(s->sources, &news.key, seconds(w), &renew);
	if (news.saw == news.server && !renew)
		return;
	if (w->sources == NULL)
		w->sources = worker_want_sources(w);
	if (w->sources != NULL && source_ring_put(w->sources, &news))
		worker_notify(w);
}

size_t
stick_answer(struct worker *w, const struct client *c, const struct upstream *up,
    char line[static STICKY_LINE_MAX])
{
	const struct wservice *s = c->service;

	if (s->sticky != NULL && s->conf->balancing.sticky == NULL) {
		stick_served(w, c, up);
		return 0;
	}
	if (s->sticky == NULL || up->gone || c->stuck == up->place + 1)
		return 0;
	if (has_another(c))
		return 0;
	return sticky_line(line, s->conf->balancing.sticky, &up->token, c->https);
}
