/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drill.h - one failure after another, measured (private to lab/).
 *
 * A case is a row of a table: how to inject, what is to be waited for, how to undo.
 * A round of it has two phases, from the injection to the undoing and from there to
 * the end, and each ends when things have settled, not after a guessed time.
 */
#ifndef NINES_LAB_DRILL_H
#define NINES_LAB_DRILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/check.h"
#include "base/rng.h"
#include "lab/load.h"
#include "lab/owners.h"
#include "lab/probe.h"
#include "lab/world.h"

#define TROUBLE_LEN 200
#define OUTAGES_MAX 16
#define EVENTS_MAX  64
#define SPINNERS    2

struct drill {
	struct world world;
	const struct floating_ip *ip; /* the address under test */
	struct ip_endpoint target;
	struct prober *prober;
	struct owners *owners;
	struct load *load;
	struct rng rng;
	int signals; /* readable: to be ended */
	int64_t soak_ns;
	char client[WORLD_NS_LEN];  /* namespace of those who ask */
	struct world_change change; /* of the file, since the start */
	/* the round at hand */
	size_t owner, other; /* who had the address, who is to get it */
	size_t server;	     /* the web server that fails */
	pid_t pid;	     /* the process stopped */
	bool returns;	     /* the file says so, or this round does */
	pid_t spinner[SPINNERS];
	char trouble[TROUBLE_LEN]; /* why it did not go as it should, or "" */
};

enum expect {
	EXPECT_ANY,   /* the address may move or stay */
	EXPECT_MOVED, /* to another host */
	EXPECT_STAYS,
};

struct drill_case {
	const char *name;
	const char *what;		 /* for people; @: the host it befalls */
	int (*prepare)(struct drill *d); /* before measuring; or NULL */
	int (*inject)(struct drill *d);
	int (*undo)(struct drill *d); /* or NULL: nothing is to be undone */
	enum expect expect;
	int64_t hold_ns, hold_max_ns; /* at least so long before the undoing */
	int64_t watch_ns;	      /* at least so long afterwards */
	bool on_server;		      /* befalls a web server, not a balancer */
	bool peers;		      /* makes sense with keepalived and haproxy */
	bool returns;		      /* needs `failback: true`; nines is told so */
	bool hidden;		      /* only on demand */
};

extern const struct drill_case drill_cases[]; /* ended by a row without a name */

/* `what` with the host's name in its place. */
void drill_describe(
    const struct drill_case *c, const char *whom, char *text, size_t size);

struct phase {
	mono_t from, to;
	struct probe_sum probes;
	struct owners_sum owners;
	struct load_sum load;
	struct outage outage[OUTAGES_MAX];
	size_t n_outages;
};

struct drill_round {
	const struct drill_case *what;
	char victim[CLUSTER_NAME_MAX + 1];
	bool settled;
	bool doubtful; /* the machine stood still while it measured */
	char trouble[TROUBLE_LEN];
	struct phase phase[2]; /* broken, mended */
	struct owner_event event[EVENTS_MAX];
	size_t n_events;
};

struct drill_report {
	const struct drill *drill;
	const char *program; /* "nines", "keepalived and haproxy" */
	int64_t heartbeat_ns;
	struct drill_round *round;
	size_t n;
};

/*
 * Waits, at most until `deadline_ns` from now, for `done` to become true (NULL: for
 * the time to pass). 0, -ETIMEDOUT, or -EINTR: the drill is to end.
 */
int drill_until(
    struct drill *d, bool (*done)(struct drill *d), int64_t deadline_ns) MUST_CHECK;
bool drill_owner_moved(struct drill *d);
bool drill_owner_right(struct drill *d); /* who has it is who is to have it */
/* The file with `change` on every host that balances. */
int drill_apply(struct drill *d, const struct world_change *change) MUST_CHECK;

/* One line of the story of a round: what happened when, relative to the injection. */
struct moment {
	int64_t at_ns;
	char text[120];
};
size_t report_story(const struct drill_report *r, const struct drill_round *round,
    struct moment *moments, size_t max);

/* The three forms of a report. */
void report_table(const struct drill_report *r, FILE *f, bool colour);
void report_story_text(
    const struct drill_report *r, const struct drill_round *round, FILE *f);
int report_json(const struct drill_report *r, FILE *f) MUST_CHECK;
int report_html(const struct drill_report *r, FILE *f) MUST_CHECK;

#endif /* NINES_LAB_DRILL_H */
