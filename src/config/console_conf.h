/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console_conf.h - the part of cluster.h about the page that shows the cluster.
 *
 * Nothing here changes what runs: `nines spof` reasons with it.
 */
#ifndef NINES_CONFIG_CONSOLE_CONF_H
#define NINES_CONFIG_CONSOLE_CONF_H

#include <stddef.h>

#include "config/listen_at_conf.h"
#include "config/routing.h"

struct host;

struct console {
	struct listen_at listen;
	const struct host *const *host; /* that it runs on: those of `listen` */
	size_t n_hosts;			/* 0: there is none */
	unsigned must_survive;		/* SURVIVE_ bits */
	struct place place;
};

#endif /* NINES_CONFIG_CONSOLE_CONF_H */
