/* SPDX-License-Identifier: Apache-2.0 */
/* The verb `drill`: builds the lab, runs cases, reports, and leaves nothing behind. */

#include "lab/drill.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/verbs.h"
#include "lab/file.h"
#include "lab/lab.h"
#include "lab/live.h"
#include "lab/peers.h"

#define READY_NS   (20 * SEC_NS)
#define START_NS   (60 * SEC_NS) /* a busy machine takes its time */
#define SOAK_MAX   1000		 /* seconds; the prober remembers that much */
#define ROUNDS_MAX 1000
#define BUSY	   10
#define BUSY_EVERY (20 * MS_NS) /* 500 requests a second in all */
#define HELD	   20
#define HELD_EVERY SEC_NS
#define DOWNLOADS  4
#define PUSHES	   8

#define AGAIN 2 /* times, for a round that says nothing */

struct options {
	const char *file, *cases, *only, *html, *resume, *before;
	unsigned rounds;
	int64_t heartbeat_ns, soak_ns, random_ns, seed;
	enum engine engine;
	const char *run_dir;
	char command[512];
	bool json, story, all, keep, live, yes;
};

/* Is `name` one of `list`, words with commas between? */
static bool
listed(const char *list, const char *name)
{
	for (const char *p = list; *p != '\0';) {
		size_t n = strcspn(p, ",");

		if (mishap_matches(name, p, n))
			return true;
		p += n + (p[n] == ',');
	}
	return false;
}

static bool
chosen(const struct drill *d, const struct options *o, const struct drill_case *c)
{
	if (o->soak_ns > 0)
		return c->hidden;
	if (c->hidden || c->generated || (o->engine == ENGINE_KEEPALIVED && !c->peers))
		return false;
	if (c->returns && o->engine == ENGINE_KEEPALIVED && !d->ip->failback)
		return false; /* its peers cannot be told while they run */
	return o->cases == NULL || listed(o->cases, c->name);
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

		const struct drill_case *c = case_named(p, n);

		if (c == NULL || c->generated) {
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

/* Each word of --only is a failure of the file: a misspelt one would be played as none
 * at all, and that passes for success. */
static bool
only_known(const struct cluster *c, const struct options *o)
{
	size_t n = mishap_list(c, NULL, 0), len;
	struct mishap *list = calloc(n + 1, sizeof(*list));
	char name[MISHAP_NAME_LEN];
	bool known = list != NULL;

	n = list != NULL ? mishap_list(c, list, n) : 0;
	for (const char *p = o->only != NULL ? o->only : ""; *p != '\0' && known;
	     p += len + (p[len] == ',')) {
		len = strcspn(p, ",");
		known = false;
		for (size_t i = 0; i < n && !known; i++) {
			mishap_name(&list[i], name, sizeof(name));
			known = mishap_matches(name, p, len);
		}
		if (!known)
			(void)fprintf(stderr,
			    "nines drill: no failure \"%.*s\"; `nines drill --list %s` "
			    "shows them\n",
			    (int)len, p, o->file);
	}
	free(list);
	return known;
}

/* Before anything is built. */
static bool
report_readable(const char *path)
{
	struct report_old old;
	bool good = report_old_load(&old, path) == 0;

	report_old_done_with(&old);
	return good;
}

struct plan {
	struct drill_task *task;
	size_t n;
	struct mishap *mishap;
	size_t n_mishaps;
};

static void
plan_done(struct plan *p)
{
	free(p->task);
	free(p->mishap);
}

static int
plan_mishaps(struct plan *p, const struct drill *d, const struct options *o,
    const struct report_old *old)
{
	const struct cluster *c = d->world.cluster;
	char name[MISHAP_NAME_LEN];

	p->n_mishaps = mishap_list(c, NULL, 0);
	p->mishap = calloc(p->n_mishaps + 1, sizeof(*p->mishap));
	p->task = calloc(p->n_mishaps + 1, sizeof(*p->task));
	if (p->mishap == NULL || p->task == NULL)
		return -ENOMEM;
	(void)mishap_list(c, p->mishap, p->n_mishaps);
	for (size_t i = 0; i < p->n_mishaps; i++) {
		const struct mishap *f = &p->mishap[i];

		mishap_name(f, name, sizeof(name));
		if ((o->only != NULL && !listed(o->only, name)) ||
		    report_old_done(old, name))
			continue;
		p->task[p->n++] = (struct drill_task){f->what, f};
	}
	return 0;
}

/* What is to be played, once. */
static int
plan_init(struct plan *p, const struct drill *d, const struct options *o,
    const struct report_old *old)
{
	*p = (struct plan){.n = 0};
	if (o->all)
		return plan_mishaps(p, d, o, old);
	for (const struct drill_case *c = drill_cases; c->name != NULL; c++)
		p->n_mishaps++;
	p->task = calloc(p->n_mishaps + 1, sizeof(*p->task));
	if (p->task == NULL)
		return -ENOMEM;
	for (const struct drill_case *c = drill_cases; c->name != NULL; c++) {
		if (chosen(d, o, c) && !report_old_done(old, c->name))
			p->task[p->n++] = (struct drill_task){c, NULL};
	}
	return 0;
}

static void
task_name(const struct drill_task *t, char *name, size_t size)
{
	if (t->mishap != NULL)
		mishap_name(t->mishap, name, size);
	else
		(void)snprintf(name, size, "%s", t->what->name);
}

#define BAR 24

/* How much is done, and what that says about the rest. */
static void
progress_bar(const struct drill_task *t, size_t done, size_t all, int64_t spent_ns)
{
	char name[MISHAP_NAME_LEN], bar[BAR + 1];
	int64_t left = done > 0 ? spent_ns / (int64_t)done * (int64_t)(all - done) : 0;

	for (size_t i = 0; i < BAR; i++)
		bar[i] = i * all < done * BAR ? '#' : '.';
	bar[BAR] = '\0';
	task_name(t, name, sizeof(name));
	(void)fprintf(stderr, "\r\033[K[%s] %zu/%zu  %s", bar, done, all, name);
	if (done > 0)
		(void)fprintf(stderr, ", %" PRId64 ":%02" PRId64 " left",
		    left / SEC_NS / 60, left / SEC_NS % 60);
}

/* One line a round where nobody looks at a bar; else only what went wrong. */
static void
progress(const struct drill_round *r, size_t done, size_t all)
{
	bool live = isatty(STDERR_FILENO) != 0;

	if (!live || !r->settled)
		(void)fprintf(stderr, "%s%zu/%zu %s: %.1f ms without an answer%s%s\n",
		    live ? "\r\033[K" : "", done, all, r->name,
		    (double)r->phase[0].probes.outage_ns / 1e6, r->settled ? "" : "; ",
		    r->trouble);
}

static int
play_all(struct drill *d, const struct plan *p, const struct options *o,
    struct drill_report *report)
{
	size_t all = p->n * o->rounds;
	mono_t start = probe_clock();
	int err = 0;

	report->round = calloc(all + 1, sizeof(*report->round));
	if (report->round == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < all && err == 0; i++) {
		const struct drill_task *t = &p->task[i % p->n];
		struct drill_round *r = &report->round[report->n];

		if (isatty(STDERR_FILENO))
			progress_bar(t, i, all, mono_sub(probe_clock(), start));
		for (int again = 0; again <= AGAIN; again++) {
			free(r->beat);
			*r = (struct drill_round){.what = t->what};
			err = drill_play(d, t, r);
			/* What a machine that stands still does is nobody's fault; a
			 * write that is lost always is. */
			if (err != 0 || r->settled || !r->doubtful ||
			    ledger_wrong(&r->writes) > 0)
				break;
		}
		if (err == 0 || err == -ECANCELED) {
			report->n++;
			progress(r, i + 1, all);
		}
	}
	if (isatty(STDERR_FILENO))
		(void)fprintf(stderr, "\r\033[K");
	return err;
}

static int
aim(struct drill *d, const struct cluster *c)
{
	const struct listener *l = drill_target(c, &d->service);

	if (l == NULL)
		return -ENOENT;
	d->server = (size_t)world_index(&d->world, drill_server(d->service));
	d->ip = l->floating_ip;
	d->returns = d->ip->failback;
	d->target = l->at;
	d->topology = topology_new(c);
	d->goal = d->topology != NULL ? mishap_goal(d->topology, d->service) : -1;
	return 0;
}

static int
watch(struct drill *d)
{
	static const unsigned flows[FLOW_KINDS] = {
	    [FLOW_DOWNLOAD] = DOWNLOADS, [FLOW_PUSH] = PUSHES};
	const struct cluster *c = d->world.cluster;
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
	for (size_t i = 0; i < c->n_floating_ips && i < FLOATS_MAX; i++) {
		d->owners_of[i] =
		    owners_start(ns, d->world.n_hosts, &c->floating_ip[i].address[0]);
		if (d->owners_of[i] == NULL)
			return -errno;
		d->n_owners_of++;
	}
	if (d->ip->index >= d->n_owners_of)
		return -E2BIG;
	d->owners = d->owners_of[d->ip->index];
	(void)!drill_until(d, drill_owner_right, READY_NS);
	d->prober = prober_start(d->client, &d->target);
	d->load = d->prober != NULL ? load_start(&load) : NULL;
	d->flows = d->load != NULL ? flows_start(d->client, &d->target, flows) : NULL;
	d->writers =
	    d->flows != NULL ? writers_start(&d->world, d->client, &d->target) : NULL;
	if (d->writers == NULL)
		return -errno;
	return drill_until(d, drill_well, START_NS);
}

static void
say_unmeasured(const struct vpn *v, const char *why)
{
	(void)fprintf(
	    stderr, "nines drill: VPN %s is not measured: %s\n", v->name, why);
}

/* Without him the drill goes on, and says so. */
static int
watch_remote(struct drill *d)
{
	const struct vpn *v = d->world.guest.vpn;
	char why[REMOTE_WHY_LEN] = "nobody answers through it";
	int err = 0;

	if (v == NULL)
		return 0;
	d->remote = remote_start(&d->world, why);
	if (d->remote != NULL)
		err = drill_until(d, drill_remote_steady, READY_NS);
	if (d->remote != NULL && err == 0)
		return 0;
	if (err == -ETIMEDOUT)
		(void)snprintf(why, sizeof(why), "nobody answers through it");
	remote_stop(d->remote);
	d->remote = NULL;
	say_unmeasured(v, why);
	return err == -EINTR ? err : 0;
}

static void
invite(struct drill *d, const struct options *o)
{
	char why[REMOTE_WHY_LEN] = "";

	d->remote_goal = -1;
	if (o->engine != ENGINE_NINES || o->random_ns > 0 || o->soak_ns > 0)
		return;
	if (remote_invite(&d->world, why) && d->topology != NULL)
		d->remote_goal = mishap_vpn_goal(d->topology, d->world.guest.vpn->name);
	if (why[0] != '\0')
		say_unmeasured(&d->world.cluster->vpn[0], why);
}

static void
unwatch(struct drill *d)
{
	remote_stop(d->remote);
	writers_stop(d->writers);
	flows_stop(d->flows);
	load_stop(d->load);
	prober_stop(d->prober);
	for (size_t i = 0; i < d->n_owners_of; i++)
		owners_stop(d->owners_of[i]);
}

static void
interrupted(void)
{
	(void)fprintf(stderr, "nines drill: interrupted\n");
}

static void
explain_start(struct drill *d, int err)
{
	if (err == -EINTR) {
		interrupted();
		return;
	}
	(void)fprintf(stderr,
	    "nines drill: the lab does not serve: %s%s\n"
	    "  last words of the programs:\n",
	    err == -ETIMEDOUT ? drill_unwell(d) : strerror(-err),
	    err == -ETIMEDOUT ? ", a minute after the start: "
				"see `nines spof`, or is the machine too busy?"
			      : "");
	file_tails(d->world.dir, stderr);
}

static void
free_rounds(struct drill_report *report)
{
	for (size_t i = 0; report->round != NULL && i < report->n; i++)
		free(report->round[i].beat);
	free(report->round);
}

static int
write_page(const struct drill_report *report, const char *path)
{
	FILE *f = fopen(path, "we");
	int err = f != NULL ? report_html(report, f) : -errno;

	if (f != NULL && fclose(f) != 0 && err == 0)
		err = -errno;
	if (err != 0)
		(void)fprintf(
		    stderr, "nines drill: cannot write %s: %s\n", path, strerror(-err));
	return err;
}

/* In every form that was asked for. True: it could be written. */
static bool
present(const struct drill_report *report, const struct options *o)
{
	bool good = true;

	if (o->json)
		good = report_json(report, stdout) == 0;
	else
		report_table(report, stdout, isatty(STDOUT_FILENO) != 0);
	if (o->story && !o->json) {
		for (size_t i = 0; i < report->n; i++)
			report_story_text(report, &report->round[i], stdout);
	}
	if (o->html != NULL && write_page(report, o->html) != 0)
		good = false;
	else if (o->html != NULL && !o->json)
		(void)printf("the page with every timeline: %s\n", o->html);
	return good;
}

static int
rehearse(struct drill *d, const struct options *o)
{
	struct drill_report report = {.drill = d,
	    .program = o->engine == ENGINE_NINES ? "nines" : "keepalived and haproxy",
	    .command = o->command,
	    .seed = d->seed};
	bool good = true;
	struct plan plan = {.n = 0};
	int err;

	report.heartbeat_ns =
	    o->heartbeat_ns > 0 ? o->heartbeat_ns : d->ip->heartbeat_ns;
	err = report_old_load(&report.resumed, o->resume);
	if (err == 0)
		err = report_old_load(&report.before, o->before);
	if (err == 0)
		err = plan_init(&plan, d, o, &report.resumed);
	if (err == 0 && plan.n == 0)
		(void)fprintf(stderr, "nines drill: nothing is left to be played\n");
	if (err == 0)
		err = play_all(d, &plan, o, &report);
	if (report.round != NULL)
		good = present(&report, o);
	for (size_t i = 0; report.round != NULL && i < report.n; i++)
		good &= report.round[i].settled;
	free_rounds(&report);
	report_old_done_with(&report.resumed);
	report_old_done_with(&report.before);
	plan_done(&plan);
	if (err == -EINTR)
		interrupted();
	d->kept = err == -ECANCELED;
	return err != 0 || !good ? 1 : 0;
}

static int
by_chance(struct drill *d, const struct options *o)
{
	int err = drill_random(d, o->random_ns);

	if (err == -EINTR)
		interrupted();
	else if (err < 0)
		(void)fprintf(stderr, "nines drill: %s\n", strerror(-err));
	d->kept = d->keep && err == 1;
	return err != 0;
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
	invite(d, o);
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
		err = watch_remote(d);
	if (err == 0 && o->random_ns > 0)
		status = by_chance(d, o);
	else if (err == 0)
		status = rehearse(d, o);
	else
		explain_start(d, err);
	unwatch(d);
out:
	topology_free(d->topology);
	world_done(&d->world);
	if (d->kept)
		(void)fprintf(stderr,
		    "the lab is left as it is; look around, then remove it:\n"
		    "  nines lab exec --name %s %s HOST COMMAND...\n"
		    "  nines lab down --name %s %s\n",
		    name, o->file, name, o->file);
	else
		(void)!world_destroy(name);
	return status;
}

static int
list(void)
{
	char what[120];

	for (const struct drill_case *c = drill_cases; c->name != NULL; c++) {
		if (c->hidden || c->generated)
			continue;
		drill_describe(c, c->on_server ? "a server" : "the active host", what,
		    sizeof(what));
		(void)printf("  %-18s %s\n", c->name, what);
	}
	return 0;
}

/* Every failure of this file, and what the analysis says of it. */
static int
list_mishaps(const struct cluster *c, const struct options *o)
{
	static const char *const words[] = {[FORECAST_NONE] = "?",
	    [FORECAST_SURVIVES] = "survived",
	    [FORECAST_ENDS] = "ends the service",
	    [FORECAST_NOT_RUN] = "ends the service, by data not run by this version"};
	size_t n = mishap_list(c, NULL, 0);
	struct mishap *list = calloc(n + 1, sizeof(*list));
	struct topology *t = topology_new(c);
	struct drill d = {.topology = t, .goal = -1};
	char name[MISHAP_NAME_LEN];

	if (t != NULL)
		d.goal = mishap_goal(t, drill_service(c));
	n = list != NULL ? mishap_list(c, list, n) : 0;
	for (size_t i = 0; i < n; i++) {
		mishap_name(&list[i], name, sizeof(name));
		if (o->only == NULL || listed(o->only, name))
			(void)printf(
			    "  %-34s %s\n", name, words[drill_forecast(&d, &list[i])]);
	}
	topology_free(t);
	free(list);
	return list == NULL;
}

/* A report of an earlier drill, or the name of other programs. */
static void
take_against(struct options *o, const char *arg)
{
	if (strcmp(arg, "keepalived") == 0)
		o->engine = ENGINE_KEEPALIVED;
	else
		o->before = arg;
}

static bool
take_number(struct options *o, int c)
{
	int64_t n = 0;

	switch (c) {
	case 'n':
		if (!file_number(optarg, 1, ROUNDS_MAX, &n))
			return false;
		o->rounds = (unsigned)n;
		return true;
	case 's':
		if (!file_number(optarg, 1, SOAK_MAX, &n))
			return false;
		o->soak_ns = n * SEC_NS;
		return true;
	case 'R':
		return file_span(optarg, &o->random_ns);
	case 'S':
		return file_number(optarg, 1, INT64_MAX, &o->seed);
	case 'b':
		return file_heartbeat(optarg, &o->heartbeat_ns);
	default:
		return false;
	}
}

static bool
take_option(struct options *o, int c)
{
	switch (c) {
	case 'c':
		o->cases = optarg;
		return true;
	case 'o':
		o->only = optarg;
		o->all = true;
		return true;
	case 'a':
		take_against(o, optarg);
		return true;
	case 'h':
		o->html = optarg;
		return true;
	case 'r':
		o->resume = optarg;
		return true;
	case 'd':
		o->run_dir = optarg;
		return true;
	case 'L':
		o->live = true;
		return true;
	case 'y':
		o->yes = true;
		return true;
	case 'j':
		o->json = true;
		return true;
	case 't':
		o->story = true;
		return true;
	case 'A':
		o->all = true;
		return true;
	case 'k':
		o->keep = true;
		return true;
	default:
		return take_number(o, c);
	}
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
	    {"all", no_argument, NULL, 'A'},
	    {"only", required_argument, NULL, 'o'},
	    {"seed", required_argument, NULL, 'S'},
	    {"keep", no_argument, NULL, 'k'},
	    {"resume", required_argument, NULL, 'r'},
	    {"random", required_argument, NULL, 'R'},
	    {"live", no_argument, NULL, 'L'},
	    {"run-dir", required_argument, NULL, 'd'},
	    {"yes", no_argument, NULL, 'y'},
	    {"list", no_argument, NULL, 'l'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	*o = (struct options){.rounds = 1, .run_dir = cli_run_dir()};
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'l')
			*listing = true;
		else if (c == '?' || !take_option(o, c))
			return false;
	}
	o->file = optind + 1 == argc ? argv[optind] : NULL;
	/* One case on its own is for looking at closely. */
	if (o->cases != NULL && strchr(o->cases, ',') == NULL && o->rounds == 1)
		o->story = true;
	if (o->all &&
	    (o->cases != NULL || o->soak_ns > 0 || o->engine == ENGINE_KEEPALIVED))
		return false;
	return o->file != NULL || (*listing && !o->all);
}

/* Short enough to be typed. */
static int64_t
any_seed(void)
{
	uint32_t n = 0;

	if (getrandom(&n, sizeof(n), 0) != sizeof(n))
		n = (uint32_t)getpid();
	return n % 999999 + 1;
}

/* The command line that does the same again, chance included. */
static void
remember_command(int argc, char **argv, struct options *o, int64_t seed)
{
	size_t n = (size_t)snprintf(o->command, sizeof(o->command), "nines drill");

	for (int i = 1; i < argc && n < sizeof(o->command); i++)
		n += (size_t)snprintf(
		    o->command + n, sizeof(o->command) - n, " %s", argv[i]);
	if (o->seed == 0 && n < sizeof(o->command))
		(void)snprintf(
		    o->command + n, sizeof(o->command) - n, " --seed %" PRId64, seed);
}

/* What asks us to end becomes readable; for the threads to come as well. */
static int
take_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL); /* for the threads too */
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int
go_live(const struct options *o)
{
	struct live_conf conf = {.run_dir = o->run_dir, .yes = o->yes};
	int status = 1;

	conf.cluster = file_load(o->file);
	if (conf.cluster == NULL)
		return 1;
	conf.signals = take_signals();
	if (conf.signals >= 0)
		status = live_drill(&conf);
	cluster_unref(conf.cluster);
	return status;
}

/* In a lab of its own. */
static int
perform(const struct cluster *c, struct options *o, int argc, char **argv)
{
	struct drill *d = calloc(1, sizeof(*d));
	int signals = take_signals(), status = 1;

	(void)signal(SIGPIPE, SIG_IGN);
	if (d != NULL) {
		d->signals = signals;
		d->soak_ns = o->soak_ns;
		d->change.heartbeat_ns = o->heartbeat_ns;
		d->keep = o->keep;
		d->seed = o->seed > 0 ? o->seed : any_seed();
		d->rng.state = (uint64_t)d->seed;
		remember_command(argc, argv, o, d->seed);
		if (d->signals >= 0)
			status = run(d, c, o);
	}
	free(d);
	return status;
}

int
drill_main(int argc, char **argv)
{
	const struct cluster *c;
	struct options o;
	bool listing = false;
	int status = 1;

	if (!parse(argc, argv, &o, &listing))
		return verb_usage(verb_find(verbs, argv[0]));
	if (listing && o.file == NULL)
		return list();
	if (!cases_known(&o))
		return EXIT_USAGE;
	if (o.live)
		return go_live(&o);
	c = file_load(o.file);
	if (c == NULL)
		return 1;
	if (!only_known(c, &o))
		status = EXIT_USAGE;
	else if (listing)
		status = list_mishaps(c, &o);
	else if (report_readable(o.resume) && report_readable(o.before) &&
		 file_ready("drill", o.engine == ENGINE_KEEPALIVED))
		status = perform(c, &o, argc, argv);
	cluster_unref(c);
	return status;
}
