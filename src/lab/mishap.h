/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mishap.h - every single failure of a cluster, and what the analysis says about it
 * (private to lab/). Pure.
 *
 * A failure is a kind (a row of drill_cases) and what it befalls. Its name is the
 * kind's and the target's, "link-down:lb1/dmz": the same for the same file.
 */
#ifndef NINES_LAB_MISHAP_H
#define NINES_LAB_MISHAP_H

#include <stddef.h>

#include "config/cluster.h"
#include "topology/topology.h"

#define MISHAP_NAME_LEN (3 * CLUSTER_NAME_MAX)

struct drill_case;

/* What a kind befalls; one failure of it is made for each. */
enum scope {
	SCOPE_ROLE, /* only who has the address at the time, in cases by role */
	SCOPE_HOST,
	SCOPE_NINES, /* a host that runs parts of the program */
	SCOPE_LINK,
	SCOPE_NETWORK,	 /* that is not dedicated */
	SCOPE_HEARTBEAT, /* a network with floating addresses that can move */
	SCOPE_ZONE,
	SCOPE_PART,
	SCOPE_SERVER, /* a host with servers */
	SCOPE_CLUSTER,
};

struct mishap {
	const struct drill_case *what;
	const struct host *host;
	const struct network *net;
	const struct zone *zone;
	const char *part;
};

/* In the order of the table. Returns how many there are, of which `max` are stored. */
size_t mishap_list(const struct cluster *c, struct mishap *list, size_t max);

void mishap_name(const struct mishap *f, char *text, size_t size);

/* Is `pattern` the name, its beginning up to a `:` or `/`, or, ended by a `*`, any? */
bool mishap_matches(const char *name, const char *pattern, size_t len);

enum forecast {
	FORECAST_NONE,	   /* the analysis does not know it */
	FORECAST_SURVIVES, /* `s` is served while it lasts */
	FORECAST_ENDS,	   /* `s` is not */
	FORECAST_NOT_RUN,  /* nor is it for want of data that this version does not run
			    */
};

/* `goal` is that of the service that clients ask, of topology_goal(). */
enum forecast mishap_forecast(
    const struct topology *t, const struct mishap *m, size_t goal);

/* The things of the analysis that fail with it: indices, at most `max`; how many. */
size_t mishap_failures(
    const struct topology *t, const struct mishap *m, size_t *failed, size_t max);

/* The goal of `s`, of VPN `name`; -1: the analysis has none. */
long mishap_goal(const struct topology *t, const struct service *s);
long mishap_vpn_goal(const struct topology *t, const char *name);

#endif /* NINES_LAB_MISHAP_H */
