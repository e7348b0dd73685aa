/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_diff.h - what changed from one generation of the cluster file to the next.
 *
 * For messages: `nines reload` says what it did. Compared is the meaning of the files,
 * key by key of the schema's tables, so that a change of layout is no change.
 */
#ifndef NINES_CONFIG_CONFIG_DIFF_H
#define NINES_CONFIG_CONFIG_DIFF_H

#include "base/sbuf.h"
#include "config/cluster.h"

enum config_change_kind { CHANGE_ADDED, CHANGE_REMOVED, CHANGE_CHANGED };

/* One network, host, floating IP or service; or a key of the file (name: NULL). */
struct config_change {
	enum config_change_kind kind;
	const char *what; /* "service" */
	const char *name;
	const char *keys; /* CHANGE_CHANGED: "listen, servers"; else "" */
};

/*
 * Calls `each` for every change from `before` to `after`: what is new or changed in the
 * order of the file, section by section, then what is gone. The strings live for the
 * call. Returns the number of changes; -ENOMEM.
 */
int config_diff(const struct cluster *before, const struct cluster *after,
    void (*each)(const struct config_change *, void *), void *arg) MUST_CHECK;

/* "service site changed (servers), service api added"; or "nothing changed". */
void config_diff_summary(
    const struct cluster *before, const struct cluster *after, struct sbuf *out);

#endif /* NINES_CONFIG_CONFIG_DIFF_H */
