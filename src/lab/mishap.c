/* SPDX-License-Identifier: Apache-2.0 */
#include "lab/mishap.h"

#include <string.h>

#include "lab/drill.h"
#include "supervisor/parts.h"

#define FAILED_MAX 64 /* servers on one host, at most */

struct list {
	const struct cluster *c;
	const struct drill_case *what;
	struct mishap *mishap;
	size_t n, max;
};

static void
add(struct list *l, struct mishap f)
{
	f.what = l->what;
	if (l->n < l->max)
		l->mishap[l->n] = f;
	l->n++;
}

static bool
has_heartbeat(const struct cluster *c, const struct network *net)
{
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		const struct floating_ip *f = &c->floating_ip[i];

		if (f->network == net && f->n_hosts > 1)
			return true;
	}
	return false;
}

static void
for_host(struct list *l, const struct host *h)
{
	switch (l->what->scope) {
	case SCOPE_HOST:
		add(l, (struct mishap){.host = h});
		break;
	case SCOPE_NINES:
		if (parts_any(l->c, h))
			add(l, (struct mishap){.host = h});
		break;
	case SCOPE_SERVER:
		if (cluster_has_server_at(l->c, h))
			add(l, (struct mishap){.host = h});
		break;
	case SCOPE_LINK:
		for (size_t i = 0; i < h->n_addresses; i++) {
			if (!h->address[i].network->redundant)
				add(l, (struct mishap){
					   .host = h, .net = h->address[i].network});
		}
		break;
	case SCOPE_PART:
		for (size_t i = 0; i < PARTS_MAX; i++) {
			if (parts[i].wanted(l->c, h))
				add(l,
				    (struct mishap){.host = h, .part = parts[i].name});
		}
		break;
	case SCOPE_ROLE:
	case SCOPE_NETWORK:
	case SCOPE_HEARTBEAT:
	case SCOPE_ZONE:
	case SCOPE_CLUSTER:
		break;
	}
}

static void
for_network(struct list *l, const struct network *net)
{
	if ((l->what->scope == SCOPE_NETWORK && !net->redundant) ||
	    (l->what->scope == SCOPE_HEARTBEAT && has_heartbeat(l->c, net)))
		add(l, (struct mishap){.net = net});
}

/* A zone without hosts cannot fail. */
static void
for_zone(struct list *l, const struct zone *zone)
{
	for (size_t i = 0; i < l->c->n_hosts && l->what->scope == SCOPE_ZONE; i++) {
		if (l->c->host[i].zone == zone) {
			add(l, (struct mishap){.zone = zone});
			return;
		}
	}
}

size_t
mishap_list(const struct cluster *c, struct mishap *list, size_t max)
{
	struct list l = {.c = c, .mishap = list, .max = max};

	for (l.what = drill_cases; l.what->name != NULL; l.what++) {
		if (l.what->scope == SCOPE_CLUSTER)
			add(&l, (struct mishap){.host = NULL});
		for (size_t i = 0; i < c->n_hosts; i++)
			for_host(&l, &c->host[i]);
		for (size_t i = 0; i < c->n_networks; i++)
			for_network(&l, &c->network[i]);
		for (size_t i = 0; i < c->n_zones; i++)
			for_zone(&l, &c->zone[i]);
	}
	return l.n;
}

/* Cut off, never over, at `size`. */
static void
append(char *text, size_t size, const char *before, const char *name)
{
	size_t at = strlen(text), len;

	for (int i = 0; i < 2; i++) {
		const char *from = i == 0 ? before : name;

		len = strlen(from);
		if (len > size - 1 - at)
			len = size - 1 - at;
		memcpy(text + at, from, len);
		at += len;
		text[at] = '\0';
	}
}

void
mishap_name(const struct mishap *f, char *text, size_t size)
{
	text[0] = '\0';
	append(text, size, "", f->what->name);
	if (f->host != NULL)
		append(text, size, ":", f->host->name);
	if (f->zone != NULL)
		append(text, size, ":", f->zone->name);
	if (f->part != NULL)
		append(text, size, "/", f->part);
	if (f->net != NULL)
		append(text, size, f->host != NULL ? "/" : ":", f->net->name);
}

bool
mishap_matches(const char *name, const char *pattern, size_t len)
{
	if (len > 0 && pattern[len - 1] == '*')
		return strncmp(name, pattern, len - 1) == 0;
	return strncmp(name, pattern, len) == 0 &&
	       (name[len] == '\0' || name[len] == ':' || name[len] == '/');
}

/* Is it one of what fails when `m` happens? */
static bool
falls(const struct failure *f, const struct mishap *m)
{
	switch (m->what->scope) {
	case SCOPE_HOST:
	case SCOPE_NINES:
		return f->kind == AVAIL_HOST && f->host == m->host;
	case SCOPE_LINK:
		return f->kind == AVAIL_LINK && f->host == m->host &&
		       f->network == m->net;
	case SCOPE_NETWORK:
		return f->kind == AVAIL_NETWORK && f->network == m->net;
	case SCOPE_ZONE:
		return f->kind == AVAIL_ZONE && f->zone == m->zone;
	case SCOPE_PART:
		return f->kind == AVAIL_PART && f->host == m->host &&
		       strcmp(f->part, m->part) == 0;
	case SCOPE_SERVER:
		return f->kind == AVAIL_SERVER && f->service != NULL &&
		       f->host == m->host;
	case SCOPE_ROLE:
	case SCOPE_HEARTBEAT:
	case SCOPE_CLUSTER:
		break;
	}
	return false;
}

size_t
mishap_failures(
    const struct topology *t, const struct mishap *m, size_t *failed, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < topology_n_failures(t) && !m->what->brief; i++) {
		if (n < max && falls(topology_failure(t, i), m))
			failed[n++] = i;
	}
	return n;
}

long
mishap_goal(const struct topology *t, const struct service *s)
{
	for (size_t i = 0; i < topology_n_goals(t); i++) {
		if (topology_goal(t, i)->service == s)
			return (long)i;
	}
	return -1;
}

long
mishap_vpn_goal(const struct topology *t, const char *name)
{
	for (size_t i = 0; i < topology_n_goals(t); i++) {
		const struct goal *g = topology_goal(t, i);

		if (strcmp(g->what, "VPN") == 0 && strcmp(g->name, name) == 0)
			return (long)i;
	}
	return -1;
}

enum forecast
mishap_forecast(const struct topology *t, const struct mishap *m, size_t goal)
{
	size_t failed[FAILED_MAX], n = mishap_failures(t, m, failed, FAILED_MAX);

	/* What fails for a moment only is to be survived, whatever it is. */
	if (n == 0 && !m->what->brief)
		return FORECAST_NONE;
	if (topology_survives(t, failed, n, goal))
		return FORECAST_SURVIVES;
	return topology_survives_as_run(t, failed, n, goal) ? FORECAST_NOT_RUN
							    : FORECAST_ENDS;
}
