/* SPDX-License-Identifier: Apache-2.0 */
/* A drill's results as a table, as the story of one round, and as JSON. */

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lab/drill.h"

#define STORY_MAX 64

struct spread {
	double min, median, max;
};

/* All rounds of one case. */
struct group {
	const struct drill_case *what;
	size_t n, unsettled, doubtful;
	struct spread outage, back, two, two_back, none;
	uint64_t failed, retried, broken, requests;
	unsigned moves;
};

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

enum measure { OUTAGE, OUTAGE_BACK, TWO, TWO_BACK, NONE, MEASURES };

static double
measure_of(const struct drill_round *r, enum measure m)
{
	switch (m) {
	case OUTAGE:
		return ms(r->phase[0].probes.outage_ns);
	case OUTAGE_BACK:
		return ms(r->phase[1].probes.outage_ns);
	case TWO:
		return ms(r->phase[0].owners.two_ns);
	case TWO_BACK:
		return ms(r->phase[1].owners.two_ns);
	case NONE:
		return ms(r->phase[0].owners.none_ns + r->phase[1].owners.none_ns);
	case MEASURES:
		break;
	}
	return 0;
}

/* All rounds of the case that round `first` is of; false: not its first round. */
static bool
gather(const struct drill_report *r, size_t first, struct group *g)
{
	const struct drill_case *what = r->round[first].what;
	double *v = calloc(r->n, sizeof(*v));
	struct spread *spread[MEASURES] = {
	    &g->outage, &g->back, &g->two, &g->two_back, &g->none};

	*g = (struct group){.what = what};
	for (size_t i = 0; i < first; i++) {
		if (r->round[i].what == what || v == NULL) {
			free(v);
			return false;
		}
	}
	for (unsigned m = 0; v != NULL && m < MEASURES; m++) {
		size_t n = 0;

		for (size_t i = first; i < r->n; i++) {
			if (r->round[i].what == what)
				v[n++] = measure_of(&r->round[i], (enum measure)m);
		}
		*spread[m] = spread_of(v, n);
		g->n = n;
	}
	free(v);
	for (size_t i = first; i < r->n; i++) {
		const struct drill_round *k = &r->round[i];

		if (k->what != what)
			continue;
		g->unsettled += !k->settled;
		g->doubtful += k->doubtful;
		for (size_t p = 0; p < ARRAY_LEN(k->phase); p++) {
			g->failed += k->phase[p].load.failures;
			g->retried += k->phase[p].load.retried;
			g->broken += k->phase[p].load.broken;
			g->requests += k->phase[p].load.requests;
			g->moves += k->phase[p].owners.moves;
		}
	}
	return true;
}

void
report_table(const struct drill_report *r, FILE *f, bool colour)
{
	const char *bold = colour ? "\033[1m" : "", *red = colour ? "\033[31m" : "";
	const char *plain = colour ? "\033[0m" : "";
	size_t doubtful = 0;
	struct group g;

	(void)fprintf(f,
	    "%s%s, heartbeat %.0f ms; times in ms%s\n"
	    "%-18s %26s %9s %15s %17s %7s %6s\n"
	    "%-18s %26s %9s %7s %7s %8s %8s %7s %6s\n",
	    bold, r->program, ms(r->heartbeat_ns), plain, "", "nobody answered", "",
	    "requests", "two owners", "no", "", "case", "min / median / max", "return",
	    "failed", "broken", "during", "after", "owner", "moves");
	for (size_t i = 0; i < r->n; i++) {
		char outage[64];

		if (!gather(r, i, &g))
			continue;
		(void)snprintf(outage, sizeof(outage), "%.1f / %.1f / %.1f",
		    g.outage.min, g.outage.median, g.outage.max);
		(void)fprintf(f,
		    "%-18s %26s %9.1f %7llu %7llu %8.1f %8.1f %7.1f %6u%s\n",
		    g.what->name, outage, g.back.max, (unsigned long long)g.failed,
		    (unsigned long long)g.broken, g.two.max, g.two_back.max, g.none.max,
		    g.moves,
		    g.unsettled > 0  ? " !"
		    : g.doubtful > 0 ? " ~"
				     : "");
		doubtful += g.doubtful;
	}
	for (size_t i = 0; i < r->n; i++) {
		if (!r->round[i].settled)
			(void)fprintf(f, "%s! %s on %s: %s%s\n", red,
			    r->round[i].what->name, r->round[i].victim,
			    r->round[i].trouble, plain);
	}
	if (doubtful > 0)
		(void)fprintf(f,
		    "~ this machine stood still in %zu round%s (the prober itself did "
		    "not run): measure again\n",
		    doubtful, doubtful == 1 ? "" : "s");
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

size_t
report_story(const struct drill_report *r, const struct drill_round *round,
    struct moment *m, size_t max)
{
	const struct world *w = &r->drill->world;
	mono_t start = round->phase[0].from;
	uint32_t before = round->n_events > 0 ? round->event[0].holders : 0;
	char what[100];
	size_t n = 0;

	drill_describe(round->what, round->victim, what, sizeof(what));
	tell(m, max, &n, 0, "%s", what);
	tell(m, max, &n, mono_sub(round->phase[1].from, start),
	    round->what->undo == NULL || round->what->returns ? "settled"
							      : "the cause is undone");
	for (size_t i = 1; i < round->n_events; i++) {
		uint32_t now = round->event[i].holders;

		for (size_t h = 0; h < w->n_hosts; h++) {
			uint32_t bit = UINT32_C(1) << h;

			if (((now ^ before) & bit) != 0)
				tell(m, max, &n, mono_sub(round->event[i].at, start),
				    "%s %s %s", w->host[h].host->name,
				    (now & bit) != 0 ? "takes" : "lets go of",
				    r->drill->ip->name);
		}
		before = now;
	}
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

	(void)fprintf(f, "\n%s\n", round->what->name);
	for (size_t i = 0; i < n; i++)
		(void)fprintf(f, "  %+10.1f ms  %s\n", ms(m[i].at_ns), m[i].text);
	(void)fprintf(f,
	    "  slowest answer %.1f ms; %llu requests on kept connections, "
	    "%llu failed\n",
	    (double)round->phase[0].probes.slowest_us / 1e3,
	    (unsigned long long)round->phase[0].load.requests +
		round->phase[1].load.requests,
	    (unsigned long long)round->phase[0].load.failures +
		round->phase[1].load.failures);
}

static json_t *
spread_json(const struct spread *s)
{
	return json_pack(
	    "{s:f,s:f,s:f}", "min", s->min, "median", s->median, "max", s->max);
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
	return json_pack(
	    "{s:f,s:f,s:i,s:i,s:i,s:f,s:f,s:I,s:I,s:o,s:I,s:I,s:f,s:f,s:f,s:i}",
	    "lasted_ms", ms(mono_sub(p->to, p->from)), "outage_ms",
	    ms(p->probes.outage_ns), "outages", (int)p->probes.outages,
	    "probes_answered", (int)p->probes.answered, "probes_failed",
	    (int)p->probes.failed, "slowest_probe_ms",
	    (double)p->probes.slowest_us / 1e3, "prober_pause_ms",
	    ms(p->probes.pause_ns), "requests", (json_int_t)p->load.requests,
	    "requests_failed", (json_int_t)p->load.failures, "failures", failed,
	    "requests_retried", (json_int_t)p->load.retried, "connections_broken",
	    (json_int_t)p->load.broken, "slowest_request_ms",
	    (double)p->load.slowest_us / 1e3, "two_owners_ms", ms(p->owners.two_ns),
	    "no_owner_ms", ms(p->owners.none_ns), "moves", (int)p->owners.moves);
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
	return json_pack("{s:s,s:b,s:b,s:s,s:o,s:o,s:o}", "victim", round->victim,
	    "settled", (int)round->settled, "doubtful", (int)round->doubtful, "trouble",
	    round->trouble, "during", phase_json(&round->phase[0]), "after",
	    phase_json(&round->phase[1]), "story", story);
}

int
report_json(const struct drill_report *r, FILE *f)
{
	json_t *cases = json_array(), *all;
	struct group g;
	int err;

	for (size_t i = 0; i < r->n; i++) {
		json_t *rounds;

		if (!gather(r, i, &g))
			continue;
		rounds = json_array();
		for (size_t k = i; k < r->n; k++) {
			if (r->round[k].what == g.what)
				(void)json_array_append_new(
				    rounds, round_json(r, &r->round[k]));
		}
		(void)json_array_append_new(cases,
		    json_pack("{s:s,s:i,s:o,s:o,s:o,s:o,s:o,s:I,s:I,s:I,s:I,s:o}",
			"case", g.what->name, "unsettled", (int)g.unsettled,
			"outage_ms", spread_json(&g.outage), "return_outage_ms",
			spread_json(&g.back), "two_owners_ms", spread_json(&g.two),
			"two_owners_after_ms", spread_json(&g.two_back), "no_owner_ms",
			spread_json(&g.none), "requests", (json_int_t)g.requests,
			"requests_failed", (json_int_t)g.failed, "requests_retried",
			(json_int_t)g.retried, "connections_broken",
			(json_int_t)g.broken, "rounds", rounds));
	}
	all = json_pack("{s:s,s:f,s:s,s:o}", "program", r->program, "heartbeat_ms",
	    ms(r->heartbeat_ns), "cluster", r->drill->world.cluster->name, "cases",
	    cases);
	err = json_dumpf(all, f, JSON_INDENT(1)) == 0 ? 0 : -EIO;
	(void)fputc('\n', f);
	json_decref(all);
	return err;
}
