/* SPDX-License-Identifier: Apache-2.0 */
#include "vip/vip_shell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "part/fact.h"

/* How often a leaving host looks whether its last connection has gone. */
#define LEAVE_POLL_NS (50 * MS_NS)
/* And how long after that it stays: a request may have crossed our close on its way,
 * and must find somebody who refuses it. */
#define LEAVE_CALM_NS (500 * MS_NS)

enum { GROUP_MAX = 64 };

static const char *const count_names[] = {
    [COUNT_SENT] = "adverts_sent",
    [COUNT_HEARD] = "adverts_heard",
    [COUNT_REFUSED] = "adverts_refused",
    [COUNT_TAKEN] = "takeovers",
    [COUNT_ANNOUNCED] = "announcements",
};

static void
count(struct vip_router *r, enum vip_count what)
{
	if (r->count != NULL)
		stats_add(&r->count[what], 1);
}

/* ---- what the machine looks like ---- */

static void
rearm(struct vip_router *r)
{
	loop_timer_set(r->shell->loop, &r->due, vip_deadline(&r->core));
}

static void
steer_end(struct vip_router *r)
{
	if (r->steer_peer.family == 0)
		return;
	r->steer_peer = (struct ip){0};
	loop_timer_clear(r->shell->loop, &r->steer);
	vip_os_unsteer(r->index, r->plan.f);
}

static void
steer_begin(struct vip_router *r, const struct ip *peer)
{
	struct vip_shell *sh = r->shell;

	if (r->plan.drain_ns == 0 || !vip_os_steer(&sh->os, r->index, r->plan.f, peer))
		return;
	r->steer_peer = *peer;
	/* A little longer than the peer lets them live. */
	loop_timer_set(sh->loop, &r->steer,
	    mono_add(loop_now(sh->loop), r->plan.drain_ns + SEC_NS));
}

static void
gone(struct vip_router *r)
{
	r->where = VIP_NOWHERE;
	loop_timer_clear(r->shell->loop, &r->renew);
	loop_timer_clear(r->shell->loop, &r->leave);
}

static void
take(struct vip_router *r)
{
	struct vip_shell *sh = r->shell;

	(void)vip_os_install(&sh->os, r->index, r->plan.f);
	if (r->where != VIP_ON_LINK)
		count(r, COUNT_TAKEN);
	r->where = VIP_ON_LINK;
	loop_timer_clear(sh->loop, &r->leave);
	loop_timer_set(sh->loop, &r->renew, mono_add(loop_now(sh->loop), VIP_RENEW_NS));
}

static void
drop(struct vip_router *r)
{
	vip_os_remove(&r->shell->os, r->index, r->plan.f);
	steer_end(r);
	gone(r);
}

/* Answers for the address no more, and lets its connections finish. */
static void
leave(struct vip_router *r, const struct ip *owner)
{
	struct vip_shell *sh = r->shell;
	mono_t now = loop_now(sh->loop);

	/* Who has it now would send us back what we send there. */
	if (r->steer_peer.family != 0 && ip_equal(&r->steer_peer, owner))
		steer_end(r);
	if (r->plan.drain_ns == 0) {
		drop(r);
		return;
	}
	vip_os_retire(&sh->os, r->index, r->plan.f);
	r->where = VIP_ON_LOOPBACK;
	r->leave_until = mono_add(now, r->plan.drain_ns);
	r->leave_calm = mono_add(now, LEAVE_CALM_NS);
	loop_timer_set(sh->loop, &r->leave, mono_add(now, LEAVE_POLL_NS));
	loop_timer_set(sh->loop, &r->renew, mono_add(now, VIP_RENEW_NS));
}

static void
announce(struct vip_router *r)
{
	vip_os_announce(&r->shell->os, r->index, r->mac, r->plan.f);
	count(r, COUNT_ANNOUNCED);
}

static void
send_to(struct vip_router *r, const struct ip *dst, uint8_t prio)
{
	struct vrrp_advert adv = vip_plan_advert(&r->plan, prio, r->password);
	char text[IP_STR_LEN];
	int err;

	if (r->net == NULL)
		return;
	err = vip_net_send(r->net, &r->source, dst, &adv);
	if (err == 0)
		count(r, COUNT_SENT);
	else
		log_event(LOG_WARN, "vrrp_not_sent", "ip=%s to=%s why=\"%s\"",
		    r->plan.f->name, ip_format(dst, text), strerror(-err));
}

static void
advertise(struct vip_router *r, uint8_t prio, const struct ip *only)
{
	struct ip group = vrrp_group(r->plan.self.family);

	if (only->family != 0) {
		send_to(r, only, prio);
	} else if (r->plan.f->transport == VRRP_MULTICAST) {
		send_to(r, &group, prio);
	} else {
		for (size_t i = 0; i < r->plan.n_peers; i++)
			send_to(r, &r->plan.peer[i].ip, prio);
	}
}

/* ---- the answer to `nines move` ---- */

const char *
vip_router_host_name(
    const struct vip_router *r, const struct ip *ip, char buf[static IP_STR_LEN])
{
	for (size_t i = 0; i < r->plan.n_peers; i++) {
		if (ip_equal(&r->plan.peer[i].ip, ip))
			return r->plan.peer[i].host->name;
	}
	/* IPv6 hosts speak from addresses that the file does not know. */
	if (r->plan.n_peers == 1 && ip->family == AF_INET6 && ip_is_link_local(ip))
		return r->plan.peer[0].host->name;
	return ip->family != 0 ? ip_format(ip, buf) : "nobody";
}

static void
answer_move(struct vip_router *r, bool moved, const struct ip *peer)
{
	char text[512], ip[IP_STR_LEN];
	const char *host = vip_router_host_name(r, peer, ip);

	if (!r->ordered)
		return;
	r->ordered = false;
	if (moved) {
		(void)snprintf(text, sizeof(text),
		    "{\"floating_ip\":\"%s\",\"host\":\"%s\"}", r->plan.f->name, host);
		part_reply(r->shell->part, r->order, true, NULL, text);
	} else {
		(void)snprintf(text, sizeof(text),
		    "%s did not take %s over: is nines running and healthy there?",
		    host, r->plan.f->name);
		part_reply(r->shell->part, r->order, false, text, NULL);
	}
}

/* ---- what the core decides ---- */

static void
carry_out(struct vip_router *r, const struct vip_out *out)
{
	for (unsigned i = 0; i < out->n; i++) {
		const struct vip_act *a = &out->act[i];

		switch (a->type) {
		case VIP_ACT_SEND:
			advertise(r, a->prio, &a->peer);
			break;
		case VIP_ACT_TAKE:
			take(r);
			break;
		case VIP_ACT_ANNOUNCE:
			announce(r);
			break;
		case VIP_ACT_FORWARD:
			steer_begin(r, &a->peer);
			break;
		case VIP_ACT_LEAVE:
			leave(r, &a->peer);
			break;
		case VIP_ACT_DROP:
			drop(r);
			break;
		case VIP_ACT_MOVED:
		case VIP_ACT_STUCK:
			answer_move(r, a->type == VIP_ACT_MOVED, &a->peer);
			break;
		}
	}
}

static void
give_one(struct vip_router *r, const struct vip_ev *ev)
{
	enum vip_state from = r->core.state;
	mono_t now = loop_now(r->shell->loop);
	struct vip_out out;
	char ip[IP_STR_LEN];

	/* A tick may have read the clock afresh: time never goes backwards. */
	if (mono_before(now, r->core.now))
		now = r->core.now;
	vip_input(&r->core, now, ev, &out);
	carry_out(r, &out);
	rearm(r);
	if (r->core.state != from)
		log_event(LOG_INFO, "state", "ip=%s from=%s to=%s level=%d other=%s",
		    r->plan.f->name, vip_state_name(from),
		    vip_state_name(r->core.state), (int)r->core.level,
		    vip_router_host_name(r, &r->core.owner, ip));
	vip_router_publish(r);
}

static bool
same_group(const struct vip_router *a, const struct vip_router *b)
{
	const char *g = a->plan.f->group, *h = b->plan.f->group;

	return a == b || (g != NULL && h != NULL && strcmp(g, h) == 0);
}

static size_t
group_of(struct vip_router *r, struct vip_router *member[static GROUP_MAX])
{
	size_t n = 0;

	LIST_EACH(l, tmp, &r->shell->routers)
	{
		struct vip_router *other = CONTAINER(l, struct vip_router, link);

		if (n < GROUP_MAX && same_group(r, other))
			member[n++] = other;
	}
	return n;
}

/* The target may be at another address on the network of each member. */
void
vip_router_move(struct vip_router *r, const struct vip_ev *ev)
{
	struct vip_router *member[GROUP_MAX];
	const struct host *to = NULL;
	size_t n = group_of(r, member);

	for (size_t i = 0; i < r->plan.n_peers; i++) {
		if (ip_equal(&r->plan.peer[i].ip, &ev->to))
			to = r->plan.peer[i].host;
	}
	for (size_t i = 0; i < n; i++) {
		struct vip_ev each = {.type = VIP_EV_MOVE};

		for (size_t j = 0; j < member[i]->plan.n_peers; j++) {
			if (member[i]->plan.peer[j].host == to)
				each.to = member[i]->plan.peer[j].ip;
		}
		if (each.to.family != 0)
			give_one(member[i], &each);
	}
}

void
vip_router_give(struct vip_router *r, const struct vip_ev *ev)
{
	struct vip_router *member[GROUP_MAX];
	const struct vip *core[GROUP_MAX];
	struct vip_ev next;
	size_t n, which;

	give_one(r, ev);
	if (r->plan.f->group != NULL) {
		n = group_of(r, member);
		for (size_t i = 0; i < n; i++)
			core[i] = &member[i]->core;
		/* Each step moves one router to another state; twice each is plenty. */
		for (size_t k = 0; k < 2 * n; k++) {
			if (!vip_group_next(core, n, &which, &next))
				break;
			give_one(member[which], &next);
		}
	}
	if (r->shell->stopping)
		vip_shell_idle(r->shell);
}

void
vip_router_hear(struct vip_router *r, const struct vrrp_envelope *env,
    const struct vrrp_advert *adv)
{
	const char *why = vip_plan_refuses(&r->plan, env, adv, r->password);
	struct vip_ev ev = {.type = VIP_EV_ADVERT};
	char from[IP_STR_LEN];

	if (why != NULL) {
		count(r, COUNT_REFUSED);
		log_event(LOG_WARN, "vrrp_refused", "ip=%s from=%s why=\"%s\"",
		    r->plan.f->name, ip_format(&env->src, from), why);
		return;
	}
	count(r, COUNT_HEARD);
	if (!vip_plan_lists(&r->plan, adv))
		log_event(LOG_WARN, "vrrp_other_addresses", "ip=%s from=%s",
		    r->plan.f->name, ip_format(&env->src, from));
	ev.adv = (struct vip_advert){
	    .prio = adv->prio, .adv_cs = adv->adv_cs, .from = env->src};
	vip_router_give(r, &ev);
}

static void
on_due(void *arg)
{
	struct vip_router *r = arg;

	/* What has arrived is heard before silence is concluded. */
	if (r->net != NULL)
		vip_net_drain(r->net);
	if (mono_before(loop_now(r->shell->loop), vip_deadline(&r->core)))
		rearm(r);
	else
		vip_router_give(r, &(struct vip_ev){.type = VIP_EV_TICK});
}

static void
on_renew(void *arg)
{
	struct vip_router *r = arg;

	if (r->where == VIP_ON_LINK)
		(void)vip_os_install(&r->shell->os, r->index, r->plan.f);
	else if (r->where == VIP_ON_LOOPBACK)
		vip_os_retire(&r->shell->os, r->index, r->plan.f);
	loop_timer_set(r->shell->loop, &r->renew,
	    mono_add(loop_now(r->shell->loop), VIP_RENEW_NS));
}

static void
on_leave(void *arg)
{
	struct vip_router *r = arg;
	mono_t now = loop_now(r->shell->loop);

	if (vip_os_busy(r->plan.f))
		r->leave_calm = mono_add(now, LEAVE_CALM_NS);
	if (mono_before(now, mono_min(r->leave_until, r->leave_calm))) {
		loop_timer_set(r->shell->loop, &r->leave, mono_add(now, LEAVE_POLL_NS));
		return;
	}
	vip_os_remove(&r->shell->os, r->index, r->plan.f);
	gone(r);
	vip_router_publish(r);
	if (r->shell->stopping)
		vip_shell_idle(r->shell);
}

static void
on_steer(void *arg)
{
	steer_end(arg);
}

/* ---- fitness ---- */

static enum vip_level
proxy_level(const struct vip_router *r, char *why, size_t size)
{
	const struct vip_shell *sh = r->shell;
	const char *part = vip_shell_fact(sh, "part", "proxy");
	const char *listen = vip_shell_fact(sh, "proxy", "listen");

	/* `restarting` is none of our business: connections wait for the spare. */
	if (!r->plan.needs_proxy || (!fact_is(part, "down") && fact_is(listen, "up")))
		return VIP_FIT;
	if (fact_is(part, "down"))
		(void)snprintf(why, size, "proxy %.200s", part);
	else
		(void)snprintf(why, size, "proxy listen %.200s",
		    listen[0] != '\0' ? listen : "not ready");
	return VIP_BROKEN;
}

/* Is `f` a next hop of others: an address that only gateways have? */
static bool
for_gateways(const struct vip_shell *sh, const struct floating_ip *f)
{
	for (size_t i = 0; i < f->n_hosts; i++) {
		if (!gateways_have(&sh->cluster->gateways, f->host[i]))
			return false;
	}
	return true;
}

/* What passes through a firewall must not pass unfiltered. */
static enum vip_level
rules_level(const struct vip_router *r, char *why, size_t size)
{
	const char *rules = vip_shell_fact(r->shell, "firewall", "rules");

	if (!r->plan.needs_rules || (rules[0] != '\0' && !fact_is(rules, "down")) ||
	    strncmp(rules, "down not confirmed", 18) == 0) /* of the host's own */
		return VIP_FIT;
	(void)snprintf(why, size, "firewall rules %.200s",
	    rules[0] != '\0' ? rules : "not loaded yet");
	return VIP_BROKEN;
}

/*
 * A firewall that does not know the connections yet had better not get the address from
 * one that does. Without the other it takes it at once.
 */
static bool
knows_connections(const struct vip_router *r, char *why, size_t size)
{
	const struct vip_shell *sh = r->shell;
	const char *state = vip_shell_fact(sh, "sync", "state");

	if (!r->plan.needs_rules || sh->cluster->firewall.sync == NULL ||
	    fact_is(state, "up") || fact_is(vip_shell_fact(sh, "part", "sync"), "down"))
		return true;
	(void)snprintf(why, size, "connections %.200s",
	    state[0] != '\0' ? state : "not known yet");
	return false;
}

/* How well this host can serve this address, and why not better. */
static enum vip_level
own_level(const struct vip_router *r, char *why, size_t size)
{
	const struct vip_shell *sh = r->shell;
	const struct floating_ip *f = r->plan.f;
	const char *check = vip_shell_fact(sh, "check", f->name);

	why[0] = '\0';
	if (r->index != 0 && r->source.family == 0) {
		(void)snprintf(why, size,
		    "%s has no link-local address yet that can be used", r->interface);
		return VIP_OUT;
	}
	if (r->index == 0 || r->net == NULL) {
		(void)snprintf(why, size, "this host's address is on no interface");
		return VIP_OUT;
	}
	if (!r->link_up) {
		(void)snprintf(why, size, "link %s down", r->interface);
		return VIP_OUT;
	}
	if (fact_is(vip_shell_fact(sh, "part", "vip"), "down")) {
		(void)snprintf(why, size, "this part keeps dying");
		return VIP_BROKEN;
	}
	if (proxy_level(r, why, size) < VIP_FIT || rules_level(r, why, size) < VIP_FIT)
		return VIP_BROKEN;
	if (fact_is(check, "down")) {
		(void)snprintf(why, size, "check %.200s", check);
		return VIP_BROKEN;
	}
	for (size_t i = 0; i < f->n_follow; i++) {
		const char *name = f->follow[i]->name;

		if (fact_is(vip_shell_fact(sh, "service", name), "down")) {
			(void)snprintf(why, size, "service %s down", name);
			return VIP_WEAK;
		}
	}
	if (!knows_connections(r, why, size))
		return VIP_WEAK;
	if (for_gateways(sh, f) &&
	    !fact_is(vip_shell_fact(sh, "gateway", "forward"), "up")) {
		(void)snprintf(why, size, "this gateway does not forward");
		return VIP_WEAK;
	}
	if (fact_is(vip_shell_fact(sh, "admin", sh->me->name), "drain")) {
		(void)snprintf(why, size, "drained");
		return VIP_WEAK;
	}
	return VIP_FIT;
}

/* A group is as fit as its worst member. */
static enum vip_level
level_of(struct vip_router *r)
{
	struct vip_router *member[GROUP_MAX];
	char why[sizeof(r->why)];
	size_t n = group_of(r, member);
	enum vip_level least = own_level(r, r->why, sizeof(r->why)), level;

	for (size_t i = 0; i < n; i++) {
		level = own_level(member[i], why, sizeof(why));
		if (level >= least)
			continue;
		least = level;
		memcpy(r->why, why, sizeof(r->why));
	}
	return least;
}

void
vip_router_judge(struct vip_router *r)
{
	struct vip_router *member[GROUP_MAX];
	size_t n = group_of(r, member);

	for (size_t i = 0; i < n; i++) {
		struct vip_ev ev = {.type = VIP_EV_LEVEL};

		ev.level = level_of(member[i]);
		if (ev.level != member[i]->core.level)
			vip_router_give(member[i], &ev);
		else
			vip_router_publish(member[i]);
	}
}

void
vip_router_publish(struct vip_router *r)
{
	char key[FACT_KEY_LEN];

	if (!r->shell->acting)
		return;
	(void)snprintf(key, sizeof(key), "vip %s", r->plan.f->name);
	if (vip_holds(&r->core))
		part_publish(r->shell->part, key, "active");
	else if (r->core.level <= VIP_BROKEN)
		part_publish(r->shell->part, key, "fault %.200s", r->why);
	else if (r->where == VIP_ON_LOOPBACK)
		part_publish(r->shell->part, key, "leaving");
	else if (r->core.state == VIP_INIT)
		part_publish(r->shell->part, key, "init");
	else
		part_publish(
		    r->shell->part, key, r->core.hold ? "backup held" : "backup");
}

/* ---- life ---- */

/* Eight characters at most count (RFC 2338, 10.5.2). */
static int
read_password(uint8_t password[static VRRP_AUTH_LEN], const char *path)
{
	char text[VRRP_AUTH_LEN];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text));
	(void)close(fd);
	if (n < 0)
		return -errno;
	memset(password, 0, VRRP_AUTH_LEN);
	for (size_t i = 0; i < (size_t)n && text[i] != '\n'; i++)
		password[i] = (uint8_t)text[i];
	return 0;
}

struct vip_router *
vip_router_new(struct vip_shell *sh, const struct vip_plan *plan)
{
	struct vip_router *r = calloc(1, sizeof(*r));
	struct vip_conf conf = vip_plan_conf(plan, &plan->self);
	char label[STATS_LABEL_LEN];
	int err = 0;

	if (r == NULL)
		return NULL;
	list_init(&r->link);
	r->shell = sh;
	r->plan = *plan;
	r->due = (struct loop_timer){.cb = on_due, .arg = r};
	r->renew = (struct loop_timer){.cb = on_renew, .arg = r};
	r->leave = (struct loop_timer){.cb = on_leave, .arg = r};
	r->steer = (struct loop_timer){.cb = on_steer, .arg = r};
	if (plan->f->password_file != NULL)
		err = read_password(r->password, plan->f->password_file);
	if (err == 0)
		err = vip_init(&r->core, &conf, VIP_OUT);
	if (err != 0) {
		log_event(LOG_ERR, "unusable", "ip=%s why=\"%s\"", plan->f->name,
		    strerror(-err));
		free(r);
		return NULL;
	}
	(void)snprintf(label, sizeof(label), "ip=%s", plan->f->name);
	r->count = stats_block(
	    part_stats(sh->part), "vip", label, 0, count_names, ARRAY_LEN(count_names));
	return r;
}

void
vip_router_free(struct vip_router *r)
{
	if (r == NULL)
		return;
	give_one(r, &(struct vip_ev){.type = VIP_EV_HALT});
	answer_move(r, false, &r->core.target);
	if (r->where != VIP_NOWHERE)
		drop(r);
	steer_end(r);
	loop_timer_clear(r->shell->loop, &r->due);
	list_remove(&r->link);
	vip_net_put(r->net);
	free(r);
}

void
vip_router_start(struct vip_router *r, const char *was)
{
	struct vip_ev ev = {.type = VIP_EV_START};

	if (fact_is(was, "active") && r->present)
		ev.type = VIP_EV_RESUME;
	r->core.hold = strcmp(was, "backup held") == 0;
	if (fact_is(was, "leaving") && r->index != 0)
		leave(r, &(struct ip){0});
	vip_router_give(r, &ev);
}

void
vip_router_rewire(struct vip_router *r)
{
	struct vip_shell *sh = r->shell;
	struct vip_conf conf;

	vip_net_put(r->net);
	r->net = NULL;
	if (r->index == 0 || r->source.family == 0)
		return;
	conf = vip_plan_conf(&r->plan, &r->source);
	vip_reconf(&r->core, &conf);
	if (!sh->acting)
		return; /* a spare does not listen: it would hear stale news later */
	r->net = vip_net_get(sh->nets, r->index, r->interface, r->plan.self.family);
	if (r->net == NULL)
		log_event(LOG_ERR, "no_socket", "ip=%s interface=%s why=\"%s\"",
		    r->plan.f->name, r->interface, strerror(errno));
}

bool
vip_router_idle(const struct vip_router *r)
{
	return r->core.state == VIP_INIT && r->where == VIP_NOWHERE;
}
