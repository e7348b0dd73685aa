/* SPDX-License-Identifier: Apache-2.0 */
#include "topology/picture_data.h"

#include <string.h>

/* The goal that tells how well it stands; or SIZE_MAX. */
static size_t
goal_of(const struct topology *t, enum goal_role role, const struct replicated *d)
{
	for (size_t i = 0; i < t->n_goals; i++) {
		if (t->goal[i].goal.role == role && t->goal[i].goal.data == d)
			return i;
	}
	return SIZE_MAX;
}

bool
picture_data_weak(const struct topology *t, const struct picture_data *data)
{
	const size_t goal = data->goal;

	for (size_t i = 0; goal != SIZE_MAX && i < t->n_failures; i++) {
		if ((t->failure[i].survive & t->goal[goal].goal.must_survive) != 0 &&
		    !topology_survives(t, &i, 1, goal))
			return true;
	}
	return false;
}

static void
put_hosts(struct picture_data *out, struct sbuf *text, const struct host *const *host,
    size_t n)
{
	out->first = n > 0 ? host[0] : NULL;
	for (size_t i = 0; i < n; i++)
		sbuf_printf(text, " %s", host[i]->name);
}

static void
database(const struct topology *t, const struct database *d, struct picture_data *out,
    struct sbuf *text)
{
	static const char *const engine[] = {
	    [ENGINE_POSTGRESQL] = "postgresql", [ENGINE_MARIADB] = "mariadb"};

	out->first = d->of.host[0];
	out->goal = goal_of(t, GOAL_WRITES, &d->of);
	sbuf_printf(text, "%s %s:", d->of.name, engine[d->engine]);
	for (size_t i = 0; i < d->n_copies; i++)
		sbuf_printf(text, " %s%s", d->copy[i].host->name,
		    d->copy[i].delay_ns > 0 ? " (late)" : "");
}

bool
picture_data_at(
    const struct topology *t, size_t i, struct picture_data *out, struct sbuf *text)
{
	const struct cluster *c = t->cluster;
	const struct volume *v;

	*out = (struct picture_data){.goal = SIZE_MAX};
	if (i < c->n_databases) {
		database(t, &c->database[i], out, text);
		return true;
	}
	i -= c->n_databases;
	if (i < c->n_volumes) {
		v = &c->volume[i];
		sbuf_printf(text, "%s volume:", v->of.name);
		put_hosts(out, text, v->of.host, v->of.n_hosts);
		out->goal = goal_of(t, GOAL_VOLUME, &v->of);
		return true;
	}
	if (i > c->n_volumes || c->console.n_hosts == 0)
		return false;
	sbuf_puts(text, "console:");
	put_hosts(out, text, c->console.host, c->console.n_hosts);
	out->goal = goal_of(t, GOAL_CONSOLE, NULL);
	return true;
}
