/* SPDX-License-Identifier: Apache-2.0 */
/* What `nines spof` says to programs: JSON of its own, and SARIF 2.1.0. */

#include <string.h>

#include "cli/spof.h"

static const char *const level_name[] = {
    [FINDING_ERROR] = "error", [FINDING_WARNING] = "warning", [FINDING_NOTE] = "note"};

static void
put_member(struct sbuf *out, const char *key, const char *value)
{
	sbuf_printf(out, "\"%s\":", key);
	if (value != NULL)
		sbuf_json(out, value);
	else
		sbuf_puts(out, "null");
}

static void
put_failures(const struct spof *s, const size_t *list, size_t n, struct sbuf *out)
{
	sbuf_puts(out, "[");
	for (size_t i = 0; i < n; i++) {
		sbuf_puts(out, i > 0 ? "," : "");
		sbuf_json(out, topology_failure(s->topology, list[i])->name);
	}
	sbuf_puts(out, "]");
}

static void
put_goals(const struct spof *s, const size_t *list, size_t n, struct sbuf *out)
{
	sbuf_puts(out, "[");
	for (size_t i = 0; i < n; i++) {
		const struct goal *g = topology_goal(s->topology, list[i]);

		sbuf_puts(out, i > 0 ? ",{" : "{");
		put_member(out, "what", g->what);
		sbuf_puts(out, ",");
		put_member(out, "name", g->name);
		sbuf_puts(out, "}");
	}
	sbuf_puts(out, "]");
}

/* ---- JSON ---------------------------------------------------------------------- */

static void
put_survival(const struct spof *s, size_t goal, struct sbuf *out)
{
	size_t failed[SPOF_WITHOUT_MAX + 1];
	bool first = true;

	memcpy(failed, s->without, s->n_without * sizeof(failed[0]));
	sbuf_puts(out, "\"ends_with\":[");
	for (size_t i = 0; i < topology_n_failures(s->topology); i++) {
		failed[s->n_without] = i;
		if (topology_survives(s->topology, failed, s->n_without + 1, goal))
			continue;
		sbuf_puts(out, first ? "" : ",");
		sbuf_json(out, topology_failure(s->topology, i)->name);
		first = false;
	}
	sbuf_puts(out, "]");
}

static void
put_pairs(const struct spof *s, size_t goal, struct sbuf *out)
{
	const struct failure_pairs *p;

	if (s->pairs == NULL)
		return;
	p = &s->pairs[goal];
	sbuf_printf(out, ",\"cut_sets_of_two\":%llu,\"ends_with_two\":[",
	    (unsigned long long)p->cut_sets);
	for (size_t i = 0; i < p->n; i++) {
		sbuf_puts(out, i > 0 ? ",[" : "[");
		sbuf_json(out, topology_failure(s->topology, p->item[i].a)->name);
		sbuf_puts(out, ",");
		sbuf_json(out, topology_failure(s->topology, p->item[i].b)->name);
		sbuf_puts(out, "]");
	}
	sbuf_puts(out, "]");
}

static void
put_cuts(const struct spof *s, size_t goal, struct sbuf *out)
{
	uint64_t count[SPOF_ORDER_MAX + 1];

	if (s->order <= 2)
		return;
	if (cuts_count(s->topology, goal, s->without, s->n_without, s->order, count) !=
	    0) {
		sbuf_puts(out, ",\"cut_sets\":null");
		return;
	}
	sbuf_puts(out, ",\"cut_sets\":[");
	for (unsigned i = 1; i <= s->order; i++)
		sbuf_printf(
		    out, "%s%llu", i > 1 ? "," : "", (unsigned long long)count[i]);
	sbuf_puts(out, "]");
}

static void
put_avail(const struct spof *s, size_t goal, struct sbuf *out)
{
	const struct avail *a = &s->avail[goal];
	bool first = true;

	if (!a->known) {
		sbuf_puts(out, ",\"availability\":null");
		return;
	}
	sbuf_printf(out,
	    ",\"availability\":{\"down\":%.1g,\"failovers\":%.1g,"
	    "\"failovers_a_year\":%.1g,\"takeovers\":%.1g,\"down_without\":{",
	    a->down, a->failovers, a->moves, a->takeovers);
	for (unsigned i = 0; i < AVAIL_KINDS; i++) {
		if (a->without_kind[i] >= a->down)
			continue;
		sbuf_printf(out, "%s\"%s\":%.1g", first ? "" : ",",
		    availability_kind_name[i], a->without_kind[i]);
		first = false;
	}
	sbuf_puts(out, "},");
	put_member(out, "mostly",
	    a->failure != SIZE_MAX ? topology_failure(s->topology, a->failure)->name
				   : NULL);
	sbuf_puts(out, ",\"one_more_host_like\":{");
	for (size_t i = 0; i < a->n_twins; i++)
		sbuf_printf(out, "%s\"%s\":%.1g", i > 0 ? "," : "",
		    a->twin[i].host->name, a->twin[i].down);
	sbuf_puts(out, "}}");
}

static void
put_certificates(const struct spof *s, size_t goal, struct sbuf *out)
{
	const struct service *service = topology_goal(s->topology, goal)->service;
	const char *sep = "";

	sbuf_puts(out, ",\"certificates\":[");
	for (size_t i = 0; i < s->certificates.n; i++) {
		const struct certificate *c = &s->certificates.item[i];

		if (service == NULL || c->service != service)
			continue;
		sbuf_printf(out, "%s{", sep);
		put_member(out, "file", c->file);
		sbuf_printf(
		    out, ",\"until\":\"%s\",\"days_left\":%d}", c->until, c->days_left);
		sep = ",";
	}
	sbuf_puts(out, "]");
}

static void
put_goal(const struct spof *s, size_t i, struct sbuf *out)
{
	const struct goal *g = topology_goal(s->topology, i);
	const char *sep = "";
	size_t n[SPOF_CLASSES];
	unsigned survived = spof_survived(s, i, n);
	bool up = topology_survives(s->topology, s->without, s->n_without, i);

	sbuf_puts(out, "{");
	put_member(out, "what", g->what);
	sbuf_puts(out, ",");
	put_member(out, "name", g->name);
	sbuf_printf(out, ",\"up\":%s,\"survives_any_one\":[", up ? "true" : "false");
	for (unsigned k = 0; k < SPOF_CLASSES && up; k++) {
		if ((survived >> k & 1) != 0 && n[k] > 0) {
			sbuf_printf(out, "%s\"%s\"", sep, spof_class[k]);
			sep = ",";
		}
	}
	sbuf_puts(out, "],");
	put_survival(s, i, out);
	put_pairs(s, i, out);
	put_cuts(s, i, out);
	put_certificates(s, i, out);
	put_avail(s, i, out);
	sbuf_puts(out, "}");
}

static void
put_finding(const struct spof *s, const struct finding *f, struct sbuf *out)
{
	sbuf_puts(out, "{");
	put_member(out, "code", finding_rules[f->code].code);
	sbuf_puts(out, ",");
	put_member(out, "name", finding_rules[f->code].name);
	sbuf_puts(out, ",");
	put_member(out, "level", level_name[f->level]);
	sbuf_printf(out, ",\"line\":%u,\"column\":%u,", f->place.line, f->place.column);
	put_member(out, "text", f->text);
	sbuf_puts(out, ",");
	put_member(out, "change", f->change);
	sbuf_puts(out, ",\"failures\":");
	put_failures(s, f->failure, f->n_failures, out);
	sbuf_puts(out, ",\"goals\":");
	put_goals(s, f->goal, f->n_goals, out);
	sbuf_puts(out, "}");
}

void
spof_json(const struct spof *s, struct sbuf *out)
{
	sbuf_puts(out, "{");
	put_member(out, "file", s->file);
	sbuf_puts(out, ",");
	put_member(out, "cluster", s->cluster->name);
	sbuf_printf(out, ",\"ok\":%s,\"errors\":%zu,\"warnings\":%zu,\"without\":",
	    s->findings.errors == 0 ? "true" : "false", s->findings.errors,
	    s->findings.warnings);
	put_failures(s, s->without, s->n_without, out);
	spof_history_json(s, out);
	sbuf_puts(out, ",\n\"failures\":[");
	for (size_t i = 0; i < topology_n_failures(s->topology); i++) {
		const struct failure *f = topology_failure(s->topology, i);

		sbuf_puts(out, i > 0 ? ",{" : "{");
		put_member(out, "name", f->name);
		sbuf_puts(out, ",");
		put_member(out, "kind", availability_kind_name[f->kind]);
		sbuf_puts(out, "}");
	}
	sbuf_puts(out, "],\n\"goals\":[");
	for (size_t i = 0; i < topology_n_goals(s->topology); i++) {
		sbuf_puts(out, i > 0 ? ",\n" : "");
		put_goal(s, i, out);
	}
	sbuf_puts(out, "],\n\"findings\":[");
	for (size_t i = 0; i < s->findings.n; i++) {
		sbuf_puts(out, i > 0 ? ",\n" : "");
		put_finding(s, &s->findings.item[i], out);
	}
	sbuf_puts(out, "]}\n");
}

/* ---- SARIF --------------------------------------------------------------------- */

/* The file as a reference (RFC 3986): a relative one must not look like a scheme. */
static void
put_reference(struct sbuf *out, const char *path)
{
	const char *colon = strchr(path, ':'), *slash = strchr(path, '/');

	sbuf_puts(out, "\"");
	if (*path == '/')
		sbuf_puts(out, "file://");
	else if (colon != NULL && (slash == NULL || colon < slash))
		sbuf_puts(out, "./");
	for (const char *p = path; *p != '\0'; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			     (*p >= '0' && *p <= '9') || strchr("-._~/:", *p) != NULL;

		if (plain)
			sbuf_put(out, p, 1);
		else
			sbuf_printf(out, "%%%02X", (unsigned)(unsigned char)*p);
	}
	sbuf_puts(out, "\"");
}

static void
put_rules(struct sbuf *out)
{
	for (size_t i = 0; i < FINDING_CODES; i++) {
		const struct finding_rule *r = &finding_rules[i];

		sbuf_puts(out, i > 0 ? ",\n{" : "{");
		put_member(out, "id", r->code);
		sbuf_puts(out, ",");
		put_member(out, "name", r->name);
		sbuf_puts(out, ",\"shortDescription\":{");
		put_member(out, "text", r->what);
		sbuf_puts(out, "}}");
	}
}

static void
put_result(const struct spof *s, const struct finding *f, struct sbuf *out)
{
	struct sbuf text;

	sbuf_init(&text, SPOF_OUTPUT_MAX);
	sbuf_printf(&text, "%s%s%s.", f->text,
	    f->change != NULL ? ". To change it: " : "",
	    f->change != NULL ? f->change : "");
	sbuf_puts(out, "{");
	put_member(out, "ruleId", finding_rules[f->code].code);
	sbuf_printf(out, ",\"ruleIndex\":%d,", (int)f->code);
	put_member(out, "level", level_name[f->level]);
	sbuf_puts(out, ",\"message\":{");
	put_member(out, "text", sbuf_text(&text));
	sbuf_puts(out,
	    "},\"locations\":[{\"physicalLocation\":{\"artifactLocation\":{\"uri\":");
	put_reference(out, s->file);
	sbuf_printf(out,
	    "},\"region\":{\"startLine\":%u,\"startColumn\":%u,\"endColumn\":%u}}}]}",
	    f->place.line > 0 ? f->place.line : 1,
	    f->place.column > 0 ? f->place.column : 1,
	    (f->place.column > 0 ? f->place.column : 1) + f->width);
	sbuf_done(&text);
}

void
spof_sarif(const struct spof *s, struct sbuf *out)
{
	sbuf_puts(out,
	    "{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\","
	    "\"version\":\"2.1.0\",\"runs\":[{\"tool\":{\"driver\":{\"name\":\"nines "
	    "spof\",\"version\":\"" NINES_VERSION "\",\n\"rules\":[");
	put_rules(out);
	sbuf_puts(out, "]}},\"columnKind\":\"unicodeCodePoints\",\n\"results\":[");
	for (size_t i = 0; i < s->findings.n; i++) {
		sbuf_puts(out, i > 0 ? ",\n" : "");
		put_result(s, &s->findings.item[i], out);
	}
	sbuf_puts(out, "]}]}\n");
}
