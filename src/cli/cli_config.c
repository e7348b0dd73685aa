/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/plural.h"
#include "base/sbuf.h"
#include "cli/check_ciphers.h"
#include "cli/check_files.h"
#include "cli/source.h"
#include "cli/verbs.h"
#include "config/cluster.h"
#include "config/export.h"
#include "config/writer.h"

#define OUTPUT_MAX ((size_t)256 << 20)

/* One option and at most one file. */
struct arguments {
	const char *file;
	bool option;
};

static bool
parse_arguments(int argc, char **argv, const char *option, struct arguments *a)
{
	*a = (struct arguments){0};
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], option) == 0)
			a->option = true;
		else if ((argv[i][0] == '-' && argv[i][1] != '\0') || a->file != NULL)
			return false;
		else
			a->file = argv[i];
	}
	return true;
}

static int
usage(const char *name)
{
	const struct verb *v = verb_find(verbs, name);

	ASSERT(v != NULL);
	return verb_usage(v);
}

/* Prints `out` and frees it; false if the reader is gone or the text was too long. */
static bool
print(FILE *f, struct sbuf *out)
{
	bool ok = !out->bad;

	ok = ok && fwrite(sbuf_text(out), 1, out->len, f) == out->len;
	ok = fflush(f) == 0 && ok;
	sbuf_done(out);
	return ok;
}

/* "FILE: ok (2 hosts, 1 floating IP, 1 service, 3 servers)" */
static void
print_ok(const char *file, const struct cluster *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_services; i++)
		n += c->service[i].n_servers;
	(void)printf(
	    "%s: ok (%zu host%s, %zu floating IP%s, %zu service%s, %zu server%s)\n",
	    file, c->n_hosts, plural(c->n_hosts), c->n_floating_ips,
	    plural(c->n_floating_ips), c->n_services, plural(c->n_services), n,
	    plural(n));
}

/* What is as the file says, and may not be all that was hoped for. */
static void
print_notes(const char *file, const struct cluster *c)
{
	for (size_t i = 0; i < c->n_services; i++) {
		const struct service *s = &c->service[i];

		if (s->balancing.sticky_source && !sticky_has_table(&s->balancing))
			(void)printf("%s:%u:%u: note: sources of \"%s\" have their "
				     "server by a hash, and some move when a server "
				     "leaves or comes back; a table remembers: sticky: "
				     "{by: source, sync: NETWORK}\n",
			    file, s->place.line, s->place.column, s->name);
	}
}

static void
print_json(bool ok, const struct diag_list *diags)
{
	struct sbuf out;

	sbuf_init(&out, OUTPUT_MAX);
	sbuf_printf(&out, "{\"ok\":%s,\"errors\":%zu,\"warnings\":%zu,\"findings\":",
	    ok ? "true" : "false", diags->errors, diags->warnings);
	diag_json(diags, &out);
	sbuf_puts(&out, "}\n");
	(void)print(stdout, &out);
}

int
cli_check(int argc, char **argv)
{
	struct source s;
	struct arguments a;
	int rc = EXIT_NEGATIVE;

	if (!parse_arguments(argc, argv, "--json", &a) || a.file == NULL)
		return usage("check");
	if (source_read(&s, a.file)) {
		bool ok;

		if (s.cluster != NULL) {
			check_ciphers(s.cluster, &s.diags);
			check_files(s.cluster, &s.diags);
		}
		ok = s.cluster != NULL && s.diags.errors == 0;
		if (a.option)
			print_json(ok, &s.diags);
		else
			source_print_findings(&s);
		if (ok && !a.option) {
			print_ok(a.file, s.cluster);
			print_notes(a.file, s.cluster);
		}
		rc = ok ? EXIT_SUCCESS : EXIT_NEGATIVE;
	}
	source_done(&s);
	return rc;
}

int
cli_config(int argc, char **argv)
{
	struct source s;
	struct arguments a;
	struct sbuf out;
	int rc = EXIT_NEGATIVE;

	if (!parse_arguments(argc, argv, "--full", &a) || a.file == NULL)
		return usage("config");
	if (source_read(&s, a.file))
		source_print_findings(&s);
	if (s.cluster != NULL) {
		sbuf_init(&out, OUTPUT_MAX);
		cluster_write(s.cluster, a.option, &out);
		if (print(stdout, &out))
			rc = EXIT_SUCCESS;
	}
	source_done(&s);
	return rc;
}

int
cli_schema(int argc, char **argv)
{
	struct arguments a;
	struct sbuf out;

	if (!parse_arguments(argc, argv, "--markdown", &a) || a.file != NULL)
		return usage("schema");
	sbuf_init(&out, OUTPUT_MAX);
	if (a.option)
		export_markdown(&out);
	else
		export_json_schema(&out);
	return print(stdout, &out) ? EXIT_SUCCESS : EXIT_NEGATIVE;
}
