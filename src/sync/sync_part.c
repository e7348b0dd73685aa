/* SPDX-License-Identifier: Apache-2.0 */
/* The part `sync`: its life, its role, what it tells of itself. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "base/log.h"
#include "os/priv.h"
#include "part/fact.h"
#include "sync/sync.h"
#include "sync/sync_shell.h"

#define AUDIT_NS      (60 * SEC_NS) /* between dumps that nothing asks for */
#define TELL_AGAIN_NS (30 * SEC_NS) /* of what the kernel refuses */
#define LEAVE_NS      (500 * MS_NS) /* for the last news, when we go */
/* Thousandths of a processor: more, and we are a normal process until it is less. */
#define BUSY_MOST   500
#define BUSY_AGAIN  250
#define PATIENCE_NS SEC_NS /* for the first word of peers */

/*
 * A host that does not know the connections yet had better not get the addresses. It
 * may have them all the same if nobody else is there: this never delays a takeover.
 */
static void
publish_state(struct sync_shell *sh)
{
	char state[SYNC_WHY_LEN] = "up";
	mono_t now = loop_now(sh->loop);

	for (unsigned k = 0; k < SYNC_PEERS_MAX && !sh->core.acting; k++) {
		const struct sync_peer *p = &sh->core.peer[k];

		if (!p->present)
			continue;
		if (p->open ? p->rx_seq == 0 : mono_before(now, sh->patience))
			(void)snprintf(state, sizeof(state),
			    "behind no word from %s yet", sh->host[k].name);
		else if (p->open && p->acting && !p->rx_end)
			(void)snprintf(state, sizeof(state),
			    "behind learning connections from %s", sh->host[k].name);
	}
	if (strcmp(state, sh->state) == 0)
		return;
	memcpy(sh->state, state, sizeof(state));
	part_publish(sh->part, "sync state", "%s", state);
}

/* ---- real time ------------------------------------------------------------------ */

/*
 * What is told late is missing when the host dies, so that news do not wait for a turn.
 * But a processor that is busy with this alone forwards nothing: for a whole table, and
 * when news take a lot of it, we take turns like everybody else.
 */
static void
take_turns(struct sync_shell *sh)
{
	const bool bulk = sh->dumping || sync_bulk(&sh->core);
	const int prompt = bulk || sh->busy ? 0 : sh->priority;

	if (prompt != sh->prompt && priv_realtime(prompt) == 0)
		sh->prompt = prompt;
}

static int64_t
cpu_used(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u) != 0)
		return 0;
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * SEC_NS +
	       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * US_NS;
}

/* Once a second. */
static void
look_at_cpu(struct sync_shell *sh)
{
	const int64_t used = cpu_used(),
		      per_mille = (used - sh->cpu_ns) * 1000 /
				  (mono_sub(loop_now(sh->loop), sh->cpu_at) + 1);
	const bool was = sh->busy;

	if (per_mille > BUSY_MOST)
		sh->busy = true;
	else if (per_mille < BUSY_AGAIN)
		sh->busy = false;
	sh->cpu_ns = used;
	sh->cpu_at = loop_now(sh->loop);
	if (was != sh->busy)
		log_event(LOG_INFO, "busy", "now=%s percent=%d",
		    sh->busy ? "yes" : "no", (int)(per_mille / 10));
}

static void
learn_priority(struct sync_shell *sh)
{
	struct sched_param given;

	if (sched_getparam(0, &given) == 0)
		sh->priority = sh->prompt = given.sched_priority;
	sh->cpu_ns = cpu_used();
	sh->cpu_at = loop_now(sh->loop);
}

void
sync_shell_pump(struct sync_shell *sh)
{
	mono_t now = loop_now(sh->loop);
	bool settled = true;
	mono_t due;

	if (sh->ct == NULL || sh->stopped)
		return;
	sync_tick(&sh->core, now);
	sync_kernel_orders(sh);
	sync_net_send(sh);
	publish_state(sh);
	take_turns(sh);
	for (unsigned k = 0; k < SYNC_PEERS_MAX; k++)
		settled = settled && sync_settled(&sh->core, k);
	if (sh->stopping && (settled || !mono_before(now, sh->stop_by))) {
		sh->stopped = true;
		sync_kernel_close(sh);
		sync_net_close(sh);
		loop_timer_clear(sh->loop, &sh->tick);
		loop_timer_clear(sh->loop, &sh->second);
		part_stopped(sh->part);
		return;
	}
	due = mono_min(
	    sync_deadline(&sh->core, now), sh->stopping ? sh->stop_by : MONO_NEVER);
	/* Later than set: it fires once for nothing, which costs less than setting it
	 * for every event. */
	if (sh->tick.pos == 0 || mono_before(due, sh->tick.due))
		loop_timer_set(sh->loop, &sh->tick, due);
}

static void
on_tick(void *arg)
{
	sync_shell_pump(arg);
}

/* ---- what is told --------------------------------------------------------------- */

static const char *const field[] = {"sent", "records", "lost", "received", "heard",
    "late", "snapshots", "lags", "lag_us", "lag_max_us", "told", "flows", "events_lost",
    "restored", "swept", "overflow", "dumps"};

static void
count(struct sync_shell *sh, unsigned k, uint32_t told)
{
	const struct sync_figures *f = &sh->core.peer[k].figures;
	struct sync_host *h = &sh->host[k];
	const uint64_t value[ARRAY_LEN(field)] = {f->sent, f->records, f->lost,
	    f->received, f->heard, f->late, f->snapshots, f->lags, f->lag_us,
	    f->lag_max, told, sh->core.table.live, sh->lost_events, sh->core.restored,
	    sh->core.swept, sh->core.overflow, sh->dumps};
	char label[STATS_LABEL_LEN];

	if (h->stats == NULL) {
		(void)snprintf(label, sizeof(label), "peer=%s", h->name);
		h->stats = stats_block(
		    part_stats(sh->part), "sync", label, 0, field, ARRAY_LEN(field));
	}
	for (size_t i = 0; i < ARRAY_LEN(field) && h->stats != NULL; i++)
		stats_set(&h->stats[i], value[i]);
}

/* States only: a fact that changes is a line in the log. The counters have numbers. */
static void
describe(struct sync_shell *sh, unsigned k, char out[static FACT_VALUE_LEN])
{
	const struct sync *s = &sh->core;
	const struct sync_peer *p = &s->peer[k];
	char ip[IP_STR_LEN];

	if (!p->open)
		(void)snprintf(out, FACT_VALUE_LEN, "down no answer from %s",
		    ip_format(&sh->host[k].ip, ip));
	else if (s->acting)
		(void)snprintf(out, FACT_VALUE_LEN, "%s to it",
		    p->scan == 0 && p->waiting == 0 ? "up" : "syncing");
	else if (p->acting && s->refused.n > 0)
		(void)snprintf(out, FACT_VALUE_LEN,
		    "down the kernel refuses connections: %s",
		    sh->refused_why == -ENOMEM ? "raise net.netfilter.nf_conntrack_max"
					       : strerror(-sh->refused_why));
	else if (p->acting)
		(void)snprintf(
		    out, FACT_VALUE_LEN, "%s from it", p->rx_end ? "up" : "syncing");
	else
		(void)snprintf(out, FACT_VALUE_LEN, "up idle");
}

static void
log_changes(struct sync_shell *sh, unsigned k)
{
	const struct sync_peer *p = &sh->core.peer[k];
	struct sync_host *h = &sh->host[k];
	bool settled = p->open && (sh->core.acting ? p->scan == 0 && p->waiting == 0
						   : p->acting && p->rx_end);

	if (p->open != h->was_open)
		log_event(p->open ? LOG_INFO : LOG_WARN, "peer", "host=%s is=%s",
		    h->name, p->open ? "there" : "silent");
	if (settled && (!h->was_settled || sh->core.acting != h->was_acting))
		log_event(LOG_INFO, "in_step", "host=%s flows=%u direction=%s", h->name,
		    sh->core.table.live, sh->core.acting ? "to" : "from");
	h->was_open = p->open;
	h->was_settled = settled;
	h->was_acting = sh->core.acting;
}

static void
publish(struct sync_shell *sh)
{
	char key[FACT_KEY_LEN], value[FACT_VALUE_LEN];

	part_publish(sh->part, "sync key", "%s%s",
	    sh->why_not[0] != '\0' ? "down " : "", sh->why_not);
	for (unsigned k = 0; k < SYNC_PEERS_MAX; k++) {
		struct sync_peer *p = &sh->core.peer[k];
		uint32_t told = sync_told(&sh->core, k);

		if (!p->present)
			continue;
		(void)snprintf(key, sizeof(key), "sync peer %s", sh->host[k].name);
		describe(sh, k, value);
		part_publish(sh->part, key, "%s", value);
		count(sh, k, told);
		log_changes(sh, k);
		p->figures.lag_max = 0;
	}
}

/* They are tried again each second: one line when it begins, and each half minute. */
static void
complain_of_refused(struct sync_shell *sh)
{
	mono_t now = loop_now(sh->loop);

	if (sh->refused == 0 && sh->core.refused.n == 0)
		sh->refused_told = (mono_t){0};
	if (sh->refused > 0 && (sh->refused_told.ns == 0 ||
				   mono_sub(now, sh->refused_told) >= TELL_AGAIN_NS)) {
		log_event(LOG_WARN, "refused", "n=%u why=\"%s%s\"", sh->refused,
		    strerror(-sh->refused_why),
		    sh->refused_why == -ENOMEM
			? "; raise net.netfilter.nf_conntrack_max"
			: "");
		sh->refused_told = now;
	}
	sh->refused = 0;
}

static void
on_second(void *arg)
{
	struct sync_shell *sh = arg;
	mono_t now = loop_now(sh->loop);

	look_at_cpu(sh);
	if (sh->has_secret && sh->fd < 0) /* its address may be there by now */
		sync_net_config(sh, &sh->cluster->firewall);
	publish(sh);
	complain_of_refused(sh);
	if (!mono_before(now, sh->audit)) {
		sh->audit = mono_add(now, AUDIT_NS);
		sync_kernel_dump(sh);
	}
	loop_timer_set(sh->loop, &sh->second, mono_add(now, SEC_NS));
}

/* ---- role ----------------------------------------------------------------------- */

static void
judge_role(struct sync_shell *sh)
{
	bool acting = false;

	for (size_t i = 0; i < sh->n_roles; i++)
		acting |= sh->role_active[i];
	if (sh->active && acting != sh->core.acting) {
		log_event(LOG_INFO, "role", "to=%s flows=%u",
		    acting ? "acting" : "standby", sh->core.table.live);
		sync_role(&sh->core, loop_now(sh->loop), acting);
		sync_shell_pump(sh);
	}
}

static bool
is_role(const struct sync_shell *sh, const char *name)
{
	const struct firewall_conf *f = &sh->cluster->firewall;

	for (size_t i = 0; i < f->n_floating_ips; i++) {
		if (strcmp(f->floating_ip[i]->name, name) == 0)
			return true;
	}
	return false;
}

static void
note_peer(struct sync_shell *sh, const char *name)
{
	for (unsigned k = 0; k < SYNC_PEERS_MAX; k++) {
		if (sh->told[k][0] != '\0' && strcmp(sh->told[k], name) != 0)
			continue;
		(void)snprintf(
		    sh->told[k], sizeof(sh->told[k]), "%.*s", CLUSTER_NAME_MAX, name);
		return;
	}
}

/* What an earlier process said of peers that the file no longer has. */
static void
withdraw(struct sync_shell *sh)
{
	char key[FACT_KEY_LEN];

	for (unsigned k = 0; k < SYNC_PEERS_MAX; k++) {
		bool present = false;

		for (unsigned i = 0; i < SYNC_PEERS_MAX; i++)
			present |= sh->core.peer[i].present &&
				   strcmp(sh->host[i].name, sh->told[k]) == 0;
		(void)snprintf(key, sizeof(key), "sync peer %s", sh->told[k]);
		if (sh->told[k][0] != '\0' && !present)
			part_publish(sh->part, key, "%s", "");
		sh->told[k][0] = '\0';
	}
}

/* Facts may come before the configuration that makes them matter. */
static void
op_fact(void *self, const char *key, const char *value)
{
	struct sync_shell *sh = self;
	struct fact_words w;
	size_t i = 0;

	if (!fact_split(&w, key))
		return;
	if (w.n == 3 && strcmp(w.word[0], "sync") == 0 && !sh->active &&
	    value[0] != '\0')
		note_peer(sh, w.word[2]);
	if (w.n != 2 || strcmp(w.word[0], "vip") != 0)
		return;
	if (sh->cluster != NULL && !is_role(sh, w.word[1]))
		return;
	while (i < sh->n_roles && strcmp(sh->role[i], w.word[1]) != 0)
		i++;
	if (i == SYNC_ROLES_MAX)
		return;
	if (i == sh->n_roles) {
		(void)snprintf(sh->role[i], sizeof(sh->role[i]), "%.*s",
		    CLUSTER_NAME_MAX, w.word[1]);
		sh->n_roles++;
	}
	sh->role_active[i] = fact_is(value, "active");
	judge_role(sh);
}

/* ---- life ----------------------------------------------------------------------- */

static int
make_core(struct sync_shell *sh)
{
	uint32_t limit = sync_kernel_limit(), flows = limit + limit / 4;
	struct sync_epoch epoch;
	uint64_t seed;

	if (getrandom(&epoch, sizeof(epoch), 0) != sizeof(epoch) ||
	    getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return -EIO;
	/* Room for as many as the kernel may have; only what is used takes memory. */
	sh->memory_bytes = sync_table_bytes(flows);
	sh->memory = mmap(NULL, sh->memory_bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (sh->memory == MAP_FAILED)
		return -errno;
	sync_init(&sh->core, sh->memory, flows, &epoch, seed);
	return 0;
}

static int
op_start(void *self, struct part *p)
{
	struct sync_shell *sh = self;

	sh->part = p;
	sh->loop = part_loop(p);
	sh->tick.cb = on_tick;
	sh->second.cb = on_second;
	sh->tick.arg = sh->second.arg = sh;
	learn_priority(sh);
	return make_core(sh);
}

static void
configure(struct sync_shell *sh)
{
	const struct firewall_conf *f = &sh->cluster->firewall;
	size_t kept = 0;

	for (size_t i = 0; i < sh->n_roles; i++) {
		if (!is_role(sh, sh->role[i]))
			continue;
		if (kept != i) {
			memcpy(sh->role[kept], sh->role[i], sizeof(sh->role[i]));
			sh->role_active[kept] = sh->role_active[i];
		}
		kept++;
	}
	sh->n_roles = kept;
	if (f->sync != NULL)
		sync_net_config(sh, f);
	judge_role(sh);
	withdraw(sh);
	publish(sh);
	publish_state(sh);
	sync_shell_pump(sh);
}

static void
op_config(void *self, const struct cluster *c, const struct host *me)
{
	struct sync_shell *sh = self;
	const struct cluster *old = sh->cluster;

	sh->cluster = cluster_ref(c);
	sh->me = me;
	if (sh->active && !sh->stopping)
		configure(sh);
	cluster_unref(old);
}

static void
op_activate(void *self)
{
	struct sync_shell *sh = self;
	mono_t now = loop_now(sh->loop);
	int err = sync_kernel_open(sh);

	sh->active = true;
	if (err != 0) {
		(void)snprintf(sh->why_not, sizeof(sh->why_not),
		    "no connection tracking in this kernel: %s", strerror(-err));
		log_event(LOG_ERR, "no_sync", "why=\"%s\"", sh->why_not);
		part_publish(sh->part, "sync key", "down %s", sh->why_not);
		part_publish(sh->part, "sync state", "up");
		return;
	}
	sh->patience = mono_add(now, PATIENCE_NS);
	configure(sh);
	sh->audit = mono_add(now, AUDIT_NS);
	sync_kernel_dump(sh);
	loop_timer_set(sh->loop, &sh->second, mono_add(now, SEC_NS));
}

/* The addresses have left already: what the others do not know yet is told. */
static void
op_stop(void *self)
{
	struct sync_shell *sh = self;

	sh->stopping = true;
	sh->stop_by = mono_add(loop_now(sh->loop), LEAVE_NS);
	if (sh->ct == NULL)
		part_stopped(sh->part);
	else
		sync_shell_pump(sh);
}

int
sync_main(void)
{
	static const struct part_ops ops = {
	    .start = op_start,
	    .config = op_config,
	    .fact = op_fact,
	    .activate = op_activate,
	    .stop = op_stop,
	};
	struct sync_shell sh = {.fd = -1};

	return part_main("sync", &ops, &sh);
}
