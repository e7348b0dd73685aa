/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To which group of servers an operator has switched a service. It holds over the death
 * of the supervisor, in RUN_DIR/switched, "SERVICE GROUP" a line; a reboot ends it. The
 * group that the file names as active needs no order.
 */
#include <stdio.h>
#include <string.h>

#include "supervisor/tree.h"

#define KEPT_IN "switched"
#define PREFIX	"switch "

/* The group that the file has active. */
static const char *
active_of(const struct service *s)
{
	return s->group[s->active].name;
}

const char *
switches_unknown(const struct cluster *c, const char *service, const char *group)
{
	const struct service *s = cluster_service(c, service);

	if (s == NULL)
		return "service";
	return service_group(s, group) < s->n_groups ? NULL : "group";
}

bool
switches_served(const struct tree *t, const char *service, const char *group)
{
	const struct service *s = cluster_service(t->cluster, service);
	size_t g = s != NULL ? service_group(s, group) : 0;
	char key[FACT_KEY_LEN];

	if (s == NULL || g == s->n_groups)
		return false;
	for (size_t k = 0; k < s->group[g].n_servers; k++) {
		(void)snprintf(key, sizeof(key), "server %s %s", service,
		    s->group[g].server[k].name);
		if (strcmp(facts_get(&t->facts, key), "up") == 0)
			return true;
	}
	return false;
}

bool
switches_set(struct tree *t, const char *service, const char *group)
{
	const struct service *s = cluster_service(t->cluster, service);
	char key[FACT_KEY_LEN];

	(void)snprintf(key, sizeof(key), PREFIX "%s", service);
	if (s != NULL && strcmp(active_of(s), group) == 0)
		group = "";
	if (strcmp(facts_get(&t->facts, key), group) == 0)
		return false;
	tree_publish(t, "supervisor", key, group);
	orders_save(t, KEPT_IN, PREFIX);
	return true;
}

void
switches_adopt(struct tree *t)
{
	char name[FACT_KEY_LEN], group[FACT_VALUE_LEN];

	LIST_EACH(n, tmp, &t->facts.all)
	{
		const struct fact *f = CONTAINER(n, struct fact, node);

		if (strncmp(f->key, PREFIX, strlen(PREFIX)) != 0)
			continue;
		(void)snprintf(name, sizeof(name), "%s", f->key + strlen(PREFIX));
		(void)snprintf(group, sizeof(group), "%s", f->value);
		if (switches_unknown(t->cluster, name, group) != NULL)
			group[0] = '\0';
		(void)switches_set(t, name, group);
	}
}

static void
restore(struct tree *t, char *line)
{
	char *group = strchr(line, ' ');

	if (group == NULL)
		return;
	*group++ = '\0';
	if (switches_unknown(t->cluster, line, group) == NULL)
		(void)switches_set(t, line, group);
}

void
switches_load(struct tree *t)
{
	orders_load(t, KEPT_IN, restore);
}
