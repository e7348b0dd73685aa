/* SPDX-License-Identifier: Apache-2.0 */
/*
 * survive.h - `must_survive`, as several sections have it.
 *
 * Private to config/.
 */
#ifndef NINES_CONFIG_SURVIVE_H
#define NINES_CONFIG_SURVIVE_H

#include "base/sbuf.h"
#include "config/reader.h"

/* The SURVIVE_ bits that `node` says; reports what is wrong with it. */
unsigned survive_read(struct reader *r, const struct yaml *node);
void survive_write(unsigned bits, struct sbuf *out);

#define SURVIVE_SCHEMA                                                      \
	"{\"anyOf\":[{\"enum\":[\"none\",\"host\",\"zone\",\"network\","    \
	"\"external\"]},{\"type\":\"array\",\"items\":{\"enum\":[\"host\"," \
	"\"zone\",\"network\",\"external\"]}}]}"
#define SURVIVE_SYNTAX \
	"none, host, zone, network, external or a list such as [zone, network]"

#endif /* NINES_CONFIG_SURVIVE_H */
