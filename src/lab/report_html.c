/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A drill's results as one page that needs nothing else: the table, and for every
 * round a picture of what happened when. Plain SVG; the few lines of script only
 * show what the pointer is at.
 */
#include <errno.h>
#include <string.h>

#include "lab/report.h"
#include "topology/picture.h"

#define WIDTH	    860.0 /* of the plot, in pixels */
#define LEFT	    90.0  /* for the names of lanes */
#define LANE	    22.0
#define TICKS	    9
#define STORY_MAX   64
#define OPEN_MAX    20 /* rounds; of more, only those that went wrong are unfolded */
#define PICTURE_MAX ((size_t)4 << 20)

struct plot {
	FILE *f;
	const struct drill_report *r;
	const struct drill_round *round;
	mono_t from, to; /* the window shown */
};

static const char head[] =
    "<!doctype html><html lang=en><meta charset=utf-8>"
    "<meta name=viewport content='width=device-width,initial-scale=1'>"
    "<title>nines drill</title><style>\n"
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1a1f26;--dim:#667085;"
    "--line:#e3e6eb;--ok:#2f9e6e;--bad:#d64545;--own:#3b73d9;--own2:#8e5bd0;--two:#"
    "e08a00}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#12161c;--fg:#e6e9ee;"
    "--dim:#8b95a5;--line:#2a313b;--ok:#3fb983;--bad:#f06a6a;--own:#6c9cf5;--own2:#"
    "b48cf2;"
    "--two:#f0a63a}}\n"
    "body{font:15px/1.5 system-ui,sans-serif;background:var(--bg);color:var(--fg);"
    "max-width:1200px;margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .3rem}"
    "p{color:var(--dim);margin:.2rem 0}\n"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;"
    "margin:1.2rem 0;font-size:13px}td,th{padding:.15rem .5rem;text-align:right;"
    "border-bottom:1px solid var(--line)}th{font-weight:600;color:var(--dim);"
    "vertical-align:bottom;line-height:1.2}"
    "td:first-child,th:first-child{text-align:left;white-space:nowrap}"
    "a{color:var(--own)}.bad{color:var(--bad)}.sum{white-space:pre-line}"
    ".key{display:inline-block;width:.8em;height:.8em;border-radius:2px;"
    "margin:0 .3em 0 1em}\n"
    "svg{width:100%;min-width:700px;height:auto;display:block;margin:.5rem 0}"
    "svg text{fill:var(--dim);font:11px system-ui,sans-serif}\n"
    "img{max-width:100%;height:auto;background:#fff;border-radius:6px;margin:1rem 0}"
    ".scroll{overflow-x:auto}details{margin:.3rem 0}summary{cursor:pointer}"
    "summary b{font-size:1.1rem}details.round{margin:1rem 0}"
    "pre{font:13px/1.5 ui-monospace,monospace;margin:.4rem 0;overflow-x:auto}\n"
    "#tip{position:fixed;pointer-events:none;background:var(--fg);color:var(--bg);"
    "padding:.15rem .5rem;border-radius:4px;font-size:12px;display:none}\n"
    "</style>\n";

static const char legend[] =
    "<p>client: <i class=key style='background:var(--ok)'></i>answered"
    "<i class=key style='background:var(--bad)'></i>failed, the share of every 10 ms. "
    "Floating addresses: <i class=key style='background:var(--own)'></i>the preferred "
    "host has it<i class=key style='background:var(--own2)'></i>another host"
    "<i class=key style='background:var(--two)'></i>two hosts</p>\n";

static const char tail[] =
    "<div id=tip></div><script>\n"
    "const tip=document.getElementById('tip');\n"
    "document.addEventListener('mousemove',e=>{const t=e.target.dataset&&"
    "e.target.dataset.t;tip.style.display=t?'block':'none';if(t){tip.textContent=t;"
    "tip.style.left=e.clientX+12+'px';tip.style.top=e.clientY+12+'px'}})\n"
    "function show(){const d=document.getElementById(decodeURIComponent("
    "location.hash.slice(1)));if(d){d.open=true;d.scrollIntoView()}}\n"
    "addEventListener('hashchange',show);show()\n"
    "</script></html>\n";

static double
ms(int64_t ns)
{
	return (double)ns / 1e6;
}

/* Text of ours and names of the file: neither may end a tag. */
static void
escape(FILE *f, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '<')
			(void)fputs("&lt;", f);
		else if (*s == '&')
			(void)fputs("&amp;", f);
		else if (*s == '"')
			(void)fputs("&quot;", f);
		else
			(void)fputc(*s, f);
	}
}

static double
x_of(const struct plot *p, mono_t t)
{
	double part = ms(mono_sub(t, p->from)) / ms(mono_sub(p->to, p->from));

	return LEFT + WIDTH * (part < 0 ? 0 : part > 1 ? 1 : part);
}

static void
bar(const struct plot *p, unsigned lane, mono_t from, mono_t to, const char *colour,
    const char *what)
{
	double x = x_of(p, from), w = x_of(p, to) - x;

	if (!mono_before(p->from, to) || !mono_before(from, p->to))
		return;
	(void)fprintf(p->f,
	    "<rect x='%.1f' y='%.0f' width='%.1f' height='%.0f' rx=2 "
	    "fill='var(--%s)' data-t=\"",
	    x, LANE * lane + 18, w < 2 ? 2 : w, LANE - 7, colour);
	escape(p->f, what);
	(void)fprintf(p->f, ", %.1f ms\"/>\n", ms(mono_sub(to, from)));
}

static void
mark(const struct plot *p, mono_t t, unsigned lanes, const char *what)
{
	double x = x_of(p, t);

	if (mono_before(t, p->from) || !mono_before(t, p->to))
		return;
	(void)fprintf(p->f,
	    "<line x1='%.1f' x2='%.1f' y1=14 y2='%.0f' stroke='var(--fg)' "
	    "stroke-dasharray='3 3'/><text x='%.1f' y=10>%s</text>\n",
	    x, x, LANE * lanes + 18, x + 3, what);
}

/* A step of 1, 2 or 5 with so many zeros that a span has at most ten of them. */
static int64_t
step_of(int64_t span_ns)
{
	static const int64_t next[] = {2, 5, 10};
	int64_t unit = MS_NS;

	for (;; unit *= 10) {
		int64_t step = unit;

		for (size_t i = 0; i < ARRAY_LEN(next); i++) {
			if (span_ns / step <= TICKS)
				return step;
			step = unit * next[i];
		}
	}
}

static void
axis(const struct plot *p, unsigned lanes)
{
	mono_t start = p->round->phase[0].from;
	int64_t step = step_of(mono_sub(p->to, p->from));
	int64_t at = mono_sub(p->from, start) / step * step;

	for (; at <= mono_sub(p->to, start); at += step) {
		double x = x_of(p, (mono_t){start.ns + at});

		if (at < mono_sub(p->from, start))
			continue;
		(void)fprintf(p->f,
		    "<line x1='%.1f' x2='%.1f' y1=14 y2='%.0f' stroke='var(--line)'/>"
		    "<text x='%.1f' y='%.0f' text-anchor=middle>",
		    x, x, LANE * lanes + 18, x, LANE * lanes + 32);
		if (step >= SEC_NS)
			(void)fprintf(p->f, "%.0f s</text>\n", (double)at / 1e9);
		else
			(void)fprintf(p->f, "%.0f ms</text>\n", ms(at));
	}
}

static void
lane_name(const struct plot *p, unsigned lane, const char *name)
{
	(void)fprintf(p->f, "<text x='%.0f' y='%.0f' text-anchor=end>", LEFT - 8,
	    LANE * lane + 30);
	escape(p->f, name);
	(void)fputs("</text>\n", p->f);
}

/* One floating address: a bar for each host that had it. */
static void
owner_lane(const struct plot *p, unsigned lane, size_t which)
{
	const struct world *w = &p->r->drill->world;
	const struct owner_lane *own = &p->round->lane[which];
	char what[CLUSTER_NAME_MAX + 32];

	for (size_t i = 0; i < own->n; i++) {
		uint32_t holders = own->event[i].holders;
		mono_t to =
		    i + 1 < own->n ? own->event[i + 1].at : p->round->phase[1].to;
		mono_t from = own->event[i].at;
		int who = holders != 0 ? __builtin_ctz(holders) : 0;
		bool two = (holders & (holders - 1)) != 0;

		if (mono_before(from, p->from))
			from = p->from;
		if (holders == 0)
			continue;
		(void)snprintf(what, sizeof(what), "%s%s has it",
		    w->host[who].host->name, two ? ", and another host," : "");
		bar(p, lane, from, to,
		    two ? "two"
		    : p->r->drill->world.host[who].host ==
			    w->cluster->floating_ip[which].host[0]
			? "own"
			: "own2",
		    what);
	}
}

/* What became of the requests of every 10 ms: answered up, failed red. */
static void
beat_lane(const struct plot *p)
{
	const struct drill_round *r = p->round;
	double step = WIDTH * PROBE_BEAT_NS / (double)mono_sub(p->to, p->from);
	double high = LANE - 7;

	bar(p, 0, mono_before(p->from, r->phase[0].from) ? r->phase[0].from : p->from,
	    mono_min(p->to, r->phase[1].to), "ok", "answered");
	for (size_t i = 0; i < r->n_beats && r->beat != NULL; i++) {
		const struct probe_beat *b = &r->beat[i];
		mono_t at = mono_add(r->phase[0].from, (int64_t)i * PROBE_BEAT_NS);
		double part = (double)b->failed / (b->answered + b->failed + 1e-9);

		if (b->failed == 0 || mono_before(at, p->from) ||
		    !mono_before(at, p->to))
			continue;
		(void)fprintf(p->f,
		    "<rect x='%.1f' y='%.1f' width='%.2f' height='%.1f' "
		    "fill='var(--bad)' data-t='%d of %d failed, +%.0f ms'/>\n",
		    x_of(p, at), 18 + high * (1 - part), step < 1 ? 1 : step,
		    high * part, b->failed, b->answered + b->failed,
		    ms(mono_sub(at, r->phase[0].from)));
	}
}

/* Addresses that changed hands, and the one under test. */
static size_t
lanes_of(const struct drill_report *r, const struct drill_round *round,
    size_t which[FLOATS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < r->drill->n_owners_of; i++) {
		if (i == round->tested || round->lane[i].n > 1)
			which[n++] = i;
	}
	return n;
}

static void
picture(FILE *f, const struct drill_report *r, const struct drill_round *round,
    mono_t from, mono_t to)
{
	struct plot p = {f, r, round, from, to};
	size_t which[FLOATS_MAX], n = lanes_of(r, round, which);
	unsigned lanes = (unsigned)n + 1;

	(void)fprintf(f, "<div class=scroll><svg viewBox='0 0 %.0f %.0f'>\n",
	    LEFT + WIDTH + 30, LANE * lanes + 38);
	axis(&p, lanes);
	lane_name(&p, 0, "client");
	beat_lane(&p);
	for (size_t i = 0; i < n; i++) {
		lane_name(&p, (unsigned)i + 1,
		    r->drill->world.cluster->floating_ip[which[i]].name);
		owner_lane(&p, (unsigned)i + 1, which[i]);
	}
	mark(&p, round->phase[0].from, lanes, "break");
	mark(&p, round->phase[1].from, lanes, "mend");
	(void)fputs("</svg></div>\n", f);
}

/* A closer look at a failure that is short beside the whole round. */
static void
pictures(FILE *f, const struct drill_report *r, const struct drill_round *round)
{
	const struct phase *p = &round->phase[0];
	int64_t outage = p->probes.outage_ns;
	mono_t start = {p->from.ns - 50 * MS_NS};
	mono_t near = mono_add(p->from, 2 * outage + 150 * MS_NS);

	if (mono_before(near, p->to))
		picture(f, r, round, start, near);
	picture(f, r, round, start, round->phase[1].to);
}

static void
row(FILE *f, const struct drill_round *r)
{
	const struct phase *a = &r->phase[0], *b = &r->phase[1];

	(void)fprintf(f,
	    "<tr><td>%s%s<td>%s<td>%.1f<td>%.1f<td>%llu<td>%llu<td>%llu<td>%llu<td>%.1f"
	    "<td>%.1f<td>%.1f\n",
	    r->name, r->settled ? "" : " <b class=bad>!</b>", r->victim,
	    ms(a->probes.outage_ns), ms(b->probes.outage_ns),
	    (unsigned long long)a->load.failures + b->load.failures,
	    (unsigned long long)a->load.broken + b->load.broken,
	    (unsigned long long)r->writes.acknowledged,
	    (unsigned long long)ledger_wrong(&r->writes), ms(a->two_ns), ms(b->two_ns),
	    ms(a->owners.none_ns + b->owners.none_ns));
}

static void
round_section(FILE *f, const struct drill_report *r, const struct drill_round *round)
{
	struct moment m[STORY_MAX];
	size_t n = report_story(r, round, m, STORY_MAX);

	(void)fprintf(f,
	    "<details class=round id='%s'%s><summary><b>%s</b>: ", round->name,
	    r->n <= OPEN_MAX || !round->settled ? " open" : "", round->name);
	escape(f, m[0].text);
	(void)fputs("</summary>\n", f);
	if (!round->settled) {
		(void)fputs("<p class=bad>", f);
		escape(f, round->trouble);
		(void)fputs("</p>\n", f);
	}
	pictures(f, r, round);
	(void)fputs("<details><summary>what happened when</summary><pre>", f);
	for (size_t i = 0; i < n; i++) {
		(void)fprintf(f, "%+10.1f ms  ", ms(m[i].at_ns));
		escape(f, m[i].text);
		(void)fputc('\n', f);
	}
	(void)fputs("</pre></details></details>\n", f);
}

/* A drill of all failures: what was foretold beside what was seen. */
static void
failure_row(FILE *f, const struct drill_report *r, const struct report_group *g)
{
	uint64_t wrong = g->writes_lost + g->writes_repeated;
	bool ends = g->survived < g->played;
	char remote[24] = "";
	double was;

	if (g->has_remote)
		(void)snprintf(remote, sizeof(remote), "%.0f", g->remote.max);

	(void)fprintf(f, "<tr><td><a href='#%s'>%s</a>%s<td>%s<td%s>%s<td>%.0f",
	    g->first->name, g->first->name,
	    g->unsettled > 0 ? " <b class=bad>!</b>" : "",
	    report_forecast(g->first->forecast), ends ? " class=bad" : "",
	    report_seen(g), g->outage.median);
	if (r->before.all != NULL &&
	    report_old_outage(&r->before, g->first->name, &was))
		(void)fprintf(f, " <small>(%.0f)</small>", was);
	(void)fprintf(f,
	    "<td>%s<td>%llu<td>%llu<td>%llu<td>%llu<td>%llu<td>%llu<td%s>%llu"
	    "<td>%.0f<td>%.0f\n",
	    remote, (unsigned long long)g->probes_failed, (unsigned long long)g->failed,
	    (unsigned long long)g->broken,
	    (unsigned long long)g->flows[FLOW_DOWNLOAD].broken,
	    (unsigned long long)g->flows[FLOW_PUSH].broken,
	    (unsigned long long)g->writes, wrong > 0 ? " class=bad" : "",
	    (unsigned long long)wrong,
	    g->two.max > g->two_back.max ? g->two.max : g->two_back.max,
	    g->recovery.max);
}

static void
failures_table(FILE *f, const struct drill_report *r)
{
	struct report_group g;

	(void)fputs("<div class=scroll><table><tr><th>failure<th>foretold<th>seen"
		    "<th>outage<th>through the VPN<th>new requests "
		    "failed<th>kept<th>kept connections "
		    "lost<th>downloads<th>pushes<th>writes<th>lost or twice<th>two "
		    "owners<th>all well after\n",
	    f);
	for (size_t i = 0; i < r->n; i++) {
		if (report_gather(r, i, &g))
			failure_row(f, r, &g);
	}
	(void)fputs("</table></div>\n", f);
}

static void
cases_table(FILE *f, const struct drill_report *r)
{
	(void)fputs(
	    "<div class=scroll><table><tr><th>case<th>host<th>outage"
	    "<th>on return<th>requests failed<th>connections broken<th>writes<th>lost "
	    "or twice<th>two owners<th>after<th>no owner\n",
	    f);
	for (size_t i = 0; i < r->n; i++)
		row(f, &r->round[i]);
	(void)fputs("</table></div>\n", f);
}

/* As an image: the picture's own style does not reach the page. */
static void
embed(FILE *f, const char *svg)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_.!~*()/,;= ";

	(void)fputs("<img alt='the cluster: paths, floating addresses, and in red what "
		    "ends the service alone' src=\"data:image/svg+xml,",
	    f);
	for (; *svg != '\0'; svg++) {
		if (strchr(plain, *svg) != NULL)
			(void)fputc(*svg, f);
		else
			(void)fprintf(f, "%%%02X", (unsigned)(uint8_t)*svg);
	}
	(void)fputs("\">\n", f);
}

/* What `nines spof --picture` draws. A page without it is still a page. */
static void
topology_picture(FILE *f, const struct topology *t)
{
	const struct findings_input nothing = {.n_failed = 0};
	struct findings findings = {0};
	struct sbuf svg;

	if (t == NULL || findings_collect(t, &nothing, &findings) != 0)
		return;
	sbuf_init(&svg, PICTURE_MAX);
	if (picture_svg(t, &findings, NULL, 0, &svg) == 0 && !svg.bad)
		embed(f, sbuf_text(&svg));
	sbuf_done(&svg);
	findings_done(&findings);
}

int
report_html(const struct drill_report *r, FILE *f)
{
	(void)fputs(head, f);
	(void)fprintf(f,
	    "<h1>Drill of cluster %s</h1><p>%s %s, heartbeat %.0f ms. A new connection "
	    "every millisecond; times in ms. An outage lasts from the sending of the "
	    "first request that failed to the sending of the first that was answered "
	    "again.</p>\n<p>Again: <code>",
	    r->drill->world.cluster->name, r->program,
	    r->drill->world.engine == ENGINE_NINES ? NINES_VERSION : "",
	    ms(r->heartbeat_ns));
	escape(f, r->command);
	(void)fputs("</code></p>\n", f);
	(void)fputs("<p class=sum>", f);
	if (r->n > 0 && r->round[0].generated)
		report_conclude(r, f);
	else
		report_writes(r, f);
	(void)fputs("</p>\n", f);
	topology_picture(f, r->drill->topology);
	if (r->n > 0 && r->round[0].generated)
		failures_table(f, r);
	else
		cases_table(f, r);
	(void)fputs(legend, f);
	for (size_t i = 0; i < r->n; i++)
		round_section(f, r, &r->round[i]);
	(void)fputs(tail, f);
	return ferror(f) != 0 ? -EIO : 0;
}
