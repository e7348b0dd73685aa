/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall/passage.h"

#include <errno.h>
#include <string.h>

#include "firewall/rules.h"

/* Rules walked for one listener; beyond that nothing is said of it. */
#define STEPS_MAX 200000000U

struct work {
	const struct cluster *c;
	struct arena *a;
	const struct rule_list *all;
	/* Of one listener: the rules about it, with and without rows of deny. */
	const struct listener *l;
	struct rule_list about, without;
	struct ip *source; /* one of all that no prefix tells apart */
	size_t n_sources, room;
	struct passage *out;
};

/* ---- the rules about a listener ------------------------------------------------ */

static bool
is_deny(const struct rule *r)
{
	return r->chain == RULES_FORWARD && r->test == RULE_NEW &&
	       r->verdict == RULE_DROP;
}

static bool
leads_to(const struct rule *r, const struct listener *l)
{
	return ip_equal(&r->nat.ip, &l->at.ip) &&
	       (r->nat.port == 0 || r->nat.port == l->at.port);
}

/* True if `r` may decide about new TCP connections to `l`, or about what becomes one.
 */
static bool
is_about(const struct rule *r, const struct listener *l)
{
	if (r->family != 0 && r->family != l->at.ip.family)
		return false;
	if (r->chain == RULES_DNAT)
		return leads_to(r, l);
	return r->chain == RULES_FORWARD && net_list_has(&r->dst, &l->at.ip) &&
	       (r->proto == 0 || r->proto == IPPROTO_TCP);
}

static void
choose_rules(struct work *w)
{
	const struct rule_list *all = w->all;

	w->about.n = w->without.n = 0;
	for (size_t i = 0; i < all->n; i++) {
		const struct rule *r = &all->rule[i];

		if (!is_about(r, w->l))
			continue;
		w->about.rule[w->about.n++] = *r;
		if (!is_deny(r))
			w->without.rule[w->without.n++] = *r;
	}
}

/* ---- sources ------------------------------------------------------------------- */

static void
add_source(struct work *w, const struct ip *ip)
{
	size_t room = w->room > 0 ? 2 * w->room : 64;
	struct ip *more;

	if (w->n_sources == w->room) {
		more = arena_array(w->a, room, sizeof(*more));
		if (more == NULL)
			return; /* arena_failed() knows */
		if (w->n_sources > 0)
			memcpy(more, w->source, w->n_sources * sizeof(*more));
		w->source = more;
		w->room = room;
	}
	w->source[w->n_sources++] = *ip;
}

/* The first of `net`, and the one after its last. */
static void
add_bounds(struct work *w, const struct ip_net *net)
{
	struct ip next = net->ip;
	unsigned at = net->bits;

	if (net->ip.family != w->l->at.ip.family)
		return;
	add_source(w, &net->ip);
	while (at > 0) { /* one more in the place of the prefix's last bit */
		uint8_t bit = (uint8_t)(0x80U >> (--at & 7));

		next.byte[at / 8] ^= bit;
		if ((next.byte[at / 8] & bit) != 0) {
			add_source(w, &next);
			return;
		}
	}
}

static void
collect_sources(struct work *w)
{
	const struct ip_net all = {.ip = {.family = w->l->at.ip.family}};

	w->n_sources = 0;
	add_source(w, &all.ip);
	for (size_t i = 0; i < w->c->n_networks; i++)
		add_bounds(w, &w->c->network[i].subnet);
	for (size_t i = 0; i < w->c->n_vpns; i++)
		add_bounds(w, &w->c->vpn[i].subnet);
	for (size_t i = 0; i < w->about.n; i++) {
		const struct net_list *src = &w->about.rule[i].src;

		for (size_t k = 0; k < src->n; k++)
			add_bounds(w, &src->net[k]);
	}
}

/* True if `ip` is in no network or VPN of the file. */
static bool
is_outside(const struct cluster *c, const struct ip *ip)
{
	for (size_t i = 0; i < c->n_networks; i++) {
		if (&c->network[i] != c->firewall.outside &&
		    ip_in_net(ip, &c->network[i].subnet))
			return false;
	}
	for (size_t i = 0; i < c->n_vpns; i++) {
		if (ip_in_net(ip, &c->vpn[i].subnet))
			return false;
	}
	return true;
}

/* ---- who comes in -------------------------------------------------------------- */

/* Who of the sources comes to `to` by `rules`; rows that refuse are noted. */
static enum passage_who
who_enters(struct work *w, const struct rule_list *rules, const struct ip_endpoint *to)
{
	enum passage_who who = PASSAGE_NOBODY;
	struct packet p = {.dst = to->ip, .proto = IPPROTO_TCP, .port = to->port};
	struct packet_fate fate;

	for (size_t i = 0; i < w->n_sources && who != PASSAGE_OUTSIDE; i++) {
		p.src = w->source[i];
		rules_eval(rules, &p, true, &fate);
		if (!fate.accepted)
			continue;
		who = is_outside(w->c, &p.src) ? PASSAGE_OUTSIDE : PASSAGE_INSIDE;
	}
	return who;
}

/* Calls for `i` = 0, 1, ... give where clients of the listener may send: its own
 * address, then what is translated to it. False after the last. */
static bool
entry(const struct work *w, size_t i, struct ip_endpoint *out)
{
	*out = w->l->at;
	for (size_t k = 0; k < w->about.n && i > 0; k++) {
		const struct rule *r = &w->about.rule[k];

		if (r->chain != RULES_DNAT || r->dst.any || r->dst.not ||
		    r->dst.n == 0 || --i > 0)
			continue;
		out->ip = r->dst.net[0].ip;
		if (r->nat.port != 0 && r->n_ports > 0)
			out->port = r->ports[0].low;
		return true;
	}
	return i == 0;
}

static enum passage_who
most(struct work *w, const struct rule_list *rules)
{
	enum passage_who who = PASSAGE_NOBODY, one;
	struct ip_endpoint to;

	for (size_t i = 0; entry(w, i, &to); i++) {
		one = who_enters(w, rules, &to);
		who = one > who ? one : who;
	}
	return who;
}

/* The first row of deny, in the order of the file, that stands in the way of somebody
 * whom `want` is about. */
static const struct rule *
row_of_deny(struct work *w, enum passage_who want)
{
	const struct rule *first = NULL;
	struct packet_fate with, without;
	struct ip_endpoint to;

	for (size_t k = 0; entry(w, k, &to); k++) {
		for (size_t i = 0; i < w->n_sources; i++) {
			const struct packet p = {.src = w->source[i],
			    .dst = to.ip,
			    .proto = IPPROTO_TCP,
			    .port = to.port};

			if (want == PASSAGE_OUTSIDE && !is_outside(w->c, &p.src))
				continue;
			rules_eval(&w->about, &p, true, &with);
			rules_eval(&w->without, &p, true, &without);
			if (without.accepted && with.rule != NULL &&
			    is_deny(with.rule) &&
			    (first == NULL ||
				with.rule->place.line < first->place.line))
				first = with.rule;
		}
	}
	return first;
}

static int
look_at(struct work *w, const struct service *s, const struct listener *l)
{
	struct passage *out = w->out;
	const struct rule *row;

	w->l = l;
	*out = (struct passage){.service = s, .listener = l};
	choose_rules(w);
	collect_sources(w);
	if (arena_failed(w->a))
		return -ENOMEM;
	if (w->n_sources * w->about.n > STEPS_MAX)
		return 0;
	out->who = most(w, &w->about);
	out->undenied = out->who;
	if (out->who != PASSAGE_OUTSIDE)
		out->undenied = most(w, &w->without);
	if (out->undenied > out->who) {
		row = row_of_deny(w, out->undenied);
		out->deny = row != NULL ? row->place : w->c->firewall.place;
	}
	w->out++;
	return 0;
}

int
passages_find(const struct cluster *c, struct arena *a, struct passage **out, size_t *n)
{
	struct work w = {.c = c, .a = a};
	struct rule_list all;
	size_t room = 0;
	int err = 0;

	*out = NULL;
	*n = 0;
	if (c->firewall.n_hosts == 0)
		return 0;
	for (size_t i = 0; i < c->n_services; i++)
		room += c->service[i].n_listen;
	*out = w.out = arena_array(a, room + 1, sizeof(*w.out));
	if (w.out == NULL || rules_build(c, c->firewall.host[0], a, &all) != 0)
		return -ENOMEM;
	w.all = &all;
	/* All chains are there, whatever of them is about a listener. */
	w.about = w.without = all;
	w.about.rule = arena_array(a, all.n + 1, sizeof(*all.rule));
	w.without.rule = arena_array(a, all.n + 1, sizeof(*all.rule));
	if (w.about.rule == NULL || w.without.rule == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_services && err == 0; i++) {
		for (size_t k = 0; k < c->service[i].n_listen && err == 0; k++)
			err = look_at(&w, &c->service[i], &c->service[i].listen[k]);
	}
	*n = (size_t)(w.out - *out);
	return err;
}
