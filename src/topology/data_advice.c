/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data_advice.c - copies that are not what they seem, and what nobody can promise.
 */
#include <string.h>

#include "topology/build.h"
#include "topology/causes.h"

#define AT(thing) ((struct spot){(thing)->place, (thing)->name})

/* ---- the copies ---------------------------------------------------------------- */

static size_t
delayed(const struct database *db)
{
	size_t n = 0;

	for (size_t i = 0; i < db->n_copies; i++)
		n += db->copy[i].delay_ns > 0;
	return n;
}

/* The host that is the primary while all is well. */
static const struct host *
primary(const struct database *db)
{
	for (size_t i = 0; i < db->n_copies; i++) {
		if (db->copy[i].delay_ns == 0)
			return db->copy[i].host;
	}
	return NULL;
}

static bool
in_several_zones(const struct replicated *r)
{
	for (size_t i = 1; i < r->n_hosts; i++) {
		if (r->host[i]->zone != r->host[0]->zone)
			return true;
	}
	return false;
}

/* What undoes a mistake should not burn with what it is to undo it on. Where all copies
 * are in one zone, that is N220. */
static void
advise_late_copies(struct drafts *d, const struct database *db)
{
	const struct replicated *r = &db->of;
	const struct host *first = primary(db), *late = NULL;

	if (delayed(db) == 0) {
		draft_say(d, FINDING_NOTE, N307, AT(r),
		    draft_text(d,
			"no copy of %s is delayed: a table dropped by mistake is gone "
			"from all of them at once",
			r->name),
		    "add {at: HOST, delay: 1h}, or keep backups of every moment");
		return;
	}
	if (first == NULL || first->zone == NULL || !in_several_zones(r))
		return;
	for (size_t i = 0; i < db->n_copies; i++) {
		if (db->copy[i].delay_ns == 0)
			continue;
		if (db->copy[i].host->zone != first->zone)
			return;
		late = db->copy[i].host;
	}
	if (late != NULL)
		draft_say(d, FINDING_NOTE, N221, AT(r),
		    draft_text(d,
			"the delayed copy of %s, on %s, is in zone %s, as %s, the "
			"primary: what destroys one destroys both",
			r->name, late->name, first->zone->name, first->name),
		    draft_text(d, "move %s to another zone", late->name));
}

static void
advise_durability(struct drafts *d, const struct database *db)
{
	const struct replicated *r = &db->of;

	if (db->durability == DURABILITY_ASYNCHRONOUS && r->n_hosts > 1)
		draft_say(d, FINDING_NOTE, N310, AT(r),
		    draft_text(d,
			"%s is asynchronous: when the primary fails, writes that it "
			"acknowledged and nobody else has are lost",
			r->name),
		    "say durability: synchronous if none may be lost");
}

/* ---- the address --------------------------------------------------------------- */

/* Among the copies the address goes where the primary is. */
static void
advise_address(struct drafts *d, const struct database *db, const struct listen_at *at)
{
	const struct floating_ip *f = at->fip;
	const struct replicated *r = &db->of;

	for (size_t i = 0; f != NULL && i < f->n_hosts; i++) {
		if (!topology_in_hosts(r->host, r->n_hosts, f->host[i]))
			return;
	}
	for (size_t i = 0; f != NULL && f->n_hosts > 1 && i < r->n_hosts; i++) {
		const struct host *h = r->host[i];

		if (!topology_may_lead(db, h) || floating_ip_rank(f, h) >= 0)
			continue;
		draft_say(d, FINDING_WARNING, N222, AT(f),
		    draft_text(d,
			"%s may become the primary of %s, and cannot have the address "
			"%s: clients "
			"reach it only if another host passes them on",
			h->name, r->name, f->name),
		    draft_text(d, "add %s to \"hosts\" of %s", h->name, f->name));
		return;
	}
}

/* ---- the path ------------------------------------------------------------------ */

/* True if clients come over `net`, or are answered over it. */
static bool
clients_use(const struct cluster *c, const struct network *net)
{
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		if (c->floating_ip[i].network == net)
			return true;
	}
	for (size_t i = 0; i < c->n_services; i++) {
		for (size_t k = 0; k < c->service[i].n_servers; k++) {
			if (topology_network_of(c, &c->service[i].server[k]) == net)
				return true;
		}
	}
	return false;
}

static const struct network *
quieter(const struct cluster *c, const struct replicated *r)
{
	for (size_t i = 0; i < c->n_networks; i++) {
		const struct network *net = &c->network[i];
		bool all = !clients_use(c, net);

		for (size_t k = 0; k < r->n_hosts && all; k++)
			all = host_address_on(r->host[k], net) != NULL;
		if (all)
			return net;
	}
	return NULL;
}

static void
advise_path(struct drafts *d, const struct replicated *r)
{
	const struct cluster *c = d->t->cluster;
	const struct network *other;

	if (r->n_hosts < 2 || r->over == NULL || !clients_use(c, r->over))
		return;
	other = quieter(c, r);
	draft_say(d, FINDING_NOTE, N309, AT(r),
	    draft_text(d,
		"copies of %s go over %s, which carries the clients' traffic: a flood "
		"of one holds up the other",
		r->name, r->over->name),
	    other != NULL
		? draft_text(d, "say over: %s for %s", other->name, r->name)
		: "give its hosts a dedicated network, and say over: NETWORK");
}

/* ---- volumes ------------------------------------------------------------------- */

static void
advise_volume(struct drafts *d, const struct replicated *r)
{
	if (r->n_hosts == 2)
		draft_say(d, FINDING_NOTE, N308, AT(r),
		    draft_text(d,
			"%s has two hosts and no third vote: while %s and %s live and "
			"do not hear each other, both may be used and differ from then "
			"on",
			r->name, r->host[0]->name, r->host[1]->name),
		    draft_text(d, "add a third host to %s", r->name));
	advise_path(d, r);
}

void
advise_data(struct drafts *d)
{
	const struct cluster *c = d->t->cluster;

	for (size_t i = 0; i < c->n_databases; i++) {
		const struct database *db = &c->database[i];

		advise_late_copies(d, db);
		advise_durability(d, db);
		advise_address(d, db, &db->listen.write);
		advise_path(d, &db->of);
	}
	for (size_t i = 0; i < c->n_volumes; i++)
		advise_volume(d, &c->volume[i].of);
}
