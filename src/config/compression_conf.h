/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compression_conf.h - the part of cluster.h about the compression of answers.
 */
#ifndef NINES_CONFIG_COMPRESSION_CONF_H
#define NINES_CONFIG_COMPRESSION_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "config/routing.h"

#define CODINGS_MAX 3

/* Content codings (RFC 9110 section 8.4.1; RFC 7932; RFC 8878). */
enum coding { CODING_IDENTITY, CODING_GZIP, CODING_BR, CODING_ZSTD, CODING_N };

struct compression_conf {
	bool on;
	struct texts codings;		/* as the file has them */
	enum coding order[CODINGS_MAX]; /* the same; the first that a client likes */
	unsigned n_codings;
	struct texts types; /* of answers; one '*' stands for anything */
	uint64_t minimum;   /* bytes of an answer that says its length */
	unsigned level;	    /* 1 fast .. 9 small */
	unsigned streams;   /* answers at a time, for each worker */
};

#endif /* NINES_CONFIG_COMPRESSION_CONF_H */
