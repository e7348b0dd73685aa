/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "topology/layout.h"
#include "topology/picture.h"
#include "topology/picture_data.h"

#define CELL	 10 /* columns of a host's name and the space after it */
#define IN_ROW	 7
#define WIDTH	 74
#define INDENT	 2
#define RED	 "\033[1;31m"
#define NO_SHADE "\033[0m"

struct canvas {
	const struct topology *t;
	struct layout layout;
	struct sbuf *out;
	bool colour;
};

static void
put_shaded(struct canvas *p, bool weak, const char *text)
{
	sbuf_printf(p->out, "%s%s%s", weak && p->colour ? RED : "", text,
	    weak && p->colour ? NO_SHADE : "");
}

static void
pad(struct canvas *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sbuf_puts(p->out, " ");
}

/* "== main 10.0.0.0/24, clients =====================" */
static void
put_network(struct canvas *p, size_t i)
{
	const struct network *net = &p->t->cluster->network[i];
	bool weak = layout_flag(p->t, p->layout.weak, AVAIL_NETWORK, NULL, net);
	char address[IP_STR_LEN];
	struct sbuf line;

	sbuf_init(&line, 4096);
	sbuf_printf(&line, "== %s %s/%u%s%s%s ", net->name,
	    ip_format(&net->subnet.ip, address), net->subnet.bits,
	    p->layout.entry[i] ? ", clients" : "", net->dedicated ? ", dedicated" : "",
	    weak ? " (!)" : "");
	while (line.len < WIDTH)
		sbuf_puts(&line, "=");
	pad(p, INDENT);
	put_shaded(p, weak, sbuf_text(&line));
	sbuf_puts(p->out, "\n");
	sbuf_done(&line);
}

static void
put_host(struct canvas *p, const struct host *h, bool last)
{
	bool weak = layout_flag(p->t, p->layout.weak, AVAIL_HOST, h, NULL);
	bool gone = layout_flag(p->t, p->layout.failed, AVAIL_HOST, h, NULL);
	struct sbuf name;

	sbuf_init(&name, 256);
	sbuf_printf(&name, "%s%.*s%s%s", gone ? "(" : "", CELL - 3, h->name,
	    gone ? ")" : "", weak ? "!" : "");
	put_shaded(p, weak, sbuf_text(&name));
	pad(p, last ? 0 : name.len < CELL ? CELL - name.len : 1);
	sbuf_done(&name);
}

/* A stroke for each host of the row that is on a network of this gap. */
static void
put_strokes(struct canvas *p, const size_t *row, size_t n, unsigned gap)
{
	const struct cluster *c = p->t->cluster;
	bool any = false;

	for (size_t i = 0; i < c->n_networks; i++)
		any = any || p->layout.gap[i] == gap;
	if (!any)
		return;
	pad(p, INDENT);
	for (size_t i = 0; i < n; i++) {
		const struct host *h = &c->host[row[i]];
		bool on = false, weak = false;

		for (size_t k = 0; k < h->n_addresses; k++) {
			const struct network *net = h->address[k].network;

			if (p->layout.gap[net - c->network] != gap)
				continue;
			on = true;
			weak = weak ||
			       layout_flag(p->t, p->layout.weak, AVAIL_LINK, h, net);
		}
		pad(p, 1);
		put_shaded(p, weak, !on ? " " : weak ? "!" : "|");
		pad(p, i + 1 < n ? CELL - 2 : 0);
	}
	sbuf_puts(p->out, "\n");
}

static void
put_addresses(struct canvas *p, enum tier tier)
{
	const struct cluster *c = p->t->cluster;
	char text[IP_STR_LEN];

	for (size_t i = 0; i < c->n_floating_ips; i++) {
		const struct floating_ip *f = &c->floating_ip[i];

		if (p->layout.tier[f->host[0]->index] != tier)
			continue;
		pad(p, INDENT);
		sbuf_printf(
		    p->out, "(%s %s on", f->name, ip_format(&f->address[0], text));
		for (size_t k = 0; k < f->n_hosts; k++)
			sbuf_printf(
			    p->out, "%s %s", k > 0 ? " or" : "", f->host[k]->name);
		sbuf_puts(p->out, ")\n");
	}
}

/* "  outside: 198.51.100.1!, 192.0.2.53" */
static void
put_outsides(struct canvas *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->t->n_failures; i++) {
		const struct failure *f = &p->t->failure[i];
		const char *name = f->name + strlen("outside ");
		bool weak = p->layout.weak[i];
		struct sbuf one;

		if (f->kind != AVAIL_OUTSIDE)
			continue;
		sbuf_init(&one, 4096);
		sbuf_printf(&one, p->layout.failed[i] ? "(%s)%s" : "%s%s", name,
		    weak ? "!" : "");
		sbuf_puts(p->out, n++ == 0 ? "  outside: " : ", ");
		put_shaded(p, weak, sbuf_text(&one));
		sbuf_done(&one);
	}
	sbuf_puts(p->out, n > 0 ? "\n" : "");
}

/* "  [orders postgresql: db1 db2 db3 (late)]" */
static void
put_data(struct canvas *p, enum tier tier)
{
	struct picture_data data;
	struct sbuf text;
	bool more = true, weak;

	for (size_t i = 0; more; i++) {
		sbuf_init(&text, 4096);
		sbuf_puts(&text, "[");
		more = picture_data_at(p->t, i, &data, &text);
		if (more && p->layout.tier[data.first->index] == tier) {
			weak = picture_data_weak(p->t, &data);
			sbuf_puts(&text, weak ? "]!" : "]");
			pad(p, INDENT);
			put_shaded(p, weak, sbuf_text(&text));
			sbuf_puts(p->out, "\n");
		}
		sbuf_done(&text);
	}
}

static void
put_tier(struct canvas *p, enum tier tier)
{
	const struct cluster *c = p->t->cluster;
	size_t row[IN_ROW], n = 0;

	put_addresses(p, tier);
	put_data(p, tier);
	for (size_t i = 0; i <= c->n_hosts; i++) {
		if (n == IN_ROW || (i == c->n_hosts && n > 0)) {
			put_strokes(p, row, n, (unsigned)tier);
			pad(p, INDENT);
			for (size_t k = 0; k < n; k++)
				put_host(p, &c->host[row[k]], k + 1 == n);
			sbuf_puts(p->out, "\n");
			put_strokes(p, row, n, (unsigned)tier + 1);
			n = 0;
		}
		if (i < c->n_hosts && p->layout.tier[i] == tier)
			row[n++] = i;
	}
}

int
picture_text(const struct topology *t, const size_t *failed, size_t n_failed,
    bool colour, struct sbuf *out)
{
	struct canvas p = {.t = t, .out = out, .colour = colour};
	struct arena *a;
	int err;

	if (t->cluster->n_hosts > PICTURE_TEXT_HOSTS)
		return 0;
	a = arena_new(TOPOLOGY_MAX);
	err = a != NULL ? layout_make(t, failed, n_failed, a, &p.layout) : -ENOMEM;
	if (err == 0)
		put_outsides(&p);
	for (unsigned gap = 0; gap <= TIERS && err == 0; gap++) {
		for (size_t i = 0; i < t->cluster->n_networks; i++) {
			if (p.layout.gap[i] == gap)
				put_network(&p, i);
		}
		if (gap < TIERS)
			put_tier(&p, (enum tier)gap);
	}
	arena_free(a);
	return err;
}
