/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data_causes.c - why a failure ends a database, its reads, its data, a volume or the
 * console.
 */
#include <string.h>

#include "topology/causes.h"

/* True if the copy at `h` hears nobody when `f` has happened. */
static bool
takes_vote(const struct failure *f, const struct replicated *d, const struct host *h)
{
	if (f->kind == AVAIL_LINK)
		return d->n_hosts > 1 && f->host == h && f->network == d->over;
	return cause_takes_host(f, h);
}

/* True if it takes and gives nothing. */
static bool
takes_copy(const struct failure *f, const struct replicated *d, const struct host *h)
{
	if (f->kind == AVAIL_SERVER)
		return f->data == d && f->service == NULL && f->host == h;
	return takes_vote(f, d, h);
}

typedef bool takes_fn(
    const struct failure *f, const struct replicated *d, const struct host *h);

static size_t
taken_by(const struct failure *f, const struct replicated *d, takes_fn *takes)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n_hosts; i++)
		n += takes(f, d, d->host[i]);
	return n;
}

static const char *
zone_name(const struct failure *f)
{
	return f->zone != NULL ? f->zone->name : "?";
}

/* ---- copies and votes ---------------------------------------------------------- */

static bool
cause_one_copy(struct drafts *d, const struct replicated *r, const struct failure *f,
    struct cause *out)
{
	if (r->n_hosts != 1 || taken_by(f, r, takes_copy) == 0)
		return false;
	cause_put(out, N216, r->place, r->name);
	out->reason =
	    draft_text(d, "%s is the only host of %s", r->host[0]->name, r->name);
	out->change = draft_text(
	    d, "add two hosts to %s: one that takes over, and a third vote", r->name);
	return true;
}

/* All that may be the primary. */
static bool
cause_no_leader(struct drafts *d, const struct database *db, const struct failure *f,
    struct cause *out)
{
	const struct replicated *r = &db->of;
	const struct host *first = NULL;
	size_t may = 0, taken = 0;

	for (size_t i = 0; i < r->n_hosts; i++) {
		if (!topology_may_lead(db, r->host[i]))
			continue;
		may++;
		taken += takes_copy(f, r, r->host[i]);
		if (first == NULL)
			first = r->host[i];
	}
	if (first == NULL || taken < may)
		return false;
	if (may == 1) {
		cause_put(out, N219, r->place, r->name);
		out->reason = draft_text(d,
		    "only %s may be the primary of %s, every other host is delayed",
		    first->name, r->name);
		out->change = draft_text(d,
		    "add a host without \"delay\" to %s, or take it from one", r->name);
	} else {
		cause_put(out, N218, r->place, r->name);
		out->reason = draft_text(d,
		    "all hosts that may be the primary of %s are in zone %s", r->name,
		    zone_name(f));
		out->change = "move one of them to another zone";
	}
	return true;
}

/* Hosts whose votes `f` takes away. */
static size_t
votes_taken(const struct failure *f, const struct voters *v)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n; i++)
		n += f->kind == AVAIL_LINK
			 ? f->host == v->host[i] && f->network == v->over
			 : cause_takes_host(f, v->host[i]);
	return n;
}

/* One or two votes are no majority without each other. */
static void
too_few_votes(struct drafts *d, const struct replicated *r, const struct voters *v,
    struct cause *out)
{
	const bool electors = v->host != r->host;

	cause_put(out, N217, r->place, r->name);
	if (v->n == 1) {
		out->reason = draft_text(d, "%s alone votes on the primary of %s",
		    v->host[0]->name, r->name);
		out->change = draft_text(
		    d, "give %s three electors, or none: then its hosts vote", r->name);
		return;
	}
	out->reason = draft_text(d,
	    "one of the two %s of %s is no majority: "
	    "it may not go on without the other, which may have gone on as well",
	    electors ? "electors" : "hosts", r->name);
	out->change =
	    electors ? draft_text(d, "add a third elector to %s", r->name)
		     : draft_text(d, "add a third host to %s; a delayed one is enough",
			   r->name);
}

/* Half of the votes of `v` or more. */
static bool
cause_no_majority(struct drafts *d, const struct replicated *r, const struct voters *v,
    const struct failure *f, struct cause *out)
{
	size_t taken = votes_taken(f, v), left = v->n - taken;
	const char *what = v->host != r->host ? "electors" : "hosts";

	if (taken == 0 || left >= v->n / 2 + 1)
		return false;
	if (v->n <= 2 && taken == 1) {
		too_few_votes(d, r, v, out);
		return true;
	}
	cause_put(out, N218, r->place, r->name);
	out->reason = draft_text(d, "%zu of %zu %s of %s are in zone %s", taken, v->n,
	    what, r->name, zone_name(f));
	/* Of four votes three must be left: as many as of three, and harder to spread.
	 */
	out->change = v->n == 4 ? "let three vote, in three zones: say electors"
		      : left == 0 || v->n < 3 ? "spread them over three zones"
					      : "move one of them to a third zone";
	return true;
}

/* Others vote, and fewer than two copies are left to acknowledge. */
static bool
cause_no_second(struct drafts *d, const struct database *db, const struct failure *f,
    struct cause *out)
{
	const struct replicated *r = &db->of;
	size_t taken = taken_by(f, r, takes_copy);

	if (db->durability != DURABILITY_SYNCHRONOUS || taken == 0 ||
	    r->n_hosts - taken >= 2)
		return false;
	cause_put(out, N224, r->place, r->name);
	if (r->n_hosts == 2) {
		out->reason = draft_text(d,
		    "%s is synchronous and has two copies: none acknowledges without "
		    "the other",
		    r->name);
		out->change = draft_text(d,
		    "add a third host to %s, which may be delayed, or say durability: "
		    "asynchronous if the last writes may be lost",
		    r->name);
	} else {
		out->reason = draft_text(d,
		    "%s is synchronous, and %zu of its %zu copies are in zone %s",
		    r->name, taken, r->n_hosts, zone_name(f));
		out->change = "move one of them to another zone";
	}
	return true;
}

static bool
cause_all_copies(struct drafts *d, const struct replicated *r, const struct failure *f,
    struct cause *out)
{
	size_t taken = 0;

	for (size_t i = 0; i < r->n_hosts; i++)
		taken += cause_takes_host(f, r->host[i]);
	if (taken < r->n_hosts || f->kind != AVAIL_ZONE)
		return false;
	cause_put(out, N220, r->place, r->name);
	out->reason = draft_text(d, "all %zu copies of %s are in zone %s", r->n_hosts,
	    r->name, zone_name(f));
	out->change =
	    draft_text(d, "move %s to another zone", r->host[r->n_hosts - 1]->name);
	return true;
}

/* ---- the way to them ----------------------------------------------------------- */

/* What has lost the way and does not give up the address. */
static bool
cause_stays(struct drafts *d, const struct replicated *r, const struct failure *f,
    const struct floating_ip *fip, struct cause *out)
{
	if (f->kind != AVAIL_LINK || f->network == fip->network ||
	    floating_ip_rank(fip, f->host) < 0 || !topology_data_stays(r, fip))
		return false;
	cause_put(out, N202, fip->place, fip->name);
	out->reason =
	    draft_text(d, "%s stays on a host that has lost %s, the way to %s",
		fip->name, f->network->name, r->name);
	out->change = draft_text(
	    d, "give %s a check that only a host with that way passes", fip->name);
	return true;
}

static bool
cause_at_listen(struct drafts *d, const struct replicated *r,
    const struct listen_at *at, const struct failure *f, struct cause *out)
{
	if (at->fip != NULL)
		return cause_of_address(d, f, at->fip, out) ||
		       (r != NULL && cause_stays(d, r, f, at->fip, out));
	if (at->host == NULL || (!cause_takes_host(f, at->host) && f->host != at->host))
		return false;
	cause_put(out, N210, r != NULL ? r->place : d->t->cluster->console.place,
	    r != NULL ? r->name : "console");
	out->reason = draft_text(d, "%s is reached at %s's own address",
	    r != NULL ? r->name : "the console", at->host->name);
	out->change = "listen on a floating IP that several hosts can have";
	return true;
}

static bool
cause_at_database(struct drafts *d, const struct database *db, const struct failure *f,
    struct cause *out)
{
	const struct database_listen *l = &db->listen;
	const struct listen_at *at =
	    l->write.fip == NULL && l->write.host == NULL ? &l->split : &l->write;
	const struct voters v = topology_voters(db);

	return cause_one_copy(d, &db->of, f, out) || cause_no_leader(d, db, f, out) ||
	       cause_no_majority(d, &db->of, &v, f, out) ||
	       cause_no_second(d, db, f, out) ||
	       cause_at_listen(d, &db->of, at, f, out);
}

/* Of two hosts either goes on; of three, two. */
static bool
cause_at_volume(struct drafts *d, const struct replicated *r, const struct failure *f,
    struct cause *out)
{
	const struct voters v = {r->host, r->n_hosts, r->over};

	if (cause_all_copies(d, r, f, out))
		return true;
	return r->n_hosts > 2 && cause_no_majority(d, r, &v, f, out);
}

bool
cause_of_data(struct drafts *d, const struct goal *goal, const struct failure *f,
    struct cause *out)
{
	switch (goal->role) {
	case GOAL_WRITES:
		return cause_at_database(d, goal->database, f, out);
	case GOAL_READS:
		return cause_one_copy(d, goal->data, f, out) ||
		       cause_no_leader(d, goal->database, f, out) ||
		       cause_at_listen(
			   d, goal->data, &goal->database->listen.read, f, out);
	case GOAL_VOLUME:
		return cause_at_volume(d, goal->data, f, out);
	case GOAL_COPIES:
		return cause_one_copy(d, goal->data, f, out) ||
		       cause_all_copies(d, goal->data, f, out);
	case GOAL_CONSOLE:
		return cause_at_listen(d, NULL, &d->t->cluster->console.listen, f, out);
	case GOAL_SERVICE:
	case GOAL_ADDRESS:
		break;
	}
	return false;
}

bool
cause_at_data(struct drafts *d, const struct service *s, const struct failure *f,
    struct cause *out)
{
	const struct cluster *c = d->t->cluster;

	for (size_t i = 0; i < c->n_databases; i++) {
		if (topology_needs_data(s, &c->database[i].of) &&
		    cause_at_database(d, &c->database[i], f, out))
			return true;
	}
	for (size_t i = 0; i < c->n_volumes; i++) {
		if (topology_needs_data(s, &c->volume[i].of) &&
		    cause_at_volume(d, &c->volume[i].of, f, out))
			return true;
	}
	return false;
}
