/* SPDX-License-Identifier: Apache-2.0 */
/* The part `vip`: its life, the facts it follows, the orders it takes. */
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "os/links.h"
#include "part/fact.h"
#include "part/heard.h"
#include "vip/vip.h"
#include "vip/vip_shell.h"

enum { REALTIME_PRIORITY = 50 };

#define ROUTERS(r, sh)                                                         \
	LIST_EACH(link_, next_, &(sh)->routers)                                \
	for (struct vip_router *r = CONTAINER(link_, struct vip_router, link); \
	     r != NULL; r = NULL)

static struct vip_router *
find_router(struct vip_shell *sh, const char *name)
{
	ROUTERS(r, sh)
	{
		if (strcmp(r->plan.f->name, name) == 0)
			return r;
	}
	return NULL;
}

/* ---- interfaces ---- */

static const struct netlink_link *
link_of(const struct links *k, const struct vip_plan *plan)
{
	for (size_t i = 0; i < k->n_links; i++) {
		const struct netlink_link *l = &k->link[i];

		if (plan->interface != NULL && strcmp(l->name, plan->interface) == 0)
			return l;
		if (plan->interface != NULL)
			continue;
		for (size_t j = 0; j < k->n_addrs; j++) {
			if (k->addr[j].index == l->index &&
			    ip_equal(&k->addr[j].ip, &plan->self))
				return l;
		}
	}
	return NULL;
}

/*
 * RFC 9568, 5.1.2.1: IPv6 adverts to the group come from the link-local address. The
 * kernel sends nothing from one that it still checks for duplicates: who took an
 * address now could not say so.
 */
static struct ip
source_of(const struct links *k, const struct vip_plan *plan, unsigned index)
{
	bool local =
	    plan->self.family == AF_INET6 && plan->f->transport == VRRP_MULTICAST;

	for (size_t i = 0; i < k->n_addrs; i++) {
		const struct netlink_addr *a = &k->addr[i];

		if (a->index != index || a->ip.family != plan->self.family ||
		    !a->usable)
			continue;
		if (local ? ip_is_link_local(&a->ip) && !a->ours
			  : ip_equal(&a->ip, &plan->self))
			return a->ip;
	}
	return (struct ip){0};
}

static void
update_link(struct vip_router *r, const struct links *k)
{
	const struct netlink_link *l = link_of(k, &r->plan);
	unsigned index = l != NULL ? l->index : 0;
	struct ip source = source_of(k, &r->plan, index);

	r->link_up = l != NULL && l->up && l->has_mac;
	if (l != NULL)
		memcpy(r->mac, l->mac, sizeof(r->mac));
	if (index != r->index || !ip_equal(&source, &r->source)) {
		struct vip_ev out = {.type = VIP_EV_LEVEL, .level = VIP_OUT};

		/* Leave where we were before we look elsewhere. */
		vip_router_give(r, &out);
		r->index = index;
		r->source = source;
		if (l != NULL) {
			memcpy(r->interface, l->name, sizeof(r->interface));
			vip_os_own_arp(l->name);
		}
		vip_router_rewire(r);
	}
}

static void
refresh_links(struct vip_shell *sh)
{
	struct links k;
	int err = links_look(sh->os.nl, &k);

	if (err != 0) {
		log_event(LOG_ERR, "no_links", "why=\"%s\"", strerror(-err));
	} else {
		ROUTERS(r, sh)
		update_link(r, &k);
		ROUTERS(r, sh)
		vip_router_judge(r);
	}
	links_free(&k);
}

static void
on_events(void *arg, unsigned events)
{
	struct vip_shell *sh = arg;

	(void)events;
	if (netlink_drain(sh->events))
		refresh_links(sh);
}

/*
 * An earlier process may have left addresses: those of a router that was active a
 * moment ago stay for it to resume, the others go.
 */
static void
sweep_addresses(struct vip_shell *sh)
{
	struct links k;
	int err = links_look(sh->os.nl, &k);

	ROUTERS(r, sh)
	{
		const struct floating_ip *f = r->plan.f;
		const char *was = vip_shell_fact(sh, "vip", f->name);
		bool stays = fact_is(was, "active") || fact_is(was, "leaving");

		for (size_t i = 0; err == 0 && i < k.n_addrs; i++) {
			for (size_t j = 0; j < f->n_addresses; j++) {
				if (k.addr[i].index == r->index &&
				    ip_equal(&k.addr[i].ip, &f->address[j]))
					r->present = true;
			}
		}
		vip_os_unsteer(r->index, f);
		if (!stays)
			vip_os_remove(&sh->os, r->index, f);
	}
	/* Tagged as ours, and no router's: a floating address that the file no longer
	 * gives to this host. */
	for (size_t i = 0; err == 0 && i < k.n_addrs; i++) {
		bool known = !k.addr[i].ours;

		ROUTERS(r, sh)
		{
			for (size_t j = 0; j < r->plan.f->n_addresses; j++)
				known |=
				    ip_equal(&k.addr[i].ip, &r->plan.f->address[j]);
		}
		if (!known &&
		    netlink_addr_del(sh->os.nl, k.addr[i].index, &k.addr[i].ip) != 0)
			log_event(
			    LOG_WARN, "stale_address", "index=%u", k.addr[i].index);
	}
	links_free(&k);
}

static void
on_advert(void *arg, unsigned index, const struct vrrp_envelope *env,
    const struct vrrp_advert *adv)
{
	struct vip_shell *sh = arg;

	ROUTERS(r, sh)
	{
		if (r->index == index && r->plan.f->vrid == adv->vrid &&
		    r->plan.self.family == env->src.family) {
			vip_router_hear(r, env, adv);
			return;
		}
	}
}

/* ---- facts ---- */

const char *
vip_shell_fact(const struct vip_shell *sh, const char *prefix, const char *name)
{
	char key[FACT_KEY_LEN];

	(void)snprintf(key, sizeof(key), "%s %s", prefix, name);
	return heard_value(&sh->facts, key);
}

static bool
stopping_fact(const char *key, const char *value)
{
	return strcmp(key, "host stopping") == 0 && fact_is(value, "yes");
}

static void
op_fact(void *self, const char *key, const char *value)
{
	struct vip_shell *sh = self;

	if (heard_note(&sh->facts, key, value) == NULL)
		return;
	if (!sh->acting || strncmp(key, "vip ", 4) == 0)
		return;
	if (stopping_fact(key, value)) {
		ROUTERS(r, sh)
		vip_router_give(r, &(struct vip_ev){.type = VIP_EV_STOP});
		return;
	}
	ROUTERS(r, sh)
	vip_router_judge(r);
}

/* ---- life ---- */

static int
op_start(void *self, struct part *p)
{
	struct vip_shell *sh = self;
	int err;

	sh->part = p;
	sh->loop = part_loop(p);
	list_init(&sh->routers);
	list_init(&sh->facts);
	err = vip_os_open(&sh->os);
	if (err != 0)
		return err;
	sh->nets = vip_nets_new(sh->loop, on_advert, sh);
	if (sh->nets == NULL)
		return -ENOMEM;
	sh->events = netlink_events_open();
	if (sh->events < 0)
		return sh->events;
	sh->events_watch = loop_watch(sh->loop, sh->events, LOOP_IN, on_events, sh);
	return sh->events_watch != NULL ? 0 : -ENOMEM;
}

/* The host is on its way out: nothing starts any more. */
static bool
leaving_host(const struct vip_shell *sh)
{
	return sh->stopping || fact_is(vip_shell_fact(sh, "host", "stopping"), "yes");
}

static void
adopt(struct vip_shell *sh, const struct vip_plan *plan)
{
	struct vip_router *r = find_router(sh, plan->f->name);
	struct vip_conf conf;

	if (r != NULL && vip_plan_compatible(&r->plan, plan)) {
		r->plan = *plan;
		conf = vip_plan_conf(
		    plan, r->source.family != 0 ? &r->source : &plan->self);
		vip_reconf(&r->core, &conf);
		r->seen = true;
		return;
	}
	vip_router_free(r);
	r = vip_router_new(sh, plan);
	if (r == NULL)
		return;
	r->seen = true;
	list_append(&sh->routers, &r->link);
}

static void
withdraw(struct vip_shell *sh, struct vip_router *r)
{
	char key[FACT_KEY_LEN];

	(void)snprintf(key, sizeof(key), "vip %s", r->plan.f->name);
	vip_router_free(r);
	if (sh->acting)
		part_publish(sh->part, key, "%s", "");
}

/* Routers that are the same before and after notice nothing. */
static void
op_config(void *self, const struct cluster *c, const struct host *me)
{
	struct vip_shell *sh = self;
	const struct cluster *old = sh->cluster;
	struct vip_plan plan;

	sh->cluster = cluster_ref(c);
	sh->me = me;
	ROUTERS(r, sh)
	r->seen = false;
	for (size_t i = 0; i < c->n_floating_ips; i++) {
		if (vip_plan_make(&plan, c, me, &c->floating_ip[i]))
			adopt(sh, &plan);
	}
	ROUTERS(r, sh)
	{
		if (!r->seen)
			withdraw(sh, r);
	}
	cluster_unref(old);
	refresh_links(sh);
	if (!sh->acting || leaving_host(sh))
		return;
	ROUTERS(r, sh)
	{
		if (!r->core.running)
			vip_router_start(r, "");
	}
}

/* Adverts every 10 ms do not forgive a page fault or a busy processor. */
static void
be_prompt(void)
{
	const struct sched_param rt = {.sched_priority = REALTIME_PRIORITY};

	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &rt) != 0)
		log_event(LOG_WARN, "no_realtime", "why=\"%s\"", strerror(errno));
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0)
		log_event(LOG_WARN, "no_memory_lock", "why=\"%s\"", strerror(errno));
}

static void
op_activate(void *self)
{
	struct vip_shell *sh = self;

	sh->acting = true;
	be_prompt();
	sweep_addresses(sh);
	ROUTERS(r, sh)
	vip_router_rewire(r);
	ROUTERS(r, sh)
	vip_router_judge(r);
	ROUTERS(r, sh)
	{
		if (leaving_host(sh))
			vip_os_remove(&sh->os, r->index, r->plan.f);
		else
			vip_router_start(r, vip_shell_fact(sh, "vip", r->plan.f->name));
	}
}

void
vip_shell_idle(struct vip_shell *sh)
{
	if (sh->stopped)
		return;
	ROUTERS(r, sh)
	{
		if (!vip_router_idle(r))
			return;
	}
	sh->stopped = true;
	part_stopped(sh->part);
}

/* `host stopping` says the same; whichever comes first begins. */
static void
op_stop(void *self)
{
	struct vip_shell *sh = self;

	ROUTERS(r, sh)
	vip_router_give(r, &(struct vip_ev){.type = VIP_EV_STOP});
	sh->stopping = true;
	vip_shell_idle(sh);
}

/* ---- orders ---- */

PRINTF(3, 4)
static void
refuse(struct vip_shell *sh, uint64_t id, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	part_reply(sh->part, id, false, text, NULL);
}

static void
refuse_elsewhere(struct vip_router *r, uint64_t id)
{
	const struct vip *v = &r->core;
	const char *name = r->plan.f->name;
	char ip[IP_STR_LEN];

	if (v->owner.family != 0)
		refuse(r->shell, id, "%s is active on %s; run it there", name,
		    vip_router_host_name(r, &v->owner, ip));
	else
		refuse(r->shell, id, "%s is not active here (%s); run it where it is",
		    name, r->why[0] != '\0' ? r->why : vip_state_name(v->state));
}

static void
order_move(struct vip_shell *sh, uint64_t id, const char *name, const char *to)
{
	struct vip_router *r = find_router(sh, name);
	struct vip_ev ev = {.type = VIP_EV_MOVE};

	if (r == NULL) {
		refuse(sh, id,
		    "no floating address \"%s\" on this host; `nines status` lists "
		    "them",
		    name);
		return;
	}
	for (size_t i = 0; i < r->plan.n_peers; i++) {
		if (strcmp(r->plan.peer[i].host->name, to) == 0)
			ev.to = r->plan.peer[i].ip;
	}
	if (r->core.state == VIP_HANDOVER) {
		refuse(sh, id, "%s is being handed over just now; try again", name);
	} else if (r->core.state != VIP_ACTIVE) {
		refuse_elsewhere(r, id);
	} else if (strcmp(to, sh->me->name) == 0) {
		refuse(sh, id, "%s is active here already", name);
	} else if (ev.to.family == 0) {
		refuse(sh, id, "%s is not among the hosts of %s", to, name);
	} else {
		r->ordered = true;
		r->order = id;
		vip_router_move(r, &ev);
	}
}

static void
op_command(void *self, uint64_t id, const char *const *argv, size_t argc)
{
	struct vip_shell *sh = self;

	if (argc == 3 && strcmp(argv[0], "move") == 0)
		order_move(sh, id, argv[1], argv[2]);
	else
		refuse(sh, id, "usage: nines move FLOATING-IP HOST");
}

int
vip_main(void)
{
	static const struct part_ops ops = {
	    .start = op_start,
	    .config = op_config,
	    .fact = op_fact,
	    .activate = op_activate,
	    .command = op_command,
	    .stop = op_stop,
	};
	struct vip_shell sh = {.events = -1};

	return part_main("vip", &ops, &sh);
}
