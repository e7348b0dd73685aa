/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random drills: failures and repairs as chance will have them, within what the
 * analysis says must be survived, while rules are checked all the time. A schedule
 * that breaks a rule is played again in parts until few failures are left to blame.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/plural.h"
#include "lab/drill.h"
#include "lab/rules.h"
#include "lab/schedule.h"

#define STEP_NS	     (20 * MS_NS)
#define JOURNALS_NS  (500 * MS_NS) /* between two looks at them */
#define SETTLE_NS    (20 * SEC_NS)
#define SHRINK_TRIES 40
#define FAILED_MAX   64

/* A schedule at work, and what is remembered for the rules. */
struct game {
	struct drill *d;
	const struct mishap *mishap; /* to choose from */
	const struct event *event;
	size_t n;
	struct harm harm[SCHEDULE_AT_ONCE];
	size_t working[SCHEDULE_AT_ONCE]; /* of `event`; SIZE_MAX: free */
	mono_t start;
	struct rules rules;
	struct flow_sum flows[FLOW_KINDS];
	mono_t journals;	  /* the last look at them */
	uint64_t writes;	  /* acknowledged */
	char broken[TROUBLE_LEN]; /* the rule that was; "": none */
};

/* ---- what may happen at the same time ------------------------------------------ */

/* Left out: orders to everybody, which a host that is off cannot obey, and what takes
 * its time to bring about. */
static bool
is_eligible(const struct mishap *m)
{
	return m->what->scope != SCOPE_CLUSTER && m->what->inject != NULL &&
	       strcmp(m->what->name, "part-down") != 0;
}

static bool
befalls(const struct mishap *m, const struct host *h)
{
	return m->host == h || (m->zone != NULL && m->zone == h->zone);
}

/* Two failures of one host or network would undo each other's repair. */
static bool
collide(const struct cluster *c, const struct mishap *a, const struct mishap *b)
{
	if (a->net != NULL && a->net == b->net)
		return true;
	for (size_t i = 0; i < c->n_hosts; i++) {
		if (befalls(a, &c->host[i]) && befalls(b, &c->host[i]))
			return true;
	}
	return false;
}

static bool
may(void *arg, const size_t *which, size_t n)
{
	const struct game *g = arg;
	const struct drill *d = g->d;
	size_t failed[FAILED_MAX], count = 0;

	for (size_t i = 0; i < n; i++) {
		const struct mishap *m = &g->mishap[which[i]];

		for (size_t k = 0; k < i; k++) {
			if (collide(d->world.cluster, m, &g->mishap[which[k]]))
				return false;
		}
		count +=
		    mishap_failures(d->topology, m, failed + count, FAILED_MAX - count);
		if (!m->what->brief && drill_forecast(d, m) != FORECAST_SURVIVES)
			return false;
	}
	return topology_survives(d->topology, failed, count, (size_t)d->goal);
}

/* ---- the rules ----------------------------------------------------------------- */

static void
break_rule(struct game *g, const char *rule)
{
	if (g->broken[0] == '\0')
		(void)snprintf(g->broken, sizeof(g->broken), "%s", rule);
}

/* May hosts be unable to hear each other because of it? */
static bool
splits(const struct mishap *m)
{
	return m->net != NULL || m->zone != NULL ||
	       strcmp(m->what->name, "host-paused") == 0;
}

static void
check_owners(struct game *g, mono_t now)
{
	const struct cluster *c = g->d->world.cluster;
	char text[TROUBLE_LEN];

	_Static_assert(FLOATS_MAX <= RULES_FLOATS_MAX, "a rule for each address");
	for (size_t i = 0; i < g->d->n_owners_of; i++) {
		if (rules_owners(&g->rules, i, owners_now(g->d->owners_of[i]), now) ==
		    RULE_NONE)
			continue;
		(void)snprintf(text, sizeof(text),
		    "%s has two owners that hear each other", c->floating_ip[i].name);
		break_rule(g, text);
	}
}

static void
check_writes(struct game *g, mono_t now)
{
	char text[TROUBLE_LEN];
	struct ledger_sum sum;
	struct load_sum load;

	g->journals = now;
	writers_take(g->d->writers, &sum, &load);
	g->writes += sum.acknowledged;
	if (ledger_wrong(&sum) == 0)
		return;
	writers_explain(g->d->writers, &sum, text, sizeof(text));
	break_rule(g, text);
}

static void
check_rules(struct game *g)
{
	struct flow_sum flows[FLOW_KINDS];
	mono_t now = probe_clock();
	struct load_sum load;
	uint64_t wrong;

	if (rules_unserved(prober_unserved_ns(g->d->prober)) != RULE_NONE)
		break_rule(g, "clients were not served for 8 s");
	load_take(g->d->load, &load);
	flows_take(g->d->flows, flows);
	wrong = load.failed[LOAD_FAIL_WRONG];
	for (unsigned i = 0; i < FLOW_KINDS; i++)
		wrong += flows[i].corrupt;
	if (rules_wrong(&g->rules, wrong) != RULE_NONE)
		break_rule(g, "a client got what it had not asked for");
	check_owners(g, now);
	if (mono_sub(now, g->journals) > JOURNALS_NS)
		check_writes(g, now);
}

/* ---- playing ------------------------------------------------------------------- */

static int
begin(struct game *g, size_t event)
{
	const struct mishap *m = &g->mishap[g->event[event].which];
	struct drill_task task = {m->what, m};
	char name[MISHAP_NAME_LEN];
	int err;

	for (size_t i = 0; i < SCHEDULE_AT_ONCE; i++) {
		if (g->working[i] != SIZE_MAX)
			continue;
		g->working[i] = event;
		drill_aim(g->d, &task, &g->harm[i]);
		g->harm[i].number = (unsigned)i;
		err = m->what->inject(g->d, &g->harm[i]);
		if (err != 0 && err != -EINTR) {
			mishap_name(m, name, sizeof(name));
			(void)fprintf(
			    stderr, "%s could not be done: %s\n", name, strerror(-err));
		}
		return err == -EINTR ? err : 0;
	}
	return 0; /* one that is still being repaired takes the place: left out */
}

static int
end(struct game *g, size_t slot)
{
	const struct mishap *m = &g->mishap[g->event[g->working[slot]].which];
	int err = m->what->undo != NULL ? m->what->undo(g->d, &g->harm[slot]) : 0;

	if (splits(m))
		rules_deaf(&g->rules, probe_clock());
	g->working[slot] = SIZE_MAX;
	return err == -EINTR ? err : 0;
}

static int
end_due(struct game *g, mono_t now, bool all)
{
	int err = 0;

	for (size_t i = 0; i < SCHEDULE_AT_ONCE && err == 0; i++) {
		const struct event *e;

		if (g->working[i] == SIZE_MAX)
			continue;
		e = &g->event[g->working[i]];
		if (splits(&g->mishap[e->which]))
			rules_deaf(&g->rules, now);
		if (all || mono_sub(now, g->start) >= (e->at_ms + e->hold_ms) * MS_NS)
			err = end(g, i);
	}
	return err;
}

static void
show(const struct game *g, size_t event, mono_t now)
{
	char name[MISHAP_NAME_LEN];

	if (event >= g->n)
		return;
	mishap_name(&g->mishap[g->event[event].which], name, sizeof(name));
	(void)fprintf(stderr, "%s%+8.1f s  %s for %.1f s%s",
	    isatty(STDERR_FILENO) != 0 ? "\r\033[K" : "",
	    (double)mono_sub(now, g->start) / 1e9, name,
	    (double)g->event[event].hold_ms / 1e3,
	    isatty(STDERR_FILENO) != 0 ? "" : "\n");
}

static bool
is_working(const struct game *g)
{
	for (size_t i = 0; i < SCHEDULE_AT_ONCE; i++) {
		if (g->working[i] != SIZE_MAX)
			return true;
	}
	return false;
}

static void
reset(struct game *g)
{
	struct load_sum load;

	rules_init(&g->rules);
	for (size_t i = 0; i < SCHEDULE_AT_ONCE; i++)
		g->working[i] = SIZE_MAX;
	load_take(g->d->load, &load);
	flows_take(g->d->flows, g->flows);
	g->start = probe_clock();
	check_writes(g, g->start);
	g->writes = 0;
	g->broken[0] = '\0';
}

/* What is due, the rules, and a moment's wait. `next`: the event to come. */
static int
step(struct game *g, const bool *keep, size_t *next)
{
	mono_t now = probe_clock();
	int err = end_due(g, now, false);

	if (err == 0 && *next < g->n &&
	    mono_sub(now, g->start) >= g->event[*next].at_ms * MS_NS) {
		if (keep == NULL || keep[*next]) {
			show(g, *next, now);
			err = begin(g, *next);
		}
		(*next)++;
	}
	check_rules(g);
	return err == 0 ? drill_until(g->d, NULL, STEP_NS) : err;
}

/*
 * The events of which `keep` says so (NULL: all). 1: a rule was broken, 0: none was,
 * or -EINTR.
 */
static int
play(struct game *g, const bool *keep)
{
	int err = drill_until(g->d, drill_well, SETTLE_NS);
	size_t next = 0;

	reset(g);
	if (err == -ETIMEDOUT) {
		break_rule(g, "not all was well at the start");
		return 1;
	}
	while (err == 0 && g->broken[0] == '\0' && (next < g->n || is_working(g)))
		err = step(g, keep, &next);
	if (g->broken[0] != '\0' && g->d->keep)
		return 1;
	if (err == 0)
		err = end_due(g, probe_clock(), true);
	if (err == 0)
		err = drill_until(g->d, drill_well, SETTLE_NS);
	if (err == -ETIMEDOUT) {
		break_rule(g, "not all was well 20 s after the last repair");
		err = 0;
	}
	check_writes(g, probe_clock());
	if (err < 0)
		return err;
	return g->broken[0] != '\0';
}

/* ---- the verb ------------------------------------------------------------------ */

static int
fails_with(void *arg, const bool *keep)
{
	struct game *g = arg;
	size_t n = 0;

	for (size_t i = 0; i < g->n; i++)
		n += keep[i];
	(void)fprintf(stderr, "%s%zu of %zu failure%s: does it still happen?\n",
	    isatty(STDERR_FILENO) != 0 ? "\r\033[K" : "", n, g->n, plural(g->n));
	return play(g, keep);
}

static void
tell(const struct game *g, const bool *keep)
{
	char name[MISHAP_NAME_LEN];

	for (size_t i = 0; i < g->n; i++) {
		if (keep != NULL && !keep[i])
			continue;
		mishap_name(&g->mishap[g->event[i].which], name, sizeof(name));
		(void)printf("  %+8.1f s  %-32s for %.1f s\n",
		    (double)g->event[i].at_ms / 1e3, name,
		    (double)g->event[i].hold_ms / 1e3);
	}
}

/* Plays it once; if a rule breaks, finds out what it takes to break it. */
static int
play_and_shrink(struct game *g)
{
	struct probe_sum sum;
	mono_t from = probe_clock();
	bool keep[SCHEDULE_MAX];
	char broken[TROUBLE_LEN];
	int err = play(g, NULL);

	prober_measure(g->d->prober, from, probe_clock(), &sum, NULL);
	if (err < 0)
		return err;
	if (isatty(STDERR_FILENO) != 0)
		(void)fputs("\r\033[K", stderr);
	if (err == 0) {
		(void)printf("%zu failure%s in %.0f s, seed %" PRId64
			     ": every rule held; clients were not served for %.0f ms "
			     "in all; %" PRIu64 " writes were acknowledged, and each "
			     "is in one journal, once\n",
		    g->n, plural(g->n), (double)mono_sub(probe_clock(), from) / 1e9,
		    g->d->seed, (double)sum.outage_ns / 1e6, g->writes);
		return 0;
	}
	(void)snprintf(broken, sizeof(broken), "%s", g->broken);
	(void)printf("a rule was broken, seed %" PRId64 ": %s\n", g->d->seed, broken);
	for (size_t i = 0; i < g->n; i++)
		keep[i] = true;
	err = g->d->keep ? 0 : schedule_shrink(g->n, keep, fails_with, g, SHRINK_TRIES);
	(void)printf("this is enough to break it:\n");
	tell(g, keep);
	return err < 0 ? err : 1;
}

int
drill_random(struct drill *d, int64_t length_ns)
{
	const struct cluster *c = d->world.cluster;
	size_t n = mishap_list(c, NULL, 0), eligible = 0;
	struct mishap *mishap = calloc(n + 1, sizeof(*mishap));
	struct event *event = calloc(SCHEDULE_MAX, sizeof(*event));
	struct game g = {.d = d, .mishap = mishap, .event = event};
	struct chances chances = {.may = may, .arg = &g};
	int err = -ENOMEM;

	if (mishap != NULL && event != NULL) {
		n = mishap_list(c, mishap, n);
		for (size_t i = 0; i < n; i++) {
			if (is_eligible(&mishap[i]))
				mishap[eligible++] = mishap[i];
		}
		chances.n = eligible;
		g.n = schedule_make(&d->rng, &chances, (uint32_t)(length_ns / MS_NS),
		    event, SCHEDULE_MAX);
		err = g.n > 0 ? play_and_shrink(&g) : -ENOENT;
	}
	if (err == -ENOENT)
		(void)fprintf(stderr,
		    "nines drill: the analysis knows no failure that this cluster "
		    "survives: see `nines spof`\n");
	free(event);
	free(mishap);
	return err;
}
