/* SPDX-License-Identifier: Apache-2.0 */
/* The table of a drill of all failures: what was foretold, and what was seen. */

#include <string.h>

#include "base/plural.h"
#include "lab/report.h"

const char *
report_forecast(enum forecast f)
{
	switch (f) {
	case FORECAST_NONE:
		break;
	case FORECAST_SURVIVES:
		return "survives";
	case FORECAST_ENDS:
		return "ends";
	case FORECAST_NOT_RUN:
		return "not run";
	}
	return "?";
}

const char *
report_seen(const struct report_group *g)
{
	if (g->played == 0)
		return "nothing";
	if (g->survived == g->played)
		return "survives";
	return g->survived == 0 ? "ends" : "both";
}

static void
row(const struct drill_report *r, const struct report_group *g, FILE *f)
{
	char outage[64], before[16] = "", remote[16] = "-";
	double was;

	(void)snprintf(outage, sizeof(outage), "%.0f / %.0f / %.0f", g->outage.min,
	    g->outage.median, g->outage.max);
	if (report_old_outage(&r->before, g->first->name, &was))
		(void)snprintf(before, sizeof(before), "%.0f", was);
	if (g->has_remote)
		(void)snprintf(remote, sizeof(remote), "%.0f", g->remote.max);
	(void)fprintf(f,
	    "%-32s %-9s %-9s %20s %6s %6s %7llu %7llu %5llu %5llu %5llu %6llu %5llu "
	    "%5llu "
	    "%7.0f "
	    "%8.0f%s\n",
	    g->first->name, report_forecast(g->first->forecast), report_seen(g), outage,
	    before, remote, (unsigned long long)g->probes_failed,
	    (unsigned long long)g->failed, (unsigned long long)g->broken,
	    (unsigned long long)g->flows[FLOW_DOWNLOAD].broken,
	    (unsigned long long)g->flows[FLOW_PUSH].broken,
	    (unsigned long long)g->writes, (unsigned long long)g->writes_lost,
	    (unsigned long long)g->writes_repeated,
	    g->two.max > g->two_back.max ? g->two.max : g->two_back.max,
	    g->recovery.max,
	    g->unsettled > 0  ? " !"
	    : g->doubtful > 0 ? " ~"
			      : "");
}

/* What stands in the file and was not there to be broken. */
static bool
has_data(const struct drill_report *r)
{
	const struct cluster *c = r->drill != NULL ? r->drill->world.cluster : NULL;

	return c != NULL && c->n_databases + c->n_volumes > 0;
}

/* A few sentences that a person may go home with. */
void
report_conclude(const struct drill_report *r, FILE *f)
{
	size_t failures = 0, ended = 0, wrong = 0, unknown = 0, idle = 0, data = 0;
	struct report_group g;
	double worst = 0;

	for (size_t i = 0; i < r->n; i++) {
		if (!report_gather(r, i, &g))
			continue;
		failures++;
		wrong += g.unsettled > 0;
		ended += g.survived < g.played;
		idle += g.played == 0;
		unknown += g.first->forecast == FORECAST_NONE;
		data += g.first->forecast == FORECAST_NOT_RUN;
		if (g.survived == g.played && g.outage.max > worst)
			worst = g.outage.max;
	}
	(void)fprintf(f,
	    "%zu failure%s: %zu ended the service, %zu %s survived, "
	    "with an outage of at most %.0f ms\n",
	    failures, plural(failures), ended, failures - ended - idle,
	    failures - ended - idle == 1 ? "was" : "were", worst);
	if (idle > 0)
		(void)fprintf(f, "%zu could not be played\n", idle);
	if (unknown > 0)
		(void)fprintf(f, "%zu of them the analysis says nothing of\n", unknown);
	if (has_data(r))
		(void)fprintf(f,
		    "databases and volumes are not run by this version: what the "
		    "analysis says of them was not tried (%zu end the service only "
		    "by them)\n",
		    data);
	unknown += data;
	if (wrong > 0)
		(void)fprintf(f, "%zu went wrong\n", wrong);
	else if (unknown < failures)
		(void)fprintf(f, "the analysis was right about every one%s\n",
		    unknown > 0 ? " it speaks of" : "");
	report_writes(r, f);
}

void
report_failures(const struct drill_report *r, FILE *f, bool colour)
{
	const char *bold = colour ? "\033[1m" : "", *red = colour ? "\033[31m" : "";
	const char *plain = colour ? "\033[0m" : "";
	struct report_group g;

	(void)fprintf(f,
	    "%s%s, heartbeat %.0f ms, seed %lld; times in ms%s\n"
	    "%-32s %-9s %-9s %20s %6s %6s %15s %17s %18s %7s %8s\n"
	    "%-32s %-9s %-9s %20s %6s %6s %7s %7s %5s %5s %5s %6s %5s %5s %7s %8s\n",
	    bold, r->program, (double)r->heartbeat_ns / 1e6, (long long)r->seed, plain,
	    "", "", "", "nobody answered", "", "by VPN", "requests failed",
	    "connections lost", "writes", "two", "all well", "failure", "foretold",
	    "seen", "min / median / max", r->before.all != NULL ? "before" : "", "max",
	    "new", "kept", "kept", "down", "push", "done", "lost", "twice", "owners",
	    "after");
	for (size_t i = 0; i < r->n; i++) {
		if (report_gather(r, i, &g))
			row(r, &g, f);
	}
	for (size_t i = 0; i < r->n; i++) {
		if (!r->round[i].settled)
			(void)fprintf(f, "%s! %s: %s%s\n", red, r->round[i].name,
			    r->round[i].trouble, plain);
	}
	report_conclude(r, f);
}
