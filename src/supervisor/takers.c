/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who takes new work: an order that takes the last server away from a service is
 * carried out, for it may be meant so, and whoever gave it is told.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sbuf.h"
#include "part/fact.h"
#include "supervisor/tree.h"

#define WARNING_MAX 4096

bool
server_is_named(const struct server *s, const char *name)
{
	return strcmp(s->name, name) == 0 ||
	       (s->host != NULL && strcmp(s->host->name, name) == 0);
}

static bool
is_drained(const struct tree *t, const char *name)
{
	char key[FACT_KEY_LEN];

	(void)snprintf(key, sizeof(key), "admin %s", name);
	return fact_is(facts_get(&t->facts, key), "drain");
}

/* As far as orders and checks say. One that no check has judged is tried. */
static bool
takes_work(const struct tree *t, const struct service *service, const struct server *s)
{
	char key[FACT_KEY_LEN];
	const char *weight;

	if (is_drained(t, s->name) || (s->host != NULL && is_drained(t, s->host->name)))
		return false;
	(void)snprintf(key, sizeof(key), "weight %s %s", service->name, s->name);
	weight = facts_get(&t->facts, key);
	if (weight[0] != '\0' ? strcmp(weight, "0") == 0 : s->weight == 0)
		return false;
	(void)snprintf(key, sizeof(key), "server %s %s", service->name, s->name);
	return !fact_is(facts_get(&t->facts, key), "down");
}

/* `name` is among the group's servers, and none of them takes work. */
static bool
is_left_alone(const struct tree *t, const struct service *service,
    const struct server_group *g, const char *name)
{
	bool named = false;

	for (size_t i = 0; i < g->n_servers; i++) {
		if (takes_work(t, service, &g->server[i]))
			return false;
		named |= server_is_named(&g->server[i], name);
	}
	return named;
}

char *
takers_warning(const struct tree *t, const char *service, const char *name)
{
	char *text = NULL;
	struct sbuf b;

	sbuf_init(&b, WARNING_MAX);
	for (size_t i = 0; i < t->cluster->n_services; i++) {
		const struct service *s = &t->cluster->service[i];

		if (!service_on_host(s, t->me) ||
		    (service != NULL && strcmp(s->name, service) != 0))
			continue;
		for (size_t k = 0; k < s->n_groups; k++) {
			if (!is_left_alone(t, s, &s->group[k], name))
				continue;
			sbuf_puts(&b, b.len > 0 ? ", " : "");
			if (s->n_groups > 1)
				sbuf_printf(&b, "group %s of ", s->group[k].name);
			sbuf_printf(&b, "service %s", s->name);
		}
	}
	if (b.len > 0) {
		sbuf_puts(&b, ": no server takes new work now, requests fail");
		text = strdup(sbuf_text(&b));
	}
	sbuf_done(&b);
	return text;
}
