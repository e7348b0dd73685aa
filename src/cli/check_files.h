/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_files.h - what `nines check` says about files that the cluster file names.
 */
#ifndef NINES_CLI_CHECK_FILES_H
#define NINES_CLI_CHECK_FILES_H

#include "base/diag.h"
#include "config/cluster.h"

/* Warns of certificates that cannot be used here, have expired or soon will, and of
 * other files and programs that are missing. Only warnings: the file may be checked on
 * another host than the one it is for. */
void check_files(const struct cluster *c, struct diag_list *diags);

#endif /* NINES_CLI_CHECK_FILES_H */
