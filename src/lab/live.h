/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live.h - a drill of the real cluster, by what can be undone (private to lab/).
 *
 * On a host where `nines run` is at work: its parts are killed, its floating addresses
 * moved and moved back, servers drained and enabled; one at a time, after a question,
 * with a watch on every address that clients use. The first thing that does not go as
 * it should ends it, and is undone.
 */
#ifndef NINES_LAB_LIVE_H
#define NINES_LAB_LIVE_H

#include <stdbool.h>

#include "base/check.h"
#include "config/cluster.h"

struct live_conf {
	const struct cluster *cluster;
	const char *run_dir;
	int signals; /* readable: to be ended */
	bool yes;    /* do not ask */
};

/* Exit status. */
int live_drill(const struct live_conf *conf) MUST_CHECK;

#endif /* NINES_LAB_LIVE_H */
