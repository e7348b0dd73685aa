/* SPDX-License-Identifier: Apache-2.0 */
/*
 * breaker_conf.h - the part of cluster.h about breakers.
 */
#ifndef NINES_CONFIG_BREAKER_CONF_H
#define NINES_CONFIG_BREAKER_CONF_H

#include <stdbool.h>
#include <stdint.h>

struct breaker_conf {
	bool on;
	unsigned errors;   /* per cent of answers */
	unsigned requests; /* of so many at least */
	int64_t window_ns; /* within so long */
	int64_t open_ns;   /* nothing passes for so long */
	unsigned trials;   /* good answers that close it again */
};

#endif /* NINES_CONFIG_BREAKER_CONF_H */
