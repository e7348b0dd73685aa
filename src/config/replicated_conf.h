/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replicated_conf.h - the part of cluster.h that databases and volumes have in common:
 * the same data on several hosts.
 */
#ifndef NINES_CONFIG_REPLICATED_CONF_H
#define NINES_CONFIG_REPLICATED_CONF_H

#include <stddef.h>

#include "config/routing.h"

struct host;
struct network;
struct service;

struct replicated {
	const char *name;
	const struct host *const *host; /* with a copy; each once */
	size_t n_hosts;
	const struct network *over; /* between them; never NULL with several */
	const struct service *const *service; /* that end without it */
	size_t n_services;		      /* 0: all of the file */
	unsigned must_survive;		      /* SURVIVE_ bits */
	struct place place;
};

#endif /* NINES_CONFIG_REPLICATED_CONF_H */
