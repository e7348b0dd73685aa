/* SPDX-License-Identifier: Apache-2.0 */
/* One VPN on this host: its interface made, watched, and given to who has `listen`. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "os/wgkey.h"
#include "os/wglink.h"
#include "vpn/vpn_shell.h"
#include "vpn/wg_go.h"

#define REOPEN_NS   (5 * SEC_NS)  /* one that keeps ending waits for the timer */
#define KICK_S	    1		  /* keepalive of who is to hear of us now */
#define LOOK_NS	    (200 * MS_NS) /* at the clients of the interface ... */
#define LOOK_MANY   256		  /* ... or with more only once in a tick */
#define SKEW_MAX_NS (SEC_NS / 2)
#define FORGED_BAD  3	/* a few may be somebody's joke */
#define LIST_ROOM   400 /* bytes of one client in a list, and more */

/* ---- life ---------------------------------------------------------------------- */

static void on_timer(void *arg);

struct tunnel *
tunnel_new(struct vpn_shell *sh, const struct vpn *v)
{
	struct tunnel *t = calloc(1, sizeof(*t));
	uint8_t session[VPN_SESSION_LEN];

	if (t == NULL)
		return NULL;
	t->shell = sh;
	t->vpn = v;
	t->sync_fd = -1;
	t->started = loop_now(sh->loop);
	t->state.room = (size_t)2 * VPN_PEERS_MAX;
	t->state.peer = calloc(t->state.room, sizeof(*t->state.peer));
	if (t->state.peer == NULL || vpn_sync_session(session) != 0) {
		free(t->state.peer);
		free(t);
		return NULL;
	}
	vpn_core_init(&t->core, sh->me->name, session, loop_now(sh->loop));
	t->timer = (struct loop_timer){.cb = on_timer, .arg = t};
	list_append(&sh->tunnels, &t->link);
	return t;
}

/* With it go its sessions: whatever comes next begins them anew. */
static void
lose_device(struct tunnel *t)
{
	if (t->dev != NULL && wg_dev_is_broken(t->dev))
		wg_dev_replace(t->dev);
	else
		wg_dev_close(t->dev);
	t->dev = NULL;
	(void)vpn_core_role(&t->core, loop_now(t->shell->loop), false);
}

static void
remove_device(struct tunnel *t)
{
	lose_device(t);
	wg_dev_remove(t->interface[0] != '\0' ? t->interface : t->vpn->interface);
	t->interface[0] = '\0';
}

void
tunnel_free(struct tunnel *t, bool remove)
{
	if (remove)
		remove_device(t);
	else
		lose_device(t);
	vpn_sync_close(t);
	loop_timer_clear(t->shell->loop, &t->timer);
	list_remove(&t->link);
	explicit_bzero(t->key, sizeof(t->key));
	explicit_bzero(t->state.key, sizeof(t->state.key));
	free(t->place);
	free(t->state.peer);
	free(t);
}

/* ---- what is told -------------------------------------------------------------- */

static void
publish(struct tunnel *t, const char *suffix, const char *value, char *said)
{
	char key[FACT_KEY_LEN];

	if (strcmp(said, value) == 0)
		return;
	(void)snprintf(said, FACT_VALUE_LEN, "%s", value);
	(void)snprintf(key, sizeof(key), "vpn %s%s", t->vpn->name, suffix);
	part_publish(t->shell->part, key, "%s", value);
}

/* How the gateways' messages fare; "" with one gateway. */
static void
say_sync(struct tunnel *t)
{
	mono_t now = loop_now(t->shell->loop);
	char value[FACT_VALUE_LEN] = "";
	const struct vpn_other *lost = NULL;
	bool waits = false;

	for (size_t i = 0; i < t->core.n_others; i++) {
		const struct vpn_other *o = &t->core.other[i];

		mono_t since = o->known ? o->heard : t->started;

		if (mono_sub(now, since) > VPN_SILENT_NS)
			lost = o;
		waits = waits || !o->known;
	}
	if (t->core.n_others == 0)
		value[0] = '\0';
	else if (t->forged >= FORGED_BAD)
		(void)snprintf(value, sizeof(value),
		    "down the other gateway has another key: copy %s to all",
		    t->vpn->key_file);
	else if (lost != NULL)
		(void)snprintf(value, sizeof(value),
		    "down nothing heard of %s: its clients would be lost for 15 s in a "
		    "failover",
		    lost->name);
	else if (t->skew_ns > SKEW_MAX_NS || t->skew_ns < -SKEW_MAX_NS)
		(void)snprintf(value, sizeof(value),
		    "down the clocks of the gateways differ by %lld ms: let NTP set "
		    "them",
		    (long long)(llabs(t->skew_ns) / MS_NS));
	else if (!waits)
		(void)snprintf(value, sizeof(value), "up");
	publish(t, " sync", value, t->said_sync);
}

static void
say(struct tunnel *t)
{
	char value[FACT_VALUE_LEN];

	if (t->why[0] != '\0')
		(void)snprintf(value, sizeof(value), "down %s", t->why);
	else if (t->shell->rules[0] != '\0')
		(void)snprintf(value, sizeof(value), "down %s", t->shell->rules);
	else
		(void)snprintf(
		    value, sizeof(value), t->core.active ? "active" : "standby");
	if (strcmp(value, t->said) != 0)
		log_event(t->core.active || t->why[0] == '\0' ? LOG_INFO : LOG_WARN,
		    "vpn", "name=%s now=\"%s\"", t->vpn->name, value);
	publish(t, "", value, t->said);
	say_sync(t);
}

/* ---- generation and key -------------------------------------------------------- */

static void
read_key(struct tunnel *t)
{
	const char *path = t->vpn->key_file;
	int fd = part_file(t->shell->part, path);
	int err = fd < 0 ? fd : wgkey_read(fd, t->key);

	if (err == 0)
		err = wgkey_public(t->public_key, t->key);
	t->has_key = err == 0;
	t->why[0] = '\0';
	if (err == 0)
		return;
	if (err == -EPERM)
		(void)snprintf(t->why, sizeof(t->why),
		    "others may read %.60s: chmod 600, and if they did, make a new one",
		    path);
	else if (err == -EINVAL)
		(void)snprintf(
		    t->why, sizeof(t->why), "%.80s holds no WireGuard key", path);
	else
		(void)snprintf(t->why, sizeof(t->why),
		    "%.80s: %s; `nines vpn key %.40s` makes one", path, strerror(-err),
		    t->vpn->name);
}

static void
adopt_clients(struct tunnel *t)
{
	const struct vpn *v = t->vpn;
	struct vpn_place *place = calloc(v->n_peers + 1, sizeof(*place));
	const char *others[VPN_OTHERS_MAX];
	size_t n = 0;

	if (place == NULL) { /* those of before stay */
		log_event(LOG_ERR, "no_memory", "of=\"%s\"", v->name);
		return;
	}
	vpn_core_places(&t->core, place, v->peer, v->n_peers);
	free(t->place);
	t->place = place;
	for (size_t i = 0; i < v->n_hosts; i++) {
		if (v->host[i] != t->shell->me && n < VPN_OTHERS_MAX)
			others[n++] = v->host[i]->name;
	}
	vpn_core_others(&t->core, others, n);
}

void
tunnel_adopt(struct tunnel *t, const struct vpn *v)
{
	t->vpn = v;
	read_key(t);
	adopt_clients(t);
}

/* ---- the interface ------------------------------------------------------------- */

static void
fail(struct tunnel *t, const char *what, int err)
{
	if (err != 0)
		(void)snprintf(t->why, sizeof(t->why), "%s: %s", what, strerror(-err));
}

static void set_up_device(struct tunnel *t);

static void
on_gone(void *arg)
{
	struct tunnel *t = arg;
	mono_t now = loop_clock(t->shell->loop);

	log_event(LOG_WARN, "wireguard-go", "vpn=%s event=ended", t->vpn->name);
	lose_device(t);
	(void)snprintf(t->why, sizeof(t->why), "wireguard-go has ended");
	if (mono_sub(now, t->lost) > REOPEN_NS)
		set_up_device(t);
	t->lost = now;
	tunnel_judge(t);
}

/* Brings key, port and clients in line with the file; what is right stays untouched. */
static int
configure(struct tunnel *t)
{
	const struct vpn *v = t->vpn;
	struct wg_wish wish = {.port = v->listen.port,
	    .mark = vpn_mark(v),
	    .peer = v->peer,
	    .n_peers = v->n_peers};
	struct wg_change change = {.room = t->state.room + v->n_peers};
	int err = wg_dev_state(t->dev, &t->state);

	if (err != 0)
		return err;
	change.peer = calloc(change.room, sizeof(*change.peer));
	if (change.peer == NULL)
		return -ENOMEM;
	memcpy(wish.key, t->key, sizeof(wish.key));
	wg_compare(&t->state, &wish, &change);
	err = wg_dev_change(t->dev, &change);
	explicit_bzero(wish.key, sizeof(wish.key));
	explicit_bzero(change.key, sizeof(change.key));
	free(change.peer);
	return err;
}

/*
 * Silence: sessions end, and where clients are is forgotten. A wireguard-go goes on
 * when its interface is down; but a client that is taken out and put in again is one
 * that it has never heard.
 */
static void
leave(struct tunnel *t)
{
	const struct vpn *v = t->vpn;
	struct wg_change change = {.room = 2 * v->n_peers};

	fail(t, "cannot set the tunnel down", wglink_set_up(v->interface, false));
	change.peer = calloc(change.room + 1, sizeof(*change.peer));
	if (change.peer == NULL) { /* the rules keep it silent, too */
		log_event(LOG_ERR, "no_memory", "of=\"%s\"", v->name);
		return;
	}
	for (size_t i = 0; i < v->n_peers; i++) {
		struct wg_peer_change *c = &change.peer[change.n_peers++];

		memcpy(c->key, v->peer[i].key, sizeof(c->key));
		c->remove = true;
	}
	for (size_t i = 0; i < v->n_peers; i++) {
		struct wg_peer_change *c = &change.peer[change.n_peers++];

		memcpy(c->key, v->peer[i].key, sizeof(c->key));
		c->set_allowed = true;
		c->allowed = v->peer[i].address;
		c->keepalive_s = WG_KEEPALIVE_STAYS;
	}
	fail(t, "cannot end the sessions", wg_dev_change(t->dev, &change));
	free(change.peer);
}

static void
set_up_device(struct tunnel *t)
{
	const struct vpn *v = t->vpn;

	if (t->interface[0] != '\0' &&
	    (strcmp(t->interface, v->interface) != 0 ||
		!ip_equal(&t->address, &v->address) || t->bits != v->subnet.bits))
		remove_device(t);
	if (t->dev == NULL)
		t->dev = wg_dev_open(t->shell->loop, v->interface, on_gone, t, t->why);
	if (t->dev == NULL)
		return;
	(void)snprintf(t->interface, sizeof(t->interface), "%s", v->interface);
	t->address = v->address;
	t->bits = v->subnet.bits;
	t->why[0] = '\0';
	fail(t, "cannot configure WireGuard", configure(t));
	fail(t, "cannot set the tunnel's MTU", wglink_set_mtu(v->interface, v->mtu));
	fail(t, "cannot set the tunnel's address",
	    wglink_set_address(v->interface, &v->address, v->subnet.bits));
	vpn_rules_forward(t->shell, v);
	/* A process before us may have died as the address left. */
	if (!t->core.active && wglink_is_up(v->interface) == 1 &&
	    !vpn_shell_has_address(t->shell, v))
		leave(t);
}

void
tunnel_apply(struct tunnel *t)
{
	if (!t->has_key)
		remove_device(t); /* a key that is refused must not serve either */
	else
		set_up_device(t);
	vpn_sync_open(t);
	tunnel_judge(t);
}

/* ---- who has the clients ------------------------------------------------------- */

/*
 * Tells the interface where clients are, and to begin a session with those that may
 * have one with the gateway before us: a keepalive is something to be sent, and for
 * that it needs a handshake. They answer, and all goes on.
 */
static void
place_clients(struct tunnel *t)
{
	mono_t now = loop_now(t->shell->loop);
	struct wg_change change = {.room = t->core.n_places};
	unsigned begun = 0;
	int err;

	change.peer = calloc(change.room + 1, sizeof(*change.peer));
	if (change.peer == NULL)
		return; /* they find us after 15 s */
	for (size_t i = 0; i < t->core.n_places; i++) {
		const struct vpn_place *p = &t->core.place[i];
		struct wg_peer_change *c = &change.peer[change.n_peers];

		if (p->at.ip.family == 0)
			continue;
		memcpy(c->key, p->key, sizeof(c->key));
		c->set_at = true;
		c->at = p->at;
		c->keepalive_s = vpn_core_alive(p, now) ? KICK_S : 0;
		begun += c->keepalive_s > 0;
		change.n_peers++;
	}
	err = wg_dev_change(t->dev, &change);
	if (err != 0)
		log_event(LOG_ERR, "take_over", "vpn=%s error=\"%s\"", t->vpn->name,
		    strerror(-err));
	log_event(LOG_INFO, "take_over", "vpn=%s known=%zu begun=%u", t->vpn->name,
	    change.n_peers, begun);
	free(change.peer);
}

static void
calm_clients(struct tunnel *t)
{
	struct wg_change change = {.room = t->core.n_places};

	change.peer = calloc(change.room + 1, sizeof(*change.peer));
	if (change.peer == NULL)
		return;
	for (size_t i = 0; i < t->core.n_places; i++) {
		struct wg_peer_change *c = &change.peer[change.n_peers];

		if (t->core.place[i].at.ip.family == 0)
			continue;
		memcpy(c->key, t->core.place[i].key, sizeof(c->key));
		c->keepalive_s = 0;
		change.n_peers++;
	}
	if (wg_dev_change(t->dev, &change) != 0)
		log_event(LOG_WARN, "calm", "vpn=%s error=1", t->vpn->name);
	free(change.peer);
}

/* What the interface knows of its clients. */
static void
look(struct tunnel *t)
{
	mono_t now = loop_now(t->shell->loop);
	int64_t wall = vpn_sync_wall();
	int err = wg_dev_state(t->dev, &t->state);

	if (err != 0) {
		log_event(LOG_WARN, "look", "vpn=%s error=\"%s\"", t->vpn->name,
		    strerror(-err));
		return;
	}
	for (size_t i = 0; i < t->state.n_peers; i++) {
		const struct wg_peer *p = &t->state.peer[i];
		int64_t age = wall - p->handshake_s * SEC_NS;

		if (age < 0)
			age = 0;
		vpn_core_seen(&t->core, p->key, &p->at, p->handshake_s != 0,
		    (mono_t){now.ns - age});
	}
}

static void
take(struct tunnel *t)
{
	const struct vpn *v = t->vpn;

	/* Up already: a process before us has died while it had the clients. */
	if (wglink_is_up(v->interface) == 1) {
		look(t);
		return;
	}
	place_clients(t);
	fail(t, "cannot set the tunnel up", wglink_set_up(v->interface, true));
	if (v->address.family == AF_INET6) /* which it forgets when it is down */
		fail(t, "cannot set the tunnel's address",
		    wglink_set_address(v->interface, &v->address, v->subnet.bits));
}

static void
perform(struct tunnel *t, enum vpn_deed deed)
{
	if (t->dev == NULL)
		return;
	if (deed == VPN_TAKE)
		take(t);
	else if (deed == VPN_LEAVE)
		leave(t);
	else if (deed == VPN_CALM)
		calm_clients(t);
}

void
tunnel_judge(struct tunnel *t)
{
	const bool fit = t->dev != NULL && t->why[0] == '\0';
	/* Without the rules clients could go anywhere. */
	const bool active = fit && t->shell->rules[0] == '\0' &&
			    vpn_shell_has_address(t->shell, t->vpn);
	mono_t now = loop_now(t->shell->loop), next;

	perform(t, vpn_core_role(&t->core, now, active));
	say(t);
	vpn_sync_send(t);
	next = vpn_core_deadline(&t->core);
	if (active && t->vpn->n_peers <= LOOK_MANY)
		next = mono_min(next, mono_add(now, LOOK_NS));
	loop_timer_set(t->shell->loop, &t->timer, next);
}

/* One that hangs while it stands by would be found out by the clients. */
static void
ask_after(struct tunnel *t)
{
	int err = wg_dev_state(t->dev, &t->state);

	if (err != 0)
		log_event(LOG_WARN, "look", "vpn=%s error=\"%s\"", t->vpn->name,
		    strerror(-err));
}

static void
on_timer(void *arg)
{
	struct tunnel *t = arg;
	mono_t now = loop_now(t->shell->loop);

	wg_go_reap();
	if (t->dev != NULL && !t->core.active)
		ask_after(t);
	if (t->dev != NULL && wg_dev_is_broken(t->dev)) {
		log_event(
		    LOG_WARN, "wireguard-go", "vpn=%s event=silent", t->vpn->name);
		lose_device(t);
	}
	if (t->has_key && (t->dev == NULL || t->why[0] != '\0'))
		set_up_device(t); /* try again: somebody may have helped */
	if (t->core.active)
		look(t);
	perform(t, vpn_core_tick(&t->core, now));
	tunnel_judge(t);
}

/* ---- list ---------------------------------------------------------------------- */

static const struct wg_peer *
find_state(const struct tunnel *t, const uint8_t *key)
{
	for (size_t i = 0; i < t->state.n_peers; i++) {
		if (memcmp(t->state.peer[i].key, key, VPN_KEY_LEN) == 0)
			return &t->state.peer[i];
	}
	return NULL;
}

static void
list_one(const struct tunnel *t, const struct vpn_peer *p, struct sbuf *out)
{
	const struct vpn_place *place = vpn_core_place(&t->core, p->key);
	const struct wg_peer *state = find_state(t, p->key);
	char text[IP_ENDPOINT_LEN];
	int64_t age;

	sbuf_puts(out, "{\"name\":");
	sbuf_json(out, p->name);
	sbuf_printf(out, ",\"address\":\"%s\"", ip_format(&p->address, text));
	if (place != NULL && place->at.ip.family != 0)
		sbuf_printf(
		    out, ",\"endpoint\":\"%s\"", ip_endpoint_format(&place->at, text));
	if (place != NULL && place->shaken) {
		age = mono_sub(loop_now(t->shell->loop), place->handshake);
		sbuf_printf(
		    out, ",\"handshake_age_s\":%lld", (long long)(age / SEC_NS));
	}
	if (state != NULL && t->core.active)
		sbuf_printf(out, ",\"received\":%llu,\"sent\":%llu",
		    (unsigned long long)state->received,
		    (unsigned long long)state->sent);
	sbuf_puts(out, "}");
}

void
tunnel_list(struct tunnel *t, size_t from, struct sbuf *out)
{
	const struct vpn *v = t->vpn;
	const char *sep = "";
	size_t i;

	if (t->dev != NULL)
		look(t);
	sbuf_puts(out, "{\"vpn\":");
	sbuf_json(out, v->name);
	sbuf_puts(out, ",\"host\":");
	sbuf_json(out, t->shell->me->name);
	sbuf_puts(out, ",\"state\":");
	sbuf_json(out, t->said);
	sbuf_puts(out, ",\"peers\":[");
	for (i = from; i < v->n_peers && out->len < PART_REPLY_MAX - LIST_ROOM; i++) {
		sbuf_puts(out, sep);
		list_one(t, &v->peer[i], out);
		sep = ",";
	}
	sbuf_puts(out, "]");
	if (i < v->n_peers)
		sbuf_printf(out, ",\"next\":%zu", i);
	sbuf_puts(out, "}");
}
