/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certificates.h - how long the certificates are good that services show clients
 * (private to cli/). What cannot be read here is left out: `nines check` says so.
 */
#ifndef NINES_CLI_CERTIFICATES_H
#define NINES_CLI_CERTIFICATES_H

#include "topology/findings.h"

struct certificates {
	struct certificate *item;
	size_t n;
};

void certificates_read(const struct cluster *c, struct certificates *list);
void certificates_done(struct certificates *list);

#endif /* NINES_CLI_CERTIFICATES_H */
