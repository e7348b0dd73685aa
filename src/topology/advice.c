/* SPDX-License-Identifier: Apache-2.0 */
/*
 * advice.c - redundancy that is not what it seems, and what nobody can promise.
 */
#include <string.h>

#include "topology/causes.h"

#define SOON_DAYS 30

/* What a finding is about: its name, where it stands. */
struct spot {
	struct place place;
	const char *name;
};

#define AT(thing) ((struct spot){(thing)->place, (thing)->name})

static void
say(struct drafts *d, enum finding_level level, enum finding_code code,
    struct spot spot, const char *reason, const char *change)
{
	const struct cause cause = {.code = code,
	    .place = spot.place,
	    .width = (unsigned)strlen(spot.name),
	    .reason = reason,
	    .change = change};

	(void)draft_add(d, &cause, level);
}

/* ---- services ------------------------------------------------------------------ */

static void
advise_backups(struct drafts *d, const struct service *s, const struct server_group *g)
{
	unsigned needs = g == &s->group[s->active] ? s->needs : 1;

	for (size_t i = 0; i < g->n_servers; i++) {
		const struct server *server = &g->server[i];

		if (!server->backup)
			continue;
		if (s->check.type == CHECK_NONE)
			say(d, FINDING_WARNING, N204, AT(server),
			    draft_text(d,
				"backup %s never serves: without a check no other "
				"server is ever found dead",
				server->name),
			    draft_text(d, "give %s a check", s->name));
		else if (server->weight == 0)
			say(d, FINDING_WARNING, N204, AT(server),
			    draft_text(d, "backup %s never serves: its weight is 0",
				server->name),
			    "give it a weight");
		else if (!topology_backups_count(s, g, needs))
			say(d, FINDING_WARNING, N204, AT(server),
			    draft_text(d,
				"backup %s joins too late: %s needs %u servers, "
				"backups wait until fewer are left",
				server->name, s->name, needs),
			    "say backup_below: 100%, so that it joins when one of the "
			    "others is gone");
	}
}

static void
advise_service(struct drafts *d, const struct service *s)
{
	for (size_t k = 0; k < s->n_groups; k++)
		advise_backups(d, s, &s->group[k]);
	if (s->mode == MODE_HTTP && s->check.type == CHECK_TCP)
		say(d, FINDING_NOTE, N212, AT(s),
		    draft_text(d,
			"the check of %s is content when the port opens: an "
			"application that hangs or answers 500 stays in rotation",
			s->name),
		    "say check: with a path that the application answers, such as "
		    "/health");
}

/* ---- floating addresses -------------------------------------------------------- */

static bool
serves_at(const struct cluster *c, const struct service *s, const struct floating_ip *f)
{
	for (size_t i = 0; i < s->n_listen; i++) {
		const struct floating_ip *at = s->listen[i].floating_ip;

		if (at == f || (at != NULL && at->group != NULL && f->group != NULL &&
				   strcmp(at->group, f->group) == 0))
			return true;
	}
	(void)c;
	return false;
}

static void
advise_follow(struct drafts *d, const struct floating_ip *f)
{
	const struct cluster *c = d->t->cluster;

	for (size_t i = 0; i < f->n_follow; i++) {
		if (!serves_at(c, f->follow[i], f))
			say(d, FINDING_WARNING, N211, AT(f),
			    draft_text(d,
				"%s follows %s, which is not served at it: it would "
				"move for nothing",
				f->name, f->follow[i]->name),
			    draft_text(d, "follow what listens on %s", f->name));
	}
	for (size_t i = 0; i < c->n_services && f->n_follow > 0; i++) {
		const struct service *s = &c->service[i];

		if (serves_at(c, s, f) && !topology_follows(c, f, s))
			say(d, FINDING_WARNING, N211, AT(f),
			    draft_text(d,
				"%s follows others but not %s, which is served at it: "
				"when %s fails on one host, the address stays there",
				f->name, s->name, s->name),
			    draft_text(
				d, "add %s to \"follow\" of %s", s->name, f->name));
	}
}

/* Networks that all hosts of `f` have addresses on. */
static const struct network *
other_network(const struct cluster *c, const struct floating_ip *f)
{
	const struct network *found = NULL;

	for (size_t i = 0; i < c->n_networks; i++) {
		const struct network *net = &c->network[i];
		bool all = net != f->network;

		for (size_t k = 0; k < f->n_hosts && all; k++)
			all = host_address_on(f->host[k], net) != NULL;
		if (all && (found == NULL || (net->dedicated && !found->dedicated)))
			found = net;
	}
	return found;
}

/* True if the same hosts tell each other of `a` and `b` over the same network. */
static bool
same_talk(const struct floating_ip *a, const struct floating_ip *b)
{
	if (a->n_hosts != b->n_hosts || a->network != b->network)
		return false;
	for (size_t i = 0; i < a->n_hosts; i++) {
		if (floating_ip_rank(b, a->host[i]) < 0)
			return false;
	}
	return true;
}

/* "www and 2 more": those of which the same is to be said. */
static const char *
all_names(struct drafts *d, const struct floating_ip *f)
{
	const struct cluster *c = d->t->cluster;
	size_t more = 0;

	for (size_t i = f->index + 1; i < c->n_floating_ips; i++)
		more += same_talk(f, &c->floating_ip[i]);
	return more > 0 ? draft_text(d, "%s and %zu more", f->name, more) : f->name;
}

/* True if a host that is cut off would know: it, or one it moves with, has a check. */
static bool
has_witness(const struct cluster *c, const struct floating_ip *f)
{
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		const struct floating_ip *g = &c->floating_ip[i];
		bool together = g == f || (g->group != NULL && f->group != NULL &&
					      strcmp(g->group, f->group) == 0);

		if (together && g->check.type != CHECK_NONE)
			return true;
	}
	return false;
}

static void
advise_heartbeat(struct drafts *d, const struct floating_ip *f)
{
	const struct network *other = other_network(d->t->cluster, f);

	for (size_t i = 0; i < f->index; i++) {
		if (same_talk(f, &d->t->cluster->floating_ip[i]))
			return; /* said there */
	}
	if (other != NULL)
		say(d, FINDING_NOTE, N302, AT(f),
		    draft_text(d,
			"the heartbeat of %s has one path, %s, which carries the "
			"clients' traffic too; %s, which its hosts share, does not "
			"carry it",
			all_names(d, f), f->network->name, other->name),
		    NULL);
	if (f->n_hosts == 2 && !has_witness(d->t->cluster, f))
		say(d, FINDING_NOTE, N301, AT(f),
		    draft_text(d,
			"%s: two hosts and no witness; while %s and %s live but do not "
			"hear each other on %s, both have the address",
			all_names(d, f), f->host[0]->name, f->host[1]->name,
			f->network->name),
		    draft_text(d,
			"say check: {ping: ROUTER} for %s, so that a host that is cut "
			"off gives it up",
			f->name));
}

/* ---- zones --------------------------------------------------------------------- */

static void
advise_zones(struct drafts *d)
{
	const struct cluster *c = d->t->cluster;
	const struct host *without = NULL;
	size_t n = 0;

	for (size_t i = 0; i < c->n_hosts; i++) {
		if (c->host[i].zone != NULL)
			continue;
		n++;
		if (without == NULL)
			without = &c->host[i];
	}
	if (n == 0 || c->n_hosts < 2)
		return;
	if (n == c->n_hosts)
		say(d, FINDING_NOTE, N303, AT(&c->host[0]),
		    "the file has no zones: hosts are taken to fail one by one, also "
		    "where they share power, a rack or a hypervisor",
		    "say zones: [...], and each host's zone");
	else
		say(d, FINDING_NOTE, N303, AT(without),
		    draft_text(d, "%s%s no zone: taken to share nothing with others",
			without->name,
			n > 1 ? draft_text(d, " and %zu more have", n - 1) : " has"),
		    "say their zone");
}

void
advise(struct drafts *d)
{
	const struct cluster *c = d->t->cluster;

	for (size_t i = 0; i < c->n_services; i++)
		advise_service(d, &c->service[i]);
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		advise_follow(d, &c->floating_ip[i]);
		if (c->floating_ip[i].n_hosts > 1)
			advise_heartbeat(d, &c->floating_ip[i]);
	}
	advise_zones(d);
}

void
advise_certificate(struct drafts *d, const struct certificate *c)
{
	const struct service *s = c->service;
	struct draft *draft;
	struct cause cause = {.place = s->place,
	    .width = (unsigned)strlen(s->name),
	    .change = "renew it, then say nines reload on each load balancer"};

	if (c->days_left >= SOON_DAYS)
		return;
	cause.code = c->days_left < 0 ? N305 : N304;
	cause.reason = c->days_left < 0
			   ? draft_text(d, "%s has ended", c->file)
			   : draft_text(d, "%s ends in %d day%s", c->file, c->days_left,
				 c->days_left == 1 ? "" : "s");
	draft =
	    draft_add(d, &cause, c->days_left < 0 ? FINDING_ERROR : FINDING_WARNING);
	for (size_t i = 0; i < d->t->n_goals && draft != NULL; i++) {
		if (d->t->goal[i].goal.service == s)
			index_add(d->arena, &draft->goal, i);
	}
}
