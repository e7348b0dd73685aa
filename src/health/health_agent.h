/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health_agent.h - asks one server's host, again and again, how much it can take
 * (private to health/).
 */
#ifndef NINES_HEALTH_HEALTH_AGENT_H
#define NINES_HEALTH_HEALTH_AGENT_H

#include "base/check.h"
#include "base/ip.h"
#include "base/loop.h"
#include "config/cluster.h"
#include "health/health_agent_wire.h"

#define HEALTH_AGENT_SILENT \
	3 /* answers that are missing before `percent` is forgotten */

struct agent {
	struct loop *loop;
	struct agent_conf conf;
	struct ip_endpoint at;
	void (*changed)(void *arg); /* `said` did */
	void *arg;
	struct health_agent said;
	int fd; /* -1: not asking */
	struct loop_fd *watch;
	struct loop_timer timer; /* asking: the end of patience; else the next time */
	mono_t due;		 /* the next time */
	unsigned missing;	 /* answers in a row */
	size_t len;
	char line[HEALTH_AGENT_LINE_MAX];
};

/* Begins in a moment. `at` is the server, `said` what is known already. NULL: no
 * memory. */
struct agent *agent_new(struct loop *loop, const struct agent_conf *conf,
    const struct ip *at, const struct health_agent *said) MUST_CHECK;
void agent_free(struct agent *a); /* NULL is fine */

/* True if it asks the same in the same way. */
bool agent_same(
    const struct agent *a, const struct agent_conf *conf, const struct ip *at);

#endif /* NINES_HEALTH_HEALTH_AGENT_H */
