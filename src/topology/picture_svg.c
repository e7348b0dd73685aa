/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "topology/layout.h"
#include "topology/picture.h"
#include "topology/picture_data.h"

#define COLUMNS	   10 /* hosts in a row, at most */
#define BOX_W	   116
#define BOX_H	   46
#define STEP_X	   (BOX_W + 14)
#define STEP_Y	   (BOX_H + 12)
#define LEFT	   130 /* room for what a tier is called */
#define RIGHT	   20
#define PILL_W	   (STEP_X * 2 - 14)
#define PILL_STEP  34
#define NET_STEP   30
#define NET_H	   20
#define NAME_SHOWN 14
#define LINE_H	   18
#define GOALS	   8 /* shown */
#define FINDINGS   12
#define OUTSIDES   12
#define TEXT_SHOWN 150

struct page {
	const struct topology *t;
	const struct cluster *c;
	struct layout layout;
	struct sbuf *out;
	int width;
	int *host_x, *host_y, *network_y;
	int columns;
	const size_t *failed;
	size_t n_failed;
};

/* Colours that people with any kind of sight tell apart, on white (Okabe and Ito). */
static const char *const network_colour[] = {"#0072b2", "#009e73", "#e69f00", "#cc79a7",
    "#56b4e9", "#7a5195", "#8c6d31", "#555555"};
static const char *const zone_tint[] = {"#e8f1fa", "#fdf1dc", "#e6f4ea", "#f3e8f7",
    "#fbe9e7", "#e0f2f1", "#f9fbe7", "#eceff1"};

static const char *
colour_of(const struct page *p, const struct network *net)
{
	return network_colour[(size_t)(net - p->c->network) %
			      (sizeof(network_colour) / sizeof(network_colour[0]))];
}

static const char *
tint_of(const struct page *p, const struct zone *zone)
{
	if (zone == NULL)
		return "#ffffff";
	return zone_tint[(size_t)(zone - p->c->zone) %
			 (sizeof(zone_tint) / sizeof(zone_tint[0]))];
}

/* At most `most` characters of `s`, as XML. */
static void
put_text(struct sbuf *out, const char *s, size_t most)
{
	for (size_t i = 0; s[i] != '\0'; i++) {
		bool cut = i + 1 == most && s[i + 1] != '\0';

		if (cut && ((unsigned char)s[i] & 0xc0) != 0x80) {
			sbuf_puts(out, "…");
			return;
		}
		switch (s[i]) {
		case '&':
			sbuf_puts(out, "&amp;");
			break;
		case '<':
			sbuf_puts(out, "&lt;");
			break;
		case '>':
			sbuf_puts(out, "&gt;");
			break;
		default:
			sbuf_put(out, &s[i], 1);
		}
	}
}

static void
put_label(
    struct page *p, int x, int y, const char *class, const char *text, size_t most)
{
	sbuf_printf(p->out, "<text x=\"%d\" y=\"%d\" class=\"%s\">", x, y, class);
	put_text(p->out, text, most);
	sbuf_puts(p->out, "</text>\n");
}

/* ---- places -------------------------------------------------------------------- */

static size_t
data_of(const struct page *p, enum tier tier)
{
	struct picture_data data;
	bool more = true;
	size_t n = 0;

	for (size_t i = 0; more; i++) {
		struct sbuf text;

		sbuf_init(&text, 4096);
		more = picture_data_at(p->t, i, &data, &text);
		n += more && p->layout.tier[data.first->index] == tier;
		sbuf_done(&text);
	}
	return n;
}

static size_t
pills_of(const struct page *p, enum tier tier)
{
	size_t n = 0;

	for (size_t i = 0; i < p->c->n_floating_ips; i++)
		n += p->layout.tier[p->c->floating_ip[i].host[0]->index] == tier;
	return n + data_of(p, tier);
}

static size_t
pills_in_row(const struct page *p)
{
	return p->columns >= 2 ? (size_t)p->columns / 2 : 1;
}

static int
rows(size_t n, size_t in_row)
{
	return (int)((n + in_row - 1) / in_row);
}

static int
place_gap(struct page *p, unsigned gap, int y)
{
	for (size_t i = 0; i < p->c->n_networks; i++) {
		if (p->layout.gap[i] != gap)
			continue;
		p->network_y[i] = y;
		y += NET_STEP;
	}
	return y;
}

static int
place_tier(struct page *p, enum tier tier, int y)
{
	size_t n = 0;

	y += rows(pills_of(p, tier), pills_in_row(p)) * PILL_STEP;
	for (size_t i = 0; i < p->c->n_hosts; i++) {
		if (p->layout.tier[i] != tier)
			continue;
		p->host_x[i] = LEFT + (int)(n % (size_t)p->columns) * STEP_X;
		p->host_y[i] = y + (int)(n / (size_t)p->columns) * STEP_Y;
		n++;
	}
	return y + rows(n, (size_t)p->columns) * STEP_Y + (n > 0 ? 10 : 0);
}

/* ---- elements ------------------------------------------------------------------ */

static bool
one_row(const struct page *p, enum tier tier)
{
	return p->layout.in_tier[tier] <= (size_t)p->columns;
}

/* Lines from hosts to networks in the gaps next to them, where none is in between. */
static void
draw_links(struct page *p)
{
	for (size_t i = 0; i < p->c->n_hosts; i++) {
		const struct host *h = &p->c->host[i];
		enum tier tier = p->layout.tier[i];

		for (size_t k = 0; k < h->n_addresses; k++) {
			const struct network *net = h->address[k].network;
			size_t at = (size_t)(net - p->c->network);
			int x = p->host_x[i] + 12 + (int)(k % 8) * 13;
			int y = p->host_y[i] + BOX_H;
			bool up = p->layout.gap[at] <= tier;
			bool weak =
			    layout_flag(p->t, p->layout.weak, AVAIL_LINK, h, net);

			if (!one_row(p, tier) && !weak)
				continue;
			if (up)
				y = p->host_y[i];
			sbuf_printf(p->out,
			    "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" "
			    "stroke=\"%s\" class=\"%s\"/>\n",
			    x, y, x, p->network_y[at] + NET_H / 2,
			    weak ? "#c00000" : colour_of(p, net),
			    weak ? "weak" : "link");
		}
	}
}

static void
draw_networks(struct page *p)
{
	char text[IP_STR_LEN];

	for (size_t i = 0; i < p->c->n_networks; i++) {
		const struct network *net = &p->c->network[i];
		bool weak = layout_flag(p->t, p->layout.weak, AVAIL_NETWORK, NULL, net);

		sbuf_printf(p->out,
		    "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"4\" "
		    "fill=\"%s\"%s/>\n",
		    LEFT, p->network_y[i], p->width - LEFT - RIGHT, NET_H,
		    colour_of(p, net),
		    weak ? " stroke=\"#c00000\" stroke-width=\"4\"" : "");
		sbuf_printf(p->out, "<text x=\"%d\" y=\"%d\" class=\"bar\">", LEFT + 8,
		    p->network_y[i] + 15);
		put_text(p->out, net->name, 64);
		sbuf_printf(p->out, " %s/%u%s%s%s</text>\n",
		    ip_format(&net->subnet.ip, text), net->subnet.bits,
		    p->layout.entry[i] ? " · clients" : "",
		    net->dedicated ? " · dedicated" : "",
		    net->redundant ? " · redundant" : "");
	}
}

static bool
zone_is_weak(const struct page *p, const struct zone *zone)
{
	for (size_t i = 0; i < p->t->n_failures; i++) {
		if (p->t->failure[i].zone == zone && p->layout.weak[i])
			return true;
	}
	return false;
}

static void
draw_host(struct page *p, size_t i)
{
	const struct host *h = &p->c->host[i];
	bool weak = layout_flag(p->t, p->layout.weak, AVAIL_HOST, h, NULL);
	bool gone = layout_flag(p->t, p->layout.failed, AVAIL_HOST, h, NULL);
	int x = p->host_x[i], y = p->host_y[i];

	sbuf_printf(p->out, "<g%s><title>", gone ? " opacity=\"0.3\"" : "");
	put_text(p->out, h->name, 64);
	sbuf_printf(p->out,
	    "</title><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"6\" "
	    "fill=\"%s\" stroke=\"%s\" stroke-width=\"%d\"/>\n",
	    x, y, BOX_W, BOX_H, weak ? "#fbd5d5" : tint_of(p, h->zone),
	    weak ? "#c00000" : "#444444", weak ? 3 : 1);
	put_label(p, x + 8, y + 18, "host", h->name, NAME_SHOWN);
	if (h->zone != NULL)
		put_label(p, x + 8, y + 33, zone_is_weak(p, h->zone) ? "bad" : "zone",
		    h->zone->name, NAME_SHOWN + 2);
	for (size_t k = 0; k < h->n_addresses; k++)
		sbuf_printf(p->out,
		    "<rect x=\"%d\" y=\"%d\" width=\"10\" height=\"5\" fill=\"%s\"/>\n",
		    x + 7 + (int)(k % 8) * 13, y + BOX_H - 8,
		    colour_of(p, h->address[k].network));
	sbuf_puts(p->out, "</g>\n");
}

static bool
address_is_weak(const struct page *p, const struct floating_ip *f)
{
	return f->n_hosts == 1 &&
	       layout_flag(p->t, p->layout.weak, AVAIL_HOST, f->host[0], NULL);
}

/* A pill at place `n` above a tier. */
static void
draw_pill(
    struct page *p, int y, size_t n, const char *text, const char *colour, bool weak)
{
	int x = LEFT + (int)(n % pills_in_row(p)) * STEP_X * 2;
	int at = y + (int)(n / pills_in_row(p)) * PILL_STEP;

	sbuf_printf(p->out, "<g><title>");
	put_text(p->out, text, 4096);
	sbuf_printf(p->out,
	    "</title><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"24\" "
	    "rx=\"12\" fill=\"%s\" stroke=\"%s\" stroke-width=\"2\"/>\n",
	    x, at, PILL_W, weak ? "#fbd5d5" : "#ffffff", weak ? "#c00000" : colour);
	put_label(p, x + 12, at + 16, "pill", text, 37);
	sbuf_puts(p->out, "</g>\n");
}

/* Databases and volumes after `n` others. */
static void
draw_data(struct page *p, enum tier tier, int y, size_t n)
{
	struct picture_data data;
	bool more = true;

	for (size_t i = 0; more; i++) {
		struct sbuf text;

		sbuf_init(&text, 4096);
		more = picture_data_at(p->t, i, &data, &text);
		if (more && p->layout.tier[data.first->index] == tier)
			draw_pill(p, y, n++, sbuf_text(&text), "#444444",
			    picture_data_weak(p->t, &data));
		sbuf_done(&text);
	}
}

/* Floating addresses above their tier, each with its hosts by name. */
static void
draw_pills(struct page *p, enum tier tier, int y)
{
	char text[IP_STR_LEN];
	size_t n = 0;

	for (size_t i = 0; i < p->c->n_floating_ips; i++) {
		const struct floating_ip *f = &p->c->floating_ip[i];
		struct sbuf line;

		if (p->layout.tier[f->host[0]->index] != tier)
			continue;
		sbuf_init(&line, 4096);
		sbuf_printf(&line, "%s %s:", f->name, ip_format(&f->address[0], text));
		for (size_t k = 0; k < f->n_hosts; k++)
			sbuf_printf(&line, " %s", f->host[k]->name);
		draw_pill(p, y, n++, sbuf_text(&line), colour_of(p, f->network),
		    address_is_weak(p, f));
		sbuf_done(&line);
	}
	draw_data(p, tier, y, n);
}

/* "goes on through what it must survive", or what else is to be said. */
static size_t
outsides(const struct page *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->t->n_failures; i++)
		n += p->t->failure[i].kind == AVAIL_OUTSIDE;
	return n < OUTSIDES ? n : OUTSIDES;
}

/* What others run, above everything; what there are more of is among the findings. */
static void
draw_outsides(struct page *p, int y)
{
	size_t n = 0;

	if (outsides(p) > 0)
		put_label(p, 12, y + 16, "tier", "outside", 20);
	for (size_t i = 0; i < p->t->n_failures && n < OUTSIDES; i++) {
		const struct failure *f = &p->t->failure[i];
		bool weak = p->layout.weak[i];
		int x = LEFT + (int)(n % pills_in_row(p)) * STEP_X * 2;
		int at = y + (int)(n / pills_in_row(p)) * PILL_STEP;
		struct sbuf line;

		if (f->kind != AVAIL_OUTSIDE)
			continue;
		n++;
		sbuf_init(&line, 4096);
		if (f->external != NULL)
			sbuf_printf(&line, "%s: ", f->external->name);
		sbuf_puts(&line, f->name + strlen("outside "));
		sbuf_printf(p->out,
		    "<g%s><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"24\" "
		    "rx=\"12\" fill=\"%s\" stroke=\"%s\" stroke-width=\"%d\" "
		    "stroke-dasharray=\"5 3\"/>\n",
		    p->layout.failed[i] ? " opacity=\"0.3\"" : "", x, at, PILL_W,
		    weak ? "#fbd5d5" : "#ffffff", weak ? "#c00000" : "#444444",
		    weak ? 3 : 1);
		put_label(p, x + 12, at + 16, "pill", sbuf_text(&line), 37);
		sbuf_puts(p->out, "</g>\n");
		sbuf_done(&line);
	}
}

static const char *
verdict(const struct page *p, size_t goal, bool *good)
{
	const struct goal *g = &p->t->goal[goal].goal;
	size_t set[2];

	*good = topology_survives(p->t, p->failed, p->n_failed, goal);
	if (!*good)
		return "down";
	if (g->must_survive == 0)
		return "need survive nothing";
	for (size_t i = 0; i < p->t->n_failures && p->n_failed == 0; i++) {
		set[0] = i;
		if ((p->t->failure[i].survive & g->must_survive) != 0 &&
		    !topology_survives(p->t, set, 1, goal))
			*good = false;
	}
	if (!*good)
		return "does not go on through all it must survive";
	return p->n_failed > 0 ? "goes on" : "goes on through what it must survive";
}

static void
draw_goals(struct page *p, int y)
{
	static const char *const class[] = {"bad", "ok"};

	for (size_t i = 0; i < p->t->n_goals && i < GOALS; i++) {
		const struct goal *g = &p->t->goal[i].goal;
		bool last = i + 1 == GOALS && p->t->n_goals > GOALS, good;
		const char *text = verdict(p, i, &good);
		struct sbuf line;

		sbuf_init(&line, 4096);
		if (last)
			sbuf_printf(&line, "and %zu more", p->t->n_goals - i);
		else
			sbuf_printf(&line, "%s %s: %s", g->what, g->name, text);
		put_label(p, LEFT, y, last ? "note" : class[good], sbuf_text(&line),
		    TEXT_SHOWN);
		sbuf_done(&line);
		y += LINE_H;
	}
}

static void
draw_findings(struct page *p, const struct findings *f, int y)
{
	static const char *const class[] = {[FINDING_ERROR] = "bad",
	    [FINDING_WARNING] = "warn",
	    [FINDING_NOTE] = "note"};

	y += LINE_H;
	for (size_t i = 0; i < f->n && i < FINDINGS; i++) {
		struct sbuf line;

		sbuf_init(&line, 65536);
		sbuf_printf(&line, "%s %s", finding_rules[f->item[i].code].code,
		    f->item[i].text);
		put_label(p, LEFT, y, class[f->item[i].level], sbuf_text(&line),
		    (size_t)(p->width - LEFT - RIGHT) / 7);
		sbuf_done(&line);
		y += LINE_H;
	}
}

/* ---- the page ------------------------------------------------------------------ */

static int
widest(const struct page *p)
{
	size_t n = 6;

	for (unsigned i = 0; i < TIERS; i++) {
		if (p->layout.in_tier[i] > n)
			n = p->layout.in_tier[i];
	}
	return n < COLUMNS ? (int)n : COLUMNS;
}

static int
place(struct page *p, int y, int *tier_y)
{
	y = place_gap(p, 0, y);
	for (unsigned i = 0; i < TIERS; i++) {
		tier_y[i] = y;
		y = place_tier(p, (enum tier)i, y);
		y = place_gap(p, i + 1, y);
	}
	return y;
}

static void
put_head(struct page *p, int height)
{
	sbuf_printf(p->out,
	    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
	    "width=\"%d\" height=\"%d\" font-family=\"sans-serif\">\n",
	    p->width, height, p->width, height);
	sbuf_puts(p->out,
	    "<style>text{font-size:12px;fill:#222}.title{font-size:18px;"
	    "font-weight:bold}.host{font-size:13px;font-weight:bold}.zone{"
	    "font-size:11px;fill:#555}.tier{fill:#555}.bar{fill:#fff;font-weight:bold}"
	    ".bad{fill:#c00000;font-weight:bold}.warn{fill:#a04000}.note{fill:#555}"
	    ".ok{fill:#00602f}.link{stroke-width:2;stroke-opacity:.6}"
	    ".weak{stroke-width:4}</style>\n");
	sbuf_printf(p->out, "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
	    p->width, height);
}

static void
draw(struct page *p, const struct findings *findings)
{
	int tier_y[TIERS], y = 30 + LINE_H, height, after, outside_y;
	size_t goals = p->t->n_goals < GOALS ? p->t->n_goals : GOALS;
	size_t shown = findings->n < FINDINGS ? findings->n : FINDINGS;

	outside_y = y + (int)goals * LINE_H;
	after = place(
	    p, outside_y + rows(outsides(p), pills_in_row(p)) * PILL_STEP, tier_y);
	height = after + (int)(shown + 2) * LINE_H + 10;
	put_head(p, height);
	put_label(p, LEFT, 28, "title", p->c->name, 64);
	draw_goals(p, y);
	draw_outsides(p, outside_y);
	draw_links(p);
	draw_networks(p);
	for (unsigned i = 0; i < TIERS; i++) {
		if (p->layout.in_tier[i] == 0)
			continue;
		put_label(p, 12, tier_y[i] + 30, "tier", tier_name((enum tier)i), 20);
		draw_pills(p, (enum tier)i, tier_y[i]);
	}
	for (size_t i = 0; i < p->c->n_hosts; i++)
		draw_host(p, i);
	draw_findings(p, findings, after);
	sbuf_puts(p->out, "</svg>\n");
}

int
picture_svg(const struct topology *t, const struct findings *findings,
    const size_t *failed, size_t n_failed, struct sbuf *out)
{
	struct arena *a = arena_new(TOPOLOGY_MAX);
	struct page p = {.t = t,
	    .c = t->cluster,
	    .out = out,
	    .failed = failed,
	    .n_failed = n_failed};
	int err = -ENOMEM;

	if (a == NULL)
		return -ENOMEM;
	p.host_x = arena_array(a, p.c->n_hosts + 1, sizeof(*p.host_x));
	p.host_y = arena_array(a, p.c->n_hosts + 1, sizeof(*p.host_y));
	p.network_y = arena_array(a, p.c->n_networks + 1, sizeof(*p.network_y));
	if (!arena_failed(a))
		err = layout_make(t, failed, n_failed, a, &p.layout);
	if (err == 0) {
		p.columns = widest(&p);
		p.width = LEFT + p.columns * STEP_X - 14 + RIGHT;
		draw(&p, findings);
	}
	arena_free(a);
	return err;
}
