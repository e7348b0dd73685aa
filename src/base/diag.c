/* SPDX-License-Identifier: Apache-2.0 */
#include "base/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const severity_name[] = {
    [DIAG_ERROR] = "error", [DIAG_WARNING] = "warning"};

void
diag_init(struct diag_list *l, const char *file)
{
	*l = (struct diag_list){.file = file};
}

void
diag_done(struct diag_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->item[i].text);
		free(l->item[i].hint);
	}
	free(l->item);
	*l = (struct diag_list){.file = l->file};
}

struct diag *
diag_add(struct diag_list *l, enum diag_severity severity, const char *code,
    unsigned line, unsigned column, const char *fmt, ...)
{
	struct diag *d;
	va_list ap;
	char *text;
	int n;

	if (severity == DIAG_ERROR)
		l->errors++;
	else
		l->warnings++;
	if (l->item == NULL)
		l->item = calloc(DIAG_MAX, sizeof(*l->item));
	if (l->item == NULL || l->n == DIAG_MAX) {
		l->dropped++;
		return NULL;
	}
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		l->dropped++;
		return NULL;
	}
	d = &l->item[l->n++];
	*d = (struct diag){.severity = severity,
	    .code = code,
	    .line = line,
	    .column = column,
	    .width = 1,
	    .text = text};
	return d;
}

void
diag_hint(struct diag *d, const char *fmt, ...)
{
	va_list ap;
	char *hint;
	int n;

	if (d == NULL)
		return;
	va_start(ap, fmt);
	n = vasprintf(&hint, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	free(d->hint);
	d->hint = hint;
}

static int
by_place(const void *a, const void *b)
{
	const struct diag *x = *(const struct diag *const *)a;
	const struct diag *y = *(const struct diag *const *)b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->column != y->column)
		return x->column < y->column ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* The line of `source` numbered `line`; NULL past the end. */
static const char *
find_line(const char *source, size_t len, unsigned line, size_t *line_len)
{
	const char *p = source, *end = source + len, *nl;

	for (; line > 1; line--) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL)
			return NULL;
		p = nl + 1;
	}
	nl = memchr(p, '\n', (size_t)(end - p));
	*line_len = (size_t)((nl != NULL ? nl : end) - p);
	return p;
}

static void
render_source(
    const struct diag *d, const char *source, size_t len, bool colour, struct sbuf *out)
{
	size_t n;
	const char *line = find_line(source, len, d->line, &n);

	if (line == NULL || d->column == 0)
		return;
	sbuf_printf(out, "%5u | ", d->line);
	for (size_t i = 0; i < n; i++) /* nothing in a file may steer a terminal */
		sbuf_put(out, (unsigned char)line[i] < 0x20 ? " " : &line[i], 1);
	sbuf_puts(out, "\n      | ");
	for (unsigned i = 1; i < d->column; i++)
		sbuf_puts(out, " ");
	sbuf_puts(out, colour ? "\033[1;32m^" : "^");
	for (unsigned i = 1; i < d->width; i++)
		sbuf_puts(out, "~");
	if (colour)
		sbuf_puts(out, "\033[0m");
	if (d->hint != NULL)
		sbuf_printf(out, " %s", d->hint);
	sbuf_puts(out, "\n");
}

static void
render_one(
    const struct diag_list *l, const struct diag *d, bool colour, struct sbuf *out)
{
	const char *shade = d->severity == DIAG_ERROR ? "\033[1;31m" : "\033[1;35m";

	sbuf_puts(out, l->file);
	if (d->line > 0)
		sbuf_printf(out, ":%u", d->line);
	if (d->line > 0 && d->column > 0)
		sbuf_printf(out, ":%u", d->column);
	sbuf_printf(out, ": %s%s:%s %s\n", colour ? shade : "",
	    severity_name[d->severity], colour ? "\033[0m" : "", d->text);
}

void
diag_render(const struct diag_list *l, const char *source, size_t len, bool colour,
    struct sbuf *out)
{
	const struct diag *order[DIAG_MAX];

	for (size_t i = 0; i < l->n; i++)
		order[i] = &l->item[i];
	if (l->n > 1)
		qsort(order, l->n, sizeof(order[0]), by_place);
	for (size_t i = 0; i < l->n; i++) {
		render_one(l, order[i], colour, out);
		if (source != NULL && order[i]->line > 0)
			render_source(order[i], source, len, colour, out);
		else if (order[i]->hint != NULL)
			sbuf_printf(out, "      %s\n", order[i]->hint);
	}
	if (l->dropped > 0)
		sbuf_printf(out, "%s: and %zu more findings\n", l->file, l->dropped);
}

void
diag_json(const struct diag_list *l, struct sbuf *out)
{
	sbuf_puts(out, "[");
	for (size_t i = 0; i < l->n; i++) {
		const struct diag *d = &l->item[i];

		sbuf_printf(out, "%s{\"severity\":\"%s\",\"code\":", i > 0 ? "," : "",
		    severity_name[d->severity]);
		sbuf_json(out, d->code);
		sbuf_puts(out, ",\"file\":");
		sbuf_json(out, l->file);
		sbuf_printf(
		    out, ",\"line\":%u,\"column\":%u,\"text\":", d->line, d->column);
		sbuf_json(out, d->text);
		sbuf_puts(out, ",\"hint\":");
		if (d->hint != NULL)
			sbuf_json(out, d->hint);
		else
			sbuf_puts(out, "null");
		sbuf_puts(out, "}");
	}
	sbuf_puts(out, "]");
}
