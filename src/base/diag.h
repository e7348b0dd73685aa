/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diag.h - what a person will read: a list of findings, each with its place.
 *
 * The cluster file's parser, `nines check`, `nines reload` and the console all
 * produce and render this one list. Texts are copied. The list keeps at most
 * DIAG_MAX findings and counts the rest.
 */
#ifndef NINES_BASE_DIAG_H
#define NINES_BASE_DIAG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"
#include "base/sbuf.h"

#define DIAG_MAX 100

enum diag_severity { DIAG_ERROR, DIAG_WARNING };

struct diag {
	enum diag_severity severity;
	const char *code;      /* stable short name, such as "unknown-host"; static */
	unsigned line, column; /* from 1; 0 where there is no place */
	unsigned width;	       /* length of what the caret marks, at least 1 */
	char *text;	       /* what is wrong */
	char *hint;	       /* what would be right, or NULL */
};

struct diag_list {
	const char *file; /* for messages; not owned */
	struct diag *item;
	size_t n, errors, warnings, dropped;
};

void diag_init(struct diag_list *l, const char *file);
void diag_done(struct diag_list *l);

/*
 * Adds a finding and returns it, so that the caller can set `hint` through
 * diag_hint(); NULL if it was dropped (counted all the same).
 */
struct diag *diag_add(struct diag_list *l, enum diag_severity severity,
    const char *code, unsigned line, unsigned column, const char *fmt, ...)
    PRINTF(6, 7);
void diag_hint(struct diag *d, const char *fmt, ...) PRINTF(2, 3); /* NULL is fine */

/*
 * Renders all findings in order of their place, each with its source line and a
 * caret where `source` (the whole file, `len` bytes, may be NULL) has it. With
 * `colour` in ANSI colours.
 */
void diag_render(const struct diag_list *l, const char *source, size_t len, bool colour,
    struct sbuf *out);

/* The same as a JSON array. */
void diag_json(const struct diag_list *l, struct sbuf *out);

#endif /* NINES_BASE_DIAG_H */
