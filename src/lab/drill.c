/* SPDX-License-Identifier: Apache-2.0 */
/* The verb `drill`: builds the lab, runs cases, reports, and leaves nothing behind. */

#include "lab/drill.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/verbs.h"
#include "lab/file.h"
#include "lab/lab.h"
#include "lab/peers.h"

#define POLL_MS	   5
#define READY_NS   (20 * SEC_NS)
#define SETTLE_NS  (20 * SEC_NS)
#define STEADY_NS  (300 * MS_NS)
#define PAUSE_NS   (100 * MS_NS) /* of the prober: its figures are in doubt */
#define HOLD_NS	   (500 * MS_NS) /* at least this long is each phase */
#define SOAK_MAX   1000		 /* seconds; the prober remembers that much */
#define ROUNDS_MAX 1000
#define BUSY	   10
#define BUSY_EVERY (20 * MS_NS) /* 500 requests a second in all */
#define HELD	   20
#define HELD_EVERY SEC_NS

struct options {
	const char *file, *cases, *html;
	unsigned rounds;
	int64_t heartbeat_ns, soak_ns;
	enum engine engine;
	bool json, story;
};

int
drill_until(struct drill *d, bool (*done)(struct drill *d), int64_t deadline_ns)
{
	mono_t end = mono_add(probe_clock(), deadline_ns);
	struct pollfd p = {.fd = d->signals, .events = POLLIN};

	for (;;) {
		int64_t left = mono_sub(end, probe_clock());

		if (done != NULL && done(d))
			return 0;
		if (left <= 0)
			return done != NULL ? -ETIMEDOUT : 0;
		if (poll(&p, 1,
			left < POLL_MS * MS_NS ? (int)(left / MS_NS) + 1 : POLL_MS) > 0)
			return -EINTR;
	}
}

bool
drill_owner_moved(struct drill *d)
{
	return (owners_now(d->owners) & ~(UINT32_C(1) << d->owner)) != 0;
}

/* Who is to have the address when all is well. */
bool
drill_owner_right(struct drill *d)
{
	uint32_t holders = owners_now(d->owners);
	int preferred = world_index(&d->world, d->ip->host[0]);

	if (d->returns)
		return holders == UINT32_C(1) << preferred;
	return __builtin_popcount(holders) == 1;
}

static bool
steady(struct drill *d)
{
	mono_t oldest = load_oldest(d->load);

	return prober_steady_ns(d->prober) >= STEADY_NS &&
	       (mono_is_never(oldest) || mono_sub(probe_clock(), oldest) < STEADY_NS);
}

static bool
moved_and_steady(struct drill *d)
{
	return drill_owner_moved(d) && steady(d);
}

static bool
all_well(struct drill *d)
{
	if (!drill_owner_right(d) || !steady(d))
		return false;
	for (size_t i = 0; i < d->world.n_hosts; i++) {
		if (d->world.host[i].balances && !world_ready(&d->world, i))
			return false;
	}
	return true;
}

static void
complain(struct drill *d, const char *what)
{
	if (d->trouble[0] == '\0')
		(void)snprintf(d->trouble, sizeof(d->trouble), "%s", what);
}

/* Roles of this round: by what is, not by what the file prefers. */
static int
cast(struct drill *d)
{
	uint32_t holders = owners_now(d->owners);

	if (__builtin_popcount(holders) != 1)
		return -EAGAIN;
	d->owner = (size_t)__builtin_ctz(holders);
	for (size_t i = 0; i < d->ip->n_hosts; i++) {
		int k = world_index(&d->world, d->ip->host[i]);

		if (k >= 0 && (size_t)k != d->owner) {
			d->other = (size_t)k;
			break;
		}
	}
	d->trouble[0] = '\0';
	d->pid = 0;
	d->returns = d->ip->failback;
	return 0;
}

static void
begin(struct drill *d, struct phase *p)
{
	load_take(d->load, &p->load); /* forgets what came before */
	p->from = probe_clock();
}

static void
finish(struct drill *d, struct phase *p)
{
	struct outage_list list = {.outage = p->outage, .max = OUTAGES_MAX};
	struct owner_event event[EVENTS_MAX];
	size_t n;

	p->to = probe_clock();
	load_take(d->load, &p->load);
	prober_measure(d->prober, p->from, p->to, &p->probes, &list);
	p->n_outages = list.n;
	n = owners_events(d->owners, p->from, event, EVENTS_MAX);
	owners_measure(event, n, p->from, p->to, &p->owners);
}

static int
phase_broken(struct drill *d, const struct drill_case *c, struct phase *p)
{
	int64_t span = (c->hold_max_ns - c->hold_ns) / MS_NS;
	int64_t hold = c->hold_ns + rng_below(&d->rng, (uint32_t)span + 1) * MS_NS;
	bool moves = c->expect == EXPECT_MOVED;
	int err;

	if (c->hidden)
		hold = d->soak_ns;
	begin(d, p);
	err = c->inject(d);
	if (err != 0 && err != -EINTR) {
		complain(d, strerror(-err));
		err = 0;
	}
	if (err == 0)
		err = drill_until(d, NULL, hold > HOLD_NS ? hold : HOLD_NS);
	if (err == 0 && (moves || c->undo == NULL || hold < 2 * SEC_NS))
		err = drill_until(d, moves ? moved_and_steady : steady, SETTLE_NS);
	if (err == -ETIMEDOUT)
		complain(d, moves ? "the address did not move" : "no steady answers");
	if (c->expect == EXPECT_STAYS && drill_owner_moved(d))
		complain(d, "the address moved");
	finish(d, p);
	return err == -EINTR ? err : 0;
}

static int
phase_mended(struct drill *d, const struct drill_case *c, struct phase *p)
{
	int err;

	begin(d, p);
	err = c->undo != NULL ? c->undo(d) : 0;
	if (err != 0 && err != -EINTR) {
		complain(d, strerror(-err));
		err = 0;
	}
	if (err == 0)
		err =
		    drill_until(d, NULL, c->watch_ns > HOLD_NS ? c->watch_ns : HOLD_NS);
	if (err == 0)
		err = drill_until(d, all_well, SETTLE_NS);
	if (err == -ETIMEDOUT)
		complain(d, drill_owner_right(d) ? "no steady answers afterwards"
						 : "the address did not come back");
	finish(d, p);
	return err == -EINTR ? err : 0;
}

/* 0 also for a round that did not settle; -EINTR ends the drill. */
static int
play(struct drill *d, const struct drill_case *c, struct drill_round *r)
{
	int err = drill_until(d, all_well, SETTLE_NS);
	const struct world_host *victim;

	r->what = c;
	if (err == 0 && cast(d) != 0)
		err = -ETIMEDOUT;
	if (err == 0 && c->prepare != NULL)
		err = c->prepare(d);
	/* At a random phase of the heartbeat. */
	if (err == 0)
		err = drill_until(d, NULL,
		    STEADY_NS + rng_below(&d->rng, 100) * (d->ip->heartbeat_ns / 100));
	if (err == -EINTR)
		return err;
	victim = &d->world.host[c->on_server ? d->server : d->owner];
	(void)snprintf(r->victim, sizeof(r->victim), "%s", victim->host->name);
	if (err != 0) {
		(void)snprintf(r->trouble, sizeof(r->trouble),
		    "not begun: things had not settled before");
		return 0;
	}
	err = phase_broken(d, c, &r->phase[0]);
	if (err == 0)
		err = phase_mended(d, c, &r->phase[1]);
	for (size_t i = 0; i < ARRAY_LEN(r->phase); i++) {
		if (r->phase[i].probes.pause_ns > PAUSE_NS)
			r->doubtful = true;
	}
	r->n_events = owners_events(d->owners, r->phase[0].from, r->event, EVENTS_MAX);
	(void)snprintf(r->trouble, sizeof(r->trouble), "%s", d->trouble);
	r->settled = d->trouble[0] == '\0';
	return err;
}

static bool
chosen(const struct drill *d, const struct options *o, const struct drill_case *c)
{
	size_t len = strlen(c->name);

	if (o->soak_ns > 0)
		return c->hidden;
	if (c->hidden || (o->engine == ENGINE_KEEPALIVED && !c->peers))
		return false;
	if (c->returns && o->engine == ENGINE_KEEPALIVED && !d->ip->failback)
		return false; /* its peers cannot be told while they run */
	if (o->cases == NULL)
		return true;
	for (const char *p = o->cases; *p != '\0';) {
		size_t n = strcspn(p, ",");

		if (n == len && strncmp(p, c->name, n) == 0)
			return true;
		p += n + (p[n] == ',');
	}
	return false;
}

static const struct drill_case *
case_named(const char *name, size_t len)
{
	for (const struct drill_case *c = drill_cases; c->name != NULL; c++) {
		if (strlen(c->name) == len && strncmp(c->name, name, len) == 0)
			return c;
	}
	return NULL;
}

static bool
cases_known(const struct options *o)
{
	for (const char *p = o->cases != NULL ? o->cases : ""; *p != '\0';) {
		size_t n = strcspn(p, ",");

		if (case_named(p, n) == NULL) {
			(void)fprintf(stderr,
			    "nines drill: no case \"%.*s\"; `nines drill --list` shows "
			    "them\n",
			    (int)n, p);
			return false;
		}
		p += n + (p[n] == ',');
	}
	return true;
}

/* A live line on a terminal, one line a case elsewhere. */
static void
progress(const struct drill_case *c, const struct drill_round *r, unsigned round,
    unsigned rounds)
{
	bool live = isatty(STDERR_FILENO) != 0;

	if (r == NULL && live)
		(void)fprintf(
		    stderr, "\r\033[K%s, round %u of %u", c->name, round, rounds);
	else if (r != NULL && (!live || !r->settled))
		(void)fprintf(stderr,
		    "%s%s, round %u of %u: %.1f ms without an answer%s%s\n",
		    live ? "\r\033[K" : "", c->name, round, rounds,
		    (double)r->phase[0].probes.outage_ns / 1e6, r->settled ? "" : "; ",
		    r->trouble);
}

static int
play_all(struct drill *d, const struct options *o, struct drill_report *report)
{
	size_t max = 0;
	int err = 0;

	for (const struct drill_case *c = drill_cases; c->name != NULL; c++)
		max += chosen(d, o, c) ? o->rounds : 0;
	report->round = calloc(max + 1, sizeof(*report->round));
	if (report->round == NULL)
		return -ENOMEM;
	for (unsigned k = 0; k < o->rounds && err == 0; k++) {
		for (const struct drill_case *c = drill_cases;
		     c->name != NULL && err == 0; c++) {
			struct drill_round *r = &report->round[report->n];

			if (!chosen(d, o, c))
				continue;
			progress(c, NULL, k + 1, o->rounds);
			err = play(d, c, r);
			if (err == 0) {
				report->n++;
				progress(c, r, k + 1, o->rounds);
			}
		}
	}
	if (isatty(STDERR_FILENO))
		(void)fprintf(stderr, "\r\033[K");
	return err;
}

/* The first server of `s` that is not a backup is the one that will fail. */
static bool
aim_at_server(struct drill *d, const struct service *s)
{
	for (size_t i = 0; i < s->n_servers; i++) {
		int host = world_index(&d->world, s->server[i].host);

		if (host >= 0 && !s->server[i].backup) {
			d->server = (size_t)host;
			return true;
		}
	}
	return false;
}

/* The first service at a floating address is what the client asks for. */
static int
aim(struct drill *d, const struct cluster *c)
{
	for (size_t i = 0; i < c->n_services; i++) {
		const struct service *s = &c->service[i];

		for (size_t k = 0; k < s->n_listen; k++) {
			const struct floating_ip *ip = s->listen[k].floating_ip;

			if (ip == NULL || ip->n_hosts < 2 || !aim_at_server(d, s))
				continue;
			d->ip = ip;
			d->returns = ip->failback;
			d->target = s->listen[k].at;
			return 0;
		}
	}
	return -ENOENT;
}

static int
watch(struct drill *d)
{
	const char *ns[OWNERS_HOSTS_MAX];
	struct load_conf load = {.netns = d->client,
	    .target = d->target,
	    .busy = BUSY,
	    .held = HELD,
	    .busy_every_ns = BUSY_EVERY,
	    .held_every_ns = HELD_EVERY};

	for (size_t i = 0; i < d->world.n_hosts; i++)
		ns[i] = d->world.host[i].ns;
	world_client(
	    &d->world, d->world.outside != NULL ? NULL : d->ip->network, d->client);
	d->owners = owners_start(ns, d->world.n_hosts, &d->target.ip);
	if (d->owners == NULL)
		return -errno;
	(void)!drill_until(d, drill_owner_right, READY_NS);
	d->prober = prober_start(d->client, &d->target);
	d->load = d->prober != NULL ? load_start(&load) : NULL;
	if (d->load == NULL)
		return -errno;
	return drill_until(d, all_well, READY_NS);
}

static void
interrupted(void)
{
	(void)fprintf(stderr, "nines drill: interrupted\n");
}

static void
explain_start(const struct drill *d, int err)
{
	if (err == -EINTR) {
		interrupted();
		return;
	}
	(void)fprintf(stderr,
	    "nines drill: the lab does not serve: %s\n"
	    "  last words of the programs:\n",
	    strerror(-err));
	file_tails(d->world.dir, stderr);
}

static int
rehearse(struct drill *d, const struct options *o)
{
	struct drill_report report = {.drill = d,
	    .program = o->engine == ENGINE_NINES ? "nines" : "keepalived and haproxy"};
	int err, status = 0;
	FILE *html;

	err = play_all(d, o, &report);
	report.heartbeat_ns =
	    o->heartbeat_ns > 0 ? o->heartbeat_ns : d->ip->heartbeat_ns;
	if (o->json)
		status = report_json(&report, stdout) != 0;
	else
		report_table(&report, stdout, isatty(STDOUT_FILENO) != 0);
	if (o->story && !o->json) {
		for (size_t i = 0; i < report.n; i++)
			report_story_text(&report, &report.round[i], stdout);
	}
	if (o->html != NULL) {
		html = fopen(o->html, "we");
		if (html == NULL || report_html(&report, html) != 0) {
			(void)fprintf(stderr, "nines drill: cannot write %s: %s\n",
			    o->html, strerror(errno));
			status = 1;
		}
		if (html != NULL && fclose(html) != 0)
			status = 1;
	}
	for (size_t i = 0; i < report.n; i++)
		status |= !report.round[i].settled;
	free(report.round);
	if (err == -EINTR)
		interrupted();
	return err != 0 ? 1 : status;
}

static int
run(struct drill *d, const struct cluster *c, const struct options *o)
{
	char name[WORLD_NAME_MAX];
	struct sbuf why;
	int err, status = 1;

	(void)snprintf(name, sizeof(name), "drill-%d", (int)getpid());
	err = world_init(&d->world, name, c, o->engine);
	if (err != 0) {
		(void)fprintf(stderr, "nines drill: %s/%s: %s\n", WORLD_DIR, name,
		    strerror(-err));
		world_done(&d->world);
		return 1;
	}
	if (aim(d, c) != 0) {
		(void)fprintf(stderr,
		    "nines drill: %s has no service with servers at a floating "
		    "address that two hosts share: nothing to drill\n",
		    o->file);
		goto out;
	}
	sbuf_init(&why, 65536);
	err = world_build(&d->world, &d->change, &why);
	if (err == 0)
		err = world_run(&d->world, &why);
	if (err != 0)
		(void)fprintf(stderr, "nines drill: %s\n", sbuf_text(&why));
	sbuf_done(&why);
	if (err != 0)
		goto out;
	err = watch(d);
	if (err == 0)
		status = rehearse(d, o);
	else
		explain_start(d, err);
	load_stop(d->load);
	prober_stop(d->prober);
	owners_stop(d->owners);
out:
	world_done(&d->world);
	(void)!world_destroy(name);
	return status;
}

static int
list(void)
{
	char what[120];

	for (const struct drill_case *c = drill_cases; c->name != NULL; c++) {
		if (c->hidden)
			continue;
		drill_describe(c, c->on_server ? "a server" : "the active host", what,
		    sizeof(what));
		(void)printf("  %-18s %s\n", c->name, what);
	}
	return 0;
}

static bool
parse(int argc, char **argv, struct options *o, bool *listing)
{
	static const struct option options[] = {
	    {"case", required_argument, NULL, 'c'},
	    {"rounds", required_argument, NULL, 'n'},
	    {"heartbeat", required_argument, NULL, 'b'},
	    {"against", required_argument, NULL, 'a'},
	    {"soak", required_argument, NULL, 's'},
	    {"html", required_argument, NULL, 'h'},
	    {"json", no_argument, NULL, 'j'},
	    {"story", no_argument, NULL, 't'},
	    {"list", no_argument, NULL, 'l'},
	    {NULL, 0, NULL, 0},
	};
	int64_t n = 0;
	int c;

	*o = (struct options){.rounds = 1};
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'c')
			o->cases = optarg;
		else if (c == 'n' && file_number(optarg, 1, ROUNDS_MAX, &n))
			o->rounds = (unsigned)n;
		else if (c == 'b' && file_duration(optarg, &n))
			o->heartbeat_ns = n;
		else if (c == 's' && file_number(optarg, 1, SOAK_MAX, &n))
			o->soak_ns = n * SEC_NS;
		else if (c == 'a' && strcmp(optarg, "keepalived") == 0)
			o->engine = ENGINE_KEEPALIVED;
		else if (c == 'h')
			o->html = optarg;
		else if (c == 'j')
			o->json = true;
		else if (c == 't')
			o->story = true;
		else if (c == 'l')
			*listing = true;
		else
			return false;
	}
	o->file = optind + 1 == argc ? argv[optind] : NULL;
	/* One case on its own is for looking at closely. */
	if (o->cases != NULL && strchr(o->cases, ',') == NULL && o->rounds == 1)
		o->story = true;
	return *listing || o->file != NULL;
}

int
drill_main(int argc, char **argv)
{
	const struct cluster *c;
	struct drill *d;
	struct options o;
	bool listing = false;
	sigset_t set;
	int status = 1;

	if (!parse(argc, argv, &o, &listing))
		return verb_usage(verb_find(verbs, argv[0]));
	if (listing)
		return list();
	if (!cases_known(&o))
		return EXIT_USAGE;
	if (!file_ready("drill", o.engine == ENGINE_KEEPALIVED))
		return 1;
	c = file_load(o.file);
	if (c == NULL)
		return 1;
	d = calloc(1, sizeof(*d));
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL); /* for the threads too */
	(void)signal(SIGPIPE, SIG_IGN);
	if (d != NULL) {
		d->signals = signalfd(-1, &set, SFD_CLOEXEC);
		d->soak_ns = o.soak_ns;
		d->change.heartbeat_ns = o.heartbeat_ns;
		if (getrandom(&d->rng.state, sizeof(d->rng.state), 0) < 0)
			d->rng.state = (uint64_t)getpid();
		if (d->signals >= 0)
			status = run(d, c, &o);
	}
	free(d);
	cluster_unref(c);
	return status;
}
