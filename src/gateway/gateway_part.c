/* SPDX-License-Identifier: Apache-2.0 */
/* The part `gateway`: its life, its facts, and what its core decides. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sbuf.h"
#include "gateway/gateway.h"
#include "gateway/gateway_shell.h"
#include "part/fact.h"

/* ---- facts --------------------------------------------------------------------- */

void
gateway_tell(struct gateway_shell *sh, const char *key, const char *fmt, ...)
{
	char value[FACT_VALUE_LEN];
	struct heard *t;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	t = heard_note(&sh->facts, key, value);
	if (t != NULL)
		t->wanted = true;
	part_publish(sh->part, key, "%s", value);
}

void
gateway_untell(struct gateway_shell *sh, struct heard *t)
{
	part_publish(sh->part, t->key, "%s", "");
	heard_drop(t);
}

static void
mark_all(struct gateway_shell *sh, bool wanted)
{
	HEARD_EACH(t, &sh->facts)
	t->wanted = wanted;
}

/* What nobody has told again since the mark is no more; settings go their own way. */
static void
sweep_facts(struct gateway_shell *sh)
{
	HEARD_EACH(t, &sh->facts)
	{
		if (!t->wanted && strncmp(t->key, "gateway setting ", 16) != 0)
			gateway_untell(sh, t);
	}
}

static void
tell_hop(struct gateway_shell *sh, unsigned i)
{
	const struct gateway_at *h = &sh->table.hop[i];
	const struct gateway_next *n = &sh->core.hop[i];
	char key[FACT_KEY_LEN], ip[IP_STR_LEN];

	(void)snprintf(
	    key, sizeof(key), "gateway next-hop %s", ip_format(&h->at.ip, ip));
	if (n->state != GATEWAY_DOWN)
		gateway_tell(sh, key, "%s", gateway_state_name(n->state));
	else if (n->link)
		gateway_tell(sh, key, "down no answer on %s", h->interface);
	else if (h->index == 0)
		gateway_tell(sh, key, "down this host's address on %s is missing",
		    h->at.network->name);
	else
		gateway_tell(sh, key, "down link %s", h->interface);
}

static void
tell_route(struct gateway_shell *sh, unsigned i)
{
	const struct gateway_table *t = &sh->table;
	const struct fib_route *r = &t->route[i];
	const struct gateway_set *s = &sh->core.set[t->set_of[i]];
	char key[FACT_KEY_LEN], ip[IP_STR_LEN];
	struct sbuf via;

	(void)snprintf(key, sizeof(key), "gateway route %s/%u",
	    ip_format(&r->to.ip, ip), r->to.bits);
	sbuf_init(&via, FACT_VALUE_LEN);
	for (unsigned k = 0; k < t->n_hops; k++) {
		if ((s->live & GATEWAY_BIT(k)) != 0)
			sbuf_printf(&via, " %s", ip_format(&t->hop[k].at.ip, ip));
	}
	if (t->refused[i])
		gateway_tell(sh, key, "down the kernel refuses it; see the log");
	else if (!mono_is_never(s->dark))
		gateway_tell(sh, key, "down nobody answers; left:%s", sbuf_text(&via));
	else
		gateway_tell(sh, key, "up %d/%d via%s", __builtin_popcountll(s->live),
		    __builtin_popcountll(s->members), sbuf_text(&via));
	sbuf_done(&via);
}

/* Does it lead anywhere, what is sent through this gateway? */
static void
tell_fitness(struct gateway_shell *sh)
{
	const struct gateway_table *t = &sh->table;
	char ip[IP_STR_LEN];

	if (!sh->plan.forwards)
		return;
	if (sh->core.fit && sh->sides_up) {
		gateway_tell(sh, GATEWAY_FORWARD, "up");
		return;
	}
	for (unsigned i = 0; i < t->n_routes; i++) {
		if (mono_is_never(sh->core.set[t->set_of[i]].dark))
			continue;
		gateway_tell(sh, GATEWAY_FORWARD, "down no next hop to %s/%u answers",
		    ip_format(&t->route[i].to.ip, ip), t->route[i].to.bits);
		return;
	}
	gateway_tell(sh, GATEWAY_FORWARD, "down a link to one of the sides is down");
}

static void
tell_all(struct gateway_shell *sh)
{
	for (unsigned i = 0; i < sh->table.n_hops; i++)
		tell_hop(sh, i);
	for (unsigned i = 0; i < sh->table.n_routes; i++)
		tell_route(sh, i);
	tell_fitness(sh);
}

/* ---- what the core decides ----------------------------------------------------- */

static void
ask(struct gateway_shell *sh, unsigned i)
{
	struct gateway_at *h = &sh->table.hop[i];
	struct gateway_question q = {
	    .to = h->at.ip, .index = h->index, .from = h->own->ip};

	memcpy(q.mac, h->mac, sizeof(q.mac));
	memcpy(q.there, h->there, sizeof(q.there));
	q.everyone = sh->core.hop[i].misses > 0 ||
		     (h->at.ip.family == AF_INET && !h->there_known);
	gateway_probe_ask(&sh->probe, &q);
}

static void
log_hop(const struct gateway_shell *sh, unsigned i)
{
	const struct gateway_next *n = &sh->core.hop[i];
	char ip[IP_STR_LEN];

	log_event(n->state == GATEWAY_DOWN ? LOG_WARN : LOG_INFO, "next_hop",
	    "hop=%s state=%s%s", ip_format(&sh->table.hop[i].at.ip, ip),
	    gateway_state_name(n->state),
	    n->state == GATEWAY_DOWN && !n->link ? " why=link" : "");
}

static void
carry_out(struct gateway_shell *sh, const struct gateway_out *out)
{
	for (unsigned i = 0; i < sh->core.n_sets; i++) {
		if ((out->sets & GATEWAY_BIT(i)) != 0)
			gateway_table_set(sh, i);
	}
	for (unsigned i = 0; i < sh->core.n_hops; i++) {
		if ((out->hops & GATEWAY_BIT(i)) == 0)
			continue;
		log_hop(sh, i);
		tell_hop(sh, i);
	}
	if (out->hops != 0 || out->sets != 0) {
		for (unsigned i = 0; i < sh->table.n_routes; i++)
			tell_route(sh, i);
	}
	if (out->fit)
		tell_fitness(sh);
	for (unsigned i = 0; i < sh->core.n_hops; i++) {
		if ((out->probe & GATEWAY_BIT(i)) != 0)
			ask(sh, i);
	}
	loop_timer_set(sh->loop, &sh->due, gateway_core_deadline(&sh->core));
}

static void
give(struct gateway_shell *sh, const struct gateway_ev *ev)
{
	struct gateway_out out;

	gateway_core_input(&sh->core, loop_now(sh->loop), ev, &out);
	carry_out(sh, &out);
}

/* A link without ARP, such as a tunnel: its next hop is there as long as the link is.
 */
static void
answer_for_silent(struct gateway_shell *sh)
{
	for (unsigned i = 0; i < sh->table.n_hops; i++) {
		if (sh->core.hop[i].asked && !sh->table.hop[i].ethernet)
			give(sh,
			    &(struct gateway_ev){.type = GATEWAY_EV_ANSWER, .hop = i});
	}
}

static void
on_due(void *arg)
{
	struct gateway_shell *sh = arg;

	give(sh, &(struct gateway_ev){.type = GATEWAY_EV_TICK});
	answer_for_silent(sh);
}

static void
on_heard(void *arg, const struct ip *ip, unsigned index, const uint8_t *mac)
{
	struct gateway_shell *sh = arg;

	for (unsigned i = 0; i < sh->table.n_hops; i++) {
		struct gateway_at *h = &sh->table.hop[i];

		if (h->index != index || !ip_equal(&h->at.ip, ip))
			continue;
		if (mac != NULL) {
			memcpy(h->there, mac, sizeof(h->there));
			h->there_known = true;
		}
		give(sh, &(struct gateway_ev){.type = GATEWAY_EV_ANSWER, .hop = i});
	}
}

/* ---- interfaces ---------------------------------------------------------------- */

static void
feed_links(struct gateway_shell *sh)
{
	for (unsigned i = 0; i < sh->table.n_hops; i++) {
		const struct gateway_at *h = &sh->table.hop[i];

		give(sh, &(struct gateway_ev){.type = GATEWAY_EV_LINK,
			     .hop = i,
			     .up = h->index != 0 && h->up});
	}
}

/* A gateway with only one leg forwards nothing. */
static bool
sides_up(const struct gateway_shell *sh, const struct links *links)
{
	const struct gateways *g = &sh->cluster->gateways;

	for (size_t i = 0; i < g->outside.n + g->inside.n; i++) {
		const struct network *net = gateways_network(g, i);
		const struct host_address *own = host_address_on(sh->me, net);
		const struct netlink_link *l =
		    own != NULL ? links_find(links, own->interface, &own->ip) : NULL;

		if (l == NULL || !l->up)
			return false;
	}
	return true;
}

/* Looks at the machine and makes everything fit it; `anew`: the plan changed. */
static void
refresh(struct gateway_shell *sh, bool anew)
{
	struct links links;
	int err = links_look(sh->nl, &links);
	bool changed = anew, sides;

	if (err != 0) {
		log_event(LOG_ERR, "no_links", "why=\"%s\"", strerror(-err));
		links_free(&links);
		return;
	}
	if (anew) {
		mark_all(sh, false);
		gateway_table_make(sh, &links);
	} else {
		changed = gateway_table_look(sh, &links);
	}
	gateway_settings_make(sh, &links);
	sides = sides_up(sh, &links);
	changed |= sides != sh->sides_up;
	sh->sides_up = sides;
	feed_links(sh);
	if (changed) {
		gateway_table_install(sh);
		tell_all(sh);
	}
	if (anew) {
		gateway_settings_back(sh, false);
		sweep_facts(sh);
	}
	links_free(&links);
}

static void
on_events(void *arg, unsigned events)
{
	struct gateway_shell *sh = arg;

	(void)events;
	if (netlink_drain(sh->events) && sh->acting)
		refresh(sh, false);
}

/* Other programs tidy up, too. */
static void
on_audit(void *arg)
{
	struct gateway_shell *sh = arg;

	refresh(sh, false);
	gateway_table_audit(sh);
	loop_timer_set(
	    sh->loop, &sh->audit, mono_add(loop_now(sh->loop), GATEWAY_AUDIT_NS));
}

/* ---- life ---------------------------------------------------------------------- */

static int
op_start(void *self, struct part *p)
{
	struct gateway_shell *sh = self;
	int err;

	sh->part = p;
	sh->loop = part_loop(p);
	list_init(&sh->facts);
	sh->due = (struct loop_timer){.cb = on_due, .arg = sh};
	sh->audit = (struct loop_timer){.cb = on_audit, .arg = sh};
	sh->probe.heard = on_heard;
	sh->probe.arg = sh;
	sh->nl = netlink_open();
	if (sh->nl == NULL)
		return -errno;
	err = gateway_probe_open(&sh->probe, sh->loop);
	if (err != 0)
		return err;
	sh->events = netlink_events_open();
	if (sh->events < 0)
		return sh->events;
	sh->events_watch = loop_watch(sh->loop, sh->events, LOOP_IN, on_events, sh);
	return sh->events_watch != NULL ? 0 : -ENOMEM;
}

static void
op_config(void *self, const struct cluster *c, const struct host *me)
{
	struct gateway_shell *sh = self;
	const struct cluster *old = sh->cluster;

	sh->cluster = cluster_ref(c);
	sh->me = me;
	(void)gateway_plan(c, me, &sh->plan); /* empty where there is nothing to do */
	if (sh->acting)
		refresh(sh, true);
	cluster_unref(old);
}

static void
op_fact(void *self, const char *key, const char *value)
{
	struct gateway_shell *sh = self;

	/* From an earlier process; from then on they are ours alone. */
	if (!sh->acting && value[0] != '\0')
		(void)heard_note(&sh->facts, key, value);
}

static void
op_activate(void *self)
{
	struct gateway_shell *sh = self;

	sh->acting = true;
	refresh(sh, true);
	on_audit(sh);
}

static void
on_leave(void *arg)
{
	struct gateway_shell *sh = arg;

	sh->acting = false;
	loop_timer_clear(sh->loop, &sh->due);
	loop_timer_clear(sh->loop, &sh->audit);
	gateway_table_remove(sh);
	gateway_settings_back(sh, true);
	mark_all(sh, false);
	sweep_facts(sh);
	part_stopped(sh->part);
}

/*
 * The floating addresses have left before (stop_order in parts.c). A neighbour that
 * missed the first announcement of that goes on sending here until it hears the next
 * one, so a gateway forwards a little longer.
 */
static void
op_stop(void *self)
{
	struct gateway_shell *sh = self;
	bool wait = sh->acting && sh->plan.forwards;

	sh->leave = (struct loop_timer){.cb = on_leave, .arg = sh};
	if (!wait)
		on_leave(sh);
	else
		loop_timer_set(sh->loop, &sh->leave,
		    mono_add(loop_now(sh->loop), GATEWAY_LEAVE_NS));
}

int
gateway_main(void)
{
	static const struct part_ops ops = {
	    .start = op_start,
	    .config = op_config,
	    .fact = op_fact,
	    .activate = op_activate,
	    .stop = op_stop,
	};
	struct gateway_shell sh = {.events = -1, .probe = {.arp = -1, .nd = -1}};

	return part_main("gateway", &ops, &sh);
}
