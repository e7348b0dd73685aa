/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.h - other programs: run to their end, or started and left running.
 *
 * A child gets default signals with nothing blocked, only descriptors 0 to 2, and,
 * with `netns` given, that network namespace. The caller ignores SIGPIPE.
 */
#ifndef NINES_OS_CHILD_H
#define NINES_OS_CHILD_H

#include <sys/types.h>

#include "base/check.h"
#include "base/sbuf.h"

struct child {
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
	const char *netns;	 /* or NULL */
	const char *input;	 /* child_run(): its standard input; or NULL */
	const char *log;	 /* child_start(): output is appended there; or NULL */
};

/*
 * Runs to the end; what it writes to stdout and stderr goes to `out` (may be NULL).
 * Returns its exit status (128 + signal if one ended it) or -errno.
 */
int child_run(const struct child *c, struct sbuf *out) MUST_CHECK;

/* Starts it in a session of its own. Returns its pid, to be waited for, or -errno. */
pid_t child_start(const struct child *c) MUST_CHECK;

#endif /* NINES_OS_CHILD_H */
