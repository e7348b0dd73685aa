/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h - one request to the supervisor's control socket (private to cli/).
 *
 * Request: words separated by tabs, ended by a newline. Answer: one JSON object
 * {"ok": bool, "error": text, ...} and the end of the stream.
 */
#ifndef NINES_CLI_CONTROL_H
#define NINES_CLI_CONTROL_H

#include <jansson.h>

#include "base/check.h"

struct stats;

#define CONTROL_ANSWER_MAX ((size_t)64 << 20)

/*
 * Sends `argv` to RUN_DIR/control.sock and reads the answer into *answer (the
 * caller's to json_decref()). Returns 0, -ENOENT or -ECONNREFUSED if nobody listens
 * there, -EACCES, -EBADMSG for an answer that is no JSON object, or another -errno.
 */
int control_ask(const char *run_dir, int argc, char **argv, json_t **answer) MUST_CHECK;

/* The value of a fact in an answer to `status`; "" if there is none. */
const char *control_fact(const json_t *answer, const char *key);

/* Says on stderr what `err` of control_ask() means and what to do; returns the exit
 * status for it. */
int control_explain(const char *run_dir, int err);

/* The proxy's counters, which stats_close() gives back; NULL: there are none. */
struct stats *control_stats(const char *run_dir, const char *part) MUST_CHECK;

#endif /* NINES_CLI_CONTROL_H */
