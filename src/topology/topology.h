/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topology.h - what depends on what, and what goes on when something fails.
 *
 * From a cluster file alone: the things that can fail (hosts, their parts and links,
 * networks, zones, servers, certificates, what is outside), the goals that people care
 * for (services, databases, floating addresses without either), and for any set of
 * failures which goals go on. `nines spof` reports it, the drill checks it by breaking
 * things.
 *
 * A failure is whole and lasting: the host is off, the link carries nothing, the part
 * is given up by its supervisor. "Goes on" means: after the outage of a failover,
 * clients are served as the file promises, whichever host had the floating address
 * before. Failing more never makes a goal go on that did not with less.
 *
 * Nothing here does I/O, reads a clock or draws lots: the result depends on the input.
 */
#ifndef NINES_TOPOLOGY_TOPOLOGY_H
#define NINES_TOPOLOGY_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "config/cluster.h"

struct topology;

/* One thing that can fail. Pointers that its kind has no use for are NULL. */
struct failure {
	enum availability_kind kind;
	/* "host lb1", "link lb1 dmz", "part lb1 proxy", "network dmz", "zone rack-a",
	 * "server site web1:8080", "database orders db1", "console lb1", "certificate
	 * /etc/nines/site.pem", "outside 10.0.3.41": unique, fit for a report. */
	const char *name;
	const struct host *host;	 /* HOST, PART, LINK; SERVER if it is on one */
	const char *part;		 /* PART: its name in supervisor/parts.c */
	const struct network *network;	 /* LINK, NETWORK */
	const struct zone *zone;	 /* ZONE */
	const struct service *service;	 /* SERVER of one */
	const struct server *server;	 /* SERVER of a service */
	const struct replicated *data;	 /* SERVER of a database */
	const struct external *external; /* OUTSIDE, if it is a place of one */
	const char *file;		 /* CERTIFICATE */
	unsigned survive; /* the SURVIVE_ bit of must_survive that covers it; 0: none */
};

/* Databases: writes (and whatever else needs the primary), reads of any copy. */
enum goal_role {
	GOAL_SERVICE,
	GOAL_ADDRESS, /* a floating IP alone, or with a VPN behind it */
	GOAL_WRITES,
	GOAL_READS,
	GOAL_VOLUME,
	GOAL_COPIES, /* of a database or volume: one is left */
	GOAL_CONSOLE
};

/* What has to go on. */
struct goal {
	const char *what; /* "service", "floating IP", "data of volume" */
	const char *name;
	enum goal_role role;
	unsigned must_survive;		       /* SURVIVE_ bits */
	const struct service *service;	       /* or NULL */
	const struct floating_ip *floating_ip; /* or NULL */
	const struct replicated *data;	       /* or NULL */
	const struct database *database;       /* or NULL */
	struct place place;
};

/*
 * Everything that `c` says; `c` must outlive it. NULL when out of memory or when the
 * file is beyond what this can hold (TOPOLOGY_MAX bytes).
 */
#define TOPOLOGY_MAX ((size_t)256 << 20)
struct topology *topology_new(const struct cluster *c) MUST_CHECK;
void topology_free(struct topology *t); /* NULL is fine */

/*
 * All single failures, in this order: zones, networks, hosts, links, parts, servers,
 * certificates, outside. Networks that are `redundant`, and links to them, do not
 * fail, nor do certificates that are renewed without anybody's doing.
 */
size_t topology_n_failures(const struct topology *t);
const struct failure *topology_failure(const struct topology *t, size_t i);
/* Its index by name; -1 if there is none. */
long topology_find_failure(const struct topology *t, const char *name);

size_t topology_n_goals(const struct topology *t);
const struct goal *topology_goal(const struct topology *t, size_t i);

/* Whether goal `goal` goes on with these failures (indices) at once. */
bool topology_survives(
    const struct topology *t, const size_t *failed, size_t n, size_t goal);

/* The same without the databases and volumes that a service needs: this version does
 * not run them, so that this is what can be seen of it. */
bool topology_survives_as_run(
    const struct topology *t, const size_t *failed, size_t n, size_t goal);

#endif /* NINES_TOPOLOGY_TOPOLOGY_H */
