/* SPDX-License-Identifier: Apache-2.0 */
/* One target: its core, its probe, its fact. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "health/health_shell.h"
#include "part/fact.h"

enum { COUNT_CHECKS, COUNT_FAILED, COUNT_PASSIVE, COUNT_DOWN };

static void give(struct target *t, const struct health_ev *ev);

void
target_key(const struct target *t, char key[static FACT_KEY_LEN])
{
	if (t->site != NULL)
		(void)snprintf(key, FACT_KEY_LEN, "server %s %s",
		    t->site->service->name, t->server->name);
	else
		(void)snprintf(key, FACT_KEY_LEN, "check %s", t->floating_ip->name);
}

static void
count(struct target *t, unsigned which)
{
	if (t->count != NULL)
		stats_add(&t->count[which], 1);
}

/* ---- what it says --------------------------------------------------------------- */

static void
say(struct target *t, const char *value)
{
	char key[FACT_KEY_LEN];

	if (strcmp(t->said, value) == 0)
		return;
	target_key(t, key);
	log_event(fact_is(value, "down") ? LOG_WARN : LOG_INFO, "verdict",
	    "of=\"%s\" is=\"%s\" was=\"%s\"", key, value, t->said);
	(void)snprintf(t->said, sizeof(t->said), "%s", value);
	part_publish(t->shell->part, key, "%s", value);
	if (t->site != NULL && !t->shell->gathering)
		site_judge(t->site);
}

/* ---- what its agent says --------------------------------------------------------- */

bool
target_agent_key(const struct target *t, char key[static FACT_KEY_LEN])
{
	const struct service *s = t->site != NULL ? t->site->service : NULL;

	if (t->agent == NULL || s == NULL)
		return false;
	(void)snprintf(key, FACT_KEY_LEN, "agent %s %s", s->name, t->server->name);
	return true;
}

bool
target_reach_key(const struct target *t, char key[static FACT_KEY_LEN])
{
	if (t->site == NULL || t->server->unix_path != NULL)
		return false;
	(void)snprintf(key, FACT_KEY_LEN, "connect %s %s", t->site->service->name,
	    t->server->name);
	return true;
}

static bool
agent_forbids(const struct target *t)
{
	return t->agent != NULL &&
	       (t->agent->said.down || t->agent->said.order == AGENT_MAINT);
}

static enum health_state
state_of(const struct target *t)
{
	return agent_forbids(t) ? HEALTH_DOWN : t->core.state;
}

/* The fact has the form of what agents say. */
static void
say_agent(struct target *t)
{
	static const char *const order[] = {
	    [AGENT_READY] = "ready", [AGENT_DRAIN] = "drain", [AGENT_MAINT] = "maint"};
	const struct health_agent *a = &t->agent->said;
	char key[FACT_KEY_LEN];

	if (!target_agent_key(t, key))
		return;
	part_publish(t->shell->part, key, "%u%% %s %s%s%s", a->percent, order[a->order],
	    a->down ? "down" : "up", a->why[0] != '\0' ? " # " : "", a->why);
}

static void
why_agent(const struct target *t, char *out, size_t size)
{
	const struct health_agent *a = &t->agent->said;

	(void)snprintf(out, size, "%s, says its agent%s%s",
	    a->down ? "down" : "in maintenance", a->why[0] != '\0' ? ": " : "", a->why);
}

static void
say_state(struct target *t)
{
	char value[FACT_VALUE_LEN], why[FACT_VALUE_LEN - sizeof("down ")];

	if (agent_forbids(t)) {
		why_agent(t, why, sizeof(why));
		(void)snprintf(value, sizeof(value), "down %s", why);
		say(t, value);
		return;
	}
	switch (t->core.state) {
	case HEALTH_UNKNOWN:
		say(t, "unknown");
		return;
	case HEALTH_UP:
		say(t, "up");
		return;
	case HEALTH_DOWN:
		break;
	}
	if (health_confirmed(&t->core))
		(void)snprintf(value, sizeof(value), "down %s (%u of %u)", t->why,
		    t->core.conf.fall, t->core.conf.fall);
	else
		(void)snprintf(value, sizeof(value), "down %s", t->why);
	say(t, value);
}

static void
on_agent(void *arg)
{
	struct target *t = arg;

	say_agent(t);
	say_state(t);
}

void
target_agent(struct target *t, const char *said)
{
	const struct agent_conf *conf =
	    t->site != NULL ? &t->site->service->balancing.agent : NULL;
	struct health_agent words;
	char key[FACT_KEY_LEN];
	bool forbade = agent_forbids(t),
	     wanted = conf != NULL && conf->port != 0 && t->server->unix_path == NULL;

	if (t->agent != NULL ? wanted && agent_same(t->agent, conf, &t->server->at.ip)
			     : !wanted)
		return;
	health_agent_init(&words);
	if (said[0] == '\0' || health_agent_decode(&words, said, strlen(said)) != 0) {
		if (t->agent != NULL && wanted)
			words = t->agent->said;
	}
	if (target_agent_key(t, key) && !wanted)
		part_publish(t->shell->part, key, "%s", "");
	agent_free(t->agent);
	t->agent =
	    wanted ? agent_new(t->shell->loop, conf, &t->server->at.ip, &words) : NULL;
	if (t->agent != NULL) {
		t->agent->changed = on_agent;
		t->agent->arg = t;
		say_agent(t);
	}
	if (forbade || agent_forbids(t))
		say_state(t);
}

struct tally {
	size_t n, up, unknown;
	const struct target *down; /* the first */
};

/* Whose servers answer what no route sends elsewhere: by the file, or by an order. */
static size_t
active_group(const struct site *s)
{
	char key[FACT_KEY_LEN];
	size_t chosen;

	(void)snprintf(key, sizeof(key), "switch %s", s->service->name);
	chosen = service_group(s->service, heard_value(&s->shell->switched, key));
	return chosen < s->service->n_groups ? chosen : s->service->active;
}

static void
tally_up(struct tally *k, const struct site *s)
{
	const size_t active = active_group(s);

	LIST_EACH(l, tmp, &s->targets)
	{
		const struct target *t = CONTAINER(l, struct target, link);

		if (t->group != active)
			continue;
		k->n++;
		k->up += state_of(t) == HEALTH_UP;
		k->unknown += state_of(t) == HEALTH_UNKNOWN;
		if (state_of(t) == HEALTH_DOWN && k->down == NULL)
			k->down = t;
	}
}

/*
 * Nothing is said before there is a verdict: a floating address that follows the
 * service must not leave because its servers were not asked yet.
 */
void
site_judge(struct site *s)
{
	char key[FACT_KEY_LEN], value[FACT_VALUE_LEN] = "", why[HEALTH_WHY_LEN] = "";
	struct tally k = {.n = 0};

	tally_up(&k, s);
	if (k.up > 0)
		(void)snprintf(value, sizeof(value), "up %zu/%zu", k.up, k.n);
	else if (k.unknown == 0 && k.down != NULL) {
		if (agent_forbids(k.down))
			why_agent(k.down, why, sizeof(why));
		(void)snprintf(value, sizeof(value),
		    "down 0/%zu servers are healthy; %.64s: %.140s", k.n,
		    k.down->server->name, why[0] != '\0' ? why : k.down->why);
	}
	if (strcmp(s->said, value) == 0)
		return;
	(void)snprintf(key, sizeof(key), "service %s", s->service->name);
	(void)snprintf(s->said, sizeof(s->said), "%s", value);
	part_publish(s->shell->part, key, "%s", value);
}

/* ---- probes --------------------------------------------------------------------- */

static void
probe_ended(struct target *t)
{
	t->probe = NULL;
	cluster_unref(t->held);
	t->held = NULL;
}

static void
on_done(void *arg, enum probe_result result, const char *why)
{
	struct target *t = arg;
	enum health_ev_type type = HEALTH_EV_GOOD;

	probe_ended(t);
	if (result == PROBE_BAD) {
		type = HEALTH_EV_BAD;
		(void)snprintf(t->why, sizeof(t->why), "%s", why);
		count(t, COUNT_FAILED);
	} else if (result == PROBE_VOID) {
		/* Our own poverty must not take every server out of rotation. */
		type = HEALTH_EV_VOID;
		log_event(LOG_WARN, "no_check", "why=\"%s\"", why);
	}
	give(t, &(struct health_ev){.type = type});
}

/* Proxies give a server that they have not reached yet so much time. */
static void
on_connected(void *arg, int64_t ns)
{
	struct target *t = arg;
	char key[FACT_KEY_LEN];

	if (target_reach_key(t, key) && health_reach_learn(&t->reach, ns))
		part_publish(t->shell->part, key, "%u ms", t->reach.step_ms);
}

/* A server is asked as its clients' connections come: from where they come, and with
 * what they begin. Another port is another program. */
static void
as_clients(const struct target *t, struct probe_job *job)
{
	const struct service *s = t->site->service;

	if (t->server->unix_path == NULL)
		(void)service_source(s, t->shell->me, &job->source);
	if (t->check->port == 0)
		job->send_proxy = s->send_proxy;
}

static void
begin(struct target *t)
{
	struct probe_job job = {.check = t->check,
	    .at = t->at,
	    .unix_path = t->site != NULL ? t->server->unix_path : NULL,
	    .service = t->site != NULL ? t->site->service->name : NULL,
	    .server = t->site != NULL ? t->server->name : NULL,
	    .floating_ip = t->site == NULL ? t->floating_ip->name : NULL,
	    .done = on_done,
	    .connected = on_connected,
	    .arg = t};
	enum probe_result result = PROBE_GOOD;
	char why[HEALTH_WHY_LEN] = "";

	if (t->site != NULL)
		as_clients(t, &job);
	count(t, COUNT_CHECKS);
	t->held = cluster_ref(t->shell->cluster);
	t->probe = probe_begin(&t->shell->env, &job, &result, why);
	if (t->probe == NULL)
		on_done(t, result, why);
}

static void
stop_probe(struct target *t)
{
	probe_abort(t->probe);
	probe_ended(t);
}

static void
expire(struct target *t)
{
	int64_t ns = t->core.patience_ns;

	stop_probe(t);
	count(t, COUNT_FAILED);
	if (ns % SEC_NS == 0)
		(void)snprintf(t->why, sizeof(t->why), "no answer within %lld s",
		    (long long)(ns / SEC_NS));
	else
		(void)snprintf(t->why, sizeof(t->why), "no answer within %lld ms",
		    (long long)(ns / MS_NS));
}

static void
carry_out(struct target *t, const struct health_out *out)
{
	for (unsigned i = 0; i < out->n; i++) {
		switch (out->act[i]) {
		case HEALTH_ACT_ABORT:
			stop_probe(t);
			break;
		case HEALTH_ACT_EXPIRE:
			expire(t);
			break;
		case HEALTH_ACT_STATE:
			if (t->core.state == HEALTH_DOWN)
				count(t, COUNT_DOWN);
			say_state(t);
			break;
		case HEALTH_ACT_BEGIN: /* always the last; it may end at once */
			begin(t);
			break;
		}
	}
}

static void
give(struct target *t, const struct health_ev *ev)
{
	struct health_out out;

	health_input(&t->core, loop_now(t->shell->loop), ev, &out);
	carry_out(t, &out);
	/* Still down, but for another reason by now. */
	if (t->core.running && t->core.state == HEALTH_DOWN && t->why[0] != '\0' &&
	    t->core.bad >= t->core.conf.fall)
		say_state(t);
	loop_timer_set(t->shell->loop, &t->timer, health_deadline(&t->core));
}

static void
on_timer(void *arg)
{
	give(arg, &(struct health_ev){.type = HEALTH_EV_TICK});
}

/* ---- life ----------------------------------------------------------------------- */

static struct health_conf
core_conf(const struct check_conf *c)
{
	return (struct health_conf){.every_ns = c->every_ns,
	    .timeout_ns = c->timeout_ns,
	    .fall = c->fall,
	    .rise = c->rise};
}

static void
open_counters(struct target *t)
{
	static const char *const fields[] = {
	    [COUNT_CHECKS] = "checks",
	    [COUNT_FAILED] = "failed",
	    [COUNT_PASSIVE] = "passive",
	    [COUNT_DOWN] = "down",
	};
	char label[STATS_LABEL_LEN];
	int n = t->site != NULL
		    ? snprintf(label, sizeof(label), "service=%s server=%s",
			  t->site->service->name, t->server->name)
		    : snprintf(label, sizeof(label), "ip=%s", t->floating_ip->name);

	if (n > 0 && (size_t)n < sizeof(label))
		t->count = stats_block(part_stats(t->shell->part), "health_check",
		    label, 0, fields, ARRAY_LEN(fields));
}

static void
take_plan(struct target *t, const struct target_plan *plan)
{
	t->site = plan->site;
	t->server = plan->server;
	t->group = plan->group;
	t->floating_ip = plan->floating_ip;
	t->check = plan->check;
	t->at = plan->at;
}

struct target *
target_new(struct health_shell *sh, const struct target_plan *plan)
{
	struct target *t = calloc(1, sizeof(*t));
	struct health_conf conf = core_conf(plan->check);

	if (t == NULL || (plan->check->type != CHECK_NONE &&
			     health_init(&t->core, &conf, rng_next(&sh->rng)) != 0)) {
		free(t);
		return NULL;
	}
	list_init(&t->link);
	t->shell = sh;
	take_plan(t, plan);
	t->timer = (struct loop_timer){.cb = on_timer, .arg = t};
	open_counters(t);
	return t;
}

void
target_free(struct target *t)
{
	if (t == NULL)
		return;
	stop_probe(t);
	agent_free(t->agent);
	loop_timer_clear(t->shell->loop, &t->timer);
	list_remove(&t->link);
	free(t);
}

/* "down connection refused (3 of 3)" -> "connection refused" */
static void
recall_why(struct target *t, const char *said)
{
	size_t skip = strlen("down ");
	char *count_at;

	(void)snprintf(
	    t->why, sizeof(t->why), "%s", strlen(said) > skip ? said + skip : "");
	count_at = strrchr(t->why, '(');
	if (count_at != NULL && count_at > t->why && strstr(count_at, " of ") != NULL)
		count_at[-1] = '\0';
}

void
target_start(struct target *t, const char *said)
{
	enum health_state state = HEALTH_UNKNOWN;

	if (t->check->type == CHECK_NONE) {
		t->core.state = HEALTH_UP; /* as the file says */
		say_state(t);
		return;
	}
	if (fact_is(said, "up"))
		state = HEALTH_UP;
	else if (fact_is(said, "down"))
		state = HEALTH_DOWN;
	if (state != HEALTH_UNKNOWN)
		(void)snprintf(t->said, sizeof(t->said), "%s", said);
	if (state == HEALTH_DOWN)
		recall_why(t, said);
	give(t, &(struct health_ev){.type = HEALTH_EV_START, .state = state});
	if (state == HEALTH_UNKNOWN)
		say_state(t);
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
same_check(const struct check_conf *a, const struct check_conf *b)
{
	if (a->type != b->type || a->every_ns != b->every_ns ||
	    a->timeout_ns != b->timeout_ns || a->fall != b->fall ||
	    a->rise != b->rise || a->status_min != b->status_min ||
	    a->status_max != b->status_max || a->verify != b->verify ||
	    !same_text(a->method, b->method) || !same_text(a->path, b->path) ||
	    !same_text(a->host, b->host) || !same_text(a->body, b->body) ||
	    !ip_equal(&a->ping, &b->ping) || a->n_exec != b->n_exec)
		return false;
	for (size_t i = 0; i < a->n_exec; i++) {
		if (strcmp(a->exec[i], b->exec[i]) != 0)
			return false;
	}
	return true;
}

/*
 * A verdict by the old rules holds until the new ones have come to theirs: changing a
 * check must not take servers out of rotation.
 */
void
target_adopt(struct target *t, const struct target_plan *plan)
{
	struct health_conf conf = core_conf(plan->check);
	struct health_ev ev = {.type = HEALTH_EV_CONF, .conf = &conf};
	bool same = same_check(t->check, plan->check) &&
		    ip_equal(&t->at.ip, &plan->at.ip) && t->at.port == plan->at.port;

	take_plan(t, plan);
	if (!same && t->check->type != CHECK_NONE)
		give(t, &ev);
	if (t->shell->acting)
		target_agent(t, "");
}

void
target_passive(struct target *t, const char *why)
{
	if (t->check->type == CHECK_NONE)
		return;
	count(t, COUNT_PASSIVE);
	if (t->core.state != HEALTH_DOWN) {
		(void)snprintf(t->why, sizeof(t->why), "%s, by real traffic",
		    why[0] != '\0' ? why : "connection failed");
		if (t->why[0] >= 'A' && t->why[0] <= 'Z') /* as our own words */
			t->why[0] |= 'a' ^ 'A';
	}
	give(t, &(struct health_ev){.type = HEALTH_EV_PASSIVE});
}

void
target_doubt(struct target *t)
{
	if (t->check->type != CHECK_NONE)
		give(t, &(struct health_ev){.type = HEALTH_EV_DOUBT});
}
