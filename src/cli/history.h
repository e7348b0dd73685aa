/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.h - the file of `nines spof --history`: JSON lines (private to cli/).
 *
 *	{"watched": {"host": 12}, "from": "2026-01-01T00:00:00Z", "to": "2026-..."}
 *	{"kind": "host", "name": "web1", "down": "2026-...", "up": "2026-..."}
 *
 * The first says how many things of which kinds were watched, and when; the others are
 * the outages that were seen then, `up` null while one lasts. In any order, any number
 * of each. Empty lines are none; members that are not known here are not looked at.
 */
#ifndef NINES_CLI_HISTORY_H
#define NINES_CLI_HISTORY_H

#include <stddef.h>

#include "topology/history.h"

#define HISTORY_FILE_MAX   ((size_t)64 << 20)
#define HISTORY_PERIODS	   1000 /* lines that say what was watched */
#define HISTORY_THINGS_MAX 1000000
#define HISTORY_ERROR_LEN  256

struct history_error {
	unsigned line; /* from 1 */
	char text[HISTORY_ERROR_LEN];
};

/* 0; -ENOMEM; -EINVAL with `error` filled in. */
int history_parse(struct history *h, const char *text, size_t len,
    struct history_error *error) MUST_CHECK;

#endif /* NINES_CLI_HISTORY_H */
