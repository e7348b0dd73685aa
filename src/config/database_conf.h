/* SPDX-License-Identifier: Apache-2.0 */
/*
 * database_conf.h - the part of cluster.h about databases, with the same life.
 *
 * Nothing here changes what runs: `nines spof` reasons with it.
 */
#ifndef NINES_CONFIG_DATABASE_CONF_H
#define NINES_CONFIG_DATABASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/listen_at_conf.h"
#include "config/replicated_conf.h"

#define DATABASE_HOSTS_MAX 9 /* and electors */

struct host;

enum database_engine { ENGINE_POSTGRESQL, ENGINE_MARIADB };

/* What an acknowledged write has reached. */
enum durability {
	DURABILITY_SYNCHRONOUS, /* a second host as well */
	DURABILITY_ASYNCHRONOUS /* the primary; the others soon */
};

/* A host with a copy, and without `electors` a vote on who is the primary. */
struct database_copy {
	const struct host *host; /* never NULL */
	int64_t delay_ns; /* applies writes so much later; never becomes the primary */
	struct place place;
};

/* Where clients find it; without any of them, at its hosts' own addresses. */
struct database_listen {
	struct listen_at write; /* the primary */
	struct listen_at read;	/* any copy that is not delayed */
	struct listen_at split; /* both: statements are looked at */
};

struct database {
	struct replicated of; /* first: its name is that of the element */
	enum database_engine engine;
	enum durability durability;
	const struct database_copy *copy; /* of.host, in the same order */
	size_t n_copies;
	const struct host *const *elector; /* who votes instead of its hosts */
	size_t n_electors;		   /* 0: its hosts do */
	const struct network *votes_over;  /* worked out; never NULL with electors */
	int64_t takeover_ns; /* without a primary, until another one takes writes */
	struct database_listen listen;
};

#endif /* NINES_CONFIG_DATABASE_CONF_H */
