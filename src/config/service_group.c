/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_group.c - `servers` and `groups` of a service, made into one list.
 */
#include <string.h>

#include "config/reader.h"
#include "config/sections.h"
#include "config/service_parts.h"

static const struct many group_servers = {
    .section = &server_section,
    .size = sizeof(struct server),
    .count = offsetof(struct server_group, n_servers),
    .place = offsetof(struct server, place),
    .index = SIZE_MAX,
};

static const struct key group_key[] = {
    {
	.name = "servers",
	.kind = VALUE_LIST,
	.required = true,
	.offset = offsetof(struct server_group, server),
	.many = &group_servers,
	.doc = "Who answers.",
    },
    {
	.name = "max_connections",
	.kind = VALUE_COUNT,
	FIELD(struct server_group, max_connections),
	.max = 10000000,
	.preset = "0",
	.doc =
	    "Requests, or connections in mode tcp, that all of them together have at "
	    "a time, on each host; others wait. 0: no limit.",
    },
};

static bool
brief_group(const void *base, struct sbuf *out)
{
	const struct server_group *g = base;
	const char *sep = "[";

	if (g->max_connections != 0)
		return false;
	for (size_t i = 0; i < g->n_servers; i++) {
		sbuf_puts(out, sep);
		if (!server_section.brief(&g->server[i], out))
			write_flow(&server_section, &g->server[i], false, out);
		sep = ", ";
	}
	sbuf_puts(out, "]");
	return true;
}

static const struct section group_section = {
    .what = "group",
    .doc = "Servers that are balanced among themselves.",
    KEYS(group_key),
    .shorthand = "servers",
    .brief = brief_group,
};

const struct many service_groups = {
    .section = &group_section,
    .size = sizeof(struct server_group),
    .count = offsetof(struct service, n_extra),
    .place = offsetof(struct server_group, place),
    .index = SIZE_MAX,
    .space = NAME_GROUP,
};

static void
read_active(struct reader *r, const struct yaml *node, void *base)
{
	struct service *s = base;

	if (node->kind == YAML_SCALAR && strcmp(node->text, GROUP_DEFAULT) == 0 &&
	    s->servers.n_servers > 0)
		s->active_name = GROUP_DEFAULT;
	else if (look_up(r, node, NAME_GROUP) != NULL)
		s->active_name =
		    arena_strndup(r->arena, node->text, strlen(node->text));
}

static void
write_active(const void *base, struct sbuf *out)
{
	const struct service *s = base;

	if (s->active_name != NULL)
		write_text(out, s->active_name);
}

const struct form active_form = {
    .read = read_active,
    .write = write_active,
    .schema = "{\"$ref\":\"#/$defs/name\"}",
    .syntax = "the name of a group",
};

/* One array of all groups, and one of all their servers, one group after another. */
static void
join_groups(struct reader *r, struct service *s)
{
	struct server_group *group =
	    arena_array(r->arena, s->n_extra + 1, sizeof(*group));
	struct server *all;
	size_t n = 0;

	if (group == NULL)
		return;
	s->servers.name = GROUP_DEFAULT;
	if (s->servers.n_servers > 0)
		group[s->n_groups++] = s->servers;
	for (size_t i = 0; i < s->n_extra; i++)
		group[s->n_groups++] = s->extra[i];
	for (size_t i = 0; i < s->n_groups; i++)
		n += group[i].n_servers;
	all = arena_array(r->arena, n + 1, sizeof(*all));
	if (all == NULL)
		return;
	n = 0;
	for (size_t i = 0; i < s->n_groups; i++) {
		struct server_group *g = &group[i];

		if (g->n_servers > 0)
			memcpy(&all[n], g->server, g->n_servers * sizeof(*all));
		g->server = &all[n];
		g->first = n;
		if (s->active_name != NULL && strcmp(g->name, s->active_name) == 0)
			s->active = i;
		n += g->n_servers;
	}
	s->group = group;
	s->server = all;
	s->n_servers = n;
}

void
groups_begin(struct reader *r, const struct yaml *node, struct service *s)
{
	static const struct key key = GROUPS_KEY;
	const struct yaml *map = yaml_get(node, key.name);

	names_init(&r->names[NAME_GROUP], r->arena);
	if (map != NULL)
		declare_names(r, &key, map, s);
}

/* A server is known by its name in facts and counters, so it is there once. */
static void
check_group(struct reader *r, const struct server_group *g, const struct yaml *node,
    struct names *seen)
{
	size_t n, active = 0;
	const struct yaml *list = yaml_get(node, "servers");
	const struct yaml *item = yaml_items(list != NULL ? list : node, &n);
	char text[IP_ENDPOINT_LEN];
	const char *key;

	ASSERT(node != NULL);
	for (size_t i = 0; i < g->n_servers && i < n && item != NULL;
	     i++, item = item->next) {
		const struct server *server = &g->server[i];

		active += !server->backup && server->weight > 0;
		if (server->at.ip.family == 0 && server->unix_path == NULL)
			continue;
		key = server->unix_path;
		if (key == NULL) {
			(void)ip_endpoint_format(&server->at, text);
			key = arena_strndup(r->scratch, text, strlen(text));
		}
		if (key != NULL && names_put(seen, key, (void *)(uintptr_t)g) != NULL)
			(void)reader_error(r, item, "duplicate-server",
			    "server \"%s\" is listed twice", server->name);
	}
	if (active == 0 && g->n_servers > 0)
		diag_hint(reader_warning(r, node->key, "no-active-server",
			      "%s \"%s\" has only backup servers or ones without "
			      "weight",
			      g == &r->service->servers ? "service" : "group",
			      g == &r->service->servers ? r->service->name : g->name),
		    "at least one should be active");
}

static void
check_groups(struct reader *r, const struct service *s, const struct yaml *node)
{
	const struct yaml *list = yaml_get(node, "servers");
	const struct yaml *map = yaml_get(node, "groups");
	const struct yaml *item = map != NULL ? map->first : NULL;
	struct names seen;

	names_init(&seen, r->scratch);
	if (list != NULL)
		check_group(r, &s->servers, list, &seen);
	else if (map == NULL && node->key != NULL)
		(void)reader_error(r, node->key, "missing-key", "%s has no \"servers\"",
		    node->key->text);
	for (size_t i = 0; i < s->n_extra && item != NULL; i++, item = item->next) {
		check_group(r, &s->extra[i], item, &seen);
		if (strcmp(s->extra[i].name, GROUP_DEFAULT) == 0 ||
		    strcmp(s->extra[i].name, GROUP_ACTIVE) == 0)
			diag_hint(
			    reader_error(r, item->key, "bad-name",
				"a group cannot be called \"%s\"", s->extra[i].name),
			    "\"default\" is what \"servers\" lists, \"active\" "
			    "what \"active\" says");
	}
}

void
groups_finish(struct reader *r, const struct yaml *node, struct service *s)
{
	check_groups(r, s, node);
	join_groups(r, s);
}
