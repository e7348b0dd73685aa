/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verbs.h - the verbs of the command line, once: main.c, `nines help`, the shell
 * completion and the manual page are made from this table.
 */
#ifndef NINES_CLI_VERBS_H
#define NINES_CLI_VERBS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

#define EXIT_NEGATIVE	 1 /* the answer is no: unhealthy, errors found, refused */
#define EXIT_USAGE	 2
#define EXIT_UNREACHABLE 3 /* no `nines run` answers on this host */

struct verb {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is the verb; exit status */
	const char *synopsis;		   /* what follows `nines NAME` */
	const char *what;		   /* one line */
	const char *more;		   /* options and examples, may be "" */
	bool hidden;
};

/* The table, ended by a row without a name. It stands in main.c. */
extern const struct verb verbs[];

/* NULL if there is none. */
const struct verb *verb_find(const struct verb *table, const char *name);

/* The nearest visible name, for "did you mean"; NULL if none is near. */
const struct verb *verb_near(const struct verb *table, const char *name);

/* One usage line of `v` on stderr; returns EXIT_USAGE. */
int verb_usage(const struct verb *v);

#endif /* NINES_CLI_VERBS_H */
