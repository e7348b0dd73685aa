/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli.h - the verbs that talk to a running `nines run` on this host.
 *
 * Each takes the verb as argv[0] and returns an exit status (verbs.h). They are thin
 * clients: one line to the control socket, one JSON object back, printed for people
 * (coloured on a terminal unless NO_COLOR is set, plain in a pipe) or with --json.
 */
#ifndef NINES_CLI_CLI_H
#define NINES_CLI_CLI_H

#include "base/check.h"

/*
 * Where `nines run` keeps its control socket unless --run-dir says otherwise: what the
 * variable CLI_RUN_DIR_VARIABLE of the environment says (`nines lab exec` sets it), or
 * /run/nines.
 */
#define CLI_RUN_DIR_VARIABLE "NINES_RUN_DIR"
const char *cli_run_dir(void);

int cli_status(int argc, char **argv);
int cli_top(int argc, char **argv);
int cli_order(int argc, char **argv);	 /* reload, drain, enable, move, stop */
int cli_spof(int argc, char **argv);	 /* needs no running nines */
int cli_outages(int argc, char **argv);	 /* nor does it */
int cli_vpn(int argc, char **argv);	 /* key, add, revoke, list */
int cli_firewall(int argc, char **argv); /* show, test, confirm, on, off */
int cli_help(int argc, char **argv);
int cli_completion(int argc, char **argv);
int cli_version(int argc, char **argv);

#endif /* NINES_CLI_CLI_H */
