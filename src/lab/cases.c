/* SPDX-License-Identifier: Apache-2.0 */
/* What a drill can break, one row each at the end of this file. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/cuts.h"
#include "lab/drill.h"
#include "lab/peers.h"
#include "os/child.h"
#include "os/netns.h"
#include "supervisor/parts.h"

#define PLUG_NS	     (5 * SEC_NS)
#define WEAR_NS	     (15 * SEC_NS)
#define WEAR_STEP_NS (50 * MS_NS)

static bool
is_hit(const struct harm *h, size_t host)
{
	return (h->hosts & UINT32_C(1) << host) != 0;
}

static int
order(struct drill *d, size_t host, const char *const *words)
{
	json_t *answer = NULL;
	int err = world_order(&d->world, host, words, &answer);
	const char *error = json_string_value(json_object_get(answer, "error"));

	if (err != 0)
		(void)snprintf(d->trouble, sizeof(d->trouble), "%s on %s: %.120s",
		    words[0], d->world.host[host].host->name,
		    error != NULL ? error : strerror(-err));
	json_decref(answer);
	return err;
}

static int
order_all(struct drill *d, const char *const *words)
{
	int err = 0;

	for (size_t i = 0; i < d->world.n_hosts && err == 0; i++) {
		if (d->world.host[i].balances)
			err = order(d, i, words);
	}
	return err;
}

static int
restart(struct drill *d, size_t host)
{
	int err = 0;

	if (d->world.host[host].serves && d->world.host[host].web == 0)
		err = world_start_web(&d->world, host);
	return err == 0 ? world_start_balancer(&d->world, host) : err;
}

static int
off(struct drill *d, struct harm *h)
{
	int err = 0;

	/* All cables at once, as with a rack's power; then what cannot be heard. */
	for (size_t i = 0; i < d->world.n_hosts && err == 0; i++) {
		if (is_hit(h, i))
			err = world_plug(&d->world, i, false);
	}
	for (size_t i = 0; i < d->world.n_hosts; i++) {
		if (!is_hit(h, i))
			continue;
		world_kill_host(&d->world, i);
		drill_mute(d, i, true);
		d->off |= UINT32_C(1) << i;
	}
	return err;
}

/* Every host that is not off has its cables in. */
static bool
plugged(struct drill *d)
{
	for (size_t i = 0; i < d->world.n_hosts; i++) {
		if ((d->off & UINT32_C(1) << i) == 0 && !world_plugged(&d->world, i))
			return false;
	}
	return true;
}

/* A host that boots has its cable in before its programs start. */
static int
undo_off(struct drill *d, struct harm *h)
{
	int err = 0;

	for (size_t i = 0; i < d->world.n_hosts && err == 0; i++) {
		if (!is_hit(h, i))
			continue;
		err = world_flush(&d->world, i);
		if (err == 0)
			err = world_plug(&d->world, i, true);
		d->off &= ~(UINT32_C(1) << i);
	}
	if (err == 0)
		err = drill_until(d, plugged, PLUG_NS);
	if (err == -ETIMEDOUT)
		err = 0; /* another failure keeps a cable out */
	for (size_t i = 0; i < d->world.n_hosts; i++) {
		if (!is_hit(h, i))
			continue;
		drill_mute(d, i, false);
		if (err == 0)
			err = restart(d, i);
	}
	return err;
}

static int
stop_host(struct drill *d, struct harm *h)
{
	return netns_signal(d->world.host[h->host].ns, SIGSTOP, NULL, 0) > 0 ? 0
									     : -ESRCH;
}

static int
continue_host(struct drill *d, struct harm *h)
{
	return netns_signal(d->world.host[h->host].ns, SIGCONT, NULL, 0) > 0 ? 0
									     : -ESRCH;
}

static int
signal_part(struct drill *d, struct harm *h, const char *part, int signo)
{
	h->pid = world_part(&d->world, h->host, part, NULL, 0);
	if (h->pid <= 0)
		return -ESRCH;
	return kill(h->pid, signo) == 0 ? 0 : -errno;
}

static int
kill_proxy(struct drill *d, struct harm *h)
{
	if (d->world.engine == ENGINE_NINES)
		return signal_part(d, h, "proxy", SIGKILL);
	world_kill(&d->world.host[h->host].proxy, SIGKILL);
	return 0;
}

static int
kill_vip(struct drill *d, struct harm *h)
{
	if (d->world.engine == ENGINE_NINES)
		return signal_part(d, h, "vip", SIGKILL);
	(void)netns_signal(d->world.host[h->host].ns, SIGKILL, "keepalived", 0);
	world_kill(&d->world.host[h->host].run, SIGKILL);
	return 0;
}

/* Nines has done it by itself; its peers wait for somebody. */
static int
restart_peers(struct drill *d, struct harm *h)
{
	return d->world.engine == ENGINE_NINES ? 0 : peers_start(&d->world, h->host);
}

static int
kill_supervisor(struct drill *d, struct harm *h)
{
	world_kill(&d->world.host[h->host].run, SIGKILL);
	return 0;
}

static int
restart_owner(struct drill *d, struct harm *h)
{
	return restart(d, h->host);
}

static int
hang_proxy(struct drill *d, struct harm *h)
{
	return signal_part(d, h, "proxy", SIGSTOP);
}

static int
hang_vip(struct drill *d, struct harm *h)
{
	return signal_part(d, h, "vip", SIGSTOP);
}

static int
unhang(struct drill *d, struct harm *h)
{
	(void)d;
	(void)kill(h->pid, SIGCONT); /* it has been killed, if all went well */
	return 0;
}

static int
kill_server(struct drill *d, struct harm *h)
{
	world_kill(&d->world.host[h->host].web, SIGKILL);
	return 0;
}

static int
undo_kill_server(struct drill *d, struct harm *h)
{
	return world_start_web(&d->world, h->host);
}

static int
hang_server(struct drill *d, struct harm *h)
{
	return kill(d->world.host[h->host].web, SIGSTOP) == 0 ? 0 : -errno;
}

static int
undo_hang_server(struct drill *d, struct harm *h)
{
	return kill(d->world.host[h->host].web, SIGCONT) == 0 ? 0 : -errno;
}

static void
mode_path(const struct drill *d, const struct harm *h, const char *mode, char *path,
    size_t size)
{
	(void)snprintf(path, size, "%s/%s.web/%s", d->world.dir,
	    d->world.host[h->host].host->name, mode);
}

/* A mode of the web server (web.h), which a file turns on. */
static int
set_mode(struct drill *d, const struct harm *h, const char *mode, bool on)
{
	char path[WORLD_PATH_LEN + 80];
	FILE *f;

	mode_path(d, h, mode, path, sizeof(path));
	if (!on)
		return unlink(path) == 0 ? 0 : -errno;
	f = fopen(path, "we");
	if (f == NULL || fclose(f) != 0)
		return -errno;
	return 0;
}

static int
err_server(struct drill *d, struct harm *h)
{
	return set_mode(d, h, "error", true);
}

static int
undo_err_server(struct drill *d, struct harm *h)
{
	return set_mode(d, h, "error", false);
}

static int
slow_server(struct drill *d, struct harm *h)
{
	return set_mode(d, h, "slow", true);
}

static int
undo_slow_server(struct drill *d, struct harm *h)
{
	return set_mode(d, h, "slow", false);
}

static int
kill_part(struct drill *d, struct harm *h)
{
	return signal_part(d, h, h->part, SIGKILL);
}

static int
hang_part(struct drill *d, struct harm *h)
{
	return signal_part(d, h, h->part, SIGSTOP);
}

/* Until the supervisor gives it up for the time being. */
static int
wear_out_part(struct drill *d, struct harm *h)
{
	mono_t end = mono_add(probe_clock(), WEAR_NS);
	char state[16];
	int err = 0;

	while (err == 0 && mono_before(probe_clock(), end)) {
		h->pid = world_part(&d->world, h->host, h->part, state, sizeof(state));
		if (strncmp(state, "down", 4) == 0)
			return 0;
		if (h->pid > 0)
			(void)kill(h->pid, SIGKILL);
		err = drill_until(d, NULL, WEAR_STEP_NS);
	}
	return err == 0 ? -ETIMEDOUT : err;
}

/* What the host writes to is full: its run directory (see world_build()). */
static int
fill_disk(struct drill *d, struct harm *h)
{
	return world_fill(&d->world, h->host, true);
}

static int
free_disk(struct drill *d, struct harm *h)
{
	return world_fill(&d->world, h->host, false);
}

static int
upgrade_all(struct drill *d, struct harm *h)
{
	static const char *const words[] = {"upgrade", NULL};

	(void)h;
	return order_all(d, words);
}

static int
stop_gracefully(struct drill *d, struct harm *h)
{
	return kill(d->world.host[h->host].run, SIGTERM) == 0 ? 0 : -errno;
}

/* Collects the program if it has ended. */
static bool
has_ended(struct drill *d)
{
	pid_t *run = &d->world.host[d->leaving].run;

	if (*run > 0 && waitpid(*run, NULL, WNOHANG) == *run)
		*run = 0;
	return *run == 0;
}

/* What a stopped program may take to end: connections may finish, those on the way
 * through it and then its own. */
static int64_t
leave_ns(const struct drill *d)
{
	return 2 * parts_stop_ns(d->world.cluster) + 10 * SEC_NS;
}

static int
start_again(struct drill *d, struct harm *h)
{
	int err;

	d->leaving = h->host;
	err = drill_until(d, has_ended, leave_ns(d));

	if (err == -EINTR)
		return err;
	if (err != 0)
		(void)snprintf(d->trouble, sizeof(d->trouble),
		    "still running %d s after SIGTERM", (int)(leave_ns(d) / SEC_NS));
	world_kill(&d->world.host[h->host].run, SIGKILL);
	return restart(d, h->host);
}

int
drill_apply(struct drill *d, const struct world_change *change)
{
	static const char *const words[] = {"reload", NULL};
	int err = world_write_file(&d->world, change);

	return err == 0 ? order_all(d, words) : err;
}

/* The preferred host leaves, so that its return can be watched. */
static int
prepare_return(struct drill *d, struct harm *h)
{
	struct world_change change = d->change;
	int err = 0;

	change.failback = true;
	if (!d->ip->failback) {
		err = drill_apply(d, &change);
		d->returns = true;
	}
	if (err == 0)
		err = drill_until(d, drill_owner_right, 10 * SEC_NS);
	if (err != 0)
		return err;
	d->owner = (size_t)world_index(&d->world, d->ip->host[0]);
	d->other = (size_t)world_index(&d->world, d->ip->host[1]);
	h->host = d->leaving = d->owner;
	err = stop_gracefully(d, h);
	if (err == 0)
		err = drill_until(d, drill_owner_moved, 10 * SEC_NS);
	if (err == 0)
		err = drill_until(d, has_ended, leave_ns(d));
	return err;
}

/* The file as it was; an end also of what prepare_return() asked for. */
static int
restore_file(struct drill *d, struct harm *h)
{
	(void)h;
	return d->world.engine == ENGINE_NINES ? drill_apply(d, &d->change) : 0;
}

static int
come_back(struct drill *d, struct harm *h)
{
	size_t returns = d->owner;
	int err = restart(d, returns);

	(void)h;
	d->owner = d->other; /* who has it now is about to lose it */
	d->other = returns;
	return err;
}

static int
reload_changed(struct drill *d, struct harm *h)
{
	struct world_change change = d->change;

	(void)h;
	change.weights = true;
	return drill_apply(d, &change);
}

static int
drain_server(struct drill *d, struct harm *h)
{
	const char *words[] = {"drain", d->world.host[d->server].host->name, NULL};

	(void)h;
	return order_all(d, words);
}

static int
enable_server(struct drill *d, struct harm *h)
{
	const char *words[] = {"enable", d->world.host[d->server].host->name, NULL};

	(void)h;
	return order_all(d, words);
}

static int
drain_host(struct drill *d, struct harm *h)
{
	const char *words[] = {"drain", d->world.host[h->host].host->name, NULL};

	return order(d, h->host, words);
}

static int
enable_host(struct drill *d, struct harm *h)
{
	const char *words[] = {"enable", d->world.host[h->host].host->name, NULL};

	return order(d, h->host, words);
}

static int
move_away(struct drill *d, struct harm *h)
{
	const char *words[] = {
	    "move", d->ip->name, d->world.host[d->other].host->name, NULL};

	(void)h;
	return order(d, d->owner, words);
}

static int
move_back(struct drill *d, struct harm *h)
{
	const char *words[] = {
	    "move", d->ip->name, d->world.host[d->owner].host->name, NULL};

	(void)h;
	return order(d, d->other, words);
}

static int
spin(struct drill *d, struct harm *h)
{
	static const char *const argv[] = {"sh", "-c", "while :; do :; done", NULL};
	struct child child = {.argv = argv};

	(void)h;
	for (size_t i = 0; i < SPINNERS; i++) {
		child.netns = d->world.host[i % 2 == 0 ? d->owner : d->other].ns;
		d->spinner[i] = child_start(&child);
		if (d->spinner[i] < 0)
			return d->spinner[i];
	}
	return 0;
}

static int
undo_spin(struct drill *d, struct harm *h)
{
	(void)h;
	for (size_t i = 0; i < SPINNERS; i++)
		world_kill(&d->spinner[i], SIGKILL);
	return 0;
}

void
drill_describe(const struct drill_case *c, const char *whom, char *text, size_t size)
{
	size_t before = strcspn(c->what, "@");
	bool named = c->what[before] == '@';

	(void)snprintf(text, size, "%.*s%s%s", (int)before, c->what, named ? whom : "",
	    named ? c->what + before + 1 : "");
}

#define HOLD(min, max) .hold_ns = (min)*MS_NS, .hold_max_ns = (max)*MS_NS

const struct drill_case drill_cases[] = {
    {.name = "host-off",
	.what = "@ loses power",
	.scope = SCOPE_HOST,
	.inject = off,
	.undo = undo_off,
	.expect = EXPECT_MOVED,
	.peers = true},
    {.name = "host-paused",
	.what = "@ stands still for 5 s, then goes on",
	.scope = SCOPE_HOST,
	.inject = stop_host,
	.undo = continue_host,
	.expect = EXPECT_MOVED,
	HOLD(5000, 5000),
	.watch_ns = 3 * SEC_NS,
	.peers = true},
    {.name = "proxy-killed",
	.what = "kill -9 of the proxy on @",
	.inject = kill_proxy,
	.undo = restart_peers,
	HOLD(1500, 1500),
	.peers = true},
    {.name = "proxy-hung",
	.what = "the proxy on @ stops answering",
	.inject = hang_proxy,
	.undo = unhang,
	HOLD(1000, 1000)},
    {.name = "vip-killed",
	.what = "kill -9 of what holds the address on @",
	.inject = kill_vip,
	.undo = restart_peers,
	HOLD(1500, 1500),
	.peers = true},
    {.name = "vip-hung",
	.what = "what holds the address on @ stops answering",
	.inject = hang_vip,
	.undo = unhang,
	HOLD(1000, 1000)},
    {.name = "supervisor-killed",
	.what = "kill -9 of the supervisor on @",
	.scope = SCOPE_NINES,
	.inject = kill_supervisor,
	.undo = restart_owner,
	HOLD(1000, 1000)},
    {.name = "link-down",
	.what = "the interface of @ goes down",
	.scope = SCOPE_LINK,
	.inject = cut_link,
	.undo = mend_link,
	.expect = EXPECT_MOVED,
	.peers = true},
    {.name = "black-hole",
	.what = "the switch swallows all from and to @",
	.scope = SCOPE_LINK,
	.inject = cut_silently,
	.undo = uncut,
	.expect = EXPECT_MOVED,
	HOLD(900, 1100),
	.watch_ns = 3 * SEC_NS,
	.peers = true},
    {.name = "heartbeat-cut",
	.what = "the balancers stop hearing each other",
	.scope = SCOPE_HEARTBEAT,
	.brief = true,
	.inject = cut_heartbeat,
	.undo = uncut,
	HOLD(2000, 2500),
	.watch_ns = 2 * SEC_NS,
	.peers = true},
    {.name = "loss-out",
	.what = "what @ sends to the other balancer is lost",
	.inject = cut_heartbeat_out,
	.undo = uncut,
	HOLD(2000, 2500),
	.watch_ns = 2 * SEC_NS,
	.peers = true},
    {.name = "loss-in",
	.what = "what the other balancer sends to @ is lost",
	.inject = cut_heartbeat_in,
	.undo = uncut,
	HOLD(2000, 2500),
	.watch_ns = 2 * SEC_NS,
	.peers = true},
    {.name = "healed-split",
	.what = "the balancers do not hear each other for 5-7 s",
	.inject = cut_heartbeat,
	.undo = uncut,
	HOLD(5000, 7000),
	.watch_ns = 4 * SEC_NS,
	.peers = true},
    {.name = "server-killed",
	.what = "kill -9 of the web server on @",
	.scope = SCOPE_SERVER,
	.inject = kill_server,
	.undo = undo_kill_server,
	.expect = EXPECT_STAYS,
	HOLD(4000, 4000),
	.watch_ns = 3 * SEC_NS,
	.on_server = true,
	.peers = true},
    {.name = "server-hung",
	.what = "the web server on @ stops answering",
	.scope = SCOPE_SERVER,
	.inject = hang_server,
	.undo = undo_hang_server,
	.expect = EXPECT_STAYS,
	HOLD(6000, 6000),
	.watch_ns = 3 * SEC_NS,
	.on_server = true,
	.peers = true},
    {.name = "server-errors",
	.what = "the web server on @ answers 500 to all",
	.scope = SCOPE_SERVER,
	.inject = err_server,
	.undo = undo_err_server,
	.expect = EXPECT_STAYS,
	HOLD(5000, 5000),
	.watch_ns = 3 * SEC_NS,
	.on_server = true,
	.peers = true},
    {.name = "graceful-stop",
	.what = "@ is stopped in good order",
	.scope = SCOPE_NINES,
	.inject = stop_gracefully,
	.undo = start_again,
	.expect = EXPECT_MOVED,
	.peers = true},
    {.name = "failback",
	.what = "@ comes back and takes over again",
	.prepare = prepare_return,
	.inject = come_back,
	.undo = restore_file,
	.expect = EXPECT_MOVED,
	.peers = true,
	.returns = true},
    {.name = "reload",
	.what = "a changed file is applied everywhere",
	.scope = SCOPE_CLUSTER,
	.brief = true,
	.inject = reload_changed,
	.undo = restore_file,
	.expect = EXPECT_STAYS,
	HOLD(1000, 1000)},
    {.name = "drain-server",
	.what = "@ is drained, then enabled",
	.inject = drain_server,
	.undo = enable_server,
	.expect = EXPECT_STAYS,
	HOLD(1500, 1500),
	.on_server = true},
    {.name = "drain-host",
	.what = "@ is drained, then enabled",
	.inject = drain_host,
	.undo = enable_host,
	.expect = EXPECT_MOVED,
	HOLD(1000, 1000)},
    {.name = "move",
	.what = "the address is moved from @ on purpose, and back",
	.inject = move_away,
	.undo = move_back,
	.expect = EXPECT_MOVED,
	HOLD(1000, 1000)},
    {.name = "link-deaf",
	.what = "@ sends, but nothing reaches it",
	.inject = cut_hearing,
	.undo = uncut,
	.scope = SCOPE_LINK,
	HOLD(2000, 2500),
	.watch_ns = 2 * SEC_NS,
	.generated = true},
    {.name = "link-mute",
	.what = "@ hears, but nothing it sends arrives",
	.inject = cut_speaking,
	.undo = uncut,
	.scope = SCOPE_LINK,
	HOLD(2000, 2500),
	.watch_ns = 2 * SEC_NS,
	.generated = true},
    {.name = "network-down",
	.what = "the switch of @ loses power",
	.inject = cut_network,
	.undo = mend_network,
	.scope = SCOPE_NETWORK,
	HOLD(1500, 2000),
	.watch_ns = SEC_NS,
	.generated = true},
    {.name = "zone-off",
	.what = "all hosts in @ lose power",
	.inject = off,
	.undo = undo_off,
	.scope = SCOPE_ZONE,
	HOLD(1500, 2000),
	.generated = true},
    {.name = "part-killed",
	.what = "kill -9 of a part on @",
	.inject = kill_part,
	.scope = SCOPE_PART,
	.brief = true,
	HOLD(1500, 1500),
	.generated = true},
    {.name = "part-hung",
	.what = "a part on @ stops answering",
	.inject = hang_part,
	.undo = unhang,
	.scope = SCOPE_PART,
	.brief = true,
	HOLD(2500, 2500),
	.generated = true},
    {.name = "part-down",
	.what = "a part on @ dies again and again",
	.inject = wear_out_part,
	.scope = SCOPE_PART,
	HOLD(1500, 1500),
	.watch_ns = 3 * SEC_NS,
	.generated = true},
    {.name = "server-slow",
	.what = "the web server on @ takes 80 ms longer",
	.inject = slow_server,
	.undo = undo_slow_server,
	.expect = EXPECT_STAYS,
	.scope = SCOPE_SERVER,
	.brief = true,
	HOLD(1500, 1500),
	.on_server = true,
	.generated = true},
    {.name = "disk-full",
	.what = "nothing more can be written on @",
	.inject = fill_disk,
	.undo = free_disk,
	.scope = SCOPE_NINES,
	.brief = true,
	HOLD(1500, 1500),
	.generated = true},
    {.name = "upgrade",
	.what = "the program is replaced everywhere",
	.inject = upgrade_all,
	.scope = SCOPE_CLUSTER,
	.brief = true,
	HOLD(1000, 1000),
	.generated = true},
    {.name = "soak",
	.what = "both processors are busy all the time",
	.inject = spin,
	.undo = undo_spin,
	.expect = EXPECT_STAYS,
	.peers = true,
	.hidden = true},
    {.name = NULL},
};
