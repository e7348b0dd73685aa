/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_config.h - the verbs about the cluster file itself; they need no running nines.
 *
 * Each takes the verb as argv[0] and returns an exit status: 0, EXIT_NEGATIVE for a
 * file with errors, EXIT_USAGE.
 */
#ifndef NINES_CLI_CLI_CONFIG_H
#define NINES_CLI_CLI_CONFIG_H

#include <stdbool.h>
#include <stdio.h>

#include "base/diag.h"
#include "base/sbuf.h"

int cli_check(int argc, char **argv);  /* [--json] FILE */
int cli_config(int argc, char **argv); /* [--full] FILE */
int cli_schema(int argc, char **argv); /* [--markdown] */

/* The whole file, or standard input for "-"; says itself what went wrong. */
bool cli_read_file(const char *path, struct sbuf *text);
/* On standard error, with the lines of `text`. */
void cli_print_findings(const struct diag_list *diags, const struct sbuf *text);
/* True if `f` is a terminal whose user wants colours. */
bool cli_want_colour(FILE *f);

#endif /* NINES_CLI_CLI_CONFIG_H */
