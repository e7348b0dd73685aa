/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/control/known.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/units.h"
#include "part/fact.h"
#include "part/part.h"
#include "proxy/control/gen.h"

#define FACTS_MAX 65536

struct known_fact {
	char *key, *value;
	size_t server; /* in view.server; GEN_NOWHERE: another kind, or not here */
};

bool
known_says(const struct known *k, const char *kind, const char *name, const char *word)
{
	char key[FACT_KEY_LEN];

	(void)snprintf(key, sizeof(key), "%s %s", kind, name);
	for (size_t i = 0; i < k->n; i++) {
		if (strcmp(k->fact[i].key, key) == 0)
			return fact_is(k->fact[i].value, word);
	}
	return false;
}

static void
server_states(const struct known *k, struct view *v)
{
	const struct gen *g = v->gen;

	for (size_t i = 0; i < k->n; i++) {
		const struct known_fact *f = &k->fact[i];

		if (f->server == GEN_NOWHERE)
			continue;
		if (fact_is(f->value, "up"))
			v->server[f->server] = SERVER_UP;
		else if (fact_is(f->value, "down"))
			v->server[f->server] = SERVER_DOWN;
	}
	for (size_t i = 0; i < k->n; i++) {
		const char *name = k->fact[i].key;

		if (strncmp(name, "admin ", 6) != 0 ||
		    !fact_is(k->fact[i].value, "drain"))
			continue;
		name += 6;
		for (size_t s = 0; s < g->cluster->n_services; s++) {
			const struct gen_service *gs = &g->service[s];

			for (size_t j = 0; gs->here && j < gs->conf->n_servers; j++) {
				const struct server *server = &gs->conf->server[j];

				if (strcmp(server->name, name) == 0 ||
				    (server->host != NULL &&
					strcmp(server->host->name, name) == 0))
					v->server[gs->first + j] |= SERVER_DRAINING;
			}
		}
	}
}

/* Weights by order. */
static void
server_orders(const struct known *k, struct view *v)
{
	for (size_t i = 0; i < k->n; i++) {
		const struct known_fact *f = &k->fact[i];
		int64_t n;

		if (count_parse(&n, f->value) != 0)
			continue;
		if (strncmp(f->key, "weight ", 7) != 0 || f->server == GEN_NOWHERE ||
		    n > SERVER_WEIGHT_MAX)
			continue;
		v->order[f->server].weighted = true;
		v->order[f->server].weight = (uint16_t)n;
	}
}

/* What servers' agents say: "75% drain up". That one is down says the check's fact. */
static void
server_agents(const struct known *k, struct view *v)
{
	for (size_t i = 0; i < k->n; i++) {
		const struct known_fact *f = &k->fact[i];
		unsigned n = 0;
		size_t at = 0;

		if (strncmp(f->key, "agent ", 6) != 0 || f->server == GEN_NOWHERE)
			continue;
		for (; f->value[at] >= '0' && f->value[at] <= '9' && n <= 100; at++)
			n = n * 10 + (unsigned)(f->value[at] - '0');
		if (at == 0 || f->value[at] != '%' || f->value[at + 1] != ' ')
			continue;
		v->order[f->server].less = n < 100 ? (uint8_t)(100 - n) : 0;
		if (n == 0 || fact_is(f->value + at + 2, "drain"))
			v->server[f->server] |= SERVER_DRAINING;
	}
}

/* How far away servers are: "4 ms". */
static void
server_reach(const struct known *k, struct view *v)
{
	for (size_t i = 0; i < k->n; i++) {
		const struct known_fact *f = &k->fact[i];
		unsigned n = 0;

		if (strncmp(f->key, "connect ", 8) != 0 || f->server == GEN_NOWHERE)
			continue;
		for (const char *c = f->value; *c >= '0' && *c <= '9' && n < 5000; c++)
			n = n * 10 + (unsigned)(*c - '0');
		v->order[f->server].reach_ms = (uint16_t)n;
	}
}

/* Where an operator has switched a service to another group. */
static void
active_groups(const struct known *k, struct view *v)
{
	const struct cluster *c = v->gen->cluster;

	for (size_t i = 0; i < c->n_services; i++) {
		const struct service *s = &c->service[i];

		for (size_t j = 0; s->n_extra > 0 && j < s->n_groups; j++) {
			if (known_says(k, "switch", s->name, s->group[j].name))
				v->group[i] = j;
		}
	}
}

static void
resolve(struct known_fact *f, const struct gen *g)
{
	struct fact_words w;

	f->server = GEN_NOWHERE;
	if (g != NULL &&
	    (strncmp(f->key, "server ", 7) == 0 || strncmp(f->key, "weight ", 7) == 0 ||
		strncmp(f->key, "agent ", 6) == 0 ||
		strncmp(f->key, "connect ", 8) == 0) &&
	    fact_split(&w, f->key) && w.n == 3)
		f->server = gen_find(g, w.word[1], w.word[2]);
}

static void
forget(struct known *k, size_t i)
{
	free(k->fact[i].key);
	free(k->fact[i].value);
	k->fact[i] = k->fact[--k->n];
}

static void
remember(struct known *k, const struct gen *g, const char *key, const char *value)
{
	struct known_fact *f;
	char *copy;

	if (k->n == k->room) {
		size_t room = k->room * 2 + 64;

		f = room <= FACTS_MAX ? realloc(k->fact, room * sizeof(*f)) : NULL;
		if (f == NULL)
			return;
		k->fact = f;
		k->room = room;
	}
	f = &k->fact[k->n];
	*f = (struct known_fact){.key = strdup(key)};
	copy = strdup(value);
	if (f->key == NULL || copy == NULL) {
		free(f->key);
		free(copy);
		return;
	}
	f->value = copy;
	k->n++;
	resolve(f, g);
}

void
known_put(struct known *k, const struct gen *g, const char *key, const char *value)
{
	for (size_t i = 0; i < k->n; i++) {
		if (strcmp(k->fact[i].key, key) == 0) {
			forget(k, i);
			break;
		}
	}
	if (value[0] != '\0')
		remember(k, g, key, value);
}

void
known_resolve(struct known *k, const struct gen *g)
{
	for (size_t i = 0; i < k->n; i++)
		resolve(&k->fact[i], g);
}

void
known_fill(const struct known *k, struct view *v)
{
	server_states(k, v);
	server_orders(k, v);
	server_agents(k, v);
	server_reach(k, v);
	active_groups(k, v);
}

void
known_done(struct known *k)
{
	while (k->n > 0)
		forget(k, k->n - 1);
	free(k->fact);
}
