/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/servers/care.h"

#include "proxy/client.h"
#include "proxy/counters.h"
#include "proxy/servers/balance.h"
#include "proxy/servers/service.h"
#include "proxy/servers/shared_breaker.h"
#include "proxy/servers/upstream.h"
#include "proxy/worker_inside.h"

#define EVERY_NS    (100 * MS_NS)
#define SLOW_LEAST  (20 * MS_NS) /* nobody is ejected for less */
#define SHARE_LEAST (BALANCE_SHARE / 10)

/* A mean over some eight values. */
static void
learn(int64_t *usual, int64_t took)
{
	if (*usual == 0)
		*usual = took;
	else
		*usual += (took - *usual) / 8;
}

/* ---- one answer ---------------------------------------------------------------- */

static void
ejected(struct worker *w, struct upstream *up)
{
	upstream_usable(up);
	count(up->counter, SRV_EJECTIONS);
	worker_notify(w);
}

static void
note(struct worker *w, struct upstream *up, bool good)
{
	const struct breaker_conf *breaker = &up->service->conf->breaker;

	if (!up->gone && breaker->on &&
	    shared_breaker_answer(up->group->breaker, breaker, w->now, good))
		count(up->service->counter, SVC_BREAKER_OPENED);
	if (!up->gone && outlier_answer(&up->group->outlier, &up->outlier,
			     &up->service->conf->balancing.outlier, w->now, good))
		ejected(w, up);
}

void
care_answered(struct worker *w, struct upstream *up, int64_t took, bool good)
{
	up->answers++;
	if (!up->gone)
		up->group->answers++;
	learn(&up->usual_ns, took);
	note(w, up, good);
}

void
care_outrun(struct upstream *up, int64_t took)
{
	learn(&up->usual_ns, took);
}

void
care_failed(struct worker *w, struct upstream *up)
{
	note(w, up, false);
}

/* ---- repetitions --------------------------------------------------------------- */

/* A server that dies takes many requests along at once, which a full purse covers;
 * servers that go on failing are not asked twice for everything. */
void
care_earn(struct wservice *s)
{
	if (s->budget < CARE_BUDGET)
		s->budget += s->conf->balancing.retry_budget;
}

bool
care_affords(const struct wservice *s)
{
	return s->budget >= 100;
}

bool
care_spend(struct wservice *s)
{
	if (!care_affords(s))
		return false;
	s->budget -= 100;
	return true;
}

/* ---- shares -------------------------------------------------------------------- */

/* What of 256 parts a server has that has been back for `since` of `slow_start`. */
static uint32_t
ramp(int64_t since, int64_t slow_start)
{
	int64_t share;

	if (since >= slow_start)
		return BALANCE_SHARE;
	share = since * BALANCE_SHARE / slow_start;
	return share < SHARE_LEAST ? SHARE_LEAST : (uint32_t)share;
}

/* A server that takes twice as long as they do on average has half of its share: it has
 * less to spare. */
static uint32_t
capacity(const struct upstream *up)
{
	int64_t share = BALANCE_SHARE, usual = up->group->usual_ns;

	if (usual > 0 && up->usual_ns > usual)
		share = share * usual / up->usual_ns;
	return share < SHARE_LEAST ? SHARE_LEAST : (uint32_t)share;
}

/* True if time alone will change it. */
static bool
set_share(struct worker *w, struct upstream *up)
{
	const struct service *conf = up->service->conf;
	uint32_t share = BALANCE_SHARE, part = BALANCE_SHARE;

	if (conf->balance == BALANCE_IDLE_CAPACITY)
		share = capacity(up);
	share = share * (100 - up->less) / 100;
	if (up->ramping) {
		part =
		    ramp(mono_sub(w->now, up->back_at), conf->balancing.slow_start_ns);
		up->ramping = part < BALANCE_SHARE;
		share = share * part / BALANCE_SHARE;
	}
	if (share == 0)
		share = 1;
	if (share != up->group->balancer.server[up->index].share)
		balance_share(&up->group->balancer, up->index, share);
	return up->ramping;
}

void
care_welcome(struct worker *w, struct upstream *up)
{
	if (up->service->conf->balancing.slow_start_ns == 0 || up->gone)
		return;
	up->ramping = true;
	up->group->ramping = true;
	up->back_at = w->now;
	(void)set_share(w, up);
	care_begin(w);
}

void
care_less(struct worker *w, struct upstream *up, unsigned less)
{
	if ((up->less == 0 && less == 0) || up->gone)
		return;
	up->less = less;
	(void)set_share(w, up);
}

/* ---- groups -------------------------------------------------------------------- */

/* The usual time of the group: of the servers of which one is known, their mean. */
static void
compare(struct wgroup *g)
{
	int64_t sum = 0, n = 0;

	for (size_t i = 0; i < g->n_up; i++) {
		if (g->up[i]->usual_ns == 0 || g->up[i]->outlier.out)
			continue;
		sum += g->up[i]->usual_ns;
		n++;
	}
	g->usual_ns = n > 0 ? sum / n : 0;
}

/* The slowest server leaves if most of the others are faster by the factor asked for.
 */
static void
eject_slow(struct worker *w, struct wgroup *g, const struct outlier_conf *conf)
{
	struct upstream *worst = NULL;
	size_t known = 0, faster = 0;

	for (size_t i = 0; i < g->n_up; i++) {
		struct upstream *up = g->up[i];

		if (up->outlier.out || up->answers == up->window_answers)
			continue;
		known++;
		if (worst == NULL || up->usual_ns > worst->usual_ns)
			worst = up;
	}
	if (worst == NULL || worst->usual_ns < SLOW_LEAST)
		return;
	for (size_t i = 0; i < g->n_up; i++) {
		struct upstream *up = g->up[i];

		faster += !up->outlier.out && up->answers != up->window_answers &&
			  up->usual_ns * conf->slow < worst->usual_ns;
	}
	if (faster * 2 >= known &&
	    outlier_eject(&g->outlier, &worst->outlier, conf, w->now)) {
		worst->usual_ns = 0; /* it begins anew when it is back */
		ejected(w, worst);
	}
}

static void
roll(struct worker *w, struct wgroup *g, const struct outlier_conf *conf)
{
	if (mono_before(w->now, g->window))
		return;
	g->window = mono_add(w->now, conf->every_ns);
	if (conf->slow > 0)
		eject_slow(w, g, conf);
	for (size_t i = 0; i < g->n_up; i++) {
		struct upstream *up = g->up[i];

		up->window_answers = up->answers;
		if (outlier_roll(&g->outlier, &up->outlier, conf, w->now))
			ejected(w, up);
	}
	outlier_roll_group(&g->outlier);
}

/* Servers whose time outside is up. */
static void
let_back(struct worker *w, struct wgroup *g)
{
	for (size_t i = 0; i < g->n_up && g->outlier.n_out > 0; i++) {
		struct upstream *up = g->up[i];

		if (!outlier_back(&g->outlier, &up->outlier, w->now))
			continue;
		upstream_usable(up);
		care_welcome(w, up);
		client_requeue(w, g);
	}
}

/* Shares that time alone changes. */
static void
share_out(struct worker *w, struct wgroup *g)
{
	bool capacity = g->service->conf->balance == BALANCE_IDLE_CAPACITY;

	if (capacity)
		compare(g);
	if (!capacity && !g->ramping)
		return;
	g->ramping = false;
	for (size_t i = 0; i < g->n_up; i++)
		g->ramping |= set_share(w, g->up[i]);
}

/*
 * True if there is something to come back for. Most of the time a group needs nothing,
 * and its servers, of which there may be a thousand, are not touched: the cache has
 * better use for what is in it.
 */
static bool
look_after(struct worker *w, struct wgroup *g)
{
	let_back(w, g);
	share_out(w, g);
	roll(w, g, &g->service->conf->balancing.outlier);
	return g->outlier.n_out > 0 || g->ramping || g->balancer.load > 0;
}

void
care_group(struct wgroup *g)
{
	size_t up = 0, n = 0, percent = g->service->conf->balancing.panic_below;
	bool panic;

	g->outlier.n = g->n_up;
	g->outlier.n_out = 0;
	for (size_t i = 0; i < g->n_up; i++) {
		uint8_t state = g->up[i]->state;

		g->outlier.n_out += g->up[i]->outlier.out;
		g->ramping |= g->up[i]->ramping;
		if ((state & SERVER_DRAINING) != 0)
			continue;
		n++;
		up += state != SERVER_DOWN;
	}
	panic = up * 100 < percent * n;
	if (panic == g->panic)
		return;
	g->panic = panic;
	for (size_t i = 0; i < g->n_up; i++)
		upstream_usable(g->up[i]);
}

/* ---- the worker ---------------------------------------------------------------- */

void
care_begin(struct worker *w)
{
	if (w->caring)
		return;
	w->caring = true;
	wheel_set(&w->wheel, &w->care, mono_add(w->now, EVERY_NS));
}

void
care_due(struct worker *w)
{
	bool more = false;

	w->caring = false;
	LIST_EACH(n, tmp, &w->services)
	{
		struct wservice *s = CONTAINER(n, struct wservice, link);

		for (size_t i = 0; i < s->n_groups; i++)
			more |= look_after(w, s->group[i]);
	}
	if (more)
		care_begin(w);
}
