/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export.h - the language of the cluster file, for editors and for people.
 */
#ifndef NINES_CONFIG_EXPORT_H
#define NINES_CONFIG_EXPORT_H

#include "base/sbuf.h"

/* A JSON Schema (draft 2020-12) of the cluster file, with descriptions. */
void export_json_schema(struct sbuf *out);

/* The tables of keys in docs/cluster-file.md. */
void export_markdown(struct sbuf *out);

#endif /* NINES_CONFIG_EXPORT_H */
