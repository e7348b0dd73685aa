/* SPDX-License-Identifier: Apache-2.0 */
/* What a drill can break, one row each at the end of this file. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/drill.h"
#include "lab/peers.h"
#include "os/child.h"
#include "os/netns.h"

#define PLUG_NS	 (5 * SEC_NS)
#define LEAVE_NS (40 * SEC_NS) /* what a stopped program may take to end */

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

/* The switch drops what matches; `rule` is nft's, may name both ends of a cable. */
static int
drop(struct drill *d, const char *rules)
{
	static const char *const argv[] = {"nft", "-f", "-", NULL};
	struct child child = {.argv = argv, .netns = d->world.sw};
	struct sbuf text;
	int status;

	sbuf_init(&text, 4096);
	sbuf_printf(&text,
	    "table bridge drill {\n chain forward {\n"
	    "  type filter hook forward priority 0;\n%s }\n}\n",
	    rules);
	child.input = sbuf_text(&text);
	status = text.bad ? -ENOMEM : child_run(&child, NULL);
	sbuf_done(&text);
	return status > 0 ? -EIO : status;
}

static int
undo_drop(struct drill *d)
{
	static const char *const argv[] = {
	    "nft", "delete", "table", "bridge", "drill", NULL};
	struct child child = {.argv = argv, .netns = d->world.sw};
	int status = child_run(&child, NULL);

	return status > 0 ? -EIO : status;
}

static void
owner_port(const struct drill *d, char port[16])
{
	world_port(&d->world, d->owner, d->ip->network, port);
}

static int
off(struct drill *d)
{
	int err = world_plug(&d->world, d->owner, false);

	world_kill_host(&d->world, d->owner);
	owners_mute(d->owners, d->owner, true);
	return err;
}

static bool
plugged(struct drill *d)
{
	return world_plugged(&d->world, d->owner);
}

/* A host that boots has its cable in before its programs start. */
static int
undo_off(struct drill *d)
{
	int err = world_flush(&d->world, d->owner);

	if (err == 0)
		err = world_plug(&d->world, d->owner, true);
	if (err == 0)
		err = drill_until(d, plugged, PLUG_NS);
	owners_mute(d->owners, d->owner, false);
	return err == 0 ? restart(d, d->owner) : err;
}

static int
stop_host(struct drill *d)
{
	return netns_signal(d->world.host[d->owner].ns, SIGSTOP, NULL, 0) > 0 ? 0
									      : -ESRCH;
}

static int
continue_host(struct drill *d)
{
	return netns_signal(d->world.host[d->owner].ns, SIGCONT, NULL, 0) > 0 ? 0
									      : -ESRCH;
}

static int
signal_part(struct drill *d, const char *part, int signo)
{
	d->pid = world_part(&d->world, d->owner, part);
	if (d->pid <= 0)
		return -ESRCH;
	return kill(d->pid, signo) == 0 ? 0 : -errno;
}

static int
kill_proxy(struct drill *d)
{
	if (d->world.engine == ENGINE_NINES)
		return signal_part(d, "proxy", SIGKILL);
	world_kill(&d->world.host[d->owner].proxy, SIGKILL);
	return 0;
}

static int
kill_vip(struct drill *d)
{
	if (d->world.engine == ENGINE_NINES)
		return signal_part(d, "vip", SIGKILL);
	(void)netns_signal(d->world.host[d->owner].ns, SIGKILL, "keepalived", 0);
	world_kill(&d->world.host[d->owner].run, SIGKILL);
	return 0;
}

/* Nines has done it by itself; its peers wait for somebody. */
static int
restart_peers(struct drill *d)
{
	return d->world.engine == ENGINE_NINES ? 0 : peers_start(&d->world, d->owner);
}

static int
kill_supervisor(struct drill *d)
{
	world_kill(&d->world.host[d->owner].run, SIGKILL);
	return 0;
}

static int
restart_owner(struct drill *d)
{
	return restart(d, d->owner);
}

static int
hang_proxy(struct drill *d)
{
	return signal_part(d, "proxy", SIGSTOP);
}

static int
hang_vip(struct drill *d)
{
	return signal_part(d, "vip", SIGSTOP);
}

static int
unhang(struct drill *d)
{
	(void)kill(d->pid, SIGCONT); /* it has been killed, if all went well */
	return 0;
}

static int
link_down(struct drill *d)
{
	char name[16];

	world_interface(&d->world, d->owner, d->ip->network, name);
	return netns_link_set(d->world.host[d->owner].ns, name, false);
}

static int
link_up(struct drill *d)
{
	char name[16];
	int err;

	world_interface(&d->world, d->owner, d->ip->network, name);
	err = netns_link_set(d->world.host[d->owner].ns, name, true);
	return err == 0 ? world_routes(&d->world, d->owner) : err;
}

static int
black_hole(struct drill *d)
{
	char rules[128], port[16];

	owner_port(d, port);
	(void)snprintf(rules, sizeof(rules),
	    "  iifname \"%s\" drop\n  oifname \"%s\" drop\n", port, port);
	return drop(d, rules);
}

static int
cut_heartbeat(struct drill *d)
{
	return drop(d, "  ip protocol 112 drop\n  ip6 nexthdr 112 drop\n");
}

static int
lose_out(struct drill *d)
{
	char rules[160], port[16];

	owner_port(d, port);
	(void)snprintf(rules, sizeof(rules),
	    "  iifname \"%s\" ip protocol 112 drop\n"
	    "  iifname \"%s\" ip6 nexthdr 112 drop\n",
	    port, port);
	return drop(d, rules);
}

static int
lose_in(struct drill *d)
{
	char rules[160], port[16];

	owner_port(d, port);
	(void)snprintf(rules, sizeof(rules),
	    "  oifname \"%s\" ip protocol 112 drop\n"
	    "  oifname \"%s\" ip6 nexthdr 112 drop\n",
	    port, port);
	return drop(d, rules);
}

static int
kill_server(struct drill *d)
{
	world_kill(&d->world.host[d->server].web, SIGKILL);
	return 0;
}

static int
undo_kill_server(struct drill *d)
{
	return world_start_web(&d->world, d->server);
}

static int
hang_server(struct drill *d)
{
	return kill(d->world.host[d->server].web, SIGSTOP) == 0 ? 0 : -errno;
}

static int
undo_hang_server(struct drill *d)
{
	return kill(d->world.host[d->server].web, SIGCONT) == 0 ? 0 : -errno;
}

static void
error_path(const struct drill *d, char *path, size_t size)
{
	(void)snprintf(path, size, "%s/%s.web/error", d->world.dir,
	    d->world.host[d->server].host->name);
}

static int
err_server(struct drill *d)
{
	char path[WORLD_PATH_LEN + 80];
	FILE *f;

	error_path(d, path, sizeof(path));
	f = fopen(path, "we");
	if (f == NULL || fclose(f) != 0)
		return -errno;
	return 0;
}

static int
undo_err_server(struct drill *d)
{
	char path[WORLD_PATH_LEN + 80];

	error_path(d, path, sizeof(path));
	return unlink(path) == 0 ? 0 : -errno;
}

static int
stop_gracefully(struct drill *d)
{
	return kill(d->world.host[d->owner].run, SIGTERM) == 0 ? 0 : -errno;
}

/* Collects the program if it has ended. */
static bool
has_ended(struct drill *d)
{
	pid_t *run = &d->world.host[d->owner].run;

	if (*run > 0 && waitpid(*run, NULL, WNOHANG) == *run)
		*run = 0;
	return *run == 0;
}

static int
start_again(struct drill *d)
{
	int err = drill_until(d, has_ended, LEAVE_NS);

	if (err == -EINTR)
		return err;
	if (err != 0)
		(void)snprintf(d->trouble, sizeof(d->trouble),
		    "still running %d s after SIGTERM", (int)(LEAVE_NS / SEC_NS));
	world_kill(&d->world.host[d->owner].run, SIGKILL);
	return restart(d, d->owner);
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
prepare_return(struct drill *d)
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
	err = stop_gracefully(d);
	if (err == 0)
		err = drill_until(d, drill_owner_moved, 10 * SEC_NS);
	if (err == 0)
		err = drill_until(d, has_ended, LEAVE_NS);
	return err;
}

/* The file as it was; an end also of what prepare_return() asked for. */
static int
restore_file(struct drill *d)
{
	return d->world.engine == ENGINE_NINES ? drill_apply(d, &d->change) : 0;
}

static int
come_back(struct drill *d)
{
	size_t returns = d->owner;
	int err = restart(d, returns);

	d->owner = d->other; /* who has it now is about to lose it */
	d->other = returns;
	return err;
}

static int
reload_changed(struct drill *d)
{
	struct world_change change = d->change;

	change.weights = true;
	return drill_apply(d, &change);
}

static int
drain_server(struct drill *d)
{
	const char *words[] = {"drain", d->world.host[d->server].host->name, NULL};

	return order_all(d, words);
}

static int
enable_server(struct drill *d)
{
	const char *words[] = {"enable", d->world.host[d->server].host->name, NULL};

	return order_all(d, words);
}

static int
drain_host(struct drill *d)
{
	const char *words[] = {"drain", d->world.host[d->owner].host->name, NULL};

	return order(d, d->owner, words);
}

static int
enable_host(struct drill *d)
{
	const char *words[] = {"enable", d->world.host[d->owner].host->name, NULL};

	return order(d, d->owner, words);
}

static int
move_away(struct drill *d)
{
	const char *words[] = {
	    "move", d->ip->name, d->world.host[d->other].host->name, NULL};

	return order(d, d->owner, words);
}

static int
move_back(struct drill *d)
{
	const char *words[] = {
	    "move", d->ip->name, d->world.host[d->owner].host->name, NULL};

	return order(d, d->other, words);
}

static int
spin(struct drill *d)
{
	static const char *const argv[] = {"sh", "-c", "while :; do :; done", NULL};
	struct child child = {.argv = argv};

	for (size_t i = 0; i < SPINNERS; i++) {
		child.netns = d->world.host[i % 2 == 0 ? d->owner : d->other].ns;
		d->spinner[i] = child_start(&child);
		if (d->spinner[i] < 0)
			return d->spinner[i];
	}
	return 0;
}

static int
undo_spin(struct drill *d)
{
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
	.inject = off,
	.undo = undo_off,
	.expect = EXPECT_MOVED,
	.peers = true},
    {.name = "host-paused",
	.what = "@ stands still for 5 s, then goes on",
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
	.inject = kill_supervisor,
	.undo = restart_owner,
	HOLD(1000, 1000)},
    {.name = "link-down",
	.what = "the interface of @ goes down",
	.inject = link_down,
	.undo = link_up,
	.expect = EXPECT_MOVED,
	.peers = true},
    {.name = "black-hole",
	.what = "the switch swallows all from and to @",
	.inject = black_hole,
	.undo = undo_drop,
	.expect = EXPECT_MOVED,
	HOLD(900, 1100),
	.watch_ns = 3 * SEC_NS,
	.peers = true},
    {.name = "heartbeat-cut",
	.what = "the balancers stop hearing each other",
	.inject = cut_heartbeat,
	.undo = undo_drop,
	HOLD(2000, 2500),
	.watch_ns = 2 * SEC_NS,
	.peers = true},
    {.name = "loss-out",
	.what = "what @ sends to the other balancer is lost",
	.inject = lose_out,
	.undo = undo_drop,
	HOLD(2000, 2500),
	.watch_ns = 2 * SEC_NS,
	.peers = true},
    {.name = "loss-in",
	.what = "what the other balancer sends to @ is lost",
	.inject = lose_in,
	.undo = undo_drop,
	HOLD(2000, 2500),
	.watch_ns = 2 * SEC_NS,
	.peers = true},
    {.name = "healed-split",
	.what = "the balancers do not hear each other for 5-7 s",
	.inject = cut_heartbeat,
	.undo = undo_drop,
	HOLD(5000, 7000),
	.watch_ns = 4 * SEC_NS,
	.peers = true},
    {.name = "server-killed",
	.what = "kill -9 of the web server on @",
	.inject = kill_server,
	.undo = undo_kill_server,
	.expect = EXPECT_STAYS,
	HOLD(4000, 4000),
	.watch_ns = 3 * SEC_NS,
	.on_server = true,
	.peers = true},
    {.name = "server-hung",
	.what = "the web server on @ stops answering",
	.inject = hang_server,
	.undo = undo_hang_server,
	.expect = EXPECT_STAYS,
	HOLD(6000, 6000),
	.watch_ns = 3 * SEC_NS,
	.on_server = true,
	.peers = true},
    {.name = "server-errors",
	.what = "the web server on @ answers 500 to all",
	.inject = err_server,
	.undo = undo_err_server,
	.expect = EXPECT_STAYS,
	HOLD(5000, 5000),
	.watch_ns = 3 * SEC_NS,
	.on_server = true,
	.peers = true},
    {.name = "graceful-stop",
	.what = "@ is stopped in good order",
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
    {.name = "soak",
	.what = "both processors are busy all the time",
	.inject = spin,
	.undo = undo_spin,
	.expect = EXPECT_STAYS,
	.peers = true,
	.hidden = true},
    {.name = NULL},
};
