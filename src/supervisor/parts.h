/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parts.h - the table of parts (private to supervisor/). A new part is one row.
 */
#ifndef NINES_SUPERVISOR_PARTS_H
#define NINES_SUPERVISOR_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/cluster.h"
#include "supervisor/supervisor.h"

#define PARTS_CAPS 8

struct part_row {
	const char *name;
	bool (*wanted)(const struct cluster *c, const struct host *me);
	bool spare;
	/* A ping unanswered for so long: the process hangs, and is killed. */
	int64_t (*hang_ns)(const struct cluster *c, const struct host *me);
	const char *user; /* NULL: stays root, with nothing but `caps` */
	int caps[PARTS_CAPS];
	size_t n_caps;
	/* One more, where the cluster file asks for what needs it; NULL: never. */
	bool (*wants_more)(const struct cluster *c, const struct host *me);
	int more_cap;
	bool workers; /* has the file's `workers` threads, from its start to its end */
	int realtime; /* priority of SCHED_FIFO; 0: a normal process */
	int nice;     /* while it is a normal process */
	bool state;   /* keeps something in state_folder() */
	const char *const *writes; /* paths it may write below; NULL ends */
	/* Prefixes; NULL ends, a list that is NULL is empty. Of facts it is told and
	 * may publish, of sockets it may ask for. */
	const char *const *subscribe, *const *publish, *const *sockets;
	bool files;	     /* is given the files that the cluster file names */
	unsigned stop_order; /* `nines stop` goes through the orders from 0 */
};

#define PARTS_MAX 7
extern const struct part_row parts[PARTS_MAX];

/* NULL: there is none, or this binary was built without it. */
const struct part_program *parts_program(const char *name);

/* True if the file asks for what needs `row->more_cap` here. */
bool parts_wants_more(
    const struct part_row *row, const struct cluster *c, const struct host *me);

/* True if the file gives `me` any part to run. */
bool parts_any(const struct cluster *c, const struct host *me);

/* NULL if there is none. */
const struct part_row *parts_find(const char *name);

/* True if `text` begins with one of `prefixes`, which NULL ends; NULL: none. */
bool parts_prefix(const char *const *prefixes, const char *text);

/* How long a part may take to leave in good order. */
int64_t parts_stop_ns(const struct cluster *c);

#endif /* NINES_SUPERVISOR_PARTS_H */
