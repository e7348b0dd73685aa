/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h - a cluster file that somebody names on the command line.
 */
#ifndef NINES_CLI_SOURCE_H
#define NINES_CLI_SOURCE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/diag.h"
#include "base/sbuf.h"
#include "config/cluster.h"

/* A cluster file as a verb works on it. */
struct source {
	struct sbuf text;
	struct diag_list diags;
	const struct cluster *cluster; /* NULL: it has errors. Can be taken over */
};

/* Reads and parses it; false: it could not be read, which has been said. Either way
 * source_done() ends it. */
bool source_read(struct source *s, const char *path);
/* The same, and false with all findings said if there is no cluster. */
bool source_load(struct source *s, const char *path);
void source_done(struct source *s);

/* On standard error, with the lines they are about. */
void source_print_findings(const struct source *s);

/* The whole file, or standard input for "-"; says itself what went wrong. */
bool cli_read_file(const char *path, struct sbuf *text);

/* True if `f` is a terminal whose user wants colours. */
bool cli_want_colour(FILE *f);

#endif /* NINES_CLI_SOURCE_H */
