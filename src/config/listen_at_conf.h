/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen_at_conf.h - the part of cluster.h that "NAME:PORT" comes to: a place to listen
 * at, on a floating IP or a host.
 */
#ifndef NINES_CONFIG_LISTEN_AT_CONF_H
#define NINES_CONFIG_LISTEN_AT_CONF_H

#include "base/ip.h"

struct floating_ip;
struct host;

/* All of `fip`, or `at` of `fip` or `host`. Both NULL: nowhere. */
struct listen_at {
	const struct floating_ip *fip;
	const struct host *host;
	struct ip_endpoint at; /* of family 0: every address of `fip` */
};

#endif /* NINES_CONFIG_LISTEN_AT_CONF_H */
