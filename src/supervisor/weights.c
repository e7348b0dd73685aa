/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weights that an operator has given servers. They hold over the death of the
 * supervisor, in RUN_DIR/weights, "SERVICE SERVER WEIGHT" a line; a reboot ends them.
 */
#include <stdio.h>
#include <string.h>

#include "config/units.h"
#include "supervisor/tree.h"

#define KEPT_IN "weights"
#define PREFIX	"weight "

bool
weights_valid(const char *weight)
{
	int64_t n;

	return strcmp(weight, WEIGHT_OF_FILE) == 0 ||
	       (count_parse(&n, weight) == 0 && n <= SERVER_WEIGHT_MAX);
}

const char *
weights_unknown(const struct cluster *c, const char *service, const char *server)
{
	const struct service *s = cluster_service(c, service);

	if (s == NULL)
		return "service";
	for (size_t i = 0; i < s->n_servers; i++) {
		if (server_is_named(&s->server[i], server))
			return NULL;
	}
	return "server";
}

/* Of one server, by its own name. */
static bool
set_one(struct tree *t, const char *service, const char *server, const char *weight)
{
	char key[FACT_KEY_LEN];

	if (strcmp(weight, WEIGHT_OF_FILE) == 0)
		weight = "";
	(void)snprintf(key, sizeof(key), PREFIX "%s %s", service, server);
	if (strcmp(facts_get(&t->facts, key), weight) == 0)
		return false;
	tree_publish(t, "supervisor", key, weight);
	return true;
}

bool
weights_set(struct tree *t, const char *service, const char *server, const char *weight)
{
	const struct service *s = cluster_service(t->cluster, service);
	bool changed = false;

	for (size_t i = 0; s != NULL && i < s->n_servers; i++) {
		if (server_is_named(&s->server[i], server))
			changed |= set_one(t, service, s->server[i].name, weight);
	}
	if (changed)
		orders_save(t, KEPT_IN, PREFIX);
	return changed;
}

/* "SERVICE SERVER" in two. False: it is not. */
static bool
split(char *text, char **server)
{
	*server = strchr(text, ' ');
	if (*server == NULL)
		return false;
	*(*server)++ = '\0';
	return true;
}

void
weights_adopt(struct tree *t)
{
	char name[FACT_KEY_LEN], *server;
	bool changed = false;

	LIST_EACH(n, tmp, &t->facts.all)
	{
		const struct fact *f = CONTAINER(n, struct fact, node);

		if (strncmp(f->key, PREFIX, strlen(PREFIX)) != 0)
			continue;
		(void)snprintf(name, sizeof(name), "%s", f->key + strlen(PREFIX));
		if (split(name, &server) &&
		    weights_unknown(t->cluster, name, server) != NULL)
			changed |= set_one(t, name, server, WEIGHT_OF_FILE);
	}
	if (changed)
		orders_save(t, KEPT_IN, PREFIX);
}

static void
restore(struct tree *t, char *line)
{
	char *server, *weight;

	if (split(line, &server) && split(server, &weight) &&
	    strlen(line) + strlen(server) + sizeof(PREFIX) + 1 <= FACT_KEY_LEN &&
	    weights_valid(weight) && weights_unknown(t->cluster, line, server) == NULL)
		(void)weights_set(t, line, server, weight);
}

void
weights_load(struct tree *t)
{
	orders_load(t, KEPT_IN, restore);
}
