/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random databases, volumes and consoles against a reasoner of its own: for every
 * single failure, every pair and many larger sets it says in plain loops over hosts
 * whether each goal goes on, as docs/spof.md has it, and the topology has to agree.
 * Failing more must never repair anything.
 *
 *	data_sim FIRST-SEED COUNT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/sbuf.h"
#include "sim.h"
#include "topology/topology.h"

#define HOSTS	 5
#define FILE_MAX 16384
#define SETS	 300

struct sim {
	uint64_t seed;
	struct rng rng;
	struct sbuf text;
	const struct cluster *c;
	struct topology *t;
	bool *down; /* of each failure */
};

static void
fail(const struct sim *s, size_t goal, bool said)
{
	const struct goal *g = topology_goal(s->t, goal);

	(void)printf("FAIL seed %llu: %s %s %s without:\n", (unsigned long long)s->seed,
	    g->what, g->name, said ? "goes on" : "ends");
	for (size_t i = 0; i < topology_n_failures(s->t); i++) {
		if (s->down[i])
			(void)printf("  %s\n", topology_failure(s->t, i)->name);
	}
	(void)printf("%s", sbuf_text(&s->text));
	exit(1);
}

/* ---- the file ------------------------------------------------------------------ */

static bool
one_in(struct sim *s, uint32_t n)
{
	return rng_below(&s->rng, n) == 0;
}

/* "[h1, h3]", at least `least` of those in `from`; those taken. */
static unsigned
put_hosts(struct sim *s, unsigned least, unsigned most, unsigned from)
{
	unsigned taken = 0, n = 0;

	while (n < least || (n < most && one_in(s, 2))) {
		unsigned i = rng_below(&s->rng, HOSTS);

		if ((from >> i & 1) == 0)
			continue;
		n += (taken >> i & 1) == 0;
		taken |= 1U << i;
	}
	sbuf_puts(&s->text, "[");
	for (unsigned i = 0, k = 0; i < HOSTS; i++) {
		if ((taken >> i & 1) != 0)
			sbuf_printf(&s->text, "%sh%u", k++ > 0 ? ", " : "", i);
	}
	sbuf_puts(&s->text, "]");
	return taken;
}

/* `beside`: the hosts on the second network. */
static void
put_database(struct sim *s, bool listen, unsigned beside)
{
	unsigned n = 1 + rng_below(&s->rng, HOSTS), leader = rng_below(&s->rng, n);

	sbuf_puts(&s->text, "databases:\n  d: {engine: mariadb, hosts: [");
	for (unsigned i = 0; i < n; i++)
		sbuf_printf(&s->text,
		    i != leader && one_in(s, 3) ? "%s{at: h%u, delay: 1h}" : "%sh%u",
		    i > 0 ? ", " : "", i);
	sbuf_printf(&s->text, "], durability: %s",
	    one_in(s, 2) ? "synchronous" : "asynchronous");
	if ((~beside & ((1U << n) - 1)) == 0 && one_in(s, 2))
		sbuf_puts(&s->text, ", over: side");
	if (one_in(s, 2)) {
		sbuf_puts(&s->text, ", electors: ");
		(void)put_hosts(s, 1, HOSTS, one_in(s, 2) ? beside : ~0U);
	}
	if (listen)
		sbuf_printf(&s->text, ", listen: {write: %s:1, read: %s:2}",
		    one_in(s, 3) ? "h0" : "vip", one_in(s, 3) ? "h1" : "vip");
	sbuf_puts(&s->text, "}\n");
}

static void
put_file(struct sim *s)
{
	unsigned beside = 0;

	sbuf_init(&s->text, FILE_MAX);
	sbuf_printf(&s->text,
	    "cluster: x\nnetworks:\n  main: {subnet: 10.0.0.0/24, redundant: %s}\n"
	    "  side: {subnet: 10.1.0.0/24, redundant: %s}\nzones: [a, b, c]\nhosts:\n",
	    one_in(s, 3) ? "true" : "false", one_in(s, 3) ? "true" : "false");
	for (unsigned i = 0; i < HOSTS; i++) {
		sbuf_printf(&s->text, "  h%u: {main: 10.0.0.%u", i, i + 1);
		if (i < 2 || one_in(s, 2)) {
			sbuf_printf(&s->text, ", side: 10.1.0.%u", i + 1);
			beside |= 1U << i;
		}
		if (!one_in(s, 4))
			sbuf_printf(
			    &s->text, ", zone: %c", "abc"[rng_below(&s->rng, 3)]);
		sbuf_puts(&s->text, "}\n");
	}
	sbuf_puts(&s->text, "floating_ips:\n  vip: {address: 10.0.0.99, hosts: ");
	(void)put_hosts(s, 1, HOSTS, ~0U);
	sbuf_printf(&s->text, "%s}\n  page: {address: 10.1.0.99, hosts: ",
	    one_in(s, 2) ? "" : ", check: {ping: 10.0.0.200}");
	(void)put_hosts(s, 1, HOSTS, beside);
	sbuf_puts(&s->text, "}\n");
	put_database(s, !one_in(s, 3), beside);
	sbuf_puts(&s->text, "volumes:\n  v: {size: 1GiB, hosts: ");
	(void)put_hosts(s, 2, 3, ~0U);
	sbuf_printf(&s->text, "}\nconsole: %s:81\n", one_in(s, 3) ? "h2" : "page");
}

/* ---- the reasoner -------------------------------------------------------------- */

static bool
is_down(const struct sim *s, enum availability_kind kind, const void *thing,
    const void *other)
{
	for (size_t i = 0; i < topology_n_failures(s->t); i++) {
		const struct failure *f = topology_failure(s->t, i);
		const void *what = kind == AVAIL_ZONE	   ? (const void *)f->zone
				   : kind == AVAIL_NETWORK ? (const void *)f->network
							   : (const void *)f->host;
		const void *with = kind == AVAIL_LINK	  ? (const void *)f->network
				   : kind == AVAIL_SERVER ? (const void *)f->data
							  : NULL;

		if (!s->down[i] || f->kind != kind || what != thing || with != other)
			continue;
		if (kind != AVAIL_PART || strcmp(f->part, "vip") == 0)
			return true;
	}
	return false;
}

static bool
host_up(const struct sim *s, const struct host *h)
{
	return !is_down(s, AVAIL_HOST, h, NULL) &&
	       (h->zone == NULL || !is_down(s, AVAIL_ZONE, h->zone, NULL));
}

/* `h` has a working way onto `net`, which works. */
static bool
on_net(const struct sim *s, const struct host *h, const struct network *net)
{
	return host_address_on(h, net) != NULL && host_up(s, h) &&
	       !is_down(s, AVAIL_LINK, h, net) && !is_down(s, AVAIL_NETWORK, net, NULL);
}

static bool
heard(const struct sim *s, const struct replicated *r, const struct host *h)
{
	return r->n_hosts == 1 ? host_up(s, h) : on_net(s, h, r->over);
}

/* Whoever votes elsewhere lets an asynchronous primary do without other copies. */
static bool
takes(const struct sim *s, const struct database *d, const struct host *h)
{
	bool alone = d->of.n_hosts == 1 ||
		     (d->n_electors > 0 && d->durability == DURABILITY_ASYNCHRONOUS);

	return host_up(s, h) && (alone || !is_down(s, AVAIL_LINK, h, d->of.over)) &&
	       !is_down(s, AVAIL_SERVER, h, &d->of);
}

/* All hosts and electors have an address on `net`. */
static bool
all_on(const struct database *d, const struct network *net)
{
	for (size_t i = 0; i < d->of.n_hosts; i++) {
		if (host_address_on(d->of.host[i], net) == NULL)
			return false;
	}
	for (size_t i = 0; i < d->n_electors; i++) {
		if (host_address_on(d->elector[i], net) == NULL)
			return false;
	}
	return true;
}

/* Over what copies and electors hear each other. */
static const struct network *
votes_over(const struct sim *s, const struct database *d)
{
	return all_on(d, d->of.over) ? d->of.over : &s->c->network[0];
}

static size_t
votes_of(const struct sim *s, const struct database *d)
{
	size_t votes = 0;

	for (size_t i = 0; i < d->n_electors; i++)
		votes += on_net(s, d->elector[i], votes_over(s, d));
	for (size_t i = 0; i < d->of.n_hosts && d->n_electors == 0; i++)
		votes += heard(s, &d->of, d->of.host[i]);
	return votes;
}

/* Whoever is at `from` gets to the copy at `to`: over the network of the copies if both
 * are on it, else over the other one. */
static bool
passes(const struct sim *s, const struct replicated *r, const struct host *from,
    const struct host *to)
{
	const struct network *main = &s->c->network[0], *over = r->over;

	if (from == to)
		return true;
	if (host_address_on(from, over) == NULL || host_address_on(to, over) == NULL)
		over = main;
	return !is_down(s, AVAIL_LINK, from, over) && on_net(s, to, over);
}

/* A copy that is not late, seen from `from`; NULL: from where clients are. */
static bool
copy_there(const struct sim *s, const struct database *d, const struct host *from,
    bool to_write)
{
	for (size_t i = 0; i < d->n_copies; i++) {
		const struct host *h = d->copy[i].host;

		if (to_write && d->n_electors > 0 &&
		    is_down(s, AVAIL_LINK, h, votes_over(s, d)))
			continue;
		if (d->copy[i].delay_ns == 0 && takes(s, d, h) &&
		    (from != NULL ? passes(s, &d->of, from, h)
				  : on_net(s, h, &s->c->network[0])))
			return true;
	}
	return false;
}

static bool
through(const struct sim *s, const struct database *d, const struct floating_ip *f,
    bool to_write)
{
	bool stranger = false, served = false, lost = false;

	for (size_t i = 0; i < f->n_hosts; i++) {
		bool member = false;

		for (size_t k = 0; k < d->of.n_hosts; k++)
			member = member || d->of.host[k] == f->host[i];
		stranger = stranger || !member;
	}
	for (size_t i = 0; i < f->n_hosts; i++) {
		const struct host *h = f->host[i];
		bool has = on_net(s, h, f->network) && !is_down(s, AVAIL_PART, h, NULL);
		bool way = copy_there(s, d, h, to_write);

		/* an address that stays is where it is, whoever else would do */
		served = served ||
			 (has && (way || (stranger && f->check.type == CHECK_NONE)));
		lost = lost || !way;
	}
	return served && !(lost && stranger && f->check.type == CHECK_NONE);
}

static bool
reached(const struct sim *s, const struct database *d, const struct listen_at *at,
    bool to_write)
{
	if (at->fip != NULL)
		return through(s, d, at->fip, to_write);
	if (at->host != NULL)
		return on_net(s, at->host, &s->c->network[0]) &&
		       copy_there(s, d, at->host, to_write);
	return copy_there(s, d, NULL, to_write);
}

static bool
writes_go_on(const struct sim *s, const struct database *d)
{
	size_t copies = 0, n = d->of.n_hosts;

	for (size_t i = 0; i < n; i++)
		copies += takes(s, d, d->of.host[i]);
	if (2 * votes_of(s, d) <= (d->n_electors > 0 ? d->n_electors : n))
		return false;
	if (n > 1 && d->durability == DURABILITY_SYNCHRONOUS &&
	    (copies < 2 || is_down(s, AVAIL_NETWORK, d->of.over, NULL)))
		return false;
	return reached(s, d, &d->listen.write, true);
}

static bool
volume_goes_on(const struct sim *s, const struct replicated *r)
{
	size_t up = 0, together = 0;
	bool cut = is_down(s, AVAIL_NETWORK, r->over, NULL);

	for (size_t i = 0; i < r->n_hosts; i++) {
		up += host_up(s, r->host[i]);
		together += heard(s, r, r->host[i]);
		cut = cut || is_down(s, AVAIL_LINK, r->host[i], r->over);
	}
	if (r->n_hosts > 2)
		return 2 * together > r->n_hosts;
	return up == 2 || (up == 1 && !cut); /* behind, if they were cut before */
}

static bool
console_goes_on(const struct sim *s)
{
	const struct console *k = &s->c->console;
	const struct floating_ip *f = k->listen.fip;

	for (size_t i = 0; i < k->n_hosts; i++) {
		const struct host *h = k->host[i];

		if (on_net(s, h, f != NULL ? f->network : &s->c->network[0]) &&
		    (f == NULL || !is_down(s, AVAIL_PART, h, NULL)) &&
		    !is_down(s, AVAIL_SERVER, h, NULL))
			return true;
	}
	return false;
}

static bool
any_up(const struct sim *s, const struct replicated *r)
{
	for (size_t i = 0; i < r->n_hosts; i++) {
		if (host_up(s, r->host[i]))
			return true;
	}
	return false;
}

static bool
goes_on(const struct sim *s, const struct goal *g)
{
	switch (g->role) {
	case GOAL_WRITES:
		return writes_go_on(s, g->database);
	case GOAL_READS:
		return reached(s, g->database, &g->database->listen.read, false);
	case GOAL_COPIES:
		return any_up(s, g->data);
	case GOAL_VOLUME:
		return volume_goes_on(s, g->data);
	case GOAL_CONSOLE:
		return console_goes_on(s);
	case GOAL_SERVICE:
	case GOAL_ADDRESS:
		break;
	}
	return true;
}

/* ---- what is tested ------------------------------------------------------------ */

static void
compare(struct sim *s, const size_t *failed, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s->down[failed[i]] = true;
	for (size_t i = 0; i < topology_n_goals(s->t); i++) {
		bool said = topology_survives(s->t, failed, n, i);

		if (topology_goal(s->t, i)->role == GOAL_ADDRESS)
			continue;
		if (said != goes_on(s, topology_goal(s->t, i)))
			fail(s, i, said);
		if (!said && n > 0 && n < HOSTS) {
			size_t more[HOSTS] = {
			    rng_below(&s->rng, (uint32_t)topology_n_failures(s->t))};

			memcpy(more + 1, failed, n * sizeof(*more));
			if (topology_survives(s->t, more, n + 1, i))
				fail(s, i, true);
		}
	}
	for (size_t i = 0; i < n; i++)
		s->down[failed[i]] = false;
}

static void
compare_all(struct sim *s)
{
	const size_t n = topology_n_failures(s->t);
	size_t failed[2 * HOSTS];

	compare(s, NULL, 0);
	for (failed[0] = 0; failed[0] < n; failed[0]++) {
		compare(s, failed, 1);
		for (failed[1] = 0; failed[1] < failed[0]; failed[1]++)
			compare(s, failed, 2);
	}
	for (unsigned i = 0; i < SETS; i++) {
		size_t many = 3 + rng_below(&s->rng, 2 * HOSTS - 2);

		for (size_t k = 0; k < many; k++)
			failed[k] = rng_below(&s->rng, (uint32_t)n);
		compare(s, failed, many);
	}
}

static uint64_t
run(uint64_t seed)
{
	struct sim s = {.seed = seed, .rng = {rng_mix(seed)}};
	struct diag_list diags;

	put_file(&s);
	diag_init(&diags, "sim");
	s.c = cluster_parse(sbuf_text(&s.text), s.text.len, &diags);
	if (s.c == NULL) {
		(void)printf("FAIL seed %llu: %s\n%s", (unsigned long long)seed,
		    diags.n > 0 ? diags.item[0].text : "", sbuf_text(&s.text));
		exit(1);
	}
	s.t = topology_new(s.c);
	s.down = s.t != NULL ? calloc(topology_n_failures(s.t) + 1, 1) : NULL;
	if (s.down == NULL)
		exit(1);
	compare_all(&s);
	free(s.down);
	topology_free(s.t);
	cluster_unref(s.c);
	diag_done(&diags);
	sbuf_done(&s.text);
	return s.rng.state;
}

int
main(int argc, char **argv)
{
	return sim_main(argc, argv, run, 200, 20);
}
