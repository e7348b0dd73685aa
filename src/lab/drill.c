/* SPDX-License-Identifier: Apache-2.0 */
/* One round of a drill: waits until all is well, breaks something, mends it. */

#include "lab/drill.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "lab/rules.h"

#define POLL_MS	  5
#define SETTLE_NS (30 * SEC_NS) /* longer than REMOTE_NS */
#define SERVED_NS (12 * SEC_NS) /* for a failover at its slowest: by checks */
/* A client of WireGuard that hears nothing looks for its gateway after 15 s, again
 * after 5 s: whatever gateways do to be faster, it is back by then. */
#define REMOTE_NS (25 * SEC_NS)
#define ENDS_NS	  SEC_NS /* what should not be answered is not waited for long */
#define STEADY_NS (300 * MS_NS)
#define LATE_NS	  (3 * SEC_NS)	/* nobody else complained for so long */
#define PAUSE_NS  (100 * MS_NS) /* of the prober: its figures are in doubt */
#define HOLD_NS	  (500 * MS_NS) /* at least this long is each phase */

/* The first server of `s` that is not a backup is the one that will fail. */
const struct host *
drill_server(const struct service *s)
{
	for (size_t i = 0; i < s->n_servers; i++) {
		if (s->server[i].host != NULL && !s->server[i].backup)
			return s->server[i].host;
	}
	return NULL;
}

/* The first service at a floating address is what the client asks for. */
const struct listener *
drill_target(const struct cluster *c, const struct service **service)
{
	for (size_t i = 0; i < c->n_services; i++) {
		const struct service *s = &c->service[i];

		for (size_t k = 0; k < s->n_listen; k++) {
			const struct floating_ip *ip = s->listen[k].floating_ip;

			if (ip == NULL || ip->n_hosts < 2 || !drill_server(s))
				continue;
			*service = s;
			return &s->listen[k];
		}
	}
	return NULL;
}

const struct service *
drill_service(const struct cluster *c)
{
	const struct service *s = NULL;

	return drill_target(c, &s) != NULL ? s : NULL;
}

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

void
drill_mute(struct drill *d, size_t host, bool mute)
{
	for (size_t i = 0; i < d->n_owners_of; i++)
		owners_mute(d->owners_of[i], host, mute);
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

/* The same of every floating address that is not under test. */
static bool
others_right(struct drill *d)
{
	const struct cluster *c = d->world.cluster;

	for (size_t i = 0; i < d->n_owners_of; i++) {
		const struct floating_ip *f = &c->floating_ip[i];
		uint32_t holders = owners_now(d->owners_of[i]);

		if (f == d->ip)
			continue;
		if (__builtin_popcount(holders) != 1)
			return false;
		if (f->failback && holders != UINT32_C(1)
						  << world_index(&d->world, f->host[0]))
			return false;
	}
	return true;
}

/*
 * On a machine with too little time for all of this, probes are answered, though late
 * now and then. That is no outage: most of them are in time, none is refused, and of
 * those who wait longer nobody is left without an answer.
 */
static bool
served_late(struct drill *d)
{
	mono_t now = probe_clock();
	mono_t from = {now.ns - LATE_NS - PROBE_TIMEOUT_NS};
	struct probe_sum sum;

	if (mono_sub(now, load_failed(d->load)) < LATE_NS)
		return false;
	prober_measure(
	    d->prober, from, (mono_t){now.ns - PROBE_TIMEOUT_NS}, &sum, NULL);
	if (sum.answered == 0 || sum.failed > sum.answered ||
	    sum.by[PROBE_TIMEOUT] != sum.failed)
		return false;
	d->slow = true;
	return true;
}

static bool
steady(struct drill *d)
{
	mono_t oldest = load_oldest(d->load);

	if (!mono_is_never(oldest) && mono_sub(probe_clock(), oldest) >= STEADY_NS)
		return false;
	return prober_steady_ns(d->prober) >= STEADY_NS || served_late(d);
}

static bool
moved_and_steady(struct drill *d)
{
	return drill_owner_moved(d) && steady(d);
}

bool
drill_remote_steady(struct drill *d)
{
	return d->remote == NULL || remote_steady_ns(d->remote) >= STEADY_NS;
}

bool
drill_well(struct drill *d)
{
	if (!drill_owner_right(d) || !others_right(d) || !steady(d) ||
	    !flows_steady(d->flows) || !writers_steady(d->writers) ||
	    !drill_remote_steady(d))
		return false;
	for (size_t i = 0; i < d->world.n_hosts; i++) {
		if (d->world.host[i].balances && !world_ready(&d->world, i))
			return false;
	}
	return true;
}

/* Why drill_well() says no. */
const char *
drill_unwell(struct drill *d)
{
	if (!drill_owner_right(d))
		return "the address is not where it belongs";
	if (!others_right(d))
		return "a floating address has no owner, two, or another than it "
		       "prefers";
	if (!steady(d))
		return "no steady answers";
	if (!flows_steady(d->flows))
		return "downloads or pushes stand still";
	if (!drill_remote_steady(d))
		return "nobody answers through the VPN";
	if (!writers_steady(d->writers))
		return "writes are not acknowledged";
	return "a part is not up, or has not yet heard what the other hosts know";
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
	d->slow = false;
	d->returns = d->ip->failback;
	return 0;
}

/* Packets that this machine's kernel had no time for, in all namespaces. */
static uint64_t
count_drops(void)
{
	FILE *f = fopen("/proc/net/softnet_stat", "re");
	char line[256], *end;
	uint64_t n = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		(void)strtoul(line, &end, 16); /* those processed; then those dropped */
		n += strtoul(end, NULL, 16);
	}
	if (f != NULL)
		(void)fclose(f);
	return n;
}

static void
begin(struct drill *d, struct phase *p)
{
	flows_take(d->flows, p->flows);
	load_take(d->load, &p->load); /* forgets what came before */
	p->from = probe_clock();
}

static void
finish(struct drill *d, struct phase *p)
{
	struct outage_list list = {.outage = p->outage, .max = OUTAGES_MAX};
	struct owner_event event[EVENTS_MAX];
	struct owners_sum sum;
	size_t n;

	p->to = probe_clock();
	load_take(d->load, &p->load);
	flows_take(d->flows, p->flows);
	prober_measure(d->prober, p->from, p->to, &p->probes, &list);
	p->n_outages = list.n;
	if (d->remote != NULL)
		remote_measure(d->remote, p->from, p->to, &p->remote);
	n = owners_events(d->owners, p->from, event, EVENTS_MAX);
	owners_measure(event, n, p->from, p->to, &p->owners);
	/* Two owners of any address are worth knowing. */
	for (size_t i = 0; i < d->n_owners_of; i++) {
		n = owners_events(d->owners_of[i], p->from, event, EVENTS_MAX);
		owners_measure(event, n, p->from, p->to, &sum);
		if (sum.two_ns > p->two_ns)
			p->two_ns = sum.two_ns;
	}
}

/* By role: the table says what the address is to do. */
static int
settle_role(struct drill *d, const struct drill_case *c, int64_t hold)
{
	bool moves = c->expect == EXPECT_MOVED;
	int err = 0;

	if (moves || c->undo == NULL || hold < 2 * SEC_NS)
		err = drill_until(d, moves ? moved_and_steady : steady, SETTLE_NS);
	if (err == -ETIMEDOUT)
		complain(d, moves ? "the address did not move" : "no steady answers");
	if (c->expect == EXPECT_STAYS && drill_owner_moved(d))
		complain(d, "the address moved");
	return err;
}

/* Likewise through the VPN. */
static int
settle_remote(struct drill *d, struct drill_round *r)
{
	bool ends = r->remote_forecast == FORECAST_ENDS;
	int err = drill_until(d, drill_remote_steady, ends ? ENDS_NS : REMOTE_NS);
	char text[TROUBLE_LEN];
	const char *differs;

	r->remote_survived = err == 0;
	if (err != 0 && err != -ETIMEDOUT)
		return err;
	differs = rules_differ(r->remote_forecast, r->remote_survived);
	if (differs != NULL) {
		(void)snprintf(text, sizeof(text), "VPN %s: %s",
		    d->world.guest.vpn->name, differs);
		complain(d, text);
	}
	return err;
}

/* A failure of the list: the analysis says whether clients are served. */
static int
settle_mishap(struct drill *d, struct drill_round *r)
{
	bool ends = r->forecast == FORECAST_ENDS;
	int err = drill_until(d, steady, ends ? ENDS_NS : SERVED_NS);
	const char *differs;

	r->survived = err == 0;
	if (err != 0 && err != -ETIMEDOUT)
		return err;
	differs = rules_differ(r->forecast, r->survived);
	if (differs != NULL)
		complain(d, differs);
	return d->remote != NULL ? settle_remote(d, r) : err;
}

static int
phase_broken(
    struct drill *d, const struct drill_task *t, struct harm *h, struct drill_round *r)
{
	const struct drill_case *c = t->what;
	int64_t span = (c->hold_max_ns - c->hold_ns) / MS_NS;
	int64_t hold = c->hold_ns + rng_below(&d->rng, (uint32_t)span + 1) * MS_NS;
	struct phase *p = &r->phase[0];
	int err;

	if (c->hidden)
		hold = d->soak_ns;
	begin(d, p);
	err = c->inject(d, h);
	if (err != 0 && err != -EINTR) {
		complain(d, strerror(-err));
		err = 0;
	}
	if (err == 0)
		err = drill_until(d, NULL, hold > HOLD_NS ? hold : HOLD_NS);
	if (err == 0)
		err = t->mishap != NULL ? settle_mishap(d, r) : settle_role(d, c, hold);
	finish(d, p);
	return err == -EINTR ? err : 0;
}

static int
phase_mended(
    struct drill *d, const struct drill_case *c, struct harm *h, struct drill_round *r)
{
	struct phase *p = &r->phase[1];
	int64_t watch = c->watch_ns > HOLD_NS ? c->watch_ns : HOLD_NS;
	int err;

	begin(d, p);
	err = c->undo != NULL ? c->undo(d, h) : 0;
	if (err != 0 && err != -EINTR) {
		complain(d, strerror(-err));
		err = 0;
	}
	if (err == 0)
		err = drill_until(d, drill_well, SETTLE_NS);
	r->recovered_ns = mono_sub(probe_clock(), p->from);
	if (err == 0 && r->recovered_ns < watch)
		err = drill_until(d, NULL, watch - r->recovered_ns);
	if (err == 0)
		err = drill_until(d, drill_well, SETTLE_NS);
	if (err == -ETIMEDOUT)
		complain(d, drill_unwell(d));
	finish(d, p);
	return err == -EINTR ? err : 0;
}

enum forecast
drill_forecast(const struct drill *d, const struct mishap *m)
{
	if (d->topology == NULL || d->goal < 0)
		return FORECAST_NONE;
	return mishap_forecast(d->topology, m, (size_t)d->goal);
}

enum forecast
drill_remote_forecast(const struct drill *d, const struct mishap *m)
{
	if (d->topology == NULL || d->remote_goal < 0)
		return FORECAST_NONE;
	return mishap_forecast(d->topology, m, (size_t)d->remote_goal);
}

/* Whom it befalls: by role, or as the failure says. */
void
drill_aim(const struct drill *d, const struct drill_task *t, struct harm *h)
{
	const struct mishap *f = t->mishap;

	*h = (struct harm){.net = d->ip->network};
	if (f == NULL) {
		h->host = t->what->on_server ? d->server : d->owner;
		h->hosts = UINT32_C(1) << h->host;
		return;
	}
	h->net = f->net;
	h->part = f->part;
	for (size_t i = d->world.n_hosts; i-- > 0;) {
		const struct host *host = d->world.host[i].host;

		if (host != f->host && (f->zone == NULL || host->zone != f->zone))
			continue;
		h->host = i;
		h->hosts |= UINT32_C(1) << i;
	}
}

static void
name_round(const struct drill *d, const struct drill_task *t, const struct harm *h,
    struct drill_round *r)
{
	const struct mishap *f = t->mishap;
	const char *target;

	r->what = t->what;
	r->remote = d->remote != NULL;
	(void)snprintf(
	    r->victim, sizeof(r->victim), "%s", d->world.host[h->host].host->name);
	if (f == NULL) {
		(void)snprintf(r->name, sizeof(r->name), "%s", t->what->name);
		return;
	}
	mishap_name(f, r->name, sizeof(r->name));
	r->generated = true;
	r->forecast = drill_forecast(d, f);
	if (r->remote)
		r->remote_forecast = drill_remote_forecast(d, f);
	target = strchr(r->name, ':');
	(void)snprintf(
	    r->victim, sizeof(r->victim), "%s", target != NULL ? target + 1 : "all");
}

/* A promise that was broken outweighs whatever else went wrong. */
static void
check_writes(struct drill *d, struct drill_round *r)
{
	writers_take(d->writers, &r->writes, &r->writes_load);
	if (ledger_wrong(&r->writes) > 0)
		writers_explain(d->writers, &r->writes, d->trouble, sizeof(d->trouble));
}

static void
record(struct drill *d, struct drill_round *r)
{
	mono_t from = r->phase[0].from, to = r->phase[1].to;

	for (size_t i = 0; i < ARRAY_LEN(r->phase); i++) {
		/* The prober is served first; the clients wait as programs do. */
		if (r->phase[i].probes.pause_ns > PAUSE_NS ||
		    r->phase[i].load.pause_ns > PAUSE_NS)
			r->doubtful = true;
	}
	if (count_drops() != d->drops || d->slow)
		r->doubtful = true;
	for (size_t i = 0; i < d->n_owners_of; i++) {
		struct owner_lane *lane = &r->lane[i];

		lane->n = owners_events(d->owners_of[i], from, lane->event, EVENTS_MAX);
		if (&d->world.cluster->floating_ip[i] == d->ip)
			r->tested = i;
	}
	r->n_beats = (size_t)(mono_sub(to, from) / PROBE_BEAT_NS) + 1;
	if (r->n_beats > BEATS_MAX)
		r->n_beats = BEATS_MAX;
	r->beat = calloc(r->n_beats, sizeof(*r->beat));
	if (r->beat != NULL)
		prober_beats(d->prober, from, r->beat, r->n_beats);
	check_writes(d, r);
	(void)snprintf(r->trouble, sizeof(r->trouble), "%s", d->trouble);
	r->settled = d->trouble[0] == '\0';
}

/*
 * Gives the victims every floating address that they may have: what befalls a host
 * that only waits would say little. What comes back by itself has its place already.
 */
static int
make_active(struct drill *d, const struct harm *h)
{
	const struct cluster *c = d->world.cluster;
	bool moved = false;
	int err;

	for (size_t i = 0; i < d->n_owners_of; i++) {
		const struct floating_ip *f = &c->floating_ip[i];
		uint32_t holders = owners_now(d->owners_of[i]);
		const char *words[] = {"move", f->name, NULL, NULL};

		if (f->failback || holders == 0 || (holders & h->hosts) != 0)
			continue;
		for (size_t k = 0; k < f->n_hosts && words[2] == NULL; k++) {
			int host = world_index(&d->world, f->host[k]);

			if (host >= 0 && (h->hosts & UINT32_C(1) << host) != 0)
				words[2] = f->host[k]->name;
		}
		if (words[2] == NULL)
			continue;
		/* Refused where the rest of its group has just brought it along. */
		(void)!world_order(
		    &d->world, (size_t)__builtin_ctz(holders), words, NULL);
		moved = true;
	}
	if (!moved)
		return 0;
	/* Connections that were open stayed where they had been. */
	err = drill_until(d, drill_well, SETTLE_NS);
	flows_renew(d->flows);
	load_renew(d->load);
	writers_renew(d->writers);
	return err == 0 ? drill_until(d, drill_well, SETTLE_NS) : err;
}

int
drill_play(struct drill *d, const struct drill_task *t, struct drill_round *r)
{
	const struct drill_case *c = t->what;
	int err = drill_until(d, drill_well, SETTLE_NS);
	struct harm h;

	if (err == 0 && cast(d) != 0)
		err = -ETIMEDOUT;
	drill_aim(d, t, &h);
	if (err == 0 && t->mishap == NULL && c->prepare != NULL)
		err = c->prepare(d, &h);
	if (err == 0 && t->mishap != NULL)
		err = make_active(d, &h);
	/* At a random phase of the heartbeat. */
	if (err == 0)
		err = drill_until(d, NULL,
		    STEADY_NS + rng_below(&d->rng, 100) * (d->ip->heartbeat_ns / 100));
	if (err == -EINTR)
		return err;
	name_round(d, t, &h, r);
	d->drops = count_drops();
	if (err != 0) {
		(void)snprintf(r->trouble, sizeof(r->trouble), "not begun: %s",
		    err == -ETIMEDOUT ? drill_unwell(d) : strerror(-err));
		r->doubtful = true; /* what was before it is to blame */
		return 0;
	}
	r->played = true;
	err = phase_broken(d, t, &h, r);
	if (err == 0 && d->keep && d->trouble[0] != '\0') {
		r->phase[1].from = r->phase[1].to = r->phase[0].to;
		record(d, r);
		return -ECANCELED;
	}
	if (err == 0)
		err = phase_mended(d, c, &h, r);
	record(d, r);
	if (err == 0 && d->keep && !r->settled)
		err = -ECANCELED;
	return err;
}
