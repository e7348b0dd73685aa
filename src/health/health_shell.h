/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health_shell.h - targets around their cores (private to health/).
 *
 * health_part.c knows the part's life, configuration and facts; health_target.c checks
 * one target and says what it found.
 */
#ifndef NINES_HEALTH_HEALTH_SHELL_H
#define NINES_HEALTH_HEALTH_SHELL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"
#include "base/rng.h"
#include "health/health_agent.h"
#include "health/health_core.h"
#include "health/health_probe.h"
#include "health/health_reach.h"
#include "part/heard.h"
#include "part/part.h"

struct health_shell {
	struct part *part;
	struct loop *loop;
	const struct cluster *cluster;
	const struct host *me;
	struct probe_env env;
	struct rng rng;	      /* seeds of targets */
	struct list sites;    /* struct site: the services of this host */
	struct list targets;  /* struct target: checks of its floating addresses */
	struct list replayed; /* facts of an earlier process, until activate */
	struct list switched; /* struct heard: which group an operator chose */
	bool acting;
	bool gathering; /* many targets change at once: sites are judged afterwards */
	bool ping4, ping6; /* sockets asked for */
};

/* A service and its servers. */
struct site {
	struct list link;
	struct health_shell *shell;
	const struct service *service;
	struct list targets;
	bool seen; /* mark of the sweep over a new configuration */
	char said[FACT_VALUE_LEN];
};

struct target {
	struct list link; /* of its site or of the shell */
	struct health_shell *shell;
	struct site *site; /* NULL: a floating address's own check */
	const struct server *server;
	size_t group; /* of its service */
	const struct floating_ip *floating_ip;
	const struct check_conf *check;
	struct ip_endpoint at; /* asked */
	struct health core;
	struct loop_timer timer;
	struct probe *probe;
	const struct cluster *held; /* what the probe points into */
	char why[HEALTH_WHY_LEN];   /* of the last failure */
	char said[FACT_VALUE_LEN];
	struct health_reach reach;
	stats_t *count;	     /* NULL: no room */
	struct agent *agent; /* NULL: none is asked */
	bool seen;
};

/* What is to be checked, as the configuration has it. */
struct target_plan {
	struct site *site;
	const struct server *server;
	size_t group; /* of its service */
	const struct floating_ip *floating_ip;
	const struct check_conf *check;
	struct ip_endpoint at;
};

/* NULL: out of memory. It is on no list yet. */
struct target *target_new(
    struct health_shell *sh, const struct target_plan *plan) MUST_CHECK;
void target_free(struct target *t); /* NULL is fine; says nothing */

/* The key of its fact. */
void target_key(const struct target *t, char key[static FACT_KEY_LEN]);

/* The same of what its agent says; false if none is asked. */
bool target_agent_key(const struct target *t, char key[static FACT_KEY_LEN]);
/* The same of how long connections to it take; false if that is not said. */
bool target_reach_key(const struct target *t, char key[static FACT_KEY_LEN]);
/* Asks the agent that the file names, or none. `said` is the fact of an earlier
 * process, or "". */
void target_agent(struct target *t, const char *said);

/* Begins checking and publishes; `said` is the fact of an earlier process, or "". */
void target_start(struct target *t, const char *said);

/* A new generation with the same target in it: its state stays. Takes up the pointers
 * of `plan`; the old generation must still live. */
void target_adopt(struct target *t, const struct target_plan *plan);

/* Real traffic failed, and why. */
void target_passive(struct target *t, const char *why);
void target_doubt(struct target *t);

/* Publishes what the servers of a site's active group make of it, if that changed. */
void site_judge(struct site *s);

#endif /* NINES_HEALTH_HEALTH_SHELL_H */
