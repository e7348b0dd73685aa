/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator has drained stays drained over the death of the supervisor: the
 * names stand in RUN_DIR/drained, one a line. A reboot, which empties /run, ends it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/sbuf.h"
#include "config/names.h"
#include "os/whole.h"
#include "supervisor/tree.h"

#define FILE_MAX ((size_t)1 << 20)
#define KEPT_IN	 "drained"
#define PREFIX	 "admin "

bool
drains_known(const struct cluster *cl, const char *name, const char **near)
{
	*near = NULL;
	if (cluster_host(cl, name) != NULL)
		return true;
	for (size_t i = 0; i < cl->n_hosts; i++)
		*near = name_nearer(name, *near, cl->host[i].name);
	for (size_t i = 0; i < cl->n_services; i++) {
		for (size_t k = 0; k < cl->service[i].n_servers; k++) {
			const char *server = cl->service[i].server[k].name;

			if (strcmp(server, name) == 0)
				return true;
			*near = name_nearer(name, *near, server);
		}
	}
	return false;
}

/* A line for each order: its name, and its value if that says more than the name. */
void
orders_save(const struct tree *t, const char *file, const char *prefix)
{
	char path[4096];
	struct sbuf b;
	int err;

	sbuf_init(&b, FILE_MAX);
	LIST_EACH(n, tmp, &t->facts.all)
	{
		const struct fact *f = CONTAINER(n, struct fact, node);

		if (strncmp(f->key, prefix, strlen(prefix)) != 0)
			continue;
		sbuf_puts(&b, f->key + strlen(prefix));
		if (strcmp(f->value, "drain") != 0)
			sbuf_printf(&b, " %s", f->value);
		sbuf_puts(&b, "\n");
	}
	(void)snprintf(path, sizeof(path), "%s/%s", t->run_dir, file);
	err = whole_file(path, 0600, &b);
	if (err != 0)
		log_event(
		    LOG_ERR, "orders", "file=%s error=\"%s\"", file, strerror(-err));
	sbuf_done(&b);
}

bool
drains_set(struct tree *t, const char *name, bool drain)
{
	char key[FACT_KEY_LEN];
	bool was;

	(void)snprintf(key, sizeof(key), PREFIX "%s", name);
	was = facts_get(&t->facts, key)[0] != '\0';
	if (was == drain)
		return false;
	tree_publish(t, "supervisor", key, drain ? "drain" : "");
	orders_save(t, KEPT_IN, PREFIX);
	return true;
}

void
drains_adopt(struct tree *t)
{
	char name[FACT_KEY_LEN];
	const char *near;

	LIST_EACH(n, tmp, &t->facts.all)
	{
		const struct fact *f = CONTAINER(n, struct fact, node);

		if (strncmp(f->key, PREFIX, strlen(PREFIX)) != 0)
			continue;
		(void)snprintf(name, sizeof(name), "%s", f->key + strlen(PREFIX));
		if (!drains_known(t->cluster, name, &near))
			(void)drains_set(t, name, false);
	}
}

void
orders_load(struct tree *t, const char *file, void (*each)(struct tree *, char *))
{
	char path[4096], line[FACT_KEY_LEN + FACT_VALUE_LEN];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", t->run_dir, file);
	f = fopen(path, "re");
	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		each(t, line);
	}
	(void)fclose(f);
}

static void
restore(struct tree *t, char *name)
{
	const char *near;

	if (strlen(name) < FACT_KEY_LEN - strlen(PREFIX) &&
	    drains_known(t->cluster, name, &near))
		(void)drains_set(t, name, true);
}

void
drains_load(struct tree *t)
{
	orders_load(t, KEPT_IN, restore);
}
