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
#include "lab/flows.h"
#include "lab/load.h"
#include "lab/mishap.h"
#include "lab/owners.h"
#include "lab/probe.h"
#include "lab/remote.h"
#include "lab/world.h"
#include "lab/writers.h"

#define TROUBLE_LEN 200
#define OUTAGES_MAX 16
#define EVENTS_MAX  64
#define SPINNERS    2
#define FLOATS_MAX  16 /* floating addresses watched; the first ones of the file */

/* A failure at work: what must be remembered to undo it. */
struct harm {
	size_t host; /* whom it befalls, if it is a host's; else the first of `hosts` */
	uint32_t hosts; /* all of them; bit i: host i */
	const struct network *net;
	const char *part;
	pid_t pid;	 /* the process stopped */
	unsigned number; /* of those at work, each its own */
};

struct drill {
	struct world world;
	const struct service *service; /* what the clients ask */
	struct topology *topology;     /* the analysis; NULL: there is none */
	long goal;		       /* of `service`, in it */
	const struct floating_ip *ip;  /* its address: under test */
	struct ip_endpoint target;
	struct prober *prober;
	struct owners *owners;		      /* of `ip` */
	struct owners *owners_of[FLOATS_MAX]; /* of every floating address, in order */
	size_t n_owners_of;
	struct load *load;
	struct flows *flows;
	struct writers *writers;
	struct remote *remote; /* a client of the VPN; NULL: nobody asks through one */
	long remote_goal;      /* of the VPN, in the analysis; -1: it has none */
	struct rng rng;
	int64_t seed; /* of `rng` */
	bool keep;    /* whatever goes wrong stays as it is then */
	bool kept;    /* so it did */
	int signals;  /* readable: to be ended */
	int64_t soak_ns;
	char client[WORLD_NS_LEN];  /* namespace of those who ask */
	struct world_change change; /* of the file, since the start */
	/* the round at hand */
	size_t owner, other; /* who had the address, who is to get it */
	size_t server;	     /* the web server that fails */
	size_t leaving;	     /* the host whose program is to end */
	uint32_t off;	     /* hosts without power */
	bool slow;	     /* it was served, but not in time for the prober */
	uint64_t drops;	     /* packets the machine had no time for, before it */
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
	const char *what; /* for people; @: the host it befalls */
	int (*prepare)(struct drill *d, struct harm *h); /* before measuring; or NULL */
	int (*inject)(struct drill *d, struct harm *h);
	int (*undo)(
	    struct drill *d, struct harm *h); /* NULL: nothing is to be undone */
	enum scope scope;	      /* of the failures made of it (mishap.h) */
	enum expect expect;	      /* of the case by role */
	int64_t hold_ns, hold_max_ns; /* at least so long before the undoing */
	int64_t watch_ns;	      /* at least so long afterwards */
	bool on_server;		      /* befalls a web server, not a balancer */
	bool peers;		      /* makes sense with keepalived and haproxy */
	bool returns;		      /* needs `failback: true`; nines is told so */
	bool brief;		      /* over before anybody repairs it (mishap.h) */
	bool generated;		      /* only for failures named with their target */
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
	struct flow_sum flows[FLOW_KINDS];
	struct probe_sum remote; /* through the VPN */
	int64_t two_ns; /* with two owners: the worst of all floating addresses */
	struct outage outage[OUTAGES_MAX];
	size_t n_outages;
};

/* What is to be played: a case by role, or a failure of the list. */
struct drill_task {
	const struct drill_case *what;
	const struct mishap *mishap; /* NULL: by role */
};

/* Who had one floating address. */
struct owner_lane {
	struct owner_event event[EVENTS_MAX];
	size_t n;
};

struct drill_round {
	const struct drill_case *what;
	char name[MISHAP_NAME_LEN]; /* of the case or failure */
	char victim[MISHAP_NAME_LEN];
	bool generated; /* a failure of the list */
	enum forecast forecast;
	bool played;   /* else things were not well before it */
	bool survived; /* clients were served while it lasted */
	bool remote;   /* somebody asked through the VPN: what was foretold, and seen */
	enum forecast remote_forecast;
	bool remote_survived;
	bool settled;  /* all went as it should */
	bool doubtful; /* the machine stood still while it measured */
	char trouble[TROUBLE_LEN];
	struct ledger_sum writes;    /* since the round before */
	struct load_sum writes_load; /* the same, as their clients saw it */
	struct phase phase[2];	     /* broken, mended */
	int64_t recovered_ns;	     /* from the undoing until all was well */
	struct owner_lane lane[FLOATS_MAX];
	size_t tested; /* of `lane`, the address under test */
	struct probe_beat
	    *beat; /* since the injection, one each PROBE_BEAT_NS; or NULL */
	size_t n_beats;
};

#define BEATS_MAX 3000

/* An earlier report, read back. */
struct report_old {
	json_t *all; /* NULL: there is none */
};

struct drill_report {
	const struct drill *drill;
	const char *program; /* "nines", "keepalived and haproxy" */
	const char *command; /* to do it again */
	int64_t heartbeat_ns, seed;
	struct report_old resumed, before;
	struct drill_round *round;
	size_t n;
};

/*
 * Waits, at most until `deadline_ns` from now, for `done` to become true (NULL: for
 * the time to pass). 0, -ETIMEDOUT, or -EINTR: the drill is to end.
 */
int drill_until(
    struct drill *d, bool (*done)(struct drill *d), int64_t deadline_ns) MUST_CHECK;
void drill_mute(struct drill *d, size_t host, bool mute); /* owns nothing */
bool drill_owner_moved(struct drill *d);
bool drill_owner_right(struct drill *d);   /* who has it is who is to have it */
bool drill_well(struct drill *d);	   /* everything, everywhere */
const char *drill_unwell(struct drill *d); /* why drill_well() says no */

/*
 * One round. 0 also if it did not go as it should; -EINTR: the drill is to end;
 * -ECANCELED: so it is, with everything left as it is (`keep`).
 */
int drill_play(
    struct drill *d, const struct drill_task *t, struct drill_round *r) MUST_CHECK;
/* The file with `change` on every host that balances. */
int drill_apply(struct drill *d, const struct world_change *change) MUST_CHECK;

/* One line of the story of a round: what happened when, relative to the injection. */
struct moment {
	int64_t at_ns;
	char text[120];
};
size_t report_story(const struct drill_report *r, const struct drill_round *round,
    struct moment *moments, size_t max);

/* `path` NULL: none. Says on stderr what is wrong with it. */
int report_old_load(struct report_old *old, const char *path) MUST_CHECK;
void report_old_done_with(struct report_old *old);
/* Has it a case of that name which went as it should? */
bool report_old_done(const struct report_old *old, const char *name);
/* Median of the case's outage; false: it has none of that name. */
bool report_old_outage(const struct report_old *old, const char *name, double *ms);

/* Whom `t` befalls: by role, or as its failure says. */
void drill_aim(const struct drill *d, const struct drill_task *t, struct harm *h);

/*
 * Failures by chance for so long, with `d->rng`. 0: every rule held; 1: one did not;
 * or -errno.
 */
int drill_random(struct drill *d, int64_t length_ns) MUST_CHECK;

/* What the analysis of `d` says: of the service, of the VPN. */
enum forecast drill_forecast(const struct drill *d, const struct mishap *m);
enum forecast drill_remote_forecast(const struct drill *d, const struct mishap *m);
/* Who asks through the VPN is answered; true where nobody does. */
bool drill_remote_steady(struct drill *d);

/* The server of `s` that fails in cases by role: the first that is not a backup. */
const struct host *drill_server(const struct service *s);
/* Where clients ask, and for which service; NULL: there is nothing to drill. */
const struct listener *drill_target(
    const struct cluster *c, const struct service **service);
const struct service *drill_service(const struct cluster *c);

/* The three forms of a report. */
void report_table(const struct drill_report *r, FILE *f, bool colour);
void report_story_text(
    const struct drill_report *r, const struct drill_round *round, FILE *f);
int report_json(const struct drill_report *r, FILE *f) MUST_CHECK;
int report_html(const struct drill_report *r, FILE *f) MUST_CHECK;

#endif /* NINES_LAB_DRILL_H */
