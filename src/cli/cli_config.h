/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli_config.h - the verbs about the cluster file itself; they need no running nines.
 *
 * Each takes the verb as argv[0] and returns an exit status: 0, EXIT_NEGATIVE for a
 * file with errors, EXIT_USAGE.
 */
#ifndef NINES_CLI_CLI_CONFIG_H
#define NINES_CLI_CLI_CONFIG_H

int cli_check(int argc, char **argv);  /* [--json] FILE */
int cli_config(int argc, char **argv); /* [--full] FILE */
int cli_schema(int argc, char **argv); /* [--markdown] */

#endif /* NINES_CLI_CLI_CONFIG_H */
