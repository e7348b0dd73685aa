/* SPDX-License-Identifier: Apache-2.0 */
/*
 * external_conf.h - the part of cluster.h about what services need of others.
 *
 * Nothing here changes what runs: `nines spof` reasons with it.
 */
#ifndef NINES_CONFIG_EXTERNAL_CONF_H
#define NINES_CONFIG_EXTERNAL_CONF_H

#include <stddef.h>
#include <stdint.h>

#include "config/routing.h"

struct service;

enum external_kind { EXTERNAL_DNS, EXTERNAL_UPSTREAM, EXTERNAL_API, EXTERNAL_OTHER };

/* Something that services do not go on without, at one place or several. */
struct external {
	const char *name;
	enum external_kind kind;
	/* What fails one by one: addresses and names; those of hosts of the file stand
	 * for these. Empty: one thing, called `name`. */
	struct texts at;
	unsigned needs;			      /* so many of them: 1 .. */
	const struct service *const *service; /* that need it */
	size_t n_services;		      /* 0: all of the file */
	struct place place;
};

#endif /* NINES_CONFIG_EXTERNAL_CONF_H */
