/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data.c - what databases, volumes and the console need. docs/spof.md says it in words.
 *
 * A database takes writes while most of its hosts hear each other, one of them may be
 * the primary and, if it is synchronous, a second one takes what the first
 * acknowledges. Delayed ones vote and take, and never become the primary. With
 * `electors` those vote, and the primary is one that hears them.
 *
 * A volume of two hosts has nobody to ask who was first. Its worst order of failures is
 * looked at: first the wire is cut, which leaves one of them behind, then the other
 * fails. A third host makes it a matter of majority.
 */
#include <stdio.h>
#include <string.h>

#include "topology/build.h"

#define NAME_LEN (2 * CLUSTER_NAME_MAX + 32)

/* ---- questions to the cluster file --------------------------------------------- */

static bool
at_fip(const struct listen_at *at, const struct floating_ip *f)
{
	return at->fip == f;
}

bool
topology_data_listens(const struct cluster *c, const struct floating_ip *f)
{
	for (size_t i = 0; i < c->n_databases; i++) {
		const struct database_listen *l = &c->database[i].listen;

		if (at_fip(&l->write, f) || at_fip(&l->read, f) || at_fip(&l->split, f))
			return true;
	}
	return c->console.n_hosts > 0 && at_fip(&c->console.listen, f);
}

bool
topology_needs_data(const struct service *s, const struct replicated *d)
{
	for (size_t i = 0; i < d->n_services; i++) {
		if (d->service[i] == s)
			return true;
	}
	return d->n_services == 0;
}

struct voters
topology_voters(const struct database *d)
{
	if (d->n_electors > 0)
		return (struct voters){d->elector, d->n_electors, d->votes_over};
	return (struct voters){
	    d->of.host, d->of.n_hosts, d->of.n_hosts > 1 ? d->of.over : NULL};
}

bool
topology_may_lead(const struct database *d, const struct host *h)
{
	for (size_t i = 0; i < d->n_copies; i++) {
		if (d->copy[i].host == h)
			return d->copy[i].delay_ns == 0;
	}
	return false;
}

const struct network *
topology_between(
    const struct replicated *d, const struct host *from, const struct host *to)
{
	const struct network *found = NULL;

	for (size_t i = 0; i < from->n_addresses; i++) {
		const struct network *net = from->address[i].network;

		if (host_address_on(to, net) == NULL)
			continue;
		if (found == NULL || net == d->over ||
		    (found != d->over && found->dedicated && !net->dedicated))
			found = net;
	}
	return found;
}

/* The network of the address that clients know `h` by. */
static const struct network *
main_network(const struct host *h)
{
	for (size_t i = 0; i < h->n_addresses; i++) {
		if (!h->address[i].network->dedicated)
			return h->address[i].network;
	}
	return h->address[0].network;
}

/* ---- leaves -------------------------------------------------------------------- */

static uint32_t
program_leaf(struct build *b, const struct replicated *d, const struct host *h,
    const char *suffix)
{
	char name[NAME_LEN];

	if (d != NULL)
		(void)snprintf(
		    name, sizeof(name), "database %s %s%s", d->name, h->name, suffix);
	else
		(void)snprintf(name, sizeof(name), "console %s%s", h->name, suffix);
	return build_failure(
	    b, (struct failure){.kind = AVAIL_SERVER, .host = h, .data = d}, name);
}

void
build_data_leaves(struct build *b)
{
	const struct cluster *c = b->c;

	for (size_t i = 0; i < c->n_databases; i++) {
		const struct replicated *d = &c->database[i].of;

		for (size_t k = 0; k < d->n_hosts; k++)
			(void)program_leaf(b, d, d->host[k], "");
	}
	for (size_t i = 0; i < c->console.n_hosts; i++)
		(void)program_leaf(b, NULL, c->console.host[i], "");
}

/* The program of `d` (NULL: the console's) at `seat`; made when it is the twin's. */
static void
push_program(struct build *b, const struct replicated *d, struct seat seat)
{
	size_t first = seat.twin ? b->n_own : 0;

	for (size_t i = first; i < b->t->n_failures; i++) {
		const struct failure *f = &b->t->failure[i];

		if (f->kind == AVAIL_SERVER && f->service == NULL && f->data == d &&
		    f->host == seat.host) {
			graph_push(b->g, b->g->leaf[i]);
			return;
		}
	}
	if (seat.twin)
		graph_push(b->g, program_leaf(b, d, seat.host, "+1"));
}

/* ---- databases ----------------------------------------------------------------- */

/* At work and, if `over` is not NULL, heard by others there, once that works. */
static void
push_heard(struct build *b, struct seat seat, const struct network *over)
{
	uint32_t mark = graph_open(b->g);

	build_push_host(b, seat);
	if (over != NULL)
		build_push_link(b, seat, over);
	graph_push(b->g, graph_all(b->g, mark));
}

/* The copy at `seat`, of which the others hear. Where others vote, an asynchronous
 * one needs nobody else. */
static void
push_copy(struct build *b, const struct database *d, struct seat seat)
{
	const bool alone =
	    d->of.n_hosts == 1 ||
	    (d->n_electors > 0 && d->durability == DURABILITY_ASYNCHRONOUS);
	uint32_t mark = graph_open(b->g);

	push_heard(b, seat, alone ? NULL : d->of.over);
	push_program(b, &d->of, seat);
	graph_push(b->g, graph_all(b->g, mark));
}

/* Most of those who vote; for synchronous ones two copies as well. */
static uint32_t
agreement(struct build *b, const struct database *d)
{
	const struct replicated *of = &d->of;
	const struct voters v = topology_voters(d);
	uint32_t mark = graph_open(b->g), inner = graph_open(b->g), n = 0;
	struct seat seat;

	while (build_seat_of(b, v.host, v.n, n, &seat)) {
		push_heard(b, seat, v.over);
		n++;
	}
	graph_push(b->g, graph_at_least(b->g, inner, n / 2 + 1));
	build_push_network(b, v.over);
	for (n = 0; build_seat_of(b, of->host, of->n_hosts, n, &seat);)
		n++;
	if (n > 1 && d->durability == DURABILITY_SYNCHRONOUS) {
		build_push_network(b, of->over);
		inner = graph_open(b->g);
		for (size_t i = 0; build_seat_of(b, of->host, of->n_hosts, i, &seat);
		     i++)
			push_copy(b, d, seat);
		graph_push(b->g, graph_at_least(b->g, inner, 2));
	}
	return graph_all(b->g, mark);
}

/* From `from` (no host: from where clients are) to the copy at `to`. */
static void
push_way(struct build *b, const struct replicated *d, struct seat from, struct seat to)
{
	const struct network *net;

	if (from.host == to.host && from.twin == to.twin)
		return;
	if (from.host != NULL) {
		net = topology_between(d, from.host, to.host);
		build_push_link(b, from, net);
	} else {
		net = main_network(to.host);
	}
	build_push_link(b, to, net);
	build_push_network(b, net);
}

/* A copy that `from` reaches: any that is not delayed, and to write one that hears who
 * votes. */
static uint32_t
reached(struct build *b, const struct database *d, struct seat from, bool to_write)
{
	const struct replicated *of = &d->of;
	uint32_t mark = graph_open(b->g), inner;
	struct seat seat;

	for (size_t i = 0; build_seat_of(b, of->host, of->n_hosts, i, &seat); i++) {
		if (!topology_may_lead(d, seat.host))
			continue;
		inner = graph_open(b->g);
		push_copy(b, d, seat);
		if (to_write && d->n_electors > 0)
			build_push_link(b, seat, d->votes_over);
		push_way(b, of, from, seat);
		graph_push(b->g, graph_all(b->g, inner));
	}
	return graph_any(b->g, mark);
}

bool
topology_data_stays(const struct replicated *d, const struct floating_ip *f)
{
	for (size_t i = 0; i < f->n_hosts; i++) {
		if (!topology_in_hosts(d->host, d->n_hosts, f->host[i]))
			return f->check.type == CHECK_NONE && f->n_follow == 0;
	}
	return false;
}

/* Through floating address `f`. Beside the copies themselves whoever has it passes
 * clients on, and keeps it when it has lost the way unless something makes it leave. */
static void
push_floating_way(struct build *b, const struct database *d,
    const struct floating_ip *f, bool to_write)
{
	bool stays = topology_data_stays(&d->of, f);
	uint32_t any, inner;
	struct seat seat;

	build_push_network(b, f->network);
	any = graph_open(b->g);
	for (size_t i = 0; build_seat_of(b, f->host, f->n_hosts, i, &seat); i++) {
		inner = graph_open(b->g);
		build_push_host(b, seat);
		build_push_link(b, seat, f->network);
		build_push_part(b, seat, PART_VIP);
		if (!stays)
			graph_push(b->g, reached(b, d, seat, to_write));
		graph_push(b->g, graph_all(b->g, inner));
	}
	graph_push(b->g, graph_any(b->g, any));
	for (size_t i = 0; stays && build_seat_of(b, f->host, f->n_hosts, i, &seat);
	     i++)
		graph_push(b->g, reached(b, d, seat, to_write));
}

/* How clients come to a copy. */
static void
push_entry(struct build *b, const struct database *d, const struct listen_at *at,
    bool to_write)
{
	struct seat seat = {.host = at->host};

	if (at->fip != NULL) {
		push_floating_way(b, d, at->fip, to_write);
		return;
	}
	for (size_t i = 0; at->host != NULL && i < at->host->n_addresses; i++) {
		const struct host_address *a = &at->host->address[i];

		if (!ip_equal(&a->ip, &at->at.ip))
			continue;
		build_push_network(b, a->network);
		build_push_link(b, seat, a->network);
	}
	if (at->host != NULL)
		build_push_host(b, seat);
	graph_push(b->g, reached(b, d, seat, to_write));
}

static const struct listen_at *
write_at(const struct database *d)
{
	const struct database_listen *l = &d->listen;

	return l->write.fip == NULL && l->write.host == NULL ? &l->split : &l->write;
}

static uint32_t
writes(struct build *b, const struct database *d)
{
	uint32_t mark = graph_open(b->g);

	graph_push(b->g, agreement(b, d));
	push_entry(b, d, write_at(d), true);
	return graph_all(b->g, mark);
}

/* No vote is needed to read. */
static uint32_t
reads(struct build *b, const struct database *d)
{
	uint32_t mark = graph_open(b->g);

	push_entry(b, d, &d->listen.read, false);
	return graph_all(b->g, mark);
}

/* One host that is left, on or off its networks. */
static uint32_t
any_copy(struct build *b, const struct replicated *d)
{
	uint32_t mark = graph_open(b->g), inner;
	struct seat seat;

	for (size_t i = 0; build_seat_of(b, d->host, d->n_hosts, i, &seat); i++) {
		inner = graph_open(b->g);
		build_push_host(b, seat);
		graph_push(b->g, graph_all(b->g, inner));
	}
	return graph_any(b->g, mark);
}

/* ---- volumes ------------------------------------------------------------------- */

/* Either of two while they were never apart, or both. */
static uint32_t
pair_of_copies(struct build *b, const struct replicated *d)
{
	uint32_t mark = graph_open(b->g), inner = graph_open(b->g);

	graph_push(b->g, any_copy(b, d));
	build_push_network(b, d->over);
	for (size_t i = 0; i < d->n_hosts; i++)
		build_push_link(b, (struct seat){.host = d->host[i]}, d->over);
	graph_push(b->g, graph_all(b->g, inner));
	inner = graph_open(b->g);
	for (size_t i = 0; i < d->n_hosts; i++)
		build_push_host(b, (struct seat){.host = d->host[i]});
	graph_push(b->g, graph_all(b->g, inner));
	return graph_any(b->g, mark);
}

static uint32_t
volume_node(struct build *b, const struct replicated *d)
{
	uint32_t mark, inner, n = 0;
	struct seat seat;

	while (build_seat_of(b, d->host, d->n_hosts, n, &seat))
		n++;
	if (n <= 2)
		return pair_of_copies(b, d);
	mark = graph_open(b->g);
	inner = graph_open(b->g);
	for (size_t i = 0; build_seat_of(b, d->host, d->n_hosts, i, &seat); i++)
		push_heard(b, seat, d->over);
	graph_push(b->g, graph_at_least(b->g, inner, n / 2 + 1));
	build_push_network(b, d->over);
	return graph_all(b->g, mark);
}

/* ---- the console --------------------------------------------------------------- */

static uint32_t
console_node(struct build *b, const struct console *k)
{
	const struct floating_ip *f = k->listen.fip;
	uint32_t mark = graph_open(b->g), any, inner;
	const struct network *net;
	struct seat seat;

	net = f != NULL ? f->network : main_network(k->host[0]);
	build_push_network(b, net);
	any = graph_open(b->g);
	for (size_t i = 0; build_seat_of(b, k->host, k->n_hosts, i, &seat); i++) {
		inner = graph_open(b->g);
		build_push_host(b, seat);
		build_push_link(b, seat, net);
		if (f != NULL)
			build_push_part(b, seat, PART_VIP);
		push_program(b, NULL, seat);
		graph_push(b->g, graph_all(b->g, inner));
	}
	graph_push(b->g, graph_any(b->g, any));
	return graph_all(b->g, mark);
}

/* ---- the whole ----------------------------------------------------------------- */

void
build_data(struct build *b)
{
	const struct cluster *c = b->c;

	for (size_t i = 0; i < c->n_databases; i++)
		b->database[i] = writes(b, &c->database[i]);
	for (size_t i = 0; i < c->n_volumes; i++)
		b->volume[i] = volume_node(b, &c->volume[i].of);
}

void
build_push_data(struct build *b, const struct service *s)
{
	const struct cluster *c = b->c;

	for (size_t i = 0; i < c->n_databases; i++) {
		if (topology_needs_data(s, &c->database[i].of))
			graph_push(b->g, b->database[i]);
	}
	for (size_t i = 0; i < c->n_volumes; i++) {
		if (topology_needs_data(s, &c->volume[i].of))
			graph_push(b->g, b->volume[i]);
	}
}

static struct goal
goal_of(const char *what, enum goal_role role, const struct replicated *d)
{
	return (struct goal){.what = what,
	    .name = d->name,
	    .role = role,
	    .must_survive = d->must_survive,
	    .data = d,
	    .place = d->place};
}

void
build_data_goals(struct build *b)
{
	const struct cluster *c = b->c;
	const struct console *k = &c->console;

	for (size_t i = 0; i < c->n_databases; i++) {
		const struct database *d = &c->database[i];
		struct goal goal = goal_of("database", GOAL_WRITES, &d->of);

		goal.database = d;
		build_goal(b, goal, b->database[i]);
		goal.what = "reads of database";
		goal.role = GOAL_READS;
		if (d->listen.read.fip != NULL || d->listen.read.host != NULL)
			build_goal(b, goal, reads(b, d));
		goal.what = "data of database";
		goal.role = GOAL_COPIES;
		build_goal(b, goal, any_copy(b, &d->of));
	}
	for (size_t i = 0; i < c->n_volumes; i++) {
		const struct replicated *d = &c->volume[i].of;

		build_goal(b, goal_of("volume", GOAL_VOLUME, d), b->volume[i]);
		build_goal(
		    b, goal_of("data of volume", GOAL_COPIES, d), any_copy(b, d));
	}
	if (k->n_hosts > 0)
		build_goal(b,
		    (struct goal){.what = "console",
			.name = c->name,
			.role = GOAL_CONSOLE,
			.must_survive = k->must_survive,
			.floating_ip = k->listen.fip,
			.place = k->place},
		    console_node(b, k));
}
