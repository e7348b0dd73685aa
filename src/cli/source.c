/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OUTPUT_MAX ((size_t)256 << 20)

bool
cli_read_file(const char *path, struct sbuf *text)
{
	bool is_stdin = strcmp(path, "-") == 0, ok;
	FILE *f = is_stdin ? stdin : fopen(path, "re");
	char buf[65536];
	size_t n;

	if (f == NULL) {
		(void)fprintf(stderr, "nines: %s: %s\n", path, strerror(errno));
		return false;
	}
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		sbuf_put(text, buf, n);
	ok = !ferror(f) && !text->bad;
	if (!ok)
		(void)fprintf(stderr, "nines: %s: %s\n", path,
		    text->bad ? "too large" : strerror(errno));
	if (!is_stdin)
		(void)fclose(f);
	return ok;
}

bool
cli_want_colour(FILE *f)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fileno(f)) && (no_color == NULL || *no_color == '\0') &&
	       (term == NULL || strcmp(term, "dumb") != 0);
}

bool
source_read(struct source *s, const char *path)
{
	s->cluster = NULL;
	sbuf_init(&s->text, CLUSTER_FILE_MAX);
	diag_init(&s->diags, path);
	if (!cli_read_file(path, &s->text))
		return false;
	s->cluster = cluster_parse(sbuf_text(&s->text), s->text.len, &s->diags);
	return true;
}

bool
source_load(struct source *s, const char *path)
{
	if (source_read(s, path) && s->cluster == NULL)
		source_print_findings(s);
	return s->cluster != NULL;
}

void
source_done(struct source *s)
{
	cluster_unref(s->cluster);
	diag_done(&s->diags);
	sbuf_done(&s->text);
}

void
source_print_findings(const struct source *s)
{
	struct sbuf out;

	sbuf_init(&out, OUTPUT_MAX);
	diag_render(
	    &s->diags, sbuf_text(&s->text), s->text.len, cli_want_colour(stderr), &out);
	(void)fwrite(sbuf_text(&out), 1, out.len, stderr);
	sbuf_done(&out);
}
