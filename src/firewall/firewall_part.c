/* SPDX-License-Identifier: Apache-2.0 */
/* The part `firewall`: its life, its configuration, the orders it takes. */
#include <errno.h>
#include <inttypes.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/plural.h"
#include "firewall/firewall.h"
#include "firewall/firewall_core.h"
#include "firewall/firewall_store.h"
#include "firewall/nft_run.h"
#include "firewall/track_room.h"
#include "os/setting.h"
#include "part/fact.h"
#include "part/part.h"
#include "part/state.h"

#define RULES_BYTES ((size_t)1 << 30) /* of one generation's rules */
#define RETRY_NS    (10 * SEC_NS)     /* rules that did not load are tried again */
#define WATCH_NS    (100 * MS_NS)     /* after somebody changed tables ... */
#define CALM_NS	    (2 * SEC_NS)      /* ... and no more often than so */
#define GRACE_S	    300		      /* seconds, for connections that were there */
#define FACT_KEY    "firewall rules"
#define FACT_TABLE  "firewall table"
#define TABLE_NS    SEC_NS /* between looks at how full it is */

/* A cluster and what it comes to on this host. */
struct made {
	const struct cluster *cluster;
	const struct host *me;
	struct arena *arena;
	struct rule_list rules;
};

struct firewall {
	struct part *part;
	struct loop *loop;
	struct made now;    /* of the cluster file */
	struct made before; /* what was confirmed; no cluster: nothing was */
	char digest[NFT_DIGEST_LEN];
	struct fw_core core;
	bool acting;
	bool stopping; /* nines leaves this host; else the file wants no rules */
	bool removed;  /* an earlier process of this part was told to be off */
	bool restored; /* what the kernel has was looked at once */
	size_t loaded; /* rules that must be in the kernel */
	struct loop_timer trial, retry, look, table;
	enum track_room room; /* for connections, as published */
	mono_t looked;
	struct mnl_socket *changes; /* of anybody's tables; or NULL */
	struct loop_fd *watch;
};

/* ---- generations ---------------------------------------------------------------- */

static void
made_done(struct made *m)
{
	arena_free(m->arena);
	cluster_unref(m->cluster);
	*m = (struct made){.cluster = NULL};
}

/* Takes over the reference `c`. */
static int
made_init(struct made *m, const struct cluster *c, const char *host)
{
	*m = (struct made){.cluster = c, .arena = arena_new(RULES_BYTES)};
	m->me = cluster_host(c, host);
	if (m->arena != NULL && m->me != NULL &&
	    rules_build(c, m->me, m->arena, &m->rules) == 0)
		return 0;
	made_done(m);
	return -ENOMEM;
}

static const struct rule_list *
confirmed(const struct firewall *f)
{
	return f->before.cluster != NULL ? &f->before.rules : NULL;
}

/* What was confirmed last is what a change is compared with. */
static void
recall(struct firewall *f)
{
	const struct cluster *c = firewall_store_get(f->now.cluster, f->now.me);

	made_done(&f->before);
	if (c != NULL && made_init(&f->before, c, f->now.me->name) != 0)
		log_event(LOG_WARN, "confirmed_unknown", "host=%s", f->now.me->name);
}

static void
remember(struct firewall *f)
{
	int err;

	if (f->now.rules.count[RULES_HOST] == 0) {
		firewall_store_clear(f->now.cluster, f->now.me);
		made_done(&f->before);
		return;
	}
	err = firewall_store_put(f->now.cluster, f->now.me);
	if (err != 0)
		log_event(LOG_WARN, "confirmed_unsaved", "folder=%s error=\"%s\"",
		    state_folder(), strerror(-err));
	made_done(&f->before);
	if (made_init(&f->before, cluster_ref(f->now.cluster), f->now.me->name) != 0)
		log_event(LOG_WARN, "confirmed_unknown", "host=%s", f->now.me->name);
}

/* ---- the kernel ------------------------------------------------------------------ */

static void
write_setting(const char *name, const char *value)
{
	int err = setting_write(name, value);

	if (err != 0)
		log_event(LOG_WARN, "setting", "path=/proc/sys/net/%s error=\"%s\"",
		    name, strerror(-err));
}

/* After the rules: what passes through is never unfiltered. */
static void
settings(const struct firewall *f)
{
	const struct rule_list *l = &f->now.rules;
	bool synproxy = false;

	for (size_t i = 0; i < l->n; i++)
		synproxy = synproxy || l->rule[i].verdict == RULE_SYNPROXY;
	/* The last packet of a handshake must not begin a connection by itself. */
	if (synproxy)
		write_setting("netfilter/nf_conntrack_tcp_loose", "0");
	if (l->count[RULES_FORWARD] == 0)
		return;
	write_setting("ipv4/ip_forward", "1");
	write_setting("ipv6/conf/all/forwarding", "1");
}

static void
publish(const struct firewall *f)
{
	const struct fw_core *c = &f->core;
	size_t n = f->now.rules.n, before = 0;

	switch (c->state) {
	case FW_HOLD:
		part_publish(f->part, FACT_KEY, "up %zu", n);
		break;
	case FW_TRIAL:
		part_publish(f->part, FACT_KEY,
		    "trial %zu for %llds: undone without `nines firewall confirm`", n,
		    (long long)(c->trial_ns / SEC_NS));
		break;
	case FW_UNDONE:
		before = confirmed(f) != NULL ? f->before.rules.count[RULES_HOST] : 0;
		if (before > 0)
			part_publish(f->part, FACT_KEY,
			    "down not confirmed: what was there before holds (%zu "
			    "rule%s); `nines firewall on` tries again",
			    before, plural(before));
		else
			part_publish(f->part, FACT_KEY,
			    "down not confirmed: this host accepts everything; `nines "
			    "firewall on` tries again");
		break;
	case FW_OFF:
		part_publish(f->part, FACT_KEY, "off");
		break;
	case FW_NONE:
	default:
		break;
	}
}

/* In whole seconds, as nft has it. */
static unsigned
seconds(int64_t ns)
{
	return (unsigned)((ns + SEC_NS - 1) / SEC_NS);
}

/* 0, or -errno and why; then the kernel has what it had. */
static int
load(struct firewall *f, enum fw_action action, const struct nft_state *counts,
    char why[static NFT_WHY_LEN])
{
	struct nft_load l = {.rules = &f->now.rules,
	    .host = &f->now.rules,
	    .digest = f->digest,
	    .counts = counts,
	    .grace_s = counts != NULL && !counts->present ? GRACE_S : 0};
	struct sbuf text;
	size_t n = 0;
	int err;

	if (action == FW_LOAD_TRIAL) {
		l.trial_s = seconds(f->core.trial_ns);
		l.before = confirmed(f);
	} else if (action == FW_LOAD_BEFORE) {
		l.host = confirmed(f);
		l.undone = f->digest;
	}
	sbuf_init(&text, NFT_JSON_MAX);
	if (action == FW_REMOVE)
		nft_json_off(&text);
	else
		n = nft_json_load(&l, &text);
	err = text.bad ? -EFBIG : nft_load(sbuf_text(&text), why);
	if (text.bad)
		(void)snprintf(why, NFT_WHY_LEN, "too many rules");
	sbuf_done(&text);
	if (err == 0)
		f->loaded = n;
	return err;
}

static void on_trial(void *arg);

/* Carries out what the core wants. 0, or -errno and why. */
static int
act(struct firewall *f, enum fw_action action, const struct nft_state *state,
    char why[static NFT_WHY_LEN])
{
	int err = 0;

	if (action != FW_NOTHING)
		err = load(f, action, state, why);
	if (err != 0) {
		log_event(LOG_ERR, "rules", "state=refused why=\"%s\"", why);
		part_publish(f->part, FACT_KEY, "down %s", why);
		fw_init(&f->core);
		loop_timer_clear(f->loop, &f->trial);
		loop_timer_set(
		    f->loop, &f->retry, mono_add(loop_clock(f->loop), RETRY_NS));
		return err;
	}
	loop_timer_clear(f->loop, &f->retry);
	if (action == FW_LOAD)
		remember(f);
	if (action != FW_NOTHING && action != FW_REMOVE)
		settings(f);
	log_event(LOG_INFO, "rules", "state=%s n=%zu digest=%s",
	    action == FW_LOAD	       ? "loaded"
	    : action == FW_LOAD_TRIAL  ? "trial"
	    : action == FW_LOAD_BEFORE ? "undone"
	    : action == FW_REMOVE      ? "removed"
				       : "kept",
	    f->loaded, f->digest);
	if (mono_is_never(fw_deadline(&f->core)))
		loop_timer_clear(f->loop, &f->trial);
	else
		loop_timer_set(f->loop, &f->trial, fw_deadline(&f->core));
	publish(f);
	return 0;
}

/* ---- what is to hold ------------------------------------------------------------- */

static struct fw_facts
facts_of(const struct firewall *f, const struct nft_state *s)
{
	bool same = s->present && strcmp(s->digest, f->digest) == 0;

	return (struct fw_facts){
	    .closes = rules_close(confirmed(f), &f->now.rules),
	    .confirm_ns = f->now.cluster->host_firewall.confirm_ns,
	    .tried = same && s->trial,
	    .left_ns = (int64_t)s->trial_s * SEC_NS,
	    .undone = s->present && strcmp(s->undone, f->digest) == 0,
	    .held = same && !s->trial && s->undone[0] == '\0',
	};
}

/* The kernel's rules are the ones wanted, and whole: nothing is to be loaded. */
static bool
adopt(struct firewall *f, enum fw_action action, const struct fw_facts *facts,
    const struct nft_state *s)
{
	size_t n = f->now.rules.n;

	if (action == FW_LOAD_TRIAL && facts->tried && confirmed(f) != NULL)
		n += f->before.rules.count[RULES_HOST];
	else if (!(action == FW_LOAD_TRIAL && facts->tried) &&
		 !(action == FW_LOAD && facts->held && !f->restored))
		return false;
	f->loaded = s->rules;
	return s->rules == n;
}

static void
reconsider(struct firewall *f)
{
	char why[NFT_WHY_LEN] = "";
	struct nft_state state;
	struct fw_facts facts;
	enum fw_action action;

	/* Not to know what there is must not keep the rules from being loaded. */
	if (nft_list(&state, why) != 0)
		log_event(LOG_WARN, "list", "error=\"%s\"", why);
	facts = facts_of(f, &state);
	action = fw_config(&f->core, loop_clock(f->loop), &facts, f->removed);
	if (adopt(f, action, &facts, &state))
		action = FW_NOTHING;
	f->removed = false;
	f->restored = true;
	(void)act(f, action, &state, why);
	nft_state_done(&state);
}

/* An action without a new generation, with the counters of now. */
static int
act_now(struct firewall *f, enum fw_action action, char why[static NFT_WHY_LEN])
{
	struct nft_state state;
	int err;

	if (nft_list(&state, why) != 0)
		log_event(LOG_WARN, "list", "error=\"%s\"", why);
	err = act(f, action, &state, why);
	nft_state_done(&state);
	return err;
}

static void
on_trial(void *arg)
{
	struct firewall *f = arg;
	enum fw_action action = fw_tick(&f->core, loop_now(f->loop));
	char why[NFT_WHY_LEN];

	if (action != FW_NOTHING)
		(void)act_now(f, action, why);
}

static void
on_retry(void *arg)
{
	struct firewall *f = arg;

	if (f->core.state != FW_OFF)
		reconsider(f);
}

/* ---- others at the kernel's tables ----------------------------------------------- */

/* Somebody flushed all rules, as other firewall services do when they restart. */
static void
on_look(void *arg)
{
	struct firewall *f = arg;
	char why[NFT_WHY_LEN];
	struct nft_state s;

	f->looked = loop_clock(f->loop);
	if (!f->acting || f->core.state == FW_NONE || f->core.state == FW_OFF)
		return;
	if (nft_list(&s, why) != 0)
		return;
	if (!s.present || strcmp(s.digest, f->digest) != 0 || s.rules != f->loaded) {
		log_event(LOG_WARN, "rules", "state=gone have=%zu want=%zu", s.rules,
		    f->loaded);
		(void)act(f, fw_again(&f->core, f->looked), &s, why);
	}
	nft_state_done(&s);
}

static void
on_change(void *arg, unsigned events)
{
	struct firewall *f = arg;
	char buf[8192];
	mono_t due = mono_add(f->looked, CALM_NS);

	(void)events;
	while (recv(mnl_socket_get_fd(f->changes), buf, sizeof(buf), MSG_DONTWAIT) > 0)
		continue;
	if (mono_before(due, mono_add(loop_now(f->loop), WATCH_NS)))
		due = mono_add(loop_now(f->loop), WATCH_NS);
	loop_timer_set(f->loop, &f->look, due);
}

static void
watch_changes(struct firewall *f)
{
	f->changes = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (f->changes == NULL)
		return;
	if (mnl_socket_bind(
		f->changes, 1U << (NFNLGRP_NFTABLES - 1), MNL_SOCKET_AUTOPID) == 0)
		f->watch = loop_watch(
		    f->loop, mnl_socket_get_fd(f->changes), LOOP_IN, on_change, f);
	if (f->watch == NULL) {
		log_event(
		    LOG_WARN, "watch", "error=\"changes of others go unnoticed\"");
		(void)mnl_socket_close(f->changes);
		f->changes = NULL;
	}
}

/* ---- orders ---------------------------------------------------------------------- */

static int
order_on(struct firewall *f, enum fw_action *action)
{
	struct nft_state none = {.present = false};
	struct fw_facts facts;

	recall(f);
	facts = facts_of(f, &none);
	return fw_on(&f->core, loop_clock(f->loop), &facts, action);
}

static void
op_command(void *self, uint64_t id, const char *const *argv, size_t argc)
{
	struct firewall *f = self;
	char why[NFT_WHY_LEN] = "", json[NFT_WHY_LEN + 64];
	const char *what = argc == 2 ? argv[1] : "", *refusal = NULL;
	enum fw_action action = FW_NOTHING;

	if (strcmp(what, "off") == 0)
		action = fw_off(&f->core);
	else if (strcmp(what, "confirm") == 0) {
		if (fw_confirm(&f->core, loop_clock(f->loop), &action) != 0)
			refusal = f->core.state == FW_UNDONE
				      ? "too late: the rules before are back; `nines "
					"firewall on` tries again"
				      : "there is nothing to confirm";
	} else if (strcmp(what, "on") == 0) {
		if (order_on(f, &action) != 0)
			refusal = "the rules are loaded already";
	} else {
		refusal = "no such order";
	}
	if (refusal == NULL && act_now(f, action, why) != 0)
		refusal = why;
	if (refusal != NULL) {
		part_reply(f->part, id, false, refusal, NULL);
		return;
	}
	(void)snprintf(json, sizeof(json), "{\"text\":\"%s\"}",
	    f->core.state == FW_OFF	? "no rules of nines hold on this host now"
	    : f->core.state == FW_TRIAL ? "on trial: `nines firewall confirm` keeps it"
					: "the rules hold");
	part_reply(f->part, id, true, NULL, json);
}

/* ---- the kernel's table of connections ------------------------------------------- */

static void
tell_room(struct firewall *f, enum track_room room, int64_t most)
{
	f->room = room;
	if (room == TRACK_FULL)
		part_publish(f->part, FACT_TABLE,
		    "down full: %" PRId64 " connections, new ones are dropped; raise "
		    "net.netfilter.nf_conntrack_max",
		    most);
	else if (room == TRACK_TIGHT)
		part_publish(f->part, FACT_TABLE,
		    "warn nearly full: of %" PRId64 " connections; raise "
		    "net.netfilter.nf_conntrack_max",
		    most);
	else
		part_publish(f->part, FACT_TABLE, "%s", "");
}

static void
on_table(void *arg)
{
	struct firewall *f = arg;
	int64_t count, most;
	enum track_room room = TRACK_ROOM;

	if (track_room_look(&count, &most) == 0)
		room = track_room_judge(f->room, count, most);
	if (room != f->room)
		tell_room(f, room, most);
	loop_timer_set(f->loop, &f->table, mono_add(loop_now(f->loop), TABLE_NS));
}

/* ---- life ------------------------------------------------------------------------ */

static int
op_start(void *self, struct part *p)
{
	struct firewall *f = self;

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	f->part = p;
	f->loop = part_loop(p);
	f->trial = (struct loop_timer){.cb = on_trial, .arg = f};
	f->retry = (struct loop_timer){.cb = on_retry, .arg = f};
	f->look = (struct loop_timer){.cb = on_look, .arg = f};
	f->table = (struct loop_timer){.cb = on_table, .arg = f};
	f->looked = loop_now(f->loop);
	fw_init(&f->core);
	return 0;
}

static void
op_config(void *self, const struct cluster *c, const struct host *me)
{
	struct firewall *f = self;
	struct made made;

	if (made_init(&made, cluster_ref(c), me->name) != 0) {
		log_event(LOG_ERR, "rules", "state=refused why=\"out of memory\"");
		part_publish(f->part, FACT_KEY, "down out of memory");
		return;
	}
	made_done(&f->now);
	f->now = made;
	nft_digest(&f->now.rules, f->digest);
	if (!f->acting)
		return;
	recall(f);
	reconsider(f);
}

static void
op_fact(void *self, const char *key, const char *value)
{
	struct firewall *f = self;

	if (strcmp(key, "host stopping") == 0)
		f->stopping = fact_is(value, "yes");
	if (!f->acting && strcmp(key, FACT_KEY) == 0)
		f->removed = fact_is(value, "off");
}

static void
op_socket(void *self, const char *name, int fd)
{
	(void)self;
	(void)name;
	if (fd >= 0)
		(void)close(fd);
}

static void
op_activate(void *self)
{
	struct firewall *f = self;

	f->acting = true;
	if (f->now.cluster == NULL)
		return;
	recall(f);
	reconsider(f);
	watch_changes(f);
	tell_room(f, TRACK_ROOM, 0); /* an earlier process may have told otherwise */
	on_table(f);
}

/* The rules stay when nines stops: a host that is being restarted is no open one. They
 * go when the file has none for this host any more. */
static void
op_stop(void *self)
{
	struct firewall *f = self;
	char why[NFT_WHY_LEN];

	if (f->acting && !f->stopping && load(f, FW_REMOVE, NULL, why) != 0)
		log_event(LOG_ERR, "rules", "state=left why=\"%s\"", why);
	else if (f->acting && !f->stopping && f->now.cluster != NULL)
		firewall_store_clear(f->now.cluster, f->now.me);
	loop_timer_clear(f->loop, &f->trial);
	loop_timer_clear(f->loop, &f->retry);
	loop_timer_clear(f->loop, &f->look);
	loop_timer_clear(f->loop, &f->table);
	loop_unwatch(f->watch);
	if (f->changes != NULL)
		(void)mnl_socket_close(f->changes);
	made_done(&f->now);
	made_done(&f->before);
	part_stopped(f->part);
}

int
firewall_main(void)
{
	static const struct part_ops ops = {
	    .start = op_start,
	    .config = op_config,
	    .fact = op_fact,
	    .socket = op_socket,
	    .activate = op_activate,
	    .command = op_command,
	    .stop = op_stop,
	};
	struct firewall f = {.acting = false};

	return part_main("firewall", &ops, &f);
}
