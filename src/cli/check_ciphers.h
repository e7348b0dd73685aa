/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_ciphers.h - what `nines check` says about `ciphers`.
 */
#ifndef NINES_CLI_CHECK_CIPHERS_H
#define NINES_CLI_CHECK_CIPHERS_H

#include "base/diag.h"
#include "config/cluster.h"

/* An error for each name that this host's OpenSSL does not know, and for a list that
 * leaves nothing. */
void check_ciphers(const struct cluster *c, struct diag_list *diags);

#endif /* NINES_CLI_CHECK_CIPHERS_H */
