/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replicated.h - the keys that databases and volumes have in common.
 *
 * The forms read into a struct replicated: it is the first member of the section's
 * struct.
 *
 * Private to config/.
 */
#ifndef NINES_CONFIG_REPLICATED_H
#define NINES_CONFIG_REPLICATED_H

#include "config/reader.h"

extern const struct form replicated_over_form;
extern const struct form replicated_needed_by_form;
extern const struct form replicated_survive_form;

/* The network that all hosts are on, a dedicated one first; nothing if there is none.
 */
void replicated_derive_over(const void *base, struct sbuf *out);

#define REPLICATED_KEYS(over_doc, needed_doc, survive_doc)                    \
	{                                                                     \
	    .name = "over",                                                   \
	    .kind = VALUE_FORM,                                               \
	    .form = &replicated_over_form,                                    \
	    .derived = replicated_derive_over,                                \
	    .derived_doc = "one that all are on, a dedicated one first",      \
	    .doc = (over_doc),                                                \
	},                                                                    \
	    {                                                                 \
		.name = "needed_by",                                          \
		.kind = VALUE_FORM,                                           \
		.form = &replicated_needed_by_form,                           \
		.doc = (needed_doc),                                          \
	    },                                                                \
	{                                                                     \
		.name = "must_survive", .kind = VALUE_FORM, .preset = "host", \
		.form = &replicated_survive_form, .doc = (survive_doc),       \
	}

/* When the hosts are known: settles `over`; reports one that not all of them are on,
 * or that there is none. `what` is "database". */
void replicated_finish(
    struct reader *r, const struct yaml *node, const char *what, struct replicated *d);

#endif /* NINES_CONFIG_REPLICATED_H */
