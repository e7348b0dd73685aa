/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - what `lab` and `drill` have in common at their start (private to lab/).
 */
#ifndef NINES_LAB_FILE_H
#define NINES_LAB_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/check.h"
#include "config/cluster.h"

/* Reads and checks a cluster file; prints what is wrong with it. NULL: that. */
const struct cluster *file_load(const char *path) MUST_CHECK;

/* Are we root, and is what a lab needs installed? Says what is missing. */
bool file_ready(const char *verb, bool peers);

/* Whole strings only. */
bool file_number(const char *text, int64_t min, int64_t max, int64_t *n) MUST_CHECK;
/* What the cluster file may have there: "10ms", "1s". */
bool file_heartbeat(const char *text, int64_t *ns) MUST_CHECK;
/* How long something goes on: "90s", "10m", "1h". */
bool file_span(const char *text, int64_t *ns) MUST_CHECK;

/* The last lines of every log in `dir`. */
void file_tails(const char *dir, FILE *f);

#endif /* NINES_LAB_FILE_H */
