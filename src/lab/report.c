/* SPDX-License-Identifier: Apache-2.0 */
/* A drill's results as a table, as the story of one round, and as JSON. */

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lab/report.h"

#include "base/plural.h"

#define STORY_MAX 64

static double
ms(int64_t ns)
{
	return (double)ns / 1e6;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static struct spread
spread_of(double *v, size_t n)
{
	struct spread s = {0};

	if (n == 0)
		return s;
	qsort(v, n, sizeof(*v), by_value);
	s.min = v[0];
	s.max = v[n - 1];
	s.median = n % 2 == 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
	return s;
}

enum measure { OUTAGE, OUTAGE_BACK, TWO, TWO_BACK, NONE, RECOVERY, REMOTE, MEASURES };

static double
measure_of(const struct drill_round *r, enum measure m)
{
	switch (m) {
	case OUTAGE:
		return ms(r->phase[0].probes.outage_ns);
	case OUTAGE_BACK:
		return ms(r->phase[1].probes.outage_ns);
	case TWO:
		return ms(r->phase[0].two_ns);
	case TWO_BACK:
		return ms(r->phase[1].two_ns);
	case NONE:
		return ms(r->phase[0].owners.none_ns + r->phase[1].owners.none_ns);
	case RECOVERY:
		return ms(r->recovered_ns);
	case REMOTE:
		return ms(r->phase[0].remote.outage_ns);
	case MEASURES:
		break;
	}
	return 0;
}

static bool
is_same(const struct drill_round *a, const struct drill_round *b)
{
	return strcmp(a->name, b->name) == 0;
}

static void
add_round(struct report_group *g, const struct drill_round *k)
{
	g->n++;
	g->unsettled += !k->settled;
	g->doubtful += k->doubtful;
	g->played += k->played;
	g->survived += k->survived;
	g->has_remote = g->has_remote || k->remote;
	g->writes += k->writes.acknowledged;
	g->writes_unanswered += k->writes_load.failures;
	g->writes_lost += k->writes.lost + k->writes.torn;
	g->writes_repeated += k->writes.repeated;
	for (size_t p = 0; p < ARRAY_LEN(k->phase); p++) {
		const struct phase *phase = &k->phase[p];

		g->failed += phase->load.failures;
		g->retried += phase->load.retried;
		g->broken += phase->load.broken;
		g->requests += phase->load.requests;
		g->probes_failed += phase->probes.failed;
		g->moves += phase->owners.moves;
		for (unsigned i = 0; i < FLOW_KINDS; i++) {
			g->flows[i].broken += phase->flows[i].broken;
			g->flows[i].corrupt += phase->flows[i].corrupt;
			if (phase->flows[i].silence_ns > g->flows[i].silence_ns)
				g->flows[i].silence_ns = phase->flows[i].silence_ns;
		}
	}
}

bool
report_gather(const struct drill_report *r, size_t first, struct report_group *g)
{
	double *v = calloc(r->n, sizeof(*v));
	struct spread *spread[MEASURES] = {&g->outage, &g->back, &g->two, &g->two_back,
	    &g->none, &g->recovery, &g->remote};

	*g = (struct report_group){.first = &r->round[first]};
	for (size_t i = 0; i < first; i++) {
		if (is_same(&r->round[i], g->first) || v == NULL) {
			free(v);
			return false;
		}
	}
	for (unsigned m = 0; v != NULL && m < MEASURES; m++) {
		size_t n = 0;

		for (size_t i = first; i < r->n; i++) {
			if (is_same(&r->round[i], g->first))
				v[n++] = measure_of(&r->round[i], (enum measure)m);
		}
		*spread[m] = spread_of(v, n);
	}
	free(v);
	for (size_t i = first; i < r->n; i++) {
		if (is_same(&r->round[i], g->first))
			add_round(g, &r->round[i]);
	}
	return true;
}

void
report_writes(const struct drill_report *r, FILE *f)
{
	struct ledger_sum all = {0};
	uint64_t unanswered = 0;

	for (size_t i = 0; i < r->n; i++) {
		const struct ledger_sum *w = &r->round[i].writes;

		all.acknowledged += w->acknowledged;
		all.lost += w->lost + w->torn;
		all.repeated += w->repeated;
		unanswered += r->round[i].writes_load.failures;
	}
	if (ledger_wrong(&all) == 0)
		(void)fprintf(f,
		    "%llu writes were acknowledged, and each is in one journal; %llu "
		    "were not, and none of them was carried out twice\n",
		    (unsigned long long)all.acknowledged,
		    (unsigned long long)unanswered);
	else
		(void)fprintf(f,
		    "of %llu writes that were acknowledged %llu are lost; %llu writes "
		    "were carried out twice\n",
		    (unsigned long long)all.acknowledged, (unsigned long long)all.lost,
		    (unsigned long long)all.repeated);
}

void
report_table(const struct drill_report *r, FILE *f, bool colour)
{
	const char *bold = colour ? "\033[1m" : "", *red = colour ? "\033[31m" : "";
	const char *plain = colour ? "\033[0m" : "";
	size_t doubtful = 0;
	struct report_group g;

	if (r->n > 0 && r->round[0].generated) {
		report_failures(r, f, colour);
		return;
	}

	(void)fprintf(f,
	    "%s%s, heartbeat %.0f ms; times in ms%s\n"
	    "%-18s %26s %9s %15s %17s %7s %6s\n"
	    "%-18s %26s %9s %7s %7s %8s %8s %7s %6s\n",
	    bold, r->program, ms(r->heartbeat_ns), plain, "", "nobody answered", "",
	    "requests", "two owners", "no", "", "case", "min / median / max", "return",
	    "failed", "broken", "during", "after", "owner", "moves");
	for (size_t i = 0; i < r->n; i++) {
		char outage[64], before[40] = "";
		double was;

		if (!report_gather(r, i, &g))
			continue;
		(void)snprintf(outage, sizeof(outage), "%.1f / %.1f / %.1f",
		    g.outage.min, g.outage.median, g.outage.max);
		if (report_old_outage(&r->before, g.first->name, &was))
			(void)snprintf(before, sizeof(before), "  was %.1f", was);
		(void)fprintf(f,
		    "%-18s %26s %9.1f %7llu %7llu %8.1f %8.1f %7.1f %6u%s%s\n",
		    g.first->name, outage, g.back.max, (unsigned long long)g.failed,
		    (unsigned long long)g.broken, g.two.max, g.two_back.max, g.none.max,
		    g.moves, before,
		    g.unsettled > 0  ? " !"
		    : g.doubtful > 0 ? " ~"
				     : "");
		doubtful += g.doubtful;
	}
	for (size_t i = 0; i < r->n; i++) {
		if (!r->round[i].settled)
			(void)fprintf(f, "%s! %s on %s: %s%s\n", red, r->round[i].name,
			    r->round[i].victim, r->round[i].trouble, plain);
	}
	if (doubtful > 0)
		(void)fprintf(f,
		    "~ this machine stood still in %zu round%s (the prober itself did "
		    "not run): measure again\n",
		    doubtful, plural(doubtful));
	report_writes(r, f);
}

static void tell(struct moment *m, size_t max, size_t *n, int64_t at_ns,
    const char *fmt, ...) PRINTF(5, 6);

static void
tell(struct moment *m, size_t max, size_t *n, int64_t at_ns, const char *fmt, ...)
{
	va_list ap;

	if (*n == max)
		return;
	m[*n].at_ns = at_ns;
	va_start(ap, fmt);
	(void)vsnprintf(m[*n].text, sizeof(m[*n].text), fmt, ap);
	va_end(ap);
	(*n)++;
}

static int
by_time(const void *a, const void *b)
{
	const struct moment *x = a, *y = b;

	return x->at_ns < y->at_ns ? -1 : x->at_ns > y->at_ns;
}

/* Who took and who let go of floating address `which`. */
static size_t
tell_owners(const struct drill_report *r, const struct drill_round *round, size_t which,
    struct moment *m, size_t max, size_t n)
{
	const struct world *w = &r->drill->world;
	const struct owner_lane *lane = &round->lane[which];
	uint32_t before = lane->n > 0 ? lane->event[0].holders : 0;

	for (size_t i = 1; i < lane->n; i++) {
		uint32_t now = lane->event[i].holders;

		for (size_t h = 0; h < w->n_hosts; h++) {
			uint32_t bit = UINT32_C(1) << h;

			if (((now ^ before) & bit) != 0)
				tell(m, max, &n,
				    mono_sub(lane->event[i].at, round->phase[0].from),
				    "%s %s %s", w->host[h].host->name,
				    (now & bit) != 0 ? "takes" : "lets go of",
				    w->cluster->floating_ip[which].name);
		}
		before = now;
	}
	return n;
}

size_t
report_story(const struct drill_report *r, const struct drill_round *round,
    struct moment *m, size_t max)
{
	mono_t start = round->phase[0].from;
	char what[100];
	size_t n = 0;

	drill_describe(round->what, round->victim, what, sizeof(what));
	tell(m, max, &n, 0, "%s", what);
	tell(m, max, &n, mono_sub(round->phase[1].from, start),
	    round->what->undo == NULL || round->what->returns ? "settled"
							      : "the cause is undone");
	for (size_t i = 0; i < r->drill->n_owners_of; i++)
		n = tell_owners(r, round, i, m, max, n);
	for (size_t p = 0; p < ARRAY_LEN(round->phase); p++) {
		for (size_t i = 0; i < round->phase[p].n_outages; i++) {
			const struct outage *o = &round->phase[p].outage[i];

			tell(m, max, &n, mono_sub(o->from, start),
			    "client: first request %s", probe_result_name(o->first));
			tell(m, max, &n, mono_sub(o->to, start),
			    "client: answered again, %.1f ms later",
			    ms(mono_sub(o->to, o->from)));
		}
	}
	qsort(m, n, sizeof(*m), by_time);
	return n;
}

void
report_story_text(
    const struct drill_report *r, const struct drill_round *round, FILE *f)
{
	struct moment m[STORY_MAX];
	size_t n = report_story(r, round, m, STORY_MAX);

	(void)fprintf(f, "\n%s\n", round->name);
	for (size_t i = 0; i < n; i++)
		(void)fprintf(f, "  %+10.1f ms  %s\n", ms(m[i].at_ns), m[i].text);
	(void)fprintf(f,
	    "  slowest answer %.1f ms; %llu request%s on kept connections, "
	    "%llu failed\n",
	    (double)round->phase[0].probes.slowest_us / 1e3,
	    (unsigned long long)round->phase[0].load.requests +
		round->phase[1].load.requests,
	    plural(round->phase[0].load.requests + round->phase[1].load.requests),
	    (unsigned long long)round->phase[0].load.failures +
		round->phase[1].load.failures);
}

static json_t *
spread_json(const struct spread *s)
{
	return json_pack(
	    "{s:f,s:f,s:f}", "min", s->min, "median", s->median, "max", s->max);
}

/* How the probes that failed did so. */
static json_t *
probes_json(const struct probe_sum *p)
{
	json_t *by = json_object();

	for (unsigned i = 0; i < PROBE_RESULTS; i++) {
		if (p->by[i] > 0)
			(void)json_object_set_new(by,
			    probe_result_name((enum probe_result)i),
			    json_integer((json_int_t)p->by[i]));
	}
	return by;
}

static json_t *
flow_json(const struct flow_sum *s)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:f}", "bytes", (json_int_t)s->bytes,
	    "broken", (json_int_t)s->broken, "refused", (json_int_t)s->refused,
	    "corrupt", (json_int_t)s->corrupt, "silence_ms", ms(s->silence_ns));
}

static json_t *
phase_json(const struct phase *p)
{
	json_t *failed = json_object();

	for (unsigned i = 0; i < LOAD_FATES; i++) {
		if (p->load.failed[i] > 0)
			(void)json_object_set_new(failed,
			    load_fate_name((enum load_fate)i),
			    json_integer((json_int_t)p->load.failed[i]));
	}
	return json_pack("{s:f,s:f,s:i,s:i,s:i,s:f,s:f,s:I,s:I,s:o,s:I,s:I,s:f,s:f,s:f,"
			 "s:i,s:o,s:o,s:o}",
	    "lasted_ms", ms(mono_sub(p->to, p->from)), "outage_ms",
	    ms(p->probes.outage_ns), "outages", (int)p->probes.outages,
	    "probes_answered", (int)p->probes.answered, "probes_failed",
	    (int)p->probes.failed, "slowest_probe_ms",
	    (double)p->probes.slowest_us / 1e3, "prober_pause_ms",
	    ms(p->probes.pause_ns), "requests", (json_int_t)p->load.requests,
	    "requests_failed", (json_int_t)p->load.failures, "failures", failed,
	    "requests_retried", (json_int_t)p->load.retried, "connections_broken",
	    (json_int_t)p->load.broken, "slowest_request_ms",
	    (double)p->load.slowest_us / 1e3, "two_owners_ms", ms(p->two_ns),
	    "no_owner_ms", ms(p->owners.none_ns), "moves", (int)p->owners.moves,
	    "probes", probes_json(&p->probes), "downloads",
	    flow_json(&p->flows[FLOW_DOWNLOAD]), "pushes",
	    flow_json(&p->flows[FLOW_PUSH]));
}

static json_t *
writes_json(const struct report_group *g)
{
	return json_pack("{s:I,s:I,s:I,s:I}", "acknowledged", (json_int_t)g->writes,
	    "not_acknowledged", (json_int_t)g->writes_unanswered, "lost",
	    (json_int_t)g->writes_lost, "repeated", (json_int_t)g->writes_repeated);
}

/* Through the VPN; null where nobody asked. */
static json_t *
remote_json(const struct drill_round *round)
{
	json_t *phase[2];

	if (!round->remote)
		return json_null();
	for (size_t i = 0; i < ARRAY_LEN(phase); i++) {
		const struct probe_sum *s = &round->phase[i].remote;

		phase[i] = json_pack("{s:f,s:i,s:i,s:i,s:f}", "outage_ms",
		    ms(s->outage_ns), "outages", (int)s->outages, "answered",
		    (int)s->answered, "failed", (int)s->failed, "slowest_ms",
		    (double)s->slowest_us / 1e3);
	}
	return json_pack("{s:s,s:b,s:o,s:o}", "forecast",
	    report_forecast(round->remote_forecast), "survived",
	    (int)round->remote_survived, "during", phase[0], "after", phase[1]);
}

static json_t *
round_json(const struct drill_report *r, const struct drill_round *round)
{
	json_t *story = json_array();
	struct moment m[STORY_MAX];
	size_t n = report_story(r, round, m, STORY_MAX);

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(story,
		    json_pack("{s:f,s:s}", "at_ms", ms(m[i].at_ns), "what", m[i].text));
	return json_pack("{s:s,s:s,s:b,s:f,s:b,s:b,s:s,s:o,s:o,s:o,s:o}", "victim",
	    round->victim, "forecast", report_forecast(round->forecast), "survived",
	    (int)round->survived, "recovered_ms", ms(round->recovered_ns), "settled",
	    (int)round->settled, "doubtful", (int)round->doubtful, "trouble",
	    round->trouble, "during", phase_json(&round->phase[0]), "after",
	    phase_json(&round->phase[1]), "vpn", remote_json(round), "story", story);
}

/* What had been done before, so that the new report is the whole one. */
static void
add_resumed(json_t *cases, const struct report_old *old)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(old->all, "cases"), i, one)
	{
		const char *name = json_string_value(json_object_get(one, "case"));

		if (name != NULL && report_old_done(old, name))
			(void)json_array_append(cases, one);
	}
}

int
report_json(const struct drill_report *r, FILE *f)
{
	json_t *cases = json_array(), *all;
	struct report_group g;
	int err;

	for (size_t i = 0; i < r->n; i++) {
		json_t *rounds;

		if (!report_gather(r, i, &g))
			continue;
		rounds = json_array();
		for (size_t k = i; k < r->n; k++) {
			if (is_same(&r->round[k], g.first))
				(void)json_array_append_new(
				    rounds, round_json(r, &r->round[k]));
		}
		(void)json_array_append_new(cases,
		    json_pack("{s:s,s:i,s:o,s:o,s:o,s:o,s:o,s:I,s:I,s:I,s:I,s:o,s:o}",
			"case", g.first->name, "unsettled", (int)g.unsettled,
			"outage_ms", spread_json(&g.outage), "return_outage_ms",
			spread_json(&g.back), "two_owners_ms", spread_json(&g.two),
			"two_owners_after_ms", spread_json(&g.two_back), "no_owner_ms",
			spread_json(&g.none), "requests", (json_int_t)g.requests,
			"requests_failed", (json_int_t)g.failed, "requests_retried",
			(json_int_t)g.retried, "connections_broken",
			(json_int_t)g.broken, "writes", writes_json(&g), "rounds",
			rounds));
	}
	add_resumed(cases, &r->resumed);
	all = json_pack("{s:s,s:s,s:f,s:I,s:s,s:o}", "program", r->program, "command",
	    r->command, "heartbeat_ms", ms(r->heartbeat_ns), "seed",
	    (json_int_t)r->seed, "cluster", r->drill->world.cluster->name, "cases",
	    cases);
	err = json_dumpf(all, f, JSON_INDENT(1)) == 0 ? 0 : -EIO;
	(void)fputc('\n', f);
	json_decref(all);
	return err;
}
