/* SPDX-License-Identifier: Apache-2.0 */
/*
 * avail.h - how much of the time a goal is there, and what decides it.
 *
 * Exact for the model (bdd.h): things fail and are repaired independently of one
 * another, at the rates given, in the steady state. To that comes what failovers cost:
 * each failure of what has the floating address at the time is an outage of so many
 * milliseconds, each of what is the primary of a database one of its `takeover`.
 *
 * The rates carry one digit at best, and so does what comes out: avail_format() prints
 * no more.
 */
#ifndef NINES_TOPOLOGY_AVAIL_H
#define NINES_TOPOLOGY_AVAIL_H

#include "topology/graph.h"
#include "topology/topology.h"

#define AVAIL_NODES_MAX 1000000U /* of a goal's decision diagram */
#define AVAIL_TEXT_LEN	48
#define AVAIL_TWINS_MAX 8

/* The outage of a failover by what failed, in nanoseconds; -1: 2.5 heartbeats. */
struct failover_outage {
	int64_t host_ns, link_ns, part_ns;
};

struct avail_twin {
	const struct host *host; /* one more like this one ... */
	double down;		 /* ... leaves this much */
};

struct avail {
	/* False: its diagram is too large, or the goal is that copies are left, of
	 * which these rates say nothing. Nothing else is set then. */
	bool known;
	double down;			  /* share of time, beyond failovers */
	double failovers;		  /* share of time that failovers take */
	double moves;			  /* failovers a year */
	double takeovers;		  /* what databases have of `failovers` */
	const struct database *database;  /* the one that has most of it; or NULL */
	double without_kind[AVAIL_KINDS]; /* `down` if that kind never failed */
	enum availability_kind kind;	  /* the one that matters most */
	size_t failure;			  /* and of it this; SIZE_MAX: nothing does */
	struct avail_twin twin[AVAIL_TWINS_MAX]; /* what helps most first */
	size_t n_twins;
};

/*
 * For each goal of `t`, in avail[]; `outage` as measured, or NULL. With `failed`
 * (indices) gone. -ENOMEM.
 */
int avail_work_out(const struct topology *t, const struct availability_conf *rates,
    const struct failover_outage *outage, const size_t *failed, size_t n_failed,
    struct avail *avail) MUST_CHECK;

/* Puts the leaves in an order that keeps diagrams small. In `a`; -ENOMEM. */
int avail_order(
    const struct topology *t, struct arena *a, struct graph_cone *cone) MUST_CHECK;

/* What it comes to, in one digit: "99.97 %" and "3 h a year". Return `text`. */
const char *avail_percent(double down, char text[static AVAIL_TEXT_LEN]);
const char *avail_a_year(double down, char text[static AVAIL_TEXT_LEN]);
/* `x` rounded to its first digit. */
double avail_digit(double x);

#endif /* NINES_TOPOLOGY_AVAIL_H */
