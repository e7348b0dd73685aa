/* SPDX-License-Identifier: Apache-2.0 */
/* What `nines spof` says to people. */

#include <stdlib.h>
#include <string.h>

#include "base/plural.h"
#include "cli/spof.h"
#include "config/units.h"
#include "topology/picture.h"

#define PAIRS_SHOWN 8
#define ENDS_SHOWN  8

const char *const spof_class[SPOF_CLASSES] = {"host", "zone", "network", "external"};

unsigned
spof_survived(const struct spof *s, size_t goal, size_t n[SPOF_CLASSES])
{
	static const unsigned bit[SPOF_CLASSES] = {
	    SURVIVE_HOST, SURVIVE_ZONE, SURVIVE_NETWORK, SURVIVE_EXTERNAL};
	size_t failed[SPOF_WITHOUT_MAX + 1];
	unsigned survived = (1U << SPOF_CLASSES) - 1;

	memcpy(failed, s->without, s->n_without * sizeof(failed[0]));
	memset(n, 0, SPOF_CLASSES * sizeof(n[0]));
	for (size_t i = 0; i < topology_n_failures(s->topology); i++) {
		const struct failure *f = topology_failure(s->topology, i);
		bool goes_on;

		failed[s->n_without] = i;
		goes_on =
		    topology_survives(s->topology, failed, s->n_without + 1, goal);
		for (unsigned k = 0; k < SPOF_CLASSES; k++) {
			if ((f->survive & bit[k]) == 0)
				continue;
			n[k]++;
			if (!goes_on)
				survived &= ~(1U << k);
		}
	}
	return survived;
}

static const char *
shade(const struct spof *s, const char *colour)
{
	return s->colour ? colour : "";
}

static void
put_name(const struct spof *s, size_t failure, struct sbuf *out)
{
	const struct failure *f = topology_failure(s->topology, failure);

	sbuf_puts(out, f->kind == AVAIL_HOST ? f->host->name : f->name);
}

/* ---- goals --------------------------------------------------------------------- */

/* What the findings say ends `goal`, each alone. */
static void
put_ends(const struct spof *s, size_t goal, struct sbuf *out)
{
	size_t shown = 0, more = 0;

	for (size_t i = 0; i < s->findings.n; i++) {
		const struct finding *f = &s->findings.item[i];
		bool about = false;

		for (size_t k = 0; k < f->n_goals; k++)
			about = about || f->goal[k] == goal;
		for (size_t k = 0; about && k < f->n_failures; k++) {
			if (shown == ENDS_SHOWN) {
				more++;
				continue;
			}
			sbuf_puts(out, shown == 0 ? "  ends with " : ", ");
			put_name(s, f->failure[k], out);
			shown++;
		}
	}
	if (more > 0)
		sbuf_printf(out, ", %zu more", more);
	if (shown > 0)
		sbuf_puts(out, "\n");
}

static void
put_pairs(const struct spof *s, size_t goal, struct sbuf *out)
{
	const struct failure_pairs *p = s->pairs != NULL ? &s->pairs[goal] : NULL;

	if (p == NULL || p->n == 0)
		return;
	for (size_t i = 0; i < p->n && i < PAIRS_SHOWN; i++) {
		sbuf_puts(out, i == 0 ? "  ends with two: " : ", ");
		put_name(s, p->item[i].a, out);
		sbuf_puts(out, " + ");
		put_name(s, p->item[i].b, out);
	}
	if (p->n > PAIRS_SHOWN)
		sbuf_printf(out, ", %zu more", p->n - PAIRS_SHOWN);
	sbuf_puts(out, "\n");
}

/* "minimal cut sets: 1 of one, 16 of two, 36 of three" */
static void
put_cuts(const struct spof *s, size_t goal, struct sbuf *out)
{
	uint64_t count[SPOF_ORDER_MAX + 1];

	if (s->order <= 2)
		return;
	if (cuts_count(s->topology, goal, s->without, s->n_without, s->order, count) !=
	    0) {
		sbuf_puts(out, "  its cut sets are beyond what can be computed here\n");
		return;
	}
	sbuf_puts(out, "  minimal cut sets:");
	for (unsigned i = 1; i <= s->order; i++)
		sbuf_printf(out, "%s %llu of %u", i > 1 ? "," : "",
		    (unsigned long long)count[i], i);
	sbuf_puts(out, "\n");
}

/* One digit, since the rates have no more. */
static void
put_avail(const struct spof *s, size_t goal, struct sbuf *out)
{
	const struct avail *a = &s->avail[goal];
	char percent[AVAIL_TEXT_LEN], down[AVAIL_TEXT_LEN], moves[AVAIL_TEXT_LEN],
	    takeover[UNITS_LEN];
	const double gone = a->down + a->failovers;

	if (topology_goal(s->topology, goal)->role == GOAL_COPIES)
		return; /* a host that is off has not lost its data */
	if (!a->known) {
		sbuf_puts(
		    out, "  its availability is beyond what can be computed here\n");
		return;
	}
	sbuf_printf(out, "  there %s of the time: gone %s a year",
	    avail_percent(gone, percent), avail_a_year(gone, down));
	if (a->failure != SIZE_MAX && a->down >= a->failovers) {
		sbuf_puts(out, ", mostly for ");
		put_name(s, a->failure, out);
	}
	if (a->moves > 0)
		sbuf_printf(out, "; failovers take %s of it",
		    avail_a_year(a->failovers, moves));
	if (a->database != NULL)
		sbuf_printf(out, ", each takeover of %s %s", a->database->of.name,
		    duration_format(a->database->takeover_ns, takeover));
	sbuf_puts(out, "\n");
	/* Half of it at least, or it is not worth a machine. */
	if (a->n_twins > 0 && a->twin[0].down + a->failovers < gone / 2)
		sbuf_printf(out, "  one more host like %s: gone %s a year\n",
		    a->twin[0].host->name,
		    avail_a_year(a->twin[0].down + a->failovers, down));
	else
		sbuf_puts(out, "  one more host of any kind: much the same\n");
}

/* When what clients are shown ends: everywhere at once, whatever is redundant. */
static void
put_certificates(const struct spof *s, size_t goal, struct sbuf *out)
{
	const struct service *service = topology_goal(s->topology, goal)->service;

	for (size_t i = 0; i < s->certificates.n; i++) {
		const struct certificate *c = &s->certificates.item[i];

		if (c->service == service && c->days_left >= 0)
			sbuf_printf(out, "  ends with %s on %s, in %d day%s\n", c->file,
			    c->until, c->days_left, plural((uint64_t)c->days_left));
		else if (c->service == service)
			sbuf_printf(out, "  ended with %s on %s\n", c->file, c->until);
	}
}

/* What is said of a goal, without its name. */
static void
put_goal(const struct spof *s, size_t i, struct sbuf *out)
{
	size_t n[SPOF_CLASSES];
	unsigned survived = spof_survived(s, i, n), shown = 0;

	if (!topology_survives(s->topology, s->without, s->n_without, i)) {
		sbuf_printf(
		    out, "%sdown%s\n", shade(s, "\033[1;31m"), shade(s, "\033[0m"));
		return;
	}
	for (unsigned k = 0; k < SPOF_CLASSES; k++) {
		if ((survived >> k & 1) == 0 || n[k] == 0)
			continue;
		sbuf_printf(out, "%s%s",
		    shown == 0 ? "goes on without any one " : ", any one ",
		    spof_class[k]);
		shown++;
	}
	sbuf_puts(out, shown == 0 ? "goes on only while nothing fails\n" : "\n");
	put_ends(s, i, out);
	put_pairs(s, i, out);
	put_cuts(s, i, out);
	put_certificates(s, i, out);
	put_avail(s, i, out);
}

/* Goals of which the same is to be said are one paragraph. */
static void
put_alike(
    const struct spof *s, const struct sbuf *text, size_t n, size_t i, struct sbuf *out)
{
	const char *what = topology_goal(s->topology, i)->what;

	for (size_t k = 0; k < n; k++) {
		const struct goal *g = topology_goal(s->topology, k);
		bool alike = strcmp(g->what, what) == 0 &&
			     strcmp(sbuf_text(&text[k]), sbuf_text(&text[i])) == 0;

		if (alike && k < i)
			return; /* said there */
		if (!alike)
			continue;
		sbuf_printf(out, "%s %s%s%s", k == i ? what : ",", shade(s, "\033[1m"),
		    g->name, shade(s, "\033[0m"));
	}
	sbuf_printf(out, ": %s", sbuf_text(&text[i]));
}

static void
put_goals(const struct spof *s, struct sbuf *out)
{
	size_t n = topology_n_goals(s->topology);
	struct sbuf *text = calloc(n + 1, sizeof(*text));

	for (size_t i = 0; i < n && text != NULL; i++) {
		sbuf_init(&text[i], SPOF_OUTPUT_MAX);
		put_goal(s, i, &text[i]);
	}
	for (size_t i = 0; i < n && text != NULL; i++)
		put_alike(s, text, n, i, out);
	for (size_t i = 0; i < n && text != NULL; i++)
		sbuf_done(&text[i]);
	free(text);
}

/* ---- findings ------------------------------------------------------------------ */

/* The line of the file numbered `line`, without its end. */
static const char *
source_line(const struct spof *s, unsigned line, size_t *len)
{
	const char *p = sbuf_text(s->source);

	for (; line > 1 && p != NULL; line--) {
		p = strchr(p, '\n');
		if (p != NULL)
			p++;
	}
	*len = p != NULL ? strcspn(p, "\n") : 0;
	return p;
}

static void
put_source(const struct spof *s, const struct finding *f, struct sbuf *out)
{
	size_t len;
	const char *line = source_line(s, f->place.line, &len);

	if (line == NULL || f->place.line == 0)
		return;
	sbuf_printf(out, "%5u | ", f->place.line);
	for (size_t i = 0; i < len; i++) /* nothing in a file may steer a terminal */
		sbuf_put(out, (unsigned char)line[i] < 0x20 ? " " : &line[i], 1);
	sbuf_puts(out, "\n      | ");
	for (unsigned i = 1; i < f->place.column; i++)
		sbuf_puts(out, " ");
	sbuf_puts(out, shade(s, "\033[1;32m"));
	for (unsigned i = 0; i < f->width; i++)
		sbuf_puts(out, i == 0 ? "^" : "~");
	sbuf_puts(out, shade(s, "\033[0m"));
	if (f->change != NULL)
		sbuf_printf(out, " %s", f->change);
	sbuf_puts(out, "\n");
}

static void
put_finding(const struct spof *s, const struct finding *f, struct sbuf *out)
{
	static const struct {
		const char *name, *colour;
	} level[] = {[FINDING_ERROR] = {"error", "\033[1;31m"},
	    [FINDING_WARNING] = {"warning", "\033[1;35m"},
	    [FINDING_NOTE] = {"note", "\033[1;36m"}};

	sbuf_printf(out, "%s:%u:%u: %s%s %s:%s %s\n", s->file, f->place.line,
	    f->place.column, shade(s, level[f->level].colour), level[f->level].name,
	    finding_rules[f->code].code, shade(s, "\033[0m"), f->text);
	put_source(s, f, out);
}

void
spof_text(const struct spof *s, struct sbuf *out)
{
	size_t before;

	for (size_t i = 0; i < s->n_without; i++)
		sbuf_printf(out, "%s%s", i == 0 ? "without " : ", ",
		    topology_failure(s->topology, s->without[i])->name);
	if (s->n_without > 0)
		sbuf_puts(out, ":\n");
	before = out->len;
	if (picture_text(s->topology, s->without, s->n_without, s->colour, out) != 0)
		sbuf_puts(out, "(no memory for the picture)\n");
	if (out->len > before)
		sbuf_puts(out, "\n");
	if (topology_n_goals(s->topology) == 0)
		sbuf_puts(out,
		    "nothing to analyse: the file has no service, floating IP, "
		    "VPN or data that could end\n");
	put_goals(s, out);
	spof_history_text(s, out);
	for (size_t i = 0; i < s->findings.n; i++) {
		sbuf_puts(out, "\n");
		put_finding(s, &s->findings.item[i], out);
	}
}
