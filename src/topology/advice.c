/* SPDX-License-Identifier: Apache-2.0 */
/*
 * advice.c - redundancy that is not what it seems, and what nobody can promise.
 */
#include <string.h>

#include "base/plural.h"
#include "topology/causes.h"

#define SOON_DAYS   30
#define NAMES_SHOWN 4
#define CHORUS_MAX  65536

#define AT(thing) ((struct spot){(thing)->place, (thing)->name})

void
draft_say(struct drafts *d, enum finding_level level, enum finding_code code,
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
			draft_say(d, FINDING_WARNING, N204, AT(server),
			    draft_text(d,
				"backup %s never serves: without a check no other "
				"server is ever found dead",
				server->name),
			    draft_text(d, "give %s a check", s->name));
		else if (server->weight == 0)
			draft_say(d, FINDING_WARNING, N204, AT(server),
			    draft_text(d, "backup %s never serves: its weight is 0",
				server->name),
			    "give it a weight");
		else if (!topology_backups_count(s, g, needs))
			draft_say(d, FINDING_WARNING, N204, AT(server),
			    draft_text(d,
				"backup %s joins too late: %s needs %u server%s, "
				"backups wait until fewer are left",
				server->name, s->name, needs, plural(needs)),
			    "say backup_below: 100%, so that it joins when one of the "
			    "others is gone");
	}
}

/* What answers there need not be what clients are sent to. */
static void
advise_check_port(struct drafts *d, const struct service *s)
{
	for (size_t i = 0; i < s->n_servers && s->check.port != 0; i++) {
		if (s->server[i].unix_path == NULL &&
		    s->server[i].at.port == s->check.port)
			continue;
		draft_say(d, FINDING_NOTE, N212, AT(s),
		    draft_text(d,
			"the check of %s asks port %u, clients are sent to %s: if "
			"another program answers there, one that is dead stays in "
			"rotation",
			s->name, s->check.port, s->server[i].name),
		    "leave out the port of the check, unless it is the same program "
		    "that answers there");
		return;
	}
}

static void
advise_service(struct drafts *d, const struct service *s)
{
	struct cause cause = {.change = NULL};

	for (size_t k = 0; k < s->n_groups; k++)
		advise_backups(d, s, &s->group[k]);
	for (size_t i = 0; i < s->n_servers; i++) {
		if (!topology_in_circle(d->t, s, &s->server[i]))
			continue;
		cause_of_circle(d, s, &s->server[i], &cause);
		(void)draft_add(d, &cause, FINDING_WARNING);
	}
	advise_check_port(d, s);
	if (s->mode == MODE_HTTP && s->check.type == CHECK_TCP)
		draft_say(d, FINDING_NOTE, N212, AT(s),
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
			draft_say(d, FINDING_WARNING, N211, AT(f),
			    draft_text(d,
				"%s follows %s, which is not served at it: it would "
				"move for nothing",
				f->name, f->follow[i]->name),
			    draft_text(d, "follow what listens on %s", f->name));
	}
	for (size_t i = 0; i < c->n_services && f->n_follow > 0; i++) {
		const struct service *s = &c->service[i];

		if (serves_at(c, s, f) && !topology_follows(c, f, s))
			draft_say(d, FINDING_WARNING, N211, AT(f),
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

/* True if `ip` is one of the hosts that may have `f`, or a floating IP of theirs: who
 * is cut off still reaches himself. */
static bool
is_one_of(const struct cluster *c, const struct floating_ip *f, const struct ip *ip)
{
	const struct host *h = cluster_host_by_address(c, ip, 1);
	const struct floating_ip *at = topology_floating_ip_at(c, ip);

	if (h != NULL)
		return floating_ip_rank(f, h) >= 0;
	for (size_t i = 0; at != NULL && i < at->n_hosts; i++) {
		if (floating_ip_rank(f, at->host[i]) >= 0)
			return true;
	}
	return false;
}

/* Checks of a program of the host's own succeed behind a cut wire too. */
static bool
is_witness(const struct cluster *c, const struct floating_ip *f,
    const struct check_conf *check)
{
	if (check->type == CHECK_PING)
		return !is_one_of(c, f, &check->ping);
	return check->type == CHECK_EXEC;
}

/* True if a host that is cut off would know: it, or one it moves with, has a check. */
static bool
has_witness(const struct cluster *c, const struct floating_ip *f)
{
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		const struct floating_ip *g = &c->floating_ip[i];
		bool together = g == f || (g->group != NULL && f->group != NULL &&
					      strcmp(g->group, f->group) == 0);

		if (together && is_witness(c, f, &g->check))
			return true;
	}
	return false;
}

/* "www (dmz)" and those of which the same is to be said, as one finding. */
struct chorus {
	struct sbuf names;
	const struct floating_ip *first;
	size_t n;
};

static void
join(struct chorus *all, const struct floating_ip *f, const char *what)
{
	if (all->n++ == 0)
		all->first = f;
	if (all->n <= NAMES_SHOWN)
		sbuf_printf(
		    &all->names, "%s%s (%s)", all->n > 1 ? ", " : "", f->name, what);
}

/* Says `what` of all that joined; the chorus ends. */
static void
sing(struct drafts *d, struct chorus *all, enum finding_code code, const char *what,
    const char *change)
{
	if (all->n > NAMES_SHOWN)
		sbuf_printf(&all->names, " and %zu more", all->n - NAMES_SHOWN);
	if (all->n > 0)
		draft_say(d, FINDING_NOTE, code, AT(all->first),
		    draft_text(d, "%s: %s", what, sbuf_text(&all->names)), change);
	sbuf_done(&all->names);
}

static bool
said_before(const struct cluster *c, const struct floating_ip *f)
{
	for (size_t i = 0; i < f->index; i++) {
		if (same_talk(f, &c->floating_ip[i]))
			return true;
	}
	return false;
}

static void
advise_paths(struct drafts *d)
{
	const struct cluster *c = d->t->cluster;
	struct chorus all = {.n = 0};

	sbuf_init(&all.names, CHORUS_MAX);
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		const struct floating_ip *f = &c->floating_ip[i];
		const struct network *other = other_network(c, f);

		if (f->n_hosts > 1 && other != NULL && !said_before(c, f))
			join(&all, f,
			    draft_text(
				d, "%s, and not %s", f->network->name, other->name));
	}
	sing(d, &all, N302,
	    "heartbeats have one path, which carries the clients' traffic too, and not "
	    "another network that their hosts share",
	    NULL);
}

static void
advise_witnesses(struct drafts *d)
{
	const struct cluster *c = d->t->cluster;
	struct chorus all = {.n = 0};

	sbuf_init(&all.names, CHORUS_MAX);
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		const struct floating_ip *f = &c->floating_ip[i];

		if (f->n_hosts == 2 && !has_witness(c, f) && !said_before(c, f))
			join(&all, f,
			    draft_text(d, "%s and %s, on %s", f->host[0]->name,
				f->host[1]->name, f->network->name));
	}
	sing(d, &all, N301,
	    "two hosts and no witness: while both live but do not hear each other, "
	    "both have the address",
	    "say check: {ping: ROUTER}, so that a host that is cut off gives it up");
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
		draft_say(d, FINDING_NOTE, N303, AT(&c->host[0]),
		    "the file has no zones: hosts are taken to fail one by one, also "
		    "where they share power, a rack or a hypervisor",
		    "say zones: [...], and each host's zone");
	else
		draft_say(d, FINDING_NOTE, N303, AT(without),
		    draft_text(d, "%s%s no zone: taken to share nothing with others",
			without->name,
			n > 1 ? draft_text(d, " and %zu more have", n - 1) : " has"),
		    "say their zone");
}

/* ---- certificates ------------------------------------------------------------- */

static void
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
				 plural((uint64_t)c->days_left));
	draft =
	    draft_add(d, &cause, c->days_left < 0 ? FINDING_ERROR : FINDING_WARNING);
	for (size_t i = 0; i < d->t->n_goals && draft != NULL; i++) {
		if (d->t->goal[i].goal.service == s)
			index_add(d->arena, &draft->goal, i);
	}
}

/* Another certificate of `list` that ends on the day of `c`, for another service. */
static bool
ends_with_another(const struct certificate *list, size_t n, const struct certificate *c)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].service != c->service &&
		    strcmp(list[i].until, c->until) == 0)
			return true;
	}
	return false;
}

static bool
has_day(const struct certificate *list, size_t n, const char *day)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i].until, day) == 0)
			return true;
	}
	return false;
}

static void
advise_renewals(struct drafts *d, const struct certificate *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct certificate *first = &list[i];
		const struct certificate *last = first;
		size_t more = 0;

		if (has_day(list, i, first->until) ||
		    !ends_with_another(list, n, first))
			continue;
		for (size_t k = i + 1; k < n; k++) {
			if (strcmp(list[k].until, first->until) != 0 ||
			    list[k].service == last->service)
				continue;
			last = &list[k];
			more++;
		}
		draft_say(d, FINDING_NOTE, N306, AT(first->service),
		    draft_text(d,
			"the certificates of %s and %zu more end on one day, %s: one "
			"renewal that goes wrong ends them all, on every load balancer",
			first->service->name, more, first->until),
		    "renew them on different days");
	}
}

/* ---- all of it ----------------------------------------------------------------- */

void
advise(struct drafts *d)
{
	const struct cluster *c = d->t->cluster;

	for (size_t i = 0; i < c->n_services; i++)
		advise_service(d, &c->service[i]);
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		advise_follow(d, &c->floating_ip[i]);
	}
	advise_paths(d);
	advise_witnesses(d);
	advise_zones(d);
	advise_data(d);
	advise_closed(d);
	for (size_t i = 0; i < d->in->n_certificates; i++)
		advise_certificate(d, &d->in->certificate[i]);
	advise_renewals(d, d->in->certificate, d->in->n_certificates);
}
