/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml.h - YAML text as a tree of nodes that know their place.
 *
 * libfyaml scans; this module keeps what a cluster file may consist of: one
 * document of mappings with scalar keys, lists and one-line scalars. Anchors, aliases
 * and tags are refused (the file is data, and an alias can make a small file
 * enormous), depth and number of nodes are capped, duplicate keys are reported.
 */
#ifndef NINES_CONFIG_YAML_H
#define NINES_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/diag.h"

#define YAML_DEPTH_MAX 16      /* mappings and lists within each other */
#define YAML_NODES_MAX 1000000 /* nodes of one file */

/* YAML_EMPTY: a key without a value, `~` or `null`. */
enum yaml_kind { YAML_EMPTY, YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml {
	enum yaml_kind kind;
	bool quoted;		      /* the text stands in quotes */
	unsigned line, column, width; /* as in struct diag */
	const char *text;	      /* scalar: without quotes and escapes */
	const struct yaml *key;	      /* the scalar before the colon, in a mapping */
	struct yaml *first, *next;    /* children; siblings, in the order of the file */
	size_t n;		      /* children */
};

/*
 * The tree lives in `a` and so does its text. NULL after an error in the syntax (which
 * is in `diags`) or for an empty document; duplicate keys are reported and left out.
 */
const struct yaml *yaml_parse(
    const char *text, size_t len, struct arena *a, struct diag_list *diags) MUST_CHECK;

/* The value of `key` in mapping `map`, or NULL. */
const struct yaml *yaml_get(const struct yaml *map, const char *key);

/* The items of a list; anything else counts as a list of itself. */
const struct yaml *yaml_items(const struct yaml *node, size_t *n);

#endif /* NINES_CONFIG_YAML_H */
