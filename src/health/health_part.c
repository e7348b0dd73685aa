/* SPDX-License-Identifier: Apache-2.0 */
/* The part `health`: its life, its configuration, the facts it follows. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "health/health.h"
#include "health/health_shell.h"
#include "part/fact.h"

#define SITES(s, sh)                                                             \
	LIST_EACH(s##_link, s##_next, &(sh)->sites)                              \
	for (struct site *s = CONTAINER(s##_link, struct site, link); s != NULL; \
	     s = NULL)

#define TARGETS(t, list)                                                             \
	LIST_EACH(t##_link, t##_next, list)                                          \
	for (struct target *t = CONTAINER(t##_link, struct target, link); t != NULL; \
	     t = NULL)

/* ---- facts of an earlier process ------------------------------------------------ */

struct replay {
	struct list link;
	char key[FACT_KEY_LEN];
	char value[FACT_VALUE_LEN];
};

static bool
is_ours(const char *key)
{
	return fact_is(key, "server") || fact_is(key, "service") ||
	       fact_is(key, "check") || fact_is(key, "agent") ||
	       fact_is(key, "connect");
}

static struct replay *
find_replayed(const struct health_shell *sh, const char *key)
{
	LIST_EACH(l, tmp, &sh->replayed)
	{
		struct replay *r = CONTAINER(l, struct replay, link);

		if (strcmp(r->key, key) == 0)
			return r;
	}
	return NULL;
}

static void
remember(struct health_shell *sh, const char *key, const char *value)
{
	struct replay *r = find_replayed(sh, key);

	if (r == NULL) {
		r = calloc(1, sizeof(*r));
		if (r == NULL)
			return; /* it will be found out anew */
		(void)snprintf(r->key, sizeof(r->key), "%s", key);
		list_append(&sh->replayed, &r->link);
	}
	(void)snprintf(r->value, sizeof(r->value), "%s", value);
}

/* Copies the value of `key`, or "", and forgets it. */
static void
recall(struct health_shell *sh, const char *key, char value[static FACT_VALUE_LEN])
{
	struct replay *r = find_replayed(sh, key);

	(void)snprintf(value, FACT_VALUE_LEN, "%s", r != NULL ? r->value : "");
	if (r != NULL) {
		list_remove(&r->link);
		free(r);
	}
}

/* What nobody recalled is about something that is gone. */
static void
forget_rest(struct health_shell *sh, bool withdraw)
{
	LIST_EACH(l, tmp, &sh->replayed)
	{
		struct replay *r = CONTAINER(l, struct replay, link);

		if (withdraw)
			part_publish(sh->part, r->key, "%s", "");
		list_remove(&r->link);
		free(r);
	}
}

/* ---- starting and leaving -------------------------------------------------------- */

static void
start_target(struct health_shell *sh, struct target *t)
{
	char key[FACT_KEY_LEN], value[FACT_VALUE_LEN];

	if (!sh->acting)
		return;
	target_key(t, key);
	recall(sh, key, value);
	target_start(t, value);
	if (t->site == NULL)
		return;
	(void)snprintf(
	    key, sizeof(key), "agent %s %s", t->site->service->name, t->server->name);
	recall(sh, key, value);
	target_agent(t, value);
	if (target_reach_key(t, key))
		recall(sh, key, value); /* it holds until a check knows better */
}

static void
withdraw_target(struct health_shell *sh, struct target *t)
{
	char key[FACT_KEY_LEN], agent[FACT_KEY_LEN], reach[FACT_KEY_LEN];
	bool asked = target_agent_key(t, agent), reached = target_reach_key(t, reach);

	target_key(t, key);
	target_free(t);
	if (!sh->acting)
		return;
	part_publish(sh->part, key, "%s", "");
	if (asked)
		part_publish(sh->part, agent, "%s", "");
	if (reached)
		part_publish(sh->part, reach, "%s", "");
}

static void
free_targets(struct list *targets)
{
	TARGETS(t, targets)
	target_free(t);
}

static void
site_free(struct site *s)
{
	free_targets(&s->targets);
	list_remove(&s->link);
	free(s);
}

static void
withdraw_site(struct health_shell *sh, struct site *s)
{
	char key[FACT_KEY_LEN];

	(void)snprintf(key, sizeof(key), "service %s", s->service->name);
	TARGETS(t, &s->targets)
	withdraw_target(sh, t);
	site_free(s);
	if (sh->acting)
		part_publish(sh->part, key, "%s", "");
}

/* ---- configuration --------------------------------------------------------------- */

static const char *
plan_name(const struct target_plan *p)
{
	return p->site != NULL ? p->server->name : p->floating_ip->name;
}

static const char *
target_name(const struct target *t)
{
	return t->site != NULL ? t->server->name : t->floating_ip->name;
}

static struct target *
find_target(struct list *targets, const char *name)
{
	TARGETS(t, targets)
	{
		if (strcmp(target_name(t), name) == 0)
			return t;
	}
	return NULL;
}

/* The verdict is about this address, whatever it is called. */
static bool
same_target(const struct target *t, const struct target_plan *plan)
{
	bool checked = t->check->type != CHECK_NONE;

	return ip_equal(&t->at.ip, &plan->at.ip) && t->at.port == plan->at.port &&
	       checked == (plan->check->type != CHECK_NONE);
}

/* Puts what the plan says at the end of `targets`: they are in the file's order. */
static void
adopt(struct health_shell *sh, struct list *targets, const struct target_plan *plan)
{
	struct target *t = find_target(targets, plan_name(plan));

	if (t != NULL && same_target(t, plan)) {
		target_adopt(t, plan);
		list_remove(&t->link);
	} else {
		target_free(t);
		t = target_new(sh, plan);
		if (t == NULL) {
			log_event(LOG_ERR, "no_memory", "of=\"%s\"", plan_name(plan));
			return;
		}
	}
	t->seen = true;
	list_append(targets, &t->link);
	if (!t->core.running)
		start_target(sh, t);
}

/* A ping needs a socket that only the supervisor may open. */
static void
want_ping(struct health_shell *sh, const struct check_conf *c)
{
	bool v6 = c->ping.family == AF_INET6;
	bool *asked = v6 ? &sh->ping6 : &sh->ping4;

	if (c->type != CHECK_PING || *asked)
		return;
	*asked = true;
	part_socket(sh->part, v6 ? "ping/6" : "ping/4");
}

static struct site *
find_site(struct health_shell *sh, const char *name)
{
	SITES(s, sh)
	{
		if (strcmp(s->service->name, name) == 0)
			return s;
	}
	return NULL;
}

static void
sweep_targets(struct health_shell *sh, struct list *targets)
{
	TARGETS(t, targets)
	{
		if (!t->seen)
			withdraw_target(sh, t);
		else
			t->seen = false;
	}
}

static void
adopt_service(struct health_shell *sh, const struct service *service)
{
	struct site *s = find_site(sh, service->name);

	if (s == NULL) {
		s = calloc(1, sizeof(*s));
		if (s == NULL) {
			log_event(LOG_ERR, "no_memory", "of=\"%s\"", service->name);
			return;
		}
		s->shell = sh;
		list_init(&s->targets);
		list_append(&sh->sites, &s->link);
	}
	s->service = service;
	s->seen = true;
	want_ping(sh, &service->check);
	for (size_t i = 0, g = 0; i < service->n_servers; i++) {
		struct target_plan plan = {.site = s,
		    .server = &service->server[i],
		    .check = &service->check,
		    .at = service->server[i].at};

		while (i >= service->group[g].first + service->group[g].n_servers)
			g++;
		plan.group = g;
		if (service->check.port != 0)
			plan.at.port = service->check.port;
		adopt(sh, &s->targets, &plan);
	}
	sweep_targets(sh, &s->targets);
}

static void
adopt_floating_ip(struct health_shell *sh, const struct floating_ip *f)
{
	const struct host_address *mine = host_address_on(sh->me, f->network);
	struct target_plan plan = {.floating_ip = f, .check = &f->check};

	if (f->check.type == CHECK_NONE || floating_ip_rank(f, sh->me) < 0)
		return;
	want_ping(sh, &f->check);
	if (mine != NULL)
		plan.at.ip = mine->ip;
	plan.at.port = f->check.port;
	adopt(sh, &sh->targets, &plan);
}

/*
 * The generation before is given back last: until then what stays compares itself with
 * it, and what goes says its old name.
 */
static void
op_config(void *self, const struct cluster *c, const struct host *me)
{
	struct health_shell *sh = self;
	const struct cluster *old = sh->cluster;

	sh->cluster = cluster_ref(c);
	sh->me = me;
	SITES(s, sh)
	s->seen = false;
	sh->gathering = true;
	for (size_t i = 0; i < c->n_services; i++) {
		if (service_on_host(&c->service[i], me))
			adopt_service(sh, &c->service[i]);
	}
	sh->gathering = false;
	SITES(s, sh)
	{
		if (!s->seen)
			withdraw_site(sh, s);
		else if (sh->acting)
			site_judge(s);
	}
	for (size_t i = 0; i < c->n_floating_ips; i++)
		adopt_floating_ip(sh, &c->floating_ip[i]);
	sweep_targets(sh, &sh->targets);
	cluster_unref(old);
}

/* ---- facts ------------------------------------------------------------------------
 */

/* "passive SERVICE SERVER" became "fail N WHY" or "doubt N". */
static void
hear_passive(struct health_shell *sh, const char *key, const char *value)
{
	struct fact_words w;
	struct target *t = NULL;
	struct site *s;
	const char *why;

	if (!fact_split(&w, key) || w.n != 3)
		return;
	s = find_site(sh, w.word[1]);
	if (s != NULL)
		t = find_target(&s->targets, w.word[2]);
	if (t == NULL)
		return;
	if (fact_is(value, "doubt"))
		target_doubt(t);
	if (!fact_is(value, "fail"))
		return;
	why = strchr(value, ' ');
	if (why != NULL)
		why = strchr(why + 1, ' ');
	target_passive(t, why != NULL ? why + 1 : "");
}

static void
hear_switch(struct health_shell *sh, const char *key, const char *value)
{
	struct site *s = find_site(sh, key + strlen("switch "));

	if (heard_note(&sh->switched, key, value) != NULL && s != NULL && sh->acting)
		site_judge(s);
}

static void
op_fact(void *self, const char *key, const char *value)
{
	struct health_shell *sh = self;

	if (fact_is(key, "switch")) {
		hear_switch(sh, key, value);
		return;
	}
	if (!sh->acting) {
		/* Passive failures replayed are old, and in the verdict already. */
		if (is_ours(key))
			remember(sh, key, value);
		return;
	}
	if (fact_is(key, "passive"))
		hear_passive(sh, key, value);
}

/* ---- life -------------------------------------------------------------------------
 */

static int
op_start(void *self, struct part *p)
{
	struct health_shell *sh = self;

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) /* TLS writes without MSG_NOSIGNAL */
		return -errno;
	sh->part = p;
	sh->loop = part_loop(p);
	list_init(&sh->sites);
	list_init(&sh->targets);
	list_init(&sh->replayed);
	list_init(&sh->switched);
	if (getrandom(&sh->rng.state, sizeof(sh->rng.state), 0) < 0)
		return -errno;
	probe_env_init(&sh->env, sh->loop);
	return 0;
}

static void
op_socket(void *self, const char *name, int fd)
{
	struct health_shell *sh = self;
	bool v6 = strcmp(name, "ping/6") == 0;

	if (fd < 0)
		log_event(
		    LOG_ERR, "no_socket", "name=%s why=\"%s\"", name, strerror(-fd));
	else if (v6 || strcmp(name, "ping/4") == 0)
		probe_ping_socket(&sh->env, v6, fd);
	else
		(void)close(fd);
}

static void
op_activate(void *self)
{
	struct health_shell *sh = self;
	char key[FACT_KEY_LEN], value[FACT_VALUE_LEN];

	sh->acting = sh->gathering = true;
	SITES(s, sh)
	{
		(void)snprintf(key, sizeof(key), "service %s", s->service->name);
		recall(sh, key, value);
		(void)snprintf(s->said, sizeof(s->said), "%s", value);
		TARGETS(t, &s->targets)
		start_target(sh, t);
	}
	TARGETS(t, &sh->targets)
	start_target(sh, t);
	sh->gathering = false;
	SITES(s, sh)
	site_judge(s);
	forget_rest(sh, true);
}

static void
op_stop(void *self)
{
	struct health_shell *sh = self;

	SITES(s, sh)
	site_free(s);
	free_targets(&sh->targets);
	forget_rest(sh, false);
	heard_clear(&sh->switched);
	probe_env_done(&sh->env);
	cluster_unref(sh->cluster);
	sh->cluster = NULL;
	part_stopped(sh->part);
}

int
health_main(void)
{
	static const struct part_ops ops = {
	    .start = op_start,
	    .config = op_config,
	    .fact = op_fact,
	    .socket = op_socket,
	    .activate = op_activate,
	    .stop = op_stop,
	};
	struct health_shell sh = {.acting = false};

	return part_main("health", &ops, &sh);
}
