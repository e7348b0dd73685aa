/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy_part.c - the control thread: from the cluster file, facts and sockets to views
 * for the workers, and from their counters to facts.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "os/starved.h"
#include "part/part.h"
#include "proxy/access_log.h"
#include "proxy/control/advice.h"
#include "proxy/control/gen.h"
#include "proxy/control/gen_page.h"
#include "proxy/control/gen_stick.h"
#include "proxy/control/gen_tls.h"
#include "proxy/control/known.h"
#include "proxy/control/listening.h"
#include "proxy/counters.h"
#include "proxy/proxy.h"
#include "proxy/sources/source_sync.h"
#include "proxy/tls/tls_memory.h"
#include "proxy/worker.h"

#define LOG_EVERY_NS (20 * MS_NS)
#define NEWS_NS	     (5 * MS_NS)
#define STUCK_NS     (250 * MS_NS) /* a worker's piece of work takes microseconds */

/* What real traffic found out about a server, as last published. */
struct told {
	uint64_t failures, doubts;
};

/* What was seen of a worker, last when it had got on. */
struct seen {
	uint64_t turns;
	mono_t at;
	int64_t cpu_ns;
};

struct proxy {
	struct part *part;
	struct loop_fd *watch;
	int notify;
	struct gen *gen;
	const struct cluster *cluster;
	const struct host *me;
	struct worker *worker[WORKERS_CAP];
	struct seen seen[WORKERS_CAP];
	unsigned n_workers;
	struct listening listening;
	struct known known;
	struct told *told;	/* by the order of view.server */
	struct loop_timer show; /* one view for all the news of a wake-up */
	struct loop_timer deadline;
	struct loop_timer log;
	struct source_sync *sources;
	struct loop_timer news; /* of workers, about sources */
	unsigned log_at;	/* the worker whose ring is written out */
	uint64_t log_lost;	/* lines dropped, as last told */
	uint64_t shown;		/* serial of the last view */
	struct list settling;	/* orders that are answered when all go by a view */
	bool active, stopping, stopped;
	bool yielding; /* to a successor, which must not act before all are deaf */
};

/* Views */

/* What of this host's set-up the file would have otherwise. */
static void
publish_advice(struct proxy *p)
{
	char text[ADVICE_LEN];

	if (!p->active || p->cluster == NULL)
		return;
	advice_give(text, p->cluster, p->me);
	part_publish(p->part, "proxy advice", "%s", text);
}

static void
tell_listening(const struct proxy *p)
{
	if (p->active && !p->stopping)
		listening_publish(&p->listening);
}

/* Tells the workers all that is known now. */
static void
show(void *arg)
{
	struct proxy *p = arg;
	struct view *v;

	if (p->gen == NULL)
		return;
	v = view_new(p->gen, p->listening.n);
	if (v == NULL) {
		log_event(LOG_ERR, "view", "error=\"no memory\"");
		return;
	}
	v->serial = ++p->shown;
	v->accepting = p->active && !p->stopping;
	v->stopping = p->stopping;
	known_fill(&p->known, v);
	listening_fill(&p->listening, &p->known, v);
	for (size_t i = 0; i < p->gen->cluster->n_services; i++)
		v->sources[i] = source_map_ref(
		    source_sync_map(p->sources, &p->gen->cluster->service[i]));
	for (unsigned w = 0; w < p->n_workers; w++)
		worker_show(p->worker[w], view_ref(v));
	view_unref(v);
	tell_listening(p);
}

static void
show_soon(void *arg)
{
	struct proxy *p = arg;

	loop_timer_set(part_loop(p->part), &p->show, loop_now(part_loop(p->part)));
}

/* What workers found out */

static void
publish_passive(struct proxy *p, size_t i, size_t j)
{
	const struct gen_service *gs = &p->gen->service[i];
	const char *service = gs->conf->name, *server = gs->conf->server[j].name;
	struct told *told = &p->told[gs->first + j];
	uint64_t doubts = gen_doubts(p->gen, i, j), n;
	char key[FACT_KEY_LEN];
	int error = 0;

	n = gen_failures(p->gen, i, j, &error);
	(void)snprintf(key, sizeof(key), "passive %s %s", service, server);
	if (doubts != told->doubts) {
		part_publish(p->part, key, "doubt %llu", (unsigned long long)doubts);
		log_event(
		    LOG_WARN, "server_silent", "service=%s server=%s", service, server);
	}
	if (n != told->failures) {
		part_publish(p->part, key, "fail %llu %s", (unsigned long long)n,
		    strerror(error));
		log_event(LOG_WARN, "server_failed",
		    "service=%s server=%s error=\"%s\"", service, server,
		    strerror(error));
	}
	*told = (struct told){.failures = n, .doubts = doubts};
}

static void
publish_failures(struct proxy *p)
{
	const struct gen *g = p->gen;

	for (size_t i = 0; g != NULL && i < g->cluster->n_services; i++) {
		for (size_t j = 0;
		     g->service[i].here && j < g->service[i].conf->n_servers; j++)
			publish_passive(p, i, j);
	}
}

static void
stop_now(void *arg)
{
	struct proxy *p = arg;

	if (p->stopped)
		return;
	p->stopped = true;
	part_stopped(p->part);
}

static bool
all_deaf(const struct proxy *p)
{
	for (unsigned w = 0; w < p->n_workers; w++) {
		if (!worker_deaf(p->worker[w]))
			return false;
	}
	return true;
}

/* What workers decided about sources; then others are told. */
static void
take_news(void *arg)
{
	struct proxy *p = arg;
	struct source_news news;

	for (unsigned w = 0; w < p->n_workers; w++) {
		struct source_ring *ring = worker_sources(p->worker[w]);

		if (ring == NULL || !source_ring_open(ring))
			continue;
		for (unsigned n = 0; n < SOURCE_RING && source_ring_get(ring, &news);
		     n++)
			source_sync_news(p->sources, &news);
	}
	source_sync_pump(p->sources);
}

/* Not at once: more come together. */
static void
want_news(struct proxy *p)
{
	for (unsigned w = 0; w < p->n_workers && p->news.pos == 0; w++) {
		struct source_ring *ring = worker_sources(p->worker[w]);

		if (ring != NULL && source_ring_told(ring))
			loop_timer_set(part_loop(p->part), &p->news,
			    mono_add(loop_now(part_loop(p->part)), NEWS_NS));
	}
}

/* Somebody waits until what was known when he asked is what all workers go by. */
struct settling {
	struct list node;
	uint64_t order, serial;
};

static bool
all_adopted(const struct proxy *p, uint64_t serial)
{
	for (unsigned w = 0; w < p->n_workers; w++) {
		if (worker_adopted(p->worker[w]) < serial)
			return false;
	}
	return true;
}

static void
answer_settled(struct proxy *p)
{
	LIST_EACH(n, tmp, &p->settling)
	{
		struct settling *s = CONTAINER(n, struct settling, node);

		if (!all_adopted(p, s->serial))
			continue;
		part_reply(p->part, s->order, true, NULL, NULL);
		list_remove(&s->node);
		free(s);
	}
}

static void
settle(struct proxy *p, uint64_t order)
{
	struct settling *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		part_reply(p->part, order, false, "no memory", NULL);
		return;
	}
	show(p);
	s->order = order;
	s->serial = p->shown;
	list_append(&p->settling, &s->node);
	answer_settled(p);
}

static void
notified(void *arg, unsigned events)
{
	struct proxy *p = arg;
	uint64_t n;

	(void)events;
	(void)!read(p->notify, &n, sizeof(n));
	publish_failures(p);
	want_news(p);
	answer_settled(p);
	if (!p->stopping)
		return;
	if (p->yielding && all_deaf(p)) {
		p->yielding = false;
		part_yielded(p->part);
	}
	for (unsigned w = 0; w < p->n_workers; w++) {
		if (!worker_done(p->worker[w]))
			return;
	}
	stop_now(p);
}

/* The access log */

/* Writes the workers' lines to standard output. Once a ring is begun it is finished
 * before the next: a line may be half written. */
static void
drain_rings(struct proxy *p)
{
	int r = 0;

	for (unsigned n = 0; n < p->n_workers && r == 0; n++) {
		struct access_ring *ring = worker_ring(p->worker[p->log_at]);

		if (ring != NULL)
			r = access_ring_drain(ring, STDOUT_FILENO);
		if (r == 0)
			p->log_at = (p->log_at + 1) % p->n_workers;
	}
}

/* The same, and comes again soon. */
static void
write_log(void *arg)
{
	struct proxy *p = arg;
	uint64_t lost = 0;

	drain_rings(p);
	for (unsigned w = 0; w < p->n_workers; w++) {
		if (worker_ring(p->worker[w]) != NULL)
			lost += access_ring_dropped(worker_ring(p->worker[w]));
	}
	if (lost != p->log_lost)
		log_event(LOG_WARN, "access_log", "dropped=%llu",
		    (unsigned long long)(lost - p->log_lost));
	p->log_lost = lost;
	loop_timer_set(part_loop(p->part), &p->log,
	    mono_add(loop_now(part_loop(p->part)), LOG_EVERY_NS));
}

static void
want_log(struct proxy *p)
{
	bool any = false;

	for (size_t i = 0; i < p->cluster->n_services; i++)
		any |= p->cluster->service[i].log != LOG_MODE_OFF;
	if (any && p->active)
		write_log(p);
}

/* Configuration */

static unsigned
workers_wanted(const struct cluster *c)
{
	cpu_set_t set;
	int n = 1;

	if (c->workers != 0)
		n = (int)c->workers;
	else if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	return n > WORKERS_CAP ? WORKERS_CAP : (unsigned)n;
}

/* Threads are made once, when the first file says how many. 0 or -errno. */
static int
start_workers(struct proxy *p)
{
	unsigned n = workers_wanted(p->cluster);
	struct worker_conf conf = {.notify = p->notify,
	    .all = p->worker,
	    .n_all = n,
	    .seed = (uint64_t)getpid()};
	sigset_t all, old;
	int r = 0;

	if (p->n_workers > 0) /* another number takes another process */
		return 0;
	/* Signals are the control thread's. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	for (unsigned i = 0; i < n && r == 0; i++) {
		conf.index = i;
		conf.seed += i;
		r = worker_start(&p->worker[i], &conf);
	}
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	p->n_workers = p->listening.n_workers = n;
	return r;
}

static int
open_file(void *arg, const char *path)
{
	const struct proxy *p = arg;

	return part_file(p->part, path);
}

/* What there is to say about files of the service; "": nothing. */
static void
publish_file(
    struct proxy *p, const char *what, const struct service *service, const char *text)
{
	char key[FACT_KEY_LEN];

	(void)snprintf(key, sizeof(key), "proxy %s %s", what, service->name);
	part_publish(p->part, key, "%s", text);
}

/* What `old` had and is not here any more is no fact. */
static void
withdraw_files(struct proxy *p, const struct gen *old)
{
	for (size_t i = 0; p->active && old != NULL && i < old->cluster->n_services;
	     i++) {
		const struct service *was = &old->cluster->service[i];
		const struct service *s = cluster_service(p->cluster, was->name);

		if (!old->service[i].here || (s != NULL && service_on_host(s, p->me)))
			continue;
		publish_file(p, "tls", was, "");
		publish_file(p, "page", was, "");
		publish_file(p, "sticky", was, "");
	}
}

static void
tell_files(struct proxy *p)
{
	const struct gen *g = p->gen;
	char tls[TLS_FACT_LEN], page[PAGE_FACT_LEN], stick[STICK_FACT_LEN];

	for (size_t i = 0; p->active && g != NULL && i < g->cluster->n_services; i++) {
		const struct gen_service *gs = &g->service[i];

		if (!gs->here)
			continue;
		gen_tls_fact(gs, tls);
		gen_page_fact(gs, page);
		gen_stick_fact(gs, stick);
		publish_file(p, "tls", gs->conf, tls);
		publish_file(p, "page", gs->conf, page);
		publish_file(p, "sticky", gs->conf, stick);
	}
}

/* `files`: those of a new cluster file are at hand. */
static void
adopt_gen(struct proxy *p, bool counted, bool files)
{
	const struct tls_source source = {open_file, p};
	struct gen *g = gen_new(p->cluster, p->me, p->n_workers,
	    counted ? part_stats(p->part) : NULL, p->gen, files ? &source : NULL);
	struct told *told = g != NULL ? calloc(g->n_servers + 1, sizeof(*told)) : NULL;
	int error;

	if (told == NULL) {
		log_event(LOG_ERR, "config", "error=\"no memory\"");
		gen_unref(g);
		return;
	}
	for (size_t i = 0; i < g->cluster->n_services; i++) {
		const struct gen_service *gs = &g->service[i];

		for (size_t j = 0; gs->here && j < gs->conf->n_servers; j++)
			told[gs->first + j] =
			    (struct told){.failures = gen_failures(g, i, j, &error),
				.doubts = gen_doubts(g, i, j)};
	}
	free(p->told);
	p->told = told;
	withdraw_files(p, p->gen);
	gen_unref(p->gen);
	p->gen = g;
	known_resolve(&p->known, g);
	tell_files(p);
}

static void
on_config(void *self, const struct cluster *c, const struct host *me)
{
	struct proxy *p = self;
	const struct cluster *old = p->cluster;
	int r;

	p->cluster = cluster_ref(c);
	p->me = me;
	r = start_workers(p);
	if (r != 0) {
		log_event(LOG_ERR, "workers", "error=\"%s\"", strerror(-r));
		exit(EXIT_FAILURE); /* the supervisor starts another process */
	}
	adopt_gen(p, p->active, true);
	source_sync_config(p->sources, c, me);
	if (!p->stopping)
		listening_config(&p->listening, c, me);
	tell_listening(p); /* at once: a reload's answer waits for what is said here */
	want_log(p);
	publish_advice(p);
	cluster_unref(old);
	show_soon(p);
}

/* Facts, sockets, orders */

static void
on_fact(void *self, const char *key, const char *value)
{
	struct proxy *p = self;

	if (strncmp(key, "passive ", 8) == 0 || strncmp(key, "service ", 8) == 0)
		return;
	known_put(&p->known, p->gen, key, value);
	show_soon(p);
}

static void
on_socket(void *self, const char *name, int fd)
{
	struct proxy *p = self;

	if (source_sync_socket(p->sources, name, fd))
		return;
	if (listening_put(&p->listening, name, fd)) {
		tell_listening(p);
		show_soon(p);
	} else if (fd >= 0) { /* the file does not name it any more */
		(void)close(fd);
	}
}

static void
on_activate(void *self)
{
	struct proxy *p = self;

	/* Clients first, then counters: their blocks take a while to find. */
	p->active = true;
	show(p);
	if (p->cluster == NULL)
		return;
	adopt_gen(p, true, false);
	if (p->gen != NULL)
		gen_reset_gauges(p->gen);
	source_sync_activate(p->sources);
	want_log(p);
	publish_advice(p);
	show(p);
}

static void
on_command(void *self, uint64_t id, const char *const *argv, size_t argc)
{
	struct proxy *p = self;

	if (argc == 1 && strcmp(argv[0], "settle") == 0)
		settle(p, id);
	else
		part_reply(p->part, id, false, "the proxy knows no such order", NULL);
}

/* What is open may finish, within the longest of the services' times for it. */
static void
begin_leaving(struct proxy *p)
{
	int64_t longest = 0;

	p->stopping = true;
	for (size_t i = 0; i < p->cluster->n_services; i++) {
		const struct service *s = &p->cluster->service[i];

		if (s->drain_timeout_ns > longest)
			longest = s->drain_timeout_ns;
	}
	loop_timer_set(part_loop(p->part), &p->deadline,
	    mono_add(loop_now(part_loop(p->part)), longest));
}

/* The supervisor stops us when the floating addresses are gone (they leave first). */
static void
on_stop(void *self)
{
	struct proxy *p = self;

	if (p->stopping || p->cluster == NULL || !p->active) {
		stop_now(p);
		return;
	}
	begin_leaving(p);
	/* Nobody new: a socket left open would let clients connect and then wait. */
	listening_leave(&p->listening);
	show(p);
}

/* The listeners are the successor's now: no worker may accept, and none may close. The
 * counters are its own, too: what is finished here is counted for nobody. */
static void
on_yield(void *self)
{
	struct proxy *p = self;

	if (p->cluster == NULL || !p->active) {
		stop_now(p);
		return;
	}
	begin_leaving(p);
	p->yielding = true;
	source_sync_yield(p->sources);
	adopt_gen(p, false, false);
	show(p);
}

/* It has got no further for long. That it wants a processor and has none is not its
 * fault: another in its place would fare no better, and its connections would be lost.
 */
static bool
is_stuck(const struct worker *w, const struct seen *seen, mono_t now)
{
	int64_t spent = mono_sub(now, seen->at), cpu_ns;
	pid_t tid = worker_thread(w, &cpu_ns);

	cpu_ns -= seen->cpu_ns;
	if (spent <= STUCK_NS || (cpu_ns < STUCK_NS / 2 && starved_wants(tid)))
		return false;
	log_event(LOG_ERR, "worker_stuck", "thread=%d ms=%lld cpu_ms=%lld", (int)tid,
	    (long long)(spent / MS_NS), (long long)(cpu_ns / MS_NS));
	return true;
}

static bool
on_alive(void *self)
{
	struct proxy *p = self;
	mono_t now = loop_clock(part_loop(p->part));

	for (unsigned w = 0; w < p->n_workers; w++) {
		struct seen *seen = &p->seen[w], is = {.at = now};

		if (worker_idle(p->worker[w], &is.turns) || is.turns != seen->turns) {
			(void)worker_thread(p->worker[w], &is.cpu_ns);
			*seen = is;
		} else if (is_stuck(p->worker[w], seen, now)) {
			return false;
		}
	}
	return true;
}

static int
on_start(void *self, struct part *part)
{
	struct proxy *p = self;

	p->part = p->listening.part = part;
	list_init(&p->settling);
	p->show = (struct loop_timer){.cb = show, .arg = p};
	p->log = (struct loop_timer){.cb = write_log, .arg = p};
	p->deadline = (struct loop_timer){.cb = stop_now, .arg = p};
	p->news = (struct loop_timer){.cb = take_news, .arg = p};
	p->sources = source_sync_new(part, show_soon, p);
	if (p->sources == NULL)
		return -ENOMEM;
	p->notify = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (p->notify < 0)
		return -errno;
	p->watch = loop_watch(part_loop(part), p->notify, LOOP_IN, notified, p);
	return p->watch != NULL ? 0 : -ENOMEM;
}

static void
finish(struct proxy *p)
{
	workers_end(p->worker, p->n_workers);
	drain_rings(p); /* the last lines */
	workers_free(p->worker, p->n_workers);
	LIST_EACH(n, tmp, &p->settling)
	free(CONTAINER(n, struct settling, node));
	known_done(&p->known);
	free(p->told);
	listening_done(&p->listening);
	source_sync_free(p->sources);
	gen_unref(p->gen);
	cluster_unref(p->cluster);
}

int
proxy_main(void)
{
	static const struct part_ops ops = {.start = on_start,
	    .config = on_config,
	    .fact = on_fact,
	    .socket = on_socket,
	    .activate = on_activate,
	    .command = on_command,
	    .stop = on_stop,
	    .yield = on_yield,
	    .alive = on_alive};
	struct proxy *p = calloc(1, sizeof(*p));
	int r;

	if (p == NULL)
		return EXIT_FAILURE;
	tls_memory_init();
	r = part_main("proxy", &ops, p);
	finish(p);
	free(p);
	return r;
}
